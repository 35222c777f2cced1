//===- KernelAbi.cpp - The signature that the runtime calls ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Turns the arguments of a lowered kernel (memrefs, indices, a range of cells,
// scratch) into those of TransXSSMCpuKernel.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace transxssm::x86 {
namespace {

/// Reads a launch's buffers and sizes in argument order.
class ArgumentReader {
public:
  ArgumentReader(ImplicitLocOpBuilder &B, Value Buffers, Value Sizes)
      : B(B), BufferTable(Buffers), SizeTable(Sizes) {}

  Value nextBuffer() {
    return next(BufferTable, NextBuffer,
                LLVM::LLVMPointerType::get(B.getContext()));
  }
  Value nextSize() { return next(SizeTable, NextSize, B.getI64Type()); }

private:
  Value next(Value Table, int32_t &Number, Type Type) {
    Value Address =
        LLVM::GEPOp::create(B, LLVM::LLVMPointerType::get(B.getContext()), Type,
                            Table, ArrayRef<LLVM::GEPArg>{Number++});
    auto Load = LLVM::LoadOp::create(B, Type, Address);
    Load.setInvariant(true);
    return Load;
  }

  ImplicitLocOpBuilder &B;
  Value BufferTable, SizeTable;
  int32_t NextBuffer = 0, NextSize = 0;
};

Value constant(ImplicitLocOpBuilder &B, int64_t Number) {
  return LLVM::ConstantOp::create(B, B.getI64Type(),
                                  B.getI64IntegerAttr(Number));
}

/// A dense row-major memref over `Pointer`, as the descriptor that it becomes
/// in LLVM.
Value buildMemory(ImplicitLocOpBuilder &B, MemRefType Type, Value Pointer,
                  ArrayRef<Value> Sizes) {
  int64_t Rank = Type.getRank();
  auto PointerType = Pointer.getType();
  auto Array = LLVM::LLVMArrayType::get(B.getI64Type(), Rank);
  SmallVector<mlir::Type> Fields{PointerType, PointerType, B.getI64Type()};
  if (Rank > 0)
    Fields.append(2, Array);
  auto Struct = LLVM::LLVMStructType::getLiteral(B.getContext(), Fields);
  Value Descriptor = LLVM::PoisonOp::create(B, Struct);
  auto Insert = [&](Value Field, ArrayRef<int64_t> Place) {
    Descriptor = LLVM::InsertValueOp::create(B, Descriptor, Field, Place);
  };
  Insert(Pointer, 0);
  Insert(Pointer, 1);
  Insert(constant(B, 0), 2);
  Value Stride = constant(B, 1);
  for (int64_t D = Rank - 1; D >= 0; --D) {
    Insert(Sizes[D], {3, D});
    Insert(Stride, {4, D});
    if (D > 0)
      Stride = LLVM::MulOp::create(B, Stride, Sizes[D],
                                   LLVM::IntegerOverflowFlags::nsw);
  }
  return UnrealizedConversionCastOp::create(B, Type, Descriptor).getResult(0);
}

struct KernelAbiPass : PassWrapper<KernelAbiPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelAbiPass)

  StringRef getArgument() const override { return "kernel-abi"; }
  StringRef getDescription() const override {
    return "give kernels the signature that the runtime calls";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<LLVM::LLVMDialect>();
  }

  /// Whether the last arguments are a range of cells and scratch memory.
  LogicalResult checkSignature(func::FuncOp Function) {
    auto GridRank = Function->getAttrOfType<IntegerAttr>(GridRankAttr);
    if (!GridRank)
      return Function.emitError("kernel lacks the attribute ") << GridRankAttr;
    int64_t Rank = GridRank.getInt();
    if (Rank < 1 || Rank > 3)
      return Function.emitError("attribute ")
             << GridRankAttr << ": expected 1 to 3, got " << Rank;
    ArrayRef<Type> Types = Function.getArgumentTypes();
    if (!hasScratchArgument(Function) || Rank + 1 >= int64_t(Types.size()) ||
        !llvm::all_of(Types.drop_back().take_back(Rank + 1),
                      [](Type T) { return T.isIndex(); }))
      return Function.emitError("kernel expects ")
             << Rank + 1
             << " numbers of type index, for a range of cells, and scratch "
                "memory of type memref<?xi8> as its last arguments";
    return success();
  }

  LogicalResult rewrite(func::FuncOp Function) {
    if (failed(checkSignature(Function)))
      return failure();
    int64_t GridRank =
        Function->getAttrOfType<IntegerAttr>(GridRankAttr).getInt();
    Block *Entry = &Function.getBody().front();
    SmallVector<Value> Old(Entry->getArguments());
    unsigned OldCount = Old.size();
    ImplicitLocOpBuilder B(Function.getLoc(), Function.getContext());
    auto Pointer = LLVM::LLVMPointerType::get(B.getContext());
    SmallVector<Type> Types{Pointer,        Pointer,        Pointer,
                            B.getI64Type(), B.getI64Type(), B.getI64Type(),
                            B.getI64Type()};
    // New arguments behind the old, which are dropped at the end.
    for (Type T : Types)
      Entry->addArgument(T, Function.getLoc());
    B.setInsertionPointToStart(Entry);
    auto New = Entry->getArguments().drop_front(OldCount);
    unsigned Launch = OldCount - 2 - GridRank;
    if (failed(bindLaunchArguments(B, Function, Old, Launch, New)))
      return failure();
    for (unsigned I = Launch; I + 1 < OldCount; ++I)
      Old[I].replaceAllUsesWith(
          arith::IndexCastOp::create(B, B.getIndexType(), New[3 + I - Launch]));
    auto Scratch = cast<MemRefType>(Old.back().getType());
    Value Bytes = constant(B, ShapedType::kDynamic);
    Old.back().replaceAllUsesWith(buildMemory(B, Scratch, New[2], Bytes));
    Entry->eraseArguments(0, OldCount);
    Function.setFunctionType(B.getFunctionType(Types, {}));
    Function.setArgAttr(2, LLVM::LLVMDialect::getNoAliasAttrName(),
                        B.getUnitAttr());
    return success();
  }

  LogicalResult bindLaunchArguments(ImplicitLocOpBuilder &B,
                                    func::FuncOp Function,
                                    MutableArrayRef<Value> Old, unsigned Launch,
                                    ArrayRef<BlockArgument> New) {
    ArgumentReader Reader(B, New[0], New[1]);
    for (unsigned I = 0; I < Launch; ++I) {
      Type T = Old[I].getType();
      if (T.isIndex()) {
        Old[I].replaceAllUsesWith(
            arith::IndexCastOp::create(B, B.getIndexType(), Reader.nextSize()));
        continue;
      }
      auto Memory = dyn_cast<MemRefType>(T);
      if (!Memory)
        return Function.emitError("kernel argument ")
               << I << " has type " << T << ", expected a memref or index";
      Value Pointer = Reader.nextBuffer();
      SmallVector<Value> Sizes;
      for (int64_t D : Memory.getShape())
        Sizes.push_back(ShapedType::isDynamic(D) ? Reader.nextSize()
                                                 : constant(B, D));
      Old[I].replaceAllUsesWith(buildMemory(B, Memory, Pointer, Sizes));
    }
    return success();
  }

  void runOnOperation() override {
    for (auto Function : getOperation().getOps<func::FuncOp>())
      if (!Function.isExternal() && failed(rewrite(Function)))
        return signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> createKernelAbiPass() {
  return std::make_unique<KernelAbiPass>();
}

} // namespace transxssm::x86
