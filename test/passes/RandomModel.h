//===- RandomModel.h - Small models with random parameters ------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A fixture for tests that run small models in the float64 interpreter before
// and after passes. Its numbers are random, the same in every run.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_PASSES_RANDOMMODEL_H
#define TRANSXSSM_TEST_PASSES_RANDOMMODEL_H

#include "dialect/txs/interpreter/Interpreter.h"
#include "dialect/txs/interpreter/ModelInputs.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/ImportConfig.h"
#include "passes/Passes.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

namespace transxssm {

class RandomModel : public testing::Test {
protected:
  static constexpr int64_t Batch = 2, Tokens = 7, Vocabulary = 19;

  explicit RandomModel(uint64_t Seed) : Generator(Seed) {
    static bool Registered =
        (registerTransXSSMPasses(), mlir::registerTransformsPasses(), true);
    (void)Registered;
  }

  /// A configuration of four heads of four channels, two of them key heads,
  /// with these keys besides.
  static Result<ModelConfig> smallConfig(const std::string &Keys) {
    return ModelConfig::parse(
        "{\"model_type\": \"TransXSSM\", \"vocab_size\": 19,"
        "\"hidden_size\": 16, \"intermediate_size\": 12,"
        "\"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
        "\"rope_scaling\": null, \"max_position_embeddings\": 32,"
        "\"ssd_chunk_size\": 4," +
            Keys + "}",
        "config.json");
  }

  /// Normal numbers.
  txs::Tensor random(llvm::ArrayRef<int64_t> Shape, double Scale) {
    std::normal_distribution<double> Normal(0, Scale);
    txs::Tensor Made(Shape);
    for (int64_t I = 0; I < Made.size(); ++I)
      Made[I] = Normal(Generator);
    return Made;
  }

  /// Whole numbers below Count.
  txs::Tensor randomIds(llvm::ArrayRef<int64_t> Shape, int64_t Count) {
    txs::Tensor Made(Shape);
    for (int64_t I = 0; I < Made.size(); ++I)
      Made[I] = double(Generator() % Count);
    return Made;
  }

  /// Values for every parameter of the module: scales are near one, decays are
  /// negative.
  void initialise(mlir::ModuleOp Module) {
    for (auto Parameter : Module.getOps<txs::ParameterOp>()) {
      auto Type = llvm::cast<mlir::RankedTensorType>(Parameter.getType());
      txs::Tensor Value = random(Type.getShape(), 0.5);
      for (int64_t I = 0; I < Value.size(); ++I) {
        if (Parameter.getInitializer() == "ones")
          Value[I] += 1.0;
        if (Parameter.getInitializer() == "ssd_decay")
          Value[I] = -1.0 - std::abs(Value[I]);
      }
      Parameters[Parameter.getSymName().str()] = Value;
    }
  }

  /// A copy of the module after these passes.
  mlir::OwningOpRef<mlir::ModuleOp> transformed(mlir::ModuleOp Module,
                                                llvm::StringRef Pipeline) {
    mlir::OwningOpRef<mlir::ModuleOp> Copy = Module.clone();
    mlir::PassManager Passes(&Context);
    EXPECT_TRUE(mlir::succeeded(mlir::parsePassPipeline(Pipeline, Passes)));
    EXPECT_TRUE(mlir::succeeded(Passes.run(*Copy)));
    return Copy;
  }

  std::mt19937_64 Generator;
  mlir::MLIRContext Context;
  txs::TensorMap Parameters, Inputs;
};

} // namespace transxssm

#endif // TRANSXSSM_TEST_PASSES_RANDOMMODEL_H
