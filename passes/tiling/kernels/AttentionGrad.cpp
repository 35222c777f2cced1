//===- AttentionGrad.cpp - Gradients of attention -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The probabilities are made again tile by tile from the rows' log-sum-exp l
// (Dao, arXiv 2307.08691), with visible[t, s] = s <= t and key s is not masked:
//
//   p[t, s]  = exp(q_t . k_s / sqrt P - l_t) where visible, else 0
//   delta_t  = do_t . o_t
//   ds[t, s] = p[t, s] (keep[t, s] do_t . v_s - delta_t) / sqrt P
//   dq_t = sum over s of ds[t, s] k_s
//   dk_s = sum over t of ds[t, s] q_t
//   dv_s = sum over t of keep[t, s] p[t, s] do_t
//
// keep is 1 without dropout, else 0 or 1 / (1 - probability), drawn as in the
// forward pass. One kernel makes dq, a cell for each tile of queries; one makes
// dk and dv, a cell for each tile of keys, which goes over the query heads of
// its group and the queries in order. Each result is written by one cell.
//
// A query that sees no key has got the mean of all values, which only they have
// a gradient from: dv_s gets keep do_t / T. Such queries, those before the
// first key that is not masked, come in a loop of their own.
//
// Queries past the end load as zeros, so they add nothing to dk and dv.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

tile::KernelOp tiling::buildAttentionDelta(ModuleOp Module, int64_t HeadSize,
                                           Type Element) {
  return defineKernel(
      Module, "attention_delta_p" + Twine(HeadSize) + typeSuffix(Element), 1,
      [&](TileBuilder &B) {
        Tile Result = B.memory({Dynamic, HeadSize}, Element);
        Tile DResult = B.memory({Dynamic, HeadSize}, Element);
        Tile Delta = B.memory({Dynamic});
        int64_t Columns = tileExtent(HeadSize, HeadSize + 15);
        Tile Row = B.grid(0) * AttentionTile;
        Tile O = B.load(Result, {Row, 0}, {AttentionTile, Columns});
        Tile Do = B.load(DResult, {Row, 0}, {AttentionTile, Columns});
        B.store(B.sum(O * Do), Delta, {Row});
      });
}

namespace {
/// The operands that both kernels share, and what they make of them.
struct AttentionGrad {
  AttentionGrad(TileBuilder &B, const AttentionGradShape &S, bool Gpu);

  Tile loadRows(Tile Memory, Tile Batch, Tile Token, Tile Head) {
    return B.load(Memory, {Batch, Token, Head, 0}, {AttentionTile, Width},
                  {1, 3});
  }
  Tile loadVector(Tile Memory, Tile Batch, Tile Token, Tile Head) {
    return B.load(Memory, {Batch, Token, Head}, {AttentionTile}, {1});
  }
  /// Rows that stay for a whole cell, as the right operands of products.
  Tile asRight(Tile Rows) { return Gpu ? Rows : B.transpose(Rows); }
  /// Left times what asRight gave: products of rows.
  Tile multiply(Tile Left, Tile Right) {
    Tile Zero = B.zeros({AttentionTile, AttentionTile});
    return Gpu ? B.mmaTransposedRight(Left, Right, Zero)
               : B.mma(Left, Right, Zero);
  }
  /// Which scores [query, key] count; with Transposed [key, query].
  Tile visible(Tile Batch, Tile QueryToken, Tile KeyToken, bool Transposed);
  /// Stores rows of a gradient; Rotated back with tables declared after it.
  void storeRows(Tile Value, Tile Memory, Tile Batch, Tile Token, Tile Head,
                 std::pair<Tile, Tile> Tables);
  /// Cos and sin.
  std::pair<Tile, Tile> declareTables(bool Rotated);
  /// Value times keep[query, key], or keep[key, query] with Transposed.
  Tile dropped(Tile Value, Tile Batch, Tile Head, Tile QueryToken,
               Tile KeyToken, bool Transposed);
  /// What the queries from `Token` on add to the gradients {dkey, dvalue} of
  /// the keys from `First` on. K and V are those keys and values, as asRight
  /// gives them.
  SmallVector<Tile> addQueries(Tile Batch, Tile Head, Tile Token, Tile First,
                               Tile K, Tile V, ArrayRef<Tile> Sums);
  /// What they add to dvalue where they come before `Blind` and see no key:
  /// then they take a `Share` of every value of the call.
  Tile addBlindQueries(Tile Batch, Tile Head, Tile Token, Tile First,
                       Tile Blind, Tile Share, Tile DValue);

  TileBuilder &B;
  const AttentionGradShape &S;
  bool Gpu;
  int64_t Width;
  ScoreScale Scale;
  Tile DResult, Query, Key, Value, LogSumExp, Delta, Mask, Seed;
};
} // namespace

