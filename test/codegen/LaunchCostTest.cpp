//===- LaunchCostTest.cpp - What launches compute and move at least -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/LaunchCost.h"
#include "codegen/LaunchFlops.h"
#include "codegen/Pipeline.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "passes/ImportConfig.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <set>

using namespace mlir;
using namespace transxssm;

namespace {

/// y = A x in rows of 16, over the first %n columns; of the last block's rows
/// half are there. %t gives rows of a table.
const char *const Text = R"(
tile.kernel @product(%a: memref<?x64xf32>, %x: memref<64x8xf32>,
                     %y: memref<?x8xf32>, %n: index) grid(%i) {
  %sixteen = arith.constant 16 : index
  %zero = arith.constant 0 : index
  %row = arith.muli %i, %sixteen : index
  %none = arith.constant dense<0.0> : tensor<16x8xf32>
  %sum = scf.for %k = %zero to %n step %sixteen iter_args(%s = %none) -> (tensor<16x8xf32>) {
    %l = tile.load %a[%row, %k] over [0, 1] : memref<?x64xf32> -> tensor<16x16xf32>
    %r = tile.load %x[%k, %zero] over [0, 1] : memref<64x8xf32> -> tensor<16x8xf32>
    %p = tile.mma %l, %r, %s : tensor<16x16xf32>, tensor<16x8xf32>, tensor<16x8xf32>
    scf.yield %p : tensor<16x8xf32>
  }
  tile.store %sum, %y[%row, %zero] over [0, 1] : tensor<16x8xf32>, memref<?x8xf32>
}

tile.kernel @causal(%x: memref<64x8xbf16>) grid(%i) {
  %eight = arith.constant 8 : index
  %zero = arith.constant 0 : index
  %row = arith.muli %i, %eight : index
  %first = arith.cmpi eq, %i, %zero : index
  %none = arith.constant dense<0.0> : tensor<8x8xf32>
  scf.for %k = %zero to %row step %eight {
    %t = tile.load %x[%k, %zero] over [0, 1] : memref<64x8xbf16> -> tensor<8x8xbf16>
    %past = arith.cmpi ugt, %k, %zero : index
    scf.if %past {
      %p = tile.mma %t, %t, %none : tensor<8x8xbf16>, tensor<8x8xbf16>, tensor<8x8xf32>
      %h = arith.truncf %p : tensor<8x8xf32> to tensor<8x8xbf16>
      tile.store %h, %x[%row, %zero] over [0, 1] : tensor<8x8xbf16>, memref<64x8xbf16>
    }
  }
}

tile.kernel @rows(%table: memref<1000x32xf32>, %t: memref<?xi32>,
                  %y: memref<?x32xf32>) grid(%i) {
  %eight = arith.constant 8 : index
  %zero = arith.constant 0 : index
  %row = arith.muli %i, %eight : index
  %ids = tile.load %t[%row] over [0] : memref<?xi32> -> tensor<8xi32>
  %v = tile.gather %table[%ids, %zero] : memref<1000x32xf32>, tensor<8xi32> -> tensor<8x32xf32>
  tile.store %v, %y[%row, %zero] over [0, 1] : tensor<8x32xf32>, memref<?x32xf32>
}

plan.entry @forward {
  %a = plan.buffer input "a" affine_map<()[s0, s1, s2, s3] -> (s0 * s1, 64)> f32 live 0 to 1
  %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (64, 8)> f32 live 0 to 1
  %y = plan.buffer output "y" affine_map<()[s0, s1, s2, s3] -> (s0 * s1, 8)> f32 live 0 to 1
  plan.launch @product grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 16)>
    (%a, %x, %y) sizes affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s0 * s1, 64)>
  plan.launch @product grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 16)>
    (%a, %x, %y) sizes affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s0 * s1, 16)>
    when affine_map<()[s0, s1, s2, s3] -> (s1 - 2)>
}
)";

class LaunchCosts : public testing::Test {
protected:
  LaunchCosts() {
    DialectRegistry Registry;
    registerCompilerDialects(Registry);
    Context.appendDialectRegistry(Registry);
    Module = parseSourceString<ModuleOp>(Text, &Context);
  }
  tile::KernelOp kernel(StringRef Name) {
    return Module->lookupSymbol<tile::KernelOp>(Name);
  }
  MLIRContext Context{MLIRContext::Threading::DISABLED};
  OwningOpRef<ModuleOp> Module;
};

