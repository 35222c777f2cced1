//===- TileAnalysis.h - Which tiles live in memory ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A tile is either *virtual*, an expression that its consumers expand inside
// their own loops, or *materialised* in a scratch buffer. Chains of elementwise
// operations thereby become one loop nest with one vector per step, which
// matters: written one by one, a chain is bound by the L1 cache.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_X86_TILEANALYSIS_H
#define TRANSXSSM_CODEGEN_X86_TILEANALYSIS_H

#include "dialect/tile/TileDialect.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace transxssm::x86 {

inline bool isTile(mlir::Value V) {
  return mlir::isa<mlir::RankedTensorType>(V.getType());
}

/// Whether the operation's tile could be computed element by element wherever
/// it is needed.
bool isVirtualizable(mlir::Operation *Op);

/// Whether consecutive columns of a load or store are consecutive in memory.
bool isUnitStride(tile::LoadOp Load);
bool isUnitStride(tile::StoreOp Store);

/// Whether a tile is a step of a walk over flat memory, most of which lies far
/// from the memory's end.
bool isFlatStep(mlir::RankedTensorType Tile);
bool isFlatStore(tile::StoreOp Store);

class TileAnalysis {
public:
  using Points = llvm::SmallSetVector<mlir::Operation *, 4>;

  explicit TileAnalysis(tile::KernelOp Kernel);

  /// Whether the tile has a buffer.
  bool isMaterialised(mlir::Value Tile) const {
    return Materialised.contains(Tile);
  }

  /// The operations whose loops read the tile, directly or through the virtual
  /// tiles made from it.
  const Points &points(mlir::Value Tile);

  /// Whether an element takes a transcendental function, or as long a chain of
  /// other operations, to compute.
  bool isLongChain(mlir::Value Tile);

  /// Position in program order.
  int64_t position(mlir::Operation *Op) const { return Positions.lookup(Op); }

  /// The stores that one nest makes, all at the place of the last: those of a
  /// step of a flat walk, such as moments and parameters.
  llvm::ArrayRef<tile::StoreOp> storesWith(tile::StoreOp Store) const {
    return StoreGroups[GroupOf.lookup(Store)];
  }

  /// Whether expanding `Root` reads `Tile`'s buffer; `OnlyElsewhere` leaves
  /// out the reads of the very element that is being computed.
  bool reads(mlir::Value Root, mlir::Value Tile, bool OnlyElsewhere) const;

private:
  void groupStores(mlir::Block &Block);
  mlir::Operation *placeOf(mlir::Operation *Op) const;
  bool mustMaterialise(mlir::Operation *Op);
  bool isWorthMaterialising(mlir::Operation *Op);
  bool hasConflict(mlir::Operation *Load, mlir::Value Memory);
  bool conflictsWithin(mlir::Operation *Load, tile::StoreOp Store);
  int64_t cost(mlir::Value Tile);
  int64_t operandCost(mlir::Operation *Op);

  tile::KernelOp Kernel;
  llvm::DenseSet<mlir::Value> Materialised;
  llvm::DenseMap<mlir::Value, Points> PointsOf;
  llvm::DenseMap<mlir::Value, int64_t> Costs;
  llvm::DenseMap<mlir::Operation *, int64_t> Positions;
  llvm::SmallVector<tile::StoreOp> Stores;
  llvm::SmallVector<llvm::SmallVector<tile::StoreOp>> StoreGroups;
  llvm::DenseMap<mlir::Operation *, unsigned> GroupOf;
};

} // namespace transxssm::x86

#endif // TRANSXSSM_CODEGEN_X86_TILEANALYSIS_H
