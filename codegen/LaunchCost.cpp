//===- LaunchCost.cpp - What launches compute and move at least -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/LaunchCost.h"
#include "codegen/ScalarOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

#include <map>
#include <optional>

using namespace mlir;

namespace transxssm {

namespace {

/// Runs the scalar part of a kernel.
class CostEvaluator {
public:
  CostEvaluator(tile::KernelOp Kernel, ArrayRef<unsigned> Buffers,
                ArrayRef<int64_t> Sizes, size_t NumBuffers)
      : Kernel(Kernel), Read(NumBuffers), Written(NumBuffers) {
    for (BlockArgument Argument : Kernel.getLaunchArguments()) {
      auto Type = dyn_cast<MemRefType>(Argument.getType());
      if (!Type) {
        Known[Argument] = Sizes.front();
        Sizes = Sizes.drop_front();
        continue;
      }
      BufferOf[Argument] = Buffers.front();
      Buffers = Buffers.drop_front();
      for (int64_t &Extent :
           Extents[Argument] = {Type.getShape().begin(), Type.getShape().end()})
        if (ShapedType::isDynamic(Extent)) {
          Extent = Sizes.front();
          Sizes = Sizes.drop_front();
        }
    }
  }

  void runCell(ArrayRef<int64_t> Cell) {
    for (auto [Argument, Coordinate] :
         llvm::zip_equal(Kernel.getGridArguments(), Cell))
      Known[Argument] = Coordinate;
    run(Kernel.getBody().front(), 1);
  }

  LaunchCost result(ArrayRef<uint64_t> BufferBytes) const {
    LaunchCost Cost;
    Cost.Flops = Flops;
    for (size_t I = 0; I < BufferBytes.size(); ++I)
      Cost.FloorBytes += std::min(Read[I], BufferBytes[I]) +
                         std::min(Written[I], BufferBytes[I]);
    return Cost;
  }

private:
  std::optional<int64_t> valueOf(Value Of) const {
    auto Found = Known.find(Of);
    if (Found == Known.end())
      return std::nullopt;
    return Found->second;
  }
  void set(Value Of, std::optional<int64_t> To) {
    if (To)
      Known[Of] = *To;
    else
      Known.erase(Of);
  }

  void run(Block &Of, uint64_t Times);
  void run(Operation &Op, uint64_t Times);
  void run(scf::ForOp Loop, uint64_t Times);
  void run(scf::IfOp If, uint64_t Times);
  std::optional<int64_t> evaluate(Operation &Op) const;
  /// Counts a tile that is moved to or from memory.
  void move(std::vector<uint64_t> &Into, Value Memory, Type Tile,
            uint64_t Times);

