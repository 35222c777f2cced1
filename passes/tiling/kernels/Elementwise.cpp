//===- Elementwise.cpp - Kernels without sums -----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Operations that treat corresponding elements alike run over flat memory
// (copy, zeros, activation, mul, add, dropout); those with a factor per channel
// or token, over [rows, channels] (scale, residual, mask).
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"
#include "llvm/ADT/bit.h"
#include <cstdio>
#include <cstdlib>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

int64_t tiling::powerOfTwoAtMost(int64_t Number) {
  return llvm::bit_floor(static_cast<uint64_t>(Number));
}

int64_t tiling::tileFor(int64_t Extent, int64_t Low, int64_t High) {
  for (int64_t Size = std::min(Extent, High); Size >= Low; --Size)
    if (Extent % Size == 0)
      return Size;
  return std::min(Extent, High);
}

//===----------------------------------------------------------------------===//
// Over flat memory
//===----------------------------------------------------------------------===//

tile::KernelOp tiling::buildFlat(ModuleOp Module, const Twine &Name,
                                 unsigned InputCount,
                                 function_ref<Tile(ArrayRef<Tile>)> Function,
                                 Type Element) {
  std::string Typed = Name.str() + typeSuffix(Element);
  return defineKernel(Module, Typed, 1, [&](TileBuilder &B) {
    SmallVector<Tile> Inputs;
    for (unsigned I = 0; I < InputCount; ++I)
      Inputs.push_back(B.memory({Dynamic}, Element));
    Tile Result = B.memory({Dynamic}, Element);
    Tile First = B.grid(0) * FlatTile;
    for (Tile &Input : Inputs)
      Input = B.load(Input, {First}, {FlatTile});
    B.store(Function(Inputs), Result, {First});
  });
}

tile::KernelOp tiling::buildCopy(ModuleOp Module, Type From, Type To) {
  std::string Name = "copy" + typeSuffix({From, To});
  return defineKernel(Module, Name, 1, [&](TileBuilder &B) {
    Tile Source = B.memory({Dynamic}, From), Target = B.memory({Dynamic}, To);
    Tile First = B.grid(0) * FlatTile;
    B.store(B.load(Source, {First}, {FlatTile}), Target, {First});
  });
}

/// Launches a flat kernel that makes Result.
static void launchFlat(EntryBuilder &E, tile::KernelOp Kernel,
                       ArrayRef<Value> Inputs, Value Result) {
  AffineExpr Size = E.rows(Result) * E.columns(Result);
  SmallVector<LaunchArgument> Arguments;
  for (Value Input : Inputs)
    Arguments.push_back({E.read(Input), {Size}});
  Arguments.push_back({E.write(Result), {Size}});
  E.launch(Kernel, {Size.ceilDiv(FlatTile)}, Arguments);
}

Tile tiling::activation(txs::ActivationKind Kind, Tile V) {
  switch (Kind) {
  case txs::ActivationKind::Silu:
    return V / (1.0 + exp(-V));
  case txs::ActivationKind::Gelu:
    return (0.5 * V) * (1.0 + erf(V * 0.70710678118654752));
  case txs::ActivationKind::Relu:
    return maximum(V, 0);
  case txs::ActivationKind::Softplus:
    // log(1 + exp(x)) without overflow.
    return log1p(exp(-absolute(V))) + maximum(V, 0);
  }
  llvm_unreachable("unknown activation");
}

static LogicalResult lowerActivation(txs::ActivationOp Op, EntryBuilder &E) {
  txs::ActivationKind Kind = Op.getKind();
  auto Kernel = buildFlat(
      E.module(), txs::stringifyActivationKind(Kind), 1,
      [&](ArrayRef<Tile> Inputs) { return activation(Kind, Inputs[0]); },
      E.element(Op.getInput()));
  launchFlat(E, Kernel, {Op.getInput()}, Op.getResult());
  return success();
}

static LogicalResult lowerMul(txs::MulOp Op, EntryBuilder &E) {
  auto Kernel = buildFlat(
      E.module(), "mul", 2,
      [](ArrayRef<Tile> Inputs) { return Inputs[0] * Inputs[1]; },
      E.element(Op.getLhs()));
  launchFlat(E, Kernel, {Op.getLhs(), Op.getRhs()}, Op.getResult());
  return success();
}

static LogicalResult lowerAdd(txs::AddOp Op, EntryBuilder &E) {
  if (E.isWritten(Op.getResult())) // with the gradient of an embedding
    return success();
  auto Kernel = buildFlat(
      E.module(), "add", 2,
      [](ArrayRef<Tile> Inputs) { return Inputs[0] + Inputs[1]; },
      E.element(Op.getLhs()));
  launchFlat(E, Kernel, {Op.getLhs(), Op.getRhs()}, Op.getResult());
  return success();
}

