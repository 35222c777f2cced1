//===- CompileCase.h - Kernels of the conformance set as code -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_BENCH_CONFORMANCE_COMPILECASE_H
#define TRANSXSSM_BENCH_CONFORMANCE_COMPILECASE_H

#include "bench/conformance/Case.h"
#include "runtime/support/Error.h"

namespace transxssm::conformance {

/// An object for the simulator.
Result<std::string> compileForSimulator(const Case &Of);

/// For "sm_80" or "sm_90a".
Result<std::string> compileToPtx(const Case &Of,
                                 const std::string &Architecture);

} // namespace transxssm::conformance

#endif // TRANSXSSM_BENCH_CONFORMANCE_COMPILECASE_H