AttentionGrad::AttentionGrad(TileBuilder &B, const AttentionGradShape &S,
                             bool Gpu)
    : B(B), S(S), Gpu(Gpu), Width(tileExtent(S.HeadSize, S.HeadSize + 15)),
      Scale(S.HeadSize, S.Element) {
  int64_t H = S.Heads, G = S.KeyHeads, P = S.HeadSize;
  DResult = B.memory({Dynamic, Dynamic, H, P}, S.Element);
  Query = B.memory({Dynamic, Dynamic, H, P}, S.Element);
  Key = B.memory({Dynamic, Dynamic, G, P}, S.Element);
  Value = B.memory({Dynamic, Dynamic, G, P}, S.Element);
  LogSumExp = B.memory({Dynamic, Dynamic, H});
  Delta = B.memory({Dynamic, Dynamic, H});
  if (S.Mask)
    Mask = B.memory({Dynamic, Dynamic});
  if (S.Dropout > 0)
    Seed = B.integerMemory({2});
}

std::pair<Tile, Tile> AttentionGrad::declareTables(bool Rotated) {
  if (!Rotated)
    return {};
  Tile Cos = B.memory({Dynamic, S.HeadSize / 2});
  return {Cos, B.memory({Dynamic, S.HeadSize / 2})};
}

void AttentionGrad::storeRows(Tile Value, Tile Memory, Tile Batch, Tile Token,
                              Tile Head, std::pair<Tile, Tile> Tables) {
  auto [Cos, Sin] = Tables;
  if (Cos)
    Value = rotatedBack(B, Value, Cos, Sin, Token);
  B.store(Value, Memory, {Batch, Token, Head, 0}, {1, 3});
}

Tile AttentionGrad::visible(Tile Batch, Tile QueryToken, Tile KeyToken,
                            bool Transposed) {
  int64_t N = AttentionTile;
  Tile Queries = B.iota({N, N}, Transposed ? 1 : 0) + B.toI32(QueryToken);
  Tile Keys = B.iota({N, N}, Transposed ? 0 : 1) + B.toI32(KeyToken);
  Tile Visible = Keys <= Queries;
  if (!S.Mask)
    return Visible;
  Tile M = B.load(Mask, {Batch, KeyToken}, {N});
  return Visible & notEqual(Transposed ? B.asColumn(M, N) : B.asRow(M, N), 0);
}

Tile AttentionGrad::dropped(Tile Value, Tile Batch, Tile Head, Tile QueryToken,
                            Tile KeyToken, bool Transposed) {
  if (S.Dropout <= 0)
    return Value;
  return Value * attentionDropoutFactor(B, Seed, S.Dropout, S.Site,
                                        Batch * S.Heads + Head, QueryToken,
                                        KeyToken, Value.shape(), Transposed);
}

/// The first position of a sequence whose mask is not 0, the length if there is
/// none.
static Tile firstPosition(TileBuilder &B, Tile Mask, Tile Batch) {
  Tile Length = B.extent(Mask, 1);
  return B.forLoop(0, Length, 1, {Length}, [&](Tile T, ArrayRef<Tile> Carried) {
    Tile Present = notEqual(B.load(Mask, {Batch, T}), 0);
    Tile Earlier = minimum(T, Carried[0]);
    return SmallVector<Tile>{select(Present, Earlier, Carried[0])};
  })[0];
}

static std::string shapeName(const AttentionGradShape &S) {
  std::string Dropout;
  if (S.Dropout > 0)
    Dropout =
        "_dropout_p" + numberName(S.Dropout) + "_site" + std::to_string(S.Site);
  return Dropout + "_h" + std::to_string(S.Heads) + "_g" +
         std::to_string(S.KeyHeads) + "_p" + std::to_string(S.HeadSize) +
         typeSuffix(S.Element) + (S.Mask ? "_masked" : "");
}

