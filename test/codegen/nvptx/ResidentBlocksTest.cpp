//===- ResidentBlocksTest.cpp - Blocks that go over several cells ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Which kernels have resident blocks, and that they compute the same, to the
// bit and without a race, however many blocks share the cells.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/nvptx/GpuCode.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/tile/interpreter/TileInterpreter.h"
#include "mlir/Parser/Parser.h"
#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

#include <random>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

/// y[i, j] = x[i] w[j]^T, 128 x 128 at a time: of x's columns `k`, whose
/// extent is that of `end`.
std::string linear(int64_t Columns, const std::string &End) {
  std::string Text = R"(
tile.kernel @linear(%x: memref<?xCxbf16>, %w: memref<256xCxbf16>,
                    %y: memref<?x256xbf16>) grid(%i, %j) {
  %zero = arith.constant 0 : index
  %step = arith.constant 64 : index
  %tile = arith.constant 128 : index
  %end = END
  %row = arith.muli %i, %tile : index
  %column = arith.muli %j, %tile : index
  %start = arith.constant dense<0.0> : tensor<128x128xf32>
  %sum = scf.for %k = %zero to %end step %step iter_args(%c = %start) -> (tensor<128x128xf32>) {
    %l = tile.load %x[%row, %k] over [0, 1] : memref<?xCxbf16> -> tensor<128x64xbf16>
    %r = tile.load %w[%column, %k] over [0, 1] : memref<256xCxbf16> -> tensor<128x64xbf16>
    %n = tile.mma %l, %r, %c {transpose_rhs} : tensor<128x64xbf16>, tensor<128x64xbf16>, tensor<128x128xf32>
    scf.yield %n : tensor<128x128xf32>
  }
  %half = arith.truncf %sum : tensor<128x128xf32> to tensor<128x128xbf16>
  tile.store %half, %y[%row, %column] over [0, 1] : tensor<128x128xbf16>, memref<?x256xbf16>
})";
  auto Replace = [&](StringRef From, const std::string &To) {
    for (size_t At; (At = Text.find(From.str())) != std::string::npos;)
      Text.replace(At, From.size(), To);
  };
  Replace("xCx", "x" + std::to_string(Columns) + "x");
  Replace("END", End);
  return Text;
}

std::string constant(int64_t Number) {
  return "arith.constant " + std::to_string(Number) + " : index";
}

/// A kernel, compiled as far as LLVM.
struct Compiled {
  Compiled(const std::string &Text, const nvptx::GpuTarget &Target)
      : Context(registry(), MLIRContext::Threading::DISABLED),
        Module(parseSourceString<ModuleOp>(Text, &Context)),
        Device(nvptx::lowerForGpu(*Module, Target)) {}
  static DialectRegistry registry() {
    DialectRegistry Registry;
    registerCompilerDialects(Registry);
    return Registry;
  }
  int64_t residentBlocks() const { return Device->Kernels[0].ResidentBlocks; }

  MLIRContext Context;
  OwningOpRef<ModuleOp> Module;
  FailureOr<nvptx::DeviceModule> Device;
};

const nvptx::GpuTarget Hopper = {"sm_90a", /*TensorMaps=*/true};

TEST(ResidentBlocks, AreForShortCells) {
  EXPECT_EQ(Compiled(linear(640, constant(640)), Hopper).residentBlocks(), 1);
  EXPECT_EQ(Compiled(linear(4096, constant(4096)), Hopper).residentBlocks(), 1);
  // One iteration more.
  EXPECT_EQ(Compiled(linear(4160, constant(4160)), Hopper).residentBlocks(), 0);
  // As long as there are rows.
  EXPECT_EQ(
      Compiled(linear(640, "memref.dim %x, %zero : memref<?x640xbf16>"), Hopper)
          .residentBlocks(),
      0);
  // Without a producer, and with what other architectures have.
  EXPECT_EQ(
      Compiled(linear(640, constant(640)), {"sm_90a", false}).residentBlocks(),
      0);
  EXPECT_EQ(
      Compiled(linear(640, constant(640)), {"sm_80", false}).residentBlocks(),
      0);
}

/// Of 300 rows: six cells, the last ones cut off. Five iterations a cell, in
/// four stages, so that each begins at another one.
TEST(ResidentBlocks, GiveTheSameBits) {
  constexpr int64_t Rows = 300, Inner = 320, Columns = 256;
  Compiled Made(linear(Inner, constant(Inner)), Hopper);
  const nvptx::DeviceKernel &Kernel = Made.Device->Kernels[0];
  ASSERT_EQ(Kernel.ResidentBlocks, 1);
  SimKernels Kernels(*Made.Device->Module);
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::mt19937 Generator(17);
  std::vector<uint16_t> Left = randomHalves(Rows * Inner, Generator);
  std::vector<uint16_t> Right = randomHalves(Columns * Inner, Generator);
  std::vector<uint16_t> Expected(Rows * Columns);
  std::vector<int64_t> Sizes = {Rows, Rows}, Grid = {3, 2};
  ASSERT_TRUE(succeeded(tile::runKernel(
      *Made.Module->getOps<tile::KernelOp>().begin(),
      {Left.data(), Right.data(), Expected.data()}, Sizes, Grid)));
  std::vector<uint16_t> First;
  for (int64_t Blocks : {6, 1, 2, 4, 9})
    for (const sim::SimOptions &Options : manySchedules(2)) {
      std::vector<uint16_t> Result(Rows * Columns);
      SimLaunch Launch(Kernels, "linear");
      Launch.Simulator.Options = Options;
      Launch.input("left", Left).input("right", Right).output("result", Result);
      for (int64_t Size : Sizes)
        Launch.size(Size);
      sim::LaunchShape Shape = Launch.cells(Grid, /*Resident=*/true, Blocks);
      EXPECT_EQ(Shape.Grid[0], std::min<int64_t>(Blocks, 6));
      for (const nvptx::TensorMap &Map : Kernel.TensorMaps)
        Launch.map(Map,
                   Map.Operand == 0   ? Left.data()
                   : Map.Operand == 1 ? Right.data()
                                      : Result.data(),
                   Sizes);
      Shape.Threads = Kernel.Threads;
      Shape.DynamicSharedBytes = Kernel.SharedBytes;
      Launch.run(Shape);
      ASSERT_TRUE(Launch.reports().empty()) << Launch.reportText();
      if (First.empty())
        First = Result;
      ASSERT_EQ(Result, First) << Blocks << " blocks";
    }
  // One rounding, and what the order of additions changes.
  for (size_t I = 0; I < First.size(); ++I)
    ASSERT_NEAR(fromBf16(First[I]), fromBf16(Expected[I]),
                0x1p-7 * std::abs(fromBf16(Expected[I])) + 1e-4)
        << "element " << I;
}

/// Without a spill or a warning, and results leave while other tiles come.
TEST(ResidentBlocks, Assemble) {
  if (nvptx::findPtxas().empty())
    GTEST_SKIP() << "no ptxas";
  DialectRegistry Registry = Compiled::registry();
  MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> Module =
      parseSourceString<ModuleOp>(linear(640, constant(640)), &Context);
  ASSERT_TRUE(Module);
  nvptx::GpuOptions Options;
  Options.Strict = true;
  FailureOr<nvptx::GpuCode> Code =
      nvptx::compileForGpu(*Module, Hopper, Options);
  ASSERT_TRUE(succeeded(Code));
  EXPECT_NE(Code->Ptx.find("%nctaid.x"), std::string::npos);
}

} // namespace
