//===- ModelInputs.h - Inputs of a model's entries ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// What the runtime prepares before a call, for the interpreter: the rotary
// table in float64 and empty states.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_INTERPRETER_MODELINPUTS_H
#define TRANSXSSM_DIALECT_TXS_INTERPRETER_MODELINPUTS_H

#include "dialect/txs/interpreter/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/model/ModelConfig.h"

namespace transxssm {
namespace txs {

/// "input_ids", "attention_mask", "rope_cos", "rope_sin" and "past" of a call
/// with `Ids` [B, T] after `Past` tokens; `Mask` may be null: all ones. And
/// "sampling" and "draw" that take the most likely token.
TensorMap makeInputs(const ModelConfig &Config, const Tensor &Ids,
                     const Tensor *Mask = nullptr, int64_t Past = 0);

/// Zeros for every state argument of an entry.
TensorMap makeStates(mlir::ModuleOp Module, llvm::StringRef Entry,
                     int64_t Batch, int64_t Capacity);

} // namespace txs
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TXS_INTERPRETER_MODELINPUTS_H
