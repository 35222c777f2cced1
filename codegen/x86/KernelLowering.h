//===- KernelLowering.h - One kernel from tiles to vector loops -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Shared by the files TileToLoops*.cpp. A tile expression is *emitted* for one
// vector of elements at a time, a Point; a nest calls the emitter for every
// point of a tile.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_X86_KERNELLOWERING_H
#define TRANSXSSM_CODEGEN_X86_KERNELLOWERING_H

#include "codegen/x86/Passes.h"
#include "codegen/x86/TileAnalysis.h"
#include "codegen/x86/Triangles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <map>
#include <optional>

namespace transxssm::x86 {

/// `Width` consecutive columns of one row. `Row` is null for tiles of rank 1.
struct Point {
  mlir::Value Row, Col;
  int64_t Width;
};

/// 0 .. Size - 1, or 0 .. Limit - 1 with a limit known at run time. Without
/// one, vectors of columns below `Inside` read no memory beyond its end.
struct Extent {
  int64_t Size;
  mlir::Value Limit = {};
  mlir::Value Inside = {};
};

/// The panel that stays in the L1 cache has so many rows.
inline constexpr int64_t PanelDepth = 256;
/// Elements of a cache line. Buffers have a line more than needed where their
/// rows or panels would else lie a power of two apart and share cache sets.
inline constexpr int64_t LineElements = 16;
/// How far copies look ahead.
inline constexpr int64_t PrefetchRows = 4;

/// How something that is made of a tile holds its elements: as they are, short
/// floats as float32; or two bf16 that are neighbours in a row or in a column
/// in one i32, the first in its lower half (PairProducts).
struct View {
  enum Form { Elements, PairsInRow, PairsInColumn };
  mlir::Value Tile;
  Form As = Elements;

  bool isPairs() const { return As != Elements; }
  bool operator==(const View &Other) const {
    return Tile == Other.Tile && As == Other.As;
  }
};

class KernelLowering {
public:
  KernelLowering(tile::KernelOp Kernel, const LoopOptions &Options);

  /// Builds the function after the kernel; false after an error.
  bool run();

private:
  using Body = llvm::function_ref<void(Point)>;

  // Control flow and buffers (TileToLoops.cpp).
  void lowerBlock(mlir::Block &Block);
  void lowerOperation(mlir::Operation *Op);
  void lowerFor(mlir::scf::ForOp For);
  void lowerYields(mlir::scf::ForOp For, mlir::ArrayRef<mlir::Value> Slots);
  void lowerIf(mlir::scf::IfOp If);
  mlir::Value lowerTable(mlir::arith::ConstantOp Constant);
  void lowerScalarLoad(tile::LoadOp Load);
  void lowerScalarStore(tile::StoreOp Store);
  void planInPlace(mlir::scf::ForOp For, mlir::ArrayRef<mlir::Value> Slots);
  bool canUpdateInPlace(mlir::Value Yielded, mlir::Value Carried);
  bool diesInto(mlir::Value Tile, mlir::scf::ForOp For);
  mlir::Value allocateTile(mlir::Type Tile);
  mlir::Value allocate(mlir::ArrayRef<int64_t> Shape, mlir::Type Element);
  mlir::Value destinationFor(mlir::Value Tile);
  void error(mlir::Operation *Op, const llvm::Twine &Message);

