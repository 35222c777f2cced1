//===- PlantedBugTest.cpp - Each bug is found and named -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// One right kernel and its variants with one bug each (kernels/*.ll). The right
// one must run without a report under every schedule, a wrong one must be
// reported for what it is under every schedule: races are found by order, not
// by luck.
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/CaseRunner.h"
#include "bench/conformance/Cases.h"
#include "runtime/sim/Traffic.h"
#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

using namespace transxssm;
using namespace transxssm::test;
using conformance::Case;
using conformance::SimulatedRun;
using sim::ReportKind;

namespace {

/// How a kernel of test/sim/kernels is launched and what it computes.
const Case &scenario(const std::string &Kernel) {
  static const std::vector<Case> All = [] {
    std::vector<Case> Made;
    conformance::addFileCases(Made, SIM_KERNELS);
    return Made;
  }();
  for (const Case &Each : All)
    if (Each.Symbol == Kernel)
      return Each;
  ADD_FAILURE() << "no kernel " << Kernel;
  return All.front();
}

struct Ran {
  SimulatedRun Run;
  std::string Wrong; ///< of the numbers

  std::string reports() const {
    std::string Text;
    for (const sim::Report &Each : Run.Reports)
      Text += Each.str() + "\n";
    return Text;
  }
};

Ran run(const SimKernels &Kernels, const Case &Of,
        const sim::SimOptions &Options = {}) {
  Ran Made;
  EXPECT_TRUE(Kernels.isLoaded()) << Kernels.error();
  if (!Kernels.isLoaded())
    return Made;
  Result<SimulatedRun> Run =
      conformance::runInSimulator(Kernels.module(), Of, Options);
  EXPECT_TRUE(Run) << Run.message();
  if (Run)
    Made.Run = *Run;
  if (Run)
    Made.Wrong = conformance::difference(Of, Run->Left);
  return Made;
}

struct Bug {
  const char *Kernel, *Name;
  ReportKind Kind;
  /// What the first report must say beside its kind.
  const char *Says;
  /// What it may be instead, where copies that land early show another face of
  /// the same bug.
  ReportKind OrKind = ReportKind::Deadlock;
  const char *OrSays = nullptr;
};

void PrintTo(const Bug &Each, std::ostream *Stream) {
  *Stream << Each.Kernel << " with " << Each.Name;
}

class RightKernels : public testing::TestWithParam<const char *> {};
class PlantedBugs : public testing::TestWithParam<Bug> {};

TEST_P(RightKernels, RunWithoutReport) {
  const Case &Each = scenario(GetParam());
  SimKernels Kernels(Each.Text);
  for (const sim::SimOptions &Options : manySchedules(100)) {
    Ran Made = run(Kernels, Each, Options);
    EXPECT_EQ(Made.Wrong, "") << "seed " << Options.Seed;
    ASSERT_EQ(Made.reports(), "");
  }
}

TEST_P(PlantedBugs, AreNamed) {
  const Bug &Each = GetParam();
  SimKernels Kernels(kernelText(Each.Kernel, Each.Name));
  for (const sim::SimOptions &Options : manySchedules(6)) {
    Ran Made = run(Kernels, scenario(Each.Kernel), Options);
    bool Found = false;
    for (const sim::Report &Report : Made.Run.Reports) {
      auto Is = [&](ReportKind Kind, const char *Says) {
        return Says && Report.Kind == Kind && Report.Kernel == Each.Kernel &&
               Report.str().find(Says) != std::string::npos;
      };
      Found |= Is(Each.Kind, Each.Says) || Is(Each.OrKind, Each.OrSays);
    }
    EXPECT_TRUE(Found) << "expected " << sim::nameOf(Each.Kind) << " with '"
                       << Each.Says << "', got:\n"
                       << Made.reports();
  }
}

/// What no order of accesses can tell: numbers and bank conflicts do.
TEST(Swizzle, WrongOneGivesWrongNumbers) {
  for (auto [Kernel, Bug] : {std::pair("product", "wrong-swizzle"),
                             std::pair("tma_wgmma", "wrong-stride")}) {
    Ran Made = run(SimKernels(kernelText(Kernel, Bug)), scenario(Kernel));
    EXPECT_NE(Made.Wrong, "") << Bug;
    EXPECT_EQ(Made.reports(), "");
  }
}

TEST(Swizzle, SavesBankConflicts) {
  sim::Counters With, Without;
  sim::SimOptions Counting;
  Counting.CountTraffic = true;
  for (bool Swizzled : {true, false}) {
    SimKernels Kernels(kernelText("product", Swizzled ? "" : "no-swizzle"));
    Ran Made = run(Kernels, scenario("product"), Counting);
    EXPECT_EQ(Made.Wrong, "");
    (Swizzled ? With : Without) = Made.Run.Counts;
  }
  // 24 matrices of one pass each, 6 stores of 512 bytes of four.
  EXPECT_EQ(With.SharedWaves, 48u);
  EXPECT_EQ(With.SharedWavesIdeal, 48u);
  // The eight rows of a matrix meet in the same four banks.
  EXPECT_EQ(Without.SharedWaves, 24u * 8 + 24);
  EXPECT_EQ(With.LoadSectors, (16u + 8) * 128 / 32);
  EXPECT_EQ(With.LoadSectorsIdeal, With.LoadSectors);
  EXPECT_EQ(With.StoreSectors, 16u * 8 * 4 / 32);
  EXPECT_EQ(With.TensorFlops, 2u * 16 * 8 * 64);
  // Everything is read once and written once.
  EXPECT_EQ(With.BytesRead, (16u + 8) * 128);
  EXPECT_EQ(With.BytesWritten, 16u * 8 * 4);
  EXPECT_EQ(With.MissedSectors, With.LoadSectors + With.StoreSectors);
}

TEST(SectorCache, KeepsWhatWasUsedLast) {
  sim::SectorCache Cache;
  Cache.reset(16 * 32); // one set
  for (uint64_t Sector = 0; Sector < 16; ++Sector)
    EXPECT_TRUE(Cache.misses(Sector, false));
  EXPECT_FALSE(Cache.misses(0, false));
  EXPECT_TRUE(Cache.misses(16, false)); // in the place of 1
  EXPECT_FALSE(Cache.misses(0, false));
  EXPECT_TRUE(Cache.misses(1, false));
  // A sector goes back to memory once, and need not be read from there.
  EXPECT_TRUE(Cache.misses(0, true));
  EXPECT_FALSE(Cache.misses(0, true));
  EXPECT_TRUE(Cache.misses(20, true));
  EXPECT_FALSE(Cache.misses(20, false));
  Cache.reset(16 * 32);
  EXPECT_TRUE(Cache.misses(0, false));
}

INSTANTIATE_TEST_SUITE_P(
    All, RightKernels,
    testing::Values("reduce", "rotate", "warp", "copy_async", "product",
                    "inline_ptx", "tma_wgmma", "named_barrier", "registers"),
    [](const auto &Info) { return std::string(Info.param); });

const Bug Bugs[] = {
    {"reduce", "missing-barrier", ReportKind::SharedRace, "no barrier between"},
    {"reduce", "shared-out-of-bounds", ReportKind::SharedOutOfBounds,
     "writes 4 bytes at byte 16 of an array of 16"},
    {"reduce", "global-out-of-bounds", ReportKind::GlobalOutOfBounds,
     "reads 4 bytes at byte 1536 of 'x', which has 1536"},
    {"reduce", "divergent-barrier", ReportKind::Divergence,
     "lanes of the same warp wait at another barrier"},
    {"reduce", "early-exit", ReportKind::Deadlock,
     "wait for ever in a barrier, 4 have ended"},
    {"reduce", "shuffle-mask", ReportKind::BadOperand, "is not in the mask"},
    {"reduce", "misaligned", ReportKind::Misaligned,
     "expected an address aligned to 16 bytes, got one 8 behind"},
    {"reduce", "same-output", ReportKind::GlobalRace,
     "writes byte 0 of 'sums', which another block wrote"},
    {"rotate", "missing-barrier", ReportKind::SharedRace, "no barrier between"},
    {"rotate", "missing-end-barrier", ReportKind::SharedRace,
     "reads with no barrier between"},
    {"warp", "shuffle-for-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {"warp", "other-warp", ReportKind::SharedRace, "no barrier between"},
    {"copy_async", "missing-wait", ReportKind::AsyncRace,
     "which an asynchronous copy of thread"},
    {"copy_async", "missing-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {"copy_async", "missing-end-barrier", ReportKind::SharedRace,
     "reads with no barrier between"},
    {"copy_async", "missing-final-wait", ReportKind::PendingCopy,
     "ends before the copy is waited for"},
    {"copy_async", "read-past-end", ReportKind::GlobalOutOfBounds,
     "of 'x', which has 5120"},
    {"product", "missing-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {"named_barrier", "missing-arrive", ReportKind::Deadlock,
     "wait for ever in a barrier"},
    {"named_barrier", "wrong-count", ReportKind::BadOperand,
     "barrier 1 of 40 threads"},
    {"named_barrier", "missing-empty", ReportKind::SharedRace,
     "no barrier between", ReportKind::Deadlock, "wait for ever in a barrier"},
    {"registers", "too-little-given", ReportKind::Deadlock,
     "wait for ever in setmaxnreg.inc"},
    {"registers", "wrong-direction", ReportKind::BadOperand,
     "dec to 232 from 168"},
    {"tma_wgmma", "missing-init-fence", ReportKind::MissingFence,
     "no fence.mbarrier_init since"},
    {"tma_wgmma", "missing-init-barrier", ReportKind::EarlyUse, "mbarrier"},
    {"tma_wgmma", "too-few-bytes", ReportKind::AsyncRace, "not waited for",
     ReportKind::Deadlock, "wait for ever in an mbarrier"},
    {"tma_wgmma", "too-many-bytes", ReportKind::BadOperand,
     "expected at most 1 arrivals"},
    {"tma_wgmma", "missing-wait", ReportKind::AsyncRace, "not waited for",
     ReportKind::SharedRace, "no barrier between"},
    {"tma_wgmma", "missing-proxy-fence", ReportKind::MissingFence,
     "no fence.proxy.async since"},
    {"tma_wgmma", "missing-write-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {"tma_wgmma", "missing-wgmma-fence", ReportKind::MissingFence,
     "no wgmma.fence since"},
    {"tma_wgmma", "missing-wgmma-wait", ReportKind::AsyncRace,
     "the asynchronous proxy reads and nobody has waited for"},
    {"tma_wgmma", "missing-store-fence", ReportKind::MissingFence,
     "no fence.proxy.async since"},
    {"tma_wgmma", "missing-store-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {"tma_wgmma", "missing-store-wait", ReportKind::PendingCopy,
     "ends before the store is waited for"},
    {"inline_ptx", "wrong-guard", ReportKind::GlobalOutOfBounds,
     "reads 16 bytes at byte 400 of 'x', which has 400"},
};

INSTANTIATE_TEST_SUITE_P(All, PlantedBugs, testing::ValuesIn(Bugs),
                         [](const auto &Info) {
                           std::string Name = std::string(Info.param.Kernel) +
                                              "_" + Info.param.Name;
                           for (char &C : Name)
                             if (C == '-')
                               C = '_';
                           return Name;
                         });

} // namespace
