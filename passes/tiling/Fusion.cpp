//===- Fusion.cpp - Which operations share a kernel -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/Fusion.h"
#include "dialect/txs/TxsDialect.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

bool FusedGroup::contains(Operation *Op) const {
  return llvm::is_contained(Roots, Op) || llvm::is_contained(Steps, Op);
}

SmallVector<Value> FusedGroup::values() const {
  SmallVector<Value> Values;
  for (Operation *Op : llvm::concat<Operation *const>(Roots, Steps)) {
    if (auto Scan = dyn_cast<txs::SsmScanGradOp>(Op))
      Values.append({Scan.getDc(), Scan.getDb()});
    else if (auto Attention = dyn_cast<txs::AttentionGradOp>(Op))
      Values.append({Attention.getDquery(), Attention.getDkey()});
    else
      Values.push_back(Op->getResult(0));
  }
  return Values;
}

int64_t FusedGroup::columnMultiple() const {
  for (Operation *Op : Steps)
    if (auto Rope = dyn_cast<txs::RopeOp>(Op))
      return cast<RankedTensorType>(Rope.getType()).getShape().back();
  return 1;
}

std::vector<FusedGroup> FusedGroup::parts() const {
  llvm::EquivalenceClasses<Operation *> Joined;
  for (Operation *Root : Roots)
    Joined.insert(Root);
  for (Operation *Step : Steps)
    for (Value Operand : Step->getOperands())
      if (Operation *Op = Operand.getDefiningOp(); Op && contains(Op))
        Joined.unionSets(Op, Step);
  std::vector<FusedGroup> Parts;
  SmallVector<Operation *> Leaders;
  auto PartOf = [&](Operation *Op) -> FusedGroup & {
    Operation *Leader = Joined.getLeaderValue(Op);
    size_t Number = llvm::find(Leaders, Leader) - Leaders.begin();
    if (Number == Leaders.size()) {
      Leaders.push_back(Leader);
      Parts.emplace_back();
    }
    return Parts[Number];
  };
  for (Operation *Root : Roots)
    PartOf(Root).Roots.push_back(Root);
  for (Operation *Step : Steps)
    PartOf(Step).Steps.push_back(Step);
  return Parts;
}

FusedGroup FusedGroup::with(const FusedGroup &Other) const {
  auto IsBefore = [](Operation *A, Operation *B) {
    return A->isBeforeInBlock(B);
  };
  FusedGroup Both = *this;
  Both.Roots.append(Other.Roots);
  Both.Steps.append(Other.Steps);
  llvm::sort(Both.Roots, IsBefore);
  llvm::sort(Both.Steps, IsBefore);
  return Both;
}

std::optional<GradientSum> GradientSum::of(const FusedGroup &Group) {
  GradientSum Sum;
  size_t Additions = Group.Roots.size() - 1;
  if (Group.Steps.size() < Additions)
    return std::nullopt;
  auto IsTerm = [&](Value V) {
    Operation *Op = V.getDefiningOp();
    return Op && llvm::is_contained(Group.Roots, Op) &&
           !llvm::is_contained(Sum.Terms, Op) && V.hasOneUse();
  };
  Sum.Terms = {Group.Roots.front()};
  Sum.Result = Group.Roots.front()->getResult(0);
  for (size_t I = 0; I < Additions; ++I) {
    auto Add = dyn_cast<txs::AddOp>(Group.Steps[I]);
    if (!Add || !Sum.Result.hasOneUse())
      return std::nullopt;
    // The sum so far on the left: so autodiff adds up.
    if (Add.getLhs() != Sum.Result || !IsTerm(Add.getRhs()))
      return std::nullopt;
    Sum.Terms.push_back(Add.getRhs().getDefiningOp());
    Sum.Result = Add.getResult();
  }
  Sum.Steps.append(Group.Steps.begin() + Additions, Group.Steps.end());
  return Sum;
}

txs::RopeOp tiling::rotationOf(const FusedGroup &Group, Value Result) {
  for (Operation *Step : Group.Steps)
    if (auto Rope = dyn_cast<txs::RopeOp>(Step);
        Rope && Rope.getInput() == Result)
      return Rope;
  return {};
}

