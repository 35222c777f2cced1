//===- TileInterpreter.cpp - Runs tile kernels, slowly --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/tile/interpreter/TileInterpreter.h"
#include "dialect/tile/interpreter/LaunchMemory.h"
#include "dialect/tile/interpreter/TileElementwise.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace transxssm::tile;

namespace {

/// Runs the operations of one cell.
class CellInterpreter {
public:
  CellInterpreter(LaunchMemory &Memory, const InterpreterOptions &Options)
      : Memory(Memory), Options(Options) {}

  void setMemory(Value Argument, unsigned Buffer) {
    Memories[Argument] = Buffer;
  }
  void setIndex(Value V, int64_t Number) {
    TileValue Scalar(V.getType());
    Scalar.Integers[0] = Number;
    Values[V] = std::move(Scalar);
  }

  LogicalResult run(Block &Body) {
    for (Operation &Op : Body.without_terminator())
      if (failed(run(&Op)))
        return failure();
    return success();
  }

private:
  LogicalResult run(Operation *Op);
  LogicalResult runElementwiseOp(Operation *Op);

  LogicalResult runOp(arith::ConstantOp Op);
  LogicalResult runOp(memref::DimOp Op);
  LogicalResult runOp(scf::ForOp Op);
  LogicalResult runOp(scf::IfOp Op);
  LogicalResult runOp(LoadOp Op);
  LogicalResult runOp(StoreOp Op);
  LogicalResult runOp(GatherOp Op);
  LogicalResult runOp(MmaOp Op);
  LogicalResult runOp(BroadcastOp Op);
  LogicalResult runOp(TransposeOp Op);
  LogicalResult runOp(IotaOp Op);
  LogicalResult runOp(ReduceOp Op);
  LogicalResult runOp(CumulativeSumOp Op);
  LogicalResult runOp(ExtractOp Op);
  LogicalResult runOp(RopeOp Op);

  const TileValue &get(Value V) const { return Values.find(V)->second; }
  int64_t getIndex(Value V) const { return get(V).Integers[0]; }

  /// Binds a result, rounded to its type.
  LogicalResult set(Value V, TileValue Computed) {
    if (Computed.isFloat() && Options.RoundToType)
      for (double &Element : Computed.Floats)
        Element = roundToType(Element, Computed.Element);
    Values[V] = std::move(Computed);
    return success();
  }

  /// Binds each of `To` to the value of its counterpart, all at once.
  void move(ValueRange From, ValueRange To) {
    SmallVector<TileValue> Taken;
    for (Value V : From)
      Taken.push_back(get(V));
    for (auto [V, Moved] : llvm::zip_equal(To, Taken))
      Values[V] = std::move(Moved);
  }

  /// Calls `Touch(coordinates, element)` for every element of a tile of `Shape`
  /// that lies inside the memref.
  LogicalResult forEachInBounds(
      Operation *Op, unsigned Buffer, ValueRange Indices,
      ArrayRef<int64_t> Dimensions, ArrayRef<int64_t> Shape,
      llvm::function_ref<LogicalResult(ArrayRef<int64_t>, size_t)> Touch) const;

  LaunchMemory &Memory;
  const InterpreterOptions &Options;
  DenseMap<Value, TileValue> Values;
  DenseMap<Value, unsigned> Memories;
};

} // namespace