// Scores are made transposed, [key, query]: the operands that must be
// transposed are then those of the queries, once per cell; on a GPU none, since
// products there read either order.
tile::KernelOp tiling::buildAttentionGradQuery(ModuleOp Module,
                                               const AttentionGradShape &S) {
  return defineKernel(
      Module,
      "attention_grad_query" + shapeName(S) + (S.RotatedQuery ? "_unrope" : ""),
      3, [&](TileBuilder &B) {
        AttentionGrad G(B, S, TileSizes::of(Module).Gpu);
        Tile DQuery =
            B.memory({Dynamic, Dynamic, S.Heads, S.HeadSize}, S.Element);
        auto Tables = G.declareTables(S.RotatedQuery);
        constexpr int64_t N = AttentionTile;
        AttentionCell Cell(B, Module);
        Tile Batch = Cell.Batch, Head = Cell.Head, First = Cell.Number * N;
        Tile KeyHead = Head / (S.Heads / S.KeyHeads);

        Tile Q = G.asRight(
            G.Scale.beforeProduct(G.loadRows(G.Query, Batch, First, Head)));
        Tile Do = G.asRight(G.loadRows(G.DResult, Batch, First, Head));
        Tile Lse = B.asRow(G.loadVector(G.LogSumExp, Batch, First, Head), N);
        Tile Delta = B.asRow(G.loadVector(G.Delta, Batch, First, Head), N);
        Tile End = minimum(First + N, B.extent(G.Query, 1));
        auto Step = [&](Tile Token, ArrayRef<Tile> Carried) {
          Tile K = G.loadRows(G.Key, Batch, Token, KeyHead);
          Tile V = G.loadRows(G.Value, Batch, Token, KeyHead);
          Tile Score = G.Scale.afterProduct(G.multiply(K, Q)) - Lse;
          Tile Visible = G.visible(Batch, First, Token, /*Transposed=*/true);
          Tile P = exp(select(Visible, Score, MaskedExponent));
          Tile DP = G.dropped(G.multiply(V, Do), Batch, Head, First, Token,
                              /*Transposed=*/true);
          Tile DScore = P * (DP - Delta);
          return SmallVector<Tile>{B.mmaTransposedLeft(DScore, K, Carried[0])};
        };
        Tile Sum = B.forLoop(0, End, N, {B.zeros({N, G.Width})}, Step)[0];
        G.storeRows(Sum * G.Scale.Factor, DQuery, Batch, First, Head, Tables);
      });
}

SmallVector<Tile> AttentionGrad::addQueries(Tile Batch, Tile Head, Tile Token,
                                            Tile First, Tile K, Tile V,
                                            ArrayRef<Tile> Sums) {
  constexpr int64_t N = AttentionTile;
  Tile Q = loadRows(Query, Batch, Token, Head);
  Tile Do = loadRows(DResult, Batch, Token, Head);
  Tile Lse = loadVector(LogSumExp, Batch, Token, Head);
  Tile RowDelta = loadVector(Delta, Batch, Token, Head);
  Tile Score = Scale.afterProduct(multiply(Q, K)) - B.asColumn(Lse, N);
  Tile Visible = visible(Batch, Token, First, /*Transposed=*/false);
  Tile P = exp(select(Visible, Score, MaskedExponent));
  auto Dropped = [&](Tile Value) {
    return dropped(Value, Batch, Head, Token, First, /*Transposed=*/false);
  };
  Tile DP = Dropped(multiply(Do, V));
  Tile DScore = P * (DP - B.asColumn(RowDelta, N));
  return {B.mmaTransposedLeft(DScore, Q, Sums[0]),
          B.mmaTransposedLeft(Dropped(P), Do, Sums[1])};
}

Tile AttentionGrad::addBlindQueries(Tile Batch, Tile Head, Tile Token,
                                    Tile First, Tile Blind, Tile Share,
                                    Tile DValue) {
  constexpr int64_t N = AttentionTile;
  Tile Row = B.iota({N, N}, 0) + B.toI32(Token);
  Tile Weights = select(Row < B.toI32(Blind), B.fill(Share, {N, N}), 0);
  Weights = dropped(Weights, Batch, Head, Token, First, /*Transposed=*/false);
  Tile Do = loadRows(DResult, Batch, Token, Head);
  return B.mmaTransposedLeft(Weights, Do, DValue);
}

