//===- IndexFacts.cpp - What is known about an index ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/IndexFacts.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;

namespace transxssm::x86 {

std::optional<int64_t> constantOf(Value V) {
  APInt Constant;
  if (!matchPattern(V, m_ConstantInt(&Constant)))
    return std::nullopt;
  return Constant.getSExtValue();
}

/// Induction variables with constant bounds, and grid coordinates.
static IndexFacts factsOfArgument(BlockArgument Argument) {
  Operation *Parent = Argument.getOwner()->getParentOp();
  if (auto Kernel = dyn_cast<tile::KernelOp>(Parent)) {
    bool IsGrid =
        llvm::is_contained(Kernel.getGridArguments(), Value(Argument));
    return IsGrid ? IndexFacts{true, 1, 0} : IndexFacts{};
  }
  auto For = dyn_cast<scf::ForOp>(Parent);
  if (!For || Argument != For.getInductionVar())
    return {};
  auto Low = constantOf(For.getLowerBound());
  auto High = constantOf(For.getUpperBound());
  auto Step = constantOf(For.getStep());
  if (!Low || !High || !Step || *Low < 0 || *Step <= 0)
    return {};
  if (*High <= *Low) // The body never runs.
    return {true, 0, 0};
  return {true, 0, *Low + (*High - 1 - *Low) / *Step * *Step};
}

static IndexFacts factsOfProduct(Value Lhs, Value Rhs) {
  auto Factor = constantOf(Rhs);
  if (!Factor) {
    std::swap(Lhs, Rhs);
    Factor = constantOf(Rhs);
  }
  IndexFacts Facts = computeIndexFacts(Lhs);
  if (!Factor || *Factor < 0 || !Facts.Known)
    return {};
  return {true, Facts.Multiple * *Factor, Facts.Maximum * *Factor};
}

static IndexFacts factsOfQuotient(Value Lhs, Value Rhs) {
  IndexFacts Facts = computeIndexFacts(Lhs);
  auto Divisor = constantOf(Rhs);
  if (!Divisor || *Divisor <= 0 || !Facts.Known)
    return {};
  if (Facts.Multiple != 0)
    return Facts.Maximum == 0 ? IndexFacts{true, 1, 0} : IndexFacts{};
  return {true, 0, Facts.Maximum / *Divisor};
}

static IndexFacts factsOfRemainder(Value Lhs, Value Rhs) {
  auto Divisor = constantOf(Rhs);
  if (!Divisor || *Divisor <= 0 || !computeIndexFacts(Lhs).Known)
    return {};
  return {true, 0, *Divisor - 1};
}

IndexFacts computeIndexFacts(Value Index) {
  if (auto Constant = constantOf(Index))
    return *Constant < 0 ? IndexFacts{} : IndexFacts{true, 0, *Constant};
  if (auto Argument = dyn_cast<BlockArgument>(Index))
    return factsOfArgument(Argument);
  Operation *Op = Index.getDefiningOp();
  if (auto Add = dyn_cast<arith::AddIOp>(Op)) {
    IndexFacts L = computeIndexFacts(Add.getLhs());
    IndexFacts R = computeIndexFacts(Add.getRhs());
    if (!L.Known || !R.Known)
      return {};
    return {true, std::gcd(L.Multiple, R.Multiple), L.Maximum + R.Maximum};
  }
  if (auto Mul = dyn_cast<arith::MulIOp>(Op))
    return factsOfProduct(Mul.getLhs(), Mul.getRhs());
  if (isa<arith::DivUIOp, arith::DivSIOp, arith::FloorDivSIOp>(Op))
    return factsOfQuotient(Op->getOperand(0), Op->getOperand(1));
  if (isa<arith::RemUIOp, arith::RemSIOp>(Op))
    return factsOfRemainder(Op->getOperand(0), Op->getOperand(1));
  return {};
}

bool isInBounds(Value Base, int64_t Extent, int64_t Size) {
  if (ShapedType::isDynamic(Size))
    return false;
  IndexFacts Facts = computeIndexFacts(Base);
  if (!Facts.Known)
    return false;
  if (Facts.Multiple == 0)
    return Facts.Maximum + Extent <= Size;
  return Facts.Maximum + Extent <= std::gcd(Facts.Multiple, Size);
}

} // namespace transxssm::x86
