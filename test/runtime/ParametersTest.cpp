//===- ParametersTest.cpp - Parameter names against checkpoints -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/SafeTensors.h"
#include "runtime/model/ModelConfig.h"

#include <gtest/gtest.h>

#include <set>

using namespace transxssm;

namespace {

class GoldenParameters : public testing::TestWithParam<const char *> {};

// Names and shapes of the checkpoint's tensors, no more and no fewer.
TEST_P(GoldenParameters, MatchTheCheckpoint) {
  std::string Folder = std::string(GOLDENS) + "/" + GetParam();
  Result<ModelConfig> Config = ModelConfig::load(Folder);
  ASSERT_TRUE(bool(Config)) << Config.message();
  Result<SafeTensors> File = SafeTensors::open(Folder);
  ASSERT_TRUE(bool(File)) << File.message();
  std::vector<ParameterInfo> List = parameters(*Config);
  std::set<std::string> Names;
  for (const ParameterInfo &Parameter : List) {
    EXPECT_TRUE(Names.insert(Parameter.Name).second) << Parameter.Name;
    const SafeTensor *Tensor = File->find(Parameter.Name);
    ASSERT_TRUE(Tensor) << Parameter.Name;
    EXPECT_EQ(Tensor->Shape, Parameter.Shape) << Parameter.Name;
    EXPECT_EQ(Parameter.WeightDecay, Parameter.Shape.size() >= 2);
  }
  EXPECT_EQ(List.size(), File->tensors().size());
}

INSTANTIATE_TEST_SUITE_P(All, GoldenParameters,
                         testing::Values("hybrid-dynamic-rope",
                                         "hybrid-head128", "hybrid-left-padded",
                                         "hybrid-tiny",
                                         "hybrid-yarn-bias-untied", "ssm-tiny",
                                         "transformer-tiny"));

TEST(Parameters, HaveTheirInitializers) {
  Result<ModelConfig> Config = ModelConfig::parse(
      R"({"model_type": "TransXSSM", "hidden_bias": true,
          "num_hidden_layers": 1})",
      "test");
  ASSERT_TRUE(bool(Config));
  std::vector<ParameterInfo> List = parameters(*Config);
  auto Of = [&](const std::string &Name) {
    for (const ParameterInfo &Parameter : List)
      if (Parameter.Name == Name)
        return Parameter.Init;
    ADD_FAILURE() << Name;
    return Initializer::Normal;
  };
  EXPECT_EQ(Of("model.layers.0.ssd.A"), Initializer::SsdDecay);
  EXPECT_EQ(Of("model.layers.0.ssd.dt_proj.bias"), Initializer::Zeros);
  EXPECT_EQ(Of("model.layers.0.post_state_residual.weight"), Initializer::Ones);
  EXPECT_EQ(Of("model.word_embed.weight"), Initializer::Normal);
  for (Initializer Kind : {Initializer::Normal, Initializer::Ones,
                           Initializer::Zeros, Initializer::SsdDecay})
    EXPECT_EQ(initializerFromName(nameOf(Kind)), Kind);
  EXPECT_FALSE(initializerFromName("xavier"));
}

} // namespace
