//===- Attention.cpp - Causal softmax attention ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// o[t] = sum_s softmax_s(q[t] . k[s] / sqrt P) v[s] over keys s <= past + t
// whose mask is not 0, with a running maximum m and sum l (Dao, arXiv
// 2307.08691):
//
//     m' = max(m, rowmax S);  p = exp(S - m');  r = exp(m - m')
//     l' = r l + rowsum p;    acc' = r acc + p V;    o = acc / l
//
// A cell takes one head and a tile of queries. With one query per sequence it
// takes instead all the heads that share a key head, so that each key is read
// once. A row that sees no key keeps l = 0; it gets the mean of all values
// in a second loop, which only cells with such rows enter.
//
// On GPUs the keys of few queries are split over cells (Dao, Haziza, Massa and
// Sizov, "Flash-Decoding for long-context inference", 2023), `splitKeys` to
// each, whatever the device: one kernel leaves m, l and acc of every split, a
// second one adds them up in the order of the splits,
//
//     m = max_i m_i;  l = sum_i exp(m_i - m) l_i;
//     o = sum_i exp(m_i - m) acc_i / l
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

namespace {
struct AttentionShape {
  int64_t Heads, Groups, P;
  bool Masked, LogSumExp;
  double Dropout;
  int64_t Site;
  Type Element;

  std::string name(StringRef Kind) const {
    std::string Drop = Dropout > 0 ? dropoutName(Dropout, Site) : "";
    return llvm::formatv("{0}_h{1}_g{2}_p{3}{4}{5}{6}{7}", Kind, Heads, Groups,
                         P, typeSuffix(Element), Masked ? "_mask" : "",
                         LogSumExp ? "_lse" : "", Drop);
  }
};

struct AttentionInputs {
  AttentionInputs(TileBuilder &B, const AttentionShape &S)
      : Query(B.memory({Dynamic, Dynamic, S.Heads, S.P}, S.Element)),
        Key(B.memory({Dynamic, Dynamic, S.Groups, S.P}, S.Element)),
        Value(B.memory({Dynamic, Dynamic, S.Groups, S.P}, S.Element)),
        Mask(S.Masked ? B.memory({Dynamic, Dynamic}) : Tile()),
        Seed(S.Dropout > 0 ? B.integerMemory({2}) : Tile()) {}

  Tile Query, Key, Value, Mask, Seed;
};

struct AttentionArguments : AttentionInputs {
  AttentionArguments(TileBuilder &B, const AttentionShape &S)
      : AttentionInputs(B, S),
        Result(B.memory({Dynamic, Dynamic, S.Heads, S.P}, S.Element)),
        LogSumExp(S.LogSumExp ? B.memory({Dynamic, Dynamic, S.Heads}) : Tile()),
        Past(B.indexArgument()) {}

  Tile Result, LogSumExp, Past;
};

/// What the splits of the keys leave: m and l [B, splits, T, H], acc
/// [B, splits, T, H, P].
struct SplitSums {
  SplitSums(TileBuilder &B, const AttentionShape &S)
      : Maximum(B.memory({Dynamic, Dynamic, Dynamic, S.Heads})),
        Sum(B.memory({Dynamic, Dynamic, Dynamic, S.Heads})),
        Accumulator(B.memory({Dynamic, Dynamic, Dynamic, S.Heads, S.P})) {}

  Tile Maximum, Sum, Accumulator;
};

/// What the online softmax carries for a tile of rows.
struct Softmax {
  Tile Maximum, Sum, Accumulator;
};

/// The splits, or the keys of a mean, that one step adds up.
constexpr int64_t CombinedSplits = 16;
} // namespace

AttentionCell::AttentionCell(TileBuilder &B, ModuleOp Module) {
  bool Gpu = TileSizes::of(Module).Gpu;
  Batch = B.grid(Gpu ? 0 : 2), Head = B.grid(1), Number = B.grid(Gpu ? 2 : 0);
}

SmallVector<AffineExpr> tiling::attentionGrid(ModuleOp Module, AffineExpr Batch,
                                              AffineExpr Heads,
                                              AffineExpr Tiles) {
  if (TileSizes::of(Module).Gpu)
    return {Batch, Heads, Tiles};
  return {Tiles, Heads, Batch};
}

