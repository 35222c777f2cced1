//===- SourceTextsTest.cpp - Reports name lines of tile programs ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/nvptx/NvptxCodegen.h"
#include "mlir/Parser/Parser.h"
#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

/// Adds up rows of x; %w is read from a memory that nobody has filled.
constexpr char Text[] = R"(
tile.kernel @rows(%x: memref<32x64xf32>, %w: memref<32x64xf32>, %y: memref<32xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %a = tile.load %x[%zero, %zero] over [0, 1] : memref<32x64xf32> -> tensor<32x64xf32>
  %b = tile.load %w[%zero, %zero] over [0, 1] : memref<32x64xf32> -> tensor<32x64xf32>
  %c = arith.mulf %a, %b : tensor<32x64xf32>
  %s = tile.reduce sum %c along 1 : tensor<32x64xf32> -> tensor<32xf32>
  tile.store %s, %y[%zero] over [0] : tensor<32xf32>, memref<32xf32>
})";

class SourceTexts : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    registerCompilerDialects(Registry);
    Context.appendDialectRegistry(Registry);
    Module = parseSourceString<ModuleOp>(Text, &Context);
    ASSERT_TRUE(Module);
    Target = {GetParam()};
    FailureOr<nvptx::DeviceModule> Made = nvptx::lowerForGpu(*Module, Target);
    ASSERT_TRUE(succeeded(Made));
    Device = std::move(*Made);
  }

  DialectRegistry Registry;
  MLIRContext Context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> Module;
  nvptx::GpuTarget Target;
  nvptx::DeviceModule Device;
};

TEST_P(SourceTexts, NameTheLine) {
  SimKernels Kernels(*Device.Module);
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::vector<float> X(32 * 64, 1), W(32 * 64), Y(32);
  SimLaunch Run(Kernels, "rows");
  Run.input("x", X).output("w", W).output("y", Y);
  sim::LaunchShape Shape;
  Shape.Threads = Device.Kernels[0].Threads;
  Shape.DynamicSharedBytes = Device.Kernels[0].SharedBytes;
  Run.run(Shape);
  ASSERT_FALSE(Run.reports().empty());
  const sim::Report &First = Run.reports().front();
  EXPECT_EQ(First.Kind, sim::ReportKind::GlobalUninitialized);
  // The second load, in the text of the kernel as it is printed.
  EXPECT_EQ(First.Source.find("rows.tile.mlir:"), 0u) << First.str();
  EXPECT_NE(First.Operation.find("tile.load %arg1["), std::string::npos)
      << First.str();
}

TEST_P(SourceTexts, StayOutOfPtx) {
  FailureOr<std::string> Ptx = nvptx::emitPtx(Device, Target);
  ASSERT_TRUE(succeeded(Ptx));
  for (const char *Trace : {".loc", ".file", ".debug", "tile.mlir"})
    EXPECT_EQ(Ptx->find(Trace), std::string::npos) << Trace;
}

INSTANTIATE_TEST_SUITE_P(Architectures, SourceTexts,
                         testing::Values("sm_80", "sm_90a"),
                         [](const auto &Info) { return Info.param; });

} // namespace
