//===- Sampling.cpp - Choosing the next token ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Sampling.h"

#include "runtime/Random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace transxssm;

namespace {

/// Sets sampling apart from the other users of a seed.
constexpr uint32_t SamplingStream = 0x53414D50;

/// Uniform in [0, 1) with 53 bits.
double draw(uint64_t Seed, uint64_t Row, uint64_t Step) {
  std::array<uint32_t, 4> Words =
      philox({uint32_t(Step), uint32_t(Step >> 32), uint32_t(Row),
              SamplingStream ^ uint32_t(Row >> 32)},
             Seed);
  uint64_t Bits = (uint64_t(Words[0]) << 32 | Words[1]) >> 11;
  return double(Bits) * 0x1p-53;
}

/// The most likely token, the first of equals; -1 when a logit is NaN or all
/// are -infinity.
int32_t mostLikely(const float *Logits, int64_t VocabSize) {
  int32_t Best = -1;
  for (int64_t I = 0; I < VocabSize; ++I) {
    if (std::isnan(Logits[I]))
      return -1;
    if (Best < 0 ? Logits[I] > -HUGE_VALF : Logits[I] > Logits[Best])
      Best = int32_t(I);
  }
  return Best;
}

} // namespace

Result<Sampler> Sampler::create(const SamplingOptions &Options) {
  if (!std::isfinite(Options.Temperature) || Options.Temperature < 0)
    return makeError("temperature: expected a number of at least 0, got ",
                     Options.Temperature);
  if (Options.TopK < 0)
    return makeError("top_k: expected at least 0, got ", Options.TopK);
  if (!(Options.TopP > 0 && Options.TopP <= 1))
    return makeError("top_p: expected a number in (0, 1], got ", Options.TopP);
  return Sampler(Options);
}

Result<int32_t> Sampler::sample(const float *Logits, int64_t VocabSize,
                                uint64_t Row, uint64_t Step) {
  int32_t Best = mostLikely(Logits, VocabSize);
  if (Best < 0)
    return makeError("row ", Row, ", step ", Step,
                     ": logits hold nan or no finite value");
  if (Options.Temperature == 0 || std::isinf(Logits[Best]))
    return Best;

  // Most likely first; the token breaks ties, so the order is total.
  Order.resize(size_t(VocabSize));
  std::iota(Order.begin(), Order.end(), 0);
  auto MoreLikely = [Logits](int32_t A, int32_t B) {
    return Logits[A] != Logits[B] ? Logits[A] > Logits[B] : A < B;
  };
  int64_t Kept =
      Options.TopK > 0 ? std::min(Options.TopK, VocabSize) : VocabSize;
  if (Kept < VocabSize)
    std::partial_sort(Order.begin(), Order.begin() + Kept, Order.end(),
                      MoreLikely);
  else if (Options.TopP < 1)
    std::sort(Order.begin(), Order.end(), MoreLikely);

  Weights.resize(size_t(Kept));
  double Total = 0;
  for (int64_t I = 0; I < Kept; ++I) {
    Weights[I] = std::exp((double(Logits[Order[I]]) - double(Logits[Best])) /
                          Options.Temperature);
    Total += Weights[I];
  }
  // The fewest tokens whose probability reaches top_p; at least one.
  if (Options.TopP < 1) {
    double Wanted = Options.TopP * Total, Sum = 0;
    int64_t Count = 0;
    while (Count < Kept && (Count == 0 || Sum < Wanted))
      Sum += Weights[Count++];
    Kept = Count;
    Total = Sum;
  }
  double Point = draw(Options.Seed, Row, Step) * Total, Sum = 0;
  int32_t Chosen = Order[0];
  for (int64_t I = 0; I < Kept; ++I) {
    // Rounding may leave the point past the last sum: the last possible token.
    if (Weights[I] > 0)
      Chosen = Order[I];
    Sum += Weights[I];
    if (Point < Sum)
      break;
  }
  return Chosen;
}
