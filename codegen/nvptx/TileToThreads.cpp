//===- TileToThreads.cpp - Tile kernels to threads: control flow ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"
#include "codegen/x86/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace transxssm::nvptx {

static bool addsToManyMatrices(scf::ForOp For) {
  return llvm::count_if(For.getResultTypes(), [](Type T) {
           auto Shaped = dyn_cast<RankedTensorType>(T);
           return Shaped && Shaped.getRank() == 2;
         }) >= 3;
}

ThreadLowering::ThreadLowering(tile::KernelOp Kernel, const GpuTarget &Target)
    : Kernel(Kernel), Target(Target), Layouts(Kernel, Target),
      B(Kernel.getLoc(), Kernel.getContext()) {
  WalkResult Walked = Kernel.walk([](scf::ForOp For) {
    return addsToManyMatrices(For) ? WalkResult::interrupt()
                                   : WalkResult::advance();
  });
  HasManySums = Walked.wasInterrupted();
}

void ThreadLowering::error(Operation *Op, const Twine &Message) {
  if (!Failed)
    Op->emitError(Message);
  Failed = true;
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

/// One global pointer per memref argument, then the sizes, in argument order.
static SmallVector<Type> argumentTypes(tile::KernelOp Kernel) {
  MLIRContext *Context = Kernel.getContext();
  SmallVector<Type> Pointers, Sizes;
  for (Value Argument : Kernel.getLaunchArguments()) {
    auto Memory = dyn_cast<MemRefType>(Argument.getType());
    if (Memory)
      Pointers.push_back(LLVM::LLVMPointerType::get(Context, GlobalSpace));
    Sizes.append(Memory ? Memory.getNumDynamicDims() : 1,
                 IntegerType::get(Context, 64));
  }
  Pointers.append(Sizes);
  return Pointers;
}

bool ThreadLowering::run() {
  for (Value Argument : Kernel.getLaunchArguments())
    if (!isa<MemRefType, IndexType>(Argument.getType()))
      return error(Kernel, "kernel arguments must be memrefs or indices"),
             false;
  B.setInsertionPointAfter(Kernel);
  Function = func::FuncOp::create(B, Kernel.getSymName(),
                                  B.getFunctionType(argumentTypes(Kernel), {}));
  Function->setAttr(ThreadsAttr, B.getI64IntegerAttr(Layouts.threads()));
  // With the instruction that rounds two at once ptxas 13.0 spills 112 bytes of
  // ssm_scan_grad_chunk with heads of 128 on sm_80; why has not been found.
  if (HasManySums)
    Function->setAttr(x86::IntegerRoundingAttr, B.getUnitAttr());
  Block *Entry = Function.addEntryBlock();
  B.setInsertionPointToStart(Entry);
  bindArguments(*Entry);
  Thread = threadNumber(B);
  EntryEnd = arith::ConstantIndexOp::create(B, 0);
  findBoxRings();
  if (Channel.Stages)
    lowerWithProducer();
  else
    lowerAll();
  func::ReturnOp::create(B);
  if (!TensorMaps.empty())
    Function->setAttr(TensorMapsAttr, B.getArrayAttr(TensorMaps));
  return !Failed;
}

/// The kernel but for what a producer does.
void ThreadLowering::lowerAll() {
  forEachCell([&] {
    lowerBlock(Kernel.getBody().front());
    awaitCopies();
  });
  if (!Failed)
    awaitBoxStores();
}

void ThreadLowering::bindArguments(Block &Entry) {
  unsigned NextPointer = 0;
  unsigned NextSize = llvm::count_if(Kernel.getLaunchArguments(), [](Value V) {
    return isa<MemRefType>(V.getType());
  });
  auto Size = [&]() -> Value {
    return arith::IndexCastOp::create(B, B.getIndexType(),
                                      Entry.getArgument(NextSize++));
  };
  int64_t Number = 0;
  for (Value Argument : Kernel.getLaunchArguments()) {
    auto Type = dyn_cast<MemRefType>(Argument.getType());
    if (!Type) {
      Scalars.map(Argument, Size());
      continue;
    }
    if (Type.getElementType().isBF16())
      Function->setAttr(HalfMemoryAttr, B.getUnitAttr());
    GlobalMemory Memory;
    Memory.Pointer = Entry.getArgument(NextPointer++);
    Memory.Type = Type;
    for (int64_t Extent : Type.getShape())
      Memory.Sizes.push_back(ShapedType::isDynamic(Extent) ? Size()
                                                           : index(Extent));
    Value Stride = index(1);
    for (Value Extent : llvm::reverse(Memory.Sizes)) {
      Memory.Strides.insert(Memory.Strides.begin(), Stride);
      Stride = multiply(Stride, Extent);
    }
    auto Writes = [](Operation *User) { return isa<tile::StoreOp>(User); };
    auto Reads = [](Operation *User) {
      return isa<tile::LoadOp, tile::GatherOp>(User);
    };
    if (llvm::any_of(Argument.getUsers(), Writes) &&
        llvm::any_of(Argument.getUsers(), Reads))
      Memory.Hazard = Number;
    ++Number;
    Memories[Argument] = std::move(Memory);
  }
  for (auto [Number, Argument] : llvm::enumerate(Kernel.getGridArguments()))
    Scalars.map(Argument, blockCoordinate(B, Number));
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

void ThreadLowering::lowerBlock(Block &Block) {
  for (Operation &Op : Block.without_terminator()) {
    if (Failed)
      return;
    B.setLoc(Op.getLoc());
    ++Group;
    lowerOperation(&Op);
  }
}

void ThreadLowering::lowerOperation(Operation *Op) {
  if (Op->getNumResults() == 1 && isUniform(Op->getResult(0)))
    return; // made where it is used
  if (auto Load = dyn_cast<tile::LoadOp>(Op))
    return isTile(Load.getResult()) ? lowerLoad(Load) : lowerScalarLoad(Load);
  if (auto Store = dyn_cast<tile::StoreOp>(Op))
    return isTile(Store.getValue()) ? lowerStore(Store)
                                    : lowerScalarStore(Store);
  if (auto Gather = dyn_cast<tile::GatherOp>(Op))
    return lowerGather(Gather);
  if (auto Mma = dyn_cast<tile::MmaOp>(Op))
    return lowerMma(Mma);
  if (auto Broadcast = dyn_cast<tile::BroadcastOp>(Op))
    return lowerBroadcast(Broadcast);
  if (auto Iota = dyn_cast<tile::IotaOp>(Op))
    return lowerIota(Iota);
  if (auto Transpose = dyn_cast<tile::TransposeOp>(Op))
    return lowerTranspose(Transpose);
  if (auto Reduce = dyn_cast<tile::ReduceOp>(Op))
    return lowerReduce(Reduce);
  if (auto Sum = dyn_cast<tile::CumulativeSumOp>(Op))
    return lowerCumulativeSum(Sum);
  if (auto Extract = dyn_cast<tile::ExtractOp>(Op))
    return lowerExtract(Extract);
  if (auto Rope = dyn_cast<tile::RopeOp>(Op))
    return lowerRope(Rope);
  if (auto For = dyn_cast<scf::ForOp>(Op))
    return lowerFor(For);
  if (auto If = dyn_cast<scf::IfOp>(Op))
    return lowerIf(If);
  if (isElementwise(Op))
    return lowerElementwise(Op);
  if (auto Dim = dyn_cast<memref::DimOp>(Op)) {
    auto Number = Dim.getConstantIndex();
    if (!Number)
      return error(Op, "dimension of a memref must be a constant");
    Scalars.map(Dim.getResult(), Memories[Dim.getSource()].Sizes[*Number]);
    return;
  }
  if (llvm::any_of(Op->getOperands(), isTile) ||
      llvm::any_of(Op->getResults(), isTile) || Op->getNumRegions() != 0)
    return error(Op, "operation '" + Op->getName().getStringRef() +
                         "' has no lowering to GPU threads");
  B.clone(*Op, Scalars);
}

/// The same operation for every register. Registers with equal operands (a
/// vector repeated into a matrix) share the result.
void ThreadLowering::lowerElementwise(Operation *Op) {
  Value Result = Op->getResult(0);
  const LinearLayout &Layout = Layouts.of(Result);
  SmallVector<Registers> Operands;
  for (Value Operand : Op->getOperands())
    Operands.push_back(
        isTile(Operand) ? registersOf(Operand, Layout)
                        : Registers(Layout.registerCount(), scalar(Operand)));
  std::map<std::vector<void *>, Value> Made;
  Type Element = tileType(Result).getElementType();
  Registers Values;
  for (int64_t R = 0; R < Layout.registerCount(); ++R) {
    OperationState State(Op->getLoc(), Op->getName());
    std::vector<void *> Key;
    for (const Registers &Operand : Operands) {
      State.addOperands(Operand[R]);
      Key.push_back(Operand[R].getAsOpaquePointer());
    }
    Value &Known = Made[Key];
    if (!Known) {
      State.addTypes(Element);
      State.addAttributes(Op->getAttrs());
      Known = B.create(State)->getResult(0);
    }
    Values.push_back(Known);
  }
  define(Result, std::move(Values));
}

//===----------------------------------------------------------------------===//
// Loops and branches
//===----------------------------------------------------------------------===//

/// The registers of each carried value, as arguments or results of the loop.
void ThreadLowering::bindCarried(ValueRange Old, ValueRange Flat) {
  for (Value V : Old) {
    int64_t Count = isTile(V) ? Layouts.of(V).registerCount() : 1;
    if (isTile(V))
      define(V, Registers(Flat.take_front(Count)));
    else
      Scalars.map(V, Flat.front());
    Flat = Flat.drop_front(Count);
  }
}

/// The loop with the values that it carries at first, and `More` of this
/// lowering's own; the builder is where its body begins.
scf::ForOp ThreadLowering::startFor(scf::ForOp For, ArrayRef<Value> More) {
  Registers Inits;
  for (auto [Init, Result] :
       llvm::zip_equal(For.getInitArgs(), For.getResults())) {
    if (isTile(Init))
      llvm::append_range(Inits, registersOf(Init, Layouts.of(Result)));
    else
      Inits.push_back(scalar(Init));
  }
  llvm::append_range(Inits, More);
  auto New = scf::ForOp::create(B, scalar(For.getLowerBound()),
                                scalar(For.getUpperBound()),
                                scalar(For.getStep()), Inits);
  if (Inits.empty())
    New.getBody()->getTerminator()->erase();
  B.setInsertionPointToStart(New.getBody());
  Scalars.map(For.getInductionVar(), New.getInductionVar());
  bindCarried(For.getRegionIterArgs(), New.getRegionIterArgs());
  return New;
}

void ThreadLowering::lowerFor(scf::ForOp For) {
  awaitCopies();
  auto Boxes = BoxRings.find(For);
  if (Boxes != BoxRings.end())
    return lowerBoxLoop(Boxes->second);
  Ring R = findRing(For);
  Registers First;
  if (R.Stages) {
    startRing(R);
    First.push_back(index(0));
  }
  scf::ForOp New;
  {
    OpBuilder::InsertionGuard Guard(B);
    New = startFor(For, First);
    Registers More;
    if (R.Stages)
      More.push_back(advanceRing(R, New.getInductionVar(),
                                 New.getRegionIterArgs().back()));
    InRing = R.Stages != 0;
    lowerBlock(*For.getBody());
    InRing = false;
    if (Failed)
      return;
    lowerYield(For.getBody()->getTerminator(), More);
  }
  ++Group;
  bindCarried(For.getResults(), New.getResults());
}

/// Passes on the values, and `More` of this lowering's own.
void ThreadLowering::lowerYield(Operation *Terminator, ArrayRef<Value> More,
                                function_ref<void()> BeforeEnd) {
  Registers Flat;
  for (auto [Number, Operand] : llvm::enumerate(Terminator->getOperands())) {
    Value Result = Terminator->getParentOp()->getResult(Number);
    if (isTile(Operand))
      llvm::append_range(Flat, registersOf(Operand, Layouts.of(Result)));
    else
      Flat.push_back(scalar(Operand));
  }
  awaitCopies();
  llvm::append_range(Flat, More);
  if (BeforeEnd)
    BeforeEnd();
  scf::YieldOp::create(B, Flat);
}

void ThreadLowering::lowerIf(scf::IfOp If) {
  awaitCopies();
  SmallVector<Type> Types;
  for (Value Result : If.getResults()) {
    if (isTile(Result))
      Types.append(Layouts.of(Result).registerCount(),
                   tileType(Result).getElementType());
    else
      Types.push_back(Result.getType());
  }
  bool HasElse = !If.getElseRegion().empty();
  auto New = scf::IfOp::create(B, Types, scalar(If.getCondition()),
                               /*addThenBlock=*/true, HasElse);
  for (auto [Old, Made] : llvm::zip(If->getRegions(), New->getRegions())) {
    if (Old.empty())
      continue;
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(&Made.front());
    lowerBlock(Old.front());
    if (Failed)
      return;
    lowerYield(Old.front().getTerminator());
  }
  ++Group;
  ValueRange Flat = New.getResults();
  for (Value Result : If.getResults()) {
    int64_t Count = isTile(Result) ? Layouts.of(Result).registerCount() : 1;
    if (isTile(Result))
      define(Result, Registers(Flat.take_front(Count)));
    else
      Scalars.map(Result, Flat.front());
    Flat = Flat.drop_front(Count);
  }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void ThreadLowering::define(Value Tile, Registers Values) {
  if (Layouts.isShared(Tile) && !SharedTiles.contains(Tile)) {
    RankedTensorType Type = tileType(Tile);
    const LinearLayout &Layout = Layouts.of(Tile);
    SharedTile Copy = allocate(Tile);
    write(Copy, Layout,
          masked(Tile, Layout, Values, zero(Type.getElementType())),
          Layout.copyMask());
    SharedTiles[Tile] = Copy;
  }
  if (Layouts.isOperand(Tile))
    OperandTiles[Tile] = writeOperand(Tile, Layouts.of(Tile), Values);
  Tiles[Tile] = std::move(Values);
}

Value ThreadLowering::uniformValue(Value Tile) {
  if (auto Broadcast = Tile.getDefiningOp<tile::BroadcastOp>())
    return scalar(Broadcast.getValue());
  auto Constant = Tile.getDefiningOp<arith::ConstantOp>();
  auto Elements = cast<DenseElementsAttr>(Constant.getValue());
  return arith::ConstantOp::create(B, Elements.getSplatValue<TypedAttr>());
}

Registers ThreadLowering::registersOf(Value Tile, const LinearLayout &Layout) {
  if (isUniform(Tile))
    return Registers(Layout.registerCount(), uniformValue(Tile));
  const LinearLayout &Own = Layouts.of(Tile);
  // What was copied to shared memory has never been in registers.
  auto Known = Tiles.find(Tile);
  if (Known == Tiles.end() && Layouts.isOperand(Tile))
    return readOperand(operandOf(Tile), Layout);
  if (Known == Tiles.end())
    return read(sharedOf(Tile), Layout, tileType(Tile).getElementType());
  const Registers &Values = Known->second;
  switch (conversionBetween(Own, Layout)) {
  case Conversion::None:
    return Values;
  case Conversion::Registers: {
    Registers Moved;
    for (int64_t Source : registerPermutation(Own, Layout))
      Moved.push_back(Values[Source]);
    return Moved;
  }
  default:
    return read(sharedOf(Tile), Layout, tileType(Tile).getElementType());
  }
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

static std::optional<int64_t> constantOf(Value V) {
  APInt Constant;
  if (!matchPattern(V, m_ConstantInt(&Constant)))
    return std::nullopt;
  return Constant.getSExtValue();
}

Value ThreadLowering::index(int64_t Number) {
  return arith::ConstantIndexOp::create(B, Number);
}

Value ThreadLowering::add(Value L, Value R) {
  if (constantOf(L) == 0)
    return R;
  if (constantOf(R) == 0)
    return L;
  return B.createOrFold<arith::AddIOp>(L, R);
}

Value ThreadLowering::multiply(Value L, Value R) {
  if (constantOf(L) == 1)
    return R;
  if (constantOf(R) == 1)
    return L;
  return B.createOrFold<arith::MulIOp>(L, R);
}

Value ThreadLowering::isBelow(Value L, Value R) {
  return arith::CmpIOp::create(B, arith::CmpIPredicate::slt, L, R);
}

/// The conjunction; null operands hold.
Value ThreadLowering::both(Value L, Value R) {
  if (!L || !R)
    return L ? L : R;
  return arith::AndIOp::create(B, L, R);
}

Value ThreadLowering::zero(Type Type) {
  return arith::ConstantOp::create(B, B.getZeroAttr(Type));
}

/// The sum over the bits of the thread's number of a power of two (or 0) each;
/// runs of bits that stay together are moved together.
Value ThreadLowering::threadPart(ArrayRef<int64_t> Bases) {
  Value &Known = ThreadParts[std::vector<int64_t>(Bases.begin(), Bases.end())];
  if (Known)
    return Known;
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPoint(EntryEnd);
  Value Sum = index(0);
  for (size_t Bit = 0; Bit < Bases.size();) {
    size_t Count = 1;
    while (Bit + Count < Bases.size() && Bases[Bit + Count] == Bases[Bit]
                                                                   << Count)
      ++Count;
    if (Bases[Bit] != 0) {
      Value Moved = B.createOrFold<arith::ShRUIOp>(Thread, index(Bit));
      if (Bit + Count < Bases.size())
        Moved = B.createOrFold<arith::AndIOp>(Moved, index((1 << Count) - 1));
      Sum = add(Sum, multiply(Moved, Bases[Bit]));
    }
    Bit += Count;
  }
  return Known = Sum;
}

Value ThreadLowering::threadRow(const LinearLayout &Layout) {
  SmallVector<int64_t> Bases;
  for (Coordinates C : Layout.threadBases())
    Bases.push_back(C.Row);
  return threadPart(Bases);
}

Value ThreadLowering::threadColumn(const LinearLayout &Layout) {
  SmallVector<int64_t> Bases;
  for (Coordinates C : Layout.threadBases())
    Bases.push_back(C.Column);
  return threadPart(Bases);
}

Value ThreadLowering::isFirst(int64_t ThreadMask) {
  if (ThreadMask == 0)
    return {};
  Value &Known = Firsts[ThreadMask];
  if (Known)
    return Known;
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPoint(EntryEnd);
  Value Bits = arith::AndIOp::create(B, Thread, index(ThreadMask));
  return Known =
             arith::CmpIOp::create(B, arith::CmpIPredicate::eq, Bits, index(0));
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct TileToThreadsPass
    : PassWrapper<TileToThreadsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TileToThreadsPass)

  TileToThreadsPass() = default;
  explicit TileToThreadsPass(const GpuTarget &Target) {
    Architecture = Target.Name;
    TensorMaps = Target.TensorMaps;
  }
  TileToThreadsPass(const TileToThreadsPass &Other) : PassWrapper(Other) {
    Architecture = Other.Architecture;
    TensorMaps = Other.TensorMaps;
  }

  Option<std::string> Architecture{
      *this, "arch", llvm::cl::desc("the architecture, as \"sm_90a\""),
      llvm::cl::init("sm_80")};
  Option<bool> TensorMaps{*this, "tensor-maps",
                          llvm::cl::desc("copy boxes of tensors (sm_90a)"),
                          llvm::cl::init(false)};

  StringRef getArgument() const override { return "tile-to-threads"; }
  StringRef getDescription() const override {
    return "lower tile kernels to what one thread of a GPU does";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                    math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  }

  void runOnOperation() override {
    SmallVector<tile::KernelOp> Kernels(
        getOperation().getOps<tile::KernelOp>());
    for (tile::KernelOp Kernel : Kernels) {
      if (!ThreadLowering(Kernel, {Architecture, TensorMaps}).run())
        return signalPassFailure();
      Kernel.erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> createTileToThreadsPass(const GpuTarget &Target) {
  return std::make_unique<TileToThreadsPass>(Target);
}

} // namespace transxssm::nvptx
