//===- KernelsToLlvm.cpp - Vector loops to the LLVM dialect ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Loops become branches, then one conversion takes all dialects that are left:
// a conversion looks at every operation of the module whatever it converts, so
// one for each dialect takes several times as long.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/Passes.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Dialect/X86Vector/Transforms.h"

using namespace mlir;

namespace transxssm::x86 {
namespace {

struct KernelsToLlvmPass
    : PassWrapper<KernelsToLlvmPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelsToLlvmPass)

  StringRef getArgument() const override { return "kernels-to-llvm"; }
  StringRef getDescription() const override {
    return "convert the loops and vectors of kernels to the LLVM dialect";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<cf::ControlFlowDialect, LLVM::LLVMDialect>();
  }

  void runOnOperation() override {
    if (failed(convertLoops()) || failed(convertOperations()))
      signalPassFailure();
  }

  LogicalResult convertLoops() {
    RewritePatternSet Patterns(&getContext());
    populateSCFToControlFlowConversionPatterns(Patterns);
    ConversionTarget Target(getContext());
    Target.addIllegalDialect<scf::SCFDialect>();
    Target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    return applyPartialConversion(getOperation(), Target, std::move(Patterns));
  }

  LogicalResult convertOperations() {
    MLIRContext &Context = getContext();
    LLVMTypeConverter Converter(&Context);
    LLVMConversionTarget Target(Context);
    // The casts stand between descriptors and memrefs until both are gone.
    Target.addLegalOp<ModuleOp, UnrealizedConversionCastOp>();
    RewritePatternSet Patterns(&Context);
    arith::populateArithToLLVMConversionPatterns(Converter, Patterns);
    cf::populateControlFlowToLLVMConversionPatterns(Converter, Patterns);
    populateMathToLLVMConversionPatterns(Converter, Patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(Converter, Patterns);
    populateFuncToLLVMConversionPatterns(Converter, Patterns);
    ub::populateUBToLLVMConversionPatterns(Converter, Patterns);
    // Masks count lanes, for which 32 bits are enough.
    vector::populateVectorMaskMaterializationPatterns(
        Patterns, /*force32BitVectorIndices=*/true);
    populateVectorToLLVMConversionPatterns(Converter, Patterns,
                                           /*reassociateFPReductions=*/false,
                                           /*force32BitVectorIndices=*/true);
    populateX86VectorLegalizeForLLVMExportPatterns(Converter, Patterns);
    configureX86VectorLegalizeForExportTarget(Target);
    // A failure ends the compilation, so nothing has to be undone.
    ConversionConfig Config;
    Config.allowPatternRollback = false;
    if (failed(applyFullConversion(getOperation(), Target, std::move(Patterns),
                                   Config)))
      return failure();
    SmallVector<UnrealizedConversionCastOp> Casts, Left;
    getOperation().walk(
        [&](UnrealizedConversionCastOp Cast) { Casts.push_back(Cast); });
    reconcileUnrealizedCasts(Casts, &Left);
    return success(Left.empty());
  }
};
} // namespace

std::unique_ptr<Pass> createKernelsToLlvmPass() {
  return std::make_unique<KernelsToLlvmPass>();
}

} // namespace transxssm::x86
