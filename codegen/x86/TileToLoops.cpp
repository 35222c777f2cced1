//===- TileToLoops.cpp - Tile kernels to vector loops: control flow -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The loop over a range of cells, loops, branches and buffers. A tile carried
// by a loop has one buffer for the whole loop; what the loop yields is computed
// into it, in place where the old value is no longer needed.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/KernelLowering.h"
#include "codegen/x86/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;

namespace transxssm::x86 {

KernelLowering::KernelLowering(tile::KernelOp Kernel,
                               const LoopOptions &Options)
    : Kernel(Kernel), Options(Options), B(Kernel.getLoc(), Kernel.getContext()),
      Analysis(Kernel) {}

void KernelLowering::error(Operation *Op, const Twine &Message) {
  if (!Failed)
    Op->emitError(Message);
  Failed = true;
}

/// The innermost coordinate of the grid becomes a loop over a range of cells.
bool KernelLowering::run() {
  B.setInsertionPointAfter(Kernel);
  SmallVector<Type> Types(Kernel.getArgumentTypes());
  auto Launch = static_cast<unsigned>(Types.size() - Kernel.getGridRank());
  Types.insert(Types.begin() + Launch, B.getIndexType());
  Types.push_back(MemRefType::get({ShapedType::kDynamic}, B.getI8Type()));
  auto Function = func::FuncOp::create(B, Kernel.getSymName(),
                                       B.getFunctionType(Types, {}));
  Function->setAttr(GridRankAttr, B.getI64IntegerAttr(Kernel.getGridRank()));
  Block *Entry = Function.addEntryBlock();
  B.setInsertionPointToStart(Entry);
  for (BlockArgument Old : Kernel.getBody().getArguments()) {
    unsigned Number = Old.getArgNumber();
    Scalars.map(Old, Entry->getArgument(Number + (Number > Launch ? 1 : 0)));
  }
  Range = scf::ForOp::create(B, Entry->getArgument(Launch),
                             Entry->getArgument(Launch + 1), index(1));
  func::ReturnOp::create(B);
  Scalars.map(Kernel.getBody().getArgument(Launch), Range.getInductionVar());
  B.setInsertionPoint(Range.getBody()->getTerminator());
  lowerBlock(Kernel.getBody().front());
  return !Failed;
}

void KernelLowering::lowerBlock(Block &Block) {
  for (Operation &Op : Block.without_terminator()) {
    if (Failed)
      return;
    B.setLoc(Op.getLoc());
    lowerOperation(&Op);
  }
}

void KernelLowering::lowerOperation(Operation *Op) {
  if (isVirtualizable(Op)) {
    Value Tile = Op->getResult(0);
    if (!Analysis.isMaterialised(Tile))
      return;
    if (auto Constant = dyn_cast<arith::ConstantOp>(Op)) {
      Buffers[Tile] = lowerTable(Constant);
      return;
    }
    Value Destination = destinationFor(Tile);
    materialise(Tile, Destination);
    Buffers[Tile] = Destination;
    return;
  }
  if (auto Load = dyn_cast<tile::LoadOp>(Op))
    return lowerScalarLoad(Load);
  if (auto Store = dyn_cast<tile::StoreOp>(Op))
    return isTile(Store.getValue()) ? lowerStore(Store)
                                    : lowerScalarStore(Store);
  if (auto Mma = dyn_cast<tile::MmaOp>(Op))
    return lowerMma(Mma);
  if (auto Reduce = dyn_cast<tile::ReduceOp>(Op))
    return lowerReduce(Reduce);
  if (auto Sum = dyn_cast<tile::CumulativeSumOp>(Op))
    return lowerCumulativeSum(Sum);
  if (auto Transpose = dyn_cast<tile::TransposeOp>(Op))
    return lowerTranspose(Transpose);
  if (auto Extract = dyn_cast<tile::ExtractOp>(Op)) {
    InScope Scope(*this);
    Value Position = mapped(Extract.getPosition());
    Scalars.map(Extract.getResult(),
                emit(Extract.getValue(), {Value(), Position, 1}));
    return;
  }
  if (auto For = dyn_cast<scf::ForOp>(Op))
    return lowerFor(For);
  if (auto If = dyn_cast<scf::IfOp>(Op))
    return lowerIf(If);
  bool HasTiles = llvm::any_of(Op->getOperands(), isTile) ||
                  llvm::any_of(Op->getResults(), isTile);
  if (HasTiles || Op->getNumRegions() != 0)
    return error(Op, "operation '" + Op->getName().getStringRef() +
                         "' has no lowering to x86 loops");
  B.clone(*Op, Scalars);
}

/// A constant whose elements differ becomes read-only data of the module.
Value KernelLowering::lowerTable(arith::ConstantOp Constant) {
  auto Elements = cast<DenseElementsAttr>(Constant.getValue());
  auto Tile = cast<RankedTensorType>(Constant.getType());
  if (Tile.getElementType().isInteger(1)) {
    error(Constant, "constant tile of i1 must have equal elements");
    return {};
  }
  auto Type = MemRefType::get(Tile.getShape(), Tile.getElementType());
  auto Module = Kernel->getParentOfType<ModuleOp>();
  std::string Name;
  unsigned Number = 0;
  do
    Name = (Kernel.getSymName() + "_table" + Twine(Number++)).str();
  while (Module.lookupSymbol(Name));
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(Module.getBody());
    memref::GlobalOp::create(B, Name, B.getStringAttr("private"), Type,
                             Elements, /*constant=*/true, IntegerAttr());
  }
  return memref::GetGlobalOp::create(B, Type, Name);
}