/// Adds the scores S of one tile of keys and their values. Scores of keys that
/// are not seen are HiddenScore, below any running maximum, so they give 0.
static Softmax accumulate(TileBuilder &B, const Softmax &Old, Tile Scores,
                          Tile Values, Tile DropoutFactor) {
  Tile Maximum = maximum(Old.Maximum, B.max(Scores));
  Tile Probability = exp(Scores - B.asColumn(Maximum, Scores.columns()));
  Tile Ratio = exp(Old.Maximum - Maximum);
  Tile Sum = Old.Sum * Ratio + B.sum(Probability);
  if (DropoutFactor)
    Probability = Probability * DropoutFactor;
  Tile Rescaled =
      Old.Accumulator * B.asColumn(Ratio, Old.Accumulator.columns());
  return {Maximum, Sum, B.mma(Probability, Values, Rescaled)};
}

static Softmax loopOverKeys(TileBuilder &B, Operand Begin, Tile End,
                            int64_t KeyTile, int64_t Rows, int64_t P,
                            function_ref<Softmax(Tile, Softmax)> Step) {
  SmallVector<Tile> Last = B.forLoop(
      Begin, End, KeyTile,
      {B.number(LowestMaximum, {Rows}), B.zeros({Rows}), B.zeros({Rows, P})},
      [&](Tile Key, ArrayRef<Tile> C) {
        Softmax Next = Step(Key, {C[0], C[1], C[2]});
        return SmallVector<Tile>{Next.Maximum, Next.Sum, Next.Accumulator};
      });
  return {Last[0], Last[1], Last[2]};
}

static Tile normalize(TileBuilder &B, const Softmax &S) {
  Tile Inverse = select(S.Sum > 0, 1.0 / S.Sum, 0);
  return S.Accumulator * B.asColumn(Inverse, S.Accumulator.columns());
}

/// The result with, in the rows that have seen no key, the mean of the values
/// before End. Load gives a tile of values, Drop applies the dropout.
static Tile addMeans(TileBuilder &B, Tile Result, Tile Sum, Tile End,
                     function_ref<Tile(Tile Key)> Load,
                     function_ref<Tile(Tile Weights, Tile Key)> Drop) {
  constexpr int64_t K = AttentionTile;
  Tile Blind = select(Sum > 0, B.zeros(Sum.shape()), 1);
  Tile Limit = select(B.max(Blind) > 0, End, 0);
  Tile Share = B.asColumn(Blind / B.toFloat(B.toI32(End)), K);
  auto Step = [&](Tile Key, ArrayRef<Tile> Carried) {
    Tile Inside = B.iota({Sum.rows(), K}, 1) + B.toI32(Key) < B.toI32(End);
    Tile Weights = Drop(select(Inside, Share, 0), Key);
    return SmallVector<Tile>{B.mma(Weights, Load(Key), Carried[0])};
  };
  return B.forLoop(0, Limit, K, {Result}, Step)[0];
}

static Tile logSumExp(const Softmax &S) {
  return select(S.Sum > 0, S.Maximum + log(S.Sum), 0);
}

Tile tiling::attentionDropoutFactor(TileBuilder &B, Tile Seed,
                                    double Probability, int64_t Site,
                                    Tile BatchAndHead, Tile FirstQuery,
                                    Tile FirstKey, ArrayRef<int64_t> Shape,
                                    bool Transposed) {
  Tile Key = B.iota(Shape, Transposed ? 0 : 1) + B.toI32(FirstKey);
  Tile Query = B.iota(Shape, Transposed ? 1 : 0) + B.toI32(FirstQuery);
  Tile Head = B.fill(B.toI32(BatchAndHead), Shape);
  return dropoutFactor(B, {Key, Query, Head}, Seed, Probability, Site);
}

/// What is visible and not masked.
static Tile applyMask(TileBuilder &B, const AttentionInputs &M, Tile Batch,
                      Tile Key, Tile Visible) {
  if (!M.Mask)
    return Visible;
  Tile Mask = B.load(M.Mask, {Batch, Key}, {Visible.columns()});
  return Visible & notEqual(B.asRow(Mask, Visible.rows()), 0);
}

