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

#include "runtime/sim/Traffic.h"
#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace transxssm;
using namespace transxssm::test;
using sim::ReportKind;

namespace {

/// How one kernel is launched and what it should compute.
struct Scenario {
  const char *Kernel;
  /// Runs the kernel; true when the numbers are right.
  bool (*Run)(SimLaunch &Launch);
};

std::vector<float> numbers(size_t Count) {
  std::vector<float> Values(Count);
  std::iota(Values.begin(), Values.end(), 1.0f);
  return Values;
}

bool runReduce(SimLaunch &Launch) {
  std::vector<float> X = numbers(3 * 128), Sums(3);
  Launch.input("x", X).output("sums", Sums);
  Launch.run({{3, 1, 1}, 128, 0});
  bool Right = true;
  for (size_t B = 0; B < 3; ++B)
    Right &= Sums[B] == std::accumulate(X.begin() + long(B * 128),
                                        X.begin() + long(B * 128 + 128), 0.0f);
  return Right;
}

bool runRotate(SimLaunch &Launch) {
  std::vector<float> X = numbers(5 * 128), Y(5 * 128);
  Launch.input("x", X).output("y", Y).size(5);
  Launch.run({{1, 1, 1}, 128, 512});
  bool Right = true;
  for (size_t I = 0; I < Y.size(); ++I)
    Right &= Y[I] == X[I / 128 * 128 + (I + 32) % 128];
  return Right;
}

bool runWarp(SimLaunch &Launch) {
  std::vector<float> X = numbers(64), Y(64);
  Launch.input("x", X).output("y", Y);
  Launch.run({{1, 1, 1}, 64, 0});
  bool Right = true;
  for (size_t I = 0; I < Y.size(); ++I)
    Right &= Y[I] == X[I ^ 31];
  return Right;
}

bool runNamedBarrier(SimLaunch &Launch) {
  std::vector<float> X = numbers(4 * 32), Y(4 * 32);
  Launch.input("x", X).output("y", Y).size(4);
  Launch.run({{1, 1, 1}, 64, 0});
  bool Right = true;
  for (size_t I = 0; I < Y.size(); ++I)
    Right &= Y[I] == X[I ^ 31];
  return Right;
}

bool runRegisters(SimLaunch &Launch) {
  std::vector<uint32_t> Y(384);
  Launch.output("y", Y);
  Launch.run({{1, 1, 1}, 384, 0});
  bool Right = true;
  for (size_t I = 0; I < Y.size(); ++I)
    Right &= Y[I] == I;
  return Right;
}

bool runCopyAsync(SimLaunch &Launch) {
  std::vector<float> X = numbers(5 * 256), Y(5 * 256);
  Launch.input("x", X).output("y", Y).size(5);
  Launch.run({{1, 1, 1}, 64, 2048});
  bool Right = true;
  for (size_t I = 0; I < Y.size(); ++I)
    Right &= Y[I] == X[I / 256 * 256 + (I + 128) % 256];
  return Right;
}

bool runProduct(SimLaunch &Launch) {
  // As aligned as memory of a device.
  alignas(256) static uint16_t A[16 * 64], B[8 * 64];
  for (size_t I = 0; I < 16 * 64; ++I)
    A[I] = toBf16(float(int(I * 7 % 31) - 15));
  for (size_t I = 0; I < 8 * 64; ++I)
    B[I] = toBf16(float(int(I * 5 % 23) - 11));
  alignas(256) static float C[16 * 8];
  Launch.buffer("a", A, sizeof(A), true).buffer("b", B, sizeof(B), true);
  Launch.buffer("c", C, sizeof(C), false);
  Launch.run({{1, 1, 1}, 32, 0});
  bool Right = true;
  for (size_t M = 0; M < 16; ++M)
    for (size_t N = 0; N < 8; ++N) {
      // Small integers: every sum is exact.
      float Sum = 0;
      for (size_t K = 0; K < 64; ++K)
        Sum += fromBf16(A[M * 64 + K]) * fromBf16(B[N * 64 + K]);
      Right &= C[M * 8 + N] == Sum;
    }
  return Right;
}

bool runInlinePtx(SimLaunch &Launch) {
  std::vector<float> X = numbers(100), Y(100);
  Launch.input("x", X).output("y", Y).size(100);
  Launch.run({{1, 1, 1}, 32, 0});
  return X == Y;
}

/// A matrix [Rows, Columns] as one box.
TransXSSMSimTensorMap mapOf(const void *Base, uint32_t Rows, uint32_t Columns,
                            uint8_t ElementBytes, uint8_t Swizzle) {
  TransXSSMSimTensorMap Map = {};
  Map.Base = reinterpret_cast<uint64_t>(Base);
  Map.Extent[0] = Map.Box[0] = Columns;
  Map.Extent[1] = Map.Box[1] = Rows;
  Map.Stride[0] = uint64_t(Columns) * ElementBytes;
  Map.Rank = 2;
  Map.ElementBytes = ElementBytes;
  Map.Swizzle = Swizzle;
  return Map;
}

bool runTmaWgmma(SimLaunch &Launch) {
  alignas(256) static uint16_t A[64 * 64], B[8 * 64];
  alignas(256) static float D[64 * 8];
  for (size_t I = 0; I < 64 * 64; ++I)
    A[I] = toBf16(float(int(I * 7 % 31) - 15));
  for (size_t I = 0; I < 8 * 64; ++I)
    B[I] = toBf16(float(int(I * 5 % 23) - 11));
  Launch.Simulator.memory().declare(A, sizeof(A), "a", true);
  Launch.Simulator.memory().declare(B, sizeof(B), "b", true);
  Launch.Simulator.memory().declare(D, sizeof(D), "d", false);
  TransXSSMSimTensorMap MapA = mapOf(A, 64, 64, 2, 128);
  TransXSSMSimTensorMap MapB = mapOf(B, 8, 64, 2, 128);
  TransXSSMSimTensorMap MapD = mapOf(D, 64, 8, 4, 0);
  Launch.map(MapA).map(MapB).map(MapD);
  Launch.run({{1, 1, 1}, 128, 11272});
  bool Right = true;
  for (size_t M = 0; M < 64; ++M)
    for (size_t N = 0; N < 8; ++N) {
      float Sum = 0;
      for (size_t K = 0; K < 64; ++K)
        Sum += fromBf16(A[M * 64 + K]) * fromBf16(B[N * 64 + K]);
      Right &= D[M * 8 + N] == Sum;
    }
  return Right;
}

const Scenario Reduce = {"reduce", runReduce};
const Scenario Rotate = {"rotate", runRotate};
const Scenario WarpExchange = {"warp", runWarp};
const Scenario NamedBarrier = {"named_barrier", runNamedBarrier};
const Scenario Registers = {"registers", runRegisters};
const Scenario CopyAsync = {"copy_async", runCopyAsync};
const Scenario Product = {"product", runProduct};
const Scenario TmaWgmma = {"tma_wgmma", runTmaWgmma};
const Scenario InlinePtx = {"inline_ptx", runInlinePtx};

struct Bug {
  const Scenario *In;
  const char *Name;
  ReportKind Kind;
  /// What the first report must say beside its kind.
  const char *Says;
  /// What it may be instead, where copies that land early show another face of
  /// the same bug.
  ReportKind OrKind = ReportKind::Deadlock;
  const char *OrSays = nullptr;
};

void PrintTo(const Bug &Each, std::ostream *Stream) {
  *Stream << Each.In->Kernel << " with " << Each.Name;
}

class RightKernels : public testing::TestWithParam<const Scenario *> {};
class PlantedBugs : public testing::TestWithParam<Bug> {};

TEST_P(RightKernels, RunWithoutReport) {
  const Scenario &Each = *GetParam();
  SimKernels Kernels(kernelText(Each.Kernel));
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  for (const sim::SimOptions &Options : manySchedules(100)) {
    SimLaunch Launch(Kernels, Each.Kernel);
    Launch.Simulator.Options = Options;
    EXPECT_TRUE(Each.Run(Launch)) << "wrong numbers, seed " << Options.Seed;
    ASSERT_TRUE(Launch.reports().empty()) << Launch.reportText();
  }
}

TEST_P(PlantedBugs, AreNamed) {
  const Bug &Each = GetParam();
  SimKernels Kernels(kernelText(Each.In->Kernel, Each.Name));
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  for (const sim::SimOptions &Options : manySchedules(6)) {
    SimLaunch Launch(Kernels, Each.In->Kernel);
    Launch.Simulator.Options = Options;
    Each.In->Run(Launch);
    bool Found = false;
    for (const sim::Report &Made : Launch.reports()) {
      auto Is = [&](ReportKind Kind, const char *Says) {
        return Says && Made.Kind == Kind && Made.Kernel == Each.In->Kernel &&
               Made.str().find(Says) != std::string::npos;
      };
      Found |= Is(Each.Kind, Each.Says) || Is(Each.OrKind, Each.OrSays);
    }
    EXPECT_TRUE(Found) << "expected " << sim::nameOf(Each.Kind) << " with '"
                       << Each.Says << "', got:\n"
                       << Launch.reportText();
  }
}

/// What no order of accesses can tell: numbers and bank conflicts do.
TEST(Swizzle, WrongOneGivesWrongNumbers) {
  SimKernels Kernels(kernelText("product", "wrong-swizzle"));
  SimLaunch Launch(Kernels, "product");
  EXPECT_FALSE(runProduct(Launch));
  EXPECT_TRUE(Launch.reports().empty()) << Launch.reportText();
}

TEST(Swizzle, WrongStrideOfADescriptorGivesWrongNumbers) {
  SimKernels Kernels(kernelText("tma_wgmma", "wrong-stride"));
  SimLaunch Launch(Kernels, "tma_wgmma");
  EXPECT_FALSE(runTmaWgmma(Launch));
  EXPECT_TRUE(Launch.reports().empty()) << Launch.reportText();
}

TEST(Swizzle, SavesBankConflicts) {
  sim::Counters With, Without;
  for (bool Swizzled : {true, false}) {
    SimKernels Kernels(kernelText("product", Swizzled ? "" : "no-swizzle"));
    SimLaunch Launch(Kernels, "product");
    Launch.Simulator.Options.CountTraffic = true;
    EXPECT_TRUE(runProduct(Launch));
    (Swizzled ? With : Without) = Launch.Simulator.Counts;
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

INSTANTIATE_TEST_SUITE_P(All, RightKernels,
                         testing::Values(&Reduce, &Rotate, &WarpExchange,
                                         &CopyAsync, &Product, &InlinePtx,
                                         &TmaWgmma, &NamedBarrier, &Registers),
                         [](const auto &Info) {
                           return std::string(Info.param->Kernel);
                         });

const Bug Bugs[] = {
    {&Reduce, "missing-barrier", ReportKind::SharedRace, "no barrier between"},
    {&Reduce, "shared-out-of-bounds", ReportKind::SharedOutOfBounds,
     "writes 4 bytes at byte 16 of an array of 16"},
    {&Reduce, "global-out-of-bounds", ReportKind::GlobalOutOfBounds,
     "reads 4 bytes at byte 1536 of 'x', which has 1536"},
    {&Reduce, "divergent-barrier", ReportKind::Divergence,
     "lanes of the same warp wait at another barrier"},
    {&Reduce, "early-exit", ReportKind::Deadlock,
     "wait for ever in a barrier, 4 have ended"},
    {&Reduce, "shuffle-mask", ReportKind::BadOperand, "is not in the mask"},
    {&Reduce, "misaligned", ReportKind::Misaligned,
     "expected an address aligned to 16 bytes, got one 8 behind"},
    {&Reduce, "same-output", ReportKind::GlobalRace,
     "writes byte 0 of 'sums', which another block wrote"},
    {&Rotate, "missing-barrier", ReportKind::SharedRace, "no barrier between"},
    {&Rotate, "missing-end-barrier", ReportKind::SharedRace,
     "reads with no barrier between"},
    {&WarpExchange, "shuffle-for-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {&WarpExchange, "other-warp", ReportKind::SharedRace, "no barrier between"},
    {&CopyAsync, "missing-wait", ReportKind::AsyncRace,
     "which an asynchronous copy of thread"},
    {&CopyAsync, "missing-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {&CopyAsync, "missing-end-barrier", ReportKind::SharedRace,
     "reads with no barrier between"},
    {&CopyAsync, "missing-final-wait", ReportKind::PendingCopy,
     "ends before the copy is waited for"},
    {&CopyAsync, "read-past-end", ReportKind::GlobalOutOfBounds,
     "of 'x', which has 5120"},
    {&Product, "missing-barrier", ReportKind::SharedRace, "no barrier between"},
    {&NamedBarrier, "missing-arrive", ReportKind::Deadlock,
     "wait for ever in a barrier"},
    {&NamedBarrier, "wrong-count", ReportKind::BadOperand,
     "barrier 1 of 40 threads"},
    {&NamedBarrier, "missing-empty", ReportKind::SharedRace,
     "no barrier between", ReportKind::Deadlock, "wait for ever in a barrier"},
    {&Registers, "too-little-given", ReportKind::Deadlock,
     "wait for ever in setmaxnreg.inc"},
    {&Registers, "wrong-direction", ReportKind::BadOperand,
     "dec to 232 from 168"},
    {&TmaWgmma, "missing-init-fence", ReportKind::MissingFence,
     "no fence.mbarrier_init since"},
    {&TmaWgmma, "missing-init-barrier", ReportKind::EarlyUse, "mbarrier"},
    {&TmaWgmma, "too-few-bytes", ReportKind::AsyncRace, "not waited for",
     ReportKind::Deadlock, "wait for ever in an mbarrier"},
    {&TmaWgmma, "too-many-bytes", ReportKind::BadOperand,
     "expected at most 1 arrivals"},
    {&TmaWgmma, "missing-wait", ReportKind::AsyncRace, "not waited for",
     ReportKind::SharedRace, "no barrier between"},
    {&TmaWgmma, "missing-proxy-fence", ReportKind::MissingFence,
     "no fence.proxy.async since"},
    {&TmaWgmma, "missing-write-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {&TmaWgmma, "missing-wgmma-fence", ReportKind::MissingFence,
     "no wgmma.fence since"},
    {&TmaWgmma, "missing-wgmma-wait", ReportKind::AsyncRace,
     "the asynchronous proxy reads and nobody has waited for"},
    {&TmaWgmma, "missing-store-fence", ReportKind::MissingFence,
     "no fence.proxy.async since"},
    {&TmaWgmma, "missing-store-barrier", ReportKind::SharedRace,
     "no barrier between"},
    {&TmaWgmma, "missing-store-wait", ReportKind::PendingCopy,
     "ends before the store is waited for"},
    {&InlinePtx, "wrong-guard", ReportKind::GlobalOutOfBounds,
     "reads 16 bytes at byte 400 of 'x', which has 400"},
};

INSTANTIATE_TEST_SUITE_P(All, PlantedBugs, testing::ValuesIn(Bugs),
                         [](const auto &Info) {
                           std::string Name =
                               std::string(Info.param.In->Kernel) + "_" +
                               Info.param.Name;
                           for (char &C : Name)
                             if (C == '-')
                               C = '_';
                           return Name;
                         });

} // namespace
