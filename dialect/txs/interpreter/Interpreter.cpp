//===- Interpreter.cpp - Runs txs modules in float64 ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Interpreter.h"

#include "dialect/txs/interpreter/Call.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

std::string transxssm::txs::print(ArrayRef<int64_t> Shape) {
  std::string Text;
  llvm::raw_string_ostream Stream(Text);
  Stream << "[";
  llvm::interleaveComma(Shape, Stream, [&](int64_t Extent) {
    if (Extent == Any)
      Stream << "?";
    else
      Stream << Extent;
  });
  Stream << "]";
  return Text;
}

bool transxssm::txs::fits(ArrayRef<int64_t> Actual,
                          ArrayRef<int64_t> Expected) {
  if (Actual.size() != Expected.size())
    return false;
  for (auto [A, E] : llvm::zip(Actual, Expected))
    if (E != Any && A != E)
      return false;
  return true;
}

ArrayRef<int64_t> transxssm::txs::shapeOf(Type Kind) {
  auto Tensor = dyn_cast<RankedTensorType>(Kind);
  return Tensor ? Tensor.getShape() : ArrayRef<int64_t>();
}

static double rounded(double Value, FloatType To, APFloat::roundingMode How) {
  APFloat Rounded(Value);
  bool LosesInfo;
  Rounded.convert(To.getFloatSemantics(), How, &LosesInfo);
  Rounded.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                  &LosesInfo);
  return Rounded.convertToDouble();
}

/// Null where nothing is to be rounded.
static FloatType roundedElement(Type Kind) {
  auto Element = dyn_cast<FloatType>(getElementTypeOrSelf(Kind));
  return Element && !Element.isF64() ? Element : FloatType();
}

void transxssm::txs::roundTo(Type Kind, Tensor &Values) {
  if (FloatType Element = roundedElement(Kind))
    for (double &Value : Values.values())
      Value = rounded(Value, Element, APFloat::rmNearestTiesToEven);
}

void transxssm::txs::roundByChance(Type Kind, Tensor &Values,
                                   std::mt19937_64 &Chance) {
  FloatType Element = roundedElement(Kind);
  if (!Element)
    return;
  for (double &Value : Values.values()) {
    double Low = rounded(Value, Element, APFloat::rmTowardNegative);
    double High = rounded(Value, Element, APFloat::rmTowardPositive);
    double Draw = static_cast<double>(Chance() >> 11) * 0x1p-53; // in [0, 1)
    Value = Value - Low > Draw * (High - Low) ? High : Low;
  }
}

void Call::roundResults(Operation &Op) {
  for (Value Of : Op.getResults())
    if (auto Found = Values.find(Of); Found == Values.end())
      continue;
    else if (Owner.RoundingSeed)
      roundByChance(Of.getType(), Found->second, Chance);
    else
      roundTo(Of.getType(), Found->second);
}

void Call::evaluate(Block &Body) {
  for (Operation &Op : Body.without_terminator()) {
    evaluate(Op);
    if (Failure)
      return;
    if (Owner.RoundResults)
      roundResults(Op);
    if (!Owner.AfterOperation)
      continue;
    SmallVector<const Tensor *> Results;
    for (Value Of : Op.getResults())
      Results.push_back(&get(Of));
    Owner.AfterOperation(&Op, Results);
  }
}

void Call::evaluate(Operation &Op) {
  llvm::TypeSwitch<Operation *>(&Op)
      .Case<ReadOp, BlockOp, EmbeddingOp, RmsNormOp, LinearOp, ActivationOp,
            MulOp, AddOp, ScaleOp, ResidualOp, MaskOp, DropoutOp, RopeOp,
            SsmScanOp, AttentionOp, CacheAppendOp, LastTokenOp, SampleOp,
            LinearCrossEntropyOp, RecomputeBarrierOp, ZerosOp, EmbeddingGradOp,
            RmsNormGradOp, LinearGradInputOp, LinearGradWeightOp, SumTokensOp,
            ActivationGradOp, SsmScanGradOp, AttentionGradOp, LastTokenGradOp,
            LinearCrossEntropyGradOp, StoreGradientOp, GlobalNormOp, AdamWOp>(
          [&](auto Known) { visit(Known); })
      .Default([&](Operation *Unknown) {
        fail(Unknown, "expected an operation of the txs dialect");
      });
}

//===----------------------------------------------------------------------===//
// Checks that several operations share
//===----------------------------------------------------------------------===//

bool Call::idsBelow(Operation *Op, const Tensor &Ids, int64_t Limit,
                    bool AllowIgnored) {
  for (double Id : Ids.values())
    if (!(Id >= 0 && Id < Limit) && !(AllowIgnored && Id == -100)) {
      fail(Op, "expected an id from 0 to " + std::to_string(Limit - 1) +
                   ", got " + std::to_string(int64_t(Id)));
      return false;
    }
  return true;
}

/// Both shapes are rows of their width, and as many.
bool Call::sameRows(Operation *Op, ArrayRef<int64_t> Lhs, ArrayRef<int64_t> Rhs,
                    int64_t LhsWidth, int64_t RhsWidth) {
  int64_t LhsSize = llvm::product_of(Lhs), RhsSize = llvm::product_of(Rhs);
  if (LhsWidth > 0 && RhsWidth > 0 && LhsSize % LhsWidth == 0 &&
      RhsSize % RhsWidth == 0 && LhsSize / LhsWidth == RhsSize / RhsWidth)
    return true;
  fail(Op, "expected as many rows of " + std::to_string(LhsWidth) + " as of " +
               std::to_string(RhsWidth) + ", got " + print(Lhs) + " and " +
               print(Rhs));
  return false;
}

