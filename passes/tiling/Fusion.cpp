//===- Fusion.cpp - Elementwise operations inside other kernels -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/Fusion.h"
#include "passes/tiling/EntryBuilder.h"
#include "passes/tiling/kernels/GradientKernels.h"
#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

//===----------------------------------------------------------------------===//
// Chains
//===----------------------------------------------------------------------===//

Value Chain::value(size_t I) const {
  return I == 0 ? Root->getResult(0) : Operations[I - 1]->getResult(0);
}

int64_t Chain::columnMultiple() const {
  for (Operation *Op : Operations)
    if (auto Rope = dyn_cast<txs::RopeOp>(Op))
      return cast<RankedTensorType>(Rope.getType()).getShape().back();
  return 1;
}

bool tiling::appliesChain(const Chain &Candidate) {
  auto Type = cast<RankedTensorType>(Candidate.value(0).getType());
  // A row per token: norms over heads are not.
  if (isa<txs::RmsNormOp>(Candidate.Root))
    return Type.getRank() - Type.getNumDynamicDims() == 1 &&
           Candidate.columnMultiple() == 1;
  if (isa<txs::LinearGradInputOp>(Candidate.Root))
    return Candidate.columnMultiple() == 1;
  return isa<txs::LinearOp>(Candidate.Root);
}

static int64_t widthOf(Value V) {
  int64_t Product = 1;
  for (int64_t Extent : cast<RankedTensorType>(V.getType()).getShape())
    Product *= ShapedType::isDynamic(Extent) ? 1 : Extent;
  return Product;
}

/// Whether an operation can be a step of a chain whose value before it is Main.
static bool isStep(Operation *Op, Value Main) {
  if (!isa<txs::ActivationOp, txs::ActivationGradOp, txs::MulOp, txs::AddOp,
           txs::ScaleOp, txs::ResidualOp, txs::MaskOp, txs::RopeOp,
           txs::DropoutOp>(Op))
    return false;
  if (llvm::count(Op->getOperands(), Main) != 1 ||
      Op->getResult(0).getType() != Main.getType())
    return false;
  // Main must be what the operation maps, not its weight, table or point.
  if (isa<txs::ActivationGradOp, txs::ScaleOp, txs::MaskOp, txs::RopeOp,
          txs::DropoutOp>(Op) &&
      Op->getOperand(0) != Main)
    return false;
  if (auto Residual = dyn_cast<txs::ResidualOp>(Op))
    return Residual.getWeight() != Main &&
           widthOf(Residual.getWeight()) == widthOf(Main);
  if (auto Scale = dyn_cast<txs::ScaleOp>(Op))
    return widthOf(Scale.getWeight()) == widthOf(Main);
  return true;
}

/// Whether everything else that uses the chain's values comes after its end.
static bool endsBeforeOtherUses(const Chain &C) {
  Operation *End = C.Operations.back();
  for (size_t I = 0; I < C.Operations.size(); ++I)
    for (Operation *User : C.value(I).getUsers())
      if (User != C.Operations[I] && !End->isBeforeInBlock(User))
        return false;
  return true;
}

FusionPlan::FusionPlan(Block &Body, function_ref<bool(const Chain &)> Roots) {
  for (Operation &Op : Body.without_terminator())
    if (Op.getNumResults() == 1 && Roots({&Op, {}}))
      grow(&Op, Roots);
}

void FusionPlan::grow(Operation *Root,
                      function_ref<bool(const Chain &)> Roots) {
  Chain Best = {Root, {}};
  for (bool Grew = true; Grew;) {
    Grew = false;
    Value Main = Best.value(Best.Operations.size());
    // The first user in the block: the others must come after it.
    Operation *Next = nullptr;
    for (Operation *User : Main.getUsers())
      if (!Next || User->isBeforeInBlock(Next))
        Next = User;
    if (!Next || RootOf.count(Next) || !isStep(Next, Main))
      break;
    Chain Longer = Best;
    Longer.Operations.push_back(Next);
    if (endsBeforeOtherUses(Longer) && Roots(Longer)) {
      Best = Longer;
      Grew = true;
    }
  }
  if (Best.Operations.empty())
    return;
  for (Operation *Op : Best.Operations)
    RootOf[Op] = Root;
  RootOf[Root] = Root;
  Chains[Root] = Best;
}

