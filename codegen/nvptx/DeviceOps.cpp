//===- DeviceOps.cpp - What only a GPU has, as operations -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Intrinsics are called by name: the NVVM dialect would add nothing but
// compile time.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/DeviceOps.h"
#include "codegen/nvptx/PtxForms.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace transxssm::nvptx {

constexpr char BarrierName[] = "llvm.nvvm.barrier.cta.sync.aligned.all";
constexpr char PartBarrierName[] = "llvm.nvvm.barrier.cta.sync.aligned.count";

static Value readRegister(ImplicitLocOpBuilder &B, const Twine &Name) {
  auto Call = LLVM::CallIntrinsicOp::create(
      B, B.getI32Type(), B.getStringAttr("llvm.nvvm.read.ptx.sreg." + Name),
      ValueRange());
  return arith::IndexCastUIOp::create(B, B.getIndexType(), Call.getResult(0));
}

Value threadNumber(ImplicitLocOpBuilder &B) { return readRegister(B, "tid.x"); }

Value blockCoordinate(ImplicitLocOpBuilder &B, unsigned Dimension) {
  return readRegister(B, "ctaid." + Twine("xyz"[Dimension]));
}

Value blockCount(ImplicitLocOpBuilder &B) {
  return readRegister(B, "nctaid.x");
}

static Value word(ImplicitLocOpBuilder &B, int32_t Number) {
  return arith::ConstantOp::create(B, B.getI32IntegerAttr(Number));
}

Operation *barrier(ImplicitLocOpBuilder &B, int64_t Threads) {
  // Number 0 is the whole block's.
  if (Threads != 0)
    return LLVM::CallIntrinsicOp::create(
        B, B.getStringAttr(PartBarrierName),
        ValueRange{word(B, 1), word(B, static_cast<int32_t>(Threads))});
  return LLVM::CallIntrinsicOp::create(B, B.getStringAttr(BarrierName),
                                       ValueRange(word(B, 0)));
}

bool isBarrier(Operation *Op) {
  auto Call = dyn_cast<LLVM::CallIntrinsicOp>(Op);
  return Call && (Call.getIntrin() == BarrierName ||
                  Call.getIntrin() == PartBarrierName);
}

void setRegisters(ImplicitLocOpBuilder &B, int32_t Count, bool More) {
  // The number is an immediate of the instruction.
  Value Number =
      LLVM::ConstantOp::create(B, B.getI32Type(), B.getI32IntegerAttr(Count));
  LLVM::CallIntrinsicOp::create(
      B, B.getStringAttr(More ? MoreRegistersName : FewerRegistersName),
      ValueRange(Number));
}

