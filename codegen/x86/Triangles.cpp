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
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace transxssm::x86 {

// exp of this or less is zero: the smallest float32 is exp(-103.3).
static constexpr double VanishingExponent = -104;

static bool isIota(Value Tile, unsigned Dimension) {
  auto Iota = Tile.getDefiningOp<tile::IotaOp>();
  return Iota && cast<RankedTensorType>(Tile.getType()).getRank() == 2 &&
         Iota.getDimension() == Dimension;
}

/// Whether the condition holds on the diagonal and below it only.
static bool isCausal(Value Condition) {
  auto Compare = Condition.getDefiningOp<arith::CmpIOp>();
  if (!Compare)
    return false;
  Value Left = Compare.getLhs(), Right = Compare.getRhs();
  if (Compare.getPredicate() == arith::CmpIPredicate::sge)
    return isIota(Left, 0) && isIota(Right, 1);
  return Compare.getPredicate() == arith::CmpIPredicate::sle &&
         isIota(Left, 1) && isIota(Right, 0);
}

/// The value above the diagonal, if one is selected there.
static std::optional<APFloat> valueAbove(Value Tile) {
  auto Select = Tile.getDefiningOp<arith::SelectOp>();
  APFloat Above(0.0f);
  if (!Select || !isCausal(Select.getCondition()) ||
      !matchPattern(Select.getFalseValue(), m_ConstantFloat(&Above)))
    return std::nullopt;
  return Above;
}

bool isZeroAboveDiagonal(Value Tile) {
  Operation *Op = Tile.getDefiningOp();
  if (!Op)
    return false;
  if (auto Product = dyn_cast<arith::MulFOp>(Op))
    return isZeroAboveDiagonal(Product.getLhs()) ||
           isZeroAboveDiagonal(Product.getRhs());
  if (isa<arith::TruncFOp, arith::ExtFOp>(Op))
    return isZeroAboveDiagonal(Op->getOperand(0));
  if (auto Exp = dyn_cast<math::ExpOp>(Op)) {
    std::optional<APFloat> Above = valueAbove(Exp.getOperand());
    return Above && Above->convertToDouble() <= VanishingExponent;
  }
  std::optional<APFloat> Above = valueAbove(Tile);
  return Above && Above->isZero();
}

bool isReadBelowDiagonal(Value Tile) {
  return !Tile.use_empty() && llvm::all_of(Tile.getUses(), [](OpOperand &Use) {
    auto Product = dyn_cast<arith::MulFOp>(Use.getOwner());
    return Product &&
           isZeroAboveDiagonal(Product->getOperand(1 - Use.getOperandNumber()));
  });
}

} // namespace transxssm::x86
