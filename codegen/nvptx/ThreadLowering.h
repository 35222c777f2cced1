//===- ThreadLowering.h - One kernel from tiles to threads ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Shared by the files TileToThreads*.cpp. A tile becomes one scalar per
// register of its layout; operations on tiles become operations on those.
//
// Shared memory is a memref.alloc per tile that needs it, accessed by
// vector.load and vector.store. Which bytes it gets, and where threads must
// wait for each other, is the matter of later passes: to them, accesses of one
// step (one attribute GroupAttr) touch different elements.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_THREADLOWERING_H
#define TRANSXSSM_CODEGEN_NVPTX_THREADLOWERING_H

#include "codegen/nvptx/DeviceOps.h"
#include "codegen/nvptx/TileLayouts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

#include <map>

namespace transxssm::nvptx {

using Registers = llvm::SmallVector<mlir::Value>;

/// A memref argument of the kernel.
struct GlobalMemory {
  mlir::Value Pointer;
  mlir::MemRefType Type;
  llvm::SmallVector<mlir::Value> Sizes, Strides;
  /// Its number if the kernel both reads and writes it, else -1.
  int64_t Hazard = -1;
};

/// A tile in shared memory: rows of `Columns` elements, with `Pad` elements
/// after every `Run` rows. For float32 that is sixteen bytes after four rows:
/// threads that read the same column of rows four apart, or of four
/// neighbouring rows, meet different banks; where accumulators of tensor cores
/// are written, 32 bytes after each row. For 16-bit elements it is sixteen
/// bytes after every row: ldmatrix reads as many of eight rows at once.
/// Addresses stay sums of a thread's part and a constant.
struct SharedTile {
  mlir::Value Buffer;
  int64_t Rows = 1, Columns = 1, Pad = 0, Run = 4, RowPad = 0;
  /// Elements of the buffer before the tile, if any; and, of a stage of a ring,
  /// the ring's number.
  mlir::Value Shift = {};
  int64_t Ring = -1;
  /// An operand of wgmma, as its descriptors want it: rows of 128 bytes, 64
  /// columns of bf16; the next 64 columns follow the last row. The sixteen
  /// bytes at column 8 c of row r lie at place c xor (r mod 8).
  bool Swizzled = false;

  /// Without the exchange of places.
  int64_t offset(int64_t Row, int64_t Column) const {
    if (Swizzled)
      return (Column / 64 * Rows + Row) * 64 + Column % 64;
    return Row * (Columns + RowPad) + Row / Run * Pad + Column;
  }
};

/// How an operand of wgmma lies in shared memory, and the elements of a tile
/// there with padding.
SharedTile operandShape(const LinearLayout &Layout);
int64_t sharedElements(const SharedTile &Tile);

/// A number of elements such that every group of so many, from the tile's first
/// element on, begins at a multiple of sixteen bytes if the whole does: a power
/// of two of at most sixteen bytes.
int64_t consecutive(mlir::MemRefType Memory, mlir::ValueRange Indices,
                    llvm::ArrayRef<int64_t> Dimensions);

class ThreadLowering {
public:
  ThreadLowering(tile::KernelOp Kernel, const GpuTarget &Target);

  /// Builds the function after the kernel; false after an error.
  bool run();

private:
  /// How a tile lies in global memory.
  struct Access {
    GlobalMemory *Memory;
    LinearLayout Layout;
    mlir::Value Base, RowStride, ColumnStride; ///< of this thread
    /// The first row (column) of this thread and the bound it must be below;
    /// null where no check is needed.
    mlir::Value Row, RowBound, Column, ColumnBound;
    /// The same for the tile's own extent, where the layout is larger.
    mlir::Value TileRow, TileRows, TileColumn, TileColumns;
    /// Whether this thread has to load anything; null: it has.
    mlir::Value Takes;
    int64_t Width = 1;
    /// The whole tile is inside: then accesses need no check of columns. Where
    /// it is not, memory may end within the InsideWidth elements of one.
    mlir::Value Inside;
    int64_t InsideWidth = 1;
  };
  /// How a tile goes to and from memory: in the layout of Place, which differs
  /// from the exchanged one in the order of registers alone. Exchanges between
  /// lanes lead there, or a copy in shared memory.
  struct Traffic {
    LinearLayout Own, Exchanged;
    llvm::SmallVector<LaneExchange> Exchanges;
    bool ThroughShared = false;
    Access Place;
  };

