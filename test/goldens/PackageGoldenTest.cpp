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

#include "codegen/Pipeline.h"
#include "dialect/txs/interpreter/Interpreter.h"
#include "dialect/txs/interpreter/ModelInputs.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/Model.h"
#include "runtime/support/File.h"
#include "test/goldens/GoldenData.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace {

/// The package of a golden model, compiled once; none after a failure.
const std::optional<Package> &compile(const GoldenModel &Golden,
                                      int64_t RecomputeBlocks) {
  static std::map<std::pair<std::string, int64_t>, std::optional<Package>>
      Known;
  std::pair<std::string, int64_t> Key(Golden.Folder, RecomputeBlocks);
  auto Found = Known.find(Key);
  if (Found != Known.end())
    return Found->second;
  std::optional<Package> &Made = Known[Key];

  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry);
  Result<std::vector<std::string>> Entries = expandEntries({}, Golden.Config);
  EXPECT_TRUE(Entries) << Entries.message();
  OwningOpRef<ModuleOp> Module =
      buildModel(Golden.Config, *Entries, RecomputeBlocks, Context);
  EXPECT_TRUE(Module);
  if (!Module || failed(lowerToPlan(*Module))) {
    ADD_FAILURE() << Golden.Folder << " has no plan";
    return Made;
  }
  CodeOptions Wanted;
  Wanted.OnlyThisMachine = true;
  FailureOr<std::vector<CodeObject>> Code = generateCode(*Module, Wanted);
  if (failed(Code)) {
    ADD_FAILURE() << Golden.Folder << " has no code";
    return Made;
  }
  Result<std::string> Text = readFile(Golden.Folder + "/config.json");
  EXPECT_TRUE(Text);
  PackageOptions Options{*Text, 4, 512};
  std::vector<uint8_t> Payload;
  Result<Package> Verified = makePackage(*Module, *Code, Options, Payload);
  if (!Verified)
    ADD_FAILURE() << Verified.message();
  else
    Made = *Verified;
  return Made;
}

std::vector<int32_t> integers(const Tensor &From) {
  return std::vector<int32_t>(From.values().begin(), From.values().end());
}

std::vector<float> floats(const Tensor &From) {
  return std::vector<float>(From.values().begin(), From.values().end());
}

Tensor tensor(std::vector<int64_t> Shape, const float *Values) {
  Tensor Made(Shape);
  std::copy(Values, Values + Made.size(), Made.values().begin());
  return Made;
}

/// Columns [From, To) of [B, T] ids.
std::vector<int32_t> columns(const Tensor &Ids, int64_t From, int64_t To) {
  std::vector<int32_t> Made;
  for (int64_t B = 0; B < Ids.dim(0); ++B)
    for (int64_t T = From; T < To; ++T)
      Made.push_back(int32_t(Ids.at(B, T)));
  return Made;
}

class PackageGolden
    : public testing::TestWithParam<std::tuple<std::string, unsigned>> {
protected:
  void SetUp() override {
    Result<GoldenModel> Loaded =
        GoldenModel::load(goldenFolder(std::get<0>(GetParam())));
    ASSERT_TRUE(Loaded) << Loaded.message();
    Golden = std::move(*Loaded);
    Vocab = Golden.Config.VocabSize;
    Batch = Golden.expected("input_ids").dim(0);
    Tokens = Golden.expected("input_ids").dim(1);
  }

  Result<Model> load(unsigned Threads, int64_t RecomputeBlocks = 0) {
    const std::optional<Package> &Compiled = compile(Golden, RecomputeBlocks);
    if (!Compiled)
      return makeError(Golden.Folder, " did not compile");
    ModelOptions Options;
    Options.Threads = Threads;
    return Model::load(*Compiled, Golden.Folder, Options);
  }
  Result<Model> load() { return load(std::get<1>(GetParam())); }

  /// Null where every token counts.
  const float *mask() {
    if (!Golden.has("attention_mask"))
      return nullptr;
    Mask = floats(Golden.expected("attention_mask"));
    return Mask.data();
  }

  void expectNear(const Tensor &Actual, const Tensor &Expected,
                  const std::string &What) {
    EXPECT_LT(relativeError(Actual, Expected), 1e-5) << What;
  }

  GoldenModel Golden;
  std::vector<float> Mask;
  int64_t Batch = 0, Tokens = 0, Vocab = 0;
};