static tile::KernelOp buildAttention(ModuleOp Module, const AttentionShape &S) {
  constexpr int64_t Q = AttentionTile, K = AttentionTile;
  return defineKernel(Module, S.name("attention"), 3, [&](TileBuilder &B) {
    AttentionArguments M(B, S);
    AttentionCell Cell(B, Module);
    Tile Batch = Cell.Batch, Head = Cell.Head, First = Cell.Number * Q;
    Tile Group = Head / (S.Heads / S.Groups);
    Tile Queries = B.extent(M.Query, 1);
    ScoreScale Scale(S.P, S.Element);
    Tile Query = Scale.beforeProduct(
        B.load(M.Query, {Batch, First, Head, 0}, {Q, S.P}, {1, 3}));
    Tile Position = B.iota({Q, K}, 0) + B.toI32(M.Past + First);
    Tile End = M.Past + minimum(First + Q, Queries);
    auto Values = [&](Tile Key) {
      return B.load(M.Value, {Batch, Key, Group, 0}, {K, S.P}, {1, 3});
    };
    auto Factor = [&](Tile Key) {
      return attentionDropoutFactor(B, M.Seed, S.Dropout, S.Site,
                                    Batch * S.Heads + Head, First, Key, {Q, K});
    };
    auto Step = [&](Tile Key, Softmax Old) {
      Tile Keys = B.load(M.Key, {Batch, Key, Group, 0}, {K, S.P}, {1, 3});
      Tile Scores = Scale.afterProduct(
          B.mmaTransposedRight(Query, Keys, B.zeros({Q, K})));
      Tile Visible = applyMask(B, M, Batch, Key,
                               B.iota({Q, K}, 1) + B.toI32(Key) <= Position);
      return accumulate(B, Old, select(Visible, Scores, HiddenScore),
                        Values(Key), S.Dropout > 0 ? Factor(Key) : Tile());
    };
    Softmax Result = loopOverKeys(B, 0, End, K, Q, S.P, Step);
    Tile Output = normalize(B, Result);
    if (M.Mask)
      Output =
          addMeans(B, Output, Result.Sum, M.Past + Queries, Values,
                   [&](Tile Weights, Tile Key) {
                     return S.Dropout > 0 ? Weights * Factor(Key) : Weights;
                   });
    B.store(Output, M.Result, {Batch, First, Head, 0}, {1, 3});
    if (M.LogSumExp)
      B.store(logSumExp(Result), M.LogSumExp, {Batch, First, Head}, {1});
  });
}

/// The softmax of one query per sequence, of the heads from `Head` on that
/// share key head `Group`, over the keys in [Begin, End).
static Softmax attendOnce(TileBuilder &B, const AttentionShape &S,
                          const AttentionInputs &M, Tile Batch, Tile Group,
                          Tile Head, Operand Begin, Tile End) {
  constexpr int64_t K = AttentionTile;
  int64_t R = S.Heads / S.Groups;
  ScoreScale Scale(S.P, S.Element);
  Tile Query =
      Scale.beforeProduct(B.load(M.Query, {Batch, 0, Head, 0}, {R, S.P}));
  auto Step = [&](Tile Key, Softmax Old) {
    Tile Keys = B.load(M.Key, {Batch, Key, Group, 0}, {K, S.P}, {1, 3});
    Tile Scores =
        Scale.afterProduct(B.mmaTransposedRight(Query, Keys, B.zeros({R, K})));
    Tile Visible = applyMask(B, M, Batch, Key,
                             B.iota({R, K}, 1) + B.toI32(Key) < B.toI32(End));
    Tile Values = B.load(M.Value, {Batch, Key, Group, 0}, {K, S.P}, {1, 3});
    return accumulate(B, Old, select(Visible, Scores, HiddenScore), Values,
                      Tile());
  };
  return loopOverKeys(B, Begin, End, K, R, S.P, Step);
}

