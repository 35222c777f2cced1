//===- TileToThreadsShared.cpp - Tile kernels to threads: shared memory ---===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace transxssm::nvptx {

/// Swizzling repeats after so many bytes.
constexpr int64_t SwizzleAlignment = 1024;
/// Elements of so many bytes are moved at once at most.
constexpr int64_t VectorBytes = 16;
/// What the banks of shared memory give at once.
constexpr int64_t LineBytes = 128;

static int64_t bytesOf(Type Element) {
  return llvm::divideCeil(Element.getIntOrFloatBitWidth(), 8);
}

/// Of 16-bit elements, so many rows as 128 bytes hold lie without a pad: they
/// are written at once, and eight of them are read with one pad or more between
/// those that would meet in a bank.
static SharedTile paddedShape(int64_t Rows, int64_t Columns, Type Element) {
  int64_t Run =
      bytesOf(Element) == 2 ? std::max<int64_t>(1, LineBytes / 2 / Columns) : 4;
  int64_t Pad = Rows > 4 ? VectorBytes / bytesOf(Element) : 0;
  return SharedTile{{}, Rows, Columns, Pad, Run};
}

/// Whether sixteen bytes of each of the rows lie in banks of their own.
static bool inOwnBanks(const SharedTile &Tile, RowsAtOnce Rows, Type Element) {
  constexpr int64_t Places = LineBytes / VectorBytes;
  int64_t Taken = 0;
  for (int64_t I = 0; I < Rows.Count && I * Rows.Apart < Tile.Rows; ++I) {
    int64_t Byte = Tile.offset(I * Rows.Apart, 0) * bytesOf(Element);
    int64_t Place = int64_t(1) << Byte / VectorBytes % Places;
    if (Taken & Place)
      return false;
    Taken |= Place;
  }
  return true;
}

/// Fewer rows between pads, or pads at all, where products without tensor cores
/// read neighbouring rows at once.
static void padForProducts(SharedTile &Shape, ArrayRef<RowsAtOnce> Reads,
                           Type Element) {
  SharedTile Tried = Shape;
  auto Suits = [&] {
    return llvm::all_of(Reads, [&](RowsAtOnce Rows) {
      return inOwnBanks(Tried, Rows, Element);
    });
  };
  if (Suits())
    return;
  Tried.Pad = VectorBytes / bytesOf(Element);
  for (Tried.Run = 4; Tried.Run > 0; Tried.Run /= 2)
    if (Suits()) {
      Shape = Tried;
      return;
    }
}

/// What lies between rows follows from who reads them: four rows, or eight, at
/// once, sixteen or eight bytes of each.
SharedTile ThreadLowering::shapeOf(Value Tile) {
  const LinearLayout &Layout = Layouts.of(Tile);
  Type Element = tileType(Tile).getElementType();
  if (Element.isInteger(1))
    Element = B.getI8Type();
  SharedTile Shape = paddedShape(Layout.rows(), Layout.columns(), Element);
  if (Shape.Pad != 0 && Element.isF32() && Layouts.hasAccumulators() &&
      Layout.columns() >= 16)
    Shape.RowPad = 8;
  // Thread t of a product without tensor cores reads rows n t ... n t + n - 1.
  if (Shape.Pad != 0 && Element.isBF16())
    if (int64_t Rows = Layouts.rowsOfFma(Tile))
      Shape.Run = std::min(Rows, Layout.rows());
  if (Element.isF32() || Element.isBF16())
    padForProducts(Shape, Layouts.rowsAtOnce(Tile), Element);
  return Shape;
}

SharedTile operandShape(const LinearLayout &Layout) {
  SharedTile Tile{{}, Layout.rows(), Layout.columns()};
  Tile.Swizzled = true;
  return Tile;
}

int64_t sharedElements(const SharedTile &Tile) {
  if (Tile.Swizzled)
    return Tile.Rows * llvm::alignTo(Tile.Columns, 64);
  return Tile.Rows * (Tile.Columns + Tile.RowPad) +
         llvm::divideCeil(Tile.Rows, Tile.Run) * Tile.Pad;
}

/// A buffer for the tile, so many times.
Value ThreadLowering::allocateElements(const SharedTile &Tile, Type Element,
                                       int64_t Stages) {
  auto Type = MemRefType::get({sharedElements(Tile) * Stages}, Element,
                              MemRefLayoutAttrInterface(),
                              B.getI64IntegerAttr(SharedSpace));
  if (!Tile.Swizzled)
    return memref::AllocOp::create(B, Type);
  return memref::AllocOp::create(B, Type,
                                 B.getI64IntegerAttr(SwizzleAlignment));
}

