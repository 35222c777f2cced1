//===- DeviceOps.h - What only a GPU has, as operations -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_DEVICEOPS_H
#define TRANSXSSM_CODEGEN_NVPTX_DEVICEOPS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace transxssm::nvptx {

/// The address space of global memory, of shared memory.
constexpr unsigned GlobalSpace = 1, SharedSpace = 3;

/// The number of the thread in its block, the block's coordinate: `index`.
mlir::Value threadNumber(mlir::ImplicitLocOpBuilder &B);
mlir::Value blockCoordinate(mlir::ImplicitLocOpBuilder &B, unsigned Dimension);
/// Blocks of the launch, in the first dimension.
mlir::Value blockCount(mlir::ImplicitLocOpBuilder &B);

/// Waits for all threads of the block; for its first `Threads`, which alone
/// come here, if not 0.
mlir::Operation *barrier(mlir::ImplicitLocOpBuilder &B, int64_t Threads = 0);
bool isBarrier(mlir::Operation *Op);

/// Registers of a thread of the producer, and of two groups of consumers that
/// are alone on a multiprocessor: 65,536 in all. Who makes the kernel
/// (NvptxCodegen.cpp) may know better.
constexpr int32_t ProducerRegisters = 24, ConsumerRegisters = 240;
/// Sets the registers of each thread of a warp group, which are more (fewer)
/// than at launch.
void setRegisters(mlir::ImplicitLocOpBuilder &B, int32_t Count, bool More);
constexpr char MoreRegistersName[] =
    "llvm.nvvm.setmaxnreg.inc.sync.aligned.u32";
constexpr char FewerRegistersName[] =
    "llvm.nvvm.setmaxnreg.dec.sync.aligned.u32";

/// The value that the lane whose number differs in the bits of `Mask` has.
/// Float32 or i32.
mlir::Value shuffleXor(mlir::ImplicitLocOpBuilder &B, mlir::Value V,
                       int64_t Mask);

/// Four matrices of 8 x 8 elements of 16 bits from shared memory: lane l gives
/// the address of row l mod 8 of matrix l / 8, and gets of each matrix (with
/// Transposed, of its transpose) elements 2 (l mod 4) and the next of row l /
/// 4, as one word.
mlir::Operation *loadMatrices(mlir::ImplicitLocOpBuilder &B,
                              mlir::Value Address, bool Transposed);

/// mma.m16n8k16 of bf16: four words of the left operand, two of the right one,
/// four accumulators of float32.
llvm::SmallVector<mlir::Value> multiplyMatrices(
    mlir::ImplicitLocOpBuilder &B, llvm::ArrayRef<mlir::Value> Left,
    llvm::ArrayRef<mlir::Value> Right, llvm::ArrayRef<mlir::Value> Sums);

/// The fields of a literal struct.
llvm::SmallVector<mlir::Value> unpackStruct(mlir::ImplicitLocOpBuilder &B,
                                            mlir::Value Struct);

/// `Count` elements of global memory from `Address` (index, in elements beyond
/// the pointer) on; zeros where the predicate does not hold. Without a
/// predicate they are there. `Made` is the operation that reads.
llvm::SmallVector<mlir::Value>
loadGlobal(mlir::ImplicitLocOpBuilder &B, mlir::Type Element, int64_t Count,
           mlir::Value Pointer, mlir::Value Address, mlir::Value Predicate,
           mlir::Operation **Made = nullptr);
mlir::Operation *storeGlobal(mlir::ImplicitLocOpBuilder &B,
                             llvm::ArrayRef<mlir::Value> Elements,
                             mlir::Value Pointer, mlir::Value Address,
                             mlir::Value Predicate);

/// Copies sixteen bytes of global memory (`Address` as above, `Element`s) to
/// shared memory asynchronously; zeros where the predicate, if any, does not
/// hold. Copies since the last commit are a group.
mlir::Operation *copyAsync(mlir::ImplicitLocOpBuilder &B, mlir::Type Element,
                           mlir::Value To, mlir::Value Pointer,
                           mlir::Value Address, mlir::Value Predicate);
void commitCopies(mlir::ImplicitLocOpBuilder &B);
/// Waits until at most `Left` of this thread's groups are under way.
void waitForCopies(mlir::ImplicitLocOpBuilder &B, int64_t Left);
/// Whether the operation is such a wait, for all groups with `ForAll`.
bool isCopyWait(mlir::Operation *Op, bool &ForAll);

/// Vectors of one element and more, in registers.
mlir::Value packVector(mlir::ImplicitLocOpBuilder &B,
                       llvm::ArrayRef<mlir::Value> Elements);
llvm::SmallVector<mlir::Value> unpackVector(mlir::ImplicitLocOpBuilder &B,
                                            mlir::Value Vector);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_DEVICEOPS_H