// Here keys stay, so on a CPU theirs are the operands transposed once.
tile::KernelOp tiling::buildAttentionGradKeyValue(ModuleOp Module,
                                                  const AttentionGradShape &S) {
  std::string Name = "attention_grad_key_value" + shapeName(S) +
                     (S.RotatedKey ? "_unrope" : "");
  return defineKernel(Module, Name, 3, [&](TileBuilder &B) {
    AttentionGrad G(B, S, TileSizes::of(Module).Gpu);
    Tile DKey = B.memory({Dynamic, Dynamic, S.KeyHeads, S.HeadSize}, S.Element);
    Tile DValue =
        B.memory({Dynamic, Dynamic, S.KeyHeads, S.HeadSize}, S.Element);
    auto Tables = G.declareTables(S.RotatedKey);
    constexpr int64_t N = AttentionTile;
    int64_t Group = S.Heads / S.KeyHeads;
    AttentionCell Cell(B, Module);
    Tile Batch = Cell.Batch, KeyHead = Cell.Head, First = Cell.Number * N;

    Tile K = G.asRight(
        G.Scale.beforeProduct(G.loadRows(G.Key, Batch, First, KeyHead)));
    Tile V = G.asRight(G.loadRows(G.Value, Batch, First, KeyHead));
    Tile Blind = S.Mask ? firstPosition(B, G.Mask, Batch) : B.index(0);
    Tile Share = 1 / B.toFloat(B.toI32(B.extent(G.Query, 1)));
    Tile Zero = B.zeros({N, G.Width});
    auto AddHead = [&](Tile Head, ArrayRef<Tile> Outer) {
      SmallVector<Tile> Start(Outer);
      if (S.Mask)
        Start[1] = B.forLoop(
            0, Blind, N, {Outer[1]}, [&](Tile Token, ArrayRef<Tile> Carried) {
              return SmallVector<Tile>{G.addBlindQueries(
                  Batch, Head, Token, First, Blind, Share, Carried[0])};
            })[0];
      return B.forLoop(First, B.extent(G.Query, 1), N, Start,
                       [&](Tile Token, ArrayRef<Tile> Carried) {
                         return G.addQueries(Batch, Head, Token, First, K, V,
                                             Carried);
                       });
    };
    // Without a loop around them, the cells of a head share packed queries.
    SmallVector<Tile> Sums =
        Group == 1 && !TileSizes::of(Module).Gpu
            ? AddHead(KeyHead, {Zero, Zero})
            : B.forLoop(KeyHead * Group, KeyHead * Group + Group, 1,
                        {Zero, Zero}, AddHead);
    G.storeRows(Sums[0] * G.Scale.Factor, DKey, Batch, First, KeyHead, Tables);
    G.storeRows(Sums[1], DValue, Batch, First, KeyHead, {});
  });
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

static LogicalResult lowerAttentionGrad(txs::AttentionGradOp Op,
                                        EntryBuilder &E) {
  auto Query = cast<RankedTensorType>(Op.getQuery().getType());
  auto Key = cast<RankedTensorType>(Op.getKey().getType());
  AttentionGradShape S = {Query.getDimSize(2),
                          Key.getDimSize(2),
                          Query.getDimSize(3),
                          Op.getKeyMask() != nullptr,
                          Op.getDropout().convertToDouble(),
                          static_cast<int64_t>(Op.getSite()),
                          Query.getElementType()};
  FusedGroup Group = E.group(Op);
  txs::RopeOp RopeQuery = rotationOf(Group, Op.getDquery());
  txs::RopeOp RopeKey = rotationOf(Group, Op.getDkey());
  S.RotatedQuery = RopeQuery != nullptr, S.RotatedKey = RopeKey != nullptr;
  AffineExpr Batch = E.batch(), Seq = E.seq();
  AffineExpr Rows = Batch * Seq * S.Heads, Tiles = Seq.ceilDiv(AttentionTile);
  Buffer *Delta =
      E.temporary("attention_grad.delta", {Batch, Seq, E.constant(S.Heads)});
  E.launch(buildAttentionDelta(E.module(), S.HeadSize, S.Element),
           {Rows.ceilDiv(AttentionTile)},
           {{E.read(Op.getResult()), {Rows}},
            {E.read(Op.getDresult()), {Rows}},
            {Delta, {Rows}}});

  SmallVector<LaunchArgument> Operands;
  for (Value V : {Op.getDresult(), Op.getQuery(), Op.getKey(), Op.getValue(),
                  Op.getLogSumExp()})
    Operands.push_back({E.read(V), {Batch, Seq}});
  Operands.push_back({Delta, {Batch, Seq}});
  if (S.Mask)
    Operands.push_back({E.read(Op.getKeyMask()), {Batch, Seq}});
  if (S.Dropout > 0)
    Operands.push_back({E.read(Op.getSeed())});
  SmallVector<LaunchArgument> ForQuery = Operands, ForKey = Operands;
  auto Write = [&](SmallVectorImpl<LaunchArgument> &Arguments, Value Result,
                   txs::RopeOp Rope) {
    Arguments.push_back(
        {E.write(Rope ? Rope.getResult() : Result), {Batch, Seq}});
  };
  auto Tables = [&](SmallVectorImpl<LaunchArgument> &Arguments,
                    txs::RopeOp Rope) {
    if (Rope)
      for (Value Table : {Rope.getCos(), Rope.getSin()})
        Arguments.push_back({E.read(Table), {Seq}});
  };
  Write(ForQuery, Op.getDquery(), RopeQuery);
  Tables(ForQuery, RopeQuery);
  Write(ForKey, Op.getDkey(), RopeKey);
  Write(ForKey, Op.getDvalue(), {});
  Tables(ForKey, RopeKey);
  E.launch(buildAttentionGradQuery(E.module(), S),
           attentionGrid(E.module(), Batch, E.constant(S.Heads), Tiles),
           ForQuery);
  E.launch(buildAttentionGradKeyValue(E.module(), S),
           attentionGrid(E.module(), Batch, E.constant(S.KeyHeads), Tiles),
           ForKey);
  return success();
}

void tiling::registerAttentionGrad(LoweringTable &Table) {
  Table.add<txs::AttentionGradOp>(lowerAttentionGrad);
}