Chain FusionPlan::chain(Operation *Root) const {
  auto Found = Chains.find(Root);
  return Found == Chains.end() ? Chain{Root, {}} : Found->second;
}

Operation *FusionPlan::launchedAt(Operation *Op) const {
  auto Found = RootOf.find(Op);
  return Found == RootOf.end()
             ? Op
             : Chains.find(Found->second)->second.Operations.back();
}

Operation *FusionPlan::rootAt(Operation *Op) const {
  auto Found = RootOf.find(Op);
  if (Found == RootOf.end())
    return Op;
  return launchedAt(Op) == Op ? Found->second : nullptr;
}

//===----------------------------------------------------------------------===//
// Epilogues
//===----------------------------------------------------------------------===//

Epilogue::Epilogue(EntryBuilder &E, Chain C)
    : E(E), Steps(std::move(C)), Width(E.width(Steps.value(0))) {
  size_t Count = Steps.Operations.size();
  for (size_t I = 0; I < Count; ++I)
    addStep(Steps.Operations[I], Steps.value(I));
  for (size_t I = 0; I <= Count; ++I) {
    Value V = Steps.value(I);
    bool Stored =
        I == Count || llvm::any_of(V.getUsers(), [&](Operation *User) {
          return User != Steps.Operations[I];
        });
    if (!Stored)
      continue;
    Memories.push_back(
        {V, {Dynamic, Width}, getElementTypeOrSelf(V.getType()), true, Tile()});
    if (I < Count)
      Name += "_keep" + std::to_string(I);
  }
}

void Epilogue::need(Value V, ArrayRef<int64_t> Shape) {
  Memories.push_back({V, SmallVector<int64_t, 2>(Shape),
                      getElementTypeOrSelf(V.getType()), false, Tile()});
}

void Epilogue::addStep(Operation *Op, Value Main) {
  SmallVector<int64_t, 2> Matrix = {Dynamic, Width};
  auto Other = [&]() { return Op->getOperand(Op->getOperand(0) == Main); };
  if (auto Activation = dyn_cast<txs::ActivationOp>(Op)) {
    Name += "_" + txs::stringifyActivationKind(Activation.getKind()).str();
  } else if (auto Gradient = dyn_cast<txs::ActivationGradOp>(Op)) {
    Name +=
        "_" + txs::stringifyActivationKind(Gradient.getKind()).str() + "_grad";
    need(Gradient.getInput(), Matrix);
  } else if (isa<txs::MulOp, txs::AddOp>(Op)) {
    Name += isa<txs::MulOp>(Op) ? "_mul" : "_add";
    need(Other(), Matrix);
  } else if (auto Scale = dyn_cast<txs::ScaleOp>(Op)) {
    Name += "_scale";
    need(Scale.getWeight(), {Width});
  } else if (auto Residual = dyn_cast<txs::ResidualOp>(Op)) {
    Name += Residual.getUpdate() == Main ? "_residual" : "_update";
    need(Other(), Matrix);
    need(Residual.getWeight(), {Width});
  } else if (auto Mask = dyn_cast<txs::MaskOp>(Op)) {
    Name += "_mask";
    need(Mask.getMask(), {Dynamic});
  } else if (auto Rope = dyn_cast<txs::RopeOp>(Op)) {
    int64_t P = E.columns(Main);
    Name += (Rope.getInverse() ? "_unrope" : "_rope") + std::to_string(P);
    need(Rope.getCos(), {Dynamic, P / 2});
    need(Rope.getSin(), {Dynamic, P / 2});
  } else if (auto Dropout = dyn_cast<txs::DropoutOp>(Op)) {
    Name += dropoutName(Dropout.getProbability().convertToDouble(),
                        Dropout.getSite());
    need(Dropout.getSeed(), {2});
  }
}

