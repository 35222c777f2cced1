//===- ConformanceTest.cpp - GPU kernels in the simulator -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Takes whole models to kernels and runs every launch of every entry twice, by
// the interpreter and in the simulator of GPU threads, from the same memory.
// The simulator must have nothing to report: no race, no missing barrier, no
// access out of bounds or of uninitialised memory.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/nvptx/NvptxCodegen.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/tile/interpreter/TileInterpreter.h"
#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

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
    Expected.assign(Count, NAN);
    Actual.assign(Count, NAN);
  }

  bool IsFloat, IsWritten = false;
  size_t Count = 1;
  std::vector<float> Expected, Actual;
};

void fill(Memory &M, plan::BufferOp Buffer, std::mt19937 &Generator) {
  std::string Name = Buffer.getName().str();
  std::uniform_real_distribution<float> Uniform(-1.0f, 1.0f);
  M.IsWritten = true;
  for (float &Element : M.Expected) {
    float X = Uniform(Generator);
    int32_t Integer = Generator() % 50;
    if (!M.IsFloat)
      std::memcpy(&Element, &Integer, sizeof(Integer));
    else if (Name.find(".A") != std::string::npos)
      Element = -std::abs(X) - 0.1f;
    else if (Name.find("mask") != std::string::npos)
      Element = X > -0.5f ? 1.0f : 0.0f;
    else if (Buffer.getKind() == plan::BufferKind::Input)
      // Rates and decays of the optimizer are between 0 and 1.
      Element = 0.05f + 0.9f * std::abs(X);
    else if (Buffer.getKind() == plan::BufferKind::Parameter)
      Element = 0.3f * X;
    else if (Buffer.getKind() == plan::BufferKind::Moment2)
      Element = X * X;
    else
      Element = X;
  }
}

/// The largest finite magnitude in a buffer.
double largestOf(const Memory &M) {
  double Largest = 0;
  for (float Element : M.Expected)
    if (std::isfinite(Element))
      Largest = std::max(Largest, std::abs(double(Element)));
  return Largest;
}

bool isClose(double A, double B, double Absolute) {
  if (std::isnan(A) || std::isnan(B) || std::isinf(A) || std::isinf(B))
    return (std::isnan(A) && std::isnan(B)) || A == B;
  return std::abs(A - B) <=
         Absolute + 1e-5 * std::max(std::abs(A), std::abs(B));
}

/// Float32 in another order of additions: relative to the largest element, and
/// to `Scale` where everything cancels, as the softmax gradient of a single
/// key.
void compare(const Memory &M, double Scale, const std::string &Where) {
  if (!M.IsFloat) {
    ASSERT_EQ(std::memcmp(M.Expected.data(), M.Actual.data(), M.Count * 4), 0)
        << Where;
    return;
  }
  double Absolute = 1e-5 * largestOf(M) + 1e-6 * Scale;
  for (size_t I = 0; I < M.Count; ++I)
    ASSERT_TRUE(isClose(M.Actual[I], M.Expected[I], Absolute))
        << Where << ", element " << I << " is " << M.Actual[I] << ", expected "
        << M.Expected[I];
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
    FailureOr<nvptx::DeviceModule> Lowered =
        nvptx::lowerForGpu(*Module, {"sm_80"});
    if (failed(Lowered)) {
      ADD_FAILURE() << "the kernels do not lower";
      return;
    }
    Device = std::move(*Lowered);
    Compiled = std::make_unique<SimKernels>(*Device.Module);
  }

  void check(Sizes S, sim::SimOptions Schedule) {
    ASSERT_TRUE(Compiled);
    ASSERT_TRUE(Compiled->isLoaded()) << Compiled->error();
    for (auto Entry : Module->getOps<plan::EntryOp>())
      check(Entry, S, Schedule);
  }

