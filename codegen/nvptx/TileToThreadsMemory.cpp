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
// inside takes a branch of its own with wide accesses.
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

/// How many elements one access takes: of those that the thread holds in a row,
/// sixteen bytes at most, as far as alignment and bounds allow.
void ThreadLowering::setWidth(Access &A, ValueRange Indices,
                              ArrayRef<int64_t> Dimensions, Value Tile) {
  MemRefType Type = A.Memory->Type;
  int64_t Last = Dimensions.back();
  if (Last + 1 != Type.getRank())
    return;
  int64_t Divisor = consecutive(Type, Indices, Dimensions);
  if (A.TileColumns)
    Divisor = std::gcd(Divisor, tileType(Tile).getShape().back());
  int64_t Width = std::min(A.Layout.vectorWidth(), Divisor);
  if (!A.ColumnBound) {
    A.Width = Width;
    return;
  }
  if (!Type.isDynamicDim(Last)) {
    A.Width = std::gcd(Width, Type.getDimSize(Last));
    return;
  }
  if (Width == 1)
    return;
  Value End = add(scalar(Indices[Last]), A.Layout.columns());
  A.Inside =
      arith::CmpIOp::create(B, arith::CmpIPredicate::sle, End, A.ColumnBound);
  A.InsideWidth = Width;
}

Value ThreadLowering::predicateOf(const Access &A, Coordinates Place,
                                  bool Inside) {
  Value Predicate;
  auto Require = [&](Value First, int64_t Offset, Value Bound) {
    if (Bound)
      Predicate = both(Predicate, isBelow(add(First, Offset), Bound));
  };
  Require(A.Row, Place.Row, A.RowBound);
  Require(A.TileRow, Place.Row, A.TileRows);
  if (!Inside)
    Require(A.Column, Place.Column, A.ColumnBound);
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
// Tiles
//===----------------------------------------------------------------------===//

Registers ThreadLowering::emitLoads(const Access &A, Type Element,
                                    bool Inside) {
  Registers Values;
  int64_t Width = Inside ? A.InsideWidth : A.Width;
  for (int64_t R = 0; R < A.Layout.registerCount(); R += Width) {
    Coordinates Place = A.Layout.ofRegister(R);
    Operation *Made = nullptr;
    llvm::append_range(Values,
                       loadGlobal(B, Element, Width, A.Memory->Pointer,
                                  addressOf(A, Place),
                                  predicateOf(A, Place, Inside), &Made));
    markGlobal(Made, *A.Memory);
  }
  return Values;
}

void ThreadLowering::lowerLoad(tile::LoadOp Load) {
  Value Result = Load.getResult();
  // The loop has copied it, iterations ago.
  if (InRing && (SharedTiles.contains(Result) || OperandTiles.contains(Result)))
    return;
  if (!InRing && canCopy(Load))
    return lowerCopy(Load);
  Access A = accessOf(Load.getMemory(), Load.getIndices(), Load.getDimensions(),
                      Result, Layouts.of(Result));
  Type Element = tileType(Result).getElementType();
  if (!A.Inside)
    return define(Result, emitLoads(A, Element, /*Inside=*/false));
  SmallVector<Type> Types(A.Layout.registerCount(), Element);
  auto If = scf::IfOp::create(B, Types, A.Inside, /*addThenBlock=*/true,
                              /*addElseBlock=*/true);
  for (bool Inside : {true, false}) {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(Inside ? If.thenBlock() : If.elseBlock());
    scf::YieldOp::create(B, emitLoads(A, Element, Inside));
  }
  define(Result, Registers(If.getResults()));
}

void ThreadLowering::emitStores(const Access &A, ArrayRef<Value> Values,
                                bool Inside) {
  int64_t Width = Inside ? A.InsideWidth : A.Width;
  Value Owner = isFirst(A.Layout.copyMask());
  for (int64_t R = 0; R < A.Layout.registerCount(); R += Width) {
    Coordinates Place = A.Layout.ofRegister(R);
    Value Predicate = both(predicateOf(A, Place, Inside), Owner);
    markGlobal(storeGlobal(B, Values.slice(R, Width), A.Memory->Pointer,
                           addressOf(A, Place), Predicate),
               *A.Memory);
  }
}

void ThreadLowering::lowerStore(tile::StoreOp Store) {
  if (canStoreBoxes(Store))
    return lowerBoxStore(Store);
  Access A =
      accessOf(Store.getMemory(), Store.getIndices(), Store.getDimensions(),
               Store.getValue(), Layouts.of(Store.getValue()));
  Registers Values = registersOf(Store.getValue());
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
