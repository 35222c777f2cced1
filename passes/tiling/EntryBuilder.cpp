//===- EntryBuilder.cpp - Building a plan entry from a txs function -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/EntryBuilder.h"
#include "passes/NameOperations.h"
#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;
using plan::BufferKind;

LogicalResult LoweringTable::lower(Operation *Op, EntryBuilder &E) const {
  auto Entry = Table.find(Op->getName().getStringRef());
  if (Entry == Table.end())
    return Op->emitOpError("has no tile lowering");
  return Entry->second(Op, E);
}

EntryBuilder::EntryBuilder(ModuleOp Module, func::FuncOp Function,
                           const FusionPlan *Fusion, bool Joins)
    : Module(Module), Function(Function), Context(Module.getContext()),
      Fusion(Fusion), Joins(Joins) {
  bindResults();
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

AffineExpr EntryBuilder::symbol(plan::Symbol S) {
  return getAffineSymbolExpr(static_cast<unsigned>(S), Context);
}

AffineExpr EntryBuilder::constant(int64_t Number) {
  return getAffineConstantExpr(Number, Context);
}

/// The value of an argument attribute such as txs.input, or nothing.
static StringAttr argumentName(BlockArgument Argument, StringRef Attribute) {
  auto Function = cast<func::FuncOp>(Argument.getOwner()->getParentOp());
  return Function.getArgAttrOfType<StringAttr>(Argument.getArgNumber(),
                                               Attribute);
}

/// What an argument's dynamic extents stand for. The rotary tables begin with
/// tokens, caches and their mask have room for `capacity` tokens, everything
/// else is [batch, tokens, ...].
static SmallVector<plan::Symbol> argumentSymbols(BlockArgument Argument) {
  if (StringAttr Name = argumentName(Argument, txs::InputAttribute))
    if (Name.getValue().starts_with("rope_"))
      return {plan::Symbol::Seq};
  if (argumentName(Argument, txs::StateAttribute))
    return {plan::Symbol::Batch, plan::Symbol::Capacity};
  return {plan::Symbol::Batch, plan::Symbol::Seq};
}

/// The operand whose extents a result takes over: the first of its type.
static Value sameShapedOperand(Value V) {
  Operation *Op = V.getDefiningOp();
  for (Value Operand : Op->getOperands())
    if (Operand.getType() == V.getType())
      return Operand;
  return Value();
}

SmallVector<AffineExpr> EntryBuilder::shape(Value V) {
  auto Known = Shapes.find(V);
  if (Known != Shapes.end())
    return Known->second;
  SmallVector<plan::Symbol> Symbols = {plan::Symbol::Batch, plan::Symbol::Seq};
  if (auto Argument = dyn_cast<BlockArgument>(V))
    Symbols = argumentSymbols(Argument);
  else if (Value Operand = sameShapedOperand(V))
    return Shapes[V] = shape(Operand);
  SmallVector<AffineExpr> Result;
  size_t DynamicCount = 0;
  for (int64_t Extent : cast<RankedTensorType>(V.getType()).getShape())
    Result.push_back(ShapedType::isDynamic(Extent)
                         ? symbol(Symbols[DynamicCount++])
                         : constant(Extent));
  return Shapes[V] = Result;
}

AffineExpr EntryBuilder::tokens(Value V) {
  AffineExpr Product = constant(1);
  for (AffineExpr Extent : shape(V))
    if (!isa<AffineConstantExpr>(Extent))
      Product = Product * Extent;
  return Product;
}

int64_t EntryBuilder::width(Value V) {
  int64_t Product = 1;
  for (int64_t Extent : cast<RankedTensorType>(V.getType()).getShape())
    if (!ShapedType::isDynamic(Extent))
      Product *= Extent;
  return Product;
}

int64_t EntryBuilder::columns(Value V) {
  ArrayRef<int64_t> Shape = cast<RankedTensorType>(V.getType()).getShape();
  return Shape.empty() || ShapedType::isDynamic(Shape.back()) ? 1
                                                              : Shape.back();
}

AffineExpr EntryBuilder::rows(Value V) {
  return tokens(V) * (width(V) / columns(V));
}

AffineExpr EntryBuilder::index(Value V) {
  assert(isa<BlockArgument>(V) && "the only index of a model is `past`");
  return past();
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

void EntryBuilder::bindResults() {
  auto Bind = [&](Value V, BufferKind Kind, StringRef Name) {
    // An argument, or a value with two names, is copied at the end.
    if (V.getDefiningOp() && !V.getDefiningOp<txs::ReadOp>() &&
        (Kind != BufferKind::State || replacesState(V, Name)))
      Bindings.try_emplace(V, Kind, Name.str());
  };
  Operation *Return = Function.getBody().front().getTerminator();
  for (OpOperand &Operand : Return->getOpOperands()) {
    unsigned Number = Operand.getOperandNumber();
    if (auto Name = Function.getResultAttrOfType<StringAttr>(
            Number, txs::OutputAttribute))
      Bind(Operand.get(), BufferKind::Output, Name);
    if (auto Name = Function.getResultAttrOfType<StringAttr>(
            Number, txs::StateAttribute))
      Bind(Operand.get(), BufferKind::State, Name);
  }
  for (auto Store : Function.getOps<txs::StoreGradientOp>())
    Bind(Store.getGradient(), BufferKind::Gradient, Store.getParameter());
  // What is added to in place is made where the sum is to be.
  for (auto Grad : Function.getOps<txs::EmbeddingGradOp>())
    if (Value Other = addedInPlace(Grad)) {
      auto Sum = Bindings.find(Grad.getDweight().user_begin()->getResult(0));
      if (Sum != Bindings.end()) {
        auto [Kind, Name] = Sum->second;
        Bindings.try_emplace(Other, Kind, Name);
      }
    }
}

Buffer *EntryBuilder::named(BufferKind Kind, StringRef Name,
                            ArrayRef<AffineExpr> Shape, Type Element) {
  for (Buffer &B : Buffers)
    if (B.Kind == Kind && B.Name == Name)
      return &B;
  Buffers.push_back(
      {Kind, Name.str(), SmallVector<AffineExpr>(Shape), Element, -1, -1});
  if (Shape.empty())
    Buffers.back().Shape.push_back(constant(1));
  return &Buffers.back();
}

Buffer *EntryBuilder::temporary(StringRef Name, ArrayRef<AffineExpr> Shape,
                                Type Element) {
  std::string Unique = Name.str() + "." + std::to_string(Buffers.size());
  return named(BufferKind::Temporary, Unique, Shape,
               Element ? Element : Float32Type::get(Context));
}

txs::ParameterOp EntryBuilder::parameterOp(StringRef Name) {
  return Module.lookupSymbol<txs::ParameterOp>(Name);
}

Buffer *EntryBuilder::parameter(BufferKind Kind, StringRef Name) {
  auto Type = cast<RankedTensorType>(parameterOp(Name).getType());
  SmallVector<AffineExpr> Shape;
  for (int64_t Extent : Type.getShape())
    Shape.push_back(constant(Extent));
  // What the optimizer keeps is float32 or wider.
  mlir::Type Element = Kind == BufferKind::Parameter
                           ? Type.getElementType()
                           : txs::gradientTypeOf(Type.getElementType());
  return named(Kind, Name, Shape, Element);
}

Buffer *EntryBuilder::argumentBuffer(BlockArgument Argument) {
  Type Element = getElementTypeOrSelf(Argument.getType());
  if (StringAttr Name = argumentName(Argument, txs::StateAttribute))
    return named(BufferKind::State, Name, shape(Argument), Element);
  StringAttr Name = argumentName(Argument, txs::InputAttribute);
  return named(BufferKind::Input, Name, shape(Argument), Element);
}

Buffer *EntryBuilder::boundBuffer(Value V) {
  auto Binding = Bindings.find(V);
  if (Binding == Bindings.end())
    return nullptr;
  auto &[Kind, Name] = Binding->second;
  return named(Kind, Name, shape(V), getElementTypeOrSelf(V.getType()));
}

Buffer *EntryBuilder::read(Value V) {
  if (Buffer *Home = Homes.lookup(V))
    return Home;
  if (auto Argument = dyn_cast<BlockArgument>(V))
    return Homes[V] = argumentBuffer(Argument);
  auto Read = V.getDefiningOp<txs::ReadOp>();
  assert(Read && "read before it is written");
  return Homes[V] = parameter(BufferKind::Parameter, Read.getParameter());
}

/// Whether the kernels of an operation may write its result over this operand:
/// each cell reads what it is about to write, and nothing else, before it does.
static bool updatesInPlace(OpOperand &Operand) {
  Operation *Op = Operand.getOwner();
  if (auto Scan = dyn_cast<txs::SsmScanOp>(Op))
    return Operand.get() == Scan.getInitial();
  if (auto Append = dyn_cast<txs::CacheAppendOp>(Op))
    return Operand.get() == Append.getCache();
  return false;
}

/// Whether writing V's state where V is computed is safe: nothing may need the
/// old value at that time or later.
bool EntryBuilder::replacesState(Value V, StringRef Name) {
  for (BlockArgument Argument : Function.getArguments()) {
    StringAttr State = argumentName(Argument, txs::StateAttribute);
    if (!State || State != Name)
      continue;
    for (OpOperand &Use : Argument.getUses()) {
      bool Safe = Use.getOwner() == V.getDefiningOp()
                      ? updatesInPlace(Use)
                      : isLaunchedBefore(Use.getOwner(), V.getDefiningOp());
      if (!Safe)
        return false;
    }
  }
  return true;
}

/// The name of txs-name-operations; empty for an argument.
static std::string debugName(Value V) {
  auto Result = dyn_cast<OpResult>(V);
  return Result ? valueName(Result.getOwner(), Result.getResultNumber())
                : std::string();
}

/// A name for the buffer of an intermediate value.
static std::string bufferName(Value V) {
  Operation *Op = V.getDefiningOp();
  std::string Name = Op->getName().stripDialect().str();
  unsigned Number = cast<OpResult>(V).getResultNumber();
  return Number ? Name + "." + std::to_string(Number) : Name;
}

Buffer *EntryBuilder::write(Value V) {
  assert(!Homes.count(V) && "a value is written once");
  Buffer *Home = boundBuffer(V);
  if (!Home)
    Home =
        temporary(bufferName(V), shape(V), getElementTypeOrSelf(V.getType()));
  Holding[Home] = debugName(V);
  return Homes[V] = Home;
}

bool EntryBuilder::isLaunchedBefore(Operation *A, Operation *B) {
  return Fusion ? Fusion->isLaunchedBefore(A, B) : A->isBeforeInBlock(B);
}

bool EntryBuilder::isLastUse(Value V, Operation *Op) {
  // Other names of the same memory count as well.
  Buffer *Home = read(V);
  for (auto [Other, OtherHome] : Homes)
    if (OtherHome == Home)
      for (Operation *User : Other.getUsers())
        if (User != Op && !isLaunchedBefore(User, Op))
          return false;
  return true;
}

Buffer *EntryBuilder::writeInPlace(Value V, Value Operand, Operation *Op) {
  Buffer *Home = read(Operand), *Bound = boundBuffer(V);
  bool Writable =
      Home->Kind == BufferKind::Temporary || Home->Kind == BufferKind::State;
  if (Bound ? Bound == Home : Writable && isLastUse(Operand, Op)) {
    Holding[Home] = debugName(V);
    return Homes[V] = Home;
  }
  Buffer *To = write(V);
  copy(Home, To, Operand);
  return To;
}

Value EntryBuilder::addedInPlace(txs::EmbeddingGradOp Op) {
  Value Own = Op.getDweight();
  if (!Joins || TileSizes::of(Module).Gpu || !Own.hasOneUse())
    return {};
  auto Sum = dyn_cast<txs::AddOp>(*Own.user_begin());
  if (!Sum)
    return {};
  Value Other = Sum.getLhs() == Own ? Sum.getRhs() : Sum.getLhs();
  Operation *Made = Other.getDefiningOp();
  bool IsOurs = Made && !isa<txs::ReadOp>(Made) && Other.hasOneUse();
  return IsOurs && isLaunchedBefore(Made, Op) ? Other : Value();
}

void EntryBuilder::alias(Value V, Value Operand) {
  if (boundBuffer(V))
    copy(read(Operand), write(V), Operand);
  else
    Homes[V] = read(Operand);
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

void EntryBuilder::launch(tile::KernelOp Kernel, ArrayRef<AffineExpr> Grid,
                          ArrayRef<LaunchArgument> Arguments,
                          ArrayRef<AffineExpr> When) {
  int64_t Number = Launches.size();
  Launches.emplace_back();
  Launch &L = Launches.back();
  L.Kernel = Kernel;
  L.Grid.assign(Grid.begin(), Grid.end());
  L.When.assign(When.begin(), When.end());
  for (const LaunchArgument &Argument : Arguments) {
    L.Sizes.append(Argument.Sizes.begin(), Argument.Sizes.end());
    if (Buffer *Memory = Argument.Memory) {
      L.Operands.push_back(Memory);
      Memory->FirstUse = Memory->FirstUse < 0 ? Number : Memory->FirstUse;
      Memory->LastUse = Number;
    }
  }
  noteHeldValues(L);
}

/// What is in a buffer that a kernel of the current operation has written.
std::string EntryBuilder::heldValue(const Buffer *Written) {
  auto Known = Holding.find(Written);
  if (Known != Holding.end() && !Known->second.empty())
    return Known->second;
  // The optimizer changes parameters and moments, which no value stands for.
  bool Persistent = Written->Kind == BufferKind::Parameter ||
                    Written->Kind == BufferKind::Moment1 ||
                    Written->Kind == BufferKind::Moment2;
  if (!Current || !Persistent || operationName(Current).empty())
    return {};
  return (operationName(Current) + " " +
          plan::stringifyBufferKind(Written->Kind))
      .str();
}

void EntryBuilder::noteHeldValues(Launch &L) {
  if (!Current || operationName(Current).empty())
    return;
  llvm::SmallDenseSet<Value> Stored;
  L.Kernel.walk([&](tile::StoreOp Store) { Stored.insert(Store.getMemory()); });
  for (BlockArgument Argument : L.Kernel.getLaunchArguments())
    if (auto Memory = dyn_cast<MemRefType>(Argument.getType())) {
      const Buffer *Operand = L.Operands[L.Holds.size()];
      // Tokens that were drawn are not near others: nothing to compare.
      bool Named =
          Stored.count(Argument) && isa<FloatType>(Memory.getElementType());
      L.Holds.push_back(Named ? heldValue(Operand) : std::string());
    }
  if (llvm::all_of(L.Holds,
                   [](const std::string &Name) { return Name.empty(); }))
    L.Holds.clear();
}

void EntryBuilder::copy(Buffer *From, Buffer *To, Value Like) {
  // Until an operation changes the copy, it holds what it is a copy of.
  std::string After = std::exchange(Holding[To], debugName(Like));
  AffineExpr Size = rows(Like) * columns(Like);
  launch(buildCopy(Module, From->Element, To->Element),
         {Size.ceilDiv(FlatTile)}, {{From, {Size}}, {To, {Size}}});
  if (!After.empty())
    Holding[To] = After;
}

//===----------------------------------------------------------------------===//
// The finished entry
//===----------------------------------------------------------------------===//

void EntryBuilder::setLiveRanges() {
  int64_t Last = std::max<int64_t>(Launches.size(), 1) - 1;
  for (Buffer &B : Buffers) {
    switch (B.Kind) {
    case BufferKind::Temporary:
      break;
    case BufferKind::Input: // filled before the first launch
      B.FirstUse = 0;
      break;
    case BufferKind::Output: // read after the last one
      B.LastUse = Last;
      break;
    default: // not in the arena
      B.FirstUse = 0;
      B.LastUse = Last;
    }
    B.FirstUse = std::max<int64_t>(B.FirstUse, 0);
    B.LastUse = std::max(B.LastUse, B.FirstUse);
  }
}

/// The new value of a state may be the old one of another, which is then saved
/// before anything is written over it.
void EntryBuilder::saveOldStates() {
  Operation *Return = Function.getBody().front().getTerminator();
  for (OpOperand &Operand : Return->getOpOperands()) {
    auto Name = Function.getResultAttrOfType<StringAttr>(
        Operand.getOperandNumber(), txs::StateAttribute);
    Value V = Operand.get();
    if (!Name || read(V)->Kind != BufferKind::State ||
        read(V)->Name == Name.getValue())
      continue;
    Buffer *Saved = temporary(Name, shape(V), element(V));
    copy(read(V), Saved, V);
    Homes[V] = Saved;
  }
}

void EntryBuilder::copyResults(BufferKind Kind, StringRef Attribute) {
  Operation *Return = Function.getBody().front().getTerminator();
  for (OpOperand &Operand : Return->getOpOperands()) {
    unsigned Number = Operand.getOperandNumber();
    auto Name = Function.getResultAttrOfType<StringAttr>(Number, Attribute);
    if (!Name)
      continue;
    Value V = Operand.get();
    Buffer *Wanted =
        named(Kind, Name, shape(V), getElementTypeOrSelf(V.getType()));
    if (Wanted != read(V))
      copy(read(V), Wanted, V);
  }
}

void EntryBuilder::finish(OpBuilder &Builder) {
  // Outputs first: one of them may be the old value of a state.
  copyResults(BufferKind::Output, txs::OutputAttribute);
  saveOldStates();
  copyResults(BufferKind::State, txs::StateAttribute);
  setLiveRanges();

  Location Loc = Function.getLoc();
  auto Map = [&](ArrayRef<AffineExpr> Results) {
    return AffineMap::get(0, plan::SymbolCount, Results, Context);
  };
  auto Entry = plan::EntryOp::create(Builder, Loc, Function.getName());
  OpBuilder::InsertionGuard Guard(Builder);
  Builder.setInsertionPointToStart(&Entry.getBody().emplaceBlock());
  llvm::DenseMap<Buffer *, Value> Values;
  for (Buffer &B : Buffers)
    Values[&B] = plan::BufferOp::create(
        Builder, Loc, plan::BufferType::get(Context), B.Kind, B.Name,
        Map(B.Shape), B.Element, B.FirstUse, B.LastUse);
  for (Launch &L : Launches) {
    SmallVector<Value> Operands;
    for (Buffer *B : L.Operands)
      Operands.push_back(Values[B]);
    SmallVector<StringRef> Holds(L.Holds.begin(), L.Holds.end());
    plan::LaunchOp::create(
        Builder, Loc, L.Kernel.getSymName(), Map(L.Grid), Operands,
        Map(L.Sizes),
        L.When.empty() ? AffineMapAttr() : AffineMapAttr::get(Map(L.When)),
        Holds.empty() ? ArrayAttr() : Builder.getStrArrayAttr(Holds));
  }
}