void KernelLowering::lowerScalarLoad(tile::LoadOp Load) {
  SmallVector<Value> Indices;
  for (Value Index : Load.getIndices())
    Indices.push_back(mapped(Index));
  Scalars.map(Load.getResult(), Value(memref::LoadOp::create(
                                    B, mapped(Load.getMemory()), Indices)));
}

void KernelLowering::lowerScalarStore(tile::StoreOp Store) {
  SmallVector<Value> Indices;
  for (Value Index : Store.getIndices())
    Indices.push_back(mapped(Index));
  memref::StoreOp::create(B, mapped(Store.getValue()),
                          mapped(Store.getMemory()), Indices);
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

Value KernelLowering::allocate(ArrayRef<int64_t> Shape, Type Element) {
  // One bit has no address.
  if (Element.isInteger(1))
    Element = B.getI8Type();
  return memref::AllocOp::create(B, MemRefType::get(Shape, Element));
}

/// Rows are padded to whole vectors, so that products need no remainder, and by
/// a cache line more where they would lie so far apart that they share cache
/// sets: a product reads them one below the other.
Value KernelLowering::allocateTile(Type Tile) {
  auto Type = cast<RankedTensorType>(Tile);
  SmallVector<int64_t> Shape(Type.getShape());
  Shape.back() = llvm::alignTo(Shape.back(), lanes());
  if (Shape.size() == 2 && Shape[0] > lanes() && Shape.back() % 64 == 0)
    Shape.back() += LineElements;
  return allocate(Shape, Type.getElementType());
}

Value KernelLowering::destinationFor(Value Tile) {
  if (Value Destination = Destinations.lookup(Tile))
    return Destination;
  return allocateTile(Tile.getType());
}

//===----------------------------------------------------------------------===//
// Loops and branches
//===----------------------------------------------------------------------===//

/// Whether a buffer has no reader after the loop starts, so that the loop may
/// carry its tile there.
bool KernelLowering::diesInto(Value Tile, scf::ForOp For) {
  if (!Analysis.isMaterialised(Tile) ||
      Tile.getDefiningOp<arith::ConstantOp>() ||
      Tile.getParentBlock() != For->getBlock() ||
      llvm::count(For.getInitArgs(), Tile) != 1)
    return false;
  // A tile that an outer loop carries keeps its place there.
  if (auto Argument = dyn_cast<BlockArgument>(Tile)) {
    unsigned Number =
        llvm::find(For.getInitArgs(), Tile) - For.getInitArgs().begin();
    auto Outer = dyn_cast<scf::ForOp>(Argument.getOwner()->getParentOp());
    if (!Outer ||
        Outer.getTiedLoopYieldedValue(Argument)->get() != For.getResult(Number))
      return false;
  }
  return llvm::all_of(Analysis.points(Tile), [&](Operation *Point) {
    return Analysis.position(Point) <= Analysis.position(For);
  });
}

void KernelLowering::lowerFor(scf::ForOp For) {
  prepareInvariantOperands(For);
  SmallVector<Value> Slots, Inits;
  for (auto [Init, Argument] :
       llvm::zip(For.getInitArgs(), For.getRegionIterArgs())) {
    if (!isTile(Init)) {
      Slots.push_back({});
      Inits.push_back(mapped(Init));
      continue;
    }
    if (diesInto(Init, For)) {
      Slots.push_back(Buffers.lookup(Init));
      continue;
    }
    Slots.push_back(allocateTile(Init.getType()));
    materialise(Init, Slots.back());
  }

  auto New = scf::ForOp::create(B, mapped(For.getLowerBound()),
                                mapped(For.getUpperBound()),
                                mapped(For.getStep()), Inits);
  Scalars.map(For.getInductionVar(), New.getInductionVar());
  unsigned NextScalar = 0;
  for (auto [Slot, Argument, Result] :
       llvm::zip(Slots, For.getRegionIterArgs(), For.getResults())) {
    if (Slot) {
      Buffers[Argument] = Slot;
      Buffers[Result] = Slot;
      continue;
    }
    Scalars.map(Argument, New.getRegionIterArgs()[NextScalar]);
    Scalars.map(Result, New.getResult(NextScalar++));
  }
  planInPlace(For, Slots);

  OpBuilder::InsertionGuard Guard(B);
  if (!New.getBody()->empty() &&
      New.getBody()->back().hasTrait<OpTrait::IsTerminator>())
    New.getBody()->back().erase();
  B.setInsertionPointToEnd(New.getBody());
  lowerBlock(*For.getBody());
  if (!Failed)
    lowerYields(For, Slots);
}

/// The elements of `Yielded` may replace those of `Carried` one by one when no
/// later operation reads the old ones and none is read at another place.
bool KernelLowering::canUpdateInPlace(Value Yielded, Value Carried) {
  Operation *Op = Yielded.getDefiningOp();
  if (!Op || Op->getBlock() != Carried.getParentBlock() ||
      !Analysis.isMaterialised(Yielded))
    return false;
  for (Operation *Point : Analysis.points(Carried))
    if (Analysis.position(Point) > Analysis.position(Op))
      return false;
  if (auto Mma = dyn_cast<tile::MmaOp>(Op))
    return !Analysis.reads(Mma.getLhs(), Carried, false) &&
           !Analysis.reads(Mma.getRhs(), Carried, false) &&
           !Analysis.reads(Mma.getAccumulator(), Carried, true);
  return isVirtualizable(Op) && !Analysis.reads(Yielded, Carried, true);
}

void KernelLowering::planInPlace(scf::ForOp For, ArrayRef<Value> Slots) {
  auto Yield = cast<scf::YieldOp>(For.getBody()->getTerminator());
  for (auto [Slot, Argument, Yielded] :
       llvm::zip(Slots, For.getRegionIterArgs(), Yield.getOperands()))
    if (Slot && llvm::count(Yield.getOperands(), Yielded) == 1 &&
        canUpdateInPlace(Yielded, Argument))
      Destinations[Yielded] = Slot;
}

/// Writes the yielded tiles into their slots: a tile goes last that other
/// yielded tiles still read, and through a temporary when they read each other.
void KernelLowering::lowerYields(scf::ForOp For, ArrayRef<Value> Slots) {
  auto Yield = cast<scf::YieldOp>(For.getBody()->getTerminator());
  SmallVector<Value> ScalarYields;
  SmallVector<unsigned> Pending;
  for (auto [I, Yielded] : llvm::enumerate(Yield.getOperands())) {
    if (!Slots[I])
      ScalarYields.push_back(mapped(Yielded));
    else if (Buffers.lookup(Yielded) != Slots[I])
      Pending.push_back(I);
  }
  // Whether making the tile of slot I reads the old tile of slot J.
  auto Reads = [&](unsigned I, unsigned J, bool OnlyElsewhere) {
    Value Yielded = Yield.getOperand(I), Old = For.getRegionIterArgs()[J];
    if (Analysis.isMaterialised(Yielded))
      return !OnlyElsewhere && Buffers.lookup(Yielded) == Slots[J];
    return Analysis.reads(Yielded, Old, OnlyElsewhere);
  };
  auto IsFree = [&](unsigned I) {
    return !Reads(I, I, true) && llvm::none_of(Pending, [&](unsigned J) {
      return J != I && Reads(J, I, false);
    });
  };
  SmallVector<std::pair<Value, Value>> Copies;
  while (!Pending.empty()) {
    auto Next = llvm::find_if(Pending, IsFree);
    if (Next != Pending.end()) {
      materialise(Yield.getOperand(*Next), Slots[*Next]);
      Pending.erase(Next);
      continue;
    }
    unsigned I = Pending.pop_back_val();
    Value Temporary = allocateTile(Yield.getOperand(I).getType());
    materialise(Yield.getOperand(I), Temporary);
    Copies.push_back({Temporary, Slots[I]});
  }
  for (auto [From, To] : Copies)
    memref::CopyOp::create(B, From, To);
  scf::YieldOp::create(B, ScalarYields);
}

void KernelLowering::lowerIf(scf::IfOp If) {
  SmallVector<Type> ScalarTypes;
  SmallVector<Value> Slots;
  for (Value Result : If.getResults()) {
    Slots.push_back(isTile(Result) ? allocateTile(Result.getType()) : Value());
    if (!isTile(Result))
      ScalarTypes.push_back(Result.getType());
  }
  auto New = scf::IfOp::create(B, ScalarTypes, mapped(If.getCondition()),
                               /*addThenBlock=*/true,
                               /*addElseBlock=*/!If.getElseRegion().empty());
  auto LowerBranch = [&](Region &From, Region &To) {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToEnd(&To.front());
    if (!To.front().empty())
      To.front().back().erase();
    lowerBlock(From.front());
    if (Failed)
      return;
    SmallVector<Value> ScalarYields;
    for (auto [Slot, Yielded] :
         llvm::zip(Slots, From.front().getTerminator()->getOperands())) {
      if (Slot)
        materialise(Yielded, Slot);
      else
        ScalarYields.push_back(mapped(Yielded));
    }
    scf::YieldOp::create(B, ScalarYields);
  };
  LowerBranch(If.getThenRegion(), New.getThenRegion());
  if (!If.getElseRegion().empty() && !Failed)
    LowerBranch(If.getElseRegion(), New.getElseRegion());
  unsigned NextScalar = 0;
  for (auto [Slot, Result] : llvm::zip(Slots, If.getResults())) {
    if (Slot)
      Buffers[Result] = Slot;
    else
      Scalars.map(Result, New.getResult(NextScalar++));
  }
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

Value KernelLowering::index(int64_t Value) {
  return arith::ConstantIndexOp::create(B, Value);
}

Value KernelLowering::bits(int32_t Value) {
  return arith::ConstantOp::create(B, B.getI32IntegerAttr(Value));
}

Value KernelLowering::add(Value A, Value C) {
  return B.createOrFold<arith::AddIOp>(A, C);
}

Value KernelLowering::add(Value A, int64_t C) {
  return C == 0 ? A : add(A, index(C));
}

Value KernelLowering::multiply(Value A, int64_t C) {
  return B.createOrFold<arith::MulIOp>(A, index(C));
}

Value KernelLowering::subtract(Value A, Value C) {
  return B.createOrFold<arith::SubIOp>(A, C);
}

Value KernelLowering::zero(Type Type) {
  return arith::ConstantOp::create(B, B.getZeroAttr(Type));
}

Type KernelLowering::vectorType(Type Element, int64_t Width) {
  return Width == 1 ? Element : VectorType::get({Width}, Element);
}

Value KernelLowering::splat(Value Scalar, int64_t Width) {
  if (Width == 1)
    return Scalar;
  return vector::BroadcastOp::create(B, vectorType(Scalar.getType(), Width),
                                     Scalar);
}

Value KernelLowering::dimension(Value Memory, int64_t Dimension) {
  auto Type = cast<MemRefType>(Memory.getType());
  if (!Type.isDynamicDim(Dimension))
    return index(Type.getDimSize(Dimension));
  return memref::DimOp::create(B, Memory, Dimension);
}

/// How many elements lie between `Base` and the end, not less than zero.
Value KernelLowering::remaining(Value Base, Value Size) {
  return B.createOrFold<arith::MaxSIOp>(subtract(Size, Base), index(0));
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct TileToLoopsPass : PassWrapper<TileToLoopsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TileToLoopsPass)

  TileToLoopsPass(const LoopOptions &Options = {}) {
    VectorBits = Options.VectorBits;
    Pairs = Options.Pairs;
  }
  TileToLoopsPass(const TileToLoopsPass &Other) : PassWrapper(Other) {
    VectorBits = Other.VectorBits;
    Pairs = Other.Pairs;
  }

  StringRef getArgument() const override { return "tile-to-loops"; }
  StringRef getDescription() const override {
    return "lower tile kernels to scratch buffers and vector loops";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<arith::ArithDialect, func::FuncDialect, math::MathDialect,
                    memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect, x86vector::X86VectorDialect>();
  }
  void runOnOperation() override {
    if (!llvm::is_contained({128, 256, 512}, VectorBits)) {
      getOperation().emitError(
          "option vector-bits must be 128, 256 or 512, but is ")
          << VectorBits.getValue();
      return signalPassFailure();
    }
    for (auto Kernel :
         llvm::make_early_inc_range(getOperation().getOps<tile::KernelOp>())) {
      if (!KernelLowering(Kernel, {VectorBits, Pairs}).run())
        return signalPassFailure();
      Kernel.erase();
    }
  }

  Option<int64_t> VectorBits{*this, "vector-bits",
                             llvm::cl::desc("bits of a vector register"),
                             llvm::cl::init(256)};
  Option<PairProducts> Pairs{
      *this, "pairs", llvm::cl::desc("how products of bf16 are multiplied"),
      llvm::cl::init(PairProducts::None),
      llvm::cl::values(
          clEnumValN(PairProducts::None, "none", "extended, as float32"),
          clEnumValN(PairProducts::Emulated, "emulated",
                     "two k at a time, by FMAs"),
          clEnumValN(PairProducts::Instructions, "instructions",
                     "two k at a time, by AVX512-BF16"))};
};
} // namespace

std::unique_ptr<Pass> createTileToLoopsPass(const LoopOptions &Options) {
  return std::make_unique<TileToLoopsPass>(Options);
}

void registerX86Passes() {
  PassRegistration<TileToLoopsPass>();
  registerPass([] { return createAssignScratchPass(); });
  registerPass([] { return createExpandMathPass(); });
  registerPass([] { return createKernelAbiPass(); });
  registerPass([] { return createKernelsToLlvmPass(); });
}

} // namespace transxssm::x86
