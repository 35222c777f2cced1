//===- Kernels.h - The kernels and lowerings of every txs operation -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// One file per family: functions `buildXxx` that make a kernel for a shape, and
// one `registerXxx` that adds the lowerings of its operations to the table.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_KERNELS_KERNELS_H
#define TRANSXSSM_PASSES_TILING_KERNELS_KERNELS_H

#include "passes/tiling/EntryBuilder.h"
#include "passes/tiling/TileBuilder.h"

namespace transxssm {
namespace tiling {

//===----------------------------------------------------------------------===//
// Elementwise.cpp
//===----------------------------------------------------------------------===//

/// The elements that one cell of a kernel over flat memory handles.
constexpr int64_t FlatTile = 4096;

/// NAME(inputs: [?] each, result: [?]): a function of corresponding elements of
/// flat memory. Grid: [ceil(size / FlatTile)].
tile::KernelOp
buildFlat(mlir::ModuleOp Module, const llvm::Twine &Name, unsigned InputCount,
          llvm::function_ref<Tile(llvm::ArrayRef<Tile>)> Function,
          mlir::Type Element = {});
/// copy(from: [?], to: [?]).
tile::KernelOp buildCopy(mlir::ModuleOp Module, mlir::Type Element);

/// f(V).
Tile activation(txs::ActivationKind Kind, Tile V);

/// What dropout multiplies the elements with these linear indices (a tile of
/// i64) by: 0 or 1 / (1 - Probability). The choice for an element is word 0 of
/// Philox 4x32-10 with counter (index low, index high, Site, 0) and key
/// (Seed[0], Seed[1]): dropped when word < Probability 2^32. `Seed` is a memory
/// of two i32.
Tile dropoutFactor(TileBuilder &B, Tile Indices, Tile Seed, double Probability,
                   int64_t Site);

void registerElementwise(LoweringTable &Table);

/// The largest power of two that is at most `Number` (>= 1).
int64_t powerOfTwoAtMost(int64_t Number);
/// A tile size for an extent: its largest divisor in [Low, High], otherwise
/// the extent itself if below High, otherwise High.
int64_t tileFor(int64_t Extent, int64_t Low, int64_t High);

/// Everything there is.
void registerForwardLowerings(LoweringTable &Table);
void registerBackwardLowerings(LoweringTable &Table);

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_KERNELS_KERNELS_H
