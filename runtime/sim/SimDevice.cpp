//===- SimDevice.cpp - Kernels in the simulator ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/SimDevice.h"

#include "runtime/TensorMap.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

using namespace transxssm;
using namespace transxssm::sim;

/// What a block may have, one kilobyte less than a multiprocessor has for its
/// blocks (CUDA C++ Programming Guide, technical specifications per compute
/// capability).
static uint64_t sharedBytesOf(const std::string &Target) {
  return Target == "sim-sm_80" ? 163 * 1024 : 227 * 1024;
}

/// The second-level cache of an A100 or H100, as their white papers have it.
static uint64_t cacheBytesOf(const std::string &Target) {
  return (Target == "sim-sm_80" ? 40 : 50) * uint64_t(1024 * 1024);
}

Result<std::unique_ptr<Device>>
SimDevice::create(const Package &From, const std::string &Architecture) {
  const PackageCode *Chosen = nullptr;
  std::string Has;
  for (const PackageCode &Candidate : From.code()) {
    Has += (Has.empty() ? "" : ", ") + Candidate.Target;
    if (Architecture.empty() ? Candidate.Target.rfind("sim-", 0) == 0
                             : Candidate.Target == "sim-" + Architecture)
      Chosen = &Candidate;
  }
  if (!Chosen)
    return makeError(From.sourceName(), ": expected code for the simulator (",
                     Architecture.empty() ? "sim-sm_80, …"
                                          : "sim-" + Architecture,
                     "), got ", Has);
  std::unique_ptr<SimDevice> Made(new SimDevice(From, *Chosen));
  Made->Runner.Options.MaxSharedBytes = sharedBytesOf(Chosen->Target);
  if (Status Resolved = Made->resolveKernels(); !Resolved)
    return Resolved.error();
  if (Status Read = Made->readSchedule(); !Read)
    return Read.error();
  return std::unique_ptr<Device>(std::move(Made));
}

Status SimDevice::resolveKernels() {
  std::string Where = From.sourceName() + ": " + Code->Target;
  Result<std::unique_ptr<SimModule>> Loaded =
      SimModule::load(Code->Object.data(), Code->Object.size(), Where);
  if (!Loaded)
    return Loaded.error();
  Module = std::move(*Loaded);
  for (size_t I = 0; I < Code->Kernels.size(); ++I) {
    const std::string &Symbol = Code->Kernels[I].Symbol;
    const TransXSSMSimKernelInfo *Found = Module->find(Symbol);
    if (!Found)
      return makeError(Where, ": expected kernel '", Symbol,
                       "' in the object code, got none");
    const PackageKernel &Kernel = From.kernels()[I];
    uint64_t Expected = uint64_t(Kernel.MemrefCount) + Kernel.SizeCount +
                        Code->Kernels[I].TensorMaps.size() +
                        (Code->Kernels[I].ResidentBlocks ? 3 : 0);
    if (Found->Parameters != Expected)
      return makeError(Where, ": kernel '", Symbol, "': expected ", Expected,
                       " parameters, got ", Found->Parameters);
    Kernels.push_back(Found);
  }
  return {};
}

Status SimDevice::readSchedule() {
  const char *Text = std::getenv("TRANSXSSM_SIM_SCHEDULE");
  if (!Text || !*Text)
    return {};
  if (std::string(Text) == "reverse") {
    Runner.Options.Order = Schedule::Reverse;
    return {};
  }
  char *End = nullptr;
  Runner.Options.Seed = std::strtoull(Text, &End, 10);
  if (*End)
    return makeError("TRANSXSSM_SIM_SCHEDULE: expected reverse or a number, "
                     "got '",
                     Text, "'");
  Runner.Options.Order = Schedule::Random;
  // Odd seeds also let asynchronous copies land early.
  Runner.Options.EarlyCopies = Runner.Options.Seed % 2;
  return {};
}

Status SimDevice::beginCall(const DeviceCall &) {
  Runner.memory().clear();
  Declared.clear();
  return {};
}

/// Memory is declared when a call first uses it: temporaries share the arena
/// over time, and hold nothing until a kernel has written them.
void SimDevice::declare(const DeviceLaunch &Launch) {
  const std::vector<PackageBuffer> &Buffers = Launch.Entry->Buffers;
  Declared.resize(Buffers.size());
  for (size_t I = 0; I < Launch.From->Operands.size(); ++I) {
    uint32_t Index = Launch.From->Operands[I];
    if (Declared[Index])
      continue;
    Declared[Index] = true;
    BufferKind Kind = Buffers[Index].Kind;
    bool Empty = Kind == BufferKind::Temporary || Kind == BufferKind::Output;
    Runner.memory().declare(Launch.Operands[I], Launch.Bytes[Index],
                            Buffers[Index].Name, !Empty);
  }
}

const std::vector<KernelTraffic> *SimDevice::countTraffic() {
  Runner.Options.CountTraffic = true;
  Runner.Options.CacheBytes = cacheBytesOf(Code->Target);
  Traffic.assign(From.kernels().size(), {});
  for (size_t I = 0; I < Traffic.size(); ++I)
    Traffic[I].Name = From.kernels()[I].Name;
  return &Traffic;
}

