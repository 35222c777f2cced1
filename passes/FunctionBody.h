//===- FunctionBody.h - The functions that passes take --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_FUNCTIONBODY_H
#define TRANSXSSM_PASSES_FUNCTIONBODY_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace transxssm {

/// The return of a function whose body is one block, the only form that passes
/// know; null after an error. `Purpose` is what is to be done with it: "to
/// differentiate".
mlir::func::ReturnOp returnOf(mlir::func::FuncOp Function,
                              llvm::StringRef Purpose);

} // namespace transxssm

#endif // TRANSXSSM_PASSES_FUNCTIONBODY_H
