//===- TileToThreadsShapes.cpp - Tile kernels to threads: shapes and sums -===//
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

#include <numeric>

using namespace mlir;

namespace transxssm::nvptx {

/// Lanes of a warp.
constexpr int64_t WarpMask = 31;
/// Of float32, what one access takes.
constexpr int64_t VectorElements = 4;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

void ThreadLowering::lowerBroadcast(tile::BroadcastOp Broadcast) {
  Value Result = Broadcast.getResult(), Vector = Broadcast.getValue();
  const LinearLayout &Layout = Layouts.of(Result);
  LinearLayout Slice = *Layouts.wanted(Broadcast.getValueMutable());
  Registers Source = registersOf(Vector, Slice);
  if (tileType(Result).getRank() == 1)
    return define(Result, std::move(Source));
  bool IsColumn = Broadcast.getDimensions().front() == 0;
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); ++R) {
    Coordinates Place = Layout.ofRegister(R);
    int64_t Number = IsColumn ? Place.Row : Place.Column;
    Values.push_back(Source[*Slice.findRegister({0, Number})]);
  }
  define(Result, std::move(Values));
}

void ThreadLowering::lowerIota(tile::IotaOp Iota) {
  Value Result = Iota.getResult();
  const LinearLayout &Layout = Layouts.of(Result);
  Type Element = tileType(Result).getElementType();
  bool OfRows = tileType(Result).getRank() == 2 && Iota.getDimension() == 0;
  Value First = arith::IndexCastOp::create(
      B, Element, OfRows ? threadRow(Layout) : threadColumn(Layout));
  std::map<int64_t, Value> Made;
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); ++R) {
    Coordinates Place = Layout.ofRegister(R);
    int64_t Number = OfRows ? Place.Row : Place.Column;
    Value &Known = Made[Number];
    if (!Known)
      Known = arith::AddIOp::create(
          B, First,
          arith::ConstantOp::create(B, B.getIntegerAttr(Element, Number)));
    Values.push_back(Known);
  }
  define(Result, std::move(Values));
}

void ThreadLowering::lowerTranspose(tile::TransposeOp Transpose) {
  Value Result = Transpose.getResult();
  if (Layouts.transposesInRegisters(Transpose))
    return define(Result, registersOf(Transpose.getValue()));
  SharedTile From = sharedOf(Transpose.getValue());
  ++Group;
  define(Result, readTransposed(From, Layouts.of(Result),
                                tileType(Result).getElementType()));
}

void ThreadLowering::lowerExtract(tile::ExtractOp Extract) {
  Value Vector = Extract.getValue();
  if (isUniform(Vector)) {
    Scalars.map(Extract.getResult(), uniformValue(Vector));
    return;
  }
  Value Element =
      loadVector(sharedOf(Vector), scalar(Extract.getPosition()), 1)[0];
  if (Extract.getType().isInteger(1))
    Element = arith::TruncIOp::create(B, Extract.getType(), Element);
  Scalars.map(Extract.getResult(), Element);
}

