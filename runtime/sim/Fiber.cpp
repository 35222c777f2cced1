//===- Fiber.cpp - Stacks that take turns on one processor ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Fiber.h"

#include <sys/mman.h>

#if !defined(__x86_64__)
#error "the simulator's fibers are written for x86-64"
#endif

using namespace transxssm;
using namespace transxssm::sim;

namespace {
constexpr size_t PageBytes = 4096;
/// Room for a kernel's registers, spilled, and for the hooks that it calls.
constexpr size_t StackBytes = 128 * 1024;
constexpr size_t Stride = StackBytes + PageBytes;
} // namespace

extern "C" {
void transxssmSwitchFiber(void **From, void *To);
void transxssmStartFiber();
}

// The six registers that a callee keeps (System V ABI, 3.2.1) are pushed, the
// stack pointers exchanged, and the other execution's six popped. A new fiber
// finds its argument in r12 and its entry in r13.
asm(R"(
.text
.globl transxssmSwitchFiber
.hidden transxssmSwitchFiber
.type transxssmSwitchFiber, @function
transxssmSwitchFiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size transxssmSwitchFiber, .-transxssmSwitchFiber
.globl transxssmStartFiber
.hidden transxssmStartFiber
.type transxssmStartFiber, @function
transxssmStartFiber:
  movq %r12, %rdi
  callq *%r13
  ud2
.size transxssmStartFiber, .-transxssmStartFiber
)");

void sim::switchFiber(FiberContext *From, FiberContext To) {
  transxssmSwitchFiber(From, To);
}

FiberStacks::~FiberStacks() {
  if (Base)
    ::munmap(Base, Count * Stride);
}

Status FiberStacks::reserve(size_t Wanted) {
  if (Wanted <= Count)
    return {};
  if (Base)
    ::munmap(Base, Count * Stride);
  Base = nullptr;
  Count = 0;
  void *Memory =
      ::mmap(nullptr, Wanted * Stride, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (Memory == MAP_FAILED)
    return makeError("cannot map ", Wanted, " stacks for the simulator");
  Base = static_cast<uint8_t *>(Memory);
  Count = Wanted;
  for (size_t I = 0; I < Count; ++I)
    if (::mprotect(Base + I * Stride, PageBytes, PROT_NONE) != 0)
      return makeError("cannot protect the stacks of the simulator");
  return {};
}

FiberContext FiberStacks::prepare(size_t Index, void (*Entry)(void *),
                                  void *Argument) {
  void **Top = reinterpret_cast<void **>(Base + (Index + 1) * Stride);
  // The entry is called with the stack 16-byte aligned, as the ABI wants.
  *--Top = nullptr;
  *--Top = nullptr;
  *--Top = reinterpret_cast<void *>(&transxssmStartFiber);
  *--Top = nullptr;                         // rbp
  *--Top = nullptr;                         // rbx
  *--Top = Argument;                        // r12
  *--Top = reinterpret_cast<void *>(Entry); // r13
  *--Top = nullptr;                         // r14
  *--Top = nullptr;                         // r15
  return Top;
}

bool FiberStacks::contains(size_t Index, uint64_t Address) const {
  uint64_t Begin = reinterpret_cast<uint64_t>(Base) + Index * Stride;
  return Address - Begin < Stride;
}