  // Nests (TileToLoopsNests.cpp).
  void forEachPoint(mlir::RankedTensorType Tile, Extent Rows, Extent Cols,
                    int64_t Width, Body Body);
  void visitColumns(mlir::Value Row, mlir::Value Low, mlir::Value High,
                    int64_t Step, Body Body);
  void forEachColumn(mlir::Value Row, Extent Cols, int64_t Width, Body Body);
  void forEachIndex(mlir::Value Low, mlir::Value High, int64_t Step,
                    llvm::function_ref<void(mlir::Value)> Body);
  static mlir::Operation *loopOf(mlir::Value Index);
  int64_t nestWidth(mlir::Value Tile);
  void materialise(mlir::Value Tile, mlir::Value Destination);
  void lowerStore(tile::StoreOp Store);
  void lowerFlatStores(mlir::ArrayRef<tile::StoreOp> Stores);
  mlir::Value limitStore(tile::StoreOp Store, int64_t I);
  void storeValue(tile::StoreOp Store, Point P);
  mlir::Value insideColumns(mlir::ArrayRef<mlir::Value> Tiles,
                            mlir::Value Limit, int64_t Width);
  mlir::Value smaller(mlir::Value A, mlir::Value B);
  mlir::Value limitOn(mlir::Value Memory, mlir::ValueRange Indices,
                      int64_t Dimension, int64_t Size);
  void lowerReduce(tile::ReduceOp Reduce);
  void reduceRows(tile::ReduceOp Reduce, mlir::Value Destination);
  void reduceColumns(tile::ReduceOp Reduce, mlir::Value Destination);
  mlir::Value reduceRow(tile::ReduceOp Reduce, mlir::Value Row);
  mlir::Value combine(tile::Reduction Kind, mlir::Value A, mlir::Value B);
  mlir::Value identity(tile::Reduction Kind, mlir::Type Type);
  void lowerCumulativeSum(tile::CumulativeSumOp Sum);
  void lowerTranspose(tile::TransposeOp Transpose);
  using StoreVector = llvm::function_ref<void(
      mlir::Value Vector, mlir::Value Row, mlir::Value Col)>;
  void emitTransposed(const View &From, StoreVector Store);
  void emitTransposedBlock(const View &From, mlir::ArrayRef<mlir::Value> Rows,
                           mlir::Value Col, int64_t Cols, StoreVector Store);

  // Expressions (TileToLoopsExpressions.cpp).
  mlir::Value emit(mlir::Value Tile, Point P);
  mlir::Value emitAs(mlir::Value Tile, Point P, mlir::Type Element);
  mlir::Value emitUncached(mlir::Value Tile, Point P);
  mlir::Value emitElementwise(mlir::Operation *Op, Point P);
  mlir::Value emitBroadcast(tile::BroadcastOp Op, Point P);
  mlir::Value emitConstant(mlir::arith::ConstantOp Op, Point P);
  mlir::Value emitIota(tile::IotaOp Op, Point P);
  mlir::Value emitRope(tile::RopeOp Op, Point P);
  mlir::Value emitLoad(tile::LoadOp Op, Point P);
  mlir::Value emitGather(tile::GatherOp Op, Point P);
  mlir::Value readMemory(mlir::Value Memory, mlir::ValueRange Indices,
                         int64_t Width, mlir::Value Condition,
                         mlir::Value Count);
  mlir::Value readPartly(mlir::Value Memory, mlir::ValueRange Indices,
                         int64_t Width, mlir::Value Condition,
                         mlir::Value Count);
  mlir::Value readBuffer(mlir::Value Buffer, Point P, mlir::Type Element);
  void writeBuffer(mlir::Value Vector, mlir::Value Buffer, Point P);
  int64_t widthOf(mlir::Value Tile);
  int64_t widthLimit(mlir::Value Tile, llvm::DenseSet<mlir::Value> &Seen,
                     int64_t Limit);

  // Views of tiles, rows and columns counted as they show them
  // (TileToLoopsViews.cpp).
  mlir::Type typeOf(const View &V);
  int64_t countRows(const View &V);
  int64_t countCols(const View &V);
  int64_t widthOf(const View &V);
  int64_t nestWidth(const View &V);
  mlir::Value emit(const View &V, Point P);
  mlir::Value joinPairs(mlir::Value Low, mlir::Value High, int64_t Width);
  mlir::Value emitPairsInRow(mlir::Value Tile, Point P);
  mlir::Value emitPairsInColumn(mlir::Value Tile, Point P);
  void prefetch(const View &V, mlir::Value Row, mlir::Value Col);
  mlir::Value multiplyAdd(mlir::Value A, mlir::Value C, mlir::Value Sum);

  // What cells of a range share (TileToLoopsRange.cpp).
  /// A packed rhs, [panel][k][column], from panel `First` of the buffer on; or
  /// a scratch buffer [k][column] that is read as it is, without `First`.
  struct Panels {
    mlir::Value Buffer = {}, First = {};
  };
  /// One that may have been packed by an earlier cell of the range.
  struct KeptPanels {
    Panels Place;
    mlir::Value Missing; // Whether it has not.
    mlir::Value Marks, Slot;
  };
  std::optional<KeptPanels> keepPanels(tile::MmaOp Mma,
                                       mlir::MemRefType Panels);
  bool isSameInRange(mlir::Value V, llvm::DenseSet<mlir::Value> &Seen,
                     mlir::scf::ForOp &Loop);
  bool isStored(mlir::Value Memory);
  mlir::Value allocateMarks(int64_t Count);
  mlir::Value mark(bool Filled);

