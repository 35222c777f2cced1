//===- ConformanceTest.cpp - GPU kernels in the simulator -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every launch of whole models by the interpreter and in the simulator of GPU
// threads. The simulator must have nothing to report: no race, no missing
// barrier, no access out of bounds or of uninitialised memory.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/NvptxCodegen.h"
#include "test/codegen/ModelConformance.h"
#include "test/sim/SimHarness.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

class SimulatedModel : public ModelConformance {
public:
  SimulatedModel(const std::string &Json, DType Type,
                 const nvptx::GpuTarget &Target)
      : ModelConformance(Json, Type, /*Alignment=*/256, forGpus()) {
    if (!Module)
      return;
    Schedule.MaxSharedBytes = (Target.Name == "sm_80" ? 163 : 227) * 1024;
    FailureOr<nvptx::DeviceModule> Lowered =
        nvptx::lowerForGpu(*Module, Target);
    if (failed(Lowered)) {
      ADD_FAILURE() << "the kernels do not lower";
      return;
    }
    Device = std::move(*Lowered);
    Compiled = std::make_unique<SimKernels>(*Device.Module);
  }

  sim::SimOptions Schedule;

protected:
  static PlanOptions forGpus() {
    PlanOptions Wanted;
    Wanted.Gpu = true;
    return Wanted;
  }

  void run(const std::string &Kernel, const std::vector<Argument> &Arguments,
           const std::vector<int64_t> &Sizes,
           const std::vector<int64_t> &Grid) override {
    ASSERT_TRUE(Compiled);
    ASSERT_TRUE(Compiled->isLoaded()) << Compiled->error();
    auto Code =
        llvm::find_if(Device.Kernels, [&](const nvptx::DeviceKernel &K) {
          return K.Name == Kernel;
        });
    SimLaunch Run(*Compiled, Code->Symbol);
    Run.Simulator.Options = Schedule;
    for (auto [I, A] : llvm::enumerate(Arguments))
      Run.buffer(Kernel + " operand " + std::to_string(I), A.Data, A.Bytes,
                 A.IsWritten);
    for (int64_t Size : Sizes)
      Run.size(Size);
    sim::LaunchShape Shape = Run.cells(Grid, Code->ResidentBlocks != 0);
    for (const nvptx::TensorMap &Map : Code->TensorMaps)
      Run.map(Map, Arguments[Map.Operand].Data, Sizes);
    Shape.Threads = Code->Threads;
    Shape.DynamicSharedBytes = Code->SharedBytes;
    Run.run(Shape);
    ASSERT_TRUE(Run.reports().empty()) << Kernel << ": " << Run.reportText();
  }

private:
  nvptx::DeviceModule Device;
  std::unique_ptr<SimKernels> Compiled;
};

/// The architecture as packages have it.
nvptx::GpuTarget targetOf(const std::string &Name) {
  for (const nvptx::GpuTarget &Target : nvptx::gpuTargets())
    if (Target.Name == Name)
      return Target;
  ADD_FAILURE() << "no architecture " << Name;
  return {};
}

class SimConformance
    : public testing::TestWithParam<std::tuple<DType, std::string>> {
protected:
  /// Each size under a schedule of its own.
  void checkAll(const std::string &Json, ArrayRef<PlanSizes> AllSizes) {
    SimulatedModel Model(Json, std::get<0>(GetParam()),
                         targetOf(std::get<1>(GetParam())));
    for (const PlanSizes &Sizes : AllSizes) {
      SCOPED_TRACE("batch " + std::to_string(Sizes.Batch) + ", " +
                   std::to_string(Sizes.Seq) + " tokens after " +
                   std::to_string(Sizes.Past));
      Model.check(Sizes);
      if (testing::Test::HasFailure())
        return;
      Model.Schedule.Order = Model.Schedule.Order == sim::Schedule::Random
                                 ? sim::Schedule::Reverse
                                 : sim::Schedule::Random;
      ++Model.Schedule.Seed;
      // Odd seeds also let asynchronous copies land early.
      Model.Schedule.EarlyCopies = Model.Schedule.Seed % 2;
    }
  }
};

/// A state-space layer and an attention layer of the given widths.
std::string widths(int64_t Hidden, int64_t Heads, int64_t KeyHeads,
                   int64_t Intermediate, int64_t Vocab, int64_t Chunk) {
  return llvm::formatv(
             R"({{"model_type": "TransXSSM", "hidden_size": {0},
             "num_attention_heads": {1}, "num_key_value_heads": {2},
             "intermediate_size": {3}, "vocab_size": {4},
             "ssd_chunk_size": {5}, "num_hidden_layers": 2,
             "attn_layer_period": 2, "attn_layer_offset": 1,
             "rope_scaling": null})",
             Hidden, Heads, KeyHeads, Intermediate, Vocab, Chunk)
      .str();
}

TEST_P(SimConformance, GroupedHeads) {
  checkAll(GroupedHeadsConfig,
           {{1, 1, 0, 8}, {2, 1, 5, 8}, {2, 3, 0, 40}, {1, 37, 30, 80}});
}

/// Few queries from a long cache: keys in three splits, the last not full.
TEST_P(SimConformance, LongCache) {
  checkAll(widths(32, 4, 2, 16, 50, 16), {{2, 1, 300, 310}, {1, 5, 270, 300}});
}

TEST_P(SimConformance, OddWidths) {
  checkAll(OddWidthsConfig, {{2, 1, 5, 8}, {1, 65, 0, 65}});
}

/// Tiles and chunks filled exactly, and one row less and more.
TEST_P(SimConformance, ExactTiles) {
  checkAll(widths(64, 1, 1, 64, 64, 16), {{1, 1, 0, 64},
                                          {1, 15, 0, 64},
                                          {1, 16, 1, 64},
                                          {1, 17, 47, 64},
                                          {1, 48, 0, 48},
                                          {3, 21, 0, 21},
                                          {1, 64, 64, 128},
                                          {5, 13, 0, 13}});
}

/// Widths of one less and one more than tiles of 64 and 128.
TEST_P(SimConformance, OneMoreThanATile) {
  checkAll(widths(128, 2, 1, 129, 65, 64),
           {{1, 1, 63, 64}, {1, 65, 0, 65}, {2, 64, 0, 64}, {3, 43, 20, 64}});
}

TEST_P(SimConformance, OneLessThanATile) {
  checkAll(widths(126, 3, 3, 127, 63, 64), {{1, 1, 64, 65}, {1, 63, 0, 63}});
}

TEST_P(SimConformance, HeadsOf128) {
  checkAll(widths(128, 1, 1, 63, 127, 64),
           {{1, 1, 5, 8}, {1, 64, 0, 64}, {1, 65, 1, 66}});
}

/// Products over one number and into two columns.
TEST_P(SimConformance, Smallest) {
  checkAll(widths(2, 1, 1, 1, 51, 16), {{1, 1, 0, 1}, {1, 2, 1, 3}});
}

/// More tokens than a block of any kernel has rows.
TEST_P(SimConformance, ManyTokens) {
  checkAll(widths(16, 1, 1, 8, 50, 64), {{2, 193, 0, 193}});
}

INSTANTIATE_TEST_SUITE_P(
    All, SimConformance,
    testing::Combine(testing::Values(DType::F32, DType::BF16),
                     testing::Values("sm_80", "sm_90a")),
    [](const auto &Info) {
      return std::string(std::get<0>(Info.param) == DType::BF16 ? "bf16_"
                                                                : "f32_") +
             std::get<1>(Info.param);
    });

} // namespace
