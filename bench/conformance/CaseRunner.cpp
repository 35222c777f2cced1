//===- CaseRunner.cpp - The conformance set on a device -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/CaseRunner.h"

#include "runtime/cuda/CodeTargets.h"

#include <algorithm>
#include <functional>
#include <memory>

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

/// As aligned as memory of a device.
constexpr size_t Alignment = 256;

struct AlignedBytes {
  std::vector<uint8_t> Held;
  uint8_t *Begin;

  explicit AlignedBytes(size_t Bytes) : Held(Bytes + Alignment) {
    uintptr_t Start = reinterpret_cast<uintptr_t>(Held.data());
    Begin = Held.data() + (Alignment - Start % Alignment) % Alignment;
  }
};

TransXSSMSimTensorMap simulatedMap(const TensorShape &Of, const void *Base) {
  TransXSSMSimTensorMap Made = {};
  Made.Base = reinterpret_cast<uint64_t>(Base);
  std::copy(Of.Extent.begin(), Of.Extent.end(), Made.Extent);
  std::copy(Of.Stride.begin(), Of.Stride.end(), Made.Stride);
  std::copy(Of.Box.begin(), Of.Box.end(), Made.Box);
  Made.Rank = uint16_t(Of.Extent.size());
  Made.ElementBytes = uint8_t(Of.ElementBytes);
  Made.Swizzle = uint8_t(Of.Swizzle);
  return Made;
}

/// What an argument's memory holds before the run.
std::vector<uint8_t> before(const Argument &Of) {
  return Of.Kind == Argument::Role::Output
             ? std::vector<uint8_t>(Of.Bytes.size(), Untouched)
             : Of.Bytes;
}

} // namespace

//===----------------------------------------------------------------------===//
// The simulator
//===----------------------------------------------------------------------===//

Result<SimulatedRun>
conformance::runInSimulator(const sim::SimModule &Kernels, const Case &Of,
                            const sim::SimOptions &Options) {
  const TransXSSMSimKernelInfo *Kernel = Kernels.find(Of.Symbol);
  if (!Kernel)
    return makeError(Of.Name, ": no kernel '", Of.Symbol, "'");
  sim::Simulator Simulator;
  Simulator.Options = Options;
  std::vector<AlignedBytes> Memory;
  std::vector<uint64_t> Values(Of.Arguments.size());
  std::vector<TransXSSMSimTensorMap> Maps(Of.Arguments.size());
  std::vector<void *> Parameters;
  for (size_t I = 0; I < Of.Arguments.size(); ++I) {
    const Argument &Each = Of.Arguments[I];
    std::vector<uint8_t> Bytes = before(Each);
    Memory.emplace_back(Bytes.size());
    uint8_t *Begin = Memory.back().Begin;
    std::copy(Bytes.begin(), Bytes.end(), Begin);
    Values[I] = Each.Kind == Argument::Role::Size
                    ? uint64_t(Each.Value)
                    : reinterpret_cast<uint64_t>(Begin);
    if (Each.Kind != Argument::Role::Size)
      Simulator.memory().declare(Begin, Bytes.size(), Each.Name,
                                 Each.Kind == Argument::Role::Input);
    if (Each.Map)
      Maps[I] = simulatedMap(*Each.Map, Begin);
    Parameters.push_back(Each.Map ? static_cast<void *>(&Maps[I])
                                  : static_cast<void *>(&Values[I]));
  }
  sim::LaunchShape Shape;
  std::copy_n(Of.Grid, 3, Shape.Grid);
  Shape.Threads = Of.Threads;
  Shape.DynamicSharedBytes = Of.SharedBytes;
  if (Status Ran = Simulator.launch(Kernels, *Kernel, Shape, Parameters); !Ran)
    return makeError(Of.Name, ": ", Ran.message());
  SimulatedRun Made;
  for (size_t I = 0; I < Of.Arguments.size(); ++I)
    Made.Left.emplace_back(Memory[I].Begin,
                           Memory[I].Begin + Of.Arguments[I].Bytes.size());
  Made.Reports = Simulator.reports();
  Made.Counts = Simulator.Counts;
  return Made;
}

//===----------------------------------------------------------------------===//
// A GPU
//===----------------------------------------------------------------------===//

namespace {

using namespace transxssm::cuda;

/// A module for as long as it lives.
class LoadedModule {
public:
  explicit LoadedModule(CudaContext &On) : On(On) {}
  ~LoadedModule() {
    if (Handle)
      (void)On.driver().ModuleUnload(Handle);
  }
  LoadedModule(const LoadedModule &) = delete;
  LoadedModule &operator=(const LoadedModule &) = delete;

  /// The first image that the driver takes.
  Status load(const StoredCase &Of, const std::vector<size_t> &Candidates) {
    Status Last;
    for (size_t Which : Candidates) {
      const auto &[Target, Held] = Of.Images[Which];
      std::vector<uint8_t> Image = Held;
      Image.push_back(0); // PTX is text
      char Log[2048] = "";
      int Options[] = {CuJitErrorLog, CuJitErrorLogBytes};
      void *Values[] = {Log,
                        reinterpret_cast<void *>(uintptr_t(sizeof(Log) - 1))};
      CuResult Loaded =
          On.driver().ModuleLoad(&Handle, Image.data(), 2, Options, Values);
      std::string Why = Log;
      std::replace(Why.begin(), Why.end(), '\n', ' ');
      Last = On.check(Loaded, "loading " + Target + (Why.empty() ? "" : " (") +
                                  Why + (Why.empty() ? "" : ")"));
      if (Last)
        return Last;
      Handle = nullptr;
    }
    return Last;
  }

