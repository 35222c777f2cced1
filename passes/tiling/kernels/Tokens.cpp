//===- Tokens.cpp - Looking up, appending and picking tokens --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// embedding     result[r, :] = weight[ids[r], :]
// cache_append  cache[b, past + t, :] = tokens[b, t, :], in place
// last_token    result[b, :] = x[b, l, :], l the last token, or the last one
//               whose mask is not 0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

//===----------------------------------------------------------------------===//
// Embedding
//===----------------------------------------------------------------------===//

static LogicalResult lowerEmbedding(txs::EmbeddingOp Op, EntryBuilder &E) {
  auto Weight = cast<RankedTensorType>(Op.getWeight().getType());
  int64_t V = Weight.getDimSize(0), D = Weight.getDimSize(1);
  constexpr int64_t R = 8;
  int64_t C = tileFor(D, 64, 512);
  Type From = Weight.getElementType(), To = E.element(Op.getResult());
  auto Kernel = defineKernel(
      E.module(),
      llvm::formatv("embedding_v{0}_n{1}{2}", V, D, typeSuffix({From, To})), 1,
      [&](TileBuilder &B) {
        Tile Ids = B.integerMemory({Dynamic}), Table = B.memory({V, D}, From);
        Tile Result = B.memory({Dynamic, D}, To);
        Tile Row = B.grid(0) * R;
        // Rows past the end read row 0 and are not stored.
        Tile Rows = B.load(Ids, {Row}, {R});
        B.forColumns(D, C, [&](Tile Column) {
          B.store(B.gather(Table, Rows, Column, C), Result, {Row, Column});
        });
      });
  AffineExpr Tokens = E.tokens(Op.getIds());
  E.launch(Kernel, {Tokens.ceilDiv(R)},
           {{E.read(Op.getIds()), {Tokens}},
            {E.read(Op.getWeight())},
            {E.write(Op.getResult()), {Tokens}}});
  return success();
}

//===----------------------------------------------------------------------===//
// Cache
//===----------------------------------------------------------------------===//

static tile::KernelOp buildCacheAppend(ModuleOp Module, int64_t Width,
                                       int64_t RowTile, Type Element) {
  int64_t C = tileFor(Width, 64, 1024);
  return defineKernel(
      Module, "cache_append_n" + Twine(Width) + typeSuffix(Element), 2,
      [&](TileBuilder &B) {
        Tile Tokens = B.memory({Dynamic, Dynamic, Width}, Element);
        Tile Cache = B.memory({Dynamic, Dynamic, Width}, Element);
        Tile Past = B.indexArgument();
        Tile Batch = B.grid(0), First = B.grid(1) * RowTile;
        // What follows the last token of this call stays as it is.
        Tile Position = B.iota({RowTile, C}) + B.toI32(First);
        Tile New = Position < B.toI32(B.extent(Tokens, 1));
        B.forColumns(Width, C, [&](Tile Column) {
          Tile Value = B.load(Tokens, {Batch, First, Column}, {RowTile, C});
          Tile Old = B.load(Cache, {Batch, Past + First, Column}, {RowTile, C});
          B.store(select(New, Value, Old), Cache,
                  {Batch, Past + First, Column});
        });
      });
}

static LogicalResult lowerCacheAppend(txs::CacheAppendOp Op, EntryBuilder &E) {
  Value Tokens = Op.getTokens(), Cache = Op.getCache();
  int64_t Width = E.width(Cache);
  int64_t RowTile =
      powerOfTwoAtMost(std::clamp<int64_t>(FlatTile / Width, 1, 64));
  Buffer *From = E.read(Tokens);
  Buffer *To = E.writeInPlace(Op.getResult(), Cache, Op);
  SmallVector<AffineExpr> Extents = E.shape(Tokens), Room = E.shape(Cache);
  E.launch(buildCacheAppend(E.module(), Width, RowTile, E.element(Cache)),
           {Extents[0], Extents[1].ceilDiv(RowTile)},
           {{From, {Extents[0], Extents[1]}},
            {To, {Room[0], Room[1]}},
            E.index(Op.getPast())});
  return success();
}

//===----------------------------------------------------------------------===//
// Last token
//===----------------------------------------------------------------------===//

Tile tiling::lastPosition(TileBuilder &B, Tile Mask, Tile Batch, Tile Length) {
  Tile Last = Length - 1;
  if (!Mask)
    return Last;
  return B.forLoop(0, Length, 1, {Last}, [&](Tile T, ArrayRef<Tile> Carried) {
    Tile Present = notEqual(B.load(Mask, {Batch, T}), 0);
    return SmallVector<Tile>{select(Present, T, Carried[0])};
  })[0];
}

static LogicalResult lowerLastToken(txs::LastTokenOp Op, EntryBuilder &E) {
  int64_t D = E.width(Op.getInput()), C = tileFor(D, 64, 1024);
  bool Masked = static_cast<bool>(Op.getMask());
  Type From = E.element(Op.getInput()), To = E.element(Op.getResult());
  auto Kernel =
      defineKernel(E.module(),
                   llvm::formatv("last_token_n{0}{1}{2}", D,
                                 typeSuffix({From, To}), Masked ? "_mask" : ""),
                   1, [&](TileBuilder &B) {
                     Tile X = B.memory({Dynamic, Dynamic, D}, From);
                     Tile Mask = Masked ? B.memory({Dynamic, Dynamic}) : Tile();
                     Tile Result = B.memory({Dynamic, D}, To);
                     Tile Batch = B.grid(0);
                     Tile Last = lastPosition(B, Mask, Batch, B.extent(X, 1));
                     B.forColumns(D, C, [&](Tile Column) {
                       B.store(B.load(X, {Batch, Last, Column}, {C}), Result,
                               {Batch, Column});
                     });
                   });
  SmallVector<AffineExpr> Extents = {E.batch(), E.seq()};
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getInput()), Extents}};
  if (Masked)
    Arguments.push_back({E.read(Op.getMask()), Extents});
  Arguments.push_back({E.write(Op.getResult()), {E.batch()}});
  E.launch(Kernel, {E.batch()}, Arguments);
  return success();
}

void tiling::registerTokens(LoweringTable &Table) {
  Table.add<txs::EmbeddingOp>(lowerEmbedding);
  Table.add<txs::CacheAppendOp>(lowerCacheAppend);
  Table.add<txs::LastTokenOp>(lowerLastToken);
}
