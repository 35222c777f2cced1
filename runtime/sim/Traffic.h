//===- Traffic.h - Counting memory transactions of warps ------------------===//
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

/// The second-level cache: sectors in sets of sixteen, the one used longest ago
/// goes first. A sector that is written counts once for as long as it stays,
/// and so does one that is read.
class SectorCache {
public:
  /// Empty, of that size.
  void reset(uint64_t Bytes);
  /// Whether memory has to move the sector.
  bool misses(uint64_t Sector, bool IsWrite);

private:
  struct Line {
    uint64_t Sector = 0;
    uint32_t Filled = 0; ///< at which reset; others are empty
    uint32_t LastUse = 0;
    bool IsRead = false, IsWritten = false;
  };
  std::vector<Line> Lines;
  uint64_t Sets = 0;
  uint32_t Resets = 0, Uses = 0;
};

/// Adds an access to the thread's log, in pieces as wide as instructions are.
void logAccess(Thread &Self, uint64_t Address, uint32_t Bytes,
               uint64_t Alignment, bool IsShared, bool IsWrite, uint32_t Site);

/// Counts and empties the logs of a warp whose lanes are at one place.
void flushTraffic(WarpState &Group, Counters &Into, SectorCache &Cache);

/// Counts sectors that the tensor memory accelerator moves.
void countBulk(uint64_t Address, uint64_t Bytes, bool IsWrite, Counters &Into,
               SectorCache &Cache);

/// Counts one access of shared memory by several lanes at once.
void countShared(const std::vector<uint64_t> &Addresses, uint32_t Bytes,
                 Counters &Into);

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_TRAFFIC_H
