//===- MmaCases.cpp - Products of a warp ----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Where elements lie is from the PTX ISA, "Matrix Fragments for mma.m16n8k4 /
// k8 / k16".
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Cases.h"
#include "bench/conformance/KernelText.h"
#include "runtime/support/HalfFloats.h"

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

constexpr uint32_t Lanes = 32, M = 16, N = 8;

struct Product {
  std::vector<float> A, B, C; // [M, K], [K, N], [M, N]
  uint32_t K;

  explicit Product(uint32_t K) : K(K) {
    for (size_t I = 0; I < size_t(M) * K; ++I)
      A.push_back(smallInteger(I, 1));
    for (size_t I = 0; I < size_t(K) * N; ++I)
      B.push_back(smallInteger(I, 5));
    for (size_t I = 0; I < size_t(M) * N; ++I)
      C.push_back(smallInteger(I, 9));
  }

  float answer(uint32_t Row, uint32_t Column) const {
    float Sum = C[Row * N + Column];
    for (uint32_t I = 0; I < K; ++I)
      Sum += A[Row * K + I] * B[I * N + Column];
    return Sum;
  }
};

/// Registers of the sums: [register, lane].
template <typename ElementOf> std::vector<float> sums(ElementOf Each) {
  std::vector<float> Made;
  for (uint32_t R = 0; R < 4; ++R)
    for (uint32_t Lane = 0; Lane < Lanes; ++Lane)
      Made.push_back(Each(Lane / 4 + R / 2 * 8, Lane % 4 * 2 + R % 2));
  return Made;
}

struct Type {
  const char *Name, *Intrinsic, *Register;
  uint32_t ElementBits;
  uint16_t (*Convert)(float); ///< of 16 bits
};

const Type Bf16 = {"bf16", "bf16", "i32", 16, floatToBFloat};
const Type F16 = {"f16", "f32.f32", "<2 x half>", 16, floatToHalf};
const Type Tf32 = {"tf32", "tf32", "i32", 32, nullptr};

/// The registers of A, then B, as words [register, lane].
std::vector<uint32_t> fragments(const Type &Of, const Product &P) {
  std::vector<uint32_t> Words;
  uint32_t Each = 32 / Of.ElementBits, Span = 4 * Each;
  auto Pack = [&](auto ElementAt) {
    uint32_t Word = 0;
    for (uint32_t E = 0; E < Each; ++E)
      Word |= (Of.Convert ? uint32_t(Of.Convert(ElementAt(E))) << 16 * E
                          : bitsOfFloat(ElementAt(E)));
    Words.push_back(Word);
  };
  for (uint32_t R = 0; R < 2 * P.K / Span; ++R)
    for (uint32_t Lane = 0; Lane < Lanes; ++Lane)
      Pack([&](uint32_t E) {
        uint32_t Row = Lane / 4 + R % 2 * 8;
        return P.A[Row * P.K + R / 2 * Span + Lane % 4 * Each + E];
      });
  for (uint32_t R = 0; R < P.K / Span; ++R)
    for (uint32_t Lane = 0; Lane < Lanes; ++Lane)
      Pack([&](uint32_t E) {
        return P.B[(R * Span + Lane % 4 * Each + E) * N + Lane / 4];
      });
  return Words;
}

std::vector<Value> multiply(KernelText &K, const Type &Of, uint32_t Inner,
                            const std::vector<Value> &Operands,
                            const std::vector<Value> &Sums) {
  std::vector<Value> In;
  for (const Value &Each : Operands)
    In.push_back(K.convert("bitcast", Each, Of.Register));
  In.insert(In.end(), Sums.begin(), Sums.end());
  Value Made = K.call(structureOf("float", 4),
                      "llvm.nvvm.mma.m16n8k" + std::to_string(Inner) +
                          ".row.col." + Of.Intrinsic,
                      In);
  std::vector<Value> Fields;
  for (size_t I = 0; I < 4; ++I)
    Fields.push_back(K.field(Made, I, "float"));
  return Fields;
}

Case fragmentCase(const Type &Of, uint32_t Inner) {
  Product P(Inner);
  std::vector<uint32_t> Words = fragments(Of, P);
  Case Made;
  Made.Name = std::string("mma.") + Of.Name + ".k" + std::to_string(Inner);
  Made.Symbol = std::string("mma_") + Of.Name + "_k" + std::to_string(Inner);
  KernelText K(Made.Symbol, Lanes);
  Value X = K.pointer("x"), C = K.pointer("c"), Y = K.pointer("y");
  K.storeWords(multiply(K, Of, Inner, K.loadWords(X, Words.size() / Lanes),
                        K.loadWords(C, 4, "float")),
               Y);
  Made.Text = K.str();
  Made.Arguments = {
      input("x", Words),
      input("c", sums([&](uint32_t R, uint32_t S) { return P.C[R * N + S]; })),
      output("y",
             sums([&](uint32_t R, uint32_t S) { return P.answer(R, S); }))};
  return Made;
}

