//===- ConformanceTest.cpp - Compiled kernels against the interpreter -----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Takes whole models to kernels and runs every launch of every entry twice, by
// the interpreter and compiled, from the same memory.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/tile/interpreter/TileInterpreter.h"
#include "test/codegen/x86/KernelHarness.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

struct Sizes {
  int64_t Batch, Seq, Past, Capacity;
};

std::vector<int64_t> evaluate(AffineMap Map, const Sizes &S) {
  Builder B(Map.getContext());
  SmallVector<Attribute> Symbols, Results;
  for (int64_t Size : {S.Batch, S.Seq, S.Past, S.Capacity})
    Symbols.push_back(B.getIndexAttr(Size));
  EXPECT_TRUE(succeeded(Map.constantFold(Symbols, Results)));
  std::vector<int64_t> Values;
  for (Attribute Result : Results)
    Values.push_back(cast<IntegerAttr>(Result).getInt());
  return Values;
}

/// The memory of one plan buffer, as both sides see it.
struct Memory {
  Memory(plan::BufferOp Buffer, const Sizes &S)
      : IsFloat(isa<FloatType>(Buffer.getElementType())),
        IsShort(Buffer.getElementType().isBF16()) {
    for (int64_t Extent : evaluate(Buffer.getShape(), S))
      Count *= Extent;
    Bytes = Count * (IsShort ? 2 : 4);
    Expected = std::make_unique<Array<uint8_t>>(Bytes);
    Actual = std::make_unique<Array<uint8_t>>(Bytes);
    for (size_t I = 0; I < Count; ++I)
      set(I, NAN);
    publish();
  }
  void publish() { std::memcpy(Actual->data(), Expected->data(), Bytes); }

  float get(const Array<uint8_t> &From, size_t I) const {
    // A bf16 is the upper half of a float32.
    uint32_t Bits = 0;
    if (IsShort)
      Bits = uint32_t(static_cast<const uint16_t *>(From.data())[I]) << 16;
    else
      Bits = static_cast<const uint32_t *>(From.data())[I];
    float Value;
    std::memcpy(&Value, &Bits, 4);
    return Value;
  }
  float expected(size_t I) const { return get(*Expected, I); }
  float actual(size_t I) const { return get(*Actual, I); }
  /// Of a bf16 only what is left of the value's upper half.
  void set(size_t I, float Value) {
    uint32_t Bits;
    std::memcpy(&Bits, &Value, 4);
    if (IsShort)
      static_cast<uint16_t *>(Expected->data())[I] = uint16_t(Bits >> 16);
    else
      static_cast<uint32_t *>(Expected->data())[I] = Bits;
  }

  bool IsFloat, IsShort;
  size_t Count = 1, Bytes = 0;
  std::unique_ptr<Array<uint8_t>> Expected, Actual;
};

void fill(Memory &M, plan::BufferOp Buffer, std::mt19937 &Generator) {
  std::string Name = Buffer.getName().str();
  std::uniform_real_distribution<float> Uniform(-1.0f, 1.0f);
  auto *Integers = static_cast<int32_t *>(M.Expected->data());
  for (size_t I = 0; I < M.Count; ++I) {
    float X = Uniform(Generator);
    if (!M.IsFloat)
      Integers[I] = Generator() % 50;
    else if (Name.find(".A") != std::string::npos)
      M.set(I, -std::abs(X) - 0.1f);
    else if (Name.find("mask") != std::string::npos)
      M.set(I, X > -0.5f ? 1.0f : 0.0f);
    else if (Buffer.getKind() == plan::BufferKind::Input)
      // Rates and decays of the optimizer are between 0 and 1.
      M.set(I, 0.05f + 0.9f * std::abs(X));
    else if (Buffer.getKind() == plan::BufferKind::Parameter)
      M.set(I, 0.3f * X);
    else if (Buffer.getKind() == plan::BufferKind::Moment2)
      M.set(I, X * X);
    else
      M.set(I, X);
  }
}