/// One query per sequence; a cell takes the heads of one key head.
static tile::KernelOp buildAttentionStep(ModuleOp Module,
                                         const AttentionShape &S) {
  constexpr int64_t K = AttentionTile;
  return defineKernel(Module, S.name("attention_step"), 2, [&](TileBuilder &B) {
    AttentionArguments M(B, S);
    Tile Batch = B.grid(0), Group = B.grid(1);
    Tile Head = Group * (S.Heads / S.Groups), End = M.Past + 1;
    Softmax Result = attendOnce(B, S, M, Batch, Group, Head, 0, End);
    Tile Output = normalize(B, Result);
    auto Values = [&](Tile Key) {
      return B.load(M.Value, {Batch, Key, Group, 0}, {K, S.P}, {1, 3});
    };
    if (M.Mask)
      Output = addMeans(B, Output, Result.Sum, End, Values,
                        [](Tile Weights, Tile) { return Weights; });
    B.store(Output, M.Result, {Batch, 0, Head, 0});
    if (M.LogSumExp)
      B.store(logSumExp(Result), M.LogSumExp, {Batch, 0, Head});
  });
}

/// One query per sequence and one split of the keys.
static tile::KernelOp buildAttentionStepSplit(ModuleOp Module,
                                              AttentionShape S) {
  S.LogSumExp = false; // the splits' sums do not depend on it
  int64_t Split = TileSizes::of(Module).splitKeys();
  return defineKernel(
      Module, S.name("attention_step_split" + std::to_string(Split)), 3,
      [&](TileBuilder &B) {
        AttentionInputs M(B, S);
        SplitSums Sums(B, S);
        Tile Past = B.indexArgument();
        Tile Batch = B.grid(0), Group = B.grid(1), Cell = B.grid(2);
        Tile Head = Group * (S.Heads / S.Groups), Begin = Cell * Split;
        Tile End = minimum(Begin + Split, Past + 1);
        Softmax Result = attendOnce(B, S, M, Batch, Group, Head, Begin, End);
        B.store(Result.Maximum, Sums.Maximum, {Batch, Cell, 0, Head});
        B.store(Result.Sum, Sums.Sum, {Batch, Cell, 0, Head});
        B.store(Result.Accumulator, Sums.Accumulator,
                {Batch, Cell, 0, Head, 0});
      });
}

/// Up to AttentionTile queries of a head and one split of the keys.
static tile::KernelOp buildAttentionSplit(ModuleOp Module, AttentionShape S) {
  S.LogSumExp = false;
  constexpr int64_t Q = AttentionTile, K = AttentionTile;
  int64_t Split = TileSizes::of(Module).splitKeys();
  return defineKernel(
      Module, S.name("attention_split" + std::to_string(Split)), 3,
      [&](TileBuilder &B) {
        AttentionInputs M(B, S);
        SplitSums Sums(B, S);
        Tile Past = B.indexArgument();
        Tile Batch = B.grid(0), Head = B.grid(1), Cell = B.grid(2);
        Tile Begin = Cell * Split;
        Tile End = minimum(Begin + Split, Past + B.extent(M.Query, 1));
        Tile Group = Head / (S.Heads / S.Groups);
        ScoreScale Scale(S.P, S.Element);
        Tile Query = Scale.beforeProduct(
            B.load(M.Query, {Batch, 0, Head, 0}, {Q, S.P}, {1, 3}));
        Tile Position = B.iota({Q, K}, 0) + B.toI32(Past);
        auto Step = [&](Tile Key, Softmax Old) {
          Tile Keys = B.load(M.Key, {Batch, Key, Group, 0}, {K, S.P}, {1, 3});
          Tile Scores = Scale.afterProduct(
              B.mmaTransposedRight(Query, Keys, B.zeros({Q, K})));
          Tile Visible = applyMask(
              B, M, Batch, Key, B.iota({Q, K}, 1) + B.toI32(Key) <= Position);
          return accumulate(
              B, Old, select(Visible, Scores, HiddenScore),
              B.load(M.Value, {Batch, Key, Group, 0}, {K, S.P}, {1, 3}),
              Tile());
        };
        Softmax Result = loopOverKeys(B, Begin, End, K, Q, S.P, Step);
        B.store(Result.Maximum, Sums.Maximum, {Batch, Cell, 0, Head}, {2});
        B.store(Result.Sum, Sums.Sum, {Batch, Cell, 0, Head}, {2});
        B.store(Result.Accumulator, Sums.Accumulator, {Batch, Cell, 0, Head, 0},
                {2, 4});
      });
}

