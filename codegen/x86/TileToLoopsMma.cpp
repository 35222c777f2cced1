//===- TileToLoopsMma.cpp - Tile kernels to vector loops: products --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Three forms of C += A B:
//   packed  B is copied into panels as wide as two vectors, so that a block of
//           C stays in registers while k runs and every load of B is one line
//           after the other (K. Goto and R. van de Geijn, "Anatomy of
//           high-performance matrix multiplication", 2008);
//   dot     few rows and B given by rows of its transpose, which is decoding
//           with weights [out, in]: B is read once, as it lies in memory;
//   rows    few rows and B as it is: multiples of B's rows are added up.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/IndexFacts.h"
#include "codegen/x86/KernelLowering.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;

namespace transxssm::x86 {

// Up to so many rows packing costs more than it gains.
static constexpr int64_t FewRows = 4;

static bool isZero(Value Tile) {
  if (auto Broadcast = Tile.getDefiningOp<tile::BroadcastOp>())
    Tile = Broadcast.getValue();
  return matchPattern(Tile, m_PosZeroFloat());
}

/// Whether elements can be read from memory one at a time: no bounds to check,
/// nothing to compute.
bool KernelLowering::isReadableInPlace(Value Tile) {
  if (!cast<RankedTensorType>(Tile.getType()).getElementType().isF32())
    return false;
  if (Buffers.lookup(Tile))
    return true;
  auto Load = Tile.getDefiningOp<tile::LoadOp>();
  if (!Load)
    return false;
  auto Memory = cast<MemRefType>(Load.getMemory().getType());
  auto Type = cast<RankedTensorType>(Load.getType());
  for (auto [I, D] : llvm::enumerate(Load.getDimensions()))
    if (!isInBounds(Load.getIndices()[D], Type.getDimSize(I),
                    Memory.getDimSize(D)))
      return false;
  return true;
}

/// Where in memory the element of a tile of rank 2 lies.
SmallVector<Value> KernelLowering::indicesAt(tile::LoadOp Load, Value Row,
                                             Value Col) {
  SmallVector<Value> Indices;
  for (Value Index : Load.getIndices())
    Indices.push_back(mapped(Index));
  int64_t P = Load.getDimensions()[0], Q = Load.getDimensions()[1];
  Indices[P] = add(Indices[P], Row);
  Indices[Q] = add(Indices[Q], Col);
  return Indices;
}

Value KernelLowering::readElement(Value Tile, Value Buffer, Value Row,
                                  Value Col) {
  if (!Buffer)
    Buffer = Buffers.lookup(Tile);
  if (Buffer)
    return memref::LoadOp::create(B, Buffer, ValueRange{Row, Col});
  auto Load = Tile.getDefiningOp<tile::LoadOp>();
  return memref::LoadOp::create(B, mapped(Load.getMemory()),
                                indicesAt(Load, Row, Col));
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

tile::LoadOp KernelLowering::loadBehind(Value Tile) {
  if (Buffers.lookup(Tile))
    return {};
  if (auto Extend = Tile.getDefiningOp<arith::ExtFOp>())
    Tile = Extend.getIn();
  return Buffers.lookup(Tile) ? tile::LoadOp()
                              : Tile.getDefiningOp<tile::LoadOp>();
}

/// The loads that the tile is made of, element by element.
SmallVector<tile::LoadOp> KernelLowering::loadsBehind(Value Tile) {
  SmallVector<tile::LoadOp> Loads;
  llvm::SmallSetVector<Value, 16> Tiles;
  Tiles.insert(Tile);
  for (size_t I = 0; I < Tiles.size(); ++I) {
    Operation *Op = Tiles[I].getDefiningOp();
    if (!Op || Buffers.lookup(Tiles[I]))
      continue;
    if (auto Load = dyn_cast<tile::LoadOp>(Op))
      Loads.push_back(Load);
    else if (Op->hasTrait<OpTrait::Elementwise>())
      Tiles.insert_range(llvm::make_filter_range(Op->getOperands(), isTile));
  }
  return Loads;
}

/// Elements between two rows in memory of a tile that `Load` reads; dynamic
/// where a dimension is.
static int64_t rowStride(tile::LoadOp Load) {
  auto Memory = cast<MemRefType>(Load.getMemory().getType());
  int64_t Stride = 1;
  for (int64_t D = Memory.getRank() - 1; D > Load.getDimensions()[0]; --D) {
    if (Memory.isDynamicDim(D))
      return ShapedType::kDynamic;
    Stride *= Memory.getDimSize(D);
  }
  return Stride;
}

/// Whether the tile's rows lie a multiple of 256 elements apart in memory, so
/// that they share cache sets. A distance that is not known counts as one.
bool KernelLowering::rowsAreFarApart(Value Tile) {
  auto Load = loadBehind(Tile);
  if (!Load)
    return false;
  int64_t Stride = rowStride(Load);
  return ShapedType::isDynamic(Stride) || Stride % 256 == 0;
}

/// Dot products need few rows, whose columns follow each other in memory.
KernelLowering::ProductForm KernelLowering::formOf(tile::MmaOp Mma) {
  if (cast<RankedTensorType>(Mma.getType()).getDimSize(0) > FewRows)
    return ProductForm::Packed;
  if (!Mma.getTransposeRhs())
    return ProductForm::Rows;
  return Mma.getTransposeLhs() ? ProductForm::Packed : ProductForm::Dot;
}

bool KernelLowering::multipliesPairs(tile::MmaOp Mma) {
  auto Lhs = cast<RankedTensorType>(Mma.getLhs().getType());
  return Options.Pairs != PairProducts::None && Lhs.getElementType().isBF16() &&
         Lhs.getDimSize(Mma.getTransposeLhs() ? 0 : 1) % 2 == 0 &&
         formOf(Mma) != ProductForm::Rows;
}

View KernelLowering::lhsOf(tile::MmaOp Mma) {
  if (!multipliesPairs(Mma))
    return {Mma.getLhs()};
  return {Mma.getLhs(),
          Mma.getTransposeLhs() ? View::PairsInColumn : View::PairsInRow};
}

View KernelLowering::rhsOf(tile::MmaOp Mma) {
  if (!multipliesPairs(Mma))
    return {Mma.getRhs()};
  return {Mma.getRhs(),
          Mma.getTransposeRhs() ? View::PairsInRow : View::PairsInColumn};
}

/// Whether the lhs is to be copied before it is multiplied.
bool KernelLowering::needsLhsCopy(tile::MmaOp Mma) {
  Value Lhs = Mma.getLhs();
  if (multipliesPairs(Mma))
    return true;
  // Read once for every panel, rows far apart lose more to conflicts in the
  // caches than their copy costs.
  int64_t Panels =
      cast<RankedTensorType>(Mma.getType()).getDimSize(1) / (2 * lanes());
  bool Copy = Panels >= 4 &&
              cast<RankedTensorType>(Lhs.getType()).getDimSize(0) > FewRows &&
              rowsAreFarApart(Lhs);
  return Copy || !isReadableInPlace(Lhs);
}

/// Products in the same block that read the same view of the lhs later on.
SmallVector<tile::MmaOp> KernelLowering::laterProducts(tile::MmaOp Mma) {
  SmallVector<tile::MmaOp> Others;
  for (Operation *User : Mma.getLhs().getUsers())
    if (auto Other = dyn_cast<tile::MmaOp>(User);
        Other && Other != Mma && lhsOf(Other) == lhsOf(Mma) &&
        Other->getBlock() == Mma->getBlock() && Mma->isBeforeInBlock(Other))
      Others.push_back(Other);
  return Others;
}

Value KernelLowering::prepareLhs(tile::MmaOp Mma) {
  if (Value Known = PreparedLhs.lookup(Mma))
    return Known;
  if (!needsLhsCopy(Mma))
    return {};
  View Lhs = lhsOf(Mma);
  int64_t Rows = countRows(Lhs), Cols = countCols(Lhs);
  int64_t Padded = llvm::divideCeil(Cols, lanes()) * lanes();
  Value Buffer = allocate({Rows, Padded}, typeOf(Lhs));
  forEachPoint(cast<RankedTensorType>(Lhs.Tile.getType()), {Rows}, {Cols},
               nestWidth(Lhs), [&](Point P) {
                 prefetch(Lhs, add(P.Row, PrefetchRows), P.Col);
                 writeBuffer(emit(Lhs, P), Buffer, P);
               });
  for (tile::MmaOp Other : laterProducts(Mma))
    PreparedLhs[Other] = Buffer;
  return Buffer;
}

/// Whether the packed form can copy some rows of the lhs at a time: nobody else
/// reads the copy.
bool KernelLowering::copiesLhsByRows(tile::MmaOp Mma) {
  if (PreparedLhs.contains(Mma) || !laterProducts(Mma).empty() ||
      !needsLhsCopy(Mma))
    return false;
  // Columns are made in vectors that begin anywhere and overlap.
  return !Mma.getTransposeLhs() || (widthOf(Mma.getLhs()) == lanes() &&
                                    !Analysis.isLongChain(Mma.getLhs()));
}

/// Operands from outside a loop are prepared once, before it.
void KernelLowering::prepareInvariantOperands(scf::ForOp For) {
  auto IsOutside = [&](Value V) {
    return !For->isAncestor(V.getParentBlock()->getParentOp());
  };
  For.walk([&](tile::MmaOp Mma) {
    if (cast<RankedTensorType>(Mma.getType()).getDimSize(0) <= FewRows)
      return;
    if (IsOutside(Mma.getLhs()) && !PreparedLhs.contains(Mma))
      if (Value Buffer = prepareLhs(Mma))
        PreparedLhs[Mma] = Buffer;
    if (IsOutside(Mma.getRhs()) && !PreparedRhs.contains(Mma))
      PreparedRhs[Mma] = prepareRhs(Mma);
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// A buffer that nobody reads after this product holds its result.
Value KernelLowering::accumulatorFor(tile::MmaOp Mma) {
  Value Old = Mma.getAccumulator();
  Operation *Op = Old.getDefiningOp();
  bool Dies = Op && !Destinations.contains(Mma.getResult()) &&
              Buffers.lookup(Old) && !isa<arith::ConstantOp>(Op) &&
              Op->getBlock() == Mma->getBlock() &&
              !Analysis.reads(Mma.getLhs(), Old, false) &&
              !Analysis.reads(Mma.getRhs(), Old, false) &&
              llvm::all_of(Analysis.points(Old), [&](Operation *Point) {
                return Analysis.position(Point) <= Analysis.position(Mma);
              });
  return Dies ? Buffers.lookup(Old) : destinationFor(Mma.getResult());
}

/// Whether blocks of C may compute what they start with, which saves a walk
/// over C before the product: they reach every element, and each once.
bool KernelLowering::expandsAccumulator(Product &P) {
  Value Old = P.Mma.getAccumulator();
  return !P.FromZero && !P.RowLimit && P.K <= PanelDepth &&
         P.N % lanes() == 0 && !Buffers.lookup(Old) && widthOf(Old) == lanes();
}

/// How many columns the diagonal of row 0 is at; null where there is no
/// diagonal, or where the scalars it depends on come after this place.
Value KernelLowering::offsetOf(const std::optional<Diagonal> &Of) {
  if (!Of)
    return {};
  auto Find = [&](Value Scalar) -> Value {
    if (!Scalar)
      return index(0);
    Value Found = Scalars.lookupOrNull(Scalar);
    if (!Found || Found.getType().isIndex())
      return Found;
    return arith::IndexCastOp::create(B, B.getIndexType(), Found);
  };
  Value Plus = Find(Of->Plus), Minus = Find(Of->Minus);
  return Plus && Minus ? subtract(Plus, Minus) : Value();
}

void KernelLowering::lowerMma(tile::MmaOp Mma) {
  auto Result = cast<RankedTensorType>(Mma.getType());
  View Lhs = lhsOf(Mma);
  Product P{Mma,
            Lhs,
            rhsOf(Mma),
            Result.getDimSize(0),
            Result.getDimSize(1),
            Mma.getTransposeLhs() ? countRows(Lhs) : countCols(Lhs)};
  P.FromZero = isZero(Mma.getAccumulator());
  P.LowerLhs = offsetOf(zeroAboveDiagonal(Mma.getLhs()));
  P.LowerResult = offsetOf(readBelowDiagonal(Mma.getResult()));
  // The operands come first: the result may replace a tile that they read.
  ProductForm Form = formOf(Mma);
  bool Packed = Form == ProductForm::Packed;
  if (Packed && copiesLhsByRows(Mma))
    P.LhsRows = allocateLhsRows(P);
  else
    P.LhsBuffer = prepareLhs(Mma);
  if (Packed) {
    P.RowLimit = limitOf(Mma.getLhs(), Mma.getTransposeLhs() ? 1 : 0);
    if (P.K <= PanelDepth)
      P.DepthLimit = depthLimit(Mma);
    P.Rhs = prepareRhs(Mma, P.DepthLimit);
  }
  if (Packed && P.K > PanelDepth)
    P.FromZero = false;
  P.C = accumulatorFor(Mma);
  P.Expanded = Packed && expandsAccumulator(P);
  if (!P.FromZero && !P.Expanded)
    materialise(Mma.getAccumulator(), P.C);
  if (Packed)
    lowerPackedProduct(P);
  else if (Form == ProductForm::Dot)
    lowerDotProduct(P);
  else
    lowerRowProduct(P);
  Buffers[Mma.getResult()] = P.C;
}

//===----------------------------------------------------------------------===//
// Few rows
//===----------------------------------------------------------------------===//

/// Whether a row of the tile is a part of a row of memory, as one head's keys
/// are: the processor sees no pattern in such short pieces.
bool KernelLowering::rowsAreFragments(Value Tile) {
  auto Load = loadBehind(Tile);
  if (!Load)
    return false;
  ArrayRef<int64_t> Dimensions = Load.getDimensions();
  int64_t Stride = rowStride(Load);
  return Dimensions[0] + 1 < Dimensions[1] && !ShapedType::isDynamic(Stride) &&
         Stride > cast<RankedTensorType>(Tile.getType()).getDimSize(1);
}

/// Rows that are multiplied at the same time are far apart, so that each is one
/// of a few streams that run on through all of B: the processor looks ahead
/// page by page and sees no pattern in neighbouring rows that share a page.
/// Against neighbours (bench/KernelBench decode, bytes a second): float32 1.2
/// times with one row of A and 1.15 with four, bf16 1.33 and 1.14.
void KernelLowering::lowerDotProduct(Product &P) {
  // With so many sums the vectors of A and B still fit the registers.
  int64_t Rows = P.M <= 2 || Options.VectorBits == 512 ? 4 : 2;
  int64_t Distance = P.N / Rows;
  if (rowsAreFragments(P.Mma.getRhs()))
    return lowerFragments(P, P.M == 1 ? 1 : Rows);
  forEachIndex(index(0), index(Distance), 1,
               [&](Value N) { lowerDotBlock(P, N, Rows, Distance); });
  forEachIndex(index(Distance * Rows), index(P.N), 1,
               [&](Value N) { lowerDotBlock(P, N, 1, 0); });
}

/// Fragments are asked for ahead, one after the other, up to where memory ends.
void KernelLowering::lowerFragments(Product &P, int64_t Rows) {
  Value End = limitOf(P.Mma.getRhs(), 0);
  if (End) {
    InsideRows.insert(loadBehind(P.Mma.getRhs()));
    if (P.FromZero)
      zeroColumnsFrom(P, End);
  } else {
    End = index(P.N);
  }
  Value Whole = subtract(End, B.createOrFold<arith::RemUIOp>(End, index(Rows)));
  forEachIndex(index(0), Whole, Rows,
               [&](Value N) { lowerDotBlock(P, N, Rows, 1); });
  if (Rows > 1)
    forEachIndex(Whole, End, 1, [&](Value N) { lowerDotBlock(P, N, 1, 0); });
  InsideRows.clear();
}

/// The columns of C whose rows of the transpose of B are not in memory.
void KernelLowering::zeroColumnsFrom(Product &P, Value Limit) {
  forEachIndex(Limit, index(P.N), 1, [&](Value Column) {
    for (int64_t M = 0; M < P.M; ++M)
      memref::StoreOp::create(B, zero(B.getF32Type()), P.C,
                              ValueRange{index(M), Column});
  });
}

/// The products of all rows of A with `Rows` rows of the transpose of B that
/// are `Distance` apart, from row N on.
void KernelLowering::lowerDotBlock(Product &P, Value N, int64_t Rows,
                                   int64_t Distance) {
  Type F32 = B.getF32Type();
  SmallVector<Value> LhsRows, Columns, Sums(P.M * Rows);
  // Made here: the address of a row goes before the loop over k.
  for (int64_t M = 0; M < P.M; ++M)
    LhsRows.push_back(index(M));
  for (int64_t R = 0; R < Rows; ++R)
    Columns.push_back(add(N, R * Distance));
  int64_t Width = std::min(widthOf(P.RhsView), widthOf(P.Lhs));
  bool Fragments = rowsAreFragments(P.Mma.getRhs());
  for (int64_t Start = 0; Start < P.K; Width /= 2) {
    int64_t Count = (P.K - Start) / Width;
    if (Count == 0)
      continue;
    int64_t End = Start + Count * Width;
    // With one row of A there are too few sums to hide their latency.
    int64_t Chains = P.M > 1 ? 1 : std::gcd(Count, Rows == 1 ? 4 : 2);
    auto Type = vectorType(F32, Width);
    auto Loop =
        scf::ForOp::create(B, index(Start), index(End), index(Width * Chains),
                           SmallVector<Value>(P.M * Rows * Chains, zero(Type)));
    {
      OpBuilder::InsertionGuard Guard(B);
      if (!Loop.getBody()->empty())
        Loop.getBody()->back().erase();
      B.setInsertionPointToEnd(Loop.getBody());
      InScope Scope(*this, Loop);
      SmallVector<Value> Next;
      for (int64_t C = 0; C < Chains; ++C) {
        Value K = add(Loop.getInductionVar(), C * Width);
        for (int64_t R = 0; R < Rows; ++R) {
          // With several rows of A the sums take about as long as the memory:
          // without being asked ahead it waits for them, where half as many
          // registers allow half as many streams. (With 32 registers asking
          // takes a fifth longer.) Of fragments it has to be told where the
          // next one is.
          if ((P.M > 1 && Options.VectorBits < 512) || Fragments)
            prefetch(
                P.RhsView,
                add(Columns[R], Fragments ? 2 * PrefetchRows : PrefetchRows),
                K);
          Value Rhs = emit(P.RhsView, {Columns[R], K, Width});
          for (int64_t M = 0; M < P.M; ++M) {
            Point Place{LhsRows[M], K, Width};
            Value Lhs = P.LhsBuffer
                            ? readBuffer(P.LhsBuffer, Place, typeOf(P.Lhs))
                            : emit(P.Lhs, Place);
            Next.push_back(
                multiplyAdd(Lhs, Rhs, Loop.getRegionIterArgs()[Next.size()]));
          }
        }
      }
      scf::YieldOp::create(B, Next);
    }
    for (int64_t I = 0; I < P.M * Rows; ++I) {
      Value Sum = Loop.getResult(I);
      for (int64_t C = 1; C < Chains; ++C)
        Sum = arith::AddFOp::create(B, Sum, Loop.getResult(C * P.M * Rows + I));
      if (Width > 1)
        Sum = vector::ReductionOp::create(B, vector::CombiningKind::ADD, Sum,
                                          arith::FastMathFlags::reassoc);
      Sums[I] = Sums[I] ? Value(arith::AddFOp::create(B, Sums[I], Sum)) : Sum;
    }
    Start = End;
  }
  for (int64_t R = 0; R < Rows; ++R)
    for (int64_t M = 0; M < P.M; ++M) {
      Value Place[] = {LhsRows[M], Columns[R]};
      Value Sum = Sums[R * P.M + M];
      if (!P.FromZero)
        Sum = arith::AddFOp::create(B, memref::LoadOp::create(B, P.C, Place),
                                    Sum);
      memref::StoreOp::create(B, Sum, P.C, Place);
    }
}

void KernelLowering::lowerRowProduct(Product &P) {
  int64_t Width = widthOf(P.Mma.getRhs());
  // Fragments are read whole, one after the other.
  int64_t Most = rowsAreFragments(P.Mma.getRhs()) ? 16 : 8;
  int64_t Vectors = std::max<int64_t>(1, Most / P.M);
  int64_t Start = P.N / (Width * Vectors) * (Width * Vectors);
  forEachIndex(index(0), index(Start), Width * Vectors,
               [&](Value Col) { lowerRowBlock(P, Col, Width, Vectors); });
  for (; Start < P.N; Width /= 2) {
    int64_t End = Start + (P.N - Start) / Width * Width;
    forEachIndex(index(Start), index(End), Width,
                 [&](Value Col) { lowerRowBlock(P, Col, Width, 1); });
    Start = End;
  }
}

void KernelLowering::lowerRowBlock(Product &P, Value Col, int64_t Width,
                                   int64_t Vectors) {
  Type F32 = B.getF32Type();
  SmallVector<Value> Columns, Accumulators;
  for (int64_t J = 0; J < Vectors; ++J)
    Columns.push_back(add(Col, J * Width));
  for (int64_t M = 0; M < P.M; ++M)
    for (Value Column : Columns)
      Accumulators.push_back(
          P.FromZero ? zero(vectorType(F32, Width))
                     : readBuffer(P.C, {index(M), Column, Width}, F32));
  bool Fragments = rowsAreFragments(P.Mma.getRhs());
  Value Limit = Fragments ? limitOf(P.Mma.getRhs(), 0) : Value();
  if (Limit) // Rows that are not there are zero: they add nothing.
    InsideRows.insert(loadBehind(P.Mma.getRhs()));
  auto Loop = scf::ForOp::create(B, index(0), Limit ? Limit : index(P.K),
                                 index(1), Accumulators);
  {
    OpBuilder::InsertionGuard Guard(B);
    if (!Loop.getBody()->empty())
      Loop.getBody()->back().erase();
    B.setInsertionPointToEnd(Loop.getBody());
    InScope Scope(*this);
    Value K = Loop.getInductionVar();
    SmallVector<Value> Lhs, Next;
    for (int64_t M = 0; M < P.M; ++M)
      Lhs.push_back(
          splat(P.Mma.getTransposeLhs()
                    ? readElement(P.Mma.getLhs(), P.LhsBuffer, K, index(M))
                    : readElement(P.Mma.getLhs(), P.LhsBuffer, index(M), K),
                Width));
    SmallVector<Value> Rhs;
    for (Value Column : Columns) {
      if (Fragments)
        prefetch(P.RhsView, add(K, 2 * PrefetchRows), Column);
      Rhs.push_back(emitAs(P.Mma.getRhs(), {K, Column, Width}, F32));
    }
    for (int64_t M = 0; M < P.M; ++M)
      for (int64_t J = 0; J < Vectors; ++J)
        Next.push_back(math::FmaOp::create(
            B, Lhs[M], Rhs[J], Loop.getRegionIterArgs()[M * Vectors + J]));
    scf::YieldOp::create(B, Next);
  }
  InsideRows.clear();
  for (int64_t M = 0; M < P.M; ++M)
    for (int64_t J = 0; J < Vectors; ++J)
      writeBuffer(Loop.getResult(M * Vectors + J), P.C,
                  {index(M), Columns[J], Width});
}

} // namespace transxssm::x86
