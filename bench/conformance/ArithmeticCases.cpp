//===- ArithmeticCases.cpp - Rounding -------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Every kernel computes with LLVM's own operations on float32, of which a
// device must give the bits of IEEE 754, subnormal numbers included. NaNs
// count as one, since their bits are anybody's.
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Cases.h"
#include "bench/conformance/KernelText.h"
#include "runtime/support/HalfFloats.h"

#include <functional>
#include <limits>

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

constexpr uint32_t Threads = 256;
constexpr float Infinity = std::numeric_limits<float>::infinity();
constexpr float NotANumber = std::numeric_limits<float>::quiet_NaN();

struct Operation {
  const char *Name;
  std::function<Value(KernelText &, const std::vector<Value> &)> Build;
  std::function<float(float, float, float)> Answer;
  double Bound = 0;
};

/// Numbers at the edges, and in between.
std::vector<float> numbers(size_t Step) {
  const float Edges[] = {0.0f,          -0.0f,
                         1.0f,          -1.0f,
                         Infinity,      -Infinity,
                         NotANumber,
                         0x1p-126f, // the least normal number
                         0x1p-149f, // the least number
                         -0x1.8p-130f,  0x1.fffffep127f,
                         0x1.01p0f, // halfway between two bf16, even below
                         0x1.03p0f, // even above
                         0x1.010002p0f, 3.0f,
                         0.1f};
  std::vector<float> Made;
  uint32_t State = uint32_t(Step) * 2654435761u + 1;
  for (size_t I = 0; I < Threads; ++I) {
    State = State * 1664525u + 1013904223u;
    if (I < Threads / 2) { // every pair of edges, some of them
      Made.push_back(Edges[(I * Step + I / 16) % 16]);
      continue;
    }
    uint32_t Bits = (State & 0x80ffffffu) | ((96 + State % 61) << 23);
    Made.push_back(floatOfBits(Bits));
  }
  return Made;
}

Value unary(KernelText &K, const char *Name, const Value &X) {
  return K.call("float", Name, {X});
}

float minimum(float A, float B) {
  if (std::isnan(A) || std::isnan(B))
    return NotANumber;
  return A < B || (A == B && std::signbit(A)) ? A : B;
}

float throughBf16(float Value) { return bfloatToFloat(floatToBFloat(Value)); }

/// Two numbers rounded to bf16 in one word. The bits of a NaN in the lower half
/// are anybody's, so that there is none.
Value roundPair(KernelText &K, const std::vector<Value> &X) {
  Value IsNan = K.make("i1", "fcmp uno " + X[1].str() + ", 0.0");
  Value Low =
      K.make("float", "select " + IsNan.str() + ", float 0.0, " + X[1].str());
  return K.convert(
      "bitcast",
      K.assembly("i32", "cvt.rn.bf16x2.f32 $0, $1, $2;", "=r,f,f", {X[0], Low}),
      "float");
}

float pairAnswer(float High, float Low) {
  uint32_t Bits = uint32_t(floatToBFloat(High)) << 16 |
                  floatToBFloat(std::isnan(Low) ? 0.0f : Low);
  float Word;
  std::memcpy(&Word, &Bits, 4);
  return Word;
}

