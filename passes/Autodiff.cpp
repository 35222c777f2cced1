//===- Autodiff.cpp - Reverse-mode differentiation ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// One sweep backwards over the function, each operation building its own
// gradient (DifferentiableOpInterface). A block marked `recompute` is swept in
// a copy made at that point of the sweep (Chen et al., arXiv 1604.06174): what
// the gradients need of it is then computed just before, from the block's
// inputs, and nothing inside the original block lives past it.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/FunctionBody.h"
#include "passes/InlineBlocks.h"
#include "passes/Passes.h"

using namespace mlir;

namespace transxssm {
#define GEN_PASS_DEF_TXSAUTODIFF
#include "passes/Passes.h.inc"

namespace {
class Differentiator {
public:
  Differentiator(func::FuncOp Function)
      : Function(Function),
        Builder(Function.getBody().front().getTerminator()) {}

  /// `Loss` is the operand of the function's return.
  LogicalResult run(OpOperand &Loss, ModuleOp Module);

private:
  LogicalResult visit(Operation *Op);
  LogicalResult visitDifferentiable(txs::DifferentiableOpInterface Op,
                                    ArrayRef<Value> ResultGradients);
  LogicalResult visitRecomputed(txs::BlockOp Block,
                                ArrayRef<Value> ResultGradients);
  SmallVector<txs::RecomputeBarrierOp> buildBarriers(txs::BlockOp Block,
                                                     IRMapping &Mapping);
  void seed(Value Loss);
  void storeGradient(txs::ParameterOp Parameter);
  /// Adds `Gradient` to what `Sum` already holds, in the order of the sweep.
  void accumulate(Value &Sum, Value Gradient);

