//===- WgmmaOps.h - Products by a warp group, as operations ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Four warps multiply together, asynchronously (PTX ISA, "Asynchronous
// Warpgroup Level Matrix Instructions"):
//
//   fenceProxy     after threads have written operands to shared memory
//   (a barrier)
//   fenceProducts  before the first product: registers are as they should be
//   multiply...
//   commitProducts, waitForProducts
//
// The registers of sums pass through the fence and the wait, so that nothing
// that makes or uses them moves between.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_WGMMAOPS_H
#define TRANSXSSM_CODEGEN_NVPTX_WGMMAOPS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/SmallVector.h"

namespace transxssm::nvptx {

/// Lets the tensor cores see what this thread wrote to shared memory.
mlir::Operation *fenceProxy(mlir::ImplicitLocOpBuilder &B);
bool isProxyFence(mlir::Operation *Op);

/// Four matrices of 8 x 8 elements of 16 bits to shared memory, one word of
/// each: the inverse of loadMatrices.
mlir::Operation *storeMatrices(mlir::ImplicitLocOpBuilder &B,
                               mlir::Value Address,
                               llvm::ArrayRef<mlir::Value> Words);

/// The registers of sums, and of left operands, after the fence.
llvm::SmallVector<mlir::Value>
fenceProducts(mlir::ImplicitLocOpBuilder &B,
              llvm::ArrayRef<mlir::Value> Registers);
bool isProductFence(mlir::Operation *Op);

void commitProducts(mlir::ImplicitLocOpBuilder &B);

/// Waits until so many groups of products are under way at most, without
/// regard to registers.
void leaveProducts(mlir::ImplicitLocOpBuilder &B, int64_t Groups);

/// The registers of sums once all products are done.
llvm::SmallVector<mlir::Value>
waitForProducts(mlir::ImplicitLocOpBuilder &B,
                llvm::ArrayRef<mlir::Value> Registers);

/// The bits of a matrix descriptor for an operand in rows of 128 bytes, with
/// 128 byte swizzle, but for its address. `Leading` are the bytes from 64
/// columns of memory to the next 64.
int64_t descriptorBits(int64_t Leading);

/// wgmma m64nNk16 in bf16 with float32 sums, N = 2 |Sums|: the descriptor of
/// the left operand (one i64) or its registers (four i32), the descriptor of
/// the right one. An operand is transposed where k runs along the
/// columns of memory. `Made` is the operation that reads shared memory.
llvm::SmallVector<mlir::Value>
multiplyGroup(mlir::ImplicitLocOpBuilder &B, llvm::ArrayRef<mlir::Value> Sums,
              llvm::ArrayRef<mlir::Value> Left, mlir::Value Right,
              bool TransposeLeft, bool TransposeRight, bool Accumulates,
              mlir::Operation **Made);

/// Whether the value is a part of a shared memory address, or a descriptor, for
/// those who look for what finally accesses a buffer.
bool isAddressPart(mlir::Operation *Op);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_WGMMAOPS_H
