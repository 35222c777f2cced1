//===- TileSizes.h - Tile sizes of each target ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A kernel is written once as a tile program; how large its tiles are depends
// on what runs it.
//
//                          CPU                     GPU
//   inner extent of a      128 to 256: operands    128 bytes: a slice of two
//   product's step         packed for the caches   128 x 128 operands is 36 KB
//                                                  of shared memory, two of
//                                                  them the copies under way
//   rows of gradients      64, of large ones 128   128: 64 FLOP a byte that
//                                                  passes through shared memory
//   a large product's      128 x 512 or 256: the   128 x 128, or what fills
//   result                 left operand is copied  the device (ProductTiles.h)
//                          for every tile, the
//                          right one once for all
//                          tiles below each other
//   elements of a vector   512: registers          2,048: 128 threads with
//                                                  sixteen elements each
//   the scan               a head is a cell; it    64 values of a head; its
//                          walks the chunks        gradient a cell per chunk,
//                                                  from stored states: batch x
//                                                  heads alone would leave most
//                                                  of 108 (A100) or 132 (H100)
//                                                  multiprocessors idle
//   keys of a cell where   all                     128: 64 KB of bf16 keys and
//   few queries attend                             values, and at 4,096 keys 32
//   from a cache                                   cells a key head, 256 for 8;
//                                                  the sums that they leave are
//                                                  under 1 % of what they read
//
// One plan serves all GPUs of a package, so there is one set of sizes for them.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_TILESIZES_H
#define TRANSXSSM_PASSES_TILING_TILESIZES_H

#include "mlir/IR/BuiltinOps.h"

#include <algorithm>

namespace transxssm {
namespace tiling {

/// On a module while it is tiled for GPUs.
constexpr char GpuAttribute[] = "tiling.gpu";
/// On a module whose products shall all have one size of tiles: "large" or
/// "small" (ProductTiles.h).
constexpr char ProductTilesAttribute[] = "tiling.product_tiles";

/// What sizes depend on of an architecture.
struct GpuSizes {
  const char *Name;
  int64_t Multiprocessors;
  double SmallTileRate; ///< see ProductTiles.h
  const char *From;     ///< what was measured, or that it is an estimate
};

/// One line for each architecture. A package has one plan, with its grids, for
/// all of its architectures; so a choice has to suit each line.
inline constexpr GpuSizes GpuTable[] = {
#include "passes/tiling/GpuRates.inc"
};

/// Edges of the tiles of a product's result.
struct TileEdges {
  int64_t Rows, Columns;
};

struct TileSizes {
  explicit TileSizes(bool Gpu) : Gpu(Gpu) {}
  /// Those that a module's kernels are built with.
  static TileSizes of(mlir::ModuleOp Module) {
    return TileSizes(Module->hasAttr(GpuAttribute));
  }

  bool Gpu;

  /// Whether a CPU's product is so large that the largest tiles leave at least
  /// `LeastCells` for its threads. A call's tokens count as 1,024; fewer cost
  /// nothing but width of the grid, since rows that are not there are left out.
  bool hasLargeTiles(int64_t Rows, int64_t Columns, TileEdges Edges) const {
    constexpr int64_t LeastCells = 32;
    return !Gpu && Rows * Columns >= LeastCells * Edges.Rows * Edges.Columns;
  }
  static constexpr int64_t TypicalTokens = 1024;
  /// Edges of a CPU's tiles: the largest that leave enough cells, or `Small`.
  TileEdges productEdges(int64_t Rows, int64_t Columns, TileEdges Small) const {
    for (TileEdges Large : {TileEdges{128, 512}, TileEdges{128, 256}})
      if (hasLargeTiles(Rows, Columns, Large))
        return Large;
    return Small;
  }
  /// Rows of the tiles of dinput, dlogits and dhidden.
  int64_t gradientRows() const { return Gpu ? 128 : 64; }
  /// The inner extent of one step of a product over `Extent`, whose operands
  /// are of type `Element` (null: float32); `Cpu` is a CPU's.
  int64_t innerExtent(int64_t Extent, int64_t Cpu, mlir::Type Element) const {
    if (!Gpu)
      return Cpu;
    int64_t Slice = Element && !Element.isF32() ? 64 : 32;
    return std::min(Slice, (Extent + 15) / 16 * 16);
  }
  /// Elements of a vector that one step of a walk over flat memory takes.
  int64_t vectorStep() const { return Gpu ? 2048 : 512; }
  /// Values of a head (its columns of x) of one cell of the scan; 0: all.
  int64_t scanValues() const { return Gpu ? 64 : 0; }
  /// Cells that keep each multiprocessor of any GPU busy.
  int64_t multiprocessors() const {
    int64_t Most = 1;
    if (Gpu)
      for (const GpuSizes &Sizes : GpuTable)
        Most = std::max(Most, Sizes.Multiprocessors);
    return Most;
  }
  /// Keys of one cell of attention for few queries from a cache; 0: all.
  int64_t splitKeys() const { return Gpu ? 128 : 0; }
};

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_TILESIZES_H
