//===- X86Codegen.cpp - Tile kernels to x86-64 object code ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/X86Codegen.h"
#include "codegen/MachineCode.h"
#include "codegen/PassTiming.h"
#include "codegen/x86/Passes.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;

namespace transxssm::x86 {

std::vector<X86Target> x86Targets() {
  std::vector<std::string> V3{"avx",  "avx2", "bmi1", "bmi2",
                              "f16c", "fma",  "abm",  "movbe"};
  std::vector<std::string> V4 = V3;
  for (const char *Feature :
       {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
    V4.push_back(Feature);
  std::vector<std::string> V4Bf16 = V4;
  V4Bf16.push_back("avx512_bf16");
  return {{"x86-64-v4-bf16",
           V4Bf16,
           "x86-64-v4",
           "+avx512bf16",
           {512, PairProducts::Instructions}},
          {"x86-64-v4", V4, "x86-64-v4", "", {512, PairProducts::None}},
          {"x86-64-v3", V3, "x86-64-v3", "", {256, PairProducts::None}}};
}

std::vector<X86Target> x86TargetsFor(ModuleOp Kernels) {
  bool MultipliesBf16 = Kernels
                            .walk([](tile::MmaOp Mma) {
                              Type Operand = Mma.getLhs().getType();
                              return getElementTypeOrSelf(Operand).isBF16()
                                         ? WalkResult::interrupt()
                                         : WalkResult::advance();
                            })
                            .wasInterrupted();
  std::vector<X86Target> Targets = x86Targets();
  if (!MultipliesBf16)
    llvm::erase_if(Targets, [](const X86Target &Target) {
      return Target.Loops.Pairs != PairProducts::None;
    });
  return Targets;
}

//===----------------------------------------------------------------------===//
// MLIR
//===----------------------------------------------------------------------===//

static void addLowering(PassManager &Passes, const X86Target &Target) {
  Passes.addPass(createCanonicalizerPass());
  Passes.addPass(createCSEPass());
  Passes.addPass(createLoopInvariantCodeMotionPass());
  Passes.addPass(createTileToLoopsPass(Target.Loops));
  Passes.addPass(createCanonicalizerPass());
  Passes.addPass(createCSEPass());
  OpPassManager &Functions = Passes.nest<func::FuncOp>();
  Functions.addPass(createAssignScratchPass());
  Functions.addPass(createExpandMathPass(
      /*RoundsToBf16=*/Target.Loops.Pairs == PairProducts::Instructions));
  Passes.addPass(createKernelAbiPass());
}

/// What every pass leaves is verified where assertions are on: it takes a sixth
/// of the passes' time.
static void configure(PassManager &Passes) {
  timePasses(Passes);
#ifdef NDEBUG
  Passes.enableVerifier(false);
#endif
}

/// Runs the passes over the module; a failure without a message gets one.
static LogicalResult lower(ModuleOp Module, const X86Target &Target,
                           std::vector<CompiledKernel> &Kernels) {
  PassManager Tiles(Module.getContext());
  configure(Tiles);
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
  configure(Conversion);
  Conversion.addPass(createKernelsToLlvmPass());
  if (failed(Conversion.run(Module)))
    return Module.emitError("cannot convert the kernels to LLVM for ")
           << Target.Name;
  return success();
}

//===----------------------------------------------------------------------===//
// LLVM
//===----------------------------------------------------------------------===//

/// What the loops of kernels gain by. Of the passes of -O2, those that look for
/// calls, constants and conditions to fold find next to nothing here; sroa
/// takes extents that memref.dim reads by way of the stack. Unrolling took a
/// fifth of the compile time for code no faster: the one loop that gains by it
/// comes unrolled (KernelLowering::unrolledSteps).
constexpr char KernelPasses[] =
    "function(sroa,early-cse<memssa>,loop-mssa(loop-rotate,licm),"
    "instcombine<max-iterations=1;no-verify-fixpoint>,gvn,loop-mssa(licm),"
    "early-cse,simplifycfg)";

static void prepareFunctions(llvm::Module &Module, const X86Target &Target) {
  for (llvm::Function &Function : Module) {
    Function.addFnAttr("target-cpu", Target.Processor);
    if (!Target.Additions.empty())
      Function.addFnAttr("target-features", Target.Additions);
    Function.addFnAttr("prefer-vector-width",
                       std::to_string(Target.Loops.VectorBits));
    if (Function.isDeclaration())
      continue;
    Function.addFnAttr(llvm::Attribute::NoUnwind);
    Function.addFnAttr("no-trapping-math", "true");
  }
}

std::string llvmStage(const X86Target &Target) {
  return "LLVM, " + Target.Name;
}

FailureOr<CompiledObject> compileForX86(ModuleOp Kernels,
                                        const X86Target &Target,
                                        const X86Options &Options) {
  OwningOpRef<ModuleOp> Module = copyKernels(Kernels);
  CompiledObject Result;
  if (failed(lower(*Module, Target, Result.Kernels)))
    return failure();
  auto Machine = createX86Machine(Target.Processor, /*Fuse=*/true,
                                  llvm::CodeGenOptLevel::Aggressive);
  if (!Machine)
    return Kernels.emitError("LLVM lacks the x86-64 target"), failure();
  mlir::TimingScope InLlvm = timeStage(llvmStage(Target));
  llvm::LLVMContext LlvmContext;
  auto Llvm = translateModuleToLLVMIR(*Module, LlvmContext, "kernels");
  if (!Llvm)
    return Kernels.emitError("cannot translate the kernels to LLVM IR"),
           failure();
  Llvm->setTargetTriple(Machine->getTargetTriple());
  Llvm->setDataLayout(Machine->createDataLayout());
  prepareFunctions(*Llvm, Target);
  runPasses(*Llvm, *Machine, KernelPasses);
  if (Options.LlvmText) {
    llvm::raw_string_ostream Stream(*Options.LlvmText);
    Llvm->print(Stream, nullptr);
  }
  if (Options.AsmText) {
    auto Copy = llvm::CloneModule(*Llvm);
    *Options.AsmText =
        emitFile(*Copy, *Machine, llvm::CodeGenFileType::AssemblyFile)
            .value_or("");
  }
  auto Object = emitFile(*Llvm, *Machine, llvm::CodeGenFileType::ObjectFile);
  if (!Object)
    return Kernels.emitError("LLVM cannot write an object file"), failure();
  Result.Object = std::move(*Object);
  std::string Forbidden =
      findForeignSymbol(Result.Object, {"memcpy", "memmove", "memset"});
  if (!Forbidden.empty())
    return Kernels.emitError("kernels for ")
               << Target.Name << " call '" << Forbidden
               << "', which no runtime offers",
           failure();
  return Result;
}

} // namespace transxssm::x86
