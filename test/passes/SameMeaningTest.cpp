//===- SameMeaningTest.cpp - Passes that must not change results ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every entry of small models, run in float64 before and after the passes that
// keep the meaning of a module: outputs, states, gradients, updated parameters
// and moments are equal, not merely close. No such pass reorders a sum.
//
//===----------------------------------------------------------------------===//

#include "test/passes/RandomModel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

const char *const Training = "txs-autodiff,txs-add-optimizer";

struct Example {
  const char *Name, *Keys;
  bool Classification = false;
};

void PrintTo(const Example &Of, std::ostream *Out) { *Out << Of.Name; }

/// A module, its parameters and the inputs of its entries.
class Meaning : public RandomModel {
protected:
  Meaning() : RandomModel(/*Seed=*/11) {}

  TensorMap observe(StringRef Pipeline);
  void check(const TensorMap &Expected, StringRef Pipeline);

  OwningOpRef<ModuleOp> Module;
  std::vector<std::string> Entries;
  TensorMap Next;   ///< inputs of decode
  std::string Text; ///< of the module that was observed last
};

class SameMeaning : public Meaning,
                    public testing::WithParamInterface<Example> {
protected:
  void SetUp() override;

  ModelConfig Config;
};

void SameMeaning::SetUp() {
  Result<ModelConfig> Parsed =
      smallConfig(std::string("\"num_hidden_layers\": 3,") + GetParam().Keys);
  ASSERT_TRUE(Parsed) << Parsed.message();
  Config = *Parsed;
  Entries = supportedEntries(Config);
  Module = importConfig(Config, ImportOptions{Entries}, Context);
  ASSERT_TRUE(Module);
  initialise(*Module);
  Tensor Ids = randomIds({Batch, Tokens}, Vocabulary), Mask({Batch, Tokens});
  for (int64_t I = 0; I < Mask.size(); ++I)
    Mask[I] = I >= 2; // the first sequence is padded
  Inputs = makeInputs(Config, Ids, &Mask);
  Inputs["labels"] = GetParam().Classification
                         ? randomIds({Batch}, Config.NumLabels)
                         : randomIds({Batch, Tokens}, Vocabulary);
  Inputs["seed"] = Tensor({2}, {123, -45});
  Inputs["hyperparameters"] =
      Tensor({8}, {1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0, 1 - 0.9, 1 - 0.95});
  Next = makeInputs(Config, randomIds({Batch, 1}, Vocabulary), nullptr, Tokens);
}

/// Everything that a caller sees of the module after these passes, by entry and
/// name. Decoding continues what prefill left.
TensorMap Meaning::observe(StringRef Pipeline) {
  TensorMap Seen;
  OwningOpRef<ModuleOp> Copy = transformed(*Module, Pipeline);
  Text.clear();
  llvm::raw_string_ostream(Text) << *Copy;
  auto Keep = [&](const std::string &Group, const TensorMap &Values) {
    for (const auto &[Name, Value] : Values)
      Seen[Group + "." + Name] = Value;
  };
  TensorMap Continued;
  for (const std::string &Entry : Entries) {
    Interpreter Runner(*Copy);
    Runner.Parameters = Parameters;
    bool Decodes = Entry == "decode";
    if (!Decodes)
      Continued = makeStates(*Copy, Entry, Batch, Tokens + 3);
    Result<RunResult> Made =
        Runner.run(Entry, Decodes ? Next : Inputs, Continued);
    EXPECT_TRUE(Made) << Entry << ": " << Made.message();
    if (!Made)
      continue;
    Continued = Made->States;
    Keep(Entry + " output", Made->Outputs);
    Keep(Entry + " state", Made->States);
    Keep(Entry + " gradient", Made->Gradients);
    Keep(Entry + " parameter", Runner.Parameters);
    Keep(Entry + " first moment", Runner.FirstMoments);
    Keep(Entry + " second moment", Runner.SecondMoments);
  }
  return Seen;
}

void Meaning::check(const TensorMap &Expected, StringRef Pipeline) {
  SCOPED_TRACE(Pipeline.str());
  TensorMap Actual = observe(Pipeline);
  ASSERT_EQ(Actual.size(), Expected.size());
  for (const auto &[Name, Value] : Expected) {
    ASSERT_TRUE(Actual.count(Name)) << Name;
    EXPECT_EQ(Actual.at(Name).shape(), Value.shape()) << Name;
    EXPECT_EQ(Actual.at(Name).values(), Value.values()) << Name;
  }
}

/// As imported: the training entries have a loss only.
TEST_P(SameMeaning, Imported) {
  TensorMap Expected = observe("");
  ASSERT_NE(Text.find("txs.block"), std::string::npos);
  check(Expected, "txs-inline-blocks");
  EXPECT_EQ(Text.find("txs.block"), std::string::npos);
  check(Expected, "canonicalize");
  check(Expected, "cse");
  check(Expected, "txs-inline-blocks,cse,canonicalize");
}

TEST_P(SameMeaning, AfterAutodiff) {
  TensorMap Expected = observe(Training);
  std::string After = Training;
  for (const ParameterInfo &Parameter : parameters(Config))
    ASSERT_NE(Expected.at("train parameter." + Parameter.Name).values(),
              Parameters.at(Parameter.Name).values())
        << Parameter.Name << " did not change";
  check(Expected, After + ",txs-inline-blocks");
  check(Expected, After + ",canonicalize");
  check(Expected, After + ",cse");
  check(Expected, After + ",cse,canonicalize,txs-inline-blocks");
}

