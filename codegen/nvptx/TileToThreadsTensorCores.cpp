//===- TileToThreadsTensorCores.cpp - Products on tensor cores ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// mma.m16n8k16 with bf16 operands and float32 sums. Operands lie in shared
// memory; ldmatrix brings their fragments (PTX ISA, "Matrix Fragments for
// mma.m16n8k16"), whichever way they lie there:
//
//   left  [m][k]  four 8 x 8 matrices: rows m + 0..15, columns k + 0..7, 8..15
//         [k][m]  the same, transposed on the way
//   right [n][k]  two tiles of eight columns at once: rows n + 0..15
//         [k][n]  the same, transposed on the way
//
// A warp makes its rows of the accumulator; sums over k are in order, sixteen
// at a time.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"

using namespace mlir;

namespace transxssm::nvptx {

/// An operand's fragments: `At` gives those of sixteen rows (columns) and k.
struct ThreadLowering::MatrixSide {
  SharedTile Tile;
  Value Pointer, Base;
  bool InnerIsColumn, Transposed;
};

/// What the lane and the warp add to the coordinates of the row whose address
/// a lane gives. `Warps` are the warp's own bases along m or n. Without a
/// second tile along n the first is read twice.
static std::pair<SmallVector<int64_t>, SmallVector<int64_t>>
laneBases(bool IsLeft, bool InnerIsColumn, bool HasSecond,
          ArrayRef<int64_t> Warps) {
  // Outer: along m or n; inner: along k. Matrices 0 to 3 are, for the left
  // operand, (0, 0) (8, 0) (0, 8) (8, 8); for the right (0, 0) (0, 8) (8, 0)
  // (8, 8).
  SmallVector<int64_t> Rows{1, 2, 4}, Columns{0, 0, 0};
  for (unsigned LaneBit : {3, 4}) {
    bool Outer = (LaneBit == 3) == IsLeft;
    bool AlongRows = Outer == InnerIsColumn;
    int64_t Basis = Outer && !HasSecond ? 0 : 8;
    Rows.push_back(AlongRows ? Basis : 0);
    Columns.push_back(AlongRows ? 0 : Basis);
  }
  for (int64_t Basis : Warps) {
    Rows.push_back(InnerIsColumn ? Basis : 0);
    Columns.push_back(InnerIsColumn ? 0 : Basis);
  }
  return {Rows, Columns};
}

ThreadLowering::MatrixSide
ThreadLowering::matrixSide(Value Operand, const LinearLayout &Layout,
                           bool IsLeft, bool InnerIsColumn) {
  MatrixSide Side;
  Side.Tile = sharedOf(Operand);
  Side.InnerIsColumn = InnerIsColumn;
  // The fragment of the right operand is that of its transpose.
  Side.Transposed = !InnerIsColumn;
  SmallVector<int64_t> Warps;
  for (Coordinates C : Layout.threadBases().drop_front(5))
    Warps.push_back(IsLeft ? C.Row : C.Column);
  Coordinates Second{IsLeft ? 8 : 0, IsLeft ? 0 : 8};
  bool HasSecond = llvm::is_contained(Layout.registerBases(), Second);
  auto [Rows, Columns] = laneBases(IsLeft, InnerIsColumn, HasSecond, Warps);
  Value Row = threadPart(Rows), Column = threadPart(Columns);
  Side.Base = add(rowOffset(Side.Tile, Row), Column);
  Side.Pointer = sharedPointer(Side.Tile);
  return Side;
}

/// The fragments at an offset along m or n, and k.
Registers ThreadLowering::loadFragments(const MatrixSide &Side, Value K,
                                        int64_t Offset) {
  Value Place = add(
      Side.Base, Side.InnerIsColumn
                     ? add(K, Side.Tile.offset(Offset, 0))
                     : add(rowOffset(Side.Tile, K, /*Shifted=*/false), Offset));
  auto Memory = cast<MemRefType>(Side.Tile.Buffer.getType());
  Value Address = LLVM::GEPOp::create(
      B, Side.Pointer.getType(), Memory.getElementType(), Side.Pointer,
      ArrayRef<LLVM::GEPArg>{
          arith::IndexCastOp::create(B, B.getI64Type(), Place).getResult()});
  Operation *Load = loadMatrices(B, Address, Side.Transposed);
  markShared(Load, Side.Tile);
  return unpackStruct(B, Load->getResult(0));
}

/// The offsets of 16 x 8 tiles along a dimension of the accumulator.
static SmallVector<int64_t> tileOffsets(const LinearLayout &Layout,
                                        int64_t Coordinates::*Dimension,
                                        int64_t Size) {
  SmallVector<int64_t> Offsets{0};
  for (Coordinates Basis : Layout.registerBases()) {
    if (Basis.*Dimension < Size)
      continue;
    size_t Count = Offsets.size();
    for (size_t I = 0; I < Count; ++I)
      Offsets.push_back(Offsets[I] + Basis.*Dimension);
  }
  llvm::sort(Offsets);
  return Offsets;
}

/// Keeps LLVM and ptxas from unrolling a loop: the whole inner extent of a
/// product would want more registers than there are.
static void keepRolled(scf::ForOp Loop) {
  MLIRContext *Context = Loop.getContext();
  auto Unroll = LLVM::LoopUnrollAttr::get(
      Context, /*disable=*/BoolAttr::get(Context, true), /*count=*/{},
      /*runtimeDisable=*/{}, /*full=*/{}, {}, {}, {});
  // Conversions from scf to LLVM pass it on to the branch.
  Loop->setAttr("loop_annotation",
                LLVM::LoopAnnotationAttr::get(
                    Context, {}, {}, {}, Unroll, {}, {}, {}, {}, {}, {}, {}, {},
                    FusedLoc(), FusedLoc(), ArrayRef<LLVM::AccessGroupAttr>()));
}

void ThreadLowering::lowerTensorCoreMma(tile::MmaOp Mma) {
  const LinearLayout &Layout = Layouts.of(Mma.getResult());
  ++Group;
  MatrixSide Left =
      matrixSide(Mma.getLhs(), Layout, /*IsLeft=*/true, !Mma.getTransposeLhs());
  MatrixSide Right =
      matrixSide(Mma.getRhs(), Layout, /*IsLeft=*/false, Mma.getTransposeRhs());
  Registers Sums = registersOf(Mma.getAccumulator(), Layout);
  int64_t Inner = Left.InnerIsColumn ? Left.Tile.Columns : Left.Tile.Rows;
  ++Group;
  auto Step = [&](Value K) {
    multiplyOnTensorCores(Layout, Left, Right, K, Sums);
  };
  // Two steps at a time: the fragments of one come while the other multiplies.
  int64_t Together = Inner % 32 == 0 ? 2 : 1;
  if (Inner == 16 * Together) {
    for (int64_t I = 0; I < Together; ++I)
      Step(index(16 * I));
    return define(Mma.getResult(), std::move(Sums));
  }
  auto For =
      scf::ForOp::create(B, index(0), index(Inner), index(16 * Together), Sums);
  keepRolled(For);
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(For.getBody());
    Sums = Registers(For.getRegionIterArgs());
    for (int64_t I = 0; I < Together; ++I)
      Step(add(For.getInductionVar(), 16 * I));
    scf::YieldOp::create(B, Sums);
  }
  define(Mma.getResult(), Registers(For.getResults()));
}

