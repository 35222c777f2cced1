//===- Occupancy.cpp - How many blocks a multiprocessor holds -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Occupancy.h"

#include <algorithm>

namespace transxssm::nvptx {

static int64_t ceilDiv(int64_t A, int64_t B) { return (A + B - 1) / B; }

MultiprocessorLimits MultiprocessorLimits::of(const GpuTarget &Target) {
  int64_t KiB = Target.Name == "sm_80" ? 164 : 228;
  MultiprocessorLimits Limits;
  Limits.SharedBytes = KiB * 1024;
  Limits.BlockSharedBytes = Limits.SharedBytes - Limits.ReservedBytes;
  return Limits;
}

Occupancy occupancyOf(const MultiprocessorLimits &Limits, int64_t Threads,
                      int64_t SharedBytes, int64_t Registers) {
  constexpr int64_t WarpSize = 32, SharedUnit = 128, RegisterUnit = 256;
  int64_t Warps = std::max<int64_t>(ceilDiv(Threads, WarpSize), 1);
  int64_t Blocks = std::min(Limits.Blocks, Limits.Warps / Warps);
  int64_t Shared =
      ceilDiv(SharedBytes, SharedUnit) * SharedUnit + Limits.ReservedBytes;
  Blocks = std::min(Blocks, Limits.SharedBytes / Shared);
  if (Registers > 0) {
    int64_t OfWarp = ceilDiv(Registers * WarpSize, RegisterUnit) * RegisterUnit;
    int64_t Resident = Limits.SchedulerRegisters / OfWarp * Limits.Schedulers;
    Blocks = std::min(Blocks, Resident / Warps);
  }
  return {Blocks, Blocks * Warps};
}

int64_t plannedBlocks(int64_t Threads) {
  return std::max<int64_t>(256 / std::max<int64_t>(Threads, 1), 1);
}

} // namespace transxssm::nvptx
