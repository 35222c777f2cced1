//===- FakeDriverState.cpp - What the fake CUDA driver keeps --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/cuda/FakeDriverState.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <sys/mman.h>

using namespace transxssm;
using namespace transxssm::cuda;
using namespace transxssm::fake;

thread_local bool fake::HasContext = false;

void fake::misused(const std::string &How) {
  std::fprintf(stderr, "fake CUDA driver: %s\n", How.c_str());
  std::abort();
}

void Settings::read() {
  *this = Settings();
  const std::map<std::string, uint64_t *> Known = {
#define ENTRY(NAME, DEFAULT) {#NAME, &NAME},
      FAKE_SETTINGS(ENTRY)
#undef ENTRY
  };
  const char *Given = std::getenv("TRANSXSSM_FAKE_CUDA");
  std::string Text = Given ? Given : "";
  for (size_t At = 0; At < Text.size();) {
    size_t End = std::min(Text.find(',', At), Text.size());
    std::string Part = Text.substr(At, End - At);
    size_t Equals = Part.find('=');
    auto Found = Known.find(Part.substr(0, Equals));
    if (Equals == std::string::npos || Found == Known.end())
      misused("TRANSXSSM_FAKE_CUDA: unknown setting '" + Part + "'");
    *Found->second = std::strtoull(Part.c_str() + Equals + 1, nullptr, 10);
    At = End + 1;
  }
}

Driver &fake::driver() {
  static Driver *Only = new Driver; // outlives every caller
  return *Only;
}

static void protectMemory(int How) {
  for (const auto &[Begin, Bytes] : driver().Memory)
    if (::mprotect(reinterpret_cast<void *>(Begin), pageBytes(Bytes), How))
      misused("mprotect failed");
}

DeviceAccess::DeviceAccess() { protectMemory(PROT_READ | PROT_WRITE); }
DeviceAccess::~DeviceAccess() { protectMemory(PROT_NONE); }

CuResult fake::enter(const char *Name) {
  if (!driver().Began)
    misused(std::string(Name) + " before cuInit");
  if (!HasContext)
    misused(std::string(Name) + " in a thread without a context");
  return driver().Sticky;
}

void fake::checkRange(const char *Name, uint64_t Begin, uint64_t Bytes) {
  const auto &Memory = driver().Memory;
  auto Next = Memory.upper_bound(Begin);
  if (Next == Memory.begin())
    misused(std::string(Name) + ": not an address of the device");
  const auto &[First, Size] = *std::prev(Next);
  if (Begin - First > Size || Bytes > Size - (Begin - First))
    misused(std::string(Name) + ": " + std::to_string(Bytes) + " bytes at " +
            std::to_string(Begin - First) + " of an allocation of " +
            std::to_string(Size));
}

void fake::checkHost(const char *Name, const void *Memory) {
  uint64_t Address = reinterpret_cast<uint64_t>(Memory);
  const auto &Device = driver().Memory;
  auto Next = Device.upper_bound(Address);
  if (Next != Device.begin() &&
      Address - std::prev(Next)->first < std::prev(Next)->second)
    misused(std::string(Name) + ": a device address where a host's belongs");
}

bool fake::isPinned(const void *Memory, uint64_t Bytes) {
  uint64_t Address = reinterpret_cast<uint64_t>(Memory);
  const auto &Pinned = driver().Pinned;
  auto Next = Pinned.upper_bound(Address);
  if (Next == Pinned.begin())
    return false;
  const auto &[First, Size] = *std::prev(Next);
  return Address - First <= Size && Bytes <= Size - (Address - First);
}

Stream *fake::stream(const char *Name, CuStream Handle) {
  return checkHandle(Name, driver().Streams, Handle);
}

CuResult fake::drain(Stream &Of) {
  while (!Of.Waiting.empty()) {
    std::function<CuResult()> Next = std::move(Of.Waiting.front());
    Of.Waiting.pop_front();
    if (driver().Sticky == CuSuccess)
      driver().Sticky = Next();
  }
  return driver().Sticky;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

CuResult fake::runKernel(KernelLaunch &Launch) {
  Driver &D = driver();
  ++D.Counts["kernels"];
  if (++D.Kernels == D.Given.fail_kernel)
    return CuIllegalAddress;
  if (D.Kernels == D.Given.skip_kernel)
    return CuSuccess;
  DeviceAccess Open;
  sim::GlobalMemory &Global = D.Runner.memory();
  Global.clear();
  for (const auto &[Begin, Bytes] : D.Memory)
    Global.declare(reinterpret_cast<void *>(Begin), Bytes,
                   "allocation of " + std::to_string(Bytes) + " bytes", true);
  std::vector<void *> Parameters;
  for (std::vector<uint64_t> &Value : Launch.Values)
    Parameters.push_back(Value.data());
  D.Runner.clearReports();
  Status Done = D.Runner.launch(*Launch.Of->Of->Code, *Launch.Of->Kernel,
                                Launch.Shape, Parameters);
  if (Done && D.Runner.reports().empty())
    return CuSuccess;
  std::fprintf(
      stderr, "fake CUDA driver: kernel '%s': %s\n", Launch.Of->Kernel->Symbol,
      Done ? D.Runner.reports().front().str().c_str() : Done.message().c_str());
  return CuLaunchFailed;
}

CuResult fake::makeLaunch(const char *Name, const CuKernelNodeParameters &Given,
                          KernelLaunch &Into) {
  constexpr CuResult InvalidValue = CuResult(1);
  Into.Of = reinterpret_cast<Function *>(Given.Function);
  bool Known = false;
  for (FakeModule *Module : driver().Modules)
    for (auto &[Symbol, Of] : Module->Functions)
      Known |= &Of == Into.Of;
  if (!Known)
    misused(std::string(Name) + ": not a function of a loaded module");
  for (unsigned Extent : Given.Grid)
    if (Extent == 0)
      return InvalidValue;
  if (Given.Grid[1] > 65535 || Given.Grid[2] > 65535 || Given.Block[0] == 0 ||
      Given.Block[0] > 1024 || Given.Block[1] != 1 || Given.Block[2] != 1 ||
      Given.SharedBytes > Into.Of->MaxShared || Given.Extra)
    return InvalidValue;
  uint64_t Expected = Into.Of->Kernel->Parameters, Count = 0;
  while (Count <= Expected && Given.Parameters[Count])
    ++Count;
  if (Count != Expected)
    misused(std::string(Name) + ": kernel '" + Into.Of->Kernel->Symbol +
            "' has " + std::to_string(Expected) + " parameters, got " +
            (Count > Expected ? "more" : std::to_string(Count)));
  Into.Values.clear();
  for (uint64_t I = 0; I < Count; ++I) {
    const uint64_t *From = static_cast<uint64_t *>(Given.Parameters[I]);
    // The driver knows how long a parameter is; here, who encoded it does.
    size_t Words = driver().Maps.erase(From) ? 16 : 1;
    Into.Values.emplace_back(From, From + Words);
  }
  std::copy_n(Given.Grid, 3, Into.Shape.Grid);
  Into.Shape.Threads = Given.Block[0];
  Into.Shape.DynamicSharedBytes = Given.SharedBytes;
  return CuSuccess;
}
