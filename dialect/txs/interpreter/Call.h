//===- Call.h - The values of one interpreted call ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Internal to the interpreter: InterpreterForward.cpp and
// InterpreterGradients.cpp define the visits.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_INTERPRETER_CALL_H
#define TRANSXSSM_DIALECT_TXS_INTERPRETER_CALL_H

#include "dialect/txs/TxsDialect.h"
#include "dialect/txs/interpreter/Interpreter.h"
#include "dialect/txs/interpreter/Reference.h"

#include <random>

namespace transxssm {
namespace txs {

/// Fits every extent.
constexpr int64_t Any = mlir::ShapedType::kDynamic;

std::string print(llvm::ArrayRef<int64_t> Shape);
bool fits(llvm::ArrayRef<int64_t> Actual, llvm::ArrayRef<int64_t> Expected);
/// The shape of a tensor type; that of a scalar for every other type.
llvm::ArrayRef<int64_t> shapeOf(mlir::Type Kind);
/// Rounds every value to a float type, to nearest even.
void roundTo(mlir::Type Kind, Tensor &Values);
/// The same, to one of the two neighbours: the nearer is the likelier.
void roundByChance(mlir::Type Kind, Tensor &Values, std::mt19937_64 &Chance);

/// The values of one call. Every `visit` checks the shapes of its operands,
/// evaluates one operation and binds its results; the first failure sticks.
class Call {
public:
  Call(Interpreter &Owner, RunResult &Made)
      : Owner(Owner), Made(Made), Chance(Owner.RoundingSeed.value_or(0)) {}

  void bind(mlir::Value Of, Tensor Content) { Values[Of] = std::move(Content); }
  const Tensor &get(mlir::Value Of) const { return Values.find(Of)->second; }
  const Tensor *getOptional(mlir::Value Of) const {
    return Of ? &get(Of) : nullptr;
  }

  void evaluate(mlir::Block &Body);
  std::optional<Error> Failure;

private:
  void evaluate(mlir::Operation &Op);
  void roundResults(mlir::Operation &Op);

  void fail(mlir::Operation *Op, const std::string &Why) {
    if (!Failure)
      Failure = makeError(Op->getName().getStringRef().str(), ": ", Why);
  }

  /// Whether an operand has a shape; `Any` fits everything.
  bool is(mlir::Operation *Op, const char *What, const Tensor &Operand,
          llvm::ArrayRef<int64_t> Expected) {
    if (fits(Operand.shape(), Expected))
      return true;
    fail(Op, std::string("expected ") + What + " of shape " + print(Expected) +
                 ", got " + print(Operand.shape()));
    return false;
  }

  /// The shape that a result's type and the extents of an operand's leading
  /// dimensions give.
  llvm::SmallVector<int64_t> resolve(mlir::Value Of, const Tensor &Like) {
    llvm::SmallVector<int64_t> Shape(shapeOf(Of.getType()));
    for (size_t I = 0; I < Shape.size(); ++I)
      if (Shape[I] == Any)
        Shape[I] = int64_t(I) < Like.rank() ? Like.dim(I) : 0;
    return Shape;
  }

  bool idsBelow(mlir::Operation *Op, const Tensor &Ids, int64_t Limit,
                bool AllowIgnored);
  bool sameRows(mlir::Operation *Op, llvm::ArrayRef<int64_t> Lhs,
                llvm::ArrayRef<int64_t> Rhs, int64_t LhsWidth,
                int64_t RhsWidth);
  bool scanOperands(mlir::Operation *Op, const Tensor &C, const Tensor &B,
                    const Tensor &X, const Tensor &Dt, const Tensor &A);
  bool attentionOperands(mlir::Operation *Op, const Tensor &Query,
                         const Tensor &Key, const Tensor &Val,
                         const Tensor *KeyMask);
  bool pastFits(mlir::Operation *Op, int64_t Past, int64_t Tokens,
                int64_t Capacity);
  std::optional<reference::DropoutMask> dropoutMask(mlir::Operation *Op,
                                                    mlir::Value Seed,
                                                    double Probability,
                                                    int64_t Site);
  Tensor *parameter(mlir::Operation *Op, llvm::StringRef Name,
                    const Tensor &Gradient);

  void visit(ReadOp Op);
  void visit(BlockOp Op);
  void visit(EmbeddingOp Op);
  void visit(RmsNormOp Op);
  void visit(LinearOp Op);
  void visit(ActivationOp Op);
  void visit(MulOp Op);
  void visit(AddOp Op);
  void visit(ScaleOp Op);
  void visit(ResidualOp Op);
  void visit(MaskOp Op);
  void visit(DropoutOp Op);
  void visit(RopeOp Op);
  void visit(SsmScanOp Op);
  void visit(AttentionOp Op);
  void visit(CacheAppendOp Op);
  void visit(LastTokenOp Op);
  void visit(SampleOp Op);
  void visit(LinearCrossEntropyOp Op);
  void visit(RecomputeBarrierOp Op);
  void visit(ZerosOp Op);
  void visit(EmbeddingGradOp Op);
  void visit(RmsNormGradOp Op);
  void visit(LinearGradInputOp Op);
  void visit(LinearGradWeightOp Op);
  void visit(SumTokensOp Op);
  void visit(ActivationGradOp Op);
  void visit(SsmScanGradOp Op);
  void visit(AttentionGradOp Op);
  void visit(LastTokenGradOp Op);
  void visit(LinearCrossEntropyGradOp Op);
  void visit(StoreGradientOp Op);
  void visit(GlobalNormOp Op);
  void visit(AdamWOp Op);

  Interpreter &Owner;
  RunResult &Made;
  std::mt19937_64 Chance;
  llvm::DenseMap<mlir::Value, Tensor> Values;
};

} // namespace txs
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TXS_INTERPRETER_CALL_H