TEST_F(LaunchCosts, ReadEachByteOnceHoweverOften) {
  ASSERT_TRUE(Module);
  // Three blocks, the last half full.
  LaunchCost Cost =
      costOf(kernel("product"), {0, 1, 2},
             {40 * 64 * 4, 64 * 8 * 4, 40 * 8 * 4}, {40, 40, 64}, {3});
  EXPECT_EQ(Cost.Flops, 3u * 4 * 2 * 16 * 16 * 8);
  EXPECT_EQ(Cost.FloorBytes, 40u * 64 * 4 + 64 * 8 * 4 + 40 * 8 * 4);
  // A quarter of the columns.
  Cost = costOf(kernel("product"), {0, 1, 2},
                {48 * 64 * 4, 64 * 8 * 4, 48 * 8 * 4}, {48, 48, 16}, {3});
  EXPECT_EQ(Cost.FloorBytes, 48u * 16 * 4 + 3 * 16 * 8 * 4 + 48 * 8 * 4);
}

TEST_F(LaunchCosts, FollowLoopsAndConditions) {
  ASSERT_TRUE(Module);
  LaunchCost Cost = costOf(kernel("causal"), {0}, {64 * 8 * 2}, {}, {4});
  // Blocks 0 to 3 load 0 to 3 tiles, and multiply all of them but the first.
  EXPECT_EQ(Cost.Flops, (1u + 2) * 2 * 8 * 8 * 8);
  EXPECT_EQ(Cost.FloorBytes, (1u + 2 + 3) * 128 + (1 + 2) * 128);
}

TEST_F(LaunchCosts, CountGatheredRowsAndNotTheTable) {
  ASSERT_TRUE(Module);
  LaunchCost Cost = costOf(kernel("rows"), {0, 1, 2},
                           {1000 * 32 * 4, 16 * 4, 16 * 32 * 4}, {16, 16}, {2});
  EXPECT_EQ(Cost.Flops, 0u);
  EXPECT_EQ(Cost.FloorBytes, 16u * 4 + 2 * 16 * 32 * 4);
  // One memory behind two arguments is there once.
  Cost =
      costOf(kernel("rows"), {0, 1, 0}, {1000 * 32 * 4, 16 * 4}, {16, 16}, {2});
  EXPECT_EQ(Cost.FloorBytes, 16u * 4 + 2 * 16 * 32 * 4);
}

TEST_F(LaunchCosts, OfAPlan) {
  ASSERT_TRUE(Module);
  llvm::StringMap<KernelCost> Costs = costOfKernels(*Module, 2, 20);
  EXPECT_EQ(Costs.lookup("product").Launches, 2u);
  EXPECT_EQ(Costs.lookup("product").Largest.FloorBytes,
            40u * 64 * 4 + 64 * 8 * 4 + 40 * 8 * 4);
  EXPECT_EQ(Costs.lookup("causal").Launches, 0u);
  // The second launch is for two tokens and more.
  EXPECT_EQ(costOfKernels(*Module, 2, 1).lookup("product").Launches, 1u);
}

/// A formula's value for numbers of sequences, tokens, past and capacity.
static std::optional<int64_t> valueOf(std::optional<AffineExpr> Formula,
                                      ArrayRef<int64_t> Symbols) {
  if (!Formula)
    return std::nullopt;
  Builder B(Formula->getContext());
  SmallVector<Attribute> Given, Result;
  for (int64_t Symbol : Symbols)
    Given.push_back(B.getIndexAttr(Symbol));
  if (failed(AffineMap::get(0, 4, *Formula).constantFold(Given, Result)))
    return std::nullopt;
  return cast<IntegerAttr>(Result[0]).getInt();
}

