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

LinearTiles::LinearTiles(int64_t Inputs, int64_t Outputs, int64_t Multiple)
    : ColumnTile(productTile(Outputs, 128)),
      InnerTile(productTile(Inputs, 256)), RowTile(128) {
  if (ColumnTile % Multiple != 0)
    ColumnTile = std::max<int64_t>(128 / Multiple, 1) * Multiple;
}

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
  LinearArguments(TileBuilder &B, const LinearShape &Shape, Epilogue &Tail)
      : X(B.memory({Dynamic, Shape.Inputs})),
        Weight(B.memory({Shape.Outputs, Shape.Inputs})),
        Bias(Shape.Bias ? B.memory({Shape.Outputs}) : Tile()), Tail(Tail) {
    Tail.declare(B);
  }

  Tile X, Weight, Bias;
  Epilogue &Tail;
};
} // namespace

/// Rows x Columns of the result.
static void storeProduct(TileBuilder &B, const LinearArguments &A, Tile Product,
                         Tile Row, Tile Column) {
  if (A.Bias)
    Product = Product + B.asRow(B.load(A.Bias, {Column}, {Product.columns()}),
                                Product.rows());
  A.Tail.store(B, Product, Row, Column);
}

static tile::KernelOp buildLinear(ModuleOp Module, const LinearShape &Shape,
                                  const LinearTiles &Tiles, Epilogue &Tail) {
  int64_t M = Tiles.RowTile, N = Tiles.ColumnTile, K = Tiles.InnerTile;
  std::string Name = Shape.name("linear") + Tail.name();
  return defineKernel(Module, Name, 2, [&](TileBuilder &B) {
    LinearArguments A(B, Shape, Tail);
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

/// The outputs of one cell of the kernel for few rows.
static int64_t stripWidth(int64_t Multiple) {
  return std::max<int64_t>(32 / Multiple, 1) * Multiple;
}

/// For few rows, M of them at a time.
static tile::KernelOp buildLinearRows(ModuleOp Module, const LinearShape &Shape,
                                      int64_t M, int64_t N, Epilogue &Tail) {
  int64_t K = tileFor(Shape.Inputs, 256, 8192);
  std::string Name =
      Shape.name("linear_rows" + std::to_string(M)) + Tail.name();
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    LinearArguments A(B, Shape, Tail);
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
  Epilogue Tail(E, E.chain(Op));
  Tail.addArguments(Arguments);

  int64_t Multiple = E.chain(Op).columnMultiple();
  SmallVector<AffineExpr> Many;
  if (servesFewRows(E, Op.getInput())) {
    int64_t N = stripWidth(Multiple);
    AffineExpr Strips = E.constant(Shape.Outputs).ceilDiv(N);
    E.launch(buildLinearRows(E.module(), Shape, 1, N, Tail), {Strips},
             Arguments, {1 - Rows});
    E.launch(buildLinearRows(E.module(), Shape, 4, N, Tail), {Strips},
             Arguments, {Rows - 2, FewRows - Rows});
    Many = {Rows - (FewRows + 1)};
  }
  LinearTiles Tiles(Shape.Inputs, Shape.Outputs, Multiple);
  E.launch(buildLinear(E.module(), Shape, Tiles, Tail),
           {Rows.ceilDiv(Tiles.RowTile),
            E.constant(Shape.Outputs).ceilDiv(Tiles.ColumnTile)},
           Arguments, Many);
  return success();
}

void tiling::registerLinear(LoweringTable &Table) {
  Table.add<txs::LinearOp>(lowerLinear);
}
