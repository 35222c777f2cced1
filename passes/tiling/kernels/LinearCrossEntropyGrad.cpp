//===- LinearCrossEntropyGrad.cpp - Gradients of the loss -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// For a row r with target y_r, z = hidden weight^T and n rows that count:
//
//   dz[r, v] = (exp(z[r, v] - log_sum_exp_r) - (v = y_r)) / n, 0 without target
//   dhidden = dz weight,    dweight = dz^T hidden
//
// dz exists for CrossEntropySlab entries of the vocabulary at a time, never as
// a whole: for each slab one product with dz in its epilogue, then the two
// products that use it. That is three products of R x V x D in all, against
// four if each gradient made its own logits. On a CPU the loss's logits serve
// as well (LinearCrossEntropyChunks.cpp), which makes it three with the loss.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

tile::KernelOp tiling::buildCrossEntropyTargets(ModuleOp Module, bool Shift) {
  return defineKernel(
      Module, Shift ? "cross_entropy_targets_shifted" : "cross_entropy_targets",
      1, [&](TileBuilder &B) {
        Tile Labels = B.integerMemory({Dynamic, Dynamic});
        Tile Targets = B.integerMemory({Dynamic, Dynamic});
        Tile Scale = B.memory({1});
        constexpr int64_t Step = 64;
        Tile Length = B.extent(Labels, 1);
        Tile Scored = B.toI32(Shift ? Length - 1 : Length);
        auto Row = [&](Tile Batch, Tile Token, Tile Count) {
          Tile From = Shift ? Token + 1 : Token;
          Tile Label = B.load(Labels, {Batch, From}, {Step});
          Tile Position = B.iota({Step}) + B.toI32(Token);
          Tile Counts = (Label >= 0) & (Position < Scored);
          B.store(select(Counts, Label, -1), Targets, {Batch, Token});
          return SmallVector<Tile>{Count + B.sum(B.toFloat(Counts))};
        };
        Tile Count = B.forLoop(0, B.extent(Labels, 0), 1, {B.number(0)},
                               [&](Tile Batch, ArrayRef<Tile> Outer) {
                                 return B.forLoop(
                                     0, Length, Step, Outer,
                                     [&](Tile Token, ArrayRef<Tile> Carried) {
                                       return Row(Batch, Token, Carried[0]);
                                     });
                               })[0];
        B.store(1 / maximum(Count, 1), Scale, {0});
      });
}

Tile tiling::crossEntropyLogitsGrad(TileBuilder &B, Tile Logits, Tile Column,
                                    Tile Target, Tile LogSumExp, Tile Scale,
                                    int64_t Vocabulary) {
  int64_t Rows = Logits.rows(), Columns = Logits.columns();
  Tile Counts = Target >= 0;
  // A row without target has no log_sum_exp: its exponential must not overflow.
  Tile Shift = B.asColumn(select(Counts, LogSumExp, 1e30), Columns);
  Tile Entry = B.iota({Rows, Columns}, 1) + B.toI32(Column);
  Tile Exponent = select(Entry < Vocabulary, Logits - Shift, MaskedExponent);
  Tile Chosen = B.toFloat(equal(Entry, B.asColumn(Target, Columns)));
  return (exp(Exponent) - Chosen) * Scale;
}

static std::string shapeName(const CrossEntropyGradShape &S) {
  return "_v" + std::to_string(S.Vocabulary) + "_n" + std::to_string(S.Width) +
         (S.Slab == Dynamic ? "" : "_slab" + std::to_string(S.Slab)) +
         typeSuffix({S.Element, S.WeightElement});
}

tile::KernelOp
tiling::buildCrossEntropyLogitsGrad(ModuleOp Module,
                                    const CrossEntropyGradShape &S) {
  int64_t Vocabulary = S.Vocabulary, Width = S.Width;
  return defineKernel(
      Module, "cross_entropy_logits_grad" + shapeName(S), 2,
      [&](TileBuilder &B) {
        Tile Hidden = B.memory({Dynamic, Width}, S.Element);
        Tile Weight = B.memory({Vocabulary, Width}, S.WeightElement);
        Tile Targets = B.integerMemory({Dynamic});
        Tile LogSumExp = B.memory({Dynamic}), Scale = B.memory({1});
        Tile DLogits = B.memory({Dynamic, S.Slab}, S.Element);
        Tile Slab = B.indexArgument();
        TileSizes Sizes = TileSizes::of(Module);
        int64_t Rows = Sizes.gradientRows();
        int64_t Inner =
            Sizes.innerExtent(Width, tileExtent(Width, 128), S.WeightElement);
        int64_t Columns = tileExtent(Vocabulary, ProductColumns);
        Tile Row = B.grid(0) * Rows, Column = B.grid(1) * ProductColumns;
        Tile Entry = Slab + Column;
        Tile Logits = sumOfProducts(
            B, Width, Inner, B.zeros({Rows, Columns}),
            [&](Tile K) { return B.load(Hidden, {Row, K}, {Rows, Inner}); },
            [&](Tile K) {
              return B.load(Weight, {Entry, K}, {Columns, Inner});
            },
            /*TransposeLeft=*/false, /*TransposeRight=*/true);
        Tile Grad = crossEntropyLogitsGrad(
            B, Logits, Entry, B.load(Targets, {Row}, {Rows}),
            B.load(LogSumExp, {Row}, {Rows}), B.load(Scale, {0}), Vocabulary);
        B.store(Grad, DLogits, {Row, Column});
      });
}

