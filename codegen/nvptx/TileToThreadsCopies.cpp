//===- TileToThreadsCopies.cpp - Tile kernels to threads: async copies ----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A loaded tile that operations read from shared memory goes there by cp.async,
// sixteen bytes a thread, without passing through registers. It is waited for
// where it is read first.
//
// In a loop whose loads depend on nothing but its variable, the tiles of the
// next iterations are under way while those of this one are multiplied. They
// lie in a ring of S stages:
//
//   copy stages 0 .. S - 2, a group each
//   for i:
//     wait until at most S - 2 groups are under way     (stage i has landed)
//     barrier           (for all threads; and all are done with stage i - 1)
//     copy stage i + S - 1 into the place of stage i - 1, a group
//     use stage i mod S
//
// Past the end nothing is copied, but the empty group keeps the count right.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"
#include "codegen/nvptx/WgmmaOps.h"
#include "codegen/x86/IndexFacts.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace transxssm::nvptx {

/// What cp.async.cg copies at once.
constexpr int64_t CopyBytes = 16;
/// Bytes of a loop's ring, so that two blocks fit beside each other on sm_80;
/// bytes of one that has only two stages; and the most stages: one more would
/// hide more latency than loads have.
constexpr int64_t RingBytes = 72 * 1024, MostRingBytes = 112 * 1024;
constexpr int64_t MostStages = 4;

static int64_t elementsPerCopy(tile::LoadOp Load) {
  return CopyBytes * 8 /
         tileType(Load.getResult()).getElementType().getIntOrFloatBitWidth();
}

//===----------------------------------------------------------------------===//
// What can be copied
//===----------------------------------------------------------------------===//

bool ThreadLowering::canCopy(tile::LoadOp Load) {
  Value Result = Load.getResult();
  if (!isTile(Result) || tileType(Result).getRank() != 2 ||
      Layouts.isShared(Result) == Layouts.isOperand(Result))
    return false;
  Type Element = tileType(Result).getElementType();
  auto Memory = cast<MemRefType>(Load.getMemory().getType());
  if ((!Element.isF32() && !Element.isBF16()) ||
      Memories[Load.getMemory()].Hazard >= 0)
    return false;
  int64_t Last = Load.getDimensions().back();
  int64_t Columns = tileType(Result).getDimSize(1);
  bool Inside = x86::isInBounds(Load.getIndices()[Last], paddedExtent(Columns),
                                Memory.getDimSize(Last));
  int64_t Count = elementsPerCopy(Load);
  return Last + 1 == Memory.getRank() && Columns % Count == 0 &&
         consecutive(Memory, Load.getIndices(), Load.getDimensions()) % Count ==
             0 &&
         (Inside ||
          (!Memory.isDynamicDim(Last) && Memory.getDimSize(Last) % Count == 0));
}

/// The index computations in the loop that the load's place depends on, in
/// order; nothing where it depends on anything else that the loop makes.
static bool addIndexSlice(tile::LoadOp Load, scf::ForOp For,
                          llvm::SetVector<Operation *> &Slice) {
  std::function<bool(Value)> Add = [&](Value V) {
    if (V == For.getInductionVar())
      return true;
    if (V.getParentBlock() != For.getBody())
      return !For->isAncestor(V.getParentBlock()->getParentOp());
    Operation *Op = V.getDefiningOp();
    if (!Op || !isa<arith::ArithDialect>(Op->getDialect()) ||
        isTile(Op->getResult(0)) || !llvm::all_of(Op->getOperands(), Add))
      return false;
    Slice.insert(Op);
    return true;
  };
  return llvm::all_of(Load.getIndices(), Add);
}

