//===- PackageGoldenTest.cpp - Compiled models against the goldens --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every stage together: configuration, package, runtime. Float32 on the CPU is
// compared to 1e-5, with one thread and with two, which must agree to the bit.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Reference.h"
#include "runtime/Generation.h"
#include "test/goldens/AdamWBound.h"
#include "test/goldens/MixedReference.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

using namespace transxssm;
using txs::Tensor;

namespace {

/// Compiled once.
const TypedModel &modelOf(const std::string &Name,
                          int64_t RecomputeBlocks = 0) {
  static std::map<std::pair<std::string, int64_t>, std::unique_ptr<TypedModel>>
      Known;
  std::unique_ptr<TypedModel> &Found = Known[{Name, RecomputeBlocks}];
  if (!Found)
    Found = buildTypedModel(Name, DType::F32, {}, generateForThisCpu,
                            RecomputeBlocks);
  return *Found;
}

class PackageGolden
    : public testing::TestWithParam<std::tuple<std::string, unsigned>> {
protected:
  void SetUp() override { ASSERT_TRUE(M.Compiled); }

  Result<Model> load() { return M.load(std::get<1>(GetParam())); }

  const TypedModel &M = modelOf(std::get<0>(GetParam()));
  const GoldenModel &Golden = M.Golden;
};

TEST_P(PackageGolden, Logits) {
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<float> Logits(M.Batch * M.Tokens * M.Vocab, NAN);
  Status Ran =
      Loaded->forward(M.Ids.data(), M.Batch, M.Tokens, M.mask(), Logits.data());
  ASSERT_TRUE(Ran) << Ran.message();
  expectGoldenLogits(M, tensor({M.Batch, M.Tokens, M.Vocab}, Logits.data()));

  // As many threads, as few differences: none.
  Result<Model> Single = M.load(1);
  ASSERT_TRUE(Single) << Single.message();
  std::vector<float> Again(Logits.size());
  ASSERT_TRUE(
      Single->forward(M.Ids.data(), M.Batch, M.Tokens, M.mask(), Again.data()));
  EXPECT_EQ(
      std::memcmp(Again.data(), Logits.data(), Logits.size() * sizeof(float)),
      0);
}

TEST_P(PackageGolden, PrefillThenDecode) {
  if (!Golden.has("decode_logits"))
    GTEST_SKIP() << "no decode in this golden";
  Result<Model> Loaded = load(), Single = M.load(1);
  ASSERT_TRUE(Loaded && Single);
  Result<Cache> State = Loaded->newCache(M.Batch);
  Result<Cache> Other = Single->newCache(M.Batch);
  ASSERT_TRUE(State && Other);
  Result<txs::TensorMap> Run = decodeOn(*Loaded, *State, M);
  ASSERT_TRUE(Run) << Run.message();
  expectGoldenDecoding(M, *Run);
  EXPECT_EQ(State->length(), M.Tokens);

  Result<txs::TensorMap> Again = decodeOn(*Single, *Other, M);
  ASSERT_TRUE(Again) << Again.message();
  for (const auto &[Name, Value] : *Run)
    EXPECT_TRUE(sameBits(Again->at(Name), Value)) << Name;
}

/// Any split of a sequence into calls gives the same logits.
TEST_P(PackageGolden, DecodeInPieces) {
  if (Golden.Config.Rope.Type == RopeType::Dynamic ||
      Golden.has("attention_mask"))
    GTEST_SKIP() << "one call and several have different tables or masks";
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  Result<Cache> State = Loaded->newCache(M.Batch, M.Tokens);
  ASSERT_TRUE(State) << State.message();
  Tensor Actual({M.Batch, M.Tokens, M.Vocab});
  int64_t From = 0;
  for (int64_t To : {int64_t(1), int64_t(4), int64_t(17), M.Tokens}) {
    std::vector<int32_t> Part = M.idsOf(From, To);
    std::vector<float> Logits(M.Batch * (To - From) * M.Vocab);
    Status Ran =
        Loaded->decode(Part.data(), M.Batch, To - From, *State, Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    for (int64_t B = 0; B < M.Batch; ++B)
      for (int64_t T = From; T < To; ++T)
        for (int64_t V = 0; V < M.Vocab; ++V)
          Actual.at(B, T, V) =
              Logits[(B * (To - From) + T - From) * M.Vocab + V];
    From = To;
  }
  expectGoldenLogits(M, Actual);
}

/// As many tokens as the golden has, after a prefill and one call a token.
Result<Tensor> greedyTokens(const TypedModel &M, Model &Of) {
  Result<Cache> State = Of.newCache(M.Batch);
  if (!State)
    return State.error();
  std::vector<float> Logits(M.Batch * M.Vocab);
  std::vector<int32_t> Ids = M.idsOf(0, M.Golden.Prefill);
  Status Ran = Of.prefill(Ids.data(), M.Batch, M.Golden.Prefill, nullptr,
                          *State, Logits.data());
  for (int64_t T = M.Golden.Prefill; Ran && T < M.Tokens; ++T) {
    Ids = M.idsOf(T, T + 1);
    Ran = Of.decode(Ids.data(), M.Batch, 1, *State, Logits.data());
  }
  Tensor Made(M.Golden.expected("greedy_tokens").shape());
  Ids.resize(M.Batch);
  for (int64_t Step = 0; Ran && Step < Made.dim(1); ++Step) {
    for (int64_t B = 0; B < M.Batch; ++B) {
      const float *Row = &Logits[B * M.Vocab];
      Ids[B] = std::max_element(Row, Row + M.Vocab) - Row;
      Made.at(B, Step) = Ids[B];
    }
    Ran = Of.decode(Ids.data(), M.Batch, 1, *State, Logits.data());
  }
  if (!Ran)
    return Ran.error();
  return Made;
}

TEST_P(PackageGolden, GreedyTokens) {
  if (!Golden.has("greedy_tokens"))
    GTEST_SKIP() << "no greedy tokens in this golden";
  Result<Model> Loaded = load(), Single = M.load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  ASSERT_TRUE(Single) << Single.message();
  Result<Tensor> Actual = greedyTokens(M, *Loaded);
  ASSERT_TRUE(Actual) << Actual.message();
  EXPECT_EQ(Actual->values(), Golden.expected("greedy_tokens").values());
  Result<Tensor> Again = greedyTokens(M, *Single);
  ASSERT_TRUE(Again) << Again.message();
  EXPECT_EQ(Actual->values(), Again->values());
}

/// The library's loop: masks, one decode call a token, the callback.
TEST_P(PackageGolden, Generate) {
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  GenerationOptions Options;
  Options.NewTokens = 16;
  std::vector<int32_t> Streamed(M.Batch * Options.NewTokens);
  Options.OnTokens = [&](int64_t Step, const int32_t *Next) {
    for (int64_t B = 0; B < M.Batch; ++B)
      Streamed[B * Options.NewTokens + Step] = Next[B];
    return true;
  };
  Result<Generated> Made =
      generate(*Loaded, M.Ids.data(), M.Batch, M.Tokens, M.mask(), Options);
  ASSERT_TRUE(Made) << Made.message();
  EXPECT_EQ(Made->Steps, Options.NewTokens);
  EXPECT_EQ(Made->Tokens, Streamed);

  Result<Cache> State = Loaded->newCache(M.Batch);
  ASSERT_TRUE(State) << State.message();
  std::vector<float> Logits(M.Batch * M.Vocab);
  std::vector<int32_t> Next(M.Batch), Expected(Streamed.size());
  for (int64_t Step = 0; Step < Options.NewTokens; ++Step) {
    Status Ran =
        Step ? Loaded->decode(Next.data(), M.Batch, 1, *State, Logits.data())
             : Loaded->prefill(M.Ids.data(), M.Batch, M.Tokens, M.mask(),
                               *State, Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    for (int64_t B = 0; B < M.Batch; ++B) {
      const float *Row = &Logits[B * M.Vocab];
      Next[B] = std::max_element(Row, Row + M.Vocab) - Row;
      Expected[B * Options.NewTokens + Step] = Next[B];
    }
  }
  EXPECT_EQ(Made->Tokens, Expected);
  // The tables of dynamic scaling depend on how the prompt was split.
  if (Golden.has("greedy_tokens") &&
      Golden.Config.Rope.Type != RopeType::Dynamic)
    EXPECT_EQ(std::vector<double>(Made->Tokens.begin(), Made->Tokens.end()),
              Golden.expected("greedy_tokens").values());
}

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

TEST_P(PackageGolden, Gradients) {
  Result<Model> Loaded = load(), Single = M.load(1);
  ASSERT_TRUE(Loaded && Single);
  Result<double> Loss = Loaded->gradients(M.Ids.data(), M.Labels.data(),
                                          M.Batch, M.Tokens, M.mask());
  ASSERT_TRUE(Loss) << Loss.message();
  txs::TensorMap Actual = gradientsOf(*Loaded);
  expectGoldenGradients(M, *Loss, Actual);

  ASSERT_TRUE(Single->gradients(M.Ids.data(), M.Labels.data(), M.Batch,
                                M.Tokens, M.mask()));
  for (const auto &[Name, Gradient] : gradientsOf(*Single))
    EXPECT_TRUE(sameBits(Gradient, Actual.at(Name))) << Name;
}

/// Recomputation repeats the same kernels on the same numbers.
TEST_P(PackageGolden, RecomputationChangesNoBit) {
  if (std::get<0>(GetParam()) != "hybrid-tiny")
    GTEST_SKIP() << "once is enough";
  Result<Model> Kept = load();
  Result<Model> Recomputed = modelOf("hybrid-tiny", -1).load(1);
  ASSERT_TRUE(Kept) << Kept.message();
  ASSERT_TRUE(Recomputed) << Recomputed.message();
  Result<uint64_t> Peak = trainingPeak(Kept->package());
  Result<uint64_t> LowerPeak = trainingPeak(Recomputed->package());
  ASSERT_TRUE(Peak && LowerPeak);
  EXPECT_LT(*LowerPeak, *Peak);
  for (Model *Each : {&*Kept, &*Recomputed})
    ASSERT_TRUE(Each->gradients(M.Ids.data(), M.Labels.data(), M.Batch,
                                M.Tokens, M.mask()));
  txs::TensorMap Expected = gradientsOf(*Kept);
  for (const auto &[Name, Gradient] : gradientsOf(*Recomputed))
    EXPECT_TRUE(sameBits(Gradient, Expected.at(Name))) << Name;
}

/// A tensor of a training model by parameter name.
using TrainingTensor = Result<TensorView> (*)(Model &, const std::string &);

txs::TensorMap copyAll(Model &Of, TrainingTensor Which) {
  txs::TensorMap Made;
  for (const std::string &Name : Of.parameterNames()) {
    Result<TensorView> View = Which(Of, Name);
    EXPECT_TRUE(View) << View.message();
    if (View)
      Made.emplace(Name, tensor(*View));
  }
  return Made;
}

/// What one element's update starts from.
struct Training {
  explicit Training(Model &Of)
      : Parameters(copyAll(Of,
                           [](Model &M, const std::string &Name) {
                             return M.parameter(Name);
                           })),
        Moments1(copyAll(Of,
                         [](Model &M, const std::string &Name) {
                           return M.moment(Name, 1);
                         })),
        Moments2(copyAll(Of, [](Model &M, const std::string &Name) {
          return M.moment(Name, 2);
        })) {}
  txs::TensorMap Parameters, Moments1, Moments2;
};

TEST_P(PackageGolden, OptimizerStep) {
  Result<Model> Loaded = load(), Single = M.load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  ASSERT_TRUE(Single) << Single.message();
  Result<TrainResult> Step = Loaded->trainStep(M.Ids.data(), M.Labels.data(),
                                               M.Batch, M.Tokens, M.mask(), {});
  ASSERT_TRUE(Step) << Step.message();
  txs::TensorMap Gradients = gradientsOf(*Loaded);
  expectGoldenGradients(M, Step->Loss, Gradients);
  double Norm = Golden.expected("grad_norm")[0];
  EXPECT_NEAR(Step->GradNorm, Norm, 1e-4 * Norm);
  EXPECT_EQ(Step->Step, 1);
  for (const auto &[Name, Gradient] : Gradients) {
    Result<TensorView> Parameter = Loaded->parameter(Name);
    ASSERT_TRUE(Parameter) << Name;
    Tensor Actual = tensor(*Parameter);
    EXPECT_NE(Actual.values(), Golden.Weights.at(Name).values())
        << Name << " did not change";
    if (Golden.has("adamw1." + Name))
      expectFirstStep(Golden, Name, Actual.values(), Gradient.values(),
                      Step->GradNorm);
  }

  ASSERT_TRUE(Single->trainStep(M.Ids.data(), M.Labels.data(), M.Batch,
                                M.Tokens, M.mask(), {}));
  Training One(*Loaded), Other(*Single);
  for (const auto &[Name, Value] : One.Parameters) {
    EXPECT_TRUE(sameBits(Value, Other.Parameters.at(Name))) << Name;
    EXPECT_TRUE(sameBits(One.Moments1.at(Name), Other.Moments1.at(Name)))
        << Name;
    EXPECT_TRUE(sameBits(One.Moments2.at(Name), Other.Moments2.at(Name)))
        << Name;
  }
}

/// Compiled updates beside the float64 ones on the very same float32 gradients,
/// parameters and moments: what is left is the rounding of the update itself.
TEST_P(PackageGolden, OptimizerOnTheSameGradients) {
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  const Hyperparameters Given;
  double Largest = 0; // in units of the bound
  for (int64_t Number = 1; Number <= 2; ++Number) {
    AdamWSettings Settings;
    Settings.Rate = float(Given.LearningRate);
    Settings.Beta1 = float(Given.Beta1);
    Settings.Beta2 = float(Given.Beta2);
    Settings.Eps = float(Given.Eps);
    Settings.Step = Number;
    Tensor Hyper({8},
                 {Settings.Rate, Settings.Beta1, Settings.Beta2, Settings.Eps,
                  float(Given.WeightDecay), float(Given.MaxGradNorm),
                  float(1 - std::pow(Given.Beta1, Number)),
                  float(1 - std::pow(Given.Beta2, Number))});
    if (Number == 1) // makes the moments
      ASSERT_TRUE(Loaded->gradients(M.Ids.data(), M.Labels.data(), M.Batch,
                                    M.Tokens, M.mask()));
    Training Before(*Loaded);
    Result<TrainResult> Step = Loaded->trainStep(
        M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens, M.mask(), Given);
    ASSERT_TRUE(Step) << Step.message();
    Training After(*Loaded);
    double Clip = std::min(1.0, Hyper[5] / (Step->GradNorm + 1e-6));
    for (const auto &[Name, Old] : Before.Parameters) {
      Result<TensorView> View = Loaded->gradient(Name);
      ASSERT_TRUE(View) << View.message();
      Tensor Gradient = tensor(*View), Expected = Old;
      Tensor First = Before.Moments1.at(Name);
      Tensor Second = Before.Moments2.at(Name);
      bool Decays = Old.rank() >= 2;
      Settings.WeightDecay = Decays ? Hyper[4] : 0;
      txs::reference::adamw(Expected, First, Second, Gradient, Step->GradNorm,
                            Hyper, Decays);
      for (int64_t I = 0; I < Old.size(); ++I) {
        AdamWElement E{Old[I], Expected[I], Before.Moments1.at(Name)[I],
                       Before.Moments2.at(Name)[I], Clip * Gradient[I]};
        double Bound = roundingBound(E, Settings);
        double Off = std::abs(After.Parameters.at(Name)[I] - Expected[I]);
        Largest = std::max(Largest, Off / Bound);
        ASSERT_LE(Off, Bound)
            << Name << ", element " << I << ", step " << Number;
        ASSERT_LE(std::abs(After.Moments1.at(Name)[I] - First[I]),
                  firstMomentBound(E, Settings))
            << Name << ", element " << I << ", step " << Number;
        ASSERT_LE(std::abs(After.Moments2.at(Name)[I] - Second[I]),
                  secondMomentBound(E, Settings))
            << Name << ", element " << I << ", step " << Number;
      }
    }
  }
  RecordProperty("LargestOfBound", std::to_string(Largest));
}

/// Moments and the count of steps carry over: a curve, not one step.
TEST_P(PackageGolden, LossCurve) {
  if (std::get<0>(GetParam()) != "hybrid-tiny")
    GTEST_SKIP() << "once is enough";
  const int64_t Steps = 10;
  static const std::vector<double> Expected =
      interpretLosses(M, Steps, /*Rounds=*/false);
  ASSERT_EQ(int64_t(Expected.size()), Steps);
  // Learning is seen against the noise of one step.
  EXPECT_LT(Expected.back(), 0.95 * Expected.front());

  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  for (int64_t Step = 0; Step < Steps; ++Step) {
    Result<TrainResult> Made =
        Loaded->trainStep(M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens,
                          M.mask(), usualSettings());
    ASSERT_TRUE(Made) << Made.message();
    EXPECT_EQ(Made->Step, Step + 1);
    EXPECT_NEAR(Made->Loss, Expected[Step], 1e-5 * Expected[Step])
        << "step " << Step + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, PackageGolden,
                         testing::Combine(testing::ValuesIn(goldenNames()),
                                          testing::Values(1u, 2u)),
                         [](auto Info) {
                           std::string Name = std::get<0>(Info.param);
                           std::replace(Name.begin(), Name.end(), '-', '_');
                           return Name + "_threads" +
                                  std::to_string(std::get<1>(Info.param));
                         });

} // namespace
