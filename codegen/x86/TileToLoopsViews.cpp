//===- TileToLoopsViews.cpp - Tile kernels to vector loops: views ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Operands of products as their copies hold them. AVX512-BF16 multiplies two
// neighbours along k at once:
//
//   VDPBF16PS  sum[j] += a[2j] b[2j] + a[2j + 1] b[2j + 1]   j = 0 .. 15
//
// with subnormal numbers taken and given as zeros. So bf16 operands are copied
// in pairs along k, which are 32 bits wide: everything that moves float32
// moves pairs as well, and a product counts them instead of k.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;

namespace transxssm::x86 {

static RankedTensorType tileOf(const View &V) {
  return cast<RankedTensorType>(V.Tile.getType());
}

Type KernelLowering::typeOf(const View &V) {
  if (V.isPairs())
    return B.getI32Type();
  Type Own = tileOf(V).getElementType();
  bool IsShort = isa<FloatType>(Own) && Own.getIntOrFloatBitWidth() < 32;
  return IsShort ? B.getF32Type() : Own;
}

int64_t KernelLowering::countRows(const View &V) {
  return tileOf(V).getDimSize(0) / (V.As == View::PairsInColumn ? 2 : 1);
}

int64_t KernelLowering::countCols(const View &V) {
  return tileOf(V).getDimSize(1) / (V.As == View::PairsInRow ? 2 : 1);
}

int64_t KernelLowering::widthOf(const View &V) {
  if (V.As != View::PairsInRow)
    return widthOf(V.Tile);
  llvm::DenseSet<Value> Seen;
  return std::max<int64_t>(1, widthLimit(V.Tile, Seen, 2 * lanes()) / 2);
}

/// Pairs of a row come in vectors of twice as many elements already.
int64_t KernelLowering::nestWidth(const View &V) {
  return V.isPairs() ? widthOf(V) : nestWidth(V.Tile);
}

Value KernelLowering::emit(const View &V, Point P) {
  switch (V.As) {
  case View::Elements:
    return emitAs(V.Tile, P, typeOf(V));
  case View::PairsInRow:
    return emitPairsInRow(V.Tile, P);
  case View::PairsInColumn:
    return emitPairsInColumn(V.Tile, P);
  }
  llvm_unreachable("every form is above");
}

/// Two bf16 in one i32 each.
Value KernelLowering::joinPairs(Value Low, Value High, int64_t Width) {
  auto Extend = [&](Value V) -> Value {
    V = arith::BitcastOp::create(B, vectorType(B.getI16Type(), Width), V);
    return arith::ExtUIOp::create(B, vectorType(B.getI32Type(), Width), V);
  };
  Value Upper = arith::ShLIOp::create(B, Extend(High), splat(bits(16), Width));
  return arith::OrIOp::create(B, Extend(Low), Upper);
}

Value KernelLowering::emitPairsInRow(Value Tile, Point P) {
  Value Col = multiply(P.Col, 2);
  if (P.Width == 1)
    return joinPairs(emit(Tile, {P.Row, Col, 1}),
                     emit(Tile, {P.Row, add(Col, 1), 1}), 1);
  Value Elements = emit(Tile, {P.Row, Col, 2 * P.Width});
  return vector::BitCastOp::create(
      B, VectorType::get({P.Width}, B.getI32Type()), Elements);
}

Value KernelLowering::emitPairsInColumn(Value Tile, Point P) {
  Value Row, Next;
  {
    OpBuilder::InsertionGuard Guard(B);
    if (Current && Current->ColumnLoop)
      B.setInsertionPoint(Current->ColumnLoop);
    Row = multiply(P.Row, 2);
    Next = add(Row, 1);
  }
  return joinPairs(emit(Tile, {Row, P.Col, P.Width}),
                   emit(Tile, {Next, P.Col, P.Width}), P.Width);
}

/// Asks for an element that a copy will read some rows later, of a pair for
/// both: rows are too short for the processor to see the pattern. Never faults.
void KernelLowering::prefetch(const View &V, Value Row, Value Col) {
  SmallVector<Value, 2> Rows{Row};
  if (V.As == View::PairsInRow)
    Col = multiply(Col, 2);
  if (V.As == View::PairsInColumn) {
    Row = multiply(Row, 2);
    Rows = {Row, add(Row, 1)};
  }
  for (tile::LoadOp Load : loadsBehind(V.Tile))
    for (Value Row : Rows)
      memref::PrefetchOp::create(B, mapped(Load.getMemory()),
                                 indicesAt(Load, Row, Col),
                                 /*isWrite=*/false, /*localityHint=*/3,
                                 /*isDataCache=*/true);
}

/// Sum + A C of float32 vectors, or of pairs.
Value KernelLowering::multiplyAdd(Value A, Value C, Value Sum) {
  if (getElementTypeOrSelf(A.getType()).isF32())
    return math::FmaOp::create(B, A, C, Sum);
  auto Type = dyn_cast<VectorType>(A.getType());
  int64_t Width = Type ? Type.getDimSize(0) : 1;
  if (Options.Pairs == PairProducts::Instructions && Width >= 4) {
    auto Pairs = VectorType::get({2 * Width}, B.getBF16Type());
    return x86vector::DotBF16Op::create(B, Sum.getType(), Sum,
                                        vector::BitCastOp::create(B, Pairs, A),
                                        vector::BitCastOp::create(B, Pairs, C));
  }
  // A bf16 is the upper half of a float32.
  auto Half = [&](Value V, bool Upper) -> Value {
    V = Upper ? Value(arith::AndIOp::create(B, V, splat(bits(~0xffff), Width)))
              : Value(arith::ShLIOp::create(B, V, splat(bits(16), Width)));
    return arith::BitcastOp::create(B, Sum.getType(), V);
  };
  Sum = math::FmaOp::create(B, Half(A, false), Half(C, false), Sum);
  return math::FmaOp::create(B, Half(A, true), Half(C, true), Sum);
}

} // namespace transxssm::x86