/// The sums of the splits of one head of one query, tile by tile.
static Softmax addSplits(TileBuilder &B, const SplitSums &Splits, Tile Batch,
                         Tile Query, Tile Head, int64_t P) {
  constexpr int64_t W = CombinedSplits;
  Tile Count = B.extent(Splits.Maximum, 1);
  auto Maxima = [&](Tile First) {
    Tile Inside = B.iota({W}) + B.toI32(First) < B.toI32(Count);
    Tile M = B.load(Splits.Maximum, {Batch, First, Query, Head}, {W}, {1});
    return select(Inside, M, HiddenScore);
  };
  auto Raise = [&](Tile First, ArrayRef<Tile> Carried) {
    return SmallVector<Tile>{maximum(Carried[0], Maxima(First))};
  };
  Tile Highest =
      B.max(B.forLoop(0, Count, W, {B.number(LowestMaximum, {W})}, Raise)[0]);
  auto Add = [&](Tile First, ArrayRef<Tile> Carried) {
    Tile Weight = exp(Maxima(First) - B.fill(Highest, {W}));
    Tile L = B.load(Splits.Sum, {Batch, First, Query, Head}, {W}, {1});
    Tile Acc = B.load(Splits.Accumulator, {Batch, First, Query, Head, 0},
                      {W, P}, {1, 4});
    return SmallVector<Tile>{Carried[0] + Weight * L,
                             Carried[1] + B.asColumn(Weight, P) * Acc};
  };
  SmallVector<Tile> Sums =
      B.forLoop(0, Count, W, {B.zeros({W}), B.zeros({W, P})}, Add);
  return {Highest, B.sum(Sums[0]), B.sum(Sums[1], 0)};
}

/// The result of one head of one query: a cell.
static tile::KernelOp buildAttentionCombine(ModuleOp Module,
                                            const AttentionShape &S) {
  constexpr int64_t K = CombinedSplits;
  return defineKernel(
      Module, S.name("attention_combine"), 3, [&](TileBuilder &B) {
        SplitSums Splits(B, S);
        Tile Value;
        if (S.Masked)
          Value = B.memory({Dynamic, Dynamic, S.Groups, S.P}, S.Element);
        Tile Result = B.memory({Dynamic, Dynamic, S.Heads, S.P}, S.Element);
        Tile LogSumExp =
            S.LogSumExp ? B.memory({Dynamic, Dynamic, S.Heads}) : Tile();
        Tile Past = B.indexArgument();
        Tile Batch = B.grid(0), Head = B.grid(1), Query = B.grid(2);
        Softmax Sums = addSplits(B, Splits, Batch, Query, Head, S.P);
        Tile Inverse = select(Sums.Sum > 0, 1.0 / Sums.Sum, 0);
        Tile Output = Sums.Accumulator * Inverse;
        if (S.Masked) { // the mean of all values where no key is seen
          Tile Keys = Past + B.extent(Result, 1);
          auto Add = [&](Tile Key, ArrayRef<Tile> Carried) {
            Tile Inside = B.iota({K, S.P}) + B.toI32(Key) < B.toI32(Keys);
            Tile Group = Head / (S.Heads / S.Groups);
            Tile V = B.load(Value, {Batch, Key, Group, 0}, {K, S.P}, {1, 3});
            return SmallVector<Tile>{Carried[0] +
                                     select(Inside, B.toFloat(V), 0)};
          };
          Tile Limit = select(Sums.Sum > 0, B.index(0), Keys);
          Tile Total = B.forLoop(0, Limit, K, {B.zeros({K, S.P})}, Add)[0];
          Output = Output + B.sum(Total, 0) / B.toFloat(B.toI32(Keys));
        }
        B.store(Output, Result, {Batch, Query, Head, 0});
        if (LogSumExp)
          B.store(logSumExp(Sums), LogSumExp, {Batch, Query, Head});
      });
}

