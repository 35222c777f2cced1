//===- IndexFacts.h - What is known about an index ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Kernels pad at the edges: a tile may reach beyond its memref. Most never do,
// and then plain vector loads suffice. This is the proof.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_X86_INDEXFACTS_H
#define TRANSXSSM_CODEGEN_X86_INDEXFACTS_H

#include "mlir/IR/Value.h"

#include <optional>

namespace transxssm::x86 {

/// An index as `grid part + bounded part`: the grid part is a multiple of
/// `Multiple` (0: there is none) and only grid coordinates enter it; the
/// bounded part lies in 0 .. Maximum.
struct IndexFacts {
  bool Known = false;
  int64_t Multiple = 0;
  int64_t Maximum = 0;
};

/// The number that an index always is.
std::optional<int64_t> constantOf(mlir::Value V);

IndexFacts computeIndexFacts(mlir::Value Index);

/// Whether `Base .. Base + Extent - 1` lies inside a dimension of `Size`
/// elements. A launch's grid never starts a tile beyond the end of a dimension
/// that the tile's step divides, so multiples of a divisor of `Size` count as
/// inside.
bool isInBounds(mlir::Value Base, int64_t Extent, int64_t Size);

} // namespace transxssm::x86

#endif // TRANSXSSM_CODEGEN_X86_INDEXFACTS_H