void SimDevice::addTraffic(size_t Kernel, const Counters &Before) {
  constexpr uint64_t SectorBytes = 32;
  const Counters &After = Runner.Counts;
  KernelTraffic &Into = Traffic[Kernel];
  auto Grown = [&](uint64_t Counters::*Which) {
    return After.*Which - Before.*Which;
  };
  ++Into.Launches;
  Into.Instructions += Grown(&Counters::Instructions);
  Into.TensorFlops += Grown(&Counters::TensorFlops);
  Into.FloorBytes +=
      Grown(&Counters::BytesRead) + Grown(&Counters::BytesWritten);
  Into.MemoryBytes += SectorBytes * Grown(&Counters::MissedSectors);
  Into.RequestedBytes += SectorBytes * (Grown(&Counters::LoadSectors) +
                                        Grown(&Counters::StoreSectors));
  Into.RequestedBytesIdeal +=
      SectorBytes * (Grown(&Counters::LoadSectorsIdeal) +
                     Grown(&Counters::StoreSectorsIdeal));
  Into.BankPasses += Grown(&Counters::SharedWaves);
  Into.BankPassesIdeal += Grown(&Counters::SharedWavesIdeal);
}

Status SimDevice::addTensorMaps(const DeviceLaunch &Launch,
                                std::vector<TransXSSMSimTensorMap> &Maps,
                                std::vector<void *> &Parameters) const {
  uint32_t Number = Launch.From->Kernel;
  const std::vector<PackageTensorMap> &Wanted =
      Code->Kernels[Number].TensorMaps;
  Maps.reserve(Wanted.size()); // Parameters points into it
  for (const PackageTensorMap &Map : Wanted) {
    Result<BoundTensorMap> Bound = bindTensorMap(Map, Launch);
    if (!Bound)
      return makeError("kernel '", From.kernels()[Number].Name,
                       "': ", Bound.message());
    TransXSSMSimTensorMap &Made = Maps.emplace_back();
    Made = {};
    Made.Base = reinterpret_cast<uint64_t>(Bound->Base);
    std::copy_n(Bound->Extent, MaxTensorRank, Made.Extent);
    std::copy_n(Bound->Stride, MaxTensorRank - 1, Made.Stride);
    std::copy_n(Bound->Box, MaxTensorRank, Made.Box);
    Made.Rank = uint16_t(Bound->Rank);
    Made.ElementBytes = uint8_t(TensorElementBytes);
    Made.Swizzle = uint8_t(TensorBoxColumns * TensorElementBytes);
    Parameters.push_back(&Made);
  }
  return {};
}

/// How many multiprocessors there are for kernels with resident blocks: few, so
/// that blocks have several cells.
constexpr uint64_t Multiprocessors = 3;

Status SimDevice::setGrid(const DeviceLaunch &Launch,
                          LaunchShape &Shape) const {
  uint32_t Number = Launch.From->Kernel;
  constexpr int64_t Most = std::numeric_limits<int32_t>::max();
  for (size_t D = 0; D < 3; ++D) {
    if (Launch.Grid[D] > Most)
      return makeError("kernel '", From.kernels()[Number].Name,
                       "': grid extent ", Launch.Grid[D], " is too large");
    Shape.Grid[D] = uint32_t(Launch.Grid[D]);
  }
  uint64_t Resident = Code->Kernels[Number].ResidentBlocks;
  if (Resident == 0)
    return {};
  std::optional<uint32_t> Blocks =
      residentBlocks(Launch.Grid, Resident * Multiprocessors);
  if (!Blocks)
    return makeError("kernel '", From.kernels()[Number].Name,
                     "': the grid has too many cells");
  Shape.Grid[0] = *Blocks;
  Shape.Grid[1] = Shape.Grid[2] = 1;
  return {};
}

Status SimDevice::launch(const DeviceLaunch &Launch) {
  declare(Launch);
  uint32_t Number = Launch.From->Kernel;
  LaunchShape Shape;
  if (Status Set = setGrid(Launch, Shape); !Set)
    return Set;
  Shape.Threads = Code->Kernels[Number].Threads;
  Shape.DynamicSharedBytes = Code->Kernels[Number].SharedBytes;
  std::vector<void *> Parameters;
  for (size_t I = 0; I < Launch.From->Operands.size(); ++I)
    Parameters.push_back(const_cast<void **>(&Launch.Operands[I]));
  for (size_t I = 0; I < Launch.From->Sizes.size(); ++I)
    Parameters.push_back(const_cast<int64_t *>(&Launch.Sizes[I]));
  if (Code->Kernels[Number].ResidentBlocks)
    for (size_t D = 0; D < 3; ++D)
      Parameters.push_back(const_cast<int64_t *>(&Launch.Grid[D]));
  std::vector<TransXSSMSimTensorMap> Maps;
  if (Status Made = addTensorMaps(Launch, Maps, Parameters); !Made)
    return Made;
  Runner.clearReports();
  Counters Before = Runner.Counts;
  Status Done = Runner.launch(*Module, *Kernels[Number], Shape, Parameters);
  if (Done && !Traffic.empty())
    addTraffic(Number, Before);
  if (!Done || Runner.reports().empty())
    return Done;
  return Error{Runner.reports().front().str()};
}
