//===- ImportConfig.h - From config.json to a txs module ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Builds the model that a configuration describes: a `txs.parameter` for every
// tensor of the checkpoint and a function for every entry asked for.
//
//   forward    logits of every token, no state
//   prefill    logits of the last token; states in, states out
//   decode     logits of every token; states in, states out
//   gradients  the loss, marked `txs.differentiate`
//   train      the loss, marked `txs.differentiate` and `txs.optimize`
//
// Sequence classification has forward, gradients and train.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_IMPORTCONFIG_H
#define TRANSXSSM_PASSES_IMPORTCONFIG_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/model/ModelConfig.h"

#include <string>
#include <vector>

namespace transxssm {

struct ImportOptions {
  /// Functions of the module, in this order. Empty means every one that the
  /// kind of model has.
  std::vector<std::string> Entries;
};

/// Every entry that models of this kind have.
std::vector<std::string> supportedEntries(const ModelConfig &Config);

/// Returns the verified module, or null after one diagnostic.
mlir::OwningOpRef<mlir::ModuleOp> importConfig(const ModelConfig &Config,
                                               const ImportOptions &Options,
                                               mlir::MLIRContext &Context);

} // namespace transxssm

#endif // TRANSXSSM_PASSES_IMPORTCONFIG_H
