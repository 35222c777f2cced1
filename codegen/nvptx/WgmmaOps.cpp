//===- WgmmaOps.cpp - Products by a warp group, as operations -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/WgmmaOps.h"
#include "codegen/nvptx/DeviceOps.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace transxssm::nvptx {

constexpr char ProxyFenceName[] = "llvm.nvvm.fence.proxy.async.shared_cta";
constexpr char CommitName[] = "llvm.nvvm.wgmma.commit_group.sync.aligned";
constexpr char LeaveName[] = "llvm.nvvm.wgmma.wait_group.sync.aligned";
constexpr char FenceText[] = "wgmma.fence.sync.aligned;";
constexpr char WaitText[] = "wgmma.wait_group.sync.aligned 0;";

Operation *fenceProxy(ImplicitLocOpBuilder &B) {
  return LLVM::CallIntrinsicOp::create(B, B.getStringAttr(ProxyFenceName),
                                       ValueRange());
}

bool isProxyFence(Operation *Op) {
  auto Call = dyn_cast<LLVM::CallIntrinsicOp>(Op);
  return Call && Call.getIntrin() == ProxyFenceName;
}

Operation *storeMatrices(ImplicitLocOpBuilder &B, Value Address,
                         ArrayRef<Value> Words) {
  SmallVector<Value> Operands{Address};
  llvm::append_range(Operands, Words);
  return LLVM::CallIntrinsicOp::create(
      B, B.getStringAttr("llvm.nvvm.stmatrix.sync.aligned.m8n8.x4.b16"),
      Operands);
}

bool isProductFence(Operation *Op) {
  auto Asm = dyn_cast<LLVM::InlineAsmOp>(Op);
  return Asm && Asm.getAsmString() == FenceText;
}

/// Inline PTX that leaves its first operands, registers of 32 bits, changed in
/// place.
static LLVM::InlineAsmOp inPlace(ImplicitLocOpBuilder &B, const Twine &Text,
                                 ArrayRef<Value> Registers,
                                 ArrayRef<Value> Others = {},
                                 StringRef OtherConstraints = "") {
  SmallVector<std::string> Constraints;
  SmallVector<Type> Types;
  for (Value V : Registers) {
    Constraints.push_back(V.getType().isF32() ? "=f" : "=r");
    Types.push_back(V.getType());
  }
  for (size_t I = 0; I < Registers.size(); ++I)
    Constraints.push_back(std::to_string(I));
  if (!OtherConstraints.empty())
    Constraints.push_back(OtherConstraints.str());
  Constraints.push_back("~{memory}");
  SmallVector<Value> Operands(Registers);
  llvm::append_range(Operands, Others);
  auto Dialect =
      LLVM::AsmDialectAttr::get(B.getContext(), LLVM::AsmDialect::AD_ATT);
  return LLVM::InlineAsmOp::create(
      B, LLVM::LLVMStructType::getLiteral(B.getContext(), Types), Operands,
      Text.str(), llvm::join(Constraints, ","), /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None, Dialect,
      ArrayAttr());
}

SmallVector<Value> fenceProducts(ImplicitLocOpBuilder &B,
                                 ArrayRef<Value> Registers) {
  return unpackStruct(B, inPlace(B, FenceText, Registers).getResult(0));
}

void commitProducts(ImplicitLocOpBuilder &B) {
  LLVM::CallIntrinsicOp::create(B, B.getStringAttr(CommitName), ValueRange());
}

void leaveProducts(ImplicitLocOpBuilder &B, int64_t Groups) {
  Value Left =
      LLVM::ConstantOp::create(B, B.getI64Type(), B.getI64IntegerAttr(Groups));
  LLVM::CallIntrinsicOp::create(B, B.getStringAttr(LeaveName),
                                ValueRange(Left));
}

SmallVector<Value> waitForProducts(ImplicitLocOpBuilder &B,
                                   ArrayRef<Value> Registers) {
  return unpackStruct(B, inPlace(B, WaitText, Registers).getResult(0));
}

int64_t descriptorBits(int64_t Leading) {
  // PTX ISA, "Matrix Descriptor Format": everything in units of 16 bytes, the
  // leading dimension's offset from bit 16 on, the stride from eight rows to
  // the next eight from bit 32 on, swizzling in bits 62 and 63.
  constexpr int64_t EightRows = 8 * 128 / 16;
  constexpr uint64_t Swizzle128 = uint64_t(1) << 62;
  return static_cast<int64_t>(Swizzle128 | EightRows << 32 |
                              (Leading / 16) << 16);
}

/// "{$0, $1, ...}".
static std::string registerList(size_t First, size_t Count) {
  SmallVector<std::string> Names;
  for (size_t I = First; I < First + Count; ++I)
    Names.push_back("$" + std::to_string(I));
  return "{" + llvm::join(Names, ", ") + "}";
}

SmallVector<Value> multiplyGroup(ImplicitLocOpBuilder &B, ArrayRef<Value> Sums,
                                 ArrayRef<Value> Left, Value Right,
                                 bool TransposeLeft, bool TransposeRight,
                                 bool Accumulates, Operation **Made) {
  // The inputs that are tied to the sums have numbers of their own.
  size_t FirstLeft = 2 * Sums.size();
  bool InRegisters = Left.size() == 4;
  std::string LeftText = InRegisters ? registerList(FirstLeft, 4)
                                     : "$" + std::to_string(FirstLeft);
  std::string Text = "wgmma.mma_async.sync.aligned.m64n" +
                     std::to_string(2 * Sums.size()) + "k16.f32.bf16.bf16 " +
                     registerList(0, Sums.size()) + ", " + LeftText + ", $" +
                     std::to_string(FirstLeft + Left.size());
  // Signs, and which operand is transposed; one in registers never is.
  Text += Accumulates ? ", 1, 1, 1" : ", 0, 1, 1";
  if (!InRegisters)
    Text += TransposeLeft ? ", 1" : ", 0";
  Text += TransposeRight ? ", 1;" : ", 0;";
  SmallVector<Value> Others(Left);
  Others.push_back(Right);
  LLVM::InlineAsmOp Asm =
      inPlace(B, Text, Sums, Others, InRegisters ? "r,r,r,r,l" : "l,l");
  *Made = Asm;
  return unpackStruct(B, Asm.getResult(0));
}

bool isAddressPart(Operation *Op) {
  return isa<UnrealizedConversionCastOp, LLVM::GEPOp, LLVM::PtrToIntOp,
             LLVM::AndOp, LLVM::OrOp, LLVM::AddOp, LLVM::LShrOp>(Op);
}

} // namespace transxssm::nvptx
