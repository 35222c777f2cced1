//===- RandomTest.cpp - Tests of the random numbers -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace transxssm;

namespace {

using Words = std::array<uint32_t, 4>;

// The known answers that accompany the algorithm's publication.
TEST(Random, MatchesPhiloxKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  uint32_t Ones = 0xffffffff;
  EXPECT_EQ(philox({Ones, Ones, Ones, Ones}, 0xffffffffffffffff),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, ElementsDoNotDependOnTheRange) {
  std::vector<float> All(1000), Part(77);
  fillNormal(5, 3, 0, 1000, 2.0, All.data());
  for (int64_t First : {0, 1, 2, 3, 501}) {
    fillNormal(5, 3, First, 77, 2.0, Part.data());
    for (int I = 0; I < 77; ++I)
      ASSERT_EQ(Part[I], All[First + I]);
  }
  std::vector<float> Other(1000);
  fillNormal(5, 4, 0, 1000, 2.0, Other.data());
  EXPECT_NE(All, Other);
  fillNormal(6, 3, 0, 1000, 2.0, Other.data());
  EXPECT_NE(All, Other);
}

TEST(Random, HasTheMomentsOfItsDistributions) {
  constexpr int Count = 200000;
  std::vector<float> Values(Count);
  fillNormal(1, 0, 0, Count, 0.02, Values.data());
  double Sum = 0, Squares = 0, Fourths = 0;
  for (float V : Values) {
    double Z = V / 0.02;
    Sum += Z, Squares += Z * Z, Fourths += Z * Z * Z * Z;
  }
  // Five standard errors of each estimate.
  EXPECT_NEAR(Sum / Count, 0, 5 / std::sqrt(Count));
  EXPECT_NEAR(Squares / Count, 1, 5 * std::sqrt(2.0 / Count));
  EXPECT_NEAR(Fourths / Count, 3, 5 * std::sqrt(96.0 / Count));
  fillUniform(1, 0, 0, Count, 1, 16, Values.data());
  Sum = 0;
  for (float V : Values) {
    ASSERT_GE(V, 1);
    ASSERT_LE(V, 16);
    Sum += V;
  }
  EXPECT_NEAR(Sum / Count, 8.5, 5 * 15 / std::sqrt(12.0 * Count));
}

} // namespace
