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
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace transxssm::nvptx {

/// Reports what a kernel should not have; failure where that is an error.
static LogicalResult checkUsage(ModuleOp Kernels, const GpuTarget &Target,
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
  return failure(Strict && !Clean);
}

/// Whether a block's shared memory exists on the architecture (CUDA programming
/// guide, "Technical Specifications per Compute Capability").
static LogicalResult checkSharedMemory(ModuleOp Kernels,
                                       const GpuTarget &Target,
                                       const DeviceModule &Device) {
  int64_t Limit = (Target.Name == "sm_80" ? 163 : 227) * 1024;
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
  if (failed(checkUsage(Kernels, Target, Code.Assembled, Options.Strict)))
    return failure();
  return Code;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {
/// What the text of a kernel shows.
struct PtxCounts {
  int64_t Accesses = 0, Wide = 0, TensorCore = 0, Barriers = 0;
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
    Current->TensorCore +=
        Line.contains("mma.sync") || Line.contains("wgmma.mma_async");
    Current->Barriers +=
        Line.contains("bar.sync") || Line.contains("barrier.sync");
  }
  return Counts;
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
      << "  threads  shared  registers  spills  mma  barriers  16-byte  "
         "launches   floor bytes          FLOP\n";
  for (const DeviceKernel &Kernel : Code.Device.Kernels) {
    PtxCounts Seen = Counts.lookup(Kernel.Symbol);
    const KernelUsage *Used = Usage.lookup(Kernel.Symbol);
    auto Number = [&](int64_t N) { return Used ? std::to_string(N) : "-"; };
    std::string Share =
        Seen.Accesses ? std::to_string(100 * Seen.Wide / Seen.Accesses) + " %"
                      : "-";
    Out << llvm::left_justify(Kernel.Name, Width)
        << llvm::format("  %7lld %7lld %10s %7s %4lld %9lld %8s",
                        static_cast<long long>(Kernel.Threads),
                        static_cast<long long>(Kernel.SharedBytes),
                        Number(Used ? Used->Registers : 0).c_str(),
                        Number(Used ? Used->SpillStores + Used->SpillLoads +
                                          Used->StackBytes
                                    : 0)
                            .c_str(),
                        static_cast<long long>(Seen.TensorCore),
                        static_cast<long long>(Seen.Barriers), Share.c_str());
    KernelCost Cost = Costs.lookup(Kernel.Name);
    Out << llvm::format(
        " %9llu %13llu %13llu\n",
        static_cast<unsigned long long>(Cost.Launches),
        static_cast<unsigned long long>(Cost.Largest.FloorBytes),
        static_cast<unsigned long long>(Cost.Largest.Flops));
  }
  return Text;
}

} // namespace transxssm::nvptx
