//===- CopyHooks.cpp - cp.async -------------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A copy lands when its thread waits for it, or at once
// (SimOptions::EarlyCopies); until it is waited for, nobody may touch its bytes
// either way.
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Hooks.h"
#include "runtime/sim/Traffic.h"

using namespace transxssm;
using namespace transxssm::sim;

namespace {

void transfer(Machine &Owner, const AsyncCopy &Copy) {
  uint8_t *To = Owner.shared().at(Copy.To);
  std::memcpy(To, Copy.From, Copy.BytesRead);
  std::memset(To + Copy.BytesRead, 0, Copy.Bytes - Copy.BytesRead);
}

void commit(Thread &Self) {
  Self.CopyGroups.push_back(std::move(Self.OpenCopies));
  Self.OpenCopies.clear();
}

} // namespace

void sim::sim_copy_async(TransXSSMSimThread *self, const uint64_t *in,
                         uint64_t *, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  Owner.checkProgress(Self, site);
  AsyncCopy Copy;
  Copy.To = uint32_t(in[0]);
  Copy.Bytes = variant;
  Copy.BytesRead = uint32_t(in[2]);
  Copy.From = reinterpret_cast<const uint8_t *>(in[1]);
  Copy.Site = site;
  if (Copy.BytesRead > Copy.Bytes) {
    Owner.report(&Self, ReportKind::BadOperand, site,
                 "expected at most " + std::to_string(Copy.Bytes) +
                     " bytes to read, got " + std::to_string(Copy.BytesRead));
    return;
  }
  if (in[0] % Copy.Bytes || in[1] % Copy.Bytes) {
    Owner.report(&Self, ReportKind::Misaligned, site,
                 "expected both addresses aligned to " +
                     std::to_string(Copy.Bytes) + " bytes");
    return;
  }
  if (Copy.BytesRead &&
      !Owner.global().access(Owner, Self, in[1], Copy.BytesRead, false, false,
                             site,
                             Owner.operandBuffer(Owner.site(site).Operand)))
    return;
  if (!Owner.shared().access(Self, in[0], Copy.Bytes, SharedAccess::AsyncWrite,
                             site))
    return;
  if (Owner.options().CountTraffic) {
    if (Copy.BytesRead)
      logAccess(Self, in[1], Copy.Bytes, Copy.Bytes, false, false, site);
    // A site has one kind of access only; sites are far fewer than 2^31.
    logAccess(Self, in[0], Copy.Bytes, Copy.Bytes, true, true, site | 1u << 31);
  }
  if (Owner.options().EarlyCopies)
    transfer(Owner, Copy);
  Self.OpenCopies.push_back(Copy);
}

void sim::sim_copy_async_commit(TransXSSMSimThread *self, const uint64_t *,
                                uint64_t *, uint32_t, uint32_t) {
  commit(threadOf(self));
}

void sim::sim_copy_async_wait(TransXSSMSimThread *self, const uint64_t *in,
                              uint64_t *, uint32_t, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  if (variant == 1)
    commit(Self);
  size_t Keep = variant == 1 ? 0 : size_t(in[0]);
  while (Self.CopyGroups.size() > Keep) {
    for (const AsyncCopy &Copy : Self.CopyGroups.front()) {
      if (!Owner.options().EarlyCopies)
        transfer(Owner, Copy);
      Owner.shared().land(Self, Copy.To, Copy.Bytes, Copy.Site);
    }
    Self.CopyGroups.erase(Self.CopyGroups.begin());
  }
}
