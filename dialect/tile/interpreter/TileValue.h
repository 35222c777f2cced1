//===- TileValue.h - Values of the tile interpreter -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEVALUE_H
#define TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEVALUE_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"
#include <vector>

namespace transxssm {
namespace tile {

/// A scalar or a tile. Floats fill `Floats`, integers `Integers`; elements are
/// row-major, and a scalar has one. Integers are sign-extended from their
/// width, except that i1 is 0 or 1.
struct TileValue {
  mlir::Type Element;
  llvm::SmallVector<int64_t, 2> Shape;
  std::vector<double> Floats;
  std::vector<int64_t> Integers;

  /// All zero, of that scalar or tensor type.
  explicit TileValue(mlir::Type T);
  TileValue() = default;

  bool isFloat() const { return mlir::isa<mlir::FloatType>(Element); }
  size_t size() const { return isFloat() ? Floats.size() : Integers.size(); }
  int64_t rows() const { return Shape.empty() ? 1 : Shape[0]; }
  int64_t columns() const { return Shape.size() < 2 ? 1 : Shape[1]; }
};

/// The nearest value of the float type, ties to even.
double roundToType(double Value, mlir::Type Element);

/// Bits of an integer or index type.
unsigned integerWidth(mlir::Type Element);

/// `Value` wrapped to the type and put in the form that TileValue keeps.
int64_t wrapToType(int64_t Value, mlir::Type Element);

/// The bits of `Value` as an unsigned number of the type's width.
uint64_t unsignedBits(int64_t Value, mlir::Type Element);

} // namespace tile
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEVALUE_H
