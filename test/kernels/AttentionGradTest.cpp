//===- AttentionGradTest.cpp - Gradients of attention ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The tiled kernels against the T x T formulas.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Reference.h"
#include "test/kernels/GradientKernelTest.h"

using namespace transxssm;
using namespace transxssm::tiling;

namespace {

class AttentionGradTest : public GradientKernelTest {
protected:
  void check(int64_t Batch, int64_t Length, AttentionGradShape S);

  txs::Tensor randomTensor(std::vector<int64_t> Shape) {
    int64_t Size = 1;
    for (int64_t Extent : Shape)
      Size *= Extent;
    Floats Values = random(Size);
    return txs::Tensor(Shape, Doubles(Values.begin(), Values.end()));
  }
  static Floats toFloats(const txs::Tensor &T) {
    return Floats(T.values().begin(), T.values().end());
  }
};

void AttentionGradTest::check(int64_t B, int64_t T, AttentionGradShape S) {
  int64_t H = S.Heads, G = S.KeyHeads, P = S.HeadSize;
  Floats Q = random(B * T * H * P), K = random(B * T * G * P);
  Floats V = random(B * T * G * P), Do = random(B * T * H * P);
  Floats O(B * T * H * P), Lse(B * T * H), Mask(B * T, 1);
  for (int64_t I = 0; S.Mask && I < B * T; ++I)
    Mask[I] = I % T >= 3 && I % 5 != 2; // left padding: rows that see no key
  Doubles DQ(Q.size()), DK(K.size()), DV(V.size());
  double Scale = 1 / std::sqrt(double(P));
  auto Dot = [&](const float *X, const float *Y) {
    double Sum = 0;
    for (int64_t I = 0; I < P; ++I)
      Sum += double(X[I]) * Y[I];
    return Sum;
  };
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t t = 0; t < T; ++t) {
        int64_t Row = (b * T + t) * H + h;
        auto Key = [&](int64_t s) {
          return ((b * T + s) * G + h / (H / G)) * P;
        };
        Doubles Prob(t + 1), Result(P);
        double Sum = 0, Delta = 0;
        for (int64_t s = 0; s <= t; ++s)
          Sum += Prob[s] = Mask[b * T + s] != 0
                               ? std::exp(Dot(&Q[Row * P], &K[Key(s)]) * Scale)
                               : 0;
        Lse[Row] =
            Sum > 0 ? std::log(Sum) : -std::numeric_limits<float>::infinity();
        for (int64_t s = 0; s <= t; ++s) {
          Prob[s] = Sum > 0 ? Prob[s] / Sum : 0;
          for (int64_t p = 0; p < P; ++p)
            Result[p] += Prob[s] * V[Key(s) + p];
        }
        if (Sum == 0) { // sees no key: the mean of all values
          for (int64_t s = 0; s < T * P; ++s) {
            int64_t At = Key(s / P) + s % P;
            Result[s % P] += V[At] / double(T);
            DV[At] += Do[Row * P + s % P] / double(T);
          }
        }
        for (int64_t p = 0; p < P; ++p) {
          O[Row * P + p] = Result[p];
          Delta += Result[p] * Do[Row * P + p];
        }
        for (int64_t s = 0; s <= t; ++s) {
          double DScore =
              Prob[s] * (Dot(&Do[Row * P], &V[Key(s)]) - Delta) * Scale;
          for (int64_t p = 0; p < P; ++p) {
            DQ[Row * P + p] += DScore * K[Key(s) + p];
            DK[Key(s) + p] += DScore * Q[Row * P + p];
            DV[Key(s) + p] += Prob[s] * Do[Row * P + p];
          }
        }
      }

