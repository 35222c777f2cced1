//===- TxsVerifiers.cpp - Constraints of the txs operations ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// All but the mixers; see TxsMixerVerifiers.cpp.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsConstraints.h"

using namespace mlir;
using namespace transxssm::txs;

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

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

LogicalResult ParameterOp::verify() {
  auto Type = dyn_cast<RankedTensorType>(getType());
  if (!Type || !Type.hasStaticShape() || !hasValidExtents(Type) ||
      !isa<FloatType>(Type.getElementType()))
    return emitOpError("expects a ranked tensor of floats of static shape and "
                       "positive extents, but it is ")
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

static LogicalResult expectPadToken(Operation *Op,
                                    std::optional<uint64_t> PadToken,
                                    int64_t Vocabulary, StringRef Label) {
  if (!PadToken || *PadToken < static_cast<uint64_t>(Vocabulary))
    return success();
  return Op->emitOpError("expects pad_token in [0, ")
         << Vocabulary << "), but it is " << static_cast<int64_t>(*PadToken)
         << " (" << Label << ")";
}

LogicalResult EmbeddingOp::verify() {
  StringRef Label = "embedding_c1";
  if (failed(expectForm(*this, "ids", getIds(), "[B, T]", 2, Label)) ||
      failed(expectForm(*this, "weight", getWeight(), "[V, D]", 0, Label)))
    return failure();
  Dimensions Ids = shapeOf(getIds()), Weight = shapeOf(getWeight());
  if (failed(expectShape(*this, "result", getResult(),
                         {Ids[0], Ids[1], Weight[1]}, Label)))
    return failure();
  return expectPadToken(*this, getPadToken(), Weight[0], "embedding_c2");
}

LogicalResult EmbeddingGradOp::verify() {
  StringRef Label = "embedding_grad_c1";
  if (failed(expectForm(*this, "ids", getIds(), "[B, T]", 2, Label)) ||
      failed(expectForm(*this, "dweight", getDweight(), "[V, D]", 0, Label)))
    return failure();
  Dimensions Ids = shapeOf(getIds()), Weight = shapeOf(getDweight());
  if (failed(expectShape(*this, "dresult", getDresult(),
                         {Ids[0], Ids[1], Weight[1]}, Label)) ||
      failed(expectWide(*this, "dweight", getDweight(), "embedding_grad_c2")))
    return failure();
  return expectPadToken(*this, getPadToken(), Weight[0], "embedding_grad_c3");
}

/// `Tokens` [B, T, D], of which `Chosen` [B, D] is one for each sequence; each
/// with what its operation calls it.
static LogicalResult verifyLastToken(Operation *Op,
                                     std::pair<StringRef, Value> Tokens,
                                     std::pair<StringRef, Value> Chosen,
                                     Value Mask, StringRef FormLabel,
                                     StringRef MaskLabel) {
  if (failed(expectForm(Op, Tokens.first, Tokens.second, "[B, T, D]", 2,
                        FormLabel)))
    return failure();
  Dimensions Shape = shapeOf(Tokens.second);
  if (failed(expectShape(Op, Chosen.first, Chosen.second, {Shape[0], Shape[2]},
                         FormLabel)))
    return failure();
  if (!Mask)
    return success();
  return expectShape(Op, "mask", Mask, Shape.take_front(2), MaskLabel);
}

LogicalResult LastTokenOp::verify() {
  return verifyLastToken(*this, {"input", getInput()}, {"result", getResult()},
                         getMask(), "last_token_c1", "last_token_c2");
}

LogicalResult SampleOp::verify() {
  StringRef Form = "sample_c1", Options = "sample_c2";
  if (failed(expectForm(*this, "logits", getLogits(), "[B, V]", 1, Form)) ||
      failed(expectWide(*this, "logits", getLogits(), Form)) ||
      failed(expectShape(*this, "tokens", getTokens(),
                         shapeOf(getLogits()).take_front(1), Form)) ||
      failed(expectShape(*this, "settings", getSettings(), {2}, Options)) ||
      failed(expectShape(*this, "draw", getDraw(), {5}, Options)))
    return failure();
  int64_t Vocabulary = shapeOf(getLogits())[1];
  if (Vocabulary > MostSampledTokens)
    return emitOpError("draws from ")
           << Vocabulary << " tokens, expected at most " << MostSampledTokens
           << " (sample_c3)";
  return success();
}

LogicalResult LastTokenGradOp::verify() {
  StringRef Label = "last_token_grad_c1";
  if (failed(verifyLastToken(*this, {"like", getLike()},
                             {"dresult", getDresult()}, getMask(), Label,
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
      ShapedType::isDynamic(Shape.back()) ||
      !llvm::all_of(Shape.drop_back(), ShapedType::isDynamic))
    return Op->emitOpError("expects hidden to be [B, T, D] or [B, D] with "
                           "static D only, but it is ")
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
  if (failed(expectWide(*this, "loss", getLoss(), Label)))
    return failure();
  return expectWide(*this, "log_sum_exp", getLogSumExp(), Label);
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
  double Value = Eps.convertToDouble();
  if (Value >= std::numeric_limits<float>::min())
    return success();
  return Op->emitOpError("expects eps of at least 2^-126, but it is ")
         << Value << " (" << Label << ")";
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
                         {DResult->Width, Input->Width}, Label)) ||
      failed(expectSameLeading(*this, "dresult", *DResult, "input", *Input,
                               Label)))
    return failure();
  return expectWide(*this, "dweight", getDweight(), "linear_grad_weight_c2");
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
  return expectWide(*this, "result", getResult(), "sum_tokens_c3");
}

