//===- transxssm-compile.cpp - From config.json to a package --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Runs the stages of codegen/Pipeline.h one after the other, says on standard
// error how long each took, and writes what was asked for.
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Reports.h"
#include "codegen/PassTiming.h"
#include "codegen/Pipeline.h"
#include "codegen/nvptx/GpuCode.h"
#include "codegen/nvptx/KernelPackaging.h"
#include "codegen/sim/SimTarget.h"
#include "codegen/x86/X86Codegen.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/txs/TxsDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/PackageFile.h"
#include "runtime/support/File.h"
#include "runtime/support/Printable.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cstdlib>

using namespace mlir;
using namespace transxssm;

static int fail(const llvm::Twine &Message) {
  llvm::errs() << "transxssm-compile: error: " << printable(Message.str())
               << "\n";
  return 1;
}

namespace {

/// Lines such as "plan        0.41 s  36 kernels, 214 launches".
class Progress {
public:
  explicit Progress(bool Quiet) : Quiet(Quiet) {}

  void done(const llvm::Twine &Stage, const llvm::Twine &What) {
    auto Now = std::chrono::steady_clock::now();
    double Seconds = std::chrono::duration<double>(Now - Last).count();
    Last = Now;
    if (!Quiet)
      llvm::errs() << llvm::left_justify(Stage.str(), 12)
                   << llvm::format("%6.2f s  ", Seconds) << What << "\n";
  }

private:
  bool Quiet;
  std::chrono::steady_clock::time_point Last = std::chrono::steady_clock::now();
};

/// One run of the tool.
class Compiler {
public:
  explicit Compiler(const Options &O) : O(O), Report(O.Quiet) {
    DialectRegistry Registry;
    registerCompilerDialects(Registry);
    Context.appendDialectRegistry(Registry);
    // One line for each error, named after the configuration.
    Context.getDiagEngine().registerHandler([this](Diagnostic &D) {
      if (D.getSeverity() == DiagnosticSeverity::Error)
        fail(this->O.Config + ": " + D.str());
      if (D.getSeverity() == DiagnosticSeverity::Warning && !this->O.Quiet)
        llvm::errs() << "transxssm-compile: warning: " << D.str() << "\n";
      return success();
    });
  }

  int run();

private:
  int loadConfig();
  int buildStages();
  int emitText(const std::string &Text);
  int generate(CodeText *Text);
  int generateForGpu(std::string &Text);
  int generateForSimulator();
  int emitPackage();

  const Options &O;
  Progress Report;
  MLIRContext Context;
  ModelConfig Config;
  std::vector<std::string> Entries;
  PackageOptions Limits;
  DType Type = DType::F32;
  int64_t RecomputeBlocks = 0;
  OwningOpRef<ModuleOp> Module;
  std::vector<CodeObject> Code;
};

} // namespace

/// What this build cannot do yet, said before any work.
static int checkSupported(const Options &O) {
  if (O.Emit == "ptx" && O.Target != "nvptx")
    return fail("--emit=ptx: expected --target=nvptx, got --target=" +
                O.Target);
  if (O.Emit == "asm" && O.Target == "nvptx")
    return fail("--emit=asm: expected --target=cpu, got --target=nvptx; its "
                "code is --emit=ptx");
  if ((O.Emit == "llvm" || O.Emit == "asm") && O.Target == "sim")
    return fail("--emit=" + O.Emit +
                ": expected --target=cpu or nvptx, got --target=sim; it runs "
                "the LLVM IR of --target=nvptx");
  return 0;
}

int Compiler::loadConfig() {
  Type = O.DType == "bf16" ? DType::BF16 : DType::F32;
  Result<ModelConfig> Loaded = ModelConfig::load(O.Config);
  if (!Loaded)
    return fail(Loaded.message());
  Config = std::move(*Loaded);
  Result<std::string> Text =
      readFile(isDirectory(O.Config) ? O.Config + "/config.json" : O.Config);
  if (!Text)
    return fail(Text.message());
  Limits.Config = std::move(*Text);
  Limits.MaxBatch = O.MaxBatch;
  Limits.MaxSeqLen = O.MaxSeqLen ? O.MaxSeqLen : Config.MaxPositionEmbeddings;
  Result<std::vector<std::string>> Expanded = expandEntries(O.Entries, Config);
  if (!Expanded)
    return fail(Expanded.message());
  Entries = std::move(*Expanded);
  Report.done("config", llvm::join(Entries, ", ") + "; batch up to " +
                            llvm::Twine(Limits.MaxBatch) + ", seq up to " +
                            llvm::Twine(Limits.MaxSeqLen));
  return 0;
}

