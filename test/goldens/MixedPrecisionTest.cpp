//===- MixedPrecisionTest.cpp - bf16 packages against the interpreter -----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The golden models compiled in bf16. What is right is the float64
// interpreter's result for the same weights, which it reads rounded to bf16.
// How far from it a correct program may be says the interpreter itself, run
// once more with the result of every operation rounded to its type: a compiled
// model must not be farther off than Slack times that. Slack is 2 because
// kernels round operands of products once more, as matrix units do, where the
// interpreter only rounds results.
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
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace {

constexpr double Slack = 2;

/// A golden model in bf16: compiled, and as the interpreter sees it.
struct MixedModel {
  GoldenModel Golden;
  std::unique_ptr<MLIRContext> Context;
  OwningOpRef<ModuleOp> Module; ///< txs level
  std::optional<Package> Compiled;
  int64_t Batch = 0, Tokens = 0, Vocab = 0;
  std::vector<int32_t> Ids, Labels;
  std::vector<float> Mask; ///< empty where every token counts

  const float *mask() const { return Mask.empty() ? nullptr : Mask.data(); }
  Result<Model> load(unsigned Threads = 1) const {
    ModelOptions Options;
    Options.Threads = Threads;
    return Model::load(*Compiled, Golden.Folder, Options);
  }
};

template <typename T> std::vector<T> valuesOf(const Tensor &From) {
  return std::vector<T>(From.values().begin(), From.values().end());
}

Tensor tensor(ArrayRef<int64_t> Shape, const float *Values) {
  Tensor Made(Shape);
  std::copy(Values, Values + Made.size(), Made.values().begin());
  return Made;
}

std::optional<Package> compile(ModuleOp Module, const GoldenModel &Golden) {
  OwningOpRef<ModuleOp> Lowered = Module.clone();
  CodeOptions Wanted;
  Wanted.OnlyThisMachine = true;
  if (failed(lowerToPlan(*Lowered)))
    return std::nullopt;
  FailureOr<std::vector<CodeObject>> Code = generateCode(*Lowered, Wanted);
  Result<std::string> Text = readFile(Golden.Folder + "/config.json");
  if (failed(Code) || !Text)
    return std::nullopt;
  std::vector<uint8_t> Payload;
  Result<Package> Made = makePackage(*Lowered, *Code, {*Text, 4, 512}, Payload);
  EXPECT_TRUE(Made) << Made.message();
  return Made ? std::optional<Package>(*Made) : std::nullopt;
}

std::unique_ptr<MixedModel> build(const std::string &Name, DType Type) {
  auto Made = std::make_unique<MixedModel>();
  Result<GoldenModel> Loaded = GoldenModel::load(goldenFolder(Name));
  EXPECT_TRUE(Loaded) << Loaded.message();
  Made->Golden = std::move(*Loaded);
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  Made->Context = std::make_unique<MLIRContext>(Registry);
  Result<std::vector<std::string>> Entries =
      expandEntries({}, Made->Golden.Config);
  EXPECT_TRUE(Entries) << Entries.message();
  Made->Module = buildModel(Made->Golden.Config, *Entries,
                            /*RecomputeBlocks=*/0, *Made->Context, Type);
  EXPECT_TRUE(Made->Module) << Name;
  Made->Compiled = compile(*Made->Module, Made->Golden);
  EXPECT_TRUE(Made->Compiled) << Name << " did not compile";
  const Tensor &Ids = Made->Golden.expected("input_ids");
  Made->Batch = Ids.dim(0);
  Made->Tokens = Ids.dim(1);
  Made->Vocab = Made->Golden.Config.VocabSize;
  Made->Ids = valuesOf<int32_t>(Ids);
  Made->Labels = valuesOf<int32_t>(Made->Golden.expected("labels"));
  if (Made->Golden.has("attention_mask"))
    Made->Mask = valuesOf<float>(Made->Golden.expected("attention_mask"));
  return Made;
}

/// Built once for each name.
const MixedModel &modelOf(const std::string &Name, DType Type = DType::BF16) {
  static std::map<std::pair<std::string, DType>, std::unique_ptr<MixedModel>>
      Known;
  std::unique_ptr<MixedModel> &Found = Known[{Name, Type}];
  if (!Found)
    Found = build(Name, Type);
  return *Found;
}

txs::TensorMap inputsOf(const MixedModel &M) {
  const Tensor *Mask =
      M.Mask.empty() ? nullptr : &M.Golden.expected("attention_mask");
  txs::TensorMap Inputs =
      txs::makeInputs(M.Golden.Config, M.Golden.expected("input_ids"), Mask);
  Inputs["labels"] = M.Golden.expected("labels");
  return Inputs;
}

/// The interpreter's run of an entry, with or without rounding.
txs::RunResult interpret(const MixedModel &M, const std::string &Entry,
                         bool Rounds, const txs::TensorMap &Inputs,
                         const txs::TensorMap &States = {},
                         std::optional<uint64_t> Seed = std::nullopt) {
  txs::Interpreter Runner(*M.Module);
  Runner.Parameters = M.Golden.Weights;
  Runner.RoundResults = Rounds;
  Runner.RoundingSeed = Seed;
  Result<txs::RunResult> Made = Runner.run(Entry, Inputs, States);
  EXPECT_TRUE(Made) << Made.message();
  return Made ? *Made : txs::RunResult();
}

/// At most Slack times as far from the truth as the rounded run is. The floor
/// is a rounding of float32: a value that rounding happens to leave alone.
void expectAsCloseAs(const Tensor &Actual, const Tensor &Rounded,
                     const Tensor &Truth, const std::string &What) {
  double Allowed = Slack * relativeError(Rounded, Truth) + 1e-6;
  EXPECT_LE(relativeError(Actual, Truth), Allowed) << What;
}

/// `To`, as one vector, with the elements of `More` behind its own.
void append(Tensor &To, const Tensor &More) {
  std::vector<double> All = To.rank() ? To.values() : std::vector<double>();
  All.insert(All.end(), More.values().begin(), More.values().end());
  int64_t Count = All.size();
  To = Tensor({Count}, std::move(All));
}

/// Padded positions carry no meaning.
void clearPadding(Tensor &Logits, const std::vector<float> &Mask) {
  int64_t Width = Logits.shape().back();
  for (size_t Row = 0; Row < Mask.size(); ++Row)
    if (Mask[Row] == 0)
      std::fill_n(Logits.row(Row, Width), Width, 0.0);
}

class MixedPrecision : public testing::TestWithParam<std::string> {
protected:
  const MixedModel &M = modelOf(GetParam());
};

TEST_P(MixedPrecision, TypesOfThePackage) {
  ASSERT_TRUE(M.Compiled);
  for (const PackageParameter &Parameter : M.Compiled->parameters())
    EXPECT_EQ(Parameter.Type,
              Parameter.Shape.size() >= 2 ? DType::BF16 : DType::F32)
        << Parameter.Name;
  for (const PackageState &State : M.Compiled->states()) {
    bool IsCache = State.Name.find("_cache.") != std::string::npos;
    EXPECT_EQ(State.Type, IsCache ? DType::BF16 : DType::F32) << State.Name;
  }
}

TEST_P(MixedPrecision, Logits) {
  ASSERT_TRUE(M.Compiled);
  txs::TensorMap Inputs = inputsOf(M);
  Tensor Truth = interpret(M, "forward", false, Inputs).Outputs.at("logits");
  Tensor Rounded = interpret(M, "forward", true, Inputs).Outputs.at("logits");
  std::vector<float> First;
  for (unsigned Threads : {1u, 2u}) {
    Result<Model> Loaded = M.load(Threads);
    ASSERT_TRUE(Loaded) << Loaded.message();
    std::vector<float> Logits(M.Batch * M.Tokens * M.Vocab, NAN);
    Status Ran = Loaded->forward(M.Ids.data(), M.Batch, M.Tokens, M.mask(),
                                 Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    if (First.empty())
      First = Logits;
    EXPECT_EQ(
        std::memcmp(First.data(), Logits.data(), Logits.size() * sizeof(float)),
        0)
        << "other bits with " << Threads << " threads";
  }
  Tensor Actual = tensor(Truth.shape(), First.data());
  for (Tensor *Each : {&Actual, &Truth, &Rounded})
    clearPadding(*Each, M.Mask);
  expectAsCloseAs(Actual, Rounded, Truth, "logits");
  // The types of the module cost something, or this compares float32.
  EXPECT_GT(relativeError(Rounded, Truth), 1e-4);
}

/// Prefill, then a token a time, in the interpreter: logits by step, states at
/// the end.
txs::TensorMap interpretDecoding(const MixedModel &M, bool Rounds) {
  const Tensor &Ids = M.Golden.expected("input_ids");
  txs::TensorMap Made;
  txs::TensorMap States = txs::makeStates(*M.Module, "decode", M.Batch, 512);
  for (int64_t To = M.Golden.Prefill; To <= M.Tokens; ++To) {
    int64_t From = To == M.Golden.Prefill ? 0 : To - 1;
    Tensor Part({M.Batch, To - From});
    for (int64_t B = 0; B < M.Batch; ++B)
      for (int64_t T = From; T < To; ++T)
        Part.at(B, T - From) = Ids.at(B, T);
    txs::TensorMap Inputs =
        txs::makeInputs(M.Golden.Config, Part, nullptr, From);
    txs::RunResult Ran =
        interpret(M, From == 0 ? "prefill" : "decode", Rounds, Inputs, States);
    States = Ran.States;
    Made["logits " + std::to_string(To)] = Ran.Outputs.at("logits");
  }
  for (auto &[Name, State] : States)
    if (Name.rfind("ssd_state.", 0) == 0)
      Made[Name] = State;
  return Made;
}

TEST_P(MixedPrecision, PrefillThenDecode) {
  ASSERT_TRUE(M.Compiled);
  if (!M.Golden.has("decode_logits") || !M.Mask.empty())
    GTEST_SKIP() << "no decode in this golden";
  txs::TensorMap Truth = interpretDecoding(M, false);
  txs::TensorMap Rounded = interpretDecoding(M, true);
  Result<Model> Loaded = M.load(2);
  ASSERT_TRUE(Loaded) << Loaded.message();
  Result<Cache> State = Loaded->newCache(M.Batch);
  ASSERT_TRUE(State) << State.message();
  const Tensor &Ids = M.Golden.expected("input_ids");
  for (int64_t To = M.Golden.Prefill; To <= M.Tokens; ++To) {
    int64_t From = To == M.Golden.Prefill ? 0 : To - 1;
    std::vector<int32_t> Part;
    for (int64_t B = 0; B < M.Batch; ++B)
      for (int64_t T = From; T < To; ++T)
        Part.push_back(int32_t(Ids.at(B, T)));
    std::vector<float> Logits(M.Batch * M.Vocab, NAN);
    Status Ran = From == 0 ? Loaded->prefill(Part.data(), M.Batch, To, nullptr,
                                             *State, Logits.data())
                           : Loaded->decode(Part.data(), M.Batch, 1, *State,
                                            Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    std::string Name = "logits " + std::to_string(To);
    expectAsCloseAs(tensor(Truth.at(Name).shape(), Logits.data()),
                    Rounded.at(Name), Truth.at(Name), Name);
  }
  for (auto &[Name, Value] : Truth)
    if (Name.rfind("ssd_state.", 0) == 0) {
      Result<TensorView> View = State->state(Name);
      ASSERT_TRUE(View) << View.message();
      expectAsCloseAs(
          tensor(View->Shape, static_cast<const float *>(View->Data)),
          Rounded.at(Name), Value, Name);
    }
}

bool isDecay(const std::string &Name) {
  return StringRef(Name).ends_with(".ssd.A");
}

/// The gradients of all decays as one vector.
Tensor decays(const txs::TensorMap &Gradients) {
  Tensor All({0});
  for (const auto &[Name, Gradient] : Gradients)
    if (isDecay(Name))
      append(All, Gradient);
  return All;
}

/// How far rounding takes the gradients of all decays from the truth, as a root
/// mean square over several runs. They are one number for each head, what is
/// left of sums that cancel: the error of one run is one throw of the dice.
double decayRounding(const MixedModel &M, const txs::TensorMap &Inputs,
                     const Tensor &Truth) {
  constexpr uint64_t Runs = 4;
  double Squares = 0;
  for (uint64_t Seed = 1; Seed <= Runs; ++Seed) {
    txs::RunResult Ran = interpret(M, "gradients", true, Inputs, {}, Seed);
    Squares += std::pow(relativeError(decays(Ran.Gradients), Truth), 2);
  }
  // By chance, roundings have twice the variance of those to the nearest.
  return std::sqrt(Squares / Runs / 2);
}

TEST_P(MixedPrecision, LossAndGradients) {
  ASSERT_TRUE(M.Compiled);
  txs::TensorMap Inputs = inputsOf(M);
  txs::RunResult Truth = interpret(M, "gradients", false, Inputs);
  txs::RunResult Rounded = interpret(M, "gradients", true, Inputs);
  Result<Model> One = M.load(1), Two = M.load(2);
  ASSERT_TRUE(One && Two);
  Result<double> Loss = One->gradients(M.Ids.data(), M.Labels.data(), M.Batch,
                                       M.Tokens, M.mask());
  Result<double> Again = Two->gradients(M.Ids.data(), M.Labels.data(), M.Batch,
                                        M.Tokens, M.mask());
  ASSERT_TRUE(Loss && Again);
  EXPECT_EQ(*Loss, *Again);
  // A mean over tokens: roundings cancel, in one run more than in another.
  EXPECT_NEAR(*Loss, Truth.Outputs.at("loss")[0],
              0x1p-9 * Truth.Outputs.at("loss")[0]);
  txs::TensorMap Actual;
  for (const std::string &Name : One->parameterNames()) {
    Result<TensorView> Gradient = One->gradient(Name);
    Result<TensorView> Other = Two->gradient(Name);
    ASSERT_TRUE(Gradient && Other);
    EXPECT_EQ(Gradient->Type, DType::F32);
    EXPECT_EQ(std::memcmp(Gradient->Data, Other->Data,
                          Gradient->numElements() * sizeof(float)),
              0)
        << Name << ": other bits with 2 threads";
    Actual[Name] =
        tensor(Gradient->Shape, static_cast<const float *>(Gradient->Data));
    if (!isDecay(Name))
      expectAsCloseAs(Actual[Name], Rounded.Gradients.at(Name),
                      Truth.Gradients.at(Name), Name);
  }
  if (Tensor Exact = decays(Truth.Gradients); Exact.size() > 0) {
    EXPECT_LE(relativeError(decays(Actual), Exact),
              Slack * decayRounding(M, Inputs, Exact));
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, MixedPrecision,
                         testing::ValuesIn(goldenNames()), [](auto Info) {
                           std::string Name = Info.param;
                           std::replace(Name.begin(), Name.end(), '-', '_');
                           return Name;
                         });

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

Hyperparameters usualSettings() {
  Hyperparameters Settings;
  Settings.LearningRate = 1e-3;
  return Settings;
}

std::vector<double> losses(Model &Of, const MixedModel &M, int64_t Steps) {
  std::vector<double> Made;
  for (int64_t Step = 0; Step < Steps; ++Step) {
    Result<TrainResult> Ran =
        Of.trainStep(M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens, M.mask(),
                     usualSettings());
    EXPECT_TRUE(Ran) << Ran.message();
    if (!Ran)
      return Made;
    EXPECT_TRUE(std::isfinite(Ran->GradNorm));
    Made.push_back(Ran->Loss);
  }
  return Made;
}

/// Every parameter's bytes.
std::vector<std::vector<uint8_t>> bytesOf(Model &Of) {
  std::vector<std::vector<uint8_t>> Made;
  for (const std::string &Name : Of.parameterNames()) {
    Result<TensorView> View = Of.parameter(Name);
    EXPECT_TRUE(View) << View.message();
    auto *First = static_cast<const uint8_t *>(View->Data);
    Made.emplace_back(First, First + View->numElements() * sizeOf(View->Type));
  }
  return Made;
}

/// A folder that is gone after the test.
struct ScratchFolder {
  ScratchFolder() {
    std::string Pattern = testing::TempDir() + "/mixed-XXXXXX";
    EXPECT_TRUE(::mkdtemp(Pattern.data()));
    Path = Pattern;
  }
  ~ScratchFolder() { std::filesystem::remove_all(Path); }
  std::string Path;
};

/// The interpreter's losses of as many steps, its results rounded.
std::vector<double> interpretLosses(const MixedModel &M, int64_t Steps) {
  Hyperparameters S = usualSettings();
  txs::Interpreter Runner(*M.Module);
  Runner.Parameters = M.Golden.Weights;
  Runner.RoundResults = true;
  txs::TensorMap Inputs = inputsOf(M);
  std::vector<double> Made;
  for (int64_t Step = 1; Step <= Steps; ++Step) {
    Inputs["hyperparameters"] =
        Tensor({8}, {S.LearningRate, S.Beta1, S.Beta2, S.Eps, S.WeightDecay,
                     S.MaxGradNorm, 1 - std::pow(S.Beta1, Step),
                     1 - std::pow(S.Beta2, Step)});
    Result<txs::RunResult> Ran = Runner.run("train", Inputs);
    EXPECT_TRUE(Ran) << Ran.message();
    Made.push_back(Ran ? Ran->Outputs.at("loss")[0] : NAN);
  }
  return Made;
}

double largestDistance(const std::vector<double> &A,
                       const std::vector<double> &B) {
  double Largest = 0;
  for (size_t I = 0; I < A.size(); ++I)
    Largest = std::max(Largest, std::abs(A[I] - B[I]));
  return Largest;
}

TEST(MixedPrecisionTraining, LossCurveFollowsFloat32) {
  const MixedModel &M = modelOf("hybrid-tiny");
  const MixedModel &Wide = modelOf("hybrid-tiny", DType::F32);
  ASSERT_TRUE(M.Compiled && Wide.Compiled);
  Result<Model> Loaded = M.load(2), Float = Wide.load(2);
  ASSERT_TRUE(Loaded && Float);
  std::vector<double> Actual = losses(*Loaded, M, 10);
  std::vector<double> Expected = losses(*Float, Wide, 10);
  std::vector<double> Rounded = interpretLosses(M, 10);
  ASSERT_EQ(Actual.size(), 10u);
  EXPECT_LT(Actual.back(), 0.95 * Actual.front());
  double Allowed = Slack * largestDistance(Rounded, Expected);
  EXPECT_LE(largestDistance(Actual, Expected), Allowed);
  // And that is little: the first steps of AdamW move every weight by the
  // learning rate, whichever sign rounding leaves a small gradient.
  EXPECT_LE(Allowed, 0.02 * Expected.front());
}

/// Steps too small for bf16 to show one by one add up in the masters.
TEST(MixedPrecisionTraining, SmallStepsAddUp) {
  const MixedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Loaded = M.load(2);
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<std::vector<uint8_t>> Before = bytesOf(*Loaded);
  Hyperparameters Settings = usualSettings();
  Settings.LearningRate = 1e-5;
  Settings.WeightDecay = 0;
  std::vector<double> Losses;
  for (int Step = 0; Step < 40; ++Step) {
    Result<TrainResult> Ran = Loaded->trainStep(
        M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens, M.mask(), Settings);
    ASSERT_TRUE(Ran) << Ran.message();
    Losses.push_back(Ran->Loss);
  }
  EXPECT_LT(Losses.back(), Losses.front());
  EXPECT_NE(bytesOf(*Loaded), Before);
}

/// The first step updates the float32 checkpoint, not what bf16 keeps of it.
TEST(MixedPrecisionTraining, MastersComeFromTheCheckpoint) {
  const MixedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Loaded = M.load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  Hyperparameters Settings = usualSettings();
  Settings.LearningRate = 0;
  ASSERT_TRUE(Loaded->trainStep(M.Ids.data(), M.Labels.data(), M.Batch,
                                M.Tokens, M.mask(), Settings));
  ScratchFolder Folder;
  std::string Path = Folder.Path + "/optimizer.safetensors";
  ASSERT_TRUE(Loaded->saveOptimizer(Path));
  Result<txs::TensorMap> Saved = readTensors(Path);
  ASSERT_TRUE(Saved) << Saved.message();
  for (const PackageParameter &Parameter : M.Compiled->parameters()) {
    auto Master = Saved->find("master." + Parameter.Name);
    ASSERT_EQ(Master != Saved->end(), Parameter.Type == DType::BF16)
        << Parameter.Name;
    if (Master != Saved->end())
      EXPECT_EQ(Master->second.values(),
                M.Golden.Weights.at(Parameter.Name).values())
          << Parameter.Name;
  }
}

/// What somebody writes into a parameter counts, whatever its master was.
TEST(MixedPrecisionTraining, AWrittenParameterReplacesItsMaster) {
  const MixedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Loaded = M.load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  losses(*Loaded, M, 1);
  const std::string Name = "model.layers.0.ssd.x_proj.weight";
  Result<TensorView> View = Loaded->parameter(Name);
  ASSERT_TRUE(View) << View.message();
  std::vector<float> Values(View->numElements(), 0.5f);
  ASSERT_TRUE(Loaded->setParameter(Name, Values.data(), Values.size()));
  Hyperparameters Settings = usualSettings();
  Settings.LearningRate = 0;
  ASSERT_TRUE(Loaded->trainStep(M.Ids.data(), M.Labels.data(), M.Batch,
                                M.Tokens, M.mask(), Settings));
  auto *Bits = static_cast<const uint16_t *>(View->Data);
  for (size_t I = 0; I < Values.size(); ++I)
    ASSERT_EQ(Bits[I], 0x3f00) << "element " << I; // 0.5
}

TEST(MixedPrecisionTraining, ResumesToTheBit) {
  const MixedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Whole = M.load(2), Half = M.load(1);
  ASSERT_TRUE(Whole && Half);
  std::vector<double> Expected = losses(*Whole, M, 6);
  losses(*Half, M, 3);
  ScratchFolder Folder;
  ASSERT_TRUE(Half->save(Folder.Path));
  ASSERT_TRUE(Half->saveOptimizer(Folder.Path + "/optimizer.safetensors"));
  Result<Model> Resumed = Model::load(*M.Compiled, Folder.Path, {});
  ASSERT_TRUE(Resumed) << Resumed.message();
  Status Restored =
      Resumed->loadOptimizer(Folder.Path + "/optimizer.safetensors");
  ASSERT_TRUE(Restored) << Restored.message();
  std::vector<double> Actual = losses(*Resumed, M, 3);
  EXPECT_EQ(Actual, std::vector<double>(Expected.begin() + 3, Expected.end()));
  EXPECT_EQ(bytesOf(*Resumed), bytesOf(*Whole));
  // Without the masters it is another run.
  Result<Model> Poorer = Model::load(*M.Compiled, Folder.Path, {});
  ASSERT_TRUE(Poorer) << Poorer.message();
  losses(*Poorer, M, 3);
  EXPECT_NE(bytesOf(*Poorer), bytesOf(*Whole));
}

/// Half of the training of a float32 package, the rest in bf16.
TEST(MixedPrecisionTraining, ContinuesAFloat32Run) {
  const MixedModel &M = modelOf("hybrid-tiny");
  const MixedModel &Wide = modelOf("hybrid-tiny", DType::F32);
  ASSERT_TRUE(M.Compiled && Wide.Compiled);
  Result<Model> Float = Wide.load(2);
  ASSERT_TRUE(Float) << Float.message();
  losses(*Float, Wide, 3);
  ScratchFolder Folder;
  ASSERT_TRUE(Float->save(Folder.Path));
  ASSERT_TRUE(Float->saveOptimizer(Folder.Path + "/optimizer.safetensors"));
  Result<Model> Resumed = Model::load(*M.Compiled, Folder.Path, {});
  ASSERT_TRUE(Resumed) << Resumed.message();
  ASSERT_TRUE(Resumed->loadOptimizer(Folder.Path + "/optimizer.safetensors"));
  std::vector<double> Expected = losses(*Float, Wide, 3);
  std::vector<double> Actual = losses(*Resumed, M, 3);
  for (size_t Step = 0; Step < 3; ++Step)
    EXPECT_NEAR(Actual[Step], Expected[Step], 0.02 * Expected[Step]);
}

} // namespace