/// Loads of the loop that can be a ring, with the computations of their places;
/// the number of stages is 0 without any.
ThreadLowering::Ring ThreadLowering::findRing(scf::ForOp For) {
  Ring R{For, {}, {}, {}, {}, 0, -1, 0};
  bool HasInnerLoop = false;
  For.getBody()->walk([&](scf::ForOp) { HasInnerLoop = true; });
  if (HasInnerLoop || InRing)
    return R;
  bool FeedsProduct = false;
  int64_t Bytes = 0;
  for (auto Load : For.getBody()->getOps<tile::LoadOp>()) {
    llvm::SetVector<Operation *> Slice(R.Slice.begin(), R.Slice.end());
    if (!canCopy(Load) || !addIndexSlice(Load, For, Slice))
      continue;
    R.Slice.assign(Slice.begin(), Slice.end());
    R.Loads.push_back(Load);
    for (Operation *User : Load.getResult().getUsers())
      FeedsProduct |= isa<tile::MmaOp>(User);
    Bytes += sharedElements(copyShape(Load)) *
             tileType(Load.getResult()).getElementTypeBitWidth() / 8;
  }
  if (!FeedsProduct || 2 * Bytes > MostRingBytes)
    return R;
  R.Stages = std::clamp<int64_t>(RingBytes / Bytes, 2, MostStages);
  if (llvm::all_of(R.Loads, [&](tile::LoadOp L) { return canCopyBoxes(L); }))
    R.BoxBytes = Bytes;
  return R;
}

/// How a copied tile lies: as an operand of wgmma, or for everybody.
SharedTile ThreadLowering::copyShape(tile::LoadOp Load) {
  Value Result = Load.getResult();
  if (Layouts.isOperand(Result))
    return operandShape(Layouts.of(Result));
  return shapeOf(Result);
}

