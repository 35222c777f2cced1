//===- Fusion.h - Which operations share a kernel -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A group is what one kernel computes: its *roots*, products or a norm, and
// *steps*, elementwise operations on the roots' results and on each other's.
// The kernel applies the steps to a tile before it stores it, so that what lies
// between is never written, unless something else needs it.
//
//   down projection -> dropout -> residual        one root, two steps
//   gate projection -> silu -> mul <- up projection
//                                                 two roots, two steps; in
//                                                 training all but the product
//                                                 is stored on the way
//   dm = dh W^T -> mul with silu, -> mul with up -> silu_grad
//                                                 one root, three steps, two
//                                                 results
//   gradient of the scan -> inverse rope of dc, -> of db
//                                                 one root, two steps
//
// SharedInput.h says which roots come together. A group is launched as soon as
// its first root is reached and its operands are there, which may be after the
// place of a root and before that of a step; everything else that uses its
// values must come after that.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_FUSION_H
#define TRANSXSSM_PASSES_TILING_FUSION_H

#include "dialect/txs/TxsDialect.h"
#include "mlir/IR/Block.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include <functional>
#include <list>
#include <optional>
#include <vector>

namespace transxssm {
namespace tiling {

struct FusedGroup {
  /// In the order of the block.
  llvm::SmallVector<mlir::Operation *> Roots, Steps;

  FusedGroup() = default;
  explicit FusedGroup(mlir::Operation *Root) : Roots({Root}) {}

  bool contains(mlir::Operation *Op) const;
  /// The roots' results that steps may map, then those of the steps.
  llvm::SmallVector<mlir::Value> values() const;
  /// The head size if a step rotates heads, else 1: column tiles must be
  /// multiples of it.
  int64_t columnMultiple() const;
  /// The roots that steps join, directly or through each other, with those
  /// steps. A cell computes all roots of a part for the same columns.
  std::vector<FusedGroup> parts() const;
  /// This group with everything of another one.
  FusedGroup with(const FusedGroup &Other) const;
};

/// Input gradients whose sum is all that anything uses.
struct GradientSum {
  llvm::SmallVector<mlir::Operation *> Terms; // in the order of the additions
  mlir::Value Result;
  llvm::SmallVector<mlir::Operation *> Steps; // of the group, after the sum

  /// Nothing where the group is not the sum of its roots.
  static std::optional<GradientSum> of(const FusedGroup &Group);
};

/// The rotation that a group's kernel applies to this result of its root, or
/// null; its result is what the kernel makes in its place.
txs::RopeOp rotationOf(const FusedGroup &Group, mlir::Value Result);

/// Whether there is a kernel for all of a group.
bool hasKernel(const FusedGroup &Group);

/// The groups of a function and the order in which to launch them.
class FusionPlan {
public:
  /// Whether there is a kernel that computes a group.
  using HasKernel = std::function<bool(const FusedGroup &)>;

  /// Every operation by itself, then what `HasKernel` allows to come together.
  FusionPlan(mlir::Block &Body, HasKernel Exists);

  /// The group of a root; the operation alone if there is none.
  FusedGroup group(mlir::Operation *Root) const;
  /// The operations to lower, in order: the first root stands for its group.
  llvm::SmallVector<mlir::Operation *> schedule() const;
  /// Whether A's kernel is launched before B's.
  bool isLaunchedBefore(mlir::Operation *A, mlir::Operation *B) const;

  /// The groups' first roots, in the order of the block.
  llvm::SmallVector<mlir::Operation *> leaders() const;
  /// Makes one group of two, given by roots, with what more steps fit then;
  /// false where that has no kernel or no place in the order.
  bool merge(mlir::Operation *A, mlir::Operation *B);

private:
  /// Position in the block, and among what is launched there.
  using Time = std::pair<int64_t, int64_t>;
  struct Entry {
    FusedGroup Group;
    Time Launch;
  };

  Time timeOf(mlir::Operation *Op) const;
  Time launchTime(const FusedGroup &Group) const;
  bool fits(const FusedGroup &Group) const;
  bool grow(FusedGroup &Group) const;
  void record(const FusedGroup &Group);

  mlir::Block &Body;
  HasKernel Exists;
  llvm::DenseMap<mlir::Operation *, int64_t> Positions;
  std::list<Entry> Groups; // stable addresses
  llvm::DenseMap<mlir::Operation *, Entry *> EntryOf;
};

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_FUSION_H
