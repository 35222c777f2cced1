//===- TileToLoopsExpressions.cpp - Tile kernels to vector loops: elements ===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The value of a tile expression at one point.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/IndexFacts.h"
#include "codegen/x86/KernelLowering.h"

using namespace mlir;

namespace transxssm::x86 {

static Type elementOf(Value Tile) {
  return cast<RankedTensorType>(Tile.getType()).getElementType();
}

//===----------------------------------------------------------------------===//
// Widths
//===----------------------------------------------------------------------===//

/// The widest vector for which every vector of the expression is consecutive
/// in memory.
int64_t KernelLowering::widthOf(Value Tile) {
  llvm::DenseSet<Value> Seen;
  return widthLimit(Tile, Seen, lanes());
}

int64_t KernelLowering::widthLimit(Value Tile, llvm::DenseSet<Value> &Seen,
                                   int64_t Limit) {
  if (!isTile(Tile) || !Seen.insert(Tile).second || Buffers.lookup(Tile))
    return Limit;
  Operation *Op = Tile.getDefiningOp();
  if (!Op)
    return Limit;
  if (auto Load = dyn_cast<tile::LoadOp>(Op))
    return isUnitStride(Load) ? Limit : 1;
  if (isa<tile::GatherOp>(Op))
    return Limit;
  // A vector must not reach from one half of a head into the other.
  if (auto Rope = dyn_cast<tile::RopeOp>(Op)) {
    int64_t Half =
        cast<RankedTensorType>(Rope.getCos().getType()).getDimSize(1);
    Limit = std::min(Limit, Half & -Half);
  }
  for (Value Operand : Op->getOperands())
    Limit = std::min(Limit, widthLimit(Operand, Seen, Limit));
  return Limit;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Value KernelLowering::emit(Value Tile, Point P) {
  std::tuple<const void *, const void *, const void *, int64_t> Key{
      Tile.getAsOpaquePointer(), P.Row.getAsOpaquePointer(),
      P.Col.getAsOpaquePointer(), P.Width};
  if (Current) {
    auto Known = Current->Values.find(Key);
    if (Known != Current->Values.end())
      return Known->second;
  }
  Value Result = emitUncached(Tile, P);
  if (Current)
    Current->Values[Key] = Result;
  return Result;
}

/// The value in another float type.
Value KernelLowering::emitAs(Value Tile, Point P, Type Element) {
  Value Vector = emit(Tile, P);
  if (elementOf(Tile) == Element)
    return Vector;
  return arith::ExtFOp::create(B, vectorType(Element, P.Width), Vector);
}

Value KernelLowering::emitUncached(Value Tile, Point P) {
  if (Value Buffer = Buffers.lookup(Tile))
    return readBuffer(Buffer, P, elementOf(Tile));
  Operation *Op = Tile.getDefiningOp();
  if (auto Load = dyn_cast<tile::LoadOp>(Op))
    return emitLoad(Load, P);
  if (auto Gather = dyn_cast<tile::GatherOp>(Op))
    return emitGather(Gather, P);
  if (auto Broadcast = dyn_cast<tile::BroadcastOp>(Op))
    return emitBroadcast(Broadcast, P);
  if (auto Constant = dyn_cast<arith::ConstantOp>(Op))
    return emitConstant(Constant, P);
  if (auto Iota = dyn_cast<tile::IotaOp>(Op))
    return emitIota(Iota, P);
  if (auto Rope = dyn_cast<tile::RopeOp>(Op))
    return emitRope(Rope, P);
  return emitElementwise(Op, P);
}

Value KernelLowering::emitElementwise(Operation *Op, Point P) {
  SmallVector<Value> Operands;
  for (Value Operand : Op->getOperands())
    Operands.push_back(isTile(Operand) ? emit(Operand, P) : mapped(Operand));
  OperationState State(B.getLoc(), Op->getName());
  State.addOperands(Operands);
  State.addTypes(vectorType(elementOf(Op->getResult(0)), P.Width));
  State.addAttributes(Op->getAttrs());
  return B.create(State)->getResult(0);
}

Value KernelLowering::emitBroadcast(tile::BroadcastOp Op, Point P) {
  Value From = Op.getValue();
  if (!isTile(From))
    return splat(mapped(From), P.Width);
  auto Tile = cast<RankedTensorType>(Op.getType());
  if (Op.getDimensions().size() == static_cast<size_t>(Tile.getRank()))
    return emit(From, P);
  if (Op.getDimensions()[0] == 1)
    return emit(From, {Value(), P.Col, P.Width});
  // One scalar per row, made before the loop over the columns.
  OpBuilder::InsertionGuard Guard(B);
  if (Current && Current->ColumnLoop)
    B.setInsertionPoint(Current->ColumnLoop);
  return splat(emit(From, {Value(), P.Row, 1}), P.Width);
}

Value KernelLowering::emitConstant(arith::ConstantOp Op, Point P) {
  auto Elements = cast<DenseElementsAttr>(Op.getValue());
  Attribute Element = Elements.getSplatValue<Attribute>();
  if (P.Width == 1)
    return arith::ConstantOp::create(B, cast<TypedAttr>(Element));
  auto Type = cast<VectorType>(vectorType(Elements.getElementType(), P.Width));
  return arith::ConstantOp::create(B, DenseElementsAttr::get(Type, Element));
}

Value KernelLowering::emitIota(tile::IotaOp Op, Point P) {
  auto Tile = cast<RankedTensorType>(Op.getType());
  Type Element = Tile.getElementType();
  bool AlongColumns =
      static_cast<int64_t>(Op.getDimension()) == Tile.getRank() - 1;
  Value Start =
      arith::IndexCastOp::create(B, Element, AlongColumns ? P.Col : P.Row);
  if (P.Width == 1)
    return Start;
  Value First = splat(Start, P.Width);
  if (!AlongColumns)
    return First;
  SmallVector<Attribute> Lanes;
  for (int64_t I = 0; I < P.Width; ++I)
    Lanes.push_back(B.getIntegerAttr(Element, I));
  auto Type = cast<VectorType>(vectorType(Element, P.Width));
  Value Steps =
      arith::ConstantOp::create(B, DenseElementsAttr::get(Type, Lanes));
  return arith::AddIOp::create(B, First, Steps);
}

/// [u1 cos - u2 sin, u2 cos + u1 sin] per head, and the opposite signs for the
/// inverse. A vector lies in one half; the other half's is m columns away.
Value KernelLowering::emitRope(tile::RopeOp Op, Point P) {
  auto Tile = cast<RankedTensorType>(Op.getType());
  int64_t Half = cast<RankedTensorType>(Op.getCos().getType()).getDimSize(1);
  Value Within = P.Col;
  if (Tile.getDimSize(1) != 2 * Half)
    Within = B.createOrFold<arith::RemUIOp>(P.Col, index(2 * Half));
  Value InSecond = B.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::uge,
                                                 Within, index(Half));
  auto Choose = [&](Value Second, Value First) {
    return B.createOrFold<arith::SelectOp>(InSecond, Second, First);
  };
  Value Table = Choose(subtract(Within, index(Half)), Within);
  Value Partner = Choose(subtract(P.Col, index(Half)), add(P.Col, index(Half)));
  Value Own = emit(Op.getValue(), P);
  Value Other = emit(Op.getValue(), {P.Row, Partner, P.Width});
  Value Cos = emit(Op.getCos(), {P.Row, Table, P.Width});
  Value Sin = emit(Op.getSin(), {P.Row, Table, P.Width});
  Value Turned = arith::MulFOp::create(B, Other, Sin);
  Value Negative = arith::NegFOp::create(B, Turned);
  Turned =
      Op.getInverse() ? Choose(Negative, Turned) : Choose(Turned, Negative);
  return arith::AddFOp::create(B, arith::MulFOp::create(B, Own, Cos), Turned);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value KernelLowering::emitLoad(tile::LoadOp Op, Point P) {
  auto Tile = cast<RankedTensorType>(Op.getType());
  Value Memory = mapped(Op.getMemory());
  auto MemoryType = cast<MemRefType>(Memory.getType());
  ArrayRef<int64_t> Dimensions = Op.getDimensions();
  auto IsSafe = [&](int64_t I) {
    return isInBounds(Op.getIndices()[Dimensions[I]], Tile.getDimSize(I),
                      MemoryType.getDimSize(Dimensions[I]));
  };
  SmallVector<Value> Indices;
  for (Value Index : Op.getIndices())
    Indices.push_back(mapped(Index));
  Value Condition, Count;
  if (P.Row) {
    int64_t D = Dimensions[0];
    OpBuilder::InsertionGuard Guard(B);
    if (Current && Current->ColumnLoop)
      B.setInsertionPoint(Current->ColumnLoop);
    Indices[D] = add(Indices[D], P.Row);
    if (!IsSafe(0) && !InsideRows.contains(Op))
      Condition = arith::CmpIOp::create(B, arith::CmpIPredicate::slt,
                                        Indices[D], dimension(Memory, D));
  }
  int64_t D = Dimensions.back();
  Indices[D] = add(Indices[D], P.Col);
  if (!AreColumnsInside && !IsSafe(Tile.getRank() - 1))
    Count = subtract(dimension(Memory, D), Indices[D]);
  return readMemory(Memory, Indices, P.Width, Condition, Count);
}

Value KernelLowering::emitGather(tile::GatherOp Op, Point P) {
  Value Memory = mapped(Op.getMemory());
  Value Row;
  {
    OpBuilder::InsertionGuard Guard(B);
    if (Current && Current->ColumnLoop)
      B.setInsertionPoint(Current->ColumnLoop);
    Row = arith::IndexCastOp::create(B, B.getIndexType(),
                                     emit(Op.getRows(), {Value(), P.Row, 1}));
  }
  Value Col = add(mapped(Op.getColumn()), P.Col);
  int64_t Cols = cast<RankedTensorType>(Op.getType()).getDimSize(1);
  Value Count;
  if (!isInBounds(Op.getColumn(), Cols,
                  cast<MemRefType>(Memory.getType()).getDimSize(1)))
    Count = subtract(dimension(Memory, 1), Col);
  return readMemory(Memory, {Row, Col}, P.Width, {}, Count);
}

/// `Width` elements; zero unless `Condition`, and from element `Count` on.
/// Either may be null. Touches no other memory.
Value KernelLowering::readMemory(Value Memory, ValueRange Indices,
                                 int64_t Width, Value Condition, Value Count) {
  Type Element = cast<MemRefType>(Memory.getType()).getElementType();
  auto Type = vectorType(Element, Width);
  if (Width == 1) {
    if (Count) {
      Value Inside =
          arith::CmpIOp::create(B, arith::CmpIPredicate::sgt, Count, index(0));
      Condition = Condition ? Value(arith::AndIOp::create(B, Condition, Inside))
                            : Inside;
    }
    if (!Condition)
      return memref::LoadOp::create(B, Memory, Indices);
    return scf::IfOp::create(
               B, Condition,
               [&](OpBuilder &Then, Location Loc) {
                 Value Loaded =
                     memref::LoadOp::create(Then, Loc, Memory, Indices);
                 scf::YieldOp::create(Then, Loc, Loaded);
               },
               [&](OpBuilder &Else, Location Loc) {
                 Value Zero = arith::ConstantOp::create(Else, Loc,
                                                        Else.getZeroAttr(Type));
                 scf::YieldOp::create(Else, Loc, Zero);
               })
        .getResult(0);
  }
  if (!Condition && !Count)
    return vector::LoadOp::create(B, cast<VectorType>(Type), Memory, Indices);
  auto Limit = [&]() -> Value {
    Value Elements = Count ? Count : index(Width);
    return Condition
               ? B.createOrFold<arith::SelectOp>(Condition, Elements, index(0))
               : Elements;
  };
  if (Element.getIntOrFloatBitWidth() < 32)
    return readPartly(Memory, Indices, Width, Count ? Value() : Condition,
                      Count ? Limit() : Value());
  // Masks count in 32 bits.
  int64_t Extent = cast<MemRefType>(Memory.getType()).getShape().back();
  if (Count && (ShapedType::isDynamic(Extent) || !llvm::isInt<32>(Extent)))
    Count = B.createOrFold<arith::MinSIOp>(Count, index(Width));
  Value Mask;
  {
    OpBuilder::InsertionGuard Guard(B);
    if (!Count && Current && Current->ColumnLoop)
      B.setInsertionPoint(Current->ColumnLoop);
    Mask = vector::CreateMaskOp::create(
        B, VectorType::get({Width}, B.getI1Type()), Limit());
  }
  return vector::MaskedLoadOp::create(B, cast<VectorType>(Type), Memory,
                                      Indices, Mask, zero(Type));
}

/// For elements that the processor cannot mask: a whole vector where it is
/// inside, else zeros where all are out of reach (`Condition`) or one by one up
/// to `Count`; one of the two is null. As integers, because LLVM inserts a bf16
/// into a vector by way of a library call.
Value KernelLowering::readPartly(Value Memory, ValueRange Indices,
                                 int64_t Width, Value Condition, Value Count) {
  Type Element = cast<MemRefType>(Memory.getType()).getElementType();
  auto Type = VectorType::get({Width}, Element);
  mlir::Type Bits = B.getIntegerType(Element.getIntOrFloatBitWidth());
  auto BitsType = VectorType::get({Width}, Bits);
  auto ToBits = [&](Value V, mlir::Type To) -> Value {
    return V.getType() == To ? V : Value(arith::BitcastOp::create(B, To, V));
  };
  Value Whole = Condition;
  if (Count)
    Whole = arith::CmpIOp::create(B, arith::CmpIPredicate::sge, Count,
                                  index(Width));
  auto If = scf::IfOp::create(B, TypeRange(BitsType), Whole, true, true);
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToEnd(&If.getThenRegion().front());
    Value Loaded = vector::LoadOp::create(B, Type, Memory, Indices);
    scf::YieldOp::create(B, ToBits(Loaded, BitsType));
    B.setInsertionPointToEnd(&If.getElseRegion().front());
    if (!Count)
      scf::YieldOp::create(B, zero(BitsType));
  }
  if (Count) {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToEnd(&If.getElseRegion().front());
    auto Loop =
        scf::ForOp::create(B, index(0), Count, index(1), zero(BitsType));
    scf::YieldOp::create(B, Loop.getResult(0));
    if (!Loop.getBody()->empty())
      Loop.getBody()->back().erase();
    B.setInsertionPointToEnd(Loop.getBody());
    SmallVector<Value> Place(Indices);
    Place.back() = add(Place.back(), Loop.getInductionVar());
    Value Single = memref::LoadOp::create(B, Memory, Place);
    Value Next = vector::InsertOp::create(
        B, ToBits(Single, Bits), Loop.getRegionIterArgs()[0],
        ArrayRef<OpFoldResult>{Loop.getInductionVar()});
    scf::YieldOp::create(B, Next);
  }
  return ToBits(If.getResult(0), Type);
}

Value KernelLowering::readBuffer(Value Buffer, Point P, Type Element) {
  SmallVector<Value> Indices;
  if (cast<MemRefType>(Buffer.getType()).getRank() == 2)
    Indices.push_back(P.Row);
  Indices.push_back(P.Col);
  Type Stored = cast<MemRefType>(Buffer.getType()).getElementType();
  Value Loaded = P.Width == 1
                     ? Value(memref::LoadOp::create(B, Buffer, Indices))
                     : Value(vector::LoadOp::create(
                           B, cast<VectorType>(vectorType(Stored, P.Width)),
                           Buffer, Indices));
  if (Stored == Element)
    return Loaded;
  // Truth values are bytes in memory.
  return arith::CmpIOp::create(B, arith::CmpIPredicate::ne, Loaded,
                               zero(Loaded.getType()));
}

void KernelLowering::writeBuffer(Value Vector, Value Buffer, Point P) {
  SmallVector<Value> Indices;
  if (cast<MemRefType>(Buffer.getType()).getRank() == 2)
    Indices.push_back(P.Row);
  Indices.push_back(P.Col);
  if (getElementTypeOrSelf(Vector.getType()).isInteger(1))
    Vector =
        arith::ExtUIOp::create(B, vectorType(B.getI8Type(), P.Width), Vector);
  if (P.Width == 1)
    memref::StoreOp::create(B, Vector, Buffer, Indices);
  else
    vector::StoreOp::create(B, Vector, Buffer, Indices);
}

} // namespace transxssm::x86
