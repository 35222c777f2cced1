//===- Triangles.h - Tiles that are zero above their diagonal -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A token sees those before it: in the scan, the weights of a chunk are zero
// above the diagonal, and half of each product with them is of zeros. So are
// the weights of attention in tiles of keys and queries that the diagonal of
// all tokens crosses, wherever it does. Zero times anything counts as zero
// here, an infinity that nobody may see included.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_X86_TRIANGLES_H
#define TRANSXSSM_CODEGEN_X86_TRIANGLES_H

#include "mlir/IR/Value.h"

#include <optional>

namespace transxssm::x86 {

/// Element [i, j] counts where j <= i + Plus - Minus: scalars of the kernel, of
/// type index or i32; null is zero.
struct Diagonal {
  mlir::Value Plus, Minus;

  bool operator==(const Diagonal &Other) const {
    return Plus == Other.Plus && Minus == Other.Minus;
  }
};

/// The diagonal above which every element is zero, if there is one.
std::optional<Diagonal> zeroAboveDiagonal(mlir::Value Tile);

/// The diagonal above which nobody reads the tile: it is multiplied by one that
/// is zero there, or something else is selected.
std::optional<Diagonal> readBelowDiagonal(mlir::Value Tile);

} // namespace transxssm::x86

#endif // TRANSXSSM_CODEGEN_X86_TRIANGLES_H