void Epilogue::declare(TileBuilder &B) {
  for (Memory &M : Memories)
    M.Argument = B.memory(M.Shape, M.Element);
}

Tile Epilogue::memory(Value V) const {
  for (const Memory &M : Memories)
    if (M.Value == V)
      return M.Argument;
  llvm_unreachable("every operand of a chain is declared");
}

void Epilogue::store(TileBuilder &B, Tile Result, Tile Row, Tile Column) const {
  for (size_t I = 0; I <= Steps.Operations.size(); ++I) {
    if (I > 0)
      Result = apply(B, Steps.Operations[I - 1], Steps.value(I - 1), Result,
                     Row, Column);
    for (const Memory &M : Memories)
      if (M.Written && M.Value == Steps.value(I))
        B.store(Result, M.Argument, {Row, Column});
  }
}

Tile Epilogue::apply(TileBuilder &B, Operation *Op, Value Main, Tile V,
                     Tile Row, Tile Column) const {
  int64_t R = V.rows(), C = V.columns();
  auto Matrix = [&](Value Other) {
    return B.load(memory(Other), {Row, Column}, {R, C});
  };
  auto Channels = [&](Value Weight) {
    return B.asRow(B.load(memory(Weight), {Column}, {C}), R);
  };
  auto Other = [&]() { return Op->getOperand(Op->getOperand(0) == Main); };
  if (auto Activation = dyn_cast<txs::ActivationOp>(Op))
    return activation(Activation.getKind(), V);
  if (auto Gradient = dyn_cast<txs::ActivationGradOp>(Op))
    return V * activationDerivative(Gradient.getKind(),
                                    Matrix(Gradient.getInput()));
  if (isa<txs::MulOp>(Op))
    return V * Matrix(Other());
  if (isa<txs::AddOp>(Op))
    return V + Matrix(Other());
  if (auto Scale = dyn_cast<txs::ScaleOp>(Op))
    return Channels(Scale.getWeight()) * V;
  if (auto Residual = dyn_cast<txs::ResidualOp>(Op)) {
    Tile Weight = Channels(Residual.getWeight());
    return Residual.getUpdate() == Main ? Weight * Matrix(Other()) + V
                                        : Weight * V + Matrix(Other());
  }
  if (auto Mask = dyn_cast<txs::MaskOp>(Op))
    return B.asColumn(B.load(memory(Mask.getMask()), {Row}, {R}), C) * V;
  if (auto Rope = dyn_cast<txs::RopeOp>(Op)) {
    auto [Cos, Sin] =
        loadRopeTables(B, memory(Rope.getCos()), memory(Rope.getSin()), Row, R);
    return B.rope(V, Cos, Sin, Rope.getInverse());
  }
  auto Dropout = cast<txs::DropoutOp>(Op);
  Tile Index = B.toI64(B.iota({R, C}, 0)) * Width + B.toI64(B.iota({R, C}, 1)) +
               B.toI64(Row * Width + Column);
  return V * dropoutFactor(B, linearWords(B, Index), memory(Dropout.getSeed()),
                           Dropout.getProbability().convertToDouble(),
                           Dropout.getSite());
}

void Epilogue::addArguments(SmallVectorImpl<LaunchArgument> &Arguments) const {
  for (const Memory &M : Memories) {
    Buffer *Home = M.Written ? E.write(M.Value) : E.read(M.Value);
    SmallVector<AffineExpr> Sizes;
    if (M.Shape[0] == Dynamic)
      Sizes.push_back(E.tokens(M.Value));
    Arguments.push_back({Home, Sizes});
  }
}
