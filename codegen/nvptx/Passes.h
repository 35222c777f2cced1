//===- Passes.h - Passes from tiles to GPU threads ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_PASSES_H
#define TRANSXSSM_CODEGEN_NVPTX_PASSES_H

#include "codegen/nvptx/GpuTarget.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace transxssm::nvptx {

/// `tile-split-products`: products over long inner extents become loops over
/// slices of their operands, which fit in shared memory.
std::unique_ptr<mlir::Pass> createSplitProductsPass();

/// `tile-to-threads`: tile.kernel to func.func, what one thread of a block
/// does.
std::unique_ptr<mlir::Pass> createTileToThreadsPass(const GpuTarget &Target = {
                                                        "sm_80"});

/// `assign-shared-memory`: every memref.alloc in shared memory becomes a part
/// of one array; tiles that are never live together share bytes.
std::unique_ptr<mlir::Pass> createAssignSharedMemoryPass();

/// `insert-barriers`: threads wait for each other where one reads what another
/// wrote, or writes over what another reads.
std::unique_ptr<mlir::Pass> createInsertBarriersPass();

/// `expand-exponentials`: exp of float32 by the device's power of two.
std::unique_ptr<mlir::Pass> createExpandExponentialsPass();

/// Makes all of them known to command-line tools.
void registerNvptxPasses();

/// On a function: threads of a block, bytes of shared memory.
constexpr char ThreadsAttr[] = "tile.threads";
/// Threads that a function with a producer warp has before that.
constexpr char ConsumersAttr[] = "tile.consumers";
/// On a function: some of its kernel's memory is bf16.
constexpr char HalfMemoryAttr[] = "tile.half_memory";
constexpr char SharedBytesAttr[] = "tile.shared_bytes";
/// On a function whose blocks go over all cells in turn, with the grid's three
/// extents as arguments behind the sizes: how many a multiprocessor has at
/// once.
constexpr char ResidentAttr[] = "tile.resident_blocks";
/// On a function: the tensor maps that it has as its last arguments, each as
/// operand, first size, extents of the memory and of the box.
constexpr char TensorMapsAttr[] = "tile.tensor_maps";
/// On a buffer: its bytes are nobody else's, from the start to the end.
constexpr char WholeAttr[] = "tile.whole";
/// On a buffer that the second region of its users' scf.if fills while the
/// first one uses it: it lives until the last use in the first.
constexpr char PipeAttr[] = "tile.pipe";
/// On an access: accesses of one group touch different elements.
constexpr char GroupAttr[] = "tile.group";
/// On an access of global memory that the kernel both reads and writes: which.
constexpr char HazardAttr[] = "tile.hazard";
/// On an asynchronous copy to shared memory: it writes when it is waited for.
constexpr char CopyAttr[] = "tile.copy";
/// On an access of a ring of stages: which ring. The loop of the ring orders
/// its accesses by a barrier of its own.
constexpr char RingAttr[] = "tile.ring";
/// On scf.if: not all threads of a block take the same branch.
constexpr char DivergentAttr[] = "tile.divergent";
/// On an access of shared memory after `assign-shared-memory`: the bytes of its
/// buffer, as [first, end); of both buffers of a product by a warp group.
constexpr char BytesAttr[] = "tile.bytes";

/// The dynamic shared memory of every kernel.
constexpr char SharedMemorySymbol[] = "shared_memory";

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_PASSES_H
