//===- Interpreter.h - Runs txs modules in float64 ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Evaluates a function of a txs module operation by operation with the
// functions of Reference.h. Arithmetic is float64 whatever the element types
// say; a parameter of a type narrower than float32 is read rounded to it, so
// that a compiled model is compared with the truth about its own weights.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_INTERPRETER_INTERPRETER_H
#define TRANSXSSM_DIALECT_TXS_INTERPRETER_INTERPRETER_H

#include "dialect/txs/interpreter/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/support/Error.h"

#include <functional>
#include <optional>

namespace transxssm {
namespace txs {

/// What a call gives back, by the names that the module gives.
struct RunResult {
  TensorMap Outputs;   ///< results with `txs.output`
  TensorMap States;    ///< results with `txs.state`
  TensorMap Gradients; ///< operands of `txs.store_gradient`, by parameter
};

/// Called after every operation, those inside of blocks too, with the tensors
/// of its results: two runs that are compared operation by operation name the
/// first one where they part.
using Probe =
    std::function<void(mlir::Operation *, llvm::ArrayRef<const Tensor *>)>;

class Interpreter {
public:
  /// The module must outlive the interpreter.
  explicit Interpreter(mlir::ModuleOp Module) : Module(Module) {}

  /// By checkpoint name. `txs.adamw` updates them and the two moments, which
  /// start as zeros. Of a parameter narrower than float32 this is the master:
  /// operations see it rounded.
  TensorMap Parameters, FirstMoments, SecondMoments;
  /// Rounds the results of every operation to their element types. The distance
  /// to a run without it is what a module's types cost at least, however well
  /// it is compiled.
  bool RoundResults = false;
  /// With RoundResults: rounds up or down by chance, in the mean to the value
  /// itself. One run is one throw of the dice; the spread over some seeds is a
  /// measure of what rounding can do to a result.
  std::optional<uint64_t> RoundingSeed;
  Probe AfterOperation;

  /// Runs `Entry`. `Inputs` and `States` are by argument name and must have
  /// the argument's shape; those that the entry does not declare are ignored.
  Result<RunResult> run(llvm::StringRef Entry, const TensorMap &Inputs,
                        const TensorMap &States = {});

private:
  mlir::ModuleOp Module;
};

} // namespace txs
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TXS_INTERPRETER_INTERPRETER_H
