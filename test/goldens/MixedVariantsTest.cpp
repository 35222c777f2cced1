//===- MixedVariantsTest.cpp - bf16 with dropout and with classes ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// What the golden models have none of: dropout, and sequence classification.
// Weights are the initial ones of the compiled model.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/ModelInputs.h"
#include "test/goldens/MixedReference.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace {

constexpr uint64_t Seed = 7;
constexpr int64_t Batch = 3, Tokens = 21;

/// Of three layers, the second one attention.
std::string configText(const std::string &Keys) {
  return "{\"model_type\": \"TransXSSM\", \"vocab_size\": 61,"
         "\"hidden_size\": 32, \"intermediate_size\": 48,"
         "\"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
         "\"num_hidden_layers\": 3, \"attn_layer_period\": 3,"
         "\"attn_layer_offset\": 1, \"rope_scaling\": null,"
         "\"max_position_embeddings\": 64, \"ssd_chunk_size\": 16,"
         "\"initializer_range\": 0.2," +
         Keys + "}";
}

/// A model in bf16 with its initial weights, compiled and interpreted.
class MixedVariant : public testing::Test {
protected:
  void build(const std::string &Keys, ArrayRef<int64_t> LabelShape,
             int64_t Classes);
  void compileModule(const std::string &Text);
  /// Loss and gradients of compiled code, against the interpreter's.
  void checkGradients();

  TypedModel M;
  std::optional<Model> Loaded;
  txs::TensorMap Inputs;
  std::vector<int32_t> Ids, Labels;
};

void MixedVariant::compileModule(const std::string &Text) {
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  M.Context = std::make_unique<MLIRContext>(Registry);
  auto Entries = expandEntries({"forward", "train"}, M.Golden.Config);
  ASSERT_TRUE(Entries) << Entries.message();
  M.Module = buildModel(M.Golden.Config, *Entries, /*RecomputeBlocks=*/0,
                        *M.Context, DType::BF16);
  ASSERT_TRUE(M.Module);
  OwningOpRef<ModuleOp> Lowered = M.Module->clone();
  ASSERT_TRUE(succeeded(lowerToPlan(*Lowered)));
  CodeOptions Wanted;
  Wanted.OnlyThisMachine = true;
  auto Code = generateCode(*Lowered, Wanted);
  ASSERT_TRUE(succeeded(Code));
  std::vector<uint8_t> Payload;
  Result<Package> Made =
      makePackage(*Lowered, *Code, {Text, Batch, 64}, Payload);
  ASSERT_TRUE(Made) << Made.message();
  ModelOptions Options;
  Options.Seed = Seed;
  Result<Model> Ready = Model::load(*Made, "", Options);
  ASSERT_TRUE(Ready) << Ready.message();
  Loaded.emplace(std::move(*Ready));
}

void MixedVariant::build(const std::string &Keys, ArrayRef<int64_t> LabelShape,
                         int64_t Classes) {
  std::string Text = configText(Keys);
  Result<ModelConfig> Config = ModelConfig::parse(Text, "config.json");
  ASSERT_TRUE(Config) << Config.message();
  M.Golden.Config = *Config;
  compileModule(Text);
  ASSERT_TRUE(Loaded);
  for (const std::string &Name : Loaded->parameterNames()) {
    Result<TensorView> View = Loaded->parameter(Name);
    ASSERT_TRUE(View) << View.message();
    Tensor Values(View->Shape);
    std::vector<float> Floats(Values.size());
    ASSERT_TRUE(convertElements(View->Type, View->Data, DType::F32,
                                Floats.data(), Values.size()));
    M.Golden.Weights[Name] = tensor(View->Shape, Floats.data());
  }
  std::mt19937 Generator(Seed);
  Tensor IdTensor({Batch, Tokens}), LabelTensor(LabelShape);
  for (double &Id : IdTensor.values())
    Ids.push_back(Id = 3 + Generator() % 58);
  for (double &Label : LabelTensor.values())
    Labels.push_back(Label = Generator() % Classes);
  Inputs = txs::makeInputs(M.Golden.Config, IdTensor, nullptr);
  Inputs["labels"] = LabelTensor;
  // As the runtime makes them of the model's seed before the first step.
  Inputs["seed"] = Tensor({2}, {double(Seed), 0});
}

/// How far rounding takes a loss from the truth, as a root mean square over
/// several runs: a mean over tokens, in which roundings cancel, in one run more
/// than in another.
double lossRounding(const TypedModel &M, const txs::TensorMap &Inputs,
                    double Truth) {
  constexpr uint64_t Runs = 8;
  double Squares = 0;
  for (uint64_t Run = 1; Run <= Runs; ++Run) {
    txs::RunResult Ran = interpret(M, "gradients", true, Inputs, {}, Run);
    Squares += std::pow(Ran.Outputs.at("loss")[0] - Truth, 2);
  }
  // By chance, roundings have twice the variance of those to the nearest.
  return std::sqrt(Squares / Runs / 2);
}

void MixedVariant::checkGradients() {
  Result<double> Loss =
      Loaded->gradients(Ids.data(), Labels.data(), Batch, Tokens, nullptr);
  ASSERT_TRUE(Loss) << Loss.message();
  txs::RunResult Truth = interpret(M, "gradients", false, Inputs);
  txs::RunResult Rounded = interpret(M, "gradients", true, Inputs);
  double Expected = Truth.Outputs.at("loss")[0];
  EXPECT_LE(std::abs(*Loss - Expected),
            Slack * lossRounding(M, Inputs, Expected));
  txs::TensorMap Decays;
  for (const std::string &Name : Loaded->parameterNames()) {
    Result<TensorView> View = Loaded->gradient(Name);
    ASSERT_TRUE(View) << View.message();
    Tensor Actual = tensor(View->Shape, static_cast<float *>(View->Data));
    if (isDecay(Name))
      Decays[Name] = Actual;
    else
      expectAsCloseAs(Actual, Rounded.Gradients.at(Name),
                      Truth.Gradients.at(Name), Name);
  }
  Tensor Exact = decays(Truth.Gradients);
  EXPECT_LE(relativeError(decays(Decays), Exact),
            Slack * decayRounding(M, Inputs, Exact));
}

TEST_F(MixedVariant, Dropout) {
  build("\"hidden_dropout\": 0.2, \"attention_dropout\": 0.3", {Batch, Tokens},
        61);
  ASSERT_TRUE(Loaded);
  checkGradients();
  // Dropping by another seed would have been noticed.
  txs::TensorMap Other = Inputs;
  Other["seed"] = Tensor({2}, {double(Seed) + 1, 0});
  double Loss = interpret(M, "gradients", false, Inputs).Outputs.at("loss")[0];
  double Another =
      interpret(M, "gradients", false, Other).Outputs.at("loss")[0];
  EXPECT_GT(std::abs(Another - Loss), Slack * lossRounding(M, Inputs, Loss));
}

TEST_F(MixedVariant, Classification) {
  build("\"num_labels\": 5,"
        "\"architectures\": [\"TransXSSMForSequenceClassification\"]",
        {Batch}, 5);
  ASSERT_TRUE(Loaded);
  checkGradients();
  std::vector<float> Logits(Batch * 5, NAN);
  Status Ran =
      Loaded->forward(Ids.data(), Batch, Tokens, nullptr, Logits.data());
  ASSERT_TRUE(Ran) << Ran.message();
  expectAsCloseAs(tensor({Batch, 5}, Logits.data()),
                  interpret(M, "forward", true, Inputs).Outputs.at("logits"),
                  interpret(M, "forward", false, Inputs).Outputs.at("logits"),
                  "logits");
}

} // namespace
