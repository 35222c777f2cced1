//===- SharedMemory.h - Shared memory of a block, watched -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to runtime/sim. Beside the bytes, one cell for every four of them
// remembers the last write and the reads since then; an access that is not
// ordered behind them is a race. Cells are split into bytes where an access
// covers a part of one.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_SHAREDMEMORY_H
#define TRANSXSSM_RUNTIME_SIM_SHAREDMEMORY_H

#include "runtime/sim/Thread.h"
#include "runtime/support/Error.h"

#include <array>
#include <cstdint>
#include <vector>

namespace transxssm::sim {

class Machine;

/// Proxy accesses are those of the tensor memory accelerator and wgmma; they
/// are under way until landProxy() or releaseRead().
enum class SharedAccess { Read, Write, AsyncWrite, ProxyRead, ProxyWrite };

class SharedMemory {
public:
  explicit SharedMemory(Machine &Owner) : Owner(Owner) {}
  ~SharedMemory();
  SharedMemory(const SharedMemory &) = delete;
  SharedMemory &operator=(const SharedMemory &) = delete;

  /// Forgets everything; memory has this many bytes from now on and holds
  /// nothing that makes sense. An error for more than `Limit`.
  Status reset(uint64_t Bytes, uint64_t Limit);

  /// Host address of offset 0 of the window.
  uint64_t window() const { return reinterpret_cast<uint64_t>(Window); }
  bool contains(uint64_t HostAddress) const {
    return Window && HostAddress - window() < WindowBytes;
  }

  /// Checks an access by offset; the place to use, or null after a report of
  /// one that is out of bounds.
  uint8_t *access(Thread &Self, uint64_t Offset, uint32_t Bytes,
                  SharedAccess Kind, uint32_t Site);
  /// An asynchronous write by this thread has become its own.
  void land(Thread &Self, uint64_t Offset, uint32_t Bytes, uint32_t Site);
  /// A proxy write has become visible to whoever knows that clock of `Actor`.
  void landProxy(uint32_t Actor, uint32_t Clock, uint64_t Offset,
                 uint32_t Bytes, uint32_t Site);
  /// A proxy read is over; it was one by `Self`.
  void releaseRead(Thread &Self, uint64_t Offset, uint32_t Bytes,
                   uint32_t Site);
  /// Whether the thread knows of the last write of that byte.
  bool knowsWrite(Thread &Self, uint64_t Offset);
  bool inBounds(uint64_t Offset, uint64_t Bytes) const {
    return Offset >= Begin && Offset <= End && Bytes <= End - Offset;
  }
  /// The place at an offset that was checked before.
  uint8_t *at(uint64_t Offset) { return Window + Offset; }

  /// More than any device has.
  static constexpr uint64_t WindowBytes = 256 * 1024;

private:
  static constexpr uint16_t Many = 0xffff;
  struct Cell {
    uint32_t WriteClock = 0; ///< 0: never written
    uint32_t ReadClock = 0;  ///< 0: not read since
    uint32_t WriteSite = 0, ReadSite = 0;
    uint32_t ReadEpoch = 0; ///< of the last read
    uint32_t Readers = 0;   ///< where Reader is Many: element of ReaderSets
    uint16_t Writer = 0, Reader = 0;
    uint16_t ReadsInFlight = 0; ///< by the proxy
    bool InFlight = false;      ///< a write
    bool ByProxy = false;       ///< the last write
  };

  /// Threads that have read a cell, and when; some of them more than once.
  using ReaderSet = std::vector<std::pair<uint32_t, uint32_t>>;

  bool checkBounds(Thread &Self, uint64_t Offset, uint32_t Bytes, bool IsWrite,
                   uint32_t Site);
  template <typename Visitor>
  void forEachCell(uint64_t Offset, uint32_t Bytes, bool Merge, Visitor Visit);
  void split(uint64_t Word);
  void read(Thread &Self, Cell &At, uint64_t Offset, uint32_t Site,
            bool IsProxy);
  void write(Thread &Self, Cell &At, uint64_t Offset, uint32_t Site,
             SharedAccess Kind);
  void addReader(Thread &Self, Cell &At);
  const char *unorderedReader(Thread &Self, const Cell &At, uint32_t &Other);
  void dropReaders(Cell &At);

  Machine &Owner;
  uint8_t *Window = nullptr;
  uint64_t Begin = 0, End = 0;
  std::vector<Cell> Cells;
  std::vector<uint32_t> Splits; ///< per word: 0, or 1 + element of SplitCells
  std::vector<std::array<Cell, 4>> SplitCells;
  std::vector<ReaderSet> ReaderSets;
  std::vector<uint32_t> FreeReaderSets;
};

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_SHAREDMEMORY_H
