//===- AutodiffTest.cpp - Gradients against finite differences ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// What the golden models do not have: dropout, sequence classification, biases
// with a tied head, other activations, states between scans. For every
// parameter the slope of the loss along a random direction, by a five-point
// difference in float64, is the product of that direction and the gradient.
//
//===----------------------------------------------------------------------===//

#include "test/passes/RandomModel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

class AutodiffTest : public RandomModel {
protected:
  AutodiffTest() : RandomModel(/*Seed=*/7) {
    Context.loadDialect<TxsDialect, func::FuncDialect, arith::ArithDialect>();
  }

  double lossOf(ModuleOp Module, const TensorMap &At) {
    Interpreter Runner(Module);
    Runner.Parameters = At;
    Result<RunResult> Made = Runner.run("gradients", Inputs);
    EXPECT_TRUE(Made) << Made.message();
    return Made ? Made->Outputs.at("loss")[0] : 0.0;
  }

  RunResult differentiated(ModuleOp Module, StringRef Pipeline) {
    OwningOpRef<ModuleOp> Copy = transformed(Module, Pipeline);
    Interpreter Runner(*Copy);
    Runner.Parameters = Parameters;
    Result<RunResult> Made = Runner.run("gradients", Inputs);
    EXPECT_TRUE(Made) << Made.message();
    return Made ? *Made : RunResult();
  }

  void checkSlopes(ModuleOp Module);
  void checkConfig(const std::string &Keys, bool Classification = false);
  void checkText(StringRef Text);
};

/// The same point moved by `Distance` along `Direction`.
TensorMap moved(TensorMap Point, const std::string &Name,
                const Tensor &Direction, double Distance) {
  Tensor &Value = Point.at(Name);
  for (int64_t I = 0; I < Value.size(); ++I)
    Value[I] += Distance * Direction[I];
  return Point;
}

void AutodiffTest::checkSlopes(ModuleOp Module) {
  RunResult Made = differentiated(Module, "txs-autodiff");
  ASSERT_EQ(Made.Gradients.size(), Parameters.size());
  EXPECT_EQ(Made.Outputs.at("loss")[0], lossOf(Module, Parameters));
  const double Step = 5e-4;
  for (const auto &[Name, Gradient] : Made.Gradients) {
    Tensor Direction = random(Gradient.shape(), 1.0);
    double Length = 0, Expected = 0;
    for (double Value : Direction.values())
      Length += Value * Value;
    for (int64_t I = 0; I < Direction.size(); ++I)
      Expected += (Direction[I] /= std::sqrt(Length)) * Gradient[I];
    auto At = [&, &Name = Name](double Distance) {
      return lossOf(Module, moved(Parameters, Name, Direction, Distance));
    };
    double Slope =
        (8 * (At(Step) - At(-Step)) - (At(2 * Step) - At(-2 * Step))) /
        (12 * Step);
    // The difference is good to Step^4 and to the rounding of the loss / Step.
    EXPECT_NEAR(Slope, Expected, 1e-9 + 1e-8 * std::abs(Expected)) << Name;
  }
  // Recomputation does the same arithmetic again: equal, not merely close.
  RunResult Again = differentiated(
      Module, "txs-mark-recompute{blocks=-1},txs-autodiff,cse,canonicalize");
  ASSERT_EQ(Again.Gradients.size(), Made.Gradients.size());
  for (const auto &[Name, Gradient] : Made.Gradients)
    EXPECT_EQ(Again.Gradients.at(Name).values(), Gradient.values()) << Name;
}

void AutodiffTest::checkConfig(const std::string &Keys, bool Classification) {
  Result<ModelConfig> Config =
      smallConfig("\"num_hidden_layers\": 2, \"attn_layer_period\": 2,"
                  "\"attn_layer_offset\": 1," +
                  Keys);
  ASSERT_TRUE(Config) << Config.message();
  OwningOpRef<ModuleOp> Module =
      importConfig(*Config, ImportOptions{{"gradients"}}, Context);
  ASSERT_TRUE(Module);
  initialise(*Module);
  Tensor Ids = randomIds({Batch, Tokens}, Vocabulary);
  // By definition the padding token gets no gradient from its lookup, whatever
  // the slope.
  for (int64_t I = 0; I < Ids.size(); ++I)
    if (Config->PadTokenId && Ids[I] == *Config->PadTokenId)
      Ids[I] += 1;
  Tensor Mask({Batch, Tokens});
  for (int64_t I = 0; I < Mask.size(); ++I)
    Mask[I] = I >= 2 && I != Mask.size() - 1; // padded left, and right
  Inputs = makeInputs(*Config, Ids, &Mask);
  Inputs["labels"] = Classification ? randomIds({Batch}, Config->NumLabels)
                                    : randomIds({Batch, Tokens}, Vocabulary);
  Inputs["seed"] = Tensor({2}, {123, -45});
  checkSlopes(*Module);
}

