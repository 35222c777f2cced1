//===- TxsMixerVerifiers.cpp - Constraints of scan and attention ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsConstraints.h"

using namespace mlir;
using namespace transxssm::txs;

//===----------------------------------------------------------------------===//
// The state-space scan
//===----------------------------------------------------------------------===//

static LogicalResult expectChunk(Operation *Op, int64_t Chunk,
                                 StringRef Label) {
  if (Chunk >= 1)
    return success();
  return Op->emitOpError("expects chunk to be at least 1, but it is ")
         << Chunk << " (" << Label << ")";
}

/// The operands of the scan; `Label` is that of the operands' constraint.
static LogicalResult verifyScanOperands(Operation *Op, Value C, Value B,
                                        Value X, Value Dt, Value A,
                                        StringRef Label) {
  if (failed(expectForm(Op, "c", C, "[B, T, H, N]", 2, Label)) ||
      failed(expectForm(Op, "x", X, "[B, T, H, P]", 2, Label)))
    return failure();
  Dimensions Shape = shapeOf(C);
  int64_t HeadSize = shapeOf(X)[3];
  if (failed(expectShape(Op, "b", B, Shape, Label)) ||
      failed(expectShape(Op, "x", X, {Shape[0], Shape[1], Shape[2], HeadSize},
                         Label)) ||
      failed(expectShape(Op, "dt", Dt, Shape.take_front(3), Label)))
    return failure();
  return expectShape(Op, "a", A, {Shape[2]}, Label);
}

/// A state of the scan, [B, H, P, N].
static LogicalResult expectState(Operation *Op, StringRef Name, Value State,
                                 Value C, Value X, StringRef Label) {
  Dimensions Shape = shapeOf(C);
  return expectShape(Op, Name, State,
                     {Shape[0], Shape[2], shapeOf(X)[3], Shape[3]}, Label);
}

/// c, b and x have one element type, dt, a and states that of their sums.
static LogicalResult verifyScanTypes(Operation *Op, Value C, Value B, Value X,
                                     ArrayRef<std::pair<StringRef, Value>> Wide,
                                     StringRef Label) {
  if (failed(expectElement(Op, "b", B, C.getType(), Label)) ||
      failed(expectElement(Op, "x", X, C.getType(), Label)))
    return failure();
  for (auto [Name, Tensor] : Wide)
    if (Tensor && failed(expectElement(Op, Name, Tensor,
                                       gradientTypeOf(C.getType()), Label)))
      return failure();
  return success();
}

LogicalResult SsmScanOp::verify() {
  if (failed(verifyScanOperands(*this, getC(), getB(), getX(), getDt(), getA(),
                                "ssm_scan_c1")) ||
      failed(expectShape(*this, "y", getY(), shapeOf(getX()), "ssm_scan_c1")))
    return failure();
  if (getInitial() && failed(expectState(*this, "initial", getInitial(), getC(),
                                         getX(), "ssm_scan_c2")))
    return failure();
  if (failed(expectState(*this, "final", getFinal(), getC(), getX(),
                         "ssm_scan_c2")))
    return failure();
  if (failed(expectChunk(*this, getChunk(), "ssm_scan_c3")) ||
      failed(
          expectElement(*this, "y", getY(), getC().getType(), "ssm_scan_c4")))
    return failure();
  return verifyScanTypes(*this, getC(), getB(), getX(),
                         {{"dt", getDt()},
                          {"a", getA()},
                          {"initial", getInitial()},
                          {"final", getFinal()}},
                         "ssm_scan_c4");
}

