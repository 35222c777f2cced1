//===- MbarrierHooks.cpp - mbarriers and fences ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// PTX ISA 9.0, 9.7.13.15 and 9.7.13.4. A phase is complete when all arrivals
// and all expected bytes are there.
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Hooks.h"
#include "runtime/sim/TensorCopies.h"

#include <algorithm>

using namespace transxssm;
using namespace transxssm::sim;

AsyncBarrier *Machine::findBarrier(Thread &Self, uint64_t Offset,
                                   uint32_t Site) {
  auto Found = AsyncBarriers.find(Offset);
  if (Found == AsyncBarriers.end()) {
    report(&Self, ReportKind::EarlyUse, Site,
           "no mbarrier is initialized at byte " +
               std::to_string(int64_t(Offset) - TRANSXSSM_SIM_SHARED_BASE));
    return nullptr;
  }
  if (!Shared.knowsWrite(Self, Offset))
    report(&Self, ReportKind::EarlyUse, Site,
           "the mbarrier's initialization is not ordered before; initialized "
           "at " +
               describe(Found->second.Site),
           Found->second.Site);
  return &Found->second;
}

void Machine::advance(AsyncBarrier &At) {
  if (At.Pending || At.Bytes)
    return;
  ++At.Phase;
  At.Pending = At.Count;
  At.Completed = std::move(At.Arrivals);
  At.Arrivals.reset();
  for (Thread *Each : At.Waiting)
    wake(*Each);
  At.Waiting.clear();
}

void sim::sim_mbarrier_init(TransXSSMSimThread *self, const uint64_t *in,
                            uint64_t *, uint32_t site, uint32_t) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  if (in[0] % 8) {
    Owner.report(&Self, ReportKind::Misaligned, site,
                 "expected an mbarrier aligned to 8 bytes");
    return;
  }
  if (!Owner.shared().access(Self, in[0], 8, SharedAccess::Write, site))
    return;
  AsyncBarrier Made;
  Made.Count = Made.Pending = uint32_t(in[1]);
  Made.Site = site;
  Owner.AsyncBarriers[in[0]] = std::move(Made);
}

void sim::sim_mbarrier_arrive(TransXSSMSimThread *self, const uint64_t *in,
                              uint64_t *out, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  // The predicate of variant 2 does not hold.
  if (variant == 2 && in[1] == 0)
    return;
  AsyncBarrier *At = Owner.findBarrier(Self, in[0], site);
  if (!At)
    return;
  At->Bytes += uint32_t(in[2]);
  out[0] = At->Phase;
  if (variant == 1)
    return;
  if (!At->Arrivals)
    At->Arrivals = std::make_shared<ClockVector>(2 * Owner.numActors(), 0);
  Owner.teach(*At->Arrivals, Self);
  uint32_t Arrivals = uint32_t(in[1]);
  if (At->Pending < Arrivals) {
    Owner.report(&Self, ReportKind::BadOperand, site,
                 "expected at most " + std::to_string(At->Count) +
                     " arrivals in a phase");
    return;
  }
  At->Pending -= Arrivals;
  Owner.advance(*At);
}

void sim::sim_mbarrier_wait(TransXSSMSimThread *self, const uint64_t *in,
                            uint64_t *out, uint32_t site, uint32_t) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  Owner.checkProgress(Self, site);
  out[0] = 1;
  AsyncBarrier *At = Owner.findBarrier(Self, in[0], site);
  if (!At)
    return;
  // Complete phases have parities 0, 1, 0, …: that of the last one passes.
  while ((At->Phase & 1) == (in[1] & 1)) {
    if (!At->InFlight.empty()) {
      TensorCopy Copy = std::move(At->InFlight.back());
      At->InFlight.pop_back();
      landTensorLoad(Owner, *At, Copy);
      continue;
    }
    At->Waiting.push_back(&Self);
    Owner.wait(Self, "an mbarrier", site);
  }
  if (At->Completed)
    Owner.learn(Self, *At->Completed);
}

void sim::sim_fence(TransXSSMSimThread *self, const uint64_t *, uint64_t *,
                    uint32_t, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  if (variant == 1) {
    for (auto &[Offset, Each] : Owner.AsyncBarriers)
      Each.Fenced |= Owner.shared().knowsWrite(Self, Offset);
    return;
  }
  // What the thread knows of, the asynchronous proxy sees from now on.
  auto Seen = std::make_shared<ClockVector>(*Self.Known);
  for (size_t I = 0; I < Owner.numActors(); ++I)
    (*Seen)[Owner.numActors() + I] =
        std::max((*Seen)[Owner.numActors() + I], (*Seen)[I]);
  Self.Known = Seen;
  Self.ProxyClock = Self.Clock++;
}
