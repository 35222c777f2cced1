//===- TxsCanonicalization.cpp - Folds of the txs operations --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Folds that hold exactly. There is none for a rotation followed by its
// inverse: the tables of some scalings (yarn, longrope) carry a factor, so that
// `inverse` is the transposed map, not the inverted one.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace transxssm::txs;

OpFoldResult DropoutOp::fold(FoldAdaptor) {
  return getProbability().isZero() ? getInput() : OpFoldResult();
}

OpFoldResult MaskOp::fold(FoldAdaptor) {
  // A mask is 0 or 1, so applying it twice is applying it once.
  auto Inner = getInput().getDefiningOp<MaskOp>();
  return Inner && Inner.getMask() == getMask() ? Inner.getResult()
                                               : OpFoldResult();
}

OpFoldResult AddOp::fold(FoldAdaptor) {
  if (getRhs().getDefiningOp<ZerosOp>())
    return getLhs();
  if (getLhs().getDefiningOp<ZerosOp>())
    return getRhs();
  return {};
}

/// A scaled value plus another is a residual: the gradient of one, too.
LogicalResult AddOp::canonicalize(AddOp Op, PatternRewriter &Rewriter) {
  for (unsigned I : {0u, 1u}) {
    auto Scale = Op.getOperand(I).getDefiningOp<ScaleOp>();
    if (!Scale || !Scale->hasOneUse())
      continue;
    Rewriter.replaceOpWithNewOp<ResidualOp>(Op, Op.getType(), Scale.getInput(),
                                            Op.getOperand(1 - I),
                                            Scale.getWeight());
    return success();
  }
  return failure();
}

//===----------------------------------------------------------------------===//
// Zeros where an optional operand may be absent
//===----------------------------------------------------------------------===//

LogicalResult SsmScanOp::canonicalize(SsmScanOp Op, PatternRewriter &Rewriter) {
  if (!Op.getInitial() || !Op.getInitial().getDefiningOp<ZerosOp>())
    return failure();
  Rewriter.modifyOpInPlace(Op, [&] { Op.getInitialMutable().clear(); });
  return success();
}

LogicalResult SsmScanGradOp::canonicalize(SsmScanGradOp Op,
                                          PatternRewriter &Rewriter) {
  if (!Op.getDfinal() || !Op.getDfinal().getDefiningOp<ZerosOp>())
    return failure();
  Rewriter.modifyOpInPlace(Op, [&] { Op.getDfinalMutable().clear(); });
  return success();
}