/// The largest finite magnitude in a buffer.
double largestOf(const Memory &M) {
  double Largest = 0;
  for (size_t I = 0; I < M.Count; ++I)
    if (std::isfinite(M.expected(I)))
      Largest = std::max(Largest, std::abs(double(M.expected(I))));
  return Largest;
}

/// Float32 in another order of additions: relative to the largest element, and
/// to `Scale` where everything cancels, as the softmax gradient of a single
/// key.
void compare(const Memory &M, double Scale, const std::string &Where) {
  if (!M.IsFloat) {
    ASSERT_EQ(std::memcmp(M.Expected->data(), M.Actual->data(), M.Count * 4), 0)
        << Where;
    return;
  }
  double Absolute = 1e-5 * largestOf(M) + 1e-6 * Scale;
  for (size_t I = 0; I < M.Count; ++I)
    ASSERT_TRUE(isClose(M.actual(I), M.expected(I), 1e-5, Absolute))
        << Where << ", element " << I << " is " << M.actual(I) << ", expected "
        << M.expected(I);
}

/// The same in a kernel with bf16 memories, against float64 arithmetic on the
/// same operands. In the norm, two results that are rounded to bf16 may be one
/// unit apart (2^-8), and every product on the way to a result rounds both
/// operands (2 2^-9 each); no kernel has more than three in a row.
void compareMixed(const Memory &M, double Scale, int64_t Products,
                  const std::string &Where) {
  if (!M.IsFloat)
    return compare(M, Scale, Where);
  double Error = 0, Norm = 0;
  for (size_t I = 0; I < M.Count; ++I) {
    double Actual = M.actual(I), Expected = M.expected(I);
    if (!std::isfinite(Expected)) {
      ASSERT_TRUE(isClose(Actual, Expected, 0))
          << Where << ", element " << I << " is " << Actual << ", expected "
          << Expected;
      continue;
    }
    Error += (Actual - Expected) * (Actual - Expected);
    Norm += Expected * Expected;
  }
  double Bound =
      (M.IsShort ? 0x1p-8 : 1e-5) + 0x1p-8 * std::min<int64_t>(Products, 3);
  EXPECT_LE(std::sqrt(Error),
            Bound * (std::sqrt(Norm) + 1e-3 * Scale * std::sqrt(M.Count)))
      << Where << ": relative error " << std::sqrt(Error / Norm);
}

class Model {
public:
  explicit Model(const std::string &Json, DType Type = DType::F32) {
    DialectRegistry Registry;
    registerCompilerDialects(Registry);
    Context.appendDialectRegistry(Registry);
    Context.loadAllAvailableDialects();
    auto Config = ModelConfig::parse(Json, "test");
    if (!Config) {
      ADD_FAILURE() << Config.message();
      return;
    }
    auto Entries = expandEntries({"forward", "decode", "train"}, *Config);
    Module = buildModel(*Config, *Entries, 0, Context, Type);
    if (!Module || failed(lowerToPlan(*Module))) {
      ADD_FAILURE() << "the model does not lower to a plan";
      return;
    }
    Compiled = std::make_unique<Kernels>(*Module);
  }

  void check(Sizes S) {
    ASSERT_TRUE(Compiled && Compiled->isLoaded());
    for (auto Entry : Module->getOps<plan::EntryOp>())
      check(Entry, S);
  }

private:
  void check(plan::EntryOp Entry, const Sizes &S) {
    std::mt19937 Generator(1);
    llvm::DenseMap<Value, std::unique_ptr<Memory>> Memories;
    for (auto Buffer : Entry.getOps<plan::BufferOp>()) {
      auto &M = Memories[Buffer] = std::make_unique<Memory>(Buffer, S);
      if (Buffer.getKind() != plan::BufferKind::Temporary &&
          Buffer.getKind() != plan::BufferKind::Output)
        fill(*M, Buffer, Generator);
    }
    for (auto Launch : Entry.getOps<plan::LaunchOp>()) {
      if (Launch.getWhen() &&
          llvm::any_of(evaluate(*Launch.getWhen(), S),
                       [](int64_t Guard) { return Guard < 0; }))
        continue;
      check(Launch, S, Memories);
      if (testing::Test::HasFailure())
        return;
    }
  }