/// Adds the products of sixteen k.
void ThreadLowering::multiplyOnTensorCores(const LinearLayout &Layout,
                                           const MatrixSide &Left,
                                           const MatrixSide &Right, Value K,
                                           Registers &Sums) {
  SmallVector<int64_t> Rows = tileOffsets(Layout, &Coordinates::Row, 16);
  SmallVector<int64_t> Columns = tileOffsets(Layout, &Coordinates::Column, 8);
  SmallVector<Registers> LeftWords;
  for (int64_t Row : Rows)
    LeftWords.push_back(loadFragments(Left, K, Row));
  auto Multiply = [&](ArrayRef<Value> RightWords, int64_t Column) {
    for (auto [Row, Words] : llvm::zip_equal(Rows, LeftWords)) {
      SmallVector<int64_t> Places;
      Registers Old;
      for (Coordinates Inside : {Coordinates{0, 0}, {0, 1}, {8, 0}, {8, 1}}) {
        Coordinates Place{Row + Inside.Row, Column + Inside.Column};
        Places.push_back(*Layout.findRegister(Place));
        Old.push_back(Sums[Places.back()]);
      }
      Registers New = multiplyMatrices(B, Words, RightWords, Old);
      for (auto [Place, Sum] : llvm::zip_equal(Places, New))
        Sums[Place] = Sum;
    }
  };
  for (size_t I = 0; I < Columns.size(); ++I) {
    Registers Words = loadFragments(Right, K, Columns[I]);
    Multiply(ArrayRef(Words).take_front(2), Columns[I]);
    // The next eight columns came along where this thread's warp has them.
    if (I + 1 < Columns.size() && Columns[I + 1] == Columns[I] + 8)
      Multiply(ArrayRef(Words).drop_front(2), Columns[++I]);
  }
}

} // namespace transxssm::nvptx
