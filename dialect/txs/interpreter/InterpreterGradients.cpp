//===- InterpreterGradients.cpp - Gradients and training ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Call.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

//===----------------------------------------------------------------------===//
// Gradients
//===----------------------------------------------------------------------===//

void Call::visit(EmbeddingGradOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Ids = get(Op.getIds());
  ArrayRef<int64_t> Weight = shapeOf(Op.getType());
  std::optional<int64_t> Pad;
  if (Op.getPadToken())
    Pad = int64_t(*Op.getPadToken());
  if (is(Op, "ids", Ids, {Any, Any}) &&
      is(Op, "dresult", Dresult, {Ids.dim(0), Ids.dim(1), Weight[1]}) &&
      idsBelow(Op, Ids, Weight[0], false))
    bind(Op.getResult(), reference::embeddingGrad(Dresult, Ids, Pad, Weight));
}

void Call::visit(RmsNormGradOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Input = get(Op.getInput());
  const Tensor &Weight = get(Op.getWeight());
  if (!is(Op, "dresult", Dresult, Input.shape()) ||
      !is(Op, "weight", Weight, {Input.shape().back()}))
    return;
  auto Gradients = reference::rmsNormGrad(Dresult, Input, Weight,
                                          Op.getEps().convertToDouble());
  bind(Op.getDinput(), std::move(Gradients.Dinput));
  bind(Op.getDweight(), std::move(Gradients.Dweight));
}

void Call::visit(LinearGradInputOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Weight = get(Op.getWeight());
  SmallVector<int64_t> Shape = resolve(Op.getDinput(), Dresult);
  if (is(Op, "weight", Weight, {Any, Any}) &&
      sameRows(Op, Dresult.shape(), Shape, Weight.dim(0), Weight.dim(1)))
    bind(Op.getDinput(), reference::linearGradInput(Dresult, Weight, Shape));
}

void Call::visit(LinearGradWeightOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Input = get(Op.getInput());
  ArrayRef<int64_t> Weight = shapeOf(Op.getType());
  if (sameRows(Op, Dresult.shape(), Input.shape(), Weight[0], Weight[1]))
    bind(Op.getDweight(), reference::linearGradWeight(Dresult, Input, Weight));
}

void Call::visit(SumTokensOp Op) {
  const Tensor &Lhs = get(Op.getLhs());
  const Tensor *Rhs = getOptional(Op.getRhs());
  int64_t Width = shapeOf(Op.getType())[0];
  if ((!Rhs || is(Op, "rhs", *Rhs, Lhs.shape())) &&
      sameRows(Op, Lhs.shape(), Lhs.shape(), Width, Width))
    bind(Op.getResult(), reference::sumTokens(Lhs, Rhs, Width));
}

void Call::visit(ActivationGradOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Input = get(Op.getInput());
  if (is(Op, "dresult", Dresult, Input.shape()))
    bind(Op.getDinput(),
         reference::activationGrad(Op.getKind(), Dresult, Input));
}

void Call::visit(SsmScanGradOp Op) {
  const Tensor &Dy = get(Op.getDy()), &C = get(Op.getC()), &B = get(Op.getB());
  const Tensor &X = get(Op.getX()), &Dt = get(Op.getDt()), &A = get(Op.getA());
  const Tensor *Initial = getOptional(Op.getInitial());
  const Tensor *Dfinal = getOptional(Op.getDfinal());
  if (!scanOperands(Op, C, B, X, Dt, A) || !is(Op, "dy", Dy, X.shape()))
    return;
  int64_t State[] = {X.dim(0), X.dim(2), X.dim(3), B.dim(3)};
  if ((Initial && !is(Op, "initial", *Initial, State)) ||
      (Dfinal && !is(Op, "dfinal", *Dfinal, State)))
    return;
  auto Made = reference::ssmScanGrad(Dy, C, B, X, Dt, A, Initial, Dfinal);
  bind(Op.getDc(), std::move(Made.Dc));
  bind(Op.getDb(), std::move(Made.Db));
  bind(Op.getDx(), std::move(Made.Dx));
  bind(Op.getDdt(), std::move(Made.Ddt));
  bind(Op.getDa(), std::move(Made.Da));
  if (Op.getDinitial())
    bind(Op.getDinitial(), std::move(Made.Dinitial));
}

