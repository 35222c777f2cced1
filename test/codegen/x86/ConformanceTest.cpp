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
      : IsFloat(Buffer.getElementType().isF32()) {
    for (int64_t Extent : evaluate(Buffer.getShape(), S))
      Count *= Extent;
    Expected = std::make_unique<Array<float>>(Count, NAN);
    Actual = std::make_unique<Array<float>>(Count, NAN);
  }
  void publish() {
    std::memcpy(Actual->data(), Expected->data(), Count * sizeof(float));
  }

  bool IsFloat;
  size_t Count = 1;
  std::unique_ptr<Array<float>> Expected, Actual;
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
      (*M.Expected)[I] = -std::abs(X) - 0.1f;
    else if (Name.find("mask") != std::string::npos)
      (*M.Expected)[I] = X > -0.5f ? 1.0f : 0.0f;
    else if (Buffer.getKind() == plan::BufferKind::Input)
      // Rates and decays of the optimizer are between 0 and 1.
      (*M.Expected)[I] = 0.05f + 0.9f * std::abs(X);
    else if (Buffer.getKind() == plan::BufferKind::Parameter)
      (*M.Expected)[I] = 0.3f * X;
    else if (Buffer.getKind() == plan::BufferKind::Moment2)
      (*M.Expected)[I] = X * X;
    else
      (*M.Expected)[I] = X;
  }
}

/// The largest finite magnitude in a buffer.
double largestOf(const Memory &M) {
  double Largest = 0;
  for (size_t I = 0; I < M.Count; ++I)
    if (std::isfinite((*M.Expected)[I]))
      Largest = std::max(Largest, std::abs(double((*M.Expected)[I])));
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
    ASSERT_TRUE(isClose((*M.Actual)[I], (*M.Expected)[I], 1e-5, Absolute))
        << Where << ", element " << I << " is " << (*M.Actual)[I]
        << ", expected " << (*M.Expected)[I];
}

class Model {
public:
  explicit Model(const std::string &Json) {
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
    Module = buildModel(*Config, *Entries, 0, Context);
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
    ASSERT_TRUE(
        succeeded(tile::runKernel(Kernel, Expected, LaunchSizes, Grid)));
    Grid.resize(3, 1);
    Compiled->run(Name, Actual, LaunchSizes, Grid[0], Grid[1], Grid[2]);
    for (auto [I, Operand] : llvm::enumerate(Launch.getOperands())) {
      compare(*Memories[Operand], Scale,
              Name + ", operand " + std::to_string(I));
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

TEST(Conformance, HybridWithGroupedHeads) {
  Model M(R"({"model_type": "TransXSSM", "vocab_size": 97, "hidden_size": 64,
    "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "ssd_chunk_size": 16, "attn_layer_period": 2,
    "attn_layer_offset": 1, "hidden_bias": true, "rope_scaling": null})");
  for (const Sizes &S : AllSizes)
    M.check(S);
}

TEST(Conformance, OddWidths) {
  Model M(R"({"model_type": "TransXSSM", "vocab_size": 53, "hidden_size": 60,
    "intermediate_size": 75, "num_hidden_layers": 2, "num_attention_heads": 3,
    "ssd_chunk_size": 64, "attn_layer_period": 2, "attn_layer_offset": 0,
    "hidden_act": "gelu", "tie_word_embeddings": false,
    "rope_scaling": null})");
  for (const Sizes &S : AllSizes)
    M.check(S);
}

} // namespace
