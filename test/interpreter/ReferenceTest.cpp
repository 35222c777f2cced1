//===- ReferenceTest.cpp - The reference operations, by hand --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Reference.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace transxssm::txs;
using namespace transxssm::txs::reference;

namespace {

constexpr double E = 2.718281828459045;

void expectNear(const Tensor &Actual, llvm::ArrayRef<int64_t> Shape,
                std::vector<double> Expected, double Tolerance = 1e-14) {
  ASSERT_EQ(Actual.shape(), Shape);
  for (int64_t I = 0; I < Actual.size(); ++I)
    EXPECT_NEAR(Actual[I], Expected[I], Tolerance) << "element " << I;
}

/// The known answers that the authors of the generator publish.
TEST(Reference, Philox) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  uint32_t Ones = 0xffffffff;
  EXPECT_EQ(philox({Ones, Ones, Ones, Ones}, {Ones, Ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Reference, Embedding) {
  Tensor Weight({3, 2}, {0, 1, 10, 11, 20, 21});
  expectNear(embedding(Tensor({1, 3}, {2, 0, 2}), Weight), {1, 3, 2},
             {20, 21, 0, 1, 20, 21});
}

TEST(Reference, EmbeddingGradLeavesOutThePaddingToken) {
  Tensor Dy({1, 3, 2}, {1, 2, 3, 4, 5, 6}), Ids({1, 3}, {2, 0, 2});
  expectNear(embeddingGrad(Dy, Ids, std::nullopt, {3, 2}), {3, 2},
             {3, 4, 0, 0, 6, 8});
  expectNear(embeddingGrad(Dy, Ids, 2, {3, 2}), {3, 2}, {3, 4, 0, 0, 0, 0});
}

TEST(Reference, RmsNorm) {
  // mean(x^2) + eps = (9 + 16) / 2 + 3.5 = 16.
  expectNear(rmsNorm(Tensor({1, 1, 2}, {3, 4}), Tensor({2}, {2, 10}), 3.5),
             {1, 1, 2}, {1.5, 10});
}

TEST(Reference, LinearIntoHeads) {
  Tensor X({1, 1, 2}, {1, 2}), W({4, 2}, {1, 0, 0, 1, 1, 1, 2, 3});
  Tensor Bias({4}, {10, 20, 30, 40});
  expectNear(linear(X, W, nullptr, {1, 1, 2, 2}), {1, 1, 2, 2}, {1, 2, 3, 8});
  expectNear(linear(X, W, &Bias, {1, 1, 4}), {1, 1, 4}, {11, 22, 33, 48});
}

TEST(Reference, Activations) {
  Tensor X({3}, {-1, 0, 2});
  double Sigmoid = 1 / (1 + std::exp(-2.0));
  expectNear(activation(ActivationKind::Silu, X), {3},
             {-1 / (1 + E), 0, 2 * Sigmoid});
  // Phi(-1) and Phi(2), from a table of the normal distribution.
  expectNear(activation(ActivationKind::Gelu, X), {3},
             {-0.15865525393145705, 0, 2 * 0.9772498680518208});
  expectNear(activation(ActivationKind::Relu, X), {3}, {0, 0, 2});
  expectNear(activation(ActivationKind::Softplus, X), {3},
             {std::log(1 + 1 / E), std::log(2.0), std::log(1 + E * E)});
  Tensor Far({2}, {1000, -1000});
  expectNear(activation(ActivationKind::Softplus, Far), {2}, {1000, 0});
}

TEST(Reference, ResidualAndMask) {
  Tensor X({1, 2, 2}, {1, 2, 3, 4}), U({1, 2, 2}, {10, 20, 30, 40});
  expectNear(residual(X, U, Tensor({2}, {2, -1})), {1, 2, 2}, {12, 18, 36, 36});
  expectNear(mask(X, Tensor({1, 2}, {0, 1})), {1, 2, 2}, {0, 0, 3, 4});
}

TEST(Reference, DropoutKeepsByCounter) {
  Tensor X({1000}, std::vector<double>(1000, 3.0));
  DropoutMask Mask = makeDropoutMask(Tensor({2}, {1, -2}), 0.25, 7);
  Tensor Y = dropout(X, Mask);
  int64_t Kept = 0;
  for (uint32_t I = 0; I < 1000; ++I) {
    bool Keep = philox({I, 0, 0, 7}, {1, 0xfffffffe})[0] >= 0x40000000u;
    EXPECT_EQ(Y[I], Keep ? 4.0 : 0.0);
    Kept += Keep;
  }
  // 750 expected, standard deviation 13.7.
  EXPECT_NEAR(Kept, 750, 60);
  EXPECT_EQ(dropout(X, DropoutMask()).values(), X.values());
}

TEST(Reference, Rope) {
  // A quarter turn in the first pair, none in the second.
  Tensor X({1, 1, 1, 4}, {1, 2, 3, 4});
  Tensor Cos({1, 2}, {0, 1}), Sin({1, 2}, {1, 0});
  expectNear(rope(X, Cos, Sin, false), {1, 1, 1, 4}, {-3, 2, 1, 4});
  expectNear(rope(X, Cos, Sin, true), {1, 1, 1, 4}, {3, 2, -1, 4});
}

TEST(Reference, ScanOfTwoSteps) {
  // P = N = 1: S = exp(dt A) S + dt x b, y = S c, from S = 8.
  double Log2 = std::log(2.0);
  Tensor C({1, 2, 1, 1}, {1, 10}), B({1, 2, 1, 1}, {3, 1});
  Tensor X({1, 2, 1, 1}, {5, 7}), Dt({1, 2, 1}, {1, 2}), A({1}, {-Log2});
  Tensor Initial({1, 1, 1, 1}, {8});
  ScanResult Made = ssmScan(C, B, X, Dt, A, &Initial);
  // 8/2 + 15 = 19; 19/4 + 14 = 18.75.
  expectNear(Made.Y, {1, 2, 1, 1}, {19, 187.5}, 1e-13);
  expectNear(Made.Final, {1, 1, 1, 1}, {18.75}, 1e-13);
  expectNear(ssmScan(C, B, X, Dt, A, nullptr).Y, {1, 2, 1, 1}, {15, 177.5},
             1e-13);
}

TEST(Reference, ScanStateIsAnOuterProduct) {
  Tensor C({1, 1, 1, 3}, {1, 1, 1}), B({1, 1, 1, 3}, {1, 2, 3});
  Tensor X({1, 1, 1, 2}, {10, 100}), Dt({1, 1, 1}, {1}), A({1}, {-1});
  ScanResult Made = ssmScan(C, B, X, Dt, A, nullptr);
  expectNear(Made.Final, {1, 1, 2, 3}, {10, 20, 30, 100, 200, 300});
  expectNear(Made.Y, {1, 1, 1, 2}, {60, 600});
}

TEST(Reference, AttentionIsCausalAndScaled) {
  // P = 4, so scores are halved: query 1 sees scores 0 and log 3.
  double Log3 = std::log(3.0);
  Tensor Q({1, 2, 1, 4}, {9, 9, 9, 9, 2, 0, 0, 0});
  Tensor K({1, 2, 1, 4}, {0, 0, 0, 0, Log3, 0, 0, 0});
  Tensor V({1, 2, 1, 4}, {4, 0, 0, 1, 8, 4, 0, 1});
  AttentionResult Made = attention(Q, K, V, nullptr, 0, DropoutMask());
  expectNear(Made.Result, {1, 2, 1, 4}, {4, 0, 0, 1, 7, 3, 0, 1});
  expectNear(Made.LogSumExp, {1, 2, 1}, {0, std::log(4.0)});
}

TEST(Reference, AttentionSharesKeysInAGroup) {
  // Heads 0 and 1 read key head 0, heads 2 and 3 key head 1.
  Tensor Q({1, 1, 4, 1}, {1, 2, 3, 4}), K({1, 1, 2, 1}, {5, 6});
  Tensor V({1, 1, 2, 1}, {7, 8});
  expectNear(attention(Q, K, V, nullptr, 0, DropoutMask()).Result, {1, 1, 4, 1},
             {7, 7, 8, 8});
}

TEST(Reference, AttentionToACache) {
  // Past 1: of four places the query sees 0 and 1; place 0 is masked in the
  // second sequence.
  Tensor Q({2, 1, 1, 1}, {0, 0}), K({2, 4, 1, 1});
  Tensor V({2, 4, 1, 1}, {1, 3, 50, 60, 1, 3, 50, 60});
  Tensor Mask({2, 4}, {1, 1, 1, 1, 0, 1, 1, 1});
  expectNear(attention(Q, K, V, &Mask, 1, DropoutMask()).Result, {2, 1, 1, 1},
             {2, 3});
}

TEST(Reference, AttentionThatSeesNothing) {
  // Padding on the left: row 0 weighs all three keys, row 1 sees itself.
  Tensor Q({1, 3, 1, 1}, {1, 1, 1}), K({1, 3, 1, 1}, {1, 2, 3});
  Tensor V({1, 3, 1, 1}, {3, 6, 9}), Mask({1, 3}, {0, 1, 0});
  AttentionResult Made = attention(Q, K, V, &Mask, 0, DropoutMask());
  expectNear(Made.Result, {1, 3, 1, 1}, {6, 6, 6});
  expectNear(Made.LogSumExp, {1, 3, 1}, {0, 2, 2});
}

TEST(Reference, CacheAppend) {
  Tensor Cache({2, 3, 1}, {1, 2, 3, 4, 5, 6}), Tokens({2, 1, 1}, {70, 80});
  expectNear(cacheAppend(Cache, Tokens, 1), {2, 3, 1}, {1, 70, 3, 4, 80, 6});
}

TEST(Reference, LastToken) {
  Tensor X({3, 2, 1}, {1, 2, 3, 4, 5, 6}), Mask({3, 2}, {1, 0, 0, 1, 0, 0});
  expectNear(lastToken(X, nullptr), {3, 1}, {2, 4, 6});
  expectNear(lastToken(X, &Mask), {3, 1}, {1, 4, 6});
}

TEST(Reference, LinearCrossEntropy) {
  // Logits of row 0 are (log 1, log 3), of row 1 (log 1, log 9).
  Tensor Hidden({1, 2, 1}, {1, 2}), Weight({2, 1}, {0, std::log(3.0)});
  auto Own = linearCrossEntropy(Hidden, Weight, Tensor({1, 2}, {1, 0}), false);
  EXPECT_NEAR(Own.Loss[0], (std::log(4.0 / 3) + std::log(10.0)) / 2, 1e-14);
  expectNear(Own.LogSumExp, {1, 2}, {std::log(4.0), std::log(10.0)});
  // Shifted: row 0 is scored against label 1 of token 1, row 1 not at all.
  auto Next = linearCrossEntropy(Hidden, Weight, Tensor({1, 2}, {0, 1}), true);
  EXPECT_NEAR(Next.Loss[0], std::log(4.0 / 3), 1e-14);
  expectNear(Next.LogSumExp, {1, 2}, {std::log(4.0), 0});
  // None counts.
  auto None =
      linearCrossEntropy(Hidden, Weight, Tensor({1, 2}, {1, -100}), true);
  EXPECT_EQ(None.Loss[0], 0);
}

TEST(Reference, GlobalNorm) {
  Tensor A({2}, {1, 2}), B({1, 1}, {2});
  EXPECT_EQ(globalNorm({&A, &B}), 3);
}

TEST(Reference, AdamW) {
  // First step of a parameter 2 with gradient 8, norm 8 clipped to 4 (eps of
  // the clip aside): g = 4, both corrected moments are g and g^2, so the step
  // is lr (1 + decay 2).
  Tensor P({1}, {2}), M({1}), V({1}), G({1}, {8});
  Tensor Given({8}, {0.5, 0.9, 0.5, 0, 0.25, 4, 0.1, 0.5});
  Tensor Same = P;
  adamw(P, M, V, G, 8, Given, /*Decays=*/true);
  EXPECT_NEAR(P[0], 2 - 0.5 * (1 + 0.25 * 2), 1e-12);
  EXPECT_NEAR(M[0], 0.4, 1e-6);
  EXPECT_NEAR(V[0], 8, 1e-5);
  Tensor M1({1}), V1({1});
  adamw(Same, M1, V1, G, 8, Given, /*Decays=*/false);
  EXPECT_NEAR(Same[0], 1.5, 1e-12);
  // No clipping when the norm is small, or the limit is 0.
  Tensor P2({1}, {0}), M2({1}), V2({1});
  adamw(P2, M2, V2, G, 2, Given, true);
  EXPECT_NEAR(M2[0], 0.8, 1e-14);
  Given[5] = 0;
  Tensor P3({1}, {0}), M3({1}), V3({1});
  adamw(P3, M3, V3, G, 100, Given, true);
  EXPECT_NEAR(M3[0], 0.8, 1e-14);
}

} // namespace
