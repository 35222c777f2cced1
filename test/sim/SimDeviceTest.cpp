//===- SimDeviceTest.cpp - A package on device "sim" ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The sample package of the runtime's tests, with code for the simulator beside
// that for the processor.
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimCodegen.h"
#include "runtime/Model.h"
#include "test/runtime/SamplePackage.h"
#include "test/sim/SimHarness.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/Support/SourceMgr.h"

#include <gtest/gtest.h>

#include <cstdlib>

using namespace transxssm;
using namespace transxssm::test;

namespace {

constexpr int64_t B = 2, T = 3;

/// The sample package with sample.ll, in which a bug may be planted.
package::PackageT packageWith(const std::string &Bug = "",
                              const std::string &Target = "sim-sm_80") {
  package::PackageT Made = samplePackage();
  llvm::LLVMContext Context;
  llvm::SMDiagnostic Diagnostic;
  auto Module =
      llvm::parseAssemblyString(kernelText("sample", Bug), Diagnostic, Context);
  EXPECT_TRUE(Module) << Diagnostic.getMessage().str();
  llvm::Expected<std::string> Object = sim::compileForSimulator(*Module);
  EXPECT_TRUE(bool(Object));
  auto Code = std::make_unique<package::CodeObjectT>();
  Code->target = Target;
  Code->object.assign(Object->begin(), Object->end());
  for (const auto &Kernel : Made.kernels) {
    auto Of = std::make_unique<package::KernelCodeT>();
    Of->symbol = Kernel->name;
    Of->threads = 32;
    Of->shared_bytes = 128;
    Code->kernels.push_back(std::move(Of));
  }
  Made.code.push_back(std::move(Code));
  return Made;
}

Result<Model> loadOn(const std::string &Device, const package::PackageT &From) {
  std::vector<uint8_t> Bytes = serialize(From);
  Result<Package> Read = Package::fromBytes(Bytes.data(), Bytes.size(), "p");
  if (!Read)
    return Read.error();
  ModelOptions Options;
  Options.Device = Device;
  Options.Threads = 1;
  Options.Seed = 7;
  return Model::load(*Read, "", Options);
}

Status forward(Model &On, std::vector<float> &Logits) {
  const int32_t Ids[B * T] = {1, 2, 3, 10, 0, 5};
  Logits.assign(size_t(B * T * SampleVocab), 0);
  return On.forward(Ids, B, T, nullptr, Logits.data());
}

std::string errorWith(const std::string &Bug) {
  Result<Model> On = loadOn("sim", packageWith(Bug));
  EXPECT_TRUE(On) << On.message();
  std::vector<float> Logits;
  Status Ran = forward(*On, Logits);
  return Ran ? "" : Ran.message();
}

TEST(SimDevice, GivesTheProcessorsLogits) {
  SKIP_WITHOUT_OBJECT();
  package::PackageT Package = packageWith();
  std::vector<float> Expected, Logits;
  Result<Model> Processor = loadOn("cpu", Package);
  ASSERT_TRUE(Processor) << Processor.message();
  ASSERT_TRUE(forward(*Processor, Expected));
  for (const char *Schedule : {"", "reverse", "1", "2"}) {
    ::setenv("TRANSXSSM_SIM_SCHEDULE", Schedule, 1);
    Result<Model> Simulated = loadOn("sim:sm_80", Package);
    ::unsetenv("TRANSXSSM_SIM_SCHEDULE");
    ASSERT_TRUE(Simulated) << Simulated.message();
    Status Ran = forward(*Simulated, Logits);
    ASSERT_TRUE(Ran) << Ran.message();
    EXPECT_EQ(Logits, Expected);
  }
}

TEST(SimDevice, FailsTheCallWithTheFirstReport) {
  EXPECT_EQ(errorWith("missing-barrier"),
            "p: entry 'forward': kernel 'sample_logits': uninitialized shared "
            "memory: block 0, thread 0, load of 4 bytes: reads byte 4, which "
            "no thread has written");
  // A block that goes on past its row meets the next one's.
  EXPECT_EQ(errorWith("past-row"),
            "p: entry 'forward': kernel 'sample_embed': global memory race: "
            "block 1, thread 0, store of 4 bytes: writes byte 32 of 'hidden', "
            "which another block wrote in the same launch; written at store of "
            "4 bytes");
  EXPECT_EQ(errorWith("no-store"),
            "p: entry 'forward': kernel 'sample_logits': uninitialized global "
            "memory: block 0, thread 0, load of 4 bytes: reads byte 0 of "
            "'hidden', which nobody has written");
}

/// A block of sm_90a may have more shared memory than one of sm_80.
TEST(SimDevice, KnowsTheSharedMemoryOfAnArchitecture) {
  SKIP_WITHOUT_OBJECT();
  struct {
    const char *Target;
    uint64_t Limit;
  } const Cases[] = {{"sim-sm_80", 166912}, {"sim-sm_90a", 232448}};
  for (const auto &Case : Cases) {
    package::PackageT Package = packageWith("", Case.Target);
    auto &Kernel = Package.code[1]->kernels[0];
    std::vector<float> Logits;
    for (uint64_t Bytes : {Case.Limit, Case.Limit + 4}) {
      Kernel->shared_bytes = Bytes;
      Result<Model> On = loadOn("sim", Package);
      ASSERT_TRUE(On) << On.message();
      Status Ran = forward(*On, Logits);
      EXPECT_EQ(bool(Ran), Bytes == Case.Limit) << Ran.message();
      if (!Ran)
        EXPECT_EQ(Ran.message(),
                  "p: entry 'forward': kernel 'sample_embed': shared memory: "
                  "expected at most " +
                      std::to_string(Case.Limit) + " bytes, got " +
                      std::to_string(Case.Limit + 4));
    }
  }
}

TEST(SimDevice, RefusesPackagesThatDoNotFit) {
  EXPECT_EQ(loadOn("sim", samplePackage()).message(),
            "p: expected code for the simulator (sim-sm_80, …), got "
            "x86-64-v1");
  EXPECT_EQ(loadOn("sim:sm_90a", packageWith()).message(),
            "p: expected code for the simulator (sim-sm_90a), got x86-64-v1, "
            "sim-sm_80");
  package::PackageT Renamed = packageWith();
  Renamed.code[1]->kernels[0]->symbol = "absent";
  EXPECT_EQ(loadOn("sim", Renamed).message(),
            "p: sim-sm_80: expected kernel 'absent' in the object code, got "
            "none");
  package::PackageT Wide = packageWith();
  Wide.code[1]->kernels[0]->threads = 2000;
  EXPECT_EQ(loadOn("sim", Wide).message(),
            "p: code 1 (sim-sm_80), kernel 'sample_embed': expected at most "
            "1024 threads and 1048576 bytes of shared memory, got 2000 and "
            "128");
  ::setenv("TRANSXSSM_SIM_SCHEDULE", "sideways", 1);
  EXPECT_EQ(loadOn("sim", packageWith()).message(),
            "TRANSXSSM_SIM_SCHEDULE: expected reverse or a number, got "
            "'sideways'");
  ::unsetenv("TRANSXSSM_SIM_SCHEDULE");
}

} // namespace