SharedTile ThreadLowering::allocate(int64_t Rows, int64_t Columns,
                                    Type Element) {
  // One bit has no address.
  if (Element.isInteger(1))
    Element = B.getI8Type();
  SharedTile Tile = paddedShape(Rows, Columns, Element);
  Tile.Buffer = allocateElements(Tile, Element);
  return Tile;
}

SharedTile ThreadLowering::allocate(Value Tile) {
  SharedTile Shared = shapeOf(Tile);
  Type Element = tileType(Tile).getElementType();
  Shared.Buffer =
      allocateElements(Shared, Element.isInteger(1) ? B.getI8Type() : Element);
  return Shared;
}

/// The copy of a tile; a uniform tile gets one where it is used.
SharedTile ThreadLowering::sharedOf(Value Tile) {
  awaitCopy(Tile);
  auto Known = SharedTiles.find(Tile);
  if (Known != SharedTiles.end())
    return Known->second;
  assert(isUniform(Tile) && "a tile without its copy in shared memory");
  const LinearLayout &Layout = Layouts.of(Tile);
  Type Element = tileType(Tile).getElementType();
  SharedTile Copy = allocate(Tile);
  write(Copy, Layout,
        masked(Tile, Layout, registersOf(Tile, Layout), zero(Element)),
        Layout.copyMask());
  // Not remembered: another use may be in another block.
  return Copy;
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

ThreadLowering::Placement
ThreadLowering::placement(const SharedTile &Tile, const LinearLayout &Layout) {
  Value Row = threadRow(Layout), Column = threadColumn(Layout);
  if (Tile.Swizzled)
    return {operandPlace(Tile, Row, Column), {}};
  return {add(rowOffset(Tile, Row), Column), {}};
}

Value ThreadLowering::placeOf(const SharedTile &Tile, Placement &P,
                              Coordinates Place) {
  int64_t Offset = Tile.offset(Place.Row, Place.Column);
  if (!Tile.Swizzled)
    return add(P.Base, Offset);
  // A constant shares no bits with the thread's part, but for the three that
  // are exchanged.
  Offset ^= Place.Row % 8 * 8;
  Value &Start = P.Starts[Offset & 56];
  if (!Start)
    Start = B.createOrFold<arith::XOrIOp>(P.Base, index(Offset & 56));
  return add(Start, Offset & ~int64_t(56));
}

Registers ThreadLowering::loadVector(const SharedTile &From, Value Offset,
                                     int64_t Count) {
  auto Memory = cast<MemRefType>(From.Buffer.getType());
  auto Type = VectorType::get({Count}, Memory.getElementType());
  auto Load = vector::LoadOp::create(B, Type, From.Buffer, Offset);
  markShared(Load, From);
  return unpackVector(B, Load);
}

void ThreadLowering::storeVector(const SharedTile &To, Value Offset,
                                 ArrayRef<Value> Values) {
  auto Store =
      vector::StoreOp::create(B, packVector(B, Values), To.Buffer, Offset);
  markShared(Store, To);
}

Value ThreadLowering::sharedPointer(const SharedTile &Tile) {
  return UnrealizedConversionCastOp::create(
             B, LLVM::LLVMPointerType::get(B.getContext(), SharedSpace),
             Tile.Buffer)
      .getResult(0);
}

/// Says what later passes must know of an access.
void ThreadLowering::markShared(Operation *Op, const SharedTile &Tile) {
  Op->setAttr(GroupAttr, B.getI64IntegerAttr(Group));
  if (Tile.Ring >= 0)
    Op->setAttr(RingAttr, B.getI64IntegerAttr(Tile.Ring));
}

/// Where a row whose number threads compute begins in the buffer; in the tile
/// if not Shifted.
Value ThreadLowering::rowOffset(const SharedTile &Tile, Value Row,
                                bool Shifted) {
  Value Offset = multiply(Row, Tile.Columns + Tile.RowPad);
  if (Tile.Shift && Shifted)
    Offset = add(Tile.Shift, Offset);
  if (Tile.Pad == 0)
    return Offset;
  Value Blocks =
      B.createOrFold<arith::ShRUIOp>(Row, index(llvm::Log2_64(Tile.Run)));
  return add(Offset, multiply(Blocks, Tile.Pad));
}

/// Writes the registers of a layout, each element by one of the threads that
/// hold it: one for which the bits of CopyMask are 0. `Shift` moves the whole.
void ThreadLowering::write(const SharedTile &To, const LinearLayout &Layout,
                           ArrayRef<Value> Values, int64_t CopyMask,
                           Value Shift) {
  Type Element = Values.front().getType();
  int64_t Width =
      std::min(Layout.vectorWidth(), VectorBytes / bytesOf(Element));
  Value Base = add(rowOffset(To, threadRow(Layout)), threadColumn(Layout));
  if (Shift)
    Base = add(Base, Shift);
  OpBuilder::InsertionGuard Guard(B);
  if (Value Owner = isFirst(CopyMask)) {
    auto If = scf::IfOp::create(B, Owner, /*withElseRegion=*/false);
    If->setAttr(DivergentAttr, B.getUnitAttr());
    B.setInsertionPointToStart(If.thenBlock());
  }
  for (int64_t R = 0; R < Layout.registerCount(); R += Width) {
    Coordinates Place = Layout.ofRegister(R);
    Registers Elements(Values.slice(R, Width));
    if (Element.isInteger(1))
      for (Value &V : Elements)
        V = arith::ExtUIOp::create(B, B.getI8Type(), V);
    storeVector(To, add(Base, To.offset(Place.Row, Place.Column)), Elements);
  }
}

/// Reads a tile in a layout.
Registers ThreadLowering::read(const SharedTile &From,
                               const LinearLayout &Layout, Type Element) {
  Value Base = add(rowOffset(From, threadRow(Layout)), threadColumn(Layout));
  int64_t Width =
      std::min(Layout.vectorWidth(), VectorBytes / bytesOf(Element));
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); R += Width) {
    Coordinates Place = Layout.ofRegister(R);
    int64_t Offset = From.offset(Place.Row, Place.Column);
    for (Value V : loadVector(From, add(Base, Offset), Width))
      Values.push_back(Element.isInteger(1)
                           ? arith::TruncIOp::create(B, Element, V).getResult()
                           : V);
  }
  return Values;
}

