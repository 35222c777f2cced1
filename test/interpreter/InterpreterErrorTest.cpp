//===- InterpreterErrorTest.cpp - Calls that cannot run -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"
#include "dialect/txs/interpreter/Interpreter.h"
#include "dialect/txs/interpreter/ModelInputs.h"
#include "passes/ImportConfig.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

class InterpreterError : public testing::Test {
protected:
  void SetUp() override {
    Result<ModelConfig> Loaded =
        ModelConfig::load(TRANSXSSM_TEST_CONFIGS "/hybrid.json");
    ASSERT_TRUE(Loaded) << Loaded.message();
    Config = *Loaded;
    Module =
        importConfig(Config, ImportOptions{{"forward", "decode"}}, Context);
    ASSERT_TRUE(Module);
    for (const ParameterInfo &Parameter : parameters(Config))
      Parameters[Parameter.Name] = Tensor(Parameter.Shape);
    Inputs = makeInputs(Config, Tensor({1, 3}, {1, 2, 3}));
  }

  /// The message of a call that must fail.
  std::string message(const std::string &Entry, const TensorMap &States = {}) {
    Interpreter Runner(*Module);
    Runner.Parameters = Parameters;
    Result<RunResult> Made = Runner.run(Entry, Inputs, States);
    EXPECT_FALSE(Made);
    return Made ? "" : Made.message();
  }

  ModelConfig Config;
  MLIRContext Context;
  OwningOpRef<ModuleOp> Module;
  TensorMap Parameters, Inputs;
};

TEST_F(InterpreterError, NoSuchEntry) {
  EXPECT_EQ(message("train"),
            "expected an entry 'train' in the module, got none");
}

TEST_F(InterpreterError, MissingInput) {
  Inputs.erase("rope_sin");
  EXPECT_EQ(message("forward"), "forward: expected input 'rope_sin', got none");
}

TEST_F(InterpreterError, MissingState) {
  EXPECT_EQ(message("decode"),
            "decode: expected state 'ssd_state.0', got none");
}

TEST_F(InterpreterError, WrongRank) {
  Inputs["input_ids"] = Tensor({3});
  EXPECT_EQ(message("forward"),
            "forward: 'input_ids': expected shape [?, ?], got [3]");
}

TEST_F(InterpreterError, SequenceLengthsDiffer) {
  Inputs["attention_mask"] = Tensor({1, 4});
  EXPECT_EQ(message("forward"),
            "txs.mask: expected mask of shape [1, 3], got [1, 4]");
}

TEST_F(InterpreterError, TooFewRotaryRows) {
  Inputs["rope_cos"] = Inputs["rope_sin"] = Tensor({2, 8});
  EXPECT_EQ(message("forward"),
            "txs.rope: expected cos of shape [3, 8], got [2, 8]");
}

TEST_F(InterpreterError, TokenOutsideTheVocabulary) {
  Inputs["input_ids"] = Tensor({1, 3}, {1, 97, 3});
  EXPECT_EQ(message("forward"),
            "txs.embedding: expected an id from 0 to 96, got 97");
}

TEST_F(InterpreterError, MissingParameter) {
  Parameters.erase("model.layers.0.ssd.A");
  EXPECT_EQ(message("forward"),
            "txs.read: no value for parameter 'model.layers.0.ssd.A'");
}

TEST_F(InterpreterError, ParameterOfAnotherShape) {
  Parameters["model.layers.0.ssd.A"] = Tensor({5});
  EXPECT_EQ(message("forward"),
            "txs.read: expected parameter 'model.layers.0.ssd.A' of shape [4], "
            "got [5]");
}

TEST_F(InterpreterError, CacheTooSmall) {
  TensorMap States = makeStates(*Module, "decode", 1, 4);
  Inputs = makeInputs(Config, Tensor({1, 3}, {1, 2, 3}), nullptr, 2);
  EXPECT_EQ(message("decode", States),
            "txs.cache_append: expected past + tokens of at most the capacity "
            "4, got 2 + 3");
}

TEST_F(InterpreterError, StateOfAnotherBatch) {
  TensorMap States = makeStates(*Module, "decode", 2, 4);
  EXPECT_EQ(message("decode", States),
            "txs.cache_append: expected tokens of shape [2, ?], got [1, 3]");
}

/// The probe sees every operation in order, those of blocks too.
TEST_F(InterpreterError, ProbeSeesEveryOperation) {
  Interpreter Runner(*Module);
  Runner.Parameters = Parameters;
  std::vector<std::string> Seen;
  Runner.AfterOperation = [&](Operation *Op,
                              llvm::ArrayRef<const Tensor *> Results) {
    ASSERT_EQ(Results.size(), Op->getNumResults());
    Seen.push_back(Op->getName().getStringRef().str());
  };
  Result<RunResult> Made = Runner.run("forward", Inputs);
  ASSERT_TRUE(Made) << Made.message();
  ASSERT_GE(Seen.size(), 5u);
  EXPECT_EQ(Seen[0], "txs.read");
  EXPECT_EQ(Seen[1], "txs.embedding");
  EXPECT_EQ(Seen[3], "txs.rms_norm");
  EXPECT_EQ(std::count(Seen.begin(), Seen.end(), "txs.block"), 2);
  EXPECT_EQ(std::count(Seen.begin(), Seen.end(), "txs.ssm_scan"), 1);
}

} // namespace