LogicalResult ScaleOp::verify() {
  return expectChannelWeight(*this, getInput(), getWeight(), "scale_c1");
}

LogicalResult ResidualOp::verify() {
  return expectChannelWeight(*this, getInput(), getWeight(), "residual_c1");
}

LogicalResult MaskOp::verify() {
  Dimensions Shape = shapeOf(getInput());
  if (Shape.size() < 2 ||
      !llvm::all_of(Shape.take_front(2), ShapedType::isDynamic))
    return emitOpError("expects an input [B, T, ...] with dynamic B and T, but "
                       "it is ")
           << toText(Shape) << " (mask_c1)";
  return expectShape(*this, "mask", getMask(), Shape.take_front(2), "mask_c1");
}

LogicalResult DropoutOp::verify() {
  if (failed(expectProbability(*this, getProbability(), "probability",
                               "dropout_c1")) ||
      failed(expectShape(*this, "seed", getSeed(), {2}, "dropout_c2")))
    return failure();
  return expectSite(*this, getSite(), "dropout_c3");
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
// Training
//===----------------------------------------------------------------------===//

/// A gradient has the shape of its parameter.
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

LogicalResult
StoreGradientOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  if (failed(verifyGradientOf(*this, getParameterAttr(), getGradient(), Symbols,
                              "store_gradient_c1")))
    return failure();
  auto Parameter =
      Symbols.lookupNearestSymbolFrom<ParameterOp>(*this, getParameterAttr());
  return expectElement(*this, "the gradient", getGradient(),
                       gradientTypeOf(Parameter.getType()),
                       "store_gradient_c2");
}

LogicalResult GlobalNormOp::verify() {
  StringRef Label = "global_norm_c1";
  if (failed(expectShape(*this, "result", getResult(), {}, Label)) ||
      failed(expectWide(*this, "result", getResult(), Label)))
    return failure();
  if (getGradients().empty())
    return emitOpError("expects at least one gradient, but there is none "
                       "(global_norm_c2)");
  for (Value Gradient : getGradients())
    if (llvm::any_of(shapeOf(Gradient), ShapedType::isDynamic))
      return emitOpError("expects gradients of static shape, but one is ")
             << toText(shapeOf(Gradient)) << " (global_norm_c2)";
  return success();
}

LogicalResult AdamWOp::verifySymbolUses(SymbolTableCollection &Symbols) {
  return verifyGradientOf(*this, getParameterAttr(), getGradient(), Symbols,
                          "adamw_c1");
}

LogicalResult AdamWOp::verify() {
  if (failed(expectShape(*this, "norm", getNorm(), {}, "adamw_c2")))
    return failure();
  if (failed(expectShape(*this, "hyperparameters", getHyperparameters(), {8},
                         "adamw_c2")))
    return failure();
  if (failed(expectWide(*this, "the gradient", getGradient(), "adamw_c3")))
    return failure();
  // What follows the next one is the next one's concern.
  if (isa<BlockOp>((*this)->getParentOp()))
    return emitOpError("expects to end a function, but it is in a block of the "
                       "model (adamw_c4)");
  Operation *Next = (*this)->getNextNode();
  if (Next && !isa<AdamWOp>(Next) && !Next->hasTrait<OpTrait::IsTerminator>())
    return emitOpError("expects only operations of its kind behind it, but '")
           << Next->getName() << "' follows (adamw_c4)";
  return success();
}
