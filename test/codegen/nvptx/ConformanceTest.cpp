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

#include <gtest/gtest.h>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

class SimConformance : public ModelConformance {
public:
  explicit SimConformance(const char *Json)
      : ModelConformance(Json, DType::F32, /*Alignment=*/256, forGpus()) {
    if (!Module)
      return;
    FailureOr<nvptx::DeviceModule> Lowered =
        nvptx::lowerForGpu(*Module, {"sm_80"});
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
    sim::LaunchShape Shape;
    for (auto [I, Extent] : llvm::enumerate(Grid))
      Shape.Grid[I] = Extent;
    Shape.Threads = Code->Threads;
    Shape.DynamicSharedBytes = Code->SharedBytes;
    Run.run(Shape);
    ASSERT_TRUE(Run.reports().empty()) << Kernel << ": " << Run.reportText();
  }

private:
  nvptx::DeviceModule Device;
  std::unique_ptr<SimKernels> Compiled;
};

/// Each size under a schedule of its own.
void checkAll(const char *Json, ArrayRef<PlanSizes> AllSizes) {
  SimConformance Model(Json);
  for (const PlanSizes &Sizes : AllSizes) {
    Model.check(Sizes);
    if (testing::Test::HasFailure())
      return;
    Model.Schedule.Order = Model.Schedule.Order == sim::Schedule::Random
                               ? sim::Schedule::Reverse
                               : sim::Schedule::Random;
    ++Model.Schedule.Seed;
  }
}

TEST(SimConformance, HybridWithGroupedHeads) {
  checkAll(GroupedHeadsConfig,
           {{1, 1, 0, 8}, {2, 1, 5, 8}, {2, 3, 0, 40}, {1, 37, 30, 80}});
}

TEST(SimConformance, OddWidths) {
  checkAll(OddWidthsConfig, {{2, 1, 5, 8}, {1, 65, 0, 65}});
}

} // namespace
