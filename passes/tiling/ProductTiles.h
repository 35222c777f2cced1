//===- ProductTiles.h - Tiles of products that fill GPUs ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Cells run in waves of one for each multiprocessor, and the last wave takes as
// long as the others however few cells it has: of n cells on m multiprocessors
//
//     n / (m ceil(n / m))
//
// of the device is used (wave quantization; NVIDIA, "Matrix Multiplication
// Background User's Guide"). Large tiles are the fastest for each element; but
// few rows make so few of them that small ones, of which more fit into a wave,
// are done sooner.
//
// A package has one plan, with its grids, for all of its architectures. So the
// edges are the same for all, and small tiles are taken only where they suit
// each line of GpuTable.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_PRODUCTTILES_H
#define TRANSXSSM_PASSES_TILING_PRODUCTTILES_H

#include "passes/tiling/TileSizes.h"

namespace transxssm {
namespace tiling {

/// Edges of the tiles of a product's result, and how many elements a
/// multiprocessor makes in the time in which it makes one with the largest
/// tiles. Operands pass through shared memory once for every
/// Rows Columns / (Rows + Columns) products: half as often with 64 x 64 as with
/// 128 x 128. The rate is an estimate, for a search to replace.
struct ProductTile {
  int64_t Rows, Columns;
  double Rate;
};
inline constexpr ProductTile LargeProductTile = {128, 128, 1.0};
inline constexpr ProductTile SmallProductTile = {64, 64, 0.7};

/// How long a product takes whose result is cut into so many tiles.
constexpr double timeOfWaves(const GpuSizes &Gpu, const ProductTile &Tile,
                             int64_t Cells) {
  int64_t Waves = (Cells + Gpu.Multiprocessors - 1) / Gpu.Multiprocessors;
  return static_cast<double>(Waves * Tile.Rows * Tile.Columns) / Tile.Rate;
}

/// Up to so many rows of the result small tiles are done at least as soon as
/// large ones on every GPU; 0 where they never are. The arguments are the tiles
/// that one row of tiles has.
constexpr int64_t smallTileRows(int64_t SmallColumns, int64_t LargeColumns) {
  constexpr int64_t Most = 8192; // a bound for the loop: waves are many there
  for (int64_t Rows = SmallProductTile.Rows; Rows <= Most;
       Rows += SmallProductTile.Rows) {
    int64_t Small = Rows / SmallProductTile.Rows * SmallColumns;
    int64_t Large = (Rows + LargeProductTile.Rows - 1) / LargeProductTile.Rows *
                    LargeColumns;
    for (const GpuSizes &Gpu : GpuTable)
      if (timeOfWaves(Gpu, SmallProductTile, Small) >
          timeOfWaves(Gpu, LargeProductTile, Large))
        return Rows - SmallProductTile.Rows;
  }
  return Most;
}

// 1,024 columns: on 108 multiprocessors two waves of small tiles, up to 832
// rows, are faster than one of large tiles, and three are not. 32,768 columns
// keep every device busy from 65 rows on.
static_assert(smallTileRows(16, 8) == 832);
static_assert(smallTileRows(512, 256) == 64);

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_PRODUCTTILES_H
