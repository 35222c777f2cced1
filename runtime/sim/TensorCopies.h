//===- TensorCopies.h - Boxes between global and shared memory ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to runtime/sim.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_TENSORCOPIES_H
#define TRANSXSSM_RUNTIME_SIM_TENSORCOPIES_H

#include "runtime/sim/Machine.h"

namespace transxssm::sim {

/// Where 16-byte chunks really lie in a swizzled area: address bits 4 to 6 are
/// exchanged by bits 7 to 9, as many of them as the span has.
inline uint64_t swizzled(uint64_t Offset, uint32_t SpanBytes) {
  switch (SpanBytes) {
  case 128:
    return Offset ^ ((Offset >> 7 & 7) << 4);
  case 64:
    return Offset ^ ((Offset >> 7 & 3) << 4);
  case 32:
    return Offset ^ ((Offset >> 7 & 1) << 4);
  default:
    return Offset;
  }
}

/// The bytes arrive, and the barrier is told.
void landTensorLoad(Machine &Owner, AsyncBarrier &At, const TensorCopy &Copy);

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_TENSORCOPIES_H
