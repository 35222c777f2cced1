//===- Triangles.cpp - Tiles that are zero above their diagonal -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/Triangles.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace transxssm::x86 {

// exp of this or less is zero: the smallest float32 is exp(-103.3).
static constexpr double VanishingExponent = -104;

static Value withoutCast(Value Scalar) {
  auto Cast = Scalar.getDefiningOp<arith::IndexCastOp>();
  return Cast ? Cast.getIn() : Scalar;
}

static bool isIota(Value Tile, unsigned Dimension) {
  auto Iota = Tile.getDefiningOp<tile::IotaOp>();
  return Iota && cast<RankedTensorType>(Tile.getType()).getRank() == 2 &&
         Iota.getDimension() == Dimension;
}

/// What is added to the number of a row or column; null: nothing. Nothing at
/// all if the tile is something else.
static std::optional<Value> addedToIota(Value Tile, unsigned Dimension) {
  if (isIota(Tile, Dimension))
    return Value();
  auto Sum = Tile.getDefiningOp<arith::AddIOp>();
  if (!Sum)
    return std::nullopt;
  for (auto [Iota, Other] : {std::pair{Sum.getLhs(), Sum.getRhs()},
                             std::pair{Sum.getRhs(), Sum.getLhs()}}) {
    auto Broadcast = Other.getDefiningOp<tile::BroadcastOp>();
    if (isIota(Iota, Dimension) && Broadcast &&
        !isa<RankedTensorType>(Broadcast.getValue().getType()))
      return withoutCast(Broadcast.getValue());
  }
  return std::nullopt;
}

/// The diagonal on and below which alone the condition may hold.
static std::optional<Diagonal> causalDiagonal(Value Condition) {
  if (auto Both = Condition.getDefiningOp<arith::AndIOp>()) {
    auto Left = causalDiagonal(Both.getLhs());
    return Left ? Left : causalDiagonal(Both.getRhs());
  }
  auto Compare = Condition.getDefiningOp<arith::CmpIOp>();
  if (!Compare)
    return std::nullopt;
  Value Row = Compare.getLhs(), Column = Compare.getRhs();
  if (Compare.getPredicate() == arith::CmpIPredicate::sle)
    std::swap(Row, Column);
  else if (Compare.getPredicate() != arith::CmpIPredicate::sge)
    return std::nullopt;
  auto Plus = addedToIota(Row, 0), Minus = addedToIota(Column, 1);
  if (!Plus || !Minus)
    return std::nullopt;
  return Diagonal{*Plus, *Minus};
}

/// What every element is at least, if that is known. A value that a loop
/// carries is, when what it starts with is and what it yields is again:
/// `Assumed` holds the carried values that are taken for that.
static std::optional<double>
lowerBound(Value V, llvm::SmallDenseMap<Value, double> &Assumed) {
  if (auto Known = Assumed.find(V); Known != Assumed.end())
    return Known->second;
  APFloat Constant(0.0f);
  if (matchPattern(V, m_ConstantFloat(&Constant)))
    return Constant.convertToDouble();
  if (auto Broadcast = V.getDefiningOp<tile::BroadcastOp>())
    return lowerBound(Broadcast.getValue(), Assumed);
  if (auto Larger = V.getDefiningOp<arith::MaximumFOp>()) {
    auto Left = lowerBound(Larger.getLhs(), Assumed);
    return Left ? Left : lowerBound(Larger.getRhs(), Assumed);
  }
  auto Carried = dyn_cast<BlockArgument>(V);
  auto For = Carried ? dyn_cast<scf::ForOp>(Carried.getOwner()->getParentOp())
                     : scf::ForOp();
  if (!For || Carried == For.getInductionVar())
    return std::nullopt;
  auto First = lowerBound(For.getTiedLoopInit(Carried)->get(), Assumed);
  if (!First)
    return std::nullopt;
  Assumed[V] = *First;
  auto Next = lowerBound(For.getTiedLoopYieldedValue(Carried)->get(), Assumed);
  Assumed.erase(V);
  return Next && *Next >= *First ? First : std::nullopt;
}

namespace {
/// Above the diagonal, every element is at most `Most`.
struct Bounded {
  Diagonal Above;
  double Most;
};
} // namespace

static std::optional<Bounded> boundAbove(Value Tile) {
  if (auto Select = Tile.getDefiningOp<arith::SelectOp>()) {
    APFloat Above(0.0f);
    auto Where = causalDiagonal(Select.getCondition());
    if (!Where ||
        !matchPattern(Select.getFalseValue(), m_ConstantFloat(&Above)))
      return std::nullopt;
    return Bounded{*Where, Above.convertToDouble()};
  }
  auto Difference = Tile.getDefiningOp<arith::SubFOp>();
  if (!Difference)
    return std::nullopt;
  llvm::SmallDenseMap<Value, double> Assumed;
  auto Left = boundAbove(Difference.getLhs());
  auto Right = lowerBound(Difference.getRhs(), Assumed);
  if (!Left || !Right)
    return std::nullopt;
  return Bounded{Left->Above, Left->Most - *Right};
}

std::optional<Diagonal> zeroAboveDiagonal(Value Tile) {
  Operation *Op = Tile.getDefiningOp();
  if (!Op)
    return std::nullopt;
  if (auto Product = dyn_cast<arith::MulFOp>(Op)) {
    auto Left = zeroAboveDiagonal(Product.getLhs());
    return Left ? Left : zeroAboveDiagonal(Product.getRhs());
  }
  if (isa<arith::TruncFOp, arith::ExtFOp>(Op))
    return zeroAboveDiagonal(Op->getOperand(0));
  if (auto Exp = dyn_cast<math::ExpOp>(Op)) {
    auto Exponent = boundAbove(Exp.getOperand());
    if (Exponent && Exponent->Most <= VanishingExponent)
      return Exponent->Above;
    return std::nullopt;
  }
  if (auto Select = dyn_cast<arith::SelectOp>(Op))
    if (matchPattern(Select.getFalseValue(), m_AnyZeroFloat()))
      return causalDiagonal(Select.getCondition());
  return std::nullopt;
}

static std::optional<Diagonal> readBelowDiagonal(OpOperand &Use) {
  Operation *Reader = Use.getOwner();
  if (auto Select = dyn_cast<arith::SelectOp>(Reader);
      Select && Use.get() == Select.getTrueValue())
    if (auto Where = causalDiagonal(Select.getCondition()))
      return Where;
  if (isa<arith::MulFOp>(Reader))
    if (auto Where =
            zeroAboveDiagonal(Reader->getOperand(1 - Use.getOperandNumber())))
      return Where;
  if (!Reader->hasTrait<OpTrait::Elementwise>() || Reader->getNumResults() != 1)
    return std::nullopt;
  return readBelowDiagonal(Reader->getResult(0));
}

std::optional<Diagonal> readBelowDiagonal(Value Tile) {
  std::optional<Diagonal> All;
  for (OpOperand &Use : Tile.getUses()) {
    auto Where = readBelowDiagonal(Use);
    if (!Where || (All && !(*All == *Where)))
      return std::nullopt;
    All = Where;
  }
  return All;
}

} // namespace transxssm::x86