LogicalResult SsmScanGradOp::verify() {
  StringRef Label = "ssm_scan_grad_c1";
  if (failed(verifyScanOperands(*this, getC(), getB(), getX(), getDt(), getA(),
                                Label)) ||
      failed(expectShape(*this, "dy", getDy(), shapeOf(getX()), Label)) ||
      failed(expectChunk(*this, getChunk(), Label)))
    return failure();
  if (getInitial() && failed(expectState(*this, "initial", getInitial(), getC(),
                                         getX(), Label)))
    return failure();
  if (getDfinal() &&
      failed(expectState(*this, "dfinal", getDfinal(), getC(), getX(), Label)))
    return failure();
  if (bool(getInitial()) != bool(getDinitial()))
    return emitOpError("expects dinitial exactly when there is initial, but "
                       "there is ")
           << (getInitial() ? "only initial" : "only dinitial")
           << " (ssm_scan_grad_c2)";
  std::pair<Value, Value> Pairs[] = {
      {getC(), getDc()},   {getB(), getDb()}, {getX(), getDx()},
      {getDt(), getDdt()}, {getA(), getDa()}, {getInitial(), getDinitial()}};
  for (auto [Operand, Gradient] : Pairs)
    if (Operand && Operand.getType() != Gradient.getType())
      return emitOpError("expects a gradient of its operand's type ")
             << Operand.getType() << ", but it is " << Gradient.getType()
             << " (" << Label << ")";
  if (failed(expectElement(*this, "dy", getDy(), getC().getType(), Label)))
    return failure();
  return verifyScanTypes(*this, getC(), getB(), getX(),
                         {{"dt", getDt()},
                          {"a", getA()},
                          {"initial", getInitial()},
                          {"dfinal", getDfinal()}},
                         Label);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Query [B, T, H, P] with key and value [B, S, G, P], H a multiple of G.
static LogicalResult verifyHeads(Operation *Op, Value Query, Value Key,
                                 Value KeyValue, StringRef Label) {
  if (failed(expectForm(Op, "query", Query, "[B, T, H, P]", 2, Label)) ||
      failed(expectForm(Op, "key", Key, "[B, S, G, P]", 2, Label)))
    return failure();
  Dimensions Q = shapeOf(Query), K = shapeOf(Key);
  if (failed(expectShape(Op, "key", Key, {Q[0], K[1], K[2], Q[3]}, Label)) ||
      failed(expectShape(Op, "value", KeyValue, K, Label)))
    return failure();
  if (Q[2] % K[2] == 0)
    return success();
  return Op->emitOpError("expects query heads to be a multiple of key heads, "
                         "but there are ")
         << Q[2] << " and " << K[2] << " (" << Label << ")";
}

static LogicalResult verifyAttentionDropout(Operation *Op,
                                            const APFloat &Dropout, Value Seed,
                                            uint64_t Site, StringRef Label) {
  if (failed(expectProbability(Op, Dropout, "dropout", Label)) ||
      failed(expectSite(Op, Site, Label)))
    return failure();
  if (!Dropout.isZero() && !Seed)
    return Op->emitOpError("expects a seed for dropout ")
           << Dropout.convertToDouble() << ", but there is none (" << Label
           << ")";
  return Seed ? expectShape(Op, "seed", Seed, {2}, Label) : success();
}

/// Query, key, value and result have one element type, log_sum_exp that of
/// their sums.
static LogicalResult verifyAttentionTypes(Operation *Op, Value Query, Value Key,
                                          Value KeyValue, Value Result,
                                          Value LogSumExp, StringRef Label) {
  if (failed(expectElement(Op, "key", Key, Query.getType(), Label)) ||
      failed(expectElement(Op, "value", KeyValue, Query.getType(), Label)) ||
      failed(expectElement(Op, "result", Result, Query.getType(), Label)))
    return failure();
  return expectElement(Op, "log_sum_exp", LogSumExp,
                       gradientTypeOf(Query.getType()), Label);
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyHeads(*this, getQuery(), getKey(), getValue(),
                         "attention_c1")) ||
      failed(expectShape(*this, "result", getResult(), shapeOf(getQuery()),
                         "attention_c1")))
    return failure();
  if (getKeyMask() &&
      failed(expectShape(*this, "key_mask", getKeyMask(),
                         shapeOf(getKey()).take_front(2), "attention_c2")))
    return failure();
  if (failed(expectShape(*this, "log_sum_exp", getLogSumExp(),
                         shapeOf(getQuery()).take_front(3), "attention_c3")))
    return failure();
  if (failed(verifyAttentionDropout(*this, getDropout(), getSeed(), getSite(),
                                    "attention_c4")))
    return failure();
  return verifyAttentionTypes(*this, getQuery(), getKey(), getValue(),
                              getResult(), getLogSumExp(), "attention_c5");
}

LogicalResult AttentionGradOp::verify() {
  StringRef Label = "attention_grad_c1";
  if (failed(verifyHeads(*this, getQuery(), getKey(), getValue(), Label)))
    return failure();
  Dimensions Q = shapeOf(getQuery());
  if (failed(expectShape(*this, "result", getResult(), Q, Label)) ||
      failed(expectShape(*this, "dresult", getDresult(), Q, Label)) ||
      failed(expectShape(*this, "log_sum_exp", getLogSumExp(), Q.take_front(3),
                         Label)))
    return failure();
  if (getKeyMask() && failed(expectShape(*this, "key_mask", getKeyMask(),
                                         Q.take_front(2), Label)))
    return failure();
  std::pair<Value, Value> Pairs[] = {{getQuery(), getDquery()},
                                     {getKey(), getDkey()},
                                     {getValue(), getDvalue()}};
  for (auto [Operand, Gradient] : Pairs)
    if (Operand.getType() != Gradient.getType())
      return emitOpError("expects a gradient of its operand's type ")
             << Operand.getType() << ", but it is " << Gradient.getType()
             << " (" << Label << ")";
  if (failed(verifyAttentionDropout(*this, getDropout(), getSeed(), getSite(),
                                    Label)) ||
      failed(expectElement(*this, "dresult", getDresult(), getQuery().getType(),
                           Label)))
    return failure();
  return verifyAttentionTypes(*this, getQuery(), getKey(), getValue(),
                              getResult(), getLogSumExp(), Label);
}

LogicalResult CacheAppendOp::verify() {
  Dimensions Cache = shapeOf(getCache()), Tokens = shapeOf(getTokens());
  if (Cache.size() >= 2 && Cache.size() == Tokens.size() &&
      llvm::all_of(Cache.take_front(2), ShapedType::isDynamic) &&
      llvm::all_of(Tokens.take_front(2), ShapedType::isDynamic) &&
      Cache.drop_front(2) == Tokens.drop_front(2))
    return expectElement(*this, "tokens", getTokens(), getCache().getType(),
                         "cache_append_c1");
  return emitOpError("expects a cache [B, S, ...] and tokens [B, T, ...] of "
                     "the same widths, but they are ")
         << toText(Cache) << " and " << toText(Tokens) << " (cache_append_c1)";
}
