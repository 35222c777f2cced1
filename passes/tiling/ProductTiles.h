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

#include <iterator>
#include <string_view>

namespace transxssm {
namespace tiling {

/// Edges of the tiles of a product's result.
struct ProductTile {
  int64_t Rows, Columns;
};
inline constexpr ProductTile LargeProductTile = {128, 128};
inline constexpr ProductTile SmallProductTile = {64, 64};

/// Above so many rows there are many waves of either tiles on every GPU, and
/// large ones are done first.
inline constexpr int64_t MostSmallTileRows = 8192;

/// How long a product takes whose result is cut into so many tiles; `Rate` is
/// how many elements a multiprocessor makes in the time in which it makes one
/// with the largest tiles (GpuRates.inc).
constexpr double timeOfWaves(const GpuSizes &Gpu, const ProductTile &Tile,
                             double Rate, int64_t Cells) {
  int64_t Waves = (Cells + Gpu.Multiprocessors - 1) / Gpu.Multiprocessors;
  return static_cast<double>(Waves * Tile.Rows * Tile.Columns) / Rate;
}

/// Up to so many rows of the result small tiles are done at least as soon as
/// large ones on every GPU of the table; 0 where they never are. The other
/// arguments are the tiles that one row of tiles has.
template <size_t Lines>
constexpr int64_t smallTileRows(const GpuSizes (&Table)[Lines],
                                int64_t SmallColumns, int64_t LargeColumns) {
  for (int64_t Rows = SmallProductTile.Rows; Rows <= MostSmallTileRows;
       Rows += SmallProductTile.Rows) {
    int64_t Small = Rows / SmallProductTile.Rows * SmallColumns;
    int64_t Large = (Rows + LargeProductTile.Rows - 1) / LargeProductTile.Rows *
                    LargeColumns;
    for (const GpuSizes &Gpu : Table)
      if (timeOfWaves(Gpu, SmallProductTile, Gpu.SmallTileRate, Small) >
          timeOfWaves(Gpu, LargeProductTile, 1, Large))
        return Rows - SmallProductTile.Rows;
  }
  return MostSmallTileRows;
}

constexpr int64_t smallTileRows(int64_t SmallColumns, int64_t LargeColumns) {
  return smallTileRows(GpuTable, SmallColumns, LargeColumns);
}

/// What is asserted below holds whatever the table is filled with.
namespace example {
inline constexpr GpuSizes Same[] = {{"", 108, 0.7, ""}, {"", 132, 0.7, ""}};
inline constexpr GpuSizes OneSlow[] = {{"", 108, 0.7, ""}, {"", 132, 0.4, ""}};
} // namespace example

// 1,024 columns: on 108 multiprocessors two waves of small tiles, up to 832
// rows, are faster than one of large tiles, and three are not. 32,768 columns
// keep every device busy from 65 rows on.
static_assert(smallTileRows(example::Same, 16, 8) == 832);
static_assert(smallTileRows(example::Same, 512, 256) == 64);
// Every line has to be suited: at 0.4, on 132 multiprocessors, two waves are
// too long, and one has up to 512 rows.
static_assert(smallTileRows(example::OneSlow, 16, 8) == 512);

/// Rates are positive, and an architecture has one line.
constexpr bool isSound(const GpuSizes *Begin, const GpuSizes *End) {
  for (const GpuSizes *Line = Begin; Line != End; ++Line) {
    if (Line->Multiprocessors < 1 || !(Line->SmallTileRate > 0))
      return false;
    for (const GpuSizes *Other = Begin; Other != Line; ++Other)
      if (std::string_view(Other->Name) == Line->Name)
        return false;
  }
  return Begin != End;
}
static_assert(isSound(std::begin(GpuTable), std::end(GpuTable)));

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_PRODUCTTILES_H
