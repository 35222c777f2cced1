//===- TxsVerifiers.cpp - Constraints of the txs operations ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every message ends with the label of the constraint in TxsOps.td. Widths are
// static everywhere; batch and sequence are compared as they are written, so
// that a dynamic one matches a dynamic one.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace transxssm::txs;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

using Dimensions = ArrayRef<int64_t>;

static Dimensions shapeOf(Value Tensor) {
  return cast<RankedTensorType>(Tensor.getType()).getShape();
}

/// "[?, ?, 64]".
static std::string toText(Dimensions Shape) {
  std::string Text = "[";
  llvm::raw_string_ostream Stream(Text);
  llvm::interleaveComma(Shape, Stream, [&](int64_t Size) {
    if (ShapedType::isDynamic(Size))
      Stream << '?';
    else
      Stream << Size;
  });
  return Text + "]";
}

/// `Name` has as many dimensions as `Form` names, static ones after the first
/// `Leading`. Form is text such as "[B, T, H, P]".
static LogicalResult expectForm(Operation *Op, StringRef Name, Value Tensor,
                                StringRef Form, size_t Leading,
                                StringRef Label) {
  Dimensions Shape = shapeOf(Tensor);
  size_t Rank = Form.count(',') + 1;
  if (Shape.size() == Rank &&
      llvm::none_of(Shape.drop_front(Leading), ShapedType::isDynamic))
    return success();
  return Op->emitOpError("expects ")
         << Name << " to be " << Form
         << (Leading < Rank ? " with static widths" : "") << ", but it is "
         << toText(Shape) << " (" << Label << ")";
}

static LogicalResult expectShape(Operation *Op, StringRef Name, Value Tensor,
                                 Dimensions Expected, StringRef Label) {
  if (shapeOf(Tensor) == Expected)
    return success();
  return Op->emitOpError("expects ")
         << Name << " of shape " << toText(Expected) << ", but it is "
         << toText(shapeOf(Tensor)) << " (" << Label << ")";
}

/// A vector with one element for each of the last dimension of `Input`.
static LogicalResult expectChannelWeight(Operation *Op, Value Input,
                                         Value Weight, StringRef Label) {
  Dimensions Shape = shapeOf(Input);
  if (Shape.empty() || ShapedType::isDynamic(Shape.back()))
    return Op->emitOpError("expects an input of static last dimension, but it "
                           "is ")
           << toText(Shape) << " (" << Label << ")";
  return expectShape(Op, "weight", Weight, {Shape.back()}, Label);
}

static LogicalResult expectProbability(Operation *Op, const APFloat &Value,
                                       StringRef Name, StringRef Label) {
  double Probability = Value.convertToDouble();
  if (Probability >= 0.0 && Probability < 1.0)
    return success();
  return Op->emitOpError("expects ") << Name << " in [0, 1), but it is "
                                     << Probability << " (" << Label << ")";
}

static LogicalResult expectChunk(Operation *Op, int64_t Chunk,
                                 StringRef Label) {
  if (Chunk >= 1)
    return success();
  return Op->emitOpError("expects chunk to be at least 1, but it is ")
         << Chunk << " (" << Label << ")";
}

namespace {
/// A tensor as a product sees it: [B, T] or [B] in front, and what comes after
/// as one width.
struct Flattened {
  Dimensions Leading;
  int64_t Width = 1;
};
} // namespace

static FailureOr<Flattened> flatten(Operation *Op, StringRef Name, Value Tensor,
                                    StringRef Label) {
  Dimensions Shape = shapeOf(Tensor);
  Flattened Result;
  Result.Leading = Shape.take_while(ShapedType::isDynamic);
  Dimensions Trailing = Shape.drop_front(Result.Leading.size());
  if (llvm::any_of(Trailing, ShapedType::isDynamic))
    return Op->emitOpError("expects ")
           << Name << " to have static dimensions after its dynamic ones, "
           << "but it is " << toText(Shape) << " (" << Label << ")";
  for (int64_t Size : Trailing)
    Result.Width *= Size;
  return Result;
}

