//===- TileToThreadsMma.cpp - Tile kernels to threads: products -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Exact float32 products with FMA instructions. A thread holds the accumulator
// of a set of rows times a set of columns; for every k it reads one element per
// row and one per column from shared memory:
//
//              columns of this thread
//                 b0  b1  b2  b3      B[k, n]
//   rows   a0     +   +   +   +
//          a1     +   +   +   +       R + C elements for R C FMAs
//   A[m, k]
//
// Four consecutive k (eight of bf16) are read at once where k runs along
// memory, else up to four consecutive rows or columns. Additions over k are in
// order.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace transxssm::nvptx {

/// The rows of the left operand, or the columns of the right one, that a thread
/// needs.
namespace {
struct Side {
  SharedTile Tile;
  Value Thread;                 ///< this thread's first row or column
  SmallVector<int64_t> Offsets; ///< those of its registers, ascending
  bool InnerIsColumn;           ///< k runs along the rows of memory
  int64_t Run = 1;              ///< so many offsets are consecutive
};
} // namespace

struct ThreadLowering::Fragments {
  Side Left, Right;
  const LinearLayout &Layout;
  std::map<std::pair<int64_t, int64_t>, int64_t> Place; ///< (row, column)
};

/// The offsets of a dimension over the registers of a layout.
static void setOffsets(Side &S, const LinearLayout &Layout,
                       int64_t Coordinates::*Dimension) {
  S.Offsets = {0};
  for (Coordinates Basis : Layout.registerBases()) {
    if (Basis.*Dimension == 0)
      continue;
    size_t Count = S.Offsets.size();
    for (size_t I = 0; I < Count; ++I)
      S.Offsets.push_back(S.Offsets[I] + Basis.*Dimension);
  }
  llvm::sort(S.Offsets);
  while (S.Run < 4 && llvm::is_contained(S.Offsets, S.Run))
    S.Run *= 2;
}

void ThreadLowering::lowerMma(tile::MmaOp Mma) {
  if (Layouts.usesWgmma(Mma))
    return lowerWgmma(Mma);
  if (usesTensorCores(Mma))
    return lowerTensorCoreMma(Mma);
  const LinearLayout &Layout = Layouts.of(Mma.getResult());
  if (!Layout.isProduct())
    return error(Mma, "the accumulator's layout is no product");
  Fragments F{{}, {}, Layout, {}};
  F.Left.Tile = sharedOf(Mma.getLhs());
  F.Right.Tile = sharedOf(Mma.getRhs());
  F.Left.Thread = threadRow(Layout);
  F.Right.Thread = threadColumn(Layout);
  F.Left.InnerIsColumn = !Mma.getTransposeLhs();
  F.Right.InnerIsColumn = Mma.getTransposeRhs();
  setOffsets(F.Left, Layout, &Coordinates::Row);
  setOffsets(F.Right, Layout, &Coordinates::Column);
  for (int64_t R = 0; R < Layout.registerCount(); ++R) {
    Coordinates C = Layout.ofRegister(R);
    F.Place[{C.Row, C.Column}] = R;
  }

  ++Group;
  Registers Sums = registersOf(Mma.getAccumulator(), Layout);
  int64_t Inner = F.Left.InnerIsColumn ? F.Left.Tile.Columns : F.Left.Tile.Rows;
  // Sixteen bytes of a row at once.
  bool AreHalf = tileType(Mma.getLhs()).getElementType().isBF16() &&
                 tileType(Mma.getRhs()).getElementType().isBF16();
  int64_t Step = std::min<int64_t>(AreHalf ? 8 : 4, Inner);
  ++Group;
  if (Inner == Step) {
    multiply(F, index(0), Step, Sums);
    return define(Mma.getResult(), std::move(Sums));
  }
  auto For = scf::ForOp::create(B, index(0), index(Inner), index(Step), Sums);
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(For.getBody());
    Sums = Registers(For.getRegionIterArgs());
    multiply(F, For.getInductionVar(), Step, Sums);
    scf::YieldOp::create(B, Sums);
  }
  define(Mma.getResult(), Registers(For.getResults()));
}

/// Adds the products of k .. k + Step - 1.
void ThreadLowering::multiply(const Fragments &F, Value K, int64_t Step,
                              Registers &Sums) {
  // [offset of the run][k] for the run of offsets that begins at First.
  auto Read = [&](const Side &S, size_t First) {
    SmallVector<Registers> Elements;
    Value Base;
    if (S.InnerIsColumn) {
      Base = add(rowOffset(S.Tile, S.Thread), K);
      for (int64_t I = 0; I < S.Run; ++I)
        Elements.push_back(loadVector(
            S.Tile, add(Base, S.Tile.offset(S.Offsets[First + I], 0)), Step));
    } else {
      Base = add(rowOffset(S.Tile, K), S.Thread);
      Elements.resize(S.Run);
      for (int64_t I = 0; I < Step; ++I) {
        Registers Row = loadVector(
            S.Tile, add(Base, S.Tile.offset(I, S.Offsets[First])), S.Run);
        for (auto [To, V] : llvm::zip_equal(Elements, Row))
          To.push_back(V);
      }
    }
    for (Registers &Row : Elements)
      for (Value &V : Row)
        if (!V.getType().isF32())
          V = arith::ExtFOp::create(B, B.getF32Type(), V);
    return Elements;
  };
  SmallVector<Registers> Rows;
  for (size_t I = 0; I < F.Left.Offsets.size(); I += F.Left.Run)
    llvm::append_range(Rows, Read(F.Left, I));
  for (size_t J = 0; J < F.Right.Offsets.size(); J += F.Right.Run)
    for (auto [Number, Column] : llvm::enumerate(Read(F.Right, J)))
      for (int64_t I = 0; I < Step; ++I)
        for (auto [Row, Element] : llvm::zip_equal(F.Left.Offsets, Rows)) {
          int64_t Place = F.Place.at({Row, F.Right.Offsets[J + Number]});
          Sums[Place] =
              math::FmaOp::create(B, Element[I], Column[I], Sums[Place]);
        }
}

} // namespace transxssm::nvptx
