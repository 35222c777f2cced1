//===- Ptxas.h - PTX to machine code --------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// ptxas is NVIDIA's assembler, a program of the CUDA toolkit (and of the Python
// package nvidia-cuda-nvcc). Without it a package holds PTX, which the driver
// assembles.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_PTXAS_H
#define TRANSXSSM_CODEGEN_NVPTX_PTXAS_H

#include "runtime/support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace transxssm::nvptx {

/// What ptxas says of a kernel.
struct KernelUsage {
  std::string Symbol;
  int64_t Registers = 0, StackBytes = 0, SpillStores = 0, SpillLoads = 0;

  /// Whether values that should be in registers went to local memory.
  bool usesLocalMemory() const {
    return StackBytes != 0 || SpillStores != 0 || SpillLoads != 0;
  }
};

struct AssembledCode {
  std::string Cubin;
  std::vector<KernelUsage> Kernels;
  /// Lines that tell of lost performance (C75xx), as they are.
  std::vector<std::string> Warnings;
};

/// The program: $TRANSXSSM_PTXAS, else ptxas on PATH; empty when there is none.
std::string findPtxas();

Result<AssembledCode> assemble(const std::string &Ptx,
                               const std::string &Architecture,
                               const std::string &Ptxas);

/// The kernels and warnings of what `ptxas -v` prints.
void parsePtxasLog(const std::string &Log, AssembledCode &Into);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_PTXAS_H
