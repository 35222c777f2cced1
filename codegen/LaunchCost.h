//===- LaunchCost.h - What launches compute and move at least -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Counted on the tile program, cell by cell, with what the launch passes:
// offsets, bounds of loops and conditions are evaluated, tiles are not. The
// floor of a buffer is what the loads (the stores) of all cells cover, at most
// the buffer once.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_LAUNCHCOST_H
#define TRANSXSSM_CODEGEN_LAUNCHCOST_H

#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "llvm/ADT/StringMap.h"

#include <cstdint>

namespace transxssm {

struct LaunchCost {
  uint64_t FloorBytes = 0;
  uint64_t Flops = 0; ///< of products, in whole tiles
};

/// The cost of running all cells of `Grid`. `Buffers` numbers the memory behind
/// each memref argument, in which equal numbers are one memory, and
/// `BufferBytes` has the size of each; `Sizes` are the dynamic extents and
/// index arguments in argument order.
LaunchCost costOf(tile::KernelOp Kernel, llvm::ArrayRef<unsigned> Buffers,
                  llvm::ArrayRef<uint64_t> BufferBytes,
                  llvm::ArrayRef<int64_t> Sizes, llvm::ArrayRef<int64_t> Grid);

/// What the launches of a kernel cost.
struct KernelCost {
  uint64_t Launches = 0; ///< in one call of each entry
  LaunchCost Largest;    ///< of its launches, by bytes
};

/// By name of the kernel, for calls of every entry with `Batch` sequences of
/// `SeqLen` tokens; entries of one token continue SeqLen - 1 of them.
llvm::StringMap<KernelCost> costOfKernels(mlir::ModuleOp Module, int64_t Batch,
                                          int64_t SeqLen);

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_LAUNCHCOST_H
