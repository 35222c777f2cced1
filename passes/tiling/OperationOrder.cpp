//===- OperationOrder.cpp - One order for the operations of a kernel ------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/OperationOrder.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace transxssm;

/// Whether the operation keeps its place. Reads move: nothing between two
/// operations that stay writes.
static bool stays(Operation *Op) {
  return Op->getNumRegions() > 0 || Op->hasTrait<OpTrait::IsTerminator>() ||
         !(isMemoryEffectFree(Op) || hasSingleEffect<MemoryEffects::Read>(Op));
}

/// How many elements have to be kept from this operation on. Constants are made
/// again where they are used, and so are vectors that are repeated.
static int64_t heldBy(Operation *Op) {
  if (isa<arith::ConstantOp, tile::IotaOp>(Op))
    return 0;
  if (auto Broadcast = dyn_cast<tile::BroadcastOp>(Op)) {
    Operation *Repeated = Broadcast.getValue().getDefiningOp();
    return Repeated ? heldBy(Repeated) : 0;
  }
  int64_t Elements = 0;
  for (Type Result : Op->getResultTypes()) {
    auto Tile = dyn_cast<RankedTensorType>(Result);
    Elements += Tile ? Tile.getNumElements() : 1;
  }
  return Elements;
}

namespace {
/// Numbers the operations of one block, operands before what uses them. Of
/// several operands first the one for which most has to be held beyond its
/// result, in their order where that is equal: as Sethi and Ullman, "The
/// generation of optimal code for arithmetic expressions", JACM 1970.
class Search {
public:
  explicit Search(Block &Body) : Body(Body) {}

  void visit(Operation *Op) {
    if (Ranks.contains(Op))
      return;
    for (Operation *Definition : definitions(Op))
      visit(Definition);
    Ranks.try_emplace(Op, Ranks.size());
  }

  bool reached(Operation *Op) const { return Ranks.contains(Op); }
  unsigned rank(Operation *Op) const { return Ranks.lookup(Op); }

private:
  /// What in this block the operation and those in its regions use.
  SmallVector<Operation *> definitions(Operation *Op);
  /// Elements held at most while the operation and what it uses are computed.
  int64_t need(Operation *Op);

  Block &Body;
  llvm::DenseMap<Operation *, unsigned> Ranks;
  llvm::DenseMap<Operation *, int64_t> Needs;
};
} // namespace

SmallVector<Operation *> Search::definitions(Operation *Op) {
  llvm::SetVector<Operation *> Used;
  Op->walk<WalkOrder::PreOrder>([&](Operation *Inner) {
    for (Value Operand : Inner->getOperands())
      if (Operation *Definition = Operand.getDefiningOp())
        if (Operation *Here = Body.findAncestorOpInBlock(*Definition))
          if (Here != Op)
            Used.insert(Here);
  });
  SmallVector<std::pair<int64_t, unsigned>> Keys;
  for (auto [Number, Definition] : llvm::enumerate(Used))
    Keys.push_back({heldBy(Definition) - need(Definition), Number});
  llvm::sort(Keys);
  SmallVector<Operation *> Sorted;
  for (auto [Excess, Number] : Keys)
    Sorted.push_back(Used[Number]);
  return Sorted;
}

int64_t Search::need(Operation *Op) {
  auto Known = Needs.find(Op);
  if (Known != Needs.end())
    return Known->second;
  int64_t Held = 0, Most = 0;
  for (Operation *Definition : definitions(Op)) {
    Most = std::max(Most, Held + need(Definition));
    Held += heldBy(Definition);
  }
  return Needs[Op] = std::max(Most, Held + heldBy(Op));
}

void tiling::orderOperations(Block &Body) {
  Search Order(Body);
  for (Operation &Op : Body) {
    for (Region &R : Op.getRegions())
      for (Block &Inner : R)
        orderOperations(Inner);
    if (stays(&Op))
      Order.visit(&Op);
  }
  for (Operation &Op : llvm::make_early_inc_range(llvm::reverse(Body)))
    if (!Order.reached(&Op))
      Op.erase();

  SmallVector<Operation *> Gap;
  for (Operation &Op : llvm::make_early_inc_range(Body)) {
    if (!stays(&Op)) {
      Gap.push_back(&Op);
      continue;
    }
    llvm::sort(Gap, [&](Operation *A, Operation *B) {
      return Order.rank(A) < Order.rank(B);
    });
    for (Operation *Moved : Gap)
      Moved->moveBefore(&Op);
    Gap.clear();
  }
}
