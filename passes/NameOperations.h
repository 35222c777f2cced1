//===- NameOperations.h - Names that survive lowering ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// An operation's name is its location, so that every pass carries it along.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_NAMEOPERATIONS_H
#define TRANSXSSM_PASSES_NAMEOPERATIONS_H

#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace transxssm {

/// What tells an operation from its neighbours: "txs.block 3",
/// "txs.activation silu", "txs.linear @model.layers.0.ssd.c_proj.weight".
std::string operationTitle(mlir::Operation *Op);

/// Names the operations of every function; see `txs-name-operations`.
void nameOperations(mlir::ModuleOp Module);

/// The name that nameOperations() gave; empty if it gave none.
llvm::StringRef operationName(mlir::Operation *Op);

/// That of a result: "17 txs.linear @...", "21 txs.ssm_scan @... #1".
std::string valueName(mlir::Operation *Op, unsigned Result);

} // namespace transxssm

#endif // TRANSXSSM_PASSES_NAMEOPERATIONS_H
