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

#include <cstdint>
#include <string>
#include <vector>

namespace transxssm::nvptx {

/// How a kernel wants a tensor of bf16 in global memory described to the unit
/// that copies boxes of it: dense, zeros outside, boxes with 128 byte swizzle
/// in shared memory. Whoever launches the kernel makes the description.
struct TensorMap {
  unsigned Operand; ///< number of the memref argument
  /// Its extents, outermost first. -1 stands for the launch's sizes from
  /// FirstSize on, in order.
  std::vector<int64_t> Shape;
  unsigned FirstSize;
  std::vector<int64_t> Box; ///< extents of a box, outermost first
};

struct GpuTarget {
  std::string Name; ///< "sm_80", "sm_90a"
  /// Whether whoever launches kernels makes tensor maps for them.
  bool TensorMaps = false;

  /// Whether four warps multiply together, operands in shared memory.
  bool hasWgmma() const { return Name == "sm_90a"; }
};

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_GPUTARGET_H
