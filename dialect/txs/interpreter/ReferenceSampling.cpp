//===- ReferenceSampling.cpp - Drawing the next token ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Reference.h"

#include <algorithm>
#include <cmath>

using namespace transxssm::txs;
using namespace transxssm::txs::reference;

namespace {

/// One row of `txs.sample`.
struct Sampling {
  llvm::ArrayRef<double> Logits; ///< those that count
  double Temperature, TopP;
  std::array<uint32_t, 2> Seed;
  uint32_t Step, Row;
  int64_t TopK;

  /// m - x; equal infinities are not apart.
  double distance(double Largest, int64_t Token) const {
    return Logits[Token] == Largest ? 0 : Largest - Logits[Token];
  }
  double weight(double Distance) const {
    return std::exp(-Distance / Temperature);
  }
  double noise(int64_t Token) const;
  double farthestKept(double Largest) const;
  int64_t draw() const;
};

} // namespace

double Sampling::noise(int64_t Token) const {
  int64_t Block = Token / (4 * SampleLanes);
  uint32_t Counter = uint32_t(Block * SampleLanes + Token % SampleLanes);
  uint32_t Word =
      philox({Step, Row, Counter, SampleStream}, Seed)[Token / SampleLanes % 4];
  double Uniform = std::min(((Word >> 1) + 0.5) * 0x1p-31, 1 - 0x1p-24);
  return -std::log(-std::log1p(-Uniform));
}

/// The largest distance that top_k and top_p keep.
double Sampling::farthestKept(double Largest) const {
  std::vector<double> Distances;
  for (size_t Token = 0; Token < Logits.size(); ++Token)
    Distances.push_back(distance(Largest, Token));
  std::sort(Distances.begin(), Distances.end());
  double Farthest = Distances.back();
  if (TopK > 0 && TopK < int64_t(Distances.size()))
    Farthest = Distances[TopK - 1];
  if (TopP >= 1)
    return Farthest;
  double Total = 0, Sum = 0;
  for (double Distance : Distances)
    Total += Distance <= Farthest ? weight(Distance) : 0;
  for (double Distance : Distances)
    if ((Sum += weight(Distance)) >= TopP * Total)
      return std::min(Distance, Farthest);
  return Farthest;
}

int64_t Sampling::draw() const {
  if (std::any_of(Logits.begin(), Logits.end(),
                  [](double X) { return std::isnan(X); }))
    return -1;
  double Largest = *std::max_element(Logits.begin(), Logits.end());
  if (std::isinf(Largest) && Largest < 0)
    return -1;
  double Farthest = Temperature > 0 ? farthestKept(Largest) : 0;
  double Best = -INFINITY;
  int64_t Chosen = -1;
  for (size_t Token = 0; Token < Logits.size(); ++Token) {
    double Distance = distance(Largest, Token);
    if (Distance > Farthest)
      continue;
    double Score =
        Temperature > 0 ? noise(Token) - Distance / Temperature : -Distance;
    if (Score > Best) {
      Best = Score;
      Chosen = Token;
    }
  }
  return Chosen;
}

Tensor reference::sample(const Tensor &Logits, const Tensor &Settings,
                         const Tensor &Draw) {
  auto Word = [&](int64_t I) { return uint32_t(int32_t(Draw[I])); };
  int64_t Vocabulary = Logits.dim(1);
  int64_t Choices = std::clamp<int64_t>(int64_t(Draw[4]), 1, Vocabulary);
  Tensor Tokens({Logits.dim(0)});
  for (int64_t Row = 0; Row < Logits.dim(0); ++Row)
    Tokens[Row] =
        double(Sampling{{Logits.row(Row, Vocabulary), size_t(Choices)},
                        Settings[0],
                        Settings[1],
                        {Word(0), Word(1)},
                        Word(2),
                        uint32_t(Row),
                        int64_t(Draw[3])}
                   .draw());
  return Tokens;
}
