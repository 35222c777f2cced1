//===- Optimizer.cpp - Global norm and AdamW ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The norm of all gradients together: each cell adds the squares of its block,
// one cell adds the blocks of all parameters in order and takes the root.
// AdamW (Loshchilov and Hutter, arXiv 1711.05101) on g = gradient factor with
// factor = min(1, max_norm / (norm + 1e-6)), or 1 when max_norm is 0:
//
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//   p = p - lr (m / c1 / (sqrt(v / c2) + eps) + weight_decay p)
//
// A parameter narrower than float32 has a float32 master, which is p here; it
// is rounded in the same kernel.
//
// hyperparameters: lr, beta1, beta2, eps, weight_decay, max_norm, c1, c2.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

tile::KernelOp tiling::buildSumSquares(ModuleOp Module) {
  return defineKernel(Module, "sum_squares", 1, [&](TileBuilder &B) {
    Tile Gradient = B.memory({Dynamic}), Partials = B.memory({Dynamic});
    Tile Place = B.indexArgument();
    int64_t Step = TileSizes::of(Module).vectorStep();
    Tile First = B.grid(0) * NormBlock;
    Tile End = minimum(First + NormBlock, B.extent(Gradient, 0));
    Tile Sum = B.forLoop(First, End, Step, {B.zeros({Step})},
                         [&](Tile I, ArrayRef<Tile> Carried) {
                           Tile G = B.load(Gradient, {I}, {Step});
                           return SmallVector<Tile>{Carried[0] + G * G};
                         })[0];
    B.store(B.sum(Sum), Partials, {Place + B.grid(0)});
  });
}

tile::KernelOp tiling::buildNorm(ModuleOp Module) {
  return defineKernel(Module, "norm_of_partials", 1, [&](TileBuilder &B) {
    Tile Partials = B.memory({Dynamic}), Norm = B.memory({1});
    int64_t Step = TileSizes::of(Module).vectorStep();
    Tile Sum = B.forLoop(0, B.extent(Partials, 0), Step, {B.zeros({Step})},
                         [&](Tile I, ArrayRef<Tile> Carried) {
                           return SmallVector<Tile>{
                               Carried[0] + B.load(Partials, {I}, {Step})};
                         })[0];
    B.store(sqrt(B.sum(Sum)), Norm, {0});
  });
}

static bool hasMaster(Type Element) { return Element && !Element.isF32(); }

/// The value to update: the master, as long as it rounds to the parameter.
/// Otherwise somebody wrote the parameter (also before the first step, when the
/// master is zero), and that counts.
static Tile currentMaster(TileBuilder &B, Tile Master, Tile Parameter) {
  Tile Rounded = B.toType(Master, Parameter.elementType());
  return select(equal(Rounded, Parameter), Master, Parameter);
}

