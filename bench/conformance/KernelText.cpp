//===- KernelText.cpp - Kernels written as LLVM IR ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/KernelText.h"

using namespace transxssm;
using namespace transxssm::conformance;

static std::string joined(const std::vector<Value> &Operands) {
  std::string Text;
  for (const Value &Each : Operands)
    Text += (Text.empty() ? "" : ", ") + Each.str();
  return Text;
}

std::string conformance::structureOf(const std::string &Type, size_t Count) {
  std::string Text = "{ ";
  for (size_t I = 0; I < Count; ++I)
    Text += (I ? ", " : "") + Type;
  return Text + " }";
}

Value KernelText::pointer(const std::string &Name) {
  Parameters += (Parameters.empty() ? "" : ", ");
  Parameters += "ptr addrspace(1) %" + Name;
  return {"ptr addrspace(1)", "%" + Name};
}

/// The map must stay in the memory of parameters, where the accelerator reads
/// it.
Value KernelText::tensorMap(const std::string &Name) {
  Parameters += (Parameters.empty() ? "" : ", ");
  Parameters +=
      "ptr byval([128 x i8]) align 64 \"nvvm.grid_constant\" %" + Name;
  return {"ptr", "%" + Name};
}

Value KernelText::thread() {
  if (Thread.Name.empty())
    Thread = call("i32", "llvm.nvvm.read.ptx.sreg.tid.x", {});
  return Thread;
}

Value KernelText::shared(int64_t Offset) {
  return at({"ptr addrspace(3)", "@shared_memory"}, "i8", word(Offset));
}

Value KernelText::make(const std::string &Type, const std::string &Text) {
  Value Made{Type, "%v" + std::to_string(Values++)};
  emit(Made.Name + " = " + Text);
  return Made;
}

Value KernelText::binary(const std::string &Op, const Value &A,
                         const Value &B) {
  return make(A.Type, Op + " " + A.str() + ", " + B.Name);
}

Value KernelText::compare(const std::string &Predicate, const Value &A,
                          const Value &B) {
  return make("i1", "icmp " + Predicate + " " + A.str() + ", " + B.Name);
}

Value KernelText::convert(const std::string &Op, const Value &From,
                          const std::string &Type) {
  return From.Type == Type ? From
                           : make(Type, Op + " " + From.str() + " to " + Type);
}

Value KernelText::at(const Value &Pointer, const std::string &Element,
                     const Value &Index) {
  return make(Pointer.Type, "getelementptr " + Element + ", " + Pointer.str() +
                                ", " + Index.str());
}

Value KernelText::load(const std::string &Type, const Value &Pointer,
                       uint32_t Align) {
  return make(Type, "load " + Type + ", " + Pointer.str() + ", align " +
                        std::to_string(Align));
}

void KernelText::store(const Value &Held, const Value &Pointer,
                       uint32_t Align) {
  emit("store " + Held.str() + ", " + Pointer.str() + ", align " +
       std::to_string(Align));
}

Value KernelText::field(const Value &Whole, size_t Number,
                        const std::string &Type) {
  if (Whole.Type[0] != '{')
    return Whole;
  return make(Type,
              "extractvalue " + Whole.str() + ", " + std::to_string(Number));
}

Value KernelText::call(const std::string &Type, const std::string &Name,
                       const std::vector<Value> &Operands) {
  std::string Types;
  for (const Value &Each : Operands)
    Types += (Types.empty() ? "" : ", ") + Each.Type;
  Declarations.insert("declare " + Type + " @" + Name + "(" + Types + ")");
  std::string Text = "call " + Type + " @" + Name + "(" + joined(Operands);
  if (Type != "void")
    return make(Type, Text + ")");
  emit(Text + ")");
  return {};
}

Value KernelText::assembly(const std::string &Type, const std::string &Text,
                           const std::string &Constraints,
                           const std::vector<Value> &Operands) {
  std::string Escaped;
  for (char C : Text)
    Escaped += C == '\n' ? std::string("\\0A") : std::string(1, C);
  std::string Line = "call " + Type + " asm sideeffect \"" + Escaped +
                     "\", \"" + Constraints + "\"(" + joined(Operands) + ")";
  if (Type != "void")
    return make(Type, Line);
  emit(Line);
  return {};
}

void KernelText::when(const Value &Condition) {
  std::string Number = std::to_string(Labels++);
  emit("br " + Condition.str() + ", label %then" + Number + ", label %end" +
       Number);
  Body += "\nthen" + Number + ":\n";
  Open.push_back(Number);
}

void KernelText::end() {
  emit("br label %end" + Open.back());
  Body += "\nend" + Open.back() + ":\n";
  Open.pop_back();
}

void KernelText::meet() {
  call("void", "llvm.nvvm.barrier.cta.sync.aligned.all", {word(0)});
}

void KernelText::meetWarp() {
  call("void", "llvm.nvvm.bar.warp.sync", {word(-1)});
}

std::vector<Value> KernelText::loadWords(const Value &From, size_t Count,
                                         const std::string &Type) {
  std::vector<Value> Words;
  Value Mine = at(From, Type, thread());
  for (size_t I = 0; I < Count; ++I)
    Words.push_back(load(Type, at(Mine, Type, word(int64_t(I) * Threads)), 4));
  return Words;
}

void KernelText::storeWords(const std::vector<Value> &Words, const Value &To) {
  Value Mine = at(To, "i32", thread());
  for (size_t I = 0; I < Words.size(); ++I)
    store(Words[I], at(Mine, "i32", word(int64_t(I) * Threads)), 4);
}

void KernelText::copy(const Value &From, const Value &To, int64_t Bytes) {
  const std::string Chunk = "<4 x i32>";
  int64_t Chunks = Bytes / 16;
  for (int64_t First = 0; First < Chunks; First += Threads) {
    Value Index = binary("add", thread(), word(First));
    bool Part = Chunks - First < int64_t(Threads);
    if (Part)
      when(compare("ult", Index, word(Chunks)));
    store(load(Chunk, at(From, Chunk, Index), 16), at(To, Chunk, Index), 16);
    if (Part)
      end();
  }
}

void KernelText::copyIn(const Value &From, int64_t Offset, int64_t Bytes) {
  copy(From, shared(Offset), Bytes);
}

void KernelText::copyOut(const Value &To, int64_t Offset, int64_t Bytes) {
  copy(shared(Offset), To, Bytes);
}

std::string KernelText::str() const {
  std::string Text =
      "target triple = \"nvptx64-nvidia-cuda\"\n"
      "@shared_memory = external addrspace(3) global [0 x i8], align 1024\n";
  for (const std::string &Each : Declarations)
    Text += Each + "\n";
  return Text + "\ndefine ptx_kernel void @" + Symbol + "(" + Parameters +
         ") #0 {\n" + Body +
         "  ret void\n}\n\nattributes #0 = { \"nvvm.maxntid\"=\"" +
         std::to_string(Threads) + "\" \"nvvm.minctasm\"=\"1\" }\n";
}
