//===- TileInterpreter.h - Runs tile kernels, slowly ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The meaning of a kernel, written to be read rather than to be fast: tiles are
// vectors of double, every operation is a loop. It is what code generators are
// compared with, and what kernel authors debug with.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEINTERPRETER_H
#define TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEINTERPRETER_H

#include "dialect/tile/TileDialect.h"

namespace transxssm {
namespace tile {

struct InterpreterOptions {
  /// Round the result of every operation to its type, as hardware does. Without
  /// it f32 and bf16 values inside a kernel are doubles; memory keeps its type.
  bool RoundToType = true;
  /// Report two cells that write one element, and a cell that reads what
  /// another cell writes. Buffers that share memory must start at one address.
  bool CheckRaces = true;
};

/// Runs every cell of `Grid`, in row-major order. `Buffers` and `Sizes` are
/// those of TransXSSMCpuKernel (kernel_abi.h): one pointer per memref argument;
/// the dynamic dimensions and the index arguments in argument order. Whatever
/// the dialect forbids is an error at the operation concerned.
mlir::LogicalResult runKernel(KernelOp Kernel, llvm::ArrayRef<void *> Buffers,
                              llvm::ArrayRef<int64_t> Sizes,
                              llvm::ArrayRef<int64_t> Grid,
                              const InterpreterOptions &Options = {});

/// Runs one cell.
mlir::LogicalResult runKernelCell(KernelOp Kernel,
                                  llvm::ArrayRef<void *> Buffers,
                                  llvm::ArrayRef<int64_t> Sizes,
                                  llvm::ArrayRef<int64_t> Cell,
                                  const InterpreterOptions &Options = {});

} // namespace tile
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TILE_INTERPRETER_TILEINTERPRETER_H
