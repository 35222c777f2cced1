//===- TxsDialect.cpp - The txs dialect -------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace transxssm::txs;

#include "dialect/txs/TxsDialect.cpp.inc"
#include "dialect/txs/TxsEnums.cpp.inc"
#include "dialect/txs/TxsInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/txs/TxsOps.cpp.inc"

void TxsDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialect/txs/TxsOps.cpp.inc"
      >();
}

int64_t LinearOp::getLeadingRank() {
  return llvm::count_if(cast<RankedTensorType>(getInput().getType()).getShape(),
                        ShapedType::isDynamic);
}

//===----------------------------------------------------------------------===//
// Memory effects
//===----------------------------------------------------------------------===//

void StoreGradientOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &Effects) {
  Effects.emplace_back(MemoryEffects::Write::get());
}

void AdamWOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &Effects) {
  Effects.emplace_back(MemoryEffects::Write::get());
}
