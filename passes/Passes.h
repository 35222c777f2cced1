//===- Passes.h - Passes of the compiler ----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Constructors and registration of every pass; Passes.td documents them.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_PASSES_H
#define TRANSXSSM_PASSES_PASSES_H

#include "dialect/txs/TxsDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace transxssm {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Name of the unit attribute on functions that autodiff is to extend.
constexpr llvm::StringLiteral DifferentiateAttribute = "txs.differentiate";

/// Name of the unit attribute on functions that end with an optimizer step.
constexpr llvm::StringLiteral OptimizeAttribute = "txs.optimize";

} // namespace transxssm

#endif // TRANSXSSM_PASSES_PASSES_H
