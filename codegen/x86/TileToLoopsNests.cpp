//===- TileToLoopsNests.cpp - Tile kernels to vector loops: nests ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Loop nests over the vectors of a tile: materialisation, stores, reductions,
// running sums and transposition.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/IndexFacts.h"
#include "codegen/x86/KernelLowering.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;

namespace transxssm::x86 {

//===----------------------------------------------------------------------===//
// Nests
//===----------------------------------------------------------------------===//

void KernelLowering::forEachIndex(Value Low, Value High, int64_t Step,
                                  llvm::function_ref<void(Value)> Body) {
  auto First = getConstantIntValue(Low), Last = getConstantIntValue(High);
  if (First && Last && *Last <= *First)
    return;
  if (First && Last && *Last - *First <= Step)
    return Body(Low);
  auto Loop = scf::ForOp::create(B, Low, High, index(Step));
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPoint(Loop.getBody()->getTerminator());
  Body(Loop.getInductionVar());
}

/// The loop that a variable of forEachIndex belongs to; null without one.
Operation *KernelLowering::loopOf(Value Index) {
  auto Variable = dyn_cast<BlockArgument>(Index);
  return Variable ? Variable.getOwner()->getParentOp() : nullptr;
}

/// Visits columns Low .. High - 1, a multiple of `Step`.
void KernelLowering::visitColumns(Value Row, Value Low, Value High,
                                  int64_t Step, Body Body) {
  auto First = getConstantIntValue(Low), Last = getConstantIntValue(High);
  if (First && Last && *Last - *First <= Step) {
    if (*Last <= *First)
      return;
    InScope Scope(*this);
    return Body({Row, Low, Step});
  }
  auto Loop = scf::ForOp::create(B, Low, High, index(Step));
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPoint(Loop.getBody()->getTerminator());
  InScope Scope(*this, Loop);
  Body({Row, Loop.getInductionVar(), Step});
}

/// Visits columns in vectors of `Width`; what is left over is visited in
/// smaller vectors when the number of columns is known, else one by one.
void KernelLowering::forEachColumn(Value Row, Extent Cols, int64_t Width,
                                   Body Body) {
  if (Cols.Limit) {
    Value Whole = subtract(
        Cols.Limit, B.createOrFold<arith::RemUIOp>(Cols.Limit, index(Width)));
    visitColumns(Row, index(0), Whole, Width, Body);
    if (Width > 1)
      visitColumns(Row, Whole, Cols.Limit, 1, Body);
    return;
  }
  Value Low = index(0);
  if (Cols.Inside) {
    llvm::SaveAndRestore Inside(AreColumnsInside, true);
    visitColumns(Row, Low, Cols.Inside, Width, Body);
    Low = Cols.Inside;
  }
  for (int64_t Start = 0; Start < Cols.Size; Width /= 2) {
    int64_t End = Start + (Cols.Size - Start) / Width * Width;
    visitColumns(Row, Start == 0 ? Low : index(Start), index(End), Width, Body);
    Start = End;
  }
}

/// The columns below `Limit` whose vectors lie inside of all memory that tiles
/// of a flat walk are loaded from; null where every one does. Everywhere but at
/// the end of memory, a mask for each vector would be for nothing.
Value KernelLowering::insideColumns(ArrayRef<Value> Tiles, Value Limit,
                                    int64_t Width) {
  Value Inside = Limit;
  llvm::DenseSet<Value> Seen;
  SmallVector<Value> Work(Tiles);
  while (!Work.empty()) {
    Value Tile = Work.pop_back_val();
    if (!isTile(Tile) || !Seen.insert(Tile).second || Buffers.lookup(Tile) ||
        !isFlatStep(cast<RankedTensorType>(Tile.getType())))
      continue;
    Operation *Op = Tile.getDefiningOp();
    llvm::append_range(Work, Op->getOperands());
    if (auto Load = dyn_cast<tile::LoadOp>(Op))
      Inside = smaller(
          Inside,
          limitOn(Load.getMemory(), Load.getIndices(), Load.getDimensions()[0],
                  cast<RankedTensorType>(Tile.getType()).getDimSize(0)));
  }
  if (!Inside)
    return {};
  return subtract(Inside, B.createOrFold<arith::RemUIOp>(Inside, index(Width)));
}

/// The smaller of two limits, null where there is none.
Value KernelLowering::smaller(Value A, Value C) {
  return A && C ? B.createOrFold<arith::MinSIOp>(A, C) : A ? A : C;
}

/// How many of `Size` elements along a dimension of memory there are, from the
/// indices on; null where all are.
Value KernelLowering::limitOn(Value Memory, ValueRange Indices,
                              int64_t Dimension, int64_t Size) {
  Value Base = Indices[Dimension], Mapped = mapped(Memory);
  if (isInBounds(Base, Size,
                 cast<MemRefType>(Memory.getType()).getDimSize(Dimension)))
    return {};
  return B.createOrFold<arith::MinSIOp>(
      remaining(mapped(Base), dimension(Mapped, Dimension)), index(Size));
}

void KernelLowering::forEachPoint(RankedTensorType Tile, Extent Rows,
                                  Extent Cols, int64_t Width, Body Body) {
  if (Tile.getRank() == 1)
    return forEachColumn({}, Cols, Width, Body);
  Value High = Rows.Limit ? Rows.Limit : index(Rows.Size);
  forEachIndex(index(0), High, 1,
               [&](Value Row) { forEachColumn(Row, Cols, Width, Body); });
}

static Extent rowsOf(RankedTensorType Tile) {
  return {Tile.getRank() == 1 ? 1 : Tile.getDimSize(0)};
}

static Extent colsOf(RankedTensorType Tile) { return {Tile.getShape().back()}; }

/// The width in which a nest over the tile goes. A transcendental function is
/// one long chain, of which the processor's scheduler holds two or three at a
/// time. Where several vectors are one operation, LLVM makes it operations of
/// each in turns, which hide each other's latency.
int64_t KernelLowering::nestWidth(Value Tile) {
  int64_t Width = widthOf(Tile);
  int64_t Cols = cast<RankedTensorType>(Tile.getType()).getShape().back();
  if (Width < lanes() || !Analysis.isLongChain(Tile))
    return Width;
  llvm::DenseSet<Value> Seen;
  int64_t Wide = widthLimit(Tile, Seen, 2 * lanes());
  return Cols % Wide == 0 ? Wide : Width;
}

void KernelLowering::materialise(Value Tile, Value Destination) {
  auto Type = cast<RankedTensorType>(Tile.getType());
  if (Buffers.lookup(Tile) == Destination)
    return;
  int64_t Width = nestWidth(Tile);
  Extent Cols = colsOf(Type);
  Cols.Inside = insideColumns(Tile, {}, Width);
  forEachPoint(Type, rowsOf(Type), Cols, Width,
               [&](Point P) { writeBuffer(emit(Tile, P), Destination, P); });
}

/// How far a store's tile reaches along its dimension `I`.
Value KernelLowering::limitStore(tile::StoreOp Store, int64_t I) {
  auto Tile = cast<RankedTensorType>(Store.getValue().getType());
  return limitOn(Store.getMemory(), Store.getIndices(),
                 Store.getDimensions()[I], Tile.getDimSize(I));
}

void KernelLowering::storeValue(tile::StoreOp Store, Point P) {
  Value Memory = mapped(Store.getMemory());
  ArrayRef<int64_t> Dimensions = Store.getDimensions();
  SmallVector<Value> Indices;
  for (Value Index : Store.getIndices())
    Indices.push_back(mapped(Index));
  if (P.Row)
    Indices[Dimensions[0]] = add(Indices[Dimensions[0]], P.Row);
  Indices[Dimensions.back()] = add(Indices[Dimensions.back()], P.Col);
  Value Vector = emit(Store.getValue(), P);
  if (P.Width == 1)
    memref::StoreOp::create(B, Vector, Memory, Indices);
  else
    vector::StoreOp::create(B, Vector, Memory, Indices);
}

void KernelLowering::lowerStore(tile::StoreOp Store) {
  auto Tile = cast<RankedTensorType>(Store.getValue().getType());
  if (isFlatStore(Store)) {
    ArrayRef<tile::StoreOp> Together = Analysis.storesWith(Store);
    if (Store == Together.back())
      lowerFlatStores(Together);
    return;
  }
  Extent Rows = rowsOf(Tile), Cols = colsOf(Tile);
  if (Tile.getRank() == 2)
    Rows.Limit = limitStore(Store, 0);
  Cols.Limit = limitStore(Store, Tile.getRank() - 1);
  int64_t Width = isUnitStride(Store) ? widthOf(Store.getValue()) : 1;
  forEachPoint(Tile, Rows, Cols, Width, [&](Point P) { storeValue(Store, P); });
}

/// Makes all values of a point before it stores them: some of them replace what
/// others are made of. Vectors where all memory has them, then one by one.
void KernelLowering::lowerFlatStores(ArrayRef<tile::StoreOp> Stores) {
  int64_t Width = lanes();
  tile::StoreOp First = Stores.front();
  int64_t Size =
      cast<RankedTensorType>(First.getValue().getType()).getDimSize(0);
  SmallVector<Value> Values, Limits;
  Value Shortest, Longest;
  for (tile::StoreOp Store : Stores) {
    Values.push_back(Store.getValue());
    Width = std::min(Width, widthOf(Store.getValue()));
    Value Limit = limitStore(Store, 0), End = Limit ? Limit : index(Size);
    Limits.push_back(Limit);
    Shortest = smaller(Shortest, Limit);
    Longest = Longest ? B.createOrFold<arith::MaxSIOp>(Longest, End) : End;
  }
  auto Store = [&](Point P) {
    for (Value V : Values)
      emit(V, P); // Known from here on in this scope.
    for (auto [Store, Limit] : llvm::zip(Stores, Limits)) {
      OpBuilder::InsertionGuard Guard(B);
      if (!AreColumnsInside && Limit && Limit != Longest) {
        Value IsThere =
            arith::CmpIOp::create(B, arith::CmpIPredicate::slt, P.Col, Limit);
        auto If = scf::IfOp::create(B, IsThere, /*withElseRegion=*/false);
        B.setInsertionPoint(If.thenBlock()->getTerminator());
      }
      storeValue(Store, P);
    }
  };
  Value Inside = insideColumns(Values, Shortest, Width);
  if (!Inside)
    return forEachColumn({}, {Size}, Width, Store);
  {
    llvm::SaveAndRestore AllInside(AreColumnsInside, true);
    visitColumns({}, index(0), Inside, Width, Store);
  }
  visitColumns({}, Inside, Longest, 1, Store);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

Value KernelLowering::combine(tile::Reduction Kind, Value A, Value C) {
  if (Kind == tile::Reduction::Sum)
    return arith::AddFOp::create(B, A, C);
  return arith::MaximumFOp::create(B, A, C, arith::FastMathFlags::nsz);
}

Value KernelLowering::identity(tile::Reduction Kind, Type Type) {
  if (Kind == tile::Reduction::Sum)
    return zero(Type);
  Attribute Lowest = B.getFloatAttr(
      getElementTypeOrSelf(Type),
      APFloat::getInf(
          cast<FloatType>(getElementTypeOrSelf(Type)).getFloatSemantics(),
          /*Negative=*/true));
  if (auto Vector = dyn_cast<VectorType>(Type))
    Lowest = DenseElementsAttr::get(Vector, Lowest);
  return arith::ConstantOp::create(B, cast<TypedAttr>(Lowest));
}

/// Sum or maximum of one row: vectors across the columns, then across lanes.
Value KernelLowering::reduceRow(tile::ReduceOp Reduce, Value Row) {
  auto Tile = cast<RankedTensorType>(Reduce.getValue().getType());
  int64_t Cols = Tile.getShape().back();
  tile::Reduction Kind = Reduce.getKind();
  Value Total;
  int64_t Width = widthOf(Reduce.getValue());
  for (int64_t Start = 0; Start < Cols; Width /= 2) {
    int64_t Vectors = (Cols - Start) / Width;
    if (Vectors == 0)
      continue;
    // Additions take four cycles: four chains hide that.
    int64_t Chains = Vectors % 4 == 0 && Vectors >= 8 ? 4 : 1;
    Type Type = vectorType(Tile.getElementType(), Width);
    int64_t End = Start + Vectors * Width;
    auto Loop =
        scf::ForOp::create(B, index(Start), index(End), index(Width * Chains),
                           SmallVector<Value>(Chains, identity(Kind, Type)));
    {
      OpBuilder::InsertionGuard Guard(B);
      if (!Loop.getBody()->empty())
        Loop.getBody()->back().erase();
      B.setInsertionPointToEnd(Loop.getBody());
      InScope Scope(*this, Loop);
      SmallVector<Value> Next;
      for (int64_t I = 0; I < Chains; ++I)
        Next.push_back(combine(
            Kind, Loop.getRegionIterArgs()[I],
            emit(Reduce.getValue(),
                 {Row, add(Loop.getInductionVar(), I * Width), Width})));
      scf::YieldOp::create(B, Next);
    }
    SmallVector<Value> Parts(Loop.getResults());
    for (; Parts.size() > 1; Parts.resize(Parts.size() / 2))
      for (size_t I = 0; I < Parts.size() / 2; ++I)
        Parts[I] = combine(Kind, Parts[I], Parts[I + Parts.size() / 2]);
    Value Part = Parts[0];
    if (Width > 1)
      Part = vector::ReductionOp::create(
          B,
          Kind == tile::Reduction::Sum ? vector::CombiningKind::ADD
                                       : vector::CombiningKind::MAXIMUMF,
          Part,
          Kind == tile::Reduction::Sum ? arith::FastMathFlags::reassoc
                                       : arith::FastMathFlags::nsz);
    Total = Total ? combine(Kind, Total, Part) : Part;
    Start = End;
  }
  return Total;
}

void KernelLowering::reduceRows(tile::ReduceOp Reduce, Value Destination) {
  auto Tile = cast<RankedTensorType>(Reduce.getValue().getType());
  forEachIndex(index(0), index(Tile.getDimSize(0)), 1, [&](Value Row) {
    memref::StoreOp::create(B, reduceRow(Reduce, Row), Destination, Row);
  });
}

void KernelLowering::reduceColumns(tile::ReduceOp Reduce, Value Destination) {
  auto Tile = cast<RankedTensorType>(Reduce.getValue().getType());
  tile::Reduction Kind = Reduce.getKind();
  forEachColumn({}, colsOf(Tile), widthOf(Reduce.getValue()), [&](Point P) {
    Value Start = identity(Kind, vectorType(Tile.getElementType(), P.Width));
    auto Loop = scf::ForOp::create(B, index(0), index(Tile.getDimSize(0)),
                                   index(1), Start);
    {
      OpBuilder::InsertionGuard Guard(B);
      if (!Loop.getBody()->empty())
        Loop.getBody()->back().erase();
      B.setInsertionPointToEnd(Loop.getBody());
      InScope Scope(*this);
      Value Next = combine(
          Kind, Loop.getRegionIterArgs()[0],
          emit(Reduce.getValue(), {Loop.getInductionVar(), P.Col, P.Width}));
      scf::YieldOp::create(B, Next);
    }
    writeBuffer(Loop.getResult(0), Destination, P);
  });
}

void KernelLowering::lowerReduce(tile::ReduceOp Reduce) {
  if (!isTile(Reduce.getResult())) {
    Scalars.map(Reduce.getResult(), reduceRow(Reduce, {}));
    return;
  }
  Value Destination = destinationFor(Reduce.getResult());
  if (Reduce.getDimension() == 1)
    reduceRows(Reduce, Destination);
  else
    reduceColumns(Reduce, Destination);
  Buffers[Reduce.getResult()] = Destination;
}

void KernelLowering::lowerCumulativeSum(tile::CumulativeSumOp Sum) {
  auto Tile = cast<RankedTensorType>(Sum.getType());
  Value Destination = destinationFor(Sum.getResult());
  materialise(Sum.getValue(), Destination);
  Value Last = index(Tile.getDimSize(0) - 1);
  auto Loop = scf::ForOp::create(B, index(0), index(Tile.getDimSize(0)),
                                 index(1), zero(Tile.getElementType()));
  {
    OpBuilder::InsertionGuard Guard(B);
    if (!Loop.getBody()->empty())
      Loop.getBody()->back().erase();
    B.setInsertionPointToEnd(Loop.getBody());
    Value Position = Loop.getInductionVar();
    if (Sum.getReverse())
      Position = subtract(Last, Position);
    Value Element = memref::LoadOp::create(B, Destination, Position);
    Value Next = arith::AddFOp::create(B, Loop.getRegionIterArgs()[0], Element);
    memref::StoreOp::create(B, Next, Destination, Position);
    scf::YieldOp::create(B, Next);
  }
  Buffers[Sum.getResult()] = Destination;
}

//===----------------------------------------------------------------------===//
// Transposition
//===----------------------------------------------------------------------===//

/// One round of the transposition of a square of vectors: groups of `Group`
/// elements of vectors `Group` apart change places.
static void exchange(ImplicitLocOpBuilder &B, MutableArrayRef<Value> Vectors,
                     int64_t Group) {
  int64_t Width = Vectors.size();
  SmallVector<int64_t> Low, High;
  for (int64_t I = 0; I < Width; I += 2 * Group) {
    for (int64_t J = 0; J < Group; ++J)
      Low.push_back(I + J), High.push_back(I + Group + J);
    for (int64_t J = 0; J < Group; ++J)
      Low.push_back(Width + I + J), High.push_back(Width + I + Group + J);
  }
  for (int64_t I = 0; I < Width; ++I) {
    if (I & Group)
      continue;
    Value A = Vectors[I], C = Vectors[I + Group];
    Vectors[I] = vector::ShuffleOp::create(B, A, C, Low);
    Vectors[I + Group] = vector::ShuffleOp::create(B, A, C, High);
  }
}

/// Hands out the columns of some rows, `Cols` of them, as vectors of `Cols`
/// elements; rows that are missing count as zero.
void KernelLowering::emitTransposedBlock(const View &From, ArrayRef<Value> Rows,
                                         Value Col, int64_t Cols,
                                         StoreVector Store) {
  SmallVector<Value> Vectors;
  for (Value Row : Rows)
    Vectors.push_back(emit(From, {Row, Col, Cols}));
  Vectors.append(Cols - Rows.size(), zero(vectorType(typeOf(From), Cols)));
  for (int64_t Group = 1; Group < Cols; Group *= 2)
    exchange(B, Vectors, Group);
  for (int64_t I = 0; I < Cols; ++I)
    Store(Vectors[I], Rows.front(), add(Col, I));
}

/// Calls `Store` with vectors that run along the rows of the tile: element i
/// is that of row Row + i. The last vector of a column may be too long by what
/// the number of rows lacks to a multiple of its width.
void KernelLowering::emitTransposed(const View &From, StoreVector Store) {
  int64_t Rows = countRows(From), Cols = countCols(From);
  // Rows of memory are often a power of two apart and share cache sets: walk
  // along a few of them, not across all.
  auto Strip = [&](Value Row, int64_t Count, int64_t Width) {
    // Made here: masks of rows go before the loop over columns.
    SmallVector<Value> Below;
    for (int64_t I = 0; I < Count; ++I)
      Below.push_back(add(Row, I));
    int64_t Step = Width;
    for (int64_t Start = 0; Start < Cols; Step /= 2) {
      int64_t End = Start + (Cols - Start) / Step * Step;
      forEachIndex(index(Start), index(End), Step, [&](Value Col) {
        InScope Scope(*this, loopOf(Col));
        for (int64_t I = 0; I < Count; I += Step) {
          for (int64_t J = 0; J < Count; ++J)
            prefetch(From, add(Row, Count + J), Col);
          emitTransposedBlock(
              From, ArrayRef(Below).slice(I, std::min(Step, Count - I)), Col,
              Step, Store);
        }
      });
      Start = End;
    }
  };
  int64_t Width = widthOf(From), Whole = Rows / Width * Width;
  forEachIndex(index(0), index(Whole), Width,
               [&](Value Row) { Strip(Row, Width, Width); });
  if (Whole < Rows)
    Strip(index(Whole), Rows - Whole, Width);
}

void KernelLowering::lowerTranspose(tile::TransposeOp Transpose) {
  auto Tile = cast<RankedTensorType>(Transpose.getType());
  Value Destination = destinationFor(Transpose.getResult());
  View From{Transpose.getValue()};
  // LLVM shuffles vectors of bf16 one element at a time, by library calls.
  bool IsExtended = typeOf(From) != Tile.getElementType();
  emitTransposed(From, [&](Value Vector, Value Row, Value Col) {
    auto Type = dyn_cast<VectorType>(Vector.getType());
    int64_t Width = Type ? Type.getDimSize(0) : 1;
    if (IsExtended)
      Vector = arith::TruncFOp::create(
          B, vectorType(Tile.getElementType(), Width), Vector);
    writeBuffer(Vector, Destination, {Col, Row, Width});
  });
  Buffers[Transpose.getResult()] = Destination;
}

} // namespace transxssm::x86
