//===- SimCodegenTest.cpp - What the simulator takes and refuses ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace transxssm;
using namespace transxssm::test;

namespace {

/// A kernel `k` of one thread with that body, over x and y.
std::string kernelWith(const std::string &Body, const std::string &Rest = "") {
  return "target triple = \"nvptx64-nvidia-cuda\"\n"
         "define ptx_kernel void @k(ptr addrspace(1) %x, "
         "ptr addrspace(1) %y) {\n" +
         Body + "\n  ret void\n}\n" + Rest;
}

std::string errorOf(const std::string &Text) {
  return SimKernels(Text).error();
}

TEST(SimCodegen, NamesUnknownIntrinsics) {
  EXPECT_EQ(errorOf(kernelWith("  call void @llvm.nvvm.nanosleep(i32 1)",
                               "declare void @llvm.nvvm.nanosleep(i32)")),
            "kernel 'k': 'llvm.nvvm.nanosleep' is not simulated");
}

TEST(SimCodegen, NamesUnknownInlinePtx) {
  EXPECT_EQ(errorOf(kernelWith(
                "  call void asm sideeffect \"nanosleep.u32 5;\", \"\"()")),
            "kernel 'k': inline PTX 'nanosleep.u32 5' is not simulated");
  EXPECT_EQ(errorOf(kernelWith("  %a = call i32 asm \"mov.b32 $0, %ctaid.w;\", "
                               "\"=r\"()")),
            "kernel 'k': inline PTX 'mov.b32 $0, %ctaid.w' is not simulated");
  EXPECT_EQ(errorOf(kernelWith(
                "  call void asm sideeffect \".pragma \\22x\\22;\", \"\"()")),
            "kernel 'k': inline PTX '.pragma \"x\"' is not simulated");
  EXPECT_EQ(errorOf(kernelWith(
                "  call void asm sideeffect \"wgmma.mma_async.sync.aligned."
                "m64n8k16.f32.bf16.bf16;\", \"\"()")),
            "kernel 'k': inline PTX 'wgmma.mma_async.sync.aligned.m64n8k16."
            "f32.bf16.bf16' is not simulated");
}

TEST(SimCodegen, NamesCalls) {
  EXPECT_EQ(
      errorOf(kernelWith("  call void @other()", "declare void @other()")),
      "kernel 'k': call of 'other' is not simulated");
  EXPECT_EQ(errorOf(kernelWith(
                "  call void @llvm.memset.p1.i64(ptr addrspace(1) %x, i8 0, "
                "i64 4, i1 false)",
                "declare void @llvm.memset.p1.i64(ptr addrspace(1), i8, i64, "
                "i1)")),
            "kernel 'k': 'llvm.memset.p1.i64' of GPU memory is not simulated");
}

TEST(SimCodegen, WantsAKernel) {
  EXPECT_EQ(errorOf("define void @f() {\n  ret void\n}\n"),
            "the module has no kernel");
}

TEST(SimCodegen, NamesTileLevelSource) {
  // The load past the end of x is line 7 of the source that !1 names.
  SimKernels Kernels(kernelWith(
      "  %p = getelementptr float, ptr addrspace(1) %x, i64 4\n"
      "  %v = load float, ptr addrspace(1) %p, align 4, !tile.op !0\n"
      "  store float %v, ptr addrspace(1) %y, align 4",
      "!0 = !{!\"rms_norm.mlir:7\"}"));
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::vector<float> X(4), Y(1);
  SimLaunch Launch(Kernels, "k");
  Launch.input("x", X).output("y", Y);
  Launch.run({{1, 1, 1}, 1, 0});
  ASSERT_EQ(Launch.reports().size(), 1u);
  EXPECT_EQ(Launch.reports()[0].str(),
            "kernel 'k': rms_norm.mlir:7: global memory out of bounds: block "
            "0, thread 0, load of 4 bytes: reads 4 bytes at byte 16 of 'x', "
            "which has 16");
}

TEST(SimCodegen, ReportsReadsOfUnwrittenMemory) {
  SimKernels Kernels(
      kernelWith("  %v = load float, ptr addrspace(1) %y, align 4\n"
                 "  store float %v, ptr addrspace(1) %x, align 4"));
  std::vector<float> X(1), Y(1);
  SimLaunch Launch(Kernels, "k");
  Launch.output("x", X).output("y", Y);
  Launch.run({{1, 1, 1}, 1, 0});
  ASSERT_EQ(Launch.reports().size(), 1u);
  EXPECT_EQ(Launch.reports()[0].Kind, sim::ReportKind::GlobalUninitialized);
}

TEST(SimCodegen, StopsEndlessLoops) {
  SimKernels Kernels(kernelWith("  br label %loop\nloop:\n"
                                "  store float 0.0, ptr addrspace(1) %x\n"
                                "  br i1 true, label %loop, label %end\nend:"));
  std::vector<float> X(1), Y(1);
  SimLaunch Launch(Kernels, "k");
  Launch.Simulator.Options.MaxInstructions = 1000;
  Launch.output("x", X).output("y", Y);
  Launch.run({{1, 1, 1}, 1, 0});
  ASSERT_EQ(Launch.reports().size(), 1u);
  EXPECT_EQ(Launch.reports()[0].Kind, sim::ReportKind::Deadlock);
}

TEST(SimCodegen, RefusesWrongLaunches) {
  SimKernels Kernels(kernelText("reduce"));
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  const TransXSSMSimKernelInfo *Kernel = Kernels.module().find("reduce");
  ASSERT_NE(Kernel, nullptr);
  EXPECT_EQ(Kernel->Threads, 128u);
  EXPECT_EQ(Kernel->StaticBytes, 16u);
  sim::Simulator Simulator;
  uint64_t Value = 0;
  Status Done = Simulator.launch(Kernels.module(), *Kernel, {{1, 1, 1}, 128, 0},
                                 {&Value});
  ASSERT_FALSE(Done);
  EXPECT_EQ(Done.message(), "kernel 'reduce': expected 2 parameters, got 1");
  Done = Simulator.launch(Kernels.module(), *Kernel, {{1, 1, 1}, 64, 0},
                          {&Value, &Value});
  ASSERT_FALSE(Done);
  EXPECT_EQ(Done.message(),
            "kernel 'reduce': expected 128 threads in a block, got 64");
  Done = Simulator.launch(Kernels.module(), *Kernel,
                          {{1, 1, 1}, 128, 300 * 1024}, {&Value, &Value});
  ASSERT_FALSE(Done);
  EXPECT_EQ(Done.message(), "kernel 'reduce': shared memory: expected at most "
                            "232448 bytes, got 307216");
}

TEST(SimCodegen, ComputesAsTheDeviceDoes) {
  // Arithmetic in each of its forms: x[0..3] to y[0..7].
  SimKernels Kernels(kernelWith(
      "  %a = load float, ptr addrspace(1) %x, align 4\n"
      "  %p1 = getelementptr float, ptr addrspace(1) %x, i64 1\n"
      "  %b = load float, ptr addrspace(1) %p1, align 4\n"
      "  %e = call float @llvm.nvvm.ex2.approx.ftz.f32(float %a)\n"
      "  %l = call float asm \"lg2.approx.f32 $0, $1;\", \"=f,f\"(float %e)\n"
      "  %f = call float @llvm.nvvm.fma.rn.f(float %a, float %b, float %l)\n"
      "  %h = call <2 x bfloat> @llvm.nvvm.ff2bf16x2.rn(float %a, float %b)\n"
      "  %q1 = getelementptr float, ptr addrspace(1) %y, i64 1\n"
      "  %q2 = getelementptr float, ptr addrspace(1) %y, i64 2\n"
      "  %q3 = getelementptr float, ptr addrspace(1) %y, i64 3\n"
      "  store float %e, ptr addrspace(1) %y, align 4\n"
      "  store float %l, ptr addrspace(1) %q1, align 4\n"
      "  store float %f, ptr addrspace(1) %q2, align 4\n"
      "  store <2 x bfloat> %h, ptr addrspace(1) %q3, align 4",
      "declare float @llvm.nvvm.ex2.approx.ftz.f32(float)\n"
      "declare float @llvm.nvvm.fma.rn.f(float, float, float)\n"
      "declare <2 x bfloat> @llvm.nvvm.ff2bf16x2.rn(float, float)\n"));
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::vector<float> X = {1.5f, -3.14159f}, Y(4);
  SimLaunch Launch(Kernels, "k");
  Launch.input("x", X).output("y", Y);
  Launch.run({{1, 1, 1}, 1, 0});
  EXPECT_TRUE(Launch.reports().empty()) << Launch.reportText();
  EXPECT_FLOAT_EQ(Y[0], std::exp2(1.5f));
  EXPECT_FLOAT_EQ(Y[1], 1.5f);
  EXPECT_FLOAT_EQ(Y[2], std::fma(1.5f, -3.14159f, Y[1]));
  uint32_t Pair;
  std::memcpy(&Pair, &Y[3], 4);
  EXPECT_EQ(Pair >> 16, toBf16(1.5f)) << "the first operand is the upper half";
  EXPECT_EQ(Pair & 0xffff, toBf16(-3.14159f));
}

} // namespace
