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

/// What the loss is of, and what it and its gradients are.
struct Problem {
  int64_t Batch = 0, Length = 0, Vocabulary = 0, Width = 0;
  bool Shift = false;
  Floats Hidden, Weight, Lse;
  Integers Labels, WantTargets;
  Doubles DHidden, DWeight, WantLse;
  double Loss = 0, Count = 0;

  int64_t rows() const { return Batch * Length; }
  void setTargets(bool Ignored);
  void setGradients();
};

void Problem::setTargets(bool Ignored) {
  Labels.resize(rows());
  for (int64_t I = 0; I < rows(); ++I)
    Labels[I] = Ignored || I % 4 == 3 ? -100 : (I * 31) % Vocabulary;
  WantTargets.assign(rows(), -1);
  for (int64_t I = 0; I < rows(); ++I) {
    if (Shift && I % Length == Length - 1)
      continue;
    int32_t Label = Labels[Shift ? I + 1 : I];
    if (Label != -100)
      WantTargets[I] = Label, ++Count;
  }
}

void Problem::setGradients() {
  Lse.assign(rows(), 0);
  WantLse.assign(rows(), 0);
  DHidden.assign(Hidden.size(), 0);
  DWeight.assign(Weight.size(), 0);
  for (int64_t R = 0; R < rows(); ++R) {
    if (WantTargets[R] < 0)
      continue;
    Doubles Z(Vocabulary);
    double Sum = 0;
    for (int64_t V = 0; V < Vocabulary; ++V) {
      for (int64_t I = 0; I < Width; ++I)
        Z[V] += double(Hidden[R * Width + I]) * Weight[V * Width + I];
      Sum += std::exp(Z[V]);
    }
    WantLse[R] = std::log(Sum);
    Lse[R] = WantLse[R];
    Loss += (WantLse[R] - Z[WantTargets[R]]) / Count;
    for (int64_t V = 0; V < Vocabulary; ++V) {
      double Dz = (std::exp(Z[V]) / Sum - (V == WantTargets[R])) / Count;
      for (int64_t I = 0; I < Width; ++I) {
        DHidden[R * Width + I] += Dz * Weight[V * Width + I];
        DWeight[V * Width + I] += Dz * Hidden[R * Width + I];
      }
    }
  }
}

class LossGradTest : public GradientKernelTest {
protected:
  Problem makeProblem(int64_t Batch, int64_t Length, int64_t Vocabulary,
                      int64_t Width, bool Shift, bool Ignored) {
    Problem P;
    P.Batch = Batch, P.Length = Length, P.Shift = Shift;
    P.Vocabulary = Vocabulary, P.Width = Width;
    P.Hidden = random(P.rows() * Width);
    P.Weight = random(Vocabulary * Width);
    P.setTargets(Ignored);
    P.setGradients();
    return P;
  }
  void runTargets(const Problem &P, Integers &Targets, Floats &Scale) {
    run(buildCrossEntropyTargets(module(), P.Shift), {P.Labels, Targets, Scale},
        {P.Batch, P.Length, P.Batch, P.Length}, {1});
    EXPECT_EQ(Targets, P.WantTargets);
  }

  void checkSlabs(const Problem &P, int64_t Slab);
  /// With the loss, in chunks of `Chunk` rows.
  void checkChunks(const Problem &P, int64_t Chunk);
};

void LossGradTest::checkSlabs(const Problem &P, int64_t Slab) {
  int64_t Rows = P.rows(), Vocabulary = P.Vocabulary, Width = P.Width;
  Integers Targets(Rows, 77);
  Floats Scale = unset(1);
  runTargets(P, Targets, Scale);
  Floats GotHidden = unset(Rows * Width), GotWeight = unset(P.Weight.size());
  int64_t RowTiles = ceilDiv(Rows, ProductRows);
  int64_t WidthTiles = ceilDiv(Width, ProductColumns);
  for (int64_t First = 0; First < Vocabulary; First += Slab) {
    int64_t Size = std::min(Slab, Vocabulary - First);
    Floats DLogits = unset(Rows * Size);
    run(buildCrossEntropyLogitsGrad(module(), {Vocabulary, Width}),
        {P.Hidden, P.Weight, Targets, P.Lse, Scale, DLogits},
        {Rows, Rows, Rows, Rows, Size, First},
        {RowTiles, ceilDiv(Size, ProductColumns)});
    run(buildCrossEntropyHiddenGrad(module(), {Vocabulary, Width}, First > 0),
        {DLogits, P.Weight, GotHidden}, {Rows, Size, Rows, First},
        {RowTiles, WidthTiles});
    run(buildCrossEntropyWeightGrad(module(), {Vocabulary, Width}),
        {DLogits, P.Hidden, GotWeight}, {Rows, Size, Rows, First},
        {ceilDiv(Size, ProductRows), WidthTiles});
  }
  expectClose(GotHidden, P.DHidden, "dhidden", 5e-6);
  expectClose(GotWeight, P.DWeight, "dweight", 5e-6);
}