  Floats Delta = unset(B * T * H), GotQ = unset(Q.size());
  Floats GotK = unset(K.size()), GotV = unset(V.size());
  run(buildAttentionDelta(module(), P), {O, Do, Delta},
      {B * T * H, B * T * H, B * T * H}, {ceilDiv(B * T * H, AttentionTile)});
  std::vector<Memory> Memories = {Do, Q, K, V, Lse, Delta};
  std::vector<int64_t> Sizes = {B, T, B, T, B, T, B, T, B, T, B, T};
  if (S.Mask)
    Memories.push_back(Mask), Sizes.insert(Sizes.end(), {B, T});
  int64_t Tiles = ceilDiv(T, AttentionTile);
  std::vector<Memory> ForQuery = Memories, ForKey = Memories;
  ForQuery.push_back(GotQ), ForKey.push_back(GotK), ForKey.push_back(GotV);
  Sizes.insert(Sizes.end(), {B, T});
  run(buildAttentionGradQuery(module(), S), ForQuery, Sizes, {B, H, Tiles});
  Sizes.insert(Sizes.end(), {B, T});
  run(buildAttentionGradKeyValue(module(), S), ForKey, Sizes, {B, G, Tiles});
  std::string At = " for " + std::to_string(T) + " tokens";
  expectClose(GotQ, DQ, "dq" + At, 2e-6, /*Floor=*/1);
  expectClose(GotK, DK, "dk" + At, 2e-6, /*Floor=*/1);
  expectClose(GotV, DV, "dv" + At, 2e-6, /*Floor=*/1);
}

TEST_F(AttentionGradTest, AnyLength) {
  for (int64_t Length : {1, 63, 64, 65, 130})
    check(1, Length, {1, 1, 16, false});
}

TEST_F(AttentionGradTest, GroupedKeysAndMask) {
  check(2, 70, {4, 2, 16, true});
  check(1, 5, {6, 1, 20, true});
}

/// The masks that dropout draws are those of the reference interpreter, in rows
/// that see no key too.
TEST_F(AttentionGradTest, Dropout) {
  int64_t B = 2, T = 70, H = 2, G = 1, P = 16;
  AttentionGradShape S = {H, G, P, /*Mask=*/true, /*Dropout=*/0.5, /*Site=*/5};
  auto Q = randomTensor({B, T, H, P}), K = randomTensor({B, T, G, P});
  auto V = randomTensor({B, T, G, P}), Do = randomTensor({B, T, H, P});
  txs::Tensor Mask({B, T}, Doubles(B * T, 1)), Seed({2}, {11, 22});
  for (int64_t I = 0; I < 66; ++I) // two tiles of queries begin blind
    Mask[I] = 0;
  auto Drop = txs::reference::makeDropoutMask(Seed, S.Dropout, S.Site);
  auto Made = txs::reference::attention(Q, K, V, &Mask, 0, Drop);
  auto Want = txs::reference::attentionGrad(Do, Q, K, V, Made.Result,
                                            Made.LogSumExp, &Mask, Drop);

  Floats Delta = unset(B * T * H), GotQ = unset(Q.size());
  Floats GotK = unset(K.size()), GotV = unset(V.size());
  Floats FQ = toFloats(Q), FK = toFloats(K), FV = toFloats(V);
  Floats FDo = toFloats(Do), FO = toFloats(Made.Result);
  Floats Lse = toFloats(Made.LogSumExp), FMask = toFloats(Mask);
  Integers Key = {11, 22};
  run(buildAttentionDelta(module(), P), {FO, FDo, Delta},
      {B * T * H, B * T * H, B * T * H}, {ceilDiv(B * T * H, AttentionTile)});
  int64_t Tiles = ceilDiv(T, AttentionTile);
  std::vector<int64_t> Sizes;
  for (int I = 0; I < 8; ++I)
    Sizes.insert(Sizes.end(), {B, T});
  run(buildAttentionGradQuery(module(), S),
      {FDo, FQ, FK, FV, Lse, Delta, FMask, Key, GotQ}, Sizes, {B, H, Tiles});
  Sizes.insert(Sizes.end(), {B, T});
  run(buildAttentionGradKeyValue(module(), S),
      {FDo, FQ, FK, FV, Lse, Delta, FMask, Key, GotK, GotV}, Sizes,
      {B, G, Tiles});
  expectClose(GotQ, Want.Dquery.values(), "dq");
  expectClose(GotK, Want.Dkey.values(), "dk");
  expectClose(GotV, Want.Dvalue.values(), "dv");
}

} // namespace
