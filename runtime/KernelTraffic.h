//===- KernelTraffic.h - What a kernel moves ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_KERNELTRAFFIC_H
#define TRANSXSSM_RUNTIME_KERNELTRAFFIC_H

#include <cstdint>
#include <string>

namespace transxssm {

/// What the launches of one kernel did, as the simulator counts it.
struct KernelTraffic {
  std::string Name;
  uint64_t Launches = 0;
  uint64_t Instructions = 0, TensorFlops = 0;
  /// The least that memory must move: every byte that a launch touches, once
  /// for reading and once for writing.
  uint64_t FloorBytes = 0;
  /// What memory moves behind a second-level cache that is empty before each
  /// launch, in sectors of 32 bytes.
  uint64_t MemoryBytes = 0;
  /// What warps ask that cache for, in such sectors, and the least that would
  /// do for the same instructions.
  uint64_t RequestedBytes = 0, RequestedBytesIdeal = 0;
  /// Passes over the banks of shared memory, and the least that would do.
  uint64_t BankPasses = 0, BankPassesIdeal = 0;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_KERNELTRAFFIC_H
