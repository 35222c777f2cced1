//===- Forward.cpp - The lowerings of the forward pass --------------- ---===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace transxssm;
using namespace transxssm::tiling;

void transxssm::tiling::registerForwardLowerings(LoweringTable &Table) {
  registerTokens(Table);
  registerRmsNorm(Table);
  registerLinear(Table);
  registerElementwise(Table);
  registerRope(Table);
  registerSsmScan(Table);
  registerAttention(Table);
  registerCrossEntropy(Table);
}

bool transxssm::tiling::appliesChain(const Chain &Candidate) {
  auto Type = llvm::cast<mlir::RankedTensorType>(Candidate.value(0).getType());
  // A row per token: norms over heads are not.
  if (llvm::isa<txs::RmsNormOp>(Candidate.Root))
    return Type.getRank() - Type.getNumDynamicDims() == 1 &&
           Candidate.columnMultiple() == 1;
  if (llvm::isa<txs::LinearGradInputOp>(Candidate.Root))
    return Candidate.columnMultiple() == 1;
  return llvm::isa<txs::LinearOp>(Candidate.Root);
}
