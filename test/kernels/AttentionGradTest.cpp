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
  /// Both kernels against the reference's gradients. `Mask` is [B, T].
  void check(int64_t B, int64_t T, AttentionGradShape S,
             const txs::Tensor *Mask = nullptr);

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

void AttentionGradTest::check(int64_t B, int64_t T, AttentionGradShape S,
                              const txs::Tensor *Mask) {
  int64_t H = S.Heads, G = S.KeyHeads, P = S.HeadSize;
  auto Q = randomTensor({B, T, H, P}), K = randomTensor({B, T, G, P});
  auto V = randomTensor({B, T, G, P}), Do = randomTensor({B, T, H, P});
  Integers Key = {11, 22};
  auto Drop = txs::reference::makeDropoutMask(txs::Tensor({2}, {11, 22}),
                                              S.Dropout, S.Site);
  auto Made = txs::reference::attention(Q, K, V, Mask, 0, Drop);
  auto Want = txs::reference::attentionGrad(Do, Q, K, V, Made.Result,
                                            Made.LogSumExp, Mask, Drop);

  Floats Delta = unset(B * T * H), GotQ = unset(Q.size());
  Floats GotK = unset(K.size()), GotV = unset(V.size());
  Floats FQ = toFloats(Q), FK = toFloats(K), FV = toFloats(V);
  Floats FDo = toFloats(Do), FO = toFloats(Made.Result);
  Floats Lse = toFloats(Made.LogSumExp), FMask(B * T, 1);
  run(buildAttentionDelta(module(), P), {FO, FDo, Delta},
      {B * T * H, B * T * H, B * T * H}, {ceilDiv(B * T * H, AttentionTile)});
  std::vector<Memory> Memories = {FDo, FQ, FK, FV, Lse, Delta};
  if (Mask) {
    FMask = toFloats(*Mask);
    Memories.push_back(FMask);
  }
  std::vector<int64_t> Sizes;
  for (size_t I = 0; I <= Memories.size(); ++I) // and one result
    Sizes.insert(Sizes.end(), {B, T});
  if (S.Dropout > 0)
    Memories.push_back(Key);
  int64_t Tiles = ceilDiv(T, AttentionTile);
  std::vector<Memory> ForQuery = Memories, ForKey = Memories;
  ForQuery.push_back(GotQ), ForKey.push_back(GotK), ForKey.push_back(GotV);
  run(buildAttentionGradQuery(module(), S), ForQuery, Sizes, {Tiles, H, B});
  Sizes.insert(Sizes.end(), {B, T});
  run(buildAttentionGradKeyValue(module(), S), ForKey, Sizes, {Tiles, G, B});
  std::string At = " for " + std::to_string(T) + " tokens";
  double Floor = T == 1 ? 1 : 1e-6; // the only score has no gradient
  expectClose(GotQ, Want.Dquery.values(), "dq" + At, 2e-6, Floor);
  expectClose(GotK, Want.Dkey.values(), "dk" + At, 2e-6, Floor);
  expectClose(GotV, Want.Dvalue.values(), "dv" + At);
}

TEST_F(AttentionGradTest, AnyLength) {
  for (int64_t Length : {1, 63, 64, 65, 130})
    check(1, Length, {1, 1, 16, false});
}

/// Keys are hidden on the left, where rows see none, and in between.
TEST_F(AttentionGradTest, GroupedKeysAndMask) {
  auto Check = [&](int64_t B, int64_t T, AttentionGradShape S) {
    txs::Tensor Mask({B, T});
    for (int64_t I = 0; I < B * T; ++I)
      Mask[I] = I % T >= 3 && I % 5 != 2;
    check(B, T, S, &Mask);
  };
  Check(2, 70, {4, 2, 16, true});
  Check(1, 5, {6, 1, 20, true});
}

/// The masks that dropout draws are those of the reference interpreter, in rows
/// that see no key too.
TEST_F(AttentionGradTest, Dropout) {
  int64_t B = 2, T = 70;
  txs::Tensor Mask({B, T}, Doubles(B * T, 1));
  for (int64_t I = 0; I < 66; ++I) // two tiles of queries begin blind
    Mask[I] = 0;
  check(B, T, {2, 1, 16, /*Mask=*/true, /*Dropout=*/0.5, /*Site=*/5}, &Mask);
}

} // namespace
