//===- EmbeddingGrad.cpp - Gradient of the embedding ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//   dweight[v, :] = sum over rows r with ids[r] = v of dresult[r, :]
//
// A cell owns a block of the vocabulary: it clears those rows, then goes
// through all tokens in order and adds the ones that are its own. No two cells
// write one row, so there is nothing to make atomic and the order is fixed.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

tile::KernelOp tiling::buildEmbeddingGrad(ModuleOp Module, int64_t Vocabulary,
                                          int64_t Width, int64_t PadToken,
                                          Type Element) {
  std::string Name = "embedding_grad_v" + std::to_string(Vocabulary) + "_n" +
                     std::to_string(Width) + typeSuffix(Element);
  if (PadToken >= 0)
    Name += "_pad" + std::to_string(PadToken);
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    Tile DResult = B.memory({Dynamic, Width}, Element);
    Tile Ids = B.integerMemory({Dynamic});
    Tile DWeight = B.memory({Vocabulary, Width});
    constexpr int64_t ClearRows = 16;
    int64_t Columns = tileExtent(Width, 256);
    Tile First = B.grid(0) * EmbeddingBlockRows;
    Tile End = minimum(First + EmbeddingBlockRows, Vocabulary);

    B.forLoop(First, End, ClearRows, [&](Tile Row) {
      B.forLoop(0, Width, Columns, [&](Tile Column) {
        B.store(B.zeros({ClearRows, Columns}), DWeight, {Row, Column});
      });
    });
    B.forLoop(0, B.extent(Ids, 0), 1, [&](Tile Token) {
      Tile Id = B.toIndex(B.load(Ids, {Token}));
      Tile Mine = (Id >= First) & (Id < End);
      if (PadToken >= 0)
        Mine = Mine & notEqual(Id, PadToken);
      B.ifThen(Mine, [&] {
        B.forLoop(0, Width, Columns, [&](Tile Column) {
          Tile Sum = B.load(DWeight, {Id, Column}, {Columns}) +
                     B.load(DResult, {Token, Column}, {Columns});
          B.store(Sum, DWeight, {Id, Column});
        });
      });
    });
  });
}

static LogicalResult lowerEmbeddingGrad(txs::EmbeddingGradOp Op,
                                        EntryBuilder &E) {
  auto Type = cast<RankedTensorType>(Op.getDweight().getType());
  int64_t Vocabulary = Type.getDimSize(0), Width = Type.getDimSize(1);
  AffineExpr Rows = E.tokens(Op.getIds());
  int64_t PadToken = Op.getPadToken() ? int64_t(*Op.getPadToken()) : -1;
  E.launch(buildEmbeddingGrad(E.module(), Vocabulary, Width, PadToken,
                              E.element(Op.getDresult())),
           {E.constant(llvm::divideCeil(Vocabulary, EmbeddingBlockRows))},
           {{E.read(Op.getDresult()), {Rows}},
            {E.read(Op.getIds()), {Rows}},
            {E.write(Op.getDweight())}});
  return success();
}

void tiling::registerEmbeddingGrad(LoweringTable &Table) {
  Table.add<txs::EmbeddingGradOp>(lowerEmbeddingGrad);
}
