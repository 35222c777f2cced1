//===- LayerGradTest.cpp - Gradients of the layers ------------------------===//
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

using LayerGradTest = GradientKernelTest;

TEST_F(LayerGradTest, SumRows) {
  for (int64_t Width : {8, 97, 200})
    for (int64_t Rows : {1, 31, 33, 70}) {
      Floats X = random(Rows * Width), Y = unset(Width);
      Doubles Want(Width);
      for (int64_t I = 0; I < Rows * Width; ++I)
        Want[I % Width] += X[I];
      run(buildSumRows(module(), Width), {X, Y}, {Rows},
          {ceilDiv(Width, SumColumns)});
      expectClose(Y, Want, "sum of rows");
    }
}

TEST_F(LayerGradTest, SumTokens) {
  for (int64_t Rows : {1, 255, 257, 600})
    for (bool Product : {false, true}) {
      int64_t Width = 20, Blocks = ceilDiv(Rows, SumBlockRows);
      Floats L = random(Rows * Width), R = random(Rows * Width);
      Floats Partials = unset(Blocks * Width), Y = unset(Width);
      Doubles Want(Width);
      for (int64_t I = 0; I < Rows * Width; ++I)
        Want[I % Width] += L[I] * (Product ? double(R[I]) : 1.0);
      std::vector<Memory> Memories = {L, R, Partials};
      std::vector<int64_t> Sizes = {Rows, Rows, Blocks};
      if (!Product) {
        Memories.erase(Memories.begin() + 1);
        Sizes.erase(Sizes.begin() + 1);
      }
      run(buildSumTokens(module(), Width, Product), Memories, Sizes,
          {Blocks, ceilDiv(Width, SumColumns)});
      run(buildSumRows(module(), Width), {Partials, Y}, {Blocks}, {1});
      expectClose(Y, Want, "sum of tokens");
    }
}

TEST_F(LayerGradTest, RmsNormGrad) {
  const double Epsilon = 1e-3;
  for (int64_t Width : {16, 64, 150})
    for (int64_t Rows : {1, 63, 65, 150}) {
      int64_t Blocks = ceilDiv(Rows, NormBlockRows);
      Floats Dy = random(Rows * Width), X = random(Rows * Width, 0.5);
      Floats W = random(Width, 0.3, 1), Dx = unset(Rows * Width);
      Floats Partials = unset(Blocks * Width), Dw = unset(Width);
      Doubles WantDx(Rows * Width), WantDw(Width);
      for (int64_t R = 0; R < Rows; ++R) {
        const float *x = &X[R * Width], *dy = &Dy[R * Width];
        double Squares = 0, Mean = 0;
        for (int64_t I = 0; I < Width; ++I)
          Squares += double(x[I]) * x[I];
        double Scale = 1 / std::sqrt(Squares / Width + Epsilon);
        for (int64_t I = 0; I < Width; ++I)
          Mean += double(W[I]) * dy[I] * x[I] * Scale / Width;
        for (int64_t I = 0; I < Width; ++I) {
          WantDx[R * Width + I] =
              Scale * (double(W[I]) * dy[I] - x[I] * Scale * Mean);
          WantDw[I] += double(dy[I]) * x[I] * Scale;
        }
      }
      run(buildRmsNormGrad(module(), Width, Epsilon), {Dy, X, W, Dx, Partials},
          {Rows, Rows, Rows, Blocks}, {Blocks});
      run(buildSumRows(module(), Width), {Partials, Dw}, {Blocks},
          {ceilDiv(Width, SumColumns)});
      expectClose(Dx, WantDx, "dx");
      expectClose(Dw, WantDw, "dw");
    }
}

TEST_F(LayerGradTest, LinearGrad) {
  const int64_t Shapes[][3] = {
      {1, 16, 16}, {63, 8, 48}, {65, 130, 24}, {130, 70, 150}};
  for (auto [Rows, Outputs, Inputs] : Shapes) {
    Floats Dy = random(Rows * Outputs), X = random(Rows * Inputs);
    Floats W = random(Outputs * Inputs), Dx = unset(Rows * Inputs);
    Floats Dw = unset(Outputs * Inputs);
    Doubles WantDx(Rows * Inputs), WantDw(Outputs * Inputs);
    for (int64_t R = 0; R < Rows; ++R)
      for (int64_t O = 0; O < Outputs; ++O)
        for (int64_t I = 0; I < Inputs; ++I) {
          double G = Dy[R * Outputs + O];
          WantDx[R * Inputs + I] += G * W[O * Inputs + I];
          WantDw[O * Inputs + I] += G * X[R * Inputs + I];
        }
    TileEdges Input = inputGradEdges(TileSizes::of(module()), Inputs);
    TileEdges Weight =
        weightGradEdges(TileSizes::of(module()), Outputs, Inputs);
    run(buildLinearGradInput(module(), Outputs, Inputs), {Dy, W, Dx},
        {Rows, Rows},
        {ceilDiv(Rows, Input.Rows), ceilDiv(Inputs, Input.Columns)});
    run(buildLinearGradWeight(module(), Outputs, Inputs), {Dy, X, Dw},
        {Rows, Rows},
        {ceilDiv(Outputs, Weight.Rows), ceilDiv(Inputs, Weight.Columns)});
    expectClose(Dx, WantDx, "dinput");
    expectClose(Dw, WantDw, "dweight");
  }
}