  // Products (TileToLoopsMma.cpp).
  enum class ProductForm { Packed, Dot, Rows };
  /// C += A B, with what has been made of its operands. K and everything along
  /// it counts pairs where the views of the operands do.
  struct Product {
    tile::MmaOp Mma;
    View Lhs, RhsView;
    int64_t M, N, K;
    mlir::Value C = {};    // Accumulator and result.
    bool FromZero = false; // The accumulator counts as zero; C is undefined.
    bool Expanded = false; // Blocks compute the accumulator; C is undefined.
    mlir::Value LowerLhs = {};    // The lhs tile is zero, or C is not read,
    mlir::Value LowerResult = {}; // in column j > row i + this; null: nowhere.
    mlir::Value LhsBuffer = {};  // A copy of the lhs; null: read where it lies,
    mlir::Value LhsRows = {};    // or in a copy of some rows of it.
    Panels Rhs = {};             // Packed.
    mlir::Value RowLimit = {};   // Rows from here on are zero in the lhs,
    mlir::Value DepthLimit = {}; // and k from here on in one operand.
  };
  void lowerMma(tile::MmaOp Mma);
  ProductForm formOf(tile::MmaOp Mma);
  bool multipliesPairs(tile::MmaOp Mma);
  mlir::Value offsetOf(const std::optional<Diagonal> &Of);
  View lhsOf(tile::MmaOp Mma);
  View rhsOf(tile::MmaOp Mma);
  void prepareInvariantOperands(mlir::scf::ForOp For);
  bool needsLhsCopy(tile::MmaOp Mma);
  bool copiesLhsByRows(tile::MmaOp Mma);
  tile::LoadOp loadBehind(mlir::Value Tile);
  mlir::SmallVector<tile::LoadOp> loadsBehind(mlir::Value Tile);
  mlir::Value prepareLhs(tile::MmaOp Mma);
  bool isReadableInPlace(mlir::Value Tile);
  bool rowsAreFarApart(mlir::Value Tile);
  bool rowsAreFragments(mlir::Value Tile);
  mlir::SmallVector<tile::MmaOp> laterProducts(tile::MmaOp Mma);
  mlir::SmallVector<mlir::Value> indicesAt(tile::LoadOp Load, mlir::Value Row,
                                           mlir::Value Col);
  mlir::Value readElement(mlir::Value Tile, mlir::Value Buffer, mlir::Value Row,
                          mlir::Value Col);
  mlir::Value accumulatorFor(tile::MmaOp Mma);
  bool expandsAccumulator(Product &P);
  void lowerDotProduct(Product &P);
  void lowerFragments(Product &P, int64_t Rows);
  void lowerDotBlock(Product &P, mlir::Value N, int64_t Rows, int64_t Distance);
  void zeroColumnsFrom(Product &P, mlir::Value Limit);
  void lowerRowProduct(Product &P);
  void lowerRowBlock(Product &P, mlir::Value Col, int64_t Width,
                     int64_t Vectors);

