//===- LaunchFlops.cpp - Operations of a launch as a formula --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/LaunchFlops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace transxssm {

/// More cells along a coordinate than this are not looked at one by one.
constexpr int64_t MaxCells = 512;

namespace {

/// One cell of a launch, with formulas in place of numbers. A value without a
/// formula is unknown: a number of the cell that has not been set, of an
/// iteration, or of memory.
class FormulaCounter {
public:
  using Formula = std::optional<AffineExpr>;

  FormulaCounter(tile::KernelOp Kernel, AffineMap Sizes)
      : Context(Kernel.getContext()) {
    ArrayRef<AffineExpr> Left = Sizes.getResults();
    for (BlockArgument Argument : Kernel.getLaunchArguments()) {
      auto Type = dyn_cast<MemRefType>(Argument.getType());
      if (!Type) {
        Known[Argument] = Left.front();
        Left = Left.drop_front();
        continue;
      }
      for (int64_t Extent : Type.getShape()) {
        Extents[Argument].push_back(
            ShapedType::isDynamic(Extent) ? Left.front() : constant(Extent));
        if (ShapedType::isDynamic(Extent))
          Left = Left.drop_front();
      }
    }
  }

  void setCoordinate(Value Of, int64_t To) { Known[Of] = constant(To); }
  Formula count(Block &Of);

private:
  AffineExpr constant(int64_t Value) {
    return getAffineConstantExpr(Value, Context);
  }
  Formula valueOf(Value Of) const {
    auto Found = Known.find(Of);
    return Found == Known.end() ? Formula() : Formula(Found->second);
  }
  Formula count(Operation &Op);
  Formula count(scf::ForOp Loop);
  Formula count(scf::IfOp If);
  Formula evaluate(Operation &Op);

  MLIRContext *Context;
  DenseMap<Value, AffineExpr> Known;
  DenseMap<Value, SmallVector<AffineExpr>> Extents;
};

} // namespace

FormulaCounter::Formula FormulaCounter::count(Block &Of) {
  AffineExpr Sum = constant(0);
  for (Operation &Op : Of) {
    Formula Part = count(Op);
    if (!Part)
      return std::nullopt;
    Sum = Sum + *Part;
  }
  return Sum;
}

FormulaCounter::Formula FormulaCounter::count(Operation &Op) {
  return llvm::TypeSwitch<Operation *, Formula>(&Op)
      .Case<scf::ForOp, scf::IfOp>([&](auto Nested) { return count(Nested); })
      .Case<tile::MmaOp>([&](tile::MmaOp Product) {
        auto Left = cast<ShapedType>(Product.getLhs().getType());
        auto Result = cast<ShapedType>(Product.getResult().getType());
        int64_t Inner = Left.getDimSize(Product.getTransposeLhs() ? 0 : 1);
        return constant(2 * Result.getNumElements() * Inner);
      })
      .Default([&](Operation *Other) {
        if (Other->getNumResults() == 1 && !Other->getNumRegions() &&
            Other->getResult(0).getType().isIntOrIndex())
          if (Formula Value = evaluate(*Other))
            Known[Other->getResult(0)] = *Value;
        return constant(0);
      });
}

FormulaCounter::Formula FormulaCounter::count(scf::ForOp Loop) {
  Formula From = valueOf(Loop.getLowerBound()),
          To = valueOf(Loop.getUpperBound()), Step = valueOf(Loop.getStep());
  Formula Inside = count(*Loop.getBody());
  if (!Inside || *Inside == constant(0))
    return Inside;
  auto By = Step ? dyn_cast<AffineConstantExpr>(*Step) : AffineConstantExpr();
  if (!From || !To || !By || By.getValue() <= 0)
    return std::nullopt;
  AffineExpr Length = *To - *From;
  if (auto Fixed = dyn_cast<AffineConstantExpr>(Length))
    return constant(llvm::divideCeil(std::max<int64_t>(Fixed.getValue(), 0),
                                     By.getValue())) *
           *Inside;
  // From zero on, so that no loop ends before it begins.
  if (*From != constant(0))
    return std::nullopt;
  return Length.ceilDiv(By.getValue()) * *Inside;
}

FormulaCounter::Formula FormulaCounter::count(scf::IfOp If) {
  Formula Condition = valueOf(If.getCondition());
  Formula Then = count(If.getThenRegion().front()), Else = constant(0);
  if (!If.getElseRegion().empty())
    Else = count(If.getElseRegion().front());
  if (auto Fixed = Condition ? dyn_cast<AffineConstantExpr>(*Condition)
                             : AffineConstantExpr())
    return Fixed.getValue() ? Then : Else;
  return Then == Else ? Then : std::nullopt;
}