/// Cell i multiplies i tiles.
static std::string withPlan(const std::string &Grid) {
  return R"(
tile.kernel @uneven(%x: memref<64x8xbf16>) grid(%i) {
  %eight = arith.constant 8 : index
  %zero = arith.constant 0 : index
  %row = arith.muli %i, %eight : index
  %none = arith.constant dense<0.0> : tensor<8x8xf32>
  scf.for %k = %zero to %row step %eight {
    %t = tile.load %x[%k, %zero] over [0, 1] : memref<64x8xbf16> -> tensor<8x8xbf16>
    %p = tile.mma %t, %t, %none : tensor<8x8xbf16>, tensor<8x8xbf16>, tensor<8x8xf32>
    %h = arith.truncf %p : tensor<8x8xf32> to tensor<8x8xbf16>
    tile.store %h, %x[%row, %zero] over [0, 1] : tensor<8x8xbf16>, memref<64x8xbf16>
  }
}
plan.entry @forward {
  %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (64, 8)> bf16 live 0 to 0
  plan.launch @uneven grid )" +
         Grid + R"(
    (%x) sizes affine_map<()[s0, s1, s2, s3] -> ()>
}
)";
}

TEST_F(LaunchCosts, FormulaOfAPlan) {
  ASSERT_TRUE(Module);
  auto Entry = *Module->getOps<plan::EntryOp>().begin();
  SmallVector<std::optional<int64_t>> Found;
  for (auto Launch : Entry.getOps<plan::LaunchOp>())
    Found.push_back(
        valueOf(flopsOf(kernel("product"), Launch), {2, 20, 0, 20}));
  // As counted cell by cell above: three blocks, 64 columns and 16.
  ASSERT_EQ(Found.size(), 2u);
  EXPECT_EQ(Found[0], 3 * 4 * 2 * 16 * 16 * 8);
  EXPECT_EQ(Found[1], 3 * 2 * 16 * 16 * 8);
}

TEST_F(LaunchCosts, FormulaOfCellsOfAFixedNumber) {
  ASSERT_TRUE(Module);
  OwningOpRef<ModuleOp> Other = parseSourceString<ModuleOp>(
      withPlan("affine_map<()[s0, s1, s2, s3] -> (4)>"), &Context);
  ASSERT_TRUE(Other);
  auto Entry = *Other->getOps<plan::EntryOp>().begin();
  auto Launch = *Entry.getOps<plan::LaunchOp>().begin();
  auto Kernel = Other->lookupSymbol<tile::KernelOp>("uneven");
  std::optional<AffineExpr> Flops = flopsOf(Kernel, Launch);
  ASSERT_TRUE(Flops);
  EXPECT_EQ(valueOf(Flops, {1, 1, 0, 1}),
            int64_t(costOf(Kernel, {0}, {64 * 8 * 2}, {}, {4}).Flops));
  EXPECT_EQ(valueOf(Flops, {1, 1, 0, 1}), (1 + 2 + 3) * 2 * 8 * 8 * 8);
}

TEST_F(LaunchCosts, FormulaOfCellsThatGrow) {
  ASSERT_TRUE(Module);
  OwningOpRef<ModuleOp> Other = parseSourceString<ModuleOp>(
      withPlan("affine_map<()[s0, s1, s2, s3] -> (s1)>"), &Context);
  ASSERT_TRUE(Other);
  auto Entry = *Other->getOps<plan::EntryOp>().begin();
  auto Launch = *Entry.getOps<plan::LaunchOp>().begin();
  auto Kernel = Other->lookupSymbol<tile::KernelOp>("uneven");
  for (int64_t Cells : {1, 2, 7})
    EXPECT_EQ(valueOf(flopsOf(Kernel, Launch), {1, Cells, 0, Cells}),
              int64_t(costOf(Kernel, {0}, {64 * 8 * 2}, {}, {Cells}).Flops));
}

TEST_F(LaunchCosts, NoFormulaWhereStepsGrowUnevenly) {
  ASSERT_TRUE(Module);
  std::string Uneven = withPlan("affine_map<()[s0, s1, s2, s3] -> (s1)>");
  // Rows of 12 in steps of 8: the loop makes 0, 2, 3, 5 steps.
  for (size_t At; (At = Uneven.find("muli %i, %eight")) != std::string::npos;)
    Uneven.replace(At, 15, "muli %i, %twelve");
  Uneven.insert(Uneven.find("  %zero"),
                "  %twelve = arith.constant 12 : index\n");
  OwningOpRef<ModuleOp> Other = parseSourceString<ModuleOp>(Uneven, &Context);
  ASSERT_TRUE(Other);
  auto Entry = *Other->getOps<plan::EntryOp>().begin();
  auto Launch = *Entry.getOps<plan::LaunchOp>().begin();
  EXPECT_FALSE(flopsOf(Other->lookupSymbol<tile::KernelOp>("uneven"), Launch));
}

