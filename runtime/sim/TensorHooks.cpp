//===- TensorHooks.cpp - The tensor memory accelerator --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// PTX ISA 9.0, 5.5 (tensors, boxes, swizzles) and 9.7.9.27. Elements outside
// the tensor load as zeros and are not stored.
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Hooks.h"
#include "runtime/sim/TensorCopies.h"

#include <algorithm>

using namespace transxssm;
using namespace transxssm::sim;

namespace {

uint32_t boxBytes(const TransXSSMSimTensorMap &Map) {
  uint32_t Bytes = Map.ElementBytes;
  for (uint32_t D = 0; D < Map.Rank; ++D)
    Bytes *= Map.Box[D];
  return Bytes;
}

/// Visits the rows of a box: offset in the box, global address of column 0 of
/// the tensor, whether the row lies in the tensor.
template <typename Visitor>
void forEachRow(const TensorCopy &Copy, Visitor Visit) {
  const TransXSSMSimTensorMap &Map = *Copy.Map;
  uint32_t Rows = 1, RowBytes = Map.Box[0] * Map.ElementBytes;
  for (uint32_t D = 1; D < Map.Rank; ++D)
    Rows *= Map.Box[D];
  for (uint32_t Row = 0; Row < Rows; ++Row) {
    uint64_t Address = Map.Base;
    bool Inside = true;
    uint32_t Rest = Row;
    for (uint32_t D = 1; D < Map.Rank; ++D) {
      int64_t At = int64_t(Copy.Coordinates[D]) + Rest % Map.Box[D];
      Rest /= Map.Box[D];
      Inside &= At >= 0 && At < int64_t(Map.Extent[D]);
      Address += uint64_t(At * int64_t(Map.Stride[D - 1]));
    }
    Visit(Row * RowBytes, Address, Inside);
  }
}

/// The columns of the box that lie in the tensor: first and one past the last,
/// counted in the tensor.
std::pair<int64_t, int64_t> columnsInside(const TensorCopy &Copy) {
  int64_t First = Copy.Coordinates[0];
  return {std::max<int64_t>(First, 0),
          std::min<int64_t>(First + Copy.Map->Box[0],
                            int64_t(Copy.Map->Extent[0]))};
}

/// Copies between a row of the box and the tensor, column by column.
template <typename Move>
void moveRow(Machine &Owner, const TensorCopy &Copy, uint32_t RowOffset,
             uint64_t Address, bool Inside, Move Each) {
  const TransXSSMSimTensorMap &Map = *Copy.Map;
  auto [First, Last] = columnsInside(Copy);
  for (uint32_t C = 0; C < Map.Box[0]; ++C) {
    int64_t Column = int64_t(Copy.Coordinates[0]) + C;
    uint64_t Place =
        swizzled(Copy.Shared + RowOffset + C * Map.ElementBytes, Map.Swizzle);
    bool InTensor = Inside && Column >= First && Column < Last;
    Each(Owner.shared().at(Place),
         InTensor ? reinterpret_cast<uint8_t *>(Address + uint64_t(Column) *
                                                              Map.ElementBytes)
                  : nullptr);
  }
}

/// What the driver and the instruction demand; true when all is well.
bool check(Machine &Owner, Thread &Self, const TensorCopy &Copy,
           uint32_t Rank) {
  const TransXSSMSimTensorMap &Map = *Copy.Map;
  std::string Wrong;
  uint32_t RowBytes = Map.Box[0] * Map.ElementBytes;
  uint32_t Alignment = Map.Swizzle ? Map.Swizzle * 8u : 128u;
  if (Map.Rank != Rank)
    Wrong = "the tensor map has rank " + std::to_string(Map.Rank) +
            ", the instruction " + std::to_string(Rank);
  else if (RowBytes % 16 || Map.Base % 16)
    Wrong = "rows of the box and the base must be multiples of 16 bytes";
  else if (Map.Swizzle && RowBytes > Map.Swizzle)
    Wrong = "a row of the box has " + std::to_string(RowBytes) +
            " bytes, the swizzle " + std::to_string(Map.Swizzle);
  else if (Copy.Shared % Alignment)
    Wrong = "the shared address must be aligned to " +
            std::to_string(Alignment) + " bytes";
  for (uint32_t D = 0; D < Map.Rank && Wrong.empty(); ++D)
    if (Map.Box[D] == 0 || Map.Box[D] > 256 || (D && Map.Stride[D - 1] % 16))
      Wrong = "boxes have 1 to 256 elements a side and strides of multiples "
              "of 16 bytes";
  if (Wrong.empty())
    return true;
  Owner.report(&Self, ReportKind::BadOperand, Copy.Site, Wrong);
  return false;
}

TensorCopy makeCopy(const uint64_t *Map, uint64_t Shared, uint32_t Rank,
                    uint32_t Site) {
  TensorCopy Copy;
  Copy.Map = reinterpret_cast<const TransXSSMSimTensorMap *>(Map[0]);
  Copy.Shared = uint32_t(Shared);
  Copy.Bytes = boxBytes(*Copy.Map);
  Copy.Site = Site;
  for (uint32_t D = 0; D < Rank && D < 5; ++D)
    Copy.Coordinates[D] = int32_t(Map[1 + D]);
  return Copy;
}

/// Checks the part of global memory that the box covers.
bool checkGlobal(Machine &Owner, Thread &Self, const TensorCopy &Copy,
                 bool IsWrite) {
  auto [First, Last] = columnsInside(Copy);
  bool Good = true;
  forEachRow(Copy, [&, First = First, Last = Last](uint32_t, uint64_t Address,
                                                   bool Inside) {
    uint32_t Size = Copy.Map->ElementBytes;
    if (Good && Inside && First < Last)
      Good = Owner.global().access(
          Owner, Self, Address + uint64_t(First) * Size,
          uint32_t(Last - First) * Size, IsWrite, false, Copy.Site, nullptr);
    if (Owner.options().CountTraffic && Inside && First < Last)
      countBulk(Address + uint64_t(First) * Size, uint64_t(Last - First) * Size,
                IsWrite, Owner.counters(), Owner.cache());
  });
  return Good;
}

void readStore(Machine &Owner, TensorCopy &Copy) {
  forEachRow(Copy, [&](uint32_t Offset, uint64_t Address, bool Inside) {
    moveRow(Owner, Copy, Offset, Address, Inside,
            [&](uint8_t *From, uint8_t *) {
              Copy.Data.insert(Copy.Data.end(), From,
                               From + Copy.Map->ElementBytes);
            });
  });
}

void finishRead(Machine &Owner, Thread &Self, TensorCopy &Copy) {
  if (Copy.ReadDone)
    return;
  Copy.ReadDone = true;
  if (Copy.Data.empty())
    readStore(Owner, Copy);
  Owner.shared().releaseRead(Self, Copy.Shared, Copy.Bytes, Copy.Site);
}

void finishStore(Machine &Owner, Thread &Self, TensorCopy &Copy) {
  finishRead(Owner, Self, Copy);
  const uint8_t *From = Copy.Data.data();
  forEachRow(Copy, [&](uint32_t Offset, uint64_t Address, bool Inside) {
    moveRow(Owner, Copy, Offset, Address, Inside, [&](uint8_t *, uint8_t *To) {
      if (To)
        std::memcpy(To, From, Copy.Map->ElementBytes);
      From += Copy.Map->ElementBytes;
    });
  });
}

} // namespace

