//===- ProbeGoldenTest.cpp - The probe on right and wrong kernels ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// On the goldens every value that compiled code writes is the interpreter's;
// with a planted error the probe names the first value that has it.
//
//===----------------------------------------------------------------------===//

#include "test/goldens/GoldenData.h"
#include "tools/probe/Probe.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <set>

using namespace transxssm;

namespace {

/// The report on an entry of a golden model, with its inputs.
Result<ProbeReport> probeGolden(const std::string &Name, ProbeOptions Options) {
  Result<GoldenModel> Golden = GoldenModel::load(goldenFolder(Name));
  if (!Golden)
    return Golden.error();
  ProbeInputs Inputs{Golden->expected("input_ids"), Golden->expected("labels"),
                     std::nullopt};
  if (Golden->has("attention_mask"))
    Inputs.Mask = Golden->expected("attention_mask");
  Options.Directory = Golden->Folder;
  return probe(Options, Inputs);
}

void expectSilent(const std::string &Name, const ProbeOptions &Options) {
  Result<ProbeReport> Report = probeGolden(Name, Options);
  ASSERT_TRUE(Report) << Report.message();
  // A model of two layers has more than 20 values to write.
  EXPECT_GT(Report->Values.size(), 20u);
  for (const ProbedValue &Value : Report->Values)
    EXPECT_FALSE(Value.diverges())
        << Value.Entry << ": " << Value.Name << " of " << Value.Kernel
        << ", error " << Value.Error;
}

class ProbeGolden : public testing::TestWithParam<std::string> {};

TEST_P(ProbeGolden, SilentOnTraining) {
  ProbeOptions Options;
  Options.Entry = "train";
  expectSilent(GetParam(), Options);
}

/// From a prefill to half of the tokens on.
TEST_P(ProbeGolden, SilentOnDecode) {
  ProbeOptions Options;
  Options.Entry = "decode";
  Options.Prefill = 20;
  expectSilent(GetParam(), Options);
}

INSTANTIATE_TEST_SUITE_P(Goldens, ProbeGolden, testing::ValuesIn(goldenNames()),
                         [](auto Info) {
                           std::string Name = Info.param;
                           std::replace(Name.begin(), Name.end(), '-', '_');
                           return Name;
                         });

TEST(Probe, SilentWithoutFusion) {
  ProbeOptions Options;
  Options.Entry = "train";
  Result<ProbeReport> Fused = probeGolden("hybrid-tiny", Options);
  Options.Fuse = false;
  expectSilent("hybrid-tiny", Options);
  Result<ProbeReport> Whole = probeGolden("hybrid-tiny", Options);
  ASSERT_TRUE(Fused && Whole);
  // More is stored, so more is compared.
  EXPECT_GT(Whole->Values.size(), Fused->Values.size());
}

TEST(Probe, SilentWithRecomputation) {
  ProbeOptions Options;
  Options.Entry = "gradients";
  Options.RecomputeBlocks = -1;
  expectSilent("hybrid-tiny", Options);
}

/// The first value of a report that `Kernel` has written.
const ProbedValue *firstOf(const ProbeReport &Report,
                           const std::string &Kernel) {
  for (const ProbedValue &Value : Report.Values)
    if (Value.Kernel == Kernel)
      return &Value;
  return nullptr;
}

/// Kernels of a report, each once, `Count` of them from first to last.
std::vector<std::string> someKernels(const ProbeReport &Report, size_t Count) {
  std::vector<std::string> Kernels, Some;
  std::set<std::string> Known;
  for (const ProbedValue &Value : Report.Values)
    if (Known.insert(Value.Kernel).second)
      Kernels.push_back(Value.Kernel);
  for (size_t I = 0; I < Count; ++I)
    Some.push_back(Kernels[I * (Kernels.size() - 1) / (Count - 1)]);
  return Some;
}

void expectFound(const std::string &Golden, ProbeOptions Options,
                 size_t Count) {
  Result<ProbeReport> Clean = probeGolden(Golden, Options);
  ASSERT_TRUE(Clean) << Clean.message();
  for (const std::string &Kernel : someKernels(*Clean, Count)) {
    Options.EditKernels = [&](mlir::ModuleOp Module) {
      return negateStores(Module, Kernel);
    };
    Result<ProbeReport> Report = probeGolden(Golden, Options);
    ASSERT_TRUE(Report) << Report.message();
    const ProbedValue *Expected = firstOf(*Clean, Kernel);
    const ProbedValue *First = Report->first();
    ASSERT_TRUE(First) << Kernel << ": nothing diverges";
    EXPECT_EQ(First->Name, Expected->Name) << Kernel;
    EXPECT_EQ(First->Kernel, Kernel);
    EXPECT_EQ(First->Launch, Expected->Launch) << Kernel;
    // Wrong signs; a kernel that adds to what is there gives less than 2.
    EXPECT_GT(First->Error, 1) << Kernel;
    EXPECT_LT(First->Error, 2.001) << Kernel;
    EXPECT_EQ(First->Index.size(), First->Shape.size());
    EXPECT_NE(First->Actual, First->Expected);
    EXPECT_FALSE(First->Operation.empty());
  }
}

TEST(Probe, FindsPlantedErrorsInTraining) {
  ProbeOptions Options;
  Options.Entry = "gradients";
  expectFound("hybrid-tiny", Options, 3);
}

TEST(Probe, FindsPlantedErrorsInDecode) {
  ProbeOptions Options;
  Options.Entry = "decode";
  expectFound("hybrid-tiny", Options, 2);
}

} // namespace
