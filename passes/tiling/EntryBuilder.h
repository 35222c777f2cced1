//===- EntryBuilder.h - Building a plan entry from a txs function ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The context in which txs operations are lowered one by one. It knows in which
// buffer every value lives and which expressions its extents are, collects
// launches, and at the end computes live ranges and emits the `plan.entry`.
//
// A lowering is a function per operation:
//
//   static LogicalResult lowerScale(txs::ScaleOp Op, EntryBuilder &E) {
//     int64_t Width = E.columns(Op.getInput());
//     AffineExpr Rows = E.rows(Op.getInput());
//     E.launch(buildScale(E.module(), Width), {Rows.ceilDiv(16)},
//              {{E.read(Op.getInput()), {Rows}},
//               {E.read(Op.getWeight())},
//               {E.write(Op.getResult()), {Rows}}});
//     return success();
//   }
//
// registered with LoweringTable::add. Values of rank 0 live in buffers of one
// element.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_ENTRYBUILDER_H
#define TRANSXSSM_PASSES_TILING_ENTRYBUILDER_H

#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/txs/TxsDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/tiling/Fusion.h"
#include "llvm/ADT/StringMap.h"
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace transxssm {
namespace tiling {

/// A buffer of the entry under construction.
struct Buffer {
  plan::BufferKind Kind;
  std::string Name;
  llvm::SmallVector<mlir::AffineExpr> Shape;
  mlir::Type Element;
  int64_t FirstUse = -1, LastUse = -1; // launches; -1: not used
};

/// What a launch passes for one kernel argument: a buffer with the dynamic
/// extents of the kernel's view of it, or the value of an index argument.
struct LaunchArgument {
  LaunchArgument(Buffer *Memory, llvm::ArrayRef<mlir::AffineExpr> Sizes = {})
      : Memory(Memory), Sizes(Sizes) {}
  LaunchArgument(mlir::AffineExpr Index) : Sizes({Index}) {}

  Buffer *Memory = nullptr;
  llvm::SmallVector<mlir::AffineExpr, 4> Sizes;
};

class EntryBuilder {
public:
  /// `Fusion` may be null: every operation is lowered by itself. With `Joins`
  /// a lowering may do the work of other operations as well.
  EntryBuilder(mlir::ModuleOp Module, mlir::func::FuncOp Function,
               const FusionPlan *Fusion = nullptr, bool Joins = false);

  mlir::ModuleOp module() { return Module; }
  mlir::func::FuncOp function() { return Function; }
  bool joins() const { return Joins; }
  /// What a root's kernel computes.
  FusedGroup group(mlir::Operation *Root) {
    return Fusion ? Fusion->group(Root) : FusedGroup(Root);
  }

  //===--------------------------------------------------------------------===//
  // Sizes
  //===--------------------------------------------------------------------===//

  mlir::AffineExpr batch() { return symbol(plan::Symbol::Batch); }
  mlir::AffineExpr seq() { return symbol(plan::Symbol::Seq); }
  mlir::AffineExpr past() { return symbol(plan::Symbol::Past); }
  mlir::AffineExpr capacity() { return symbol(plan::Symbol::Capacity); }
  mlir::AffineExpr constant(int64_t Number);

  /// The extents of a value.
  llvm::SmallVector<mlir::AffineExpr> shape(mlir::Value V);
  /// The type of its elements.
  mlir::Type element(mlir::Value V) {
    return mlir::getElementTypeOrSelf(V.getType());
  }
  /// The product of the dynamic (leading) extents: B T for activations.
  mlir::AffineExpr tokens(mlir::Value V);
  /// The product of the static extents behind them.
  int64_t width(mlir::Value V);
  /// The last extent, and the product of the others (1 for rank 0 and 1).
  int64_t columns(mlir::Value V);
  mlir::AffineExpr rows(mlir::Value V);
  /// An `index` argument of the function.
  mlir::AffineExpr index(mlir::Value V);

  //===--------------------------------------------------------------------===//
  // Buffers
  //===--------------------------------------------------------------------===//

  /// Where a value is. It is a parameter, an argument or already written.
  Buffer *read(mlir::Value V);
  /// Where a result is to be written: the output, state or gradient that it
  /// becomes, otherwise a temporary.
  Buffer *write(mlir::Value V);
  /// Where a result is to be written that an operation makes by changing its
  /// operand: the operand's own buffer where nothing else needs the old value,
  /// otherwise a copy of it.
  Buffer *writeInPlace(mlir::Value V, mlir::Value Operand, mlir::Operation *Op);
  /// Makes a result another name of an operand.
  void alias(mlir::Value V, mlir::Value Operand);
  /// Whether a result has been given its place, by `write` or its like.
  bool isWritten(mlir::Value V) const { return Homes.count(V); }
  /// Of a table that embeds tokens and is a weight as well, the gradient as a
  /// weight, where that of the embedding is added to it in place: then the
  /// lowering of the latter writes the sum of both. Null otherwise.
  mlir::Value addedInPlace(txs::EmbeddingGradOp Op);
  /// Whether anything needs this result.
  bool isUsed(mlir::Value V) { return V && !V.use_empty(); }

  /// Memory for one or more launches of this entry.
  Buffer *temporary(llvm::StringRef Name,
                    llvm::ArrayRef<mlir::AffineExpr> Shape,
                    mlir::Type Element = {});
  /// A parameter, its gradient, one of its moments or its master, by checkpoint
  /// name.
  Buffer *parameter(plan::BufferKind Kind, llvm::StringRef Name);
  /// The declaration of a parameter.
  txs::ParameterOp parameterOp(llvm::StringRef Name);

  //===--------------------------------------------------------------------===//
  // Launches
  //===--------------------------------------------------------------------===//

  /// Appends a launch; `When` holds expressions that must all be >= 0.
  void launch(tile::KernelOp Kernel, llvm::ArrayRef<mlir::AffineExpr> Grid,
              llvm::ArrayRef<LaunchArgument> Arguments,
              llvm::ArrayRef<mlir::AffineExpr> When = {});
  /// Appends a copy of one buffer of `Like`'s shape into another.
  void copy(Buffer *From, Buffer *To, mlir::Value Like);

  /// Says which operation the next launches are of, for their names.
  void setOperation(mlir::Operation *Op) { Current = Op ? Op : Current; }

  /// Copies results that could not be written in place and emits the entry.
  void finish(mlir::OpBuilder &Builder);

private:
  struct Launch {
    tile::KernelOp Kernel;
    llvm::SmallVector<mlir::AffineExpr> Grid, Sizes, When;
    llvm::SmallVector<Buffer *> Operands;
    llvm::SmallVector<std::string> Holds; // empty where nothing has a name
  };

  mlir::AffineExpr symbol(plan::Symbol S);
  Buffer *named(plan::BufferKind Kind, llvm::StringRef Name,
                llvm::ArrayRef<mlir::AffineExpr> Shape, mlir::Type Element);
  Buffer *argumentBuffer(mlir::BlockArgument Argument);
  Buffer *boundBuffer(mlir::Value V);
  void bindResults();
  void saveOldStates();
  void copyResults(plan::BufferKind Kind, llvm::StringRef Attribute);
  bool replacesState(mlir::Value V, llvm::StringRef Name);
  bool isLastUse(mlir::Value V, mlir::Operation *Op);
  void noteHeldValues(Launch &L);
  std::string heldValue(const Buffer *Written);
  /// Whether the kernel of A is launched before that of B.
  bool isLaunchedBefore(mlir::Operation *A, mlir::Operation *B);
  void setLiveRanges();

  mlir::ModuleOp Module;
  mlir::func::FuncOp Function;
  mlir::MLIRContext *Context;
  const FusionPlan *Fusion;
  bool Joins;
  std::deque<Buffer> Buffers; // stable addresses
  std::vector<Launch> Launches;
  llvm::DenseMap<mlir::Value, Buffer *> Homes;
  llvm::DenseMap<const Buffer *, std::string> Holding; // of named values
  mlir::Operation *Current = nullptr;
  llvm::DenseMap<mlir::Value, std::pair<plan::BufferKind, std::string>>
      Bindings;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::AffineExpr>> Shapes;
};

/// The lowering of every txs operation, by name.
class LoweringTable {
public:
  template <typename Op>
  void add(mlir::LogicalResult (*Lower)(Op, EntryBuilder &)) {
    Table[Op::getOperationName()] = [Lower](mlir::Operation *Operation,
                                            EntryBuilder &E) {
      return Lower(llvm::cast<Op>(Operation), E);
    };
  }
  mlir::LogicalResult lower(mlir::Operation *Op, EntryBuilder &E) const;

private:
  llvm::StringMap<
      std::function<mlir::LogicalResult(mlir::Operation *, EntryBuilder &)>>
      Table;
};

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_ENTRYBUILDER_H
