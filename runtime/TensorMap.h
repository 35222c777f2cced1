//===- TensorMap.h - What a GPU copies as boxes ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A kernel may copy boxes of a memory operand by the tensor memory accelerator
// (PTX ISA, "Tensors"). Each launch then passes a map of 128 bytes for it,
// behind the sizes. Elements are bf16, dense, in rows of any length; a box has
// rows of 128 bytes, swizzled by 128; what lies outside is zero.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_TENSORMAP_H
#define TRANSXSSM_RUNTIME_TENSORMAP_H

#include "runtime/Device.h"

#include <cstdint>
#include <string>

namespace transxssm {

inline constexpr size_t MaxTensorRank = 5;
inline constexpr uint64_t TensorElementBytes = 2;
/// Elements of a box's row, 128 bytes.
inline constexpr uint32_t TensorBoxColumns = 64;

/// What is wrong with a map of a kernel; empty where nothing is. `Where` starts
/// the message.
Status checkTensorMap(const PackageTensorMap &Map, const PackageKernel &Kernel,
                      const std::string &Where);

/// A map for one launch, dimensions innermost first.
struct BoundTensorMap {
  void *Base = nullptr;
  uint32_t Rank = 0;
  uint64_t Extent[MaxTensorRank] = {};
  uint64_t Stride[MaxTensorRank - 1] = {}; ///< bytes, of dimensions 1, 2, …
  uint32_t Box[MaxTensorRank] = {};
};

/// An error where the tensor is larger than its buffer or cannot be copied.
Result<BoundTensorMap> bindTensorMap(const PackageTensorMap &Map,
                                     const DeviceLaunch &Launch);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_TENSORMAP_H
