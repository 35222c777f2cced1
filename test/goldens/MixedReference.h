//===- MixedReference.h - What bf16 may cost ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Golden models at txs level, in float32 or bf16, and what the float64
// interpreter makes of them. What is right in bf16 is its result for the same
// weights, which it reads rounded to bf16. How far from it a correct program
// may be says the interpreter itself, run once more with the result of every
// operation rounded to its type: a compiled model must not be farther off than
// Slack times that. Slack is 2 because kernels round operands of products once
// more, as matrix units do, where the interpreter only rounds results.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_GOLDENS_MIXEDREFERENCE_H
#define TRANSXSSM_TEST_GOLDENS_MIXEDREFERENCE_H

#include "codegen/Pipeline.h"
#include "dialect/txs/interpreter/Interpreter.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/Model.h"
#include "test/goldens/GoldenData.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace transxssm {

constexpr double Slack = 2;

/// Code for the kernels of a module.
using GenerateCode =
    std::function<mlir::FailureOr<std::vector<CodeObject>>(mlir::ModuleOp)>;

/// A golden model: compiled, and as the interpreter sees it.
struct TypedModel {
  GoldenModel Golden;
  std::unique_ptr<mlir::MLIRContext> Context;
  mlir::OwningOpRef<mlir::ModuleOp> Module; ///< txs level
  std::optional<Package> Compiled;
  int64_t Batch = 0, Tokens = 0, Vocab = 0;
  std::vector<int32_t> Ids, Labels;
  std::vector<float> Mask; ///< empty where every token counts

  const float *mask() const { return Mask.empty() ? nullptr : Mask.data(); }
  /// Its tokens `From` to `To` of every sequence, one after the other.
  std::vector<int32_t> idsOf(int64_t From, int64_t To) const;
  Result<Model> load(unsigned Threads = 1,
                     const std::string &Device = "cpu") const;
};

/// Every entry of the golden model, lowered as `Plan` says and compiled by
/// `Generate`; a test fails where that is impossible.
std::unique_ptr<TypedModel> buildTypedModel(const std::string &Name, DType Type,
                                            const PlanOptions &Plan,
                                            const GenerateCode &Generate,
                                            int64_t RecomputeBlocks = 0);
/// Code for this processor only.
mlir::FailureOr<std::vector<CodeObject>> generateForThisCpu(mlir::ModuleOp);

txs::Tensor tensor(llvm::ArrayRef<int64_t> Shape, const float *Values);
/// Of a float32 tensor.
txs::Tensor tensor(const TensorView &View);
/// Zeros of different signs differ, NaNs of one pattern do not.
bool sameBits(const txs::Tensor &A, const txs::Tensor &B);
txs::TensorMap inputsOf(const TypedModel &M);

/// The interpreter's run of an entry, with or without rounding.
txs::RunResult interpret(const TypedModel &M, const std::string &Entry,
                         bool Rounds, const txs::TensorMap &Inputs,
                         const txs::TensorMap &States = {},
                         std::optional<uint64_t> Seed = std::nullopt);

/// Prefill, then a token a time, in the interpreter: logits by step ("logits
/// N" with N tokens seen), states of scans at the end.
txs::TensorMap interpretDecoding(const TypedModel &M, bool Rounds);

/// The same on a loaded model, with a cache that begins empty. States are those
/// that are float32.
Result<txs::TensorMap> decodeOn(Model &On, Cache &State, const TypedModel &M);

/// Every gradient of the last call, by parameter.
txs::TensorMap gradientsOf(Model &On);

/// Float32 on any device against the golden's own numbers: logits, decoding and
/// the loss to 1e-5, gradients to 1e-4.
void expectGoldenLogits(const TypedModel &M, txs::Tensor Actual);
void expectGoldenDecoding(const TypedModel &M, const txs::TensorMap &Actual);
void expectGoldenGradients(const TypedModel &M, double Loss,
                           const txs::TensorMap &Actual);

/// Settings that training on one batch shows learning with.
Hyperparameters usualSettings();

/// What a training run continues from; from the golden's weights where it is
/// empty. Parameters are masters: what is narrower is rounded when it is read.
struct TrainingState {
  txs::TensorMap Parameters, Moments1, Moments2;
  int64_t Steps = 0; ///< already taken
};

/// The interpreter's losses of as many optimizer steps.
std::vector<double> interpretLosses(const TypedModel &M, int64_t Steps,
                                    bool Rounds,
                                    std::optional<uint64_t> Seed = std::nullopt,
                                    const TrainingState &From = {});

/// How far rounding takes the losses of training steps from `Truth`, those
/// without, at most in a run: a root mean square over several runs, since steps
/// of AdamW magnify what becomes of the smallest gradients.
double lossRounding(const TypedModel &M, const std::vector<double> &Truth,
                    const TrainingState &From = {});

/// The largest of all differences.
double largestDistance(const std::vector<double> &A,
                       const std::vector<double> &B);

/// At most Slack times as far from the truth as the rounded run is. The floor
/// is a rounding of float32: a value that rounding happens to leave alone.
void expectAsCloseAs(const txs::Tensor &Actual, const txs::Tensor &Rounded,
                     const txs::Tensor &Truth, const std::string &What);

/// Padded positions carry no meaning.
void clearPadding(txs::Tensor &Logits, const std::vector<float> &Mask);

/// Whether the parameter holds the decays of a scan: a handful of numbers,
/// whose gradients are what is left of sums that cancel.
bool isDecay(const std::string &Name);

/// The gradients of all decays as one vector.
txs::Tensor decays(const txs::TensorMap &Gradients);

/// How far rounding takes the gradients of all decays from the truth, as a root
/// mean square over several runs: the error of one run is one throw of the
/// dice.
double decayRounding(const TypedModel &M, const txs::TensorMap &Inputs,
                     const txs::Tensor &Truth);

/// Expects every gradient as close as above, and the loss within 2^-9: a mean
/// over tokens, in which roundings cancel, in one run more than in another.
void expectMixedGradients(const TypedModel &M, double Loss,
                          const txs::TensorMap &Actual);

} // namespace transxssm

#endif // TRANSXSSM_TEST_GOLDENS_MIXEDREFERENCE_H
