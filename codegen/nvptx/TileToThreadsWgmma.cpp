//===- TileToThreadsWgmma.cpp - Products by a warp group ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// wgmma.m64nNk16 with bf16 operands and float32 sums. Operands lie in shared
// memory in rows of 128 bytes (SharedTile::Swizzled), k along the rows or along
// the columns; a descriptor tells which. Four warps make 64 rows of the
// accumulator, whose registers are those of LinearLayout::mmaAccumulator:
//
//   register 4 j + {0, 1, 2, 3} of lane l in warp w
//     row    16 w + l / 4 + {0, 0, 8, 8}
//     column 8 j + 2 (l mod 4) + {0, 1, 0, 1}
//
// A left operand that threads hold in the registers which wgmma takes does not
// pass through shared memory: they hold what an accumulator's do.
//
// Warp groups lie along the rows, or where there are no more rows, along the
// columns. Sums over k are in order, sixteen at a time.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"
#include "codegen/nvptx/WgmmaOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace transxssm::nvptx {

/// Bits of a thread's number within its warp group.
constexpr unsigned GroupBits = 7;
/// Rows that a warp group multiplies at once, columns at most, and k.
constexpr int64_t GroupRows = 64, MostColumns = 256, StepK = 16;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// The place of an element whose row and column threads compute, as one offset.
Value ThreadLowering::operandPlace(const SharedTile &Tile, Value Row,
                                   Value Column) {
  auto Masked = [&](Value V, int64_t Mask) -> Value {
    return B.createOrFold<arith::AndIOp>(V, index(Mask));
  };
  Value Place =
      add(multiply(Masked(Column, ~int64_t(63)), Tile.Rows), multiply(Row, 64));
  Value Exchange = multiply(Masked(Row, 7), 8);
  Place =
      add(Place, B.createOrFold<arith::XOrIOp>(Masked(Column, 63), Exchange));
  return Tile.Shift ? add(Tile.Shift, Place) : Place;
}

/// Four words of the 16 x 16 elements from a place on, two elements each: rows
/// l / 4 and l / 4 + 8, then the same eight columns on.
static Registers matrixWords(ImplicitLocOpBuilder &B,
                             const LinearLayout &Layout, ArrayRef<Value> Values,
                             Coordinates Place) {
  Registers Words;
  for (Coordinates C : {Coordinates{0, 0}, {8, 0}, {0, 8}, {8, 8}}) {
    Coordinates At{Place.Row + C.Row, Place.Column + C.Column};
    int64_t First = *Layout.findRegister(At);
    Words.push_back(LLVM::BitcastOp::create(
        B, B.getI32Type(), packVector(B, Values.slice(First, 2))));
  }
  return Words;
}

/// With stmatrix: lane l gives the address of row l mod 16 of the left (l < 16)
/// or right eight columns of each 16 x 16 elements.
void ThreadLowering::storeOperandMatrices(const SharedTile &To,
                                          const LinearLayout &Layout,
                                          ArrayRef<Value> Values) {
  SmallVector<int64_t> Rows{1, 2, 4, 8, 0}, Columns{0, 0, 0, 0, 8};
  for (Coordinates C : Layout.threadBases().drop_front(5)) {
    Rows.push_back(C.Row);
    Columns.push_back(C.Column);
  }
  Placement P{operandPlace(To, threadPart(Rows), threadPart(Columns)), {}};
  Value Pointer = sharedPointer(To);
  Type Element = Values.front().getType();
  for (int64_t R = 0; R < Layout.registerCount(); ++R) {
    Coordinates Place = Layout.ofRegister(R);
    if (Place.Row % 16 != 0 || Place.Column % 16 != 0)
      continue;
    Registers Words = matrixWords(B, Layout, Values, Place);
    Value Address = LLVM::GEPOp::create(
        B, Pointer.getType(), Element, Pointer,
        ArrayRef<LLVM::GEPArg>{
            arith::IndexCastOp::create(B, B.getI64Type(), placeOf(To, P, Place))
                .getResult()});
    markShared(storeMatrices(B, Address, Words), To);
  }
}

/// Element by element, or as many as a thread holds in a row.
void ThreadLowering::storeOperandElements(const SharedTile &To,
                                          const LinearLayout &Layout,
                                          ArrayRef<Value> Values) {
  Placement P = placement(To, Layout);
  int64_t Width = std::min<int64_t>(Layout.vectorWidth(), 8);
  for (int64_t R = 0; R < Layout.registerCount(); R += Width)
    storeVector(To, placeOf(To, P, Layout.ofRegister(R)),
                Values.slice(R, Width));
}

Registers ThreadLowering::readOperand(const SharedTile &From,
                                      const LinearLayout &Layout) {
  Placement P = placement(From, Layout);
  int64_t Width = std::min<int64_t>(Layout.vectorWidth(), 8);
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); R += Width)
    llvm::append_range(
        Values,
        loadVector(From, placeOf(From, P, Layout.ofRegister(R)), Width));
  return Values;
}

