//===- PlanDialect.h - The plan dialect -----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Buffers and launches; PlanOps.td documents every operation.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_PLAN_PLANDIALECT_H
#define TRANSXSSM_DIALECT_PLAN_PLANDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/plan/PlanDialect.h.inc"
#include "dialect/plan/PlanEnums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/plan/PlanTypes.h.inc"

#define GET_OP_CLASSES
#include "dialect/plan/PlanOps.h.inc"

namespace transxssm {
namespace plan {

/// The symbols of every expression of a plan: s0 to s3.
enum class Symbol : unsigned { Batch, Seq, Past, Capacity };
constexpr unsigned SymbolCount = 4;

} // namespace plan
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_PLAN_PLANDIALECT_H
