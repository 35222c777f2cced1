//===- Traffic.h - Counting memory transactions of warps ------------------
//===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to runtime/sim. A device serves one instruction of a warp at a time:
// from global memory in sectors of 32 bytes, from shared memory in passes in
// which each of 32 banks gives one word. Threads here run one by one, so each
// logs its accesses, and those of a warp are put together afterwards by
// instruction and occurrence.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_TRAFFIC_H
#define TRANSXSSM_RUNTIME_SIM_TRAFFIC_H

#include "runtime/sim/Simulator.h"
#include "runtime/sim/Thread.h"

#include <cstdint>
#include <vector>

namespace transxssm::sim {

/// Adds an access to the thread's log, in pieces as wide as instructions are.
void logAccess(Thread &Self, uint64_t Address, uint32_t Bytes,
               uint64_t Alignment, bool IsShared, bool IsWrite, uint32_t Site);

/// Counts and empties the logs of a warp whose lanes are at one place.
void flushTraffic(WarpState &Group, Counters &Into);

/// Counts one access of shared memory by several lanes at once.
void countShared(const std::vector<uint64_t> &Addresses, uint32_t Bytes,
                 Counters &Into);

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_TRAFFIC_H
