//===- MachineCode.cpp - From LLVM modules to machine code ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/MachineCode.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Vectorize/LoadStoreVectorizer.h"

#include <mutex>

using namespace mlir;

namespace transxssm {

std::unique_ptr<llvm::TargetMachine>
createX86Machine(llvm::StringRef Processor, bool Fuse,
                 llvm::CodeGenOptLevel Level) {
  static std::once_flag Once;
  std::call_once(Once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  llvm::Triple Triple("x86_64-unknown-linux-gnu");
  std::string Error;
  const auto *Backend = llvm::TargetRegistry::lookupTarget(Triple, Error);
  if (!Backend)
    return nullptr;
  llvm::TargetOptions Options;
  if (Fuse)
    Options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(Backend->createTargetMachine(
      Triple, Processor, "", Options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      Level));
}

OwningOpRef<ModuleOp> copyKernels(ModuleOp Kernels) {
  DialectRegistry Registry;
  registerBuiltinDialectTranslation(Registry);
  registerLLVMDialectTranslation(Registry);
  Kernels.getContext()->appendDialectRegistry(Registry);
  OwningOpRef<ModuleOp> Module = ModuleOp::create(Kernels.getLoc());
  for (auto Kernel : Kernels.getOps<tile::KernelOp>())
    Module->push_back(Kernel.clone());
  return Module;
}

namespace {
/// What passes know of a module for a machine.
struct Analyses {
  Analyses(llvm::TargetMachine &Machine,
           const llvm::PipelineTuningOptions &Tuning)
      : Builder(&Machine, Tuning) {
    Builder.registerModuleAnalyses(Modules);
    Builder.registerCGSCCAnalyses(Graph);
    Builder.registerFunctionAnalyses(Functions);
    Builder.registerLoopAnalyses(Loops);
    Builder.crossRegisterProxies(Loops, Functions, Graph, Modules);
  }

  llvm::PassBuilder Builder;
  llvm::LoopAnalysisManager Loops;
  llvm::FunctionAnalysisManager Functions;
  llvm::CGSCCAnalysisManager Graph;
  llvm::ModuleAnalysisManager Modules;
};
} // namespace

void optimise(llvm::Module &Module, llvm::TargetMachine &Machine,
              llvm::OptimizationLevel Level, bool UnrollLoops) {
  llvm::PipelineTuningOptions Tuning;
  Tuning.LoopVectorization = false;
  Tuning.SLPVectorization = false;
  Tuning.LoopUnrolling = UnrollLoops;
  Analyses Known(Machine, Tuning);
  Known.Builder.buildPerModuleDefaultPipeline(Level).run(Module, Known.Modules);
}

void runPasses(llvm::Module &Module, llvm::TargetMachine &Machine,
               llvm::StringRef Passes) {
  Analyses Known(Machine, llvm::PipelineTuningOptions());
  llvm::ModulePassManager Manager;
  llvm::cantFail(Known.Builder.parsePassPipeline(Manager, Passes),
                 "unknown pass in a list");
  Manager.run(Module, Known.Modules);
}

void joinAccesses(llvm::Module &Module, llvm::TargetMachine &Machine) {
  Analyses Known(Machine, llvm::PipelineTuningOptions());
  llvm::LoadStoreVectorizerPass Join;
  for (llvm::Function &Function : Module)
    if (!Function.isDeclaration())
      Join.run(Function, Known.Functions);
}

std::optional<std::string> emitFile(llvm::Module &Module,
                                    llvm::TargetMachine &Machine,
                                    llvm::CodeGenFileType Type) {
  llvm::SmallVector<char, 0> Bytes;
  llvm::raw_svector_ostream Stream(Bytes);
  llvm::legacy::PassManager Passes;
  if (Machine.addPassesToEmitFile(Passes, Stream, nullptr, Type))
    return std::nullopt;
  Passes.run(Module);
  return std::string(Bytes.begin(), Bytes.end());
}

std::string findForeignSymbol(llvm::StringRef Object,
                              const llvm::StringSet<> &Known) {
  auto File = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(Object, "kernels"));
  if (!File) {
    llvm::consumeError(File.takeError());
    return "an unreadable symbol table";
  }
  for (const llvm::object::SymbolRef &Symbol : (*File)->symbols()) {
    llvm::Expected<uint32_t> Flags = Symbol.getFlags();
    llvm::Expected<llvm::StringRef> Name = Symbol.getName();
    bool Readable = Flags && Name;
    if (Readable && (!(*Flags & llvm::object::SymbolRef::SF_Undefined) ||
                     Name->empty() || Known.contains(*Name)))
      continue;
    std::string Result = Readable ? Name->str() : "an unreadable symbol";
    llvm::consumeError(Flags.takeError());
    llvm::consumeError(Name.takeError());
    return Result;
  }
  return "";
}

} // namespace transxssm
