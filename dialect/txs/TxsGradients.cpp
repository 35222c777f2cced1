//===- TxsGradients.cpp - Gradients of the txs operations -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// One small function per operation: reverse mode, as DifferentiableOpInterface
// says. The formulas are those of the gradient operations in TxsOps.td. Ids,
// masks, rotary tables and seeds have no gradient: their slots stay null.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace transxssm::txs;

namespace {
using Gradients = MutableArrayRef<Value>;
} // namespace

/// The gradient of `Operand`, to be set.
static Value &of(Gradients OperandGradients, OpOperand &Operand) {
  return OperandGradients[Operand.getOperandNumber()];
}

/// The same for an optional operand that is there.
static Value &of(Gradients OperandGradients, MutableOperandRange Operand) {
  return of(OperandGradients, Operand[0]);
}

//===----------------------------------------------------------------------===//
// Tokens in and out
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::buildGradients(OpBuilder &Builder,
                                          ArrayRef<Value> ResultGradients,
                                          Gradients OperandGradients) {
  of(OperandGradients, getWeightMutable()) = EmbeddingGradOp::create(
      Builder, getLoc(), gradientTypeOf(getWeight().getType()),
      ResultGradients[0], getIds(), getPadTokenAttr());
  return success();
}

LogicalResult LastTokenOp::buildGradients(OpBuilder &Builder,
                                          ArrayRef<Value> ResultGradients,
                                          Gradients OperandGradients) {
  of(OperandGradients, getInputMutable()) =
      LastTokenGradOp::create(Builder, getLoc(), getInput().getType(),
                              ResultGradients[0], getInput(), getMask());
  return success();
}

LogicalResult
LinearCrossEntropyOp::buildGradients(OpBuilder &Builder,
                                     ArrayRef<Value> ResultGradients,
                                     Gradients OperandGradients) {
  if (ResultGradients[1])
    return emitOpError("has no gradient for its log_sum_exp");
  // The gradient operation has no operand for it; see its documentation.
  if (!matchPattern(ResultGradients[0], m_OneFloat()))
    return emitOpError("must be the loss itself to have a gradient, but the "
                       "loss is computed from it");
  auto Gradient = LinearCrossEntropyGradOp::create(
      Builder, getLoc(), getHidden().getType(),
      gradientTypeOf(getWeight().getType()), getHidden(), getWeight(),
      getLabels(), getLogSumExp(), getShiftAttr());
  of(OperandGradients, getHiddenMutable()) = Gradient.getDhidden();
  of(OperandGradients, getWeightMutable()) = Gradient.getDweight();
  return success();
}

//===----------------------------------------------------------------------===//
// Dense and elementwise layers
//===----------------------------------------------------------------------===//

LogicalResult RmsNormOp::buildGradients(OpBuilder &Builder,
                                        ArrayRef<Value> ResultGradients,
                                        Gradients OperandGradients) {
  auto Gradient = RmsNormGradOp::create(Builder, getLoc(), getInput().getType(),
                                        gradientTypeOf(getWeight().getType()),
                                        ResultGradients[0], getInput(),
                                        getWeight(), getEpsAttr());
  of(OperandGradients, getInputMutable()) = Gradient.getDinput();
  of(OperandGradients, getWeightMutable()) = Gradient.getDweight();
  return success();
}

LogicalResult LinearOp::buildGradients(OpBuilder &Builder,
                                       ArrayRef<Value> ResultGradients,
                                       Gradients OperandGradients) {
  Value DResult = ResultGradients[0];
  of(OperandGradients, getInputMutable()) = LinearGradInputOp::create(
      Builder, getLoc(), getInput().getType(), DResult, getWeight());
  of(OperandGradients, getWeightMutable()) = LinearGradWeightOp::create(
      Builder, getLoc(), gradientTypeOf(getWeight().getType()), DResult,
      getInput());
  if (getBias())
    of(OperandGradients, getBiasMutable()) = SumTokensOp::create(
        Builder, getLoc(), gradientTypeOf(getBias().getType()), DResult,
        Value());
  return success();
}

LogicalResult ActivationOp::buildGradients(OpBuilder &Builder,
                                           ArrayRef<Value> ResultGradients,
                                           Gradients OperandGradients) {
  of(OperandGradients, getInputMutable()) =
      ActivationGradOp::create(Builder, getLoc(), getInput().getType(),
                               getKindAttr(), ResultGradients[0], getInput());
  return success();
}

LogicalResult MulOp::buildGradients(OpBuilder &Builder,
                                    ArrayRef<Value> ResultGradients,
                                    Gradients OperandGradients) {
  of(OperandGradients, getLhsMutable()) =
      MulOp::create(Builder, getLoc(), ResultGradients[0], getRhs());
  of(OperandGradients, getRhsMutable()) =
      MulOp::create(Builder, getLoc(), ResultGradients[0], getLhs());
  return success();
}

LogicalResult AddOp::buildGradients(OpBuilder &Builder,
                                    ArrayRef<Value> ResultGradients,
                                    Gradients OperandGradients) {
  of(OperandGradients, getLhsMutable()) = ResultGradients[0];
  of(OperandGradients, getRhsMutable()) = ResultGradients[0];
  return success();
}

