//===- TileBuilder.h - Writing kernels like mathematics -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A thin layer over OpBuilder with which a tile program reads like its formula:
//
//   KernelOp buildScale(ModuleOp Module, int64_t Width) {
//     return defineKernel(Module, "scale_n" + Twine(Width), 1,
//                         [&](TileBuilder &B) {
//       Tile X = B.memory({Dynamic, Width}), W = B.memory({Width});
//       Tile Y = B.memory({Dynamic, Width});
//       Tile Row = B.grid(0) * 16;
//       Tile Result = B.load(X, {Row, 0}, {16, Width}) *
//                     B.asRow(B.load(W, {0}, {Width}), 16);
//       B.store(Result, Y, {Row, 0});
//     });
//   }
//
// Arguments are declared in the body, in the order in which a launch passes
// them, before anything else is built.
//
// One program serves float32 and bf16. A load gives a tile of its memory's type
// and a store rounds to it; all arithmetic is float32, so that a bf16 operand
// is extended first. Products alone take bf16 operands, as matrix units do, and
// accumulate in float32: in a kernel with a bf16 memory both operands of every
// product are rounded to bf16, but for mmaFloat32.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_TILEBUILDER_H
#define TRANSXSSM_PASSES_TILING_TILEBUILDER_H

#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace transxssm {
namespace tiling {

constexpr int64_t Dynamic = mlir::ShapedType::kDynamic;

class TileBuilder;

/// A value of a kernel: a tile, a scalar, an index or a memory. Arithmetic
/// works on float, integer and index values alike; a scalar operand, or a C++
/// number, is repeated to the shape and type of the other operand. Vectors are
/// never repeated by themselves: say TileBuilder::asColumn or asRow.
class Tile {
public:
  Tile() = default;
  Tile(TileBuilder &Builder, mlir::Value Value)
      : Builder(&Builder), Value(Value) {}

  explicit operator bool() const { return Value != nullptr; }
  mlir::Value value() const { return Value; }
  mlir::Type type() const { return Value.getType(); }
  mlir::Type elementType() const { return getElementTypeOrSelf(type()); }
  TileBuilder &builder() const { return *Builder; }

  /// The extents of a tile; empty for a scalar.
  llvm::ArrayRef<int64_t> shape() const;
  int64_t rows() const { return shape()[0]; }
  int64_t columns() const { return shape().back(); }

private:
  TileBuilder *Builder = nullptr;
  mlir::Value Value;
};

/// A tile or a C++ number that takes its type from the other operand.
struct Operand {
  Operand(Tile T) : T(T) {}
  Operand(double Number) : Number(Number) {}
  Operand(float Number) : Number(Number) {}
  Operand(int Number) : Number(Number) {}
  Operand(int64_t Number) : Number(static_cast<double>(Number)) {}

  Tile T;
  double Number = 0;
};

// Arithmetic. Division and remainder of integers and indices are those of
// non-negative numbers.
Tile operator+(Tile L, Operand R);
Tile operator-(Tile L, Operand R);
Tile operator*(Tile L, Operand R);
Tile operator/(Tile L, Operand R);
Tile operator%(Tile L, Operand R);
Tile operator+(double L, Tile R);
Tile operator-(double L, Tile R);
Tile operator*(double L, Tile R);
Tile operator/(double L, Tile R);
Tile operator-(Tile V);
Tile maximum(Tile L, Operand R);
Tile minimum(Tile L, Operand R);

// Comparisons (signed, ordered) and logic give tiles of i1.
Tile operator<(Tile L, Operand R);
Tile operator<=(Tile L, Operand R);
Tile operator>(Tile L, Operand R);
Tile operator>=(Tile L, Operand R);
Tile equal(Tile L, Operand R);
Tile notEqual(Tile L, Operand R);
Tile operator&(Tile L, Tile R);
Tile operator|(Tile L, Tile R);
Tile operator^(Tile L, Tile R);

/// Bits of integers, moved towards the lowest; zeros come in.
Tile shiftRight(Tile V, int64_t Places);

/// Condition ? Yes : No; one of the two may be a number.
Tile select(Tile Condition, Operand Yes, Operand No);

// Elementwise functions.
Tile exp(Tile V);
Tile log(Tile V);
Tile log1p(Tile V);
Tile sqrt(Tile V);
Tile erf(Tile V);
Tile absolute(Tile V);

class TileBuilder {
public:
  using Loop = llvm::function_ref<llvm::SmallVector<Tile>(
      Tile Induction, llvm::ArrayRef<Tile> Carried)>;

  TileBuilder(tile::KernelOp Kernel);

  mlir::OpBuilder &builder() { return Builder; }
  mlir::Location loc() { return Kernel.getLoc(); }
  tile::KernelOp kernel() { return Kernel; }

  //===--------------------------------------------------------------------===//
  // Arguments, in launch order
  //===--------------------------------------------------------------------===//

  /// A memory argument; extents may be Dynamic. Float32 unless said otherwise.
  Tile memory(llvm::ArrayRef<int64_t> Shape, mlir::Type Element = {});
  Tile integerMemory(llvm::ArrayRef<int64_t> Shape);
  /// An `index` argument.
  Tile indexArgument();
  /// The coordinate of this cell.
  Tile grid(unsigned Dimension);

  /// An extent of a memory, as an index.
  Tile extent(Tile Memory, int64_t Dimension);

  //===--------------------------------------------------------------------===//
  // Constants
  //===--------------------------------------------------------------------===//