static LogicalResult lowerZeros(txs::ZerosOp Op, EntryBuilder &E) {
  Type Element = E.element(Op.getResult());
  auto Kernel = defineKernel(
      E.module(), "zeros" + typeSuffix(Element), 1, [&](TileBuilder &B) {
        Tile Result = B.memory({Dynamic}, Element);
        B.store(B.zeros({FlatTile}), Result, {B.grid(0) * FlatTile});
      });
  launchFlat(E, Kernel, {}, Op.getResult());
  return success();
}

static LogicalResult lowerBarrier(txs::RecomputeBarrierOp Op, EntryBuilder &E) {
  for (auto [Input, Result] : llvm::zip_equal(Op.getInputs(), Op.getResults()))
    E.alias(Result, Input);
  return success();
}

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

Tile tiling::dropoutFactor(TileBuilder &B, std::array<Tile, 3> Words, Tile Seed,
                           double Probability, int64_t Site) {
  OpBuilder &O = B.builder();
  ArrayRef<int64_t> Shape = Words[0].shape();
  Type Word = Words[0].type();
  std::array<Tile, 4> Counter;
  for (int I = 0; I < 3; ++I)
    Counter[I] = Words[I] ? Words[I] : B.constant(0, Word);
  Counter[3] = B.constant(wordConstant(Site), Word);
  Tile Drawn = philox(B, Counter, {B.load(Seed, {0}), B.load(Seed, {1})})[0];
  Tile Threshold = B.constant(
      wordConstant(static_cast<uint32_t>(Probability * 0x1p32)), Word);
  Tile Keep = B.wrap(arith::CmpIOp::create(
      O, B.loc(), arith::CmpIPredicate::uge, Drawn.value(), Threshold.value()));
  return select(Keep, B.number(1 / (1 - Probability), Shape), 0);
}

std::string tiling::numberName(double Number) {
  // The shortest decimal that reads back as the same number.
  char Text[32];
  for (int Digits = 1; Digits <= 17; ++Digits) {
    std::snprintf(Text, sizeof(Text), "%.*g", Digits, Number);
    if (std::strtod(Text, nullptr) == Number)
      break;
  }
  std::string Name;
  for (char C : StringRef(Text))
    if (C != '+')
      Name += C == '-' ? 'm' : C == '.' ? 'p' : C;
  return Name;
}

std::array<Tile, 3> tiling::linearWords(TileBuilder &B, Tile Indices) {
  return {B.toI32(Indices), B.toI32(shiftRight(Indices, 32)), Tile()};
}

std::string tiling::dropoutName(double Probability, int64_t Site) {
  return "_dropout" + numberName(Probability) + "_site" + std::to_string(Site);
}

static LogicalResult lowerDropout(txs::DropoutOp Op, EntryBuilder &E) {
  double Probability = Op.getProbability().convertToDouble();
  Type Element = E.element(Op.getInput());
  std::string Name = dropoutName(Probability, Op.getSite()).substr(1) +
                     typeSuffix(Element); // no prefix
  auto Kernel = defineKernel(E.module(), Name, 1, [&](TileBuilder &B) {
    Tile X = B.memory({Dynamic}, Element), Seed = B.integerMemory({2});
    Tile Result = B.memory({Dynamic}, Element);
    Tile First = B.grid(0) * FlatTile;
    Tile Indices = B.toI64(B.iota({FlatTile})) + B.toI64(First);
    Tile Factor = dropoutFactor(B, linearWords(B, Indices), Seed, Probability,
                                Op.getSite());
    B.store(B.load(X, {First}, {FlatTile}) * Factor, Result, {First});
  });
  AffineExpr Size = E.rows(Op.getInput()) * E.columns(Op.getInput());
  E.launch(Kernel, {Size.ceilDiv(FlatTile)},
           {{E.read(Op.getInput()), {Size}},
            {E.read(Op.getSeed())},
            {E.write(Op.getResult()), {Size}}});
  return success();
}

//===----------------------------------------------------------------------===//
// With a factor per channel or token
//===----------------------------------------------------------------------===//

namespace {
/// A [rows, Columns] view, tiled so that a cell has a few thousand elements.
struct RowTiles {
  RowTiles(int64_t Columns)
      : Columns(Columns), ColumnTile(tileFor(Columns, 64, 512)),
        RowTile(
            powerOfTwoAtMost(std::clamp<int64_t>(FlatTile / Columns, 1, 64))) {}

  /// For every tile of the cell's rows.
  void forEachTile(TileBuilder &B,
                   function_ref<void(Tile Row, Tile Column)> Body) const {
    Tile Row = B.grid(0) * RowTile;
    if (ColumnTile == Columns)
      return Body(Row, B.index(0));
    B.forLoop(0, Columns, ColumnTile, [&](Tile Column) { Body(Row, Column); });
  }

  int64_t Columns, ColumnTile, RowTile;
};
} // namespace