/// Reads a tile of which element (i, j) of the layout is element (j, i): as
/// many at once as a thread holds in neighbouring rows.
Registers ThreadLowering::readTransposed(const SharedTile &From,
                                         const LinearLayout &Layout,
                                         Type Element) {
  Value Base = add(rowOffset(From, threadColumn(Layout)), threadRow(Layout));
  int64_t Width = 1;
  while (Width < VectorBytes / bytesOf(Element) &&
         llvm::is_contained(Layout.registerBases(), Coordinates{Width, 0}))
    Width *= 2;
  Registers Values(Layout.registerCount());
  for (int64_t R = 0; R < Layout.registerCount(); ++R) {
    Coordinates Place = Layout.ofRegister(R);
    if (Place.Row % Width != 0)
      continue;
    int64_t Offset = From.offset(Place.Column, Place.Row);
    Registers Read = loadVector(From, add(Base, Offset), Width);
    for (int64_t I = 0; I < Width; ++I)
      Values[*Layout.findRegister({Place.Row + I, Place.Column})] =
          Element.isInteger(1)
              ? arith::TruncIOp::create(B, Element, Read[I]).getResult()
              : Read[I];
  }
  return Values;
}

/// Brings registers from one layout to another.
Registers ThreadLowering::convert(ArrayRef<Value> Values,
                                  const LinearLayout &From,
                                  const LinearLayout &To) {
  Conversion Kind = conversionBetween(From, To);
  if (Kind == Conversion::None)
    return Registers(Values);
  if (Kind == Conversion::Registers) {
    Registers Moved;
    for (int64_t Source : registerPermutation(From, To))
      Moved.push_back(Values[Source]);
    return Moved;
  }
  Type Element = Values.front().getType();
  SharedTile Copy = allocate(From.rows(), From.columns(), Element);
  write(Copy, From, Values, From.copyMask());
  ++Group;
  return read(Copy, To, Element);
}

/// The registers with `Outside` in place of elements beyond the tile's extents.
Registers ThreadLowering::masked(Value Tile, const LinearLayout &Layout,
                                 Registers Values, Value Outside) {
  RankedTensorType Type = tileType(Tile);
  int64_t Columns = Type.getShape().back();
  int64_t Rows = Type.getRank() == 2 ? Type.getDimSize(0) : 1;
  if (Rows == Layout.rows() && Columns == Layout.columns())
    return Values;
  for (auto [Number, V] : llvm::enumerate(Values)) {
    Coordinates Place = Layout.ofRegister(Number);
    Value Inside;
    if (Rows != Layout.rows())
      Inside =
          both(Inside, isBelow(add(threadRow(Layout), Place.Row), index(Rows)));
    if (Columns != Layout.columns())
      Inside = both(Inside, isBelow(add(threadColumn(Layout), Place.Column),
                                    index(Columns)));
    V = arith::SelectOp::create(B, Inside, V, Outside);
  }
  return Values;
}

} // namespace transxssm::nvptx
