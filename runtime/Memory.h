//===- Memory.h - Aligned blocks of memory -------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_MEMORY_H
#define TRANSXSSM_RUNTIME_MEMORY_H

#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace transxssm {

/// Kernels may read (never write) this many bytes past a block's end.
inline constexpr size_t BlockSlackBytes = 4096;

/// A block of zeroed memory, TRANSXSSM_ALIGNMENT-aligned, with slack behind it.
class MemoryBlock {
public:
  /// `Purpose` names the block in the error when memory runs out.
  static Result<MemoryBlock> allocate(uint64_t Bytes,
                                      const std::string &Purpose);

  MemoryBlock() = default;
  ~MemoryBlock();
  MemoryBlock(MemoryBlock &&Other) noexcept;
  MemoryBlock &operator=(MemoryBlock &&Other) noexcept;

  uint8_t *data() const { return Data; }
  uint64_t size() const { return Bytes; }

private:
  uint8_t *Data = nullptr;
  uint64_t Bytes = 0;
  uint64_t MappedBytes = 0; ///< 0 where the block came from the heap
};

/// Tensors side by side in one block, each of them aligned.
class TensorArena {
public:
  static Result<TensorArena> allocate(const std::vector<uint64_t> &Sizes,
                                      const std::string &Purpose);

  bool empty() const { return Pointers.empty(); }
  size_t numTensors() const { return Pointers.size(); }
  void *tensor(size_t Index) const { return Pointers[Index]; }
  const std::vector<void *> &pointers() const { return Pointers; }
  const MemoryBlock &block() const { return Block; }

private:
  MemoryBlock Block;
  std::vector<void *> Pointers;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_MEMORY_H
