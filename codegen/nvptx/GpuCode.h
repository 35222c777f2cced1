//===- GpuCode.h - All that is made of kernels for one GPU ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_GPUCODE_H
#define TRANSXSSM_CODEGEN_NVPTX_GPUCODE_H

#include "codegen/LaunchCost.h"
#include "codegen/nvptx/NvptxCodegen.h"
#include "codegen/nvptx/Ptxas.h"

namespace transxssm::nvptx {

/// How far to go, and what counts as an error.
struct GpuOptions {
  bool WantsLlvmText = false;
  /// Call ptxas, if there is one.
  bool Assembles = true;
  /// A kernel that spills registers, uses local memory or gets a warning from
  /// ptxas is an error; otherwise a warning.
  bool Strict = false;
};

struct GpuCode {
  GpuTarget Target;
  DeviceModule Device;
  std::string LlvmText, Ptx;
  /// Empty without ptxas.
  AssembledCode Assembled;
};

/// Compiles every tile.kernel of the module, which stays as it is.
mlir::FailureOr<GpuCode> compileForGpu(mlir::ModuleOp Kernels,
                                       const GpuTarget &Target,
                                       const GpuOptions &Options = {});

/// A table of the kernels: threads, shared memory, registers and spills, blocks
/// and warps that a multiprocessor holds at once, blocks that stay there to go
/// over several cells (0: each has one), instructions for tensor cores by kind,
/// barriers, and the share of global accesses that move sixteen bytes; then, by
/// what `Costs` says, how often the kernel is launched, and the floor bytes and
/// products' FLOP of its largest launch.
std::string describe(const GpuCode &Code,
                     const llvm::StringMap<KernelCost> &Costs);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_GPUCODE_H
