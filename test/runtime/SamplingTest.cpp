//===- SamplingTest.cpp - Tests of the choice of tokens -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace transxssm;

namespace {

Sampler make(double Temperature, int64_t TopK = 0, double TopP = 1,
             uint64_t Seed = 0) {
  Result<Sampler> Made = Sampler::create({Temperature, TopK, TopP, Seed});
  EXPECT_TRUE(bool(Made));
  return *Made;
}

/// How often each token is drawn in `Draws` steps.
std::vector<int> histogram(Sampler &From, const std::vector<float> &Logits,
                           int Draws) {
  std::vector<int> Counts(Logits.size());
  for (int Step = 0; Step < Draws; ++Step)
    ++Counts[size_t(*From.sample(Logits.data(), int64_t(Logits.size()), 0,
                                 uint64_t(Step)))];
  return Counts;
}

const std::vector<float> Logits = {std::log(0.1f), std::log(0.4f),
                                   std::log(0.2f), std::log(0.3f)};

TEST(Sampling, GreedyTakesTheFirstOfTheLargest) {
  Sampler Greedy = make(0);
  std::vector<float> Ties = {1, 5, 2, 5};
  EXPECT_EQ(*Greedy.sample(Ties.data(), 4, 0, 0), 1);
  std::vector<float> Infinite = {-HUGE_VALF, HUGE_VALF, 0};
  EXPECT_EQ(*make(1).sample(Infinite.data(), 3, 0, 0), 1);
}

TEST(Sampling, FollowsTheProbabilities) {
  constexpr int Draws = 40000;
  Sampler All = make(1);
  std::vector<int> Counts = histogram(All, Logits, Draws);
  const double Expected[] = {0.1, 0.4, 0.2, 0.3};
  for (int I = 0; I < 4; ++I)
    EXPECT_NEAR(Counts[I], Expected[I] * Draws,
                5 * std::sqrt(Draws * Expected[I] * (1 - Expected[I])));
  // Temperature 0.5 squares the probabilities.
  Sampler Cold = make(0.5);
  Counts = histogram(Cold, Logits, Draws);
  for (int I = 0; I < 4; ++I) {
    double P = Expected[I] * Expected[I] / 0.3;
    EXPECT_NEAR(Counts[I], P * Draws, 5 * std::sqrt(Draws * P * (1 - P)));
  }
}

TEST(Sampling, CutsOffByRankAndProbability) {
  Sampler Two = make(1, 2);
  std::vector<int> Counts = histogram(Two, Logits, 2000);
  EXPECT_EQ(Counts[0] + Counts[2], 0);
  EXPECT_GT(Counts[1], Counts[3]);
  EXPECT_GT(Counts[3], 0);
  // 0.4 + 0.3 reach 0.65 first.
  Sampler Nucleus = make(1, 0, 0.65);
  Counts = histogram(Nucleus, Logits, 2000);
  EXPECT_EQ(Counts[0] + Counts[2], 0);
  EXPECT_GT(Counts[3], 0);
  Sampler One = make(1, 0, 1e-9);
  EXPECT_EQ(histogram(One, Logits, 100)[1], 100);
  Sampler Large = make(1, 1000);
  EXPECT_GT(histogram(Large, Logits, 2000)[0], 0);
}

TEST(Sampling, DependsOnSeedRowAndStepAlone) {
  auto Draw = [](uint64_t Seed, uint64_t Row, uint64_t Offset) {
    Sampler From = make(1, 0, 1, Seed);
    std::vector<int32_t> Tokens;
    for (uint64_t Step = Offset; Step < 64; ++Step)
      Tokens.push_back(*From.sample(Logits.data(), 4, Row, Step));
    return Tokens;
  };
  EXPECT_EQ(Draw(1, 0, 0), Draw(1, 0, 0));
  EXPECT_NE(Draw(1, 0, 0), Draw(2, 0, 0));
  EXPECT_NE(Draw(1, 0, 0), Draw(1, 1, 0));
  std::vector<int32_t> Whole = Draw(1, 0, 0), Tail = Draw(1, 0, 60);
  EXPECT_TRUE(std::equal(Tail.begin(), Tail.end(), Whole.begin() + 60));
}

TEST(Sampling, RefusesBadInput) {
  EXPECT_EQ(Sampler::create({-1, 0, 1, 0}).message(),
            "temperature: expected a number of at least 0, got -1");
  EXPECT_EQ(Sampler::create({1, -3, 1, 0}).message(),
            "top_k: expected at least 0, got -3");
  EXPECT_EQ(Sampler::create({1, 0, 0, 0}).message(),
            "top_p: expected a number in (0, 1], got 0");
  std::vector<float> Bad = {0, NAN, 1};
  EXPECT_EQ(make(0).sample(Bad.data(), 3, 2, 5).message(),
            "row 2, step 5: logits hold nan or no finite value");
  std::vector<float> None = {-HUGE_VALF, -HUGE_VALF};
  EXPECT_FALSE(bool(make(1).sample(None.data(), 2, 0, 0)));
}

} // namespace
