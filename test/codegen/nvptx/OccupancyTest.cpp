//===- OccupancyTest.cpp - Blocks of a multiprocessor ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Counted by hand from the limits of the CUDA C++ programming guide.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Occupancy.h"

#include <gtest/gtest.h>

using namespace transxssm::nvptx;

namespace {

Occupancy holds(const char *Name, int64_t Threads, int64_t SharedBytes,
                int64_t Registers) {
  return occupancyOf(MultiprocessorLimits::of({Name}), Threads, SharedBytes,
                     Registers);
}

TEST(Occupancy, IsBoundByRegisters) {
  // 128 registers: 4,096 a warp, four warps a scheduler, two blocks of eight.
  EXPECT_EQ(holds("sm_80", 256, 0, 128).Blocks, 2);
  EXPECT_EQ(holds("sm_80", 256, 0, 128).Warps, 16);
  // One more is rounded up to 136: three warps a scheduler, one block.
  EXPECT_EQ(holds("sm_80", 256, 0, 129).Blocks, 1);
  EXPECT_EQ(holds("sm_80", 128, 0, 129).Blocks, 3);
  EXPECT_EQ(holds("sm_80", 1024, 0, 255).Blocks, 0);
}

TEST(Occupancy, IsBoundBySharedMemory) {
  // 164 KiB, of which a block's 80 KiB take 81; 228 KiB hold two of 112.
  EXPECT_EQ(holds("sm_80", 256, 80 * 1024, 32).Blocks, 2);
  EXPECT_EQ(holds("sm_80", 256, 81 * 1024 + 1, 32).Blocks, 1);
  EXPECT_EQ(holds("sm_90a", 256, 112 * 1024, 32).Blocks, 2);
  EXPECT_EQ(holds("sm_90a", 256, 113 * 1024 + 1, 32).Blocks, 1);
  EXPECT_EQ(MultiprocessorLimits::of({"sm_80"}).BlockSharedBytes, 166912);
  EXPECT_EQ(MultiprocessorLimits::of({"sm_90a"}).BlockSharedBytes, 232448);
}

TEST(Occupancy, IsBoundByThreads) {
  EXPECT_EQ(holds("sm_90a", 1024, 0, 32).Blocks, 2);
  EXPECT_EQ(holds("sm_90a", 32, 0, 16).Blocks, 32);
  EXPECT_EQ(holds("sm_90a", 64, 0, 0).Warps, 64);
}

TEST(Occupancy, PlansEightWarps) {
  EXPECT_EQ(plannedBlocks(256), 1);
  EXPECT_EQ(plannedBlocks(384), 1);
  EXPECT_EQ(plannedBlocks(128), 2);
  EXPECT_EQ(plannedBlocks(32), 8);
}

} // namespace
