//===- Fiber.h - Stacks that take turns on one processor ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A GPU thread of the simulator is a fiber: it runs until it has to wait for
// others and then switches back to the scheduler. A switch saves the registers
// that a callee must keep, nothing else. Below each stack lies a page that
// faults.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_FIBER_H
#define TRANSXSSM_RUNTIME_SIM_FIBER_H

#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>

namespace transxssm::sim {

/// A suspended execution: its stack pointer.
using FiberContext = void *;

/// Suspends the running execution into `*From` and continues `To`.
void switchFiber(FiberContext *From, FiberContext To);

/// Stacks of equal size, mapped once and reused.
class FiberStacks {
public:
  FiberStacks() = default;
  ~FiberStacks();
  FiberStacks(const FiberStacks &) = delete;
  FiberStacks &operator=(const FiberStacks &) = delete;

  /// Makes sure that there are `Count` stacks.
  Status reserve(size_t Count);

  /// A context that calls Entry(Argument) on stack `Index` when it is switched
  /// to for the first time. Entry never returns.
  FiberContext prepare(size_t Index, void (*Entry)(void *), void *Argument);

  /// Whether the address is on that stack.
  bool contains(size_t Index, uint64_t Address) const;

private:
  uint8_t *Base = nullptr;
  size_t Count = 0;
};

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_FIBER_H