/// The dimensions before the static ones are the same in both.
static LogicalResult expectSameLeading(Operation *Op, StringRef NameA,
                                       const Flattened &A, StringRef NameB,
                                       const Flattened &B, StringRef Label) {
  if (A.Leading == B.Leading)
    return success();
  return Op->emitOpError("expects ")
         << NameA << " and " << NameB
         << " with the same leading dimensions, but there are "
         << A.Leading.size() << " and " << B.Leading.size() << " (" << Label
         << ")";
}

/// The parameter that `Name` refers to.
static FailureOr<ParameterOp> lookUpParameter(Operation *Op,
                                              FlatSymbolRefAttr Name,
                                              SymbolTableCollection &Symbols,
                                              StringRef Label) {
  auto Parameter = Symbols.lookupNearestSymbolFrom<ParameterOp>(Op, Name);
  if (!Parameter)
    return Op->emitOpError("expects a parameter named ")
           << Name << ", but there is none (" << Label << ")";
  return Parameter;
}

/// A gradient has the shape of its parameter; its element type may be wider.
static LogicalResult verifyGradientOf(Operation *Op, FlatSymbolRefAttr Name,
                                      Value Gradient,
                                      SymbolTableCollection &Symbols,
                                      StringRef Label) {
  FailureOr<ParameterOp> Parameter = lookUpParameter(Op, Name, Symbols, Label);
  if (failed(Parameter))
    return failure();
  auto Type = dyn_cast<RankedTensorType>(Parameter->getType());
  if (!Type) // Reported by the parameter itself.
    return success();
  return expectShape(Op, "the gradient", Gradient, Type.getShape(), Label);
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

LogicalResult ParameterOp::verify() {
  auto Type = dyn_cast<RankedTensorType>(getType());
  if (!Type || !Type.hasStaticShape())
    return emitOpError("expects a ranked tensor type of static shape, but it "
                       "is ")
           << getType() << " (parameter_c1)";
  if (!llvm::is_contained({"normal", "ones", "zeros", "ssd_decay"},
                          getInitializer()))
    return emitOpError("expects initializer to be \"normal\", \"ones\", "
                       "\"zeros\" or \"ssd_decay\", but it is ")
           << getInitializerAttr() << " (parameter_c2)";
  return success();
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  FailureOr<ParameterOp> Parameter =
      lookUpParameter(*this, getParameterAttr(), Symbols, "read_c1");
  if (failed(Parameter))
    return failure();
  if (Parameter->getType() == getType())
    return success();
  return emitOpError("expects the parameter's type ")
         << Parameter->getType() << ", but the result is " << getType()
         << " (read_c1)";
}

LogicalResult BlockOp::verify() {
  mlir::Block &Body = getBody().front();
  TypeRange Yielded = Body.getTerminator()->getOperandTypes();
  if (Yielded != TypeRange(getResultTypes()))
    return emitOpError("expects the yielded types (")
           << Yielded << ") as results, but they are (" << getResultTypes()
           << ") (block_c1)";
  if (Body.getNumArguments() != 0)
    return emitOpError("expects a body without arguments, but it has ")
           << Body.getNumArguments() << " (block_c2)";
  return success();
}

//===----------------------------------------------------------------------===//
// Tokens in and out
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  StringRef Label = "embedding_c1";
  if (failed(expectForm(*this, "ids", getIds(), "[B, T]", 2, Label)) ||
      failed(expectForm(*this, "weight", getWeight(), "[V, D]", 0, Label)))
    return failure();
  Dimensions Ids = shapeOf(getIds()), Weight = shapeOf(getWeight());
  if (failed(expectShape(*this, "result", getResult(),
                         {Ids[0], Ids[1], Weight[1]}, Label)))
    return failure();
  std::optional<uint64_t> PadToken = getPadToken();
  if (PadToken && *PadToken >= uint64_t(Weight[0]))
    return emitOpError("expects pad_token in [0, ")
           << Weight[0] << "), but it is " << int64_t(*PadToken)
           << " (embedding_c2)";
  return success();
}