/// For halves u1, u2 of a head: u1 cos - u2 sin and u2 cos + u1 sin. Every
/// element meets its partner m columns away, and its line of the table.
void ThreadLowering::lowerRope(tile::RopeOp Rope) {
  if (std::optional<LinearLayout> Table = Layouts.ropeTable(Rope))
    return lowerRopeInRegisters(Rope, *Table);
  Value Result = Rope.getResult();
  const LinearLayout &Layout = Layouts.of(Result);
  int64_t Half = tileType(Rope.getCos()).getDimSize(1);
  SharedTile Partners = sharedOf(Rope.getValue());
  SharedTile Cos = sharedOf(Rope.getCos()), Sin = sharedOf(Rope.getSin());
  Registers Own = registersOf(Rope.getValue(), Layout);
  Value Row = threadRow(Layout), Column = threadColumn(Layout);
  Value PartnerRow = rowOffset(Partners, Row), TableRow = rowOffset(Cos, Row);
  // So many columns of a thread are in one half, and so are their partners.
  int64_t Width =
      std::gcd(std::min(Layout.vectorWidth(), VectorElements), Half);
  ++Group;
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); R += Width) {
    Coordinates Place = Layout.ofRegister(R);
    Value C = add(Column, Place.Column);
    Value InHead = arith::RemUIOp::create(B, C, index(2 * Half));
    Value IsFirst = isBelow(InHead, index(Half));
    Value Partner = arith::SelectOp::create(
        B, IsFirst, add(C, Half), arith::SubIOp::create(B, C, index(Half)));
    if (tileType(Result).getDimSize(1) != Layout.columns())
      Partner =
          arith::MinUIOp::create(B, Partner, index(Layout.columns() - Width));
    Value Line = add(arith::RemUIOp::create(B, C, index(Half)), TableRow);
    Registers Others = loadVector(
        Partners, add(add(PartnerRow, Partner), Partners.offset(Place.Row, 0)),
        Width);
    Registers CosValues =
        loadVector(Cos, add(Line, Cos.offset(Place.Row, 0)), Width);
    Registers SinValues =
        loadVector(Sin, add(Line, Sin.offset(Place.Row, 0)), Width);
    for (int64_t I = 0; I < Width; ++I) {
      Value Negated = arith::NegFOp::create(B, SinValues[I]);
      Value Signed =
          Rope.getInverse()
              ? arith::SelectOp::create(B, IsFirst, SinValues[I], Negated)
              : arith::SelectOp::create(B, IsFirst, Negated, SinValues[I]);
      Value Kept = arith::MulFOp::create(B, Own[R + I], CosValues[I]);
      Values.push_back(arith::AddFOp::create(
          B, Kept, arith::MulFOp::create(B, Others[I], Signed)));
    }
  }
  define(Result, std::move(Values));
}

/// The same where a thread holds both elements of each pair.
void ThreadLowering::lowerRopeInRegisters(tile::RopeOp Rope,
                                          const LinearLayout &Table) {
  Value Result = Rope.getResult();
  const LinearLayout &Layout = Layouts.of(Result);
  int64_t Half = Table.columns();
  Registers Own = registersOf(Rope.getValue(), Layout);
  Registers Cos = registersOf(Rope.getCos(), Table);
  Registers Sin = registersOf(Rope.getSin(), Table);
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); ++R) {
    Coordinates Place = Layout.ofRegister(R);
    int64_t Line = *Table.findRegister({Place.Row, Place.Column & (Half - 1)});
    int64_t Partner = *Layout.findRegister({Place.Row, Place.Column ^ Half});
    bool IsFirst = !(Place.Column & Half);
    Value Signed = Sin[Line];
    if (IsFirst != Rope.getInverse())
      Signed = arith::NegFOp::create(B, Signed);
    Value Kept = arith::MulFOp::create(B, Own[R], Cos[Line]);
    Values.push_back(arith::AddFOp::create(
        B, Kept, arith::MulFOp::create(B, Own[Partner], Signed)));
  }
  define(Result, std::move(Values));
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

Value ThreadLowering::combine(tile::Reduction Kind, Value A, Value C) {
  if (Kind == tile::Reduction::Sum)
    return arith::AddFOp::create(B, A, C);
  return arith::MaximumFOp::create(B, A, C);
}

/// What changes nothing.
static TypedAttr identityOf(tile::Reduction Kind, FloatType Type) {
  if (Kind == tile::Reduction::Sum)
    return FloatAttr::get(Type, 0.0);
  return FloatAttr::get(
      Type, APFloat::getInf(Type.getFloatSemantics(), /*Negative=*/true));
}

/// In the thread in the order of the coordinates, over the lanes of a warp by
/// exchanging with the lane one bit away (both get the same sum), over the
/// warps through shared memory in their order.
void ThreadLowering::lowerReduce(tile::ReduceOp Reduce) {
  Value From = Reduce.getValue();
  tile::Reduction Kind = Reduce.getKind();
  const LinearLayout &Layout = Layouts.of(From);
  auto Element = cast<FloatType>(tileType(From).getElementType());
  if (!Element.isF32())
    return error(Reduce, "reductions are of float32");
  bool IsVector = tileType(From).getRank() == 1;
  bool AlongRows = !IsVector && Reduce.getDimension() == 0;
  Value Identity = arith::ConstantOp::create(B, identityOf(Kind, Element));
  Registers Source = masked(From, Layout, registersOf(From, Layout), Identity);

  LinearLayout Natural = IsVector    ? LinearLayout(1, 1, {}, {})
                         : AlongRows ? Layout.columnSlice()
                                     : Layout.rowSlice();
  if (IsVector)
    Natural =
        LinearLayout(1, 1, {}, SmallVector<Coordinates>(Layout.threadBits()));
  Registers Values(Natural.registerCount());
  for (auto [Number, V] : llvm::enumerate(Source)) {
    Coordinates Place = Layout.ofRegister(Number);
    int64_t Kept = IsVector ? 0 : AlongRows ? Place.Column : Place.Row;
    Value &Sum = Values[*Natural.findRegister({0, Kept})];
    Sum = Sum ? combine(Kind, Sum, V) : V;
  }
  int64_t Mask = AlongRows ? Layout.rowMask() : Layout.columnMask();
  for (int64_t Bit = 1; Bit <= WarpMask; Bit *= 2)
    if (Mask & Bit)
      for (Value &V : Values)
        V = combine(Kind, V, shuffleXor(B, V, Bit));
  if (Mask & ~WarpMask)
    Values = reduceAcrossWarps(Kind, Values, Natural, Mask & ~WarpMask);
  if (IsVector) {
    Scalars.map(Reduce.getResult(), Values[0]);
    return;
  }
  define(Reduce.getResult(),
         convert(Values, Natural, Layouts.of(Reduce.getResult())));
}

