//===- GlobalMemory.cpp - The buffers of simulated kernels ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/GlobalMemory.h"
#include "runtime/sim/Machine.h"

#include <algorithm>

using namespace transxssm;
using namespace transxssm::sim;

namespace {
constexpr uint32_t ManyBlocks = ~uint32_t(0);
constexpr uint64_t SectorBytes = 32;
} // namespace

GlobalBuffer::GlobalBuffer(uint64_t Begin, uint64_t Bytes, std::string Name,
                           bool Initialized)
    : Begin(Begin), Bytes(Bytes), Name(std::move(Name)),
      Initialized(Initialized), Chunks((Bytes / 4 + ChunkCells) / ChunkCells) {}

GlobalBuffer::Cell &GlobalBuffer::cell(uint64_t Word) {
  std::unique_ptr<Cell[]> &Chunk = Chunks[Word / ChunkCells];
  if (!Chunk) {
    Chunk.reset(new Cell[ChunkCells]);
    for (uint64_t I = 0; I < ChunkCells; ++I)
      Chunk[I].Initialized = Initialized ? 0xf : 0;
  }
  return Chunk[Word % ChunkCells];
}

void GlobalMemory::declare(const void *Begin, uint64_t Bytes,
                           const std::string &Name, bool Initialized) {
  uint64_t First = reinterpret_cast<uint64_t>(Begin);
  Last = nullptr;
  if (Bytes == 0)
    return;
  auto At = Buffers.lower_bound(First);
  if (At != Buffers.begin()) {
    auto Before = std::prev(At);
    if (Before->first + Before->second->bytes() > First)
      At = Before;
  }
  while (At != Buffers.end() && At->first < First + Bytes)
    At = Buffers.erase(At);
  Buffers[First] =
      std::make_unique<GlobalBuffer>(First, Bytes, Name, Initialized);
}

void GlobalMemory::forget(const void *Begin) {
  Buffers.erase(reinterpret_cast<uint64_t>(Begin));
  Last = nullptr;
}

GlobalBuffer *GlobalMemory::find(uint64_t Address) {
  if (Last && Address - Last->begin() < Last->bytes())
    return Last;
  auto After = Buffers.upper_bound(Address);
  if (After == Buffers.begin())
    return nullptr;
  GlobalBuffer *Found = std::prev(After)->second.get();
  if (Address - Found->begin() >= Found->bytes())
    return nullptr;
  return Last = Found;
}

bool GlobalMemory::access(Machine &Owner, Thread &Self, uint64_t Address,
                          uint32_t Bytes, bool IsWrite, bool IsAtomic,
                          uint32_t Site, const GlobalBuffer *Expected) {
  GlobalBuffer *Buffer = find(Address);
  bool Inside = Buffer && Bytes <= Buffer->begin() + Buffer->bytes() - Address;
  if (!Inside || (Expected && Expected != Buffer)) {
    if (!Expected)
      Expected = Buffer;
    std::string Where =
        Expected ? " at byte " +
                       std::to_string(int64_t(Address - Expected->begin())) +
                       " of '" + Expected->name() + "', which has " +
                       std::to_string(Expected->bytes())
                 : " outside every buffer";
    Owner.report(&Self, ReportKind::GlobalOutOfBounds, Site,
                 (IsWrite ? "writes " : "reads ") + std::to_string(Bytes) +
                     " bytes" + Where);
    return false;
  }
  uint64_t At = Address - Buffer->begin(), End = At + Bytes;
  while (At < End) {
    uint64_t Word = At / 4, Next = std::min(End, Word * 4 + 4);
    GlobalBuffer::Cell &Cell = Buffer->cell(Word);
    if (Next - At == 4 && !Cell.Split) {
      check(Owner, Self, *Buffer, Cell, At, 0xf, IsWrite, IsAtomic, Site);
    } else {
      std::array<GlobalBuffer::Cell, 4> &Parts = Buffer->SplitCells[Word];
      if (!Cell.Split) {
        Cell.Split = true;
        Parts.fill(Cell);
      }
      for (uint64_t Byte = At; Byte < Next; ++Byte)
        check(Owner, Self, *Buffer, Parts[Byte % 4], Byte,
              uint8_t(1u << Byte % 4), IsWrite, IsAtomic, Site);
    }
    At = Next;
  }
  return true;
}

void GlobalMemory::check(Machine &Owner, Thread &Self, GlobalBuffer &Buffer,
                         GlobalBuffer::Cell &At, uint64_t Offset, uint8_t Mask,
                         bool IsWrite, bool IsAtomic, uint32_t Site) {
  if (At.Launch != Owner.launchNumber()) {
    At.Launch = Owner.launchNumber();
    At.WriteBlock = At.ReadBlock = 0;
    At.Read = At.Written = 0;
  }
  if (Owner.options().CountTraffic) {
    uint8_t &Before = IsWrite ? At.Written : At.Read;
    uint8_t New = Mask & ~Before;
    Before |= Mask;
    uint64_t Bytes = uint64_t(__builtin_popcount(New));
    // What the launch itself has written is no input.
    if (!IsWrite && (At.Written & Mask) == Mask)
      Bytes = 0;
    // Memory moves whole sectors.
    if (Buffer.Launch != At.Launch) {
      Buffer.Launch = At.Launch;
      Buffer.BytesRead = Buffer.BytesWritten = 0;
    }
    uint64_t &Sum = IsWrite ? Buffer.BytesWritten : Buffer.BytesRead;
    auto SectorsOf = [](uint64_t Count) {
      return (Count + SectorBytes - 1) / SectorBytes;
    };
    uint64_t Sectors = SectorsOf(Sum + Bytes) - SectorsOf(Sum);
    Sum += Bytes;
    Counters &Into = Owner.counters();
    (IsWrite ? Into.BytesWritten : Into.BytesRead) += SectorBytes * Sectors;
  }
  uint32_t Block = uint32_t(Owner.blockNumber()) + 1;
  auto Race = [&](const char *Did, uint32_t OtherSite) {
    Owner.report(&Self, ReportKind::GlobalRace, Site,
                 (IsWrite ? "writes byte " : "reads byte ") +
                     std::to_string(Offset) + " of '" + Buffer.name() +
                     "', which " + Did + Owner.describe(OtherSite),
                 OtherSite);
  };
  bool ReadsFirst = !IsWrite || IsAtomic;
  if (ReadsFirst && (At.Initialized & Mask) != Mask)
    Owner.report(&Self, ReportKind::GlobalUninitialized, Site,
                 "reads byte " + std::to_string(Offset) + " of '" +
                     Buffer.name() + "', which nobody has written");
  // Atomics order themselves.
  if (At.WriteBlock && !IsAtomic) {
    if (At.WriteBlock != Block)
      Race("another block wrote in the same launch; written at ", At.WriteSite);
    else if (!Self.knows(At.Writer, At.WriteClock))
      Race("another thread of the block wrote with no barrier between; "
           "written at ",
           At.WriteSite);
  }
  if (IsWrite && !IsAtomic && At.ReadBlock && At.ReadBlock != Block)
    Race("another block reads in the same launch; read at ", At.ReadSite);
  if (!IsWrite) {
    At.ReadBlock =
        At.ReadBlock == 0 || At.ReadBlock == Block ? Block : ManyBlocks;
    At.ReadSite = Site;
    return;
  }
  At.Initialized |= Mask;
  At.WriteBlock = Block;
  At.Writer = uint16_t(Self.Number);
  At.WriteClock = Self.Clock;
  At.WriteSite = Site;
}
