//===- AssignScratch.cpp - One scratch area for all buffers ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Gives every buffer of a kernel an offset into the scratch argument. Buffers
// that are never live together share memory: the less a kernel touches, the
// more of it stays in the caches.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "transxssm/kernel_abi.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;

namespace transxssm::x86 {
namespace {

/// A buffer: when it is live, in program order, and where it goes.
struct Interval {
  memref::AllocOp Buffer;
  int64_t First, Last, Bytes;
  int64_t Offset = -1;

  bool meets(const Interval &Other) const {
    return First <= Other.Last && Other.First <= Last;
  }
};

/// First and last position of an operation and all that it contains.
using Spans = DenseMap<Operation *, std::pair<int64_t, int64_t>>;

Spans numberOperations(func::FuncOp Function) {
  Spans Result;
  int64_t Next = 0;
  Function.walk<WalkOrder::PreOrder>(
      [&](Operation *Op) { Result[Op].first = Next++; });
  Function.walk([&](Operation *Op) {
    int64_t Last = Result[Op].first;
    for (Region &R : Op->getRegions())
      for (Block &Block : R)
        for (Operation &Inner : Block)
          Last = std::max(Last, Result[&Inner].second);
    Result[Op].second = Last;
  });
  return Result;
}

int64_t bytesOf(memref::AllocOp Buffer) {
  MemRefType Type = Buffer.getType();
  int64_t Bits = Type.getElementTypeBitWidth() * Type.getNumElements();
  return llvm::alignTo(llvm::divideCeil(Bits, 8), TRANSXSSM_ALIGNMENT);
}

/// Buffers of other kinds have no place in a scratch area.
LogicalResult checkBuffer(memref::AllocOp Buffer) {
  MemRefType Type = Buffer.getType();
  if (!Type.hasStaticShape() || !Type.getLayout().isIdentity() ||
      !Type.getElementType().isIntOrFloat())
    return Buffer.emitError("expected a buffer of integers or floats and of "
                            "static shape, got ")
           << Type;
  for (Operation *User : Buffer->getUsers())
    if (!Buffer->getBlock()->findAncestorOpInBlock(*User))
      return Buffer.emitError("buffer is used in another block of its region");
  return success();
}

/// From the allocation to the last use. A use inside a loop that does not hold
/// the allocation keeps the buffer alive through the whole loop.
Interval intervalOf(memref::AllocOp Buffer, Spans &Spans) {
  Interval Result{Buffer, Spans[Buffer].first, Spans[Buffer].second,
                  bytesOf(Buffer)};
  Block *Home = Buffer->getBlock();
  for (Operation *User : Buffer->getUsers())
    Result.Last =
        std::max(Result.Last, Spans[Home->findAncestorOpInBlock(*User)].second);
  return Result;
}

/// Largest first, each at the lowest offset that is free while it lives.
int64_t placeIntervals(MutableArrayRef<Interval> Intervals) {
  std::vector<Interval *> Order;
  for (Interval &I : Intervals)
    Order.push_back(&I);
  std::sort(Order.begin(), Order.end(), [](Interval *A, Interval *B) {
    return std::make_pair(-A->Bytes, A->First) <
           std::make_pair(-B->Bytes, B->First);
  });
  int64_t Total = 0;
  std::vector<Interval *> Placed;
  for (Interval *I : Order) {
    I->Offset = 0;
    for (Interval *Other : Placed) // In the order of offsets.
      if (Other->meets(*I) && Other->Offset < I->Offset + I->Bytes)
        I->Offset = std::max(I->Offset, Other->Offset + Other->Bytes);
    Total = std::max(Total, I->Offset + I->Bytes);
    Placed.insert(std::upper_bound(Placed.begin(), Placed.end(), I,
                                   [](Interval *A, Interval *B) {
                                     return A->Offset < B->Offset;
                                   }),
                  I);
  }
  return Total;
}

struct AssignScratchPass
    : PassWrapper<AssignScratchPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(AssignScratchPass)

  StringRef getArgument() const override { return "assign-scratch"; }
  StringRef getDescription() const override {
    return "place the buffers of a kernel in its scratch argument";
  }

  void runOnOperation() override {
    func::FuncOp Function = getOperation();
    if (Function.isExternal())
      return;
    Spans Spans = numberOperations(Function);
    std::vector<Interval> Intervals;
    WalkResult Walked = Function.walk([&](memref::AllocOp Buffer) {
      if (failed(checkBuffer(Buffer)))
        return WalkResult::interrupt();
      Intervals.push_back(intervalOf(Buffer, Spans));
      return WalkResult::advance();
    });
    if (Walked.wasInterrupted())
      return signalPassFailure();
    if (!Intervals.empty() && !hasScratchArgument(Function)) {
      Function.emitError("function with buffers expects scratch memory of type "
                         "memref<?xi8> as its last argument");
      return signalPassFailure();
    }
    int64_t Total = placeIntervals(Intervals);
    Function->setAttr(ScratchBytesAttr,
                      OpBuilder(Function).getI64IntegerAttr(Total));
    if (Intervals.empty())
      return;
    OpBuilder Builder = OpBuilder::atBlockBegin(&Function.getBody().front());
    Value Scratch = Function.getArguments().back();
    for (Interval &I : Intervals) {
      Location Loc = I.Buffer.getLoc();
      Value Offset = arith::ConstantIndexOp::create(Builder, Loc, I.Offset);
      Value View = memref::ViewOp::create(Builder, Loc, I.Buffer.getType(),
                                          Scratch, Offset, ValueRange());
      I.Buffer.replaceAllUsesWith(View);
      I.Buffer.erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> createAssignScratchPass() {
  return std::make_unique<AssignScratchPass>();
}

} // namespace transxssm::x86
