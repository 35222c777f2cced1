//===- ReferenceRun.h - The named values of an interpreted call -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_PROBE_REFERENCERUN_H
#define TRANSXSSM_TOOLS_PROBE_REFERENCERUN_H

#include "dialect/txs/interpreter/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"

#include <map>
#include <string>
#include <vector>

namespace transxssm {

struct ReferenceValue {
  txs::Tensor Content;
  mlir::Operation *Op = nullptr;
  bool OfGradient = false; ///< depends on one, or is one
};

/// By the names of txs-name-operations.
using ReferenceValues = std::map<std::string, ReferenceValue>;

/// Runs an entry of a module with names and collects every value of it. The
/// states are updated.
Result<ReferenceValues> runReference(txs::Interpreter &Runner,
                                     mlir::func::FuncOp Entry,
                                     const txs::TensorMap &Inputs,
                                     txs::TensorMap &States);

/// The operations that `Op` depends on through values that are not in
/// `Written`, nearest first: what its kernel may have computed as well.
std::vector<std::string>
unwrittenBehind(mlir::Operation *Op,
                const std::map<std::string, size_t> &Written);

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_PROBE_REFERENCERUN_H
