//===- SimGoldenTest.cpp - Whole models in the simulator ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Golden models compiled for GPUs and run on device "sim", for every
// architecture, in float32 and bf16: logits, decoding, gradients, optimizer
// steps. float32 is held to the goldens' own tolerances, bf16 to what the
// interpreter says that its types cost (MixedReference.h), and no kernel may
// be reported.
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimTarget.h"
#include "test/goldens/AdamWBound.h"
#include "test/goldens/MixedReference.h"
#include "gtest/gtest.h"

#include <cmath>
#include <map>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace {

/// The model, and what comparisons with it need more than once.
struct SimModel {
  std::unique_ptr<TypedModel> Typed;
  bool SameCode = false; ///< for every architecture
  std::map<bool, txs::TensorMap> Decoded;
  std::vector<double> Losses;
  std::optional<double> LossRounding;

  const txs::TensorMap &decoded(bool Rounds) {
    if (Decoded[Rounds].empty())
      Decoded[Rounds] = interpretDecoding(*Typed, Rounds);
    return Decoded[Rounds];
  }
  const std::vector<double> &losses(int64_t Steps) {
    if (Losses.empty())
      Losses = interpretLosses(*Typed, Steps, false);
    return Losses;
  }
  /// Of the losses above.
  double lossRounding() {
    if (!LossRounding)
      LossRounding = transxssm::lossRounding(*Typed, Losses);
    return *LossRounding;
  }
};

/// One package with code for every architecture, made once.
SimModel &modelOf(const std::string &Name, DType Type) {
  static std::map<std::pair<std::string, DType>, SimModel> Known;
  SimModel &Found = Known[{Name, Type}];
  if (Found.Typed)
    return Found;
  PlanOptions Plan;
  Plan.Gpu = true;
  Found.Typed = buildTypedModel(
      Name, Type, Plan,
      [&](ModuleOp Module) -> FailureOr<std::vector<CodeObject>> {
        FailureOr<std::vector<CodeObject>> Made = sim::generateSimCode(Module);
        if (succeeded(Made))
          Found.SameCode = Made->front().Object == Made->back().Object;
        return Made;
      });
  return Found;
}

class SimGolden : public testing::TestWithParam<
                      std::tuple<std::string, DType, std::string>> {
protected:
  void SetUp() override {
    ASSERT_TRUE(M.Compiled);
    if (Known.SameCode && architecture() != nvptx::gpuTargets().front().Name)
      GTEST_SKIP() << "the code is that of " << nvptx::gpuTargets().front().Name
                   << ", byte for byte";
    Result<Model> Made = M.load(1, "sim:" + architecture());
    ASSERT_TRUE(Made) << Made.message();
    On.emplace(std::move(*Made));
  }

  const std::string &architecture() const { return std::get<2>(GetParam()); }
  bool isMixed() const { return std::get<1>(GetParam()) == DType::BF16; }

  Result<TrainResult> trainStep() {
    return On->trainStep(M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens,
                         M.mask(), usualSettings());
  }
  void expectGradients(double Loss, const txs::TensorMap &Actual);

  SimModel &Known = modelOf(std::get<0>(GetParam()), std::get<1>(GetParam()));
  const TypedModel &M = *Known.Typed;
  std::optional<Model> On;
};

TEST_P(SimGolden, Logits) {
  std::vector<float> Logits(size_t(M.Batch * M.Tokens * M.Vocab), NAN);
  Status Ran =
      On->forward(M.Ids.data(), M.Batch, M.Tokens, M.mask(), Logits.data());
  ASSERT_TRUE(Ran) << Ran.message();
  Tensor Actual = tensor({M.Batch, M.Tokens, M.Vocab}, Logits.data());
  if (!isMixed()) {
    expectGoldenLogits(M, Actual);
    return;
  }
  clearPadding(Actual, M.Mask);
  txs::TensorMap Inputs = inputsOf(M);
  Tensor Truth = interpret(M, "forward", false, Inputs).Outputs.at("logits");
  Tensor Rounded = interpret(M, "forward", true, Inputs).Outputs.at("logits");
  clearPadding(Truth, M.Mask);
  clearPadding(Rounded, M.Mask);
  expectAsCloseAs(Actual, Rounded, Truth, "logits");
}

