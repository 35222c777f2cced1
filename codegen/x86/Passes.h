//===- Passes.h - Passes from tiles to x86 --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_X86_PASSES_H
#define TRANSXSSM_CODEGEN_X86_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace transxssm::x86 {

/// How products of bf16 are multiplied.
enum class PairProducts {
  None,        ///< Operands are extended, products are those of float32.
  Emulated,    ///< Two k at a time, by two FMAs: for tests on any processor.
  Instructions ///< Two k at a time, by VDPBF16PS (AVX512-BF16).
};

struct LoopOptions {
  int64_t VectorBits = 256;
  PairProducts Pairs = PairProducts::None;
};

/// `tile-to-loops`: tile.kernel to func.func over scf loops, vectors of
/// `VectorBits` and one memref.alloc per buffer.
std::unique_ptr<mlir::Pass>
createTileToLoopsPass(const LoopOptions &Options = {});

/// `assign-scratch`: every memref.alloc becomes a part of the scratch argument;
/// buffers that are never live together share memory.
std::unique_ptr<mlir::Pass> createAssignScratchPass();

/// `expand-math`: transcendental functions and bf16 arithmetic as inline
/// operations that need no library. A processor that rounds float32 to bf16
/// with an instruction of its own is left to do so.
std::unique_ptr<mlir::Pass> createExpandMathPass(bool RoundsToBf16 = false);

/// `kernel-abi`: the signature of TransXSSMCpuKernel.
std::unique_ptr<mlir::Pass> createKernelAbiPass();

/// `kernels-to-llvm`: scf, arith, math, vector, memref, func, cf and ub to the
/// LLVM dialect.
std::unique_ptr<mlir::Pass> createKernelsToLlvmPass();

/// Makes all of them known to command-line tools.
void registerX86Passes();

/// On a function: it rounds to bf16 by integer operations everywhere.
constexpr char IntegerRoundingAttr[] = "tile.integer_rounding";
/// On a function: how many of its arguments are grid coordinates.
constexpr char GridRankAttr[] = "tile.grid_rank";
/// On a function: the bytes of scratch memory that it needs.
constexpr char ScratchBytesAttr[] = "tile.scratch_bytes";

/// Whether a function's last argument is scratch memory, as tile-to-loops adds
/// it.
inline bool hasScratchArgument(mlir::func::FuncOp Function) {
  mlir::Type Scratch =
      mlir::MemRefType::get({mlir::ShapedType::kDynamic},
                            mlir::IntegerType::get(Function.getContext(), 8));
  return !Function.getArgumentTypes().empty() &&
         Function.getArgumentTypes().back() == Scratch;
}

} // namespace transxssm::x86

#endif // TRANSXSSM_CODEGEN_X86_PASSES_H
