//===- PlanRunner.cpp - Runs plans through the tile interpreter -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/kernels/PlanRunner.h"
#include "dialect/tile/interpreter/TileInterpreter.h"
#include "dialect/txs/TxsDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/Passes.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

static void loadDialects(MLIRContext &Context) {
  Context
      .loadDialect<txs::TxsDialect, tile::TileDialect, plan::PlanDialect,
                   arith::ArithDialect, math::MathDialect,
                   memref::MemRefDialect, scf::SCFDialect, func::FuncDialect>();
}

PlanRunner::PlanRunner(const std::string &Text, const std::string &Options) {
  loadDialects(Context);
  Module = parseSourceString<ModuleOp>(Text, &Context);
  lower("", Options);
}

PlanRunner::PlanRunner(function_ref<OwningOpRef<ModuleOp>(MLIRContext &)> Make,
                       StringRef Pipeline) {
  loadDialects(Context);
  Module = Make(Context);
  lower(Pipeline, "");
}

void PlanRunner::lower(StringRef Pipeline, StringRef Options) {
  static bool Registered = (registerTransXSSMPasses(), true);
  (void)Registered;
  if (!Module) {
    ADD_FAILURE() << "no module";
    return;
  }
  PassManager Passes(&Context);
  if (!Pipeline.empty()) {
    EXPECT_TRUE(succeeded(parsePassPipeline(Pipeline, Passes)));
  }
  std::string Tiling = "txs-to-tile{" + Options.str() + "}";
  EXPECT_TRUE(succeeded(parsePassPipeline(Tiling, Passes)));
  EXPECT_TRUE(succeeded(Passes.run(*Module)));
}

static std::vector<int64_t> evaluate(AffineMap Map, const Sizes &S) {
  Builder B(Map.getContext());
  SmallVector<Attribute> Symbols = {
      B.getIndexAttr(S.Batch), B.getIndexAttr(S.Seq), B.getIndexAttr(S.Past),
      B.getIndexAttr(S.Capacity)};
  SmallVector<Attribute> Results;
  EXPECT_TRUE(succeeded(Map.constantFold(Symbols, Results)));
  std::vector<int64_t> Values;
  for (Attribute Result : Results)
    Values.push_back(cast<IntegerAttr>(Result).getInt());
  return Values;
}

static std::string key(plan::BufferOp Buffer) {
  std::string Name = Buffer.getName().str();
  switch (Buffer.getKind()) {
  case plan::BufferKind::Gradient:
    return "grad." + Name;
  case plan::BufferKind::Moment1:
    return "moment1." + Name;
  case plan::BufferKind::Moment2:
    return "moment2." + Name;
  case plan::BufferKind::Master:
    return "master." + Name;
  case plan::BufferKind::Temporary:
    return "temporary." + Name;
  default:
    return Name;
  }
}

/// Memory of the buffer's size; what the caller gave is kept.
static void *allocate(plan::BufferOp Buffer, const Sizes &S,
                      PlanRunner &Runner) {
  int64_t Size = 1;
  for (int64_t Extent : evaluate(Buffer.getShape(), S))
    Size *= Extent;
  bool Given = Buffer.getKind() != plan::BufferKind::Temporary &&
               Buffer.getKind() != plan::BufferKind::Output &&
               Buffer.getKind() != plan::BufferKind::Gradient;
  std::string Name = key(Buffer);
  if (Buffer.getElementType().isInteger(32)) {
    std::vector<int32_t> &Memory = Runner.Integers[Name];
    if (!Given)
      Memory.assign(Size, std::numeric_limits<int32_t>::min());
    EXPECT_EQ(static_cast<int64_t>(Memory.size()), Size) << Name;
    return Memory.data();
  }
  EXPECT_TRUE(Buffer.getElementType().isF32());
  std::vector<float> &Memory = Runner.Floats[Name];
  if (!Given)
    Memory.assign(Size, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(static_cast<int64_t>(Memory.size()), Size) << Name;
  return Memory.data();
}

void PlanRunner::run(const std::string &Name, Sizes S) {
  ASSERT_TRUE(Module);
  auto Entry = Module->lookupSymbol<plan::EntryOp>(Name);
  ASSERT_TRUE(Entry) << "no entry " << Name;
  DenseMap<Value, void *> Memory;
  for (auto Buffer : Entry.getOps<plan::BufferOp>())
    Memory[Buffer] = allocate(Buffer, S, *this);
  if (testing::Test::HasFailure())
    return;

  Launched.clear();
  int64_t Number = 0;
  for (auto Launch : Entry.getOps<plan::LaunchOp>()) {
    bool Runs = true;
    if (Launch.getWhen())
      for (int64_t Guard : evaluate(*Launch.getWhen(), S))
        Runs = Runs && Guard >= 0;
    if (Runs) {
      auto Kernel = Module->lookupSymbol<tile::KernelOp>(Launch.getKernel());
      SmallVector<void *> Buffers;
      for (Value Operand : Launch.getOperands())
        Buffers.push_back(Memory[Operand]);
      ASSERT_TRUE(succeeded(tile::runKernel(Kernel, Buffers,
                                            evaluate(Launch.getSizes(), S),
                                            evaluate(Launch.getGrid(), S))))
          << "launch " << Number << " of " << Launch.getKernel().str();
      Launched.push_back(Launch.getKernel().str());
    }
    // Nobody may look at a temporary after its live range.
    for (auto Buffer : Entry.getOps<plan::BufferOp>())
      if (Buffer.getKind() == plan::BufferKind::Temporary &&
          static_cast<int64_t>(Buffer.getLastUse()) == Number &&
          Buffer.getElementType().isF32()) {
        std::vector<float> &Values = Floats[key(Buffer)];
        std::fill(Values.begin(), Values.end(),
                  std::numeric_limits<float>::quiet_NaN());
      }
    ++Number;
  }
}

void PlanRunner::clearStates(Sizes S) {
  for (auto State : Module->getOps<plan::StateOp>()) {
    int64_t Size = 1;
    for (int64_t Extent : evaluate(State.getShape(), S))
      Size *= Extent;
    Floats[State.getSymName().str()].assign(Size, 0.0f);
  }
}

std::vector<float> test::randomFloats(size_t Count, uint32_t Seed) {
  std::vector<float> Values(Count);
  uint64_t State = Seed * 0x9E3779B97F4A7C15ull + 1;
  for (float &V : Values) {
    State = State * 6364136223846793005ull + 1442695040888963407ull;
    V = static_cast<float>((State >> 40) * 0x1p-23 - 1.0);
  }
  return Values;
}

double test::relativeError(const std::vector<float> &Actual,
                           const std::vector<double> &Expected) {
  EXPECT_EQ(Actual.size(), Expected.size());
  double Error = 0, Norm = 0;
  for (size_t I = 0; I < std::min(Actual.size(), Expected.size()); ++I) {
    Error += (Actual[I] - Expected[I]) * (Actual[I] - Expected[I]);
    Norm += Expected[I] * Expected[I];
  }
  return std::sqrt(Error) / std::max(std::sqrt(Norm), 1e-30);
}
