//===- TileElementwise.h - arith and math in the tile interpreter ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEELEMENTWISE_H
#define TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEELEMENTWISE_H

#include "dialect/tile/interpreter/TileValue.h"
#include "mlir/IR/Operation.h"

namespace transxssm {
namespace tile {

/// Whether `Op` is an elementwise operation that the interpreter knows.
bool isKnownElementwise(mlir::Operation *Op);

/// Its results for these operands, floats not yet rounded to their type.
mlir::LogicalResult runElementwise(mlir::Operation *Op,
                                   llvm::ArrayRef<const TileValue *> Operands,
                                   llvm::SmallVectorImpl<TileValue> &Results);

} // namespace tile
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEELEMENTWISE_H
