//===- Fusion.h - Elementwise operations inside other kernels -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A chain is a run of elementwise operations, each on the result of the one
// before, that starts at the result of a product or a norm: its *root*. The
// root's kernel applies the chain to a tile before it stores it, so that what
// lies between is never written, unless something else needs it.
//
//   down projection -> dropout -> residual        one kernel, one store
//   gate projection -> silu -> mul with up        one kernel; in training the
//                                                 gate and silu are stored too
//
// The kernel is launched where the chain ends, when all its operands are there.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_FUSION_H
#define TRANSXSSM_PASSES_TILING_FUSION_H

#include "passes/tiling/TileBuilder.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include <memory>
#include <string>

namespace transxssm {
namespace tiling {

class EntryBuilder;
struct LaunchArgument;

struct Chain {
  mlir::Operation *Root;
  /// In order; empty for a kernel that only stores its result.
  llvm::SmallVector<mlir::Operation *> Operations;

  /// The value after step I; 0 is the root's own result.
  mlir::Value value(size_t I) const;
  /// The head size if the chain rotates heads, else 1: column tiles must be
  /// multiples of it.
  int64_t columnMultiple() const;
};

/// Whether the kernel of the candidate's root can apply the chain.
bool appliesChain(const Chain &Candidate);

/// The chains of a function.
class FusionPlan {
public:
  /// `Roots` says whether a kernel can apply a chain; it sees the chain as it
  /// would become.
  FusionPlan(mlir::Block &Body,
             llvm::function_ref<bool(const Chain &Candidate)> Roots);

  /// The chain of a root; one without operations if there is none.
  Chain chain(mlir::Operation *Root) const;
  /// The root to lower at this operation: itself, the root whose chain it ends,
  /// or nothing where the operation is lowered elsewhere.
  mlir::Operation *rootAt(mlir::Operation *Op) const;
  /// The operation at which this one's kernel is launched: itself or the end of
  /// its chain.
  mlir::Operation *launchedAt(mlir::Operation *Op) const;

private:
  void grow(mlir::Operation *Root,
            llvm::function_ref<bool(const Chain &Candidate)> Roots);

  llvm::DenseMap<mlir::Operation *, Chain> Chains;
  llvm::DenseMap<mlir::Operation *, mlir::Operation *> RootOf;
};

/// A chain at work: gives the kernel's name a suffix, declares what memory the
/// chain needs after the kernel's own arguments, applies it to tiles, and
/// passes the buffers when the kernel is launched. Tiles are of the [tokens,
/// width] view of the root's result.
class Epilogue {
public:
  Epilogue(EntryBuilder &E, Chain C);

  /// "_rope16", "_silu_mul", ...
  const std::string &name() const { return Name; }
  /// Declares the memory arguments. Once for every kernel that is built.
  void declare(TileBuilder &B);
  /// Applies the chain and stores what is to be stored.
  void store(TileBuilder &B, Tile Result, Tile Row, Tile Column) const;
  /// The arguments that declare() asked for.
  void addArguments(llvm::SmallVectorImpl<LaunchArgument> &Arguments) const;

private:
  struct Memory {
    mlir::Value Value; // what it holds
    llvm::SmallVector<int64_t, 2> Shape;
    mlir::Type Element;
    bool Written;
    Tile Argument; // of the kernel being built
  };

  void need(mlir::Value V, llvm::ArrayRef<int64_t> Shape);
  void addStep(mlir::Operation *Op, mlir::Value Main);
  Tile memory(mlir::Value V) const;
  Tile apply(TileBuilder &B, mlir::Operation *Op, mlir::Value Main, Tile V,
             Tile Row, Tile Column) const;

  EntryBuilder &E;
  Chain Steps;
  int64_t Width;
  std::string Name;
  llvm::SmallVector<Memory> Memories;
};

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_FUSION_H
