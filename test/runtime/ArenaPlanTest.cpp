//===- ArenaPlanTest.cpp - Tests of the memory plan -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/ArenaPlan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

using namespace transxssm;

namespace {

TEST(ArenaPlan, ReusesMemoryAfterLastUse) {
  // Two buffers of 128 bytes one after the other beside one of 64 throughout.
  ArenaPlan Plan = planArena({{128, 0, 1}, {128, 2, 3}, {64, 0, 3}});
  EXPECT_EQ(Plan.Offsets, (std::vector<uint64_t>{0, 0, 128}));
  EXPECT_EQ(Plan.PeakBytes, 192u);
}

TEST(ArenaPlan, TouchingRangesOverlap) {
  ArenaPlan Plan = planArena({{64, 0, 1}, {64, 1, 2}});
  EXPECT_EQ(Plan.Offsets, (std::vector<uint64_t>{0, 64}));
  EXPECT_EQ(Plan.PeakBytes, 128u);
}

TEST(ArenaPlan, FillsGapsFromBelow) {
  // The third buffer outlives the second and leaves room under the first's
  // end for the fourth.
  ArenaPlan Plan =
      planArena({{256, 0, 1}, {192, 2, 5}, {64, 0, 5}, {32, 2, 3}});
  EXPECT_EQ(Plan.Offsets, (std::vector<uint64_t>{0, 0, 256, 192}));
  EXPECT_EQ(Plan.PeakBytes, 320u);
}

TEST(ArenaPlan, AlignsAndAcceptsEmpty) {
  ArenaPlan Plan = planArena({{1, 0, 9}, {1, 0, 9}, {0, 0, 9}});
  EXPECT_EQ(Plan.PeakBytes, 128u);
  EXPECT_EQ(planArena({}).PeakBytes, 0u);
}

TEST(ArenaPlan, NeverOverlapsOnRandomInput) {
  std::mt19937 Random(7);
  for (int Round = 0; Round < 200; ++Round) {
    std::vector<ArenaRequest> Requests(1 + Random() % 40);
    for (ArenaRequest &Request : Requests) {
      Request.Bytes = Random() % 1000;
      Request.FirstUse = Random() % 20;
      Request.LastUse = Request.FirstUse + Random() % 8;
    }
    ArenaPlan Plan = planArena(Requests);
    uint64_t Highest = 0;
    for (size_t A = 0; A < Requests.size(); ++A) {
      EXPECT_EQ(Plan.Offsets[A] % 64, 0u);
      Highest = std::max(Highest,
                         Plan.Offsets[A] + (Requests[A].Bytes + 63) / 64 * 64);
      for (size_t B = 0; B < A; ++B) {
        bool InTime = Requests[A].FirstUse <= Requests[B].LastUse &&
                      Requests[B].FirstUse <= Requests[A].LastUse;
        bool InSpace = Plan.Offsets[A] < Plan.Offsets[B] + Requests[B].Bytes &&
                       Plan.Offsets[B] < Plan.Offsets[A] + Requests[A].Bytes;
        EXPECT_FALSE(InTime && InSpace && Requests[A].Bytes &&
                     Requests[B].Bytes);
      }
    }
    EXPECT_EQ(Plan.PeakBytes, Highest);
    EXPECT_EQ(planArena(Requests).Offsets, Plan.Offsets);
  }
}

} // namespace
