//===- SimRewriter.h - GPU instructions to calls of hooks -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to codegen/sim. SimRewriter.cpp turns kernels into functions of
// TransXSSMSimKernel and instruments their memory accesses, SimIntrinsics.cpp
// replaces llvm.nvvm.* calls, InlinePtx.cpp assembles inline PTX.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_SIM_SIMREWRITER_H
#define TRANSXSSM_CODEGEN_SIM_SIMREWRITER_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <map>
#include <string>
#include <vector>

namespace transxssm::sim {

/// Variants of hooks; see transxssm/sim_abi.h.
enum ShuffleMode : uint32_t { Up, Down, Butterfly, Index };
enum MmaType : uint32_t { MmaBf16 = 32, MmaF16 = 64, MmaTf32 = 96 };

class SimRewriter {
public:
  explicit SimRewriter(llvm::Module &Module);

  /// Rewrites every kernel and adds the module's tables.
  llvm::Error run();

  // For the files that replace single instructions.

  llvm::Module &module() { return Module; }
  /// The running thread, as the current function's code has it.
  llvm::Value *self() { return Self; }
  /// A 32-bit field of TransXSSMSimThread.
  llvm::Value *loadField(llvm::IRBuilder<> &Builder, unsigned Offset);
  /// Calls a hook for `At` and returns its result, of type `Result`. `Address`
  /// is the pointer to global memory among the operands, if there is one.
  llvm::Value *callHook(llvm::IRBuilder<> &Builder, llvm::Instruction &At,
                        const char *Hook, llvm::ArrayRef<llvm::Value *> In,
                        llvm::Type *Result, uint32_t Variant,
                        llvm::Value *Address = nullptr);
  /// The host address for an access of `Bytes` at `Pointer`; with `Active`
  /// (i1), only where it is true.
  llvm::Value *access(llvm::IRBuilder<> &Builder, llvm::Instruction &At,
                      llvm::Value *Pointer, uint64_t Bytes, uint32_t Kind,
                      uint32_t Space, llvm::Align Alignment,
                      llvm::Value *Active = nullptr);
  /// An error that names the kernel.
  llvm::Error fail(const llvm::Twine &Why);

  llvm::IntegerType *Int32, *Int64;
  llvm::PointerType *Pointer;
  llvm::Type *Void, *Float;

private:
  struct Site {
    std::string Kernel, Operation, File;
    unsigned Line = 0, Column = 0;
    int Operand = -1;
    uint64_t SharedBegin = 0, SharedBytes = 0;
  };
  struct Kernel {
    llvm::Function *Function;
    unsigned Parameters, Threads, Blocks = 0;
  };
  struct SharedArray {
    llvm::GlobalVariable *Global;
    uint64_t Offset, Bytes;
  };

  void placeSharedArrays();
  void replaceSharedArrays();
  llvm::Error rewriteKernel(llvm::Function &Old);
  llvm::Function *makeFunction(llvm::Function &Old);
  void countInstructions(llvm::Function &Function);
  llvm::Error rewriteInstruction(llvm::Instruction &At);
  llvm::Error rewriteCall(llvm::CallInst &Call);
  llvm::Error rewriteAddressCast(llvm::AddrSpaceCastInst &Cast);
  llvm::Error rewriteAccess(llvm::Instruction &At, unsigned PointerOperand,
                            llvm::Type *Type, uint32_t Kind,
                            llvm::Align Alignment);
  /// Whether the address can only be of the thread's stack or of a constant.
  bool isPrivate(llvm::Value *Pointer);
  uint32_t addSite(llvm::Instruction &At, llvm::Value *Pointer = nullptr);
  /// What a line of a tile program says; empty where it is not known.
  std::string sourceLine(const std::string &File, unsigned Line) const;
  void store(llvm::IRBuilder<> &Builder, unsigned &Slot, llvm::Value *Value);
  llvm::Value *load(llvm::IRBuilder<> &Builder, unsigned &Slot,
                    llvm::Type *Type);
  void addTables();

  llvm::Module &Module;
  std::vector<Site> Sites;
  std::map<std::string, std::vector<std::string>> SourceLines;
  std::vector<Kernel> Kernels;
  std::vector<SharedArray> SharedArrays;
  uint64_t StaticBytes = 0, DynamicAlign = 1;

  // Of the function on hand.
  std::string KernelName;
  llvm::Value *Self = nullptr, *InSlots = nullptr, *OutSlots = nullptr;
  llvm::DenseMap<llvm::Value *, int> Parameters;
};

/// The variant of sim_approx for "ex2" and its like; -1 for anything else.
int approximation(llvm::StringRef Function);

/// Replaces a call of llvm.nvvm.* and erases it.
llvm::Error rewriteIntrinsic(SimRewriter &Rewriter, llvm::CallInst &Call);

/// Replaces a call of inline PTX and erases it.
llvm::Error rewriteInlinePtx(SimRewriter &Rewriter, llvm::CallInst &Call);

} // namespace transxssm::sim

#endif // TRANSXSSM_CODEGEN_SIM_SIMREWRITER_H
