//===- ProductTest.cpp - Products of bf16 on tensor cores -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every way in which operands can lie, at shapes that fill one tensor core tile
// exactly, several of them, and none (padding), against the interpreter; and
// loops whose operands are copied iterations ahead.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/nvptx/NvptxCodegen.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/tile/interpreter/TileInterpreter.h"
#include "mlir/Parser/Parser.h"
#include "test/sim/SimHarness.h"
#include "llvm/Support/FormatVariadic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

struct Shape {
  int64_t M, N, K;
};

/// c[M, N] += op(a) op(b), rounded to bf16 as well as kept.
std::string productText(Shape S, bool TransposeLeft, bool TransposeRight) {
  auto Extents = [](int64_t R, int64_t C) {
    return llvm::formatv("{0}x{1}", R, C).str();
  };
  std::string Left = TransposeLeft ? Extents(S.K, S.M) : Extents(S.M, S.K);
  std::string Right = TransposeRight ? Extents(S.N, S.K) : Extents(S.K, S.N);
  std::string Flags = TransposeLeft && TransposeRight
                          ? " {transpose_lhs, transpose_rhs}"
                      : TransposeLeft  ? " {transpose_lhs}"
                      : TransposeRight ? " {transpose_rhs}"
                                       : "";
  return llvm::formatv(R"(
tile.kernel @product(%a: memref<{0}xbf16>, %b: memref<{1}xbf16>,
                     %c: memref<{2}xf32>, %d: memref<{2}xbf16>) grid(%i) {{
  %zero = arith.constant 0 : index
  %l = tile.load %a[%zero, %zero] over [0, 1] : memref<{0}xbf16> -> tensor<{0}xbf16>
  %r = tile.load %b[%zero, %zero] over [0, 1] : memref<{1}xbf16> -> tensor<{1}xbf16>
  %s = tile.load %c[%zero, %zero] over [0, 1] : memref<{2}xf32> -> tensor<{2}xf32>
  %p = tile.mma %l, %r, %s{3} : tensor<{0}xbf16>, tensor<{1}xbf16>, tensor<{2}xf32>
  %h = arith.truncf %p : tensor<{2}xf32> to tensor<{2}xbf16>
  tile.store %p, %c[%zero, %zero] over [0, 1] : tensor<{2}xf32>, memref<{2}xf32>
  tile.store %h, %d[%zero, %zero] over [0, 1] : tensor<{2}xbf16>, memref<{2}xbf16>
})",
                       Left, Right, Extents(S.M, S.N), Flags);
}

void check(const std::string &Target, Shape S, bool TransposeLeft,
           bool TransposeRight) {
  SCOPED_TRACE(llvm::formatv("{5}: {0} x {1} x {2}, transposed {3} {4}", S.M,
                             S.N, S.K, TransposeLeft, TransposeRight, Target)
                   .str());
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(
      productText(S, TransposeLeft, TransposeRight), &Context);
  ASSERT_TRUE(Module);
  FailureOr<nvptx::DeviceModule> Device = nvptx::lowerForGpu(*Module, {Target});
  ASSERT_TRUE(succeeded(Device));
  SimKernels Kernels(*Device->Module);
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();

  std::mt19937 Generator(7);
  std::uniform_real_distribution<float> Uniform(-1.0f, 1.0f);
  std::vector<uint16_t> Left(S.M * S.K), Right(S.N * S.K);
  for (uint16_t &V : Left)
    V = toBf16(Uniform(Generator));
  for (uint16_t &V : Right)
    V = toBf16(Uniform(Generator));
  std::vector<float> Sums(S.M * S.N), Expected;
  for (float &V : Sums)
    V = Uniform(Generator);
  Expected = Sums;
  std::vector<uint16_t> Halves(S.M * S.N), ExpectedHalves(S.M * S.N);
  auto Kernel = *Module->getOps<tile::KernelOp>().begin();
  ASSERT_TRUE(succeeded(tile::runKernel(
      Kernel,
      {Left.data(), Right.data(), Expected.data(), ExpectedHalves.data()}, {},
      {1})));

  SimLaunch Launch(Kernels, "product");
  Launch.Simulator.Options.Order = sim::Schedule::Random;
  Launch.input("a", Left).input("b", Right).input("c", Sums);
  Launch.output("d", Halves);
  sim::LaunchShape Block;
  Block.Threads = Device->Kernels[0].Threads;
  Block.DynamicSharedBytes = Device->Kernels[0].SharedBytes;
  Launch.run(Block);
  EXPECT_TRUE(Launch.reports().empty()) << Launch.reportText();
  std::string Text;
  llvm::raw_string_ostream(Text) << *Device->Module;
  bool InGroups = Target == "sm_90a" && S.M > 32;
  EXPECT_EQ(Text.find("wgmma.mma_async") != std::string::npos, InGroups);
  if (S.K >= 16 && S.M >= 16 && S.N >= 8)
    EXPECT_GT(Launch.Simulator.Counts.TensorFlops, 0u);
  for (size_t I = 0; I < Sums.size(); ++I) {
    ASSERT_NEAR(Sums[I], Expected[I], 2e-6 * (4 + S.K)) << "element " << I;
    ASSERT_NEAR(fromBf16(Halves[I]), Sums[I], std::abs(Sums[I]) / 256 + 1e-6);
  }
}

