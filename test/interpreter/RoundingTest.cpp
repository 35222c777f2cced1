//===- RoundingTest.cpp - Rounding of the interpreter's results -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Call.h"
#include "mlir/IR/BuiltinTypes.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace mlir;
using namespace transxssm::txs;

namespace {

// Neighbours of 1 in bf16 (8 bits of significand) are 2^-7 apart.
constexpr double Step = 0x1p-7;

class Rounding : public testing::Test {
protected:
  MLIRContext Context;
  Type BF16 = BFloat16Type::get(&Context);
  std::mt19937_64 Chance{7};
};

TEST_F(Rounding, ToTheNearestTiesToEven) {
  Tensor Values({4}, {1 + Step / 4, 1 + Step / 2, 1 + 3 * Step / 2, -1e-3});
  roundTo(BF16, Values);
  EXPECT_EQ(Values[0], 1);
  EXPECT_EQ(Values[1], 1);
  EXPECT_EQ(Values[2], 1 + 2 * Step);
  EXPECT_NEAR(Values[3], -1e-3, 1e-3 * 0x1p-8);
}

TEST_F(Rounding, ByChanceIsRightInTheMean) {
  constexpr int64_t Count = 10000;
  Tensor Values({Count}, std::vector<double>(Count, 1 + Step / 4));
  roundByChance(BF16, Values, Chance);
  int64_t Up = 0;
  for (double Value : Values.values()) {
    ASSERT_TRUE(Value == 1 || Value == 1 + Step) << Value;
    Up += Value > 1;
  }
  // Five standard deviations of a binomial distribution.
  EXPECT_NEAR(double(Up) / Count, 0.25, 5 * std::sqrt(0.25 * 0.75 / Count));
}

TEST_F(Rounding, ByChanceLeavesExactValuesAlone) {
  Tensor Values({3}, {1, -0.5, 0}), Wide({1}, {1 + 0x1p-40});
  roundByChance(BF16, Values, Chance);
  roundByChance(Float64Type::get(&Context), Wide, Chance);
  EXPECT_EQ(Values.values(), std::vector<double>({1, -0.5, 0}));
  EXPECT_EQ(Wide[0], 1 + 0x1p-40);
}

} // namespace