static SmallVector<int64_t> valuesOf(AffineMap Map, ArrayRef<int64_t> Symbols) {
  SmallVector<int64_t> Values;
  for (AffineExpr Result : Map.getResults())
    Values.push_back(valueOf(Result, Symbols).value_or(-1));
  return Values;
}

/// What costOf counts of a launch, cell by cell.
static int64_t counted(tile::KernelOp Kernel, plan::LaunchOp Launch,
                       ArrayRef<int64_t> Symbols) {
  SmallVector<unsigned> Buffers(Launch.getOperands().size());
  std::iota(Buffers.begin(), Buffers.end(), 0u);
  return int64_t(costOf(Kernel, Buffers,
                        SmallVector<uint64_t>(Buffers.size(), 0),
                        valuesOf(Launch.getSizes(), Symbols),
                        valuesOf(Launch.getGrid(), Symbols))
                     .Flops);
}

/// What costOf counts of the loops for queries that see no key: one step each,
/// as much as the product of the weights and a tile of values.
static int64_t countedForBlindQueries(tile::KernelOp Kernel,
                                      ArrayRef<int64_t> Grid) {
  constexpr int64_t Step = 2 * 64 * 64 * 16;
  if (!Kernel.getSymName().contains("_mask"))
    return 0;
  int64_t Times = 0;
  if (Kernel.getSymName().starts_with("attention_grad_key_value"))
    Times = 2; // heads of a group
  else if (Kernel.getSymName().starts_with("attention_h"))
    Times = 1;
  else if (Kernel.getSymName().starts_with("attention_step"))
    return 2 * 64 * 16 * 2 * Grid[0] * Grid[1];
  return Step * Times * Grid[0] * Grid[1] * (Grid.size() > 2 ? Grid[2] : 1);
}

TEST_F(LaunchCosts, FormulasOfAModel) {
  ModelConfig Config;
  Config.VocabSize = 96;
  Config.HiddenSize = 64;
  Config.IntermediateSize = 80;
  Config.NumHiddenLayers = 2;
  Config.NumAttentionHeads = 4;
  Config.NumKeyValueHeads = 2;
  Config.AttnLayerPeriod = 2;
  Config.AttnLayerOffset = 1;
  OwningOpRef<ModuleOp> Model =
      buildModel(Config, supportedEntries(Config), 0, Context);
  ASSERT_TRUE(Model);
  ASSERT_TRUE(succeeded(lowerToPlan(*Model, {})));
  // Batch, tokens, past and capacity.
  const std::array<int64_t, 4> Calls[] = {
      {2, 150, 0, 150}, {1, 64, 0, 64}, {3, 1, 100, 128}, {1, 70, 70, 140}};
  std::set<std::string> WithFormula;
  Model->walk([&](plan::LaunchOp Launch) {
    auto Kernel = Model->lookupSymbol<tile::KernelOp>(Launch.getKernel());
    std::optional<AffineExpr> Flops = flopsOf(Kernel, Launch);
    if (!Flops)
      return;
    for (const std::array<int64_t, 4> &Symbols : Calls) {
      SmallVector<int64_t> Grid = valuesOf(Launch.getGrid(), Symbols);
      EXPECT_EQ(valueOf(Flops, Symbols),
                counted(Kernel, Launch, Symbols) -
                    countedForBlindQueries(Kernel, Grid))
          << Kernel.getSymName().str() << ", seq " << Symbols[1];
    }
    WithFormula.insert(Kernel.getSymName().split("_h").first.str());
  });
  for (const char *Name :
       {"attention", "attention_step", "ssm_scan", "attention_grad_query",
        "attention_grad_key_value", "ssm_scan_grad"})
    EXPECT_TRUE(WithFormula.count(Name)) << Name;
}

} // namespace
