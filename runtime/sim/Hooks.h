//===- Hooks.h - What simulated kernels call ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to runtime/sim: the functions of transxssm/sim_abi.h.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_HOOKS_H
#define TRANSXSSM_RUNTIME_SIM_HOOKS_H

#include "runtime/cpu/ObjectLoader.h"
#include "runtime/sim/Machine.h"
#include "runtime/support/HalfFloats.h"

namespace transxssm::sim {

/// By name, for the object loader.
const HostSymbols &hookSymbols();

/// Calls the entry function of a loaded object.
const TransXSSMSimModule *enterModule(uint64_t Address);

inline Thread &threadOf(TransXSSMSimThread *Self) {
  return *static_cast<Thread *>(Self);
}

inline float asFloat(uint64_t Slot) { return floatOfBits(uint32_t(Slot)); }
inline uint64_t asSlot(float Value) { return bitsOfFloat(Value); }

// C names, as in the code that calls them.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {
void *sim_access(TransXSSMSimThread *self, uint64_t address, uint32_t what,
                 uint32_t site, uint32_t active);
#define DECLARE(NAME)                                                          \
  void NAME(TransXSSMSimThread *self, const uint64_t *in, uint64_t *out,       \
            uint32_t site, uint32_t variant);
TRANSXSSM_SIM_HOOKS(DECLARE)
#undef DECLARE
}
// NOLINTEND(readability-identifier-naming)

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_HOOKS_H