void ThreadLowering::setCopy(Value Tile, const SharedTile &To) {
  (To.Swizzled ? OperandTiles : SharedTiles)[Tile] = To;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// Where the rows of an operand of wgmma hold less than their 128 bytes, eight
/// threads copy parts of several rows, and the exchange of places keeps those
/// of neighbouring rows in the same banks: they take rows so far apart that
/// their parts lie beside each other. `Parts` are those of a row, of 16 bytes.
static LinearLayout rowsApart(const LinearLayout &Layout, int64_t Parts) {
  constexpr int64_t Period = 8;
  if (Parts >= Period || Layout.rows() < Period)
    return Layout;
  auto Moved = [&](ArrayRef<Coordinates> Bases) {
    SmallVector<Coordinates> New(Bases);
    for (Coordinates &C : New)
      if (C.Row < Period)
        C.Row = C.Row * Parts < Period ? C.Row * Parts : C.Row * Parts / Period;
    return New;
  };
  return LinearLayout(Layout.rows(), Layout.columns(),
                      Moved(Layout.registerBases()),
                      Moved(Layout.threadBases()));
}

/// Issues the copies of a tile; the loop's variable, if any, has its value in
/// Scalars.
void ThreadLowering::copyToShared(tile::LoadOp Load, const SharedTile &To,
                                  int64_t RingNumber) {
  const LinearLayout &Own = Layouts.of(Load.getResult());
  int64_t Count = elementsPerCopy(Load);
  LinearLayout Layout = LinearLayout::rowMajor(
      Own.rows(), Own.columns(), Layouts.threadBits(), llvm::Log2_64(Count));
  if (To.Swizzled)
    Layout = rowsApart(Layout, Own.columns() / Count);
  Access A = accessOf(Load.getMemory(), Load.getIndices(), Load.getDimensions(),
                      Load.getResult(), Layout);
  Type Element = tileType(Load.getResult()).getElementType();
  Value Pointer = sharedPointer(To);
  Placement P = placement(To, Layout);
  OpBuilder::InsertionGuard Guard(B);
  if (Value Owner = isFirst(Layout.copyMask())) {
    auto If = scf::IfOp::create(B, Owner, /*withElseRegion=*/false);
    If->setAttr(DivergentAttr, B.getUnitAttr());
    B.setInsertionPointToStart(If.thenBlock());
  }
  for (int64_t R = 0; R < Layout.registerCount(); R += Count) {
    Coordinates Place = Layout.ofRegister(R);
    Value Address = LLVM::GEPOp::create(
        B, Pointer.getType(), Element, Pointer,
        ArrayRef<LLVM::GEPArg>{
            arith::IndexCastOp::create(B, B.getI64Type(), placeOf(To, P, Place))
                .getResult()});
    Operation *Copy =
        copyAsync(B, Element, Address, A.Memory->Pointer, addressOf(A, Place),
                  predicateOf(A, Place, /*Inside=*/false));
    Copy->setAttr(GroupAttr, B.getI64IntegerAttr(Group));
    Copy->setAttr(CopyAttr, B.getUnitAttr());
    if (RingNumber >= 0)
      Copy->setAttr(RingAttr, B.getI64IntegerAttr(RingNumber));
  }
}

void ThreadLowering::lowerCopy(tile::LoadOp Load) {
  SharedTile To = copyShape(Load);
  To.Buffer = allocateElements(To, tileType(Load.getResult()).getElementType());
  copyToShared(Load, To, /*RingNumber=*/-1);
  commitCopies(B);
  setCopy(Load.getResult(), To);
  UnderWay.push_back(Load.getResult());
}

/// Before a tile is read: its copy, and those issued before, have landed.
void ThreadLowering::awaitCopy(Value Tile) {
  auto *Found = llvm::find(UnderWay, Tile);
  if (Found == UnderWay.end())
    return;
  waitForCopies(B, UnderWay.end() - Found - 1);
  if (std::any_of(UnderWay.begin(), Found + 1,
                  [&](Value Landed) { return OperandTiles.contains(Landed); }))
    fenceProxy(B);
  UnderWay.erase(UnderWay.begin(), Found + 1);
}

/// Where control flow begins or ends, what is under way is not kept track of.
void ThreadLowering::awaitCopies() {
  if (!UnderWay.empty())
    awaitCopy(UnderWay.back());
}

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

/// The tile of a load in the stage of this number.
SharedTile ThreadLowering::inStage(const Ring &R, size_t Load, Value Stage) {
  SharedTile Tile = R.Tiles[Load];
  Tile.Shift = multiply(Stage, sharedElements(Tile));
  return Tile;
}

/// Copies what iteration `Iteration` (a value of the loop's variable) loads, if
/// there is one, as a group.
void ThreadLowering::copyStage(const Ring &R, Value Iteration, Value Stage) {
  scf::ForOp For = R.For;
  ++Group;
  Value Copies = isBelow(Iteration, scalar(For.getUpperBound()));
  auto If = scf::IfOp::create(B, Copies, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(If.thenBlock());
    IRMapping Outside = Scalars;
    Scalars.map(For.getInductionVar(), Iteration);
    for (Operation *Op : R.Slice)
      B.clone(*Op, Scalars);
    for (auto [Number, Load] : llvm::enumerate(R.Loads))
      copyToShared(Load, inStage(R, Number, Stage), R.Number);
    Scalars = std::move(Outside);
  }
  commitCopies(B);
}

/// Makes the ring before its loop, and starts the first copies.
void ThreadLowering::startRing(Ring &R) {
  R.Number = NextRing++;
  for (tile::LoadOp Load : R.Loads) {
    SharedTile Tile = copyShape(Load);
    Tile.Buffer = allocateElements(
        Tile, tileType(Load.getResult()).getElementType(), R.Stages);
    Tile.Ring = R.Number;
    R.Tiles.push_back(Tile);
  }
  // The loop may have run before.
  if (R.For->getParentOfType<scf::ForOp>() || !GridExtents.empty())
    blockBarrier();
  Value Iteration = scalar(R.For.getLowerBound());
  Value Step = scalar(R.For.getStep());
  for (int64_t Stage = 0; Stage + 1 < R.Stages; ++Stage) {
    copyStage(R, Iteration, index(Stage));
    Iteration = add(Iteration, Step);
  }
}

/// At the start of an iteration that uses a stage; returns the next stage.
Value ThreadLowering::advanceRing(const Ring &R, Value Iteration, Value Stage) {
  scf::ForOp For = R.For;
  waitForCopies(B, R.Stages - 2);
  if (llvm::any_of(R.Tiles, [](const SharedTile &T) { return T.Swizzled; }))
    fenceProxy(B);
  blockBarrier();
  Value Ahead = add(Iteration, multiply(scalar(For.getStep()), R.Stages - 1));
  auto Next = [&](int64_t Distance) -> Value {
    Value Sum = add(Stage, Distance);
    Value Wrapped = add(Stage, Distance - R.Stages);
    return arith::SelectOp::create(B, isBelow(Sum, index(R.Stages)), Sum,
                                   Wrapped);
  };
  copyStage(R, Ahead, Next(R.Stages - 1));
  for (auto [Number, Load] : llvm::enumerate(R.Loads))
    setCopy(Load->getResult(0), inStage(R, Number, Stage));
  return Next(1);
}

} // namespace transxssm::nvptx
