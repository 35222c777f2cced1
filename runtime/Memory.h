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
#include <memory>
#include <string>
#include <vector>

namespace transxssm {

/// Kernels may read (never write) this many bytes past a block's end.
inline constexpr size_t BlockSlackBytes = 4096;

/// Memory of a device that kernels use and the host does not reach. Copies are
/// done when they return; any thread may call. Blocks keep theirs alive.
class MemorySpace {
public:
  virtual ~MemorySpace();

  /// Zeroed memory. `Purpose` names it in the error when memory runs out.
  virtual Result<void *> allocate(uint64_t Bytes,
                                  const std::string &Purpose) = 0;
  virtual void release(void *Memory) = 0;
  virtual Status copyIn(void *To, const void *From, uint64_t Bytes) = 0;
  virtual Status copyOut(void *To, const void *From, uint64_t Bytes) = 0;
  virtual Status copyWithin(void *To, const void *From, uint64_t Bytes) = 0;
  virtual Status zero(void *To, uint64_t Bytes) = 0;
};

/// Null stands for the host's own memory, where nothing needs copying.
using SharedSpace = std::shared_ptr<MemorySpace>;

/// A block of zeroed memory, TRANSXSSM_ALIGNMENT-aligned; on the host with
/// slack behind it.
class MemoryBlock {
public:
  /// `Purpose` names the block in the error when memory runs out.
  static Result<MemoryBlock> allocate(uint64_t Bytes,
                                      const std::string &Purpose,
                                      const SharedSpace &Space = nullptr);

  MemoryBlock() = default;
  ~MemoryBlock();
  MemoryBlock(MemoryBlock &&Other) noexcept;
  MemoryBlock &operator=(MemoryBlock &&Other) noexcept;

  /// An address of the block's space.
  uint8_t *data() const { return Data; }
  uint64_t size() const { return Bytes; }
  bool onHost() const { return !Space; }

  Status write(uint64_t Offset, const void *From, uint64_t Count);
  Status read(uint64_t Offset, void *Into, uint64_t Count) const;
  /// As many bytes as this block has, of a block in the same space.
  Status copyFrom(const MemoryBlock &Other);
  Status zero();

private:
  SharedSpace Space;
  uint8_t *Data = nullptr;
  uint64_t Bytes = 0;
  uint64_t MappedBytes = 0; ///< 0 where the block came from the heap
};

/// A tensor's bytes where the host reaches them.
struct HostBytes {
  void *Data = nullptr;
  /// Holds the copy that Data points to; null where it is the tensor itself.
  std::shared_ptr<void> Copy;
};

/// Tensors side by side in one block, each of them aligned.
class TensorArena {
public:
  static Result<TensorArena> allocate(const std::vector<uint64_t> &Sizes,
                                      const std::string &Purpose,
                                      const SharedSpace &Space = nullptr);

  bool empty() const { return Pointers.empty(); }
  bool onHost() const { return Block.onHost(); }
  size_t numTensors() const { return Pointers.size(); }
  /// An address of the arena's space, as all of pointers().
  void *tensor(size_t Index) const { return Pointers[Index]; }
  const std::vector<void *> &pointers() const { return Pointers; }
  MemoryBlock &block() { return Block; }
  const MemoryBlock &block() const { return Block; }

  Status write(size_t Index, uint64_t Offset, const void *From, uint64_t Bytes);
  /// The tensor itself, or a copy of what it holds now.
  Result<HostBytes> read(size_t Index) const;

private:
  MemoryBlock Block;
  std::vector<void *> Pointers;
  std::vector<uint64_t> Sizes;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_MEMORY_H
