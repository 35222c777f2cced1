//===- InterpreterForward.cpp - Structure and the forward pass ------------===//
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
// Structure
//===----------------------------------------------------------------------===//

void Call::visit(ReadOp Op) {
  auto Found = Owner.Parameters.find(Op.getParameter().str());
  if (Found == Owner.Parameters.end())
    return fail(Op, "no value for parameter '" + Op.getParameter().str() + "'");
  std::string What = "parameter '" + Op.getParameter().str() + "'";
  if (!is(Op, What.c_str(), Found->second, shapeOf(Op.getType())))
    return;
  Tensor Read = Found->second;
  if (gradientTypeOf(Op.getType()) != Op.getType())
    roundTo(Op.getType(), Read);
  bind(Op.getResult(), std::move(Read));
}

void Call::visit(BlockOp Op) {
  Block &Body = Op.getBody().front();
  evaluate(Body);
  if (Failure)
    return;
  for (auto [Result, Yielded] :
       llvm::zip(Op.getResults(), Body.getTerminator()->getOperands()))
    bind(Result, Tensor(get(Yielded)));
}

void Call::visit(RecomputeBarrierOp Op) {
  for (auto [Result, Operand] : llvm::zip(Op.getResults(), Op.getOperands()))
    bind(Result, Tensor(get(Operand)));
}

void Call::visit(ZerosOp Op) {
  bind(Op.getResult(), Tensor(get(Op.getLike()).shape()));
}

//===----------------------------------------------------------------------===//
// Dense and elementwise layers
//===----------------------------------------------------------------------===//

void Call::visit(EmbeddingOp Op) {
  const Tensor &Ids = get(Op.getIds()), &Weight = get(Op.getWeight());
  if (is(Op, "ids", Ids, {Any, Any}) && is(Op, "weight", Weight, {Any, Any}) &&
      idsBelow(Op, Ids, Weight.dim(0), false))
    bind(Op.getResult(), reference::embedding(Ids, Weight));
}

void Call::visit(RmsNormOp Op) {
  const Tensor &Input = get(Op.getInput()), &Weight = get(Op.getWeight());
  if (is(Op, "weight", Weight, {Input.shape().back()}))
    bind(Op.getResult(),
         reference::rmsNorm(Input, Weight, Op.getEps().convertToDouble()));
}

void Call::visit(LinearOp Op) {
  const Tensor &Input = get(Op.getInput()), &Weight = get(Op.getWeight());
  const Tensor *Bias = getOptional(Op.getBias());
  SmallVector<int64_t> Shape = resolve(Op.getResult(), Input);
  if (is(Op, "weight", Weight, {Any, Any}) &&
      (!Bias || is(Op, "bias", *Bias, {Weight.dim(0)})) &&
      sameRows(Op, Input.shape(), Shape, Weight.dim(1), Weight.dim(0)))
    bind(Op.getResult(), reference::linear(Input, Weight, Bias, Shape));
}

void Call::visit(ActivationOp Op) {
  bind(Op.getResult(), reference::activation(Op.getKind(), get(Op.getInput())));
}

void Call::visit(MulOp Op) {
  const Tensor &Lhs = get(Op.getLhs()), &Rhs = get(Op.getRhs());
  if (is(Op, "rhs", Rhs, Lhs.shape()))
    bind(Op.getResult(), reference::mul(Lhs, Rhs));
}

void Call::visit(AddOp Op) {
  const Tensor &Lhs = get(Op.getLhs()), &Rhs = get(Op.getRhs());
  if (is(Op, "rhs", Rhs, Lhs.shape()))
    bind(Op.getResult(), reference::add(Lhs, Rhs));
}

void Call::visit(ScaleOp Op) {
  const Tensor &Input = get(Op.getInput()), &Weight = get(Op.getWeight());
  if (is(Op, "weight", Weight, {Input.shape().back()}))
    bind(Op.getResult(), reference::scale(Input, Weight));
}

void Call::visit(ResidualOp Op) {
  const Tensor &Input = get(Op.getInput()), &Update = get(Op.getUpdate());
  const Tensor &Weight = get(Op.getWeight());
  if (is(Op, "update", Update, Input.shape()) &&
      is(Op, "weight", Weight, {Input.shape().back()}))
    bind(Op.getResult(), reference::residual(Input, Update, Weight));
}

void Call::visit(MaskOp Op) {
  const Tensor &Input = get(Op.getInput()), &Mask = get(Op.getMask());
  if (is(Op, "mask", Mask, Input.shape().take_front(2)))
    bind(Op.getResult(), reference::mask(Input, Mask));
}

void Call::visit(DropoutOp Op) {
  auto Mask = dropoutMask(Op, Op.getSeed(),
                          Op.getProbability().convertToDouble(), Op.getSite());
  if (Mask)
    bind(Op.getResult(), reference::dropout(get(Op.getInput()), *Mask));
}

