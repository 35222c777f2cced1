//===- Triangles.h - Tiles that are zero above their diagonal -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A token sees those before it: in the scan, the weights of a chunk are zero
// above the diagonal, and half of each product with them is of zeros. Zero
// times anything counts as zero here, an infinity that nobody may see included.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_X86_TRIANGLES_H
#define TRANSXSSM_CODEGEN_X86_TRIANGLES_H

#include "mlir/IR/Value.h"

namespace transxssm::x86 {

/// Whether every element [i, j] with j > i is zero.
bool isZeroAboveDiagonal(mlir::Value Tile);

/// Whether everybody who reads the tile multiplies it by one that is zero above
/// the diagonal.
bool isReadBelowDiagonal(mlir::Value Tile);

} // namespace transxssm::x86

#endif // TRANSXSSM_CODEGEN_X86_TRIANGLES_H
