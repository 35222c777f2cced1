//===- ActivationGrad.cpp - Gradient of a nonlinearity --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// dinput = dresult f'(input), elementwise. With s = 1 / (1 + exp(-x)):
//
//   silu      s (1 + x (1 - s))
//   gelu      (1 + erf(x / sqrt 2)) / 2 + x exp(-x^2 / 2) / sqrt(2 pi)
//   relu      1 for x > 0, else 0
//   softplus  s
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

Tile tiling::activationDerivative(txs::ActivationKind Kind, Tile X) {
  constexpr double RootHalf = 0.70710678118654752;
  constexpr double RootTwoPiInverse = 0.39894228040143268;
  auto Sigmoid = [&] { return 1 / (1 + exp(-X)); };
  switch (Kind) {
  case txs::ActivationKind::Silu: {
    Tile S = Sigmoid();
    return S * (1 + X * (1 - S));
  }
  case txs::ActivationKind::Gelu:
    return 0.5 * (1 + erf(X * RootHalf)) +
           X * exp(X * X * -0.5) * RootTwoPiInverse;
  case txs::ActivationKind::Relu:
    return select(X > 0, X.builder().number(1, X.shape()), 0);
  case txs::ActivationKind::Softplus:
    return Sigmoid();
  }
  llvm_unreachable("unknown activation");
}

tile::KernelOp tiling::buildActivationGrad(ModuleOp Module,
                                           txs::ActivationKind Kind,
                                           Type Element) {
  return buildFlat(
      Module, txs::stringifyActivationKind(Kind) + "_grad", 2,
      [&](ArrayRef<Tile> Inputs) {
        return Inputs[0] * activationDerivative(Kind, Inputs[1]);
      },
      Element);
}

static LogicalResult lowerActivationGrad(txs::ActivationGradOp Op,
                                         EntryBuilder &E) {
  AffineExpr Size = E.rows(Op.getInput()) * E.columns(Op.getInput());
  E.launch(
      buildActivationGrad(E.module(), Op.getKind(), E.element(Op.getInput())),
      {Size.ceilDiv(FlatTile)},
      {{E.read(Op.getDresult()), {Size}},
       {E.read(Op.getInput()), {Size}},
       {E.write(Op.getDinput()), {Size}}});
  return success();
}

void tiling::registerActivationGrad(LoweringTable &Table) {
  Table.add<txs::ActivationGradOp>(lowerActivationGrad);
}
