//===- LaunchFlops.cpp - Operations of a launch as a formula --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/LaunchFlops.h"
#include "codegen/ScalarOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <utility>

using namespace mlir;

namespace transxssm {

/// More cells along a coordinate than this are not looked at one by one.
constexpr int64_t MaxCells = 512;

namespace {

/// A coordinate c whose extent the call's sizes decide, and in which cells may
/// differ.
struct Coordinate {
  unsigned Dimension;
  AffineExpr Extent;
};

/// A number of a cell as a formula of the plan's symbols,
///
///     Base + Slope c + (c = Extent - 1 ? AtLast : 0)
///
/// The last cell is on its own because a tile may reach beyond the end there.
struct CellFormula {
  AffineExpr Base, Slope, AtLast;

  bool isUniform() const { return isZero(Slope) && isZero(AtLast); }
  static bool isZero(AffineExpr E) {
    auto Number = dyn_cast<AffineConstantExpr>(E);
    return Number && Number.getValue() == 0;
  }
  bool operator==(const CellFormula &Other) const {
    return Base == Other.Base && Slope == Other.Slope && AtLast == Other.AtLast;
  }
};

/// One cell of a launch, with formulas in place of numbers. A value without a
/// formula is unknown: a number of the cell that has not been set, of an
/// iteration, or of memory.
class FormulaCounter {
public:
  using Formula = std::optional<CellFormula>;

  FormulaCounter(tile::KernelOp Kernel, plan::LaunchOp Launch);

  /// Cells may differ along `Dimension`, whose extent is not fixed.
  void setVarying(unsigned Dimension, AffineExpr Extent) {
    Varying = Coordinate{Dimension, Extent};
    Known[Kernel.getGridArguments()[Dimension]] = {constant(0), constant(1),
                                                   constant(0)};
  }
  /// The sum over all cells.
  std::optional<AffineExpr> countCells() { return countCells(0); }

private:
  AffineExpr constant(int64_t Value) const {
    return getAffineConstantExpr(Value, Context);
  }
  CellFormula uniform(AffineExpr Base) const {
    return {Base, constant(0), constant(0)};
  }
  Formula valueOf(Value Of) const {
    auto Found = Known.find(Of);
    return Found == Known.end() ? Formula() : Formula(Found->second);
  }
  std::optional<AffineExpr> countCells(size_t D);
  AffineExpr sum(const CellFormula &Each) const;
  Formula count(Block &Of);
  Formula count(Operation &Op);
  Formula count(scf::ForOp Loop);
  Formula count(scf::IfOp If);
  Formula iterations(scf::ForOp Loop);
  bool endsInsideExtent(const CellFormula &From, const CellFormula &To,
                        int64_t Step) const;
  Formula evaluate(Operation &Op);
  Formula minimum(const CellFormula &A, const CellFormula &B) const;
  Formula divide(const CellFormula &A, int64_t By, bool Up) const;
  Formula multiply(const CellFormula &A, const CellFormula &B) const;
  bool isFromMemory(Operation &Op) const;