  // Control (TileToThreads.cpp).
  void bindArguments(mlir::Block &Entry);
  void lowerAll();
  void lowerBlock(mlir::Block &Block);
  void lowerOperation(mlir::Operation *Op);
  void lowerFor(mlir::scf::ForOp For);
  mlir::scf::ForOp startFor(mlir::scf::ForOp For,
                            llvm::ArrayRef<mlir::Value> More);
  void bindCarried(mlir::ValueRange Old, mlir::ValueRange Flat);
  void lowerIf(mlir::scf::IfOp If);
  void lowerYield(mlir::Operation *Terminator,
                  llvm::ArrayRef<mlir::Value> More = {},
                  llvm::function_ref<void()> BeforeEnd = nullptr);
  void lowerElementwise(mlir::Operation *Op);
  void error(mlir::Operation *Op, const llvm::Twine &Message);

  // Values.
  void define(mlir::Value Tile, Registers Values);
  Registers registersOf(mlir::Value Tile, const LinearLayout &Layout);
  Registers registersOf(mlir::Value Tile) {
    return registersOf(Tile, Layouts.of(Tile));
  }
  mlir::Value uniformValue(mlir::Value Tile);
  mlir::Value scalar(mlir::Value V) { return Scalars.lookupOrDefault(V); }

  // Indices.
  mlir::Value index(int64_t Number);
  mlir::Value add(mlir::Value L, mlir::Value R);
  mlir::Value add(mlir::Value L, int64_t R) { return R ? add(L, index(R)) : L; }
  mlir::Value multiply(mlir::Value L, mlir::Value R);
  mlir::Value multiply(mlir::Value L, int64_t R) {
    return multiply(L, index(R));
  }
  mlir::Value isBelow(mlir::Value L, mlir::Value R);
  mlir::Value both(mlir::Value L, mlir::Value R);
  mlir::Value zero(mlir::Type Type);

  // This thread's part of coordinates, made at the start of the function.
  mlir::Value threadPart(llvm::ArrayRef<int64_t> Bases);
  mlir::Value threadRow(const LinearLayout &Layout);
  mlir::Value threadColumn(const LinearLayout &Layout);
  /// Whether those bits of the thread's number are 0; null for no bits.
  mlir::Value isFirst(int64_t ThreadMask);

  // Global memory (TileToThreadsMemory.cpp).
  void lowerLoad(tile::LoadOp Load);
  void lowerStore(tile::StoreOp Store);
  void lowerScalarLoad(tile::LoadOp Load);
  void lowerScalarStore(tile::StoreOp Store);
  void lowerGather(tile::GatherOp Gather);
  Access accessOf(mlir::Value Memory, mlir::ValueRange Indices,
                  llvm::ArrayRef<int64_t> Dimensions, mlir::Value Tile,
                  const LinearLayout &Layout);
  void setWidth(Access &A, mlir::ValueRange Indices,
                llvm::ArrayRef<int64_t> Dimensions, mlir::Value Tile);
  mlir::Value predicateOf(const Access &A, Coordinates Place, bool Inside,
                          int64_t Count = 1);
  mlir::Value addressOf(const Access &A, Coordinates Place);
  Traffic trafficOf(mlir::Value Memory, mlir::ValueRange Indices,
                    llvm::ArrayRef<int64_t> Dimensions, mlir::Value Tile);
  Registers loadAt(const Access &A, mlir::Type Element, Coordinates Place,
                   int64_t Width, mlir::Value Predicate);
  void storeAt(const Access &A, llvm::ArrayRef<mlir::Value> Values,
               Coordinates Place, mlir::Value Predicate);
  void forEachPart(
      const Access &A,
      llvm::function_ref<void(int64_t, Coordinates, mlir::Value)> Whole,
      llvm::function_ref<void(int64_t, Coordinates, mlir::Value)> Single);
  Registers emitLoads(const Access &A, mlir::Type Element, bool Inside);
  void emitStores(const Access &A, llvm::ArrayRef<mlir::Value> Values,
                  bool Inside);
  void markGlobal(mlir::Operation *Op, const GlobalMemory &Memory);

  // Exchanges of elements between threads (TileToThreadsExchanges.cpp).
  void exchange(LaneExchange E, Registers &Values);
  void exchangeAll(llvm::ArrayRef<LaneExchange> Exchanges, Registers &Values);
  Registers toMemory(const Traffic &T, Registers Values);
  Registers fromMemory(const Traffic &T, Registers Values);
  Registers spreadOverCopies(LinearLayout &Layout, Registers Values);

