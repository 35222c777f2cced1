//===- ConformanceTest.cpp - The conformance set without a GPU ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Each kernel of bench/conformance computes in the simulator what the PTX ISA
// says, under several schedules and without a report, and is machine code that
// ptxas has nothing to say about. That wrong answers of a device are seen is
// tested in test/cuda/test_gpu_check.py.
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/CaseFile.h"
#include "bench/conformance/CaseRunner.h"
#include "bench/conformance/Cases.h"
#include "bench/conformance/CompileCase.h"
#include "codegen/nvptx/Ptxas.h"
#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

const std::vector<Case> &cases() {
  static const std::vector<Case> All = allCases(SIM_KERNELS);
  return All;
}

class Conformance : public testing::TestWithParam<size_t> {};

TEST_P(Conformance, AnswersAreThoseOfTheIsa) {
  const Case &Each = cases()[GetParam()];
  Result<std::string> Object = compileForSimulator(Each);
  ASSERT_TRUE(Object) << Object.message();
  Result<std::unique_ptr<sim::SimModule>> Module =
      sim::SimModule::load(reinterpret_cast<const uint8_t *>(Object->data()),
                           Object->size(), Each.Name);
  ASSERT_TRUE(Module) << Module.message();
  for (const sim::SimOptions &Options : test::manySchedules(2)) {
    Result<SimulatedRun> Run = runInSimulator(**Module, Each, Options);
    ASSERT_TRUE(Run) << Run.message();
    for (const sim::Report &Made : Run->Reports)
      FAIL() << Made.str();
    EXPECT_EQ(difference(Each, Run->Left), "");
  }
}

TEST_P(Conformance, AssemblesWithoutWarnings) {
  const Case &Each = cases()[GetParam()];
  std::string Ptxas = nvptx::findPtxas();
  if (Ptxas.empty())
    GTEST_SKIP() << "no ptxas";
  std::string Arch = Each.NeedsHopper ? "sm_90a" : "sm_80";
  Result<std::string> Ptx = compileToPtx(Each, Arch);
  ASSERT_TRUE(Ptx) << Ptx.message();
  Result<nvptx::AssembledCode> Made = nvptx::assemble(*Ptx, Arch, Ptxas);
  ASSERT_TRUE(Made) << Made.message() << "\n" << *Ptx;
  for (const std::string &Warning : Made->Warnings)
    ADD_FAILURE() << Warning;
  ASSERT_EQ(Made->Kernels.size(), 1u);
  EXPECT_EQ(Made->Kernels[0].Symbol, Each.Symbol);
  EXPECT_FALSE(Made->Kernels[0].usesLocalMemory());
}

INSTANTIATE_TEST_SUITE_P(All, Conformance,
                         testing::Range(size_t(0), cases().size()),
                         [](const auto &Info) {
                           return cases()[Info.param].Symbol;
                         });

TEST(ConformanceSet, HasNoNameTwice) {
  std::set<std::string> Names, Symbols;
  for (const Case &Each : cases()) {
    EXPECT_TRUE(Names.insert(Each.Name).second) << Each.Name;
    EXPECT_TRUE(Symbols.insert(Each.Symbol).second) << Each.Symbol;
  }
}

TEST(ConformanceSet, SaysWhatDiffers) {
  Case Of;
  Of.Arguments = {size("n", 3), input("x", std::vector<float>{1}),
                  output("y", std::vector<float>{1, 2, 3})};
  Contents Left = {
      {}, bytesOf(std::vector<float>{1}), bytesOf(std::vector<float>{1, 2, 3})};
  EXPECT_EQ(difference(Of, Left), "");
  Left[2] = bytesOf(std::vector<float>{1, 2.5, 4});
  EXPECT_EQ(difference(Of, Left),
            "y: 2 of 3 words differ, first at 1: expected 0x40000000, got "
            "0x40200000");
  // An input that a kernel has written to is as wrong.
  Left[1] = bytesOf(std::vector<float>{-1});
  EXPECT_EQ(difference(Of, Left).substr(0, 30),
            "x: 1 of 1 words differ, first ");
  Left[1] = bytesOf(std::vector<float>{1});
  Of.Arguments[2].Bound = 0.25;
  EXPECT_EQ(difference(Of, Left).substr(0, 32),
            "y: 1 of 3 words differ, first at");
  Of.Arguments[2].Bound = 0.5;
  EXPECT_EQ(difference(Of, Left), "");
}

TEST(ConformanceSet, StaysTheSameInAFolder) {
  std::string Folder = testing::TempDir();
  std::vector<StoredCase> Written;
  for (const Case &Each : cases())
    if (Each.Arguments.back().Map || Each.Arguments.back().Bound > 0 ||
        Each.Arguments.back().Kind == Argument::Role::Size)
      Written.push_back({Each, {{"sm_80", {1, 2}}, {"ptx-sm_80", {3}}}});
  ASSERT_TRUE(writeCases(Folder, Written));
  Result<std::vector<StoredCase>> Read = readCases(Folder);
  ASSERT_TRUE(Read) << Read.message();
  ASSERT_EQ(Read->size(), Written.size());
  for (size_t I = 0; I < Written.size(); ++I) {
    const Case &Of = Written[I].Of, &Is = (*Read)[I].Of;
    EXPECT_EQ(Is.Name, Of.Name);
    EXPECT_EQ(Is.Symbol, Of.Symbol);
    EXPECT_EQ(Is.Threads, Of.Threads);
    EXPECT_EQ(Is.Grid[0], Of.Grid[0]);
    EXPECT_EQ(Is.SharedBytes, Of.SharedBytes);
    EXPECT_EQ((*Read)[I].Images, Written[I].Images);
    ASSERT_EQ(Is.Arguments.size(), Of.Arguments.size());
    const Argument &Last = Of.Arguments.back(), &Got = Is.Arguments.back();
    EXPECT_EQ(Got.Name, Last.Name);
    EXPECT_EQ(Got.Kind, Last.Kind);
    EXPECT_EQ(Got.Bytes, Last.Bytes);
    EXPECT_EQ(Got.Value, Last.Value);
    EXPECT_EQ(Got.Bound, Last.Bound);
    ASSERT_EQ(Got.Map.has_value(), Last.Map.has_value());
    if (Last.Map) {
      EXPECT_EQ(Got.Map->Extent, Last.Map->Extent);
      EXPECT_EQ(Got.Map->Stride, Last.Map->Stride);
      EXPECT_EQ(Got.Map->Box, Last.Map->Box);
      EXPECT_EQ(Got.Map->Swizzle, Last.Map->Swizzle);
      EXPECT_EQ(Got.Map->ElementBytes, Last.Map->ElementBytes);
    }
  }
  EXPECT_EQ(readCases(Folder + "/none").message().substr(0, Folder.size()),
            Folder);
}

} // namespace
