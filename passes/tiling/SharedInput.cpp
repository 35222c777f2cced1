//===- SharedInput.cpp - Products that read the same matrix ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/SharedInput.h"
#include "dialect/txs/TxsDialect.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

/// The matrix that a product has in common with others of its kind.
static Value commonInput(Operation *Op) {
  if (auto Linear = dyn_cast<txs::LinearOp>(Op))
    return Linear.getInput();
  if (auto Gradient = dyn_cast<txs::LinearGradWeightOp>(Op))
    return Gradient.getInput();
  return Value();
}

/// Merges the groups of input gradients that the steps of this one add to it.
static void sumGradients(FusionPlan &Plan, Operation *Root) {
  auto NextTerm = [&]() -> Operation * {
    FusedGroup Group = Plan.group(Root);
    for (Operation *Step : Group.Steps)
      for (Value Operand : Step->getOperands()) {
        Operation *Source = Operand.getDefiningOp();
        if (isa<txs::AddOp>(Step) && Source && !Group.contains(Source) &&
            isa<txs::LinearGradInputOp>(Source))
          return Source;
      }
    return nullptr;
  };
  for (Operation *Term = NextTerm(); Term && Plan.merge(Root, Term);)
    Term = NextTerm();
}

void tiling::shareInputs(FusionPlan &Plan) {
  for (Operation *Root : Plan.leaders()) {
    if (isa<txs::LinearGradInputOp>(Root))
      sumGradients(Plan, Root);
    Value Input = commonInput(Root);
    if (!Input)
      continue;
    SmallVector<Operation *> Others(Input.getUsers());
    llvm::sort(Others, [](Operation *A, Operation *B) {
      return A->isBeforeInBlock(B);
    });
    for (Operation *Other : Others)
      if (Other->getName() == Root->getName() && commonInput(Other) == Input)
        Plan.merge(Root, Other);
  }
}
