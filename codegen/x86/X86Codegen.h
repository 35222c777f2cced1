//===- X86Codegen.h - Tile kernels to x86-64 object code ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Everything happens in this process: MLIR to LLVM IR to one relocatable ELF
// object per instruction set. The object calls nothing but memcpy, memmove and
// memset.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_X86_X86CODEGEN_H
#define TRANSXSSM_CODEGEN_X86_X86CODEGEN_H

#include "codegen/x86/Passes.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace transxssm::x86 {

/// An instruction set that kernels are compiled for.
struct X86Target {
  /// The name in packages.
  std::string Name;
  /// What a processor must offer, as /proc/cpuinfo spells it.
  std::vector<std::string> Features;
  /// What LLVM calls the processor, and what that one has in addition.
  std::string Processor, Additions;
  LoopOptions Loops;
};

/// All of them, the most demanding first.
std::vector<X86Target> x86Targets();

/// Those that a package with these kernels holds: all that make a difference.
std::vector<X86Target> x86TargetsFor(mlir::ModuleOp Kernels);

/// What LLVM's share of the time for a target is called (PassTiming.h).
std::string llvmStage(const X86Target &Target);

struct CompiledKernel {
  std::string Name, Symbol;
  int64_t ScratchBytes;
};

struct CompiledObject {
  std::string Object;
  std::vector<CompiledKernel> Kernels;
};

struct X86Options {
  /// Filled when not null: LLVM IR after optimisation, and assembly.
  std::string *LlvmText = nullptr;
  std::string *AsmText = nullptr;
};

/// Compiles every tile.kernel of the module, which stays as it is. Errors are
/// reported on the operations at fault.
mlir::FailureOr<CompiledObject> compileForX86(mlir::ModuleOp Kernels,
                                              const X86Target &Target,
                                              const X86Options &Options = {});

} // namespace transxssm::x86

#endif // TRANSXSSM_CODEGEN_X86_X86CODEGEN_H