tile::KernelOp
tiling::buildCrossEntropyHiddenGrad(ModuleOp Module,
                                    const CrossEntropyGradShape &S,
                                    bool Accumulate, Type SumElement) {
  int64_t Vocabulary = S.Vocabulary, Width = S.Width;
  return defineKernel(
      Module,
      "cross_entropy_hidden_grad" + shapeName(S) +
          (S.Counted ? "_counted" : "") +
          (S.Element == SumElement ? "" : "_sum" + typeSuffix(SumElement)) +
          (Accumulate ? "_add" : ""),
      2, [&](TileBuilder &B) {
        Tile DLogits = B.memory({Dynamic, S.Slab}, S.Element);
        Tile Weight = B.memory({Vocabulary, Width}, S.WeightElement);
        Tile DHidden = B.memory({Dynamic, Width}, SumElement);
        Tile Slab = B.indexArgument();
        Tile Count = S.Counted ? B.indexArgument() : B.extent(DLogits, 1);
        TileSizes Sizes = TileSizes::of(Module);
        int64_t Rows = Sizes.gradientRows();
        int64_t Inner = Sizes.innerExtent(
            Vocabulary, tileExtent(Vocabulary, 128), S.WeightElement);
        int64_t Columns = tileExtent(Width, ProductColumns);
        Tile Row = B.grid(0) * Rows, Column = B.grid(1) * ProductColumns;
        Tile Start = Accumulate
                         ? B.load(DHidden, {Row, Column}, {Rows, Columns})
                         : B.zeros({Rows, Columns});
        Tile Sum = sumOfProducts(
            B, Count, Inner, Start,
            [&](Tile K) { return B.load(DLogits, {Row, K}, {Rows, Inner}); },
            [&](Tile K) {
              return B.load(Weight, {Slab + K, Column}, {Inner, Columns});
            });
        B.store(Sum, DHidden, {Row, Column});
      });
}

