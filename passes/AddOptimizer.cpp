//===- AddOptimizer.cpp - The optimizer step of a training function -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/FunctionBody.h"
#include "passes/Passes.h"

using namespace mlir;

namespace transxssm {
#define GEN_PASS_DEF_TXSADDOPTIMIZER
#include "passes/Passes.h.inc"

/// The argument that the caller gives as `Name`, null if there is none.
static Value findInput(func::FuncOp Function, StringRef Name) {
  for (BlockArgument Argument : Function.getArguments()) {
    auto Input = Function.getArgAttrOfType<StringAttr>(Argument.getArgNumber(),
                                                       txs::InputAttribute);
    if (Input && Input.getValue() == Name)
      return Argument;
  }
  return {};
}

/// Returns `Norm` as a further result of the function.
static void appendResult(func::FuncOp Function, func::ReturnOp Return,
                         Value Norm) {
  Return->insertOperands(Return->getNumOperands(), Norm);
  auto Output = NamedAttribute(
      StringAttr::get(Function.getContext(), txs::OutputAttribute),
      StringAttr::get(Function.getContext(), "grad_norm"));
  (void)Function.insertResult(
      Function.getNumResults(), Norm.getType(),
      DictionaryAttr::get(Function.getContext(), Output));
}

static LogicalResult addOptimizer(func::FuncOp Function, ModuleOp Module) {
  if (Function->hasAttr(DifferentiateAttribute))
    return Function.emitError("'")
           << Function.getSymName()
           << "' has no gradients yet: txs-autodiff comes before";
  func::ReturnOp Return = returnOf(Function, "to optimize");
  if (!Return)
    return failure();
  Value Hyperparameters = findInput(Function, "hyperparameters");
  if (!Hyperparameters)
    return Function.emitError("a function to optimize must have an input named "
                              "\"hyperparameters\", but '")
           << Function.getSymName() << "' has none";
  DenseMap<StringAttr, txs::StoreGradientOp> Stores;
  Function.walk([&](txs::StoreGradientOp Store) {
    Stores[Store.getParameterAttr().getAttr()] = Store;
  });
  // In the order of the parameters, so that the norm is the same sum whatever
  // order the gradients are made in.
  SmallVector<txs::StoreGradientOp> Ordered;
  for (auto Parameter : Module.getOps<txs::ParameterOp>()) {
    txs::StoreGradientOp Store = Stores.lookup(Parameter.getSymNameAttr());
    if (!Store)
      return Function.emitError("parameter '")
             << Parameter.getSymName() << "' has no gradient in '"
             << Function.getSymName() << "'";
    Ordered.push_back(Store);
  }
  OpBuilder Builder(Return);
  SmallVector<Value> Gradients;
  for (txs::StoreGradientOp Store : Ordered)
    Gradients.push_back(Store.getGradient());
  Value Norm = txs::GlobalNormOp::create(
      Builder, Function.getLoc(),
      RankedTensorType::get({}, Builder.getF32Type()), Gradients);
  for (txs::StoreGradientOp Store : Ordered)
    txs::AdamWOp::create(Builder, Function.getLoc(), Store.getParameterAttr(),
                         Store.getGradient(), Norm, Hyperparameters);
  appendResult(Function, Return, Norm);
  return success();
}

namespace {
struct AddOptimizer : public impl::TxsAddOptimizerBase<AddOptimizer> {
  void runOnOperation() override {
    for (auto Function : getOperation().getOps<func::FuncOp>()) {
      if (!Function->hasAttr(OptimizeAttribute))
        continue;
      if (failed(addOptimizer(Function, getOperation())))
        return signalPassFailure();
      Function->removeAttr(OptimizeAttribute);
    }
  }
};
} // namespace
} // namespace transxssm
