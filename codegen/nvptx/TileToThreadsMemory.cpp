//===- TileToThreadsMemory.cpp - Tile kernels to threads: global memory ---===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Sixteen bytes at a time where the shape of the memory proves the alignment.
// A tile may reach beyond its memory: a predicate per access then guards it,
// unless the grid or the bounds of loops show that the tile never does. Where
// the length of memory is known at run time only, a block whose tile is wholly
// inside takes a branch of its own; the last one has wide accesses too, but for
// the elements behind the last sixteen bytes.
//
// Threads of a tile's layout may hold too little of a row, or too much, for
// neighbours to move whole sectors of 32 bytes: two elements of bf16 in the
// accumulator's layout, eight float32 beside eight bf16. They exchange
// registers with other lanes of their warp then (TileToThreadsExchanges.cpp),
// or where other warps have the rest of a sector, through shared memory.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"
#include "codegen/x86/IndexFacts.h"

#include <numeric>

using namespace mlir;

namespace transxssm::nvptx {

//===----------------------------------------------------------------------===//
// What divides an index
//===----------------------------------------------------------------------===//

/// Stands for "every number divides it", as for 0.
constexpr int64_t Everything = int64_t(1) << 32;

/// A number that divides the index whatever the sizes are; a power of two of at
/// most Everything, which is all that alignment needs.
static int64_t divisorOf(Value Index) {
  APInt Constant;
  if (matchPattern(Index, m_ConstantInt(&Constant)))
    return std::gcd(Constant.getSExtValue(), Everything);
  if (auto Argument = dyn_cast<BlockArgument>(Index)) {
    auto For = dyn_cast<scf::ForOp>(Argument.getOwner()->getParentOp());
    if (!For || Argument != For.getInductionVar())
      return 1;
    return std::gcd(divisorOf(For.getLowerBound()), divisorOf(For.getStep()));
  }
  Operation *Op = Index.getDefiningOp();
  if (auto Add = dyn_cast<arith::AddIOp>(Op))
    return std::gcd(divisorOf(Add.getLhs()), divisorOf(Add.getRhs()));
  if (auto Mul = dyn_cast<arith::MulIOp>(Op))
    return std::min(Everything,
                    divisorOf(Mul.getLhs()) * divisorOf(Mul.getRhs()));
  if (auto Dim = dyn_cast<memref::DimOp>(Op)) {
    auto Number = Dim.getConstantIndex();
    auto Type = cast<MemRefType>(Dim.getSource().getType());
    if (Number && !Type.isDynamicDim(*Number))
      return std::gcd(Type.getDimSize(*Number), Everything);
  }
  return 1;
}

/// The same for the stride of a dimension.
static int64_t strideDivisor(MemRefType Type, int64_t Dimension) {
  int64_t Divisor = 1;
  for (int64_t Extent : Type.getShape().drop_front(Dimension + 1))
    if (!ShapedType::isDynamic(Extent))
      Divisor = std::min(Everything, Divisor * std::gcd(Extent, Everything));
  return Divisor;
}

int64_t consecutive(MemRefType Memory, ValueRange Indices,
                    ArrayRef<int64_t> Dimensions) {
  int64_t Divisor = 128 / Memory.getElementTypeBitWidth();
  for (auto [Dimension, Index] : llvm::enumerate(Indices)) {
    // There its index is 0.
    if (Memory.getDimSize(Dimension) == 1)
      continue;
    int64_t Stride = strideDivisor(Memory, Dimension);
    Divisor = std::gcd(Divisor, divisorOf(Index) * Stride);
    if (llvm::is_contained(Dimensions.drop_back(), int64_t(Dimension)))
      Divisor = std::gcd(Divisor, Stride);
  }
  return Divisor;
}

//===----------------------------------------------------------------------===//
// How a tile lies in memory
//===----------------------------------------------------------------------===//

ThreadLowering::Access ThreadLowering::accessOf(Value Memory,
                                                ValueRange Indices,
                                                ArrayRef<int64_t> Dimensions,
                                                Value Tile,
                                                const LinearLayout &Layout) {
  Access A;
  A.Memory = &Memories[Memory];
  A.Layout = Layout;
  ArrayRef<int64_t> Shape = tileType(Tile).getShape();
  MemRefType Type = A.Memory->Type;
  A.Base = index(0);
  for (auto [Index, Stride] : llvm::zip_equal(Indices, A.Memory->Strides))
    A.Base = add(A.Base, multiply(scalar(Index), Stride));

  int64_t Last = Dimensions.back();
  A.ColumnStride = A.Memory->Strides[Last];
  Value Column = threadColumn(A.Layout), Row = threadRow(A.Layout);
  A.Base = add(A.Base, multiply(Column, A.ColumnStride));
  if (!x86::isInBounds(Indices[Last], A.Layout.columns(),
                       Type.getDimSize(Last))) {
    A.Column = add(scalar(Indices[Last]), Column);
    A.ColumnBound = A.Memory->Sizes[Last];
  }
  if (Shape.back() != A.Layout.columns()) {
    A.TileColumn = Column;
    A.TileColumns = index(Shape.back());
  }
  if (Dimensions.size() == 2) {
    int64_t First = Dimensions.front();
    A.RowStride = A.Memory->Strides[First];
    A.Base = add(A.Base, multiply(Row, A.RowStride));
    if (!x86::isInBounds(Indices[First], A.Layout.rows(),
                         Type.getDimSize(First))) {
      A.Row = add(scalar(Indices[First]), Row);
      A.RowBound = A.Memory->Sizes[First];
    }
    if (Shape.front() != A.Layout.rows()) {
      A.TileRow = Row;
      A.TileRows = index(Shape.front());
    }
  }
  setWidth(A, Indices, Dimensions, Tile);
  return A;
}

/// How many elements of a row, from the tile's first one on, memory allows an
/// access to take; 0 where they are not next to each other.
static int64_t allowedWidth(MemRefType Type, ValueRange Indices,
                            ArrayRef<int64_t> Dimensions, Value Tile,
                            int64_t Columns) {
  int64_t Last = Dimensions.back();
  if (Last + 1 != Type.getRank())
    return 0;
  int64_t Width = consecutive(Type, Indices, Dimensions);
  if (tileType(Tile).getShape().back() != Columns)
    Width = std::gcd(Width, tileType(Tile).getShape().back());
  bool Ends = !x86::isInBounds(Indices[Last], Columns, Type.getDimSize(Last));
  if (Ends && !Type.isDynamicDim(Last))
    Width = std::gcd(Width, Type.getDimSize(Last));
  return Width;
}

/// How many elements one access takes: of those that the thread holds in a row,
/// sixteen bytes at most, as far as alignment and bounds allow.
void ThreadLowering::setWidth(Access &A, ValueRange Indices,
                              ArrayRef<int64_t> Dimensions, Value Tile) {
  int64_t Last = Dimensions.back();
  int64_t Width = std::min(A.Layout.vectorWidth(),
                           allowedWidth(A.Memory->Type, Indices, Dimensions,
                                        Tile, A.Layout.columns()));
  if (Width <= 1)
    return;
  if (!A.ColumnBound || !A.Memory->Type.isDynamicDim(Last)) {
    A.Width = Width;
    return;
  }
  Value End = add(scalar(Indices[Last]), A.Layout.columns());
  A.Inside =
      arith::CmpIOp::create(B, arith::CmpIPredicate::sle, End, A.ColumnBound);
  A.InsideWidth = Width;
}

Value ThreadLowering::predicateOf(const Access &A, Coordinates Place,
                                  bool Inside, int64_t Count) {
  Value Predicate = A.Takes;
  auto Require = [&](Value First, int64_t Offset, Value Bound) {
    if (Bound)
      Predicate = both(Predicate, isBelow(add(First, Offset), Bound));
  };
  Require(A.Row, Place.Row, A.RowBound);
  Require(A.TileRow, Place.Row, A.TileRows);
  if (!Inside)
    Require(A.Column, Place.Column + Count - 1, A.ColumnBound);
  Require(A.TileColumn, Place.Column, A.TileColumns);
  return Predicate;
}

Value ThreadLowering::addressOf(const Access &A, Coordinates Place) {
  Value Address = A.Base;
  if (Place.Row != 0)
    Address = add(Address, multiply(A.RowStride, Place.Row));
  if (Place.Column != 0)
    Address = add(Address, multiply(A.ColumnStride, Place.Column));
  return Address;
}

void ThreadLowering::markGlobal(Operation *Op, const GlobalMemory &Memory) {
  if (Memory.Hazard < 0)
    return;
  Op->setAttr(HazardAttr, B.getI64IntegerAttr(Memory.Hazard));
  Op->setAttr(GroupAttr, B.getI64IntegerAttr(Group));
}

//===----------------------------------------------------------------------===//
// The way between registers and memory
//===----------------------------------------------------------------------===//

/// Whether a warp has less than a sector of its rows, since others have the
/// columns beside: no exchange of its lanes makes it whole.
static bool splitsSectors(const LinearLayout &Layout, Type Element) {
  constexpr unsigned LaneBits = 5;
  constexpr int64_t SectorBits = 256;
  if (!Element.isBF16() || Layout.rows() == 1 || !Layout.isProduct() ||
      Layout.threadBits() < LaneBits)
    return false;
  int64_t Columns = 1;
  auto Has = [&](ArrayRef<Coordinates> Bases) {
    return llvm::is_contained(Bases, Coordinates{0, Columns});
  };
  while (Has(Layout.registerBases()) ||
         Has(Layout.threadBases().take_front(LaneBits)))
    Columns *= 2;
  return Columns < std::min(Layout.columns(), SectorBits / 16);
}

/// How a tile goes between the registers of its layout and memory: in what
/// layout accesses want it, and the exchanges that lead there.
ThreadLowering::Traffic ThreadLowering::trafficOf(Value Memory,
                                                  ValueRange Indices,
                                                  ArrayRef<int64_t> Dimensions,
                                                  Value Tile) {
  Traffic T;
  T.Own = T.Exchanged = Layouts.of(Tile);
  int64_t Width = allowedWidth(Memories[Memory].Type, Indices, Dimensions, Tile,
                               T.Own.columns());
  constexpr int64_t WidestBits = 128;
  Type Element = tileType(Tile).getElementType();
  bool AtOddPlaces = Width * Element.getIntOrFloatBitWidth() < WidestBits;
  // Twice what a thread holds in a row already makes whole sectors: for an
  // accumulator in bf16 eight bytes of each of four lanes. Sixteen bytes need
  // a second exchange, whose registers would spill.
  if (Element.isBF16() && HasManySums)
    Width = std::min(Width, 2 * T.Own.vectorWidth());
  if (!AtOddPlaces && splitsSectors(T.Own, Element)) {
    T.ThroughShared = true;
    T.Exchanged = LinearLayout::rowMajor(
        T.Own.rows(), T.Own.columns(), Layouts.threadBits(),
        llvm::Log2_64(WidestBits / Element.getIntOrFloatBitWidth()));
    T.Place = accessOf(Memory, Indices, Dimensions, Tile, T.Exchanged);
    return T;
  }
  // Elements that are apart gain nothing.
  if (Width != 0)
    T.Exchanges = exchangesForMemory(T.Own, Element, Width, AtOddPlaces);
  for (LaneExchange E : T.Exchanges)
    T.Exchanged = T.Exchanged.exchanged(E.Register, E.Thread);
  T.Place = accessOf(Memory, Indices, Dimensions, Tile,
                     T.Exchanges.empty() ? T.Own : T.Exchanged.columnsFirst());
  return T;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

Registers ThreadLowering::loadAt(const Access &A, Type Element,
                                 Coordinates Place, int64_t Width,
                                 Value Predicate) {
  Operation *Made = nullptr;
  Registers Values = loadGlobal(B, Element, Width, A.Memory->Pointer,
                                addressOf(A, Place), Predicate, &Made);
  markGlobal(Made, *A.Memory);
  return Values;
}

void ThreadLowering::storeAt(const Access &A, ArrayRef<Value> Values,
                             Coordinates Place, Value Predicate) {
  markGlobal(
      storeGlobal(B, Values, A.Memory->Pointer, addressOf(A, Place), Predicate),
      *A.Memory);
}

/// Calls the functions for every group of registers that one access moves where
/// memory ends in the tile, and for single ones where it ends in the group.
void ThreadLowering::forEachPart(
    const Access &A, function_ref<void(int64_t, Coordinates, Value)> Whole,
    function_ref<void(int64_t, Coordinates, Value)> Single) {
  for (int64_t R = 0; R < A.Layout.registerCount(); R += A.InsideWidth) {
    Coordinates Place = A.Layout.ofRegister(R);
    Value Fits = predicateOf(A, Place, /*Inside=*/false, A.InsideWidth);
    Whole(R, Place, Fits);
    Value Ends = arith::XOrIOp::create(
        B, Fits, arith::ConstantOp::create(B, B.getBoolAttr(true)));
    // The group's last element is outside unless all are inside.
    for (int64_t I = 0; I + 1 < A.InsideWidth; ++I) {
      Coordinates Here = A.Layout.ofRegister(R + I);
      Single(R + I, Here, both(predicateOf(A, Here, /*Inside=*/false), Ends));
    }
  }
}

Registers ThreadLowering::emitLoads(const Access &A, Type Element,
                                    bool Inside) {
  Registers Values;
  if (A.Inside && !Inside) {
    Value Fits;
    forEachPart(
        A,
        [&](int64_t, Coordinates Place, Value Holds) {
          Fits = Holds;
          llvm::append_range(Values,
                             loadAt(A, Element, Place, A.InsideWidth, Holds));
        },
        [&](int64_t R, Coordinates Place, Value Holds) {
          Value Alone = loadAt(A, Element, Place, 1, Holds)[0];
          Values[R] = arith::SelectOp::create(B, Fits, Values[R], Alone);
        });
    return Values;
  }
  int64_t Width = Inside ? A.InsideWidth : A.Width;
  for (int64_t R = 0; R < A.Layout.registerCount(); R += Width) {
    Coordinates Place = A.Layout.ofRegister(R);
    llvm::append_range(Values, loadAt(A, Element, Place, Width,
                                      predicateOf(A, Place, Inside)));
  }
  return Values;
}

/// A vector whose elements do not lie beside each other in memory.
static bool isApart(Value Tile, Value Memory, ArrayRef<int64_t> Dimensions) {
  return tileType(Tile).getRank() == 1 &&
         Dimensions.back() + 1 != cast<MemRefType>(Memory.getType()).getRank();
}

void ThreadLowering::lowerLoad(tile::LoadOp Load) {
  Value Result = Load.getResult();
  // The loop has copied it, iterations ago.
  if (InRing && (SharedTiles.contains(Result) || OperandTiles.contains(Result)))
    return;
  if (!InRing && canCopy(Load))
    return lowerCopy(Load);
  Type Element = tileType(Result).getElementType();
  Traffic T = trafficOf(Load.getMemory(), Load.getIndices(),
                        Load.getDimensions(), Result);
  if (isApart(Result, Load.getMemory(), Load.getDimensions()) &&
      Layouts.isReadFromShared(Result))
    T.Place.Takes = isFirst(T.Place.Layout.copyMask());
  const Access &A = T.Place;
  if (!A.Inside)
    return define(Result,
                  fromMemory(T, emitLoads(A, Element, /*Inside=*/false)));
  SmallVector<Type> Types(A.Layout.registerCount(), Element);
  auto If = scf::IfOp::create(B, Types, A.Inside, /*addThenBlock=*/true,
                              /*addElseBlock=*/true);
  for (bool Inside : {true, false}) {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(Inside ? If.thenBlock() : If.elseBlock());
    scf::YieldOp::create(B, emitLoads(A, Element, Inside));
  }
  define(Result, fromMemory(T, Registers(If.getResults())));
}

void ThreadLowering::emitStores(const Access &A, ArrayRef<Value> Values,
                                bool Inside) {
  Value Owner = isFirst(A.Layout.copyMask());
  if (A.Inside && !Inside)
    return forEachPart(
        A,
        [&](int64_t R, Coordinates Place, Value Holds) {
          storeAt(A, Values.slice(R, A.InsideWidth), Place, both(Holds, Owner));
        },
        [&](int64_t R, Coordinates Place, Value Holds) {
          storeAt(A, Values[R], Place, both(Holds, Owner));
        });
  int64_t Width = Inside ? A.InsideWidth : A.Width;
  for (int64_t R = 0; R < A.Layout.registerCount(); R += Width) {
    Coordinates Place = A.Layout.ofRegister(R);
    storeAt(A, Values.slice(R, Width), Place,
            both(predicateOf(A, Place, Inside), Owner));
  }
}

/// Whether elements of a vector lie apart in memory, but two that a thread
/// holds in one sector.
static bool sharesSectors(tile::StoreOp Store, const LinearLayout &Layout) {
  constexpr int64_t SectorBytes = 32;
  auto Memory = cast<MemRefType>(Store.getMemory().getType());
  if (!isApart(Store.getValue(), Store.getMemory(), Store.getDimensions()) ||
      Layout.registerBits() == 0)
    return false;
  int64_t Bytes = Layout.registerBases().front().Column *
                  Memory.getElementTypeBitWidth() / 8;
  for (int64_t Extent :
       Memory.getShape().drop_front(Store.getDimensions().back() + 1)) {
    if (ShapedType::isDynamic(Extent))
      return false;
    Bytes *= Extent;
  }
  return Bytes < SectorBytes;
}

void ThreadLowering::lowerStore(tile::StoreOp Store) {
  if (canStoreBoxes(Store))
    return lowerBoxStore(Store);
  if (sharesSectors(Store, Layouts.of(Store.getValue()))) {
    LinearLayout Layout = Layouts.of(Store.getValue());
    Registers Values = spreadOverCopies(Layout, registersOf(Store.getValue()));
    return emitStores(accessOf(Store.getMemory(), Store.getIndices(),
                               Store.getDimensions(), Store.getValue(), Layout),
                      Values, /*Inside=*/false);
  }
  Traffic T = trafficOf(Store.getMemory(), Store.getIndices(),
                        Store.getDimensions(), Store.getValue());
  const Access &A = T.Place;
  Registers Values = toMemory(T, registersOf(Store.getValue()));
  if (!A.Inside)
    return emitStores(A, Values, /*Inside=*/false);
  auto If = scf::IfOp::create(B, TypeRange(), A.Inside, /*addThenBlock=*/true,
                              /*addElseBlock=*/true);
  for (bool Inside : {true, false}) {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(Inside ? If.thenBlock() : If.elseBlock());
    emitStores(A, Values, Inside);
    scf::YieldOp::create(B);
  }
}

/// Rows by number: every thread that holds a part of a row knows its number.
void ThreadLowering::lowerGather(tile::GatherOp Gather) {
  Value Result = Gather.getResult();
  const LinearLayout &Layout = Layouts.of(Result);
  LinearLayout Slice = Layout.rowSlice();
  Registers Rows = registersOf(Gather.getRows(), Slice);
  Value Zero = index(0);
  Value Columns[] = {Zero, Gather.getColumn()};
  Scalars.map(Zero, Zero);
  // The row's own number takes the place of the first index.
  Access A =
      accessOf(Gather.getMemory(), ValueRange(Columns), {1}, Result, Layout);
  if (tileType(Result).getDimSize(0) != Layout.rows()) {
    A.TileRow = threadRow(Layout);
    A.TileRows = index(tileType(Result).getDimSize(0));
  }
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); R += A.Width) {
    Coordinates Place = Layout.ofRegister(R);
    Value Row = Rows[*Slice.findRegister({0, Place.Row})];
    Row = arith::IndexCastOp::create(B, B.getIndexType(), Row);
    Value Address = add(addressOf(A, {0, Place.Column}),
                        multiply(Row, A.Memory->Strides[0]));
    Operation *Made = nullptr;
    llvm::append_range(
        Values, loadGlobal(B, tileType(Result).getElementType(), A.Width,
                           A.Memory->Pointer, Address,
                           predicateOf(A, Place, /*Inside=*/false), &Made));
    markGlobal(Made, *A.Memory);
  }
  define(Result, std::move(Values));
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

static Value scalarAddress(ImplicitLocOpBuilder &B, ArrayRef<Value> Indices,
                           ArrayRef<Value> Strides) {
  Value Address = arith::ConstantIndexOp::create(B, 0);
  for (auto [Index, Stride] : llvm::zip_equal(Indices, Strides))
    Address = B.createOrFold<arith::AddIOp>(
        Address, B.createOrFold<arith::MulIOp>(Index, Stride));
  return Address;
}

/// All threads read the same element.
void ThreadLowering::lowerScalarLoad(tile::LoadOp Load) {
  GlobalMemory &Memory = Memories[Load.getMemory()];
  SmallVector<Value> Indices;
  for (Value Index : Load.getIndices())
    Indices.push_back(scalar(Index));
  Operation *Made = nullptr;
  Value Element =
      loadGlobal(B, Load.getResult().getType(), 1, Memory.Pointer,
                 scalarAddress(B, Indices, Memory.Strides), {}, &Made)[0];
  markGlobal(Made, Memory);
  Scalars.map(Load.getResult(), Element);
}

/// The first thread writes.
void ThreadLowering::lowerScalarStore(tile::StoreOp Store) {
  GlobalMemory &Memory = Memories[Store.getMemory()];
  SmallVector<Value> Indices;
  for (Value Index : Store.getIndices())
    Indices.push_back(scalar(Index));
  markGlobal(storeGlobal(B, scalar(Store.getValue()), Memory.Pointer,
                         scalarAddress(B, Indices, Memory.Strides),
                         isFirst(Layouts.threads() - 1)),
             Memory);
}

} // namespace transxssm::nvptx
