//===- CaseFile.h - The conformance set in a folder -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// kernels.json describes each kernel and its arguments; kernels.bin holds what
// they hold, and the kernels' code for each architecture. The answers are the
// simulator's.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_BENCH_CONFORMANCE_CASEFILE_H
#define TRANSXSSM_BENCH_CONFORMANCE_CASEFILE_H

#include "bench/conformance/Case.h"
#include "runtime/support/Error.h"

#include <utility>

namespace transxssm::conformance {

struct StoredCase {
  Case Of; ///< without its text
  /// Code by target: "sm_90a", "ptx-sm_80".
  std::vector<std::pair<std::string, std::vector<uint8_t>>> Images;
};

Status writeCases(const std::string &Folder,
                  const std::vector<StoredCase> &Cases);
Result<std::vector<StoredCase>> readCases(const std::string &Folder);

} // namespace transxssm::conformance

#endif // TRANSXSSM_BENCH_CONFORMANCE_CASEFILE_H
