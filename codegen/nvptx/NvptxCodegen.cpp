//===- NvptxCodegen.cpp - Tile kernels to PTX -----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/NvptxCodegen.h"
#include "codegen/MachineCode.h"
#include "codegen/SourceTexts.h"
#include "codegen/nvptx/DeviceOps.h"
#include "codegen/nvptx/Passes.h"
#include "codegen/x86/Passes.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

using namespace mlir;

namespace transxssm::nvptx {

std::vector<GpuTarget> gpuTargets() {
  return {{"sm_80"}, {"sm_90a", /*TensorMaps=*/true}};
}

//===----------------------------------------------------------------------===//
// MLIR
//===----------------------------------------------------------------------===//

static void addLowering(PassManager &Passes, const GpuTarget &Target) {
  Passes.addPass(createCanonicalizerPass());
  Passes.addPass(createSplitProductsPass());
  Passes.addPass(createCanonicalizerPass());
  Passes.addPass(createCSEPass());
  Passes.addPass(createLoopInvariantCodeMotionPass());
  Passes.addPass(createTileToThreadsPass(Target));
  Passes.addPass(createCSEPass());
  Passes.addPass(createAssignSharedMemoryPass());
  OpPassManager &Functions = Passes.nest<func::FuncOp>();
  Functions.addPass(createInsertBarriersPass());
  Functions.addPass(createExpandExponentialsPass());
  // cvt.rn.bf16x2.f32 and cvt.rn.bf16.f32 (PTX ISA, "cvt"; sm_80 on).
  Functions.addPass(x86::createExpandMathPass(/*RoundsToBf16=*/true));
}

static void addConversion(PassManager &Passes) {
  Passes.addPass(createSCFToControlFlowPass());
  Passes.addPass(createConvertVectorToLLVMPass());
  Passes.addPass(createConvertMathToLLVMPass());
  Passes.addPass(createArithToLLVMConversionPass());
  Passes.addPass(createConvertFuncToLLVMPass());
  Passes.addPass(createConvertControlFlowToLLVMPass());
  Passes.addPass(createUBToLLVMConversionPass());
  Passes.addPass(createReconcileUnrealizedCastsPass());
  // Locations reach LLVM only in functions that debug information knows.
  Passes.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
}

static std::vector<TensorMap> tensorMapsOf(func::FuncOp Function) {
  std::vector<TensorMap> Maps;
  auto All = Function->getAttrOfType<ArrayAttr>(TensorMapsAttr);
  for (Attribute Each : All ? All.getValue() : ArrayRef<Attribute>()) {
    // Operand, first size, extents, extents of the box.
    ArrayRef<int64_t> Numbers = cast<DenseI64ArrayAttr>(Each).asArrayRef();
    size_t Rank = (Numbers.size() - 2) / 2;
    ArrayRef<int64_t> Shape = Numbers.slice(2, Rank);
    ArrayRef<int64_t> Box = Numbers.drop_front(2 + Rank);
    Maps.push_back({static_cast<unsigned>(Numbers[0]), Shape.vec(),
                    static_cast<unsigned>(Numbers[1]), Box.vec()});
  }
  return Maps;
}

/// Runs the passes over the module; a failure without a message gets one.
static LogicalResult lower(ModuleOp Module, const GpuTarget &Target,
                           std::vector<DeviceKernel> &Kernels) {
  PassManager Tiles(Module.getContext());
  addLowering(Tiles, Target);
  if (failed(Tiles.run(Module)))
    return Module.emitError("cannot lower the kernels to threads for ")
           << Target.Name;
  for (auto Function : Module.getOps<func::FuncOp>()) {
    auto Number = [&](StringRef Attribute) {
      return Function->getAttrOfType<IntegerAttr>(Attribute).getInt();
    };
    Kernels.push_back({Function.getSymName().str(), Function.getSymName().str(),
                       Number(ThreadsAttr), Number(SharedBytesAttr),
                       tensorMapsOf(Function)});
    if (Function->hasAttr(ResidentAttr))
      Kernels.back().ResidentBlocks = Number(ResidentAttr);
    Function->removeAttr(ResidentAttr);
    Function->removeAttr(TensorMapsAttr);
    Function->removeAttr(ThreadsAttr);
    Function->removeAttr(ConsumersAttr);
    Function->removeAttr(HalfMemoryAttr);
    Function->removeAttr(x86::IntegerRoundingAttr);
    Function->removeAttr(SharedBytesAttr);
  }
  PassManager Conversion(Module.getContext());
  addConversion(Conversion);
  if (failed(Conversion.run(Module)))
    return Module.emitError("cannot convert the kernels to LLVM for ")
           << Target.Name;
  // They have served their purpose.
  Module.walk([](Operation *Op) {
    for (const char *Name :
         {GroupAttr, HazardAttr, BytesAttr, DivergentAttr, CopyAttr, RingAttr})
      Op->removeDiscardableAttr(Name);
  });
  return success();
}

//===----------------------------------------------------------------------===//
// LLVM
//===----------------------------------------------------------------------===//

static std::unique_ptr<llvm::TargetMachine>
createMachine(const GpuTarget &Target) {
  static std::once_flag Once;
  std::call_once(Once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple Triple("nvptx64-nvidia-cuda");
  std::string Error;
  const auto *Backend = llvm::TargetRegistry::lookupTarget(Triple, Error);
  if (!Backend)
    return nullptr;
  llvm::TargetOptions Options;
  // a * b + c may become one instruction; nothing else may be reordered.
  Options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  // 8.0 is the first version with sm_90a, 8.6 that with loads of boxes into a
  // block's own shared memory.
  return std::unique_ptr<llvm::TargetMachine>(Backend->createTargetMachine(
      Triple, Target.Name, Target.TensorMaps ? "+ptx86" : "+ptx80", Options,
      std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// The last parameters are tensor maps, which stay where the launch put them.
static void addTensorMaps(llvm::Function &Function, size_t Count) {
  llvm::LLVMContext &Context = Function.getContext();
  auto *Type = llvm::ArrayType::get(llvm::Type::getInt8Ty(Context), 128);
  for (size_t I = Function.arg_size() - Count; I < Function.arg_size(); ++I) {
    Function.addParamAttr(I, llvm::Attribute::getWithByValType(Context, Type));
    Function.addParamAttr(
        I, llvm::Attribute::getWithAlignment(Context, llvm::Align(64)));
    Function.addParamAttr(I,
                          llvm::Attribute::get(Context, "nvvm.grid_constant"));
  }
}

/// How many blocks a multiprocessor of sm_90a is meant to have at once, and
/// the registers of a kernel with a producer (TileToThreadsPipe.cpp). There are
/// 65,536: 168 at launch for each of 384 threads, 128 for each of two times
/// 256, which ptxas takes from the number of threads and blocks. A single block
/// of 256 has no need to share.
static int64_t shareRegisters(llvm::Function &Function,
                              const DeviceKernel &Kernel) {
  constexpr int64_t BothShared = 228 * 1024, Reserved = 1024;
  constexpr int32_t ConsumersOfTwo = 232;
  llvm::SmallVector<llvm::CallInst *> Shares;
  for (llvm::Instruction &I : llvm::instructions(Function))
    if (auto *Call = llvm::dyn_cast<llvm::CallInst>(&I))
      if (llvm::Function *Callee = Call->getCalledFunction();
          Callee && (Callee->getName() == MoreRegistersName ||
                     Callee->getName() == FewerRegistersName))
        Shares.push_back(Call);
  if (Shares.empty() || Kernel.Threads != 256)
    return 1;
  bool TwoFit = 2 * (Kernel.SharedBytes + Reserved) <= BothShared;
  for (llvm::CallInst *Call : Shares) {
    if (!TwoFit)
      Call->eraseFromParent();
    else if (Call->getCalledFunction()->getName() == MoreRegistersName)
      Call->setArgOperand(
          0, llvm::ConstantInt::get(Call->getArgOperand(0)->getType(),
                                    ConsumersOfTwo));
  }
  return TwoFit ? 2 : 1;
}

/// What makes functions kernels. ptxas needs the block's size to know how many
/// registers a thread may have.
static void prepareKernels(llvm::Module &Module,
                           const std::vector<DeviceKernel> &Kernels) {
  for (const DeviceKernel &Kernel : Kernels) {
    llvm::Function *Function = Module.getFunction(Kernel.Symbol);
    Function->setCallingConv(llvm::CallingConv::PTX_Kernel);
    Function->addFnAttr("nvvm.maxntid", std::to_string(Kernel.Threads));
    Function->addFnAttr("nvvm.minctasm",
                        std::to_string(shareRegisters(*Function, Kernel)));
    Function->addFnAttr(llvm::Attribute::NoUnwind);
    addTensorMaps(*Function, Kernel.TensorMaps.size());
    // Products by a warp group take all of its threads at once.
    for (llvm::Instruction &I : llvm::instructions(*Function))
      if (auto *Call = llvm::dyn_cast<llvm::CallInst>(&I))
        if (auto *Asm =
                llvm::dyn_cast<llvm::InlineAsm>(Call->getCalledOperand());
            Asm && llvm::StringRef(Asm->getAsmString()).starts_with("wgmma"))
          Call->addFnAttr(llvm::Attribute::Convergent);
  }
}

FailureOr<DeviceModule> lowerForGpu(ModuleOp Kernels, const GpuTarget &Target) {
  OwningOpRef<ModuleOp> Module = copyKernels(Kernels);
  SourceTexts Texts = locateInTexts(*Module);
  DeviceModule Result;
  if (failed(lower(*Module, Target, Result.Kernels)))
    return failure();
  auto Machine = createMachine(Target);
  if (!Machine)
    return Kernels.emitError("LLVM lacks the NVPTX target"), failure();
  Result.Context = std::make_unique<llvm::LLVMContext>();
  Result.Module = translateModuleToLLVMIR(*Module, *Result.Context, "kernels");
  if (!Result.Module)
    return Kernels.emitError("cannot translate the kernels to LLVM IR"),
           failure();
  Result.Module->setTargetTriple(Machine->getTargetTriple());
  Result.Module->setDataLayout(Machine->createDataLayout());
  attachTexts(Texts, *Result.Module);
  prepareKernels(*Result.Module, Result.Kernels);
  // Loops are as long as they should be.
  optimise(*Result.Module, *Machine, llvm::OptimizationLevel::O3,
           /*UnrollLoops=*/false);
  // The code generator would do it, but the simulator must see it.
  joinAccesses(*Result.Module, *Machine);
  return Result;
}

FailureOr<std::string> emitPtx(const DeviceModule &Module,
                               const GpuTarget &Target) {
  auto Machine = createMachine(Target);
  if (!Machine)
    return failure();
  auto Copy = llvm::CloneModule(*Module.Module);
  Copy->setTargetTriple(Machine->getTargetTriple());
  Copy->setDataLayout(Machine->createDataLayout());
  llvm::StripDebugInfo(*Copy);
  auto Text = emitFile(*Copy, *Machine, llvm::CodeGenFileType::AssemblyFile);
  if (!Text)
    return failure();
  return std::move(*Text);
}

} // namespace transxssm::nvptx
