//===- InsertBarriers.cpp - Where threads wait for each other -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Walks the function with the accesses that no barrier separates from here. An
// access that meets one of them in the same bytes, with a write among the two,
// gets a barrier before it. The end of a loop's body leads to its start, so
// bodies are walked twice, the second time with what the first left over.
//
// An asynchronous copy writes twice: some time after it is issued, and at the
// latest where its thread waits for it, from where on a barrier makes it
// visible to others.
//
// Accesses of one group touch different elements (or, reads, are harmless), and
// need no barrier between them; an access in a branch that not all threads take
// gets its barrier before the branch.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/DeviceOps.h"
#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/WgmmaOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace transxssm::nvptx {
namespace {

/// Bytes of shared memory, or (Hazard >= 0) somewhere in a global memory.
struct MemoryAccess {
  int64_t Hazard, First, End, Group, Ring;
  bool Writes, IsCopy;

  bool conflictsWith(const MemoryAccess &Other) const {
    if (!Writes && !Other.Writes)
      return false;
    if (Writes && Other.Writes && Group == Other.Group)
      return false;
    if (Ring >= 0 && Ring == Other.Ring)
      return false;
    return Hazard == Other.Hazard && First < Other.End && Other.First < End;
  }
  bool operator==(const MemoryAccess &Other) const {
    return Hazard == Other.Hazard && First == Other.First && End == Other.End &&
           Group == Other.Group && Ring == Other.Ring &&
           Writes == Other.Writes && IsCopy == Other.IsCopy;
  }
};

using Accesses = SmallVector<MemoryAccess>;

void insert(Accesses &To, const MemoryAccess &A) {
  if (!llvm::is_contained(To, A))
    To.push_back(A);
}

/// Adds what the operation accesses: places of one memory, or several.
void addAccesses(Operation *Op, Accesses &To) {
  auto Number = [&](const char *Attribute) {
    auto Found = Op->getAttrOfType<IntegerAttr>(Attribute);
    return Found ? Found.getInt() : -1;
  };
  MemoryAccess Made{Number(HazardAttr),
                    0,
                    1,
                    Number(GroupAttr),
                    Number(RingAttr),
                    Op->getNumResults() == 0,
                    Op->hasAttr(CopyAttr)};
  if (Made.Hazard >= 0)
    insert(To, Made);
  Made.Hazard = -1;
  auto Bytes = Op->getAttrOfType<DenseI64ArrayAttr>(BytesAttr);
  for (int64_t I = 0; Bytes && I < Bytes.size(); I += 2) {
    Made.First = Bytes[I];
    Made.End = Bytes[I + 1];
    insert(To, Made);
  }
}

/// Where a barrier before the operation goes: not between products by a warp
/// group and their fence.
Operation *placeBefore(Operation *Op) {
  if (!isa<LLVM::InlineAsmOp>(Op) || !Op->hasAttr(BytesAttr))
    return Op;
  for (Operation *Before = Op->getPrevNode(); Before;
       Before = Before->getPrevNode()) {
    if (isProductFence(Before))
      return Before;
    if (Before->getNumRegions() != 0 || isBarrier(Before))
      break;
  }
  return Op;
}

class BarrierInserter {
public:
  /// Barriers are for the first `Threads` of the block; 0: for all.
  explicit BarrierInserter(int64_t Threads) : Threads(Threads) {}

  void walk(Block &Block) {
    for (Operation &Op : llvm::make_early_inc_range(Block))
      visit(&Op);
  }

private:
  void visit(Operation *Op) {
    if (isBarrier(Op)) {
      Pending.clear();
      return;
    }
    if (bool ForAll; isCopyWait(Op, ForAll)) {
      // Now they write, as far as others are concerned.
      merge(UnderWay);
      if (ForAll)
        UnderWay.clear();
      return;
    }
    if (auto For = dyn_cast<scf::ForOp>(Op)) {
      // Once before the loop rather than in every iteration.
      waitForOthers(Op);
      Accesses Before = Pending;
      walk(*For.getBody());
      merge(Before);
      walk(*For.getBody());
      // The loop may not run at all.
      merge(Before);
      return;
    }
    auto If = dyn_cast<scf::IfOp>(Op);
    if (If && !If->hasAttr(DivergentAttr)) {
      Accesses Before = Pending, After;
      bool HasElse = !If.getElseRegion().empty();
      for (Region &Region : If->getRegions()) {
        if (Region.empty())
          continue;
        Pending = Before;
        walk(Region.front());
        for (const MemoryAccess &A : Pending)
          insert(After, A);
      }
      Pending = std::move(After);
      if (!HasElse)
        merge(Before);
      return;
    }
    Accesses Own = waitForOthers(Op);
    merge(Own);
    for (const MemoryAccess &A : Own)
      if (A.IsCopy)
        insert(UnderWay, A);
  }

  /// Puts a barrier before the operation if it, or what it contains, meets a
  /// pending access; returns its accesses.
  Accesses waitForOthers(Operation *Op) {
    Accesses Own;
    Op->walk([&](Operation *Inner) { addAccesses(Inner, Own); });
    bool Conflict = llvm::any_of(Own, [&](const MemoryAccess &A) {
      return llvm::any_of(Pending, [&](const MemoryAccess &Earlier) {
        return A.conflictsWith(Earlier);
      });
    });
    if (Conflict) {
      ImplicitLocOpBuilder B(Op->getLoc(), placeBefore(Op));
      barrier(B, Threads);
      Pending.clear();
    }
    return Own;
  }

  void merge(const Accesses &Others) {
    for (const MemoryAccess &A : Others)
      insert(Pending, A);
  }

  int64_t Threads;
  Accesses Pending, UnderWay;
};

/// Of fences with nothing but a thread's own accesses between them the last is
/// enough.
void dropRepeatedFences(Block *Block) {
  Operation *Last = nullptr;
  for (Operation &Op : llvm::make_early_inc_range(*Block)) {
    if (isProxyFence(&Op)) {
      if (Last)
        Last->erase();
      Last = &Op;
    } else if (isBarrier(&Op) || Op.getNumRegions() != 0 ||
               isProductFence(&Op)) {
      Last = nullptr;
    }
  }
}

struct InsertBarriersPass
    : PassWrapper<InsertBarriersPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(InsertBarriersPass)

  StringRef getArgument() const override { return "insert-barriers"; }
  StringRef getDescription() const override {
    return "make threads of a block wait where they share memory";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<LLVM::LLVMDialect>();
  }
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    auto Consumers = getOperation()->getAttrOfType<IntegerAttr>(ConsumersAttr);
    BarrierInserter(Consumers ? Consumers.getInt() : 0)
        .walk(getOperation().getBody().front());
    getOperation().walk(dropRepeatedFences);
  }
};
} // namespace

std::unique_ptr<Pass> createInsertBarriersPass() {
  return std::make_unique<InsertBarriersPass>();
}

void registerNvptxPasses() {
  registerPass(createSplitProductsPass);
  registerPass([] { return createTileToThreadsPass(); });
  registerPass(createAssignSharedMemoryPass);
  registerPass(createInsertBarriersPass);
  registerPass(createExpandExponentialsPass);
}

} // namespace transxssm::nvptx
