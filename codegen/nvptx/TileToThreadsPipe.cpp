//===- TileToThreadsPipe.cpp - Tile kernels to threads: a producer warp ---===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Where a kernel gets tensor maps, a thread of a warp group of its own, the
// producer, runs ahead of the others and has boxes copied for all loops whose
// loads depend on nothing that threads compute. They go through one pipe of S
// stages in shared memory, with two barriers a stage:
//
//   producer                             consumers (the kernel itself)
//     for i:                               for i:
//       wait until stage is empty            wait until stage is full
//       expect its bytes, copy boxes         use it
//                                            a lane of each warp: it is empty
//
// The producer's code is the kernel's loops and branches around those loops,
// with what their bounds, conditions and places are made of. Which stage is
// next, and which phase its barriers are in, is kept from loop to loop in two
// variables of each thread (which LLVM makes registers).
//
// Consumers wait for each other at a barrier of their own. The producer gives
// its registers to them; it is a whole group because only those do, and since
// registers are given to four warps at a time, a warp would take no fewer.
//
// Where a loop does nothing but add products of its boxes to sums, those of an
// iteration are under way while the next one's are started: the stage of the
// last iteration is given back when the products of this one are issued.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/TensorCopies.h"
#include "codegen/nvptx/ThreadLowering.h"
#include "codegen/nvptx/WgmmaOps.h"

using namespace mlir;

