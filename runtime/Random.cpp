//===- Random.cpp - Counter-based random numbers -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Random.h"

#include <algorithm>
#include <cmath>

using namespace transxssm;

namespace {

constexpr double TwoPi = 6.28318530717958647692;

/// Four consecutive elements share one counter; Values(words, four) turns its
/// random words into their values.
template <typename Transform>
void fillBlocks(uint64_t Seed, uint32_t Stream, int64_t First, int64_t Count,
                float *Out, Transform Values) {
  for (int64_t Block = First / 4; Block * 4 < First + Count; ++Block) {
    double Four[4];
    Values(philox({uint32_t(Block), uint32_t(uint64_t(Block) >> 32), Stream, 0},
                  Seed),
           Four);
    int64_t Low = std::max(First, Block * 4);
    int64_t High = std::min(First + Count, Block * 4 + 4);
    for (int64_t I = Low; I < High; ++I)
      Out[I - First] = float(Four[I - Block * 4]);
  }
}

} // namespace

std::array<uint32_t, 4> transxssm::philox(std::array<uint32_t, 4> Counter,
                                          uint64_t Key) {
  uint32_t Key0 = uint32_t(Key), Key1 = uint32_t(Key >> 32);
  for (int Round = 0; Round < 10; ++Round) {
    uint64_t Product0 = uint64_t(0xD2511F53) * Counter[0];
    uint64_t Product1 = uint64_t(0xCD9E8D57) * Counter[2];
    Counter = {uint32_t(Product1 >> 32) ^ Counter[1] ^ Key0, uint32_t(Product1),
               uint32_t(Product0 >> 32) ^ Counter[3] ^ Key1,
               uint32_t(Product0)};
    Key0 += 0x9E3779B9;
    Key1 += 0xBB67AE85;
  }
  return Counter;
}

void transxssm::fillNormal(uint64_t Seed, uint32_t Stream, int64_t First,
                           int64_t Count, double Deviation, float *Out) {
  // Box and Muller: two uniform numbers give two normal ones.
  fillBlocks(Seed, Stream, First, Count, Out,
             [&](const std::array<uint32_t, 4> &Words, double *Four) {
               for (int Pair = 0; Pair < 4; Pair += 2) {
                 double Radius =
                     Deviation *
                     std::sqrt(-2 * std::log(uniformOpen(Words[Pair])));
                 double Angle = TwoPi * uniformOpen(Words[Pair + 1]);
                 Four[Pair] = Radius * std::cos(Angle);
                 Four[Pair + 1] = Radius * std::sin(Angle);
               }
             });
}

void transxssm::fillUniform(uint64_t Seed, uint32_t Stream, int64_t First,
                            int64_t Count, double Low, double High,
                            float *Out) {
  fillBlocks(Seed, Stream, First, Count, Out,
             [&](const std::array<uint32_t, 4> &Words, double *Four) {
               for (int I = 0; I < 4; ++I)
                 Four[I] = Low + (High - Low) * (Words[I] * 0x1p-32);
             });
}
