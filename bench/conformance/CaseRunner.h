//===- CaseRunner.h - The conformance set on a device ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Needs the runtime alone.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_BENCH_CONFORMANCE_CASERUNNER_H
#define TRANSXSSM_BENCH_CONFORMANCE_CASERUNNER_H

#include "bench/conformance/CaseFile.h"
#include "runtime/cuda/CudaContext.h"
#include "runtime/sim/Simulator.h"

namespace transxssm::conformance {

struct SimulatedRun {
  Contents Left;
  std::vector<sim::Report> Reports;
  sim::Counters Counts;
};

/// An error only where the launch is impossible.
Result<SimulatedRun> runInSimulator(const sim::SimModule &Kernels,
                                    const Case &Of,
                                    const sim::SimOptions &Options = {});

/// Nothing where none of the images runs on that GPU.
Result<std::optional<Contents>>
runOnGpu(const std::shared_ptr<cuda::CudaContext> &On, const StoredCase &Of);

} // namespace transxssm::conformance

#endif // TRANSXSSM_BENCH_CONFORMANCE_CASERUNNER_H
