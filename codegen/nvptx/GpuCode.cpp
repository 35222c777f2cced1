//===- GpuCode.cpp - All that is made of kernels for one GPU --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/GpuCode.h"
#include "codegen/nvptx/Occupancy.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace transxssm::nvptx {

static Occupancy occupancyOf(const GpuTarget &Target,
                             const DeviceKernel &Kernel, int64_t Registers) {
  return occupancyOf(MultiprocessorLimits::of(Target), Kernel.Threads,
                     Kernel.SharedBytes, Registers);
}

/// Reports what a kernel should not have; failure where that is an error.
static LogicalResult checkUsage(ModuleOp Kernels, const GpuTarget &Target,
                                const DeviceModule &Device,
                                const AssembledCode &Code, bool Strict) {
  bool Clean = true;
  auto Report = [&](const Twine &Message) {
    Clean = false;
    if (Strict)
      Kernels.emitError(Target.Name) << ": " << Message;
    else
      Kernels.emitWarning(Target.Name) << ": " << Message;
  };
  for (const KernelUsage &Kernel : Code.Kernels)
    if (Kernel.usesLocalMemory())
      Report("kernel '" + Twine(Kernel.Symbol) + "' has a stack frame of " +
             Twine(Kernel.StackBytes) + " bytes and spills " +
             Twine(Kernel.SpillStores) + " bytes, expected none");
  for (const std::string &Warning : Code.Warnings)
    Report(Warning);
  llvm::StringMap<int64_t> Registers;
  for (const KernelUsage &Kernel : Code.Kernels)
    Registers[Kernel.Symbol] = Kernel.Registers;
  for (const DeviceKernel &Kernel : Device.Kernels) {
    int64_t Used = Registers.lookup(Kernel.Symbol);
    int64_t Planned = plannedBlocks(Kernel.Threads);
    Occupancy Holds = occupancyOf(Target, Kernel, Used);
    if (Holds.Blocks < Planned)
      Report("of kernel '" + Twine(Kernel.Name) + "' with " +
             Twine(Kernel.Threads) + " threads, " + Twine(Used) +
             " registers and " + Twine(Kernel.SharedBytes) +
             " bytes of shared memory a multiprocessor holds " +
             Twine(Holds.Blocks) + " blocks, expected at least " +
             Twine(Planned));
  }
  return failure(Strict && !Clean);
}

/// Whether a block's shared memory exists on the architecture (CUDA programming
/// guide, "Technical Specifications per Compute Capability").
static LogicalResult checkSharedMemory(ModuleOp Kernels,
                                       const GpuTarget &Target,
                                       const DeviceModule &Device) {
  int64_t Limit = MultiprocessorLimits::of(Target).BlockSharedBytes;
  bool Fits = true;
  for (const DeviceKernel &Kernel : Device.Kernels)
    if (Kernel.SharedBytes > Limit) {
      Fits = false;
      Kernels.emitError(Target.Name)
          << ": kernel '" << Kernel.Name << "' needs " << Kernel.SharedBytes
          << " bytes of shared memory, expected at most " << Limit;
    }
  return success(Fits);
}

