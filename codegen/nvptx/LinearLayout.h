//===- LinearLayout.h - Which thread holds which element ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A tile's elements are spread over the registers of the threads of a block. A
// layout says how: the coordinates (row, column) of the element in register r
// of thread t are linear over the field of two elements,
//
//   (row, column) = xor over set bits i of r of Register[i]
//                   xor over set bits j of t of Thread[j]
//
// after the linear layouts of Triton (Zhou et al., arXiv 2505.23819). The low
// five bits of t are the lane, the others the warp. A thread bit of basis
// (0, 0) makes copies: threads that differ in it hold the same elements.
//
// A vector tile of N elements has one row: its elements are (0, 0 .. N - 1).
// Extents are powers of two; a tile of another extent is padded.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_LINEARLAYOUT_H
#define TRANSXSSM_CODEGEN_NVPTX_LINEARLAYOUT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>
#include <string>

namespace transxssm::nvptx {

struct Coordinates {
  int64_t Row = 0, Column = 0;

  bool operator==(Coordinates Other) const {
    return Row == Other.Row && Column == Other.Column;
  }
  Coordinates operator^(Coordinates Other) const {
    return {Row ^ Other.Row, Column ^ Other.Column};
  }
  bool isZero() const { return Row == 0 && Column == 0; }
};

/// What it takes to bring a tile from one layout to another.
enum class Conversion {
  None,      ///< they are the same
  Registers, ///< every thread has what it needs, in other registers
  Warp,      ///< every warp has what it needs, in other lanes
  Block      ///< through shared memory
};

class LinearLayout {
public:
  LinearLayout() = default;
  LinearLayout(int64_t Rows, int64_t Columns,
               llvm::ArrayRef<Coordinates> Register,
               llvm::ArrayRef<Coordinates> Thread)
      : Rows(Rows), Columns(Columns), Register(Register), Thread(Thread) {}

  /// Four (or 2^VectorBits) consecutive columns to a thread, eight threads
  /// along a row (128 bytes), warps along the rows. What a pure elementwise
  /// kernel wants, and what a product with FMA instructions wants of its
  /// accumulator.
  static LinearLayout blocked(int64_t Rows, int64_t Columns,
                              unsigned ThreadBits, unsigned VectorBits = 2);

  /// 2^VectorBits consecutive columns to a thread, then threads along whole
  /// rows, then rows: what copies to shared memory want.
  static LinearLayout rowMajor(int64_t Rows, int64_t Columns,
                               unsigned ThreadBits, unsigned VectorBits);

  /// The accumulator of mma.m16n8: two consecutive columns and rows r, r + 8 to
  /// a thread, four threads along a row; repeated over the tile with the warps
  /// along the rows, those that are left along the columns. For four warps, 64
  /// rows of it are also the accumulator of wgmma.m64n.
  static LinearLayout mmaAccumulator(int64_t Rows, int64_t Columns,
                                     unsigned ThreadBits);

  int64_t rows() const { return Rows; }
  int64_t columns() const { return Columns; }
  unsigned registerBits() const { return Register.size(); }
  unsigned threadBits() const { return Thread.size(); }
  int64_t registerCount() const { return int64_t(1) << Register.size(); }
  llvm::ArrayRef<Coordinates> registerBases() const { return Register; }
  llvm::ArrayRef<Coordinates> threadBases() const { return Thread; }

  /// The part of the coordinates that the register, the thread decides.
  Coordinates ofRegister(int64_t Number) const;
  Coordinates ofThread(int64_t Number) const;
  Coordinates at(int64_t RegisterNumber, int64_t ThreadNumber) const {
    return ofRegister(RegisterNumber) ^ ofThread(ThreadNumber);
  }

  /// Whether of every 16 x 16 elements lane l holds those at rows l / 4 and
  /// l / 4 + 8, columns 2 (l mod 4) and the next, and eight columns on: what
  /// stmatrix stores, and wgmma takes as its left operand.
  bool holdsMatrices() const;

  /// The bits of the thread's number that only make copies.
  int64_t copyMask() const;
  /// The bits of the thread's number that move along columns (rows).
  int64_t columnMask() const;
  int64_t rowMask() const;

  /// How many consecutive columns the first registers of a thread hold.
  int64_t vectorWidth() const;

  /// Whether every basis moves along one dimension alone, no two bases share a
  /// bit, and all elements are there: then a thread holds the product of a set
  /// of rows and a set of columns, and coordinates are sums.
  bool isProduct() const;

  /// Rows as columns, columns as rows.
  LinearLayout transposed() const;

  /// The layout of one value per row (per column), as a vector tile, in the
  /// threads that hold the row's (column's) elements.
  LinearLayout rowSlice() const;
  LinearLayout columnSlice() const;

  /// The layout of a matrix of the first `Count` columns (a power of two) in
  /// the threads that hold its elements, or those of a column that differs by a
  /// multiple of Count. For a product layout.
  LinearLayout firstColumns(int64_t Count) const;

  /// The layout in which a bit of the register's number and one of the thread's
  /// have traded places.
  LinearLayout exchanged(unsigned RegisterBit, unsigned ThreadBit) const;

  /// The same elements in each thread, registers in the order of columns, then
  /// of rows. For a product layout.
  LinearLayout columnsFirst() const;

  /// Of a vector's product layout: the one in which other elements, numbered
  /// anew, are in the same registers. Neighbouring threads hold neighbouring
  /// groups of `Width` elements of the first registers.
  LinearLayout packed(int64_t Width) const;

  /// The register of this thread that holds an element, given the difference of
  /// the element's and the thread's coordinates.
  std::optional<int64_t> findRegister(Coordinates Difference) const;

  bool operator==(const LinearLayout &Other) const;
  bool operator!=(const LinearLayout &Other) const { return !(*this == Other); }

  /// "16x64 registers (0,1) (0,2) threads (0,4) ...".
  std::string str() const;

private:
  int64_t Rows = 1, Columns = 1;
  llvm::SmallVector<Coordinates> Register, Thread;
};

/// What bringing a tile from one layout to the other takes. Both have the same
/// extents and threads.
Conversion conversionBetween(const LinearLayout &From, const LinearLayout &To);

/// For Conversion::Registers: the register of `From` for each one of `To`.
llvm::SmallVector<int64_t> registerPermutation(const LinearLayout &From,
                                               const LinearLayout &To);

/// The smallest power of two that is at least `Number`.
int64_t paddedExtent(int64_t Number);

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_LINEARLAYOUT_H