  Tile index(int64_t Number);
  /// A constant of the type of `Like`.
  Tile constant(double Number, mlir::Type Type);
  /// A float32 scalar; with a shape, a float32 tile of equal elements.
  Tile number(double Number, llvm::ArrayRef<int64_t> Shape = {});
  Tile zeros(llvm::ArrayRef<int64_t> Shape) { return number(0, Shape); }
  /// 0, 1, 2, ... along a dimension, as i32.
  Tile iota(llvm::ArrayRef<int64_t> Shape, int64_t Dimension = 0);

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  /// A tile of the given shape that runs along the memory dimensions `Over`;
  /// by default along the last ones. Zero outside the memory.
  Tile load(Tile Memory, llvm::ArrayRef<Operand> Indices,
            llvm::ArrayRef<int64_t> Shape = {},
            llvm::ArrayRef<int64_t> Over = {});
  /// The inverse; what is outside the memory is dropped.
  void store(Tile Value, Tile Memory, llvm::ArrayRef<Operand> Indices,
             llvm::ArrayRef<int64_t> Over = {});
  /// `Columns` columns from `Column` on, of the rows with the given numbers.
  Tile gather(Tile Memory, Tile Rows, Operand Column, int64_t Columns);

  //===--------------------------------------------------------------------===//
  // Products and shapes
  //===--------------------------------------------------------------------===//

  /// Accumulator + L R.
  Tile mma(Tile L, Tile R, Tile Accumulator);
  /// Accumulator + L R^T.
  Tile mmaTransposedRight(Tile L, Tile R, Tile Accumulator);
  /// Accumulator + L^T R.
  Tile mmaTransposedLeft(Tile L, Tile R, Tile Accumulator);
  /// Accumulator + op(L) op(R), op the transposition where asked for.
  Tile mma(Tile L, Tile R, Tile Accumulator, bool TransposeLeft,
           bool TransposeRight);

  /// Accumulator + L R with float32 operands also in a kernel with bf16
  /// memories: for what is not of the model's size, where rounding would cost
  /// more than it gains.
  Tile mmaFloat32(Tile L, Tile R, Tile Accumulator);

  /// result[i, j] = Vector[i].
  Tile asColumn(Tile Vector, int64_t Columns);
  /// result[i, j] = Vector[j].
  Tile asRow(Tile Vector, int64_t Rows);
  /// A scalar repeated.
  Tile fill(Tile Scalar, llvm::ArrayRef<int64_t> Shape);
  Tile transpose(Tile V);
  Tile rope(Tile V, Tile Cos, Tile Sin, bool Inverse = false);

  /// Sums or maxima along a dimension: 1 gives one result per row. A vector
  /// reduces to a scalar.
  Tile sum(Tile V, int64_t Dimension = -1);
  Tile max(Tile V, int64_t Dimension = -1);
  Tile cumulativeSum(Tile Vector, bool Reverse = false);
  Tile extract(Tile Vector, Operand Position);

  //===--------------------------------------------------------------------===//
  // Conversions
  //===--------------------------------------------------------------------===//

  /// An index, or a tile of integers, as i32 (i64); floats towards zero.
  Tile toI32(Tile V);
  Tile toI64(Tile V);
  /// A non-negative i32 as an index.
  Tile toIndex(Tile V);
  /// Signed integers (or i1 as 0 and 1), or floats of any type, as float32.
  Tile toFloat(Tile V);
  /// The bits of float32 as i32, in the order of the numbers where none is
  /// negative.
  Tile bits(Tile V);
  /// Floats as floats of another type, rounded to nearest even.
  Tile toType(Tile V, mlir::Type Element);

  //===--------------------------------------------------------------------===//
  // Control
  //===--------------------------------------------------------------------===//

  /// for I = Low to High step Step, carrying tiles.
  llvm::SmallVector<Tile> forLoop(Operand Low, Operand High, int64_t Step,
                                  llvm::ArrayRef<Tile> Initial, Loop Body);
  /// The same without carried tiles.
  void forLoop(Operand Low, Operand High, int64_t Step,
               llvm::function_ref<void(Tile Induction)> Body);
  /// Body for the first column of every step over [0, Extent); no loop where
  /// one step is enough.
  void forColumns(int64_t Extent, int64_t Step,
                  llvm::function_ref<void(Tile Column)> Body);
  /// The sum of Body over the same columns, in order.
  Tile sumOverColumns(int64_t Extent, int64_t Step,
                      llvm::function_ref<Tile(Tile Column)> Body);
  /// Runs Body where the scalar condition holds.
  void ifThen(Tile Condition, llvm::function_ref<void()> Body);
  /// Values of one of two branches, which only one runs.
  llvm::SmallVector<Tile>
  ifElse(Tile Condition, llvm::function_ref<llvm::SmallVector<Tile>()> Then,
         llvm::function_ref<llvm::SmallVector<Tile>()> Else);

  Tile wrap(mlir::Value V) { return Tile(*this, V); }
  /// An operand as a value of this type.
  Tile materialize(Operand O, mlir::Type Type);
  /// An operand as an index.
  mlir::Value asIndex(Operand O);

private:
  Tile argument(mlir::Type Type);
  bool usesBf16();
  Tile reduce(tile::Reduction Kind, Tile V, int64_t Dimension);

  tile::KernelOp Kernel;
  mlir::OpBuilder Builder;
};

/// The kernel of this name in the module: the one that is there, or a new one
/// with the given body, put before everything else. Equal names must mean equal
/// kernels, so a name says the kind and every number that the body depends on.
tile::KernelOp defineKernel(mlir::ModuleOp Module, const llvm::Twine &Name,
                            unsigned GridRank,
                            llvm::function_ref<void(TileBuilder &)> Body);

/// What a kernel's name says of the element types that it is built for: nothing
/// for float32, "_bf16" where all are bf16, else each of them. A null type is
/// float32.
std::string typeSuffix(llvm::ArrayRef<mlir::Type> Elements);
/// "_f32", "_bf16".
std::string typeName(mlir::Type Element);

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_TILEBUILDER_H
