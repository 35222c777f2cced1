//===- GpuTarget.h - An architecture that kernels are compiled for --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_GPUTARGET_H
#define TRANSXSSM_CODEGEN_NVPTX_GPUTARGET_H

#include <string>

namespace transxssm::nvptx {

struct GpuTarget {
  std::string Name; ///< "sm_80", "sm_90a"

  /// Whether four warps multiply together, operands in shared memory.
  bool hasWgmma() const { return Name == "sm_90a"; }
};

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_GPUTARGET_H
