//===- NameOperations.cpp - Names that survive lowering -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/NameOperations.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace transxssm;

namespace transxssm {
#define GEN_PASS_DEF_TXSNAMEOPERATIONS
#include "passes/Passes.h.inc"
} // namespace transxssm

/// The parameter that an operation updates, or the first among its operands.
static StringRef parameterOf(Operation *Op) {
  if (auto Named = Op->getAttrOfType<FlatSymbolRefAttr>("parameter"))
    return Named.getValue();
  for (Value Operand : Op->getOperands())
    if (auto Read = Operand.getDefiningOp<txs::ReadOp>())
      return Read.getParameter();
  return {};
}

std::string transxssm::operationTitle(Operation *Op) {
  std::string Name = Op->getName().getStringRef().str();
  if (auto Block = dyn_cast<txs::BlockOp>(Op))
    return Name + " " + std::to_string(Block.getLayer());
  if (auto Activation = dyn_cast<txs::ActivationOp>(Op))
    return Name + " " +
           txs::stringifyActivationKind(Activation.getKind()).str();
  StringRef Parameter = parameterOf(Op);
  return Parameter.empty() ? Name : Name + " @" + Parameter.str();
}

void transxssm::nameOperations(ModuleOp Module) {
  for (auto Function : Module.getOps<func::FuncOp>()) {
    int64_t Number = 0;
    StringRef Last; // the parameter last used before the operation
    Function.walk<WalkOrder::PreOrder>([&](Operation *Op) {
      if (Op == Function || isa<txs::ReadOp, txs::BlockOp>(Op) ||
          Op->hasTrait<OpTrait::IsTerminator>())
        return;
      std::string Name = std::to_string(Number++) + " " + operationTitle(Op);
      StringRef Parameter = parameterOf(Op);
      if (Parameter.empty() && !Last.empty())
        Name += " after @" + Last.str();
      else if (!Parameter.empty())
        Last = Parameter;
      Op->setLoc(NameLoc::get(StringAttr::get(Op->getContext(), Name)));
    });
  }
}

StringRef transxssm::operationName(Operation *Op) {
  auto Name = dyn_cast<NameLoc>(Op->getLoc());
  return Name ? Name.getName().getValue() : StringRef();
}

std::string transxssm::valueName(Operation *Op, unsigned Result) {
  std::string Name = operationName(Op).str();
  if (!Name.empty() && Result > 0)
    Name += " #" + std::to_string(Result);
  return Name;
}

namespace {
struct NameOperations
    : public transxssm::impl::TxsNameOperationsBase<NameOperations> {
  void runOnOperation() override { nameOperations(getOperation()); }
};
} // namespace
