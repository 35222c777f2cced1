//===- TxsDialect.h - The txs dialect -------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The model level; TxsOps.td documents every operation.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_TXSDIALECT_H
#define TRANSXSSM_DIALECT_TXS_TXSDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace transxssm {
namespace txs {

/// What sums, statistics and gradients of values of this type are kept in: the
/// type itself or, with elements narrower than float32, the same of float32.
mlir::Type gradientTypeOf(mlir::Type Kept);

/// Whether static extents are positive and an index can count their bytes.
bool hasValidExtents(mlir::ShapedType Tensor);

} // namespace txs
} // namespace transxssm

#include "dialect/txs/TxsDialect.h.inc"
#include "dialect/txs/TxsEnums.h.inc"

#include "dialect/txs/TxsInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialect/txs/TxsOps.h.inc"

namespace transxssm {
namespace txs {

/// Names of the function argument and result attributes; see TxsDialect.td.
constexpr llvm::StringLiteral InputAttribute = "txs.input";
constexpr llvm::StringLiteral OutputAttribute = "txs.output";
constexpr llvm::StringLiteral StateAttribute = "txs.state";

/// Where `txs.sample` takes its random numbers: token
/// n = 4 SampleLanes q + SampleLanes w + l has word w of counter
/// (step, row, SampleLanes q + l, SampleStream).
constexpr int64_t SampleLanes = 512;
/// Sets sampling apart from the other users of a seed.
constexpr uint32_t SampleStream = 0x53414D50;
/// Kernels count tokens in float32.
constexpr int64_t MostSampledTokens = int64_t(1) << 24;

} // namespace txs
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TXS_TXSDIALECT_H
