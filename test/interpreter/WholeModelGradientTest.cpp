//===- WholeModelGradientTest.cpp - Autodiff vs finite differences --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Kinds of models for which there are no goldens: dropout, classification,
// biases with an untied head. The derivative of the loss along a random
// direction in the space of all parameters must be the product of that
// direction with the gradient; so must that along each single parameter.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Interpreter.h"
#include "dialect/txs/interpreter/ModelInputs.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/ImportConfig.h"
#include "passes/Passes.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

class WholeModelGradient : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    std::string File = TRANSXSSM_TEST_CONFIGS "/" + GetParam() + ".json";
    Result<ModelConfig> Loaded = ModelConfig::load(File);
    ASSERT_TRUE(Loaded) << Loaded.message();
    Config = *Loaded;
    // The lookup of the padding row has no gradient by definition, which
    // differences would not know.
    Config.PadTokenId.reset();
    Module = importConfig(Config, ImportOptions{{"gradients"}}, Context);
    ASSERT_TRUE(Module);
    static bool Registered = (registerTransXSSMPasses(), true);
    (void)Registered;
    PassManager Passes(&Context);
    ASSERT_TRUE(succeeded(parsePassPipeline("txs-autodiff", Passes)));
    ASSERT_TRUE(succeeded(Passes.run(*Module)));
    makeParameters();
    makeCall();
  }

  Tensor random(ArrayRef<int64_t> Shape, double Mean, double Deviation) {
    std::normal_distribution<double> Normal(Mean, Deviation);
    Tensor Made(Shape);
    for (double &Value : Made.values())
      Value = Normal(Generator);
    return Made;
  }

  void makeParameters() {
    for (const ParameterInfo &Parameter : parameters(Config)) {
      double Mean = Parameter.Init == Initializer::Ones       ? 1
                    : Parameter.Init == Initializer::SsdDecay ? -1
                                                              : 0;
      Parameters[Parameter.Name] = random(Parameter.Shape, Mean, 0.15);
    }
  }

  /// Two sequences, the second padded on the right.
  void makeCall() {
    int64_t Batch = 2, Tokens = 9;
    Tensor Ids({Batch, Tokens}), Mask({Batch, Tokens});
    Tensor Labels(Config.SequenceClassification
                      ? ArrayRef<int64_t>({Batch})
                      : ArrayRef<int64_t>({Batch, Tokens}));
    for (int64_t I = 0; I < Ids.size(); ++I) {
      Ids[I] = double((I * 37 + 11) % Config.VocabSize);
      Mask[I] = I < 15;
    }
    for (int64_t I = 0; I < Labels.size(); ++I)
      Labels[I] = Config.SequenceClassification ? double(I + 2)
                  : I < 15                      ? Ids[I]
                                                : -100;
    Inputs = makeInputs(Config, Ids, &Mask);
    Inputs["labels"] = Labels;
    Inputs["seed"] = Tensor({2}, {123, 4});
  }

  RunResult run(const TensorMap &With) {
    Interpreter Runner(*Module);
    Runner.Parameters = With;
    Result<RunResult> Made = Runner.run("gradients", Inputs);
    EXPECT_TRUE(Made) << Made.message();
    return Made ? *Made : RunResult();
  }

  double lossAt(const std::string &Name, const Tensor &Direction,
                double Distance) {
    TensorMap Moved = Parameters;
    for (int64_t I = 0; I < Direction.size(); ++I)
      Moved[Name][I] += Distance * Direction[I];
    return run(Moved).Outputs["loss"][0];
  }

  ModelConfig Config;
  MLIRContext Context;
  OwningOpRef<ModuleOp> Module;
  std::mt19937_64 Generator{7};
  TensorMap Parameters, Inputs;
};

TEST_P(WholeModelGradient, AlongEveryParameter) {
  RunResult Made = run(Parameters);
  ASSERT_EQ(Made.Gradients.size(), Parameters.size());
  double Norm = 0;
  for (const auto &[Name, Gradient] : Made.Gradients) {
    Tensor Direction = random(Gradient.shape(), 0, 1);
    double Product = 0, Squares = 0;
    for (int64_t I = 0; I < Gradient.size(); ++I) {
      Product += Gradient[I] * Direction[I];
      Squares += Gradient[I] * Gradient[I];
    }
    // Five points: the error is of fourth order in H.
    constexpr double H = 2e-5;
    auto Slope = [&, Parameter = Name](double Distance) {
      return (lossAt(Parameter, Direction, Distance) -
              lossAt(Parameter, Direction, -Distance)) /
             (2 * Distance);
    };
    double Expected = (4 * Slope(H) - Slope(2 * H)) / 3;
    EXPECT_NEAR(Product, Expected, 1e-7 * (std::sqrt(Squares) + 1e-2)) << Name;
    Norm += Squares;
  }
  EXPECT_GT(Norm, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Models, WholeModelGradient,
                         testing::Values("dropout", "classification",
                                         "bias-untied", "hybrid"),
                         [](auto Info) {
                           std::string Name = Info.param;
                           std::replace(Name.begin(), Name.end(), '-', '_');
                           return Name;
                         });

} // namespace