/// Each warp writes a line of its values, each thread adds the lines in order.
/// Nobody else reads the lines: their elements lie as threads access them.
Registers ThreadLowering::reduceAcrossWarps(tile::Reduction Kind,
                                            Registers Values,
                                            const LinearLayout &Places,
                                            int64_t Mask) {
  LinearLayout Natural = Places.packed(VectorElements);
  SmallVector<int64_t> Bases(Natural.threadBits());
  int64_t Lines = 1;
  for (unsigned Bit = 0; Bit < Bases.size(); ++Bit)
    if (Mask >> Bit & 1) {
      Bases[Bit] = Lines * Natural.columns();
      Lines *= 2;
    }
  Type Element = Values.front().getType();
  SharedTile Parts = allocate(1, Lines * Natural.columns(), Element);
  write(Parts, Natural, Values, Natural.copyMask() & ~Mask, threadPart(Bases));
  ++Group;
  SmallVector<Registers> Read;
  for (int64_t Line = 0; Line < Lines; ++Line) {
    Registers Part;
    for (int64_t R = 0; R < Natural.registerCount(); ++R)
      Part.push_back(
          loadVector(Parts,
                     add(threadColumn(Natural), Natural.ofRegister(R).Column +
                                                    Line * Natural.columns()),
                     1)[0]);
    Read.push_back(std::move(Part));
  }
  Registers Sums = Read.front();
  for (const Registers &Part : llvm::drop_begin(Read))
    for (auto [Sum, V] : llvm::zip_equal(Sums, Part))
      Sum = combine(Kind, Sum, V);
  return Sums;
}

/// One thread adds, in the order that the operation promises; the vectors are
/// short. Elements beyond the tile are zeros in shared memory.
void ThreadLowering::lowerCumulativeSum(tile::CumulativeSumOp Sum) {
  constexpr int64_t Step = 4;
  Value Result = Sum.getResult();
  const LinearLayout &Layout = Layouts.of(Result);
  Type Element = tileType(Result).getElementType();
  SharedTile From = sharedOf(Sum.getValue());
  SharedTile To = allocate(1, Layout.columns(), Element);
  int64_t Width = std::min(Step, Layout.columns());
  ++Group;
  auto If = scf::IfOp::create(B, isFirst(Layouts.threads() - 1),
                              /*withElseRegion=*/false);
  If->setAttr(DivergentAttr, B.getUnitAttr());
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(If.thenBlock());
    auto For = scf::ForOp::create(B, index(0), index(Layout.columns()),
                                  index(Width), zero(Element));
    B.setInsertionPointToStart(For.getBody());
    Value First = For.getInductionVar(), Total = For.getRegionIterArg(0);
    if (Sum.getReverse())
      First = arith::SubIOp::create(B, index(Layout.columns() - Width), First);
    Registers Part = loadVector(From, First, Width);
    if (Sum.getReverse())
      std::reverse(Part.begin(), Part.end());
    for (Value &V : Part)
      V = Total = arith::AddFOp::create(B, Total, V);
    if (Sum.getReverse())
      std::reverse(Part.begin(), Part.end());
    storeVector(To, First, Part);
    scf::YieldOp::create(B, Total);
  }
  ++Group;
  SharedTiles[Result] = To;
  define(Result, read(To, Layout, Element));
}

} // namespace transxssm::nvptx
