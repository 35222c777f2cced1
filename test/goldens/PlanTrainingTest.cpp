//===- PlanTrainingTest.cpp - Training steps as kernels and plans ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Importer, autodiff, optimizer step, txs-to-tile and the kernels, run by the
// tile interpreter in float32, against the loss, every gradient by name and the
// updated parameters of the model's authors.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/ModelInputs.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/ImportConfig.h"
#include "passes/Passes.h"
#include "test/goldens/AdamWBound.h"
#include "test/goldens/GoldenData.h"
#include "test/kernels/PlanRunner.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;
using transxssm::txs::Tensor;

namespace {

template <typename T> std::vector<T> convert(const Tensor &From) {
  return std::vector<T>(From.values().begin(), From.values().end());
}

/// The text of one entry of a model after these passes.
std::string modelText(const ModelConfig &Config, const std::string &Entry,
                      StringRef Pipeline) {
  static bool Registered = (registerTransXSSMPasses(), true);
  (void)Registered;
  MLIRContext Context;
  OwningOpRef<ModuleOp> Module =
      importConfig(Config, ImportOptions{{Entry}}, Context);
  PassManager Passes(&Context);
  EXPECT_TRUE(succeeded(parsePassPipeline(Pipeline, Passes)));
  EXPECT_TRUE(succeeded(Passes.run(*Module)));
  std::string Text;
  llvm::raw_string_ostream(Text) << *Module;
  return Text;
}

class PlanTraining : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    Result<GoldenModel> Loaded = GoldenModel::load(goldenFolder(GetParam()));
    ASSERT_TRUE(Loaded) << Loaded.message();
    Golden = std::move(*Loaded);
  }

  std::unique_ptr<PlanRunner> run(const std::string &Entry, StringRef Pipeline);

  void checkGradients(const PlanRunner &Runner) {
    for (const ParameterInfo &Parameter : parameters(Golden.Config)) {
      std::string Name = "grad." + Parameter.Name;
      ASSERT_TRUE(Runner.Floats.count(Name)) << Name;
      EXPECT_LT(
          relativeError(Runner.Floats.at(Name), Golden.expected(Name).values()),
          2e-5)
          << Name;
    }
  }

  GoldenModel Golden;
};

std::unique_ptr<PlanRunner> PlanTraining::run(const std::string &Entry,
                                              StringRef Pipeline) {
  auto Runner =
      std::make_unique<PlanRunner>(modelText(Golden.Config, Entry, Pipeline));
  const Tensor &Ids = Golden.expected("input_ids");
  const Tensor *Mask = Golden.has("attention_mask")
                           ? &Golden.expected("attention_mask")
                           : nullptr;
  for (const auto &[Name, Value] : makeInputs(Golden.Config, Ids, Mask))
    Runner->Floats[Name] = convert<float>(Value);
  Runner->Floats.erase("input_ids");
  Runner->Integers["input_ids"] = convert<int32_t>(Ids);
  Runner->Integers["labels"] = convert<int32_t>(Golden.expected("labels"));
  Runner->Floats["hyperparameters"] = {1e-3f, 0.9f, 0.95f,    1e-8f,
                                       0.1f,  1,    1 - 0.9f, 1 - 0.95f};
  for (const auto &[Name, Weight] : Golden.Weights) {
    Runner->Floats[Name] = convert<float>(Weight);
    Runner->Floats["moment1." + Name].assign(Weight.size(), 0.0f);
    Runner->Floats["moment2." + Name].assign(Weight.size(), 0.0f);
  }
  Runner->run(Entry, {Ids.dim(0), Ids.dim(1)});
  return Runner;
}

TEST_P(PlanTraining, Gradients) {
  auto Runner = run("gradients", "txs-autodiff");
  double Loss = Golden.expected("loss")[0];
  EXPECT_NEAR(Runner->Floats["loss"][0], Loss, 1e-5 * Loss);
  checkGradients(*Runner);
}

TEST_P(PlanTraining, GradientsWithRecompute) {
  checkGradients(
      *run("gradients", "txs-mark-recompute{blocks=100},txs-autodiff"));
}

TEST_P(PlanTraining, OptimizerStep) {
  auto Runner = run("train", "txs-autodiff,txs-add-optimizer");
  double Loss = Golden.expected("loss")[0];
  EXPECT_NEAR(Runner->Floats["loss"][0], Loss, 1e-5 * Loss);
  double Norm = Golden.expected("grad_norm")[0];
  EXPECT_NEAR(Runner->Floats["grad_norm"][0], Norm, 1e-5 * Norm);
  for (const ParameterInfo &Parameter : parameters(Golden.Config)) {
    const std::vector<float> &Updated = Runner->Floats.at(Parameter.Name);
    EXPECT_NE(Updated, convert<float>(Golden.Weights.at(Parameter.Name)))
        << Parameter.Name << " did not change";
    if (Golden.has("adamw1." + Parameter.Name))
      expectFirstStep(Golden, Parameter.Name, Updated,
                      Runner->Floats.at("grad." + Parameter.Name),
                      Runner->Floats["grad_norm"][0]);
  }
  checkGradients(*Runner);
}

INSTANTIATE_TEST_SUITE_P(Goldens, PlanTraining,
                         testing::ValuesIn(goldenNames()), [](auto Info) {
                           std::string Name = Info.param;
                           std::replace(Name.begin(), Name.end(), '-', '_');
                           return Name;
                         });

} // namespace
