//===- TensorCopies.cpp - Copies of boxes of tensors, as operations -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/TensorCopies.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace transxssm::nvptx {

static Operation *call(ImplicitLocOpBuilder &B, const Twine &Name,
                       ValueRange Operands, Type Result = {}) {
  StringAttr Intrinsic = B.getStringAttr("llvm.nvvm." + Name);
  if (!Result)
    return LLVM::CallIntrinsicOp::create(B, Intrinsic, Operands);
  return LLVM::CallIntrinsicOp::create(B, Result, Intrinsic, Operands);
}

static Value word(ImplicitLocOpBuilder &B, int64_t Number) {
  return arith::ConstantOp::create(B, B.getI32IntegerAttr(Number));
}

Operation *initBarrier(ImplicitLocOpBuilder &B, Value Barrier,
                       int64_t Arrivals) {
  return call(B, "mbarrier.init.shared", {Barrier, word(B, Arrivals)});
}

void fenceBarriers(ImplicitLocOpBuilder &B) {
  call(B, "fence.mbarrier_init.release.cluster", {});
}

Operation *arriveAt(ImplicitLocOpBuilder &B, Value Barrier, Value Predicate) {
  call(B, "bar.warp.sync", {word(B, -1)});
  auto Dialect =
      LLVM::AsmDialectAttr::get(B.getContext(), LLVM::AsmDialect::AD_ATT);
  return LLVM::InlineAsmOp::create(
      B, TypeRange(), ValueRange{Barrier, Predicate},
      "{\n.reg .b64 state;\n@$1 mbarrier.arrive.shared.b64 state, [$0];\n}",
      "r,b,~{memory}", /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None, Dialect, ArrayAttr());
}

Operation *expectBytes(ImplicitLocOpBuilder &B, Value Barrier, int64_t Bytes) {
  return call(B, "mbarrier.arrive.expect.tx.scope.cta.space.cta",
              {Barrier, word(B, Bytes)}, B.getI64Type());
}

Operation *waitAtBarrier(ImplicitLocOpBuilder &B, Value Barrier, Value Parity) {
  auto Dialect =
      LLVM::AsmDialectAttr::get(B.getContext(), LLVM::AsmDialect::AD_ATT);
  return LLVM::InlineAsmOp::create(
      B, TypeRange(), ValueRange{Barrier, Parity},
      "{\n.reg .pred p;\nagain:\n"
      "mbarrier.try_wait.parity.shared.b64 p, [$0], $1;\n"
      "@!p bra again;\n}",
      "r,r,~{memory}", /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None, Dialect, ArrayAttr());
}

/// No hint of how the cache should treat it.
static void addNoHint(ImplicitLocOpBuilder &B, SmallVector<Value> &Operands) {
  Operands.push_back(arith::ConstantOp::create(B, B.getI64IntegerAttr(0)));
  Operands.push_back(arith::ConstantOp::create(B, B.getBoolAttr(false)));
}

Operation *storeBox(ImplicitLocOpBuilder &B, Value From, Value Map,
                    ArrayRef<Value> Coordinates) {
  SmallVector<Value> Operands{From, Map};
  llvm::append_range(Operands, Coordinates);
  addNoHint(B, Operands);
  return call(
      B, "cp.async.bulk.tensor.s2g.tile." + Twine(Coordinates.size()) + "d",
      Operands);
}

void commitBoxes(ImplicitLocOpBuilder &B) {
  call(B, "cp.async.bulk.commit.group", {});
}

void waitForBoxes(ImplicitLocOpBuilder &B, bool OnlyRead) {
  Value None =
      LLVM::ConstantOp::create(B, B.getI32Type(), B.getI32IntegerAttr(0));
  call(B,
       OnlyRead ? "cp.async.bulk.wait.group.read" : "cp.async.bulk.wait.group",
       {None});
}

Operation *copyBox(ImplicitLocOpBuilder &B, Value To, Value Barrier, Value Map,
                   ArrayRef<Value> Coordinates) {
  SmallVector<Value> Operands{To, Barrier, Map};
  llvm::append_range(Operands, Coordinates);
  addNoHint(B, Operands);
  return call(
      B, "cp.async.bulk.tensor.g2s.cta.tile." + Twine(Coordinates.size()) + "d",
      Operands);
}

} // namespace transxssm::nvptx