int Compiler::buildStages() {
  PlanOptions Wanted;
  Wanted.DebugNames = O.DebugNames;
  Wanted.Gpu = O.Target != "cpu";
  Wanted.ProductTiles = O.ProductTiles;
  if (O.ActivationMemory) {
    if (!llvm::is_contained(Entries, "train"))
      return fail("--activation-memory: expected --entry=train with it, got " +
                  llvm::join(Entries, ", "));
    Result<RecomputeChoice> Choice = chooseRecompute(
        Config, Limits, *O.ActivationMemory, Context, Type, Wanted);
    if (!Choice)
      return fail(O.Config + ": " + Choice.message());
    RecomputeBlocks = Choice->Blocks;
    Report.done("recompute", llvm::Twine(Choice->Blocks) + " of " +
                                 llvm::Twine(Config.NumHiddenLayers) +
                                 " blocks, peak " +
                                 formatSize(Choice->PeakBytes) + " (" +
                                 llvm::Twine(Choice->PeakBytes) + " bytes)");
  }
  Module = buildModel(Config, Entries, RecomputeBlocks, Context, Type);
  if (!Module)
    return 1;
  size_t Operations = 0;
  Module->walk([&](Operation *) { ++Operations; });
  Report.done("model", llvm::Twine(Operations) + " operations");
  if (O.Emit == "txs")
    return 0;

  if (failed(lowerToPlan(*Module, Wanted)))
    return 1;
  size_t Kernels = llvm::range_size(Module->getOps<tile::KernelOp>());
  size_t Launches = 0;
  Module->walk([&](plan::LaunchOp) { ++Launches; });
  Report.done("plan", llvm::Twine(Kernels) + " kernels, " +
                          llvm::Twine(Launches) + " launches");
  return 0;
}

int Compiler::emitText(const std::string &Text) {
  if (O.Output.empty()) {
    llvm::outs() << Text;
    return 0;
  }
  Status Written = writeFileAtomically(O.Output, {{Text.data(), Text.size()}});
  if (!Written)
    return fail(Written.message());
  Report.done("written", O.Output + ", " + formatSize(Text.size()));
  return 0;
}

/// Leaves a kernel's signature.
static void eraseBody(tile::KernelOp Kernel) {
  SmallVector<Operation *> Body;
  for (Operation &Op : Kernel.getBody().front().without_terminator())
    Body.push_back(&Op);
  for (Operation *Op : llvm::reverse(Body))
    Op->erase();
}

/// Leaves the kernels, or the plan. A launch must find its kernel, so the plan
/// keeps their signatures.
static void keepStage(ModuleOp Module, bool Kernels) {
  for (Operation &Op : llvm::make_early_inc_range(*Module.getBody())) {
    auto Kernel = dyn_cast<tile::KernelOp>(Op);
    if (Kernels && !Kernel)
      Op.erase();
    else if (!Kernels && Kernel)
      eraseBody(Kernel);
  }
}

int Compiler::generate(CodeText *Text) {
  CodeOptions Wanted;
  Wanted.Text = Text;
  Wanted.Done = [&](const CodeObject &Object) {
    Report.done(Object.Target, llvm::Twine(Object.Kernels.size()) +
                                   " kernels, " +
                                   formatSize(Object.Object.size()));
  };
  FailureOr<std::vector<CodeObject>> Made = generateCode(*Module, Wanted);
  if (failed(Made))
    return 1;
  Code = std::move(*Made);
  return 0;
}

/// The architectures of --gpu-arch.
static Result<std::vector<nvptx::GpuTarget>>
wantedTargets(const std::string &List) {
  std::vector<nvptx::GpuTarget> Known = nvptx::gpuTargets(), Wanted;
  if (List.empty())
    return Known;
  llvm::SmallVector<llvm::StringRef> Names;
  llvm::StringRef(List).split(Names, ',');
  for (llvm::StringRef Name : Names) {
    auto Found = llvm::find_if(
        Known, [&](const nvptx::GpuTarget &T) { return T.Name == Name; });
    if (Found == Known.end())
      return makeError("--gpu-arch: expected some of sm_80, sm_90a, got '",
                       Name.str(), "'");
    Wanted.push_back(*Found);
  }
  return Wanted;
}

/// What a package holds of the code for one architecture: machine code, where
/// ptxas made some, and PTX for later ones.
static void addCode(const nvptx::GpuTarget &Target, nvptx::GpuCode &Made,
                    std::vector<CodeObject> &Code) {
  std::vector<KernelCode> Kernels;
  for (const nvptx::DeviceKernel &Kernel : Made.Device.Kernels)
    Kernels.push_back(nvptx::packagedKernel(Kernel));
  if (!Made.Assembled.Cubin.empty())
    Code.push_back({Target.Name, {}, Kernels, Made.Assembled.Cubin});
  Code.push_back({"ptx-" + Target.Name, {}, Kernels, std::move(Made.Ptx)});
}