LogicalResult CellInterpreter::run(Operation *Op) {
  if (isKnownElementwise(Op))
    return runElementwiseOp(Op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(Op)
      .Case<arith::ConstantOp, memref::DimOp, scf::ForOp, scf::IfOp, LoadOp,
            StoreOp, GatherOp, MmaOp, BroadcastOp, TransposeOp, IotaOp,
            ReduceOp, CumulativeSumOp, ExtractOp, RopeOp>(
          [&](auto Known) { return runOp(Known); })
      .Default([](Operation *Unknown) {
        return Unknown->emitOpError(
            "is unknown to the tile interpreter, expected an operation of a "
            "kernel");
      });
}

LogicalResult CellInterpreter::runElementwiseOp(Operation *Op) {
  SmallVector<const TileValue *> Operands;
  for (Value Operand : Op->getOperands())
    Operands.push_back(&get(Operand));
  SmallVector<TileValue> Results;
  if (failed(runElementwise(Op, Operands, Results)))
    return failure();
  for (auto [V, Computed] : llvm::zip_equal(Op->getResults(), Results))
    if (failed(set(V, std::move(Computed))))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Constants, sizes and control flow
//===----------------------------------------------------------------------===//

LogicalResult CellInterpreter::runOp(arith::ConstantOp Op) {
  TileValue Result(Op.getType());
  if (auto Float = dyn_cast<FloatAttr>(Op.getValue())) {
    Result.Floats[0] = Float.getValueAsDouble();
  } else if (auto Integer = dyn_cast<IntegerAttr>(Op.getValue())) {
    Result.Integers[0] =
        wrapToType(Integer.getValue().getSExtValue(), Result.Element);
  } else if (auto Elements = dyn_cast<DenseFPElementsAttr>(Op.getValue())) {
    for (auto [I, Element] : llvm::enumerate(Elements))
      Result.Floats[I] = FloatAttr::getValueAsDouble(Element);
  } else if (auto Elements = dyn_cast<DenseIntElementsAttr>(Op.getValue())) {
    for (auto [I, Element] : llvm::enumerate(Elements))
      Result.Integers[I] = wrapToType(Element.getSExtValue(), Result.Element);
  } else {
    return Op.emitOpError("has the value ")
           << Op.getValue() << ", expected a number or dense elements";
  }
  return set(Op, std::move(Result));
}

LogicalResult CellInterpreter::runOp(memref::DimOp Op) {
  ArrayRef<int64_t> Shape = Memory.shape(Memories.lookup(Op.getSource()));
  int64_t Dimension = getIndex(Op.getIndex());
  if (Dimension < 0 || Dimension >= static_cast<int64_t>(Shape.size()))
    return Op.emitOpError("asks for dimension ")
           << Dimension << ", expected below " << Shape.size();
  setIndex(Op, Shape[Dimension]);
  return success();
}

LogicalResult CellInterpreter::runOp(scf::ForOp Op) {
  int64_t Step = getIndex(Op.getStep());
  if (Step <= 0)
    return Op.emitOpError("has the step ") << Step << ", expected above 0";
  int64_t Upper = getIndex(Op.getUpperBound());
  move(Op.getInitArgs(), Op.getRegionIterArgs());
  for (int64_t I = getIndex(Op.getLowerBound()); I < Upper; I += Step) {
    setIndex(Op.getInductionVar(), I);
    if (failed(run(*Op.getBody())))
      return failure();
    move(Op.getYieldedValues(), Op.getRegionIterArgs());
  }
  move(Op.getRegionIterArgs(), Op.getResults());
  return success();
}

LogicalResult CellInterpreter::runOp(scf::IfOp Op) {
  Block *Taken = getIndex(Op.getCondition()) ? Op.thenBlock() : Op.elseBlock();
  if (!Taken)
    return success();
  if (failed(run(*Taken)))
    return failure();
  move(Taken->getTerminator()->getOperands(), Op.getResults());
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

LogicalResult CellInterpreter::forEachInBounds(
    Operation *Op, unsigned Buffer, ValueRange Indices,
    ArrayRef<int64_t> Dimensions, ArrayRef<int64_t> Shape,
    llvm::function_ref<LogicalResult(ArrayRef<int64_t>, size_t)> Touch) const {
  ArrayRef<int64_t> Extents = Memory.shape(Buffer);
  SmallVector<int64_t> Base;
  for (Value Index : Indices)
    Base.push_back(getIndex(Index));
  for (size_t D = 0; D < Base.size(); ++D)
    if (!llvm::is_contained(Dimensions, static_cast<int64_t>(D)) &&
        (Base[D] < 0 || Base[D] >= Extents[D]))
      return Op->emitOpError("accesses coordinate ")
             << Base[D] << " of dimension " << D << ", expected 0 to "
             << Extents[D] - 1;

  int64_t Count = 1;
  for (int64_t Extent : Shape)
    Count *= Extent;
  for (int64_t Element = 0; Element < Count; ++Element) {
    SmallVector<int64_t> At = Base;
    bool Inside = true;
    int64_t Rest = Element;
    for (int64_t D = Shape.size() - 1; D >= 0; --D) {
      int64_t Along = Dimensions[D];
      At[Along] += Rest % Shape[D];
      Rest /= Shape[D];
      Inside &= At[Along] >= 0 && At[Along] < Extents[Along];
    }
    if (Inside && failed(Touch(At, Element)))
      return failure();
  }
  return success();
}

LogicalResult CellInterpreter::runOp(LoadOp Op) {
  unsigned Buffer = Memories.lookup(Op.getMemory());
  TileValue Result(Op.getType());
  if (failed(forEachInBounds(
          Op, Buffer, Op.getIndices(), Op.getDimensions(), Result.Shape,
          [&](ArrayRef<int64_t> At, size_t Element) {
            return Memory.read(Buffer, At, Result, Element, Op);
          })))
    return failure();
  return set(Op.getResult(), std::move(Result));
}

LogicalResult CellInterpreter::runOp(StoreOp Op) {
  unsigned Buffer = Memories.lookup(Op.getMemory());
  const TileValue &Stored = get(Op.getValue());
  return forEachInBounds(Op, Buffer, Op.getIndices(), Op.getDimensions(),
                         Stored.Shape,
                         [&](ArrayRef<int64_t> At, size_t Element) {
                           return Memory.write(Buffer, At, Stored, Element, Op);
                         });
}

LogicalResult CellInterpreter::runOp(GatherOp Op) {
  unsigned Buffer = Memories.lookup(Op.getMemory());
  ArrayRef<int64_t> Extents = Memory.shape(Buffer);
  const TileValue &Rows = get(Op.getRows());
  int64_t First = getIndex(Op.getColumn());
  TileValue Result(Op.getType());
  int64_t Columns = Result.columns();
  for (int64_t I = 0; I < Result.rows(); ++I) {
    int64_t Row = Rows.Integers[I];
    if (Row < 0 || Row >= Extents[0])
      return Op.emitOpError("gathers row ")
             << Row << ", expected 0 to " << Extents[0] - 1;
    for (int64_t J = 0; J < Columns; ++J)
      if (First + J >= 0 && First + J < Extents[1] &&
          failed(Memory.read(Buffer, {Row, First + J}, Result, I * Columns + J,
                             Op)))
        return failure();
  }
  return set(Op.getResult(), std::move(Result));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

LogicalResult CellInterpreter::runOp(MmaOp Op) {
  const TileValue &Lhs = get(Op.getLhs()), &Rhs = get(Op.getRhs());
  TileValue Result = get(Op.getAccumulator());
  int64_t M = Result.rows(), N = Result.columns();
  int64_t K = Op.getTransposeLhs() ? Lhs.rows() : Lhs.columns();
  // Element (i, k) of lhs lies at i * RowStep + k * DepthStep; rhs likewise.
  int64_t LhsRow = Op.getTransposeLhs() ? 1 : K;
  int64_t LhsDepth = Op.getTransposeLhs() ? M : 1;
  int64_t RhsDepth = Op.getTransposeRhs() ? 1 : N;
  int64_t RhsColumn = Op.getTransposeRhs() ? K : 1;
  for (int64_t I = 0; I < M; ++I)
    for (int64_t J = 0; J < N; ++J) {
      double Sum = Result.Floats[I * N + J];
      for (int64_t Depth = 0; Depth < K; ++Depth)
        Sum += Lhs.Floats[I * LhsRow + Depth * LhsDepth] *
               Rhs.Floats[Depth * RhsDepth + J * RhsColumn];
      Result.Floats[I * N + J] = Sum;
    }
  return set(Op.getResult(), std::move(Result));
}

//===----------------------------------------------------------------------===//
// Shape changes
//===----------------------------------------------------------------------===//

/// Result[to] = From[from].
static void copyElement(const TileValue &From, size_t Source, TileValue &Result,
                        size_t To) {
  if (Result.isFloat())
    Result.Floats[To] = From.Floats[Source];
  else
    Result.Integers[To] = From.Integers[Source];
}

LogicalResult CellInterpreter::runOp(BroadcastOp Op) {
  const TileValue &From = get(Op.getValue());
  TileValue Result(Op.getType());
  for (size_t Element = 0; Element < Result.size(); ++Element) {
    SmallVector<int64_t> At(Result.Shape.size());
    int64_t Rest = Element;
    for (int64_t D = At.size() - 1; D >= 0; --D) {
      At[D] = Rest % Result.Shape[D];
      Rest /= Result.Shape[D];
    }
    size_t Source = 0;
    for (auto [D, Dimension] : llvm::enumerate(Op.getDimensions()))
      Source = Source * From.Shape[D] + At[Dimension];
    copyElement(From, Source, Result, Element);
  }
  return set(Op.getResult(), std::move(Result));
}

LogicalResult CellInterpreter::runOp(TransposeOp Op) {
  const TileValue &From = get(Op.getValue());
  TileValue Result(Op.getType());
  for (int64_t I = 0; I < From.rows(); ++I)
    for (int64_t J = 0; J < From.columns(); ++J)
      copyElement(From, I * From.columns() + J, Result, J * From.rows() + I);
  return set(Op.getResult(), std::move(Result));
}

LogicalResult CellInterpreter::runOp(IotaOp Op) {
  TileValue Result(Op.getType());
  int64_t Stride = 1; // elements between neighbours along the dimension
  for (int64_t Extent :
       ArrayRef<int64_t>(Result.Shape).drop_front(Op.getDimension() + 1))
    Stride *= Extent;
  for (size_t I = 0; I < Result.size(); ++I)
    Result.Integers[I] = I / Stride % Result.Shape[Op.getDimension()];
  return set(Op.getResult(), std::move(Result));
}

//===----------------------------------------------------------------------===//
// Reductions and scans
//===----------------------------------------------------------------------===//

LogicalResult CellInterpreter::runOp(ReduceOp Op) {
  const TileValue &From = get(Op.getValue());
  TileValue Result(Op.getType());
  bool Sum = Op.getKind() == Reduction::Sum;
  int64_t Extent = From.Shape[Op.getDimension()];
  int64_t Stride = 1; // elements between neighbours along the dimension
  for (int64_t Inner :
       ArrayRef<int64_t>(From.Shape).drop_front(Op.getDimension() + 1))
    Stride *= Inner;
  for (size_t I = 0; I < Result.size(); ++I) {
    size_t First = I / Stride * Stride * Extent + I % Stride;
    double Reduced = From.Floats[First];
    for (int64_t J = 1; J < Extent; ++J) {
      double Next = From.Floats[First + J * Stride];
      if (Sum)
        Reduced += Next;
      else if (std::isnan(Next) || Next > Reduced)
        Reduced = Next; // a NaN stays: nothing is greater than it
    }
    Result.Floats[I] = Reduced;
  }
  return set(Op.getResult(), std::move(Result));
}

LogicalResult CellInterpreter::runOp(CumulativeSumOp Op) {
  TileValue Result = get(Op.getValue());
  int64_t Count = Result.size();
  int64_t Step = Op.getReverse() ? -1 : 1;
  int64_t At = Op.getReverse() ? Count - 1 : 0;
  double Sum = 0.0;
  for (int64_t I = 0; I < Count; ++I, At += Step) {
    Sum += Result.Floats[At];
    if (Options.RoundToType) // every addition is one of the type
      Sum = roundToType(Sum, Result.Element);
    Result.Floats[At] = Sum;
  }
  return set(Op.getResult(), std::move(Result));
}

LogicalResult CellInterpreter::runOp(ExtractOp Op) {
  const TileValue &From = get(Op.getValue());
  int64_t Position = getIndex(Op.getPosition());
  if (Position < 0 || Position >= static_cast<int64_t>(From.size()))
    return Op.emitOpError("extracts element ")
           << Position << ", expected 0 to " << From.size() - 1;
  TileValue Result(Op.getType());
  copyElement(From, Position, Result, 0);
  return set(Op.getResult(), std::move(Result));
}

//===----------------------------------------------------------------------===//
// Rotary position embedding
//===----------------------------------------------------------------------===//

LogicalResult CellInterpreter::runOp(RopeOp Op) {
  const TileValue &From = get(Op.getValue());
  const TileValue &Cos = get(Op.getCos()), &Sin = get(Op.getSin());
  TileValue Result(Op.getType());
  int64_t Half = Cos.columns(), Columns = From.columns();
  double Sign = Op.getInverse() ? -1.0 : 1.0;
  for (int64_t Row = 0; Row < From.rows(); ++Row)
    for (int64_t Head = 0; Head < Columns; Head += 2 * Half)
      for (int64_t J = 0; J < Half; ++J) {
        size_t First = Row * Columns + Head + J, Second = First + Half;
        double U1 = From.Floats[First], U2 = From.Floats[Second];
        double C = Cos.Floats[Row * Half + J];
        double S = Sign * Sin.Floats[Row * Half + J];
        Result.Floats[First] = U1 * C - U2 * S;
        Result.Floats[Second] = U2 * C + U1 * S;
      }
  return set(Op.getResult(), std::move(Result));
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// The launch's memory and the values of the kernel's index arguments.
static LogicalResult bindArguments(KernelOp Kernel, ArrayRef<void *> Buffers,
                                   ArrayRef<int64_t> Sizes,
                                   LaunchMemory &Memory,
                                   SmallVectorImpl<int64_t> &Indices) {
  KernelOp::LaunchCounts Expected = Kernel.countLaunchArguments();
  if (Buffers.size() != Expected.Buffers || Sizes.size() != Expected.Sizes)
    return Kernel.emitOpError("is given ")
           << Buffers.size() << " buffers and " << Sizes.size()
           << " sizes, expected " << Expected.Buffers << " and "
           << Expected.Sizes;

  for (BlockArgument Argument : Kernel.getLaunchArguments()) {
    auto Type = dyn_cast<MemRefType>(Argument.getType());
    if (!Type) {
      Indices.push_back(Sizes.front());
      Sizes = Sizes.drop_front();
      continue;
    }
    SmallVector<int64_t> Shape(Type.getShape());
    for (int64_t &Extent : Shape)
      if (ShapedType::isDynamic(Extent)) {
        Extent = Sizes.front();
        Sizes = Sizes.drop_front();
      }
    if (llvm::any_of(Shape, [](int64_t Extent) { return Extent < 0; }))
      return Kernel.emitOpError("is given a negative extent for argument ")
             << Argument.getArgNumber();
    Memory.add(Buffers.front(), Type.getElementType(), Shape);
    Buffers = Buffers.drop_front();
  }
  return success();
}

/// Runs the cell at `Cell`, the `Number`th of its launch.
static LogicalResult runCell(KernelOp Kernel, LaunchMemory &Memory,
                             ArrayRef<int64_t> Indices, ArrayRef<int64_t> Cell,
                             int64_t Number,
                             const InterpreterOptions &Options) {
  Memory.enterCell(Number);
  CellInterpreter Interpreter(Memory, Options);
  unsigned NextBuffer = 0;
  for (BlockArgument Argument : Kernel.getLaunchArguments()) {
    if (isa<MemRefType>(Argument.getType())) {
      Interpreter.setMemory(Argument, NextBuffer++);
    } else {
      Interpreter.setIndex(Argument, Indices.front());
      Indices = Indices.drop_front();
    }
  }
  for (auto [Argument, Coordinate] :
       llvm::zip_equal(Kernel.getGridArguments(), Cell))
    Interpreter.setIndex(Argument, Coordinate);
  return Interpreter.run(Kernel.getBody().front());
}

static LogicalResult checkGridRank(KernelOp Kernel, ArrayRef<int64_t> Grid) {
  if (Grid.size() == Kernel.getGridRank())
    return success();
  return Kernel.emitOpError("is given a grid of rank ")
         << Grid.size() << ", expected " << Kernel.getGridRank();
}

LogicalResult transxssm::tile::runKernel(KernelOp Kernel,
                                         ArrayRef<void *> Buffers,
                                         ArrayRef<int64_t> Sizes,
                                         ArrayRef<int64_t> Grid,
                                         const InterpreterOptions &Options) {
  LaunchMemory Memory(Options.CheckRaces);
  SmallVector<int64_t> Indices;
  if (failed(checkGridRank(Kernel, Grid)) ||
      failed(bindArguments(Kernel, Buffers, Sizes, Memory, Indices)))
    return failure();
  int64_t Cells = 1;
  for (int64_t Extent : Grid)
    Cells *= Extent;
  for (int64_t Number = 0; Number < Cells; ++Number) {
    SmallVector<int64_t> Cell(Grid.size());
    int64_t Rest = Number;
    for (int64_t D = Grid.size() - 1; D >= 0; --D) {
      Cell[D] = Rest % Grid[D];
      Rest /= Grid[D];
    }
    if (failed(runCell(Kernel, Memory, Indices, Cell, Number, Options)))
      return failure();
  }
  return success();
}

LogicalResult
transxssm::tile::runKernelCell(KernelOp Kernel, ArrayRef<void *> Buffers,
                               ArrayRef<int64_t> Sizes, ArrayRef<int64_t> Cell,
                               const InterpreterOptions &Options) {
  LaunchMemory Memory(Options.CheckRaces);
  SmallVector<int64_t> Indices;
  if (failed(checkGridRank(Kernel, Cell)) ||
      failed(bindArguments(Kernel, Buffers, Sizes, Memory, Indices)))
    return failure();
  return runCell(Kernel, Memory, Indices, Cell, 0, Options);
}
