//===- Kernels.h - The kernels and lowerings of every txs operation -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// One file per family: functions `buildXxx` that make a kernel for a shape, and
// one `registerXxx` that adds the lowerings of its operations to the table.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_KERNELS_KERNELS_H
#define TRANSXSSM_PASSES_TILING_KERNELS_KERNELS_H

#include "passes/tiling/EntryBuilder.h"
#include "passes/tiling/Epilogue.h"
#include "passes/tiling/TileBuilder.h"
#include "passes/tiling/TileSizes.h"
#include "llvm/Support/FormatVariadic.h"
#include <array>
#include <cmath>

namespace transxssm {
namespace tiling {

//===----------------------------------------------------------------------===//
// Philox.cpp
//===----------------------------------------------------------------------===//

/// Four random words for each element: Philox 4x32-10 (Salmon, Moraes, Dror,
/// Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011) of a counter,
/// tiles of i32 of one shape, under a key, scalars of i32.
std::array<Tile, 4> philox(TileBuilder &B, std::array<Tile, 4> Counter,
                           std::array<Tile, 2> Key);
/// A word as the constant of an i32 with the same bits.
double wordConstant(uint32_t Word);

//===----------------------------------------------------------------------===//
// Elementwise.cpp
//===----------------------------------------------------------------------===//

/// The elements that one cell of a kernel over flat memory handles.
constexpr int64_t FlatTile = 4096;

/// NAME(inputs: [?] each, result: [?]): a function of corresponding elements of
/// flat memory. Grid: [ceil(size / FlatTile)].
tile::KernelOp
buildFlat(mlir::ModuleOp Module, const llvm::Twine &Name, unsigned InputCount,
          llvm::function_ref<Tile(llvm::ArrayRef<Tile>)> Function,
          mlir::Type Element = {});
/// copy(from: [?], to: [?]), converting where the types differ.
tile::KernelOp buildCopy(mlir::ModuleOp Module, mlir::Type From, mlir::Type To);

/// f(V).
Tile activation(txs::ActivationKind Kind, Tile V);

/// What dropout multiplies a tile of this shape by: 0 or 1 / (1 - Probability).
/// An element is dropped when word 0 of Philox 4x32-10 with counter (Words[0],
/// Words[1], Words[2], Site) and key (Seed[0], Seed[1]) is below Probability
/// 2^32. Words are tiles of i32; absent ones are 0. `Seed` is a memory of two
/// i32. `txs.dropout` counts with the low and high half of the linear index.
Tile dropoutFactor(TileBuilder &B, std::array<Tile, 3> Words, Tile Seed,
                   double Probability, int64_t Site);

/// A number as a part of a kernel's name: exact, in letters and digits.
std::string numberName(double Number);
/// The counter of elements with these linear indices (a tile of i64).
std::array<Tile, 3> linearWords(TileBuilder &B, Tile Indices);
/// "_dropout" and numbers: part of a kernel's name.
std::string dropoutName(double Probability, int64_t Site);

void registerElementwise(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// Constants that stand for minus infinity
//===----------------------------------------------------------------------===//

/// exp of it is 0, and it can be subtracted from.
constexpr double MaskedExponent = -1e30;
/// Where a running maximum begins. Every score is above it; HiddenScore, of
/// what is not to be seen, is so far below that exp(HiddenScore - maximum) is 0
/// even when nothing has been seen.
constexpr double LowestMaximum = -1e30;
constexpr double HiddenScore = -2e30;

//===----------------------------------------------------------------------===//
// RmsNorm.cpp, Rope.cpp
//===----------------------------------------------------------------------===//

void registerRmsNorm(LoweringTable &Table);

/// The lines of the tables for rows Row .. Row + Rows - 1, which are the tokens
/// of all sequences one after the other.
std::pair<Tile, Tile> loadRopeTables(TileBuilder &B, Tile Cos, Tile Sin,
                                     Tile Row, int64_t Rows);
void registerRope(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// Tokens.cpp
//===----------------------------------------------------------------------===//

/// The last token of a sequence of this length, or the last one whose element
/// of Mask ([B, T], may be absent) is not 0, as an index.
Tile lastPosition(TileBuilder &B, Tile Mask, Tile Batch, Tile Length);
void registerTokens(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// Sample.cpp
//===----------------------------------------------------------------------===//

/// logits [B, Vocabulary], settings [2], draw [5] i32, tokens [B] i32; grid B.
tile::KernelOp buildSample(mlir::ModuleOp Module, int64_t Vocabulary);
void registerSample(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// Linear.cpp
//===----------------------------------------------------------------------===//

/// A tile extent for a product: a divisor of Extent that is a multiple of 16,
/// if there is one in [64, High].
int64_t productTile(int64_t Extent, int64_t High);

/// Tile extents of a product; column tiles are multiples of `Multiple`.
struct LinearTiles {
  LinearTiles(TileSizes Sizes, int64_t Inputs, int64_t Outputs,
              mlir::Type Element, int64_t Multiple = 1);

  int64_t ColumnTile, InnerTile, RowTile;
};

/// Up to so many rows the weights are streamed.
constexpr int64_t FewRows = 8;
/// Whether calls with few rows are to be fast for this product's input.
bool servesFewRows(EntryBuilder &E, mlir::Value Input);

/// Zeros + the sums of Step over the inner extent.
llvm::SmallVector<Tile>
productsOverInner(TileBuilder &B, int64_t Extent, int64_t InnerTile,
                  llvm::ArrayRef<Tile> Zeros,
                  llvm::function_ref<llvm::SmallVector<Tile>(
                      Tile Inner, llvm::ArrayRef<Tile> Accumulators)>
                      Step);
/// The same for one sum.
Tile productOverInner(
    TileBuilder &B, int64_t Extent, int64_t InnerTile, Tile Zero,
    llvm::function_ref<Tile(Tile Inner, Tile Accumulator)> Step);
void registerLinear(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// SsmScan.cpp
//===----------------------------------------------------------------------===//

/// How many tokens the chunked form takes at a time.
int64_t scanTile(int64_t Chunk);
/// L[i, j] = exp(Sums[i] - Sums[j]) for i >= j, else 0.
Tile chunkDecay(TileBuilder &B, Tile Sums);
void registerSsmScan(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// Attention.cpp
//===----------------------------------------------------------------------===//

/// The queries and the keys of one step.
constexpr int64_t AttentionTile = 64;

/// What a cell of attention over tiles of tokens works on. The grid is batch,
/// heads, tiles; on CPUs, whose calls run cells in a row along the first
/// coordinate, tiles, heads, batch: so tiles of one head share packed operands.
struct AttentionCell {
  AttentionCell(TileBuilder &B, mlir::ModuleOp Module);

  Tile Batch, Head, Number;
};

/// The grid that such cells come from.
llvm::SmallVector<mlir::AffineExpr> attentionGrid(mlir::ModuleOp Module,
                                                  mlir::AffineExpr Batch,
                                                  mlir::AffineExpr Heads,
                                                  mlir::AffineExpr Tiles);

/// The factor 1 / sqrt P of the scores. In float32 the smaller operand of their
/// product is multiplied by it; in bf16, where that would round once more, the
/// product is.
struct ScoreScale {
  ScoreScale(int64_t HeadSize, mlir::Type Element)
      : Factor(1 / std::sqrt(static_cast<double>(HeadSize))),
        Before(!Element || Element.isF32()) {}

  Tile beforeProduct(Tile Operand) const {
    return Before ? Operand * Factor : Operand;
  }
  Tile afterProduct(Tile Scores) const {
    return Before ? Scores : Scores * Factor;
  }

  double Factor;
  bool Before;
};

/// dropoutFactor for a tile (Shape: queries x keys, with Transposed keys x
/// queries) of the probabilities of one head. The counter of an element is
/// (key, query, batch * Heads + head), with query the number of the token in
/// this call.
Tile attentionDropoutFactor(TileBuilder &B, Tile Seed, double Probability,
                            int64_t Site, Tile BatchAndHead, Tile FirstQuery,
                            Tile FirstKey, llvm::ArrayRef<int64_t> Shape,
                            bool Transposed = false);
void registerAttention(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// CrossEntropy.cpp
//===----------------------------------------------------------------------===//

constexpr int64_t CrossEntropyRows = 64;

/// The labels that rows Row .. Row + Rows - 1 are scored against (i32) and
/// whether they count (i1). Labels is flat; Tokens is the length of a sequence,
/// needed with Shift.
struct RowLabels {
  Tile Label, Counts;
};
RowLabels loadLabels(TileBuilder &B, Tile Labels, Tile Row, int64_t Rows,
                     bool Shift, Tile Tokens);

struct CrossEntropyShape {
  int64_t Width, Vocabulary;
  bool Shift;
  mlir::Type Element, WeightElement;

  static CrossEntropyShape of(txs::LinearCrossEntropyOp Op);
  /// Of the tiles of logits. A cell takes rows of one range.
  TileEdges edges(mlir::ModuleOp Module) const {
    return isLarge(Module) ? largeEdges()
                           : TileEdges{CrossEntropyRows, smallColumns()};
  }
  /// The vocabulary of one cell, a multiple of the columns of a tile. Where it
  /// is one tile, the cells of all rows share its packed weights.
  int64_t range(mlir::ModuleOp Module) const {
    return isLarge(Module)
               ? largeEdges().Columns
               : std::max<int64_t>(4096 / smallColumns(), 1) * smallColumns();
  }
  int64_t ranges(mlir::ModuleOp Module) const {
    return (Vocabulary + range(Module) - 1) / range(Module);
  }

private:
  int64_t smallColumns() const { return productTile(Vocabulary, 128); }
  static TileEdges largeEdges() { return {128, 512}; }
  bool isLarge(mlir::ModuleOp Module) const {
    return TileSizes::of(Module).hasLargeTiles(TileSizes::TypicalTokens,
                                               Vocabulary, largeEdges());
  }
};

/// hidden [R, Width], weight [Vocabulary, Width], labels [R] i32, maxima, sums
/// and chosen logits [ranges, C], InChunks logits [C, Vocabulary], index length
/// of a sequence, InChunks index first row; grid ceil(C / rows of edges),
/// ranges. C is R, or InChunks the rows of a chunk.
tile::KernelOp buildCrossEntropyPartial(mlir::ModuleOp Module,
                                        const CrossEntropyShape &Shape,
                                        bool InChunks = false);
/// maxima, sums and chosen logits [ranges, C], labels [R] i32, with
/// StoresLogSumExp log_sum_exp [R], losses and counts of every tile of
/// CrossEntropyRows rows, InChunks up to the chunk's end, index length of a
/// sequence, InChunks index first row; grid ceil(C / CrossEntropyRows).
tile::KernelOp buildCrossEntropyCombine(mlir::ModuleOp Module,
                                        const CrossEntropyShape &Shape,
                                        bool StoresLogSumExp,
                                        bool InChunks = false);
/// losses and counts [K], loss [1]; grid 1.
tile::KernelOp buildCrossEntropyMean(mlir::ModuleOp Module);
void registerCrossEntropy(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// LinearCrossEntropyChunks.cpp
//===----------------------------------------------------------------------===//

/// Lowers the loss and its gradients together where a function has both and the
/// target gains by it; otherwise does nothing and returns false.
bool lowerLossWithGradients(txs::LinearCrossEntropyOp Op, EntryBuilder &E);

//===----------------------------------------------------------------------===//
// Tile sizes
//===----------------------------------------------------------------------===//

/// The largest power of two that is at most `Number` (>= 1).
int64_t powerOfTwoAtMost(int64_t Number);
/// A tile size for an extent: its largest divisor in [Low, High], otherwise
/// the extent itself if below High, otherwise High.
int64_t tileFor(int64_t Extent, int64_t Low, int64_t High);

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_KERNELS_KERNELS_H
