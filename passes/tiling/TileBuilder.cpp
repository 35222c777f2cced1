//===- TileBuilder.cpp - Writing kernels like mathematics -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/TileBuilder.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/tiling/OperationOrder.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

ArrayRef<int64_t> Tile::shape() const {
  if (auto Shaped = dyn_cast<ShapedType>(type()))
    return Shaped.getShape();
  return {};
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// What arithmetic works on: a float narrower than float32 extended to it.
static Tile computed(Tile V) {
  bool Short = V && (V.elementType().isBF16() || V.elementType().isF16());
  return Short ? V.builder().toFloat(V) : V;
}

/// Repeats a scalar to the other operand's shape and makes numbers constants.
static std::pair<Tile, Tile> unify(Tile L, Operand R) {
  TileBuilder &B = L.builder();
  L = computed(L);
  R.T = computed(R.T);
  if (R.T && L.shape().empty() && !R.T.shape().empty())
    L = B.fill(L, R.T.shape());
  return {L, B.materialize(R, L.type())};
}

template <typename FloatOp, typename IntegerOp>
static Tile binary(Tile L, Operand R) {
  TileBuilder &B = L.builder();
  auto [Left, Right] = unify(L, R);
  OpBuilder &O = B.builder();
  if (isa<FloatType>(Left.elementType()))
    return B.wrap(FloatOp::create(O, B.loc(), Left.value(), Right.value()));
  return B.wrap(IntegerOp::create(O, B.loc(), Left.value(), Right.value()));
}

Tile tiling::operator+(Tile L, Operand R) {
  return binary<arith::AddFOp, arith::AddIOp>(L, R);
}
Tile tiling::operator-(Tile L, Operand R) {
  return binary<arith::SubFOp, arith::SubIOp>(L, R);
}
Tile tiling::operator*(Tile L, Operand R) {
  return binary<arith::MulFOp, arith::MulIOp>(L, R);
}
Tile tiling::operator/(Tile L, Operand R) {
  return binary<arith::DivFOp, arith::DivUIOp>(L, R);
}
Tile tiling::operator%(Tile L, Operand R) {
  return binary<arith::RemFOp, arith::RemUIOp>(L, R);
}
Tile tiling::maximum(Tile L, Operand R) {
  return binary<arith::MaximumFOp, arith::MaxSIOp>(L, R);
}
Tile tiling::minimum(Tile L, Operand R) {
  return binary<arith::MinimumFOp, arith::MinSIOp>(L, R);
}

static Tile constantLike(double Number, Tile Like) {
  Like = computed(Like);
  return Like.builder().constant(Number, Like.type());
}
Tile tiling::operator+(double L, Tile R) { return constantLike(L, R) + R; }
Tile tiling::operator-(double L, Tile R) { return constantLike(L, R) - R; }
Tile tiling::operator*(double L, Tile R) { return constantLike(L, R) * R; }
Tile tiling::operator/(double L, Tile R) { return constantLike(L, R) / R; }
Tile tiling::operator-(Tile V) {
  V = computed(V);
  if (!isa<FloatType>(V.elementType()))
    return 0 - V;
  TileBuilder &B = V.builder();
  return B.wrap(arith::NegFOp::create(B.builder(), B.loc(), V.value()));
}

static Tile compare(Tile L, Operand R, arith::CmpFPredicate Float,
                    arith::CmpIPredicate Integer) {
  TileBuilder &B = L.builder();
  auto [Left, Right] = unify(L, R);
  OpBuilder &O = B.builder();
  if (isa<FloatType>(Left.elementType()))
    return B.wrap(
        arith::CmpFOp::create(O, B.loc(), Float, Left.value(), Right.value()));
  return B.wrap(
      arith::CmpIOp::create(O, B.loc(), Integer, Left.value(), Right.value()));
}

Tile tiling::operator<(Tile L, Operand R) {
  return compare(L, R, arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt);
}
Tile tiling::operator<=(Tile L, Operand R) {
  return compare(L, R, arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle);
}
Tile tiling::operator>(Tile L, Operand R) {
  return compare(L, R, arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt);
}
Tile tiling::operator>=(Tile L, Operand R) {
  return compare(L, R, arith::CmpFPredicate::OGE, arith::CmpIPredicate::sge);
}
Tile tiling::equal(Tile L, Operand R) {
  return compare(L, R, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq);
}
Tile tiling::notEqual(Tile L, Operand R) {
  return compare(L, R, arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne);
}

template <typename Op> static Tile logical(Tile L, Tile R) {
  TileBuilder &B = L.builder();
  auto [Left, Right] = unify(L, R);
  return B.wrap(Op::create(B.builder(), B.loc(), Left.value(), Right.value()));
}
Tile tiling::operator&(Tile L, Tile R) { return logical<arith::AndIOp>(L, R); }
Tile tiling::operator|(Tile L, Tile R) { return logical<arith::OrIOp>(L, R); }
Tile tiling::operator^(Tile L, Tile R) { return logical<arith::XOrIOp>(L, R); }

Tile tiling::shiftRight(Tile V, int64_t Places) {
  TileBuilder &B = V.builder();
  return B.wrap(arith::ShRUIOp::create(B.builder(), B.loc(), V.value(),
                                       B.constant(Places, V.type()).value()));
}

Tile tiling::select(Tile Condition, Operand Yes, Operand No) {
  TileBuilder &B = Condition.builder();
  assert((Yes.T || No.T) && "two numbers have no type");
  Yes.T = computed(Yes.T);
  No.T = computed(No.T);
  Type Element = (Yes.T ? Yes.T : No.T).elementType();
  Type Wanted = Element;
  for (const Tile &T : {Condition, Yes.T, No.T})
    if (T && !T.shape().empty())
      Wanted = RankedTensorType::get(T.shape(), Element);
  Tile Left = B.materialize(Yes, Wanted), Right = B.materialize(No, Wanted);
  return B.wrap(arith::SelectOp::create(B.builder(), B.loc(), Condition.value(),
                                        Left.value(), Right.value()));
}

template <typename Op> static Tile unary(Tile V) {
  TileBuilder &B = V.builder();
  return B.wrap(Op::create(B.builder(), B.loc(), computed(V).value()));
}
Tile tiling::exp(Tile V) { return unary<math::ExpOp>(V); }
Tile tiling::log(Tile V) { return unary<math::LogOp>(V); }
Tile tiling::log1p(Tile V) { return unary<math::Log1pOp>(V); }
Tile tiling::sqrt(Tile V) { return unary<math::SqrtOp>(V); }
Tile tiling::erf(Tile V) { return unary<math::ErfOp>(V); }
Tile tiling::absolute(Tile V) { return unary<math::AbsFOp>(V); }

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

TileBuilder::TileBuilder(tile::KernelOp Kernel)
    : Kernel(Kernel), Builder(Kernel.getBody()) {
  Builder.setInsertionPoint(Kernel.getBody().front().getTerminator());
}

Tile TileBuilder::argument(Type Type) {
  // Launch arguments come before the coordinates of the grid.
  Block &Body = Kernel.getBody().front();
  unsigned Position = Body.getNumArguments() - Kernel.getGridRank();
  Value Argument = Body.insertArgument(Position, Type, loc());
  Kernel.setFunctionType(
      Builder.getFunctionType(Body.getArgumentTypes(), TypeRange()));
  return wrap(Argument);
}

Tile TileBuilder::memory(ArrayRef<int64_t> Shape, Type Element) {
  return argument(
      MemRefType::get(Shape, Element ? Element : Builder.getF32Type()));
}

Tile TileBuilder::integerMemory(ArrayRef<int64_t> Shape) {
  return memory(Shape, Builder.getI32Type());
}

Tile TileBuilder::indexArgument() { return argument(Builder.getIndexType()); }

Tile TileBuilder::grid(unsigned Dimension) {
  return wrap(Kernel.getGridArguments()[Dimension]);
}

Tile TileBuilder::extent(Tile Memory, int64_t Dimension) {
  int64_t Size = Memory.shape()[Dimension];
  if (!ShapedType::isDynamic(Size))
    return index(Size);
  return wrap(memref::DimOp::create(Builder, loc(), Memory.value(), Dimension));
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

Tile TileBuilder::index(int64_t Number) {
  return wrap(arith::ConstantIndexOp::create(Builder, loc(), Number));
}

Tile TileBuilder::constant(double Number, Type Type) {
  mlir::Type Element = getElementTypeOrSelf(Type);
  TypedAttr Attribute;
  if (auto Float = dyn_cast<FloatType>(Element))
    Attribute = FloatAttr::get(Float, Number);
  else
    Attribute = IntegerAttr::get(Element, static_cast<int64_t>(Number));
  if (auto Shaped = dyn_cast<ShapedType>(Type))
    Attribute = DenseElementsAttr::get(Shaped, Attribute);
  return wrap(arith::ConstantOp::create(Builder, loc(), Attribute));
}

static Type tileType(ArrayRef<int64_t> Shape, Type Element) {
  return Shape.empty() ? Element : Type(RankedTensorType::get(Shape, Element));
}

Tile TileBuilder::number(double Number, ArrayRef<int64_t> Shape) {
  return constant(Number, tileType(Shape, Builder.getF32Type()));
}

Tile TileBuilder::iota(ArrayRef<int64_t> Shape, int64_t Dimension) {
  return wrap(tile::IotaOp::create(
      Builder, loc(), tileType(Shape, Builder.getI32Type()), Dimension));
}

Tile TileBuilder::materialize(Operand O, Type Type) {
  if (!O.T)
    return constant(O.Number, Type);
  auto Shaped = dyn_cast<ShapedType>(Type);
  return Shaped && O.T.shape().empty() ? fill(O.T, Shaped.getShape()) : O.T;
}

Value TileBuilder::asIndex(Operand O) {
  return materialize(O, Builder.getIndexType()).value();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// By default a tile runs along the memory's last dimensions.
static SmallVector<int64_t> dimensionsOf(Tile Memory, size_t Rank,
                                         ArrayRef<int64_t> Over) {
  if (!Over.empty())
    return SmallVector<int64_t>(Over);
  SmallVector<int64_t> Dimensions;
  for (size_t I = Memory.shape().size() - Rank; I < Memory.shape().size(); ++I)
    Dimensions.push_back(I);
  return Dimensions;
}

Tile TileBuilder::load(Tile Memory, ArrayRef<Operand> Indices,
                       ArrayRef<int64_t> Shape, ArrayRef<int64_t> Over) {
  SmallVector<Value> Coordinates;
  for (const Operand &Index : Indices)
    Coordinates.push_back(asIndex(Index));
  return wrap(tile::LoadOp::create(
      Builder, loc(), tileType(Shape, Memory.elementType()), Memory.value(),
      Coordinates, dimensionsOf(Memory, Shape.size(), Over)));
}

void TileBuilder::store(Tile Value, Tile Memory, ArrayRef<Operand> Indices,
                        ArrayRef<int64_t> Over) {
  SmallVector<mlir::Value> Coordinates;
  for (const Operand &Index : Indices)
    Coordinates.push_back(asIndex(Index));
  if (isa<FloatType>(Memory.elementType()))
    Value = toType(Value, Memory.elementType());
  tile::StoreOp::create(Builder, loc(), Value.value(), Memory.value(),
                        Coordinates,
                        dimensionsOf(Memory, Value.shape().size(), Over));
}

Tile TileBuilder::gather(Tile Memory, Tile Rows, Operand Column,
                         int64_t Columns) {
  return wrap(tile::GatherOp::create(
      Builder, loc(), tileType({Rows.rows(), Columns}, Memory.elementType()),
      Memory.value(), Rows.value(), asIndex(Column)));
}

//===----------------------------------------------------------------------===//
// Products and shapes
//===----------------------------------------------------------------------===//

bool TileBuilder::usesBf16() {
  return llvm::any_of(Kernel.getLaunchArguments(), [](BlockArgument Argument) {
    return getElementTypeOrSelf(Argument.getType()).isBF16();
  });
}

Tile TileBuilder::mma(Tile L, Tile R, Tile Accumulator, bool TransposeLeft,
                      bool TransposeRight) {
  if (usesBf16()) {
    L = toType(L, Builder.getBF16Type());
    R = toType(R, Builder.getBF16Type());
  }
  return wrap(tile::MmaOp::create(Builder, loc(), Accumulator.type(), L.value(),
                                  R.value(), Accumulator.value(), TransposeLeft,
                                  TransposeRight));
}
Tile TileBuilder::mma(Tile L, Tile R, Tile Accumulator) {
  return mma(L, R, Accumulator, false, false);
}
Tile TileBuilder::mmaFloat32(Tile L, Tile R, Tile Accumulator) {
  return wrap(tile::MmaOp::create(Builder, loc(), Accumulator.type(),
                                  computed(L).value(), computed(R).value(),
                                  Accumulator.value(), false, false));
}
Tile TileBuilder::mmaTransposedRight(Tile L, Tile R, Tile Accumulator) {
  return mma(L, R, Accumulator, false, true);
}
Tile TileBuilder::mmaTransposedLeft(Tile L, Tile R, Tile Accumulator) {
  return mma(L, R, Accumulator, true, false);
}

static Tile broadcast(TileBuilder &B, Tile V, ArrayRef<int64_t> Shape,
                      ArrayRef<int64_t> Along) {
  V = computed(V);
  return B.wrap(tile::BroadcastOp::create(B.builder(), B.loc(),
                                          tileType(Shape, V.elementType()),
                                          V.value(), Along));
}
Tile TileBuilder::asColumn(Tile Vector, int64_t Columns) {
  return broadcast(*this, Vector, {Vector.rows(), Columns}, {0});
}
Tile TileBuilder::asRow(Tile Vector, int64_t Rows) {
  return broadcast(*this, Vector, {Rows, Vector.rows()}, {1});
}
Tile TileBuilder::fill(Tile Scalar, ArrayRef<int64_t> Shape) {
  return broadcast(*this, Scalar, Shape, {});
}

Tile TileBuilder::transpose(Tile V) {
  return wrap(tile::TransposeOp::create(
      Builder, loc(), tileType({V.columns(), V.rows()}, V.elementType()),
      V.value()));
}

Tile TileBuilder::rope(Tile V, Tile Cos, Tile Sin, bool Inverse) {
  V = computed(V);
  return wrap(tile::RopeOp::create(Builder, loc(), V.type(), V.value(),
                                   Cos.value(), Sin.value(), Inverse));
}

Tile TileBuilder::reduce(tile::Reduction Kind, Tile V, int64_t Dimension) {
  V = computed(V);
  SmallVector<int64_t> Shape(V.shape());
  if (Dimension < 0)
    Dimension += Shape.size();
  Shape.erase(Shape.begin() + Dimension);
  return wrap(tile::ReduceOp::create(Builder, loc(),
                                     tileType(Shape, V.elementType()), Kind,
                                     V.value(), Dimension));
}
Tile TileBuilder::sum(Tile V, int64_t Dimension) {
  return reduce(tile::Reduction::Sum, V, Dimension);
}
Tile TileBuilder::max(Tile V, int64_t Dimension) {
  return reduce(tile::Reduction::Max, V, Dimension);
}
Tile TileBuilder::cumulativeSum(Tile Vector, bool Reverse) {
  Vector = computed(Vector);
  return wrap(tile::CumulativeSumOp::create(Builder, loc(), Vector.type(),
                                            Vector.value(), Reverse));
}
Tile TileBuilder::extract(Tile Vector, Operand Position) {
  Vector = computed(Vector);
  return wrap(tile::ExtractOp::create(Builder, loc(), Vector.elementType(),
                                      Vector.value(), asIndex(Position)));
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

static Tile toInteger(TileBuilder &B, Tile V, unsigned Width) {
  Type Element = B.builder().getIntegerType(Width);
  Type Wanted = tileType(V.shape(), Element);
  if (V.type() == Wanted)
    return V;
  if (V.elementType().isIndex())
    return B.wrap(
        arith::IndexCastOp::create(B.builder(), B.loc(), Wanted, V.value()));
  if (isa<FloatType>(V.elementType()))
    return B.wrap(
        arith::FPToSIOp::create(B.builder(), B.loc(), Wanted, V.value()));
  unsigned From = V.elementType().getIntOrFloatBitWidth();
  if (From > Width)
    return B.wrap(
        arith::TruncIOp::create(B.builder(), B.loc(), Wanted, V.value()));
  if (From == 1)
    return B.wrap(
        arith::ExtUIOp::create(B.builder(), B.loc(), Wanted, V.value()));
  return B.wrap(
      arith::ExtSIOp::create(B.builder(), B.loc(), Wanted, V.value()));
}
Tile TileBuilder::toI32(Tile V) { return toInteger(*this, V, 32); }
Tile TileBuilder::toI64(Tile V) { return toInteger(*this, V, 64); }
Tile TileBuilder::toIndex(Tile V) {
  return wrap(arith::IndexCastOp::create(Builder, loc(), Builder.getIndexType(),
                                         V.value()));
}
Tile TileBuilder::toFloat(Tile V) {
  if (isa<FloatType>(V.elementType()))
    return toType(V, Builder.getF32Type());
  Type Wanted = tileType(V.shape(), Builder.getF32Type());
  if (V.elementType().isInteger(1))
    return wrap(arith::UIToFPOp::create(Builder, loc(), Wanted, V.value()));
  return wrap(arith::SIToFPOp::create(Builder, loc(), Wanted, V.value()));
}

Tile TileBuilder::bits(Tile V) {
  return wrap(arith::BitcastOp::create(
      Builder, loc(), tileType(V.shape(), Builder.getI32Type()), V.value()));
}

Tile TileBuilder::toType(Tile V, Type Element) {
  unsigned From = V.elementType().getIntOrFloatBitWidth();
  unsigned To = Element.getIntOrFloatBitWidth();
  if (V.elementType() == Element)
    return V;
  assert(From != To && "bf16 and f16 do not meet");
  Type Wanted = tileType(V.shape(), Element);
  return From < To
             ? wrap(arith::ExtFOp::create(Builder, loc(), Wanted, V.value()))
             : wrap(arith::TruncFOp::create(Builder, loc(), Wanted, V.value()));
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

SmallVector<Tile> TileBuilder::forLoop(Operand Low, Operand High, int64_t Step,
                                       ArrayRef<Tile> Initial, Loop Body) {
  SmallVector<Value> Start;
  for (const Tile &T : Initial)
    Start.push_back(T.value());
  Value From = asIndex(Low), To = asIndex(High), By = asIndex(Operand(Step));
  auto For = scf::ForOp::create(Builder, loc(), From, To, By, Start);
  {
    OpBuilder::InsertionGuard Guard(Builder);
    Block *Block = For.getBody();
    if (Block->mightHaveTerminator()) // There is one only without results.
      Builder.setInsertionPoint(Block->getTerminator());
    else
      Builder.setInsertionPointToEnd(Block);
    SmallVector<Tile> Carried;
    for (Value V : For.getRegionIterArgs())
      Carried.push_back(wrap(V));
    SmallVector<Value> Next;
    for (const Tile &T : Body(wrap(For.getInductionVar()), Carried))
      Next.push_back(T.value());
    if (!Initial.empty())
      scf::YieldOp::create(Builder, loc(), Next);
  }
  SmallVector<Tile> Results;
  for (Value V : For.getResults())
    Results.push_back(wrap(V));
  return Results;
}

void TileBuilder::forLoop(Operand Low, Operand High, int64_t Step,
                          function_ref<void(Tile)> Body) {
  forLoop(Low, High, Step, {}, [&](Tile I, ArrayRef<Tile>) {
    Body(I);
    return SmallVector<Tile>();
  });
}

void TileBuilder::forColumns(int64_t Extent, int64_t Step,
                             function_ref<void(Tile)> Body) {
  if (Extent <= Step)
    return Body(index(0));
  forLoop(0, Extent, Step, Body);
}

Tile TileBuilder::sumOverColumns(int64_t Extent, int64_t Step,
                                 function_ref<Tile(Tile)> Body) {
  Tile Sum = Body(index(0));
  if (Extent <= Step)
    return Sum;
  return forLoop(Step, Extent, Step, {Sum},
                 [&](Tile Column, ArrayRef<Tile> Carried) {
                   return SmallVector<Tile>{Carried[0] + Body(Column)};
                 })[0];
}

void TileBuilder::ifThen(Tile Condition, function_ref<void()> Body) {
  auto If = scf::IfOp::create(Builder, loc(), Condition.value(),
                              /*withElseRegion=*/false);
  OpBuilder::InsertionGuard Guard(Builder);
  Builder.setInsertionPoint(If.thenBlock()->getTerminator());
  Body();
}

SmallVector<Tile> TileBuilder::ifElse(Tile Condition,
                                      function_ref<SmallVector<Tile>()> Then,
                                      function_ref<SmallVector<Tile>()> Else) {
  // The types are known only once a branch is built.
  auto Build = [&](function_ref<SmallVector<Tile>()> Branch) {
    auto Region = std::make_unique<mlir::Region>();
    OpBuilder::InsertionGuard Guard(Builder);
    Builder.createBlock(Region.get());
    SmallVector<Value> Values;
    for (const Tile &T : Branch())
      Values.push_back(T.value());
    scf::YieldOp::create(Builder, loc(), Values);
    return Region;
  };
  std::unique_ptr<Region> ThenRegion = Build(Then), ElseRegion = Build(Else);
  TypeRange Types = ThenRegion->front().getTerminator()->getOperandTypes();
  OperationState State(loc(), scf::IfOp::getOperationName());
  State.addOperands(Condition.value());
  State.addTypes(Types);
  State.addRegion(std::move(ThenRegion));
  State.addRegion(std::move(ElseRegion));
  Operation *If = Builder.create(State);
  SmallVector<Tile> Results;
  for (Value V : If->getResults())
    Results.push_back(wrap(V));
  return Results;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

std::string tiling::typeName(Type Element) {
  std::string Text = "_";
  llvm::raw_string_ostream Stream(Text);
  if (Element)
    Stream << Element;
  else
    Stream << "f32";
  return Text;
}

std::string tiling::typeSuffix(ArrayRef<Type> Elements) {
  std::string First = typeName(Elements.front()), All;
  for (Type Element : Elements)
    All += typeName(Element);
  bool Equal = llvm::all_of(
      Elements, [&](Type Element) { return typeName(Element) == First; });
  return !Equal ? All : First == "_f32" ? "" : First;
}

tile::KernelOp tiling::defineKernel(ModuleOp Module, const Twine &Name,
                                    unsigned GridRank,
                                    function_ref<void(TileBuilder &)> Body) {
  std::string Symbol = Name.str();
  if (auto Kernel = Module.lookupSymbol<tile::KernelOp>(Symbol))
    return Kernel;
  // After the kernels that are already there, before everything else.
  OpBuilder Builder(Module.getBody(), Module.getBody()->begin());
  for (Operation &Op : *Module.getBody())
    if (isa<tile::KernelOp>(Op))
      Builder.setInsertionPointAfter(&Op);
  auto Kernel = tile::KernelOp::create(
      Builder, NameLoc::get(Builder.getStringAttr(Symbol)), Symbol,
      ArrayRef<Type>(), GridRank);
  TileBuilder B(Kernel);
  Body(B);
  orderOperations(Kernel.getBody().front());
  return Kernel;
}
