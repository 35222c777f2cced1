//===- Epilogue.cpp - Elementwise operations inside other kernels ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/Epilogue.h"
#include "passes/tiling/EntryBuilder.h"
#include "passes/tiling/kernels/GradientKernels.h"
#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

Epilogue::Epilogue(EntryBuilder &E, ArrayRef<Value> Results,
                   ArrayRef<Operation *> Steps, int64_t Columns)
    : E(E), Values(Results), ResultCount(Results.size()),
      Width(Columns ? Columns : E.width(Results.front())) {
  for (Operation *Op : Steps) {
    addStep(Op);
    Values.push_back(Op->getResult(0));
  }
  for (auto [I, V] : llvm::enumerate(Values)) {
    bool Stored = llvm::any_of(V.getUsers(), [&](Operation *User) {
      return !llvm::is_contained(Steps, User);
    });
    if (!Stored) {
      // The last value is nearly always stored: only the exception has a name.
      if (I + 1 == Values.size())
        Name += "_unused";
      continue;
    }
    Memories.push_back(
        {V, {Dynamic, Width}, getElementTypeOrSelf(V.getType()), true, Tile()});
    if (I + 1 < Values.size())
      Name += "_keep" + std::to_string(I);
  }
}

std::optional<size_t> Epilogue::numberOf(Value V) const {
  const Value *Found = llvm::find(Values, V);
  if (Found == Values.end())
    return std::nullopt;
  return Found - Values.begin();
}

//===----------------------------------------------------------------------===//
// Name and memory
//===----------------------------------------------------------------------===//

void Epilogue::need(Value V, ArrayRef<int64_t> Shape) {
  for (auto [I, M] : llvm::enumerate(Memories))
    if (M.Value == V) { // passed once, and the name says so
      Name += "_m" + std::to_string(I);
      return;
    }
  // Matrices have the type of what the kernel makes; the rest is float32 nearly
  // always.
  bool IsMatrix = Shape.size() == 2 && Shape[1] == Width;
  if (!IsMatrix && isa<FloatType>(E.element(V)))
    Name += typeSuffix(E.element(V));
  Memories.push_back({V, SmallVector<int64_t, 2>(Shape),
                      getElementTypeOrSelf(V.getType()), false, Tile()});
}

void Epilogue::needMatrix(Value V) {
  if (!numberOf(V))
    need(V, {Dynamic, Width});
}

/// Says which values the step maps, unless it is just the one before it.
void Epilogue::nameOperands(Operation *Op) {
  std::string Numbers;
  unsigned Count = 0;
  bool Usual = true;
  for (Value Operand : Op->getOperands())
    if (auto Number = numberOf(Operand)) {
      Numbers += "_v" + std::to_string(*Number);
      Usual &= *Number + 1 == Values.size() && Count++ == 0;
    }
  if (!Usual)
    Name += Numbers;
}

void Epilogue::addStep(Operation *Op) {
  if (auto Activation = dyn_cast<txs::ActivationOp>(Op)) {
    Name += "_" + txs::stringifyActivationKind(Activation.getKind()).str();
  } else if (auto Gradient = dyn_cast<txs::ActivationGradOp>(Op)) {
    Name +=
        "_" + txs::stringifyActivationKind(Gradient.getKind()).str() + "_grad";
    needMatrix(Gradient.getDresult());
    needMatrix(Gradient.getInput());
  } else if (isa<txs::MulOp, txs::AddOp>(Op)) {
    Name += isa<txs::MulOp>(Op) ? "_mul" : "_add";
    needMatrix(Op->getOperand(0));
    needMatrix(Op->getOperand(1));
  } else if (auto Scale = dyn_cast<txs::ScaleOp>(Op)) {
    Name += "_scale";
    need(Scale.getWeight(), {Width});
  } else if (auto Residual = dyn_cast<txs::ResidualOp>(Op)) {
    Name += numberOf(Residual.getUpdate()) ? "_residual" : "_update";
    needMatrix(Residual.getInput());
    needMatrix(Residual.getUpdate());
    need(Residual.getWeight(), {Width});
  } else if (auto Mask = dyn_cast<txs::MaskOp>(Op)) {
    Name += "_mask";
    need(Mask.getMask(), {Dynamic});
  } else if (auto Rope = dyn_cast<txs::RopeOp>(Op)) {
    int64_t P = E.columns(Rope.getInput());
    Name += (Rope.getInverse() ? "_unrope" : "_rope") + std::to_string(P);
    need(Rope.getCos(), {Dynamic, P / 2});
    need(Rope.getSin(), {Dynamic, P / 2});
  } else if (auto Dropout = dyn_cast<txs::DropoutOp>(Op)) {
    Name += dropoutName(Dropout.getProbability().convertToDouble(),
                        Dropout.getSite());
    need(Dropout.getSeed(), {2});
  } else {
    llvm_unreachable("not a step");
  }
  nameOperands(Op);
}