/// Writes the registers of a layout, elements outside the tile as zeros.
SharedTile ThreadLowering::writeOperand(Value Tile, const LinearLayout &Layout,
                                        Registers Values) {
  Type Element = tileType(Tile).getElementType();
  Values = masked(Tile, Layout, std::move(Values), zero(Element));
  SharedTile To = operandShape(Layout);
  To.Buffer = allocateElements(To, Element);
  OpBuilder::InsertionGuard Guard(B);
  Value Owner = isFirst(Layout.copyMask());
  scf::IfOp If;
  if (Owner) {
    If = scf::IfOp::create(B, Owner, /*withElseRegion=*/false);
    If->setAttr(DivergentAttr, B.getUnitAttr());
    B.setInsertionPointToStart(If.thenBlock());
  }
  if (Layout.holdsMatrices())
    storeOperandMatrices(To, Layout, Values);
  else
    storeOperandElements(To, Layout, Values);
  if (If)
    B.setInsertionPointAfter(If);
  fenceProxy(B);
  return To;
}

/// The operand of a tile; a uniform tile gets one where it is used.
SharedTile ThreadLowering::operandOf(Value Tile) {
  awaitCopy(Tile);
  auto Known = OperandTiles.find(Tile);
  if (Known != OperandTiles.end())
    return Known->second;
  assert(isUniform(Tile) && "a tile without its operand in shared memory");
  const LinearLayout &Layout = Layouts.of(Tile);
  return writeOperand(Tile, Layout, registersOf(Tile, Layout));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// An operand whose descriptors are sums of one for its first element in this
/// warp group, and constants.
struct ThreadLowering::GroupSide {
  SharedTile Tile;
  Value First;
  bool InnerIsColumn = true;

  /// In units of 16 bytes, as in descriptors.
  int64_t offset(int64_t Outer, int64_t K) const {
    int64_t Elements =
        InnerIsColumn ? Tile.offset(Outer, K) : Tile.offset(K, Outer);
    return Elements * 2 / 16;
  }
};

ThreadLowering::GroupSide ThreadLowering::groupSide(Value Operand,
                                                    const LinearLayout &Layout,
                                                    bool IsLeft,
                                                    bool InnerIsColumn) {
  GroupSide Side{operandOf(Operand), {}, InnerIsColumn};
  Value Pointer = sharedPointer(Side.Tile);
  auto Constant = [&](int64_t Number) -> Value {
    return LLVM::ConstantOp::create(B, B.getI64Type(), Number);
  };
  // Shared memory ends before 256 KB.
  Value Address = LLVM::PtrToIntOp::create(B, B.getI64Type(), Pointer);
  Address = LLVM::LShrOp::create(B, Address, Constant(4));
  int64_t Leading = InnerIsColumn ? 16 : Side.Tile.Rows * 128;
  Side.First =
      LLVM::OrOp::create(B, Address, Constant(descriptorBits(Leading)));
  auto Add = [&](Value Offset) {
    Side.First = LLVM::AddOp::create(
        B, Side.First, arith::IndexCastOp::create(B, B.getI64Type(), Offset));
  };
  // Sixteen bytes are eight elements.
  if (Side.Tile.Shift)
    Add(B.createOrFold<arith::ShRUIOp>(Side.Tile.Shift, index(3)));
  SmallVector<int64_t> Groups(Layout.threadBits());
  for (unsigned Bit = GroupBits; Bit < Layout.threadBits(); ++Bit) {
    Coordinates C = Layout.threadBases()[Bit];
    Groups[Bit] = Side.offset(IsLeft ? C.Row : C.Column, 0);
  }
  if (llvm::any_of(Groups, [](int64_t Offset) { return Offset != 0; }))
    Add(threadPart(Groups));
  return Side;
}

Value ThreadLowering::descriptor(const GroupSide &Side, int64_t Outer,
                                 int64_t K) {
  int64_t Offset = Side.offset(Outer, K);
  if (Offset == 0)
    return Side.First;
  return LLVM::AddOp::create(
      B, Side.First, LLVM::ConstantOp::create(B, B.getI64Type(), Offset));
}

namespace {
/// What one wgmma makes: its first row and column, from the warp group's, and
/// the numbers of its registers.
struct GroupBlock {
  int64_t Row, RowNumber, Column;
  SmallVector<int64_t> Places;
};
} // namespace

/// The first rows of the blocks, each once.
static SmallVector<int64_t> firstRows(ArrayRef<GroupBlock> Blocks) {
  SmallVector<int64_t> Rows;
  for (const GroupBlock &Block : Blocks)
    if (Block.Column == 0)
      Rows.push_back(Block.Row);
  return Rows;
}

static SmallVector<GroupBlock> groupBlocks(const LinearLayout &Layout) {
  int64_t Columns = Layout.columns();
  SmallVector<int64_t> Rows{0};
  for (unsigned Bit = GroupBits; Bit < Layout.threadBits(); ++Bit)
    if (Layout.threadBases()[Bit].Column != 0)
      Columns /= 2;
  for (Coordinates Basis : Layout.registerBases())
    if (Basis.Row >= GroupRows)
      for (size_t I = 0, Count = Rows.size(); I < Count; ++I)
        Rows.push_back(Rows[I] + Basis.Row);
  int64_t Width = std::min(Columns, MostColumns);
  SmallVector<GroupBlock> Blocks;
  for (auto [Number, Row] : llvm::enumerate(Rows))
    for (int64_t Column = 0; Column < Columns; Column += Width) {
      GroupBlock Block{Row, static_cast<int64_t>(Number), Column, {}};
      for (int64_t J = 0; J < Width; J += 8)
        for (Coordinates C : {Coordinates{0, 0}, {0, 1}, {8, 0}, {8, 1}})
          Block.Places.push_back(
              *Layout.findRegister({Row + C.Row, Column + J + C.Column}));
      Blocks.push_back(std::move(Block));
    }
  return Blocks;
}

/// The words of the left operand, sixteen k after the other, for the rows of
/// each block in turn.
Registers ThreadLowering::leftWords(tile::MmaOp Mma,
                                    ArrayRef<int64_t> FirstRows) {
  Value Tile = Mma.getLhs();
  const LinearLayout &Layout = Layouts.of(Tile);
  Registers Values = masked(Tile, Layout, registersOf(Tile, Layout),
                            zero(tileType(Tile).getElementType()));
  Registers Words;
  for (int64_t Row : FirstRows)
    for (int64_t K = 0; K < Layout.columns(); K += StepK)
      llvm::append_range(Words, matrixWords(B, Layout, Values, {Row, K}));
  return Words;
}

/// Whether every element is the constant 0.
static bool isZero(Value Tile) {
  auto Constant = Tile.getDefiningOp<arith::ConstantOp>();
  auto Elements =
      Constant ? dyn_cast<DenseFPElementsAttr>(Constant.getValue()) : nullptr;
  return Elements && Elements.isSplat() &&
         Elements.getSplatValue<APFloat>().isPosZero();
}

void ThreadLowering::lowerWgmma(tile::MmaOp Mma) {
  const LinearLayout &Layout = Layouts.of(Mma.getResult());
  ++Group;
  bool InRegisters = Layouts.leftInRegisters(Mma);
  bool TransposeLeft = Mma.getTransposeLhs();
  bool TransposeRight = !Mma.getTransposeRhs();
  SmallVector<GroupBlock> Blocks = groupBlocks(Layout);
  Registers Words, Sums;
  // The first product of a sum that begins with 0 takes no registers.
  bool FromZero = isZero(Mma.getAccumulator());
  if (FromZero)
    Sums.assign(Layout.registerCount(),
                LLVM::UndefOp::create(B, B.getF32Type()));
  else
    Sums = registersOf(Mma.getAccumulator(), Layout);
  GroupSide Left;
  if (InRegisters)
    Words = leftWords(Mma, firstRows(Blocks));
  else
    Left = groupSide(Mma.getLhs(), Layout, /*IsLeft=*/true, !TransposeLeft);
  GroupSide Right =
      groupSide(Mma.getRhs(), Layout, /*IsLeft=*/false, !TransposeRight);
  int64_t Inner = TransposeRight ? Right.Tile.Rows : Right.Tile.Columns;
  ++Group;
  int64_t SumCount = Sums.size();
  llvm::append_range(Sums, Words);
  Sums = fenceProducts(B, Sums);
  Words = Registers(ArrayRef(Sums).drop_front(SumCount));
  Sums.truncate(SumCount);
  for (const GroupBlock &Block : Blocks) {
    Registers Part;
    for (int64_t Place : Block.Places)
      Part.push_back(Sums[Place]);
    for (int64_t K = 0; K < Inner; K += StepK) {
      Operation *Made = nullptr;
      size_t First = (Block.RowNumber * Inner + K) / StepK * 4;
      Registers LeftPart = InRegisters
                               ? Registers(ArrayRef(Words).slice(First, 4))
                               : Registers{descriptor(Left, Block.Row, K)};
      Part = multiplyGroup(
          B, Part, LeftPart, descriptor(Right, Block.Column, K), TransposeLeft,
          TransposeRight, /*Accumulates=*/!FromZero || K != 0, &Made);
      markShared(Made, Left.Tile.Ring >= 0 ? Left.Tile : Right.Tile);
    }
    for (auto [Place, Sum] : llvm::zip_equal(Block.Places, Part))
      Sums[Place] = Sum;
  }
  commitProducts(B);
  define(Mma.getResult(), ProductsStay ? Sums : waitForProducts(B, Sums));
}

} // namespace transxssm::nvptx
