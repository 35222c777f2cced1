//===- MixedReference.cpp - What bf16 may cost ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/goldens/MixedReference.h"
#include "dialect/txs/interpreter/ModelInputs.h"
#include "runtime/support/File.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace transxssm {

std::vector<int32_t> TypedModel::idsOf(int64_t From, int64_t To) const {
  std::vector<int32_t> Part;
  for (int64_t B = 0; B < Batch; ++B)
    Part.insert(Part.end(), Ids.begin() + B * Tokens + From,
                Ids.begin() + B * Tokens + To);
  return Part;
}

Result<Model> TypedModel::load(unsigned Threads,
                               const std::string &Device) const {
  ModelOptions Options;
  Options.Threads = Threads;
  Options.Device = Device;
  return Model::load(*Compiled, Golden.Folder, Options);
}

static std::optional<Package> compile(ModuleOp Module,
                                      const GoldenModel &Golden,
                                      const PlanOptions &Plan,
                                      const GenerateCode &Generate) {
  OwningOpRef<ModuleOp> Lowered = Module.clone();
  if (failed(lowerToPlan(*Lowered, Plan)))
    return std::nullopt;
  FailureOr<std::vector<CodeObject>> Code = Generate(*Lowered);
  Result<std::string> Text = readFile(Golden.Folder + "/config.json");
  if (failed(Code) || !Text)
    return std::nullopt;
  std::vector<uint8_t> Payload;
  Result<Package> Made = makePackage(*Lowered, *Code, {*Text, 4, 512}, Payload);
  EXPECT_TRUE(Made) << Made.message();
  return Made ? std::optional<Package>(*Made) : std::nullopt;
}

template <typename T> static std::vector<T> valuesOf(const Tensor &From) {
  return std::vector<T>(From.values().begin(), From.values().end());
}

