//===- X86Codegen.cpp - Tile kernels to x86-64 object code ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/X86Codegen.h"
#include "codegen/x86/Passes.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

using namespace mlir;

namespace transxssm::x86 {

std::vector<X86Target> x86Targets() {
  std::vector<std::string> V3{"avx",  "avx2", "bmi1", "bmi2",
                              "f16c", "fma",  "abm",  "movbe"};
  std::vector<std::string> V4 = V3;
  for (const char *Feature :
       {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
    V4.push_back(Feature);
  return {{"x86-64-v4", V4, 512}, {"x86-64-v3", V3, 256}};
}

//===----------------------------------------------------------------------===//
// MLIR
//===----------------------------------------------------------------------===//

static void addLowering(PassManager &Passes, const X86Target &Target) {
  Passes.addPass(createCanonicalizerPass());
  Passes.addPass(createCSEPass());
  Passes.addPass(createLoopInvariantCodeMotionPass());
  Passes.addPass(createTileToLoopsPass(Target.VectorBits));
  Passes.addPass(createCanonicalizerPass());
  Passes.addPass(createCSEPass());
  OpPassManager &Functions = Passes.nest<func::FuncOp>();
  Functions.addPass(createAssignScratchPass());
  Functions.addPass(createExpandMathPass());
  Passes.addPass(createKernelAbiPass());
}

static void addConversion(PassManager &Passes) {
  Passes.addPass(createSCFToControlFlowPass());
  ConvertVectorToLLVMPassOptions Vector;
  Vector.force32BitVectorIndices = true;
  Passes.addPass(createConvertVectorToLLVMPass(Vector));
  Passes.addPass(createConvertMathToLLVMPass());
  Passes.addPass(createArithToLLVMConversionPass());
  Passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  Passes.addPass(createConvertFuncToLLVMPass());
  Passes.addPass(createConvertControlFlowToLLVMPass());
  Passes.addPass(createUBToLLVMConversionPass());
  Passes.addPass(createReconcileUnrealizedCastsPass());
}

/// Runs the passes over the module; a failure without a message gets one.
static LogicalResult lower(ModuleOp Module, const X86Target &Target,
                           std::vector<CompiledKernel> &Kernels) {
  PassManager Tiles(Module.getContext());
  addLowering(Tiles, Target);
  if (failed(Tiles.run(Module)))
    return Module.emitError("cannot lower the kernels to loops for ")
           << Target.Name;
  for (auto Function : Module.getOps<func::FuncOp>()) {
    auto Scratch = Function->getAttrOfType<IntegerAttr>(ScratchBytesAttr);
    Kernels.push_back({Function.getSymName().str(), Function.getSymName().str(),
                       Scratch.getInt()});
    Function->removeAttr(ScratchBytesAttr);
    Function->removeAttr(GridRankAttr);
  }
  PassManager Conversion(Module.getContext());
  addConversion(Conversion);
  if (failed(Conversion.run(Module)))
    return Module.emitError("cannot convert the kernels to LLVM for ")
           << Target.Name;
  return success();
}

//===----------------------------------------------------------------------===//
// LLVM
//===----------------------------------------------------------------------===//

static std::unique_ptr<llvm::TargetMachine>
createMachine(const X86Target &Target) {
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
  // a * b + c may become one instruction; nothing else may be reordered.
  Options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(Backend->createTargetMachine(
      Triple, Target.Name, "", Options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
}

static void prepareFunctions(llvm::Module &Module, const X86Target &Target) {
  for (llvm::Function &Function : Module) {
    Function.addFnAttr("target-cpu", Target.Name);
    Function.addFnAttr("prefer-vector-width",
                       std::to_string(Target.VectorBits));
    if (Function.isDeclaration())
      continue;
    Function.addFnAttr(llvm::Attribute::NoUnwind);
    Function.addFnAttr("no-trapping-math", "true");
  }
}

static void optimise(llvm::Module &Module, llvm::TargetMachine &Machine) {
  llvm::PipelineTuningOptions Tuning;
  // The vectors are there already.
  Tuning.LoopVectorization = false;
  Tuning.SLPVectorization = false;
  llvm::PassBuilder Builder(&Machine, Tuning);
  llvm::LoopAnalysisManager Loops;
  llvm::FunctionAnalysisManager Functions;
  llvm::CGSCCAnalysisManager Graph;
  llvm::ModuleAnalysisManager Modules;
  Builder.registerModuleAnalyses(Modules);
  Builder.registerCGSCCAnalyses(Graph);
  Builder.registerFunctionAnalyses(Functions);
  Builder.registerLoopAnalyses(Loops);
  Builder.crossRegisterProxies(Loops, Functions, Graph, Modules);
  Builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(Module, Modules);
}

static bool emitFile(llvm::Module &Module, llvm::TargetMachine &Machine,
                     llvm::CodeGenFileType Type, std::string &Result) {
  llvm::SmallVector<char, 0> Bytes;
  llvm::raw_svector_ostream Stream(Bytes);
  llvm::legacy::PassManager Passes;
  if (Machine.addPassesToEmitFile(Passes, Stream, nullptr, Type))
    return false;
  Passes.run(Module);
  Result.assign(Bytes.begin(), Bytes.end());
  return true;
}

/// The first name that the object needs from outside and no runtime offers;
/// empty when there is none.
static std::string findForbidden(const std::string &Object) {
  auto File = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(Object, "kernels"));
  if (!File) {
    llvm::consumeError(File.takeError());
    return "an unreadable symbol table";
  }
  for (const llvm::object::SymbolRef &Symbol : (*File)->symbols()) {
    auto Flags = Symbol.getFlags();
    auto Name = Symbol.getName();
    bool Known = Flags && Name;
    if (Known &&
        (!(*Flags & llvm::object::SymbolRef::SF_Undefined) || Name->empty() ||
         *Name == "memcpy" || *Name == "memmove" || *Name == "memset"))
      continue;
    std::string Result = Known ? Name->str() : "an unreadable symbol";
    llvm::consumeError(Flags.takeError());
    llvm::consumeError(Name.takeError());
    return Result;
  }
  return "";
}

FailureOr<CompiledObject> compileForX86(ModuleOp Kernels,
                                        const X86Target &Target,
                                        const X86Options &Options) {
  MLIRContext *Context = Kernels.getContext();
  DialectRegistry Registry;
  registerBuiltinDialectTranslation(Registry);
  registerLLVMDialectTranslation(Registry);
  Context->appendDialectRegistry(Registry);

  // The kernels alone: what launches them has no place here.
  OwningOpRef<ModuleOp> Module = ModuleOp::create(Kernels.getLoc());
  for (auto Kernel : Kernels.getOps<tile::KernelOp>())
    Module->push_back(Kernel.clone());
  CompiledObject Result;
  if (failed(lower(*Module, Target, Result.Kernels)))
    return failure();
  auto Machine = createMachine(Target);
  if (!Machine)
    return Kernels.emitError("LLVM lacks the x86-64 target"), failure();
  llvm::LLVMContext LlvmContext;
  auto Llvm = translateModuleToLLVMIR(*Module, LlvmContext, "kernels");
  if (!Llvm)
    return Kernels.emitError("cannot translate the kernels to LLVM IR"),
           failure();
  Llvm->setTargetTriple(Machine->getTargetTriple());
  Llvm->setDataLayout(Machine->createDataLayout());
  prepareFunctions(*Llvm, Target);
  optimise(*Llvm, *Machine);
  if (Options.LlvmText) {
    llvm::raw_string_ostream Stream(*Options.LlvmText);
    Llvm->print(Stream, nullptr);
  }
  if (Options.AsmText) {
    auto Copy = llvm::CloneModule(*Llvm);
    emitFile(*Copy, *Machine, llvm::CodeGenFileType::AssemblyFile,
             *Options.AsmText);
  }
  if (!emitFile(*Llvm, *Machine, llvm::CodeGenFileType::ObjectFile,
                Result.Object))
    return Kernels.emitError("LLVM cannot write an object file"), failure();
  std::string Forbidden = findForbidden(Result.Object);
  if (!Forbidden.empty())
    return Kernels.emitError("kernels for ")
               << Target.Name << " call '" << Forbidden
               << "', which no runtime offers",
           failure();
  return Result;
}

} // namespace transxssm::x86
