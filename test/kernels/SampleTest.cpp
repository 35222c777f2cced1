//===- SampleTest.cpp - Tests of drawing tokens ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// txs.sample: the reference against the probabilities that it stands for; the
// kernel against the reference, in the tile interpreter over vocabularies on
// both sides of its blocks, and compiled, on a CPU and simulated GPUs, behind a
// model's own logits.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/sim/SimTarget.h"
#include "dialect/txs/interpreter/Reference.h"
#include "runtime/Model.h"
#include "test/kernels/PlanRunner.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace transxssm;
using transxssm::test::PlanRunner;
using transxssm::test::randomFloats;
using txs::Tensor;

namespace {

/// What the reference draws from these rows of logits.
std::vector<int32_t> expectedTokens(const std::vector<float> &Logits,
                                    int64_t Rows, const TokenDraw &Draw) {
  int64_t Vocabulary = int64_t(Logits.size()) / Rows;
  const SamplingOptions &O = Draw.Options;
  Tensor Drawn = txs::reference::sample(
      Tensor({Rows, Vocabulary},
             std::vector<double>(Logits.begin(), Logits.end())),
      Tensor({2}, {float(O.Temperature), float(O.TopP)}),
      Tensor({5}, {double(int32_t(uint32_t(O.Seed))),
                   double(int32_t(uint32_t(O.Seed >> 32))), double(Draw.Step),
                   double(O.TopK),
                   double(Draw.Choices ? Draw.Choices : Vocabulary)}));
  return std::vector<int32_t>(Drawn.values().begin(), Drawn.values().end());
}

//===----------------------------------------------------------------------===//
// The reference
//===----------------------------------------------------------------------===//

const std::vector<double> Probabilities = {0.1, 0.4, 0.2, 0.3};

/// How often the reference draws each of four tokens of these probabilities.
std::vector<int> histogram(int Draws, const SamplingOptions &Options) {
  std::vector<float> Logits;
  for (double P : Probabilities)
    Logits.push_back(float(std::log(P)));
  std::vector<int> Counts(Logits.size());
  for (int Step = 0; Step < Draws; ++Step)
    ++Counts[size_t(
        expectedTokens(Logits, 1, {Options, uint64_t(Step), 0})[0])];
  return Counts;
}

void expectFrequencies(const std::vector<int> &Counts,
                       const std::vector<double> &Wanted) {
  double Draws = std::accumulate(Counts.begin(), Counts.end(), 0.0);
  for (size_t I = 0; I < Counts.size(); ++I)
    EXPECT_NEAR(Counts[I], Wanted[I] * Draws,
                5 * std::sqrt(Draws * Wanted[I] * (1 - Wanted[I])))
        << "token " << I;
}

TEST(SampleReference, FollowsTheProbabilities) {
  expectFrequencies(histogram(40000, {1, 0, 1, 0}), Probabilities);
  // Temperature 0.5 squares them.
  std::vector<double> Squares;
  for (double P : Probabilities)
    Squares.push_back(P * P / 0.3);
  expectFrequencies(histogram(40000, {0.5, 0, 1, 0}), Squares);
}

/// Over more tokens than one counter's words, and several blocks of counters.
TEST(SampleReference, DrawsFromAllWordsAlike) {
  constexpr int64_t Vocabulary = 5000, Parts = 10;
  std::vector<float> Logits(Vocabulary, 0.5f);
  std::vector<int> Counts(Parts);
  for (uint64_t Step = 0; Step < 4000; ++Step)
    ++Counts[size_t(expectedTokens(Logits, 1, {{1, 0, 1, 3}, Step, 0})[0] /
                    (Vocabulary / Parts))];
  expectFrequencies(Counts, std::vector<double>(Parts, 1.0 / Parts));
}

TEST(SampleReference, CutsOffByRankAndProbability) {
  expectFrequencies(histogram(10000, {1, 2, 1, 0}), {0, 4.0 / 7, 0, 3.0 / 7});
  // 0.4 + 0.3 reach 0.65 first.
  expectFrequencies(histogram(10000, {1, 0, 0.65, 0}),
                    {0, 4.0 / 7, 0, 3.0 / 7});
  // Of 0.4, 0.3 and 0.2, which are nine tenths, the first two reach 0.75.
  expectFrequencies(histogram(10000, {1, 3, 0.75, 0}),
                    {0, 4.0 / 7, 0, 3.0 / 7});
  EXPECT_EQ(histogram(100, {1, 0, 1e-9, 0})[1], 100);
  EXPECT_EQ(histogram(100, {1, 1, 1, 0})[1], 100);
  EXPECT_GT(histogram(2000, {1, 1000, 1, 0})[0], 0);
}

TEST(SampleReference, DependsOnSeedRowAndStepAlone) {
  std::vector<float> Row = randomFloats(97, 1), Rows = Row;
  Rows.insert(Rows.end(), Row.begin(), Row.end());
  auto Series = [&](uint64_t Seed) {
    std::vector<int32_t> Made;
    for (uint64_t Step = 0; Step < 64; ++Step)
      Made.push_back(expectedTokens(Row, 1, {{1, 0, 1, Seed}, Step, 0})[0]);
    return Made;
  };
  EXPECT_NE(Series(1), Series(2));
  EXPECT_NE(Series(1), Series(uint64_t(1) << 32 | 1));
  bool Differs = false;
  for (uint64_t Step = 0; Step < 64; ++Step) {
    std::vector<int32_t> Both =
        expectedTokens(Rows, 2, {{1, 0, 1, 1}, Step, 0});
    EXPECT_EQ(Both[0], Series(1)[Step]);
    Differs |= Both[0] != Both[1];
  }
  EXPECT_TRUE(Differs);
}

//===----------------------------------------------------------------------===//
// The kernel in the tile interpreter
//===----------------------------------------------------------------------===//

/// Draws with this program, whose vocabulary the logits have.
class SampleKernelTest : public testing::TestWithParam<int64_t> {
protected:
  std::vector<int32_t> draw(const std::vector<float> &Logits, int64_t Rows,
                            const TokenDraw &Draw, const char *Options = "") {
    int64_t Vocabulary = int64_t(Logits.size()) / Rows;
    PlanRunner Runner(llvm::formatv(R"mlir(
      func.func @f(%x: tensor<?x{0}xf32> {{txs.input = "x"},
                   %s: tensor<2xf32> {{txs.input = "s"},
                   %d: tensor<5xi32> {{txs.input = "d"})
          -> (tensor<?xi32> {{txs.output = "t"}) {{
        %t = txs.sample %x, %s, %d
           : tensor<?x{0}xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
        return %t : tensor<?xi32>
      })mlir",
                                    Vocabulary),
                      Options);
    const SamplingOptions &O = Draw.Options;
    Runner.Floats = {{"x", Logits},
                     {"s", {float(O.Temperature), float(O.TopP)}}};
    Runner.Integers["d"] = {int32_t(uint32_t(O.Seed)),
                            int32_t(uint32_t(O.Seed >> 32)), int32_t(Draw.Step),
                            int32_t(O.TopK),
                            int32_t(Draw.Choices ? Draw.Choices : Vocabulary)};
    Runner.run("f", {Rows, 1});
    return Runner.Integers["t"];
  }
  void check(const std::vector<float> &Logits, int64_t Rows,
             const TokenDraw &Draw) {
    for (const char *Options : {"", "gpu=true"})
      EXPECT_EQ(draw(Logits, Rows, Draw, Options),
                expectedTokens(Logits, Rows, Draw))
          << Options << " temperature " << Draw.Options.Temperature
          << ", top_k " << Draw.Options.TopK << ", top_p " << Draw.Options.TopP;
  }
};

TEST_P(SampleKernelTest, DrawsAsTheReference) {
  int64_t Vocabulary = GetParam(), Rows = 3;
  std::vector<float> Logits = randomFloats(size_t(Rows * Vocabulary), 5);
  for (float &X : Logits)
    X *= 4;
  uint64_t Seed = uint64_t(0x9ABCDEF0) << 32 | 0xFEDCBA98;
  check(Logits, Rows, {{0, 0, 1, Seed}, 0, 0});
  check(Logits, Rows, {{0, 0, 1, Seed}, 0, (Vocabulary + 1) / 2});
  check(Logits, Rows, {{1, 0, 1, Seed}, 1, 0});
  check(Logits, Rows, {{1e4, 0, 1, Seed}, 2, (Vocabulary + 1) / 2});
  check(Logits, Rows, {{1.5, 7, 1, Seed}, 3, 0});
  check(Logits, Rows, {{0.7, 0, 0.9, Seed}, 4, 0});
  check(Logits, Rows, {{2, 40, 0.8, Seed}, 5, 0});
}
INSTANTIATE_TEST_SUITE_P(Vocabularies, SampleKernelTest,
                         testing::Values(1, 97, 512, 513, 2048, 2049, 4500));

using SampleKernel = SampleKernelTest;

TEST_F(SampleKernel, TakesTheFirstOfEquals) {
  std::vector<float> Equal(700, 1.0f);
  check(Equal, 1, {{0, 0, 1, 0}, 0, 0});
  EXPECT_EQ(draw(Equal, 1, {{0, 0, 1, 0}, 0, 0})[0], 0);
  Equal[3] = Equal[650] = 2;
  EXPECT_EQ(draw(Equal, 1, {{0, 0, 1, 0}, 0, 0})[0], 3);
  // Those as likely as the last one kept stay: one of two.
  std::vector<int32_t> Seen;
  for (uint64_t Step = 0; Step < 12; ++Step) {
    check(Equal, 1, {{1, 1, 1, 0}, Step, 0});
    Seen.push_back(draw(Equal, 1, {{1, 1, 1, 0}, Step, 0})[0]);
  }
  EXPECT_EQ(std::count(Seen.begin(), Seen.end(), 3) +
                std::count(Seen.begin(), Seen.end(), 650),
            12);
  EXPECT_NE(std::count(Seen.begin(), Seen.end(), 3), 12);
}

TEST_F(SampleKernel, KnowsInfinitiesAndRefusesNaN) {
  float Infinity = HUGE_VALF;
  std::vector<float> Logits = {-Infinity, 1, -Infinity, Infinity, 2, Infinity};
  for (double Temperature : {0.0, 1.0, 1e-30}) {
    check(Logits, 1, {{Temperature, 0, 1, 1}, 0, 0});
    check(Logits, 1, {{Temperature, 2, 0.5, 1}, 0, 0});
    check(Logits, 1, {{Temperature, 0, 1, 1}, 0, 3}); // only 1 is possible
    EXPECT_EQ(draw(Logits, 1, {{Temperature, 0, 1, 1}, 0, 1})[0], -1);
  }
  Logits[4] = NAN;
  EXPECT_EQ(draw(Logits, 1, {{1, 0, 1, 1}, 0, 0})[0], -1);
  EXPECT_EQ(draw(Logits, 1, {{0, 0, 1, 1}, 0, 0})[0], -1);
  // Not among the choices.
  check(Logits, 1, {{1, 0, 1, 1}, 0, 4});
}

//===----------------------------------------------------------------------===//
// Compiled
//===----------------------------------------------------------------------===//

constexpr int64_t Vocabulary = 2500, Batch = 2;
constexpr char ConfigText[] =
    R"({"model_type": "TransXSSM", "vocab_size": 2500, "hidden_size": 16,
        "intermediate_size": 16, "num_attention_heads": 1,
        "num_key_value_heads": 1, "num_hidden_layers": 1,
        "attn_layer_period": 2, "attn_layer_offset": 1, "rope_scaling": null,
        "max_position_embeddings": 16, "ssd_chunk_size": 16,
        "initializer_range": 0.5})";

FailureOr<std::vector<CodeObject>> generateFor(ModuleOp Module, bool Gpu) {
  CodeOptions Wanted;
  Wanted.OnlyThisMachine = true;
  return Gpu ? sim::generateSimCode(Module) : generateCode(Module, Wanted);
}

std::optional<Package> compile(bool Gpu) {
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry);
  Result<ModelConfig> Config = ModelConfig::parse(ConfigText, "config.json");
  EXPECT_TRUE(Config) << Config.message();
  OwningOpRef<ModuleOp> Module = buildModel(*Config, {"prefill"}, 0, Context);
  PlanOptions Plan;
  Plan.Gpu = Gpu;
  if (!Module || failed(lowerToPlan(*Module, Plan)))
    return std::nullopt;
  FailureOr<std::vector<CodeObject>> Code = generateFor(*Module, Gpu);
  if (failed(Code))
    return std::nullopt;
  std::vector<uint8_t> Payload;
  Result<Package> Made =
      makePackage(*Module, *Code, {ConfigText, Batch, 16}, Payload);
  EXPECT_TRUE(Made) << Made.message();
  return Made ? std::optional<Package>(*Made) : std::nullopt;
}

class SampleCompiled : public testing::TestWithParam<const char *> {};

TEST_P(SampleCompiled, DrawsAsTheReferenceFromTheModelsLogits) {
  std::string Device = GetParam();
  std::optional<Package> From = compile(Device != "cpu");
  ASSERT_TRUE(From);
  ModelOptions Options;
  Options.Device = Device;
  Options.Seed = 3;
  Result<Model> Loaded = Model::load(*From, "", Options);
  ASSERT_TRUE(Loaded) << Loaded.message();

  const int32_t Ids[Batch * 3] = {1, 2, 3, 2499, 70, 4};
  const SamplingOptions Each[] = {{0, 0, 1, 9},    {1, 0, 1, 9},
                                  {3, 0, 1, 10},   {2, 50, 1, 11},
                                  {2, 0, 0.7, 12}, {2, 300, 0.5, 13}};
  for (const SamplingOptions &Sampling : Each) {
    TokenDraw Draw{Sampling, /*Step=*/Sampling.Seed, 0};
    std::vector<float> Logits(Batch * Vocabulary);
    std::vector<int32_t> Tokens(Batch);
    Result<Cache> First = Loaded->newCache(Batch),
                  Second = Loaded->newCache(Batch);
    ASSERT_TRUE(First && Second);
    ASSERT_TRUE(Loaded->prefill(Ids, Batch, 3, nullptr, *First, Logits.data()));
    Status Ran = Loaded->nextTokens(Ids, Batch, 3, nullptr, *Second, Draw,
                                    Tokens.data());
    ASSERT_TRUE(Ran) << Ran.message();
    EXPECT_EQ(Tokens, expectedTokens(Logits, Batch, Draw))
        << "temperature " << Sampling.Temperature << ", top_k " << Sampling.TopK
        << ", top_p " << Sampling.TopP;
  }

  // The embedding is the head's weight as well.
  std::vector<float> Weights(Vocabulary * 16, 1);
  Weights[2000 * 16] = NAN;
  ASSERT_TRUE(Loaded->setParameter("model.word_embed.weight", Weights.data(),
                                   int64_t(Weights.size())));
  Result<Cache> Past = Loaded->newCache(Batch);
  ASSERT_TRUE(Past);
  std::vector<int32_t> Tokens(Batch);
  EXPECT_EQ(Loaded
                ->nextTokens(Ids, Batch, 3, nullptr, *Past,
                             {{1, 0, 1, 0}, 5, 0}, Tokens.data())
                .message(),
            "row 0, step 5: logits hold nan or no finite value");
}
INSTANTIATE_TEST_SUITE_P(Devices, SampleCompiled,
                         testing::Values("cpu", "sim:sm_80", "sim:sm_90a"));

} // namespace
