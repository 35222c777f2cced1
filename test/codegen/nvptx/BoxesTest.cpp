//===- BoxesTest.cpp - Operands that come as boxes of tensors -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Products in loops whose operands one thread has copied by tensor maps, at
// sizes that no tile divides, with k along the rows of memory and across, from
// memories of two and four dimensions: against the interpreter, under several
// schedules and with copies that land early and late.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/nvptx/GpuCode.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/tile/interpreter/TileInterpreter.h"
#include "mlir/Parser/Parser.h"
#include "test/sim/SimHarness.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"

#include <gtest/gtest.h>

#include <random>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

/// y[i] = x[i] w^T, 64 rows at a time.
constexpr char Linear[] = R"(
tile.kernel @linear(%x: memref<?x640xbf16>, %w: memref<128x640xbf16>,
                    %y: memref<?x128xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %step = arith.constant 64 : index
  %end = arith.constant 640 : index
  %row = arith.muli %i, %step : index
  %start = arith.constant dense<0.0> : tensor<64x128xf32>
  %sum = scf.for %k = %zero to %end step %step iter_args(%c = %start) -> (tensor<64x128xf32>) {
    %l = tile.load %x[%row, %k] over [0, 1] : memref<?x640xbf16> -> tensor<64x64xbf16>
    %r = tile.load %w[%zero, %k] over [0, 1] : memref<128x640xbf16> -> tensor<128x64xbf16>
    %n = tile.mma %l, %r, %c {transpose_rhs} : tensor<64x64xbf16>, tensor<128x64xbf16>, tensor<64x128xf32>
    scf.yield %n : tensor<64x128xf32>
  }
  tile.store %sum, %y[%row, %zero] over [0, 1] : tensor<64x128xf32>, memref<?x128xf32>
})";

/// s[batch, head] = sum over t of b[batch, t, head] x[batch, t, head]^T.
constexpr char States[] = R"(
tile.kernel @states(%b: memref<?x?x2x128xbf16>, %x: memref<?x?x2x64xbf16>,
                    %s: memref<?x2x128x64xf32>) grid(%batch, %head) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %step = arith.constant 64 : index
  %end = memref.dim %b, %one : memref<?x?x2x128xbf16>
  %start = arith.constant dense<0.0> : tensor<128x64xf32>
  %sum = scf.for %t = %zero to %end step %step iter_args(%c = %start) -> (tensor<128x64xf32>) {
    %l = tile.load %b[%batch, %t, %head, %zero] over [1, 3] : memref<?x?x2x128xbf16> -> tensor<64x128xbf16>
    %r = tile.load %x[%batch, %t, %head, %zero] over [1, 3] : memref<?x?x2x64xbf16> -> tensor<64x64xbf16>
    %n = tile.mma %l, %r, %c {transpose_lhs} : tensor<64x128xbf16>, tensor<64x64xbf16>, tensor<128x64xf32>
    scf.yield %n : tensor<128x64xf32>
  }
  tile.store %sum, %s[%batch, %head, %zero, %zero] over [2, 3] : tensor<128x64xf32>, memref<?x2x128x64xf32>
})";

struct Problem {
  const char *Text, *Name;
  size_t LeftCount, RightCount, ResultCount;
  std::vector<int64_t> Sizes, Grid;
};

void run(const SimKernels &Kernels, const nvptx::DeviceKernel &Kernel,
         const Problem &P, std::vector<uint16_t> &Left,
         std::vector<uint16_t> &Right, const std::vector<float> &Expected) {
  for (const sim::SimOptions &Options : manySchedules(2)) {
    std::vector<float> Actual(P.ResultCount);
    SimLaunch Launch(Kernels, P.Name);
    Launch.Simulator.Options = Options;
    Launch.input("left", Left).input("right", Right).output("result", Actual);
    for (int64_t Size : P.Sizes)
      Launch.size(Size);
    sim::LaunchShape Shape = Launch.cells(P.Grid, Kernel.ResidentBlocks != 0);
    for (const nvptx::TensorMap &Map : Kernel.TensorMaps)
      Launch.map(Map, Map.Operand == 0 ? Left.data() : Right.data(), P.Sizes);
    Shape.Threads = Kernel.Threads;
    Shape.DynamicSharedBytes = Kernel.SharedBytes;
    Launch.run(Shape);
    ASSERT_TRUE(Launch.reports().empty()) << Launch.reportText();
    for (size_t I = 0; I < Actual.size(); ++I)
      ASSERT_NEAR(Actual[I], Expected[I], 1e-3) << "element " << I;
  }
}

void check(const Problem &P, bool TensorMaps) {
  SCOPED_TRACE(std::string(P.Name) + (TensorMaps ? ", boxes" : ", cp.async"));
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(P.Text, &Context);
  ASSERT_TRUE(Module);
  FailureOr<nvptx::DeviceModule> Device =
      nvptx::lowerForGpu(*Module, {"sm_90a", TensorMaps});
  ASSERT_TRUE(succeeded(Device));
  EXPECT_EQ(Device->Kernels[0].TensorMaps.size(), TensorMaps ? 2u : 0u);
  SimKernels Kernels(*Device->Module);
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::mt19937 Generator(11);
  std::vector<uint16_t> Left = randomHalves(P.LeftCount, Generator);
  std::vector<uint16_t> Right = randomHalves(P.RightCount, Generator);
  std::vector<float> Expected(P.ResultCount);
  ASSERT_TRUE(succeeded(tile::runKernel(
      *Module->getOps<tile::KernelOp>().begin(),
      {Left.data(), Right.data(), Expected.data()}, P.Sizes, P.Grid)));
  run(Kernels, Device->Kernels[0], P, Left, Right, Expected);
}