tile::KernelOp
tiling::buildCrossEntropyWeightGrad(ModuleOp Module,
                                    const CrossEntropyGradShape &S) {
  int64_t Vocabulary = S.Vocabulary, Width = S.Width;
  return defineKernel(
      Module, "cross_entropy_weight_grad" + shapeName(S), 2,
      [&](TileBuilder &B) {
        Tile DLogits = B.memory({Dynamic, S.Slab}, S.Element);
        Tile Hidden = B.memory({Dynamic, Width}, S.Element);
        Tile DWeight = B.memory({Vocabulary, Width}), Slab = B.indexArgument();
        int64_t Rows = tileExtent(Vocabulary, ProductRows);
        int64_t Columns = tileExtent(Width, ProductColumns), Inner = 64;
        Tile Row = B.grid(0) * ProductRows, Column = B.grid(1) * ProductColumns;
        Tile Sum = sumOfProducts(
            B, B.extent(Hidden, 0), Inner, B.zeros({Rows, Columns}),
            [&](Tile Token) {
              return B.load(DLogits, {Token, Row}, {Inner, Rows});
            },
            [&](Tile Token) {
              return B.load(Hidden, {Token, Column}, {Inner, Columns});
            },
            /*TransposeLeft=*/true);
        B.store(Sum, DWeight, {Slab + Row, Column});
      });
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

/// Columns of dlogits on a GPU, whose accesses are wide where rows begin at
/// multiples of 32 bytes: those behind the vocabulary are zeros, and nothing
/// comes of them.
static int64_t gpuSlab(int64_t Vocabulary) {
  return llvm::alignTo(std::min(Vocabulary, CrossEntropySlab), 16);
}

/// The launches for one slab of the vocabulary.
static void lowerSlab(txs::LinearCrossEntropyGradOp Op, EntryBuilder &E,
                      int64_t First, Buffer *Targets, Buffer *Scale,
                      Buffer *DLogits, Buffer *DHidden, Buffer *DWeight) {
  auto Type = cast<RankedTensorType>(Op.getWeight().getType());
  CrossEntropyGradShape S = {Type.getDimSize(0), Type.getDimSize(1),
                             E.element(Op.getHidden()), Type.getElementType()};
  int64_t Size = std::min(CrossEntropySlab, S.Vocabulary - First);
  AffineExpr Rows = E.tokens(Op.getHidden()), Slab = E.constant(Size);
  if (TileSizes::of(E.module()).Gpu) {
    S.Slab = gpuSlab(S.Vocabulary);
    S.Counted = S.Vocabulary > S.Slab && S.Vocabulary % S.Slab != 0;
  }
  LaunchArgument Logits(DLogits, {Rows});
  if (S.Slab == Dynamic)
    Logits.Sizes.push_back(Slab);
  AffineExpr Offset = E.constant(First);
  AffineExpr RowTiles = Rows.ceilDiv(TileSizes::of(E.module()).gradientRows());
  AffineExpr WidthTiles = E.constant(llvm::divideCeil(S.Width, ProductColumns));
  Buffer *Hidden = E.read(Op.getHidden()), *Weight = E.read(Op.getWeight());
  E.launch(buildCrossEntropyLogitsGrad(E.module(), S),
           {RowTiles, Slab.ceilDiv(ProductColumns)},
           {{Hidden, {Rows}},
            {Weight},
            {Targets, {Rows}},
            {E.read(Op.getLogSumExp()), {Rows}},
            {Scale},
            Logits,
            {Offset}});
  SmallVector<LaunchArgument> ForHidden = {
      Logits, {Weight}, {DHidden, {Rows}}, {Offset}};
  if (S.Counted)
    ForHidden.push_back(Slab);
  E.launch(
      buildCrossEntropyHiddenGrad(E.module(), S, First > 0, DHidden->Element),
      {RowTiles, WidthTiles}, ForHidden);
  E.launch(buildCrossEntropyWeightGrad(E.module(), S),
           {Slab.ceilDiv(ProductRows), WidthTiles},
           {Logits, {Hidden, {Rows}}, {DWeight}, {Offset}});
}

static LogicalResult
lowerLinearCrossEntropyGrad(txs::LinearCrossEntropyGradOp Op, EntryBuilder &E) {
  if (E.isWritten(Op.getDhidden())) // with the loss
    return success();
  auto Type = cast<RankedTensorType>(Op.getWeight().getType());
  int64_t Vocabulary = Type.getDimSize(0);
  AffineExpr Rows = E.tokens(Op.getHidden());
  SmallVector<AffineExpr> Labels = E.shape(Op.getLabels());
  if (Labels.size() == 1) // one label for each sequence
    Labels.insert(Labels.begin(), E.constant(1));
  mlir::Type Integer = IntegerType::get(Op.getContext(), 32);
  Buffer *Targets =
      E.temporary("linear_cross_entropy_grad.targets", {Rows}, Integer);
  Buffer *Scale =
      E.temporary("linear_cross_entropy_grad.scale", {E.constant(1)});
  int64_t Columns = TileSizes::of(E.module()).Gpu
                        ? gpuSlab(Vocabulary)
                        : std::min(Vocabulary, CrossEntropySlab);
  Buffer *DLogits =
      E.temporary("linear_cross_entropy_grad.dlogits",
                  {Rows, E.constant(Columns)}, E.element(Op.getHidden()));
  E.launch(buildCrossEntropyTargets(E.module(), Op.getShift()), {E.constant(1)},
           {{E.read(Op.getLabels()), Labels}, {Targets, Labels}, {Scale}});
  Buffer *DHidden = E.write(Op.getDhidden());
  Buffer *DWeight = E.write(Op.getDweight());
  // What several slabs add up must not be rounded in between.
  Buffer *Sum = DHidden;
  if (Vocabulary > CrossEntropySlab && !DHidden->Element.isF32())
    Sum = E.temporary("linear_cross_entropy_grad.dhidden",
                      E.shape(Op.getDhidden()));
  for (int64_t First = 0; First < Vocabulary; First += CrossEntropySlab)
    lowerSlab(Op, E, First, Targets, Scale, DLogits, Sum, DWeight);
  if (Sum != DHidden)
    E.copy(Sum, DHidden, Op.getDhidden());
  return success();
}

void tiling::registerLinearCrossEntropyGrad(LoweringTable &Table) {
  Table.add<txs::LinearCrossEntropyGradOp>(lowerLinearCrossEntropyGrad);
}
