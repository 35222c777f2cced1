//===- ReferenceRun.cpp - The named values of an interpreted call ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "tools/probe/ReferenceRun.h"

#include "dialect/txs/TxsDialect.h"
#include "passes/NameOperations.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace transxssm;

/// The operations that make or use gradients.
static llvm::DenseSet<Operation *> gradientOperations(func::FuncOp Entry) {
  llvm::DenseSet<Operation *> Found;
  Entry.walk([&](Operation *Op) {
    bool Uses = llvm::any_of(Op->getOperands(), [&](Value Operand) {
      return Found.contains(Operand.getDefiningOp());
    });
    if (Uses || Op->getName().getStringRef().contains("_grad"))
      Found.insert(Op);
  });
  return Found;
}

Result<ReferenceValues> transxssm::runReference(txs::Interpreter &Runner,
                                                func::FuncOp Entry,
                                                const txs::TensorMap &Inputs,
                                                txs::TensorMap &States) {
  llvm::DenseSet<Operation *> OfGradient = gradientOperations(Entry);
  ReferenceValues Values;
  auto Keep = [&](Operation *Op, const std::string &Name,
                  const txs::Tensor &Content) {
    Values[Name] = {Content, Op, OfGradient.contains(Op)};
  };
  Runner.AfterOperation = [&](Operation *Op,
                              ArrayRef<const txs::Tensor *> Results) {
    std::string Name = operationName(Op).str();
    if (Name.empty())
      return;
    for (auto [Number, Content] : llvm::enumerate(Results))
      if (isa<FloatType>(getElementTypeOrSelf(Op->getResult(Number))))
        Keep(Op, valueName(Op, Number), *Content);
    // As txs-to-tile names what the optimizer writes.
    if (auto Update = dyn_cast<txs::AdamWOp>(Op)) {
      std::string Parameter = Update.getParameter().str();
      Keep(Op, Name + " parameter", Runner.Parameters.at(Parameter));
      Keep(Op, Name + " moment1", Runner.FirstMoments.at(Parameter));
      Keep(Op, Name + " moment2", Runner.SecondMoments.at(Parameter));
    }
  };
  Result<txs::RunResult> Made = Runner.run(Entry.getName(), Inputs, States);
  Runner.AfterOperation = nullptr;
  if (!Made)
    return Made.error();
  for (auto &[Name, Content] : Made->States)
    States[Name] = Content;
  return Values;
}

std::vector<std::string>
transxssm::unwrittenBehind(Operation *Op,
                           const std::map<std::string, size_t> &Written) {
  llvm::SetVector<Operation *> Behind;
  Behind.insert(Op);
  for (size_t I = 0; I < Behind.size(); ++I)
    for (Value Operand : Behind[I]->getOperands()) {
      auto Result = dyn_cast<OpResult>(Operand);
      if (!Result || operationName(Result.getOwner()).empty())
        continue;
      if (!Written.count(
              valueName(Result.getOwner(), Result.getResultNumber())))
        Behind.insert(Result.getOwner());
    }
  std::vector<std::string> Names;
  for (Operation *Fused : llvm::drop_begin(Behind))
    Names.push_back(operationName(Fused).str());
  return Names;
}
