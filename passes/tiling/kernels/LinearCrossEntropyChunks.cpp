//===- LinearCrossEntropyChunks.cpp - The loss with its gradients ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Where a function has the loss and its gradients, z = hidden weight^T serves
// both, a chunk of C rows at a time:
//
//   z = hidden weight^T       stored, with maxima and sums -> log_sum_exp, loss
//   z -> dz                   in place (float32)
//   dhidden = dz weight
//   dweight += dz^T hidden    in the order of the chunks
//
// Three products of R x V x D. Apart, loss and gradients take four, because a
// vocabulary that is done in slabs has no log_sum_exp before all of z has been
// seen once. How many rows count, by which the loss divides, the labels say
// beforehand.
//
// The rows of a chunk. dweight is read and written once more for each chunk
// after the first, 8 V D bytes beside the 2 C V D operations of each product:
// with B bytes and F operations a second that is 4 F / (B C) of one product:
// with C = 1,024 at 80 GFLOP/s and 20 GB/s 2 %, at the 230 and 20 of products
// of bf16 4 %, and every chunk packs all weights anew. So
//
//   chunks n = 1 + floor(R / (base + floor(R / slabs)))    <= slabs
//   C = ceil(R / n) in whole tiles                         ~ base + R / slabs
//
// where slabs = ceil(V / CrossEntropySlab): C rows of V are what the slabs of
// the other lowering take (R x CrossEntropySlab), and ChunkBaseElements more. A
// vocabulary of one slab is one chunk, and takes as much memory either way.
//
// GPUs keep the other lowering: z stored, read, and dz stored move 10 bytes an
// element with bf16 operands, which take an H100 (3.3 TB/s, 600 TFLOP/s) 3 ps,
// as long as the product of 2 x 1,024 operations that they save.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

static std::string shapeName(const CrossEntropyGradShape &S) {
  return "_v" + std::to_string(S.Vocabulary) + "_n" + std::to_string(S.Width) +
         typeSuffix({S.Element, S.WeightElement});
}

tile::KernelOp tiling::buildChunkLogitsGrad(ModuleOp Module, int64_t Vocabulary,
                                            mlir::Type Element) {
  return defineKernel(
      Module,
      "cross_entropy_chunk_logits_grad_v" + std::to_string(Vocabulary) +
          typeSuffix({Element}),
      2, [&](TileBuilder &B) {
        constexpr int64_t Rows = ChunkLogitsRows;
        int64_t Columns = tileExtent(Vocabulary, ChunkLogitsColumns);
        bool InPlace = !Element || Element.isF32();
        Tile Logits = B.memory({Dynamic, Vocabulary});
        Tile DLogits =
            InPlace ? Logits : B.memory({Dynamic, Vocabulary}, Element);
        Tile Targets = B.integerMemory({Dynamic});
        Tile LogSumExp = B.memory({Dynamic}), Scale = B.memory({1});
        Tile Start = B.indexArgument();
        Tile Row = B.grid(0) * Rows, Column = B.grid(1) * ChunkLogitsColumns;
        Tile Token = Start + Row;
        // Rows behind the last token have logits of 0 and no meaning: what they
        // get is finite and meets rows of hidden that are 0.
        Tile Grad = crossEntropyLogitsGrad(
            B, B.load(Logits, {Row, Column}, {Rows, Columns}), Column,
            B.load(Targets, {Token}, {Rows}),
            B.load(LogSumExp, {Token}, {Rows}), B.load(Scale, {0}), Vocabulary);
        B.store(Grad, DLogits, {Row, Column});
      });
}

/// Weights of all the vocabulary are too many to be kept from cell to cell of a
/// range: a cell that packs its own has more rows than inputGradEdges.
static TileEdges hiddenGradEdges(TileSizes Sizes, int64_t Width) {
  TileEdges Large = {512, 256};
  return Sizes.hasLargeTiles(4 * TileSizes::TypicalTokens, Width, Large)
             ? Large
             : inputGradEdges(Sizes, Width);
}

