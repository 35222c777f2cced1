//===- ArenaPlan.h - Placing buffers by live range -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_ARENAPLAN_H
#define TRANSXSSM_RUNTIME_ARENAPLAN_H

#include <cstdint>
#include <vector>

namespace transxssm {

/// A buffer to be placed: alive from launch FirstUse to LastUse, inclusive.
struct ArenaRequest {
  uint64_t Bytes = 0;
  uint32_t FirstUse = 0;
  uint32_t LastUse = 0;
};

/// Where each buffer lies, and how large the arena must be.
struct ArenaPlan {
  std::vector<uint64_t> Offsets; ///< multiples of TRANSXSSM_ALIGNMENT
  uint64_t PeakBytes = 0;
};

/// Places buffers so that two with overlapping live ranges never overlap in
/// memory: largest first (ties by first use, then by position in the list),
/// each at the lowest offset that fits. Same input, same plan. The compiler's
/// --print-memory and the runtime both use it, so the printed peak is exact.
/// The sum of all sizes must fit 62 bits.
ArenaPlan planArena(const std::vector<ArenaRequest> &Requests);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_ARENAPLAN_H
