//===- TileLayouts.cpp - The layout of every tile of a kernel -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/TileLayouts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace transxssm::nvptx {

bool isTile(Value V) { return isa<RankedTensorType>(V.getType()); }

RankedTensorType tileType(Value V) {
  return cast<RankedTensorType>(V.getType());
}

static bool isVector(Value V) {
  return isTile(V) && tileType(V).getRank() == 1;
}

bool isUniform(Value V) {
  Operation *Op = V.getDefiningOp();
  if (!Op)
    return false;
  if (auto Broadcast = dyn_cast<tile::BroadcastOp>(Op))
    return !isTile(Broadcast.getValue());
  auto Constant = dyn_cast<arith::ConstantOp>(Op);
  auto Elements =
      Constant ? dyn_cast<DenseElementsAttr>(Constant.getValue()) : nullptr;
  return Elements && Elements.isSplat();
}

bool isElementwise(Operation *Op) {
  return Op->getNumResults() == 1 && Op->getNumRegions() == 0 &&
         isTile(Op->getResult(0)) && !isa<arith::ConstantOp>(Op) &&
         isa_and_nonnull<arith::ArithDialect, math::MathDialect>(
             Op->getDialect());
}

//===----------------------------------------------------------------------===//
// Exchanges between lanes
//===----------------------------------------------------------------------===//

/// The bit whose basis is this column, if any.
static std::optional<unsigned> findColumn(ArrayRef<Coordinates> Bases,
                                          int64_t Column) {
  const auto *Found = llvm::find(Bases, Coordinates{0, Column});
  if (Found == Bases.end())
    return std::nullopt;
  return Found - Bases.begin();
}