/// Launches what attends to the keys of up to AttentionTile queries in splits.
static void launchSplits(txs::AttentionOp Op, EntryBuilder &E,
                         const AttentionShape &Shape,
                         ArrayRef<LaunchArgument> Inputs) {
  constexpr int64_t Most = AttentionTile;
  int64_t Split = TileSizes::of(E.module()).splitKeys();
  AffineExpr Seq = E.seq(), Past = E.index(Op.getPast());
  AffineExpr Splits = (Past + Seq).ceilDiv(Split);
  // Just Seq where they are launched; memory for longer calls is not needed.
  AffineExpr Queries = Seq % (Most + 1);
  // Room for all keys of the cache: with memory that grew with the past, no
  // call could be bound once for all steps.
  SmallVector<AffineExpr> Rows = {E.batch(),
                                  E.shape(Op.getKey())[1].ceilDiv(Split),
                                  Queries, E.constant(Shape.Heads)};
  SmallVector<AffineExpr> Sizes = {E.batch(), Splits, Queries};
  SmallVector<AffineExpr> Values(Rows);
  Values.push_back(E.constant(Shape.P));
  SmallVector<LaunchArgument> Sums = {
      {E.temporary("attention.maximum", Rows), Sizes},
      {E.temporary("attention.sum", Rows), Sizes},
      {E.temporary("attention.accumulator", Values), Sizes}};

  SmallVector<LaunchArgument> Arguments(Inputs);
  Arguments.append(Sums);
  Arguments.push_back(Past);
  E.launch(buildAttentionStepSplit(E.module(), Shape),
           {E.batch(), E.constant(Shape.Groups), Splits}, Arguments, {1 - Seq});
  E.launch(buildAttentionSplit(E.module(), Shape),
           {E.batch(), E.constant(Shape.Heads), Splits}, Arguments,
           {Seq - 2, Most - Seq});

  if (Shape.Masked)
    Sums.push_back(Inputs[2]);
  Sums.push_back({E.read(Op.getResult()), {E.batch(), Seq}});
  if (Shape.LogSumExp)
    Sums.push_back({E.read(Op.getLogSumExp()), {E.batch(), Seq}});
  Sums.push_back(Past);
  E.launch(buildAttentionCombine(E.module(), Shape),
           {E.batch(), E.constant(Shape.Heads), Seq}, Sums, {Most - Seq});
}

static LogicalResult lowerAttention(txs::AttentionOp Op, EntryBuilder &E) {
  ArrayRef<int64_t> Q =
      cast<RankedTensorType>(Op.getQuery().getType()).getShape();
  AttentionShape Shape = {
      Q[2],
      cast<RankedTensorType>(Op.getKey().getType()).getDimSize(2),
      Q[3],
      static_cast<bool>(Op.getKeyMask()),
      E.isUsed(Op.getLogSumExp()),
      Op.getDropout().convertToDouble(),
      static_cast<int64_t>(Op.getSite()),
      E.element(Op.getQuery())};
  SmallVector<AffineExpr> Queries = {E.batch(), E.seq()};
  SmallVector<AffineExpr> Keys = {E.batch(), E.shape(Op.getKey())[1]};
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getQuery()), Queries},
                                           {E.read(Op.getKey()), Keys},
                                           {E.read(Op.getValue()), Keys}};
  if (Shape.Masked)
    Arguments.push_back({E.read(Op.getKeyMask()), Keys});
  if (Shape.Dropout > 0)
    Arguments.push_back({E.read(Op.getSeed())});
  SmallVector<LaunchArgument> Inputs(Arguments);
  Arguments.push_back({E.write(Op.getResult()), Queries});
  if (Shape.LogSumExp)
    Arguments.push_back({E.write(Op.getLogSumExp()), Queries});
  Arguments.push_back(Op.getPast() ? E.index(Op.getPast()) : E.constant(0));

  SmallVector<AffineExpr> Many;
  bool FromCache = Op.getPast() && Shape.Dropout == 0;
  if (FromCache && TileSizes::of(E.module()).splitKeys()) {
    launchSplits(Op, E, Shape, Inputs);
    Many = {E.seq() - (AttentionTile + 1)};
  } else if (FromCache) {
    E.launch(buildAttentionStep(E.module(), Shape),
             {E.batch(), E.constant(Shape.Groups)}, Arguments, {1 - E.seq()});
    Many = {E.seq() - 2};
  }
  E.launch(buildAttention(E.module(), Shape),
           attentionGrid(E.module(), E.batch(), E.constant(Shape.Heads),
                         E.seq().ceilDiv(AttentionTile)),
           Arguments, Many);
  return success();
}

void tiling::registerAttention(LoweringTable &Table) {
  Table.add<txs::AttentionOp>(lowerAttention);
}
