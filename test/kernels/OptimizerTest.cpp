//===- OptimizerTest.cpp - Global norm and AdamW --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/kernels/GradientKernelTest.h"
#include <cstring>

using namespace transxssm;
using namespace transxssm::tiling;

namespace {

using OptimizerTest = GradientKernelTest;

uint32_t bitsOf(float Value) {
  uint32_t Bits;
  std::memcpy(&Bits, &Value, sizeof(Bits));
  return Bits;
}

/// To nearest even; not for NaN.
uint16_t toBf16(float Value) {
  uint32_t Bits = bitsOf(Value);
  return (Bits + 0x7fff + (Bits >> 16 & 1)) >> 16;
}

float fromBf16(uint16_t Short) {
  uint32_t Bits = uint32_t(Short) << 16;
  float Value;
  std::memcpy(&Value, &Bits, sizeof(Value));
  return Value;
}

TEST_F(OptimizerTest, GlobalNorm) {
  std::vector<Floats> Gradients = {random(3), random(NormBlock + 1),
                                   random(2000)};
  Floats Partials = unset(4), Norm = unset(1);
  double Want = 0;
  int64_t Place = 0;
  for (const Floats &G : Gradients) {
    int64_t Size = G.size(), Blocks = ceilDiv(Size, NormBlock);
    run(buildSumSquares(module()), {G, Partials}, {Size, 4, Place}, {Blocks});
    Place += Blocks;
    for (float X : G)
      Want += double(X) * X;
  }
  run(buildNorm(module()), {Partials, Norm}, {4}, {1});
  expectClose(Norm, {std::sqrt(Want)}, "norm", 1e-6);
}

TEST_F(OptimizerTest, AdamW) {
  int64_t Size = AdamWBlock + 7;
  for (bool Decay : {false, true})
    for (float Limit : {0.0f, 1.0f, 1000.0f}) {
      Floats G = random(Size), Norm = {5}, P = random(Size);
      Floats M = random(Size, 0.1), V = random(Size, 0.1, 1);
      Floats Hyper = {1e-2f, 0.9f, 0.95f, 1e-8f, 0.1f, Limit, 0.19f, 0.0975f};
      Doubles WantP(Size), WantM(Size), WantV(Size);
      double Factor = Limit > 0 ? std::min(1.0, Limit / (5 + 1e-6)) : 1;
      for (int64_t I = 0; I < Size; ++I) {
        double Clipped = G[I] * Factor;
        V[I] = std::abs(V[I]);
        WantM[I] = double(Hyper[1]) * M[I] + (1 - double(Hyper[1])) * Clipped;
        WantV[I] = double(Hyper[2]) * V[I] +
                   (1 - double(Hyper[2])) * Clipped * Clipped;
        double Update =
            WantM[I] / Hyper[6] / (std::sqrt(WantV[I] / Hyper[7]) + Hyper[3]);
        if (Decay)
          Update += double(Hyper[4]) * P[I];
        WantP[I] = P[I] - Hyper[0] * Update;
      }
      run(buildAdamW(module(), Decay), {G, Norm, Hyper, P, M, V},
          {Size, Size, Size, Size}, {ceilDiv(Size, AdamWBlock)});
      expectClose(P, WantP, "parameter");
      expectClose(M, WantM, "first moment");
      expectClose(V, WantV, "second moment");
    }
}

/// A bf16 parameter is its float32 master rounded; the master is what the step
/// changes, unless somebody wrote the parameter since.
TEST_F(OptimizerTest, AdamWWithMasters) {
  int64_t Size = AdamWBlock + 7;
  Floats G = random(Size), Norm = {1}, Start = random(Size), M(Size), V(Size);
  Floats Hyper = {1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, 0, 0.1f, 0.05f};
  Floats Master = Start;
  Shorts P(Size);
  Doubles Want(Size);
  for (int64_t I = 0; I < Size; ++I) {
    P[I] = toBf16(Start[I]);
    if (I % 3 == 0)
      P[I] += 1; // the next larger magnitude
    double Old = I % 3 == 0 ? fromBf16(P[I]) : Start[I];
    // The first step from moments of zero: the gradient's sign, nearly.
    double Update = G[I] / (std::abs(G[I]) + 1e-8) + 0.1 * Old;
    Want[I] = Old - 1e-4 * Update;
  }
  auto Kernel = buildAdamW(module(), /*Decay=*/true,
                           mlir::BFloat16Type::get(module().getContext()));
  run(Kernel, {G, Norm, Hyper, P, M, V, Master}, {Size, Size, Size, Size, Size},
      {ceilDiv(Size, AdamWBlock)});
  expectClose(Master, Want, "master", 1e-6);
  int64_t Moved = 0;
  for (int64_t I = 0; I < Size; ++I) {
    ASSERT_EQ(P[I], toBf16(Master[I])) << "element " << I;
    Moved += P[I] != toBf16(Start[I]);
  }
  // Steps of 1e-4 are below a unit of bf16: most parameters stay, and their
  // masters remember.
  EXPECT_LT(Moved, Size / 2);
}

} // namespace
