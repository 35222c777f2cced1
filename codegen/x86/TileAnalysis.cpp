//===- TileAnalysis.cpp - Which tiles live in memory ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/TileAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <algorithm>

using namespace mlir;

namespace transxssm::x86 {

// In vector operations; a transcendental function is about 20.
static constexpr int64_t MathCost = 20, DivisionCost = 5, MaximumCost = 1000;
// Recomputing is cheaper than a buffer up to here.
static constexpr int64_t CheapCost = 8, CheapLoopCost = 3;
// Elements of a step of a flat walk, at least.
static constexpr int64_t FlatStep = 256;

bool isVirtualizable(Operation *Op) {
  if (Op->getNumResults() != 1 || !isTile(Op->getResult(0)))
    return false;
  return isa<tile::LoadOp, tile::GatherOp, tile::BroadcastOp, tile::IotaOp,
             tile::RopeOp, arith::ConstantOp>(Op) ||
         (Op->getNumRegions() == 0 &&
          OpTrait::hasElementwiseMappableTraits(Op));
}

static bool isUnitStride(Value Memory, ArrayRef<int64_t> Dimensions) {
  return !Dimensions.empty() &&
         Dimensions.back() == cast<MemRefType>(Memory.getType()).getRank() - 1;
}

bool isUnitStride(tile::LoadOp Load) {
  return isUnitStride(Load.getMemory(), Load.getDimensions());
}

bool isUnitStride(tile::StoreOp Store) {
  return isUnitStride(Store.getMemory(), Store.getDimensions());
}

bool isFlatStep(RankedTensorType Tile) {
  return Tile.getRank() == 1 && Tile.getDimSize(0) >= FlatStep;
}

bool isFlatStore(tile::StoreOp Store) {
  auto Tile = dyn_cast<RankedTensorType>(Store.getValue().getType());
  return Tile && isFlatStep(Tile) && isUnitStride(Store);
}

TileAnalysis::TileAnalysis(tile::KernelOp Kernel) : Kernel(Kernel) {
  SmallVector<Operation *> Order;
  Kernel.walk([&](Block *Block) { groupStores(*Block); });
  Kernel.walk<WalkOrder::PreOrder>([&](Operation *Op) {
    Positions[Op] = Order.size();
    Order.push_back(Op);
    if (auto Store = dyn_cast<tile::StoreOp>(Op))
      Stores.push_back(Store);
    for (Region &R : Op->getRegions())
      for (BlockArgument Argument : R.getArguments())
        if (isTile(Argument))
          Materialised.insert(Argument);
    for (Value Result : Op->getResults())
      if (isTile(Result) && !isVirtualizable(Op))
        Materialised.insert(Result);
  });
  // Consumers first: the points of a value depend on which of its users have
  // loops of their own.
  for (Operation *Op : llvm::reverse(Order))
    if (isVirtualizable(Op) &&
        (mustMaterialise(Op) || isWorthMaterialising(Op)))
      Materialised.insert(Op->getResult(0));
}

/// The memory that is read by an operation without a loop of its own.
static Value memoryRead(Operation *Op) {
  if (auto Load = dyn_cast<tile::LoadOp>(Op))
    return Load.getMemory();
  if (auto Gather = dyn_cast<tile::GatherOp>(Op))
    return Gather.getMemory();
  return {};
}

static bool canJoin(tile::StoreOp Store, ArrayRef<tile::StoreOp> Group) {
  auto SizeOf = [](tile::StoreOp Store) {
    return cast<RankedTensorType>(Store.getValue().getType()).getDimSize(0);
  };
  return llvm::none_of(Group, [&](tile::StoreOp Other) {
    return Other.getMemory() == Store.getMemory() ||
           SizeOf(Other) != SizeOf(Store);
  });
}

/// Stores share a nest when nothing between them has a loop of its own or reads
/// what one of them writes.
void TileAnalysis::groupStores(Block &Block) {
  bool IsOpen = false;
  for (Operation &Op : Block) {
    if (auto Store = dyn_cast<tile::StoreOp>(Op)) {
      bool IsFlat = isFlatStore(Store);
      if (!IsOpen || !IsFlat || !canJoin(Store, StoreGroups.back()))
        StoreGroups.emplace_back();
      StoreGroups.back().push_back(Store);
      GroupOf[Store] = StoreGroups.size() - 1;
      IsOpen = IsFlat;
      continue;
    }
    if (!IsOpen)
      continue;
    Value Memory = memoryRead(&Op);
    IsOpen = Memory ? llvm::none_of(StoreGroups.back(),
                                    [&](tile::StoreOp Store) {
                                      return Store.getMemory() == Memory;
                                    })
                    : isVirtualizable(&Op) ||
                          (Op.getNumRegions() == 0 && isMemoryEffectFree(&Op) &&
                           llvm::none_of(Op.getOperands(), isTile));
  }
}

/// Where an operation is lowered.
Operation *TileAnalysis::placeOf(Operation *Op) const {
  auto Store = dyn_cast<tile::StoreOp>(Op);
  if (!Store)
    return Op;
  tile::StoreOp Last = storesWith(Store).back();
  return Last;
}

const TileAnalysis::Points &TileAnalysis::points(Value Tile) {
  auto Known = PointsOf.find(Tile);
  if (Known != PointsOf.end())
    return Known->second;
  Points Result;
  for (Operation *User : Tile.getUsers()) {
    if (isVirtualizable(User) && !isMaterialised(User->getResult(0))) {
      const Points &Theirs = points(User->getResult(0));
      Result.insert(Theirs.begin(), Theirs.end());
    } else {
      Result.insert(placeOf(User));
    }
  }
  return PointsOf[Tile] = std::move(Result);
}

/// Of one element, its operands' aside.
static int64_t ownCost(Operation *Op) {
  if (isa<arith::ConstantOp, tile::IotaOp, tile::BroadcastOp>(Op))
    return 0;
  if (isa<tile::RopeOp>(Op))
    return 4;
  if (isa<arith::DivFOp, math::SqrtOp, math::RsqrtOp, arith::DivSIOp,
          arith::DivUIOp, arith::RemSIOp, arith::RemUIOp>(Op))
    return DivisionCost;
  if (isa<math::MathDialect>(Op->getDialect()) &&
      !isa<math::FmaOp, math::AbsFOp, math::FloorOp, math::CeilOp,
           math::RoundEvenOp>(Op))
    return MathCost;
  return 1;
}

int64_t TileAnalysis::operandCost(Operation *Op) {
  int64_t Cost = 0;
  for (Value Operand : Op->getOperands())
    Cost = std::min(MaximumCost, Cost + cost(Operand));
  // The rotation reads each element of its operand twice.
  if (auto Rope = dyn_cast<tile::RopeOp>(Op))
    Cost = std::min(MaximumCost, Cost + cost(Rope.getValue()));
  return Cost;
}

int64_t TileAnalysis::cost(Value Tile) {
  if (!isTile(Tile))
    return 0;
  if (isMaterialised(Tile))
    return 1;
  auto Known = Costs.find(Tile);
  if (Known != Costs.end())
    return Known->second;
  Operation *Op = Tile.getDefiningOp();
  return Costs[Tile] = std::min(MaximumCost, ownCost(Op) + operandCost(Op));
}

bool TileAnalysis::isLongChain(Value Tile) {
  Operation *Op = Tile.getDefiningOp();
  return Op && isVirtualizable(Op) && ownCost(Op) + operandCost(Op) >= MathCost;
}

/// Whether a loop around `Inner` leaves `Outer` outside.
static bool isInDeeperLoop(Operation *Inner, Operation *Outer) {
  for (Operation *P = Inner->getParentOp(); P; P = P->getParentOp())
    if (isa<scf::ForOp>(P) && !P->isAncestor(Outer))
      return true;
  return false;
}

/// Whether some loop that leaves `Outer` outside holds both `A` and `B`.
static bool shareDeeperLoop(Operation *A, Operation *B, Operation *Outer) {
  for (Operation *P = A->getParentOp(); P; P = P->getParentOp())
    if (isa<scf::ForOp>(P) && !P->isAncestor(Outer) && P->isAncestor(B))
      return true;
  return false;
}

/// Whether the nest that makes a store would read, for another of the elements
/// that it writes, one that it has written: reading the element that is about
/// to be written is fine.
bool TileAnalysis::conflictsWithin(Operation *Load, tile::StoreOp Store) {
  auto Tile = dyn_cast<tile::LoadOp>(Load);
  if (!Tile || Tile.getDimensions() != Store.getDimensions() ||
      !llvm::equal(Tile.getIndices(), Store.getIndices()))
    return true;
  return llvm::any_of(storesWith(Store), [&](tile::StoreOp Other) {
    return reads(Other.getValue(), Load->getResult(0), true);
  });
}

/// Whether a load expanded at its points would see a later store.
bool TileAnalysis::hasConflict(Operation *Load, Value Memory) {
  for (tile::StoreOp Store : Stores) {
    if (Store.getMemory() != Memory)
      continue;
    Operation *Place = placeOf(Store);
    for (Operation *Point : points(Load->getResult(0))) {
      if (shareDeeperLoop(Place, Point, Load))
        return true;
      if (Place == Point) {
        if (conflictsWithin(Load, Store))
          return true;
      } else if (position(Load) < position(Place) &&
                 position(Place) < position(Point)) {
        return true;
      }
    }
  }
  return false;
}

bool TileAnalysis::mustMaterialise(Operation *Op) {
  if (auto Load = dyn_cast<tile::LoadOp>(Op))
    return !isUnitStride(Load) || hasConflict(Op, Load.getMemory());
  if (auto Gather = dyn_cast<tile::GatherOp>(Op))
    return hasConflict(Op, Gather.getMemory());
  if (auto Constant = dyn_cast<arith::ConstantOp>(Op))
    return !cast<DenseElementsAttr>(Constant.getValue()).isSplat();
  return false;
}

bool TileAnalysis::isWorthMaterialising(Operation *Op) {
  Value Tile = Op->getResult(0);
  int64_t Cost = cost(Tile);
  const Points &Readers = points(Tile);
  if (Readers.size() > 1 && Cost > CheapCost)
    return true;
  if (Cost > CheapLoopCost && llvm::any_of(Readers, [&](Operation *Reader) {
        return isInDeeperLoop(Reader, Op);
      }))
    return true;
  int64_t Rank = cast<RankedTensorType>(Tile.getType()).getRank();
  for (Operation *User : Tile.getUsers()) {
    // A column is read one scalar a row: compute it as a vector before.
    if (auto Broadcast = dyn_cast<tile::BroadcastOp>(User))
      if (Rank == 1 && Broadcast.getDimensions()[0] == 0 && Cost > 2 &&
          cast<RankedTensorType>(Broadcast.getType()).getRank() == 2)
        return true;
    // The rotation reads every element twice, its tables once per head.
    if (isa<tile::RopeOp>(User) && Cost > CheapCost)
      return true;
  }
  return false;
}

bool TileAnalysis::reads(Value Root, Value Tile, bool OnlyElsewhere) const {
  llvm::DenseSet<std::pair<Value, int>> Seen;
  SmallVector<std::pair<Value, bool>> Work{{Root, false}};
  while (!Work.empty()) {
    auto [V, Elsewhere] = Work.pop_back_val();
    if (!isTile(V) || !Seen.insert({V, int(Elsewhere)}).second)
      continue;
    if (V == Tile && (Elsewhere || !OnlyElsewhere))
      return true;
    if (V != Root && isMaterialised(V))
      continue;
    Operation *Op = V.getDefiningOp();
    if (!Op || !isVirtualizable(Op))
      continue;
    bool Moves = isa<tile::BroadcastOp, tile::RopeOp, tile::GatherOp>(Op);
    for (Value Operand : Op->getOperands())
      Work.push_back({Operand, Elsewhere || Moves});
  }
  return false;
}

} // namespace transxssm::x86