/// Autodiff of what the passes made.
TEST_P(SameMeaning, BeforeAutodiff) {
  TensorMap Expected = observe(Training);
  for (const char *Pass : {"txs-inline-blocks,", "canonicalize,", "cse,",
                           "txs-inline-blocks,cse,canonicalize,"})
    check(Expected, std::string(Pass) + Training);
}

TEST_P(SameMeaning, Recompute) {
  TensorMap Expected = observe(Training);
  ASSERT_EQ(Text.find("txs.recompute_barrier"), std::string::npos);
  for (const char *Blocks : {"1", "2", "-1"})
    for (const char *After : {"", ",cse,canonicalize,txs-inline-blocks"}) {
      check(Expected, std::string("txs-mark-recompute{blocks=") + Blocks +
                          "}," + Training + After);
      EXPECT_NE(Text.find("txs.recompute_barrier"), std::string::npos);
    }
}

/// Every fold of the dialect, and a duplicate. The models above have few.
TEST_F(Meaning, Folds) {
  Context.loadDialect<TxsDialect, func::FuncDialect>();
  Module = parseSourceString<ModuleOp>(R"mlir(
    func.func @forward(%x: tensor<?x?x2x4xf32> {txs.input = "x"},
                       %m: tensor<?x?xf32> {txs.input = "mask"},
                       %d: tensor<?x?x2xf32> {txs.input = "dt"},
                       %a: tensor<2xf32> {txs.input = "a"},
                       %s: tensor<?x2x4x4xf32> {txs.input = "state"},
                       %seed: tensor<2xi32> {txs.input = "seed"})
        -> (tensor<?x?x2x4xf32> {txs.output = "y"},
            tensor<?x2x4x4xf32> {txs.output = "final"},
            tensor<?x?x2x4xf32> {txs.output = "db"},
            tensor<2xf32> {txs.output = "da"}) {
      %0 = txs.dropout %x, %seed {probability = 0.0 : f64, site = 1 : i64} : tensor<?x?x2x4xf32>, tensor<2xi32>
      %1 = txs.mask %0, %m : tensor<?x?x2x4xf32>, tensor<?x?xf32>
      %2 = txs.mask %1, %m : tensor<?x?x2x4xf32>, tensor<?x?xf32>
      %3 = txs.zeros like %2 : tensor<?x?x2x4xf32>
      %4 = txs.add %2, %3 : tensor<?x?x2x4xf32>
      %5 = txs.add %3, %4 : tensor<?x?x2x4xf32>
      %6 = txs.activation silu %5 : tensor<?x?x2x4xf32>
      %7 = txs.activation silu %5 : tensor<?x?x2x4xf32>
      %z = txs.zeros like %s : tensor<?x2x4x4xf32>
      %y, %f = txs.ssm_scan %5, %6, %7, %d, %a from %z {chunk = 2 : i64}
        : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
        -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
      %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %y, %5, %6, %7, %d, %a dfinal %z {chunk = 2 : i64}
        : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
        -> (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
      return %y, %f, %db, %da : tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>
    })mlir",
                                       &Context);
  ASSERT_TRUE(Module);
  Entries = {"forward"};
  Inputs["x"] = random({Batch, Tokens, 2, 4}, 0.5);
  Inputs["mask"] = randomIds({Batch, Tokens}, 2);
  Inputs["dt"] = random({Batch, Tokens, 2}, 0.5);
  for (double &Value : Inputs["dt"].values())
    Value = std::abs(Value);
  Inputs["a"] = Tensor({2}, {-1.5, -0.5});
  Inputs["state"] = random({Batch, 2, 4, 4}, 0.5);
  Inputs["seed"] = Tensor({2}, {123, -45});

  auto Operations = [&](StringRef Name) { return StringRef(Text).count(Name); };
  TensorMap Expected = observe("");
  EXPECT_EQ(Expected.size(), 4u);
  check(Expected, "canonicalize");
  EXPECT_EQ(Operations("txs.zeros"), 0u);
  EXPECT_EQ(Operations("txs.add"), 0u);
  EXPECT_EQ(Operations("txs.dropout"), 0u);
  EXPECT_EQ(Operations("txs.mask %"), 1u);
  check(Expected, "cse");
  EXPECT_EQ(Operations("txs.activation"), 1u);
  check(Expected, "cse,canonicalize");
}

const Example Examples[] = {
    {"Hybrid", "\"attn_layer_period\": 2, \"attn_layer_offset\": 1"},
    {"Dropout", "\"attn_layer_period\": 2, \"attn_layer_offset\": 1,"
                "\"hidden_dropout\": 0.2, \"attention_dropout\": 0.3"},
    {"BiasUntied", "\"attn_layer_period\": 2, \"attn_layer_offset\": 1,"
                   "\"hidden_bias\": true, \"tie_word_embeddings\": false,"
                   "\"hidden_act\": \"gelu\", \"pad_token_id\": null"},
    {"Ssm", "\"attn_layer_period\": 3, \"attn_layer_offset\": 3"},
    {"Transformer", "\"attn_layer_period\": 1, \"attn_layer_offset\": 0"},
    {"Classification",
     "\"attn_layer_period\": 2, \"attn_layer_offset\": 1, \"num_labels\": 3,"
     "\"architectures\": [\"TransXSSMForSequenceClassification\"]",
     /*Classification=*/true},
};

INSTANTIATE_TEST_SUITE_P(Models, SameMeaning, testing::ValuesIn(Examples),
                         [](auto Info) { return Info.param.Name; });

} // namespace