TEST(TensorCores, EveryOrientation) {
  for (Shape S : {Shape{16, 8, 16},
                  {64, 64, 64},
                  {128, 64, 32},
                  {16, 128, 32},
                  {24, 40, 24},
                  {32, 12, 80},
                  {8, 64, 16}})
    for (bool TransposeLeft : {false, true})
      for (bool TransposeRight : {false, true})
        check("sm_80", S, TransposeLeft, TransposeRight);
}

TEST(WarpGroups, EveryOrientation) {
  for (Shape S : {Shape{64, 8, 16},
                  {64, 64, 64},
                  {128, 64, 32},
                  {64, 128, 128},
                  {128, 128, 16},
                  {256, 64, 32},
                  {72, 24, 40},
                  {48, 64, 64}})
    for (bool TransposeLeft : {false, true})
      for (bool TransposeRight : {false, true})
        check("sm_90a", S, TransposeLeft, TransposeRight);
}

/// A sum over %n tokens, 32 at a time, twice over (so that the ring begins
/// again), of products and of an operand by itself.
std::string loopText(StringRef Element) {
  return llvm::formatv(R"(
tile.kernel @loop(%a: memref<?x64x{0}>, %b: memref<?x72x{0}>,
                  %c: memref<64x72xf32>) grid(%i) {{
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %two = arith.constant 2 : index
  %step = arith.constant 32 : index
  %start = arith.constant dense<0.0> : tensor<64x72xf32>
  %n = memref.dim %a, %zero : memref<?x64x{0}>
  %sum = scf.for %again = %zero to %two step %one iter_args(%before = %start) -> tensor<64x72xf32> {{
    %inner = scf.for %k = %zero to %n step %step iter_args(%s = %before) -> tensor<64x72xf32> {{
      %l = tile.load %a[%k, %zero] over [0, 1] : memref<?x64x{0}> -> tensor<32x64x{0}>
      %r = tile.load %b[%k, %zero] over [0, 1] : memref<?x72x{0}> -> tensor<32x72x{0}>
      %p = tile.mma %l, %r, %s {{transpose_lhs} : tensor<32x64x{0}>, tensor<32x72x{0}>, tensor<64x72xf32>
      %w = {1}
      %v = tile.reduce sum %w along 0 : tensor<32x72xf32> -> tensor<72xf32>
      %m = tile.broadcast %v along [1] : tensor<72xf32> -> tensor<64x72xf32>
      %q = arith.addf %p, %m : tensor<64x72xf32>
      scf.yield %q : tensor<64x72xf32>
    }
    scf.yield %inner : tensor<64x72xf32>
  }
  tile.store %sum, %c[%zero, %zero] over [0, 1] : tensor<64x72xf32>, memref<64x72xf32>
})",
                       Element,
                       Element == "f32"
                           ? "arith.addf %r, %r : tensor<32x72xf32>"
                           : "arith.extf %r : tensor<32x72xbf16> to "
                             "tensor<32x72xf32>");
}

/// Runs it for several lengths, from none to more than the ring holds.
template <typename T>
void checkLoop(StringRef Element, function_ref<T(float)> Convert) {
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> Module =
      parseSourceString<ModuleOp>(loopText(Element), &Context);
  ASSERT_TRUE(Module);
  FailureOr<nvptx::DeviceModule> Device =
      nvptx::lowerForGpu(*Module, {"sm_80"});
  ASSERT_TRUE(succeeded(Device));
  std::string Text;
  llvm::raw_string_ostream(Text) << *Device->Module;
  EXPECT_NE(Text.find("cp.async.cg.shared.global.16.s"), std::string::npos);
  SimKernels Kernels(*Device->Module);
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::mt19937 Generator(3);
  std::uniform_real_distribution<float> Uniform(-1.0f, 1.0f);
  for (int64_t Tokens : {0, 1, 32, 33, 100, 200}) {
    SCOPED_TRACE(Tokens);
    // One more, since a buffer is never empty.
    std::vector<T> Left(Tokens * 64 + 1), Right(Tokens * 72 + 1);
    for (std::vector<T> *Operand : {&Left, &Right})
      for (T &V : *Operand)
        V = Convert(Uniform(Generator));
    std::vector<float> Sums(64 * 72), Expected(64 * 72);
    auto Kernel = *Module->getOps<tile::KernelOp>().begin();
    ASSERT_TRUE(succeeded(
        tile::runKernel(Kernel, {Left.data(), Right.data(), Expected.data()},
                        {Tokens, Tokens}, {1})));
    for (bool Early : {false, true}) {
      SimLaunch Launch(Kernels, "loop");
      Launch.Simulator.Options.Order = sim::Schedule::Random;
      Launch.Simulator.Options.EarlyCopies = Early;
      Launch.input("a", Left).input("b", Right).output("c", Sums);
      Launch.size(Tokens);
      Launch.size(Tokens);
      sim::LaunchShape Block;
      Block.Threads = Device->Kernels[0].Threads;
      Block.DynamicSharedBytes = Device->Kernels[0].SharedBytes;
      Launch.run(Block);
      ASSERT_TRUE(Launch.reports().empty()) << Launch.reportText();
      for (size_t I = 0; I < Sums.size(); ++I)
        ASSERT_NEAR(Sums[I], Expected[I], 1e-6 * (4 + 2 * Tokens))
            << "element " << I;
    }
  }
}

TEST(Pipelining, LoopsOfBf16) { checkLoop<uint16_t>("bf16", toBf16); }

TEST(Pipelining, LoopsOfFloat32) {
  checkLoop<float>("f32", [](float V) { return V; });
}

} // namespace
