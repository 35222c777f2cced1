//===- Memory.cpp - Aligned blocks of memory -----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Memory.h"

#include "transxssm/kernel_abi.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include <sys/mman.h>

using namespace transxssm;

namespace {

/// From this size on a block is mapped by itself: it is zero without being
/// touched and may use huge pages.
constexpr uint64_t MapFrom = uint64_t(4) << 20;

uint64_t alignUp(uint64_t Bytes) {
  constexpr uint64_t Alignment = TRANSXSSM_ALIGNMENT;
  return (Bytes + Alignment - 1) / Alignment * Alignment;
}

} // namespace

Result<MemoryBlock> MemoryBlock::allocate(uint64_t Bytes,
                                          const std::string &Purpose) {
  MemoryBlock Block;
  uint64_t Total = alignUp(Bytes) + BlockSlackBytes;
  void *Memory = nullptr;
  if (Total >= MapFrom) {
    Memory = ::mmap(nullptr, Total, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (Memory == MAP_FAILED)
      Memory = nullptr;
    else {
      Block.MappedBytes = Total;
      (void)::madvise(Memory, Total, MADV_HUGEPAGE);
    }
  } else {
    Memory = std::aligned_alloc(TRANSXSSM_ALIGNMENT, Total);
    if (Memory)
      std::memset(Memory, 0, Total);
  }
  if (!Memory)
    return makeError("cannot allocate ", Total, " bytes for ", Purpose);
  Block.Data = static_cast<uint8_t *>(Memory);
  Block.Bytes = Bytes;
  return Block;
}

MemoryBlock::~MemoryBlock() {
  if (MappedBytes)
    ::munmap(Data, MappedBytes);
  else
    std::free(Data);
}

MemoryBlock::MemoryBlock(MemoryBlock &&Other) noexcept
    : Data(std::exchange(Other.Data, nullptr)),
      Bytes(std::exchange(Other.Bytes, 0)),
      MappedBytes(std::exchange(Other.MappedBytes, 0)) {}

MemoryBlock &MemoryBlock::operator=(MemoryBlock &&Other) noexcept {
  std::swap(Data, Other.Data);
  std::swap(Bytes, Other.Bytes);
  std::swap(MappedBytes, Other.MappedBytes);
  return *this;
}

Result<TensorArena> TensorArena::allocate(const std::vector<uint64_t> &Sizes,
                                          const std::string &Purpose) {
  uint64_t Total = 0;
  for (uint64_t Bytes : Sizes)
    if (__builtin_add_overflow(Total, alignUp(Bytes), &Total) ||
        Total > uint64_t(1) << 47)
      return makeError("cannot allocate more than 2^47 bytes for ", Purpose);
  Result<MemoryBlock> Block = MemoryBlock::allocate(Total, Purpose);
  if (!Block)
    return Block.error();
  TensorArena Arena;
  Arena.Block = std::move(*Block);
  uint64_t Offset = 0;
  for (uint64_t Bytes : Sizes) {
    Arena.Pointers.push_back(Arena.Block.data() + Offset);
    Offset += alignUp(Bytes);
  }
  return Arena;
}