void LossGradTest::checkChunks(const Problem &P, int64_t Chunk) {
  int64_t Rows = P.rows(), Vocabulary = P.Vocabulary, Width = P.Width;
  mlir::Type Float = mlir::Float32Type::get(module().getContext());
  CrossEntropyShape Shape = {Width, Vocabulary, P.Shift, Float, Float};
  CrossEntropyGradShape GradShape = {Vocabulary, Width};
  int64_t Tiles = ceilDiv(Rows, CrossEntropyRows);
  int64_t Ranges = Shape.ranges(module());
  Integers Targets(Rows, 77);
  Floats Scale = unset(1), Lse = unset(Rows), Loss = unset(1);
  runTargets(P, Targets, Scale);
  Floats GotHidden = unset(Rows * Width), GotWeight = unset(P.Weight.size());
  int64_t LossTiles = Tiles + Chunk / CrossEntropyRows;
  Floats Losses = unset(LossTiles), Counts = unset(LossTiles);
  Floats Maxima = unset(Ranges * Chunk), Sums = Maxima, Chosen = Maxima;
  Floats Logits = unset(Chunk * Vocabulary);
  for (int64_t Start = 0; Start < Rows; Start += Chunk) {
    run(buildCrossEntropyPartial(module(), Shape, true),
        {P.Hidden, P.Weight, P.Labels, Maxima, Sums, Chosen, Logits},
        {Rows, Rows, Chunk, Chunk, Chunk, Chunk, P.Length, Start},
        {Chunk / CrossEntropyRows, Ranges});
    run(buildCrossEntropyCombine(module(), Shape, true, true),
        {Maxima, Sums, Chosen, P.Labels, Lse, Losses, Counts},
        {Chunk, Chunk, Chunk, Rows, Rows, LossTiles, LossTiles, P.Length,
         Start},
        {Chunk / CrossEntropyRows});
    run(buildChunkLogitsGrad(module(), Vocabulary),
        {Logits, Targets, Lse, Scale}, {Chunk, Rows, Rows, Start},
        {ceilDiv(Chunk, ChunkLogitsRows),
         ceilDiv(Vocabulary, ChunkLogitsColumns)});
    run(buildChunkHiddenGrad(module(), GradShape),
        {Logits, P.Weight, GotHidden}, {Chunk, Rows, Start},
        {Chunk / ProductRows, ceilDiv(Width, ProductColumns)});
    run(buildChunkWeightGrad(module(), GradShape, Start > 0),
        {Logits, P.Hidden, GotWeight}, {Chunk, Rows, Start},
        {ceilDiv(Vocabulary, ProductRows), ceilDiv(Width, ProductColumns)});
  }
  run(buildCrossEntropyMean(module()), {Losses, Counts, Loss}, {Tiles, Tiles},
      {1});
  expectClose(Loss, {P.Loss}, "loss");
  expectClose(Lse, P.WantLse, "log_sum_exp");
  expectClose(GotHidden, P.DHidden, "dhidden", 5e-6);
  expectClose(GotWeight, P.DWeight, "dweight", 5e-6);
}

TEST_F(LossGradTest, NextTokens) {
  for (Problem P : {makeProblem(3, 22, 97, 40, /*Shift=*/true, false),
                    makeProblem(1, 1, 20, 16, /*Shift=*/true, false)}) {
    checkSlabs(P, 2048);
    checkChunks(P, 128);
  }
}

TEST_F(LossGradTest, Slabs) {
  checkSlabs(makeProblem(2, 35, 300, 24, /*Shift=*/true, false), 128);
}

// The second chunk begins in the second sequence and ends behind the last one;
// 5,000 entries are two ranges and ten column tiles of the elementwise kernel.
TEST_F(LossGradTest, Chunks) {
  checkChunks(makeProblem(3, 35, 300, 24, /*Shift=*/true, false), 64);
  checkChunks(makeProblem(2, 33, 5000, 8, /*Shift=*/true, false), 64);
}

TEST_F(LossGradTest, Classes) {
  Problem P = makeProblem(1, 9, 3, 32, /*Shift=*/false, false);
  checkSlabs(P, 2048);
  checkChunks(P, 64);
}

TEST_F(LossGradTest, NoLabelCounts) {
  Problem P = makeProblem(1, 9, 30, 32, /*Shift=*/true, /*Ignored=*/true);
  checkSlabs(P, 2048);
  checkChunks(P, 64);
}

} // namespace
