//===- TensorCopies.h - Copies of boxes of tensors, as operations ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// One thread has a box of a tensor copied to shared memory, or back (PTX ISA,
// "cp.async.bulk.tensor"). A barrier in shared memory counts the bytes that
// have come; whoever needs them waits at it. Each use of a barrier is a phase:
// the first has parity 0, the next 1, then 0 again.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_TENSORCOPIES_H
#define TRANSXSSM_CODEGEN_NVPTX_TENSORCOPIES_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/ArrayRef.h"

namespace transxssm::nvptx {

/// A barrier that so many threads arrive at.
mlir::Operation *initBarrier(mlir::ImplicitLocOpBuilder &B, mlir::Value Barrier,
                             int64_t Arrivals);
/// Lets copies see barriers that this thread made.
void fenceBarriers(mlir::ImplicitLocOpBuilder &B);

/// Arrives where the predicate holds, without a branch, which products that are
/// under way must not meet. All lanes of the warp are done by then.
mlir::Operation *arriveAt(mlir::ImplicitLocOpBuilder &B, mlir::Value Barrier,
                          mlir::Value Predicate);
/// Arrives; the phase ends when so many bytes have come, too.
mlir::Operation *expectBytes(mlir::ImplicitLocOpBuilder &B, mlir::Value Barrier,
                             int64_t Bytes);
/// Waits for the end of the phase of that parity (i32).
mlir::Operation *waitAtBarrier(mlir::ImplicitLocOpBuilder &B,
                               mlir::Value Barrier, mlir::Value Parity);

/// Copies the box at those coordinates (i32, innermost first).
mlir::Operation *copyBox(mlir::ImplicitLocOpBuilder &B, mlir::Value To,
                         mlir::Value Barrier, mlir::Value Map,
                         llvm::ArrayRef<mlir::Value> Coordinates);

/// The other way; boxes that are committed can be waited for, by the thread
/// that stores them: until they have been read, or are in memory.
mlir::Operation *storeBox(mlir::ImplicitLocOpBuilder &B, mlir::Value From,
                          mlir::Value Map,
                          llvm::ArrayRef<mlir::Value> Coordinates);
void commitBoxes(mlir::ImplicitLocOpBuilder &B);
void waitForBoxes(mlir::ImplicitLocOpBuilder &B, bool OnlyRead);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_TENSORCOPIES_H
