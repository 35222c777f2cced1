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
#include "dialect/txs/interpreter/Reference.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/Generation.h"
#include "runtime/Model.h"
#include "runtime/support/File.h"
#include "test/goldens/AdamWBound.h"
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

/// Zeros of different signs differ, NaNs of one pattern do not.
bool sameBits(const Tensor &A, const Tensor &B) {
  return A.shape() == B.shape() &&
         std::memcmp(A.values().data(), B.values().data(),
                     A.size() * sizeof(double)) == 0;
}

Tensor tensor(const TensorView &Of) {
  return tensor(Of.Shape, static_cast<const float *>(Of.Data));
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

/// What a prefill and one call a token leave behind.
struct DecodeRun {
  Tensor Logits; ///< [B, calls, V]
  int64_t Length = 0;
  txs::TensorMap States;
};

Result<DecodeRun> decode(const GoldenModel &Golden, Model &Of) {
  const Tensor &Ids = Golden.expected("input_ids");
  DecodeRun Made{Tensor(Golden.expected("decode_logits").shape()), 0, {}};
  int64_t Batch = Ids.dim(0), Vocab = Golden.Config.VocabSize;
  Result<Cache> State = Of.newCache(Batch);
  if (!State)
    return State.error();
  std::vector<float> Logits(Batch * Vocab);
  for (int64_t Step = 0; Step < Made.Logits.dim(1); ++Step) {
    int64_t To = Golden.Prefill + Step, From = Step ? To - 1 : 0;
    std::vector<int32_t> Part = columns(Ids, From, To);
    Status Ran = Step ? Of.decode(Part.data(), Batch, 1, *State, Logits.data())
                      : Of.prefill(Part.data(), Batch, To, nullptr, *State,
                                   Logits.data());
    if (!Ran)
      return Ran.error();
    for (int64_t B = 0; B < Batch; ++B)
      for (int64_t V = 0; V < Vocab; ++V)
        Made.Logits.at(B, Step, V) = Logits[B * Vocab + V];
  }
  Made.Length = State->length();
  for (const std::string &Name : State->stateNames()) {
    Result<TensorView> View = State->state(Name);
    if (!View)
      return View.error();
    Made.States[Name] = tensor(*View);
  }
  return Made;
}

TEST_P(PackageGolden, PrefillThenDecode) {
  if (!Golden.has("decode_logits"))
    GTEST_SKIP() << "no decode in this golden";
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  Result<DecodeRun> Run = decode(Golden, *Loaded);
  ASSERT_TRUE(Run) << Run.message();
  expectNear(Run->Logits, Golden.expected("decode_logits"), "decode_logits");
  EXPECT_EQ(Run->Length, Tokens);
  for (const auto &[Name, Value] : Golden.Expected)
    if (Name.rfind("ssd_state.", 0) == 0) {
      ASSERT_TRUE(Run->States.count(Name)) << Name;
      expectNear(Run->States.at(Name), Value, Name);
    }

  Result<Model> Single = load(1);
  ASSERT_TRUE(Single) << Single.message();
  Result<DecodeRun> Again = decode(Golden, *Single);
  ASSERT_TRUE(Again) << Again.message();
  EXPECT_TRUE(sameBits(Again->Logits, Run->Logits));
  for (const auto &[Name, Value] : Run->States)
    EXPECT_TRUE(sameBits(Again->States.at(Name), Value)) << Name;
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

/// As many tokens as the golden has, after a prefill and one call a token.
Result<Tensor> greedyTokens(const GoldenModel &Golden, Model &Of) {
  const Tensor &Given = Golden.expected("input_ids");
  int64_t Batch = Given.dim(0), Vocab = Golden.Config.VocabSize;
  Result<Cache> State = Of.newCache(Batch);
  if (!State)
    return State.error();
  std::vector<float> Logits(Batch * Vocab);
  std::vector<int32_t> Ids = columns(Given, 0, Golden.Prefill);
  Status Ran = Of.prefill(Ids.data(), Batch, Golden.Prefill, nullptr, *State,
                          Logits.data());
  for (int64_t T = Golden.Prefill; Ran && T < Given.dim(1); ++T) {
    Ids = columns(Given, T, T + 1);
    Ran = Of.decode(Ids.data(), Batch, 1, *State, Logits.data());
  }
  Tensor Made(Golden.expected("greedy_tokens").shape());
  Ids.resize(Batch);
  for (int64_t Step = 0; Ran && Step < Made.dim(1); ++Step) {
    for (int64_t B = 0; B < Batch; ++B) {
      const float *Row = &Logits[B * Vocab];
      Ids[B] = std::max_element(Row, Row + Vocab) - Row;
      Made.at(B, Step) = Ids[B];
    }
    Ran = Of.decode(Ids.data(), Batch, 1, *State, Logits.data());
  }
  if (!Ran)
    return Ran.error();
  return Made;
}

TEST_P(PackageGolden, GreedyTokens) {
  if (!Golden.has("greedy_tokens"))
    GTEST_SKIP() << "no greedy tokens in this golden";
  Result<Model> Loaded = load(), Single = load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  ASSERT_TRUE(Single) << Single.message();
  Result<Tensor> Actual = greedyTokens(Golden, *Loaded);
  ASSERT_TRUE(Actual) << Actual.message();
  EXPECT_EQ(Actual->values(), Golden.expected("greedy_tokens").values());
  Result<Tensor> Again = greedyTokens(Golden, *Single);
  ASSERT_TRUE(Again) << Again.message();
  EXPECT_EQ(Actual->values(), Again->values());
}

/// The library's loop: masks, one decode call a token, the callback.
TEST_P(PackageGolden, Generate) {
  Result<Model> Loaded = load();
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  GenerationOptions Options;
  Options.NewTokens = 16;
  std::vector<int32_t> Streamed(Batch * Options.NewTokens);
  Options.OnTokens = [&](int64_t Step, const int32_t *Next) {
    for (int64_t B = 0; B < Batch; ++B)
      Streamed[B * Options.NewTokens + Step] = Next[B];
    return true;
  };
  Result<Generated> Made =
      generate(*Loaded, Ids.data(), Batch, Tokens, mask(), Options);
  ASSERT_TRUE(Made) << Made.message();
  EXPECT_EQ(Made->Steps, Options.NewTokens);
  EXPECT_EQ(Made->Tokens, Streamed);

  Result<Cache> State = Loaded->newCache(Batch);
  ASSERT_TRUE(State) << State.message();
  std::vector<float> Logits(Batch * Vocab);
  std::vector<int32_t> Next(Batch), Expected(Streamed.size());
  for (int64_t Step = 0; Step < Options.NewTokens; ++Step) {
    Status Ran =
        Step ? Loaded->decode(Next.data(), Batch, 1, *State, Logits.data())
             : Loaded->prefill(Ids.data(), Batch, Tokens, mask(), *State,
                               Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    for (int64_t B = 0; B < Batch; ++B) {
      const float *Row = &Logits[B * Vocab];
      Next[B] = std::max_element(Row, Row + Vocab) - Row;
      Expected[B * Options.NewTokens + Step] = Next[B];
    }
  }
  EXPECT_EQ(Made->Tokens, Expected);
  // The tables of dynamic scaling depend on how the prompt was split.
  if (Golden.has("greedy_tokens") &&
      Golden.Config.Rope.Type != RopeType::Dynamic)
    EXPECT_EQ(Made->Tokens, integers(Golden.expected("greedy_tokens")));
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
  Result<Model> Loaded = load(), Single = load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  ASSERT_TRUE(Single) << Single.message();
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
    Result<TensorView> Gradient = Loaded->gradient(Name);
    ASSERT_TRUE(Parameter && Gradient) << Name;
    Tensor Actual = tensor(*Parameter);
    EXPECT_NE(Actual.values(), Golden.Weights.at(Name).values())
        << Name << " did not change";
    EXPECT_LT(relativeError(tensor(*Gradient), Golden.expected("grad." + Name)),
              1e-4)
        << Name;
    if (Golden.has("adamw1." + Name))
      expectFirstStep(Golden, Name, Actual.values(), tensor(*Gradient).values(),
                      Step->GradNorm);
  }

  ASSERT_TRUE(
      Single->trainStep(Ids.data(), Labels.data(), Batch, Tokens, mask(), {}));
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
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<int32_t> Labels = integers(Golden.expected("labels"));
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
      ASSERT_TRUE(
          Loaded->gradients(Ids.data(), Labels.data(), Batch, Tokens, mask()));
    Training Before(*Loaded);
    Result<TrainResult> Step = Loaded->trainStep(Ids.data(), Labels.data(),
                                                 Batch, Tokens, mask(), Given);
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
