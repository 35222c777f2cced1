//===- RopeTableTest.cpp - Tests of the rotary table ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Expected frequencies were computed by an independent NumPy program.
//
//===----------------------------------------------------------------------===//

#include "runtime/model/RopeTable.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace transxssm;

namespace {

ModelConfig configWith(const std::string &Scaling, int HeadSize) {
  std::string Text = R"({"model_type": "TransXSSM", "num_attention_heads": 1,
    "max_position_embeddings": 64, "hidden_size": )" +
                     std::to_string(HeadSize) +
                     ", \"rope_scaling\": " + Scaling + "}";
  Result<ModelConfig> Config = ModelConfig::parse(Text, "test");
  EXPECT_TRUE(bool(Config)) << Config.message();
  return Config ? *Config : ModelConfig();
}

void expectFrequencies(const std::string &Scaling, int HeadSize,
                       int64_t CallLength, const std::vector<double> &Expected,
                       double Factor = 1.0) {
  RopeFrequencies Made =
      ropeFrequencies(configWith(Scaling, HeadSize), CallLength);
  ASSERT_EQ(Made.Inverse.size(), Expected.size());
  for (size_t J = 0; J < Expected.size(); ++J)
    EXPECT_NEAR(Made.Inverse[J], Expected[J], 1e-14 * Expected[J]) << J;
  EXPECT_NEAR(Made.AttentionFactor, Factor, 1e-15);
}

TEST(RopeTable, Default) {
  expectFrequencies("null", 8, 100, {1, 0.1, 0.01, 0.001});
  expectFrequencies(R"({"type": "default"})", 8, 100, {1, 0.1, 0.01, 0.001});
}

TEST(RopeTable, Linear) {
  expectFrequencies(R"({"rope_type": "linear", "factor": 2})", 8, 100,
                    {0.5, 0.05, 0.005, 0.0005});
}

TEST(RopeTable, DynamicDependsOnTheCall) {
  std::string Scaling = R"({"rope_type": "dynamic", "factor": 4.0})";
  expectFrequencies(Scaling, 8, 64, {1, 0.1, 0.01, 0.001});
  expectFrequencies(
      Scaling, 8, 96,
      {1, 0.069336127435063469, 0.0048074985676913613, 0.00033333333333333338});
  ModelConfig Config = configWith(Scaling, 8);
  EXPECT_EQ(ropeFrequencyKey(Config, 3), ropeFrequencyKey(Config, 64));
  EXPECT_NE(ropeFrequencyKey(Config, 64), ropeFrequencyKey(Config, 65));
}

TEST(RopeTable, Yarn) {
  expectFrequencies(R"({"rope_type": "yarn", "factor": 2.0})", 16, 96,
                    {1, 0.26352313834736496, 0.06666666666666668,
                     0.015811388300841896, 0.005, 0.0015811388300841897, 0.0005,
                     0.00015811388300841897},
                    1.0693147180559945);
  expectFrequencies(R"({"rope_type": "yarn", "factor": 4.0, "beta_fast": 16,
                        "beta_slow": 2, "attention_factor": 1.25})",
                    16, 96,
                    {1, 0.19764235376052372, 0.025, 0.0079056941504209478,
                     0.0025, 0.00079056941504209485, 0.00025,
                     7.9056941504209485e-05},
                    1.25);
}

TEST(RopeTable, Llama3) {
  expectFrequencies(R"({"rope_type": "llama3", "factor": 8.0,
                        "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                        "original_max_position_embeddings": 64})",
                    16, 96,
                    {1, 0.24438459943539834, 0.013042256043820465,
                     0.0039528470752104739, 0.00125, 0.00039528470752104742,
                     0.000125, 3.9528470752104742e-05});
}

TEST(RopeTable, LongRopeSwitchesAtTheTrainedLength) {
  // max / original = 64 / 16 = 4 is the factor where none is given.
  std::string Scaling = R"({"rope_type": "longrope",
    "original_max_position_embeddings": 16,
    "short_factor": [1, 1.5, 2, 3], "long_factor": [2, 4, 6, 8]})";
  double Factor = std::sqrt(1 + std::log(4.0) / std::log(16.0));
  expectFrequencies(Scaling, 8, 16,
                    {1, 0.066666666666666666, 0.005, 0.00033333333333333332},
                    Factor);
  expectFrequencies(Scaling, 8, 17,
                    {0.5, 0.025, 0.0016666666666666668, 0.000125}, Factor);
  ModelConfig Config = configWith(Scaling, 8);
  EXPECT_EQ(ropeFrequencyKey(Config, 1), ropeFrequencyKey(Config, 16));
  EXPECT_NE(ropeFrequencyKey(Config, 16), ropeFrequencyKey(Config, 17));
  EXPECT_EQ(ropeFrequencyKey(Config, 17), ropeFrequencyKey(Config, 64));
}

TEST(RopeTable, RowsAreRoundedOnce) {
  RopeFrequencies Frequencies{{1.0, 0.01}, 1.25};
  float Cos[4], Sin[4];
  fillRopeTable(Frequencies, 1000, 2, Cos, Sin);
  for (int T = 0; T < 2; ++T)
    for (int J = 0; J < 2; ++J) {
      double Angle = (1000 + T) * (J ? 0.01 : 1.0);
      EXPECT_EQ(Cos[T * 2 + J], float(std::cos(Angle) * 1.25));
      EXPECT_EQ(Sin[T * 2 + J], float(std::sin(Angle) * 1.25));
    }
}

} // namespace