static LogicalResult lowerScale(txs::ScaleOp Op, EntryBuilder &E) {
  RowTiles Tiles(E.columns(Op.getInput()));
  AffineExpr Rows = E.rows(Op.getInput());
  int64_t R = Tiles.RowTile, C = Tiles.ColumnTile;
  Type Element = E.element(Op.getInput());
  Type WeightElement = E.element(Op.getWeight());
  auto Kernel = defineKernel(
      E.module(),
      "scale_n" + Twine(Tiles.Columns) + typeSuffix({Element, WeightElement}),
      1, [&](TileBuilder &B) {
        Tile X = B.memory({Dynamic, Tiles.Columns}, Element);
        Tile W = B.memory({Tiles.Columns}, WeightElement);
        Tile Result = B.memory({Dynamic, Tiles.Columns}, Element);
        Tiles.forEachTile(B, [&](Tile Row, Tile Column) {
          Tile Weight = B.asRow(B.load(W, {Column}, {C}), R);
          B.store(Weight * B.load(X, {Row, Column}, {R, C}), Result,
                  {Row, Column});
        });
      });
  E.launch(Kernel, {Rows.ceilDiv(R)},
           {{E.read(Op.getInput()), {Rows}},
            {E.read(Op.getWeight())},
            {E.write(Op.getResult()), {Rows}}});
  return success();
}

static LogicalResult lowerResidual(txs::ResidualOp Op, EntryBuilder &E) {
  RowTiles Tiles(E.columns(Op.getInput()));
  AffineExpr Rows = E.rows(Op.getInput());
  int64_t R = Tiles.RowTile, C = Tiles.ColumnTile;
  Type Element = E.element(Op.getInput());
  Type WeightElement = E.element(Op.getWeight());
  auto Kernel =
      defineKernel(E.module(),
                   "residual_n" + Twine(Tiles.Columns) +
                       typeSuffix({Element, WeightElement}),
                   1, [&](TileBuilder &B) {
                     Tile X = B.memory({Dynamic, Tiles.Columns}, Element);
                     Tile Update = B.memory({Dynamic, Tiles.Columns}, Element);
                     Tile W = B.memory({Tiles.Columns}, WeightElement);
                     Tile Result = B.memory({Dynamic, Tiles.Columns}, Element);
                     Tiles.forEachTile(B, [&](Tile Row, Tile Column) {
                       Tile Weight = B.asRow(B.load(W, {Column}, {C}), R);
                       B.store(Weight * B.load(X, {Row, Column}, {R, C}) +
                                   B.load(Update, {Row, Column}, {R, C}),
                               Result, {Row, Column});
                     });
                   });
  E.launch(Kernel, {Rows.ceilDiv(R)},
           {{E.read(Op.getInput()), {Rows}},
            {E.read(Op.getUpdate()), {Rows}},
            {E.read(Op.getWeight())},
            {E.write(Op.getResult()), {Rows}}});
  return success();
}

static LogicalResult lowerMask(txs::MaskOp Op, EntryBuilder &E) {
  RowTiles Tiles(E.width(Op.getInput()));
  AffineExpr Tokens = E.tokens(Op.getInput());
  int64_t R = Tiles.RowTile, C = Tiles.ColumnTile;
  Type Element = E.element(Op.getInput());
  Type MaskElement = E.element(Op.getMask());
  auto Kernel = defineKernel(
      E.module(),
      "mask_n" + Twine(Tiles.Columns) + typeSuffix({Element, MaskElement}), 1,
      [&](TileBuilder &B) {
        Tile X = B.memory({Dynamic, Tiles.Columns}, Element);
        Tile Mask = B.memory({Dynamic}, MaskElement);
        Tile Result = B.memory({Dynamic, Tiles.Columns}, Element);
        Tiles.forEachTile(B, [&](Tile Row, Tile Column) {
          Tile Factor = B.asColumn(B.load(Mask, {Row}, {R}), C);
          B.store(Factor * B.load(X, {Row, Column}, {R, C}), Result,
                  {Row, Column});
        });
      });
  E.launch(Kernel, {Tokens.ceilDiv(R)},
           {{E.read(Op.getInput()), {Tokens}},
            {E.read(Op.getMask()), {Tokens}},
            {E.write(Op.getResult()), {Tokens}}});
  return success();
}

void tiling::registerElementwise(LoweringTable &Table) {
  Table.add<txs::ActivationOp>(lowerActivation);
  Table.add<txs::MulOp>(lowerMul);
  Table.add<txs::AddOp>(lowerAdd);
  Table.add<txs::ZerosOp>(lowerZeros);
  Table.add<txs::RecomputeBarrierOp>(lowerBarrier);
  Table.add<txs::DropoutOp>(lowerDropout);
  Table.add<txs::ScaleOp>(lowerScale);
  Table.add<txs::ResidualOp>(lowerResidual);
  Table.add<txs::MaskOp>(lowerMask);
}
