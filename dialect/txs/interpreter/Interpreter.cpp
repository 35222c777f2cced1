//===- Interpreter.cpp - Runs txs modules in float64 ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Interpreter.h"

#include "dialect/txs/interpreter/Reference.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

constexpr int64_t Any = ShapedType::kDynamic;

std::string print(ArrayRef<int64_t> Shape) {
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

bool fits(ArrayRef<int64_t> Actual, ArrayRef<int64_t> Expected) {
  if (Actual.size() != Expected.size())
    return false;
  for (auto [A, E] : llvm::zip(Actual, Expected))
    if (E != Any && A != E)
      return false;
  return true;
}

ArrayRef<int64_t> shapeOf(Type Kind) {
  auto Tensor = dyn_cast<RankedTensorType>(Kind);
  return Tensor ? Tensor.getShape() : ArrayRef<int64_t>();
}

/// The values of one call. Every `visit` checks the shapes of its operands,
/// evaluates one operation and binds its results; the first failure sticks.
class Call {
public:
  Call(Interpreter &Owner, RunResult &Made) : Owner(Owner), Made(Made) {}

  void bind(Value Of, Tensor Content) { Values[Of] = std::move(Content); }
  const Tensor &get(Value Of) const { return Values.find(Of)->second; }
  const Tensor *getOptional(Value Of) const { return Of ? &get(Of) : nullptr; }

  void evaluate(Block &Body);
  std::optional<Error> Failure;

private:
  void evaluate(Operation &Op);

  void fail(Operation *Op, const std::string &Why) {
    if (!Failure)
      Failure = makeError(Op->getName().getStringRef().str(), ": ", Why);
  }

  /// Whether an operand has a shape; `Any` fits everything.
  bool is(Operation *Op, const char *What, const Tensor &Operand,
          ArrayRef<int64_t> Expected) {
    if (fits(Operand.shape(), Expected))
      return true;
    fail(Op, std::string("expected ") + What + " of shape " + print(Expected) +
                 ", got " + print(Operand.shape()));
    return false;
  }

  /// The shape that a result's type and the extents of an operand's leading
  /// dimensions give.
  SmallVector<int64_t> resolve(Value Of, const Tensor &Like) {
    SmallVector<int64_t> Shape(shapeOf(Of.getType()));
    for (size_t I = 0; I < Shape.size(); ++I)
      if (Shape[I] == Any)
        Shape[I] = int64_t(I) < Like.rank() ? Like.dim(I) : 0;
    return Shape;
  }

  bool idsBelow(Operation *Op, const Tensor &Ids, int64_t Limit,
                bool AllowIgnored);
  bool sameRows(Operation *Op, const Tensor &Lhs, const Tensor &Rhs,
                int64_t LhsWidth, int64_t RhsWidth);
  bool scanOperands(Operation *Op, const Tensor &C, const Tensor &B,
                    const Tensor &X, const Tensor &Dt, const Tensor &A);
  bool attentionOperands(Operation *Op, const Tensor &Query, const Tensor &Key,
                         const Tensor &Val, const Tensor *KeyMask);
  bool pastFits(Operation *Op, int64_t Past, int64_t Tokens, int64_t Capacity);
  std::optional<reference::DropoutMask>
  dropoutMask(Operation *Op, Value Seed, double Probability, int64_t Site);
  Tensor *parameter(Operation *Op, StringRef Name, const Tensor &Gradient);

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
  llvm::DenseMap<Value, Tensor> Values;
};

void Call::evaluate(Block &Body) {
  for (Operation &Op : Body.without_terminator()) {
    evaluate(Op);
    if (Failure)
      return;
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
            SsmScanOp, AttentionOp, CacheAppendOp, LastTokenOp,
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

/// Both are rows of their width, and as many.
bool Call::sameRows(Operation *Op, const Tensor &Lhs, const Tensor &Rhs,
                    int64_t LhsWidth, int64_t RhsWidth) {
  if (LhsWidth > 0 && RhsWidth > 0 && Lhs.size() % LhsWidth == 0 &&
      Rhs.size() % RhsWidth == 0 &&
      Lhs.size() / LhsWidth == Rhs.size() / RhsWidth)
    return true;
  fail(Op, "expected as many rows of " + std::to_string(LhsWidth) + " as of " +
               std::to_string(RhsWidth) + ", got " + print(Lhs.shape()) +
               " and " + print(Rhs.shape()));
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

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

void Call::visit(ReadOp Op) {
  auto Found = Owner.Parameters.find(Op.getParameter().str());
  if (Found == Owner.Parameters.end())
    return fail(Op, "no value for parameter '" + Op.getParameter().str() + "'");
  std::string What = "parameter '" + Op.getParameter().str() + "'";
  if (is(Op, What.c_str(), Found->second, shapeOf(Op.getType())))
    bind(Op.getResult(), Found->second);
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
      sameRows(Op, Input, Tensor(Shape), Weight.dim(1), Weight.dim(0)))
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
      sameRows(Op, Dresult, Tensor(Shape), Weight.dim(0), Weight.dim(1)))
    bind(Op.getDinput(), reference::linearGradInput(Dresult, Weight, Shape));
}

void Call::visit(LinearGradWeightOp Op) {
  const Tensor &Dresult = get(Op.getDresult()), &Input = get(Op.getInput());
  ArrayRef<int64_t> Weight = shapeOf(Op.getType());
  if (sameRows(Op, Dresult, Input, Weight[0], Weight[1]))
    bind(Op.getDweight(), reference::linearGradWeight(Dresult, Input, Weight));
}

void Call::visit(SumTokensOp Op) {
  const Tensor &Lhs = get(Op.getLhs());
  const Tensor *Rhs = getOptional(Op.getRhs());
  int64_t Width = shapeOf(Op.getType())[0];
  if ((!Rhs || is(Op, "rhs", *Rhs, Lhs.shape())) &&
      sameRows(Op, Lhs, Lhs, Width, Width))
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