  func::FuncOp Function;
  OpBuilder Builder;
  /// The gradient of each value, as far as its uses have been swept.
  DenseMap<Value, Value> Gradients;
  /// The same for each parameter, over all its reads.
  DenseMap<StringAttr, Value> ParameterGradients;
};
} // namespace

void Differentiator::accumulate(Value &Sum, Value Gradient) {
  Sum =
      Sum ? Value(txs::AddOp::create(Builder, Gradient.getLoc(), Sum, Gradient))
          : Gradient;
}

void Differentiator::seed(Value Loss) {
  auto One = DenseElementsAttr::get(
      cast<ShapedType>(Loss.getType()),
      Attribute(Builder.getFloatAttr(getElementTypeOrSelf(Loss), 1.0)));
  Gradients[Loss] = arith::ConstantOp::create(Builder, Loss.getLoc(), One);
}

LogicalResult
Differentiator::visitDifferentiable(txs::DifferentiableOpInterface Op,
                                    ArrayRef<Value> ResultGradients) {
  SmallVector<Value> OperandGradients(Op->getNumOperands());
  if (failed(Op.buildGradients(Builder, ResultGradients, OperandGradients)))
    return failure();
  for (auto [Operand, Gradient] :
       llvm::zip_equal(Op->getOperands(), OperandGradients))
    if (Gradient)
      accumulate(Gradients[Operand], Gradient);
  return success();
}

LogicalResult Differentiator::visit(Operation *Op) {
  SmallVector<Value> ResultGradients;
  for (Value Result : Op->getResults())
    ResultGradients.push_back(Gradients.lookup(Result));
  if (llvm::none_of(ResultGradients, [](Value G) { return bool(G); }))
    return success();
  if (auto Read = dyn_cast<txs::ReadOp>(Op)) {
    accumulate(ParameterGradients[Read.getParameterAttr().getAttr()],
               ResultGradients[0]);
    return success();
  }
  if (auto Block = dyn_cast<txs::BlockOp>(Op))
    return visitRecomputed(Block, ResultGradients);
  if (auto Differentiable = dyn_cast<txs::DifferentiableOpInterface>(Op))
    return visitDifferentiable(Differentiable, ResultGradients);
  return Op->emitOpError("has no gradient, but the loss depends on it");
}

/// Whether a block's input is computed by the model: the activations, not the
/// call's ids, masks and tables, nor parameters.
static bool isActivation(Value Input, func::FuncOp Function) {
  auto Type = dyn_cast<RankedTensorType>(Input.getType());
  if (!Type || !isa<FloatType>(Type.getElementType()))
    return false;
  if (auto Argument = dyn_cast<BlockArgument>(Input))
    return !Function.getArgAttr(Argument.getArgNumber(), txs::InputAttribute);
  return !Input.getDefiningOp<txs::ReadOp>();
}

SmallVector<txs::RecomputeBarrierOp>
Differentiator::buildBarriers(txs::BlockOp Block, IRMapping &Mapping) {
  llvm::SetVector<Value> Inputs;
  getUsedValuesDefinedAbove(Block.getBody(), Inputs);
  SmallVector<txs::RecomputeBarrierOp> Barriers;
  for (Value Input : Inputs) {
    if (!isActivation(Input, Function))
      continue;
    Barriers.push_back(
        txs::RecomputeBarrierOp::create(Builder, Block.getLoc(), Input));
    Mapping.map(Input, Barriers.back().getResult(0));
  }
  return Barriers;
}

LogicalResult Differentiator::visitRecomputed(txs::BlockOp Block,
                                              ArrayRef<Value> ResultGradients) {
  IRMapping Mapping;
  SmallVector<txs::RecomputeBarrierOp> Barriers = buildBarriers(Block, Mapping);
  mlir::Block &Body = Block.getBody().front();
  SmallVector<Operation *> Copies;
  for (Operation &Op : Body.without_terminator())
    Copies.push_back(Builder.clone(Op, Mapping));
  for (auto [Result, Gradient] :
       llvm::zip_equal(Body.getTerminator()->getOperands(), ResultGradients))
    if (Gradient)
      accumulate(Gradients[Mapping.lookupOrDefault(Result)], Gradient);
  for (Operation *Copy : llvm::reverse(Copies))
    if (failed(visit(Copy)))
      return failure();
  for (txs::RecomputeBarrierOp Barrier : llvm::reverse(Barriers))
    if (failed(visit(Barrier)))
      return failure();
  return success();
}

void Differentiator::storeGradient(txs::ParameterOp Parameter) {
  auto Name = FlatSymbolRefAttr::get(Parameter.getSymNameAttr());
  Value Gradient = ParameterGradients.lookup(Parameter.getSymNameAttr());
  if (!Gradient) {
    Value Read = txs::ReadOp::create(Builder, Parameter.getLoc(),
                                     Parameter.getType(), Name);
    Gradient =
        txs::ZerosOp::create(Builder, Parameter.getLoc(),
                             txs::gradientTypeOf(Parameter.getType()), Read);
  }
  txs::StoreGradientOp::create(Builder, Parameter.getLoc(), Name, Gradient);
}

/// Inlines the blocks for which `Predicate` holds.
static void inlineBlocks(func::FuncOp Function,
                         function_ref<bool(txs::BlockOp)> Predicate) {
  SmallVector<txs::BlockOp> Blocks;
  Function.walk([&](txs::BlockOp Block) {
    if (Predicate(Block))
      Blocks.push_back(Block);
  });
  for (txs::BlockOp Block : Blocks)
    inlineBlock(Block);
}

/// Uses come after definitions, so one sweep backwards finds everything dead.
static void eraseDeadOperations(mlir::Block &Body) {
  for (Operation &Op : llvm::make_early_inc_range(llvm::reverse(Body)))
    if (isOpTriviallyDead(&Op) ||
        (isa<txs::RecomputeBarrierOp>(Op) && Op.use_empty()))
      Op.erase();
}

LogicalResult Differentiator::run(OpOperand &Loss, ModuleOp Module) {
  inlineBlocks(Function, [](txs::BlockOp B) { return !B.getRecompute(); });
  mlir::Block &Body = Function.getBody().front();
  SmallVector<Operation *> Forward;
  for (Operation &Op : Body.without_terminator())
    Forward.push_back(&Op);
  seed(Loss.get());
  for (Operation *Op : llvm::reverse(Forward))
    if (failed(visit(Op)))
      return failure();
  for (auto Parameter : Module.getOps<txs::ParameterOp>())
    storeGradient(Parameter);
  // What a recomputed block keeps is decided now: its values have no use in the
  // backward sweep. So the blocks have served their purpose, and the list gets
  // flat for everything that follows.
  inlineBlocks(Function, [](txs::BlockOp) { return true; });
  eraseDeadOperations(Body);
  return success();
}

/// Appends to `Function`, whose result "loss" is computed by the operations
/// before it, the gradient of that loss for every parameter of `Module`.
static LogicalResult differentiate(func::FuncOp Function, ModuleOp Module) {
  func::ReturnOp Return = returnOf(Function, "to differentiate");
  if (!Return)
    return failure();
  for (unsigned Index = 0; Index < Function.getNumResults(); ++Index) {
    auto Name =
        Function.getResultAttrOfType<StringAttr>(Index, txs::OutputAttribute);
    if (!Name || Name.getValue() != "loss")
      continue;
    auto Type = dyn_cast<RankedTensorType>(Function.getResultTypes()[Index]);
    if (!Type || Type.getRank() != 0 || !isa<FloatType>(Type.getElementType()))
      return Function.emitError("the loss must be a float tensor of rank 0, "
                                "but is ")
             << Function.getResultTypes()[Index];
    return Differentiator(Function).run(Return->getOpOperand(Index), Module);
  }
  return Function.emitError("a function to differentiate must have a result "
                            "named \"loss\", but '")
         << Function.getSymName() << "' has none";
}

namespace {
struct Autodiff : public impl::TxsAutodiffBase<Autodiff> {
  void runOnOperation() override {
    for (auto Function : getOperation().getOps<func::FuncOp>()) {
      if (!Function->hasAttr(DifferentiateAttribute))
        continue;
      if (failed(differentiate(Function, getOperation())))
        return signalPassFailure();
      Function->removeAttr(DifferentiateAttribute);
    }
  }
};
} // namespace
} // namespace transxssm
