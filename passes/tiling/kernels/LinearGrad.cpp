//===- LinearGrad.cpp - Gradients of a projection -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//   dinput[r, i] = sum over o of dresult[r, o] weight[o, i]
//   dweight[o, i] = sum over rows r of dresult[r, o] input[r, i]
//
// One cell makes one tile of the result and adds over the whole of the inner
// dimension in order, so the result does not depend on how cells are run. Sums
// of dinput over the projections of one input, and the dweight of them all, are
// one launch each (SharedInput.h).
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

/// The type of gradient I; none are given where all are float32.
static Type elementOf(ArrayRef<Type> Elements, size_t I) {
  return Elements.empty() ? Type() : Elements[I];
}

/// "_o1024_o8": the outputs of every product, with their types.
static std::string outputNames(ArrayRef<int64_t> Outputs,
                               ArrayRef<Type> Elements) {
  std::string Name;
  for (auto [I, Count] : llvm::enumerate(Outputs))
    Name += "_o" + std::to_string(Count) + typeSuffix(elementOf(Elements, I));
  return Name;
}

TileEdges tiling::inputGradEdges(TileSizes Sizes, int64_t Inputs) {
  return Sizes.productEdges(TileSizes::TypicalTokens, Inputs,
                            {Sizes.gradientRows(), ProductColumns});
}

TileEdges tiling::weightGradEdges(TileSizes Sizes, int64_t Outputs,
                                  int64_t Inputs) {
  return Sizes.productEdges(Outputs, Inputs, {ProductRows, ProductColumns});
}

Tile tiling::sumOfProducts(TileBuilder &B, Operand Extent, int64_t Step,
                           Tile Start, function_ref<Tile(Tile)> Left,
                           function_ref<Tile(Tile)> Right, bool TransposeLeft,
                           bool TransposeRight) {
  return B.forLoop(
      0, Extent, Step, {Start}, [&](Tile Inner, ArrayRef<Tile> Carried) {
        Tile L = Left(Inner), R = Right(Inner);
        return SmallVector<Tile>{
            B.mma(L, R, Carried[0], TransposeLeft, TransposeRight)};
      })[0];
}

tile::KernelOp tiling::buildLinearGradInput(ModuleOp Module,
                                            ArrayRef<int64_t> Outputs,
                                            int64_t Inputs, Epilogue *Tail,
                                            ArrayRef<Type> Elements,
                                            Type WeightElement) {
  std::string Name = "linear_grad_input" + outputNames(Outputs, Elements) +
                     "_i" + std::to_string(Inputs) + typeSuffix(WeightElement) +
                     (Tail ? Tail->name() : "");
  return defineKernel(Module, Name, 2, [&](TileBuilder &B) {
    SmallVector<Tile> DResults, Weights;
    for (auto [I, Count] : llvm::enumerate(Outputs)) {
      DResults.push_back(B.memory({Dynamic, Count}, elementOf(Elements, I)));
      Weights.push_back(B.memory({Count, Inputs}, WeightElement));
    }
    Tile DInput = Tail ? Tile() : B.memory({Dynamic, Inputs}, WeightElement);
    if (Tail)
      Tail->declare(B);
    TileSizes Sizes = TileSizes::of(Module);
    TileEdges Edges = inputGradEdges(Sizes, Inputs);
    int64_t Rows = Edges.Rows, Columns = tileExtent(Inputs, Edges.Columns);
    Tile Row = B.grid(0) * Rows, Column = B.grid(1) * Edges.Columns;
    Tile Sum = B.zeros({Rows, Columns});
    for (auto [Count, DResult, Weight] :
         llvm::zip_equal(Outputs, DResults, Weights)) {
      int64_t Inner = Sizes.innerExtent(
          Count, tileExtent(Count, innerSteps(Edges, 128)), WeightElement);
      auto Left = [&, &DResult = DResult](Tile K) {
        return B.load(DResult, {Row, K}, {Rows, Inner});
      };
      auto Right = [&, &Weight = Weight](Tile K) {
        return B.load(Weight, {K, Column}, {Inner, Columns});
      };
      Sum = sumOfProducts(B, Count, Inner, Sum, Left, Right);
    }
    if (Tail)
      Tail->store(B, {Sum}, Row, Column);
    else
      B.store(Sum, DInput, {Row, Column});
  });
}

/// One tile of dweight.
static void storeWeightGrad(TileBuilder &B, Tile Input, Tile DResult,
                            Tile DWeight, Tile Row, Tile Column,
                            TileEdges Edges, int64_t Inner) {
  int64_t Rows = tileExtent(DWeight.rows(), Edges.Rows);
  int64_t Columns = tileExtent(DWeight.columns(), Edges.Columns);
  Tile Sum = sumOfProducts(
      B, B.extent(Input, 0), Inner, B.zeros({Rows, Columns}),
      [&](Tile Token) { return B.load(DResult, {Token, Row}, {Inner, Rows}); },
      [&](Tile Token) {
        return B.load(Input, {Token, Column}, {Inner, Columns});
      },
      /*TransposeLeft=*/true);
  B.store(Sum, DWeight, {Row, Column});
}