void Call::visit(RopeOp Op) {
  const Tensor &Input = get(Op.getInput()), &Cos = get(Op.getCos());
  const Tensor &Sin = get(Op.getSin());
  if (is(Op, "input", Input, {Any, Any, Any, Any}) &&
      is(Op, "cos", Cos, {Input.dim(1), Input.dim(3) / 2}) &&
      is(Op, "sin", Sin, Cos.shape()))
    bind(Op.getResult(), reference::rope(Input, Cos, Sin, Op.getInverse()));
}

//===----------------------------------------------------------------------===//
// Mixers
//===----------------------------------------------------------------------===//

void Call::visit(SsmScanOp Op) {
  const Tensor &C = get(Op.getC()), &B = get(Op.getB()), &X = get(Op.getX());
  const Tensor &Dt = get(Op.getDt()), &A = get(Op.getA());
  const Tensor *Initial = getOptional(Op.getInitial());
  if (!scanOperands(Op, C, B, X, Dt, A) ||
      (Initial &&
       !is(Op, "initial", *Initial, {X.dim(0), X.dim(2), X.dim(3), B.dim(3)})))
    return;
  auto Scan = reference::ssmScan(C, B, X, Dt, A, Initial);
  bind(Op.getY(), std::move(Scan.Y));
  bind(Op.getFinal(), std::move(Scan.Final));
}

void Call::visit(AttentionOp Op) {
  const Tensor &Query = get(Op.getQuery()), &Key = get(Op.getKey());
  const Tensor &Val = get(Op.getValue());
  const Tensor *KeyMask = getOptional(Op.getKeyMask());
  int64_t Past = Op.getPast() ? int64_t(get(Op.getPast())[0]) : 0;
  auto Mask = dropoutMask(Op, Op.getSeed(), Op.getDropout().convertToDouble(),
                          Op.getSite());
  if (!Mask || !attentionOperands(Op, Query, Key, Val, KeyMask) ||
      !pastFits(Op, Past, Query.dim(1), Key.dim(1)))
    return;
  auto Mixed = reference::attention(Query, Key, Val, KeyMask, Past, *Mask);
  bind(Op.getResult(), std::move(Mixed.Result));
  bind(Op.getLogSumExp(), std::move(Mixed.LogSumExp));
}

void Call::visit(CacheAppendOp Op) {
  const Tensor &Cache = get(Op.getCache()), &Tokens = get(Op.getTokens());
  int64_t Past = int64_t(get(Op.getPast())[0]);
  SmallVector<int64_t> Expected(Cache.shape());
  if (Expected.size() < 2)
    return fail(Op, "expected a cache of rank 2 or more, got " +
                        print(Cache.shape()));
  Expected[1] = Any;
  if (is(Op, "tokens", Tokens, Expected) &&
      pastFits(Op, Past, Tokens.dim(1), Cache.dim(1)))
    bind(Op.getResult(), reference::cacheAppend(Cache, Tokens, Past));
}

//===----------------------------------------------------------------------===//
// Outputs and losses
//===----------------------------------------------------------------------===//

void Call::visit(LastTokenOp Op) {
  const Tensor &Input = get(Op.getInput());
  const Tensor *Mask = getOptional(Op.getMask());
  if (is(Op, "input", Input, {Any, Any, Any}) &&
      (!Mask || is(Op, "mask", *Mask, {Input.dim(0), Input.dim(1)})))
    bind(Op.getResult(), reference::lastToken(Input, Mask));
}

void Call::visit(SampleOp Op) {
  const Tensor &Logits = get(Op.getLogits()), &Draw = get(Op.getDraw());
  if (is(Op, "logits", Logits, {Any, Any}) &&
      is(Op, "settings", get(Op.getSettings()), {2}) &&
      is(Op, "draw", Draw, {5}))
    bind(Op.getTokens(),
         reference::sample(Logits, get(Op.getSettings()), Draw));
}

void Call::visit(LinearCrossEntropyOp Op) {
  const Tensor &Hidden = get(Op.getHidden()), &Weight = get(Op.getWeight());
  const Tensor &Labels = get(Op.getLabels());
  if (!is(Op, "labels", Labels, Hidden.shape().drop_back()) ||
      !is(Op, "weight", Weight, {Any, Hidden.shape().back()}) ||
      !idsBelow(Op, Labels, Weight.dim(0), true))
    return;
  auto Loss =
      reference::linearCrossEntropy(Hidden, Weight, Labels, Op.getShift());
  bind(Op.getLoss(), std::move(Loss.Loss));
  bind(Op.getLogSumExp(), std::move(Loss.LogSumExp));
}
