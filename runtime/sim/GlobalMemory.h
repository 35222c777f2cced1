//===- GlobalMemory.h - The buffers of simulated kernels ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A kernel may touch the bytes of declared buffers alone. Beside each four
// bytes that kernels have touched, a cell remembers whether they were written
// at all and by whom in the running launch: blocks of one launch have no order,
// threads of one block have that of their barriers.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_GLOBALMEMORY_H
#define TRANSXSSM_RUNTIME_SIM_GLOBALMEMORY_H

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace transxssm::sim {

class Machine;
struct Thread;

class GlobalBuffer {
public:
  GlobalBuffer(uint64_t Begin, uint64_t Bytes, std::string Name,
               bool Initialized);

  uint64_t begin() const { return Begin; }
  uint64_t bytes() const { return Bytes; }
  const std::string &name() const { return Name; }

private:
  friend class GlobalMemory;
  struct Cell {
    uint32_t Launch = 0;                    ///< that the rest is about
    uint32_t WriteBlock = 0, ReadBlock = 0; ///< number + 1; 0: none
    uint32_t WriteClock = 0, WriteSite = 0, ReadSite = 0;
    uint16_t Writer = 0;
    uint8_t Initialized = 0;       ///< a bit for each byte
    uint8_t Read = 0, Written = 0; ///< the same, in that launch
    bool Split = false;            ///< bytes have cells of their own
  };
  static constexpr uint64_t ChunkCells = 1024;

  Cell &cell(uint64_t Word);

  uint64_t Begin, Bytes;
  /// Of the launch of that number, each byte once.
  uint64_t Launch = 0, BytesRead = 0, BytesWritten = 0;
  std::string Name;
  bool Initialized;
  std::vector<std::unique_ptr<Cell[]>> Chunks;
  std::unordered_map<uint64_t, std::array<Cell, 4>> SplitCells;
};

class GlobalMemory {
public:
  /// Kernels may touch these bytes from now on, and no longer what was
  /// declared before of the same bytes. `Name` appears in reports.
  void declare(const void *Begin, uint64_t Bytes, const std::string &Name,
               bool Initialized);
  void forget(const void *Begin);
  void clear() {
    Buffers.clear();
    Last = nullptr;
  }

  /// The buffer that the address lies in, or null.
  GlobalBuffer *find(uint64_t Address);

  /// Checks an access; `Expected` is the buffer that the address is derived
  /// from, where known. False after a report of one that is out of bounds.
  bool access(Machine &Owner, Thread &Self, uint64_t Address, uint32_t Bytes,
              bool IsWrite, bool IsAtomic, uint32_t Site,
              const GlobalBuffer *Expected);

private:
  void check(Machine &Owner, Thread &Self, GlobalBuffer &Buffer,
             GlobalBuffer::Cell &At, uint64_t Offset, uint8_t Mask,
             bool IsWrite, bool IsAtomic, uint32_t Site);

  std::map<uint64_t, std::unique_ptr<GlobalBuffer>> Buffers;
  GlobalBuffer *Last = nullptr;
};

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_GLOBALMEMORY_H