  // Shared memory (TileToThreadsShared.cpp).
  /// Where this thread's elements of a tile lie: the sums of few values and a
  /// constant each.
  struct Placement {
    mlir::Value Base;
    std::map<int64_t, mlir::Value> Starts;
  };
  Placement placement(const SharedTile &Tile, const LinearLayout &Layout);
  mlir::Value placeOf(const SharedTile &Tile, Placement &P, Coordinates Place);
  mlir::Value allocateElements(const SharedTile &Tile, mlir::Type Element,
                               int64_t Stages = 1);
  SharedTile shapeOf(mlir::Value Tile);
  SharedTile allocate(int64_t Rows, int64_t Columns, mlir::Type Element);
  SharedTile allocate(mlir::Value Tile);
  SharedTile sharedOf(mlir::Value Tile);
  void write(const SharedTile &To, const LinearLayout &Layout,
             llvm::ArrayRef<mlir::Value> Values, int64_t CopyMask,
             mlir::Value Shift = {});
  Registers read(const SharedTile &From, const LinearLayout &Layout,
                 mlir::Type Element);
  Registers readTransposed(const SharedTile &From, const LinearLayout &Layout,
                           mlir::Type Element);
  mlir::Value sharedPointer(const SharedTile &Tile);
  void markShared(mlir::Operation *Op, const SharedTile &Tile);
  mlir::Value rowOffset(const SharedTile &Tile, mlir::Value Row,
                        bool Shifted = true);
  Registers loadVector(const SharedTile &From, mlir::Value Offset,
                       int64_t Count);
  void storeVector(const SharedTile &To, mlir::Value Offset,
                   llvm::ArrayRef<mlir::Value> Values);
  Registers convert(llvm::ArrayRef<mlir::Value> Values,
                    const LinearLayout &From, const LinearLayout &To);
  Registers masked(mlir::Value Tile, const LinearLayout &Layout,
                   Registers Values, mlir::Value Outside);

  // Asynchronous copies (TileToThreadsCopies.cpp).
  /// The loads of a loop whose tiles are copied iterations ahead.
  struct Ring {
    mlir::scf::ForOp For;
    llvm::SmallVector<tile::LoadOp> Loads;
    llvm::SmallVector<mlir::Operation *> Slice; ///< makes their indices
    llvm::SmallVector<SharedTile> Tiles;        ///< in stage 0
    llvm::SmallVector<int64_t> Places; ///< of the tiles in a stage of the pipe
    int64_t Stages, Number;
    /// Of a stage, where all loads can be boxes of tensors; else 0.
    int64_t BoxBytes = 0;
  };
  bool canCopy(tile::LoadOp Load);
  void copyToShared(tile::LoadOp Load, const SharedTile &To,
                    int64_t RingNumber);
  SharedTile copyShape(tile::LoadOp Load);
  void setCopy(mlir::Value Tile, const SharedTile &To);
  void lowerCopy(tile::LoadOp Load);
  void awaitCopy(mlir::Value Tile);
  void awaitCopies();
  Ring findRing(mlir::scf::ForOp For);
  SharedTile inStage(const Ring &R, size_t Load, mlir::Value Stage);
  void copyStage(const Ring &R, mlir::Value Iteration, mlir::Value Stage);
  void startRing(Ring &R);
  mlir::Value advanceRing(const Ring &R, mlir::Value Iteration,
                          mlir::Value Stage);

  // Copies of boxes (TileToThreadsBoxes.cpp).
  bool canCopyBoxes(tile::LoadOp Load);
  bool fitsBoxes(mlir::Value Memory, llvm::ArrayRef<int64_t> Dimensions,
                 mlir::Value Tile);
  mlir::Value tensorMap(mlir::Value Memory, llvm::ArrayRef<int64_t> Dimensions,
                        mlir::Value Tile);
  void forEachBox(
      mlir::ValueRange Indices, const SharedTile &Shared, mlir::Value Tile,
      llvm::function_ref<void(mlir::Value, llvm::ArrayRef<mlir::Value>)> Do);
  void copyBoxes(tile::LoadOp Load, const SharedTile &To, mlir::Value Barrier);

  // Stores by boxes (TileToThreadsBoxStores.cpp).
  bool canStoreBoxes(tile::StoreOp Store);
  void lowerBoxStore(tile::StoreOp Store);
  void awaitBoxStores();

  // A producer warp group (TileToThreadsPipe.cpp).
  /// The stages of all loops whose loads are boxes; none: no producer.
  struct Pipe {
    int64_t Stages = 0, StageElements = 0;
    mlir::Value Buffer, Barriers;
    mlir::Value Stage, Parity; ///< variables of each thread
  };
  bool canProduce(mlir::Value V);
  bool canProduce(mlir::scf::ForOp Loop);
  void findBoxRings();
  int64_t otherCopiedBytes();
  bool onlyAddsProducts();
  void chooseStages();
  void blockBarrier();
  mlir::Value stageBarrier(mlir::Value Stage, bool Empty);
  void makePipe();
  void markPipe(mlir::Operation *Op);
  mlir::Value nextStage(bool Empty);
  SharedTile inPipe(const Ring &R, size_t Load, mlir::Value Stage);
  mlir::Value acquireStage(const Ring &R);
  void releaseStage(mlir::Value Stage, mlir::Value Condition);
  mlir::Value previousStage(mlir::Value Stage);
  int64_t productsUnderWay(const Ring &R);
  mlir::Value produce(mlir::Value V);
  void fillStage(const Ring &R);
  void produceBlock(mlir::Block &Block);
  void lowerBoxLoop(const Ring &R);
  void lowerWithProducer();