LogicalResult EmbeddingGradOp::verify() {
  StringRef Label = "embedding_grad_c1";
  if (failed(expectForm(*this, "ids", getIds(), "[B, T]", 2, Label)) ||
      failed(expectForm(*this, "dweight", getDweight(), "[V, D]", 0, Label)))
    return failure();
  Dimensions Ids = shapeOf(getIds());
  return expectShape(*this, "dresult", getDresult(),
                     {Ids[0], Ids[1], shapeOf(getDweight())[1]}, Label);
}

/// `Input` [B, T, D] with one token chosen is `Result` [B, D].
static LogicalResult verifyLastToken(Operation *Op, Value Input, Value Result,
                                     Value Mask, StringRef FormLabel,
                                     StringRef MaskLabel) {
  if (failed(expectForm(Op, "input", Input, "[B, T, D]", 2, FormLabel)))
    return failure();
  Dimensions Shape = shapeOf(Input);
  if (failed(
          expectShape(Op, "result", Result, {Shape[0], Shape[2]}, FormLabel)))
    return failure();
  if (!Mask)
    return success();
  return expectShape(Op, "mask", Mask, Shape.take_front(2), MaskLabel);
}

LogicalResult LastTokenOp::verify() {
  return verifyLastToken(*this, getInput(), getResult(), getMask(),
                         "last_token_c1", "last_token_c2");
}

LogicalResult LastTokenGradOp::verify() {
  StringRef Label = "last_token_grad_c1";
  if (failed(verifyLastToken(*this, getLike(), getDresult(), getMask(), Label,
                             Label)))
    return failure();
  return expectShape(*this, "dinput", getDinput(), shapeOf(getLike()), Label);
}

static LogicalResult verifyCrossEntropy(Operation *Op, Value Hidden,
                                        Value Weight, Value Labels, bool Shift,
                                        StringRef HiddenLabel,
                                        StringRef LabelsLabel) {
  Dimensions Shape = shapeOf(Hidden);
  if ((Shape.size() != 2 && Shape.size() != 3) ||
      ShapedType::isDynamic(Shape.back()))
    return Op->emitOpError("expects hidden to be [B, T, D] or [B, D] with "
                           "static D, but it is ")
           << toText(Shape) << " (" << HiddenLabel << ")";
  if (failed(expectForm(Op, "weight", Weight, "[V, D]", 0, HiddenLabel)) ||
      failed(expectShape(Op, "weight", Weight,
                         {shapeOf(Weight)[0], Shape.back()}, HiddenLabel)) ||
      failed(expectShape(Op, "labels", Labels, Shape.drop_back(), LabelsLabel)))
    return failure();
  if (Shift && Shape.size() != 3)
    return Op->emitOpError("expects labels [B, T] to shift, but they are ")
           << toText(shapeOf(Labels)) << " (" << LabelsLabel << ")";
  return success();
}

LogicalResult LinearCrossEntropyOp::verify() {
  if (failed(verifyCrossEntropy(*this, getHidden(), getWeight(), getLabels(),
                                getShift(), "linear_cross_entropy_c1",
                                "linear_cross_entropy_c2")))
    return failure();
  StringRef Label = "linear_cross_entropy_c3";
  if (failed(expectShape(*this, "loss", getLoss(), {}, Label)) ||
      failed(expectShape(*this, "log_sum_exp", getLogSumExp(),
                         shapeOf(getLabels()), Label)))
    return failure();
  for (Value Result : getResults()) {
    Type Element = getElementTypeOrSelf(Result);
    if (!Element.isF32() && !Element.isF64())
      return emitOpError("expects loss and log_sum_exp of f32 or f64, but "
                         "there is ")
             << Element << " (" << Label << ")";
  }
  return success();
}

