//===- TileToLoopsRange.cpp - Tile kernels to vector loops: cells in a row ===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A call of a kernel runs a range of cells that differ in their innermost grid
// coordinate only. Where the rhs of a product does not depend on it, the first
// cell of the range packs it and the others find it packed: weights are packed
// once for all rows of the input that a thread multiplies them with, keys once
// for all of its tiles of queries.
//
// Such an operand may depend on the variable of one loop, the one over the
// inner dimension: then its packed form has a slot for every step. A mark for
// each slot says whether it is filled, since a cell may run fewer steps than
// another or none at all.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/IndexFacts.h"
#include "codegen/x86/KernelLowering.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace transxssm::x86 {

// What is kept of one operand: 512 columns of 4,096 rows.
static constexpr int64_t KeptBytes = (8 << 20) + (1 << 18);
// Marks are cleared for every range.
static constexpr int64_t MostSlots = 64;

/// How often a loop runs, if that is known.
static std::optional<int64_t> tripCount(scf::ForOp For) {
  auto Low = constantOf(For.getLowerBound());
  auto High = constantOf(For.getUpperBound());
  auto Step = constantOf(For.getStep());
  if (!Low || !High || !Step || *Step <= 0 || *High <= *Low)
    return std::nullopt;
  return (*High - *Low + *Step - 1) / *Step;
}

/// Whether the variable is a multiple of the step: cells of a range may begin
/// at different ones.
static bool stepsFromZero(scf::ForOp For) {
  auto Step = constantOf(For.getStep());
  IndexFacts Low = computeIndexFacts(For.getLowerBound());
  return Step && *Step > 0 && Low.Known && Low.Maximum == 0 &&
         Low.Multiple % *Step == 0;
}

bool KernelLowering::isStored(Value Memory) {
  WalkResult Walked = Kernel.walk([&](tile::StoreOp Store) {
    return Store.getMemory() == Memory ? WalkResult::interrupt()
                                       : WalkResult::advance();
  });
  return Walked.wasInterrupted();
}

/// Whether every cell of a range computes the same value, for the same variable
/// of `Loop` if that is set, which it is when the value depends on a loop.
/// Memory that another argument names is not written meanwhile: no cell reads
/// what another one writes (kernel_abi.h).
bool KernelLowering::isSameInRange(Value V, llvm::DenseSet<Value> &Seen,
                                   scf::ForOp &Loop) {
  if (!Seen.insert(V).second)
    return true;
  if (auto Argument = dyn_cast<BlockArgument>(V)) {
    if (Argument.getOwner() == &Kernel.getBody().front())
      return Argument != Kernel.getGridArguments().front();
    auto For = dyn_cast<scf::ForOp>(Argument.getOwner()->getParentOp());
    if (!For || Argument != For.getInductionVar() || (Loop && Loop != For) ||
        !stepsFromZero(For))
      return false;
    Loop = For;
    return true;
  }
  Operation *Op = V.getDefiningOp();
  if (auto Load = dyn_cast<tile::LoadOp>(Op)) {
    if (isStored(Load.getMemory()))
      return false;
  } else if (auto Gather = dyn_cast<tile::GatherOp>(Op)) {
    if (isStored(Gather.getMemory()))
      return false;
  } else if (Op->getNumRegions() != 0 || !isMemoryEffectFree(Op)) {
    return false;
  }
  return llvm::all_of(Op->getOperands(), [&](Value Operand) {
    return isSameInRange(Operand, Seen, Loop);
  });
}

Value KernelLowering::mark(bool Filled) {
  return arith::ConstantIntOp::create(B, B.getI32Type(), Filled ? 1 : 0);
}

/// So many zeros, made before the first cell.
Value KernelLowering::allocateMarks(int64_t Count) {
  Value Marks = allocate({Count}, B.getI32Type());
  forEachIndex(index(0), index(Count), 1, [&](Value I) {
    memref::StoreOp::create(B, mark(false), Marks, I);
  });
  return Marks;
}

/// A place for the panels of a product's rhs, each of the given type, if cells
/// of a range share them; nothing otherwise.
std::optional<KernelLowering::KeptPanels>
KernelLowering::keepPanels(tile::MmaOp Mma, MemRefType Panels) {
  ArrayRef<int64_t> Shape = Panels.getShape();
  llvm::DenseSet<Value> Seen;
  scf::ForOp Loop;
  if (!isSameInRange(Mma.getRhs(), Seen, Loop))
    return std::nullopt;
  // Nothing is packed from where on the lhs is zero.
  if (tile::LoadOp Lhs = loadBehind(Mma.getLhs());
      Lhs && Lhs.getDimensions().size() == 2) {
    int64_t Inner = Lhs.getDimensions()[Mma.getTransposeLhs() ? 0 : 1];
    if (!isSameInRange(Lhs.getIndices()[Inner], Seen, Loop))
      return std::nullopt;
  }
  int64_t Slots =
      std::min(MostSlots, KeptBytes / (4 * Panels.getNumElements()));
  std::optional<int64_t> Steps = Loop ? tripCount(Loop) : 1;
  bool Fits = Steps && *Steps <= Slots;
  Slots = Fits ? *Steps : Slots - 1;
  if (Slots < 1)
    return std::nullopt;
  KeptPanels Kept;
  Value Spare;
  {
    // A cell that is alone in its range packs every step in the same place,
    // which stays in the caches; so do steps for which there is no slot.
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPoint(Range);
    int64_t Count = Fits ? Slots : Slots + 1;
    Kept.Place.Buffer = allocate({Count * Shape[0], Shape[1], Shape[2]},
                                 Panels.getElementType());
    Kept.Marks = allocateMarks(Count);
    Value IsShared = arith::CmpIOp::create(B, arith::CmpIPredicate::slt,
                                           add(Range.getLowerBound(), 1),
                                           Range.getUpperBound());
    Spare = arith::SelectOp::create(B, IsShared, index(Slots), index(0));
  }
  Value Step = index(0);
  if (Loop)
    Step = B.createOrFold<arith::DivUIOp>(mapped(Loop.getInductionVar()),
                                          mapped(Loop.getStep()));
  Kept.Slot = B.createOrFold<arith::MinUIOp>(Step, Spare);
  Value IsSpare =
      arith::CmpIOp::create(B, arith::CmpIPredicate::eq, Kept.Slot, Spare);
  Value IsEmpty = arith::CmpIOp::create(
      B, arith::CmpIPredicate::eq,
      memref::LoadOp::create(B, Kept.Marks, Kept.Slot), mark(false));
  Kept.Missing = arith::OrIOp::create(B, IsSpare, IsEmpty);
  Kept.Place.First = multiply(Kept.Slot, Shape[0]);
  return Kept;
}

} // namespace transxssm::x86
