//===- AssignSharedMemory.cpp - Places for tiles in shared memory ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A buffer lives from its allocation to the last operation, within the block of
// its allocation, that accesses it or contains an access. A pipe lives until
// consumers, the first region of an scf.if, have used it for the last time:
// what the producer, the other region, copies there has landed by then. Where
// all accesses of a buffer lie in branches that blocks take for some values of
// a coordinate of theirs, it lives in those blocks alone. Buffers are placed in
// the order of their size at the lowest offset where they meet no other that
// lives at the same time.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/DeviceOps.h"
#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/WgmmaOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace transxssm::nvptx {
namespace {

/// Alignment of every buffer at least: that of the widest access.
constexpr int64_t BufferAlignment = 128;

/// Some blocks: those whose coordinate is one of the numbers; all of them where
/// there is no coordinate.
struct Blocks {
  Value Coordinate;
  llvm::SmallSetVector<int64_t, 4> Numbers;

  bool meet(const Blocks &Others) const {
    return !Coordinate || Coordinate != Others.Coordinate ||
           llvm::any_of(Numbers, [&](int64_t Number) {
             return Others.Numbers.contains(Number);
           });
  }
};

struct Buffer {
  memref::AllocOp Alloc;
  int64_t First, Last, Bytes, Alignment, Offset = 0;
  Blocks Users = {};

  bool livesWith(const Buffer &Other) const {
    return First <= Other.Last && Other.First <= Last &&
           Users.meet(Other.Users);
  }
};

/// Whether it is a coordinate of the block: all threads have the same, always.
bool isBlockCoordinate(Value V) {
  auto Cast = V.getDefiningOp<arith::IndexCastUIOp>();
  auto Call =
      Cast ? Cast.getIn().getDefiningOp<LLVM::CallIntrinsicOp>() : nullptr;
  return Call && Call.getIntrin().starts_with("llvm.nvvm.read.ptx.sreg.ctaid");
}

/// Finds a coordinate of blocks that has one value where the condition holds.
bool decidesCoordinate(Value Condition, Value &Coordinate, int64_t &Number) {
  if (auto And = Condition.getDefiningOp<arith::AndIOp>())
    return decidesCoordinate(And.getLhs(), Coordinate, Number) ||
           decidesCoordinate(And.getRhs(), Coordinate, Number);
  auto Compare = Condition.getDefiningOp<arith::CmpIOp>();
  APInt Constant;
  if (!Compare || Compare.getPredicate() != arith::CmpIPredicate::eq ||
      !isBlockCoordinate(Compare.getLhs()) ||
      !matchPattern(Compare.getRhs(), m_ConstantInt(&Constant)))
    return false;
  Coordinate = Compare.getLhs();
  Number = Constant.getSExtValue();
  return true;
}

/// The blocks that run the operation, as far as one branch around it says.
Blocks blocksOf(Operation *Op) {
  for (; Op && !isa<func::FuncOp>(Op); Op = Op->getParentOp()) {
    auto If = dyn_cast<scf::IfOp>(Op->getParentOp());
    Blocks Found;
    int64_t Number = 0;
    if (!If || Op->getBlock() != If.thenBlock() ||
        !decidesCoordinate(If.getCondition(), Found.Coordinate, Number))
      continue;
    Found.Numbers.insert(Number);
    return Found;
  }
  return {};
}

/// The blocks that run any of the operations.
Blocks blocksOf(ArrayRef<Operation *> Operations) {
  Blocks All;
  for (Operation *Op : Operations) {
    Blocks Own = blocksOf(Op);
    if (!Own.Coordinate || (All.Coordinate && All.Coordinate != Own.Coordinate))
      return {};
    All.Coordinate = Own.Coordinate;
    All.Numbers.insert_range(Own.Numbers);
  }
  return All;
}

int64_t elementBytes(Value Memory) {
  return cast<MemRefType>(Memory.getType()).getElementTypeBitWidth() / 8;
}

struct AssignSharedMemoryPass
    : PassWrapper<AssignSharedMemoryPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(AssignSharedMemoryPass)

