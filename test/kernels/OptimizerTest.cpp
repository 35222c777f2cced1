//===- OptimizerTest.cpp - Global norm and AdamW --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/kernels/GradientKernelTest.h"

using namespace transxssm;
using namespace transxssm::tiling;

namespace {

using OptimizerTest = GradientKernelTest;

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

} // namespace
