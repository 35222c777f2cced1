//===- PlanRunner.h - Runs plans through the tile interpreter -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Takes txs text, lowers it with txs-to-tile and runs an entry of the plan on
// host memory. Memory that holds no value yet, or no longer (a temporary
// outside of its live range), is filled with NaN, so that a wrong live range or
// a read of something never written shows up in the results.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_KERNELS_PLANRUNNER_H
#define TRANSXSSM_TEST_KERNELS_PLANRUNNER_H

#include "dialect/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include <map>
#include <string>
#include <vector>

namespace transxssm {
namespace test {

/// The values of s0 to s3.
struct Sizes {
  int64_t Batch = 1, Seq = 1, Past = 0, Capacity = 0;
};

class PlanRunner {
public:
  /// Adds a gtest failure when the text does not parse or does not lower.
  /// `Options` are those of txs-to-tile.
  explicit PlanRunner(const std::string &Text, const std::string &Options = "");
  /// The same for a module made by `Make`, after the passes of `Pipeline`.
  explicit PlanRunner(
      llvm::function_ref<mlir::OwningOpRef<mlir::ModuleOp>(mlir::MLIRContext &)>
          Make,
      llvm::StringRef Pipeline = "");

  /// Buffers by name: inputs and parameters before a run, outputs, states and
  /// gradients ("grad." + name), moments ("moment1." + name) after it. A state
  /// keeps its values from run to run.
  std::map<std::string, std::vector<float>> Floats;
  std::map<std::string, std::vector<int32_t>> Integers;

  /// Runs an entry; a gtest failure where a kernel reports an error.
  void run(const std::string &Entry, Sizes S);

  /// Zeros for every state, for these sizes.
  void clearStates(Sizes S);

  mlir::ModuleOp module() { return *Module; }
  /// The launches of the last run that their guards let through, by kernel.
  std::vector<std::string> Launched;

private:
  void lower(llvm::StringRef Pipeline, llvm::StringRef Options);

  mlir::MLIRContext Context;
  mlir::OwningOpRef<mlir::ModuleOp> Module;
};

/// Numbers in [-1, 1], the same on every machine.
std::vector<float> randomFloats(size_t Count, uint32_t Seed);

/// ||actual - expected|| / ||expected||.
double relativeError(const std::vector<float> &Actual,
                     const std::vector<double> &Expected);

} // namespace test
} // namespace transxssm

#endif // TRANSXSSM_TEST_KERNELS_PLANRUNNER_H
