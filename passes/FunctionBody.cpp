//===- FunctionBody.cpp - The functions that passes take ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/FunctionBody.h"

using namespace mlir;

func::ReturnOp transxssm::returnOf(func::FuncOp Function, StringRef Purpose) {
  auto Fail = [&] {
    return Function.emitError("a function ")
           << Purpose << " must have a body of one block that returns, but '"
           << Function.getSymName() << "' ";
  };
  if (!Function.getBody().hasOneBlock()) {
    Fail() << "has " << Function.getBody().getBlocks().size() << " blocks";
    return {};
  }
  Operation *Last = Function.getBody().front().getTerminator();
  auto Return = dyn_cast<func::ReturnOp>(Last);
  if (!Return)
    Fail() << "ends with " << Last->getName();
  return Return;
}
