//===- CopyCases.cpp - cp.async and guarded accesses ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Cases.h"
#include "bench/conformance/KernelText.h"
#include "codegen/nvptx/PtxForms.h"

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

constexpr uint32_t Lanes = 32;

std::vector<uint8_t> pattern(size_t Bytes) {
  std::vector<uint8_t> Made(Bytes);
  for (size_t I = 0; I < Bytes; ++I)
    Made[I] = uint8_t(I * 37 + I / 256 * 11 + 1);
  return Made;
}

std::string wordsType(uint32_t Bytes) {
  return Bytes == 4 ? "i32" : "<" + std::to_string(Bytes / 4) + " x i32>";
}

/// Each lane copies `Bytes`, but where the copy fills with zeros only as many
/// as lane % (Bytes + 1), and stores what its neighbour has copied.
Case asyncCase(const std::string &Cache, uint32_t Bytes, bool Fills) {
  Case Made;
  std::string Number = std::to_string(Bytes);
  Made.Name = "cp-async." + Cache + "." + Number + (Fills ? ".fill" : "");
  Made.Symbol = "cp_async_" + Cache + "_" + Number + (Fills ? "_fill" : "");
  Made.SharedBytes = Lanes * Bytes;
  KernelText K(Made.Symbol, Lanes);
  Value X = K.pointer("x"), Y = K.pointer("y");
  std::string Chunk = wordsType(Bytes);
  std::string Copy = "llvm.nvvm.cp.async." + Cache + ".shared.global." + Number;
  std::vector<Value> Operands = {K.at(K.shared(), Chunk, K.thread()),
                                 K.at(X, Chunk, K.thread())};
  if (Fills)
    Operands.push_back(K.binary("urem", K.thread(), word(Bytes + 1)));
  K.call("void", Copy + (Fills ? ".s" : ""), Operands);
  K.call("void", "llvm.nvvm.cp.async.commit.group", {});
  K.call("void", "llvm.nvvm.cp.async.wait.group", {word(0)});
  K.meetWarp();
  Value Other = K.binary("xor", K.thread(), word(1));
  K.store(K.load(Chunk, K.at(K.shared(), Chunk, Other), Bytes),
          K.at(Y, Chunk, K.thread()), Bytes);
  Made.Text = K.str();
  std::vector<uint8_t> In = pattern(Made.SharedBytes), Out(In.size());
  for (uint32_t Lane = 0; Lane < Lanes; ++Lane) {
    uint32_t From = Lane ^ 1, Count = Fills ? From % (Bytes + 1) : Bytes;
    for (uint32_t B = 0; B < Count; ++B)
      Out[Lane * Bytes + B] = In[From * Bytes + B];
  }
  Made.Arguments = {input("x", In), output("y", Out)};
  return Made;
}

struct Guarded {
  const char *Name;
  nvptx::PtxForm Load, Store;
  uint32_t Bytes;
};

const Guarded GuardedForms[] = {
    {"half", nvptx::LoadHalf, nvptx::StoreHalf, 2},
    {"word", nvptx::LoadWord, nvptx::StoreWord, 4},
    {"words2", nvptx::LoadWords2, nvptx::StoreWords2, 8},
    {"words4", nvptx::LoadWords4, nvptx::StoreWords4, 16}};

/// Two lanes of three load, four of five store.
Case guardedCase(const Guarded &Of) {
  Case Made;
  Made.Name = std::string("guarded.") + Of.Name;
  Made.Symbol = std::string("guarded_") + Of.Name;
  KernelText K(Made.Symbol, Lanes);
  Value X = K.pointer("x"), Y = K.pointer("y");
  auto Every = [&](int64_t Step) {
    return K.compare("ne", K.binary("urem", K.thread(), word(Step)), word(0));
  };
  std::string Unit = Of.Bytes == 2 ? "i16" : "i32";
  uint32_t Count = Of.Bytes == 2 ? 1 : Of.Bytes / 4;
  std::string Whole = "[" + std::to_string(Count) + " x " + Unit + "]";
  Value Loaded =
      K.assembly(Count == 1 ? Unit : structureOf(Unit, Count), Of.Load.Text,
                 Of.Load.Constraints, {K.at(X, Whole, K.thread()), Every(3)});
  std::vector<Value> Operands = {K.at(Y, Whole, K.thread()), Every(5)};
  for (uint32_t I = 0; I < Count; ++I)
    Operands.push_back(K.field(Loaded, I, Unit));
  K.assembly("void", Of.Store.Text, Of.Store.Constraints, Operands);
  Made.Text = K.str();
  std::vector<uint8_t> In = pattern(Lanes * Of.Bytes);
  std::vector<uint8_t> Out(In.size(), Untouched);
  for (uint32_t I = 0; I < Out.size(); ++I)
    if (uint32_t Lane = I / Of.Bytes; Lane % 5)
      Out[I] = Lane % 3 ? In[I] : 0;
  Made.Arguments = {input("x", In), output("y", Out)};
  return Made;
}

} // namespace

void conformance::addCopyCases(std::vector<Case> &To) {
  for (bool Fills : {false, true}) {
    for (uint32_t Bytes : {4, 8, 16})
      To.push_back(asyncCase("ca", Bytes, Fills));
    To.push_back(asyncCase("cg", 16, Fills));
  }
  for (const Guarded &Of : GuardedForms)
    To.push_back(guardedCase(Of));
}
