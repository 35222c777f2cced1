//===- GenerationTest.cpp - Tests of continuing prompts -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Generation.h"

#include "SamplePackage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

using namespace transxssm;
using namespace transxssm::test;

namespace {

constexpr int64_t V = SampleVocab;

class GenerationTest : public testing::Test {
protected:
  void SetUp() override {
    SKIP_WITHOUT_OBJECT();
    std::vector<uint8_t> File = serialize(samplePackage(/*Prefill=*/true));
    Result<Package> Read = Package::fromBytes(File.data(), File.size(), "p");
    ASSERT_TRUE(bool(Read)) << Read.message();
    ModelOptions Options;
    Options.Threads = 2;
    Options.Seed = 42;
    Result<Model> Loaded = Model::load(*Read, "", Options);
    ASSERT_TRUE(bool(Loaded)) << Loaded.message();
    Runner = std::make_unique<Model>(std::move(*Loaded));
    Sampled.NewTokens = 8;
    Sampled.Sampling.Temperature = 3;
    Sampled.Sampling.Seed = 7;
  }

  Generated run(int64_t Batch, const GenerationOptions &Options) {
    Result<Generated> Made =
        generate(*Runner, Ids.data(), Batch, 4, nullptr, Options);
    EXPECT_TRUE(bool(Made)) << Made.message();
    return Made ? *Made : Generated();
  }

  std::string failure(int64_t Batch, const GenerationOptions &Options) {
    Result<Generated> Made =
        generate(*Runner, Ids.data(), Batch, 4, nullptr, Options);
    return Made ? "(no error)" : Made.message();
  }

  std::vector<int32_t> Ids = {1, 2, 3, 4, 5, 6, 7, 8};
  GenerationOptions Sampled;
  std::unique_ptr<Model> Runner;
};

TEST_F(GenerationTest, GreedyIsTheLargestLogit) {
  GenerationOptions Options;
  Options.NewTokens = 5;
  Generated Made = run(2, Options);
  EXPECT_EQ(Made.Steps, 5);
  ASSERT_EQ(Made.Tokens.size(), 10u);
  Result<Cache> Past = Runner->newCache(2);
  ASSERT_TRUE(bool(Past)) << Past.message();
  std::vector<float> Logits(2 * V);
  ASSERT_TRUE(
      bool(Runner->prefill(Ids.data(), 2, 4, nullptr, *Past, Logits.data())));
  for (int64_t Step = 0; Step < 5; ++Step) {
    std::vector<int32_t> Next;
    for (int64_t Row = 0; Row < 2; ++Row) {
      const float *First = &Logits[size_t(Row * V)];
      Next.push_back(int32_t(std::max_element(First, First + V) - First));
      EXPECT_EQ(Made.Tokens[size_t(Row * 5 + Step)], Next.back());
    }
    ASSERT_TRUE(bool(Runner->decode(Next.data(), 2, 1, *Past, Logits.data())));
  }
}

TEST_F(GenerationTest, RowsAndSeedsAreIndependent) {
  Generated Both = run(2, Sampled), Alone = run(1, Sampled);
  EXPECT_EQ(Alone.Tokens,
            std::vector<int32_t>(Both.Tokens.begin(), Both.Tokens.begin() + 8));
  EXPECT_EQ(run(2, Sampled).Tokens, Both.Tokens);
  Sampled.Sampling.Seed = 8;
  EXPECT_NE(run(2, Sampled).Tokens, Both.Tokens);
}

TEST_F(GenerationTest, StreamsAndStops) {
  Generated Whole = run(2, Sampled);
  std::vector<int32_t> Streamed;
  Sampled.OnTokens = [&](int64_t Step, const int32_t *Tokens) {
    EXPECT_EQ(Step * 2, int64_t(Streamed.size()));
    Streamed.insert(Streamed.end(), Tokens, Tokens + 2);
    return Step < 2;
  };
  Generated Stopped = run(2, Sampled);
  EXPECT_EQ(Stopped.Steps, 3);
  ASSERT_EQ(Stopped.Tokens.size(), 6u);
  ASSERT_EQ(Streamed.size(), 6u);
  for (size_t Row = 0; Row < 2; ++Row)
    for (size_t Step = 0; Step < 3; ++Step) {
      EXPECT_EQ(Stopped.Tokens[Row * 3 + Step], Whole.Tokens[Row * 8 + Step]);
      EXPECT_EQ(Streamed[Step * 2 + Row], Whole.Tokens[Row * 8 + Step]);
    }
}

TEST_F(GenerationTest, DrawsBelowChoices) {
  Sampled.Sampling.Temperature = 1e6; // nearly uniform
  Sampled.NewTokens = 12;
  Sampled.Choices = 3;
  std::vector<int32_t> Few = run(2, Sampled).Tokens;
  EXPECT_LT(*std::max_element(Few.begin(), Few.end()), 3);
  Sampled.Choices = 0;
  std::vector<int32_t> All = run(2, Sampled).Tokens;
  EXPECT_GE(*std::max_element(All.begin(), All.end()), 3);
}

TEST_F(GenerationTest, NamesWhatIsWrong) {
  GenerationOptions Options = Sampled;
  Options.NewTokens = 0;
  EXPECT_EQ(failure(1, Options), "expected a prompt and at least one new "
                                 "token, got 4 and 0 tokens");
  // The last new token needs no place: 4 + 13 - 1 fit.
  Options.NewTokens = 13;
  EXPECT_EQ(failure(1, Options), "(no error)");
  Options.NewTokens = 14;
  EXPECT_EQ(failure(1, Options),
            "a prompt of 4 tokens and 14 new ones need a cache for 17, the "
            "package's maximum is 16; compile with --max-seq-len 17");
  Options = Sampled;
  Options.Choices = V + 1;
  EXPECT_EQ(failure(1, Options),
            "choices: expected 0 to the vocabulary's 11, got 12");
  Options = Sampled;
  Options.Sampling.TopP = 0;
  EXPECT_EQ(failure(1, Options), "top_p: expected a number in (0, 1], got 0");
  EXPECT_EQ(failure(SampleMaxBatch + 1, Sampled).substr(0, 9), "batch 5 o");
  Ids[1] = V;
  EXPECT_EQ(failure(1, Sampled),
            "input_ids[0, 1]: expected a token in [0, 11), got 11");
}

} // namespace
