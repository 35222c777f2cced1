//===- WgmmaCases.cpp - Products of a warp group --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// PTX ISA, "Asynchronous Warpgroup Level Matrix Shared Memory Layout" and
// "Matrix Descriptor Format". D [64, N] = C + A [64, 64] B [64, N] in four
// steps of k. The inputs hold operands as they must lie in shared memory.
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Cases.h"
#include "bench/conformance/KernelText.h"
#include "runtime/support/HalfFloats.h"

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

constexpr uint32_t Threads = 128, M = 64, Inner = 64, Step = 16;

/// How an operand lies in shared memory: rows of M or N, k along them or
/// across.
struct Layout {
  bool Across = false; ///< k runs across the rows of memory
  uint32_t Swizzle = 128;

  /// Bytes of a row of memory within an atom of eight such rows.
  uint32_t span() const { return Swizzle ? Swizzle : 16; }
  uint32_t atomBytes() const { return 8 * span(); }
  /// Elements that lie in a row.
  uint32_t spanElements() const { return span() / 2; }

  /// Byte of element (Row, K) of an operand with so many rows. Along k: atoms
  /// of all rows, then those of the next k. Across, and without a swizzle
  /// along: the same with the roles exchanged.
  uint32_t placeOf(uint32_t Row, uint32_t K, uint32_t Rows) const {
    uint32_t Lines = Across ? Inner : Rows; // that atoms follow one another in
    uint32_t Line = Across ? K : Row, Column = Across ? Row : K;
    uint32_t Place = Column / spanElements() * (Lines * span()) +
                     Line / 8 * atomBytes() + Line % 8 * span() +
                     Column % spanElements() * 2;
    if (Swizzle)
      Place ^= Place / 128 % (Swizzle / 16) * 16;
    return Place;
  }
  /// Bits of the descriptor but for the address of step `K`.
  uint64_t descriptor(uint32_t Rows, uint32_t K) const {
    // To the next atom along the columns of memory, and to the next eight
    // lines. Without swizzle and k across the two change their roles.
    uint64_t Columns = (Across ? Inner : Rows) * span(), Lines = atomBytes();
    bool Exchanged = Across && Swizzle == 0;
    uint64_t Leading = Exchanged ? Lines : Columns;
    uint64_t Stride = Exchanged ? Columns : Lines;
    uint64_t Mode = Swizzle == 128 ? 1 : Swizzle == 64 ? 2 : Swizzle ? 3 : 0;
    uint64_t Start =
        Across ? K / 8 * atomBytes()
               : K / spanElements() * Columns + K % spanElements() * 2;
    return Mode << 62 | (Stride / 16) << 32 | (Leading / 16) << 16 | Start / 16;
  }
};

struct Form {
  std::string Name;
  uint32_t N = 64;
  bool AInRegisters = false;
  Layout A, B;
  int SignA = 1, SignB = 1;
  bool Accumulates = true; ///< the first step adds to C
  bool IsF16 = false;

  const char *type() const { return IsF16 ? "f16" : "bf16"; }
  uint16_t convert(float Value) const {
    return IsF16 ? floatToHalf(Value) : floatToBFloat(Value);
  }
  uint32_t sums() const { return N / 2; }
  float a(uint32_t Row, uint32_t K) const {
    return smallInteger(Row * Inner + K, 2);
  }
  float b(uint32_t Column, uint32_t K) const {
    return smallInteger(Column * Inner + K, 6);
  }
  float c(uint32_t Row, uint32_t Column) const {
    return smallInteger(Row * N + Column, 11);
  }
  float d(uint32_t Row, uint32_t Column) const {
    float Sum = Accumulates ? c(Row, Column) : 0;
    for (uint32_t K = 0; K < Inner; ++K)
      Sum += float(SignA * SignB) * a(Row, K) * b(Column, K);
    return Sum;
  }
};

/// [register, thread] of the sums.
template <typename ElementOf>
std::vector<float> sums(const Form &Of, ElementOf Each) {
  std::vector<float> Made;
  for (uint32_t R = 0; R < Of.sums(); ++R)
    for (uint32_t T = 0; T < Threads; ++T)
      Made.push_back(Each(T / 32 * 16 + T % 32 / 4 + R / 2 % 2 * 8,
                          R / 4 * 8 + T % 4 * 2 + R % 2));
  return Made;
}

