//===- ArenaPlan.cpp - Placing buffers by live range ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/ArenaPlan.h"

#include "runtime/support/Alignment.h"

#include <algorithm>
#include <numeric>

using namespace transxssm;

namespace {

bool overlapInTime(const ArenaRequest &A, const ArenaRequest &B) {
  return A.FirstUse <= B.LastUse && B.FirstUse <= A.LastUse;
}

} // namespace

ArenaPlan transxssm::planArena(const std::vector<ArenaRequest> &Requests) {
  std::vector<size_t> Order(Requests.size());
  std::iota(Order.begin(), Order.end(), size_t(0));
  std::sort(Order.begin(), Order.end(), [&](size_t A, size_t B) {
    const ArenaRequest &X = Requests[A], &Y = Requests[B];
    if (X.Bytes != Y.Bytes)
      return X.Bytes > Y.Bytes;
    if (X.FirstUse != Y.FirstUse)
      return X.FirstUse < Y.FirstUse;
    return A < B;
  });

  ArenaPlan Plan;
  Plan.Offsets.assign(Requests.size(), 0);
  // Placed buffers by offset: a walk over them meets the gaps from below.
  std::vector<size_t> Placed;
  for (size_t Index : Order) {
    const ArenaRequest &Request = Requests[Index];
    uint64_t Bytes = alignUp(Request.Bytes);
    uint64_t Offset = 0;
    for (size_t Other : Placed) {
      if (!overlapInTime(Request, Requests[Other]))
        continue;
      if (Plan.Offsets[Other] >= Offset + Bytes)
        break;
      Offset = std::max(Offset,
                        Plan.Offsets[Other] + alignUp(Requests[Other].Bytes));
    }
    Plan.Offsets[Index] = Offset;
    Plan.PeakBytes = std::max(Plan.PeakBytes, Offset + Bytes);
    if (Bytes == 0)
      continue;
    auto Position = std::upper_bound(
        Placed.begin(), Placed.end(), Offset,
        [&](uint64_t Value, size_t P) { return Value < Plan.Offsets[P]; });
    Placed.insert(Position, Index);
  }
  return Plan;
}