void sim::landTensorLoad(Machine &Owner, AsyncBarrier &At,
                         const TensorCopy &Copy) {
  forEachRow(Copy, [&](uint32_t Offset, uint64_t Address, bool Inside) {
    moveRow(Owner, Copy, Offset, Address, Inside,
            [&](uint8_t *To, uint8_t *From) {
              if (From)
                std::memcpy(To, From, Copy.Map->ElementBytes);
              else
                std::memset(To, 0, Copy.Map->ElementBytes);
            });
  });
  uint32_t Actor = Owner.acceleratorActor();
  Owner.shared().landProxy(Actor, Copy.Clock, Copy.Shared, Copy.Bytes,
                           Copy.Site);
  if (!At.Arrivals)
    At.Arrivals = std::make_shared<ClockVector>(2 * Owner.numActors(), 0);
  (*At.Arrivals)[Actor] = std::max((*At.Arrivals)[Actor], Copy.Clock);
  At.Bytes -= Copy.Bytes;
  Owner.advance(At);
}

void sim::sim_tensor_load(TransXSSMSimThread *self, const uint64_t *in,
                          uint64_t *, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  TensorCopy Copy = makeCopy(in + 2, in[0], variant, site);
  AsyncBarrier *At = Owner.findBarrier(Self, in[1], site);
  if (!At || !check(Owner, Self, Copy, variant) ||
      !checkGlobal(Owner, Self, Copy, false))
    return;
  if (!At->Fenced)
    Owner.report(&Self, ReportKind::MissingFence, site,
                 "the mbarrier was initialized with no fence.mbarrier_init "
                 "since");
  if (!Owner.shared().access(Self, Copy.Shared, Copy.Bytes,
                             SharedAccess::ProxyWrite, site))
    return;
  Copy.Clock = Owner.AcceleratorClock++;
  if (Owner.options().EarlyCopies) {
    landTensorLoad(Owner, *At, Copy);
    return;
  }
  At->InFlight.push_back(std::move(Copy));
  // Whoever waits makes it land.
  for (Thread *Each : At->Waiting)
    Owner.wake(*Each);
  At->Waiting.clear();
}

void sim::sim_tensor_store(TransXSSMSimThread *self, const uint64_t *in,
                           uint64_t *, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  TensorCopy Copy = makeCopy(in + 1, in[0], variant, site);
  if (!check(Owner, Self, Copy, variant) ||
      !Owner.shared().access(Self, Copy.Shared, Copy.Bytes,
                             SharedAccess::ProxyRead, site) ||
      !checkGlobal(Owner, Self, Copy, true))
    return;
  if (Owner.options().EarlyCopies)
    readStore(Owner, Copy);
  Self.OpenStores.push_back(std::move(Copy));
}

void sim::sim_bulk_commit(TransXSSMSimThread *self, const uint64_t *,
                          uint64_t *, uint32_t, uint32_t) {
  Thread &Self = threadOf(self);
  Self.StoreGroups.push_back(std::move(Self.OpenStores));
  Self.OpenStores.clear();
}

void sim::sim_bulk_wait(TransXSSMSimThread *self, const uint64_t *in,
                        uint64_t *, uint32_t, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  size_t Keep = size_t(in[0]), Count = Self.StoreGroups.size();
  size_t Done = Count > Keep ? Count - Keep : 0;
  for (size_t I = 0; I < Done; ++I)
    for (TensorCopy &Copy : Self.StoreGroups[I])
      variant == 1 ? finishRead(Owner, Self, Copy)
                   : finishStore(Owner, Self, Copy);
  if (variant != 1)
    Self.StoreGroups.erase(Self.StoreGroups.begin(),
                           Self.StoreGroups.begin() + long(Done));
}