void Call::visit(AttentionGradOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Query = get(Op.getQuery());
  const Tensor &Key = get(Op.getKey()), &Val = get(Op.getValue());
  const Tensor &Result = get(Op.getResult()), &Lse = get(Op.getLogSumExp());
  const Tensor *KeyMask = getOptional(Op.getKeyMask());
  auto Mask = dropoutMask(Op, Op.getSeed(), Op.getDropout().convertToDouble(),
                          Op.getSite());
  if (!Mask || !attentionOperands(Op, Query, Key, Val, KeyMask) ||
      !is(Op, "key", Key, {Any, Query.dim(1), Any, Any}) ||
      !is(Op, "dresult", Dresult, Query.shape()) ||
      !is(Op, "result", Result, Query.shape()) ||
      !is(Op, "log_sum_exp", Lse, Query.shape().drop_back()))
    return;
  auto Made = reference::attentionGrad(Dresult, Query, Key, Val, Result, Lse,
                                       KeyMask, *Mask);
  bind(Op.getDquery(), std::move(Made.Dquery));
  bind(Op.getDkey(), std::move(Made.Dkey));
  bind(Op.getDvalue(), std::move(Made.Dvalue));
}

void Call::visit(LastTokenGradOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Like = get(Op.getLike());
  const Tensor *Mask = getOptional(Op.getMask());
  if (is(Op, "like", Like, {Any, Any, Any}) &&
      is(Op, "dresult", Dresult, {Like.dim(0), Like.dim(2)}) &&
      (!Mask || is(Op, "mask", *Mask, {Like.dim(0), Like.dim(1)})))
    bind(Op.getDinput(), reference::lastTokenGrad(Dresult, Mask, Like.shape()));
}

void Call::visit(LinearCrossEntropyGradOp Op) {
  const Tensor &Hidden = get(Op.getHidden()), &Weight = get(Op.getWeight());
  const Tensor &Labels = get(Op.getLabels()), &Lse = get(Op.getLogSumExp());
  if (!is(Op, "labels", Labels, Hidden.shape().drop_back()) ||
      !is(Op, "weight", Weight, {Any, Hidden.shape().back()}) ||
      !is(Op, "log_sum_exp", Lse, Labels.shape()) ||
      !idsBelow(Op, Labels, Weight.dim(0), true))
    return;
  auto Made = reference::linearCrossEntropyGrad(Hidden, Weight, Labels, Lse,
                                                Op.getShift());
  bind(Op.getDhidden(), std::move(Made.Dhidden));
  bind(Op.getDweight(), std::move(Made.Dweight));
}

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

void Call::visit(StoreGradientOp Op) {
  const Tensor &Gradient = get(Op.getGradient());
  if (parameter(Op, Op.getParameter(), Gradient))
    Made.Gradients[Op.getParameter().str()] = Gradient;
}

void Call::visit(GlobalNormOp Op) {
  SmallVector<const Tensor *> Gradients;
  for (Value Of : Op.getGradients())
    Gradients.push_back(&get(Of));
  bind(Op.getResult(), Tensor::scalar(reference::globalNorm(Gradients)));
}

void Call::visit(AdamWOp Op) {
  const Tensor &Gradient = get(Op.getGradient()), &Norm = get(Op.getNorm());
  const Tensor &Given = get(Op.getHyperparameters());
  std::string Name = Op.getParameter().str();
  Tensor *Parameter = parameter(Op, Name, Gradient);
  if (!Parameter || !is(Op, "norm", Norm, {}) ||
      !is(Op, "hyperparameters", Given, {8}))
    return;
  auto Declared = SymbolTable::lookupNearestSymbolFrom<ParameterOp>(
      Op, Op.getParameterAttr());
  if (!Declared)
    return fail(Op, "unknown parameter '" + Name + "'");
  Tensor Zeros(Parameter->shape());
  Tensor &First = Owner.FirstMoments.try_emplace(Name, Zeros).first->second;
  Tensor &Second = Owner.SecondMoments.try_emplace(Name, Zeros).first->second;
  if (is(Op, "first moment", First, Zeros.shape()) &&
      is(Op, "second moment", Second, Zeros.shape()))
    reference::adamw(*Parameter, First, Second, Gradient, Norm[0], Given,
                     !Declared.getNoDecay());
}
