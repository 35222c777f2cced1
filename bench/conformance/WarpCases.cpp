//===- WarpCases.cpp - Shuffles, votes, ldmatrix, stmatrix ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Cases.h"
#include "bench/conformance/KernelText.h"

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

constexpr uint32_t Lanes = 32;

std::string nameOf(std::string Name) {
  for (char &C : Name)
    if (C == '.' || C == '-')
      C = '_';
  return Name;
}

/// A kernel of one warp, finished.
Case warpCase(const std::string &Name, const KernelText &Text,
              std::vector<Argument> Arguments) {
  Case Made;
  Made.Name = Name;
  Made.Symbol = nameOf(Name);
  Made.Text = Text.str();
  Made.Arguments = std::move(Arguments);
  return Made;
}

//===----------------------------------------------------------------------===//
// Shuffles and votes
//===----------------------------------------------------------------------===//

struct Shuffle {
  const char *Name, *Mode, *Type;
  int B, C;
  uint32_t (*From)(uint32_t Lane); ///< the lane whose value comes
};

const Shuffle Shuffles[] = {
    {"shuffle.up", "up", "i32", 3, 0,
     [](uint32_t Lane) { return Lane < 3 ? Lane : Lane - 3; }},
    {"shuffle.down", "down", "i32", 3, 31,
     [](uint32_t Lane) { return Lane + 3 > 31 ? Lane : Lane + 3; }},
    {"shuffle.bfly", "bfly", "i32", 5, 31,
     [](uint32_t Lane) { return Lane ^ 5; }},
    {"shuffle.bfly.float", "bfly", "float", 16, 31,
     [](uint32_t Lane) { return Lane ^ 16; }},
    {"shuffle.idx", "idx", "i32", 7, 31, [](uint32_t) { return 7u; }},
    // Segments of 8 lanes: c = (32 - 8) << 8 | 7.
    {"shuffle.idx.segments", "idx", "i32", 2, 0x1807,
     [](uint32_t Lane) { return Lane / 8 * 8 + 2; }}};

Case shuffleCase(const Shuffle &Each) {
  KernelText K(nameOf(Each.Name), Lanes);
  Value X = K.pointer("x"), Y = K.pointer("y");
  std::string Suffix = Each.Type[0] == 'f' ? ".f32" : ".i32";
  std::vector<Value> In = K.loadWords(X, 1, Each.Type);
  K.storeWords({K.call(Each.Type,
                       std::string("llvm.nvvm.shfl.sync.") + Each.Mode + Suffix,
                       {word(-1), In[0], word(Each.B), word(Each.C)})},
               Y);
  std::vector<uint32_t> Values(Lanes), Answers(Lanes);
  for (uint32_t Lane = 0; Lane < Lanes; ++Lane)
    Values[Lane] = 0x3f800000 + Lane * 0x1234;
  for (uint32_t Lane = 0; Lane < Lanes; ++Lane)
    Answers[Lane] = Values[Each.From(Lane)];
  return warpCase(Each.Name, K, {input("x", Values), output("y", Answers)});
}

/// Ballot, any, all and a sum of what lanes hold.
Case voteCase() {
  KernelText K("vote", Lanes);
  Value X = K.pointer("x"), Y = K.pointer("y");
  Value Held = K.loadWords(X, 1)[0];
  Value Is = K.compare("ugt", Held, word(100));
  auto Vote = [&](const char *Which) {
    return K.convert(
        "zext",
        K.call("i1", std::string("llvm.nvvm.vote.") + Which, {word(-1), Is}),
        "i32");
  };
  Value Ballot = K.call("i32", "llvm.nvvm.vote.ballot.sync", {word(-1), Is});
  Value Sum = K.call("i32", "llvm.nvvm.redux.sync.add", {Held, word(-1)});
  K.storeWords({Ballot, Vote("any.sync"), Vote("all.sync"), Sum}, Y);
  std::vector<uint32_t> Values(Lanes), Answers;
  uint32_t Bits = 0, Total = 0;
  for (uint32_t Lane = 0; Lane < Lanes; ++Lane) {
    Values[Lane] = Lane * 37 % 211;
    Bits |= uint32_t(Values[Lane] > 100) << Lane;
    Total += Values[Lane];
  }
  for (uint32_t Each : {Bits, 1u, 0u, Total})
    Answers.insert(Answers.end(), Lanes, Each);
  return warpCase("vote", K, {input("x", Values), output("y", Answers)});
}

