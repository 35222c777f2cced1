//===- WarpHooks.cpp - Barriers, shuffles, votes --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Semantics as in the PTX ISA 9.0, chapters 9.7.9 (shfl.sync) and 9.7.13
// (barriers, votes, elect, redux).
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Hooks.h"

#include <algorithm>

using namespace transxssm;
using namespace transxssm::sim;

void sim::sim_barrier(TransXSSMSimThread *self, const uint64_t *in, uint64_t *,
                      uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Self.Owner->barrier(Self, uint32_t(in[0]), uint32_t(in[1]), variant == 1,
                      site);
}

void sim::sim_warp_barrier(TransXSSMSimThread *self, const uint64_t *in,
                           uint64_t *out, uint32_t site, uint32_t) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  Owner.meet(Self, "bar.warp.sync", uint32_t(in[0]), in, out, site,
             [&](Meeting &At, WarpState &Group) {
               std::vector<Thread *> Joined;
               for (uint32_t Lane = 0; Lane < Group.Size; ++Lane)
                 if (At.Mask >> Lane & 1)
                   Joined.push_back(Group.Lanes[Lane]);
               Owner.join(Joined);
             });
}

namespace {

/// Where lane `Lane` of shfl.sync reads, and whether that is in range.
struct ShuffleSource {
  int Lane;
  bool InRange;
};

ShuffleSource shuffleSource(uint32_t Mode, uint32_t Lane, uint32_t B,
                            uint32_t C) {
  int Value = int(B & 31), Clamp = int(C & 31), Segment = int(C >> 8 & 31);
  int Here = int(Lane);
  int Highest = (Here & Segment) | (Clamp & ~Segment);
  int Lowest = Here & Segment;
  int From = Here;
  bool InRange = false;
  switch (Mode) {
  case 0: // up
    From = Here - Value;
    InRange = From >= Highest;
    break;
  case 1: // down
    From = Here + Value;
    InRange = From <= Highest;
    break;
  case 2: // bfly
    From = Here ^ Value;
    InRange = From <= Highest;
    break;
  case 3: // idx
    From = Lowest | (Value & ~Segment);
    InRange = From <= Highest;
    break;
  }
  return {InRange ? From : Here, InRange};
}

} // namespace

void sim::sim_shuffle(TransXSSMSimThread *self, const uint64_t *in,
                      uint64_t *out, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  Owner.meet(
      Self, "shfl.sync", uint32_t(in[0]), in, out, site,
      [&](Meeting &At, WarpState &Group) {
        for (uint32_t Lane = 0; Lane < Group.Size; ++Lane) {
          if (!(At.Mask >> Lane & 1))
            continue;
          const uint64_t *In = At.In[Lane];
          ShuffleSource Source =
              shuffleSource(variant, Lane, uint32_t(In[2]), uint32_t(In[3]));
          uint32_t From = uint32_t(Source.Lane) & 31;
          if (!(At.Mask >> From & 1)) {
            Owner.report(Group.Lanes[Lane], ReportKind::BadOperand, site,
                         "lane " + std::to_string(Lane) + " reads lane " +
                             std::to_string(From) + ", which takes no part");
            From = Lane;
          }
          At.Out[Lane][0] = At.In[From][1];
          At.Out[Lane][1] = Source.InRange;
        }
      });
}

void sim::sim_vote(TransXSSMSimThread *self, const uint64_t *in, uint64_t *out,
                   uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Self.Owner->meet(Self, "vote.sync", uint32_t(in[0]), in, out, site,
                   [&](Meeting &At, WarpState &Group) {
                     uint32_t True = 0;
                     for (uint32_t Lane = 0; Lane < Group.Size; ++Lane)
                       if (At.Mask >> Lane & 1)
                         True |= uint32_t(At.In[Lane][1] & 1) << Lane;
                     bool All = True == At.Mask, Any = True != 0;
                     const uint32_t Answers[] = {All, Any, All || !Any, True};
                     for (uint32_t Lane = 0; Lane < Group.Size; ++Lane)
                       if (At.Mask >> Lane & 1)
                         At.Out[Lane][0] = Answers[variant & 3];
                   });
}

/// A device may elect any lane; the lowest is what all of them are seen to do.
void sim::sim_elect(TransXSSMSimThread *self, const uint64_t *in, uint64_t *out,
                    uint32_t site, uint32_t) {
  Thread &Self = threadOf(self);
  Self.Owner->meet(Self, "elect.sync", uint32_t(in[0]), in, out, site,
                   [&](Meeting &At, WarpState &Group) {
                     uint32_t Leader = 0;
                     while (!(At.Mask >> Leader & 1))
                       ++Leader;
                     for (uint32_t Lane = 0; Lane < Group.Size; ++Lane)
                       if (At.Mask >> Lane & 1) {
                         At.Out[Lane][0] = Leader;
                         At.Out[Lane][1] = Lane == Leader;
                       }
                   });
}

namespace {
uint32_t reduce(uint32_t Variant, uint32_t A, uint32_t B) {
  int32_t SignedA = int32_t(A), SignedB = int32_t(B);
  switch (Variant) {
  case 0:
    return A + B;
  case 1:
    return A & B;
  case 2:
    return A | B;
  case 3:
    return A ^ B;
  case 4:
    return uint32_t(std::min(SignedA, SignedB));
  case 5:
    return uint32_t(std::max(SignedA, SignedB));
  case 6:
    return std::min(A, B);
  default:
    return std::max(A, B);
  }
}
} // namespace

void sim::sim_reduce(TransXSSMSimThread *self, const uint64_t *in,
                     uint64_t *out, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Self.Owner->meet(Self, "redux.sync", uint32_t(in[0]), in, out, site,
                   [&](Meeting &At, WarpState &Group) {
                     bool First = true;
                     uint32_t Sum = 0;
                     for (uint32_t Lane = 0; Lane < Group.Size; ++Lane) {
                       if (!(At.Mask >> Lane & 1))
                         continue;
                       uint32_t Value = uint32_t(At.In[Lane][1]);
                       Sum = First ? Value : reduce(variant, Sum, Value);
                       First = false;
                     }
                     for (uint32_t Lane = 0; Lane < Group.Size; ++Lane)
                       if (At.Mask >> Lane & 1)
                         At.Out[Lane][0] = Sum;
                   });
}