SmallVector<LaneExchange> exchangesForMemory(const LinearLayout &Layout,
                                             Type Element, int64_t Widest,
                                             bool AtOddPlaces) {
  constexpr unsigned LaneBits = 5;
  constexpr int64_t WordBits = 32, SectorBits = 256;
  int64_t Bits = Element.getIntOrFloatBitWidth();
  int64_t Width = Layout.vectorWidth(), Sector = SectorBits / Bits;
  // What lanes exchange are words: two elements of bf16.
  if ((Bits != WordBits && !Element.isBF16()) || !Layout.isProduct() ||
      Layout.threadBits() < LaneBits || Width * Bits < WordBits ||
      Widest * Bits < WordBits)
    return {};
  LinearLayout Changed = Layout;
  auto InLanes = [&](int64_t Column) {
    return findColumn(Changed.threadBases().take_front(LaneBits), Column);
  };
  // Rows at odd places begin in the middle of sectors: the longer a part of one
  // a warp takes at once, the fewer sectors it has a share of only.
  int64_t Run = Sector;
  if (AtOddPlaces) {
    ArrayRef<Coordinates> Lanes = Layout.threadBases().take_front(LaneBits);
    Run = std::max(Sector, Widest << llvm::count_if(Lanes, [](Coordinates C) {
                             return !C.isZero();
                           }));
  }
  // Where what lanes have follows on what an access takes.
  int64_t Covered = std::min(Width, Widest);
  while (Covered < Layout.columns() && InLanes(Covered))
    Covered *= 2;
  if (Covered >= std::min(Run, Layout.columns()))
    return {};
  SmallVector<LaneExchange> Exchanges;
  auto Exchange = [&](std::optional<unsigned> Register,
                      std::optional<unsigned> Thread) {
    if (!Register || !Thread)
      return;
    Exchanges.push_back({*Register, *Thread});
    Changed = Changed.exchanged(*Register, *Thread);
  };
  auto First = [&](int64_t From, auto Find) -> std::optional<unsigned> {
    for (int64_t Column = From; Column < Layout.columns(); Column *= 2)
      if (std::optional<unsigned> Bit = Find(Column))
        return Bit;
    return std::nullopt;
  };
  auto InRegisters = [&](int64_t Column) {
    return findColumn(Changed.registerBases(), Column);
  };
  // The columns of an access come to registers, for some that it cannot take.
  for (int64_t Column = Width; Column < Widest; Column *= 2)
    Exchange(First(Widest, InRegisters), InLanes(Column));
  // The next ones go to lanes, for some of another sector, or else of a row.
  auto OtherLane = [&]() -> std::optional<unsigned> {
    if (std::optional<unsigned> Bit = First(Run, InLanes))
      return Bit;
    ArrayRef<Coordinates> Lanes = Changed.threadBases().take_front(LaneBits);
    const auto *Found =
        llvm::find_if(Lanes, [](Coordinates C) { return C.Row != 0; });
    if (Run == Sector || Found == Lanes.end())
      return std::nullopt;
    return Found - Lanes.begin();
  };
  for (int64_t Column = Widest; Column < Run; Column *= 2)
    Exchange(InRegisters(Column), OtherLane());
  return Exchanges;
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

TileLayouts::TileLayouts(tile::KernelOp Kernel, const GpuTarget &Target)
    : Target(Target) {
  chooseThreads(Kernel);
  chooseShapes(Kernel);
  connectVectors(Kernel);
  chooseTransposedLayouts(Kernel);
  chooseVectorLayouts(Kernel);
  findShared(Kernel);
}

/// Calls the function for every tile of the kernel.
static void forEachTile(tile::KernelOp Kernel, function_ref<void(Value)> Do) {
  Kernel.walk([&](Operation *Op) {
    for (Value Result : Op->getResults())
      if (isTile(Result))
        Do(Result);
    for (Region &Region : Op->getRegions())
      for (Block &Block : Region)
        for (Value Argument : Block.getArguments())
          if (isTile(Argument))
            Do(Argument);
  });
}

/// So many of a thread's 255 registers may hold what loops carry, where each
/// thread holds twice as much as it must.
constexpr int64_t MostCarried = 96;
/// Threads of a warp group, and the rows that it multiplies at once.
constexpr int64_t GroupThreads = 128, GroupRows = 64;

static bool hasGroupShape(tile::MmaOp Mma, const GpuTarget &Target) {
  return Target.hasWgmma() && usesTensorCores(Mma) &&
         paddedExtent(tileType(Mma.getResult()).getDimSize(0)) >= GroupRows;
}

bool TileLayouts::usesWgmma(tile::MmaOp Mma) const {
  return hasGroupShape(Mma, Target) && threads() >= GroupThreads;
}

bool TileLayouts::leftInRegisters(tile::MmaOp Mma) const {
  if (!usesWgmma(Mma) || Mma.getTransposeLhs() || isUniform(Mma.getLhs()))
    return false;
  const LinearLayout &Left = of(Mma.getLhs());
  if (!Left.holdsMatrices())
    return false;
  // The same rows in each warp, and all of k.
  auto Pairs = llvm::zip_equal(Left.threadBases().drop_front(5),
                               of(Mma.getResult()).threadBases().drop_front(5));
  return llvm::all_of(Pairs, [](auto Pair) {
    auto [Of, To] = Pair;
    return Of == Coordinates{To.Row, 0};
  });
}

/// The 32-bit registers of so many threads that loops carry tiles in.
static int64_t carriedRegisters(tile::KernelOp Kernel, int64_t Threads) {
  int64_t Most = 0;
  Kernel.walk([&](scf::ForOp For) {
    int64_t Bits = 0;
    for (Value V : For.getRegionIterArgs())
      if (isTile(V) && tileType(V).getRank() == 2)
        Bits +=
            tileType(V).getNumElements() * tileType(V).getElementTypeBitWidth();
    Most = std::max(Most, Bits / 32 / Threads);
  });
  return Most;
}

/// About sixteen elements of the largest tile to a thread, one to eight warps:
/// few enough for registers, enough to reuse what a product reads.
void TileLayouts::chooseThreads(tile::KernelOp Kernel) {
  int64_t Largest = 0;
  forEachTile(Kernel, [&](Value V) {
    int64_t Elements = 1;
    for (int64_t Extent : tileType(V).getShape())
      Elements *= paddedExtent(Extent);
    Largest = std::max(Largest, Elements);
  });
  // A product by a warp group takes all four warps. Where products have no rows
  // for a second group and sums leave enough registers, one holds them all:
  // then left operands can stay in registers.
  int64_t Fewest = 32, Most = 256;
  bool OneGroup = carriedRegisters(Kernel, GroupThreads) <= MostCarried;
  Kernel.walk([&](tile::MmaOp Mma) {
    if (!hasGroupShape(Mma, Target))
      return;
    Fewest = GroupThreads;
    OneGroup &=
        paddedExtent(tileType(Mma.getResult()).getDimSize(0)) == GroupRows;
  });
  if (OneGroup && Fewest == GroupThreads)
    Most = GroupThreads;
  int64_t Threads =
      std::clamp<int64_t>(paddedExtent(Largest) / 16, Fewest, Most);
  ThreadBits = llvm::Log2_64(Threads);
}

bool usesTensorCores(tile::MmaOp Mma) {
  RankedTensorType Left = tileType(Mma.getLhs());
  RankedTensorType Result = tileType(Mma.getResult());
  int64_t Inner = Left.getDimSize(Mma.getTransposeLhs() ? 0 : 1);
  return Left.getElementType().isBF16() &&
         paddedExtent(Result.getDimSize(0)) >= 16 &&
         paddedExtent(Result.getDimSize(1)) >= 8 && paddedExtent(Inner) >= 16;
}

void TileLayouts::chooseShapes(tile::KernelOp Kernel) {
  auto Padded = [](Value V) {
    ArrayRef<int64_t> Extents = tileType(V).getShape();
    return Shape(paddedExtent(Extents[0]), paddedExtent(Extents[1]));
  };
  Kernel.walk([&](tile::MmaOp Mma) {
    if (usesTensorCores(Mma))
      TensorCoreShapes.insert(Padded(Mma.getResult()));
  });
  // A few rows are a few accesses anyway.
  constexpr int64_t FewRows = 4;
  forEachTile(Kernel, [&](Value V) {
    if (tileType(V).getRank() == 2 && tileType(V).getElementType().isBF16() &&
        tileType(V).getDimSize(0) > FewRows)
      HalfShapes.insert(Padded(V));
  });
}

LinearLayout TileLayouts::ofMatrix(int64_t Rows, int64_t Columns) const {
  Shape Padded(paddedExtent(Rows), paddedExtent(Columns));
  if (TensorCoreShapes.contains(Padded))
    return LinearLayout::mmaAccumulator(Padded.first, Padded.second,
                                        ThreadBits);
  // Sixteen bytes are eight elements of bf16.
  return LinearLayout::blocked(Padded.first, Padded.second, ThreadBits,
                               HalfShapes.contains(Padded) ? 3 : 2);
}

/// What is loaded for products alone goes on to shared memory: sixteen bytes to
/// a thread, whatever else has its shape.
std::optional<LinearLayout> TileLayouts::ofLoadedOperand(Value V) const {
  auto IsOperand = [](OpOperand &Use) {
    return isa<tile::MmaOp>(Use.getOwner()) && Use.getOperandNumber() < 2;
  };
  if (!V.getDefiningOp<tile::LoadOp>() || !llvm::all_of(V.getUses(), IsOperand))
    return std::nullopt;
  ArrayRef<int64_t> Extents = tileType(V).getShape();
  bool IsHalf = tileType(V).getElementType().isBF16();
  return LinearLayout::blocked(paddedExtent(Extents[0]),
                               paddedExtent(Extents[1]), ThreadBits,
                               IsHalf ? 3 : 2);
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

void TileLayouts::connect(Value A, Value B) {
  if (isVector(A) && isVector(B) && !isUniform(A) && !isUniform(B))
    Vectors.unionSets(A.getAsOpaquePointer(), B.getAsOpaquePointer());
}

void TileLayouts::connectVectors(tile::KernelOp Kernel) {
  forEachTile(Kernel, [&](Value V) { Vectors.insert(V.getAsOpaquePointer()); });
  Kernel.walk([&](Operation *Op) {
    if (isElementwise(Op))
      for (Value Operand : Op->getOperands())
        connect(Operand, Op->getResult(0));
    if (auto For = dyn_cast<scf::ForOp>(Op))
      for (auto [Init, Argument, Yielded, Result] :
           llvm::zip_equal(For.getInitArgs(), For.getRegionIterArgs(),
                           For.getYieldedValues(), For.getResults())) {
        connect(Init, Result);
        connect(Yielded, Result);
        connect(Argument, Result);
      }
    if (auto If = dyn_cast<scf::IfOp>(Op); If && If.getNumResults() != 0)
      for (auto [Then, Else, Result] :
           llvm::zip_equal(If.thenYield().getOperands(),
                           If.elseYield().getOperands(), If.getResults())) {
        connect(Then, Result);
        connect(Else, Result);
      }
  });
}

/// Gives the class of a vector its layout, unless it has one; returns which.
const LinearLayout &TileLayouts::assign(Value Vector,
                                        const LinearLayout &Layout) {
  void *Leader = Vectors.getLeaderValue(Vector.getAsOpaquePointer());
  return ClassLayouts.try_emplace(Leader, Layout).first->second;
}

/// Whether four warps or more hold the same.
static bool areCopiesInWarps(const LinearLayout &Layout) {
  constexpr unsigned LaneBits = 5, FewestBits = 2;
  return llvm::count_if(Layout.threadBases().drop_front(LaneBits),
                        [](Coordinates C) { return C.isZero(); }) >= FewestBits;
}

/// Of an accumulator, eight lanes hold a part of a column: transposed, 32 bytes
/// of a row in memory. What is loaded to be transposed to one, or transposed
/// from one to be stored, lies like that and stays in registers.
void TileLayouts::chooseTransposedLayouts(tile::KernelOp Kernel) {
  auto FromMemory = [](Value V) {
    auto Load = V.getDefiningOp<tile::LoadOp>();
    return Load && V.hasOneUse() &&
           Load.getDimensions().back() + 1 ==
               cast<MemRefType>(Load.getMemory().getType()).getRank();
  };
  auto ToMemory = [](Value V) {
    return llvm::all_of(V.getUsers(), [](Operation *User) {
      auto Store = dyn_cast<tile::StoreOp>(User);
      return Store &&
             Store.getDimensions().back() + 1 ==
                 cast<MemRefType>(Store.getMemory().getType()).getRank();
    });
  };
  auto TurnedTo = [&](Value V, Value Other) {
    ArrayRef<int64_t> Extents = tileType(Other).getShape();
    Shape Padded(paddedExtent(Extents[0]), paddedExtent(Extents[1]));
    if (TensorCoreShapes.contains(Padded))
      Layouts.try_emplace(V, ofMatrix(Extents[0], Extents[1]).transposed());
  };
  Kernel.walk([&](tile::TransposeOp Transpose) {
    Value Old = Transpose.getValue(), New = Transpose.getResult();
    if (!tileType(New).getElementType().isF32())
      return;
    if (FromMemory(Old))
      TurnedTo(Old, New);
    else if (ToMemory(New))
      TurnedTo(New, Old);
  });
}

bool TileLayouts::transposesInRegisters(tile::TransposeOp Transpose) const {
  return of(Transpose.getResult()) == of(Transpose.getValue()).transposed();
}

void TileLayouts::chooseVectorLayouts(tile::KernelOp Kernel) {
  // Results of reductions are where their operands are; that comes first, since
  // reductions sit in the innermost loops.
  Kernel.walk([&](tile::ReduceOp Reduce) {
    if (!isTile(Reduce.getResult()) || isUniform(Reduce.getValue()))
      return;
    ArrayRef<int64_t> Shape = tileType(Reduce.getValue()).getShape();
    LinearLayout Matrix = ofMatrix(Shape[0], Shape[1]);
    assign(Reduce.getResult(), Reduce.getDimension() == 1
                                   ? Matrix.rowSlice()
                                   : Matrix.columnSlice());
  });
  Kernel.walk([&](tile::BroadcastOp Broadcast) {
    Value V = Broadcast.getValue();
    if (!isTile(V) || isUniform(V))
      return;
    assign(V, *wanted(Broadcast.getValueMutable()));
  });
  // What lies apart in memory comes an element at a time: of neighbours to
  // neighbouring lanes, which then share sectors. Where four warps need the
  // same, it comes once and goes on through shared memory.
  Kernel.walk([&](tile::LoadOp Load) {
    Value Vector = Load.getResult();
    int64_t Rank = cast<MemRefType>(Load.getMemory().getType()).getRank();
    if (!isVector(Vector) || Load.getDimensions().back() + 1 == Rank)
      return;
    LinearLayout Lanes =
        LinearLayout::rowMajor(1, paddedExtent(tileType(Vector).getDimSize(0)),
                               ThreadBits, /*VectorBits=*/0);
    if (areCopiesInWarps(assign(Vector, Lanes)))
      Layouts.try_emplace(Vector, Lanes);
  });
  // Tables are loaded to where the embedding wants them.
  Kernel.walk([&](tile::RopeOp Rope) {
    std::optional<LinearLayout> Table = ropeTable(Rope);
    for (Value Lines : {Rope.getCos(), Rope.getSin()})
      if (Table &&
          isa_and_nonnull<tile::LoadOp, tile::GatherOp>(Lines.getDefiningOp()))
        Layouts.try_emplace(Lines, *Table);
  });
  forEachTile(Kernel, [&](Value V) {
    ArrayRef<int64_t> Shape = tileType(V).getShape();
    if (Shape.size() == 2) {
      Layouts.try_emplace(
          V, ofLoadedOperand(V).value_or(ofMatrix(Shape[0], Shape[1])));
      return;
    }
    void *Leader = Vectors.getLeaderValue(V.getAsOpaquePointer());
    auto Chosen = ClassLayouts.find(Leader);
    Layouts.try_emplace(V, Chosen != ClassLayouts.end()
                               ? Chosen->second
                               : ofMatrix(1, Shape[0]));
  });
}

const LinearLayout &TileLayouts::of(Value Tile) const {
  auto Found = Layouts.find(Tile);
  assert(Found != Layouts.end() && "a tile of another kernel");
  return Found->second;
}

//===----------------------------------------------------------------------===//
// What users want
//===----------------------------------------------------------------------===//

std::optional<LinearLayout> TileLayouts::ropeTable(tile::RopeOp Rope) const {
  RankedTensorType Type = tileType(Rope.getResult());
  int64_t Half = tileType(Rope.getCos()).getDimSize(1);
  LinearLayout Layout = ofMatrix(Type.getDimSize(0), Type.getDimSize(1));
  // The halves of a head differ in one bit of the column.
  if (!llvm::isPowerOf2_64(Half) || Type.getDimSize(1) != Layout.columns() ||
      !Layout.isProduct() ||
      !llvm::is_contained(Layout.registerBases(), Coordinates{0, Half}))
    return std::nullopt;
  return Layout.firstColumns(Half);
}

int64_t TileLayouts::rowsOfFma(Value Tile) const {
  int64_t Fewest = 0;
  for (OpOperand &Use : Tile.getUses()) {
    auto Mma = dyn_cast<tile::MmaOp>(Use.getOwner());
    if (!Mma || usesTensorCores(Mma) || Use.getOperandNumber() > 1)
      return 0;
    bool IsLeft = Use.getOperandNumber() == 0;
    if (IsLeft ? Mma.getTransposeLhs() : !Mma.getTransposeRhs())
      return 0;
    ArrayRef<Coordinates> Bases = of(Mma.getResult()).registerBases();
    int64_t Rows = 1;
    while (llvm::is_contained(Bases, IsLeft ? Coordinates{Rows, 0}
                                            : Coordinates{0, Rows}))
      Rows *= 2;
    Fewest = Fewest == 0 ? Rows : std::min(Fewest, Rows);
  }
  return Fewest;
}

SmallVector<RowsAtOnce> TileLayouts::rowsAtOnce(Value Tile) const {
  // Sixteen bytes of eight threads are what the banks give at once.
  constexpr unsigned Bits = 3;
  SmallVector<RowsAtOnce> Reads;
  for (OpOperand &Use : Tile.getUses()) {
    auto Mma = dyn_cast<tile::MmaOp>(Use.getOwner());
    if (!Mma || usesTensorCores(Mma) || Use.getOperandNumber() > 1)
      continue;
    bool IsLeft = Use.getOperandNumber() == 0;
    if (IsLeft ? Mma.getTransposeLhs() : !Mma.getTransposeRhs())
      continue;
    RowsAtOnce Rows{0, 1};
    for (Coordinates C : of(Mma.getResult()).threadBases().take_front(Bits))
      if (int64_t Row = IsLeft ? C.Row : C.Column) {
        Rows.Apart = Rows.Apart ? std::min(Rows.Apart, Row) : Row;
        Rows.Count *= 2;
      }
    Reads.push_back(Rows);
  }
  return Reads;
}

bool TileLayouts::readsSharedCopy(OpOperand &Operand) const {
  Operation *Op = Operand.getOwner();
  unsigned Number = Operand.getOperandNumber();
  if (isa<tile::MmaOp>(Op))
    return Number < 2;
  if (auto Rope = dyn_cast<tile::RopeOp>(Op))
    return !ropeTable(Rope);
  if (auto Transpose = dyn_cast<tile::TransposeOp>(Op))
    return !transposesInRegisters(Transpose);
  return isa<tile::CumulativeSumOp, tile::ExtractOp>(Op);
}

std::optional<LinearLayout> TileLayouts::wanted(OpOperand &Operand) const {
  Operation *Op = Operand.getOwner();
  if (auto Broadcast = dyn_cast<tile::BroadcastOp>(Op)) {
    ArrayRef<int64_t> Shape = tileType(Broadcast.getResult()).getShape();
    if (Shape.size() == 1)
      return of(Broadcast.getResult());
    LinearLayout Matrix = ofMatrix(Shape[0], Shape[1]);
    return Broadcast.getDimensions().front() == 0 ? Matrix.rowSlice()
                                                  : Matrix.columnSlice();
  }
  if (auto Gather = dyn_cast<tile::GatherOp>(Op))
    return of(Gather.getResult()).rowSlice();
  if (isElementwise(Op))
    return of(Op->getResult(0));
  if (auto Mma = dyn_cast<tile::MmaOp>(Op)) {
    if (Operand.getOperandNumber() == 2)
      return of(Mma.getResult());
    return std::nullopt;
  }
  if (auto Rope = dyn_cast<tile::RopeOp>(Op)) {
    std::optional<LinearLayout> Table = ropeTable(Rope);
    return Table && Operand.getOperandNumber() == 0 ? of(Rope.getResult())
                                                    : Table;
  }
  if (auto For = dyn_cast<scf::ForOp>(Op))
    return of(For.getTiedLoopResult(&Operand));
  if (isa<scf::YieldOp>(Op))
    return of(Op->getParentOp()->getResult(Operand.getOperandNumber()));
  return std::nullopt;
}

/// Whether bringing a tile from one layout to another goes by way of shared
/// memory.
static bool passesThreads(const LinearLayout &From, const LinearLayout &To) {
  Conversion Kind = conversionBetween(From, To);
  return Kind != Conversion::None && Kind != Conversion::Registers;
}

bool TileLayouts::isReadFromShared(Value Tile) const {
  return isShared(Tile) && llvm::all_of(Tile.getUses(), [&](OpOperand &Use) {
           std::optional<LinearLayout> Layout = wanted(Use);
           return readsSharedCopy(Use) ||
                  (Layout && passesThreads(of(Tile), *Layout));
         });
}

void TileLayouts::findShared(tile::KernelOp Kernel) {
  forEachTile(Kernel, [&](Value V) {
    if (isUniform(V))
      return;
    for (OpOperand &Use : V.getUses()) {
      if (auto Mma = dyn_cast<tile::MmaOp>(Use.getOwner());
          Mma && Use.getOperandNumber() < 2 && usesWgmma(Mma)) {
        if (Use.getOperandNumber() == 1 || !leftInRegisters(Mma))
          Operands.insert(V);
        continue;
      }
      std::optional<LinearLayout> Layout = wanted(Use);
      if (readsSharedCopy(Use) || (Layout && passesThreads(of(V), *Layout)))
        Shared.insert(V);
    }
  });
}

} // namespace transxssm::nvptx
