//===- Passes.td - Passes of the compiler ------------------*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_PASSES_TD
#define TRANSXSSM_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

def TxsMixedPrecision : Pass<"txs-mixed-precision", "::mlir::ModuleOp"> {
  let summary = "keep activations and weights in bf16";
  let description = [{
    Rewrites the types of a float32 model, before `txs-autodiff`. Parameters of
    rank 2 and more, activations and attention's caches become bf16. Parameters
    of rank 1, everything the caller gives and gets (masks, rotary tables, logits,
    loss), the scan's step sizes and states and attention's `log_sum_exp` stay
    float32, as does what an operation ties to one of these.
  }];
  let dependentDialects = ["::transxssm::txs::TxsDialect"];
}

def TxsAutodiff : Pass<"txs-autodiff", "::mlir::ModuleOp"> {
  let summary = "append the gradients of the loss";
  let description = [{
    In every function marked `txs.differentiate`, appends the operations that
    compute the gradient of the result "loss" for every parameter of the module,
    and a `txs.store_gradient` for each, in the order of the parameters. A
    parameter that the loss does not depend on gets zeros.

    A block marked `recompute` is computed again, behind a
    `txs.recompute_barrier`, where its gradients need it. Gradients that meet are
    added in the order of the sweep. Blocks are inlined on the way.
  }];
  let dependentDialects = ["::transxssm::txs::TxsDialect",
                           "::mlir::arith::ArithDialect"];
}

def TxsAddOptimizer : Pass<"txs-add-optimizer", "::mlir::ModuleOp"> {
  let summary = "append the optimizer step";
  let description = [{
    In every function marked `txs.optimize`, after `txs-autodiff`: appends the
    global norm of all gradients, which becomes the result "grad_norm", and a
    `txs.adamw` for every parameter, with the input "hyperparameters".
  }];
  let dependentDialects = ["::transxssm::txs::TxsDialect"];
}

def TxsMarkRecompute : Pass<"txs-mark-recompute", "::mlir::ModuleOp"> {
  let summary = "choose the blocks whose activations are recomputed";
  let description = [{
    In every function marked `txs.differentiate`, marks the first `blocks` blocks
    `recompute` and unmarks the others. The first blocks are the ones to choose:
    their activations would live the longest, until the very end of the backward
    sweep.
  }];
  let options = [Option<"blocks", "blocks", "int64_t", /*default=*/"0",
                        "How many blocks to recompute; -1 for all">];
  let dependentDialects = ["::transxssm::txs::TxsDialect"];
}

def TxsInlineBlocks : Pass<"txs-inline-blocks", "::mlir::ModuleOp"> {
  let summary = "replace every txs.block by the operations of its body";
  let description = [{
    Blocks tell autodiff what to recompute together. What comes after works on
    one flat list of operations.
  }];
  let dependentDialects = ["::transxssm::txs::TxsDialect"];
}

def TxsNameOperations : Pass<"txs-name-operations", "::mlir::ModuleOp"> {
  let summary = "give every operation a name that survives lowering";
  let description = [{
    The location of each operation becomes its number in the function, its kind
    and the checkpoint name of the parameter that it uses, or "after" that of
    the last one used before it:

        loc("17 txs.linear @model.layers.0.ssd.c_proj.weight")
        loc("18 txs.rope after @model.layers.0.ssd.c_proj.weight")

    `txs-to-tile` notes in each `plan.launch` which of them its operands hold
    afterwards, and a package keeps the note: that is what a probe compares.
  }];
  let dependentDialects = ["::transxssm::txs::TxsDialect"];
}

def TxsToTile : Pass<"txs-to-tile", "::mlir::ModuleOp"> {
  let summary = "turn the model's functions into kernels and launches";
  let description = [{
    Every function becomes a `plan.entry`: its values become buffers with exact
    live ranges, its operations launches of `tile.kernel`s. Results are written
    where they belong (outputs, states, gradients) without copies. Operations of
    equal shape share one kernel. Chains of elementwise operations behind a
    product or a norm become part of its kernel.
  }];
  let options = [Option<"fuse", "fuse", "bool", /*default=*/"true",
                        "Apply elementwise operations in other kernels">,
                 Option<"gpu", "gpu", "bool", /*default=*/"false",
                        "Choose tile sizes for GPUs">,
                 Option<"productTiles", "product-tiles", "std::string",
                        /*default=*/"\"by-size\"",
                        "Tiles of a GPU's products that continue from a cache: "
                        "by-size, or always large or small, to time both">];
  let dependentDialects = [
    "::transxssm::txs::TxsDialect", "::transxssm::tile::TileDialect",
    "::transxssm::plan::PlanDialect", "::mlir::arith::ArithDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

#endif // TRANSXSSM_PASSES_PASSES_TD