const std::vector<Operation> &operations() {
  using Values = std::vector<Value>;
  static const std::vector<Operation> All = {
      {"add",
       [](KernelText &K, const Values &X) {
         return K.binary("fadd", X[0], X[1]);
       },
       [](float A, float B, float) { return A + B; }},
      {"subtract",
       [](KernelText &K, const Values &X) {
         return K.binary("fsub", X[0], X[1]);
       },
       [](float A, float B, float) { return A - B; }},
      {"multiply",
       [](KernelText &K, const Values &X) {
         return K.binary("fmul", X[0], X[1]);
       },
       [](float A, float B, float) { return A * B; }},
      {"divide",
       [](KernelText &K, const Values &X) {
         return K.binary("fdiv", X[0], X[1]);
       },
       [](float A, float B, float) { return A / B; }},
      {"reciprocal",
       [](KernelText &K, const Values &X) {
         return K.binary("fdiv", {"float", "1.0"}, X[0]);
       },
       [](float A, float, float) { return 1 / A; }},
      {"absolute",
       [](KernelText &K, const Values &X) {
         return unary(K, "llvm.fabs.f32", X[0]);
       },
       [](float A, float, float) { return std::abs(A); }},
      // Of the operand's bits, since numbers() has no integers.
      {"from-signed",
       [](KernelText &K, const Values &X) {
         return K.convert("sitofp", K.convert("bitcast", X[0], "i32"), "float");
       },
       [](float A, float, float) { return float(int32_t(bitsOfFloat(A))); }},
      {"from-unsigned",
       [](KernelText &K, const Values &X) {
         return K.convert("uitofp", K.convert("bitcast", X[0], "i32"), "float");
       },
       [](float A, float, float) { return float(bitsOfFloat(A)); }},
      {"fma",
       [](KernelText &K, const Values &X) {
         return K.call("float", "llvm.fma.f32", X);
       },
       [](float A, float B, float C) { return std::fma(A, B, C); }},
      {"sqrt",
       [](KernelText &K, const Values &X) {
         return unary(K, "llvm.sqrt.f32", X[0]);
       },
       [](float A, float, float) { return std::sqrt(A); }},
      {"minimum",
       [](KernelText &K, const Values &X) {
         return K.call("float", "llvm.minimum.f32", {X[0], X[1]});
       },
       [](float A, float B, float) { return minimum(A, B); }},
      {"maximum",
       [](KernelText &K, const Values &X) {
         return K.call("float", "llvm.maximum.f32", {X[0], X[1]});
       },
       [](float A, float B, float) { return -minimum(-A, -B); }},
      {"bf16",
       [](KernelText &K, const Values &X) {
         return K.convert("fpext", K.convert("fptrunc", X[0], "bfloat"),
                          "float");
       },
       [](float A, float, float) { return throughBf16(A); }},
      {"bf16-pair", roundPair,
       [](float A, float B, float) { return pairAnswer(A, B); }},
      // Off by 2^-22 of the result (PTX ISA, "ex2"), the answer by its own
      // rounding.
      {"ex2-approx",
       [](KernelText &K, const Values &X) {
         return K.assembly("float", "ex2.approx.ftz.f32 $0, $1;", "=f,f",
                           {X[0]});
       },
       [](float A, float, float) {
         float Made = std::exp2(std::abs(A) < 0x1p-126f ? 0.0f : A);
         return Made < 0x1p-126f ? 0.0f : Made;
       },
       0x1.4p-22}};
  return All;
}

Case operationCase(const Operation &Of) {
  Case Made;
  Made.Name = std::string("arithmetic.") + Of.Name;
  for (char C : Made.Name)
    Made.Symbol += C == '.' || C == '-' ? '_' : C;
  Made.Threads = Threads;
  KernelText K(Made.Symbol, Threads);
  std::vector<Value> Operands;
  for (const char *Name : {"a", "b", "c"})
    Operands.push_back(K.pointer(Name));
  Value Y = K.pointer("y");
  for (Value &Each : Operands)
    Each = K.loadWords(Each, 1, "float")[0];
  Value Result = Of.Build(K, Operands);
  Value IsNan = K.make("i1", "fcmp uno " + Result.str() + ", 0.0");
  Value Bits = K.convert("bitcast", Result, "i32");
  K.storeWords({K.make("i32", "select " + IsNan.str() + ", i32 2143289344, " +
                                  Bits.str())},
               Y);
  Made.Text = K.str();
  std::vector<float> In[3] = {numbers(1), numbers(3), numbers(5)}, Out;
  for (size_t I = 0; I < Threads; ++I) {
    float Answer = Of.Answer(In[0][I], In[1][I], In[2][I]);
    Out.push_back(std::isnan(Answer) ? NotANumber : Answer);
  }
  Made.Arguments = {input("a", In[0]), input("b", In[1]), input("c", In[2]),
                    output("y", Out)};
  Made.Arguments.back().Bound = Of.Bound;
  return Made;
}

} // namespace

void conformance::addArithmeticCases(std::vector<Case> &To) {
  for (const Operation &Of : operations())
    To.push_back(operationCase(Of));
}