std::unique_ptr<TypedModel> buildTypedModel(const std::string &Name, DType Type,
                                            const PlanOptions &Plan,
                                            const GenerateCode &Generate,
                                            int64_t RecomputeBlocks) {
  auto Made = std::make_unique<TypedModel>();
  Result<GoldenModel> Loaded = GoldenModel::load(goldenFolder(Name));
  EXPECT_TRUE(Loaded) << Loaded.message();
  Made->Golden = std::move(*Loaded);
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  Made->Context = std::make_unique<MLIRContext>(Registry);
  Result<std::vector<std::string>> Entries =
      expandEntries({}, Made->Golden.Config);
  EXPECT_TRUE(Entries) << Entries.message();
  Made->Module = buildModel(Made->Golden.Config, *Entries, RecomputeBlocks,
                            *Made->Context, Type);
  EXPECT_TRUE(Made->Module) << Name;
  Made->Compiled = compile(*Made->Module, Made->Golden, Plan, Generate);
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

Tensor tensor(ArrayRef<int64_t> Shape, const float *Values) {
  Tensor Made(Shape);
  std::copy(Values, Values + Made.size(), Made.values().begin());
  return Made;
}

Tensor tensor(const TensorView &View) {
  EXPECT_EQ(View.Type, DType::F32);
  return tensor(View.Shape, static_cast<const float *>(View.Data));
}

bool sameBits(const Tensor &A, const Tensor &B) {
  return A.shape() == B.shape() &&
         std::memcmp(A.values().data(), B.values().data(),
                     A.size() * sizeof(double)) == 0;
}

FailureOr<std::vector<CodeObject>> generateForThisCpu(ModuleOp Module) {
  CodeOptions Wanted;
  Wanted.OnlyThisMachine = true;
  return generateCode(Module, Wanted);
}

txs::TensorMap inputsOf(const TypedModel &M) {
  const Tensor *Mask =
      M.Mask.empty() ? nullptr : &M.Golden.expected("attention_mask");
  txs::TensorMap Inputs =
      txs::makeInputs(M.Golden.Config, M.Golden.expected("input_ids"), Mask);
  Inputs["labels"] = M.Golden.expected("labels");
  return Inputs;
}

txs::RunResult interpret(const TypedModel &M, const std::string &Entry,
                         bool Rounds, const txs::TensorMap &Inputs,
                         const txs::TensorMap &States,
                         std::optional<uint64_t> Seed) {
  txs::Interpreter Runner(*M.Module);
  Runner.Parameters = M.Golden.Weights;
  Runner.RoundResults = Rounds;
  Runner.RoundingSeed = Seed;
  Result<txs::RunResult> Made = Runner.run(Entry, Inputs, States);
  EXPECT_TRUE(Made) << Made.message();
  return Made ? *Made : txs::RunResult();
}

void expectAsCloseAs(const Tensor &Actual, const Tensor &Rounded,
                     const Tensor &Truth, const std::string &What) {
  double Allowed = Slack * relativeError(Rounded, Truth) + 1e-6;
  EXPECT_LE(relativeError(Actual, Truth), Allowed) << What;
}

/// `To`, as one vector, with the elements of `More` behind its own.
static void append(Tensor &To, const Tensor &More) {
  std::vector<double> All = To.rank() ? To.values() : std::vector<double>();
  All.insert(All.end(), More.values().begin(), More.values().end());
  int64_t Count = All.size();
  To = Tensor({Count}, std::move(All));
}

void clearPadding(Tensor &Logits, const std::vector<float> &Mask) {
  int64_t Width = Logits.shape().back();
  for (size_t Row = 0; Row < Mask.size(); ++Row)
    if (Mask[Row] == 0)
      std::fill_n(Logits.row(Row, Width), Width, 0.0);
}

txs::TensorMap interpretDecoding(const TypedModel &M, bool Rounds) {
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

Result<txs::TensorMap> decodeOn(Model &On, Cache &State, const TypedModel &M) {
  txs::TensorMap Made;
  std::vector<float> Logits(M.Batch * M.Vocab, NAN);
  for (int64_t To = M.Golden.Prefill; To <= M.Tokens; ++To) {
    bool IsFirst = To == M.Golden.Prefill;
    std::vector<int32_t> Part = M.idsOf(IsFirst ? 0 : To - 1, To);
    Status Ran = IsFirst
                     ? On.prefill(Part.data(), M.Batch, To, nullptr, State,
                                  Logits.data())
                     : On.decode(Part.data(), M.Batch, 1, State, Logits.data());
    if (!Ran)
      return Ran.error();
    Made["logits " + std::to_string(To)] =
        IsFirst ? tensor({M.Batch, M.Vocab}, Logits.data())
                : tensor({M.Batch, 1, M.Vocab}, Logits.data());
  }
  for (const PackageState &Each : M.Compiled->states())
    if (Each.Type == DType::F32) {
      Result<TensorView> View = State.state(Each.Name);
      if (!View)
        return View.error();
      Made[Each.Name] = tensor(*View);
    }
  return Made;
}

txs::TensorMap gradientsOf(Model &On) {
  txs::TensorMap Made;
  for (const std::string &Name : On.parameterNames()) {
    Result<TensorView> View = On.gradient(Name);
    EXPECT_TRUE(View) << View.message();
    if (View)
      Made[Name] = tensor(*View);
  }
  return Made;
}

void expectGoldenLogits(const TypedModel &M, Tensor Actual) {
  Tensor Expected = M.Golden.expected("logits");
  clearPadding(Actual, M.Mask);
  clearPadding(Expected, M.Mask);
  EXPECT_LT(relativeError(Actual, Expected), 1e-5);
}

void expectGoldenDecoding(const TypedModel &M, const txs::TensorMap &Actual) {
  const Tensor &Expected = M.Golden.expected("decode_logits");
  Tensor Logits(Expected.shape());
  for (int64_t Step = 0; Step < Expected.dim(1); ++Step) {
    const Tensor &Of =
        Actual.at("logits " + std::to_string(M.Golden.Prefill + Step));
    for (int64_t B = 0; B < M.Batch; ++B)
      for (int64_t V = 0; V < M.Vocab; ++V)
        Logits.at(B, Step, V) = Of[B * M.Vocab + V];
  }
  EXPECT_LT(relativeError(Logits, Expected), 1e-5);
  for (const auto &[Name, Value] : M.Golden.Expected)
    if (Name.rfind("ssd_state.", 0) == 0)
      EXPECT_LT(relativeError(Actual.at(Name), Value), 1e-5) << Name;
}

void expectGoldenGradients(const TypedModel &M, double Loss,
                           const txs::TensorMap &Actual) {
  double Expected = M.Golden.expected("loss")[0];
  EXPECT_NEAR(Loss, Expected, 1e-5 * Expected);
  for (const auto &[Name, Gradient] : Actual)
    EXPECT_LT(relativeError(Gradient, M.Golden.expected("grad." + Name)), 1e-4)
        << Name;
}

bool isDecay(const std::string &Name) {
  return StringRef(Name).ends_with(".ssd.A");
}

Tensor decays(const txs::TensorMap &Gradients) {
  Tensor All({0});
  for (const auto &[Name, Gradient] : Gradients)
    if (isDecay(Name))
      append(All, Gradient);
  return All;
}

double decayRounding(const TypedModel &M, const txs::TensorMap &Inputs,
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

void expectMixedGradients(const TypedModel &M, double Loss,
                          const txs::TensorMap &Actual) {
  txs::TensorMap Inputs = inputsOf(M);
  txs::RunResult Truth = interpret(M, "gradients", false, Inputs);
  txs::RunResult Rounded = interpret(M, "gradients", true, Inputs);
  double Expected = Truth.Outputs.at("loss")[0];
  EXPECT_NEAR(Loss, Expected, 0x1p-9 * Expected);
  for (const auto &[Name, Gradient] : Actual)
    if (!isDecay(Name))
      expectAsCloseAs(Gradient, Rounded.Gradients.at(Name),
                      Truth.Gradients.at(Name), Name);
  if (Tensor Exact = decays(Truth.Gradients); Exact.size() > 0) {
    EXPECT_LE(relativeError(decays(Actual), Exact),
              Slack * decayRounding(M, Inputs, Exact));
  }
}

Hyperparameters usualSettings() {
  Hyperparameters Settings;
  Settings.LearningRate = 1e-3;
  return Settings;
}

std::vector<double> interpretLosses(const TypedModel &M, int64_t Steps,
                                    bool Rounds, std::optional<uint64_t> Seed,
                                    const TrainingState &From) {
  Hyperparameters S = usualSettings();
  txs::Interpreter Runner(*M.Module);
  Runner.Parameters =
      From.Parameters.empty() ? M.Golden.Weights : From.Parameters;
  Runner.FirstMoments = From.Moments1;
  Runner.SecondMoments = From.Moments2;
  Runner.RoundResults = Rounds;
  Runner.RoundingSeed = Seed;
  txs::TensorMap Inputs = inputsOf(M);
  std::vector<double> Made;
  for (int64_t Step = From.Steps + 1; Step <= From.Steps + Steps; ++Step) {
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
  EXPECT_EQ(A.size(), B.size());
  double Largest = 0;
  for (size_t I = 0; I < std::min(A.size(), B.size()); ++I) {
    double Distance = std::abs(A[I] - B[I]);
    // std::max would drop a NaN.
    if (std::isnan(Distance))
      return Distance;
    Largest = std::max(Largest, Distance);
  }
  return Largest;
}

double lossRounding(const TypedModel &M, const std::vector<double> &Truth,
                    const TrainingState &From) {
  constexpr uint64_t Runs = 4;
  double Squares = 0;
  for (uint64_t Seed = 1; Seed <= Runs; ++Seed)
    Squares +=
        std::pow(largestDistance(
                     interpretLosses(M, Truth.size(), true, Seed, From), Truth),
                 2);
  // As in decayRounding().
  return std::sqrt(Squares / Runs / 2);
}

} // namespace transxssm