//===----------------------------------------------------------------------===//
// Operands in shared memory, in either order
//===----------------------------------------------------------------------===//

/// Matrix i of ldmatrix is register i: rows come from lanes 8 i and on.
struct Order {
  bool Transposed; ///< by ldmatrix
  int64_t RowBytes;
  /// What the lane's bits 3 and 4 add to the address.
  int64_t Bit3, Bit4;
};

Value address(KernelText &K, int64_t Base, const Order &Of) {
  auto Times = [&](int64_t Mask, int64_t Factor) {
    return K.binary("mul", K.binary("and", K.thread(), word(Mask)),
                    word(Factor));
  };
  Value Offset = K.binary("add", Times(7, Of.RowBytes), Times(8, Of.Bit3 / 8));
  Offset = K.binary("add", Offset, Times(16, Of.Bit4 / 16));
  return K.at(K.shared(Base), "i8", Offset);
}

std::vector<Value> loadOperand(KernelText &K, int64_t Base, const Order &Of,
                               uint32_t Count) {
  Value Loaded =
      K.call(structureOf("i32", Count),
             "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x" + std::to_string(Count) +
                 (Of.Transposed ? ".trans" : "") + ".b16.p3",
             {address(K, Base, Of)});
  std::vector<Value> Words;
  for (uint32_t I = 0; I < Count; ++I)
    Words.push_back(K.field(Loaded, I, "i32"));
  return Words;
}

/// bf16 as they lie in memory.
template <typename ElementAt>
std::vector<uint16_t> stored(uint32_t Rows, uint32_t Columns, ElementAt Each) {
  std::vector<uint16_t> Made;
  for (uint32_t R = 0; R < Rows; ++R)
    for (uint32_t C = 0; C < Columns; ++C)
      Made.push_back(floatToBFloat(Each(R, C)));
  return Made;
}

Case orderCase(bool AcrossA, bool AcrossB) {
  constexpr uint32_t Inner = 16;
  constexpr int64_t BytesA = M * Inner * 2, BytesB = Inner * N * 2;
  Product P(Inner);
  Case Made;
  Made.Name = std::string("mma.order.a-") + (AcrossA ? "m" : "k") + ".b-" +
              (AcrossB ? "n" : "k");
  Made.Symbol = std::string("mma_order_a_") + (AcrossA ? "m" : "k") + "_b_" +
                (AcrossB ? "n" : "k");
  KernelText K(Made.Symbol, Lanes);
  Value A = K.pointer("a"), B = K.pointer("b"), Y = K.pointer("y");
  K.copyIn(A, 0, BytesA);
  K.copyIn(B, BytesA, BytesB);
  K.meetWarp();
  // Registers of A: rows and the eight below, then the next eight k.
  Order OfA =
      AcrossA ? Order{true, 32, 16, 8 * 32} : Order{false, 32, 8 * 32, 16};
  Order OfB = AcrossB ? Order{true, 16, 8 * 16, 0} : Order{false, 32, 16, 0};
  std::vector<Value> Operands = loadOperand(K, 0, OfA, 4);
  for (const Value &Each : loadOperand(K, BytesA, OfB, 2))
    Operands.push_back(Each);
  Value Zero{"float", "0.0"};
  K.storeWords(multiply(K, Bf16, Inner, Operands, {Zero, Zero, Zero, Zero}), Y);
  Made.Text = K.str();
  Made.SharedBytes = uint64_t(BytesA + BytesB);
  Made.Arguments = {input("a", AcrossA ? stored(Inner, M,
                                                [&](uint32_t I, uint32_t R) {
                                                  return P.A[R * Inner + I];
                                                })
                                       : stored(M, Inner,
                                                [&](uint32_t R, uint32_t I) {
                                                  return P.A[R * Inner + I];
                                                })),
                    input("b", AcrossB ? stored(Inner, N,
                                                [&](uint32_t I, uint32_t C) {
                                                  return P.B[I * N + C];
                                                })
                                       : stored(N, Inner,
                                                [&](uint32_t C, uint32_t I) {
                                                  return P.B[I * N + C];
                                                })),
                    output("y", sums([&](uint32_t R, uint32_t S) {
                             return P.answer(R, S) - P.C[R * N + S];
                           }))};
  return Made;
}

} // namespace

void conformance::addMmaCases(std::vector<Case> &To) {
  for (const Type *Of : {&Bf16, &F16})
    for (uint32_t Inner : {8, 16})
      To.push_back(fragmentCase(*Of, Inner));
  for (uint32_t Inner : {4, 8})
    To.push_back(fragmentCase(Tf32, Inner));
  for (bool AcrossA : {false, true})
    for (bool AcrossB : {false, true})
      To.push_back(orderCase(AcrossA, AcrossB));
}
