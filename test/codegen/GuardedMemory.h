//===- GuardedMemory.h - Arrays between pages that fault --------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_CODEGEN_GUARDEDMEMORY_H
#define TRANSXSSM_TEST_CODEGEN_GUARDEDMEMORY_H

#include <cstddef>
#include <memory>

namespace transxssm::test {

/// Memory whose last byte is followed by a page that faults, and whose first
/// byte is at most a page behind another.
class GuardedMemory {
public:
  explicit GuardedMemory(size_t Bytes);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory &) = delete;
  GuardedMemory &operator=(const GuardedMemory &) = delete;

  void *data() const { return Data; }

private:
  char *Base;
  size_t MappedBytes;
  void *Data;
};

/// An array in guarded memory.
template <typename T> class Array {
public:
  explicit Array(size_t Count, T Value = T())
      : Memory(std::make_shared<GuardedMemory>(Count * sizeof(T))),
        Count(Count) {
    for (size_t I = 0; I < Count; ++I)
      (*this)[I] = Value;
  }
  T &operator[](size_t I) const { return static_cast<T *>(Memory->data())[I]; }
  size_t size() const { return Count; }
  void *data() const { return Memory->data(); }

private:
  std::shared_ptr<GuardedMemory> Memory;
  size_t Count;
};

/// Whether `Actual` is within `Relative` of `Expected`; both NaN, or equal
/// infinities, are close.
bool isClose(double Actual, double Expected, double Relative,
             double Absolute = 0.0);

} // namespace transxssm::test

#endif // TRANSXSSM_TEST_CODEGEN_GUARDEDMEMORY_H
