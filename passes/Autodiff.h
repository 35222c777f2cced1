//===- Autodiff.h - Reverse-mode differentiation --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_AUTODIFF_H
#define TRANSXSSM_PASSES_AUTODIFF_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace transxssm {

/// Appends to `Function`, whose result "loss" is computed by the operations
/// before it, the gradient of that loss for every parameter of `Module`.
llvm::LogicalResult differentiate(mlir::func::FuncOp Function,
                                  mlir::ModuleOp Module);

} // namespace transxssm

#endif // TRANSXSSM_PASSES_AUTODIFF_H
