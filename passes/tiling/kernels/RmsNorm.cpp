//===- RmsNorm.cpp - Root-mean-square normalisation -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// result[r, :] = weight * x[r, :] / sqrt(mean(x[r, :]^2) + eps)
// (Zhang and Sennrich, arXiv 1910.07467). A cell normalises a few whole rows: a
// first walk over the columns sums the squares, a second one scales.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

namespace {
struct RmsNormShape {
  int64_t Columns;
  double Eps;
  Type Element, WeightElement;

  int64_t columnTile() const { return tileFor(Columns, 64, 1024); }
  int64_t rowTile() const {
    return powerOfTwoAtMost(std::clamp<int64_t>(FlatTile / Columns, 1, 16));
  }
};
} // namespace

static tile::KernelOp buildRmsNorm(ModuleOp Module, const RmsNormShape &Shape,
                                   Epilogue &Tail) {
  int64_t N = Shape.Columns, C = Shape.columnTile(), R = Shape.rowTile();
  std::string Name =
      "rms_norm_n" + std::to_string(N) + "_eps" + numberName(Shape.Eps) +
      typeSuffix({Shape.Element, Shape.WeightElement}) + Tail.name();
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    Tile X = B.memory({Dynamic, N}, Shape.Element);
    Tile W = B.memory({N}, Shape.WeightElement);
    Tail.declare(B);
    Tile Row = B.grid(0) * R;
    auto Squares = [&](Tile Column) {
      Tile Part = B.load(X, {Row, Column}, {R, C});
      return B.sum(Part * Part);
    };
    auto Scale = [&](Tile Column, Tile Inverse) {
      Tile Weight = B.asRow(B.load(W, {Column}, {C}), R);
      Tile Part = B.load(X, {Row, Column}, {R, C});
      Tail.store(B, {Weight * (Part * B.asColumn(Inverse, C))}, Row, Column);
    };
    Tile Sum = B.sumOverColumns(N, C, Squares);
    Tile Inverse = 1.0 / sqrt(Sum / static_cast<double>(N) + Shape.Eps);
    B.forColumns(N, C, [&](Tile Column) { Scale(Column, Inverse); });
  });
}

static LogicalResult lowerRmsNorm(txs::RmsNormOp Op, EntryBuilder &E) {
  RmsNormShape Shape = {E.columns(Op.getInput()), Op.getEps().convertToDouble(),
                        E.element(Op.getInput()), E.element(Op.getWeight())};
  AffineExpr Rows = E.rows(Op.getInput());
  Epilogue Tail(E, {Op.getResult()}, E.group(Op).Steps, Shape.Columns);
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getInput()), {Rows}},
                                           {E.read(Op.getWeight())}};
  Tail.addArguments(Arguments);
  E.launch(buildRmsNorm(E.module(), Shape, Tail),
           {Rows.ceilDiv(Shape.rowTile())}, Arguments);
  return success();
}

void tiling::registerRmsNorm(LoweringTable &Table) {
  Table.add<txs::RmsNormOp>(lowerRmsNorm);
}