  StringRef getArgument() const override { return "assign-shared-memory"; }
  StringRef getDescription() const override {
    return "give every buffer in shared memory its bytes";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<arith::ArithDialect, LLVM::LLVMDialect>();
  }

  static SmallVector<Buffer> findBuffers(func::FuncOp Function);
  static int64_t place(MutableArrayRef<Buffer> Buffers);
  LogicalResult rewrite(const Buffer &B);
  void runOnOperation() override;
};

SmallVector<Buffer> AssignSharedMemoryPass::findBuffers(func::FuncOp Function) {
  // Numbers in the order of the text; an operation's region comes before its
  // end.
  DenseMap<Operation *, int64_t> Begin, End;
  int64_t Next = 0;
  std::function<void(Operation *)> Count = [&](Operation *Op) {
    Begin[Op] = Next++;
    for (Region &Region : Op->getRegions())
      for (Block &Block : Region)
        for (Operation &Inner : Block)
          Count(&Inner);
    End[Op] = Next++;
  };
  Count(Function);
  SmallVector<Buffer> Buffers;
  Function.walk([&](memref::AllocOp Alloc) {
    int64_t Alignment = std::max<int64_t>(
        BufferAlignment, Alloc.getAlignment().value_or(BufferAlignment));
    Buffer Made{Alloc, Begin[Alloc], End[Alloc], 0, Alignment};
    Made.Bytes =
        llvm::alignTo(Alloc.getType().getNumElements() * elementBytes(Alloc),
                      BufferAlignment);
    if (Alloc->hasAttr(WholeAttr)) {
      Made.First = Begin[Function];
      Made.Last = End[Function];
    }
    SmallVector<Operation *> Users(Alloc->getUsers());
    for (size_t I = 0; I < Users.size(); ++I) {
      Operation *User = Users[I];
      Operation *Use = Alloc->getBlock()->findAncestorOpInBlock(*User);
      if (auto If = dyn_cast<scf::IfOp>(Use); If && Alloc->hasAttr(PipeAttr)) {
        Use = If.thenBlock()->findAncestorOpInBlock(*User);
        if (!Use)
          continue;
      }
      Made.Last = std::max(Made.Last, End[Use]);
      // Pointers into the buffer.
      if (isAddressPart(User))
        llvm::append_range(Users, User->getUsers());
    }
    Made.Users = blocksOf(Users);
    Buffers.push_back(Made);
  });
  return Buffers;
}

/// Sets the offsets; returns the bytes in all.
int64_t AssignSharedMemoryPass::place(MutableArrayRef<Buffer> Buffers) {
  llvm::stable_sort(Buffers, [](const Buffer &A, const Buffer &B) {
    return A.Bytes > B.Bytes;
  });
  int64_t Total = 0;
  for (size_t I = 0; I < Buffers.size(); ++I) {
    SmallVector<std::pair<int64_t, int64_t>> Taken;
    for (const Buffer &Other : Buffers.take_front(I))
      if (Buffers[I].livesWith(Other))
        Taken.push_back({Other.Offset, Other.Offset + Other.Bytes});
    llvm::sort(Taken);
    int64_t Offset = 0;
    for (auto [From, To] : Taken) {
      if (Offset + Buffers[I].Bytes <= From)
        break;
      Offset =
          std::max<int64_t>(Offset, llvm::alignTo(To, Buffers[I].Alignment));
    }
    Buffers[I].Offset = Offset;
    Total = std::max(Total, Offset + Buffers[I].Bytes);
  }
  return Total;
}

/// Notes the bytes on every operation that gets an address of the buffer.
void markUsers(Value Address, DenseI64ArrayAttr Bytes) {
  for (Operation *User : Address.getUsers()) {
    if (isAddressPart(User)) {
      markUsers(User->getResult(0), Bytes);
      continue;
    }
    SmallVector<int64_t> All;
    if (auto Others = User->getAttrOfType<DenseI64ArrayAttr>(BytesAttr))
      llvm::append_range(All, Others.asArrayRef());
    llvm::append_range(All, Bytes.asArrayRef());
    User->setAttr(BytesAttr, DenseI64ArrayAttr::get(User->getContext(), All));
  }
}

