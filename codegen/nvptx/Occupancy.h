//===- Occupancy.h - How many blocks a multiprocessor holds ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_OCCUPANCY_H
#define TRANSXSSM_CODEGEN_NVPTX_OCCUPANCY_H

#include "codegen/nvptx/GpuTarget.h"

namespace transxssm::nvptx {

/// What a multiprocessor has (CUDA C++ programming guide, "Technical
/// Specifications per Compute Capability"). Both architectures have four
/// schedulers with 16,384 registers each, 64 warps and 32 blocks.
struct MultiprocessorLimits {
  int64_t SharedBytes;      ///< of all its blocks
  int64_t BlockSharedBytes; ///< of one block
  int64_t Warps = 64, Blocks = 32;
  int64_t Schedulers = 4, SchedulerRegisters = 16384;
  /// Taken for each block beside its own shared memory.
  int64_t ReservedBytes = 1024;

  static MultiprocessorLimits of(const GpuTarget &Target);
};

struct Occupancy {
  int64_t Blocks = 0, Warps = 0;
};

/// What runs at once of blocks of so many threads. Registers (of a thread) are
/// given to warps 256 at a time, the warps of a block dealt out to the
/// schedulers.
Occupancy occupancyOf(const MultiprocessorLimits &Limits, int64_t Threads,
                      int64_t SharedBytes, int64_t Registers);

/// The blocks that kernels are planned for: eight warps, two for a scheduler,
/// so that one multiplies while another waits. Kernels of tensor cores are
/// made to need no more; a block of eight warps does alone.
int64_t plannedBlocks(int64_t Threads);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_OCCUPANCY_H
