//===- CrossEntropy.cpp - Linear layer and cross entropy in one -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// With z = hidden weight^T, the mean over the labels that count of
// log_sum_exp(z) - z[label]. The logits live only as tiles: every cell takes a
// tile of rows and a range of the vocabulary and leaves the running maximum,
// the sum of exponentials and the label's logit of its range; a second kernel
// combines the ranges in their order into log_sum_exp and a sum of losses per
// tile of rows; a third adds these up in their order.
//
// In training the kernels also have a form for a chunk of the rows, from
// `Start` on, which leaves the chunk's logits in memory for the gradients
// (LinearCrossEntropyChunks.cpp).
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

CrossEntropyShape CrossEntropyShape::of(txs::LinearCrossEntropyOp Op) {
  auto Weight = cast<RankedTensorType>(Op.getWeight().getType());
  return {Weight.getDimSize(1), Weight.getDimSize(0), Op.getShift(),
          getElementTypeOrSelf(Op.getHidden().getType()),
          Weight.getElementType()};
}

RowLabels tiling::loadLabels(TileBuilder &B, Tile Labels, Tile Row,
                             int64_t Rows, bool Shift, Tile Tokens) {
  // Labels are flat. The one of the next token is the next element, except at
  // the end of a sequence.
  Tile Number = B.iota({Rows}) + B.toI32(Row);
  Tile Label = B.load(Labels, {Shift ? Row + 1 : Row}, {Rows});
  Tile Counts = (Label >= 0) & (Number < B.toI32(B.extent(Labels, 0)));
  if (Shift)
    Counts =
        Counts & notEqual((Number + 1) % B.fill(B.toI32(Tokens), {Rows}), 0);
  return {Label, Counts};
}

tile::KernelOp tiling::buildCrossEntropyPartial(ModuleOp Module,
                                                const CrossEntropyShape &S,
                                                bool InChunks) {
  TileEdges Edges = S.edges(Module);
  int64_t R = Edges.Rows, N = Edges.Columns;
  int64_t K = TileSizes::of(Module).innerExtent(
      S.Width, productTile(S.Width, 256), S.Element);
  std::string Name =
      llvm::formatv("cross_entropy_partial_k{0}_v{1}{2}{3}{4}", S.Width,
                    S.Vocabulary, typeSuffix({S.Element, S.WeightElement}),
                    S.Shift ? "_shift" : "", InChunks ? "_chunk" : "");
  return defineKernel(Module, Name, 2, [&](TileBuilder &B) {
    Tile Hidden = B.memory({Dynamic, S.Width}, S.Element);
    Tile Weight = B.memory({S.Vocabulary, S.Width}, S.WeightElement);
    Tile Labels = B.integerMemory({Dynamic});
    Tile Maxima = B.memory({S.ranges(Module), Dynamic});
    Tile Sums = B.memory({S.ranges(Module), Dynamic});
    Tile Chosen = B.memory({S.ranges(Module), Dynamic});
    Tile Logits = InChunks ? B.memory({Dynamic, S.Vocabulary}) : Tile();
    Tile Tokens = B.indexArgument();
    Tile Start = InChunks ? B.indexArgument() : Tile();
    Tile Row = B.grid(0) * R, Range = B.grid(1);
    Tile Token = InChunks ? Start + Row : Row;
    RowLabels L = loadLabels(B, Labels, Token, R, S.Shift, Tokens);
    Tile Label = B.asColumn(L.Label, N);
    Tile First = Range * S.range(Module);
    auto AddTile = [&](Tile Column, ArrayRef<Tile> C) {
      Tile Z = productOverInner(
          B, S.Width, K, B.zeros({R, N}), [&](Tile Inner, Tile Sum) {
            return B.mmaTransposedRight(B.load(Hidden, {Token, Inner}, {R, K}),
                                        B.load(Weight, {Column, Inner}, {N, K}),
                                        Sum);
          });
      if (InChunks)
        B.store(Z, Logits, {Row, Column});
      Tile Number = B.iota({R, N}, 1) + B.toI32(Column);
      if (S.Vocabulary % N != 0)
        Z = select(Number < static_cast<int>(S.Vocabulary), Z, HiddenScore);
      Tile Maximum = maximum(C[0], B.max(Z));
      Tile Sum =
          C[1] * exp(C[0] - Maximum) + B.sum(exp(Z - B.asColumn(Maximum, N)));
      Tile Logit = C[2] + B.sum(select(equal(Number, Label), Z, 0));
      return SmallVector<Tile>{Maximum, Sum, Logit};
    };
    SmallVector<Tile> Zeros = {B.number(LowestMaximum, {R}), B.zeros({R}),
                               B.zeros({R})};
    // A loop of one step would hide from cells that they read the same weights.
    SmallVector<Tile> Last =
        S.range(Module) == N
            ? AddTile(First, Zeros)
            : B.forLoop(First, minimum(First + S.range(Module), S.Vocabulary),
                        N, Zeros, AddTile);
    B.store(Last[0], Maxima, {Range, Row});
    B.store(Last[1], Sums, {Range, Row});
    B.store(Last[2], Chosen, {Range, Row});
  });
}