tile::KernelOp tiling::buildLinearGradWeight(ModuleOp Module,
                                             ArrayRef<int64_t> Outputs,
                                             int64_t Inputs,
                                             ArrayRef<Type> Elements,
                                             Type InputElement) {
  bool Several = Outputs.size() > 1;
  std::string Name = "linear_grad_weight" + outputNames(Outputs, Elements) +
                     "_i" + std::to_string(Inputs) + typeSuffix(InputElement);
  return defineKernel(Module, Name, Several ? 3 : 2, [&](TileBuilder &B) {
    SmallVector<Tile> DResults, DWeights;
    for (auto [I, Count] : llvm::enumerate(Outputs))
      DResults.push_back(B.memory({Dynamic, Count}, elementOf(Elements, I)));
    Tile Input = B.memory({Dynamic, Inputs}, InputElement);
    for (int64_t Count : Outputs)
      DWeights.push_back(B.memory({Count, Inputs}));
    TileSizes Sizes = TileSizes::of(Module);
    TileEdges Edges =
        weightGradEdges(Sizes, *llvm::max_element(Outputs), Inputs);
    int64_t Inner = Sizes.Gpu ? 64 : innerSteps(Edges, 64);
    Tile Row = B.grid(0) * Edges.Rows, Column = B.grid(1) * Edges.Columns;
    for (auto [I, DResult, DWeight] : llvm::enumerate(DResults, DWeights)) {
      auto Store = [&, DResult = DResult, DWeight = DWeight] {
        storeWeightGrad(B, Input, DResult, DWeight, Row, Column, Edges, Inner);
      };
      if (!Several)
        Store();
      else // The one with most outputs decides how many cells all have.
        B.ifThen(equal(B.grid(2), static_cast<int64_t>(I)) &
                     (Row < DWeight.rows()),
                 Store);
    }
  });
}

static LogicalResult lowerLinearGradInput(txs::LinearGradInputOp Op,
                                          EntryBuilder &E) {
  AffineExpr Rows = E.tokens(Op.getDresult());
  int64_t Inputs = E.width(Op.getDinput());
  GradientSum Sum = *GradientSum::of(E.group(Op));
  SmallVector<LaunchArgument> Arguments;
  SmallVector<int64_t> Outputs;
  SmallVector<Type> Elements;
  for (Operation *Term : Sum.Terms) {
    auto Product = cast<txs::LinearGradInputOp>(Term);
    Outputs.push_back(E.width(Product.getDresult()));
    Elements.push_back(E.element(Product.getDresult()));
    Arguments.push_back({E.read(Product.getDresult()), {Rows}});
    Arguments.push_back({E.read(Product.getWeight())});
  }
  Epilogue Tail(E, {Sum.Result}, Sum.Steps);
  Tail.addArguments(Arguments);
  TileEdges Edges = inputGradEdges(TileSizes::of(E.module()), Inputs);
  E.launch(buildLinearGradInput(E.module(), Outputs, Inputs, &Tail, Elements,
                                E.element(Op.getWeight())),
           {Rows.ceilDiv(Edges.Rows),
            E.constant(llvm::divideCeil(Inputs, Edges.Columns))},
           Arguments);
  return success();
}

static LogicalResult lowerLinearGradWeight(txs::LinearGradWeightOp Op,
                                           EntryBuilder &E) {
  AffineExpr Rows = E.tokens(Op.getDresult());
  int64_t Inputs = E.width(Op.getInput());
  SmallVector<LaunchArgument> Arguments, Results;
  SmallVector<int64_t> Outputs;
  SmallVector<Type> Elements;
  for (Operation *Root : E.group(Op).Roots) {
    auto Product = cast<txs::LinearGradWeightOp>(Root);
    Outputs.push_back(E.width(Product.getDresult()));
    Elements.push_back(E.element(Product.getDresult()));
    Arguments.push_back({E.read(Product.getDresult()), {Rows}});
    Results.push_back({E.write(Product.getDweight())});
  }
  Arguments.push_back({E.read(Op.getInput()), {Rows}});
  Arguments.append(Results);
  int64_t Most = *llvm::max_element(Outputs);
  TileEdges Edges = weightGradEdges(TileSizes::of(E.module()), Most, Inputs);
  SmallVector<AffineExpr> Grid = {
      E.constant(llvm::divideCeil(Most, Edges.Rows)),
      E.constant(llvm::divideCeil(Inputs, Edges.Columns))};
  if (Outputs.size() > 1)
    Grid.push_back(E.constant(Outputs.size()));
  E.launch(buildLinearGradWeight(E.module(), Outputs, Inputs, Elements,
                                 E.element(Op.getInput())),
           Grid, Arguments);
  return success();
}

void tiling::registerLinearGrad(LoweringTable &Table) {
  Table.add<txs::LinearGradInputOp>(lowerLinearGradInput);
  Table.add<txs::LinearGradWeightOp>(lowerLinearGradWeight);
}
