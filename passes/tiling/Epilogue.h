//===- Epilogue.h - Elementwise operations inside other kernels -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The steps of a group (Fusion.h) at work: an epilogue gives the kernel's name
// a suffix, declares what memory the steps need after the kernel's own
// arguments, applies them to tiles, and passes the buffers when the kernel is
// launched. Tiles are of the [rows, width] view of the results, where a row is
// a token unless the kernel says otherwise.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_EPILOGUE_H
#define TRANSXSSM_PASSES_TILING_EPILOGUE_H

#include "passes/tiling/Fusion.h"
#include "passes/tiling/TileBuilder.h"
#include <optional>
#include <string>

namespace transxssm {
namespace tiling {

class EntryBuilder;
struct LaunchArgument;

class Epilogue {
public:
  /// Steps on these results of a kernel, whose rows have as many columns; 0:
  /// all of a token.
  Epilogue(EntryBuilder &E, llvm::ArrayRef<mlir::Value> Results,
           llvm::ArrayRef<mlir::Operation *> Steps, int64_t Columns = 0);

  /// "_rope16", "_silu_mul", ... A step that maps another value than the one
  /// before it names the values by number: the results come first.
  const std::string &name() const { return Name; }
  /// Declares the memory arguments. Once for every kernel that is built.
  void declare(TileBuilder &B);
  /// Applies the steps and stores what something else needs.
  void store(TileBuilder &B, llvm::ArrayRef<Tile> Results, Tile Row,
             Tile Column) const;
  /// The arguments that declare() asked for.
  void addArguments(llvm::SmallVectorImpl<LaunchArgument> &Arguments) const;

private:
  struct Memory {
    mlir::Value Value; // what it holds
    llvm::SmallVector<int64_t, 2> Shape;
    mlir::Type Element;
    bool Written;
    Tile Argument; // of the kernel being built
  };
  struct Place {
    Tile Row, Column;
    llvm::ArrayRef<Tile> Done; // the first tiles of Values
  };

  /// The number of a value that is there when a step is applied, or none.
  std::optional<size_t> numberOf(mlir::Value V) const;
  void need(mlir::Value V, llvm::ArrayRef<int64_t> Shape);
  void needMatrix(mlir::Value V);
  void nameOperands(mlir::Operation *Op);
  void addStep(mlir::Operation *Op);
  Tile memory(mlir::Value V) const;
  Tile matrix(TileBuilder &B, mlir::Value V, const Place &P) const;
  Tile apply(TileBuilder &B, mlir::Operation *Op, const Place &P) const;

  EntryBuilder &E;
  /// Results, then what the steps make.
  llvm::SmallVector<mlir::Value> Values;
  size_t ResultCount;
  int64_t Width;
  std::string Name;
  llvm::SmallVector<Memory> Memories;
};

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_EPILOGUE_H