TEST_P(SimGolden, PrefillThenDecode) {
  if (!M.Golden.has("decode_logits"))
    GTEST_SKIP() << "no decode in this golden";
  Result<Cache> State = On->newCache(M.Batch);
  ASSERT_TRUE(State) << State.message();
  Result<txs::TensorMap> Actual = decodeOn(*On, *State, M);
  ASSERT_TRUE(Actual) << Actual.message();
  if (!isMixed()) {
    expectGoldenDecoding(M, *Actual);
    return;
  }
  for (const auto &[Name, Truth] : Known.decoded(false))
    expectAsCloseAs(Actual->at(Name), Known.decoded(true).at(Name), Truth,
                    Name);
}

void SimGolden::expectGradients(double Loss, const txs::TensorMap &Actual) {
  if (isMixed())
    expectMixedGradients(M, Loss, Actual);
  else
    expectGoldenGradients(M, Loss, Actual);
}

TEST_P(SimGolden, Gradients) {
  Result<double> Loss =
      On->gradients(M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens, M.mask());
  ASSERT_TRUE(Loss) << Loss.message();
  expectGradients(*Loss, gradientsOf(*On));
}

TEST_P(SimGolden, OptimizerStep) {
  Result<TrainResult> Step = trainStep();
  ASSERT_TRUE(Step) << Step.message();
  EXPECT_EQ(Step->Step, 1);
  txs::TensorMap Gradients = gradientsOf(*On);
  expectGradients(Step->Loss, Gradients);
  double Squares = 0;
  for (const auto &[Name, Gradient] : Gradients) {
    for (double Element : Gradient.values())
      Squares += Element * Element;
    Result<TensorView> View = On->parameter(Name);
    ASSERT_TRUE(View) << View.message();
    if (View->Type != DType::F32)
      continue;
    Tensor Updated =
        tensor(View->Shape, static_cast<const float *>(View->Data));
    EXPECT_NE(Updated.values(), M.Golden.Weights.at(Name).values())
        << Name << " did not change";
    if (!isMixed() && M.Golden.has("adamw1." + Name))
      expectFirstStep(M.Golden, Name, Updated.values(), Gradient.values(),
                      Step->GradNorm);
  }
  EXPECT_NEAR(Step->GradNorm, std::sqrt(Squares), 1e-5 * Step->GradNorm);
  if (!isMixed()) {
    double Norm = M.Golden.expected("grad_norm")[0];
    EXPECT_NEAR(Step->GradNorm, Norm, 1e-4 * Norm);
  }
}

/// Moments, masters and the count of steps carry over.
TEST_P(SimGolden, FiveTrainingSteps) {
  constexpr int64_t Steps = 5;
  std::vector<double> Actual;
  for (int64_t Step = 1; Step <= Steps; ++Step) {
    Result<TrainResult> Ran = trainStep();
    ASSERT_TRUE(Ran) << Ran.message();
    EXPECT_EQ(Ran->Step, Step);
    Actual.push_back(Ran->Loss);
  }
  const std::vector<double> &Truth = Known.losses(Steps);
  EXPECT_LT(Actual.back(), Actual.front());
  double Allowed =
      isMixed() ? Slack * Known.lossRounding() : 1e-5 * Truth.back();
  EXPECT_LE(largestDistance(Actual, Truth), Allowed);
}

std::string nameOf(const testing::TestParamInfo<SimGolden::ParamType> &Info) {
  auto [Name, Type, Architecture] = Info.param;
  std::replace(Name.begin(), Name.end(), '-', '_');
  return Name + (Type == DType::BF16 ? "_bf16_" : "_f32_") + Architecture;
}

std::vector<std::string> architectures() {
  std::vector<std::string> Names;
  for (const nvptx::GpuTarget &Target : nvptx::gpuTargets())
    Names.push_back(Target.Name);
  return Names;
}

INSTANTIATE_TEST_SUITE_P(Goldens, SimGolden,
                         testing::Combine(testing::ValuesIn(goldenNames()),
                                          testing::Values(DType::F32,
                                                          DType::BF16),
                                          testing::ValuesIn(architectures())),
                         nameOf);

} // namespace
