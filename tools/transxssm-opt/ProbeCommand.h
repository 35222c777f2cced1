//===- ProbeCommand.h - transxssm-opt --txs-probe -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_TRANSXSSM_OPT_PROBECOMMAND_H
#define TRANSXSSM_TOOLS_TRANSXSSM_OPT_PROBECOMMAND_H

namespace transxssm {

/// Whether the command line asks for a probe.
bool probeRequested();

/// Probes a model and prints what was found. Returns the exit code of the
/// tool: 0 nothing diverges, 1 something does, 2 it could not run.
int probeModel();

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_TRANSXSSM_OPT_PROBECOMMAND_H