/// What is left out of a kernel's code.
enum class Bug { NoEmptyWait, NoFullWait, NoRelease };

/// Leaves it out; the number of places.
int plant(llvm::Module &Module, Bug Which) {
  std::vector<llvm::Instruction *> Found;
  for (llvm::Function &Function : Module)
    for (llvm::Instruction &I : llvm::instructions(Function)) {
      auto *Call = llvm::dyn_cast<llvm::CallInst>(&I);
      auto *Asm =
          Call ? llvm::dyn_cast<llvm::InlineAsm>(Call->getCalledOperand())
               : nullptr;
      if (!Asm)
        continue;
      StringRef Text = Asm->getAsmString();
      if (Text.contains("mbarrier.arrive") && Which == Bug::NoRelease)
        Found.push_back(Call);
      if (!Text.contains("mbarrier.try_wait"))
        continue;
      // The producer waits for the other parity.
      auto *Parity = llvm::dyn_cast<llvm::Instruction>(Call->getArgOperand(1));
      bool ForEmpty = Parity && Parity->getOpcode() == llvm::Instruction::Xor;
      if (Which == (ForEmpty ? Bug::NoEmptyWait : Bug::NoFullWait))
        Found.push_back(Call);
    }
  for (llvm::Instruction *I : Found)
    I->eraseFromParent();
  return Found.size();
}

/// The pipe's waits and arrivals are all needed, and what is wrong without one
/// is named.
TEST(Boxes, BugsAreNamed) {
  for (Bug Which : {Bug::NoEmptyWait, Bug::NoFullWait, Bug::NoRelease}) {
    DialectRegistry Registry;
    registerCompilerDialects(Registry);
    MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
    OwningOpRef<ModuleOp> Module =
        parseSourceString<ModuleOp>(Linear, &Context);
    ASSERT_TRUE(Module);
    FailureOr<nvptx::DeviceModule> Device =
        nvptx::lowerForGpu(*Module, {"sm_90a", /*TensorMaps=*/true});
    ASSERT_TRUE(succeeded(Device));
    ASSERT_GT(plant(*Device->Module, Which), 0);
    SimKernels Kernels(*Device->Module);
    ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
    std::mt19937 Generator(5);
    std::vector<uint16_t> Left = randomHalves(64 * 640, Generator);
    std::vector<uint16_t> Right = randomHalves(128 * 640, Generator);
    std::vector<float> Result(64 * 128);
    const nvptx::DeviceKernel &Kernel = Device->Kernels[0];
    for (const sim::SimOptions &Options : manySchedules(2)) {
      SimLaunch Launch(Kernels, "linear");
      Launch.Simulator.Options = Options;
      Launch.input("left", Left).input("right", Right).output("result", Result);
      Launch.size(64).size(64);
      for (const nvptx::TensorMap &Map : Kernel.TensorMaps)
        Launch.map(Map, Map.Operand == 0 ? Left.data() : Right.data(),
                   {64, 64});
      sim::LaunchShape Shape;
      Shape.Threads = Kernel.Threads;
      Shape.DynamicSharedBytes = Kernel.SharedBytes;
      Launch.run(Shape);
      ASSERT_FALSE(Launch.reports().empty());
      EXPECT_EQ(Launch.reports().front().Kind == sim::ReportKind::Deadlock,
                Which == Bug::NoRelease)
          << Launch.reportText();
    }
  }
}

/// ptxas has nothing to say, and registers suffice.
TEST(Boxes, Assemble) {
  if (nvptx::findPtxas().empty())
    GTEST_SKIP() << "no ptxas";
  for (const char *Text : {Linear, States})
    for (bool TensorMaps : {false, true}) {
      DialectRegistry Registry;
      registerCompilerDialects(Registry);
      MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
      OwningOpRef<ModuleOp> Module =
          parseSourceString<ModuleOp>(Text, &Context);
      ASSERT_TRUE(Module);
      FailureOr<nvptx::GpuCode> Code =
          nvptx::compileForGpu(*Module, {"sm_90a", TensorMaps});
      ASSERT_TRUE(succeeded(Code));
      ASSERT_EQ(Code->Assembled.Kernels.size(), 1u);
      EXPECT_FALSE(Code->Assembled.Kernels[0].usesLocalMemory());
      EXPECT_TRUE(Code->Assembled.Warnings.empty())
          << Code->Assembled.Warnings.front();
      EXPECT_NE(Code->Ptx.find("wgmma.mma_async"), std::string::npos);
      EXPECT_EQ(Code->Ptx.find("cp.async.bulk.tensor") != std::string::npos,
                TensorMaps);
    }
}

TEST(Boxes, Linear) {
  for (int64_t Rows : {1, 64, 100})
    for (bool TensorMaps : {false, true})
      check({Linear,
             "linear",
             size_t(Rows * 640),
             128 * 640,
             size_t(Rows * 128),
             {Rows, Rows},
             {(Rows + 63) / 64}},
            TensorMaps);
}

TEST(Boxes, States) {
  for (int64_t Seq : {1, 64, 150, 400})
    for (bool TensorMaps : {false, true})
      check({States,
             "states",
             size_t(2 * Seq * 2 * 128),
             size_t(2 * Seq * 2 * 64),
             2 * 2 * 128 * 64,
             {2, Seq, 2, Seq, 2},
             {2, 2}},
            TensorMaps);
}

} // namespace
