//===- Interpret.h - transxssm-opt --txs-interpret ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_TRANSXSSM_OPT_INTERPRET_H
#define TRANSXSSM_TOOLS_TRANSXSSM_OPT_INTERPRET_H

#include "mlir/IR/DialectRegistry.h"

#include <vector>

namespace transxssm {

/// The tokens of --ids.
std::vector<int> idsOfCommandLine();

/// Whether the command line asks for a run of the interpreter.
bool interpretationRequested();

/// Runs a model on the ids of the command line in float64 and prints the
/// result of every operation. Returns the exit code of the tool.
int interpretModel(mlir::DialectRegistry &Registry);

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_TRANSXSSM_OPT_INTERPRET_H