void Epilogue::declare(TileBuilder &B) {
  for (Memory &M : Memories)
    M.Argument = B.memory(M.Shape, M.Element);
}

void Epilogue::addArguments(SmallVectorImpl<LaunchArgument> &Arguments) const {
  for (const Memory &M : Memories) {
    Buffer *Home = M.Written ? E.write(M.Value) : E.read(M.Value);
    SmallVector<AffineExpr> Sizes;
    bool IsMatrix = M.Shape.size() == 2 && M.Shape[1] == Width;
    if (M.Shape[0] == Dynamic)
      Sizes.push_back(E.tokens(M.Value) *
                      (IsMatrix ? E.width(M.Value) / Width : 1));
    Arguments.push_back({Home, Sizes});
  }
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

Tile Epilogue::memory(Value V) const {
  for (const Memory &M : Memories)
    if (M.Value == V)
      return M.Argument;
  llvm_unreachable("every operand of a step is declared");
}

void Epilogue::store(TileBuilder &B, ArrayRef<Tile> Results, Tile Row,
                     Tile Column) const {
  SmallVector<Tile> Done;
  for (auto [I, V] : llvm::enumerate(Values)) {
    Done.push_back(I < ResultCount
                       ? Results[I]
                       : apply(B, V.getDefiningOp(), {Row, Column, Done}));
    for (const Memory &M : Memories)
      if (M.Written && M.Value == V)
        B.store(Done.back(), M.Argument, {Row, Column});
  }
}

/// A value of the group, or the part of another one that lies in its place.
Tile Epilogue::matrix(TileBuilder &B, Value V, const Place &P) const {
  if (auto Number = numberOf(V))
    return P.Done[*Number];
  Tile Like = P.Done.front();
  return B.load(memory(V), {P.Row, P.Column}, {Like.rows(), Like.columns()});
}

Tile Epilogue::apply(TileBuilder &B, Operation *Op, const Place &P) const {
  int64_t R = P.Done.front().rows(), C = P.Done.front().columns();
  auto Matrix = [&](unsigned Operand) {
    return matrix(B, Op->getOperand(Operand), P);
  };
  auto Channels = [&](Value Weight) {
    return B.asRow(B.load(memory(Weight), {P.Column}, {C}), R);
  };
  if (auto Activation = dyn_cast<txs::ActivationOp>(Op))
    return activation(Activation.getKind(), Matrix(0));
  if (auto Gradient = dyn_cast<txs::ActivationGradOp>(Op))
    return matrix(B, Gradient.getDresult(), P) *
           activationDerivative(Gradient.getKind(),
                                matrix(B, Gradient.getInput(), P));
  if (isa<txs::MulOp>(Op))
    return Matrix(0) * Matrix(1);
  if (isa<txs::AddOp>(Op))
    return Matrix(0) + Matrix(1);
  if (auto Scale = dyn_cast<txs::ScaleOp>(Op))
    return Channels(Scale.getWeight()) * Matrix(0);
  if (auto Residual = dyn_cast<txs::ResidualOp>(Op))
    return Channels(Residual.getWeight()) * matrix(B, Residual.getInput(), P) +
           matrix(B, Residual.getUpdate(), P);
  if (auto Mask = dyn_cast<txs::MaskOp>(Op))
    return B.asColumn(B.load(memory(Mask.getMask()), {P.Row}, {R}), C) *
           Matrix(0);
  if (auto Rope = dyn_cast<txs::RopeOp>(Op)) {
    auto [Cos, Sin] = loadRopeTables(B, memory(Rope.getCos()),
                                     memory(Rope.getSin()), P.Row, R);
    return B.rope(Matrix(0), Cos, Sin, Rope.getInverse());
  }
  auto Dropout = cast<txs::DropoutOp>(Op);
  Tile Index = B.toI64(B.iota({R, C}, 0)) * Width + B.toI64(B.iota({R, C}, 1)) +
               B.toI64(P.Row * Width + P.Column);
  return Matrix(0) * dropoutFactor(B, linearWords(B, Index),
                                   memory(Dropout.getSeed()),
                                   Dropout.getProbability().convertToDouble(),
                                   Dropout.getSite());
}