  // Their packed form (TileToLoopsPacked.cpp).
  /// Some rows of a product, for some of its depth.
  struct Slice {
    mlir::Value FirstRow;
    int64_t Rows;
    mlir::Value RowLimit; // Rows that are not zero; null: all.
    mlir::Value Low, High;
    int64_t Depth; // High - Low at most.
  };
  /// Rows of C that stay in registers, in one panel.
  struct RegisterBlock {
    mlir::Value FirstRow; // Of the slice.
    int64_t Rows;
    mlir::Value Panel;
    int64_t Vectors;
  };
  Panels packRhs(tile::MmaOp Mma, mlir::Value DepthLimit = {});
  Panels prepareRhs(tile::MmaOp Mma, mlir::Value DepthLimit = {});
  void sharePanels(tile::MmaOp Mma, const Panels &Packed);
  void copyRhs(tile::MmaOp Mma, const Panels &To, mlir::Value DepthLimit);
  mlir::Value allocateLhsRows(Product &P);
  void copyLhsRows(Product &P, const Slice &S);
  void copyLhsColumns(Product &P, const Slice &S);
  mlir::Value limitOf(mlir::Value Tile, int64_t Dimension);
  mlir::Value depthLimit(tile::MmaOp Mma);
  void zeroRowsFrom(Product &P, mlir::Value Limit);
  void lowerPackedProduct(Product &P);
  void lowerDepth(Product &P, mlir::Value Low, mlir::Value High, int64_t Depth);
  void lowerSlice(Product &P, const Slice &S);
  void lowerPanel(Product &P, const Slice &S, mlir::Value Panel,
                  int64_t Vectors);
  int64_t unrolledSteps(const Product &P, const Slice &S,
                        const RegisterBlock &Block) const;
  void lowerRegisterBlock(Product &P, const Slice &S,
                          const RegisterBlock &Block);
  std::pair<mlir::Value, mlir::Value> depthOf(Product &P, const Slice &S,
                                              const RegisterBlock &Block);
  mlir::Value diagonalStep(const Product &P, mlir::Value Row, int64_t Rounding);
  void copyLhsRow(Product &P, const Slice &S, mlir::Value To);
  mlir::Value firstSum(Product &P, Point At);
  mlir::Value readRhs(const Product &P, mlir::Value Panel, mlir::Value K,
                      int64_t Vector);
  mlir::Value readLhs(Product &P, const Slice &S, mlir::Value Row,
                      int64_t Offset, mlir::Value K);
  /// Accumulators, vectors of B and one broadcast fill the registers: 16 on
  /// AVX2, and 18 of the 32 of AVX-512, where more did not pay.
  int64_t blockRows() const { return Options.VectorBits == 512 ? 8 : 6; }

  // Small helpers.
  mlir::Value index(int64_t Value);
  mlir::Value bits(int32_t Value);
  mlir::Value add(mlir::Value A, mlir::Value B);
  mlir::Value add(mlir::Value A, int64_t B);
  mlir::Value multiply(mlir::Value A, int64_t B);
  mlir::Value subtract(mlir::Value A, mlir::Value B);
  mlir::Value zero(mlir::Type Type);
  mlir::Value splat(mlir::Value Scalar, int64_t Width);
  mlir::Type vectorType(mlir::Type Element, int64_t Width);
  mlir::Value mapped(mlir::Value Scalar) { return Scalars.lookup(Scalar); }
  mlir::Value dimension(mlir::Value Memory, int64_t Dimension);
  mlir::Value remaining(mlir::Value Base, mlir::Value Size);
  int64_t lanes() const { return Options.VectorBits / 32; }

  /// Values emitted in the innermost loop of a nest; those that depend on the
  /// row alone go before `ColumnLoop`.
  struct Scope {
    std::map<std::tuple<const void *, const void *, const void *, int64_t>,
             mlir::Value>
        Values;
    mlir::Operation *ColumnLoop = nullptr;
  };
  class InScope;

  tile::KernelOp Kernel;
  LoopOptions Options;
  mlir::ImplicitLocOpBuilder B;
  TileAnalysis Analysis;
  mlir::IRMapping Scalars;
  llvm::DenseMap<mlir::Value, mlir::Value> Buffers;
  /// Where a value is to be computed when it replaces a carried tile in place.
  llvm::DenseMap<mlir::Value, mlir::Value> Destinations;
  /// Operands of products that were prepared before a loop, or by another
  /// product that reads the same.
  llvm::DenseMap<mlir::Operation *, mlir::Value> PreparedLhs;
  llvm::DenseMap<mlir::Operation *, Panels> PreparedRhs;
  /// Loads that read only rows that are in memory, where they are read now.
  llvm::DenseSet<mlir::Operation *> InsideRows;
  /// Whether loads read only columns that are in memory.
  bool AreColumnsInside = false;
  /// The loop over the cells of a range.
  mlir::scf::ForOp Range;
  Scope *Current = nullptr;
  bool Failed = false;
};

/// Enters a scope for the life of the object.
class KernelLowering::InScope {
public:
  InScope(KernelLowering &Lowering, mlir::Operation *ColumnLoop = nullptr)
      : Lowering(Lowering), Outer(Lowering.Current) {
    Own.ColumnLoop = ColumnLoop;
    Lowering.Current = &Own;
  }
  ~InScope() { Lowering.Current = Outer; }

private:
  KernelLowering &Lowering;
  Scope *Outer;
  Scope Own;
};

} // namespace transxssm::x86

#endif // TRANSXSSM_CODEGEN_X86_KERNELLOWERING_H
