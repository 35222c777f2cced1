//===- InlineBlocks.cpp - Dissolves blocks --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/InlineBlocks.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace transxssm;

namespace transxssm {
#define GEN_PASS_DEF_TXSINLINEBLOCKS
#include "passes/Passes.h.inc"
} // namespace transxssm

void transxssm::inlineBlock(txs::BlockOp Block) {
  mlir::Block &Body = Block.getBody().front();
  Operation *Yield = Body.getTerminator();
  Block->replaceAllUsesWith(Yield->getOperands());
  Yield->erase();
  Block->getBlock()->getOperations().splice(Block->getIterator(),
                                            Body.getOperations());
  Block->erase();
}

namespace {
struct InlineBlocks
    : public transxssm::impl::TxsInlineBlocksBase<InlineBlocks> {
  void runOnOperation() override {
    SmallVector<txs::BlockOp> Blocks;
    getOperation()->walk([&](txs::BlockOp Block) { Blocks.push_back(Block); });
    for (txs::BlockOp Block : Blocks)
      inlineBlock(Block);
  }
};
} // namespace
