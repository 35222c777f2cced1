//===- GuardedMemory.cpp - Arrays between pages that fault ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/codegen/GuardedMemory.h"

#include <cmath>
#include <sys/mman.h>

namespace transxssm::test {

static constexpr size_t PageBytes = 4096;

GuardedMemory::GuardedMemory(size_t Bytes) {
  size_t Inner = (Bytes + PageBytes - 1) / PageBytes * PageBytes;
  MappedBytes = Inner + 2 * PageBytes;
  Base = static_cast<char *>(mmap(nullptr, MappedBytes, PROT_NONE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(Base + PageBytes, Inner, PROT_READ | PROT_WRITE);
  Data = Base + PageBytes + Inner - Bytes;
}

GuardedMemory::~GuardedMemory() { munmap(Base, MappedBytes); }

bool isClose(double Actual, double Expected, double Relative, double Absolute) {
  if (std::isnan(Expected))
    return std::isnan(Actual);
  if (std::isinf(Expected))
    return Actual == Expected;
  return std::abs(Actual - Expected) <=
         Absolute + Relative * std::abs(Expected);
}

} // namespace transxssm::test
