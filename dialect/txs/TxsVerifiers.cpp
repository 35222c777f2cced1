//===- TxsVerifiers.cpp - Constraints of the txs operations -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"

using namespace mlir;
using namespace transxssm::txs;

LogicalResult ParameterOp::verify() { return success(); }

LogicalResult BlockOp::verify() { return success(); }

LogicalResult EmbeddingOp::verify() { return success(); }

LogicalResult RmsNormOp::verify() { return success(); }

LogicalResult LinearOp::verify() { return success(); }

LogicalResult ScaleOp::verify() { return success(); }

LogicalResult ResidualOp::verify() { return success(); }

LogicalResult MaskOp::verify() { return success(); }

LogicalResult DropoutOp::verify() { return success(); }

LogicalResult RopeOp::verify() { return success(); }

LogicalResult SsmScanOp::verify() { return success(); }

LogicalResult AttentionOp::verify() { return success(); }

LogicalResult CacheAppendOp::verify() { return success(); }

LogicalResult LastTokenOp::verify() { return success(); }

LogicalResult LinearCrossEntropyOp::verify() { return success(); }

LogicalResult EmbeddingGradOp::verify() { return success(); }

LogicalResult RmsNormGradOp::verify() { return success(); }

LogicalResult LinearGradInputOp::verify() { return success(); }

LogicalResult LinearGradWeightOp::verify() { return success(); }

LogicalResult SumTokensOp::verify() { return success(); }

LogicalResult SsmScanGradOp::verify() { return success(); }

LogicalResult AttentionGradOp::verify() { return success(); }

LogicalResult LastTokenGradOp::verify() { return success(); }

LogicalResult LinearCrossEntropyGradOp::verify() { return success(); }

LogicalResult AdamWOp::verify() { return success(); }

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return success();
}

LogicalResult
StoreGradientOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return success();
}

LogicalResult AdamWOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return success();
}
