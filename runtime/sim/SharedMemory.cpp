//===- SharedMemory.cpp - Shared memory of a block, watched ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/SharedMemory.h"
#include "runtime/sim/Machine.h"

#include <algorithm>
#include <cstring>

#include <sys/mman.h>

using namespace transxssm;
using namespace transxssm::sim;

namespace {
/// Bytes that are no plausible number: all ones is a NaN in every format.
constexpr int Garbage = 0xff;
} // namespace

SharedMemory::~SharedMemory() {
  if (Window)
    ::munmap(Window, WindowBytes);
}

Status SharedMemory::reset(uint64_t Bytes, uint64_t Limit) {
  Limit = std::min(Limit, WindowBytes - TRANSXSSM_SIM_SHARED_BASE);
  if (Bytes > Limit)
    return makeError("shared memory: expected at most ", Limit, " bytes, got ",
                     Bytes);
  if (!Window) {
    // mmap aligns to pages; the kernels' alignments are at most 1024.
    void *Memory = ::mmap(nullptr, WindowBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (Memory == MAP_FAILED)
      return makeError("cannot map the simulator's shared memory");
    Window = static_cast<uint8_t *>(Memory);
  }
  Begin = TRANSXSSM_SIM_SHARED_BASE;
  End = Begin + Bytes;
  std::memset(Window + Begin, Garbage, Bytes);
  Cells.assign((Bytes + 3) / 4, Cell());
  Splits.assign(Cells.size(), 0);
  SplitCells.clear();
  FreeReaderSets.clear();
  for (uint32_t I = 0; I < ReaderSets.size(); ++I)
    FreeReaderSets.push_back(I);
  return {};
}

bool SharedMemory::checkBounds(Thread &Self, uint64_t Offset, uint32_t Bytes,
                               bool IsWrite, uint32_t Site) {
  auto Say = [&](uint64_t From, uint64_t Size, const char *Of) {
    Owner.report(&Self, ReportKind::SharedOutOfBounds, Site,
                 (IsWrite ? "writes " : "reads ") + std::to_string(Bytes) +
                     " bytes at byte " +
                     std::to_string(int64_t(Offset - From)) + Of +
                     std::to_string(Size));
    return false;
  };
  const TransXSSMSimSite &Place = Owner.site(Site);
  if (Place.SharedBytes &&
      (Offset < Place.SharedBegin ||
       Offset + Bytes > Place.SharedBegin + Place.SharedBytes))
    return Say(Place.SharedBegin, Place.SharedBytes, " of an array of ");
  if (Offset < Begin || Offset > End || Bytes > End - Offset)
    return Say(Begin, End - Begin, " of ");
  return true;
}

void SharedMemory::split(uint64_t Word) {
  if (Splits[Word])
    return;
  std::array<Cell, 4> Parts;
  for (Cell &Part : Parts) {
    Part = Cells[Word];
    if (Part.ReadClock && Part.Reader == Many && &Part != &Parts[0]) {
      uint32_t Copied = Cells[Word].Readers;
      ReaderSets.push_back(ReaderSets[Copied]);
      Part.Readers = uint32_t(ReaderSets.size() - 1);
    }
  }
  SplitCells.push_back(Parts);
  Splits[Word] = uint32_t(SplitCells.size());
}

/// Visits the cells of a range, with the offset of each. With `Merge`, words
/// that are covered whole have one cell afterwards.
template <typename Visitor>
void SharedMemory::forEachCell(uint64_t Offset, uint32_t Bytes, bool Merge,
                               Visitor Visit) {
  uint64_t At = Offset - Begin, Stop = At + Bytes;
  while (At < Stop) {
    uint64_t Word = At / 4;
    bool Whole = At % 4 == 0 && Stop - At >= 4;
    if (Whole && !Splits[Word]) {
      Visit(Cells[Word], At);
      At += 4;
      continue;
    }
    split(Word);
    uint64_t PartEnd = std::min(Stop, Word * 4 + 4);
    for (; At < PartEnd; ++At)
      Visit(SplitCells[Splits[Word] - 1][At % 4], At);
    if (Whole && Merge) {
      std::array<Cell, 4> &Parts = SplitCells[Splits[Word] - 1];
      Cells[Word] = Parts[0];
      for (size_t I = 1; I < 4; ++I)
        dropReaders(Parts[I]);
      Splits[Word] = 0;
    }
  }
}

uint8_t *SharedMemory::access(Thread &Self, uint64_t Offset, uint32_t Bytes,
                              SharedAccess Kind, uint32_t Site) {
  bool IsWrite = Kind != SharedAccess::Read && Kind != SharedAccess::ProxyRead;
  if (!checkBounds(Self, Offset, Bytes, IsWrite, Site))
    return nullptr;
  forEachCell(Offset, Bytes, IsWrite, [&](Cell &At, uint64_t Place) {
    if (IsWrite)
      write(Self, At, Place, Site, Kind);
    else
      read(Self, At, Place, Site, Kind == SharedAccess::ProxyRead);
  });
  return Window + Offset;
}

void SharedMemory::land(Thread &Self, uint64_t Offset, uint32_t Bytes,
                        uint32_t Site) {
  forEachCell(Offset, Bytes, true, [&](Cell &At, uint64_t) {
    At.InFlight = false;
    At.Writer = uint16_t(Self.Number);
    At.WriteClock = Self.Clock;
    At.WriteSite = Site;
  });
}

void SharedMemory::landProxy(uint32_t Actor, uint32_t Clock, uint64_t Offset,
                             uint32_t Bytes, uint32_t Site) {
  forEachCell(Offset, Bytes, true, [&](Cell &At, uint64_t) {
    At.InFlight = false;
    At.Writer = uint16_t(Actor);
    At.WriteClock = Clock;
    At.WriteSite = Site;
    At.ByProxy = true;
  });
}

void SharedMemory::releaseRead(Thread &Self, uint64_t Offset, uint32_t Bytes,
                               uint32_t Site) {
  forEachCell(Offset, Bytes, false, [&](Cell &At, uint64_t) {
    if (At.ReadsInFlight)
      --At.ReadsInFlight;
    At.ReadSite = Site;
    addReader(Self, At);
  });
}

bool SharedMemory::knowsWrite(Thread &Self, uint64_t Offset) {
  bool Known = true;
  forEachCell(Offset, 1, false, [&](Cell &At, uint64_t) {
    Known = At.WriteClock && Self.knows(At.Writer, At.WriteClock);
  });
  return Known;
}

//===----------------------------------------------------------------------===//
// One cell
//===----------------------------------------------------------------------===//

void SharedMemory::dropReaders(Cell &At) {
  if (At.ReadClock && At.Reader == Many)
    FreeReaderSets.push_back(At.Readers);
  At.ReadClock = 0;
  At.Reader = 0;
}

/// A set that has outgrown the largest block keeps the last read of each
/// thread alone.
static void addTo(std::vector<std::pair<uint32_t, uint32_t>> &Readers,
                  const Thread &Self) {
  constexpr size_t Enough = 2048;
  Readers.emplace_back(Self.Number, Self.Clock);
  if (Readers.size() < Enough)
    return;
  std::sort(Readers.begin(), Readers.end(), std::greater<>());
  auto SameThread = [](const auto &A, const auto &B) {
    return A.first == B.first;
  };
  Readers.erase(std::unique(Readers.begin(), Readers.end(), SameThread),
                Readers.end());
}

/// Whoever has read the cell before this thread, in an order that it knows, is
/// ordered before whatever follows it; only the others must be kept.
void SharedMemory::addReader(Thread &Self, Cell &At) {
  bool Ordered = At.ReadClock == 0 || Self.Epoch > At.ReadEpoch;
  if (!Ordered && At.Reader == Many) {
    addTo(ReaderSets[At.Readers], Self);
    return;
  }
  if (Ordered || Self.knows(At.Reader, At.ReadClock)) {
    dropReaders(At);
    At.Reader = uint16_t(Self.Number);
    At.ReadClock = Self.Clock;
    At.ReadEpoch = Self.Epoch;
    return;
  }
  if (FreeReaderSets.empty()) {
    FreeReaderSets.push_back(uint32_t(ReaderSets.size()));
    ReaderSets.emplace_back();
  }
  At.Readers = FreeReaderSets.back();
  FreeReaderSets.pop_back();
  ReaderSets[At.Readers] = {{At.Reader, At.ReadClock},
                            {Self.Number, Self.Clock}};
  At.Reader = Many;
  At.ReadEpoch = std::max(At.ReadEpoch, Self.Epoch);
}

void SharedMemory::read(Thread &Self, Cell &At, uint64_t Offset, uint32_t Site,
                        bool IsProxy) {
  auto Place = [&] { return "reads byte " + std::to_string(Offset); };
  if (At.InFlight) {
    Owner.report(&Self, ReportKind::AsyncRace, Site,
                 Place() + ", which an asynchronous copy of thread " +
                     std::to_string(At.Writer) +
                     " writes that is not waited for; copied at " +
                     Owner.describe(At.WriteSite),
                 At.WriteSite);
    return;
  }
  if (At.WriteClock == 0) {
    Owner.report(&Self, ReportKind::SharedUninitialized, Site,
                 Place() + ", which no thread has written");
  } else if (!Self.knows(At.Writer, At.WriteClock)) {
    Owner.report(&Self, ReportKind::SharedRace, Site,
                 Place() + ", which thread " + std::to_string(At.Writer) +
                     " wrote with no barrier between; written at " +
                     Owner.describe(At.WriteSite),
                 At.WriteSite);
  } else if (IsProxy && !At.ByProxy &&
             !Self.proxyKnows(At.Writer, At.WriteClock)) {
    Owner.report(&Self, ReportKind::MissingFence, Site,
                 Place() + " through the asynchronous proxy, which thread " +
                     std::to_string(At.Writer) +
                     " wrote with no fence.proxy.async since; written at " +
                     Owner.describe(At.WriteSite),
                 At.WriteSite);
  }
  At.ReadSite = Site;
  if (IsProxy) {
    ++At.ReadsInFlight;
    return;
  }
  if (At.Reader != Self.Number || At.ReadClock != Self.Clock)
    addReader(Self, At);
}

/// A thread that reads the cell without an order to this one's write; null
/// where there is none.
const char *SharedMemory::unorderedReader(Thread &Self, const Cell &At,
                                          uint32_t &Other) {
  if (At.ReadClock == 0 || Self.Epoch > At.ReadEpoch)
    return nullptr;
  if (At.Reader != Many) {
    Other = At.Reader;
    return Self.knows(At.Reader, At.ReadClock) ? nullptr : "reads";
  }
  // The lowest number, whatever order they came in.
  const char *Found = nullptr;
  for (const auto &[Reader, Clock] : ReaderSets[At.Readers])
    if (!Self.knows(Reader, Clock) && (!Found || Reader < Other)) {
      Other = Reader;
      Found = "reads";
    }
  return Found;
}

void SharedMemory::write(Thread &Self, Cell &At, uint64_t Offset, uint32_t Site,
                         SharedAccess Kind) {
  uint32_t Other = 0;
  auto Say = [&](ReportKind What, const std::string &Rest, uint32_t OtherSite) {
    Owner.report(&Self, What, Site,
                 "writes byte " + std::to_string(Offset) + ", which " + Rest +
                     Owner.describe(OtherSite),
                 OtherSite);
  };
  if (At.InFlight)
    Say(ReportKind::AsyncRace,
        "an asynchronous copy of thread " + std::to_string(At.Writer) +
            " writes that is not waited for; copied at ",
        At.WriteSite);
  else if (At.ReadsInFlight)
    Say(ReportKind::AsyncRace,
        "the asynchronous proxy reads and nobody has waited for; read at ",
        At.ReadSite);
  else if (At.WriteClock && !Self.knows(At.Writer, At.WriteClock))
    Say(ReportKind::SharedRace,
        "thread " + std::to_string(At.Writer) +
            " wrote with no barrier between; written at ",
        At.WriteSite);
  else if (unorderedReader(Self, At, Other))
    Say(ReportKind::SharedRace,
        "thread " + std::to_string(Other) +
            " reads with no barrier between; read at ",
        At.ReadSite);
  dropReaders(At);
  At.Writer = uint16_t(Self.Number);
  At.WriteClock = Self.Clock;
  At.WriteSite = Site;
  At.InFlight = Kind != SharedAccess::Write;
  At.ByProxy = Kind == SharedAccess::ProxyWrite;
}