/// The derivatives as quotients of differences of the function itself.
double activationFunction(txs::ActivationKind Kind, double X) {
  switch (Kind) {
  case txs::ActivationKind::Silu:
    return X / (1 + std::exp(-X));
  case txs::ActivationKind::Gelu:
    return 0.5 * X * (1 + std::erf(X / std::sqrt(2.0)));
  case txs::ActivationKind::Relu:
    return std::max(X, 0.0);
  case txs::ActivationKind::Softplus:
    return X > 0 ? X + std::log1p(std::exp(-X)) : std::log1p(std::exp(X));
  }
  return 0;
}

TEST_F(LayerGradTest, ActivationGrad) {
  for (auto Kind : {txs::ActivationKind::Silu, txs::ActivationKind::Gelu,
                    txs::ActivationKind::Relu, txs::ActivationKind::Softplus}) {
    int64_t Size = FlatTile + 5;
    Floats Dy = random(Size), X = random(Size, 3), Dx = unset(Size);
    X[0] = -200, X[1] = 200, X[2] = -90;
    Doubles Want(Size);
    for (int64_t I = 0; I < Size; ++I) {
      double H = 1e-5;
      Want[I] = Dy[I] *
                (activationFunction(Kind, X[I] + H) -
                 activationFunction(Kind, X[I] - H)) /
                (2 * H);
    }
    run(buildActivationGrad(module(), Kind), {Dy, X, Dx}, {Size, Size, Size},
        {ceilDiv(Size, FlatTile)});
    expectClose(Dx, Want, txs::stringifyActivationKind(Kind).str());
  }
}

TEST_F(LayerGradTest, EmbeddingGrad) {
  for (int64_t Pad : {-1, 2}) {
    int64_t Vocabulary = 600, Width = 40, Tokens = 150;
    Floats Dy = random(Tokens * Width), Dw = unset(Vocabulary * Width);
    Integers Ids(Tokens);
    for (int64_t T = 0; T < Tokens; ++T)
      Ids[T] = T % 3 ? (T * T) % Vocabulary : 2; // many repetitions, pad too
    Ids[5] = Vocabulary - 1;
    Doubles Want(Vocabulary * Width);
    for (int64_t T = 0; T < Tokens; ++T)
      for (int64_t I = 0; Ids[T] != Pad && I < Width; ++I)
        Want[Ids[T] * Width + I] += Dy[T * Width + I];
    run(buildEmbeddingGrad(module(), Vocabulary, Width, Pad), {Dy, Ids, Dw},
        {Tokens, Tokens}, {ceilDiv(Vocabulary, EmbeddingBlockRows)});
    expectClose(Dw, Want, "dweight");
    Floats Both = random(Vocabulary * Width, 2), Sums = unset(Tokens * Width);
    for (int64_t I = 0; I < Vocabulary * Width; ++I)
      Want[I] = Both[I] + Dw[I];
    Integers First(Vocabulary);
    run(buildEmbeddingGradAdd(module(), Vocabulary, Width, Pad),
        {Dy, Ids, First, Sums, Both}, {Tokens, Tokens, Tokens},
        {ceilDiv(Vocabulary, EmbeddingBlockRows)});
    for (int64_t I = 0; I < Vocabulary * Width; ++I)
      EXPECT_EQ(Both[I], float(Want[I])) << "in place, element " << I;
  }
}

TEST_F(LayerGradTest, LastTokenGrad) {
  int64_t Batch = 4, Width = 40;
  for (int64_t Length : {1, 17, 66})
    for (bool Masked : {false, true}) {
      Floats Dy = random(Batch * Width), Dx = unset(Batch * Length * Width);
      Floats Mask(Batch * Length, 0);
      Integers Last(Batch, Length - 1);
      for (int64_t B = 1; Masked && B < Batch; ++B) { // sequence 0: no token
        Last[B] = std::min<int64_t>(B * B, Length - 1);
        for (int64_t T = B / 2; T <= Last[B]; ++T)
          Mask[B * Length + T] = 1;
      }
      Doubles Want(Batch * Length * Width);
      for (int64_t B = 0; B < Batch; ++B)
        for (int64_t I = 0; I < Width; ++I)
          Want[(B * Length + Last[B]) * Width + I] = Dy[B * Width + I];
      std::vector<Memory> Memories = {Dy, Dx};
      std::vector<int64_t> Sizes = {Batch, Batch, Length};
      if (Masked) {
        Memories.insert(Memories.begin() + 1, Mask);
        Sizes.insert(Sizes.begin() + 1, {Batch, Length});
      }
      run(buildLastTokenGrad(module(), Width, Masked), Memories, Sizes,
          {Batch});
      expectClose(Dx, Want, "dinput");
    }
}

} // namespace