tile::KernelOp tiling::buildChunkHiddenGrad(ModuleOp Module,
                                            const CrossEntropyGradShape &S) {
  return defineKernel(
      Module, "cross_entropy_chunk_hidden_grad" + shapeName(S), 2,
      [&](TileBuilder &B) {
        Tile DLogits = B.memory({Dynamic, S.Vocabulary}, S.Element);
        Tile Weight = B.memory({S.Vocabulary, S.Width}, S.WeightElement);
        Tile DHidden = B.memory({Dynamic, S.Width}, S.Element);
        Tile Start = B.indexArgument();
        TileEdges Edges = hiddenGradEdges(TileSizes::of(Module), S.Width);
        int64_t Inner = tileExtent(S.Vocabulary, innerSteps(Edges, 128));
        int64_t Columns = tileExtent(S.Width, Edges.Columns);
        Tile Row = B.grid(0) * Edges.Rows, Column = B.grid(1) * Edges.Columns;
        Tile Sum = sumOfProducts(
            B, S.Vocabulary, Inner, B.zeros({Edges.Rows, Columns}),
            [&](Tile K) {
              return B.load(DLogits, {Row, K}, {Edges.Rows, Inner});
            },
            [&](Tile K) {
              return B.load(Weight, {K, Column}, {Inner, Columns});
            });
        B.store(Sum, DHidden, {Start + Row, Column});
      });
}

