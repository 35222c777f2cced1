//===- ChainedProductTest.cpp - Products of products ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A product's result, rounded, as the operand of others, as in attention and in
// the scan: as a left operand (on sm_90a from registers where one warp group
// has whole rows), transposed (through shared memory), in a loop that carries
// the sums. Against the interpreter, under several schedules.
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
  int64_t M, N, K, P;
};

/// Over slices i of b and v, with s = a b_i^T: o += s v_i, t_i = s^T a.
std::string chainText(Shape S) {
  auto Extents = [](int64_t R, int64_t C) {
    return llvm::formatv("{0}x{1}", R, C).str();
  };
  return llvm::formatv(R"(
tile.kernel @chain(%a: memref<{0}xbf16>, %b: memref<{1}xbf16>,
                   %v: memref<{2}xbf16>, %o: memref<{3}xf32>,
                   %t: memref<{1}xf32>) grid(%g) {{
  %zero = arith.constant 0 : index
  %step = arith.constant {6} : index
  %end = arith.constant {7} : index
  %start = arith.constant dense<0.0> : tensor<{3}xf32>
  %l = tile.load %a[%zero, %zero] over [0, 1] : memref<{0}xbf16> -> tensor<{0}xbf16>
  %sum = scf.for %i = %zero to %end step %step iter_args(%c = %start) -> (tensor<{3}xf32>) {{
    %r = tile.load %b[%i, %zero] over [0, 1] : memref<{1}xbf16> -> tensor<{4}xbf16>
    %w = tile.load %v[%i, %zero] over [0, 1] : memref<{2}xbf16> -> tensor<{5}xbf16>
    %none = arith.constant dense<0.0> : tensor<{8}xf32>
    %s = tile.mma %l, %r, %none {{transpose_rhs} : tensor<{0}xbf16>, tensor<{4}xbf16>, tensor<{8}xf32>
    %p = arith.truncf %s : tensor<{8}xf32> to tensor<{8}xbf16>
    %n = tile.mma %p, %w, %c : tensor<{8}xbf16>, tensor<{5}xbf16>, tensor<{3}xf32>
    %blank = arith.constant dense<0.0> : tensor<{4}xf32>
    %d = tile.mma %p, %l, %blank {{transpose_lhs} : tensor<{8}xbf16>, tensor<{0}xbf16>, tensor<{4}xf32>
    tile.store %d, %t[%i, %zero] over [0, 1] : tensor<{4}xf32>, memref<{1}xf32>
    scf.yield %n : tensor<{3}xf32>
  }
  tile.store %sum, %o[%zero, %zero] over [0, 1] : tensor<{3}xf32>, memref<{3}xf32>
})",
                       Extents(S.M, S.K), Extents(3 * S.N, S.K),
                       Extents(3 * S.N, S.P), Extents(S.M, S.P),
                       Extents(S.N, S.K), Extents(S.N, S.P), S.N, 3 * S.N,
                       Extents(S.M, S.N));
}

/// How many instructions take their left operand from registers.
size_t countLeftInRegisters(const llvm::Module &Module) {
  std::string Text;
  llvm::raw_string_ostream(Text) << Module;
  size_t Count = 0;
  for (size_t At = Text.find("wgmma.mma_async"); At != std::string::npos;
       At = Text.find("wgmma.mma_async", At + 1))
    Count += Text.compare(Text.find("}, ", At) + 3, 1, "{") == 0;
  return Count;
}

void expectNear(const std::vector<float> &Actual,
                const std::vector<float> &Expected, float Scale) {
  // s may round to the neighbouring bf16 where its sum has another last bit.
  float Absolute = Scale / 512 + 1e-5f;
  for (size_t I = 0; I < Actual.size(); ++I)
    ASSERT_NEAR(Actual[I], Expected[I], Absolute) << "element " << I;
}

void check(const std::string &Target, Shape S, bool LeftInRegisters) {
  SCOPED_TRACE(
      llvm::formatv("{0}: {1} {2} {3} {4}", Target, S.M, S.N, S.K, S.P).str());
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> Module =
      parseSourceString<ModuleOp>(chainText(S), &Context);
  ASSERT_TRUE(Module);
  FailureOr<nvptx::DeviceModule> Device = nvptx::lowerForGpu(*Module, {Target});
  ASSERT_TRUE(succeeded(Device));
  EXPECT_EQ(countLeftInRegisters(*Device->Module) > 0, LeftInRegisters);
  SimKernels Kernels(*Device->Module);
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::mt19937 Generator(3);
  auto A = randomHalves(S.M * S.K, Generator);
  auto RightOperands = randomHalves(3 * S.N * S.K, Generator);
  auto V = randomHalves(3 * S.N * S.P, Generator);
  std::vector<float> O(S.M * S.P), T(3 * S.N * S.K);
  auto Kernel = *Module->getOps<tile::KernelOp>().begin();
  ASSERT_TRUE(succeeded(tile::runKernel(
      Kernel, {A.data(), RightOperands.data(), V.data(), O.data(), T.data()},
      {}, {1})));
  for (const sim::SimOptions &Options : manySchedules(1)) {
    std::vector<float> ActualO(O.size()), ActualT(T.size());
    SimLaunch Launch(Kernels, "chain");
    Launch.Simulator.Options = Options;
    Launch.input("a", A).input("b", RightOperands).input("v", V);
    Launch.output("o", ActualO).output("t", ActualT);
    sim::LaunchShape Block;
    Block.Threads = Device->Kernels[0].Threads;
    Block.DynamicSharedBytes = Device->Kernels[0].SharedBytes;
    Launch.run(Block);
    ASSERT_TRUE(Launch.reports().empty()) << Launch.reportText();
    // A single s of size sqrt(K) off by a bf16 step, times at most 1.
    expectNear(ActualO, O, 4 * std::sqrt(float(S.K)));
    expectNear(ActualT, T, 4 * std::sqrt(float(S.K)));
  }
}

TEST(ChainedProducts, Sm80) {
  check("sm_80", {64, 64, 32, 32}, false);
  check("sm_80", {128, 64, 64, 64}, false);
}

TEST(ChainedProducts, OneWarpGroup) {
  check("sm_90a", {64, 64, 64, 64}, true);
  check("sm_90a", {64, 32, 16, 64}, true);
  check("sm_90a", {56, 48, 24, 40}, true);
}

TEST(ChainedProducts, TwoWarpGroups) {
  // One below the other, and side by side: then rows are spread over both.
  check("sm_90a", {128, 64, 64, 32}, true);
  check("sm_90a", {64, 128, 64, 128}, false);
}

} // namespace