/// The accesses of a buffer become loads and stores of LLVM; a cast of it to a
/// pointer, that pointer.
LogicalResult AssignSharedMemoryPass::rewrite(const Buffer &Placed) {
  memref::AllocOp Alloc = Placed.Alloc;
  Builder Attributes(&getContext());
  DenseI64ArrayAttr Range = Attributes.getDenseI64ArrayAttr(
      {Placed.Offset, Placed.Offset + Placed.Bytes});
  for (Operation *User : llvm::make_early_inc_range(Alloc->getUsers())) {
    ImplicitLocOpBuilder B(User->getLoc(), User);
    auto Pointer = LLVM::LLVMPointerType::get(B.getContext(), SharedSpace);
    Value Base = LLVM::AddressOfOp::create(B, Pointer, SharedMemorySymbol);
    Value Start = LLVM::GEPOp::create(
        B, Pointer, B.getI8Type(), Base,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(Placed.Offset)});
    if (isa<UnrealizedConversionCastOp>(User)) {
      User->getResult(0).replaceAllUsesWith(Start);
      markUsers(Start, Range);
      User->erase();
      continue;
    }
    auto Load = dyn_cast<vector::LoadOp>(User);
    auto Store = dyn_cast<vector::StoreOp>(User);
    if (!Load && !Store)
      return User->emitError("operation '")
             << User->getName() << "' cannot access shared memory";
    Value Index = Load ? Load.getIndices()[0] : Store.getIndices()[0];
    Value Offset = arith::IndexCastOp::create(B, B.getI64Type(), Index);
    Value Address =
        LLVM::GEPOp::create(B, Pointer, Alloc.getType().getElementType(), Start,
                            ArrayRef<LLVM::GEPArg>{Offset});
    VectorType Type = Load ? Load.getVectorType() : Store.getVectorType();
    int64_t Bytes = Type.getNumElements() * elementBytes(Alloc);
    Operation *New;
    if (Load) {
      New = LLVM::LoadOp::create(B, Type, Address, Bytes);
      Load.replaceAllUsesWith(New->getResult(0));
    } else {
      New = LLVM::StoreOp::create(B, Store.getValueToStore(), Address, Bytes);
    }
    for (const char *Name : {GroupAttr, RingAttr})
      if (Attribute Number = User->getAttr(Name))
        New->setAttr(Name, Number);
    New->setAttr(BytesAttr, Range);
    User->erase();
  }
  Alloc.erase();
  return success();
}

/// The array of all of a block's shared memory; its size is given at launch.
static void declareSharedMemory(ModuleOp Module) {
  if (Module.lookupSymbol(SharedMemorySymbol))
    return;
  OpBuilder B(Module.getBodyRegion());
  LLVM::GlobalOp::create(
      B, Module.getLoc(), LLVM::LLVMArrayType::get(B.getI8Type(), 0),
      /*isConstant=*/false, LLVM::Linkage::External, SharedMemorySymbol,
      Attribute(), /*alignment=*/1024, SharedSpace);
}

void AssignSharedMemoryPass::runOnOperation() {
  Builder B(&getContext());
  declareSharedMemory(getOperation());
  for (auto Function : getOperation().getOps<func::FuncOp>()) {
    SmallVector<Buffer> Buffers = findBuffers(Function);
    int64_t Total = place(Buffers);
    for (const Buffer &Placed : Buffers)
      if (failed(rewrite(Placed)))
        return signalPassFailure();
    Function->setAttr(SharedBytesAttr, B.getI64IntegerAttr(Total));
  }
}
} // namespace

std::unique_ptr<Pass> createAssignSharedMemoryPass() {
  return std::make_unique<AssignSharedMemoryPass>();
}

} // namespace transxssm::nvptx