/// Exactly one lane leads, whichever it is.
Case electCase() {
  KernelText K("elect", Lanes);
  Value Y = K.pointer("y");
  Value Elected = K.call("{ i32, i1 }", "llvm.nvvm.elect.sync", {word(-1)});
  Value Leads = K.convert("zext", K.field(Elected, 1, "i1"), "i32");
  K.storeWords({K.call("i32", "llvm.nvvm.redux.sync.add", {Leads, word(-1)})},
               Y);
  Case Made =
      warpCase("elect", K, {output("y", std::vector<uint32_t>(Lanes, 1))});
  Made.NeedsHopper = true;
  return Made;
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

/// The row of shared memory whose address a lane gives.
uint32_t rowOf(uint32_t Lane) { return (5 * Lane + 3) % Lanes; }

Value rowAddress(KernelText &K) {
  Value Scaled = K.binary("mul", K.thread(), word(5));
  Value Row = K.binary("and", K.binary("add", Scaled, word(3)), word(31));
  return K.at(K.shared(), "<4 x i32>", Row);
}

/// Row and column of the element that half `Half` of a lane's register holds
/// (PTX ISA, "ldmatrix").
void elementOf(uint32_t Lane, uint32_t Half, bool Transposed, uint32_t &Row,
               uint32_t &Column) {
  Row = Lane / 4;
  Column = 2 * (Lane % 4) + Half;
  if (Transposed)
    std::swap(Row, Column);
}

std::string matrixName(const char *What, uint32_t Count, bool Transposed) {
  return std::string(What) + ".x" + std::to_string(Count) +
         (Transposed ? ".trans" : "");
}

std::string matrixIntrinsic(const char *What, uint32_t Count, bool Transposed) {
  return std::string("llvm.nvvm.") + What + ".sync.aligned.m8n8.x" +
         std::to_string(Count) + (Transposed ? ".trans" : "") + ".b16.p3";
}

Case loadMatrixCase(uint32_t Count, bool Transposed) {
  std::string Name = matrixName("ldmatrix", Count, Transposed);
  KernelText K(nameOf(Name), Lanes);
  Value X = K.pointer("x"), Y = K.pointer("y");
  K.copyIn(X, 0, Lanes * 16);
  K.meetWarp();
  Value Loaded =
      K.call(Count == 1 ? "i32" : structureOf("i32", Count),
             matrixIntrinsic("ldmatrix", Count, Transposed), {rowAddress(K)});
  std::vector<Value> Words;
  for (uint32_t I = 0; I < Count; ++I)
    Words.push_back(K.field(Loaded, I, "i32"));
  K.storeWords(Words, Y);
  std::vector<uint16_t> Rows(Lanes * 8), Answers(Count * Lanes * 2);
  for (size_t I = 0; I < Rows.size(); ++I)
    Rows[I] = uint16_t(I * 251);
  for (uint32_t Matrix = 0; Matrix < Count; ++Matrix)
    for (uint32_t Lane = 0; Lane < Lanes; ++Lane)
      for (uint32_t Half = 0; Half < 2; ++Half) {
        uint32_t Row, Column;
        elementOf(Lane, Half, Transposed, Row, Column);
        Answers[(Matrix * Lanes + Lane) * 2 + Half] =
            Rows[rowOf(8 * Matrix + Row) * 8 + Column];
      }
  Case Made = warpCase(Name, K, {input("x", Rows), output("y", Answers)});
  Made.SharedBytes = Lanes * 16;
  return Made;
}

Case storeMatrixCase(uint32_t Count, bool Transposed) {
  std::string Name = matrixName("stmatrix", Count, Transposed);
  KernelText K(nameOf(Name), Lanes);
  Value Zeros = K.pointer("zeros"), X = K.pointer("x"), Y = K.pointer("y");
  K.copyIn(Zeros, 0, Lanes * 16);
  K.meetWarp();
  std::vector<Value> Operands{rowAddress(K)};
  for (const Value &Word : K.loadWords(X, Count))
    Operands.push_back(Word);
  K.call("void", matrixIntrinsic("stmatrix", Count, Transposed), Operands);
  K.meetWarp();
  K.copyOut(Y, 0, Lanes * 16);
  std::vector<uint16_t> Registers(Count * Lanes * 2), Answers(Lanes * 8);
  for (size_t I = 0; I < Registers.size(); ++I)
    Registers[I] = uint16_t(I * 251 + 1);
  for (uint32_t Matrix = 0; Matrix < Count; ++Matrix)
    for (uint32_t Lane = 0; Lane < Lanes; ++Lane)
      for (uint32_t Half = 0; Half < 2; ++Half) {
        uint32_t Row, Column;
        elementOf(Lane, Half, Transposed, Row, Column);
        Answers[rowOf(8 * Matrix + Row) * 8 + Column] =
            Registers[(Matrix * Lanes + Lane) * 2 + Half];
      }
  Case Made = warpCase(Name, K,
                       {input("zeros", std::vector<uint16_t>(Lanes * 8)),
                        input("x", Registers), output("y", Answers)});
  Made.SharedBytes = Lanes * 16;
  Made.NeedsHopper = true;
  return Made;
}

} // namespace

void conformance::addWarpCases(std::vector<Case> &To) {
  for (const Shuffle &Each : Shuffles)
    To.push_back(shuffleCase(Each));
  To.push_back(voteCase());
  To.push_back(electCase());
  for (uint32_t Count : {1, 2, 4})
    for (bool Transposed : {false, true}) {
      To.push_back(loadMatrixCase(Count, Transposed));
      To.push_back(storeMatrixCase(Count, Transposed));
    }
}
