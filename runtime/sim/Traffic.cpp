//===- Traffic.cpp - Counting memory transactions of warps ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Traffic.h"

#include <algorithm>
#include <map>
#include <unordered_map>

using namespace transxssm;
using namespace transxssm::sim;

namespace {

constexpr uint32_t SectorBytes = 32, WordBytes = 4, Banks = 32;
constexpr uint32_t WidestAccess = 16;
constexpr uint32_t SharedFlag = 1u << 30, WriteFlag = 1u << 31;

uint64_t sortUnique(std::vector<uint64_t> &Values) {
  std::sort(Values.begin(), Values.end());
  Values.erase(std::unique(Values.begin(), Values.end()), Values.end());
  return Values.size();
}

constexpr uint64_t Ways = 16;

void countGlobal(const std::vector<uint64_t> &Addresses, uint32_t Bytes,
                 bool IsWrite, Counters &Into, SectorCache &Cache) {
  std::vector<uint64_t> Sectors, Starts = Addresses;
  for (uint64_t Address : Addresses)
    for (uint64_t S = Address / SectorBytes;
         S <= (Address + Bytes - 1) / SectorBytes; ++S)
      Sectors.push_back(S);
  uint64_t Ideal = (sortUnique(Starts) * Bytes + SectorBytes - 1) / SectorBytes;
  uint64_t Count = sortUnique(Sectors);
  (IsWrite ? Into.StoreSectors : Into.LoadSectors) += Count;
  (IsWrite ? Into.StoreSectorsIdeal : Into.LoadSectorsIdeal) += Ideal;
  for (uint64_t Sector : Sectors)
    Into.MissedSectors += Cache.misses(Sector, IsWrite);
}

} // namespace

void SectorCache::reset(uint64_t Bytes) {
  Sets = std::max<uint64_t>(1, Bytes / SectorBytes / Ways);
  Lines.resize(Sets * Ways);
  ++Resets;
  Uses = 0;
}

bool SectorCache::misses(uint64_t Sector, bool IsWrite) {
  // Neighbours lie in different sets; so do, by and large, rows of a matrix.
  uint64_t Mixed = Sector ^ Sector >> 13;
  Line *Set = &Lines[Mixed % Sets * Ways], *Oldest = Set;
  Line *Found = nullptr;
  for (Line *At = Set; At != Set + Ways && !Found; ++At) {
    bool IsEmpty = At->Filled != Resets;
    if (!IsEmpty && At->Sector == Sector)
      Found = At;
    else if (IsEmpty)
      Oldest = At;
    else if (Oldest->Filled == Resets && At->LastUse < Oldest->LastUse)
      Oldest = At;
  }
  if (!Found) {
    Found = Oldest;
    *Found = {Sector, Resets, 0, false, false};
  }
  Found->LastUse = ++Uses;
  bool &Known = IsWrite ? Found->IsWritten : Found->IsRead;
  // What was written is there to be read.
  bool Misses = !Known && (IsWrite || !Found->IsWritten);
  Known = true;
  return Misses;
}

void sim::countBulk(uint64_t Address, uint64_t Bytes, bool IsWrite,
                    Counters &Into, SectorCache &Cache) {
  uint64_t First = Address / SectorBytes;
  uint64_t Last = (Address + Bytes - 1) / SectorBytes;
  (IsWrite ? Into.StoreSectors : Into.LoadSectors) += Last - First + 1;
  (IsWrite ? Into.StoreSectorsIdeal : Into.LoadSectorsIdeal) +=
      (Bytes + SectorBytes - 1) / SectorBytes;
  for (uint64_t Sector = First; Sector <= Last; ++Sector)
    Into.MissedSectors += Cache.misses(Sector, IsWrite);
}

void sim::logAccess(Thread &Self, uint64_t Address, uint32_t Bytes,
                    uint64_t Alignment, bool IsShared, bool IsWrite,
                    uint32_t Site) {
  uint32_t Width =
      uint32_t(std::min<uint64_t>({Bytes, Alignment, WidestAccess}));
  uint32_t What =
      Width | (IsShared ? SharedFlag : 0) | (IsWrite ? WriteFlag : 0);
  for (uint32_t At = 0; At < Bytes; At += Width)
    Self.Log.push_back({Address + At, What, Site});
}

void sim::countShared(const std::vector<uint64_t> &Addresses, uint32_t Bytes,
                      Counters &Into) {
  // 8 and 16 byte accesses are served half a warp and a quarter at a time.
  size_t Together = Bytes <= WordBytes ? 32 : 128 / Bytes;
  for (size_t Begin = 0; Begin < Addresses.size(); Begin += Together) {
    std::vector<uint64_t> Words;
    size_t End = std::min(Addresses.size(), Begin + Together);
    for (size_t I = Begin; I < End; ++I)
      for (uint64_t Word = Addresses[I] / WordBytes;
           Word <= (Addresses[I] + Bytes - 1) / WordBytes; ++Word)
        Words.push_back(Word);
    uint64_t Count = sortUnique(Words), PerBank[Banks] = {}, Waves = 0;
    for (uint64_t Word : Words)
      Waves = std::max(Waves, ++PerBank[Word % Banks]);
    Into.SharedWaves += Waves;
    Into.SharedWavesIdeal += (Count + Banks - 1) / Banks;
  }
}

void sim::flushTraffic(WarpState &Group, Counters &Into, SectorCache &Cache) {
  struct Instruction {
    uint32_t What = 0;
    std::vector<uint64_t> Addresses;
  };
  std::map<std::pair<uint32_t, uint32_t>, Instruction> Instructions;
  for (uint32_t Lane = 0; Lane < Group.Size; ++Lane) {
    std::unordered_map<uint32_t, uint32_t> Occurrences;
    for (const LoggedAccess &Each : Group.Lanes[Lane]->Log) {
      Instruction &At = Instructions[{Each.Site, Occurrences[Each.Site]++}];
      At.What = Each.What;
      At.Addresses.push_back(Each.Address);
    }
    Group.Lanes[Lane]->Log.clear();
  }
  for (const auto &[Key, Each] : Instructions) {
    uint32_t Bytes = Each.What & ~(SharedFlag | WriteFlag);
    if (Each.What & SharedFlag)
      countShared(Each.Addresses, Bytes, Into);
    else
      countGlobal(Each.Addresses, Bytes, Each.What & WriteFlag, Into, Cache);
  }
}
