//===- ModelConformance.cpp - Compiled kernels against the interpreter ----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/codegen/ModelConformance.h"
#include "codegen/Pipeline.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/tile/interpreter/TileInterpreter.h"
#include "test/codegen/GuardedMemory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

using namespace mlir;

namespace transxssm::test {

const char *const GroupedHeadsConfig =
    R"({"model_type": "TransXSSM", "vocab_size": 97, "hidden_size": 64,
    "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "ssd_chunk_size": 16, "attn_layer_period": 2,
    "attn_layer_offset": 1, "hidden_bias": true, "rope_scaling": null})";

const char *const OddWidthsConfig =
    R"({"model_type": "TransXSSM", "vocab_size": 53, "hidden_size": 60,
    "intermediate_size": 75, "num_hidden_layers": 2, "num_attention_heads": 3,
    "ssd_chunk_size": 64, "attn_layer_period": 2, "attn_layer_offset": 0,
    "hidden_act": "gelu", "tie_word_embeddings": false,
    "rope_scaling": null})";

static std::vector<int64_t> evaluate(AffineMap Map, const PlanSizes &S) {
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

struct PlanMemory {
  PlanMemory(plan::BufferOp Buffer, const PlanSizes &S, size_t Alignment)
      : IsFloat(isa<FloatType>(Buffer.getElementType())),
        IsShort(Buffer.getElementType().isBF16()) {
    for (int64_t Extent : evaluate(Buffer.getShape(), S))
      Count *= Extent;
    Bytes = Count * (IsShort ? 2 : 4);
    Expected = std::make_unique<Array<uint8_t>>(Bytes);
    Actual = std::make_unique<Array<uint8_t>>(llvm::alignTo(Bytes, Alignment));
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

  bool IsFloat, IsShort, IsWritten = false;
  size_t Count = 1, Bytes = 0;
  std::unique_ptr<Array<uint8_t>> Expected, Actual;
};

static void fill(PlanMemory &M, plan::BufferOp Buffer,
                 std::mt19937 &Generator) {
  std::string Name = Buffer.getName().str();
  std::uniform_real_distribution<float> Uniform(-1.0f, 1.0f);
  M.IsWritten = true;
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
static double largestOf(const PlanMemory &M) {
  double Largest = 0;
  for (size_t I = 0; I < M.Count; ++I)
    if (std::isfinite(M.expected(I)))
      Largest = std::max(Largest, std::abs(double(M.expected(I))));
  return Largest;
}

/// Float32 in another order of additions: relative to the largest element, and
/// to `Scale` where everything cancels, as the softmax gradient of a single
/// key.
static void compare(const PlanMemory &M, double Scale,
                    const std::string &Where) {
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
/// operands (2 2^-9 each); no kernel has more than three in a row. A
/// handful of numbers may be what is left of sums that cancel, as gradients of
/// decays are, and twice as far off as the interpreter's results that are
/// rounded after every operation, `Rounded`.
static void compareMixed(const PlanMemory &M, double Scale, int64_t Products,
                         const Array<uint8_t> &Rounded,
                         const std::string &Where) {
  constexpr size_t Handful = 16;
  if (!M.IsFloat)
    return compare(M, Scale, Where);
  double Error = 0, Norm = 0, Rounding = 0;
  for (size_t I = 0; I < M.Count; ++I) {
    double Actual = M.actual(I), Expected = M.expected(I);
    if (!std::isfinite(Expected)) {
      ASSERT_TRUE(isClose(Actual, Expected, 0))
          << Where << ", element " << I << " is " << Actual << ", expected "
          << Expected;
      continue;
    }
    Error += (Actual - Expected) * (Actual - Expected);
    double Off = M.get(Rounded, I) - Expected;
    Rounding += Off * Off;
    Norm += Expected * Expected;
  }
  double Bound =
      (M.IsShort ? 0x1p-8 : 1e-5) + 0x1p-8 * std::min<int64_t>(Products, 3);
  double Allowed =
      Bound * (std::sqrt(Norm) + 1e-3 * Scale * std::sqrt(M.Count));
  if (M.Count < Handful)
    Allowed = std::max(Allowed, 2 * std::sqrt(Rounding));
  EXPECT_LE(std::sqrt(Error), Allowed)
      << Where << ": relative error " << std::sqrt(Error / Norm);
}

ModelConformance::ModelConformance(const std::string &Json, DType Type,
                                   size_t Alignment, const PlanOptions &Options)
    : Alignment(Alignment) {
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
  if (!Module || failed(lowerToPlan(*Module, Options))) {
    ADD_FAILURE() << "the model does not lower to a plan";
    Module = nullptr;
  }
}

ModelConformance::~ModelConformance() = default;

void ModelConformance::check(const PlanSizes &Sizes) {
  ASSERT_TRUE(Module);
  for (auto Entry : Module->getOps<plan::EntryOp>())
    check(Entry, Sizes);
}

void ModelConformance::check(plan::EntryOp Entry, const PlanSizes &Sizes) {
  std::mt19937 Generator(1);
  Memories Of;
  for (auto Buffer : Entry.getOps<plan::BufferOp>()) {
    auto &M = Of[Buffer] =
        std::make_unique<PlanMemory>(Buffer, Sizes, Alignment);
    if (Buffer.getKind() != plan::BufferKind::Temporary &&
        Buffer.getKind() != plan::BufferKind::Output)
      fill(*M, Buffer, Generator);
  }
  for (auto Launch : Entry.getOps<plan::LaunchOp>()) {
    if (Launch.getWhen() &&
        llvm::any_of(evaluate(*Launch.getWhen(), Sizes),
                     [](int64_t Guard) { return Guard < 0; }))
      continue;
    check(Launch, Sizes, Of);
    if (testing::Test::HasFailure())
      return;
  }
}

void ModelConformance::check(plan::LaunchOp Launch, const PlanSizes &Sizes,
                             Memories &Of) {
  std::string Name = Launch.getKernel().str();
  SmallVector<void *> Expected;
  std::vector<Argument> Actual;
  // Results are sums of products with the smallest input, a gradient.
  double Scale = 1;
  bool Mixed = false;
  for (Value Operand : Launch.getOperands()) {
    PlanMemory &M = *Of[Operand];
    M.publish();
    double Largest = M.IsFloat ? largestOf(M) : 0;
    if (Largest > 0)
      Scale = std::min(Scale, Largest);
    Mixed |= M.IsShort;
    Expected.push_back(M.Expected->data());
    Actual.push_back({M.Actual->data(), M.Bytes, M.IsWritten});
    M.IsWritten = true;
  }
  std::vector<int64_t> LaunchSizes = evaluate(Launch.getSizes(), Sizes);
  std::vector<int64_t> Grid = evaluate(Launch.getGrid(), Sizes);
  auto Kernel = Module->lookupSymbol<tile::KernelOp>(Name);
  int64_t Products = 0;
  Kernel.walk([&](tile::MmaOp) { ++Products; });
  std::vector<Array<uint8_t>> Rounded;
  if (Mixed) {
    std::vector<void *> Copies;
    for (Value Operand : Launch.getOperands()) {
      PlanMemory &M = *Of[Operand];
      Rounded.emplace_back(M.Bytes);
      std::memcpy(Rounded.back().data(), M.Expected->data(), M.Bytes);
      Copies.push_back(Rounded.back().data());
    }
    for (auto [I, Operand] : llvm::enumerate(Launch.getOperands()))
      for (size_t J = 0; J < I; ++J)
        if (Launch.getOperands()[J] == Operand) {
          Rounded[I] = Rounded[J];
          Copies[I] = Copies[J];
        }
    ASSERT_TRUE(succeeded(tile::runKernel(Kernel, Copies, LaunchSizes, Grid)));
  }
  tile::InterpreterOptions Options;
  Options.RoundToType = !Mixed || Products == 0;
  ASSERT_TRUE(
      succeeded(tile::runKernel(Kernel, Expected, LaunchSizes, Grid, Options)));
  Grid.resize(3, 1);
  run(Name, Actual, LaunchSizes, Grid);
  if (testing::Test::HasFatalFailure())
    return;
  for (auto [I, Operand] : llvm::enumerate(Launch.getOperands())) {
    std::string Where = Name + ", operand " + std::to_string(I);
    if (Mixed)
      compareMixed(*Of[Operand], Scale, Products, Rounded[I], Where);
    else
      compare(*Of[Operand], Scale, Where);
    if (testing::Test::HasFatalFailure())
      return;
  }
}

} // namespace transxssm::test
