//===- TileLayouts.h - The layout of every tile of a kernel ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every tile of rank 2 has the layout of its shape, so that elementwise work
// needs no conversions: that of the accumulators of tensor cores where a
// product of bf16 makes a tile of the shape, else the blocked one. Vector tiles
// that elementwise operations and loops connect share one layout: the rows or
// columns of the matrix that they are reduced from or repeated into, where
// there is one.
//
// What needs an element that another thread holds (a product, a transposition,
// a vector in the layout of another matrix) reads it from a copy of the tile in
// shared memory, made where the tile is.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_TILELAYOUTS_H
#define TRANSXSSM_CODEGEN_NVPTX_TILELAYOUTS_H

#include "codegen/nvptx/GpuTarget.h"
#include "codegen/nvptx/LinearLayout.h"
#include "dialect/tile/TileDialect.h"
#include "llvm/ADT/EquivalenceClasses.h"

namespace transxssm::nvptx {

bool isTile(mlir::Value V);
mlir::RankedTensorType tileType(mlir::Value V);

/// The one value that all elements of a tile have: a scalar that is repeated,
/// or a constant. Such a tile needs no layout.
bool isUniform(mlir::Value V);

/// Whether tensor cores can make the product: bf16 operands, and extents that
/// fill their tiles of 16 x 8 x 16.
bool usesTensorCores(tile::MmaOp Mma);

/// Whether the operation treats corresponding elements alike.
bool isElementwise(mlir::Operation *Op);

/// A register bit and a lane bit of a layout that trade places.
struct LaneExchange {
  unsigned Register, Thread;
};

/// The exchanges after which accesses of at most so many elements of a tile of
/// this layout move whole sectors of 32 bytes, the widest accesses where the
/// thread has as many elements; none where they do so anyway, or cannot. Of
/// rows at odd places, which begin in the middle of sectors, the lanes of a
/// warp take as much of one as they can.
llvm::SmallVector<LaneExchange> exchangesForMemory(const LinearLayout &Layout,
                                                   mlir::Type Element,
                                                   int64_t Widest,
                                                   bool AtOddPlaces = false);

/// Rows of a tile, so far apart, of each of which eight threads of a warp read
/// sixteen bytes at once.
struct RowsAtOnce {
  int64_t Apart, Count;
};

class TileLayouts {
public:
  TileLayouts(tile::KernelOp Kernel, const GpuTarget &Target);

  /// Threads of a block.
  int64_t threads() const { return int64_t(1) << ThreadBits; }
  unsigned threadBits() const { return ThreadBits; }

  const LinearLayout &of(mlir::Value Tile) const;
  /// The layout of the matrices of a shape.
  LinearLayout ofMatrix(int64_t Rows, int64_t Columns) const;

  /// Whether a user needs the tile in shared memory.
  bool isShared(mlir::Value Tile) const { return Shared.contains(Tile); }

  /// Whether four warps make the product together, 64 rows at a time.
  bool usesWgmma(tile::MmaOp Mma) const;
  /// Whether the threads of a warp group hold the rows of the left operand that
  /// they multiply, in the registers that wgmma takes.
  bool leftInRegisters(tile::MmaOp Mma) const;
  /// Whether such a product needs the tile in shared memory, as descriptors
  /// describe it.
  bool isOperand(mlir::Value Tile) const { return Operands.contains(Tile); }

  /// Whether there are accumulators of tensor cores.
  bool hasAccumulators() const { return !TensorCoreShapes.empty(); }
  /// Where products without tensor cores alone read the tile's copy, k along
  /// its rows: how many neighbouring rows a thread reads, else 0.
  int64_t rowsOfFma(mlir::Value Tile) const;
  /// Of each product without tensor cores that reads the tile's copy, k along
  /// its rows: the rows that it reads at once.
  llvm::SmallVector<RowsAtOnce> rowsAtOnce(mlir::Value Tile) const;

  /// The layout in which an operation wants an operand; nothing where it reads
  /// the copy in shared memory or takes any layout.
  std::optional<LinearLayout> wanted(mlir::OpOperand &Operand) const;

  /// Where a thread holds both elements of every pair that a rotary embedding
  /// turns: the layout of the tables that brings it their lines as well.
  std::optional<LinearLayout> ropeTable(tile::RopeOp Rope) const;

  /// Whether threads hold the same elements of both tiles.
  bool transposesInRegisters(tile::TransposeOp Transpose) const;

  /// Whether users read nothing but the copy in shared memory of a loaded tile:
  /// then one of the threads that hold an element is enough to load it.
  bool isReadFromShared(mlir::Value Tile) const;

  /// Whether the operation reads this operand from shared memory, whatever its
  /// layout.
  bool readsSharedCopy(mlir::OpOperand &Operand) const;

private:
  void chooseThreads(tile::KernelOp Kernel);
  void chooseShapes(tile::KernelOp Kernel);
  void connectVectors(tile::KernelOp Kernel);
  std::optional<LinearLayout> ofLoadedOperand(mlir::Value V) const;
  void chooseTransposedLayouts(tile::KernelOp Kernel);
  void chooseVectorLayouts(tile::KernelOp Kernel);
  void findShared(tile::KernelOp Kernel);
  void connect(mlir::Value A, mlir::Value B);
  const LinearLayout &assign(mlir::Value Vector, const LinearLayout &Layout);

  using Shape = std::pair<int64_t, int64_t>;

  GpuTarget Target;
  unsigned ThreadBits = 0;
  /// Padded shapes of what tensor cores make, and of tiles of bf16.
  llvm::DenseSet<Shape> TensorCoreShapes, HalfShapes;
  llvm::EquivalenceClasses<void *> Vectors;
  llvm::DenseMap<mlir::Value, LinearLayout> Layouts;
  llvm::DenseMap<void *, LinearLayout> ClassLayouts;
  llvm::DenseSet<mlir::Value> Shared, Operands;
};

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_TILELAYOUTS_H
