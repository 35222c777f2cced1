//===- NvptxCodegen.h - Tile kernels to PTX -------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Everything but ptxas happens in this process: MLIR to LLVM IR to PTX. The
// optimised LLVM module is a result of its own: the simulator runs it.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_NVPTXCODEGEN_H
#define TRANSXSSM_CODEGEN_NVPTX_NVPTXCODEGEN_H

#include "codegen/nvptx/GpuTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

#include <memory>
#include <string>
#include <vector>

namespace transxssm::nvptx {

/// The architectures that there is code for.
std::vector<GpuTarget> gpuTargets();

struct DeviceKernel {
  std::string Name, Symbol;
  /// Threads of a block (they are numbered in one dimension), and bytes of
  /// dynamic shared memory.
  int64_t Threads, SharedBytes;
  /// Parameters of 128 bytes after the sizes.
  std::vector<TensorMap> TensorMaps;
  /// Not 0: blocks go over all cells in turn, as many of them as fit at once,
  /// these on a multiprocessor; the grid's three extents are parameters between
  /// the sizes and the maps.
  int64_t ResidentBlocks = 0;
};

struct DeviceModule {
  // The context outlives the module.
  std::unique_ptr<llvm::LLVMContext> Context;
  std::unique_ptr<llvm::Module> Module;
  std::vector<DeviceKernel> Kernels;
};

/// Lowers every tile.kernel of the module, which stays as it is, to what LLVM's
/// code generator gets: optimised IR of functions
///
///   ptx_kernel void @symbol(ptr addrspace(1) ..., i64 ...)
///
/// with one pointer to global memory per memref argument, then the sizes
/// (dynamic extents of memrefs and index arguments), each in argument order,
/// then tensor maps by value.
/// The block's coordinates are the grid cell, but for kernels with resident
/// blocks. Errors are reported on the
/// operations at fault.
mlir::FailureOr<DeviceModule> lowerForGpu(mlir::ModuleOp Kernels,
                                          const GpuTarget &Target);

/// The module as PTX.
mlir::FailureOr<std::string> emitPtx(const DeviceModule &Module,
                                     const GpuTarget &Target);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_NVPTXCODEGEN_H
