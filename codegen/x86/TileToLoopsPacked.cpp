//===- TileToLoopsPacked.cpp - Tile kernels to vector loops: packed products -//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// C += A B with B in panels as wide as two vectors. Of a panel, PanelDepth rows
// stay in the L1 cache while rows of A pass by:
//
//   for k in steps of PanelDepth
//     for rows in steps of ChunkRows     A's rows are copied: the L2 cache
//       for panels                       B's panel: the L1 cache
//         for rows in steps of 6 or 8    C: registers
//           for k
//
// A product of M rows, N columns and depth K takes M N K / 16 cycles where two
// FMA of eight elements are done in one. Copies take about half a cycle an
// element: K N for B and K M for A, so 8 / M + 8 / N of the product's time.
// They are why tiles are large (TileSizes.h); the limits of rows and depth at
// run time are why a large tile costs nothing where there are few rows.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/IndexFacts.h"
#include "codegen/x86/KernelLowering.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace transxssm::x86 {

// Rows of A that are copied at a time: 128 KiB where PanelDepth columns are.
static constexpr int64_t ChunkRows = 128;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// From where on a tile is zero along a dimension, because memory ends there;
/// null if that never happens.
Value KernelLowering::limitOf(Value Tile, int64_t Dimension) {
  auto Load = loadBehind(Tile);
  if (!Load || Load.getDimensions().size() != 2)
    return {};
  int64_t D = Load.getDimensions()[Dimension];
  int64_t Size = cast<RankedTensorType>(Tile.getType()).getDimSize(Dimension);
  Value Base = Load.getIndices()[D], Memory = mapped(Load.getMemory());
  if (isInBounds(Base, Size, cast<MemRefType>(Memory.getType()).getDimSize(D)))
    return {};
  return B.createOrFold<arith::MinSIOp>(
      remaining(mapped(Base), dimension(Memory, D)), index(Size));
}

/// Half a pair counts as one: what is beyond memory is zero in it.
Value KernelLowering::depthLimit(tile::MmaOp Mma) {
  Value Limit = limitOf(Mma.getLhs(), Mma.getTransposeLhs() ? 0 : 1);
  if (!Limit)
    Limit = limitOf(Mma.getRhs(), Mma.getTransposeRhs() ? 1 : 0);
  if (!Limit || !multipliesPairs(Mma))
    return Limit;
  return B.createOrFold<arith::DivUIOp>(add(Limit, 1), index(2));
}

/// Another product of the same rhs finds the panels that this one has packed.
/// How deep they are filled must not depend on either lhs.
void KernelLowering::sharePanels(tile::MmaOp Mma, const Panels &Packed) {
  auto IsLimitedByLhs = [&](tile::MmaOp Mma) {
    return limitOf(Mma.getLhs(), Mma.getTransposeLhs() ? 0 : 1) != Value();
  };
  for (Operation *User : Mma.getRhs().getUsers()) {
    auto Other = dyn_cast<tile::MmaOp>(User);
    if (Other && Other.getRhs() == Mma.getRhs() &&
        Other.getTransposeRhs() == Mma.getTransposeRhs() &&
        Other->getBlock() == Mma->getBlock() && Mma->isBeforeInBlock(Other) &&
        !IsLimitedByLhs(Mma) && !IsLimitedByLhs(Other))
      PreparedRhs.try_emplace(Other, Packed);
  }
}

/// The rhs as the packed form reads it. What lies in a scratch buffer with the
/// right side first needs no copy: its rows do not share cache sets.
KernelLowering::Panels KernelLowering::prepareRhs(tile::MmaOp Mma,
                                                  Value DepthLimit) {
  if (PreparedRhs.contains(Mma))
    return PreparedRhs[Mma];
  Value Buffer = Buffers.lookup(Mma.getRhs());
  bool IsTable = Mma.getRhs().getDefiningOp<arith::ConstantOp>() != nullptr;
  if (Buffer && !Mma.getTransposeRhs() && !IsTable &&
      cast<MemRefType>(Buffer.getType()).getElementType().isF32())
    return {Buffer};
  Panels Packed = packRhs(Mma, DepthLimit);
  sharePanels(Mma, Packed);
  return Packed;
}

