//===- ModelConfigTest.cpp - Tests of reading config.json -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/model/ModelConfig.h"

#include <gtest/gtest.h>

using namespace transxssm;

namespace {

Result<ModelConfig> parse(const std::string &Keys) {
  return ModelConfig::parse("{\"model_type\": \"TransXSSM\"" +
                                (Keys.empty() ? "" : ", " + Keys) + "}",
                            "m.json");
}

std::string failure(const std::string &Keys) {
  Result<ModelConfig> Config = parse(Keys);
  return Config ? "(no error)" : Config.message();
}

TEST(ModelConfig, HasTheDefaults) {
  Result<ModelConfig> Read = parse("");
  ASSERT_TRUE(bool(Read)) << Read.message();
  EXPECT_EQ(Read->VocabSize, 32768);
  EXPECT_EQ(Read->HiddenSize, 1024);
  EXPECT_EQ(Read->IntermediateSize, 2048);
  EXPECT_EQ(Read->NumHiddenLayers, 32);
  EXPECT_EQ(Read->NumAttentionHeads, 8);
  EXPECT_EQ(Read->NumKeyValueHeads, 8);
  EXPECT_EQ(Read->headSize(), 128);
  EXPECT_EQ(Read->Rope.Type, RopeType::Dynamic);
  EXPECT_EQ(Read->Rope.Factor, 4.0);
  EXPECT_TRUE(Read->TieWordEmbeddings);
  EXPECT_EQ(Read->PadTokenId, 2);
  EXPECT_FALSE(Read->isAttentionLayer(6));
  EXPECT_TRUE(Read->isAttentionLayer(7));
  EXPECT_TRUE(Read->isAttentionLayer(15));
}

TEST(ModelConfig, ReadsKeysAndIgnoresOthers) {
  Result<ModelConfig> Read = parse(
      R"("num_attention_heads": 16, "num_key_value_heads": null,
         "pad_token_id": null, "hidden_act": "gelu", "rope_theta": 500000,
         "rope_scaling": null, "something_else": {"a": [1]})");
  ASSERT_TRUE(bool(Read)) << Read.message();
  EXPECT_EQ(Read->NumKeyValueHeads, 16);
  EXPECT_FALSE(Read->PadTokenId.has_value());
  EXPECT_EQ(Read->HiddenAct, Activation::Gelu);
  EXPECT_EQ(Read->RopeTheta, 500000);
  EXPECT_EQ(Read->Rope.Type, RopeType::Default);
}

TEST(ModelConfig, NamesFileKeyExpectedAndActual) {
  const std::pair<const char *, const char *> Cases[] = {
      {R"("vocab_size": -1)", "key 'vocab_size': expected an integer from 1 to "
                              "2147483647, got -1"},
      {R"("hidden_size": "big")",
       "key 'hidden_size': expected a positive integer, got \"big\""},
      {R"("hidden_size": 1024.5)",
       "key 'hidden_size': expected a positive integer, got 1024.5"},
      {R"("hidden_size": null)",
       "key 'hidden_size': expected a positive integer, got null"},
      {R"("num_hidden_layers": 99999999999999999999)",
       "key 'num_hidden_layers': expected an integer from 1 to 65536, got "
       "1e+20"},
      {R"("num_attention_heads": 7)",
       "key 'num_attention_heads': expected a divisor of hidden_size 1024, got "
       "7"},
      {R"("num_key_value_heads": 3)",
       "key 'num_key_value_heads': expected a divisor of num_attention_heads "
       "8, got 3"},
      {R"("hidden_size": 24)",
       "key 'hidden_size': expected an even head size (hidden_size / "
       "num_attention_heads), got 3"},
      {R"("hidden_act": "tanh")",
       "key 'hidden_act': expected one of \"silu\", \"gelu\", \"relu\", got "
       "\"tanh\""},
      {R"("hidden_bias": 1)",
       "key 'hidden_bias': expected true or false, got 1"},
      {R"("hidden_dropout": 1.0)",
       "key 'hidden_dropout': expected a number in [0, 1), got 1.0"},
      {R"("attention_dropout": -0.1)",
       "key 'attention_dropout': expected a number in [0, 1), got -0.1"},
      {R"("rms_norm_eps": 0)",
       "key 'rms_norm_eps': expected a number of at least 2^-126, got 0"},
      {R"("rms_norm_eps": 1e-50)",
       "key 'rms_norm_eps': expected a number of at least 2^-126, got 1e-50"},
      {R"("pad_token_id": 40000)",
       "key 'pad_token_id': expected null or a token below vocab_size 32768, "
       "got 40000"},
      {R"("attn_layer_period": 0)", "key 'attn_layer_period': expected an "
                                    "integer from 1 to 2147483647, got 0"},
      {R"("rope_scaling": 4)",
       "key 'rope_scaling': expected an object or null, got 4"},
      {R"("rope_scaling": {"factor": 2})",
       "key 'rope_scaling.rope_type': expected one of \"default\", \"linear\", "
       "\"dynamic\", \"yarn\", \"llama3\", \"longrope\", got nothing"},
      {R"("rope_scaling": {"type": "magic"})",
       "key 'rope_scaling.type': expected one of \"default\", \"linear\", "
       "\"dynamic\", \"yarn\", \"llama3\", \"longrope\", got \"magic\""},
      {R"("rope_scaling": {"rope_type": "linear"})",
       "key 'rope_scaling.factor': expected a number of at least 1, got "
       "nothing"},
      {R"("rope_scaling": {"rope_type": "yarn", "factor": 0.5})",
       "key 'rope_scaling.factor': expected a number of at least 1, got 0.5"},
      {R"("rope_scaling": {"rope_type": "llama3", "factor": 8})",
       "key 'rope_scaling.low_freq_factor': expected a number above 0, got "
       "nothing"},
      {R"("rope_scaling": {"rope_type": "longrope", "short_factor": [1]})",
       "key 'rope_scaling.short_factor': expected a list of 64 positive "
       "numbers, got 1 elements"},
      {R"("hidden_size": 16)",
       "key 'hidden_size': expected a head size of at least 4 with dynamic "
       "rope_scaling, got 2"},
  };
  for (const auto &[Keys, Expected] : Cases)
    EXPECT_EQ(failure(Keys), std::string("m.json: ") + Expected);
}

TEST(ModelConfig, RefusesOtherModelsAndBrokenFiles) {
  auto Message = [](const std::string &Text) {
    Result<ModelConfig> Read = ModelConfig::parse(Text, "m.json");
    return Read ? "(no error)" : Read.message();
  };
  EXPECT_EQ(Message(R"({"model_type": "llama"})"),
            "m.json: key 'model_type': expected \"TransXSSM\", got \"llama\"");
  EXPECT_EQ(Message("{}"),
            "m.json: key 'model_type': expected \"TransXSSM\", got nothing");
  EXPECT_EQ(Message("[1]"), "m.json: expected a JSON object, got a list");
  EXPECT_EQ(Message("{\n  \"a\": 1,\n  ?"),
            "m.json:3:3: expected valid JSON, got a syntax error");
  EXPECT_NE(Message(""), "(no error)");
  EXPECT_NE(Message(std::string(100000, '[')), "(no error)");
  EXPECT_NE(Message(R"({"model_type": "TransXSSM", "rope_theta": 1e999})"),
            "(no error)");
  EXPECT_EQ(ModelConfig::load("no/such.json").message(),
            "no/such.json: cannot open: No such file or directory");
}

// Every way to cut or garble a valid file ends in a value or an error.
TEST(ModelConfig, SurvivesGarbledText) {
  std::string Text = R"({"model_type": "TransXSSM", "hidden_size": 64,
    "num_attention_heads": 4, "rope_scaling": {"rope_type": "longrope",
    "short_factor": [1, 2, 3], "factor": 4.0}, "pad_token_id": null})";
  for (size_t Length = 0; Length < Text.size(); ++Length)
    EXPECT_FALSE(bool(ModelConfig::parse(Text.substr(0, Length), "cut")));
  for (size_t I = 0; I < Text.size(); ++I)
    for (char Replaced : {'\0', '"', '{', '9', '-', '\xff'}) {
      std::string Garbled = Text;
      Garbled[I] = Replaced;
      Result<ModelConfig> Read = ModelConfig::parse(Garbled, "garbled");
      std::string Message = Read ? "" : Read.message();
      EXPECT_EQ(Message.find('\n'), std::string::npos);
    }
}

} // namespace
