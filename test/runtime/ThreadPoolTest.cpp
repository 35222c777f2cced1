//===- ThreadPoolTest.cpp - Tests of the thread pool ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/ThreadPool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <numeric>

using namespace transxssm;

namespace {

struct Counters {
  std::vector<int> Visits;
  std::vector<int> Threads;
  unsigned Size;
};

void visit(void *Context, unsigned Thread, int64_t First, int64_t Last) {
  auto &Count = *static_cast<Counters *>(Context);
  for (int64_t I = First; I < Last; ++I) {
    ++Count.Visits[size_t(I)]; // cells are disjoint, so no lock
    Count.Threads[size_t(I)] = int(Thread);
  }
}

TEST(ThreadPool, RunsEveryCellOnce) {
  for (unsigned Threads : {1u, 2u, 3u, 7u}) {
    ThreadPool Pool(Threads);
    ASSERT_EQ(Pool.size(), Threads);
    for (int64_t Cells : {0, 1, 2, 3, 17, 1000, 12345}) {
      Counters Count{std::vector<int>(size_t(Cells)),
                     std::vector<int>(size_t(Cells), -1), Threads};
      Pool.run(Cells, std::max<int64_t>(1, Cells / 3), visit, &Count);
      for (int64_t I = 0; I < Cells; ++I) {
        ASSERT_EQ(Count.Visits[size_t(I)], 1);
        ASSERT_GE(Count.Threads[size_t(I)], 0);
        ASSERT_LT(Count.Threads[size_t(I)], int(Threads));
      }
    }
  }
}

// Jobs follow each other closely, as in a decode step: a late worker must not
// touch the next job. Pauses let workers fall asleep in between.
TEST(ThreadPool, SurvivesManySmallJobs) {
  ThreadPool Pool(3);
  Counters Count{std::vector<int>(5), std::vector<int>(5), 3};
  constexpr int Jobs = 20000;
  for (int Job = 0; Job < Jobs; ++Job) {
    Pool.run(5, 1, visit, &Count);
    if (Job % 4000 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  for (int Visits : Count.Visits)
    EXPECT_EQ(Visits, Jobs);
}

TEST(ThreadPool, TakesItsSizeFromTheEnvironment) {
  auto With = [](const char *Text) {
    ::setenv("TRANSXSSM_NUM_THREADS", Text, 1);
    Result<unsigned> Made = ThreadPool::defaultThreads();
    ::unsetenv("TRANSXSSM_NUM_THREADS");
    return Made;
  };
  EXPECT_EQ(*With("5"), 5u);
  EXPECT_EQ(*With("4096"), 4096u);
  Result<unsigned> All = ThreadPool::defaultThreads();
  ASSERT_TRUE(All) << All.message();
  EXPECT_GE(*All, 1u);
  EXPECT_EQ(*With(""), *All);
  for (const char *Bad :
       {"0", "-3", "two", "4x", " 4", "4097", "99999999999999999999"})
    EXPECT_EQ(With(Bad).message(),
              "TRANSXSSM_NUM_THREADS: expected 1 to 4096, got '" +
                  std::string(Bad) + "'");
}

} // namespace
