//===- MixedPrecision.cpp - Activations and weights in bf16 ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Mixed precision as in Micikevicius et al., "Mixed precision training", arXiv
// 1710.03740, with bf16, whose range needs no loss scaling. What stays float32
// is found in two steps: the values that must, then those that an operation
// ties to them because it has one type for both.
//
//===----------------------------------------------------------------------===//

#include "passes/FunctionBody.h"
#include "passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace transxssm;

namespace transxssm {
#define GEN_PASS_DEF_TXSMIXEDPRECISION
#include "passes/Passes.h.inc"
} // namespace transxssm

namespace {
/// Chooses the types of one function.
class TypeChooser {
public:
  explicit TypeChooser(func::FuncOp Function) : Function(Function) {}

  LogicalResult run();

private:
  void keepInterface();
  LogicalResult keepRequired(Operation *Op);
  bool spread(Operation *Op);
  bool tie(ValueRange Values);
  void keep(Value V) {
    if (V)
      Wide.insert(V);
  }
  void narrow(Value V);

  func::FuncOp Function;
  llvm::DenseSet<Value> Wide; ///< what stays as it is
};

/// Whether a parameter of this type is kept in bf16.
bool isNarrowParameter(Type Declared) {
  auto Tensor = dyn_cast<RankedTensorType>(Declared);
  return Tensor && Tensor.getElementType().isF32() && Tensor.getRank() >= 2;
}

Type narrowType(Type Kept) {
  return cast<RankedTensorType>(Kept).clone(
      BFloat16Type::get(Kept.getContext()));
}
} // namespace

/// What the caller gives and gets. States are free: a cache is what its users
/// need it to be.
void TypeChooser::keepInterface() {
  for (BlockArgument Argument : Function.getArguments())
    if (!Function.getArgAttr(Argument.getArgNumber(), txs::StateAttribute))
      keep(Argument);
  Operation *Return = Function.getBody().front().getTerminator();
  for (OpOperand &Operand : Return->getOpOperands())
    if (!Function.getResultAttr(Operand.getOperandNumber(),
                                txs::StateAttribute))
      keep(Operand.get());
}

/// The operands and results of an operation that are float32 by its definition.
LogicalResult TypeChooser::keepRequired(Operation *Op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(Op)
      .Case([&](txs::ReadOp Read) {
        if (!isNarrowParameter(Read.getType()))
          keep(Read);
        return success();
      })
      .Case([&](txs::SsmScanOp Scan) {
        keep(Scan.getDt());
        keep(Scan.getA());
        keep(Scan.getInitial());
        keep(Scan.getFinal());
        return success();
      })
      .Case([&](txs::AttentionOp Attention) {
        keep(Attention.getLogSumExp());
        return success();
      })
      .Case([&](txs::SampleOp Sample) {
        keep(Sample.getLogits());
        keep(Sample.getSettings());
        return success();
      })
      .Case([&](txs::LinearCrossEntropyOp Loss) {
        keep(Loss.getLoss());
        keep(Loss.getLogSumExp());
        return success();
      })
      .Case<txs::BlockOp, txs::YieldOp, txs::EmbeddingOp, txs::RmsNormOp,
            txs::LinearOp, txs::ActivationOp, txs::MulOp, txs::AddOp,
            txs::ScaleOp, txs::ResidualOp, txs::MaskOp, txs::DropoutOp,
            txs::RopeOp, txs::CacheAppendOp, txs::LastTokenOp, txs::ZerosOp,
            func::ReturnOp>([](Operation *) { return success(); })
      .Default([](Operation *Unknown) {
        return Unknown->emitOpError("has no form in mixed precision: "
                                    "txs-mixed-precision comes before "
                                    "txs-autodiff");
      });
}

/// All of them stay wide if one does; whether that changes anything.
bool TypeChooser::tie(ValueRange Values) {
  if (llvm::none_of(Values, [&](Value V) { return Wide.contains(V); }))
    return false;
  bool Changed = false;
  for (Value V : Values)
    Changed |= Wide.insert(V).second;
  return Changed;
}

/// Ties the values for which an operation has one type.
bool TypeChooser::spread(Operation *Op) {
  return llvm::TypeSwitch<Operation *, bool>(Op)
      .Case<txs::ActivationOp, txs::MulOp, txs::AddOp, txs::ZerosOp>(
          [&](Operation *Same) {
            SmallVector<Value> All(Same->getOperands());
            All.push_back(Same->getResult(0));
            return tie(All);
          })
      .Case<txs::RmsNormOp, txs::ScaleOp, txs::MaskOp, txs::DropoutOp,
            txs::RopeOp, txs::LastTokenOp>([&](auto First) {
        return tie({First.getInput(), First.getResult()});
      })
      .Case([&](txs::ResidualOp Residual) {
        return tie(
            {Residual.getInput(), Residual.getUpdate(), Residual.getResult()});
      })
      .Case([&](txs::CacheAppendOp Append) {
        return tie({Append.getCache(), Append.getTokens(), Append.getResult()});
      })
      .Case([&](txs::SsmScanOp Scan) {
        return tie({Scan.getC(), Scan.getB(), Scan.getX(), Scan.getY()});
      })
      .Case([&](txs::AttentionOp Attention) {
        return tie({Attention.getQuery(), Attention.getKey(),
                    Attention.getValue(), Attention.getResult()});
      })
      .Case([&](txs::BlockOp Block) {
        bool Changed = false;
        Operation *Yield = Block.getBody().front().getTerminator();
        for (auto [Result, Yielded] :
             llvm::zip_equal(Block.getResults(), Yield->getOperands()))
          Changed |= tie({Result, Yielded});
        return Changed;
      })
      .Default([](Operation *) { return false; });
}

void TypeChooser::narrow(Value V) {
  auto Tensor = dyn_cast<RankedTensorType>(V.getType());
  if (Tensor && Tensor.getElementType().isF32() && !Wide.contains(V))
    V.setType(narrowType(Tensor));
}

LogicalResult TypeChooser::run() {
  keepInterface();
  WalkResult Known = Function.getBody().walk([&](Operation *Op) {
    return failed(keepRequired(Op)) ? WalkResult::interrupt()
                                    : WalkResult::advance();
  });
  if (Known.wasInterrupted())
    return failure();
  for (bool Changed = true; Changed;) {
    Changed = false;
    Function.getBody().walk([&](Operation *Op) { Changed |= spread(Op); });
  }
  for (BlockArgument Argument : Function.getArguments())
    narrow(Argument);
  Function.getBody().walk([&](Operation *Op) {
    for (Value Result : Op->getResults())
      narrow(Result);
  });
  Block &Body = Function.getBody().front();
  Function.setFunctionType(
      FunctionType::get(Function.getContext(), Body.getArgumentTypes(),
                        Body.getTerminator()->getOperandTypes()));
  return success();
}

namespace {
struct MixedPrecision
    : public transxssm::impl::TxsMixedPrecisionBase<MixedPrecision> {
  void runOnOperation() override {
    for (auto Function : getOperation().getOps<func::FuncOp>()) {
      if (!returnOf(Function, "for mixed precision") ||
          failed(TypeChooser(Function).run()))
        return signalPassFailure();
    }
    for (auto Parameter : getOperation().getOps<txs::ParameterOp>())
      if (isNarrowParameter(Parameter.getType()))
        Parameter.setType(narrowType(Parameter.getType()));
  }
};
} // namespace