/// Of operations that formulas do not have, with numbers.
static std::optional<int64_t> fold(Operation &Op, ArrayRef<int64_t> In) {
  using Answer = std::optional<int64_t>;
  return llvm::TypeSwitch<Operation *, Answer>(&Op)
      .Case<arith::RemSIOp, arith::RemUIOp>([&](auto) -> Answer {
        return In[1] > 0 ? Answer(In[0] % In[1]) : std::nullopt;
      })
      .Case<arith::MinSIOp, arith::MinUIOp>(
          [&](auto) { return std::min(In[0], In[1]); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>(
          [&](auto) { return std::max(In[0], In[1]); })
      .Case<arith::AndIOp>([&](auto) { return In[0] & In[1]; })
      .Case<arith::OrIOp>([&](auto) { return In[0] | In[1]; })
      .Case<arith::SelectOp>([&](auto) { return In[0] ? In[1] : In[2]; })
      .Case<arith::CmpIOp>([&](arith::CmpIOp Cmp) -> Answer {
        return arith::applyCmpPredicate(Cmp.getPredicate(),
                                        APInt(64, uint64_t(In[0]), true),
                                        APInt(64, uint64_t(In[1]), true));
      })
      .Default([](Operation *) { return std::nullopt; });
}

FormulaCounter::Formula FormulaCounter::evaluate(Operation &Op) {
  if (auto Extent = dyn_cast<memref::DimOp>(Op)) {
    APInt Index;
    auto Found = Extents.find(Extent.getSource());
    if (Found == Extents.end() ||
        !matchPattern(Extent.getIndex(), m_ConstantInt(&Index)) ||
        Index.uge(Found->second.size()))
      return std::nullopt;
    return Found->second[Index.getZExtValue()];
  }
  if (APInt Value; matchPattern(&Op, m_ConstantInt(&Value)))
    return constant(Value.getSExtValue());
  SmallVector<AffineExpr, 3> In;
  for (Value Operand : Op.getOperands()) {
    Formula Value = valueOf(Operand);
    if (!Value)
      return std::nullopt;
    In.push_back(*Value);
  }
  SmallVector<int64_t, 3> Numbers;
  for (AffineExpr Part : In)
    if (auto Number = dyn_cast<AffineConstantExpr>(Part))
      Numbers.push_back(Number.getValue());
  if (Numbers.size() == In.size())
    if (std::optional<int64_t> Value = fold(Op, Numbers))
      return constant(*Value);
  auto IsDivisor = [&] {
    auto By = dyn_cast<AffineConstantExpr>(In[1]);
    return By && By.getValue() > 0;
  };
  return llvm::TypeSwitch<Operation *, Formula>(&Op)
      .Case<arith::IndexCastOp, arith::IndexCastUIOp>(
          [&](auto) { return In[0]; })
      .Case<arith::AddIOp>([&](auto) { return In[0] + In[1]; })
      .Case<arith::SubIOp>([&](auto) { return In[0] - In[1]; })
      .Case<arith::MulIOp>([&](auto) { return In[0] * In[1]; })
      .Case<arith::DivSIOp, arith::DivUIOp>([&](auto) -> Formula {
        return IsDivisor() ? Formula(In[0].floorDiv(In[1])) : std::nullopt;
      })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>([&](auto) -> Formula {
        return IsDivisor() ? Formula(In[0].ceilDiv(In[1])) : std::nullopt;
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// The sum over the cells along coordinates of fixed extents, from the `D`th
/// on: in them, cells may differ, as where a launch has parts side by side.
static FormulaCounter::Formula sumOverCells(FormulaCounter &Cell,
                                            tile::KernelOp Kernel,
                                            ArrayRef<AffineExpr> Grid,
                                            size_t D) {
  if (D == Grid.size())
    return Cell.count(Kernel.getBody().front());
  auto Fixed = dyn_cast<AffineConstantExpr>(Grid[D]);
  if (!Fixed || Fixed.getValue() > MaxCells) {
    FormulaCounter::Formula Each = sumOverCells(Cell, Kernel, Grid, D + 1);
    return Each ? FormulaCounter::Formula(*Each * Grid[D]) : std::nullopt;
  }
  AffineExpr Sum = getAffineConstantExpr(0, Kernel.getContext());
  for (int64_t I = 0; I < Fixed.getValue(); ++I) {
    Cell.setCoordinate(Kernel.getGridArguments()[D], I);
    FormulaCounter::Formula Each = sumOverCells(Cell, Kernel, Grid, D + 1);
    if (!Each)
      return std::nullopt;
    Sum = Sum + *Each;
  }
  return Sum;
}

std::optional<AffineExpr> flopsOf(tile::KernelOp Kernel,
                                  plan::LaunchOp Launch) {
  // Most kernels' cells are alike, which needs one look.
  FormulaCounter Any(Kernel, Launch.getSizes());
  if (auto Each = Any.count(Kernel.getBody().front())) {
    for (AffineExpr Extent : Launch.getGrid().getResults())
      Each = *Each * Extent;
    return Each;
  }
  FormulaCounter Cell(Kernel, Launch.getSizes());
  return sumOverCells(Cell, Kernel, Launch.getGrid().getResults(), 0);
}

} // namespace transxssm