  tile::KernelOp Kernel;
  DenseMap<Value, int64_t> Known;
  DenseMap<Value, SmallVector<int64_t>> Extents;
  DenseMap<Value, unsigned> BufferOf;
  std::vector<uint64_t> Read, Written;
  uint64_t Flops = 0;
};

} // namespace

void CostEvaluator::run(Block &Of, uint64_t Times) {
  for (Operation &Op : Of)
    run(Op, Times);
}

static uint64_t bytesOf(Type Element) {
  return (Element.getIntOrFloatBitWidth() + 7) / 8;
}

void CostEvaluator::move(std::vector<uint64_t> &Into, Value Memory, Type Tile,
                         uint64_t Times) {
  uint64_t Bytes = bytesOf(getElementTypeOrSelf(Tile));
  if (auto Shaped = dyn_cast<ShapedType>(Tile))
    Bytes *= uint64_t(Shaped.getNumElements());
  Into[BufferOf.at(Memory)] += Times * Bytes;
}

void CostEvaluator::run(Operation &Op, uint64_t Times) {
  llvm::TypeSwitch<Operation *>(&Op)
      .Case<scf::ForOp, scf::IfOp>([&](auto Nested) { run(Nested, Times); })
      .Case<tile::MmaOp>([&](tile::MmaOp Product) {
        Flops += Times * uint64_t(flopsOf(Product));
      })
      .Case<tile::LoadOp, tile::GatherOp>([&](auto Load) {
        move(Read, Load.getMemory(), Load.getResult().getType(), Times);
      })
      .Case<tile::StoreOp>([&](tile::StoreOp Store) {
        move(Written, Store.getMemory(), Store.getValue().getType(), Times);
      })
      .Default([&](Operation *Scalar) {
        if (Scalar->getNumResults() == 1 &&
            Scalar->getResult(0).getType().isIntOrIndex())
          set(Scalar->getResult(0), evaluate(*Scalar));
      });
}

/// Whether what happens inside depends on the numbers of the iterations.
static bool hasControl(Block &Body) {
  return !Body.getOps<scf::ForOp>().empty() ||
         !Body.getOps<scf::IfOp>().empty();
}

void CostEvaluator::run(scf::ForOp Loop, uint64_t Times) {
  std::optional<int64_t> From = valueOf(Loop.getLowerBound()),
                         To = valueOf(Loop.getUpperBound()),
                         Step = valueOf(Loop.getStep());
  Block &Body = *Loop.getBody();
  if (!From || !To || !Step || *Step <= 0) {
    // Bounds that come from memory: once is the least.
    Known.erase(Loop.getInductionVar());
    run(Body, Times);
    return;
  }
  if (*To <= *From)
    return;
  uint64_t Trips = uint64_t((*To - *From + *Step - 1) / *Step);
  if (!hasControl(Body)) {
    Known[Loop.getInductionVar()] = *From;
    run(Body, Times * Trips);
    return;
  }
  for (uint64_t I = 0; I < Trips; ++I) {
    Known[Loop.getInductionVar()] = *From + int64_t(I) * *Step;
    run(Body, Times);
  }
}

void CostEvaluator::run(scf::IfOp If, uint64_t Times) {
  std::optional<int64_t> Condition = valueOf(If.getCondition());
  if (!Condition || *Condition)
    run(If.getThenRegion().front(), Times);
  else if (!If.getElseRegion().empty())
    run(If.getElseRegion().front(), Times);
}

std::optional<int64_t> CostEvaluator::evaluate(Operation &Op) const {
  if (auto Extent = dyn_cast<memref::DimOp>(Op)) {
    std::optional<int64_t> Index = valueOf(Extent.getIndex());
    auto Found = Extents.find(Extent.getSource());
    if (!Index || Found == Extents.end() || *Index < 0 ||
        *Index >= int64_t(Found->second.size()))
      return std::nullopt;
    return Found->second[size_t(*Index)];
  }
  if (APInt Constant; matchPattern(&Op, m_ConstantInt(&Constant)))
    return Constant.getSExtValue();
  SmallVector<int64_t, 3> In;
  for (Value Operand : Op.getOperands()) {
    std::optional<int64_t> Value = valueOf(Operand);
    if (!Value)
      return std::nullopt;
    In.push_back(*Value);
  }
  return evaluateScalar(Op, In);
}

LaunchCost costOf(tile::KernelOp Kernel, ArrayRef<unsigned> Buffers,
                  ArrayRef<uint64_t> BufferBytes, ArrayRef<int64_t> Sizes,
                  ArrayRef<int64_t> Grid) {
  CostEvaluator Evaluator(Kernel, Buffers, Sizes, BufferBytes.size());
  SmallVector<int64_t, 3> Cell(Grid.size(), 0);
  if (llvm::is_contained(Grid, 0))
    return {};
  for (;;) {
    Evaluator.runCell(Cell);
    size_t D = Grid.size();
    while (D > 0 && ++Cell[D - 1] == Grid[D - 1])
      Cell[--D] = 0;
    if (D == 0)
      return Evaluator.result(BufferBytes);
  }
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

static SmallVector<int64_t> evaluate(AffineMap Map, ArrayRef<int64_t> Symbols) {
  Builder B(Map.getContext());
  SmallVector<Attribute> Given, Results;
  for (int64_t Symbol : Symbols)
    Given.push_back(B.getIndexAttr(Symbol));
  SmallVector<int64_t> Values;
  if (succeeded(Map.constantFold(Given, Results)))
    for (Attribute Result : Results)
      Values.push_back(cast<IntegerAttr>(Result).getInt());
  return Values;
}

namespace {
/// A launch with everything evaluated, by which equal ones are found.
struct Evaluated {
  std::string Kernel;
  SmallVector<unsigned> Buffers;
  SmallVector<uint64_t> Bytes;
  SmallVector<int64_t> Sizes, Grid;

  bool operator<(const Evaluated &Other) const {
    return std::tie(Kernel, Buffers, Bytes, Sizes, Grid) <
           std::tie(Other.Kernel, Other.Buffers, Other.Bytes, Other.Sizes,
                    Other.Grid);
  }
};
} // namespace

static Evaluated evaluate(plan::LaunchOp Launch, ArrayRef<int64_t> Symbols) {
  Evaluated Made;
  Made.Kernel = Launch.getKernel().str();
  SmallVector<Value> Seen;
  for (Value Operand : Launch.getOperands()) {
    auto Found = llvm::find(Seen, Operand);
    Made.Buffers.push_back(unsigned(Found - Seen.begin()));
    if (Found != Seen.end())
      continue;
    Seen.push_back(Operand);
    auto Buffer = Operand.getDefiningOp<plan::BufferOp>();
    uint64_t Bytes = bytesOf(Buffer.getElementType());
    for (int64_t Extent : evaluate(Buffer.getShape(), Symbols))
      Bytes *= uint64_t(Extent);
    Made.Bytes.push_back(Bytes);
  }
  Made.Sizes = evaluate(Launch.getSizes(), Symbols);
  Made.Grid = evaluate(Launch.getGrid(), Symbols);
  return Made;
}

llvm::StringMap<KernelCost> costOfKernels(ModuleOp Module, int64_t Batch,
                                          int64_t SeqLen) {
  llvm::StringMap<KernelCost> Costs;
  // Layers repeat one another.
  std::map<Evaluated, LaunchCost> Known;
  for (auto Entry : Module.getOps<plan::EntryOp>()) {
    bool IsStep = Entry.getSymName() == "decode";
    SmallVector<int64_t, 4> Symbols = {Batch, IsStep ? 1 : SeqLen,
                                       IsStep ? SeqLen - 1 : 0, SeqLen};
    for (auto Launch : Entry.getOps<plan::LaunchOp>()) {
      if (Launch.getWhen() &&
          llvm::any_of(evaluate(*Launch.getWhen(), Symbols),
                       [](int64_t Guard) { return Guard < 0; }))
        continue;
      Evaluated E = evaluate(Launch, Symbols);
      auto [Found, IsNew] = Known.try_emplace(E);
      if (IsNew)
        Found->second = costOf(Module.lookupSymbol<tile::KernelOp>(E.Kernel),
                               E.Buffers, E.Bytes, E.Sizes, E.Grid);
      KernelCost &Cost = Costs[E.Kernel];
      ++Cost.Launches;
      if (Found->second.FloorBytes >= Cost.Largest.FloorBytes)
        Cost.Largest = Found->second;
    }
  }
  return Costs;
}

} // namespace transxssm
