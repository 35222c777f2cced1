//===- Alignment.h - Where buffers begin ----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SUPPORT_ALIGNMENT_H
#define TRANSXSSM_RUNTIME_SUPPORT_ALIGNMENT_H

#include "transxssm/kernel_abi.h"

#include <cstdint>

namespace transxssm {

/// Rounded up to a multiple of TRANSXSSM_ALIGNMENT; at most 2^63 bytes.
constexpr uint64_t alignUp(uint64_t Bytes) {
  constexpr uint64_t Alignment = TRANSXSSM_ALIGNMENT;
  return (Bytes + Alignment - 1) / Alignment * Alignment;
}

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SUPPORT_ALIGNMENT_H
