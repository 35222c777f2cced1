//===- CudaDevice.cpp - Kernels on an NVIDIA GPU --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/CudaDevice.h"

#include "runtime/TensorMap.h"
#include "runtime/cuda/CodeTargets.h"
#include "runtime/cuda/CudaGraph.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace transxssm;
using namespace transxssm::cuda;

namespace {

/// Graphs kept at a time, as many as the executor keeps bindings.
constexpr size_t MaxGraphs = 64;

/// A switch in the environment: 0 or 1.
Status readSwitch(const char *Name, bool &Into) {
  const char *Text = std::getenv(Name);
  if (!Text || !*Text)
    return {};
  if (std::strcmp(Text, "0") != 0 && std::strcmp(Text, "1") != 0)
    return makeError(Name, ": expected 0 or 1, got '", Text, "'");
  Into = *Text == '1';
  return {};
}

Result<unsigned> parseNumber(const std::string &Text) {
  bool Digits = Text.find_first_not_of("0123456789") == std::string::npos;
  if (!Digits || Text.empty() || Text.size() > 3)
    return makeError("device 'cuda:", Text,
                     "': expected the number of a GPU behind cuda:");
  return unsigned(std::strtoul(Text.c_str(), nullptr, 10));
}

} // namespace

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

CudaDevice::CudaDevice(const Package &From, const PackageCode &Code,
                       std::shared_ptr<CudaContext> On)
    : Device(From, Code), Context(std::move(On)),
      Pinned(std::make_shared<PinnedSpace>(Context)) {}

Result<std::unique_ptr<Device>> CudaDevice::create(const Package &From,
                                                   const std::string &Number) {
  Result<unsigned> Ordinal = parseNumber(Number);
  if (!Ordinal)
    return Ordinal.error();
  Result<std::shared_ptr<CudaContext>> On = CudaContext::create(*Ordinal);
  if (!On)
    return On.error();
  int Capability = (*On)->capability();
  std::vector<std::string> Targets;
  for (const PackageCode &Code : From.code())
    Targets.push_back(Code.Target);
  std::vector<size_t> Candidates = codeFor(Targets, Capability);
  if (Candidates.empty()) {
    std::string Has;
    for (const std::string &Target : Targets)
      Has += (Has.empty() ? "" : ", ") + Target;
    return makeError(From.sourceName(), ": expected code for ", (*On)->name(),
                     " (", (*On)->model(), ", sm_", Capability, "), got ",
                     Has.empty() ? "none" : Has,
                     "; compile with --target=nvptx");
  }
  // A driver may be older than the assembler that made the machine code; PTX of
  // the same kernels may do then.
  Status Last;
  for (size_t Which : Candidates) {
    std::unique_ptr<CudaDevice> Made(
        new CudaDevice(From, From.code()[Which], *On));
    Last = Made->readEnvironment();
    if (Last)
      Last = Made->loadModule();
    if (Last)
      Last = Made->resolveKernels();
    if (Last)
      return std::unique_ptr<Device>(std::move(Made));
  }
  return Last.error();
}

CudaDevice::~CudaDevice() {
  (void)Context->enter();
  Known.clear();
  const DriverTable &Driver = Context->driver();
  for (CuEvent Event : {Began, Ended})
    if (Event)
      (void)Driver.EventDestroy(Event);
  if (Module)
    (void)Driver.ModuleUnload(Module);
}

Status CudaDevice::readEnvironment() {
  if (Status Read = readSwitch("TRANSXSSM_CUDA_GRAPHS", UsesGraphs); !Read)
    return Read;
  return readSwitch("TRANSXSSM_CUDA_SYNC", Waits);
}

Status CudaDevice::loadModule() {
  if (Status Entered = Context->enter(); !Entered)
    return Entered;
  // PTX is text and has to end with a zero.
  std::vector<uint8_t> Image = Code->Object;
  Image.push_back(0);
  char Log[4096] = "";
  int Options[] = {CuJitErrorLog, CuJitErrorLogBytes};
  void *Values[] = {Log, reinterpret_cast<void *>(uintptr_t(sizeof(Log) - 1))};
  CuResult Loaded =
      Context->driver().ModuleLoad(&Module, Image.data(), 2, Options, Values);
  std::string Doing = "loading " + Code->Target + " of " + From.sourceName();
  std::string Why = Log;
  std::replace(Why.begin(), Why.end(), '\n', ' ');
  if (Loaded != CuSuccess && !Why.empty())
    Doing += " (" + Why + ")";
  return Context->check(Loaded, Doing);
}

