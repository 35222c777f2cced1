//===- CpuDevice.cpp - Kernels on the processor ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/CpuDevice.h"

#include "runtime/cpu/CpuFeatures.h"
#include "runtime/support/Alignment.h"

#include <algorithm>

using namespace transxssm;

namespace {

/// A launch, as the threads see it.
struct GridJob {
  TransXSSMCpuKernel Function;
  void *const *Operands;
  const int64_t *Sizes;
  uint8_t *Scratch;
  uint64_t ScratchStride;
  int64_t Columns, Rows;
};

/// Clang's check of function types reads the bytes before a function, which
/// generated code does not have.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
void runCells(void *Context, unsigned Thread, int64_t First, int64_t Last) {
  const GridJob &Job = *static_cast<const GridJob *>(Context);
  uint8_t *Scratch = Job.Scratch + Thread * Job.ScratchStride;
  int64_t X = First % Job.Columns;
  int64_t Y = First / Job.Columns % Job.Rows;
  int64_t Z = First / Job.Columns / Job.Rows;
  while (First < Last) {
    int64_t End = std::min(Job.Columns, X + Last - First);
    Job.Function(Job.Operands, Job.Sizes, Scratch, X, End, Y, Z);
    First += End - X;
    X = 0;
    if (++Y == Job.Rows) {
      Y = 0;
      ++Z;
    }
  }
}

} // namespace

Result<std::unique_ptr<Device>> CpuDevice::create(const Package &From,
                                                  ThreadPool &Pool) {
  const PackageCode *Chosen = nullptr;
  std::string Reasons;
  for (const PackageCode &Candidate : From.code()) {
    if (Candidate.Target.rfind("x86-64", 0) != 0)
      continue;
    std::vector<std::string> Missing = missingCpuFeatures(Candidate.Features);
    if (Missing.empty()) {
      Chosen = &Candidate;
      continue;
    }
    Reasons += "; " + Candidate.Target + " needs";
    for (const std::string &Feature : Missing)
      Reasons += " " + Feature;
  }
  if (!Chosen)
    return makeError(From.sourceName(),
                     ": no code for this processor: expected code for an "
                     "x86-64 level that it has, got ",
                     Reasons.empty() ? "none for x86-64" : Reasons.substr(2));
  std::unique_ptr<CpuDevice> Made(new CpuDevice(From, *Chosen, Pool));
  if (Status Resolved = Made->resolveKernels(); !Resolved)
    return Resolved.error();
  return std::unique_ptr<Device>(std::move(Made));
}

Status CpuDevice::resolveKernels() {
  Result<std::unique_ptr<LoadedObject>> Loaded =
      LoadedObject::load(Code->Object.data(), Code->Object.size(),
                         From.sourceName() + ": " + Code->Target);
  if (!Loaded)
    return Loaded.error();
  Object = std::move(*Loaded);
  uint64_t Largest = 0;
  for (const PackageKernelCode &Kernel : Code->Kernels) {
    Kernels.push_back(Object->findKernel(Kernel.Symbol));
    if (!Kernels.back())
      return makeError(From.sourceName(), ": ", Code->Target,
                       ": expected function '", Kernel.Symbol,
                       "' in the object code, got none");
    Largest = std::max(Largest, Kernel.ScratchBytes);
  }
  ScratchStride = alignUp(Largest + BlockSlackBytes);
  Result<MemoryBlock> Block = MemoryBlock::allocate(
      ScratchStride * Pool.size(), "the kernels' scratch memory");
  if (!Block)
    return Block.error();
  Scratch = std::move(*Block);
  return {};
}

Status CpuDevice::launch(const DeviceLaunch &Launch) {
  const int64_t *Grid = Launch.Grid;
  GridJob Job{Kernels[Launch.From->Kernel],
              Launch.Operands,
              Launch.Sizes,
              Scratch.data(),
              ScratchStride,
              Grid[0],
              Grid[1]};
  Pool.run(Grid[0] * Grid[1] * Grid[2], Grid[0], runCells, &Job);
  return {};
}
