//===- RmsNormGrad.cpp - Gradients of the normalisation -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// With r = 1 / sqrt(mean(x^2) + eps), n = x r and g = w dy, for every row
//
//   dx = r (g - n mean(g n)),    dw = sum over rows of dy n
//
// (Zhang and Sennrich, arXiv 1910.07467). A cell takes a block of rows twice:
// first for the sums of x^2 and of g x, then for the results; its part of dw
// goes to a row of its own, and buildSumRows adds those up. A CPU's cell does
// so row by row: rows lie a power of two apart and share the sets of the L1
// cache, which one row fits into and a block of them does not.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

namespace {
/// Tiles of `Rows` x `Columns` of the kernel's memories.
struct NormGradient {
  TileBuilder &B;
  Tile DResult, Input, Weight, DInput;
  Epilogue *Tail;
  int64_t Rows, Columns, Width;

  Tile load(Tile Memory, Tile Row, Tile Column) {
    return B.load(Memory, {Row, Column}, {Rows, Columns});
  }
  Tile scaled(Tile Dy, Tile Column) {
    return Dy * B.asRow(B.load(Weight, {Column}, {Columns}), Rows);
  }
  /// Of every row: the sums of x^2 and of g x over the columns.
  SmallVector<Tile> sums(Tile Row, Tile Column) {
    Tile X = load(Input, Row, Column);
    Tile G = scaled(load(DResult, Row, Column), Column);
    return {B.sum(X * X), B.sum(G * X)};
  }
  /// r and r^3 mean(g x) of every row, across the columns.
  SmallVector<Tile> factors(ArrayRef<Tile> Sums, double Epsilon) {
    Tile Scale = 1 / sqrt(Sums[0] * (1.0 / Width) + Epsilon);
    Tile Mean = Sums[1] * (1.0 / Width) * Scale * Scale * Scale;
    return {B.asColumn(Scale, Columns), B.asColumn(Mean, Columns)};
  }
  /// Stores dx; the sums of dy n over the rows.
  Tile results(Tile Row, Tile Column, ArrayRef<Tile> Factors) {
    Tile X = load(Input, Row, Column), Dy = load(DResult, Row, Column);
    Tile Dx = scaled(Dy, Column) * Factors[0] - X * Factors[1];
    if (Tail)
      Tail->store(B, {Dx}, Row, Column);
    else
      B.store(Dx, DInput, {Row, Column});
    return B.sum(Dy * X * Factors[0], 0);
  }
};
} // namespace

tile::KernelOp tiling::buildRmsNormGrad(ModuleOp Module, int64_t Width,
                                        double Epsilon, Epilogue *Tail,
                                        Type Element, Type WeightElement) {
  std::string Name =
      "rms_norm_grad_n" + std::to_string(Width) + "_e" + numberName(Epsilon) +
      typeSuffix({Element, WeightElement}) + (Tail ? Tail->name() : "");
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    Tile DResult = B.memory({Dynamic, Width}, Element);
    Tile Input = B.memory({Dynamic, Width}, Element);
    Tile Weight = B.memory({Width}, WeightElement);
    Tile DInput = Tail ? Tile() : B.memory({Dynamic, Width}, Element);
    if (Tail)
      Tail->declare(B);
    Tile Partials = B.memory({Dynamic, Width});
    bool Gpu = TileSizes::of(Module).Gpu;
    int64_t Rows = Gpu ? NormBlockRows : 1;
    int64_t Columns = Gpu ? tileExtent(Width, 128) : Width;
    NormGradient G{B,    DResult, Input,   Weight, DInput,
                   Tail, Rows,    Columns, Width};
    Tile First = B.grid(0) * NormBlockRows;
    if (!Gpu) {
      Tile Start = B.index(0);
      Tile Last = minimum(First + NormBlockRows, B.extent(Input, 0));
      Tile Sum = B.forLoop(First, Last, 1, {B.zeros({Width})},
                           [&](Tile Row, ArrayRef<Tile> Carried) {
                             SmallVector<Tile> Factors =
                                 G.factors(G.sums(Row, Start), Epsilon);
                             return SmallVector<Tile>{
                                 Carried[0] + G.results(Row, Start, Factors)};
                           })[0];
      B.store(Sum, Partials, {B.grid(0), 0});
      return;
    }
    SmallVector<Tile> Sums = B.forLoop(
        0, Width, Columns, {B.zeros({Rows}), B.zeros({Rows})},
        [&](Tile Column, ArrayRef<Tile> Carried) {
          SmallVector<Tile> Own = G.sums(First, Column);
          return SmallVector<Tile>{Carried[0] + Own[0], Carried[1] + Own[1]};
        });
    SmallVector<Tile> Factors = G.factors(Sums, Epsilon);
    B.forLoop(0, Width, Columns, [&](Tile Column) {
      B.store(G.results(First, Column, Factors), Partials, {B.grid(0), Column});
    });
  });
}

static LogicalResult lowerRmsNormGrad(txs::RmsNormGradOp Op, EntryBuilder &E) {
  int64_t Width = E.columns(Op.getInput());
  AffineExpr Rows = E.rows(Op.getInput());
  AffineExpr Blocks = Rows.ceilDiv(NormBlockRows);
  Buffer *Partials =
      E.temporary("rms_norm_grad.partials", {Blocks, E.constant(Width)});
  Epilogue Tail(E, {Op.getDinput()}, E.group(Op).Steps, Width);
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getDresult()), {Rows}},
                                           {E.read(Op.getInput()), {Rows}},
                                           {E.read(Op.getWeight())}};
  Tail.addArguments(Arguments);
  Arguments.push_back({Partials, {Blocks}});
  E.launch(buildRmsNormGrad(E.module(), Width, Op.getEps().convertToDouble(),
                            &Tail, E.element(Op.getInput()),
                            E.element(Op.getWeight())),
           {Blocks}, Arguments);
  launchSumRows(E, Partials, Blocks, Width, E.write(Op.getDweight()));
  return success();
}

void tiling::registerRmsNormGrad(LoweringTable &Table) {
  Table.add<txs::RmsNormGradOp>(lowerRmsNormGrad);
}