/// [step, register, thread] of A.
std::vector<uint32_t> leftRegisters(const Form &Of) {
  std::vector<uint32_t> Made;
  for (uint32_t First = 0; First < Inner; First += Step)
    for (uint32_t R = 0; R < 4; ++R)
      for (uint32_t T = 0; T < Threads; ++T) {
        uint32_t Row = T / 32 * 16 + T % 32 / 4 + R % 2 * 8;
        uint32_t K = First + T % 4 * 2 + R / 2 * 8;
        Made.push_back(uint32_t(Of.convert(Of.a(Row, K))) |
                       uint32_t(Of.convert(Of.a(Row, K + 1))) << 16);
      }
  return Made;
}

template <typename ElementOf>
std::vector<uint16_t> image(const Form &Of, const Layout &Lies, uint32_t Rows,
                            ElementOf Each) {
  std::vector<uint16_t> Made;
  for (uint32_t Row = 0; Row < Rows; ++Row)
    for (uint32_t K = 0; K < Inner; ++K) {
      size_t Place = Lies.placeOf(Row, K, Rows) / 2;
      if (Made.size() <= Place)
        Made.resize(Place + 1);
      Made[Place] = Of.convert(Each(Row, K));
    }
  // Whole atoms, since all of their bytes are read.
  size_t Atom = Lies.atomBytes() / 2;
  Made.resize((Made.size() + Atom - 1) / Atom * Atom);
  return Made;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

std::string listOf(size_t First, size_t Count) {
  std::string Text = "{";
  for (size_t I = 0; I < Count; ++I)
    Text += (I ? ", $" : "$") + std::to_string(First + I);
  return Text + "}";
}

/// Inline PTX that changes registers in place.
std::vector<Value> inPlace(KernelText &K, const std::string &Text,
                           std::vector<Value> Registers,
                           const std::vector<Value> &Others = {}) {
  size_t Count = Registers.size();
  std::string Constraints;
  for (size_t I = 0; I < Count; ++I)
    Constraints += "=f,";
  for (size_t I = 0; I < Count; ++I)
    Constraints += std::to_string(I) + ",";
  for (const Value &Each : Others)
    Constraints += Each.Type == "i64" ? "l," : "r,";
  Registers.insert(Registers.end(), Others.begin(), Others.end());
  Value Made = K.assembly(structureOf("float", Count), Text,
                          Constraints + "~{memory}", Registers);
  std::vector<Value> Fields;
  for (size_t I = 0; I < Count; ++I)
    Fields.push_back(K.field(Made, I, "float"));
  return Fields;
}

Value descriptor(KernelText &K, int64_t Offset, uint64_t Bits) {
  Value Address = K.convert("ptrtoint", K.shared(Offset), "i64");
  Value Start = K.binary("lshr", Address, quad(4));
  return K.binary("add", Start, quad(int64_t(Bits)));
}

std::vector<Value> multiply(KernelText &K, const Form &Of,
                            const std::vector<Value> &Sums,
                            const std::vector<Value> &Left, const Value &Right,
                            bool Accumulates) {
  size_t First = 2 * Sums.size();
  std::string Text = "wgmma.mma_async.sync.aligned.m64n" +
                     std::to_string(Of.N) + "k16.f32." + Of.type() + "." +
                     Of.type() + " " + listOf(0, Sums.size()) + ", ";
  Text += Of.AInRegisters ? listOf(First, 4) : "$" + std::to_string(First);
  Text += ", $" + std::to_string(First + Left.size());
  Text += Accumulates ? ", 1, " : ", 0, ";
  Text += std::to_string(Of.SignA) + ", " + std::to_string(Of.SignB);
  if (!Of.AInRegisters)
    Text += Of.A.Across ? ", 1" : ", 0";
  Text += Of.B.Across ? ", 1;" : ", 0;";
  std::vector<Value> Others = Left;
  Others.push_back(Right);
  return inPlace(K, Text, Sums, Others);
}

Case formCase(const Form &Of) {
  Case Made;
  Made.Name = "wgmma." + Of.Name;
  for (char C : Made.Name)
    Made.Symbol += C == '.' || C == '-' ? '_' : C;
  Made.NeedsHopper = true;
  Made.Threads = Threads;
  std::vector<uint16_t> ImageA =
      image(Of, Of.A, M, [&](uint32_t R, uint32_t K) { return Of.a(R, K); });
  std::vector<uint16_t> ImageB =
      image(Of, Of.B, Of.N, [&](uint32_t R, uint32_t K) { return Of.b(R, K); });
  int64_t BytesA = Of.AInRegisters ? 0 : int64_t(ImageA.size() * 2);
  BytesA = (BytesA + 1023) / 1024 * 1024;
  int64_t BytesB = int64_t(ImageB.size() * 2);
  Made.SharedBytes = uint64_t(BytesA + BytesB);

  KernelText K(Made.Symbol, Threads);
  Value A = K.pointer("a"), B = K.pointer("b"), C = K.pointer("c");
  Value D = K.pointer("d");
  if (!Of.AInRegisters)
    K.copyIn(A, 0, int64_t(ImageA.size() * 2));
  K.copyIn(B, BytesA, BytesB);
  K.call("void", "llvm.nvvm.fence.proxy.async.shared_cta", {});
  K.meet();
  std::vector<Value> Words;
  if (Of.AInRegisters)
    Words = K.loadWords(A, size_t(4) * Inner / Step);
  std::vector<Value> Sums = inPlace(K, "wgmma.fence.sync.aligned;",
                                    K.loadWords(C, Of.sums(), "float"));
  for (uint32_t First = 0; First < Inner; First += Step) {
    std::vector<Value> Left;
    if (Of.AInRegisters)
      Left.assign(Words.begin() + First / 4, Words.begin() + First / 4 + 4);
    else
      Left = {descriptor(K, 0, Of.A.descriptor(M, First))};
    Value Right = descriptor(K, BytesA, Of.B.descriptor(Of.N, First));
    Sums = multiply(K, Of, Sums, Left, Right, Of.Accumulates || First > 0);
  }
  K.call("void", "llvm.nvvm.wgmma.commit_group.sync.aligned", {});
  K.storeWords(inPlace(K, "wgmma.wait_group.sync.aligned 0;", Sums), D);
  Made.Text = K.str();
  Made.Arguments = {
      Of.AInRegisters ? input("a", leftRegisters(Of)) : input("a", ImageA),
      input("b", ImageB),
      input("c", sums(Of, [&](uint32_t R, uint32_t S) { return Of.c(R, S); })),
      output("d",
             sums(Of, [&](uint32_t R, uint32_t S) { return Of.d(R, S); }))};
  return Made;
}

std::string swizzleName(const Layout &Of, char Across) {
  return std::string(1, Of.Across ? Across : 'k') + "-" +
         std::to_string(Of.Swizzle);
}

std::vector<Form> forms() {
  std::vector<Form> All;
  std::vector<Layout> Layouts;
  for (bool Across : {false, true})
    for (uint32_t Swizzle : {0, 32, 64, 128})
      Layouts.push_back({Across, Swizzle});
  for (const Layout &B : Layouts) {
    // 128 columns: two atoms across with 128 byte swizzle.
    Form InRegisters;
    InRegisters.AInRegisters = true;
    InRegisters.N = 128;
    InRegisters.B = B;
    InRegisters.Name = "a-registers.b-" + swizzleName(B, 'n');
    All.push_back(InRegisters);
    for (const Layout &A : Layouts) {
      Form Shared = InRegisters;
      Shared.AInRegisters = false;
      Shared.A = A;
      Shared.Name = "a-" + swizzleName(A, 'm') + ".b-" + swizzleName(B, 'n');
      All.push_back(Shared);
    }
  }
  for (uint32_t N : {8, 16, 24, 64, 192, 256}) {
    Form Each;
    Each.N = N;
    Each.Name = "n" + std::to_string(N);
    All.push_back(Each);
  }
  auto Add = [&](const char *Name, auto Change) {
    Form Each;
    Each.Name = Name;
    Change(Each);
    All.push_back(Each);
  };
  Add("negative-a", [](Form &Of) { Of.SignA = -1; });
  Add("negative-b", [](Form &Of) { Of.SignB = -1; });
  Add("first-sums", [](Form &Of) { Of.Accumulates = false; });
  Add("f16", [](Form &Of) { Of.IsF16 = true; });
  return All;
}

} // namespace

void conformance::addWgmmaCases(std::vector<Case> &To) {
  for (const Form &Of : forms())
    To.push_back(formCase(Of));
}