LogicalResult LinearCrossEntropyGradOp::verify() {
  StringRef Label = "linear_cross_entropy_grad_c1";
  if (failed(verifyCrossEntropy(*this, getHidden(), getWeight(), getLabels(),
                                getShift(), Label, Label)))
    return failure();
  return expectShape(*this, "log_sum_exp", getLogSumExp(), shapeOf(getLabels()),
                     Label);
}

//===----------------------------------------------------------------------===//
// Dense and elementwise layers
//===----------------------------------------------------------------------===//

static LogicalResult expectEps(Operation *Op, const APFloat &Eps,
                               StringRef Label) {
  if (Eps.convertToDouble() > 0.0)
    return success();
  return Op->emitOpError("expects eps > 0, but it is ")
         << Eps.convertToDouble() << " (" << Label << ")";
}

LogicalResult RmsNormOp::verify() {
  if (failed(
          expectChannelWeight(*this, getInput(), getWeight(), "rms_norm_c1")))
    return failure();
  return expectEps(*this, getEps(), "rms_norm_c2");
}

LogicalResult RmsNormGradOp::verify() {
  StringRef Label = "rms_norm_grad_c1";
  if (failed(expectChannelWeight(*this, getInput(), getWeight(), Label)))
    return failure();
  return expectEps(*this, getEps(), Label);
}

LogicalResult LinearOp::verify() {
  FailureOr<Flattened> Input = flatten(*this, "input", getInput(), "linear_c1");
  FailureOr<Flattened> Result =
      flatten(*this, "result", getResult(), "linear_c1");
  if (failed(Input) || failed(Result) ||
      failed(expectShape(*this, "weight", getWeight(),
                         {Result->Width, Input->Width}, "linear_c1")))
    return failure();
  if (getBias() && failed(expectShape(*this, "bias", getBias(), {Result->Width},
                                      "linear_c2")))
    return failure();
  return expectSameLeading(*this, "input", *Input, "result", *Result,
                           "linear_c3");
}

LogicalResult LinearGradInputOp::verify() {
  StringRef Label = "linear_grad_input_c1";
  FailureOr<Flattened> DResult = flatten(*this, "dresult", getDresult(), Label);
  FailureOr<Flattened> DInput = flatten(*this, "dinput", getDinput(), Label);
  if (failed(DResult) || failed(DInput) ||
      failed(expectShape(*this, "weight", getWeight(),
                         {DResult->Width, DInput->Width}, Label)))
    return failure();
  return expectSameLeading(*this, "dresult", *DResult, "dinput", *DInput,
                           Label);
}

LogicalResult LinearGradWeightOp::verify() {
  StringRef Label = "linear_grad_weight_c1";
  FailureOr<Flattened> DResult = flatten(*this, "dresult", getDresult(), Label);
  FailureOr<Flattened> Input = flatten(*this, "input", getInput(), Label);
  if (failed(DResult) || failed(Input) ||
      failed(expectShape(*this, "dweight", getDweight(),
                         {DResult->Width, Input->Width}, Label)))
    return failure();
  return expectSameLeading(*this, "dresult", *DResult, "input", *Input, Label);
}

LogicalResult SumTokensOp::verify() {
  FailureOr<Flattened> Lhs = flatten(*this, "lhs", getLhs(), "sum_tokens_c1");
  if (failed(Lhs) || failed(expectShape(*this, "result", getResult(),
                                        {Lhs->Width}, "sum_tokens_c1")))
    return failure();
  if (getRhs() && getRhs().getType() != getLhs().getType())
    return emitOpError("expects rhs of lhs's type ")
           << getLhs().getType() << ", but it is " << getRhs().getType()
           << " (sum_tokens_c2)";
  return success();
}

LogicalResult ScaleOp::verify() {
  return expectChannelWeight(*this, getInput(), getWeight(), "scale_c1");
}