  // Blocks that go over several cells (TileToThreadsCells.cpp).
  bool paysToStay();
  void addGridExtents();
  void forEachCell(llvm::function_ref<void()> Body);

  // Shapes (TileToThreadsShapes.cpp).
  void lowerBroadcast(tile::BroadcastOp Broadcast);
  void lowerIota(tile::IotaOp Iota);
  void lowerTranspose(tile::TransposeOp Transpose);
  void lowerExtract(tile::ExtractOp Extract);
  void lowerRope(tile::RopeOp Rope);
  void lowerRopeInRegisters(tile::RopeOp Rope, const LinearLayout &Table);
  void lowerReduce(tile::ReduceOp Reduce);
  void lowerCumulativeSum(tile::CumulativeSumOp Sum);
  Registers reduceAcrossWarps(tile::Reduction Kind, Registers Values,
                              const LinearLayout &Natural, int64_t WarpMask);
  mlir::Value combine(tile::Reduction Kind, mlir::Value A, mlir::Value C);

  // Products (TileToThreadsMma.cpp).
  void lowerMma(tile::MmaOp Mma);
  void lowerTensorCoreMma(tile::MmaOp Mma);
  struct Fragments;
  void multiply(const Fragments &F, mlir::Value K, int64_t Step,
                Registers &Sums);

  // Products on tensor cores (TileToThreadsTensorCores.cpp).
  struct MatrixSide;
  MatrixSide matrixSide(mlir::Value Operand, const LinearLayout &Layout,
                        bool IsLeft, bool InnerIsColumn);
  Registers loadFragments(const MatrixSide &Side, mlir::Value K,
                          int64_t Offset);
  void multiplyOnTensorCores(const LinearLayout &Layout, const MatrixSide &Left,
                             const MatrixSide &Right, mlir::Value K,
                             Registers &Sums);

  // Products by a warp group (TileToThreadsWgmma.cpp).
  SharedTile writeOperand(mlir::Value Tile, const LinearLayout &Layout,
                          Registers Values);
  SharedTile operandOf(mlir::Value Tile);
  mlir::Value operandPlace(const SharedTile &Tile, mlir::Value Row,
                           mlir::Value Column);
  void storeOperandMatrices(const SharedTile &To, const LinearLayout &Layout,
                            llvm::ArrayRef<mlir::Value> Values);
  void storeOperandElements(const SharedTile &To, const LinearLayout &Layout,
                            llvm::ArrayRef<mlir::Value> Values);
  Registers readOperand(const SharedTile &From, const LinearLayout &Layout);
  struct GroupSide;
  GroupSide groupSide(mlir::Value Operand, const LinearLayout &Layout,
                      bool IsLeft, bool InnerIsColumn);
  mlir::Value descriptor(const GroupSide &Side, int64_t Outer, int64_t K);
  Registers leftWords(tile::MmaOp Mma, llvm::ArrayRef<int64_t> FirstRows);
  void lowerWgmma(tile::MmaOp Mma);

  tile::KernelOp Kernel;
  GpuTarget Target;
  TileLayouts Layouts;
  mlir::ImplicitLocOpBuilder B;
  mlir::Operation *EntryEnd = nullptr; ///< entry values are made before it
  mlir::Value Thread;
  mlir::IRMapping Scalars;
  llvm::DenseMap<mlir::Value, GlobalMemory> Memories;
  llvm::DenseMap<mlir::Value, Registers> Tiles;
  llvm::DenseMap<mlir::Value, SharedTile> SharedTiles, OperandTiles;
  std::map<std::vector<int64_t>, mlir::Value> ThreadParts;
  std::map<int64_t, mlir::Value> Firsts;
  mlir::func::FuncOp Function;
  llvm::SmallVector<mlir::Attribute> TensorMaps; ///< as in TensorMapsAttr
  llvm::SmallVector<mlir::Value> UnderWay;       ///< copied tiles, oldest first
  int64_t NextRing = 0;
  bool InRing = false;
  Pipe Channel;
  /// Where few blocks go over all cells of the grid: its extents.
  llvm::SmallVector<mlir::Value> GridExtents;
  llvm::DenseMap<mlir::Operation *, Ring> BoxRings;
  /// Products of this loop are waited for in its next iteration.
  bool ProductsStay = false;
  bool HasBoxStores = false;
  int64_t Group = 0;
  /// A loop adds to three matrices or more at once, as the gradient of a chunk
  /// of a scan does: threads have hardly a register left then.
  bool HasManySums;
  bool Failed = false;
};

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_THREADLOWERING_H
