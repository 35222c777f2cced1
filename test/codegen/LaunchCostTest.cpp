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

#include <gtest/gtest.h>

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

TEST_F(LaunchCosts, NoFormulaWhereCellsDiffer) {
  ASSERT_TRUE(Module);
  OwningOpRef<ModuleOp> Other = parseSourceString<ModuleOp>(
      withPlan("affine_map<()[s0, s1, s2, s3] -> (s1)>"), &Context);
  ASSERT_TRUE(Other);
  auto Entry = *Other->getOps<plan::EntryOp>().begin();
  auto Launch = *Entry.getOps<plan::LaunchOp>().begin();
  EXPECT_FALSE(flopsOf(Other->lookupSymbol<tile::KernelOp>("uneven"), Launch));
}

} // namespace