private:
  void check(plan::EntryOp Entry, const Sizes &S,
             const sim::SimOptions &Schedule) {
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
      check(Launch, S, Schedule, Memories);
      if (testing::Test::HasFailure())
        return;
    }
  }

  void check(plan::LaunchOp Launch, const Sizes &S,
             const sim::SimOptions &Schedule,
             llvm::DenseMap<Value, std::unique_ptr<Memory>> &Memories) {
    std::string Name = Launch.getKernel().str();
    auto Kernel = Module->lookupSymbol<tile::KernelOp>(Name);
    auto Code =
        llvm::find_if(Device.Kernels, [&](const nvptx::DeviceKernel &K) {
          return K.Name == Name;
        });
    SimLaunch Run(*Compiled, Code->Symbol);
    Run.Simulator.Options = Schedule;
    SmallVector<void *> Expected;
    // Results are sums of products with the smallest input, a gradient.
    double Scale = 1;
    for (Value Operand : Launch.getOperands()) {
      Memory &M = *Memories[Operand];
      M.Actual = M.Expected;
      double Largest = M.IsFloat ? largestOf(M) : 0;
      if (Largest > 0)
        Scale = std::min(Scale, Largest);
      Expected.push_back(M.Expected.data());
      Run.buffer(Name + " operand " + std::to_string(Expected.size() - 1),
                 M.Actual.data(), M.Count * sizeof(float), M.IsWritten);
      M.IsWritten = true;
    }
    std::vector<int64_t> LaunchSizes = evaluate(Launch.getSizes(), S);
    std::vector<int64_t> Grid = evaluate(Launch.getGrid(), S);
    ASSERT_TRUE(
        succeeded(tile::runKernel(Kernel, Expected, LaunchSizes, Grid)));
    for (int64_t Size : LaunchSizes)
      Run.size(Size);
    sim::LaunchShape Shape;
    for (auto [I, Extent] : llvm::enumerate(Grid))
      Shape.Grid[I] = Extent;
    Shape.Threads = Code->Threads;
    Shape.DynamicSharedBytes = Code->SharedBytes;
    Run.run(Shape);
    ASSERT_TRUE(Run.reports().empty()) << Name << ": " << Run.reportText();
    for (auto [I, Operand] : llvm::enumerate(Launch.getOperands())) {
      compare(*Memories[Operand], Scale,
              Name + ", operand " + std::to_string(I));
      if (testing::Test::HasFatalFailure())
        return;
    }
  }

  MLIRContext Context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> Module;
  nvptx::DeviceModule Device;
  std::unique_ptr<SimKernels> Compiled;
};

/// Each size under a schedule of its own.
void checkAll(Model &M, ArrayRef<Sizes> AllSizes) {
  sim::SimOptions Schedule;
  for (const Sizes &S : AllSizes) {
    M.check(S, Schedule);
    if (testing::Test::HasFailure())
      return;
    Schedule.Order = Schedule.Order == sim::Schedule::Random
                         ? sim::Schedule::Reverse
                         : sim::Schedule::Random;
    ++Schedule.Seed;
  }
}

TEST(SimConformance, HybridWithGroupedHeads) {
  Model M(R"({"model_type": "TransXSSM", "vocab_size": 97, "hidden_size": 64,
    "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "ssd_chunk_size": 16, "attn_layer_period": 2,
    "attn_layer_offset": 1, "hidden_bias": true, "rope_scaling": null})");
  checkAll(M, {{1, 1, 0, 8}, {2, 1, 5, 8}, {2, 3, 0, 40}, {1, 37, 30, 80}});
}

TEST(SimConformance, OddWidths) {
  Model M(R"({"model_type": "TransXSSM", "vocab_size": 53, "hidden_size": 60,
    "intermediate_size": 75, "num_hidden_layers": 2, "num_attention_heads": 3,
    "ssd_chunk_size": 64, "attn_layer_period": 2, "attn_layer_offset": 0,
    "hidden_act": "gelu", "tie_word_embeddings": false,
    "rope_scaling": null})");
  checkAll(M, {{2, 1, 5, 8}, {1, 65, 0, 65}});
}

} // namespace
