//===- OperationOrder.h - One order for the operations of a kernel --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Kernels are written as nested expressions, `A * exp(B) + load(C)`, and C++
// leaves it to its compiler which operand is evaluated, and so built, first.
// The order in which operations were built must therefore not matter: a
// finished kernel is put in an order that follows from its data flow alone.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_OPERATIONORDER_H
#define TRANSXSSM_PASSES_TILING_OPERATIONORDER_H

#include "mlir/IR/Block.h"

namespace transxssm {
namespace tiling {

/// Orders the operations of the block and of those within it. Stores, loops,
/// branches and the terminator stay: they are statements of their own, which
/// C++ runs in the order in which they are written. What lies between two of
/// them, loads included, comes in the order of a depth-first search from what
/// stays. Pure operations without uses are removed.
void orderOperations(mlir::Block &Body);

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_OPERATIONORDER_H