FailureOr<GpuCode> compileForGpu(ModuleOp Kernels, const GpuTarget &Target,
                                 const GpuOptions &Options) {
  FailureOr<DeviceModule> Device = lowerForGpu(Kernels, Target);
  if (failed(Device) || failed(checkSharedMemory(Kernels, Target, *Device)))
    return failure();
  GpuCode Code;
  Code.Target = Target;
  Code.Device = std::move(*Device);
  if (Options.WantsLlvmText) {
    llvm::raw_string_ostream Stream(Code.LlvmText);
    Code.Device.Module->print(Stream, nullptr);
  }
  FailureOr<std::string> Ptx = emitPtx(Code.Device, Target);
  if (failed(Ptx))
    return Kernels.emitError("LLVM cannot write PTX"), failure();
  Code.Ptx = std::move(*Ptx);
  std::string Ptxas = Options.Assembles ? findPtxas() : "";
  if (Ptxas.empty())
    return Code;
  Result<AssembledCode> Assembled = assemble(Code.Ptx, Target.Name, Ptxas);
  if (!Assembled)
    return Kernels.emitError(Assembled.message()), failure();
  Code.Assembled = std::move(*Assembled);
  if (failed(checkUsage(Kernels, Target, Code.Device, Code.Assembled,
                        Options.Strict)))
    return failure();
  return Code;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {
/// What the text of a kernel shows.
struct PtxCounts {
  int64_t Accesses = 0, Wide = 0, Mma = 0, Wgmma = 0, Barriers = 0;
};
} // namespace

static llvm::StringMap<PtxCounts> countPtx(StringRef Ptx) {
  llvm::StringMap<PtxCounts> Counts;
  PtxCounts *Current = nullptr;
  while (!Ptx.empty()) {
    StringRef Line;
    std::tie(Line, Ptx) = Ptx.split('\n');
    if (size_t At = Line.find(".entry "); At != StringRef::npos)
      Current = &Counts[Line.drop_front(At + 7).take_until(
          [](char C) { return C == '('; })];
    if (!Current)
      continue;
    bool Global = Line.contains("ld.global") || Line.contains("st.global") ||
                  Line.contains("cp.async.cg");
    Current->Accesses += Global;
    Current->Wide +=
        Global && (Line.contains(".v4.b32") || Line.contains(".v4.f32") ||
                   Line.contains("cp.async.cg"));
    Current->Mma += Line.contains("mma.sync") && !Line.contains("wgmma");
    Current->Wgmma += Line.contains("wgmma.mma_async");
    Current->Barriers +=
        Line.contains("bar.sync") || Line.contains("barrier.sync");
  }
  return Counts;
}

/// One kernel's line, without its name.
static std::string describe(const GpuTarget &Target, const DeviceKernel &Kernel,
                            const PtxCounts &Seen, const KernelUsage *Used,
                            const KernelCost &Cost) {
  auto Number = [&](int64_t N) { return Used ? std::to_string(N) : "-"; };
  KernelUsage Of = Used ? *Used : KernelUsage();
  Occupancy Holds = occupancyOf(Target, Kernel, Of.Registers);
  std::string Share =
      Seen.Accesses ? std::to_string(100 * Seen.Wide / Seen.Accesses) + " %"
                    : "-";
  std::string Text;
  llvm::raw_string_ostream Out(Text);
  auto Column = [&](const std::string &Cell, unsigned Width) {
    Out << " " << llvm::right_justify(Cell, Width);
  };
  Column(std::to_string(Kernel.Threads), 8);
  Column(std::to_string(Kernel.SharedBytes), 7);
  Column(Number(Of.Registers), 10);
  Column(Number(Of.SpillStores + Of.SpillLoads + Of.StackBytes), 7);
  Column(Number(Holds.Blocks), 7);
  Column(Number(Holds.Warps), 6);
  Column(std::to_string(Kernel.ResidentBlocks), 9);
  Column(std::to_string(Seen.Mma), 4);
  Column(std::to_string(Seen.Wgmma), 6);
  Column(std::to_string(Seen.Barriers), 9);
  Column(Share, 8);
  Column(std::to_string(Cost.Launches), 9);
  Column(std::to_string(Cost.Largest.FloorBytes), 13);
  Column(std::to_string(Cost.Largest.Flops), 13);
  return Text;
}

std::string describe(const GpuCode &Code,
                     const llvm::StringMap<KernelCost> &Costs) {
  llvm::StringMap<PtxCounts> Counts = countPtx(Code.Ptx);
  llvm::StringMap<const KernelUsage *> Usage;
  for (const KernelUsage &Kernel : Code.Assembled.Kernels)
    Usage[Kernel.Symbol] = &Kernel;
  size_t Width = 6;
  for (const DeviceKernel &Kernel : Code.Device.Kernels)
    Width = std::max(Width, Kernel.Name.size());
  std::string Text;
  llvm::raw_string_ostream Out(Text);
  Out << llvm::left_justify("kernel", Width)
      << "  threads  shared  registers  spills  blocks  warps  resident  mma  "
         "wgmma  barriers  16-byte  launches   floor bytes          FLOP\n";
  for (const DeviceKernel &Kernel : Code.Device.Kernels)
    Out << llvm::left_justify(Kernel.Name, Width)
        << describe(Code.Target, Kernel, Counts.lookup(Kernel.Symbol),
                    Usage.lookup(Kernel.Symbol), Costs.lookup(Kernel.Name))
        << "\n";
  return Text;
}

} // namespace transxssm::nvptx
