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
// goes to a row of its own, and buildSumRows adds those up.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

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
    int64_t Rows = NormBlockRows, Columns = tileExtent(Width, 128);
    Tile Row = B.grid(0) * Rows;
    auto Load = [&](Tile Memory, Tile Column) {
      return B.load(Memory, {Row, Column}, {Rows, Columns});
    };
    auto Scaled = [&](Tile Dy, Tile Column) {
      return Dy * B.asRow(B.load(Weight, {Column}, {Columns}), Rows);
    };

    SmallVector<Tile> Sums =
        B.forLoop(0, Width, Columns, {B.zeros({Rows}), B.zeros({Rows})},
                  [&](Tile Column, ArrayRef<Tile> Carried) {
                    Tile X = Load(Input, Column);
                    Tile G = Scaled(Load(DResult, Column), Column);
                    return SmallVector<Tile>{Carried[0] + B.sum(X * X),
                                             Carried[1] + B.sum(G * X)};
                  });
    Tile Scale = 1 / sqrt(Sums[0] * (1.0 / Width) + Epsilon);
    Tile Mean = Sums[1] * (1.0 / Width) * Scale * Scale * Scale;
    Tile ScaleColumn = B.asColumn(Scale, Columns);
    Tile MeanColumn = B.asColumn(Mean, Columns);

    B.forLoop(0, Width, Columns, [&](Tile Column) {
      Tile X = Load(Input, Column), Dy = Load(DResult, Column);
      Tile Dx = Scaled(Dy, Column) * ScaleColumn - X * MeanColumn;
      if (Tail)
        Tail->store(B, {Dx}, Row, Column);
      else
        B.store(Dx, DInput, {Row, Column});
      B.store(B.sum(Dy * X * ScaleColumn, 0), Partials, {B.grid(0), Column});
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