bool Call::scanOperands(Operation *Op, const Tensor &C, const Tensor &B,
                        const Tensor &X, const Tensor &Dt, const Tensor &A) {
  return is(Op, "x", X, {Any, Any, Any, Any}) &&
         is(Op, "c", C, {X.dim(0), X.dim(1), X.dim(2), Any}) &&
         is(Op, "b", B, C.shape()) &&
         is(Op, "dt", Dt, {X.dim(0), X.dim(1), X.dim(2)}) &&
         is(Op, "a", A, {X.dim(2)});
}

bool Call::attentionOperands(Operation *Op, const Tensor &Query,
                             const Tensor &Key, const Tensor &Val,
                             const Tensor *KeyMask) {
  if (!is(Op, "query", Query, {Any, Any, Any, Any}) ||
      !is(Op, "key", Key, {Query.dim(0), Any, Any, Query.dim(3)}) ||
      !is(Op, "value", Val, Key.shape()) ||
      (KeyMask && !is(Op, "mask", *KeyMask, {Key.dim(0), Key.dim(1)})))
    return false;
  if (Key.dim(2) > 0 && Query.dim(2) % Key.dim(2) == 0)
    return true;
  fail(Op, "expected query heads to be a multiple of key heads, got " +
               std::to_string(Query.dim(2)) + " and " +
               std::to_string(Key.dim(2)));
  return false;
}

bool Call::pastFits(Operation *Op, int64_t Past, int64_t Tokens,
                    int64_t Capacity) {
  if (Past >= 0 && Past + Tokens <= Capacity)
    return true;
  fail(Op, "expected past + tokens of at most the capacity " +
               std::to_string(Capacity) + ", got " + std::to_string(Past) +
               " + " + std::to_string(Tokens));
  return false;
}

std::optional<reference::DropoutMask>
Call::dropoutMask(Operation *Op, Value Seed, double Probability, int64_t Site) {
  if (!Seed)
    return reference::DropoutMask();
  if (!is(Op, "seed", get(Seed), {2}))
    return std::nullopt;
  return reference::makeDropoutMask(get(Seed), Probability, Site);
}

/// A parameter that has the shape of its gradient, or null after a failure.
Tensor *Call::parameter(Operation *Op, StringRef Name, const Tensor &Gradient) {
  auto Found = Owner.Parameters.find(Name.str());
  if (Found == Owner.Parameters.end()) {
    fail(Op, "no value for parameter '" + Name.str() + "'");
    return nullptr;
  }
  Tensor &Parameter = Found->second;
  return is(Op, "gradient", Gradient, Parameter.shape()) ? &Parameter : nullptr;
}

namespace {

/// Binds the arguments of an entry; an error names the argument.
std::optional<Error> bindArguments(func::FuncOp Function, Call &Frame,
                                   const TensorMap &Inputs,
                                   const TensorMap &States) {
  std::string Entry = Function.getName().str();
  for (BlockArgument Argument : Function.getArguments()) {
    unsigned Index = Argument.getArgNumber();
    auto Input = Function.getArgAttrOfType<StringAttr>(Index, InputAttribute);
    auto State = Function.getArgAttrOfType<StringAttr>(Index, StateAttribute);
    if (!Input && !State)
      return makeError(Entry, ": argument ", Index,
                       " is neither a txs.input nor a txs.state");
    std::string Name = (Input ? Input : State).str();
    const TensorMap &From = Input ? Inputs : States;
    auto Found = From.find(Name);
    if (Found == From.end())
      return makeError(Entry, ": expected ", Input ? "input" : "state", " '",
                       Name, "', got none");
    ArrayRef<int64_t> Expected = shapeOf(Argument.getType());
    if (!fits(Found->second.shape(), Expected))
      return makeError(Entry, ": '", Name, "': expected shape ",
                       print(Expected), ", got ", print(Found->second.shape()));
    Frame.bind(Argument, Found->second);
  }
  return std::nullopt;
}

void collectResults(func::FuncOp Function, const Call &Frame, RunResult &Made) {
  Operation *Return = Function.getBody().front().getTerminator();
  for (auto [Index, Of] : llvm::enumerate(Return->getOperands())) {
    if (auto Name =
            Function.getResultAttrOfType<StringAttr>(Index, OutputAttribute))
      Made.Outputs[Name.str()] = Frame.get(Of);
    if (auto Name =
            Function.getResultAttrOfType<StringAttr>(Index, StateAttribute))
      Made.States[Name.str()] = Frame.get(Of);
  }
}

} // namespace

Result<RunResult> Interpreter::run(StringRef Entry, const TensorMap &Inputs,
                                   const TensorMap &States) {
  auto Function = Module.lookupSymbol<func::FuncOp>(Entry);
  if (!Function || Function.isExternal())
    return makeError("expected an entry '", Entry.str(),
                     "' in the module, got none");
  RunResult Made;
  Call Frame(*this, Made);
  if (std::optional<Error> Why = bindArguments(Function, Frame, Inputs, States))
    return *Why;
  Frame.evaluate(Function.getBody().front());
  if (Frame.Failure)
    return *Frame.Failure;
  collectResults(Function, Frame, Made);
  return Made;
}