/// Fills Code for every architecture; Text gets what --emit asks for, or the
/// tables of the kernels.
int Compiler::generateForGpu(std::string &Text) {
  Result<std::vector<nvptx::GpuTarget>> Targets = wantedTargets(O.GpuArch);
  if (!Targets)
    return fail(Targets.message());
  nvptx::GpuOptions Wanted;
  Wanted.WantsLlvmText = O.Emit == "llvm";
  Wanted.Assembles = O.Emit == "package";
  Wanted.Strict = std::getenv("TRANSXSSM_STRICT_PTXAS") != nullptr;
  llvm::StringMap<KernelCost> Costs;
  if (O.PrintKernels)
    Costs = costOfKernels(*Module, Limits.MaxBatch, Limits.MaxSeqLen);
  for (const nvptx::GpuTarget &Target : *Targets) {
    FailureOr<nvptx::GpuCode> Made =
        nvptx::compileForGpu(*Module, Target, Wanted);
    if (failed(Made))
      return 1;
    bool OnlyPtx = Wanted.Assembles && Made->Assembled.Cubin.empty();
    Report.done(Target.Name,
                llvm::Twine(Made->Device.Kernels.size()) + " kernels, " +
                    formatSize(Made->Ptx.size()) + " of PTX" +
                    (OnlyPtx ? "; no ptxas on PATH, so no machine code" : ""));
    if (O.Emit == "package")
      Text += Target.Name + "\n" + nvptx::describe(*Made, Costs);
    else
      Text += O.Emit == "llvm" ? Made->LlvmText : Made->Ptx;
    addCode(Target, *Made, Code);
  }
  return 0;
}

/// Code of every architecture for the simulator.
int Compiler::generateForSimulator() {
  Result<std::vector<nvptx::GpuTarget>> Targets = wantedTargets(O.GpuArch);
  if (!Targets)
    return fail(Targets.message());
  for (const nvptx::GpuTarget &Target : *Targets) {
    FailureOr<CodeObject> Made = sim::generateSimCode(*Module, Target);
    if (failed(Made))
      return 1;
    Report.done(Made->Target, llvm::Twine(Made->Kernels.size()) + " kernels, " +
                                  formatSize(Made->Object.size()));
    Code.push_back(std::move(*Made));
  }
  return 0;
}

int Compiler::emitPackage() {
  // Memory needs no code: without an output the answer is there at once.
  bool NeedsCode = !O.Output.empty() || O.PrintKernels;
  std::string GpuKernels;
  if (NeedsCode)
    if (int Status = O.Target == "nvptx" ? generateForGpu(GpuKernels)
                     : O.Target == "sim" ? generateForSimulator()
                                         : generate(nullptr))
      return Status;
  std::vector<uint8_t> Payload;
  Result<Package> Made = makePackage(*Module, Code, Limits, Payload);
  if (!Made)
    return fail(O.Config + ": " + Made.message());
  if (O.PrintMemory)
    if (Status Printed = printMemory(*Made, llvm::outs()); !Printed)
      return fail(Printed.message());
  if (O.PrintMemory && O.PrintKernels)
    llvm::outs() << "\n";
  if (O.PrintKernels && O.Target == "nvptx")
    llvm::outs() << GpuKernels;
  else if (O.PrintKernels)
    if (Status Printed = printKernels(*Made, llvm::outs()); !Printed)
      return fail(Printed.message());
  if (O.Output.empty())
    return 0;
  if (Status Written = writePackage(O.Output, Payload.data(), Payload.size());
      !Written)
    return fail(Written.message());
  Report.done("package", O.Output + ", " +
                             formatSize(Payload.size() + PackageHeaderBytes));
  return 0;
}

int Compiler::run() {
  if (int Code = checkSupported(O))
    return Code;
  if (!O.Output.empty())
    if (Status Checked = checkOutputPath(O.Output); !Checked)
      return fail(Checked.message());
  if (int Code = loadConfig())
    return Code;
  if (int Code = buildStages())
    return Code;
  if (O.Target == "nvptx" && (O.Emit == "llvm" || O.Emit == "ptx")) {
    std::string Text;
    int Status = generateForGpu(Text);
    return Status ? Status : emitText(Text);
  }
  if (O.Emit == "package")
    return emitPackage();
  if (O.Emit == "llvm" || O.Emit == "asm") {
    CodeText Text;
    if (int Status = generate(&Text))
      return Status;
    return emitText(O.Emit == "llvm" ? Text.Llvm : Text.Asm);
  }
  if (O.Emit == "tile" || O.Emit == "plan")
    keepStage(*Module, O.Emit == "tile");
  std::string Text;
  llvm::raw_string_ostream Stream(Text);
  Module->print(Stream);
  Stream << "\n";
  return emitText(Stream.str());
}

int main(int Argc, char **Argv) {
  Options O;
  if (std::optional<int> Code = parseOptions(Argc, Argv, packageProducer(), O))
    return *Code;
  int Code = 0;
  {
    DefaultTimingManager Timing; // prints when it ends
    Timing.setEnabled(O.TimePasses);
    TimingScope Root = Timing.getRootScope();
    if (O.TimePasses) {
      // Timers are told apart by addresses, of passes and of names. A name made
      // later could get the address of a pass that is gone.
      for (const x86::X86Target &Target : x86::x86Targets())
        TimingIdentifier::get(x86::llvmStage(Target), Timing);
      passTiming() = &Root;
    }
    Code = Compiler(O).run();
    passTiming() = nullptr;
  }
  // raw_ostream ends the process if nobody has looked at its errors.
  llvm::outs().flush();
  if (std::error_code Why = llvm::outs().error()) {
    llvm::outs().clear_error();
    return fail("standard output: cannot write: " + Why.message());
  }
  return Code;
}
