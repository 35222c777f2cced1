//===- Linear.cpp - Products with weights ---------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// result[r, o] = sum_i x[r, i] weight[o, i] + bias[o]
//
// A cell of the general kernel makes a tile of the result, walking over i. For
// few rows (decoding) time is that of reading the weights: a cell takes a strip
// of outputs, and its weights from memory once for all rows.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

LinearTiles::LinearTiles(int64_t Inputs, int64_t Outputs)
    : ColumnTile(productTile(Outputs, 128)),
      InnerTile(productTile(Inputs, 256)), RowTile(128) {}

int64_t tiling::productTile(int64_t Extent, int64_t High) {
  // Multiples of 16 make full vectors; without a divisor the last tile is cut.
  for (int64_t Size = High; Size >= 64; Size -= 16)
    if (Extent % Size == 0)
      return Size;
  if (Extent <= 8)
    return 8;
  return Extent <= High ? (Extent + 15) / 16 * 16 : 64;
}

Tile tiling::productOverInner(
    TileBuilder &B, int64_t Extent, int64_t InnerTile, Tile Zero,
    function_ref<Tile(Tile Inner, Tile Accumulator)> Step) {
  if (Extent <= InnerTile)
    return Step(B.index(0), Zero);
  return B.forLoop(0, Extent, InnerTile, {Zero},
                   [&](Tile Inner, ArrayRef<Tile> Carried) {
                     return SmallVector<Tile>{Step(Inner, Carried[0])};
                   })[0];
}

namespace {
struct LinearShape {
  int64_t Inputs, Outputs;
  bool Bias;

  std::string name(StringRef Kind) const {
    return llvm::formatv("{0}_k{1}_n{2}{3}", Kind, Inputs, Outputs,
                         Bias ? "_bias" : "");
  }
};

struct LinearArguments {
  LinearArguments(TileBuilder &B, const LinearShape &Shape)
      : X(B.memory({Dynamic, Shape.Inputs})),
        Weight(B.memory({Shape.Outputs, Shape.Inputs})),
        Bias(Shape.Bias ? B.memory({Shape.Outputs}) : Tile()),
        Result(B.memory({Dynamic, Shape.Outputs})) {}

  Tile X, Weight, Bias, Result;
};
} // namespace

/// Rows x Columns of the result.
static void storeProduct(TileBuilder &B, const LinearArguments &A, Tile Product,
                         Tile Row, Tile Column) {
  if (A.Bias)
    Product = Product + B.asRow(B.load(A.Bias, {Column}, {Product.columns()}),
                                Product.rows());
  B.store(Product, A.Result, {Row, Column});
}

static tile::KernelOp buildLinear(ModuleOp Module, const LinearShape &Shape,
                                  const LinearTiles &Tiles) {
  int64_t M = Tiles.RowTile, N = Tiles.ColumnTile, K = Tiles.InnerTile;
  return defineKernel(Module, Shape.name("linear"), 2, [&](TileBuilder &B) {
    LinearArguments A(B, Shape);
    Tile Row = B.grid(0) * M, Column = B.grid(1) * N;
    Tile Product = productOverInner(
        B, Shape.Inputs, K, B.zeros({M, N}), [&](Tile Inner, Tile Sum) {
          return B.mmaTransposedRight(B.load(A.X, {Row, Inner}, {M, K}),
                                      B.load(A.Weight, {Column, Inner}, {N, K}),
                                      Sum);
        });
    storeProduct(B, A, Product, Row, Column);
  });
}

/// For few rows, M of them at a time.
static tile::KernelOp buildLinearRows(ModuleOp Module, const LinearShape &Shape,
                                      int64_t M) {
  int64_t N = FewRowsColumnTile;
  int64_t K = tileFor(Shape.Inputs, 256, 8192);
  std::string Name = Shape.name("linear_rows" + std::to_string(M));
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    LinearArguments A(B, Shape);
    Tile Column = B.grid(0) * N;
    auto Strip = [&](Tile Row) {
      Tile Product = productOverInner(
          B, Shape.Inputs, K, B.zeros({M, N}), [&](Tile Inner, Tile Sum) {
            return B.mmaTransposedRight(
                B.load(A.X, {Row, Inner}, {M, K}),
                B.load(A.Weight, {Column, Inner}, {N, K}), Sum);
          });
      storeProduct(B, A, Product, Row, Column);
    };
    if (M == 1)
      Strip(B.index(0));
    else
      B.forLoop(0, B.extent(A.X, 0), M, Strip);
  });
}

bool tiling::servesFewRows(EntryBuilder &E, Value Input) {
  // A call that continues from a cache often has one token per sequence, and
  // what is taken once per sequence has one row each.
  if (cast<RankedTensorType>(Input.getType()).getNumDynamicDims() == 1)
    return true;
  func::FuncOp Function = E.function();
  for (unsigned I = 0; I < Function.getNumArguments(); ++I)
    if (Function.getArgAttr(I, txs::StateAttribute))
      return true;
  return false;
}

static LogicalResult lowerLinear(txs::LinearOp Op, EntryBuilder &E) {
  auto Weight = cast<RankedTensorType>(Op.getWeight().getType());
  LinearShape Shape = {Weight.getDimSize(1), Weight.getDimSize(0),
                       static_cast<bool>(Op.getBias())};
  AffineExpr Rows = E.tokens(Op.getInput());
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getInput()), {Rows}},
                                           {E.read(Op.getWeight())}};
  if (Shape.Bias)
    Arguments.push_back({E.read(Op.getBias())});
  Arguments.push_back({E.write(Op.getResult()), {Rows}});

  SmallVector<AffineExpr> Many;
  if (servesFewRows(E, Op.getInput())) {
    AffineExpr Strips =
        E.constant((Shape.Outputs + FewRowsColumnTile - 1) / FewRowsColumnTile);
    E.launch(buildLinearRows(E.module(), Shape, 1), {Strips}, Arguments,
             {1 - Rows});
    E.launch(buildLinearRows(E.module(), Shape, 4), {Strips}, Arguments,
             {Rows - 2, FewRows - Rows});
    Many = {Rows - (FewRows + 1)};
  }
  LinearTiles Tiles(Shape.Inputs, Shape.Outputs);
  E.launch(buildLinear(E.module(), Shape, Tiles),
           {Rows.ceilDiv(Tiles.RowTile),
            E.constant(Shape.Outputs).ceilDiv(Tiles.ColumnTile)},
           Arguments, Many);
  return success();
}

void tiling::registerLinear(LoweringTable &Table) {
  Table.add<txs::LinearOp>(lowerLinear);
}
