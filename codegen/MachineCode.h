//===- MachineCode.h - From LLVM modules to machine code --------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// What every target does with LLVM: choose a machine, optimise, write a file,
// and see that an object needs nothing that no runtime offers.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_MACHINECODE_H
#define TRANSXSSM_CODEGEN_MACHINECODE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CodeGen.h"

#include <memory>
#include <optional>
#include <string>

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace transxssm {

/// The machine for position-independent x86-64 code on this processor; null
/// where LLVM was built without the target. With `Fuse`, a * b + c may become
/// one instruction wherever it occurs, otherwise where the module allows it;
/// nothing else may be reordered.
std::unique_ptr<llvm::TargetMachine>
createX86Machine(llvm::StringRef Processor, bool Fuse,
                 llvm::CodeGenOptLevel Level);

/// The kernels of a module alone, without what launches them, in a context that
/// can translate them to LLVM IR.
mlir::OwningOpRef<mlir::ModuleOp> copyKernels(mlir::ModuleOp Kernels);

/// LLVM's pipeline for this level without making vectors, which are there
/// already.
void optimise(llvm::Module &Module, llvm::TargetMachine &Machine,
              llvm::OptimizationLevel Level, bool UnrollLoops = true);

/// The passes of a list as `opt -passes` takes it.
void runPasses(llvm::Module &Module, llvm::TargetMachine &Machine,
               llvm::StringRef Passes);

/// Makes accesses of neighbouring elements one, as wide as the machine has. The
/// pipeline splits loads of vectors whose elements are used one by one.
void joinAccesses(llvm::Module &Module, llvm::TargetMachine &Machine);

/// The module as assembly or as an object; nothing where the machine cannot
/// write such a file. Code generation changes the module.
std::optional<std::string> emitFile(llvm::Module &Module,
                                    llvm::TargetMachine &Machine,
                                    llvm::CodeGenFileType Type);

/// The first name that an ELF object needs from outside and that is not among
/// these; empty when there is none.
std::string findForeignSymbol(llvm::StringRef Object,
                              const llvm::StringSet<> &Known);

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_MACHINECODE_H