tile::KernelOp tiling::buildCrossEntropyCombine(ModuleOp Module,
                                                const CrossEntropyShape &S,
                                                bool StoresLogSumExp,
                                                bool InChunks) {
  constexpr int64_t R = CrossEntropyRows;
  std::string Name =
      llvm::formatv("cross_entropy_combine_r{0}{1}{2}{3}", S.ranges(Module),
                    S.Shift ? "_shift" : "", StoresLogSumExp ? "_lse" : "",
                    InChunks ? "_chunk" : "");
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    Tile Maxima = B.memory({S.ranges(Module), Dynamic});
    Tile Sums = B.memory({S.ranges(Module), Dynamic});
    Tile Chosen = B.memory({S.ranges(Module), Dynamic});
    Tile Labels = B.integerMemory({Dynamic});
    Tile LogSumExp = StoresLogSumExp ? B.memory({Dynamic}) : Tile();
    Tile Losses = B.memory({Dynamic}), Counts = B.memory({Dynamic});
    Tile Tokens = B.indexArgument();
    Tile Start = InChunks ? B.indexArgument() : Tile();
    Tile Row = B.grid(0) * R;
    Tile Token = InChunks ? Start + Row : Row;
    Tile Cell = InChunks ? Token / R : B.grid(0);
    RowLabels L = loadLabels(B, Labels, Token, R, S.Shift, Tokens);
    SmallVector<Tile> Last = B.forLoop(
        0, S.ranges(Module), 1,
        {B.number(LowestMaximum, {R}), B.zeros({R}), B.zeros({R})},
        [&](Tile Range, ArrayRef<Tile> C) {
          Tile Other = B.load(Maxima, {Range, Row}, {R});
          Tile Maximum = maximum(C[0], Other);
          Tile Sum = C[1] * exp(C[0] - Maximum) +
                     B.load(Sums, {Range, Row}, {R}) * exp(Other - Maximum);
          return SmallVector<Tile>{Maximum, Sum,
                                   C[2] + B.load(Chosen, {Range, Row}, {R})};
        });
    Tile Result = Last[0] + log(Last[1]);
    if (LogSumExp)
      B.store(select(L.Counts, Result, 0), LogSumExp, {Token});
    B.store(B.sum(select(L.Counts, Result - Last[2], 0)), Losses, {Cell});
    B.store(B.sum(B.toFloat(L.Counts)), Counts, {Cell});
  });
}

tile::KernelOp tiling::buildCrossEntropyMean(ModuleOp Module) {
  return defineKernel(Module, "cross_entropy_mean", 1, [&](TileBuilder &B) {
    Tile Losses = B.memory({Dynamic}), Counts = B.memory({Dynamic});
    Tile Loss = B.memory({1});
    SmallVector<Tile> Total =
        B.forLoop(0, B.extent(Losses, 0), 1, {B.number(0), B.number(0)},
                  [&](Tile I, ArrayRef<Tile> C) {
                    return SmallVector<Tile>{C[0] + B.load(Losses, {I}),
                                             C[1] + B.load(Counts, {I})};
                  });
    B.store(Total[0] / maximum(Total[1], 1), Loss, {0});
  });
}

static LogicalResult lowerCrossEntropy(txs::LinearCrossEntropyOp Op,
                                       EntryBuilder &E) {
  if (lowerLossWithGradients(Op, E))
    return success();
  CrossEntropyShape Shape = CrossEntropyShape::of(Op);
  AffineExpr Rows = E.tokens(Op.getHidden());
  AffineExpr Tiles = Rows.ceilDiv(CrossEntropyRows);
  AffineExpr Ranges = E.constant(Shape.ranges(E.module()));
  Buffer *Maxima = E.temporary("cross_entropy_maxima", {Ranges, Rows});
  Buffer *Sums = E.temporary("cross_entropy_sums", {Ranges, Rows});
  Buffer *Chosen = E.temporary("cross_entropy_logits", {Ranges, Rows});
  Buffer *Losses = E.temporary("cross_entropy_losses", {Tiles});
  Buffer *Counts = E.temporary("cross_entropy_counts", {Tiles});
  Buffer *Labels = E.read(Op.getLabels());

  E.launch(buildCrossEntropyPartial(E.module(), Shape),
           {Rows.ceilDiv(Shape.edges(E.module()).Rows), Ranges},
           {{E.read(Op.getHidden()), {Rows}},
            {E.read(Op.getWeight())},
            {Labels, {Rows}},
            {Maxima, {Rows}},
            {Sums, {Rows}},
            {Chosen, {Rows}},
            E.seq()});
  bool StoresLogSumExp = E.isUsed(Op.getLogSumExp());
  SmallVector<LaunchArgument> Combined = {
      {Maxima, {Rows}}, {Sums, {Rows}}, {Chosen, {Rows}}, {Labels, {Rows}}};
  if (StoresLogSumExp)
    Combined.push_back({E.write(Op.getLogSumExp()), {Rows}});
  Combined.append({{Losses, {Tiles}}, {Counts, {Tiles}}, E.seq()});
  E.launch(buildCrossEntropyCombine(E.module(), Shape, StoresLogSumExp),
           {Tiles}, Combined);
  E.launch(buildCrossEntropyMean(E.module()), {E.constant(1)},
           {{Losses, {Tiles}}, {Counts, {Tiles}}, {E.write(Op.getLoss())}});
  return success();
}

void tiling::registerCrossEntropy(LoweringTable &Table) {
  Table.add<txs::LinearCrossEntropyOp>(lowerCrossEntropy);
}