Value shuffleXor(ImplicitLocOpBuilder &B, Value V, int64_t Mask) {
  StringRef Name = V.getType().isF32() ? "llvm.nvvm.shfl.sync.bfly.f32"
                                       : "llvm.nvvm.shfl.sync.bfly.i32";
  return LLVM::CallIntrinsicOp::create(
             B, V.getType(), B.getStringAttr(Name),
             ValueRange{word(B, -1), V, word(B, Mask), word(B, 31)})
      .getResult(0);
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

Operation *loadMatrices(ImplicitLocOpBuilder &B, Value Address,
                        bool Transposed) {
  StringRef Name = Transposed
                       ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"
                       : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16";
  SmallVector<Type> Words(4, B.getI32Type());
  return LLVM::CallIntrinsicOp::create(
      B, LLVM::LLVMStructType::getLiteral(B.getContext(), Words),
      B.getStringAttr(Name), ValueRange(Address));
}

SmallVector<Value> multiplyMatrices(ImplicitLocOpBuilder &B,
                                    ArrayRef<Value> Left, ArrayRef<Value> Right,
                                    ArrayRef<Value> Sums) {
  SmallVector<Value> Operands(Left);
  llvm::append_range(Operands, Right);
  llvm::append_range(Operands, Sums);
  SmallVector<Type> Types(4, B.getF32Type());
  auto Call = LLVM::CallIntrinsicOp::create(
      B, LLVM::LLVMStructType::getLiteral(B.getContext(), Types),
      B.getStringAttr("llvm.nvvm.mma.m16n8k16.row.col.bf16"), Operands);
  return unpackStruct(B, Call.getResult(0));
}

SmallVector<Value> unpackStruct(ImplicitLocOpBuilder &B, Value Struct) {
  SmallVector<Value> Fields;
  auto Type = cast<LLVM::LLVMStructType>(Struct.getType());
  for (size_t I = 0; I < Type.getBody().size(); ++I)
    Fields.push_back(LLVM::ExtractValueOp::create(B, Struct, I));
  return Fields;
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value packVector(ImplicitLocOpBuilder &B, ArrayRef<Value> Elements) {
  auto Type = VectorType::get({static_cast<int64_t>(Elements.size())},
                              Elements.front().getType());
  return vector::FromElementsOp::create(B, Type, Elements);
}

SmallVector<Value> unpackVector(ImplicitLocOpBuilder &B, Value Vector) {
  SmallVector<Value> Elements;
  int64_t Count = cast<VectorType>(Vector.getType()).getNumElements();
  for (int64_t I = 0; I < Count; ++I)
    Elements.push_back(vector::ExtractOp::create(B, Vector, I));
  return Elements;
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

static int64_t bytesOf(Type Element) {
  return Element.getIntOrFloatBitWidth() / 8;
}

static Value addressOf(ImplicitLocOpBuilder &B, Type Element, Value Pointer,
                       Value Address) {
  Value Offset = arith::IndexCastOp::create(B, B.getI64Type(), Address);
  return LLVM::GEPOp::create(B, Pointer.getType(), Element, Pointer,
                             ArrayRef<LLVM::GEPArg>{Offset});
}

/// The forms for so many bytes, and the type of what they move.
static const PtxForm &formFor(int64_t Bytes, bool Load) {
  switch (Bytes) {
  case 2:
    return Load ? LoadHalf : StoreHalf;
  case 4:
    return Load ? LoadWord : StoreWord;
  case 8:
    return Load ? LoadWords2 : StoreWords2;
  default:
    return Load ? LoadWords4 : StoreWords4;
  }
}

static VectorType wordsFor(ImplicitLocOpBuilder &B, int64_t Bytes) {
  return Bytes == 2 ? VectorType::get({1}, B.getI16Type())
                    : VectorType::get({Bytes / 4}, B.getI32Type());
}

static LLVM::InlineAsmOp inlinePtx(ImplicitLocOpBuilder &B, const PtxForm &Form,
                                   Type Result, ValueRange Operands) {
  auto Dialect =
      LLVM::AsmDialectAttr::get(B.getContext(), LLVM::AsmDialect::AD_ATT);
  return LLVM::InlineAsmOp::create(
      B, Result ? TypeRange(Result) : TypeRange(), Operands, Form.Text,
      Form.Constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None, Dialect, ArrayAttr());
}

SmallVector<Value> loadGlobal(ImplicitLocOpBuilder &B, Type Element,
                              int64_t Count, Value Pointer, Value Address,
                              Value Predicate, Operation **Made) {
  Value Place = addressOf(B, Element, Pointer, Address);
  int64_t Bytes = Count * bytesOf(Element);
  auto Vector = VectorType::get({Count}, Element);
  if (!Predicate) {
    auto Load = LLVM::LoadOp::create(B, Vector, Place, Bytes);
    if (Made)
      *Made = Load;
    return unpackVector(B, Load);
  }
  VectorType Words = wordsFor(B, Bytes);
  SmallVector<Type> Parts(Words.getNumElements(), Words.getElementType());
  Type Result = Parts.size() == 1
                    ? Parts[0]
                    : LLVM::LLVMStructType::getLiteral(B.getContext(), Parts);
  auto Asm =
      inlinePtx(B, formFor(Bytes, /*Load=*/true), Result, {Place, Predicate});
  if (Made)
    *Made = Asm;
  SmallVector<Value> Loaded;
  for (size_t I = 0; I < Parts.size(); ++I)
    Loaded.push_back(
        Parts.size() == 1
            ? Asm.getResult(0)
            : LLVM::ExtractValueOp::create(B, Asm.getResult(0), I).getResult());
  return unpackVector(
      B, LLVM::BitcastOp::create(B, Vector, packVector(B, Loaded)));
}

Operation *storeGlobal(ImplicitLocOpBuilder &B, ArrayRef<Value> Elements,
                       Value Pointer, Value Address, Value Predicate) {
  Type Element = Elements.front().getType();
  Value Place = addressOf(B, Element, Pointer, Address);
  int64_t Bytes = Elements.size() * bytesOf(Element);
  Value Vector = packVector(B, Elements);
  if (!Predicate)
    return LLVM::StoreOp::create(B, Vector, Place, Bytes);
  SmallVector<Value> Operands{Place, Predicate};
  llvm::append_range(
      Operands,
      unpackVector(B, LLVM::BitcastOp::create(B, wordsFor(B, Bytes), Vector)));
  return inlinePtx(B, formFor(Bytes, /*Load=*/false), Type(), Operands);
}

//===----------------------------------------------------------------------===//
// Asynchronous copies
//===----------------------------------------------------------------------===//

constexpr char WaitName[] = "llvm.nvvm.cp.async.wait.group";
constexpr int32_t CopyBytes = 16;

Operation *copyAsync(ImplicitLocOpBuilder &B, Type Element, Value To,
                     Value Pointer, Value Address, Value Predicate) {
  constexpr char Name[] = "llvm.nvvm.cp.async.cg.shared.global.16";
  Value Place = addressOf(B, Element, Pointer, Address);
  if (!Predicate)
    return LLVM::CallIntrinsicOp::create(B, B.getStringAttr(Name),
                                         ValueRange{To, Place});
  // Fewer bytes than are written are read; the others are zeros.
  Value Read =
      arith::SelectOp::create(B, Predicate, word(B, CopyBytes), word(B, 0));
  return LLVM::CallIntrinsicOp::create(B, B.getStringAttr(Twine(Name) + ".s"),
                                       ValueRange{To, Place, Read});
}

void commitCopies(ImplicitLocOpBuilder &B) {
  LLVM::CallIntrinsicOp::create(
      B, B.getStringAttr("llvm.nvvm.cp.async.commit.group"), ValueRange());
}

void waitForCopies(ImplicitLocOpBuilder &B, int64_t Left) {
  LLVM::CallIntrinsicOp::create(B, B.getStringAttr(WaitName),
                                ValueRange(word(B, Left)));
}

bool isCopyWait(Operation *Op, bool &ForAll) {
  auto Call = dyn_cast<LLVM::CallIntrinsicOp>(Op);
  if (!Call || Call.getIntrin() != WaitName)
    return false;
  ForAll = matchPattern(Call.getArgs()[0], m_Zero());
  return true;
}

} // namespace transxssm::nvptx