void AutodiffTest::checkText(StringRef Text) {
  OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(Text, &Context);
  ASSERT_TRUE(Module);
  initialise(*Module);
  checkSlopes(*Module);
}

TEST_F(AutodiffTest, HybridWithDropout) {
  checkConfig("\"hidden_dropout\": 0.2, \"attention_dropout\": 0.3");
}

TEST_F(AutodiffTest, BiasesAndGelu) {
  checkConfig("\"hidden_bias\": true, \"hidden_act\": \"gelu\"");
}

TEST_F(AutodiffTest, UntiedHead) {
  checkConfig("\"tie_word_embeddings\": false, \"pad_token_id\": null");
}

TEST_F(AutodiffTest, Classification) {
  checkConfig("\"architectures\": [\"TransXSSMForSequenceClassification\"],"
              "\"num_labels\": 3",
              /*Classification=*/true);
}

/// A state handed from scan to scan, one scan of which only the state is used.
TEST_F(AutodiffTest, StatesBetweenScans) {
  Inputs["x"] = random({2, 5, 8}, 1.0);
  Inputs["labels"] = randomIds({2, 5}, 7);
  checkText(R"mlir(
    txs.parameter @c : tensor<8x8xf32> initializer "normal"
    txs.parameter @b : tensor<8x8xf32> initializer "normal"
    txs.parameter @dt : tensor<2x8xf32> initializer "normal"
    txs.parameter @a : tensor<2xf32> initializer "ssd_decay" no_decay
    txs.parameter @scale : tensor<7xf32> initializer "ones" no_decay
    txs.parameter @out : tensor<7x8xf32> initializer "normal"
    txs.parameter @head : tensor<7x7xf32> initializer "normal"
    func.func @gradients(%x: tensor<?x?x8xf32> {txs.input = "x"},
                         %labels: tensor<?x?xi32> {txs.input = "labels"})
        -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
      %wc = txs.read @c : tensor<8x8xf32>
      %c = txs.linear %x, %wc : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x2x4xf32>
      %wb = txs.read @b : tensor<8x8xf32>
      %b = txs.linear %x, %wb : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x2x4xf32>
      %wd = txs.read @dt : tensor<2x8xf32>
      %d = txs.linear %x, %wd : tensor<?x?x8xf32>, tensor<2x8xf32> -> tensor<?x?x2xf32>
      %dt = txs.activation softplus %d : tensor<?x?x2xf32>
      %a = txs.read @a : tensor<2xf32>
      %y0, %s0 = txs.ssm_scan %c, %b, %c, %dt, %a {chunk = 2 : i64}
        : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
        -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
      %y1, %s1 = txs.ssm_scan %b, %c, %b, %dt, %a from %s0 {chunk = 2 : i64}
        : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
        -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
      %y2, %s2 = txs.ssm_scan %b, %b, %c, %dt, %a from %s1 {chunk = 2 : i64}
        : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
        -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
      %y = txs.add %y1, %y2 : tensor<?x?x2x4xf32>
      %yy = txs.mul %y, %y1 : tensor<?x?x2x4xf32>
      %wo = txs.read @out : tensor<7x8xf32>
      %o = txs.linear %yy, %wo : tensor<?x?x2x4xf32>, tensor<7x8xf32> -> tensor<?x?x7xf32>
      %ws = txs.read @scale : tensor<7xf32>
      %h = txs.scale %o, %ws : tensor<?x?x7xf32>, tensor<7xf32>
      %wh = txs.read @head : tensor<7x7xf32>
      %loss, %l = txs.linear_cross_entropy %h, %wh, %labels
        : tensor<?x?x7xf32>, tensor<7x7xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
      return %loss : tensor<f32>
    })mlir");
}

} // namespace
