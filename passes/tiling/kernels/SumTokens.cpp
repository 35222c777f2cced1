//===- SumTokens.cpp - Sums over all tokens -------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//   result[d] = sum over rows r of lhs[r, d] (rhs[r, d])
//
// in two passes of fixed order: each cell adds the rows of its block from the
// first to the last, then one cell for each column tile adds the blocks.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

constexpr int64_t RowStep = 32;

tile::KernelOp tiling::buildSumRows(ModuleOp Module, int64_t Width) {
  return defineKernel(
      Module, "sum_rows_n" + Twine(Width), 1, [&](TileBuilder &B) {
        Tile Partials = B.memory({Dynamic, Width}), Result = B.memory({Width});
        int64_t Columns = tileExtent(Width, SumColumns);
        Tile Column = B.grid(0) * SumColumns;
        Tile Sum =
            B.forLoop(0, B.extent(Partials, 0), RowStep, {B.zeros({Columns})},
                      [&](Tile Row, ArrayRef<Tile> Carried) {
                        Tile Block =
                            B.load(Partials, {Row, Column}, {RowStep, Columns});
                        return SmallVector<Tile>{Carried[0] + B.sum(Block, 0)};
                      })[0];
        B.store(Sum, Result, {Column});
      });
}

tile::KernelOp tiling::buildSumTokens(ModuleOp Module, int64_t Width,
                                      bool Product, Type Element) {
  return defineKernel(
      Module,
      (Product ? "sum_tokens_product_n" : "sum_tokens_n") + Twine(Width) +
          typeSuffix(Element),
      2, [&](TileBuilder &B) {
        Tile Left = B.memory({Dynamic, Width}, Element), Right;
        if (Product)
          Right = B.memory({Dynamic, Width}, Element);
        Tile Partials = B.memory({Dynamic, Width});
        int64_t Columns = tileExtent(Width, SumColumns);
        Tile First = B.grid(0) * SumBlockRows, Column = B.grid(1) * SumColumns;
        auto AddRows = [&](Tile Row, ArrayRef<Tile> Carried) {
          Tile Block = B.load(Left, {Row, Column}, {RowStep, Columns});
          if (Product)
            Block = Block * B.load(Right, {Row, Column}, {RowStep, Columns});
          return SmallVector<Tile>{Carried[0] + B.sum(Block, 0)};
        };
        Tile End = minimum(First + SumBlockRows, B.extent(Left, 0));
        Tile Sum =
            B.forLoop(First, End, RowStep, {B.zeros({Columns})}, AddRows)[0];
        B.store(Sum, Partials, {B.grid(0), Column});
      });
}

static int64_t columnTiles(int64_t Width) {
  return llvm::divideCeil(Width, SumColumns);
}

void tiling::launchSumRows(EntryBuilder &E, Buffer *Partials, AffineExpr Count,
                           int64_t Width, Buffer *Result) {
  E.launch(buildSumRows(E.module(), Width), {E.constant(columnTiles(Width))},
           {{Partials, {Count}}, {Result}});
}

static LogicalResult lowerSumTokens(txs::SumTokensOp Op, EntryBuilder &E) {
  int64_t Width = E.width(Op.getLhs());
  AffineExpr Rows = E.tokens(Op.getLhs());
  AffineExpr Blocks = Rows.ceilDiv(SumBlockRows);
  Buffer *Partials =
      E.temporary("sum_tokens.partials", {Blocks, E.constant(Width)});
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getLhs()), {Rows}}};
  if (Op.getRhs())
    Arguments.push_back({E.read(Op.getRhs()), {Rows}});
  Arguments.push_back({Partials, {Blocks}});
  E.launch(buildSumTokens(E.module(), Width, Op.getRhs() != nullptr,
                          E.element(Op.getLhs())),
           {Blocks, E.constant(columnTiles(Width))}, Arguments);
  launchSumRows(E, Partials, Blocks, Width, E.write(Op.getResult()));
  return success();
}

void tiling::registerSumTokens(LoweringTable &Table) {
  Table.add<txs::SumTokensOp>(lowerSumTokens);
}
