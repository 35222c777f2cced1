//===- Memory.cpp - Aligned blocks of memory -----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Memory.h"

#include "runtime/support/Alignment.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <sys/mman.h>

using namespace transxssm;

namespace {

/// From this size on a block is mapped by itself: it is zero without being
/// touched and may use huge pages.
constexpr uint64_t MapFrom = uint64_t(4) << 20;

} // namespace

MemorySpace::~MemorySpace() = default;

Result<MemoryBlock> MemoryBlock::allocate(uint64_t Bytes,
                                          const std::string &Purpose,
                                          const SharedSpace &Space) {
  MemoryBlock Block;
  if (Space) {
    Result<void *> Made = Space->allocate(Bytes, Purpose);
    if (!Made)
      return Made.error();
    Block.Space = Space;
    Block.Data = static_cast<uint8_t *>(*Made);
    Block.Bytes = Bytes;
    return Block;
  }
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
  if (Space) {
    if (Data)
      Space->release(Data);
  } else if (MappedBytes)
    ::munmap(Data, MappedBytes);
  else
    std::free(Data);
}

MemoryBlock::MemoryBlock(MemoryBlock &&Other) noexcept
    : Space(std::move(Other.Space)), Data(std::exchange(Other.Data, nullptr)),
      Bytes(std::exchange(Other.Bytes, 0)),
      MappedBytes(std::exchange(Other.MappedBytes, 0)) {}

MemoryBlock &MemoryBlock::operator=(MemoryBlock &&Other) noexcept {
  std::swap(Space, Other.Space);
  std::swap(Data, Other.Data);
  std::swap(Bytes, Other.Bytes);
  std::swap(MappedBytes, Other.MappedBytes);
  return *this;
}

Status MemoryBlock::write(uint64_t Offset, const void *From, uint64_t Count) {
  if (Space)
    return Space->copyIn(Data + Offset, From, Count);
  if (Count)
    std::memcpy(Data + Offset, From, Count);
  return {};
}

Status MemoryBlock::read(uint64_t Offset, void *Into, uint64_t Count) const {
  if (Space)
    return Space->copyOut(Into, Data + Offset, Count);
  if (Count)
    std::memcpy(Into, Data + Offset, Count);
  return {};
}

Status MemoryBlock::copyFrom(const MemoryBlock &Other) {
  if (Space)
    return Space->copyWithin(Data, Other.Data, Bytes);
  if (Bytes)
    std::memcpy(Data, Other.Data, Bytes);
  return {};
}

Status MemoryBlock::zero() {
  if (Space)
    return Space->zero(Data, Bytes);
  if (Bytes)
    std::memset(Data, 0, Bytes);
  return {};
}

Result<TensorArena> TensorArena::allocate(const std::vector<uint64_t> &Sizes,
                                          const std::string &Purpose,
                                          const SharedSpace &Space) {
  uint64_t Total = 0;
  for (uint64_t Bytes : Sizes)
    if (__builtin_add_overflow(Total, alignUp(Bytes), &Total) ||
        Total > uint64_t(1) << 47)
      return makeError("cannot allocate more than 2^47 bytes for ", Purpose);
  Result<MemoryBlock> Block = MemoryBlock::allocate(Total, Purpose, Space);
  if (!Block)
    return Block.error();
  TensorArena Arena;
  Arena.Sizes = Sizes;
  Arena.Block = std::move(*Block);
  uint64_t Offset = 0;
  for (uint64_t Bytes : Sizes) {
    Arena.Pointers.push_back(Arena.Block.data() + Offset);
    Offset += alignUp(Bytes);
  }
  return Arena;
}

Status TensorArena::write(size_t Index, uint64_t Offset, const void *From,
                          uint64_t Bytes) {
  uint64_t Start =
      uint64_t(static_cast<uint8_t *>(Pointers[Index]) - Block.data());
  return Block.write(Start + Offset, From, Bytes);
}

Result<HostBytes> TensorArena::read(size_t Index) const {
  if (onHost())
    return HostBytes{Pointers[Index], nullptr};
  std::shared_ptr<uint8_t[]> Copy(
      new (std::nothrow) uint8_t[std::max<uint64_t>(Sizes[Index], 1)]);
  if (!Copy)
    return makeError("cannot allocate ", Sizes[Index],
                     " bytes for a copy of a tensor");
  uint64_t Start =
      uint64_t(static_cast<uint8_t *>(Pointers[Index]) - Block.data());
  if (Status Done = Block.read(Start, Copy.get(), Sizes[Index]); !Done)
    return Done.error();
  return HostBytes{Copy.get(), std::shared_ptr<void>(Copy, Copy.get())};
}
