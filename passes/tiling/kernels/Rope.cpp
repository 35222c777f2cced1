//===- Rope.cpp - Rotary position embedding -------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// result = [u1 cos - u2 sin, u2 cos + u1 sin] for the halves u1, u2 of every
// head (Su et al., arXiv 2104.09864). Tokens of all sequences are rows of one
// matrix; row r stands for token r mod T of the call, whose line of the table
// it takes.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

std::pair<Tile, Tile> tiling::loadRopeTables(TileBuilder &B, Tile Cos, Tile Sin,
                                             Tile Row, int64_t Rows) {
  Tile Length = B.toI32(B.extent(Cos, 0));
  Tile Positions = (B.iota({Rows}) + B.toI32(Row)) % B.fill(Length, {Rows});
  int64_t Half = Cos.columns();
  return {B.gather(Cos, Positions, 0, Half), B.gather(Sin, Positions, 0, Half)};
}

static LogicalResult lowerRope(txs::RopeOp Op, EntryBuilder &E) {
  int64_t P = E.columns(Op.getInput()), Width = E.width(Op.getInput());
  int64_t C = P * tileFor(Width / P, 1, std::max<int64_t>(512 / P, 1));
  int64_t R = powerOfTwoAtMost(std::clamp<int64_t>(FlatTile / Width, 1, 64));
  Type Element = E.element(Op.getInput());
  auto Kernel = defineKernel(
      E.module(),
      llvm::formatv("rope_n{0}_p{1}{2}{3}", Width, P, typeSuffix(Element),
                    Op.getInverse() ? "_inverse" : ""),
      1, [&](TileBuilder &B) {
        Tile X = B.memory({Dynamic, Width}, Element);
        Tile CosTable = B.memory({Dynamic, P / 2});
        Tile SinTable = B.memory({Dynamic, P / 2});
        Tile Result = B.memory({Dynamic, Width}, Element);
        Tile Row = B.grid(0) * R;
        auto [Cos, Sin] = loadRopeTables(B, CosTable, SinTable, Row, R);
        B.forColumns(Width, C, [&, Cos = Cos, Sin = Sin](Tile Column) {
          Tile Heads = B.load(X, {Row, Column}, {R, C});
          B.store(B.rope(Heads, Cos, Sin, Op.getInverse()), Result,
                  {Row, Column});
        });
      });
  AffineExpr Tokens = E.tokens(Op.getInput());
  E.launch(Kernel, {Tokens.ceilDiv(R)},
           {{E.read(Op.getInput()), {Tokens}},
            {E.read(Op.getCos()), {E.seq()}},
            {E.read(Op.getSin()), {E.seq()}},
            {E.write(Op.getResult()), {Tokens}}});
  return success();
}

void tiling::registerRope(LoweringTable &Table) {
  Table.add<txs::RopeOp>(lowerRope);
}
