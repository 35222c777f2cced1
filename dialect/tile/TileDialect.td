//===- TileDialect.td - The tile dialect -------------------*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TILE_TILEDIALECT_TD
#define TRANSXSSM_DIALECT_TILE_TILEDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::transxssm::tile";
  let summary = "Kernels as programs over tiles";
  let description = [{
    A `tile.kernel` is one program, run once for each cell of a grid. Its values
    are *tiles*: builtin tensors of static shape, positive extents and rank 1 or 2
    (rank 0 is the plain scalar type). There are no threads, layouts or fast
    memories here; a kernel reads like the mathematics on a page and is written
    once for every target.

    Elementwise work on tiles uses the upstream `arith` and `math` operations,
    which accept tensors; loops and branches are `scf.for` and `scf.if`, which
    may carry tiles. This dialect adds only what upstream lacks: kernels, masked
    tile loads and stores, products, broadcasts, reductions, scans, transposition
    and the rotary embedding.

    Kernel arguments are memrefs (identity layout, dense row-major; dynamic
    dimensions are whatever the launch says) and `index`. A memref is memory that
    other cells may write: two cells of a launch never write the same element, and
    no cell reads what another cell of the launch writes. Within a cell, loads and
    stores happen in program order.
  }];
}

class Tile_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tile_Dialect, mnemonic, traits>;

#endif // TRANSXSSM_DIALECT_TILE_TILEDIALECT_TD