  Result<CuFunction> find(const Case &Of) {
    CuFunction Found = nullptr;
    CuResult Result =
        On.driver().ModuleFunction(&Found, Handle, Of.Symbol.c_str());
    if (Result == CuSuccess && Of.SharedBytes > 48 * 1024)
      Result = On.driver().FunctionSet(Found, CuFunctionMaxDynamicSharedBytes,
                                       int(Of.SharedBytes));
    if (Status Done = On.check(Result, "finding the kernel"); !Done)
      return Done.error();
    return Found;
  }

private:
  CudaContext &On;
  CuModule Handle = nullptr;
};

Status encodeMap(CudaContext &On, const TensorShape &Of, void *Base,
                 CuTensorMap &Into) {
  const uint32_t ElementStrides[] = {1, 1, 1, 1, 1};
  int Type = Of.ElementBytes == 4 ? CuTensorFloat32 : CuTensorBf16;
  int Swizzle = Of.Swizzle == 128  ? CuTensorSwizzle128
                : Of.Swizzle == 64 ? CuTensorSwizzle64
                : Of.Swizzle == 32 ? CuTensorSwizzle32
                                   : CuTensorNoSwizzle;
  return On.check(On.driver().TensorMapEncode(
                      &Into, Type, uint32_t(Of.Extent.size()), Base,
                      Of.Extent.data(), Of.Stride.data(), Of.Box.data(),
                      ElementStrides, CuTensorNoInterleave, Swizzle,
                      CuTensorPromotion256, CuTensorFillZeros),
                  "encoding a tensor map");
}

/// The memory of a launch and what its parameters point to.
struct GpuArguments {
  std::vector<MemoryBlock> Memory;
  std::vector<uint64_t> Values;
  std::vector<CuTensorMap> Maps;
  std::vector<void *> Parameters;

  Status make(const std::shared_ptr<CudaContext> &On, const Case &Of);
};

Status GpuArguments::make(const std::shared_ptr<CudaContext> &On,
                          const Case &Of) {
  Values.resize(Of.Arguments.size());
  Maps.resize(Of.Arguments.size());
  for (size_t I = 0; I < Of.Arguments.size(); ++I) {
    const Argument &Each = Of.Arguments[I];
    if (Each.Kind == Argument::Role::Size) {
      Values[I] = uint64_t(Each.Value);
      Parameters.push_back(&Values[I]);
      Memory.emplace_back();
      continue;
    }
    std::vector<uint8_t> Bytes = before(Each);
    Result<MemoryBlock> Made =
        MemoryBlock::allocate(Bytes.size(), "'" + Each.Name + "'", On);
    if (!Made)
      return Made.error();
    if (Status Done = On->copyIn(Made->data(), Bytes.data(), Bytes.size());
        !Done)
      return Done;
    Values[I] = reinterpret_cast<uint64_t>(Made->data());
    if (Each.Map)
      if (Status Done = encodeMap(*On, *Each.Map, Made->data(), Maps[I]); !Done)
        return Done;
    Parameters.push_back(Each.Map ? static_cast<void *>(&Maps[I])
                                  : static_cast<void *>(&Values[I]));
    Memory.push_back(std::move(*Made));
  }
  Parameters.push_back(nullptr); // lets tests count them
  return {};
}

} // namespace

Result<std::optional<Contents>>
conformance::runOnGpu(const std::shared_ptr<CudaContext> &On,
                      const StoredCase &Of) {
  std::vector<std::string> Targets;
  for (const auto &[Target, Image] : Of.Images)
    Targets.push_back(Target);
  std::vector<size_t> Candidates = codeFor(Targets, On->capability());
  if (Candidates.empty())
    return std::optional<Contents>();
  if (Status Entered = On->enter(); !Entered)
    return Entered.error();
  LoadedModule Module(*On);
  if (Status Done = Module.load(Of, Candidates); !Done)
    return Done.error();
  Result<CuFunction> Kernel = Module.find(Of.Of);
  if (!Kernel)
    return Kernel.error();
  GpuArguments Arguments;
  if (Status Done = Arguments.make(On, Of.Of); !Done)
    return Done.error();
  CuResult Launched =
      On->driver().Launch(*Kernel, Of.Of.Grid[0], Of.Of.Grid[1], Of.Of.Grid[2],
                          Of.Of.Threads, 1, 1, unsigned(Of.Of.SharedBytes),
                          On->stream(), Arguments.Parameters.data(), nullptr);
  if (Status Done = On->check(Launched, "launching"); !Done)
    return Done.error();
  if (Status Done = On->wait("running"); !Done)
    return Done.error();
  Contents Left;
  for (size_t I = 0; I < Of.Of.Arguments.size(); ++I) {
    Left.emplace_back(Of.Of.Arguments[I].Bytes.size());
    if (Status Done = On->copyOut(
            Left.back().data(), Arguments.Memory[I].data(), Left.back().size());
        !Done)
      return Done.error();
  }
  return std::optional<Contents>(std::move(Left));
}
