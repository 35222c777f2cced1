//===- PlanDialect.td - The plan dialect -------------------*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_PLAN_PLANDIALECT_TD
#define TRANSXSSM_DIALECT_PLAN_PLANDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::transxssm::plan";
  let summary = "What the host does: buffers and launches";
  let description = [{
    A `plan.entry` is one function of the model as *data*: buffers with size
    expressions and live ranges, then an ordered list of kernel launches. It is
    serialised into the package one to one (`runtime/package.fbs`).

    Every expression is an affine map without dimensions over four symbols:
    `s0` = batch, `s1` = seq (tokens of this call), `s2` = past (tokens in the
    cache), `s3` = capacity (tokens that the cache can hold). Products of symbols
    are allowed (`s0 * s1`).
  }];
  let useDefaultTypePrinterParser = 1;
}

def Plan_BufferType : TypeDef<Plan_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "a region of memory that launches read and write";
}

class Plan_Op<string mnemonic, list<Trait> traits = []>
    : Op<Plan_Dialect, mnemonic, traits>;

#endif // TRANSXSSM_DIALECT_PLAN_PLANDIALECT_TD
