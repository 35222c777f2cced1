//===- TxsDialect.td - The txs dialect ---------------------*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_TXSDIALECT_TD
#define TRANSXSSM_DIALECT_TXS_TXSDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"

def Txs_Dialect : Dialect {
  let name = "txs";
  let cppNamespace = "::transxssm::txs";
  let summary = "The model: state-space and attention layers on tensors";
  let description = [{
    Values are builtin tensors with dynamic batch `B` and sequence `T`, which come
    first, and static widths: `tensor<?x?x1024xf32>` is [B, T, D]. Parameters are symbols that carry
    their checkpoint name. State is always an operand and a result (`ssm_scan`
    takes the initial state and returns the final one, `cache_append` takes and
    returns a cache), so a training pass, a prefill from any past and a one-token
    step are the same operations. Gradients, the loss and the optimizer are
    operations of this level too: a training step is one function.

    Symbols in the documentation: `B` batch, `T` tokens of this call, `S` keys (T,
    or the capacity of a cache), `D` hidden size, `F` intermediate size, `V`
    vocabulary, `H` heads, `G` key/value heads, `P` head size, `N` state size
    (equal to P in TransXSSM).

    A model is a builtin module of `txs.parameter`s and `func.func`s, one per
    entry. Function arguments carry `txs.input = "NAME"` (given by the caller) or
    `txs.state = "NAME"` (kept in the cache between calls); results carry
    `txs.output = "NAME"` or `txs.state = "NAME"`.

    Element types say in which precision a value is kept, never in which it is
    computed: every operation computes in float32 or better and rounds its
    results. In mixed precision (see the pass `txs-mixed-precision`) activations
    and their gradients are bf16, as are parameters of rank 2 and more; scan
    states, step sizes, `log_sum_exp`, logits, the loss, parameters of rank 1 and
    the gradients of all parameters are float32. Where an operation has operands
    that must agree, a constraint says so; others may be mixed.
  }];
}

class Txs_Op<string mnemonic, list<Trait> traits = []>
    : Op<Txs_Dialect, mnemonic, traits>;

#endif // TRANSXSSM_DIALECT_TXS_TXSDIALECT_TD