namespace transxssm::nvptx {

/// Threads of a warp, of the producer's group.
constexpr int64_t WarpThreads = 32, ProducerThreads = 128;
/// Bytes of a pipe, so that two blocks of one group of consumers fit beside
/// each other on sm_90a; bytes where two groups do nothing but multiply, so
/// that there is a block for each multiprocessor anyway; and the most stages.
constexpr int64_t PipeBytes = 96 * 1024, LongPipeBytes = 144 * 1024;
constexpr int64_t MostStages = 4;
/// Shared memory of a block where two are to fit, but for small change.
constexpr int64_t BlockBytes = 112 * 1024;
/// Elements of bf16 from one swizzled tile to the next at least.
constexpr int64_t TileAlignment = 512;

//===----------------------------------------------------------------------===//
// What a producer can run
//===----------------------------------------------------------------------===//

/// Whether the value is made of arguments, constants, variables of loops and
/// what lies in memory alone.
bool ThreadLowering::canProduce(Value V) {
  if (isTile(V))
    return false;
  if (auto Argument = dyn_cast<BlockArgument>(V)) {
    Operation *Parent = Argument.getOwner()->getParentOp();
    auto For = dyn_cast<scf::ForOp>(Parent);
    return Parent == Kernel.getOperation() ||
           (For && Argument == For.getInductionVar());
  }
  Operation *Op = V.getDefiningOp();
  if (isa<memref::DimOp>(Op))
    return true;
  if (auto Load = dyn_cast<tile::LoadOp>(Op))
    return Memories[Load.getMemory()].Hazard < 0 &&
           llvm::all_of(
               Load.getIndices(),
               [&](Value Index) { return canProduce(Index); });
  return isa<arith::ArithDialect>(Op->getDialect()) &&
         llvm::all_of(Op->getOperands(),
                      [&](Value Operand) { return canProduce(Operand); });
}

/// Whether it can run the loop and all that is around it.
bool ThreadLowering::canProduce(scf::ForOp Loop) {
  for (Operation *Op = Loop; Op != Kernel; Op = Op->getParentOp()) {
    if (auto For = dyn_cast<scf::ForOp>(Op)) {
      if (!canProduce(For.getLowerBound()) ||
          !canProduce(For.getUpperBound()) || !canProduce(For.getStep()))
        return false;
      continue;
    }
    auto If = dyn_cast<scf::IfOp>(Op);
    if (!If || !canProduce(If.getCondition()))
      return false;
  }
  return true;
}

/// Finds the loops that the producer serves.
void ThreadLowering::findBoxRings() {
  Kernel.walk([&](scf::ForOp For) {
    Ring R = findRing(For);
    if (!R.BoxBytes || !canProduce(For) ||
        !llvm::all_of(R.Loads, [&](tile::LoadOp Load) {
          return llvm::all_of(Load.getIndices(),
                              [&](Value Index) { return canProduce(Index); });
        }))
      return;
    int64_t Elements = 0;
    for (tile::LoadOp Load : R.Loads) {
      SharedTile Tile = copyShape(Load);
      R.Places.push_back(Elements);
      Elements += llvm::alignTo(sharedElements(Tile), TileAlignment);
      R.Tiles.push_back(Tile);
    }
    Channel.StageElements = std::max(Channel.StageElements, Elements);
    R.Number = 0;
    BoxRings[For] = std::move(R);
  });
  if (Channel.StageElements == 0)
    return;
  chooseStages();
  NextRing = 1;
}

/// Bytes of tiles that come by other copies.
int64_t ThreadLowering::otherCopiedBytes() {
  int64_t Bytes = 0;
  Kernel.walk([&](tile::LoadOp Load) {
    if (!canCopy(Load) || BoxRings.contains(Load->getParentOp()))
      return;
    Bytes += sharedElements(copyShape(Load)) *
             tileType(Load.getResult()).getElementTypeBitWidth() / 8;
  });
  return Bytes;
}

/// Whether two groups of consumers do nothing in the producer's loops but to
/// add products to sums.
bool ThreadLowering::onlyAddsProducts() {
  return Layouts.threads() > ProducerThreads &&
         llvm::all_of(BoxRings, [&](const auto &Each) {
           return productsUnderWay(Each.second) != 0;
         });
}

void ThreadLowering::chooseStages() {
  int64_t Bytes = onlyAddsProducts() ? LongPipeBytes : PipeBytes;
  // A second block is worth more than a stage.
  if (Layouts.threads() == ProducerThreads)
    Bytes = std::min(Bytes, BlockBytes - otherCopiedBytes());
  Channel.Stages =
      std::clamp<int64_t>(Bytes / (2 * Channel.StageElements), 2, MostStages);
}

//===----------------------------------------------------------------------===//
// The pipe
//===----------------------------------------------------------------------===//

/// Of the consumers alone where there is a producer.
void ThreadLowering::blockBarrier() {
  barrier(B, Channel.Stages ? Layouts.threads() : 0);
}

/// The address of the barrier that says that a stage is full; behind all of
/// those, that it is empty.
Value ThreadLowering::stageBarrier(Value Stage, bool Empty) {
  Value Pointer =
      UnrealizedConversionCastOp::create(
          B, LLVM::LLVMPointerType::get(B.getContext(), SharedSpace),
          Channel.Barriers)
          .getResult(0);
  Value Number = Empty ? add(Stage, Channel.Stages) : Stage;
  return LLVM::GEPOp::create(
      B, Pointer.getType(), B.getI64Type(), Pointer,
      ArrayRef<LLVM::GEPArg>{
          arith::IndexCastOp::create(B, B.getI64Type(), Number).getResult()});
}

/// At the start of the function: memory, barriers, variables.
void ThreadLowering::makePipe() {
  auto Space = B.getI64IntegerAttr(SharedSpace);
  Channel.Buffer = memref::AllocOp::create(
      B,
      MemRefType::get({Channel.Stages * Channel.StageElements}, B.getBF16Type(),
                      MemRefLayoutAttrInterface(), Space),
      B.getI64IntegerAttr(2 * TileAlignment));
  Channel.Barriers = memref::AllocOp::create(
      B, MemRefType::get({2 * Channel.Stages}, B.getI64Type(),
                         MemRefLayoutAttrInterface(), Space));
  Channel.Buffer.getDefiningOp()->setAttr(PipeAttr, B.getUnitAttr());
  Channel.Barriers.getDefiningOp()->setAttr(WholeAttr, B.getUnitAttr());
  Value One = LLVM::ConstantOp::create(B, B.getI64Type(), 1);
  auto Variable = [&]() -> Value {
    Value Made =
        LLVM::AllocaOp::create(B, LLVM::LLVMPointerType::get(B.getContext()),
                               B.getI32Type(), One, /*alignment=*/4);
    LLVM::StoreOp::create(B, zero(B.getI32Type()), Made);
    return Made;
  };
  Channel.Stage = Variable();
  Channel.Parity = Variable();
  // Not isFirst, which also holds for the producer.
  Value First =
      arith::CmpIOp::create(B, arith::CmpIPredicate::eq, Thread, index(0));
  auto If = scf::IfOp::create(B, First, /*withElseRegion=*/false);
  If->setAttr(DivergentAttr, B.getUnitAttr());
  {
    OpBuilder::InsertionGuard Guard(B);
    B.setInsertionPointToStart(If.thenBlock());
    for (int64_t Stage = 0; Stage < Channel.Stages; ++Stage) {
      markPipe(initBarrier(B, stageBarrier(index(Stage), false), 1));
      markPipe(initBarrier(B, stageBarrier(index(Stage), true),
                           Layouts.threads() / WarpThreads));
    }
    fenceBarriers(B);
  }
  barrier(B);
}

/// No barrier of threads comes between accesses of the pipe.
void ThreadLowering::markPipe(Operation *Op) {
  Op->setAttr(GroupAttr, B.getI64IntegerAttr(Group));
  Op->setAttr(RingAttr, B.getI64IntegerAttr(0));
}

/// The stage that is next, when it is full (empty); moves on to the one behind.
Value ThreadLowering::nextStage(bool Empty) {
  Type Word = B.getI32Type();
  auto Constant = [&](int64_t Number) -> Value {
    return arith::ConstantOp::create(B, B.getI32IntegerAttr(Number));
  };
  Value Stage = LLVM::LoadOp::create(B, Word, Channel.Stage);
  Value Parity = LLVM::LoadOp::create(B, Word, Channel.Parity);
  Value Number = arith::IndexCastOp::create(B, B.getIndexType(), Stage);
  // Before its first phase ends, a barrier is as if one of parity 1 had ended:
  // stages are empty at the start.
  Value Waited = Empty ? arith::XOrIOp::create(B, Parity, Constant(1)) : Parity;
  markPipe(waitAtBarrier(B, stageBarrier(Number, Empty), Waited));
  Value Sum = arith::AddIOp::create(B, Stage, Constant(1));
  Value Wraps = arith::CmpIOp::create(B, arith::CmpIPredicate::eq, Sum,
                                      Constant(Channel.Stages));
  LLVM::StoreOp::create(B, arith::SelectOp::create(B, Wraps, Constant(0), Sum),
                        Channel.Stage);
  LLVM::StoreOp::create(
      B,
      arith::XOrIOp::create(B, Parity, arith::ExtUIOp::create(B, Word, Wraps)),
      Channel.Parity);
  return Number;
}

/// The tile of a load in a stage.
SharedTile ThreadLowering::inPipe(const Ring &R, size_t Load, Value Stage) {
  SharedTile Tile = R.Tiles[Load];
  Tile.Buffer = Channel.Buffer;
  Tile.Ring = R.Number;
  Tile.Shift = add(multiply(Stage, Channel.StageElements), R.Places[Load]);
  return Tile;
}

//===----------------------------------------------------------------------===//
// Consumers
//===----------------------------------------------------------------------===//

/// At the start of an iteration.
Value ThreadLowering::acquireStage(const Ring &R) {
  ++Group;
  Value Stage = nextStage(/*Empty=*/false);
  for (auto [Number, Load] : llvm::enumerate(R.Loads))
    setCopy(Load->getResult(0), inPipe(R, Number, Stage));
  return Stage;
}

/// When all threads of this warp are done with a stage; under a condition, if
/// any.
void ThreadLowering::releaseStage(Value Stage, Value Condition) {
  ++Group;
  Value Leads = both(isFirst(WarpThreads - 1), Condition);
  markPipe(arriveAt(B, stageBarrier(Stage, /*Empty=*/true), Leads));
}

/// The stage before.
Value ThreadLowering::previousStage(Value Stage) {
  Value IsFirst =
      arith::CmpIOp::create(B, arith::CmpIPredicate::eq, Stage, index(0));
  return arith::SelectOp::create(B, IsFirst, index(Channel.Stages - 1),
                                 add(Stage, -1));
}

/// The number of products that an iteration adds to sums, if it does nothing
/// but that: they can be under way in the next one.
int64_t ThreadLowering::productsUnderWay(const Ring &R) {
  scf::ForOp For = R.For;
  int64_t Products = 0;
  for (Operation &Op : For.getBody()->without_terminator()) {
    auto Mma = dyn_cast<tile::MmaOp>(Op);
    if (!Mma) {
      if (llvm::any_of(Op.getResults(), isTile) &&
          !llvm::is_contained(R.Loads, dyn_cast<tile::LoadOp>(Op)))
        return 0;
      if (Op.getNumRegions() != 0 || isa<tile::StoreOp>(Op))
        return 0;
      continue;
    }
    auto Sum = dyn_cast<BlockArgument>(Mma.getAccumulator());
    auto IsLoaded = [&](Value V) {
      return llvm::is_contained(R.Loads, V.getDefiningOp<tile::LoadOp>());
    };
    if (!Sum || !Sum.hasOneUse() || !Mma.getResult().hasOneUse() ||
        Sum.getOwner() != For.getBody() || Sum == For.getInductionVar() ||
        For.getTiedLoopYieldedValue(Sum)->get() != Mma.getResult() ||
        !Layouts.usesWgmma(Mma) || Layouts.leftInRegisters(Mma) ||
        !IsLoaded(Mma.getLhs()) || !IsLoaded(Mma.getRhs()))
      return 0;
    ++Products;
  }
  // Sums are all that it carries.
  return Products == For.getNumRegionIterArgs() ? Products : 0;
}

/// A loop whose loads come through the pipe.
void ThreadLowering::lowerBoxLoop(const Ring &R) {
  scf::ForOp For = R.For, New;
  int64_t Products = productsUnderWay(R);
  {
    OpBuilder::InsertionGuard Guard(B);
    New = startFor(For, {});
    Value Stage = acquireStage(R);
    InRing = true;
    ProductsStay = Products != 0;
    lowerBlock(*For.getBody());
    InRing = ProductsStay = false;
    if (Failed)
      return;
    lowerYield(For.getBody()->getTerminator(), {}, [&] {
      if (!Products)
        return releaseStage(Stage, {});
      leaveProducts(B, Products);
      releaseStage(previousStage(Stage),
                   isBelow(New.getLowerBound(), New.getInductionVar()));
    });
  }
  ++Group;
  Registers Results(New.getResults());
  if (Products) {
    Results = waitForProducts(B, Results);
    Value Next = LLVM::LoadOp::create(B, B.getI32Type(), Channel.Stage);
    Next = arith::IndexCastOp::create(B, B.getIndexType(), Next);
    releaseStage(previousStage(Next),
                 isBelow(New.getLowerBound(), New.getUpperBound()));
  }
  bindCarried(For.getResults(), Results);
}

//===----------------------------------------------------------------------===//
// The producer
//===----------------------------------------------------------------------===//

/// Makes a value (canProduce) here.
Value ThreadLowering::produce(Value V) {
  if (Scalars.contains(V))
    return Scalars.lookup(V);
  Operation *Op = V.getDefiningOp();
  for (Value Operand : Op->getOperands())
    if (!isa<MemRefType>(Operand.getType()))
      produce(Operand);
  lowerOperation(Op);
  return Scalars.lookup(V);
}

/// All boxes of an iteration.
void ThreadLowering::fillStage(const Ring &R) {
  ++Group;
  for (tile::LoadOp Load : R.Loads)
    for (Value Index : Load.getIndices())
      produce(Index);
  Value Stage = nextStage(/*Empty=*/true);
  Value Barrier = stageBarrier(Stage, /*Empty=*/false);
  markPipe(expectBytes(B, Barrier, R.BoxBytes));
  for (auto [Number, Load] : llvm::enumerate(R.Loads))
    copyBoxes(Load, inPipe(R, Number, Stage), Barrier);
}

/// The loops and branches of a block that have boxes copied.
void ThreadLowering::produceBlock(Block &Block) {
  IRMapping Outside = Scalars;
  OpBuilder::InsertionGuard Guard(B);
  for (Operation &Op : Block) {
    if (llvm::none_of(BoxRings, [&](const auto &Each) {
          return Op.isAncestor(Each.first);
        }))
      continue;
    B.setLoc(Op.getLoc());
    if (auto If = dyn_cast<scf::IfOp>(Op)) {
      bool HasElse = !If.getElseRegion().empty();
      auto New = scf::IfOp::create(B, TypeRange(), produce(If.getCondition()),
                                   /*addThenBlock=*/true, HasElse);
      for (auto [Old, Made] : llvm::zip(If->getRegions(), New->getRegions())) {
        if (Old.empty())
          continue;
        OpBuilder::InsertionGuard Inner(B);
        B.setInsertionPointToStart(&Made.front());
        produceBlock(Old.front());
        scf::YieldOp::create(B);
      }
      continue;
    }
    auto For = cast<scf::ForOp>(Op);
    auto New = scf::ForOp::create(B, produce(For.getLowerBound()),
                                  produce(For.getUpperBound()),
                                  produce(For.getStep()));
    OpBuilder::InsertionGuard Inner(B);
    B.setInsertionPointToStart(New.getBody());
    IRMapping Before = Scalars;
    Scalars.map(For.getInductionVar(), New.getInductionVar());
    auto Found = BoxRings.find(For);
    if (Found != BoxRings.end())
      fillStage(Found->second);
    else
      produceBlock(*For.getBody());
    Scalars = std::move(Before);
  }
  Scalars = std::move(Outside);
}

/// The kernel as consumers and a producer.
void ThreadLowering::lowerWithProducer() {
  makePipe();
  if (paysToStay())
    addGridExtents();
  IRMapping Arguments = Scalars;
  int64_t Consumers = Layouts.threads();
  Function->setAttr(ConsumersAttr, B.getI64IntegerAttr(Consumers));
  Function->setAttr(ThreadsAttr,
                    B.getI64IntegerAttr(Consumers + ProducerThreads));
  auto Consumes = scf::IfOp::create(B, isBelow(Thread, index(Consumers)),
                                    /*withElseRegion=*/true);
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPointToStart(Consumes.thenBlock());
  setRegisters(B, ConsumerRegisters, /*More=*/true);
  lowerAll();
  if (Failed)
    return;
  Scalars = std::move(Arguments);
  B.setLoc(Kernel.getLoc());
  B.setInsertionPointToStart(Consumes.elseBlock());
  setRegisters(B, ProducerRegisters, /*More=*/false);
  Value Leads = arith::CmpIOp::create(B, arith::CmpIPredicate::eq, Thread,
                                      index(Consumers));
  auto If = scf::IfOp::create(B, Leads, /*withElseRegion=*/false);
  B.setInsertionPointToStart(If.thenBlock());
  forEachCell([&] { produceBlock(Kernel.getBody().front()); });
}

} // namespace transxssm::nvptx
