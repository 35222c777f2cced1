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
// A table that is the weight of the logits as well has another gradient, to
// which this one is added. Most rows get nothing: instead of clearing and
// adding a whole table the sums of the rows that do are made apart, each in the
// place of the first token of its id, and then added.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

static std::string kernelName(StringRef Kind, int64_t Vocabulary, int64_t Width,
                              int64_t PadToken, Type Element) {
  std::string Name = Kind.str() + "_v" + std::to_string(Vocabulary) + "_n" +
                     std::to_string(Width) + typeSuffix(Element);
  return PadToken < 0 ? Name : Name + "_pad" + std::to_string(PadToken);
}

namespace {
/// The tokens whose rows a cell owns.
struct OwnTokens {
  TileBuilder &B;
  Tile Ids;
  int64_t Vocabulary, PadToken;
  Tile First = B.grid(0) * EmbeddingBlockRows;
  Tile End = minimum(First + EmbeddingBlockRows, Vocabulary);

  void visit(function_ref<void(Tile Token, Tile Id)> Body) const {
    B.forLoop(0, B.extent(Ids, 0), 1, [&](Tile Token) {
      Tile Id = B.toIndex(B.load(Ids, {Token}));
      Tile Mine = (Id >= First) & (Id < End);
      if (PadToken >= 0)
        Mine = Mine & notEqual(Id, PadToken);
      B.ifThen(Mine, [&] { Body(Token, Id); });
    });
  }
};
} // namespace

/// Row `Row` of `To` += row `From` of `Added`.
static void addRow(TileBuilder &B, Tile To, Tile Row, Tile Added, Tile From) {
  int64_t Width = To.columns(), Columns = tileExtent(Width, 256);
  B.forLoop(0, Width, Columns, [&](Tile Column) {
    Tile Sum = B.load(To, {Row, Column}, {Columns}) +
               B.load(Added, {From, Column}, {Columns});
    B.store(Sum, To, {Row, Column});
  });
}

tile::KernelOp tiling::buildEmbeddingGrad(ModuleOp Module, int64_t Vocabulary,
                                          int64_t Width, int64_t PadToken,
                                          Type Element) {
  std::string Name =
      kernelName("embedding_grad", Vocabulary, Width, PadToken, Element);
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    Tile DResult = B.memory({Dynamic, Width}, Element);
    Tile Ids = B.integerMemory({Dynamic});
    Tile DWeight = B.memory({Vocabulary, Width});
    constexpr int64_t ClearRows = 16;
    int64_t Columns = tileExtent(Width, 256);
    OwnTokens Own{B, Ids, Vocabulary, PadToken};
    B.forLoop(Own.First, Own.End, ClearRows, [&](Tile Row) {
      B.forLoop(0, Width, Columns, [&](Tile Column) {
        B.store(B.zeros({ClearRows, Columns}), DWeight, {Row, Column});
      });
    });
    Own.visit(
        [&](Tile Token, Tile Id) { addRow(B, DWeight, Id, DResult, Token); });
  });
}

tile::KernelOp tiling::buildEmbeddingGradAdd(ModuleOp Module,
                                             int64_t Vocabulary, int64_t Width,
                                             int64_t PadToken, Type Element) {
  std::string Name =
      kernelName("embedding_grad_add", Vocabulary, Width, PadToken, Element);
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    Tile DResult = B.memory({Dynamic, Width}, Element);
    Tile Ids = B.integerMemory({Dynamic});
    Tile FirstOf = B.integerMemory({Vocabulary});
    Tile Sums = B.memory({Dynamic, Width});
    Tile DWeight = B.memory({Vocabulary, Width});
    int64_t Columns = tileExtent(Width, 256);
    OwnTokens Own{B, Ids, Vocabulary, PadToken};
    Tile None = B.constant(-1, Ids.elementType());
    B.store(B.fill(None, {EmbeddingBlockRows}), FirstOf, {Own.First});
    Own.visit([&](Tile Token, Tile Id) {
      B.ifThen(B.load(FirstOf, {Id}) < 0, [&] {
        B.store(B.toI32(Token), FirstOf, {Id});
        B.forLoop(0, Width, Columns, [&](Tile Column) {
          B.store(B.zeros({Columns}), Sums, {Token, Column});
        });
      });
      addRow(B, Sums, B.toIndex(B.load(FirstOf, {Id})), DResult, Token);
    });
    Own.visit([&](Tile Token, Tile Id) {
      B.ifThen(equal(B.toIndex(B.load(FirstOf, {Id})), Token),
               [&] { addRow(B, DWeight, Id, Sums, Token); });
    });
  });
}

static LogicalResult lowerEmbeddingGrad(txs::EmbeddingGradOp Op,
                                        EntryBuilder &E) {
  mlir::Value DWeight = Op.getDweight(), Other = E.addedInPlace(Op);
  auto Table = cast<RankedTensorType>(DWeight.getType());
  int64_t Vocabulary = Table.getDimSize(0), Width = Table.getDimSize(1);
  AffineExpr Rows = E.tokens(Op.getIds());
  int64_t PadToken = Op.getPadToken() ? int64_t(*Op.getPadToken()) : -1;
  Type Element = E.element(Op.getDresult());
  SmallVector<AffineExpr> Grid = {
      E.constant(llvm::divideCeil(Vocabulary, EmbeddingBlockRows))};
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getDresult()), {Rows}},
                                           {E.read(Op.getIds()), {Rows}}};
  if (!Other) {
    Arguments.push_back({E.write(DWeight)});
    E.launch(
        buildEmbeddingGrad(E.module(), Vocabulary, Width, PadToken, Element),
        Grid, Arguments);
    return success();
  }
  Operation *Sum = *DWeight.user_begin();
  Buffer *First = E.temporary("embedding_grad.first", {E.constant(Vocabulary)},
                              IntegerType::get(Op.getContext(), 32));
  Buffer *Sums = E.temporary("embedding_grad.sums", {Rows, E.constant(Width)});
  Arguments.append({{First},
                    {Sums, {Rows}},
                    {E.writeInPlace(Sum->getResult(0), Other, Sum)}});
  E.launch(
      buildEmbeddingGradAdd(E.module(), Vocabulary, Width, PadToken, Element),
      Grid, Arguments);
  return success();
}

void tiling::registerEmbeddingGrad(LoweringTable &Table) {
  Table.add<txs::EmbeddingGradOp>(lowerEmbeddingGrad);
}