Status CudaDevice::resolveKernels() {
  const DriverTable &Driver = Context->driver();
  std::string Where = From.sourceName() + ": " + Code->Target;
  for (const PackageKernelCode &Kernel : Code->Kernels) {
    if (Kernel.Threads == 0)
      return makeError(Where, ", kernel '", Kernel.Symbol,
                       "': expected at least one thread, got 0");
    if (Kernel.SharedBytes > Context->maxSharedBytes())
      return makeError(Where, ", kernel '", Kernel.Symbol, "': needs ",
                       Kernel.SharedBytes, " bytes of shared memory, ",
                       Context->name(), " (", Context->model(), ") has ",
                       Context->maxSharedBytes());
    CuFunction Found = nullptr;
    std::string Doing = "finding kernel '" + Kernel.Symbol + "' in " + Where;
    CuResult Result =
        Driver.ModuleFunction(&Found, Module, Kernel.Symbol.c_str());
    // Above 48 KiB a kernel has to ask (CUDA programming guide, "Shared
    // Memory").
    if (Result == CuSuccess && Kernel.SharedBytes > 48 * 1024)
      Result = Driver.FunctionSet(Found, CuFunctionMaxDynamicSharedBytes,
                                  int(Kernel.SharedBytes));
    if (Status Done = Context->check(Result, Doing); !Done)
      return Done;
    Kernels.push_back(Found);
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Launching
//===----------------------------------------------------------------------===//

std::string CudaDevice::kernelName(const DeviceLaunch &Launch) const {
  return "kernel '" + From.kernels()[Launch.From->Kernel].Name + "'";
}

Status CudaDevice::addTensorMaps(const DeviceLaunch &Launch,
                                 CudaLaunch &Into) const {
  const std::vector<PackageTensorMap> &Wanted =
      Code->Kernels[Launch.From->Kernel].TensorMaps;
  const uint32_t ElementStrides[MaxTensorRank] = {1, 1, 1, 1, 1};
  Into.Maps.assign(Wanted.size(), {});
  for (size_t I = 0; I < Wanted.size(); ++I) {
    Result<BoundTensorMap> Bound = bindTensorMap(Wanted[I], Launch);
    if (!Bound)
      return makeError(kernelName(Launch), ": ", Bound.message());
    CuResult Encoded = Context->driver().TensorMapEncode(
        &Into.Maps[I], CuTensorBf16, Bound->Rank, Bound->Base, Bound->Extent,
        Bound->Stride, Bound->Box, ElementStrides, CuTensorNoInterleave,
        CuTensorSwizzle128, CuTensorPromotion256, CuTensorFillZeros);
    if (Status Done = Context->check(Encoded, "encoding a tensor map of " +
                                                  kernelName(Launch));
        !Done)
      return Done;
    Into.Parameters.push_back(&Into.Maps[I]);
  }
  return {};
}

Status CudaDevice::prepare(const DeviceLaunch &Launch, CudaLaunch &Into) const {
  // CUDA programming guide, "Technical Specifications per Compute Capability".
  const int64_t MaxGrid[3] = {(int64_t(1) << 31) - 1, 65535, 65535};
  const PackageKernelCode &Kernel = Code->Kernels[Launch.From->Kernel];
  for (size_t D = 0; D < 3; ++D) {
    if (Launch.Grid[D] > MaxGrid[D])
      return makeError(kernelName(Launch), ": grid extent ", Launch.Grid[D],
                       " in dimension ", D, ": expected at most ", MaxGrid[D]);
    Into.Node.Grid[D] = unsigned(Launch.Grid[D]);
    Into.Node.Block[D] = D == 0 ? Kernel.Threads : 1;
  }
  if (Kernel.ResidentBlocks) {
    std::optional<uint32_t> Blocks =
        residentBlocks(Launch.Grid, uint64_t(Kernel.ResidentBlocks) *
                                        Context->multiprocessors());
    if (!Blocks)
      return makeError(kernelName(Launch), ": the grid has too many cells");
    Into.Node.Grid[0] = *Blocks;
    Into.Node.Grid[1] = Into.Node.Grid[2] = 1;
  }
  Into.Node.Function = Kernels[Launch.From->Kernel];
  Into.Node.SharedBytes = unsigned(Kernel.SharedBytes);
  // The driver copies the values while it is given the launch.
  Into.Parameters.clear();
  for (size_t I = 0; I < Launch.From->Operands.size(); ++I)
    Into.Parameters.push_back(const_cast<void **>(&Launch.Operands[I]));
  for (size_t I = 0; I < Launch.From->Sizes.size(); ++I)
    Into.Parameters.push_back(const_cast<int64_t *>(&Launch.Sizes[I]));
  if (Kernel.ResidentBlocks)
    for (size_t D = 0; D < 3; ++D)
      Into.Parameters.push_back(const_cast<int64_t *>(&Launch.Grid[D]));
  if (Status Done = addTensorMaps(Launch, Into); !Done)
    return Done;
  Into.Parameters.push_back(nullptr);
  Into.Node.Parameters = Into.Parameters.data();
  return {};
}

Status CudaDevice::launch(const DeviceLaunch &Launch) {
  CudaLaunch Prepared;
  if (Status Done = prepare(Launch, Prepared); !Done)
    return Done;
  const CuKernelNodeParameters &N = Prepared.Node;
  Status Done = Context->check(
      Context->driver().Launch(
          N.Function, N.Grid[0], N.Grid[1], N.Grid[2], N.Block[0], N.Block[1],
          N.Block[2], N.SharedBytes, Context->stream(), N.Parameters, nullptr),
      "launching " + kernelName(Launch));
  if (Done && Waits)
    return Context->wait("in " + kernelName(Launch));
  if (!Done) // what went before must not write to memory of the next call
    (void)Context->driver().StreamWait(Context->stream());
  return Done;
}

Result<double> CudaDevice::launchTimed(const DeviceLaunch &Launch) {
  const DriverTable &Driver = Context->driver();
  auto Check = [&](CuResult Result) {
    return Context->check(Result, "timing " + kernelName(Launch));
  };
  for (CuEvent *Event : {&Began, &Ended})
    if (!*Event)
      if (Status Done = Check(Driver.EventCreate(Event, 0)); !Done)
        return Done.error();
  if (Status Done = Check(Driver.EventRecord(Began, Context->stream())); !Done)
    return Done.error();
  if (Status Done = launch(Launch); !Done)
    return Done.error();
  if (Status Done = Check(Driver.EventRecord(Ended, Context->stream())); !Done)
    return Done.error();
  if (Status Done = Check(Driver.EventWait(Ended)); !Done)
    return Done.error();
  float Milliseconds = 0;
  if (Status Done = Check(Driver.EventElapsed(&Milliseconds, Began, Ended));
      !Done)
    return Done.error();
  return double(Milliseconds) * 1e-3;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

Status CudaDevice::beginCall(const DeviceCall &Call) {
  if (Status Entered = Context->enter(); !Entered || Call.InputBytes == 0)
    return Entered;
  return Context->check(
      Context->driver().CopyIn(
          CuDevicePointer(reinterpret_cast<uintptr_t>(Call.Transfer)),
          Call.Host, Call.InputBytes, Context->stream()),
      "copying inputs");
}

CudaDevice::Replayed &CudaDevice::replayed(uint64_t Number, bool &Seen) {
  auto Found = std::find_if(Known.begin(), Known.end(), [&](const Replayed &R) {
    return R.Number == Number;
  });
  Seen = Found != Known.end();
  if (!Seen) {
    if (Known.size() == MaxGraphs)
      Known.erase(std::min_element(Known.begin(), Known.end(),
                                   [](const Replayed &A, const Replayed &B) {
                                     return A.LastUse < B.LastUse;
                                   }));
    Known.push_back({Number, 0, nullptr});
    Found = std::prev(Known.end());
  }
  Found->LastUse = ++Calls;
  return *Found;
}

Status CudaDevice::runCall(const DeviceCall &Call) {
  if (!UsesGraphs || Waits || Call.Launches.empty())
    return Device::runCall(Call);
  // What runs once is not worth a graph.
  bool Seen = false;
  Replayed &Of = replayed(Call.Number, Seen);
  if (!Seen)
    return Device::runCall(Call);
  if (Of.Graph && Of.Graph->fits(Call)) {
    if (Status Done = Of.Graph->update(Call); !Done) {
      Of.Graph.reset(); // it may be half of each call
      return Done;
    }
  } else {
    Of.Graph.reset();
    Result<std::unique_ptr<CudaGraph>> Made = CudaGraph::create(*this, Call);
    if (!Made)
      return Made.error();
    Of.Graph = std::move(*Made);
  }
  return Of.Graph->launch();
}

Status CudaDevice::endCall(const DeviceCall &Call) {
  if (Call.OutputBytes) {
    uintptr_t Outputs =
        reinterpret_cast<uintptr_t>(Call.Transfer) + Call.OutputFirst;
    if (Status Done = Context->check(
            Context->driver().CopyOut(Call.Host + Call.OutputFirst,
                                      CuDevicePointer(Outputs),
                                      Call.OutputBytes, Context->stream()),
            "copying outputs");
        !Done)
      return Done;
  }
  return Context->wait("running kernels (TRANSXSSM_CUDA_SYNC=1 names the one)");
}
