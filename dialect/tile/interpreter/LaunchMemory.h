//===- LaunchMemory.h - The memory of one interpreted launch --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TILE_INTERPRETER_LAUNCHMEMORY_H
#define TRANSXSSM_DIALECT_TILE_INTERPRETER_LAUNCHMEMORY_H

#include "dialect/tile/interpreter/TileValue.h"
#include "mlir/IR/Operation.h"
#include <memory>

namespace transxssm {
namespace tile {

/// A launch's buffers, and which cell touched which element.
class LaunchMemory {
public:
  explicit LaunchMemory(bool CheckRaces) : CheckRaces(CheckRaces) {}

  /// Adds the buffer of the next memref argument, with all extents given.
  void add(void *Data, mlir::Type Element, llvm::ArrayRef<int64_t> Shape);

  /// Tells who reads and writes from now on.
  void enterCell(int64_t Number) { Cell = Number; }

  llvm::ArrayRef<int64_t> shape(unsigned Buffer) const {
    return Buffers[Buffer].Shape;
  }

  /// Reads one element into `Into[At]`. Coordinates must be in bounds.
  mlir::LogicalResult read(unsigned Buffer, llvm::ArrayRef<int64_t> Coordinates,
                           TileValue &Into, size_t At, mlir::Operation *Op);

  /// Writes `From[At]` to one element.
  mlir::LogicalResult write(unsigned Buffer,
                            llvm::ArrayRef<int64_t> Coordinates,
                            const TileValue &From, size_t At,
                            mlir::Operation *Op);

private:
  /// The cells that touched an element; Nobody until then.
  struct Owner {
    int64_t Writer;
    int64_t Reader; ///< the one that read it, or Several
  };
  static constexpr int64_t Nobody = -1, Several = -2;
  using Owners = std::vector<Owner>;

  struct Buffer {
    void *Data;
    mlir::Type Element;
    llvm::SmallVector<int64_t> Shape;
    std::shared_ptr<Owners> Touched;
  };

  mlir::LogicalResult reportRace(unsigned Buffer, llvm::ArrayRef<int64_t> At,
                                 const char *Does, const char *Did,
                                 int64_t Other, mlir::Operation *Op) const;

  bool CheckRaces;
  int64_t Cell = 0;
  std::vector<Buffer> Buffers;
};

} // namespace tile
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TILE_INTERPRETER_LAUNCHMEMORY_H