LogicalResult ScaleOp::buildGradients(OpBuilder &Builder,
                                      ArrayRef<Value> ResultGradients,
                                      Gradients OperandGradients) {
  of(OperandGradients, getInputMutable()) = ScaleOp::create(
      Builder, getLoc(), getInput().getType(), ResultGradients[0], getWeight());
  of(OperandGradients, getWeightMutable()) = SumTokensOp::create(
      Builder, getLoc(), gradientTypeOf(getWeight().getType()),
      ResultGradients[0], getInput());
  return success();
}

LogicalResult ResidualOp::buildGradients(OpBuilder &Builder,
                                         ArrayRef<Value> ResultGradients,
                                         Gradients OperandGradients) {
  of(OperandGradients, getInputMutable()) = ScaleOp::create(
      Builder, getLoc(), getInput().getType(), ResultGradients[0], getWeight());
  of(OperandGradients, getUpdateMutable()) = ResultGradients[0];
  of(OperandGradients, getWeightMutable()) = SumTokensOp::create(
      Builder, getLoc(), gradientTypeOf(getWeight().getType()),
      ResultGradients[0], getInput());
  return success();
}

LogicalResult MaskOp::buildGradients(OpBuilder &Builder,
                                     ArrayRef<Value> ResultGradients,
                                     Gradients OperandGradients) {
  of(OperandGradients, getInputMutable()) = MaskOp::create(
      Builder, getLoc(), getInput().getType(), ResultGradients[0], getMask());
  return success();
}

LogicalResult DropoutOp::buildGradients(OpBuilder &Builder,
                                        ArrayRef<Value> ResultGradients,
                                        Gradients OperandGradients) {
  // The same seed and site keep the same elements.
  of(OperandGradients, getInputMutable()) = DropoutOp::create(
      Builder, getLoc(), getInput().getType(), ResultGradients[0], getSeed(),
      getProbabilityAttr(), getSiteAttr());
  return success();
}

LogicalResult RopeOp::buildGradients(OpBuilder &Builder,
                                     ArrayRef<Value> ResultGradients,
                                     Gradients OperandGradients) {
  of(OperandGradients, getInputMutable()) = RopeOp::create(
      Builder, getLoc(), getInput().getType(), ResultGradients[0], getCos(),
      getSin(), getInverse() ? UnitAttr() : Builder.getUnitAttr());
  return success();
}

//===----------------------------------------------------------------------===//
// Mixers
//===----------------------------------------------------------------------===//

LogicalResult SsmScanOp::buildGradients(OpBuilder &Builder,
                                        ArrayRef<Value> ResultGradients,
                                        Gradients OperandGradients) {
  Value DY = ResultGradients[0];
  if (!DY)
    DY = ZerosOp::create(Builder, getLoc(), getY().getType(), getY());
  auto Gradient = SsmScanGradOp::create(
      Builder, getLoc(), getC().getType(), getB().getType(), getX().getType(),
      getDt().getType(), getA().getType(),
      getInitial() ? getInitial().getType() : Type(), DY, getC(), getB(),
      getX(), getDt(), getA(), getInitial(), /*dfinal=*/ResultGradients[1],
      getChunkAttr());
  of(OperandGradients, getCMutable()) = Gradient.getDc();
  of(OperandGradients, getBMutable()) = Gradient.getDb();
  of(OperandGradients, getXMutable()) = Gradient.getDx();
  of(OperandGradients, getDtMutable()) = Gradient.getDdt();
  of(OperandGradients, getAMutable()) = Gradient.getDa();
  if (getInitial())
    of(OperandGradients, getInitialMutable()) = Gradient.getDinitial();
  return success();
}

LogicalResult AttentionOp::buildGradients(OpBuilder &Builder,
                                          ArrayRef<Value> ResultGradients,
                                          Gradients OperandGradients) {
  if (getPast())
    return emitOpError("has no gradient with a past: caches are for inference");
  if (ResultGradients[1])
    return emitOpError("has no gradient for its log_sum_exp");
  auto Gradient = AttentionGradOp::create(
      Builder, getLoc(), getQuery().getType(), getKey().getType(),
      getValue().getType(), ResultGradients[0], getQuery(), getKey(),
      getValue(), getResult(), getLogSumExp(), getKeyMask(), getSeed(),
      getDropoutAttr(), getSiteAttr());
  of(OperandGradients, getQueryMutable()) = Gradient.getDquery();
  of(OperandGradients, getKeyMutable()) = Gradient.getDkey();
  of(OperandGradients, getValueMutable()) = Gradient.getDvalue();
  return success();
}

LogicalResult CacheAppendOp::buildGradients(OpBuilder &, ArrayRef<Value>,
                                            Gradients) {
  return emitOpError("has no gradient: caches are for inference");
}

//===----------------------------------------------------------------------===//
// Made by autodiff itself
//===----------------------------------------------------------------------===//

LogicalResult
RecomputeBarrierOp::buildGradients(OpBuilder &, ArrayRef<Value> ResultGradients,
                                   Gradients OperandGradients) {
  llvm::copy(ResultGradients, OperandGradients.begin());
  return success();
}

LogicalResult ZerosOp::buildGradients(OpBuilder &, ArrayRef<Value>, Gradients) {
  return success();
}
