//===- LinearLayoutTest.cpp - Layouts and their conversions ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/LinearLayout.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

using namespace transxssm::nvptx;

namespace {

/// How many (register, thread) pairs hold each element.
std::map<std::pair<int64_t, int64_t>, int64_t>
holdersOf(const LinearLayout &Layout) {
  std::map<std::pair<int64_t, int64_t>, int64_t> Count;
  for (int64_t T = 0; T < int64_t(1) << Layout.threadBits(); ++T)
    for (int64_t R = 0; R < Layout.registerCount(); ++R) {
      Coordinates C = Layout.at(R, T);
      ++Count[{C.Row, C.Column}];
    }
  return Count;
}

/// Every element is there, equally often, and copies are where the mask says.
void checkComplete(const LinearLayout &Layout) {
  int64_t Copies = int64_t(1) << __builtin_popcountll(Layout.copyMask());
  auto Holders = holdersOf(Layout);
  EXPECT_EQ(int64_t(Holders.size()), Layout.rows() * Layout.columns())
      << Layout.str();
  for (auto [Place, Count] : Holders) {
    EXPECT_LT(Place.first, Layout.rows());
    EXPECT_LT(Place.second, Layout.columns());
    EXPECT_EQ(Count, Copies) << Layout.str();
  }
}

TEST(LinearLayout, BlockedHoldsEveryElement) {
  for (unsigned ThreadBits : {5u, 6u, 8u})
    for (int64_t Rows = 1; Rows <= 128; Rows *= 2)
      for (int64_t Columns = 1; Columns <= 256; Columns *= 2) {
        LinearLayout Layout = LinearLayout::blocked(Rows, Columns, ThreadBits);
        checkComplete(Layout);
        EXPECT_TRUE(Layout.isProduct());
      }
}

TEST(LinearLayout, BlockedReadsLinesOf128Bytes) {
  // 64 x 64 in 256 threads: four columns a thread, eight threads a line, two
  // neighbouring rows in registers.
  LinearLayout Layout = LinearLayout::blocked(64, 64, 8);
  EXPECT_EQ(Layout.str(),
            "64x64 registers (0,1) (0,2) (1,0) (0,32) threads (0,4) (0,8) "
            "(0,16) (2,0) (4,0) (8,0) (16,0) (32,0)");
  EXPECT_EQ(Layout.vectorWidth(), 4);
  EXPECT_EQ(Layout.columnMask(), 7);
  EXPECT_EQ(Layout.rowMask(), 0xf8);
  EXPECT_TRUE(Layout.isProduct());
}

TEST(LinearLayout, EightThreadsOfANarrowTileHaveNeighbouringRows) {
  LinearLayout Layout = LinearLayout::blocked(16, 16, 5);
  EXPECT_EQ(Layout.str(), "16x16 registers (0,1) (0,2) (8,0) threads (0,4) "
                          "(0,8) (1,0) (2,0) (4,0)");
}

TEST(LinearLayout, SmallTilesAreCopied) {
  LinearLayout Layout = LinearLayout::blocked(1, 32, 6);
  EXPECT_EQ(Layout.registerCount(), 4);
  EXPECT_EQ(Layout.copyMask(), 0x38);
  EXPECT_EQ(Layout.at(0, 9), Layout.at(0, 1));
}

TEST(LinearLayout, MmaAccumulatorIsThatOfTheInstruction) {
  // PTX ISA, mma.m16n8: thread t holds rows t / 4 and t / 4 + 8, columns
  // 2 (t mod 4) and the next.
  LinearLayout Layout = LinearLayout::mmaAccumulator(16, 8, 5);
  for (int64_t T = 0; T < 32; ++T)
    for (int64_t R = 0; R < 4; ++R) {
      Coordinates C = Layout.at(R, T);
      EXPECT_EQ(C.Row, T / 4 + (R >= 2 ? 8 : 0));
      EXPECT_EQ(C.Column, T % 4 * 2 + R % 2);
    }
  for (int64_t Rows = 16; Rows <= 128; Rows *= 2)
    for (int64_t Columns = 8; Columns <= 128; Columns *= 2)
      checkComplete(LinearLayout::mmaAccumulator(Rows, Columns, 7));
}

TEST(LinearLayout, AccumulatorOfWarpGroups) {
  // PTX ISA, "Register Fragments for wgmma.mma_async.m64nNk16": register r of
  // thread t, for N = 32. The second group has the next 64 rows, or the other
  // half of the columns.
  LinearLayout Below = LinearLayout::mmaAccumulator(128, 32, 8);
  LinearLayout Beside = LinearLayout::mmaAccumulator(64, 64, 8);
  for (int64_t T = 0; T < 256; ++T)
    for (int64_t R = 0; R < 16; ++R) {
      int64_t InGroup = T % 128, OfGroup = T / 128;
      int64_t Row = InGroup / 32 * 16 + InGroup % 32 / 4 + R / 2 % 2 * 8;
      int64_t Column = R / 4 * 8 + InGroup % 4 * 2 + R % 2;
      EXPECT_EQ(Below.at(R, T), (Coordinates{Row + 64 * OfGroup, Column}));
      EXPECT_EQ(Beside.at(R, T), (Coordinates{Row, Column + 32 * OfGroup}));
    }
  EXPECT_TRUE(Below.holdsMatrices());
  EXPECT_TRUE(LinearLayout::mmaAccumulator(64, 16, 7).holdsMatrices());
  EXPECT_FALSE(LinearLayout::mmaAccumulator(64, 8, 7).holdsMatrices());
  EXPECT_FALSE(LinearLayout::blocked(64, 64, 7, 3).holdsMatrices());
}

TEST(LinearLayout, TransposedHoldsTheSameElements) {
  LinearLayout Matrix = LinearLayout::mmaAccumulator(128, 64, 7);
  LinearLayout Turned = Matrix.transposed();
  checkComplete(Turned);
  for (int64_t T = 0; T < 128; ++T)
    for (int64_t R = 0; R < Matrix.registerCount(); ++R) {
      Coordinates C = Matrix.at(R, T);
      EXPECT_EQ(Turned.at(R, T), (Coordinates{C.Column, C.Row}));
    }
  EXPECT_NE(Turned, Matrix);
}

TEST(LinearLayout, FirstColumnsAreThoseOfEveryHalf) {
  LinearLayout Matrix = LinearLayout::mmaAccumulator(64, 128, 8);
  LinearLayout Half = Matrix.firstColumns(64);
  EXPECT_EQ(Half.columns(), 64);
  checkComplete(Half);
  for (int64_t T = 0; T < 256; ++T)
    for (int64_t R = 0; R < Matrix.registerCount(); ++R) {
      Coordinates C = Matrix.at(R, T), Own = Matrix.ofThread(T);
      std::optional<int64_t> Line =
          Half.findRegister({C.Row ^ Own.Row, (C.Column ^ Own.Column) % 64});
      ASSERT_TRUE(Line);
      EXPECT_EQ(Half.at(*Line, T), (Coordinates{C.Row, C.Column % 64}));
    }
}

TEST(LinearLayout, SlicesFollowTheMatrix) {
  LinearLayout Matrix = LinearLayout::blocked(32, 64, 7);
  LinearLayout Rows = Matrix.rowSlice(), Columns = Matrix.columnSlice();
  EXPECT_EQ(Rows.columns(), 32);
  EXPECT_EQ(Columns.columns(), 64);
  for (int64_t T = 0; T < 128; ++T)
    for (int64_t R = 0; R < Matrix.registerCount(); ++R) {
      Coordinates C = Matrix.at(R, T), Own = Matrix.ofThread(T);
      // The thread holds the row's value, in a register that does not depend
      // on the thread.
      auto Row = Rows.findRegister({0, C.Row ^ Own.Row});
      auto Column = Columns.findRegister({0, C.Column ^ Own.Column});
      ASSERT_TRUE(Row && Column);
      EXPECT_EQ(Rows.at(*Row, T).Column, C.Row);
      EXPECT_EQ(Columns.at(*Column, T).Column, C.Column);
    }
}

/// What the definition says, by trying every element.
Conversion slowConversion(const LinearLayout &From, const LinearLayout &To) {
  if (From == To)
    return Conversion::None;
  int64_t Threads = int64_t(1) << From.threadBits();
  bool SameRegister = true, SameWarp = true;
  for (int64_t R = 0; R < To.registerCount(); ++R) {
    std::set<int64_t> Sources;
    for (int64_t S = 0; S < From.registerCount(); ++S) {
      bool Everywhere = true;
      for (int64_t T = 0; T < Threads; ++T)
        Everywhere &= From.at(S, T) == To.at(R, T);
      if (Everywhere)
        Sources.insert(S);
    }
    SameRegister &= !Sources.empty();
    for (int64_t T = 0; T < Threads; ++T) {
      bool Found = false;
      for (int64_t Lane = 0; Lane < 32; ++Lane)
        for (int64_t S = 0; S < From.registerCount(); ++S)
          Found |= From.at(S, (T & ~31) | Lane) == To.at(R, T);
      SameWarp &= Found;
    }
  }
  return SameRegister ? Conversion::Registers
         : SameWarp   ? Conversion::Warp
                      : Conversion::Block;
}

TEST(LinearLayout, ConversionsAreClassified) {
  std::vector<LinearLayout> Layouts;
  for (int64_t Rows : {16, 32})
    for (int64_t Columns : {16, 64}) {
      LinearLayout Blocked = LinearLayout::blocked(Rows, Columns, 6);
      Layouts.push_back(Blocked);
      Layouts.push_back(LinearLayout::mmaAccumulator(Rows, Columns, 6));
      Layouts.push_back(Blocked.rowSlice());
      Layouts.push_back(Blocked.columnSlice());
      Layouts.push_back(LinearLayout::blocked(1, Columns, 6));
      std::vector<Coordinates> Reversed(Blocked.registerBases().rbegin(),
                                        Blocked.registerBases().rend());
      Layouts.push_back(
          LinearLayout(Rows, Columns, Reversed, Blocked.threadBases()));
    }
  std::set<Conversion> Seen;
  for (const LinearLayout &From : Layouts)
    for (const LinearLayout &To : Layouts) {
      if (From.rows() != To.rows() || From.columns() != To.columns())
        continue;
      Conversion Kind = conversionBetween(From, To);
      EXPECT_EQ(Kind, slowConversion(From, To))
          << From.str() << " to " << To.str();
      Seen.insert(Kind);
      if (Kind != Conversion::Registers)
        continue;
      auto Numbers = registerPermutation(From, To);
      for (int64_t R = 0; R < To.registerCount(); ++R)
        for (int64_t T = 0; T < 64; ++T)
          EXPECT_EQ(From.at(Numbers[R], T), To.at(R, T));
    }
  EXPECT_EQ(Seen.size(), 4u);
}

} // namespace