tile::KernelOp tiling::buildChunkWeightGrad(ModuleOp Module,
                                            const CrossEntropyGradShape &S,
                                            bool Accumulate) {
  return defineKernel(
      Module,
      "cross_entropy_chunk_weight_grad" + shapeName(S) +
          (Accumulate ? "_add" : ""),
      2, [&](TileBuilder &B) {
        Tile DLogits = B.memory({Dynamic, S.Vocabulary}, S.Element);
        Tile Hidden = B.memory({Dynamic, S.Width}, S.Element);
        Tile DWeight = B.memory({S.Vocabulary, S.Width});
        Tile Start = B.indexArgument();
        TileEdges Edges =
            weightGradEdges(TileSizes::of(Module), S.Vocabulary, S.Width);
        int64_t Rows = tileExtent(S.Vocabulary, Edges.Rows);
        int64_t Columns = tileExtent(S.Width, Edges.Columns);
        int64_t Inner = innerSteps(Edges, 64);
        Tile Row = B.grid(0) * Edges.Rows, Column = B.grid(1) * Edges.Columns;
        Tile Before = Accumulate
                          ? B.load(DWeight, {Row, Column}, {Rows, Columns})
                          : B.zeros({Rows, Columns});
        Tile Sum = sumOfProducts(
            B, B.extent(DLogits, 0), Inner, Before,
            [&](Tile Token) {
              return B.load(DLogits, {Token, Row}, {Inner, Rows});
            },
            [&](Tile Token) {
              return B.load(Hidden, {Start + Token, Column}, {Inner, Columns});
            },
            /*TransposeLeft=*/true);
        B.store(Sum, DWeight, {Row, Column});
      });
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

/// Elements of logits in memory beyond R x CrossEntropySlab, and the fewest
/// rows that they are taken for.
constexpr int64_t ChunkBaseElements = int64_t(1) << 25;
constexpr int64_t ChunkBaseRows = 256;

namespace {
/// What the launches of all chunks share.
struct LossChunks {
  LossChunks(txs::LinearCrossEntropyOp Op, txs::LinearCrossEntropyGradOp Grad,
             EntryBuilder &E);

  void lower();

private:
  void lowerTargets();
  void lowerLoss(AffineExpr Start, ArrayRef<AffineExpr> When);
  void lowerGradients(int64_t Number, AffineExpr Start,
                      ArrayRef<AffineExpr> When);

  txs::LinearCrossEntropyOp Op;
  txs::LinearCrossEntropyGradOp Grad;
  EntryBuilder &E;
  CrossEntropyShape Shape;
  CrossEntropyGradShape GradShape;
  /// All rows and tiles of rows, those of a chunk, and at most how many chunks.
  AffineExpr Rows, AllTiles, Tiles, ChunkRows, LossTiles;
  int64_t MostChunks;
  Buffer *Maxima, *Sums, *Chosen, *Losses, *Counts, *Targets, *Scale;
  Buffer *Logits, *DLogits, *Hidden, *Weight, *Labels;
  Buffer *LogSumExp, *DHidden, *DWeight;
};
} // namespace

LossChunks::LossChunks(txs::LinearCrossEntropyOp Op,
                       txs::LinearCrossEntropyGradOp Grad, EntryBuilder &E)
    : Op(Op), Grad(Grad), E(E), Shape(CrossEntropyShape::of(Op)),
      GradShape{Shape.Vocabulary, Shape.Width, Shape.Element,
                Shape.WeightElement},
      Rows(E.tokens(Op.getHidden())), AllTiles(Rows.ceilDiv(CrossEntropyRows)),
      MostChunks(llvm::divideCeil(Shape.Vocabulary, CrossEntropySlab)) {
  int64_t Base = std::max(ChunkBaseRows, ChunkBaseElements / Shape.Vocabulary);
  AffineExpr Chunks = MostChunks == 1
                          ? E.constant(1)
                          : Rows.floorDiv(Rows.floorDiv(MostChunks) + Base) + 1;
  Tiles = AllTiles.ceilDiv(Chunks);
  ChunkRows = Tiles * CrossEntropyRows;
  AffineExpr Ranges = E.constant(Shape.ranges(E.module()));
  AffineExpr Vocabulary = E.constant(Shape.Vocabulary);
  Type Integer = IntegerType::get(Op.getContext(), 32);
  Maxima = E.temporary("cross_entropy_maxima", {Ranges, ChunkRows});
  Sums = E.temporary("cross_entropy_sums", {Ranges, ChunkRows});
  Chosen = E.temporary("cross_entropy_logits", {Ranges, ChunkRows});
  // The last chunk may end behind the last tile.
  LossTiles = AllTiles + Tiles;
  Losses = E.temporary("cross_entropy_losses", {LossTiles});
  Counts = E.temporary("cross_entropy_counts", {LossTiles});
  Targets = E.temporary("cross_entropy_targets", {Rows}, Integer);
  Scale = E.temporary("cross_entropy_scale", {E.constant(1)});
  Logits = E.temporary("cross_entropy_logits", {ChunkRows, Vocabulary});
  DLogits = Logits;
  if (!Shape.Element.isF32())
    DLogits = E.temporary("cross_entropy_dlogits", {ChunkRows, Vocabulary},
                          Shape.Element);
  Hidden = E.read(Op.getHidden());
  Weight = E.read(Op.getWeight());
  Labels = E.read(Op.getLabels());
  LogSumExp = E.write(Op.getLogSumExp());
  DHidden = E.write(Grad.getDhidden());
  DWeight = E.write(Grad.getDweight());
}

void LossChunks::lowerTargets() {
  SmallVector<AffineExpr> Extents = E.shape(Op.getLabels());
  if (Extents.size() == 1) // one label for each sequence
    Extents.insert(Extents.begin(), E.constant(1));
  E.launch(buildCrossEntropyTargets(E.module(), Op.getShift()), {E.constant(1)},
           {{Labels, Extents}, {Targets, Extents}, {Scale}});
}

void LossChunks::lowerLoss(AffineExpr Start, ArrayRef<AffineExpr> When) {
  E.launch(buildCrossEntropyPartial(E.module(), Shape, /*InChunks=*/true),
           {ChunkRows.ceilDiv(Shape.edges(E.module()).Rows),
            E.constant(Shape.ranges(E.module()))},
           {{Hidden, {Rows}},
            {Weight},
            {Labels, {Rows}},
            {Maxima, {ChunkRows}},
            {Sums, {ChunkRows}},
            {Chosen, {ChunkRows}},
            {Logits, {ChunkRows}},
            E.seq(),
            Start},
           When);
  E.launch(buildCrossEntropyCombine(E.module(), Shape, /*StoresLogSumExp=*/true,
                                    /*InChunks=*/true),
           {Tiles},
           {{Maxima, {ChunkRows}},
            {Sums, {ChunkRows}},
            {Chosen, {ChunkRows}},
            {Labels, {Rows}},
            {LogSumExp, {Rows}},
            {Losses, {LossTiles}},
            {Counts, {LossTiles}},
            E.seq(),
            Start},
           When);
}

void LossChunks::lowerGradients(int64_t Number, AffineExpr Start,
                                ArrayRef<AffineExpr> When) {
  SmallVector<LaunchArgument> Arguments = {{Logits, {ChunkRows}}};
  if (DLogits != Logits)
    Arguments.push_back({DLogits, {ChunkRows}});
  Arguments.append({{Targets, {Rows}}, {LogSumExp, {Rows}}, {Scale}, {Start}});
  AffineExpr Vocabulary = E.constant(Shape.Vocabulary);
  AffineExpr Width = E.constant(Shape.Width);
  E.launch(buildChunkLogitsGrad(E.module(), Shape.Vocabulary, Shape.Element),
           {ChunkRows.ceilDiv(ChunkLogitsRows),
            Vocabulary.ceilDiv(ChunkLogitsColumns)},
           Arguments, When);
  TileSizes Sizes = TileSizes::of(E.module());
  TileEdges Edges = hiddenGradEdges(Sizes, Shape.Width);
  E.launch(buildChunkHiddenGrad(E.module(), GradShape),
           {ChunkRows.ceilDiv(Edges.Rows), Width.ceilDiv(Edges.Columns)},
           {{DLogits, {ChunkRows}}, {Weight}, {DHidden, {Rows}}, {Start}},
           When);
  Edges = weightGradEdges(Sizes, Shape.Vocabulary, Shape.Width);
  E.launch(
      buildChunkWeightGrad(E.module(), GradShape, /*Accumulate=*/Number > 0),
      {Vocabulary.ceilDiv(Edges.Rows), Width.ceilDiv(Edges.Columns)},
      {{DLogits, {ChunkRows}}, {Hidden, {Rows}}, {DWeight}, {Start}}, When);
}

void LossChunks::lower() {
  lowerTargets();
  for (int64_t Number = 0; Number < MostChunks; ++Number) {
    AffineExpr Start = ChunkRows * Number;
    SmallVector<AffineExpr> When;
    if (Number > 0)
      When.push_back(Rows - Start - 1);
    lowerLoss(Start, When);
    lowerGradients(Number, Start, When);
  }
  E.launch(
      buildCrossEntropyMean(E.module()), {E.constant(1)},
      {{Losses, {AllTiles}}, {Counts, {AllTiles}}, {E.write(Op.getLoss())}});
}

/// The gradients of this loss, where they are of the same operands.
static txs::LinearCrossEntropyGradOp gradientOf(txs::LinearCrossEntropyOp Op) {
  for (Operation *User : Op.getLogSumExp().getUsers())
    if (auto Grad = dyn_cast<txs::LinearCrossEntropyGradOp>(User);
        Grad && Grad.getHidden() == Op.getHidden() &&
        Grad.getWeight() == Op.getWeight() &&
        Grad.getLabels() == Op.getLabels() && Grad.getShift() == Op.getShift())
      return Grad;
  return {};
}

bool tiling::lowerLossWithGradients(txs::LinearCrossEntropyOp Op,
                                    EntryBuilder &E) {
  txs::LinearCrossEntropyGradOp Grad = gradientOf(Op);
  if (!Grad || !E.joins() || TileSizes::of(E.module()).Gpu)
    return false;
  LossChunks(Op, Grad, E).lower();
  return true;
}