/// Whether all that the steps do is to rotate results that nothing else uses,
/// backwards by one pair of tables, in tiles as wide as a head.
static bool onlyRotates(const FusedGroup &Group) {
  return llvm::all_of(Group.Steps, [&](Operation *Step) {
    auto Rope = dyn_cast<txs::RopeOp>(Step);
    return Rope && Rope.getInverse() && Rope.getInput().hasOneUse() &&
           Rope.getCos() == Group.Steps.front()->getOperand(1) &&
           Rope.getSin() == Group.Steps.front()->getOperand(2) &&
           Rope.getInput().getDefiningOp() == Group.Roots.front() &&
           Group.columnMultiple() % 16 == 0;
  });
}

bool tiling::hasKernel(const FusedGroup &Group) {
  Operation *First = Group.Roots.front();
  for (Operation *Root : Group.Roots)
    if (Root->getName() != First->getName())
      return false;
  // A row per token: norms over heads are not.
  if (isa<txs::RmsNormOp, txs::RmsNormGradOp>(First)) {
    auto Type = cast<RankedTensorType>(First->getResult(0).getType());
    return Type.getRank() - Type.getNumDynamicDims() == 1 &&
           Group.columnMultiple() == 1;
  }
  if (isa<txs::LinearGradInputOp>(First))
    return GradientSum::of(Group) && Group.columnMultiple() == 1;
  if (isa<txs::LinearGradWeightOp>(First))
    return Group.Steps.empty();
  if (isa<txs::SsmScanGradOp, txs::AttentionGradOp>(First))
    return onlyRotates(Group);
  return isa<txs::LinearOp>(First);
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

static int64_t widthOf(Value V) {
  int64_t Product = 1;
  for (int64_t Extent : cast<RankedTensorType>(V.getType()).getShape())
    Product *= ShapedType::isDynamic(Extent) ? 1 : Extent;
  return Product;
}

/// Whether an operation maps values of the group, element by element, to one of
/// their type.
static bool isStep(Operation *Op, const FusedGroup &Group) {
  if (!isa<txs::ActivationOp, txs::ActivationGradOp, txs::MulOp, txs::AddOp,
           txs::ScaleOp, txs::ResidualOp, txs::MaskOp, txs::RopeOp,
           txs::DropoutOp>(Op))
    return false;
  // Elements of the first operand are mapped, and of the second one where the
  // operation treats both alike; weights, tables and seeds come from memory.
  unsigned Mapped =
      isa<txs::MulOp, txs::AddOp, txs::ResidualOp, txs::ActivationGradOp>(Op)
          ? 2
          : 1;
  bool Maps = false;
  SmallVector<Value> Values = Group.values();
  for (OpOperand &Operand : Op->getOpOperands()) {
    if (!llvm::is_contained(Values, Operand.get()))
      continue;
    if (Operand.getOperandNumber() >= Mapped ||
        Operand.get().getType() != Op->getResult(0).getType())
      return false;
    Maps = true;
  }
  // A weight for every column, not for every column of a head.
  Value Weight;
  if (auto Residual = dyn_cast<txs::ResidualOp>(Op))
    Weight = Residual.getWeight();
  else if (auto Scale = dyn_cast<txs::ScaleOp>(Op))
    Weight = Scale.getWeight();
  return Maps && (!Weight || widthOf(Weight) == widthOf(Op->getResult(0)));
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

FusionPlan::FusionPlan(Block &Body, HasKernel Exists)
    : Body(Body), Exists(std::move(Exists)) {
  for (Operation &Op : Body)
    Positions[&Op] = Positions.size();
  for (Operation &Op : Body.without_terminator()) {
    FusedGroup Group(&Op);
    if (EntryOf.count(&Op) || Op.getNumResults() == 0 || !this->Exists(Group))
      continue;
    grow(Group);
    record(Group);
  }
}

FusionPlan::Time FusionPlan::timeOf(Operation *Op) const {
  if (Entry *Found = EntryOf.lookup(Op))
    return Found->Launch;
  return {Positions.lookup(Op), 0};
}

/// When the first root is reached and all operands are there. What an operation
/// needs is always launched at an earlier time, so that times are an order.
FusionPlan::Time FusionPlan::launchTime(const FusedGroup &Group) const {
  Time Launch = {Positions.lookup(Group.Roots.front()), 0};
  for (Operation *Op : llvm::concat<Operation *const>(Group.Roots, Group.Steps))
    for (Value Operand : Op->getOperands()) {
      Operation *Source = Operand.getDefiningOp();
      if (!Source || Group.contains(Source) || isa<txs::ReadOp>(Source))
        continue; // Arguments and parameters are always there.
      auto [Position, Sequence] = timeOf(Source);
      Launch = std::max(Launch, Time{Position, Sequence + 1});
    }
  return Launch;
}

/// Whether everything that uses the group's results can come after its launch.
bool FusionPlan::fits(const FusedGroup &Group) const {
  Time Launch = launchTime(Group);
  for (Operation *Op : llvm::concat<Operation *const>(Group.Roots, Group.Steps))
    for (Operation *User : Op->getUsers())
      if (!Group.contains(User) && timeOf(User) <= Launch)
        return false;
  return true;
}

/// Adds steps as long as some operation can become one.
bool FusionPlan::grow(FusedGroup &Group) const {
  auto Candidates = [&]() {
    SmallVector<Operation *> Users;
    for (Value V : Group.values())
      for (Operation *User : V.getUsers())
        if (!Group.contains(User) && !EntryOf.count(User) &&
            isStep(User, Group))
          Users.push_back(User);
    llvm::sort(Users, [](Operation *A, Operation *B) {
      return A->isBeforeInBlock(B);
    });
    return Users;
  };
  auto Add = [&]() {
    for (Operation *User : Candidates()) {
      FusedGroup Step;
      Step.Steps = {User};
      FusedGroup Larger = Group.with(Step);
      if (!Exists(Larger) || !fits(Larger))
        continue;
      Group = Larger;
      return true;
    }
    return false;
  };
  bool Grew = false;
  while (Add())
    Grew = true;
  return Grew;
}

void FusionPlan::record(const FusedGroup &Group) {
  Groups.push_back({Group, launchTime(Group)});
  for (Operation *Op : llvm::concat<Operation *const>(Group.Roots, Group.Steps))
    EntryOf[Op] = &Groups.back();
}

bool FusionPlan::merge(Operation *A, Operation *B) {
  Entry *First = EntryOf.lookup(A), *Second = EntryOf.lookup(B);
  if (!First || !Second || First == Second)
    return false;
  FusedGroup Both = First->Group.with(Second->Group);
  if (!Exists(Both) || !fits(Both))
    return false;
  Groups.remove_if([&](const Entry &E) { return &E == First || &E == Second; });
  for (Operation *Op : llvm::concat<Operation *const>(Both.Roots, Both.Steps))
    EntryOf.erase(Op);
  grow(Both);
  record(Both);
  return true;
}

FusedGroup FusionPlan::group(Operation *Root) const {
  Entry *Found = EntryOf.lookup(Root);
  return Found ? Found->Group : FusedGroup(Root);
}

SmallVector<Operation *> FusionPlan::leaders() const {
  SmallVector<Operation *> Leaders;
  for (Operation &Op : Body)
    if (Entry *Found = EntryOf.lookup(&Op);
        Found && Found->Group.Roots.front() == &Op)
      Leaders.push_back(&Op);
  return Leaders;
}

SmallVector<Operation *> FusionPlan::schedule() const {
  SmallVector<Operation *> Order;
  for (Operation &Op : Body.without_terminator())
    if (group(&Op).Roots.front() == &Op)
      Order.push_back(&Op);
  llvm::sort(Order, [&](Operation *A, Operation *B) {
    return std::make_pair(timeOf(A), Positions.lookup(A)) <
           std::make_pair(timeOf(B), Positions.lookup(B));
  });
  return Order;
}

bool FusionPlan::isLaunchedBefore(Operation *A, Operation *B) const {
  return timeOf(A) < timeOf(B);
}