  tile::KernelOp Kernel;
  MLIRContext *Context;
  ArrayRef<AffineExpr> Grid;
  std::optional<Coordinate> Varying;
  DenseMap<Value, CellFormula> Known;
  DenseSet<Value> FromMemory;
  DenseMap<Value, SmallVector<AffineExpr>> Extents;
};

} // namespace

FormulaCounter::FormulaCounter(tile::KernelOp Kernel, plan::LaunchOp Launch)
    : Kernel(Kernel), Context(Kernel.getContext()),
      Grid(Launch.getGrid().getResults()) {
  ArrayRef<AffineExpr> Left = Launch.getSizes().getResults();
  for (BlockArgument Argument : Kernel.getLaunchArguments()) {
    auto Type = dyn_cast<MemRefType>(Argument.getType());
    if (!Type) {
      Known[Argument] = uniform(Left.front());
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

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

FormulaCounter::Formula FormulaCounter::count(Block &Of) {
  CellFormula Sum = uniform(constant(0));
  for (Operation &Op : Of) {
    Formula Part = count(Op);
    if (!Part)
      return std::nullopt;
    Sum = {Sum.Base + Part->Base, Sum.Slope + Part->Slope,
           Sum.AtLast + Part->AtLast};
  }
  return Sum;
}

/// Whether an operation makes numbers of what lies in memory.
bool FormulaCounter::isFromMemory(Operation &Op) const {
  return isa<tile::LoadOp>(Op) || llvm::any_of(Op.getOperands(), [&](Value V) {
           return !V.getType().isIntOrIndex() || FromMemory.contains(V);
         });
}

FormulaCounter::Formula FormulaCounter::count(Operation &Op) {
  return llvm::TypeSwitch<Operation *, Formula>(&Op)
      .Case<scf::ForOp, scf::IfOp>([&](auto Nested) {
        // What they carry is taken for memory's: so are the loops of kernels.
        FromMemory.insert(Nested->result_begin(), Nested->result_end());
        return count(Nested);
      })
      .Case<tile::MmaOp>([&](tile::MmaOp Product) {
        return uniform(constant(flopsOf(Product)));
      })
      .Default([&](Operation *Other) {
        if (Other->getNumResults() == 1 && !Other->getNumRegions() &&
            Other->getResult(0).getType().isIntOrIndex()) {
          Value Result = Other->getResult(0);
          // Of another cell nothing is left.
          Known.erase(Result);
          FromMemory.erase(Result);
          if (Formula Value = evaluate(*Other))
            Known[Result] = *Value;
          else if (isFromMemory(*Other))
            FromMemory.insert(Result);
        }
        return uniform(constant(0));
      });
}

/// Whether a loop from a cell's first element to the end begins before it ends
/// in each cell: From is Step c, of which there are as many as reach To.
bool FormulaCounter::endsInsideExtent(const CellFormula &From,
                                      const CellFormula &To,
                                      int64_t Step) const {
  return Varying && To.isUniform() && CellFormula::isZero(From.Base) &&
         CellFormula::isZero(From.AtLast) && From.Slope == constant(Step) &&
         Varying->Extent == To.Base.ceilDiv(Step);
}

FormulaCounter::Formula FormulaCounter::iterations(scf::ForOp Loop) {
  Formula From = valueOf(Loop.getLowerBound()),
          To = valueOf(Loop.getUpperBound()), Step = valueOf(Loop.getStep());
  // The least: memory says how often, as for queries that see no key.
  if (FromMemory.contains(Loop.getLowerBound()) ||
      FromMemory.contains(Loop.getUpperBound()))
    return uniform(constant(0));
  auto By = Step && Step->isUniform() ? dyn_cast<AffineConstantExpr>(Step->Base)
                                      : AffineConstantExpr();
  if (!From || !To || !By || By.getValue() <= 0)
    return std::nullopt;
  CellFormula Length = {To->Base - From->Base, To->Slope - From->Slope,
                        To->AtLast - From->AtLast};
  if (auto Fixed = dyn_cast<AffineConstantExpr>(Length.Base);
      Fixed && Length.isUniform())
    return uniform(constant(llvm::divideCeil(
        std::max<int64_t>(Fixed.getValue(), 0), By.getValue())));
  // Else from zero on, so that no loop ends before it begins.
  bool FromZero = From->isUniform() && From->Base == constant(0);
  if (!FromZero && !endsInsideExtent(*From, *To, By.getValue()))
    return std::nullopt;
  return divide(Length, By.getValue(), /*Up=*/true);
}

FormulaCounter::Formula FormulaCounter::count(scf::ForOp Loop) {
  Formula Inside = count(*Loop.getBody());
  if (!Inside || (Inside->isUniform() && Inside->Base == constant(0)))
    return Inside;
  Formula Times = iterations(Loop);
  return Times ? multiply(*Times, *Inside) : std::nullopt;
}

FormulaCounter::Formula FormulaCounter::count(scf::IfOp If) {
  Formula Condition = valueOf(If.getCondition());
  Formula Then = count(If.getThenRegion().front()), Else = uniform(constant(0));
  if (!If.getElseRegion().empty())
    Else = count(If.getElseRegion().front());
  auto Fixed = Condition && Condition->isUniform()
                   ? dyn_cast<AffineConstantExpr>(Condition->Base)
                   : AffineConstantExpr();
  if (Fixed)
    return Fixed.getValue() ? Then : Else;
  return Then == Else ? Then : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

FormulaCounter::Formula FormulaCounter::multiply(const CellFormula &A,
                                                 const CellFormula &B) const {
  if (!A.isUniform() && !B.isUniform())
    return std::nullopt;
  const CellFormula &Each = A.isUniform() ? B : A;
  AffineExpr Times = A.isUniform() ? A.Base : B.Base;
  return CellFormula{Each.Base * Times, Each.Slope * Times,
                     Each.AtLast * Times};
}

/// Exact where the divisor divides the slope.
FormulaCounter::Formula FormulaCounter::divide(const CellFormula &A, int64_t By,
                                               bool Up) const {
  auto Slope = dyn_cast<AffineConstantExpr>(A.Slope);
  if (!Slope || Slope.getValue() % By != 0)
    return std::nullopt;
  auto Divided = [&](AffineExpr E) {
    return Up ? E.ceilDiv(By) : E.floorDiv(By);
  };
  CellFormula Quotient = {Divided(A.Base), constant(Slope.getValue() / By),
                          constant(0)};
  if (!CellFormula::isZero(A.AtLast)) {
    AffineExpr Last = A.Base + A.Slope * (Varying->Extent - 1);
    Quotient.AtLast = Divided(Last + A.AtLast) - Divided(Last);
  }
  return Quotient;
}

/// The end of a cell's elements, min(Q c + Q, N): N in the last one of the
/// ceil(N / Q) cells, before it the first operand.
FormulaCounter::Formula FormulaCounter::minimum(const CellFormula &A,
                                                const CellFormula &B) const {
  if (!A.isUniform() && B.isUniform()) {
    auto Tile = dyn_cast<AffineConstantExpr>(A.Slope);
    if (!Varying || !Tile || Tile.getValue() <= 0 || A.Base != A.Slope ||
        !CellFormula::isZero(A.AtLast) ||
        Varying->Extent != B.Base.ceilDiv(Tile.getValue()))
      return std::nullopt;
    return CellFormula{A.Base, A.Slope, B.Base - A.Slope * Varying->Extent};
  }
  return A.isUniform() && !B.isUniform() ? minimum(B, A) : std::nullopt;
}

FormulaCounter::Formula FormulaCounter::evaluate(Operation &Op) {
  if (auto Extent = dyn_cast<memref::DimOp>(Op)) {
    APInt Index;
    auto Found = Extents.find(Extent.getSource());
    if (Found == Extents.end() ||
        !matchPattern(Extent.getIndex(), m_ConstantInt(&Index)) ||
        Index.uge(Found->second.size()))
      return std::nullopt;
    return uniform(Found->second[Index.getZExtValue()]);
  }
  if (APInt Value; matchPattern(&Op, m_ConstantInt(&Value)))
    return uniform(constant(Value.getSExtValue()));
  SmallVector<CellFormula, 3> In;
  SmallVector<int64_t, 3> Numbers;
  for (Value Operand : Op.getOperands()) {
    Formula Value = valueOf(Operand);
    if (!Value)
      return std::nullopt;
    In.push_back(*Value);
    if (auto Number = dyn_cast<AffineConstantExpr>(Value->Base);
        Number && Value->isUniform())
      Numbers.push_back(Number.getValue());
  }
  if (Numbers.size() == In.size())
    if (std::optional<int64_t> Value = evaluateScalar(Op, Numbers))
      return uniform(constant(*Value));
  auto Divided = [&](bool Up) -> Formula {
    auto By = dyn_cast<AffineConstantExpr>(In[1].Base);
    return By && In[1].isUniform() && By.getValue() > 0
               ? divide(In[0], By.getValue(), Up)
               : std::nullopt;
  };
  return llvm::TypeSwitch<Operation *, Formula>(&Op)
      .Case<arith::IndexCastOp, arith::IndexCastUIOp>(
          [&](auto) { return In[0]; })
      .Case<arith::AddIOp>([&](auto) {
        return CellFormula{In[0].Base + In[1].Base, In[0].Slope + In[1].Slope,
                           In[0].AtLast + In[1].AtLast};
      })
      .Case<arith::SubIOp>([&](auto) {
        return CellFormula{In[0].Base - In[1].Base, In[0].Slope - In[1].Slope,
                           In[0].AtLast - In[1].AtLast};
      })
      .Case<arith::MulIOp>([&](auto) { return multiply(In[0], In[1]); })
      .Case<arith::MinSIOp, arith::MinUIOp>(
          [&](auto) { return minimum(In[0], In[1]); })
      .Case<arith::DivSIOp, arith::DivUIOp>(
          [&](auto) { return Divided(/*Up=*/false); })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>(
          [&](auto) { return Divided(/*Up=*/true); })
      .Default([](Operation *) { return std::nullopt; });
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

/// Over the cells along the varying coordinate.
AffineExpr FormulaCounter::sum(const CellFormula &Each) const {
  if (!Varying)
    return Each.Base;
  AffineExpr N = Varying->Extent;
  AffineExpr Sum = Each.Base * N + Each.AtLast;
  if (!CellFormula::isZero(Each.Slope))
    Sum = Sum + (N * (N - 1)).floorDiv(2) * Each.Slope;
  return Sum;
}

/// The sum over the cells along coordinates of fixed extents, from the `D`th
/// on: in them, cells may differ, as where a launch has parts side by side.
std::optional<AffineExpr> FormulaCounter::countCells(size_t D) {
  if (D == Grid.size()) {
    Formula Each = count(Kernel.getBody().front());
    return Each ? std::optional(sum(*Each)) : std::nullopt;
  }
  if (Varying && Varying->Dimension == D)
    return countCells(D + 1);
  if (auto Alike = countCells(D + 1))
    return *Alike * Grid[D];
  auto Fixed = dyn_cast<AffineConstantExpr>(Grid[D]);
  if (!Fixed || Fixed.getValue() > MaxCells)
    return std::nullopt;
  Value Number = Kernel.getGridArguments()[D];
  AffineExpr Sum = constant(0), Last = constant(0);
  int64_t Times = 0; // that Last is still to be added
  for (int64_t I = 0; I < Fixed.getValue(); ++I) {
    Known[Number] = uniform(constant(I));
    std::optional<AffineExpr> Each = countCells(D + 1);
    Known.erase(Number);
    if (!Each)
      return std::nullopt;
    if (*Each != Last)
      Sum = Sum + Last * std::exchange(Times, 0);
    Last = *Each;
    ++Times;
  }
  return Sum + Last * Times;
}

std::optional<AffineExpr> flopsOf(tile::KernelOp Kernel,
                                  plan::LaunchOp Launch) {
  // Most kernels' cells are alike, or differ along one coordinate.
  if (auto Flops = FormulaCounter(Kernel, Launch).countCells())
    return Flops;
  for (auto [D, Extent] : llvm::enumerate(Launch.getGrid().getResults())) {
    if (isa<AffineConstantExpr>(Extent))
      continue;
    FormulaCounter Counter(Kernel, Launch);
    Counter.setVarying(unsigned(D), Extent);
    if (auto Flops = Counter.countCells())
      return Flops;
  }
  return std::nullopt;
}

} // namespace transxssm