  void check(plan::LaunchOp Launch, const Sizes &S,
             llvm::DenseMap<Value, std::unique_ptr<Memory>> &Memories) {
    std::string Name = Launch.getKernel().str();
    SmallVector<void *> Expected;
    std::vector<void *> Actual;
    // Results are sums of products with the smallest input, a gradient.
    double Scale = 1;
    for (Value Operand : Launch.getOperands()) {
      Memories[Operand]->publish();
      double Largest =
          Memories[Operand]->IsFloat ? largestOf(*Memories[Operand]) : 0;
      if (Largest > 0)
        Scale = std::min(Scale, Largest);
      Expected.push_back(Memories[Operand]->Expected->data());
      Actual.push_back(Memories[Operand]->Actual->data());
    }
    std::vector<int64_t> LaunchSizes = evaluate(Launch.getSizes(), S);
    std::vector<int64_t> Grid = evaluate(Launch.getGrid(), S);
    auto Kernel = Module->lookupSymbol<tile::KernelOp>(Name);
    bool Mixed = llvm::any_of(Launch.getOperands(), [&](Value Operand) {
      return Memories[Operand]->IsShort;
    });
    int64_t Products = 0;
    Kernel.walk([&](tile::MmaOp) { ++Products; });
    tile::InterpreterOptions Options;
    Options.RoundToType = !Mixed || Products == 0;
    ASSERT_TRUE(succeeded(
        tile::runKernel(Kernel, Expected, LaunchSizes, Grid, Options)));
    Grid.resize(3, 1);
    Compiled->run(Name, Actual, LaunchSizes, Grid[0], Grid[1], Grid[2]);
    for (auto [I, Operand] : llvm::enumerate(Launch.getOperands())) {
      std::string Where = Name + ", operand " + std::to_string(I);
      if (Mixed)
        compareMixed(*Memories[Operand], Scale, Products, Where);
      else
        compare(*Memories[Operand], Scale, Where);
      if (testing::Test::HasFatalFailure())
        return;
    }
  }

  MLIRContext Context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> Module;
  std::unique_ptr<Kernels> Compiled;
};

const Sizes AllSizes[] = {
    {1, 1, 0, 8}, {2, 1, 5, 8}, {2, 3, 0, 40}, {1, 37, 30, 80}, {3, 70, 0, 70}};

const char *const GroupedHeads =
    R"({"model_type": "TransXSSM", "vocab_size": 97, "hidden_size": 64,
    "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "ssd_chunk_size": 16, "attn_layer_period": 2,
    "attn_layer_offset": 1, "hidden_bias": true, "rope_scaling": null})";

const char *const OddWidths =
    R"({"model_type": "TransXSSM", "vocab_size": 53, "hidden_size": 60,
    "intermediate_size": 75, "num_hidden_layers": 2, "num_attention_heads": 3,
    "ssd_chunk_size": 64, "attn_layer_period": 2, "attn_layer_offset": 0,
    "hidden_act": "gelu", "tie_word_embeddings": false,
    "rope_scaling": null})";

void checkAllSizes(const char *Json, DType Type) {
  Model M(Json, Type);
  for (const Sizes &S : AllSizes)
    M.check(S);
}

TEST(Conformance, HybridWithGroupedHeads) {
  checkAllSizes(GroupedHeads, DType::F32);
}

TEST(Conformance, HybridWithGroupedHeadsInBf16) {
  checkAllSizes(GroupedHeads, DType::BF16);
}

TEST(Conformance, OddWidths) { checkAllSizes(OddWidths, DType::F32); }

TEST(Conformance, OddWidthsInBf16) { checkAllSizes(OddWidths, DType::BF16); }

} // namespace
