//===- Pipeline.cpp - From config.json to a package -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/PassTiming.h"
#include "codegen/x86/X86Codegen.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/txs/TxsDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/ImportConfig.h"
#include "passes/Passes.h"
#include "runtime/PackageFile.h"
#include "runtime/cpu/CpuFeatures.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <future>

using namespace mlir;
using namespace transxssm;

void transxssm::registerCompilerDialects(DialectRegistry &Registry) {
  Registry.insert<txs::TxsDialect, tile::TileDialect, plan::PlanDialect,
                  arith::ArithDialect, func::FuncDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect>();
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

Result<std::vector<std::string>>
transxssm::expandEntries(const std::vector<std::string> &Names,
                         const ModelConfig &Config) {
  std::vector<std::string> Supported = supportedEntries(Config);
  if (Names.empty())
    return Supported;
  std::vector<std::string> Wanted;
  for (const std::string &Name : Names) {
    if (Name == "decode")
      Wanted.push_back("prefill");
    if (Name == "train")
      Wanted.push_back("gradients");
    if (!llvm::is_contained(Supported, Name)) {
      std::string List;
      for (const char *Known : {"forward", "decode", "train"})
        if (llvm::is_contained(Supported, Known))
          List += (List.empty() ? "" : ", ") + std::string(Known);
      return makeError("--entry: expected some of ", List, ", got '", Name,
                       "'");
    }
    Wanted.push_back(Name);
  }
  // Each once, in the importer's order.
  std::vector<std::string> Entries;
  for (const std::string &Name : Supported)
    if (llvm::is_contained(Wanted, Name))
      Entries.push_back(Name);
  return Entries;
}

//===----------------------------------------------------------------------===//
// Passes
//===----------------------------------------------------------------------===//

void transxssm::addModelPasses(OpPassManager &Manager, int64_t RecomputeBlocks,
                               DType Type) {
  if (Type == DType::BF16)
    Manager.addPass(createTxsMixedPrecision());
  Manager.addPass(createCanonicalizerPass());
  TxsMarkRecomputeOptions Mark;
  Mark.blocks = RecomputeBlocks;
  Manager.addPass(createTxsMarkRecompute(Mark));
  Manager.addPass(createTxsAutodiff());
  Manager.addPass(createTxsAddOptimizer());
  Manager.addPass(createCanonicalizerPass());
}

void transxssm::addPlanPasses(OpPassManager &Manager,
                              const PlanOptions &Options) {
  if (Options.DebugNames)
    Manager.addPass(createTxsNameOperations());
  Manager.addPass(createTxsInlineBlocks());
  TxsToTileOptions Tiling;
  Tiling.fuse = Options.Fuse;
  Tiling.gpu = Options.Gpu;
  Tiling.productTiles = Options.ProductTiles;
  Manager.addPass(createTxsToTile(Tiling));
  Manager.addPass(createCSEPass());
}

void transxssm::registerCompilerPipelines() {
  PassPipelineRegistration<>(
      "txs-model-pipeline",
      "From an imported model to txs with gradients and optimizer",
      [](OpPassManager &Manager) { addModelPasses(Manager); });
  PassPipelineRegistration<>(
      "txs-to-plan-pipeline", "From txs to tile kernels and plan entries",
      [](OpPassManager &Manager) { addPlanPasses(Manager); });
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> transxssm::buildModel(
    const ModelConfig &Config, const std::vector<std::string> &Entries,
    int64_t RecomputeBlocks, MLIRContext &Context, DType Type) {
  OwningOpRef<ModuleOp> Module = importConfig(Config, {Entries}, Context);
  if (!Module)
    return nullptr;
  PassManager Manager(&Context);
  timePasses(Manager);
  addModelPasses(Manager, RecomputeBlocks, Type);
  if (failed(Manager.run(*Module)))
    return nullptr;
  return Module;
}

LogicalResult transxssm::lowerToPlan(ModuleOp Module,
                                     const PlanOptions &Options) {
  PassManager Manager(Module.getContext());
  timePasses(Manager);
  addPlanPasses(Manager, Options);
  return Manager.run(Module);
}

/// The kernels of a module alone, as text: what a thread of its own can read.
static std::string printKernels(ModuleOp Module) {
  OwningOpRef<ModuleOp> Kernels = ModuleOp::create(Module.getLoc());
  for (auto Kernel : Module.getOps<tile::KernelOp>())
    Kernels->push_back(Kernel.clone());
  std::string Text;
  llvm::raw_string_ostream Stream(Text);
  Kernels->print(Stream, OpPrintingFlags().printGenericOpForm());
  return Text;
}

namespace {
/// What compiling for one instruction set gives.
struct TargetResult {
  bool Compiled = false;
  CodeObject Code;
  CodeText Text;
  std::string Why; ///< the first error
};
} // namespace

/// Compiles in a context of its own, so that targets do not disturb each other.
static TargetResult compileTarget(const std::string &Kernels,
                                  const x86::X86Target &Target, bool WantText) {
  TargetResult Made;
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler Handler(&Context, [&](Diagnostic &D) {
    if (Made.Why.empty() && D.getSeverity() == DiagnosticSeverity::Error)
      Made.Why = D.str();
  });
  OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(Kernels, &Context);
  if (!Module)
    return Made;
  x86::X86Options Options;
  if (WantText) {
    Options.LlvmText = &Made.Text.Llvm;
    Options.AsmText = &Made.Text.Asm;
  }
  FailureOr<x86::CompiledObject> Compiled =
      x86::compileForX86(*Module, Target, Options);
  if (failed(Compiled))
    return Made;
  Made.Code = {Target.Name, Target.Features, {}, std::move(Compiled->Object)};
  for (const x86::CompiledKernel &Kernel : Compiled->Kernels)
    Made.Code.Kernels.push_back({Kernel.Name, Kernel.Symbol,
                                 static_cast<uint64_t>(Kernel.ScratchBytes)});
  Made.Compiled = true;
  return Made;
}

FailureOr<std::vector<CodeObject>>
transxssm::generateCode(ModuleOp Module, const CodeOptions &Options) {
  std::string Kernels = printKernels(Module);
  std::vector<x86::X86Target> Targets = x86::x86TargetsFor(Module);
  std::reverse(Targets.begin(), Targets.end());
  if (Options.OnlyThisMachine)
    llvm::erase_if(Targets, [](const x86::X86Target &Target) {
      return !missingCpuFeatures(Target.Features).empty();
    });
  std::vector<std::future<TargetResult>> Running;
  for (const x86::X86Target &Target : Targets)
    Running.push_back(std::async(std::launch::async, compileTarget,
                                 std::cref(Kernels), std::cref(Target),
                                 Options.Text != nullptr));

  std::vector<CodeObject> Code;
  for (auto [Target, Future] : llvm::zip_equal(Targets, Running)) {
    TargetResult Made = Future.get();
    if (!Made.Compiled)
      return Module.emitError(Target.Name) << ": " << Made.Why;
    if (Options.Text) {
      Options.Text->Llvm += "; " + Target.Name + "\n" + Made.Text.Llvm + "\n";
      Options.Text->Asm += "# " + Target.Name + "\n" + Made.Text.Asm + "\n";
    }
    Code.push_back(std::move(Made.Code));
    if (Options.Done)
      Options.Done(Code.back());
  }
  return Code;
}

Result<Package> transxssm::makePackage(ModuleOp Module,
                                       ArrayRef<CodeObject> Code,
                                       const PackageOptions &Options,
                                       std::vector<uint8_t> &Payload) {
  // The writer's errors are diagnostics; here the last one becomes the result.
  std::string Why;
  ScopedDiagnosticHandler Handler(Module.getContext(),
                                  [&](Diagnostic &D) { Why = D.str(); });
  FailureOr<std::vector<uint8_t>> Written =
      writePackagePayload(Module, Code, Options);
  if (failed(Written))
    return makeError(Why);
  Payload = std::move(*Written);
  std::vector<uint8_t> File = framePackage(Payload.data(), Payload.size());
  return Package::fromBytes(File.data(), File.size(), "the package");
}

//===----------------------------------------------------------------------===//
// Recomputation to a byte budget
//===----------------------------------------------------------------------===//

Result<uint64_t> transxssm::trainingPeak(const Package &Planned) {
  Symbols Sizes;
  Sizes.Batch = Planned.maxBatch();
  Sizes.Seq = Planned.maxSeqLen();
  Sizes.Capacity = Planned.maxSeqLen();
  uint64_t Peak = 0;
  for (const char *Name : {"gradients", "train"}) {
    const PackageEntry *Entry = Planned.findEntry(Name);
    if (!Entry)
      continue;
    Result<EntryMemory> Memory = entryMemory(Planned, *Entry, Sizes);
    if (!Memory)
      return Memory.error();
    Peak = std::max(Peak, Memory->Temporaries);
  }
  return Peak;
}

/// The peak with that many blocks recomputed.
static Result<uint64_t> peakWithRecompute(const ModelConfig &Config,
                                          const PackageOptions &Options,
                                          int64_t Blocks, DType Type,
                                          const PlanOptions &Plan,
                                          MLIRContext &Context) {
  std::string Why;
  ScopedDiagnosticHandler Handler(&Context,
                                  [&](Diagnostic &D) { Why = D.str(); });
  OwningOpRef<ModuleOp> Module =
      buildModel(Config, {"gradients", "train"}, Blocks, Context, Type);
  if (!Module || failed(lowerToPlan(*Module, Plan)))
    return makeError(Why);
  std::vector<uint8_t> Payload;
  Result<Package> Planned = makePackage(*Module, {}, Options, Payload);
  if (!Planned)
    return Planned.error();
  return trainingPeak(*Planned);
}

Result<RecomputeChoice> transxssm::chooseRecompute(
    const ModelConfig &Config, const PackageOptions &Options, uint64_t Budget,
    MLIRContext &Context, DType Type, const PlanOptions &Plan) {
  auto PeakOf = [&](int64_t Blocks) {
    return peakWithRecompute(Config, Options, Blocks, Type, Plan, Context);
  };
  // Every further block lowers the peak, except perhaps the last: the backward
  // sweep starts there, where its activations are still at hand.
  int64_t Blocks = Config.NumHiddenLayers;
  RecomputeChoice Least;
  for (int64_t Tried : {Blocks - 1, Blocks}) {
    Result<uint64_t> Peak = PeakOf(Tried);
    if (!Peak)
      return Peak.error();
    if (Tried == Blocks - 1 || *Peak < Least.PeakBytes)
      Least = {Tried, *Peak};
  }
  if (Least.PeakBytes > Budget)
    return makeError("--activation-memory: expected at least ", Least.PeakBytes,
                     " bytes (with ", Least.Blocks, " of ", Blocks,
                     " blocks recomputed, batch ", Options.MaxBatch, ", seq ",
                     Options.MaxSeqLen, "), got ", Budget);
  // Least fits; the answer is between TooFew, which does not, and Least.
  for (int64_t TooFew = -1; Least.Blocks - TooFew > 1;) {
    int64_t Middle = TooFew + (Least.Blocks - TooFew) / 2;
    Result<uint64_t> Peak = PeakOf(Middle);
    if (!Peak)
      return Peak.error();
    if (*Peak <= Budget)
      Least = {Middle, *Peak};
    else
      TooFew = Middle;
  }
  return Least;
}