tile::KernelOp tiling::buildAdamW(ModuleOp Module, bool Decay, Type Element) {
  return defineKernel(
      Module, (Decay ? "adamw" : "adamw_no_decay") + typeSuffix(Element), 1,
      [&](TileBuilder &B) {
        Tile Gradient = B.memory({Dynamic}), Norm = B.memory({1});
        Tile Hyper = B.memory({8}), Parameter = B.memory({Dynamic}, Element);
        Tile Moment1 = B.memory({Dynamic}), Moment2 = B.memory({Dynamic});
        Tile Master = hasMaster(Element) ? B.memory({Dynamic}) : Tile();
        auto Number = [&](int64_t I) { return B.load(Hyper, {I}); };
        Tile Rate = Number(0), Beta1 = Number(1), Beta2 = Number(2);
        Tile Epsilon = Number(3), WeightDecay = Number(4), Limit = Number(5);
        Tile C1 = Number(6), C2 = Number(7);
        Tile Clipped = minimum(Limit / (B.load(Norm, {0}) + 1e-6), 1);
        Tile Factor = select(Limit > 0, Clipped, 1);

        int64_t Step = TileSizes::of(Module).vectorStep();
        Tile First = B.grid(0) * AdamWBlock;
        Tile End = minimum(First + AdamWBlock, B.extent(Parameter, 0));
        B.forLoop(First, End, Step, [&](Tile I) {
          auto Load = [&](Tile Memory) { return B.load(Memory, {I}, {Step}); };
          Tile G = Load(Gradient) * Factor, P = Load(Parameter);
          if (Master)
            P = currentMaster(B, Load(Master), P);
          Tile M = Load(Moment1) * Beta1 + G * (1 - Beta1);
          Tile V = Load(Moment2) * Beta2 + G * G * (1 - Beta2);
          Tile Update = M / C1 / (sqrt(V / C2) + Epsilon);
          if (Decay)
            Update = Update + P * WeightDecay;
          B.store(M, Moment1, {I});
          B.store(V, Moment2, {I});
          Tile Next = P - Update * Rate;
          if (Master)
            B.store(Next, Master, {I});
          B.store(Next, Parameter, {I});
        });
      });
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

/// The number of elements of a parameter or gradient.
static int64_t sizeOf(Value V) {
  return cast<RankedTensorType>(V.getType()).getNumElements();
}

static LogicalResult lowerGlobalNorm(txs::GlobalNormOp Op, EntryBuilder &E) {
  int64_t Total = 0;
  for (Value Gradient : Op.getGradients())
    Total += llvm::divideCeil(sizeOf(Gradient), NormBlock);
  Buffer *Partials = E.temporary("global_norm.partials", {E.constant(Total)});
  int64_t Place = 0;
  for (Value Gradient : Op.getGradients()) {
    int64_t Size = sizeOf(Gradient);
    int64_t Blocks = llvm::divideCeil(Size, NormBlock);
    E.launch(buildSumSquares(E.module()), {E.constant(Blocks)},
             {{E.read(Gradient), {E.constant(Size)}},
              {Partials, {E.constant(Total)}},
              {E.constant(Place)}});
    Place += Blocks;
  }
  E.launch(buildNorm(E.module()), {E.constant(1)},
           {{Partials, {E.constant(Total)}}, {E.write(Op.getResult())}});
  return success();
}

static LogicalResult lowerAdamW(txs::AdamWOp Op, EntryBuilder &E) {
  StringRef Name = Op.getParameter();
  int64_t Size = sizeOf(Op.getGradient());
  AffineExpr Extent = E.constant(Size);
  bool Decay = !E.parameterOp(Name).getNoDecay();
  Buffer *Parameter = E.parameter(plan::BufferKind::Parameter, Name);
  SmallVector<LaunchArgument> Arguments = {
      {E.read(Op.getGradient()), {Extent}},
      {E.read(Op.getNorm())},
      {E.read(Op.getHyperparameters())},
      {Parameter, {Extent}},
      {E.parameter(plan::BufferKind::Moment1, Name), {Extent}},
      {E.parameter(plan::BufferKind::Moment2, Name), {Extent}}};
  if (hasMaster(Parameter->Element))
    Arguments.push_back(
        {E.parameter(plan::BufferKind::Master, Name), {Extent}});
  E.launch(buildAdamW(E.module(), Decay, Parameter->Element),
           {E.constant(llvm::divideCeil(Size, AdamWBlock))}, Arguments);
  return success();
}

/// The gradient was written to its place unless it is that of two parameters
/// or another value.
static LogicalResult lowerStoreGradient(txs::StoreGradientOp Op,
                                        EntryBuilder &E) {
  Buffer *Place = E.parameter(plan::BufferKind::Gradient, Op.getParameter());
  Buffer *Made = E.read(Op.getGradient());
  if (Made != Place)
    E.copy(Made, Place, Op.getGradient());
  return success();
}

void tiling::registerOptimizer(LoweringTable &Table) {
  Table.add<txs::GlobalNormOp>(lowerGlobalNorm);
  Table.add<txs::AdamWOp>(lowerAdamW);
  Table.add<txs::StoreGradientOp>(lowerStoreGradient);
}