LogicalResult ResidualOp::verify() {
  return expectChannelWeight(*this, getInput(), getWeight(), "residual_c1");
}

LogicalResult MaskOp::verify() {
  Dimensions Shape = shapeOf(getInput());
  if (Shape.size() < 2)
    return emitOpError("expects an input [B, T, ...], but it is ")
           << toText(Shape) << " (mask_c1)";
  return expectShape(*this, "mask", getMask(), Shape.take_front(2), "mask_c1");
}

LogicalResult DropoutOp::verify() {
  if (failed(expectProbability(*this, getProbability(), "probability",
                               "dropout_c1")))
    return failure();
  return expectShape(*this, "seed", getSeed(), {2}, "dropout_c2");
}

LogicalResult RopeOp::verify() {
  if (failed(
          expectForm(*this, "input", getInput(), "[B, T, H, P]", 2, "rope_c1")))
    return failure();
  Dimensions Shape = shapeOf(getInput());
  if (Shape[3] % 2 != 0)
    return emitOpError("expects an even head size, but it is ")
           << Shape[3] << " (rope_c1)";
  return expectShape(*this, "cos", getCos(), {Shape[1], Shape[3] / 2},
                     "rope_c2");
}

//===----------------------------------------------------------------------===//
// The state-space scan
//===----------------------------------------------------------------------===//

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
  return expectChunk(*this, getChunk(), "ssm_scan_c3");
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
  return success();
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
  if (K[2] > 0 && Q[2] % K[2] == 0)
    return success();
  return Op->emitOpError("expects query heads to be a multiple of key heads, "
                         "but there are ")
         << Q[2] << " and " << K[2] << " (" << Label << ")";
}

static LogicalResult verifyAttentionDropout(Operation *Op,
                                            const APFloat &Dropout, Value Seed,
                                            StringRef Label) {
  if (failed(expectProbability(Op, Dropout, "dropout", Label)))
    return failure();
  if (!Dropout.isZero() && !Seed)
    return Op->emitOpError("expects a seed for dropout ")
           << Dropout.convertToDouble() << ", but there is none (" << Label
           << ")";
  return Seed ? expectShape(Op, "seed", Seed, {2}, Label) : success();
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
  return verifyAttentionDropout(*this, getDropout(), getSeed(), "attention_c4");
}

LogicalResult AttentionGradOp::verify() {
  StringRef Label = "attention_grad_c1";
  if (failed(verifyHeads(*this, getQuery(), getKey(), getValue(), Label)))
    return failure();
  Dimensions Q = shapeOf(getQuery()), K = shapeOf(getKey());
  if (failed(expectShape(*this, "key", getKey(), {Q[0], Q[1], K[2], K[3]},
                         Label)) ||
      failed(expectShape(*this, "result", getResult(), Q, Label)) ||
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
  return verifyAttentionDropout(*this, getDropout(), getSeed(), Label);
}

LogicalResult CacheAppendOp::verify() {
  Dimensions Cache = shapeOf(getCache()), Tokens = shapeOf(getTokens());
  if (Cache.size() >= 2 && Cache.size() == Tokens.size() &&
      Cache[0] == Tokens[0] && Cache.drop_front(2) == Tokens.drop_front(2))
    return success();
  return emitOpError("expects tokens to differ from the cache ")
         << toText(Cache) << " in the second dimension only, but they are "
         << toText(Tokens) << " (cache_append_c1)";
}

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

LogicalResult
StoreGradientOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return verifyGradientOf(*this, getParameterAttr(), getGradient(), Symbols,
                          "store_gradient_c1");
}

LogicalResult AdamWOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return verifyGradientOf(*this, getParameterAttr(), getGradient(), Symbols,
                          "adamw_c1");
}

LogicalResult AdamWOp::verify() {
  if (failed(expectShape(*this, "norm", getNorm(), {}, "adamw_c2")))
    return failure();
  return expectShape(*this, "hyperparameters", getHyperparameters(), {8},
                     "adamw_c2");
}
