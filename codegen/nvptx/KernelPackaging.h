//===- KernelPackaging.h - What a package says of a GPU's kernel ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_KERNELPACKAGING_H
#define TRANSXSSM_CODEGEN_NVPTX_KERNELPACKAGING_H

#include "codegen/nvptx/NvptxCodegen.h"
#include "codegen/package/PackageWriter.h"

namespace transxssm::nvptx {

/// The same for machine code, PTX and the simulator's code.
inline KernelCode packagedKernel(const DeviceKernel &Kernel) {
  KernelCode Made;
  Made.Kernel = Kernel.Name;
  Made.Symbol = Kernel.Symbol;
  Made.Threads = static_cast<uint32_t>(Kernel.Threads);
  Made.SharedBytes = static_cast<uint64_t>(Kernel.SharedBytes);
  Made.ResidentBlocks = static_cast<uint32_t>(Kernel.ResidentBlocks);
  for (const TensorMap &Map : Kernel.TensorMaps)
    Made.TensorMaps.push_back({Map.Operand,
                               Map.Shape,
                               Map.FirstSize,
                               {Map.Box.begin(), Map.Box.end()}});
  return Made;
}

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_KERNELPACKAGING_H