KernelLowering::Panels KernelLowering::packRhs(tile::MmaOp Mma,
                                               Value DepthLimit) {
  View Rhs = rhsOf(Mma);
  bool Transposed = Mma.getTransposeRhs();
  int64_t N = Transposed ? countRows(Rhs) : countCols(Rhs);
  int64_t K = Transposed ? countCols(Rhs) : countRows(Rhs);
  int64_t Panel = 2 * lanes();
  auto Type =
      MemRefType::get({(N + Panel - 1) / Panel, K + 1, Panel}, typeOf(Rhs));
  if (std::optional<KeptPanels> Kept = keepPanels(Mma, Type)) {
    auto If = scf::IfOp::create(B, Kept->Missing, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPoint(If.thenBlock()->getTerminator());
    copyRhs(Mma, Kept->Place, DepthLimit);
    memref::StoreOp::create(B, mark(true), Kept->Marks, Kept->Slot);
    return Kept->Place;
  }
  Panels Packed{allocate(Type.getShape(), Type.getElementType()), index(0)};
  copyRhs(Mma, Packed, DepthLimit);
  return Packed;
}

void KernelLowering::copyRhs(tile::MmaOp Mma, const Panels &To,
                             Value DepthLimit) {
  View Rhs = rhsOf(Mma);
  int64_t Panel = 2 * lanes();
  auto Store = [&](Value Vector, Value Col, Value Row) {
    Value Place[] = {
        add(To.First, B.createOrFold<arith::DivUIOp>(Col, index(Panel))), Row,
        B.createOrFold<arith::RemUIOp>(Col, index(Panel))};
    if (isa<VectorType>(Vector.getType()))
      vector::StoreOp::create(B, Vector, To.Buffer, Place);
    else
      memref::StoreOp::create(B, Vector, To.Buffer, Place);
  };
  if (Mma.getTransposeRhs())
    emitTransposed(Rhs, Store);
  else
    forEachPoint(cast<RankedTensorType>(Rhs.Tile.getType()),
                 {countRows(Rhs), DepthLimit}, {countCols(Rhs)}, widthOf(Rhs),
                 [&](Point P) {
                   prefetch(Rhs, add(P.Row, PrefetchRows), P.Col);
                   Store(emit(Rhs, P), P.Col, P.Row);
                 });
}

/// Of a lhs that is copied.
static int64_t sliceRows(int64_t Rows) {
  return Rows <= ChunkRows + ChunkRows / 2 ? Rows : ChunkRows;
}

/// [row][k], or [block of rows][k][row] of a transposed lhs, whose rows are
/// columns of memory: so a block of C reads it in order.
Value KernelLowering::allocateLhsRows(Product &P) {
  int64_t Rows = sliceRows(P.M);
  int64_t Block = blockRows();
  if (P.Mma.getTransposeLhs())
    return allocate({(Rows + Block - 1) / Block, P.K * Block + LineElements},
                    typeOf(P.Lhs));
  return allocate(
      {Rows, (P.K + 2 * LineElements - 1) / LineElements * LineElements},
      typeOf(P.Lhs));
}

/// As many rows as the blocks read that have one below the limit.
static int64_t rowsReadBeyond(int64_t BlockRows) { return 2 * BlockRows; }

/// The step of k at which the diagonal of a triangular lhs crosses a row; not
/// below zero. It is rounded up or down (`Rounding` 1 or 0) to whole pairs, and
/// to two steps where it may be anything: loops are unrolled by as many.
Value KernelLowering::diagonalStep(const Product &P, Value Row,
                                   int64_t Rounding) {
  auto Halve = [&](Value V) {
    return B.createOrFold<arith::DivUIOp>(add(V, Rounding), index(2));
  };
  bool Anywhere = getConstantIntValue(P.LowerLhs) != 0;
  if (Anywhere)
    Row = B.createOrFold<arith::MaxSIOp>(Row, index(0));
  if (P.Lhs.isPairs())
    Row = Halve(Row);
  return Anywhere ? multiply(Halve(Row), 2) : Row;
}

/// Of a row of a lower triangle, what the block of rows around it reads.
void KernelLowering::copyLhsRow(Product &P, const Slice &S, Value To) {
  Value From = add(S.FirstRow, To);
  int64_t Width = nestWidth(P.Lhs);
  auto Copy = [&](Point At) {
    At.Col = add(S.Low, At.Col);
    prefetch(P.Lhs, add(From, PrefetchRows), At.Col);
    writeBuffer(emit(P.Lhs, At), P.LhsRows, {To, At.Col, At.Width});
  };
  if (!P.LowerLhs || S.Depth < P.K || S.Depth % Width != 0)
    return forEachColumn(From, {S.Depth}, Width, Copy);
  Value End = diagonalStep(P, add(add(From, P.LowerLhs), blockRows()), 1);
  End = add(End, Width - 1);
  End = subtract(End, B.createOrFold<arith::RemUIOp>(End, index(Width)));
  End = B.createOrFold<arith::MinUIOp>(End, index(S.Depth));
  visitColumns(From, index(0), End, Width, Copy);
}

void KernelLowering::copyLhsRows(Product &P, const Slice &S) {
  Value End = index(S.Rows);
  if (S.RowLimit)
    End = B.createOrFold<arith::MinSIOp>(
        add(S.RowLimit, rowsReadBeyond(blockRows())), End);
  forEachIndex(index(0), End, 1, [&](Value To) { copyLhsRow(P, S, To); });
}

/// Of each row of memory, a vector for every block, which may be longer than
/// the block: what is too much is overwritten by the next row's. Nothing is
/// read beyond the tile: there memory may end.
void KernelLowering::copyLhsColumns(Product &P, const Slice &S) {
  int64_t Block = blockRows();
  auto Width = static_cast<int64_t>(llvm::PowerOf2Ceil(Block));
  int64_t Whole = S.Rows < Width ? 0 : (S.Rows - Width) / Block + 1;
  forEachIndex(S.Low, S.High, 1, [&](Value K) {
    Value Place = multiply(K, Block);
    auto Copy = [&](Value I, int64_t Offset, int64_t Count) {
      InScope Scope(*this, loopOf(I));
      Value Column = add(S.FirstRow, add(multiply(I, Block), Offset));
      prefetch(P.Lhs, add(K, PrefetchRows), Column);
      Value Copied = emit(P.Lhs, {K, Column, Count});
      Value To[] = {I, add(Place, Offset)};
      if (Count > 1)
        vector::StoreOp::create(B, Copied, P.LhsRows, To);
      else
        memref::StoreOp::create(B, Copied, P.LhsRows, To);
    };
    forEachIndex(index(0), index(Whole), 1,
                 [&](Value I) { Copy(I, 0, Width); });
    for (int64_t I = Whole; I * Block < S.Rows; ++I)
      for (int64_t Offset = 0, Left = std::min(Block, S.Rows - I * Block);
           Left > 0;) {
        auto Count = static_cast<int64_t>(llvm::bit_floor<uint64_t>(Left));
        Copy(index(I), Offset, Count);
        Offset += Count;
        Left -= Count;
      }
  });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// The rows of C that no block computes.
void KernelLowering::zeroRowsFrom(Product &P, Value Limit) {
  forEachIndex(Limit, index(P.M), 1, [&](Value Row) {
    forEachColumn(Row, {P.N}, lanes(), [&](Point At) {
      writeBuffer(zero(vectorType(B.getF32Type(), At.Width)), P.C, At);
    });
  });
}

void KernelLowering::lowerPackedProduct(Product &P) {
  if (P.FromZero && P.RowLimit)
    zeroRowsFrom(P, P.RowLimit);
  int64_t Whole = P.K <= PanelDepth ? 0 : P.K / PanelDepth * PanelDepth;
  forEachIndex(index(0), index(Whole), PanelDepth, [&](Value Low) {
    lowerDepth(P, Low, add(Low, PanelDepth), PanelDepth);
  });
  if (Whole < P.K)
    lowerDepth(P, index(Whole),
               P.DepthLimit && Whole == 0 ? P.DepthLimit : index(P.K),
               P.K - Whole);
}

void KernelLowering::lowerDepth(Product &P, Value Low, Value High,
                                int64_t Depth) {
  auto Lower = [&](Value First, int64_t Rows) {
    Value Limit;
    if (P.RowLimit)
      Limit = B.createOrFold<arith::MinSIOp>(subtract(P.RowLimit, First),
                                             index(Rows));
    lowerSlice(P, {First, Rows, Limit, Low, High, Depth});
  };
  int64_t Rows = P.LhsRows ? sliceRows(P.M) : P.M;
  int64_t Whole = P.M / Rows * Rows;
  Value End = index(Whole);
  if (P.RowLimit)
    End = B.createOrFold<arith::MinSIOp>(P.RowLimit, End);
  forEachIndex(index(0), End, Rows, [&](Value First) { Lower(First, Rows); });
  if (Whole == P.M)
    return;
  // The loop runs once, or not at all.
  forEachIndex(index(Whole), P.RowLimit ? P.RowLimit : index(P.M), P.M - Whole,
               [&](Value First) { Lower(First, P.M - Whole); });
}

void KernelLowering::lowerSlice(Product &P, const Slice &S) {
  if (P.LhsRows && P.Mma.getTransposeLhs())
    copyLhsColumns(P, S);
  else if (P.LhsRows)
    copyLhsRows(P, S);
  int64_t Width = 2 * lanes();
  forEachIndex(index(0), index(P.N / Width), 1,
               [&](Value Panel) { lowerPanel(P, S, Panel, 2); });
  if (int64_t Rest = P.N % Width)
    lowerPanel(P, S, index(P.N / Width), llvm::divideCeil(Rest, lanes()));
}

void KernelLowering::lowerPanel(Product &P, const Slice &S, Value Panel,
                                int64_t Vectors) {
  int64_t Rows = blockRows();
  int64_t Whole = S.Rows / Rows * Rows, Rest = S.Rows - Whole;
  // A block of two rows takes as long as one of four: share with the last.
  if (Rest > 0 && Rest < 4 && Whole > 0) {
    Whole -= Rows;
    Rest += Rows;
  }
  Value End = index(Whole);
  if (S.RowLimit)
    End = B.createOrFold<arith::MinSIOp>(S.RowLimit, End);
  forEachIndex(index(0), End, Rows, [&](Value Row) {
    lowerRegisterBlock(P, S, {Row, Rows, Panel, Vectors});
  });
  if (Rest == 0)
    return;
  int64_t Upper = Rest <= Rows ? Rest : (Rest + 1) / 2;
  forEachIndex(
      index(Whole), S.RowLimit ? S.RowLimit : index(S.Rows), Rest, [&](Value) {
        lowerRegisterBlock(P, S, {index(Whole), Upper, Panel, Vectors});
        if (Upper < Rest)
          lowerRegisterBlock(
              P, S, {index(Whole + Upper), Rest - Upper, Panel, Vectors});
      });
}

/// The element of the lhs in row Row + Offset of the slice.
Value KernelLowering::readLhs(Product &P, const Slice &S, Value Row,
                              int64_t Offset, Value K) {
  bool Transposed = P.Mma.getTransposeLhs();
  if (P.LhsRows && Transposed) {
    int64_t Block = blockRows();
    // Blocks start anywhere only where they are counted out.
    if (auto First = getConstantIntValue(Row)) {
      Row = index((*First + Offset) / Block * Block);
      Offset = (*First + Offset) % Block;
    }
    return memref::LoadOp::create(
        B, P.LhsRows,
        ValueRange{B.createOrFold<arith::DivUIOp>(Row, index(Block)),
                   add(multiply(K, Block), Offset)});
  }
  Row = add(Row, Offset);
  if (P.LhsRows)
    return memref::LoadOp::create(B, P.LhsRows, ValueRange{Row, K});
  Row = add(S.FirstRow, Row);
  return Transposed ? readElement(P.Mma.getLhs(), P.LhsBuffer, K, Row)
                    : readElement(P.Mma.getLhs(), P.LhsBuffer, Row, K);
}

/// Steps of k in one iteration: two halve what a loop costs beside its FMAs.
/// More, or unrolled loops elsewhere, gain nothing and take LLVM long (the
/// blocks at the edges of tiles are as many again as those within).
int64_t KernelLowering::unrolledSteps(const Product &P, const Slice &S,
                                      const RegisterBlock &Block) const {
  bool IsWhole = Block.Rows == blockRows() && Block.Vectors == 2;
  return IsWhole && !P.DepthLimit && S.Depth % 2 == 0 ? 2 : 1;
}

/// The steps of k that a block takes. Where the lhs is a lower triangle, row i
/// has k up to the diagonal only, or from there on if it is transposed; a block
/// above the diagonal of a result that is not read there has none.
std::pair<Value, Value> KernelLowering::depthOf(Product &P, const Slice &S,
                                                const RegisterBlock &Block) {
  Value Low = S.Low, High = S.High;
  Value First = add(S.FirstRow, Block.FirstRow), End = add(First, Block.Rows);
  if (P.LowerLhs && P.Mma.getTransposeLhs())
    Low = B.createOrFold<arith::MaxSIOp>(
        Low, diagonalStep(P, subtract(First, P.LowerLhs), 0));
  else if (P.LowerLhs)
    High = B.createOrFold<arith::MinSIOp>(
        High, diagonalStep(P, add(End, P.LowerLhs), 1));
  if (P.LowerResult) {
    Value IsAbove = B.createOrFold<arith::CmpIOp>(
        arith::CmpIPredicate::sge, multiply(Block.Panel, 2 * lanes()),
        add(End, P.LowerResult));
    High = B.createOrFold<arith::SelectOp>(IsAbove, Low, High);
  }
  return {Low, High};
}

/// What a vector of C starts with.
Value KernelLowering::firstSum(Product &P, Point At) {
  if (P.FromZero)
    return zero(VectorType::get({lanes()}, B.getF32Type()));
  return P.Expanded ? emit(P.Mma.getAccumulator(), At)
                    : readBuffer(P.C, At, B.getF32Type());
}

/// Row k of the rhs: one of the two vectors in a panel.
Value KernelLowering::readRhs(const Product &P, Value Panel, Value K,
                              int64_t Vector) {
  SmallVector<Value> Place;
  if (P.Rhs.First)
    Place = {add(P.Rhs.First, Panel), K, index(Vector * lanes())};
  else
    Place = {K, add(multiply(Panel, 2 * lanes()), Vector * lanes())};
  auto Type = VectorType::get({lanes()}, typeOf(P.RhsView));
  return vector::LoadOp::create(B, Type, P.Rhs.Buffer, Place);
}

void KernelLowering::lowerRegisterBlock(Product &P, const Slice &S,
                                        const RegisterBlock &Block) {
  int64_t Vectors = Block.Vectors;
  SmallVector<Value> Rows, Columns, Accumulators;
  for (int64_t I = 0; I < Block.Rows; ++I)
    Rows.push_back(add(S.FirstRow, add(Block.FirstRow, I)));
  Value First = multiply(Block.Panel, 2 * lanes());
  for (int64_t J = 0; J < Vectors; ++J)
    Columns.push_back(add(First, J * lanes()));
  {
    InScope Scope(*this);
    for (Value Row : Rows)
      for (Value Column : Columns)
        Accumulators.push_back(firstSum(P, {Row, Column, lanes()}));
  }

  int64_t Steps = unrolledSteps(P, S, Block);
  auto [Low, High] = depthOf(P, S, Block);
  auto Loop = scf::ForOp::create(B, Low, High, index(Steps), Accumulators);
  {
    OpBuilder::InsertionGuard Guard(B);
    if (!Loop.getBody()->empty())
      Loop.getBody()->back().erase();
    B.setInsertionPointToEnd(Loop.getBody());
    SmallVector<Value> Next(Loop.getRegionIterArgs());
    for (int64_t Step = 0; Step < Steps; ++Step) {
      Value K = add(Loop.getInductionVar(), Step);
      SmallVector<Value> Rhs;
      for (int64_t J = 0; J < Vectors; ++J)
        Rhs.push_back(readRhs(P, Block.Panel, K, J));
      for (int64_t I = 0; I < Block.Rows; ++I) {
        Value A = splat(readLhs(P, S, Block.FirstRow, I, K), lanes());
        for (int64_t J = 0; J < Vectors; ++J) {
          Value &Sum = Next[I * Vectors + J];
          Sum = multiplyAdd(A, Rhs[J], Sum);
        }
      }
    }
    scf::YieldOp::create(B, Next);
  }
  for (auto [I, Row] : llvm::enumerate(Rows))
    for (auto [J, Column] : llvm::enumerate(Columns))
      vector::StoreOp::create(B, Loop.getResult(I * Vectors + J), P.C,
                              ValueRange{Row, Column});
}

} // namespace transxssm::x86