TEST_P(PackageGolden, Logits) {
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<float> Logits(Batch * Tokens * Vocab, NAN);
  Status Ran =
      Loaded->forward(Ids.data(), Batch, Tokens, mask(), Logits.data());
  ASSERT_TRUE(Ran) << Ran.message();
  Tensor Actual = tensor({Batch, Tokens, Vocab}, Logits.data());
  Tensor Expected = Golden.expected("logits");
  // Padded positions carry no meaning.
  for (int64_t Row = 0; !Mask.empty() && Row < Batch * Tokens; ++Row)
    for (int64_t V = 0; Mask[Row] == 0 && V < Vocab; ++V)
      Actual.row(Row, Vocab)[V] = Expected.row(Row, Vocab)[V] = 0;
  expectNear(Actual, Expected, "logits");

  // As many threads, as few differences: none.
  Result<Model> Single = load(1);
  ASSERT_TRUE(Single) << Single.message();
  std::vector<float> Again(Logits.size());
  ASSERT_TRUE(Single->forward(Ids.data(), Batch, Tokens, mask(), Again.data()));
  EXPECT_EQ(
      std::memcmp(Again.data(), Logits.data(), Logits.size() * sizeof(float)),
      0);
}

TEST_P(PackageGolden, PrefillThenDecode) {
  if (!Golden.has("decode_logits"))
    GTEST_SKIP() << "no decode in this golden";
  const Tensor &Ids = Golden.expected("input_ids");
  const Tensor &Expected = Golden.expected("decode_logits");
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  Result<Cache> State = Loaded->newCache(Batch);
  ASSERT_TRUE(State) << State.message();
  Tensor Actual(Expected.shape());
  std::vector<float> Logits(Batch * Vocab);
  for (int64_t Step = 0; Step < Expected.dim(1); ++Step) {
    int64_t To = Golden.Prefill + Step, From = Step ? To - 1 : 0;
    std::vector<int32_t> Part = columns(Ids, From, To);
    Status Ran =
        Step ? Loaded->decode(Part.data(), Batch, 1, *State, Logits.data())
             : Loaded->prefill(Part.data(), Batch, To, nullptr, *State,
                               Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    for (int64_t B = 0; B < Batch; ++B)
      for (int64_t V = 0; V < Vocab; ++V)
        Actual.at(B, Step, V) = Logits[B * Vocab + V];
  }
  expectNear(Actual, Expected, "decode_logits");
  EXPECT_EQ(State->length(), Tokens);
  for (const auto &[Name, Value] : Golden.Expected)
    if (Name.rfind("ssd_state.", 0) == 0) {
      Result<TensorView> View = State->state(Name);
      ASSERT_TRUE(View) << View.message();
      expectNear(tensor(View->Shape, static_cast<float *>(View->Data)), Value,
                 Name);
    }
}

/// Any split of a sequence into calls gives the same logits.
TEST_P(PackageGolden, DecodeInPieces) {
  if (Golden.Config.Rope.Type == RopeType::Dynamic ||
      Golden.has("attention_mask"))
    GTEST_SKIP() << "one call and several have different tables or masks";
  const Tensor &Expected = Golden.expected("logits");
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  Result<Cache> State = Loaded->newCache(Batch, Tokens);
  ASSERT_TRUE(State) << State.message();
  Tensor Actual(Expected.shape());
  int64_t From = 0;
  for (int64_t To : {int64_t(1), int64_t(4), int64_t(17), Tokens}) {
    std::vector<int32_t> Part = columns(Golden.expected("input_ids"), From, To);
    std::vector<float> Logits(Batch * (To - From) * Vocab);
    Status Ran =
        Loaded->decode(Part.data(), Batch, To - From, *State, Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    for (int64_t B = 0; B < Batch; ++B)
      for (int64_t T = From; T < To; ++T)
        for (int64_t V = 0; V < Vocab; ++V)
          Actual.at(B, T, V) = Logits[(B * (To - From) + T - From) * Vocab + V];
    From = To;
  }
  expectNear(Actual, Expected, "logits");
}

TEST_P(PackageGolden, GreedyTokens) {
  if (!Golden.has("greedy_tokens"))
    GTEST_SKIP() << "no greedy tokens in this golden";
  const Tensor &Given = Golden.expected("input_ids");
  const Tensor &Expected = Golden.expected("greedy_tokens");
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  Result<Cache> State = Loaded->newCache(Batch);
  ASSERT_TRUE(State) << State.message();
  std::vector<float> Logits(Batch * Vocab);
  std::vector<int32_t> Ids = columns(Given, 0, Golden.Prefill);
  ASSERT_TRUE(Loaded->prefill(Ids.data(), Batch, Golden.Prefill, nullptr,
                              *State, Logits.data()));
  for (int64_t T = Golden.Prefill; T < Tokens; ++T) {
    Ids = columns(Given, T, T + 1);
    ASSERT_TRUE(Loaded->decode(Ids.data(), Batch, 1, *State, Logits.data()));
  }
  Tensor Actual(Expected.shape());
  for (int64_t Step = 0; Step < Expected.dim(1); ++Step) {
    for (int64_t B = 0; B < Batch; ++B) {
      const float *Row = &Logits[B * Vocab];
      Ids[B] = std::max_element(Row, Row + Vocab) - Row;
      Actual.at(B, Step) = Ids[B];
    }
    ASSERT_TRUE(Loaded->decode(Ids.data(), Batch, 1, *State, Logits.data()));
  }
  EXPECT_EQ(Actual.values(), Expected.values());
}

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

TEST_P(PackageGolden, Gradients) {
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<int32_t> Labels = integers(Golden.expected("labels"));
  Result<double> Loss =
      Loaded->gradients(Ids.data(), Labels.data(), Batch, Tokens, mask());
  ASSERT_TRUE(Loss) << Loss.message();
  double Expected = Golden.expected("loss")[0];
  EXPECT_NEAR(*Loss, Expected, 1e-5 * Expected);

  Result<Model> Single = load(1);
  ASSERT_TRUE(Single) << Single.message();
  ASSERT_TRUE(
      Single->gradients(Ids.data(), Labels.data(), Batch, Tokens, mask()));
  for (const std::string &Name : Loaded->parameterNames()) {
    Result<TensorView> Gradient = Loaded->gradient(Name);
    ASSERT_TRUE(Gradient) << Gradient.message();
    const float *Values = static_cast<const float *>(Gradient->Data);
    EXPECT_LT(relativeError(tensor(Gradient->Shape, Values),
                            Golden.expected("grad." + Name)),
              1e-4)
        << Name;
    Result<TensorView> Again = Single->gradient(Name);
    ASSERT_TRUE(Again) << Again.message();
    EXPECT_EQ(std::memcmp(Again->Data, Values,
                          Gradient->numElements() * sizeof(float)),
              0)
        << Name;
  }
}

/// Recomputation repeats the same kernels on the same numbers.
TEST_P(PackageGolden, RecomputationChangesNoBit) {
  if (std::get<0>(GetParam()) != "hybrid-tiny")
    GTEST_SKIP() << "once is enough";
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<int32_t> Labels = integers(Golden.expected("labels"));
  Result<Model> Kept = load(), Recomputed = load(1, -1);
  ASSERT_TRUE(Kept) << Kept.message();
  ASSERT_TRUE(Recomputed) << Recomputed.message();
  Result<uint64_t> Peak = trainingPeak(Kept->package());
  Result<uint64_t> LowerPeak = trainingPeak(Recomputed->package());
  ASSERT_TRUE(Peak && LowerPeak);
  EXPECT_LT(*LowerPeak, *Peak);
  for (Model *Each : {&*Kept, &*Recomputed})
    ASSERT_TRUE(
        Each->gradients(Ids.data(), Labels.data(), Batch, Tokens, mask()));
  for (const std::string &Name : Kept->parameterNames()) {
    Result<TensorView> One = Kept->gradient(Name);
    Result<TensorView> Other = Recomputed->gradient(Name);
    ASSERT_TRUE(One && Other);
    EXPECT_EQ(
        std::memcmp(One->Data, Other->Data, One->numElements() * sizeof(float)),
        0)
        << Name;
  }
}

TEST_P(PackageGolden, OptimizerStep) {
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<int32_t> Labels = integers(Golden.expected("labels"));
  Result<TrainResult> Step =
      Loaded->trainStep(Ids.data(), Labels.data(), Batch, Tokens, mask(), {});
  ASSERT_TRUE(Step) << Step.message();
  double Loss = Golden.expected("loss")[0];
  EXPECT_NEAR(Step->Loss, Loss, 1e-5 * Loss);
  double Norm = Golden.expected("grad_norm")[0];
  EXPECT_NEAR(Step->GradNorm, Norm, 1e-4 * Norm);
  EXPECT_EQ(Step->Step, 1);
  for (const std::string &Name : Loaded->parameterNames()) {
    Result<TensorView> Parameter = Loaded->parameter(Name);
    ASSERT_TRUE(Parameter) << Parameter.message();
    Tensor Actual =
        tensor(Parameter->Shape, static_cast<const float *>(Parameter->Data));
    EXPECT_NE(Actual.values(), Golden.Weights.at(Name).values())
        << Name << " did not change";
    // The first step is the gradient's sign, nearly, so that it is only as
    // good as the gradient: 1e-4.
    if (Golden.has("adamw1." + Name))
      EXPECT_LT(relativeError(Actual, Golden.expected("adamw1." + Name)), 1e-4)
          << Name;
  }
}

/// The losses of `Steps` optimizer steps on one batch, in float64.
std::vector<double> expectedLosses(const GoldenModel &Golden, int64_t Steps,
                                   const Hyperparameters &Settings) {
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry);
  OwningOpRef<ModuleOp> Module =
      buildModel(Golden.Config, {"train"}, /*RecomputeBlocks=*/0, Context);
  EXPECT_TRUE(Module);
  std::vector<double> Losses;
  if (!Module)
    return Losses;
  txs::Interpreter Runner(*Module);
  Runner.Parameters = Golden.Weights;
  txs::TensorMap Inputs =
      txs::makeInputs(Golden.Config, Golden.expected("input_ids"));
  Inputs["labels"] = Golden.expected("labels");
  for (int64_t Step = 1; Step <= Steps; ++Step) {
    Inputs["hyperparameters"] =
        Tensor({8}, {Settings.LearningRate, Settings.Beta1, Settings.Beta2,
                     Settings.Eps, Settings.WeightDecay, Settings.MaxGradNorm,
                     1 - std::pow(Settings.Beta1, Step),
                     1 - std::pow(Settings.Beta2, Step)});
    Result<txs::RunResult> Made = Runner.run("train", Inputs);
    EXPECT_TRUE(Made) << Made.message();
    if (!Made)
      return Losses;
    Losses.push_back(Made->Outputs.at("loss")[0]);
  }
  return Losses;
}

/// Moments and the count of steps carry over: a curve, not one step.
TEST_P(PackageGolden, LossCurve) {
  if (std::get<0>(GetParam()) != "hybrid-tiny")
    GTEST_SKIP() << "once is enough";
  const int64_t Steps = 10;
  Hyperparameters Settings;
  Settings.LearningRate = 1e-3;
  Settings.Beta1 = 0.9;
  Settings.Beta2 = 0.95;
  Settings.Eps = 1e-8;
  Settings.WeightDecay = 0.1;
  Settings.MaxGradNorm = 1;
  static const std::vector<double> Expected =
      expectedLosses(Golden, Steps, Settings);
  ASSERT_EQ(int64_t(Expected.size()), Steps);
  // Learning is seen against the noise of one step.
  EXPECT_LT(Expected.back(), 0.95 * Expected.front());

  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<int32_t> Labels = integers(Golden.expected("labels"));
  for (int64_t Step = 0; Step < Steps; ++Step) {
    Result<TrainResult> Made = Loaded->trainStep(
        Ids.data(), Labels.data(), Batch, Tokens, mask(), Settings);
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
