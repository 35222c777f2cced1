//===- LossGradTest.cpp - Gradients of the loss ---------------------------===//
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

class LossGradTest : public GradientKernelTest {
protected:
  void check(int64_t Batch, int64_t Length, int64_t Vocabulary, int64_t Width,
             int64_t Slab, bool Shift, bool Ignored);
};

void LossGradTest::check(int64_t Batch, int64_t Length, int64_t Vocabulary,
                         int64_t Width, int64_t Slab, bool Shift,
                         bool Ignored) {
  int64_t Rows = Batch * Length;
  Floats Hidden = random(Rows * Width), Weight = random(Vocabulary * Width);
  Integers Labels(Rows), Targets(Rows, 77);
  for (int64_t I = 0; I < Rows; ++I)
    Labels[I] = Ignored || I % 4 == 3 ? -100 : (I * 31) % Vocabulary;
  Integers WantTargets(Rows, -1);
  double Count = 0;
  for (int64_t I = 0; I < Rows; ++I) {
    if (Shift && I % Length == Length - 1)
      continue;
    int32_t Label = Labels[Shift ? I + 1 : I];
    if (Label != -100)
      WantTargets[I] = Label, ++Count;
  }
  Floats Lse(Rows, 0), Scale = unset(1);
  Doubles DHidden(Hidden.size()), DWeight(Weight.size());
  for (int64_t R = 0; R < Rows; ++R) {
    if (WantTargets[R] < 0)
      continue;
    Doubles Z(Vocabulary);
    double Sum = 0;
    for (int64_t V = 0; V < Vocabulary; ++V) {
      for (int64_t I = 0; I < Width; ++I)
        Z[V] += double(Hidden[R * Width + I]) * Weight[V * Width + I];
      Sum += std::exp(Z[V]);
    }
    Lse[R] = std::log(Sum);
    for (int64_t V = 0; V < Vocabulary; ++V) {
      double Dz = (std::exp(Z[V]) / Sum - (V == WantTargets[R])) / Count;
      for (int64_t I = 0; I < Width; ++I) {
        DHidden[R * Width + I] += Dz * Weight[V * Width + I];
        DWeight[V * Width + I] += Dz * Hidden[R * Width + I];
      }
    }
  }

  run(buildCrossEntropyTargets(module(), Shift), {Labels, Targets, Scale},
      {Batch, Length, Batch, Length}, {1});
  EXPECT_EQ(Targets, WantTargets);
  Floats GotHidden = unset(Hidden.size()), GotWeight = unset(Weight.size());
  int64_t RowTiles = ceilDiv(Rows, ProductRows);
  int64_t WidthTiles = ceilDiv(Width, ProductColumns);
  for (int64_t First = 0; First < Vocabulary; First += Slab) {
    int64_t Size = std::min(Slab, Vocabulary - First);
    Floats DLogits = unset(Rows * Size);
    run(buildCrossEntropyLogitsGrad(module(), {Vocabulary, Width}),
        {Hidden, Weight, Targets, Lse, Scale, DLogits},
        {Rows, Rows, Rows, Rows, Size, First},
        {RowTiles, ceilDiv(Size, ProductColumns)});
    run(buildCrossEntropyHiddenGrad(module(), {Vocabulary, Width}, First > 0),
        {DLogits, Weight, GotHidden}, {Rows, Size, Rows, First},
        {RowTiles, WidthTiles});
    run(buildCrossEntropyWeightGrad(module(), {Vocabulary, Width}),
        {DLogits, Hidden, GotWeight}, {Rows, Size, Rows, First},
        {ceilDiv(Size, ProductRows), WidthTiles});
  }
  expectClose(GotHidden, DHidden, "dhidden", 5e-6);
  expectClose(GotWeight, DWeight, "dweight", 5e-6);
}

TEST_F(LossGradTest, NextTokens) {
  check(3, 22, 97, 40, 2048, /*Shift=*/true, /*Ignored=*/false);
  check(1, 1, 20, 16, 2048, /*Shift=*/true, /*Ignored=*/false);
}

TEST_F(LossGradTest, Slabs) {
  check(2, 35, 300, 24, 128, /*Shift=*/true, /*Ignored=*/false);
}

TEST_F(LossGradTest, Classes) {
  check(1, 9, 3, 32, 2048, /*Shift=*/false, /*Ignored=*/false);
}

TEST_F(LossGradTest, NoLabelCounts) {
  check(1, 9, 30, 32, 2048, /*Shift=*/true, /*Ignored=*/true);
}

} // namespace
