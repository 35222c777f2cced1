//===- LinearLayout.cpp - Which thread holds which element ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/LinearLayout.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cassert>

using namespace llvm;

namespace transxssm::nvptx {

/// Lanes of a warp, in bits.
constexpr unsigned LaneBits = 5;

int64_t paddedExtent(int64_t Number) {
  return int64_t(1) << Log2_64_Ceil(Number);
}

//===----------------------------------------------------------------------===//
// Making layouts
//===----------------------------------------------------------------------===//

namespace {
/// Hands out the bits of a tile's coordinates, low ones first.
class BitSupply {
public:
  BitSupply(int64_t Rows, int64_t Columns)
      : RowBits(Log2_64(Rows)), ColumnBits(Log2_64(Columns)) {}

  unsigned rowsLeft() const { return RowBits - NextRow; }
  unsigned columnsLeft() const { return ColumnBits - NextColumn; }
  Coordinates row() { return {int64_t(1) << NextRow++, 0}; }
  Coordinates column() { return {0, int64_t(1) << NextColumn++}; }
  void rows(SmallVectorImpl<Coordinates> &To, unsigned Count) {
    for (Count = std::min(Count, rowsLeft()); Count > 0; --Count)
      To.push_back(row());
  }
  void columns(SmallVectorImpl<Coordinates> &To, unsigned Count) {
    for (Count = std::min(Count, columnsLeft()); Count > 0; --Count)
      To.push_back(column());
  }

private:
  unsigned RowBits, ColumnBits, NextRow = 0, NextColumn = 0;
};
} // namespace

LinearLayout LinearLayout::blocked(int64_t Rows, int64_t Columns,
                                   unsigned ThreadBits, unsigned VectorBits) {
  assert(isPowerOf2_64(Rows) && isPowerOf2_64(Columns));
  BitSupply Bits(Rows, Columns);
  SmallVector<Coordinates> Register, Thread;
  Bits.columns(Register, VectorBits);
  Bits.columns(Thread, 3);
  // The lowest rows stay in the thread, up to four of those that the threads
  // leave over: then products read four rows of a transposed operand at once.
  // Where rows are too short for eight threads, these take neighbouring rows,
  // which lie beside each other in shared memory.
  unsigned ForThreads = ThreadBits - Thread.size();
  unsigned Spare = Bits.rowsLeft() > ForThreads && Thread.size() == 3
                       ? Bits.rowsLeft() - ForThreads
                       : 0;
  Bits.rows(Register, std::min(Spare, 2u));
  Bits.rows(Thread, ForThreads);
  Bits.columns(Thread, ThreadBits - Thread.size());
  Thread.resize(ThreadBits);
  Bits.rows(Register, Bits.rowsLeft());
  Bits.columns(Register, Bits.columnsLeft());
  return LinearLayout(Rows, Columns, Register, Thread);
}

LinearLayout LinearLayout::rowMajor(int64_t Rows, int64_t Columns,
                                    unsigned ThreadBits, unsigned VectorBits) {
  BitSupply Bits(Rows, Columns);
  SmallVector<Coordinates> Register, Thread;
  Bits.columns(Register, VectorBits);
  Bits.columns(Thread, ThreadBits);
  Bits.rows(Thread, ThreadBits - Thread.size());
  Thread.resize(ThreadBits);
  Bits.columns(Register, Bits.columnsLeft());
  Bits.rows(Register, Bits.rowsLeft());
  return LinearLayout(Rows, Columns, Register, Thread);
}

LinearLayout LinearLayout::mmaAccumulator(int64_t Rows, int64_t Columns,
                                          unsigned ThreadBits) {
  assert(Rows >= 16 && Columns >= 8 && ThreadBits >= LaneBits);
  BitSupply Bits(Rows, Columns);
  SmallVector<Coordinates> Register, Thread;
  Bits.columns(Register, 1);
  Bits.columns(Thread, 2);
  Bits.rows(Thread, 3);
  Bits.rows(Register, 1);
  Bits.rows(Thread, ThreadBits - LaneBits);
  // Warps that the rows do not need lie along the columns, as far apart as can
  // be: each has consecutive columns.
  unsigned Spread =
      std::min<unsigned>(ThreadBits - Thread.size(), Bits.columnsLeft());
  Bits.columns(Register, Bits.columnsLeft() - Spread);
  Bits.columns(Thread, Spread);
  Thread.resize(ThreadBits);
  Bits.rows(Register, Bits.rowsLeft());
  return LinearLayout(Rows, Columns, Register, Thread);
}

//===----------------------------------------------------------------------===//
// Reading layouts
//===----------------------------------------------------------------------===//

static Coordinates combine(ArrayRef<Coordinates> Bases, int64_t Number) {
  Coordinates Sum;
  for (auto [Bit, Basis] : enumerate(Bases))
    if (Number >> Bit & 1)
      Sum = Sum ^ Basis;
  return Sum;
}

Coordinates LinearLayout::ofRegister(int64_t Number) const {
  return combine(Register, Number);
}

Coordinates LinearLayout::ofThread(int64_t Number) const {
  return combine(Thread, Number);
}

template <typename Predicate>
static int64_t maskOf(ArrayRef<Coordinates> Bases, Predicate Holds) {
  int64_t Mask = 0;
  for (auto [Bit, Basis] : enumerate(Bases))
    if (Holds(Basis))
      Mask |= int64_t(1) << Bit;
  return Mask;
}

int64_t LinearLayout::copyMask() const {
  return maskOf(Thread, [](Coordinates C) { return C.isZero(); });
}

int64_t LinearLayout::columnMask() const {
  return maskOf(Thread, [](Coordinates C) { return C.Column != 0; });
}

int64_t LinearLayout::rowMask() const {
  return maskOf(Thread, [](Coordinates C) { return C.Row != 0; });
}

int64_t LinearLayout::vectorWidth() const {
  int64_t Width = 1;
  for (Coordinates Basis : Register) {
    if (!(Basis == Coordinates{0, Width}))
      break;
    Width *= 2;
  }
  return Width;
}

bool LinearLayout::isProduct() const {
  Coordinates Seen;
  auto Add = [&](Coordinates Basis) {
    bool OneDimension = Basis.Row == 0 || Basis.Column == 0;
    bool Fresh = !(Seen.Row & Basis.Row) && !(Seen.Column & Basis.Column);
    Seen = Seen ^ Basis;
    return OneDimension && Fresh;
  };
  return all_of(Register, Add) && all_of(Thread, Add) &&
         Seen == Coordinates{Rows - 1, Columns - 1};
}

bool LinearLayout::holdsMatrices() const {
  const Coordinates Registers[] = {{0, 1}, {8, 0}};
  const Coordinates Lanes[] = {{0, 2}, {0, 4}, {1, 0}, {2, 0}, {4, 0}};
  return Register.size() > 2 && Thread.size() >= LaneBits &&
         ArrayRef(Register).take_front(2) == ArrayRef(Registers) &&
         ArrayRef(Thread).take_front(LaneBits) == ArrayRef(Lanes) &&
         is_contained(Register, Coordinates{0, 8});
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

LinearLayout LinearLayout::transposed() const {
  LinearLayout Turned = *this;
  std::swap(Turned.Rows, Turned.Columns);
  for (Coordinates &Basis : Turned.Register)
    std::swap(Basis.Row, Basis.Column);
  for (Coordinates &Basis : Turned.Thread)
    std::swap(Basis.Row, Basis.Column);
  return Turned;
}

LinearLayout LinearLayout::rowSlice() const {
  LinearLayout Slice;
  Slice.Columns = Rows;
  for (Coordinates Basis : Register)
    if (Basis.Row != 0)
      Slice.Register.push_back({0, Basis.Row});
  for (Coordinates Basis : Thread)
    Slice.Thread.push_back({0, Basis.Row});
  return Slice;
}

LinearLayout LinearLayout::columnSlice() const {
  LinearLayout Slice;
  Slice.Columns = Columns;
  for (Coordinates Basis : Register)
    if (Basis.Column != 0)
      Slice.Register.push_back({0, Basis.Column});
  for (Coordinates Basis : Thread)
    Slice.Thread.push_back({0, Basis.Column});
  return Slice;
}

LinearLayout LinearLayout::firstColumns(int64_t Count) const {
  LinearLayout First;
  First.Rows = Rows;
  First.Columns = Count;
  for (Coordinates Basis : Register)
    if (Basis.Column < Count)
      First.Register.push_back(Basis);
  for (Coordinates Basis : Thread)
    First.Thread.push_back(Basis.Column < Count ? Basis : Coordinates());
  return First;
}

LinearLayout LinearLayout::exchanged(unsigned RegisterBit,
                                     unsigned ThreadBit) const {
  LinearLayout Exchanged = *this;
  std::swap(Exchanged.Register[RegisterBit], Exchanged.Thread[ThreadBit]);
  return Exchanged;
}

LinearLayout LinearLayout::packed(int64_t Width) const {
  assert(Rows == 1 && isProduct() && "of vectors alone");
  LinearLayout Packed = *this;
  int64_t Next = 1;
  auto Number = [&](Coordinates &Basis) {
    if (Basis.isZero())
      return;
    Basis.Column = Next;
    Next *= 2;
  };
  unsigned Together = std::min<size_t>(Log2_64(Width), Register.size());
  for (unsigned Bit = 0; Bit < Together; ++Bit)
    Number(Packed.Register[Bit]);
  for (Coordinates &Basis : Packed.Thread)
    Number(Basis);
  for (unsigned Bit = Together; Bit < Register.size(); ++Bit)
    Number(Packed.Register[Bit]);
  return Packed;
}

LinearLayout LinearLayout::columnsFirst() const {
  LinearLayout Sorted = *this;
  sort(Sorted.Register, [](Coordinates A, Coordinates C) {
    return std::make_pair(A.Row, A.Column) < std::make_pair(C.Row, C.Column);
  });
  return Sorted;
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

namespace {
/// A subspace of the coordinates, with the combination of generators that makes
/// each of its members.
class Span {
public:
  void add(ArrayRef<Coordinates> Bases) {
    for (Coordinates Basis : Bases)
      add(Basis);
  }
  /// The generators whose sum is the given element, as a bit mask.
  std::optional<int64_t> solve(Coordinates Element) const {
    int64_t Mask = reduce(Element);
    if (!Element.isZero())
      return std::nullopt;
    return Mask;
  }

private:
  struct Vector {
    Coordinates Element;
    int64_t Mask;
  };
  static uint64_t key(Coordinates C) {
    return static_cast<uint64_t>(C.Row) << 32 | static_cast<uint64_t>(C.Column);
  }
  void add(Coordinates Basis) {
    int64_t Mask = reduce(Basis) ^ (int64_t(1) << Count++);
    if (!Basis.isZero())
      Echelon.push_back({Basis, Mask});
  }
  /// Subtracts vectors of the echelon form until nothing more cancels.
  int64_t reduce(Coordinates &Element) const {
    int64_t Mask = 0;
    for (const Vector &V : Echelon)
      if (key(Element) >> Log2_64(key(V.Element)) & 1) {
        Element = Element ^ V.Element;
        Mask ^= V.Mask;
      }
    return Mask;
  }

  SmallVector<Vector> Echelon;
  unsigned Count = 0;
};
} // namespace

std::optional<int64_t>
LinearLayout::findRegister(Coordinates Difference) const {
  Span Registers;
  Registers.add(Register);
  return Registers.solve(Difference);
}

/// Whether a warp, which owns the space `Own` beside the thread bits from
/// `FirstBit` on, has all that `To` wants of it.
static bool covers(const Span &Own, const LinearLayout &From,
                   const LinearLayout &To, unsigned FirstBit) {
  auto Has = [&](Coordinates C) { return Own.solve(C).has_value(); };
  if (!all_of(To.registerBases(), Has))
    return false;
  for (unsigned Bit = 0; Bit < To.threadBits(); ++Bit) {
    Coordinates Moved = To.threadBases()[Bit];
    // Other bits of the thread's number choose another warp: both layouts must
    // move alike, up to what the warp owns anyway.
    if (Bit >= FirstBit)
      Moved = Moved ^ From.threadBases()[Bit];
    if (!Has(Moved))
      return false;
  }
  return true;
}

Conversion conversionBetween(const LinearLayout &From, const LinearLayout &To) {
  assert(From.threadBits() == To.threadBits());
  if (From == To)
    return Conversion::None;
  if (!registerPermutation(From, To).empty())
    return Conversion::Registers;
  Span Own;
  Own.add(From.registerBases());
  unsigned Lanes = std::min(LaneBits, From.threadBits());
  Own.add(From.threadBases().take_front(Lanes));
  return covers(Own, From, To, Lanes) ? Conversion::Warp : Conversion::Block;
}

SmallVector<int64_t> registerPermutation(const LinearLayout &From,
                                         const LinearLayout &To) {
  // Register numbers are constants of the program: they cannot depend on the
  // thread, so the thread's part of the coordinates must be the same.
  if (!equal(From.threadBases(), To.threadBases()))
    return {};
  SmallVector<int64_t> Numbers;
  for (int64_t R = 0; R < To.registerCount(); ++R) {
    std::optional<int64_t> Source = From.findRegister(To.ofRegister(R));
    if (!Source)
      return {};
    Numbers.push_back(*Source);
  }
  return Numbers;
}

//===----------------------------------------------------------------------===//
// Comparing and printing
//===----------------------------------------------------------------------===//

bool LinearLayout::operator==(const LinearLayout &Other) const {
  return Rows == Other.Rows && Columns == Other.Columns &&
         equal(Register, Other.Register) && equal(Thread, Other.Thread);
}

std::string LinearLayout::str() const {
  std::string Text;
  raw_string_ostream Stream(Text);
  auto Print = [&](ArrayRef<Coordinates> Bases) {
    for (Coordinates C : Bases)
      Stream << " (" << C.Row << "," << C.Column << ")";
  };
  Stream << Rows << "x" << Columns << " registers";
  Print(Register);
  Stream << " threads";
  Print(Thread);
  return Text;
}

} // namespace transxssm::nvptx
