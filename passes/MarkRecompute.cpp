//===- MarkRecompute.cpp - Chooses blocks to recompute --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace transxssm;

namespace transxssm {
#define GEN_PASS_DEF_TXSMARKRECOMPUTE
#include "passes/Passes.h.inc"
} // namespace transxssm

namespace {
struct MarkRecompute
    : public transxssm::impl::TxsMarkRecomputeBase<MarkRecompute> {
  using TxsMarkRecomputeBase::TxsMarkRecomputeBase;

  void runOnOperation() override {
    if (blocks < -1) {
      getOperation()->emitError("option blocks must be at least -1, but is ")
          << blocks.getValue();
      return signalPassFailure();
    }
    for (auto Function : getOperation().getOps<func::FuncOp>()) {
      if (!Function->hasAttr(DifferentiateAttribute))
        continue;
      int64_t Position = 0;
      // In program order, marking and unmarking, so that a caller can search
      // for the smallest number that fits its memory.
      Function.walk([&](txs::BlockOp Block) {
        Block.setRecompute(blocks == -1 || Position++ < blocks);
      });
    }
  }
};
} // namespace
