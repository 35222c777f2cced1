//===- SamplingTest.cpp - Tests of the settings of drawing ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Sampling.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace transxssm;

namespace {

TEST(Sampling, RefusesBadSettings) {
  EXPECT_TRUE(bool(checkSampling({0.7, 40, 0.9, 1})));
  EXPECT_EQ(checkSampling({-1, 0, 1, 0}).message(),
            "temperature: expected a float32 number of at least 0, got -1");
  EXPECT_FALSE(bool(checkSampling({NAN, 0, 1, 0})));
  EXPECT_EQ(checkSampling({1e300, 0, 1, 0}).message(),
            "temperature: expected a float32 number of at least 0, got 1e+300");
  EXPECT_EQ(checkSampling({1, -3, 1, 0}).message(),
            "top_k: expected at least 0, got -3");
  EXPECT_EQ(checkSampling({1, 0, 0, 0}).message(),
            "top_p: expected a number in (0, 1], got 0");
  EXPECT_FALSE(bool(checkSampling({1, 0, NAN, 0})));
}

TEST(Sampling, RefusesChoicesBeyondTheVocabulary) {
  ModelConfig Config;
  Config.VocabSize = 11;
  EXPECT_TRUE(bool(checkDraw({{}, 0, 11}, Config)));
  EXPECT_EQ(checkDraw({{}, 0, 12}, Config).message(),
            "choices: expected 0 to the vocabulary's 11, got 12");
}

} // namespace
