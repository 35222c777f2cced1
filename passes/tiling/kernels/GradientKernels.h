//===- GradientKernels.h - Kernels of the backward pass -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Each function returns the kernel of its kind and shape in the module, built
// on first use. The comment gives the memories in launch order with their
// shapes, and the grid. R counts rows: tokens of all sequences together. The
// element types of activations and weights come last, null for float32;
// gradients of parameters, partial sums, states and statistics are float32.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_KERNELS_GRADIENTKERNELS_H
#define TRANSXSSM_PASSES_TILING_KERNELS_GRADIENTKERNELS_H

#include "passes/tiling/kernels/Kernels.h"

namespace transxssm {
namespace tiling {

/// The extent of a tile along a dimension of static size: all of it, rounded
/// up to whole vectors, but at most `Limit`.
inline int64_t tileExtent(int64_t Size, int64_t Limit) {
  int64_t Whole = (Size + 15) / 16 * 16;
  return Whole < Limit ? Whole : Limit;
}

//===----------------------------------------------------------------------===//
// Sums over tokens
//===----------------------------------------------------------------------===//

/// Rows that one cell of a first-pass sum adds up; the second pass adds the
/// cells' partial sums.
constexpr int64_t SumBlockRows = 256;
constexpr int64_t NormBlockRows = 64;
constexpr int64_t SumColumns = 128;

/// partials [K, Width], result [Width]; grid ceil(Width / SumColumns).
tile::KernelOp buildSumRows(mlir::ModuleOp Module, int64_t Width);
/// Launches it on `Count` partial sums.
void launchSumRows(EntryBuilder &E, Buffer *Partials, mlir::AffineExpr Count,
                   int64_t Width, Buffer *Result);

/// lhs [R, Width], with Product rhs [R, Width], partials [ceil(R /
/// SumBlockRows), Width]; grid ceil(R / SumBlockRows), ceil(Width /
/// SumColumns).
tile::KernelOp buildSumTokens(mlir::ModuleOp Module, int64_t Width,
                              bool Product, mlir::Type Element = {});

void registerSumTokens(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Start + op(left) op(right) summed over the inner dimension [0, Extent), Step
/// at a time. Left and Right load the operands at their place in it.
Tile sumOfProducts(TileBuilder &B, Operand Extent, int64_t Step, Tile Start,
                   llvm::function_ref<Tile(Tile Inner)> Left,
                   llvm::function_ref<Tile(Tile Inner)> Right,
                   bool TransposeLeft = false, bool TransposeRight = false);

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

/// dy [R, Width], x [R, Width], weight [Width], dx [R, Width] or what the
/// epilogue declares, partials [ceil(R / NormBlockRows), Width]; grid
/// ceil(R / NormBlockRows).
tile::KernelOp buildRmsNormGrad(mlir::ModuleOp Module, int64_t Width,
                                double Epsilon, Epilogue *Tail = nullptr,
                                mlir::Type Element = {},
                                mlir::Type WeightElement = {});

void registerRmsNormGrad(LoweringTable &Table);

/// Edges of the output tiles of the products. Those whose rows are tokens have
/// TileSizes::gradientRows(), which is as many on a CPU.
constexpr int64_t ProductRows = 64;
constexpr int64_t ProductColumns = 128;

/// Those of dx and, with the most outputs of its products, of dweight.
TileEdges inputGradEdges(TileSizes Sizes, int64_t Inputs);
TileEdges weightGradEdges(TileSizes Sizes, int64_t Outputs, int64_t Inputs);
/// Steps of the inner dimension on a CPU, for tiles of so many rows: what is
/// packed for a step of small tiles stays in the L1 cache.
inline int64_t innerSteps(TileEdges Edges, int64_t Small) {
  return Edges.Rows > 64 ? 256 : Small;
}

/// The sum over the products with these numbers of outputs: for each one dy
/// [R, Outputs], weight [Outputs, Inputs], then dx [R, Inputs] or what the
/// epilogue declares; a cell for each of inputGradEdges. `Elements` are the
/// types of the dy, `WeightElement` that of the weights and dx.
tile::KernelOp buildLinearGradInput(mlir::ModuleOp Module,
                                    llvm::ArrayRef<int64_t> Outputs,
                                    int64_t Inputs, Epilogue *Tail = nullptr,
                                    llvm::ArrayRef<mlir::Type> Elements = {},
                                    mlir::Type WeightElement = {});

/// dy [R, Outputs] of every product, x [R, Inputs], dweight [Outputs, Inputs]
/// of every product; a cell for each of weightGradEdges, times the number of
/// products if there are several. `Elements` are the types of the dy.
tile::KernelOp buildLinearGradWeight(mlir::ModuleOp Module,
                                     llvm::ArrayRef<int64_t> Outputs,
                                     int64_t Inputs,
                                     llvm::ArrayRef<mlir::Type> Elements = {},
                                     mlir::Type InputElement = {});

void registerLinearGrad(LoweringTable &Table);

/// f'(X), for fusion and for the stand-alone kernel alike.
Tile activationDerivative(txs::ActivationKind Kind, Tile X);

/// dy [n], x [n], dx [n] for any n; grid ceil(n / FlatTile).
tile::KernelOp buildActivationGrad(mlir::ModuleOp Module,
                                   txs::ActivationKind Kind,
                                   mlir::Type Element = {});

void registerActivationGrad(LoweringTable &Table);

/// Rows of the embedding that one cell owns.
constexpr int64_t EmbeddingBlockRows = 256;

/// dy [R, Width], ids [R] i32, dweight [Vocabulary, Width]; grid
/// ceil(Vocabulary / EmbeddingBlockRows). PadToken < 0: none.
tile::KernelOp buildEmbeddingGrad(mlir::ModuleOp Module, int64_t Vocabulary,
                                  int64_t Width, int64_t PadToken,
                                  mlir::Type Element = {});

/// dy [R, Width], ids [R] i32, first [Vocabulary] i32 and sums [R, Width] for
/// its own use, dweight [Vocabulary, Width], to which it adds; grid as above.
tile::KernelOp buildEmbeddingGradAdd(mlir::ModuleOp Module, int64_t Vocabulary,
                                     int64_t Width, int64_t PadToken,
                                     mlir::Type Element = {});

void registerEmbeddingGrad(LoweringTable &Table);

/// dresult [B, Width], with Mask mask [B, T], dinput [B, T, Width]; grid B.
tile::KernelOp buildLastTokenGrad(mlir::ModuleOp Module, int64_t Width,
                                  bool Mask, mlir::Type ResultElement = {},
                                  mlir::Type InputElement = {});

void registerLastTokenGrad(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// The scan
//===----------------------------------------------------------------------===//

struct ScanGradShape {
  int64_t Heads, HeadSize, StateSize;
  int64_t Chunk;           ///< tokens of a chunk; see scanTile
  bool Initial;            ///< is there an initial state?
  bool Final;              ///< is there a gradient of the final state?
  mlir::Type Element = {}; ///< of all but dt, a and states
  bool RotatedC = false, RotatedB = false; ///< are dc, db rotated backwards?
  int64_t Values = 0; ///< values of a head that one cell takes; 0: all

  /// "_h8_p128_n128_q64_bf16_initial", for names of kernels.
  std::string name() const;
  /// The cells that share a head, and the values of each.
  int64_t parts() const {
    return Values ? (HeadSize + Values - 1) / Values : 1;
  }
  int64_t tileP() const {
    return tileExtent(HeadSize, Values ? Values : HeadSize + 15);
  }
};

/// What both directions need to know of a chunk.
struct ChunkDecay {
  Tile Steps; ///< dt_t
  Tile Sum;   ///< a_t, the running sum of dt A
  Tile Last;  ///< z, the sum of all
  Tile ToEnd; ///< exp(z - a_t)
};
ChunkDecay loadChunkDecay(TileBuilder &B, const ScanGradShape &Shape, Tile Dt,
                          Tile Batch, Tile Token, Tile Head, Tile A);

/// dlog of the tokens of a chunk (SsmScanGrad.cpp) from the pairs within it,
/// W, from u (repeated along the columns) and v, and from what goes through the
/// state, exp(z) <E, S>.
Tile decayGradient(TileBuilder &B, Tile Pairs, Tile FromOutputs,
                   Tile FromInputs, Tile ThroughState);

/// Rows of a gradient from token `Token` on of what the rotary embedding made.
Tile rotatedBack(TileBuilder &B, Tile Value, Tile Cos, Tile Sin, Tile Token);

/// Arguments of the kernels below: cos and sin where dc or db is rotated, then
/// dc, db, dx, ddt.
void addScanGradResults(EntryBuilder &E, txs::SsmScanGradOp Op,
                        llvm::SmallVectorImpl<LaunchArgument> &Arguments);

/// The state before each chunk.
/// b [B, T, H, N], x [B, T, H, P], dt [B, T, H], a [H], with Initial initial
/// [B, H, P, N], states [B, H, ceil(T / Chunk), P, N]; grid B, H, and with
/// Values ceil(P / Values).
tile::KernelOp buildScanStates(mlir::ModuleOp Module,
                               const ScanGradShape &Shape);

/// dy [B, T, H, P], c, b [B, T, H, N], x [B, T, H, P], dt [B, T, H], a [H],
/// states as above, with Final dfinal [B, H, P, N], with RotatedC or RotatedB
/// cos, sin [T, N / 2], then the results dc, db,
/// dx, ddt of the shapes of their operands, da [B, H] (one sum for each
/// sequence), with Initial dinitial [B, H, P, N]; grid B, H.
tile::KernelOp buildScanGrad(mlir::ModuleOp Module, const ScanGradShape &Shape);

/// The gradient of the state after each chunk, for cells that take one chunk
/// each (SsmScanGradChunks.cpp).
/// dy, c, dt, a as above, with Final dfinal, dstates of the shape of states,
/// with Initial dinitial; grid B, H, ceil(P / Values).
tile::KernelOp buildScanGradStates(mlir::ModuleOp Module,
                                   const ScanGradShape &Shape);

/// dy, c, b, x, dt, a, states, dstates, with RotatedC or RotatedB cos, sin,
/// then dc, db, dx, ddt, da [B, ceil(T / Chunk), H]; grid B, H, ceil(T /
/// Chunk).
tile::KernelOp buildScanGradChunk(mlir::ModuleOp Module,
                                  const ScanGradShape &Shape);

/// Which form of the scan runs: conditions of launches, one of which holds.
struct ScanForms {
  /// Cells walk the chunks. Each set of conditions is a launch of its own.
  llvm::SmallVector<llvm::SmallVector<mlir::AffineExpr>> Walk;
  /// Chunks are cells (SsmScanChunks.cpp); empty: never.
  llvm::SmallVector<mlir::AffineExpr> Parallel;
  /// The number of sequences wherever Parallel holds, and never more than it
  /// allows.
  mlir::AffineExpr Batch;
};
/// By the sizes; `Always` holds for both forms.
ScanForms scanForms(EntryBuilder &E, const ScanGradShape &Shape,
                    llvm::ArrayRef<mlir::AffineExpr> Always = {});

/// Launches what leaves in States the state before each chunk (with Gradient
/// the gradient of the state after each chunk) where Forms.Parallel holds:
///
/// rows [B, T, H, P], columns [B, T, H, N], dt [B, T, H], a [H], states
/// [B, H, ceil(T / Chunk), P, N], decays [B, H, ceil(T / Chunk)], made by the
/// forward direction.
struct ChunkStates {
  Buffer *Rows, *Columns, *Dt, *A, *States, *Decays;
  Buffer *Start = nullptr, *End = nullptr; ///< [B, H, P, N], may be absent
  mlir::AffineExpr Sequences;              ///< of States and Decays
};
void launchChunkStates(EntryBuilder &E, const ScanGradShape &Shape,
                       const ScanForms &Forms, ChunkStates Operands,
                       bool Gradient);

/// The whole forward scan where Forms.Parallel holds, after y was declared to
/// be written.
void launchScanChunks(EntryBuilder &E, txs::SsmScanOp Op,
                      const ScanGradShape &Shape, const ScanForms &Forms,
                      Buffer *Initial, Buffer *Final);

/// Launches the sweep over the gradients of states and what comes after it, and
/// adds up da. Decays is absent where Forms.Parallel is empty.
void launchScanGradChunks(EntryBuilder &E, txs::SsmScanGradOp Op,
                          const ScanGradShape &Shape, const ScanForms &Forms,
                          Buffer *States, Buffer *Decays);

void registerSsmScanGrad(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

struct AttentionGradShape {
  int64_t Heads, KeyHeads, HeadSize;
  bool Mask;
  double Dropout = 0;
  int64_t Site = 0;
  mlir::Type Element = {}; ///< of all but log_sum_exp, delta and mask
  bool RotatedQuery = false, RotatedKey = false; ///< backwards, dquery, dkey
};

/// result, dresult [n, HeadSize], delta [n] with n = B T H; grid
/// ceil(n / AttentionTile).
tile::KernelOp buildAttentionDelta(mlir::ModuleOp Module, int64_t HeadSize,
                                   mlir::Type Element = {});

/// dresult, query [B, T, H, P], key, value [B, T, G, P], log_sum_exp, delta
/// [B, T, H], with Mask mask [B, T], with Dropout seed [2] i32, dquery
/// [B, T, H, P], with RotatedQuery cos, sin [T, P / 2]; attentionGrid of B, H,
/// ceil(T / AttentionTile).
tile::KernelOp buildAttentionGradQuery(mlir::ModuleOp Module,
                                       const AttentionGradShape &Shape);

/// The same operands, then dkey, dvalue [B, T, G, P], with RotatedKey cos, sin
/// [T, P / 2]; attentionGrid of B, G, ceil(T / AttentionTile).
tile::KernelOp buildAttentionGradKeyValue(mlir::ModuleOp Module,
                                          const AttentionGradShape &Shape);

void registerAttentionGrad(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// The loss
//===----------------------------------------------------------------------===//

/// Vocabulary entries whose logits' gradients are in memory at a time.
constexpr int64_t CrossEntropySlab = 2048;

/// What the products of the loss are made of; dlogits is of hidden's type.
struct CrossEntropyGradShape {
  int64_t Vocabulary, Width;
  mlir::Type Element = {}, WeightElement = {};
  int64_t Slab = Dynamic; ///< columns of dlogits, where they are known
  /// Where slabs differ, how many entries one has is an argument: the columns
  /// behind them are not read.
  bool Counted = false;
};

/// labels [B, T] i32 ([1, B] for classification), targets [R] i32: the label
/// that a row is scored against, -1 for none, scale [1]: 1 / how many there
/// are; grid 1.
tile::KernelOp buildCrossEntropyTargets(mlir::ModuleOp Module, bool Shift);

/// hidden [R, Width], weight [Vocabulary, Width], targets [R] i32, log_sum_exp
/// [R], scale [1], dlogits [R, slab], index first entry of the slab; grid
/// ceil(R / ProductRows), ceil(slab / ProductColumns).
tile::KernelOp buildCrossEntropyLogitsGrad(mlir::ModuleOp Module,
                                           const CrossEntropyGradShape &Shape);

/// dlogits [R, slab], weight [Vocabulary, Width], dhidden [R, Width], index
/// first entry of the slab, with Counted index number of its entries; grid
/// ceil(R / ProductRows), ceil(Width / ProductColumns). Adds to dhidden, of
/// type SumElement, with Accumulate.
tile::KernelOp buildCrossEntropyHiddenGrad(mlir::ModuleOp Module,
                                           const CrossEntropyGradShape &Shape,
                                           bool Accumulate,
                                           mlir::Type SumElement = {});

/// dlogits [R, slab], hidden [R, Width], dweight [Vocabulary, Width], index
/// first entry of the slab; grid ceil(slab / ProductRows), ceil(Width /
/// ProductColumns).
tile::KernelOp buildCrossEntropyWeightGrad(mlir::ModuleOp Module,
                                           const CrossEntropyGradShape &Shape);

/// dz from a tile of z whose first column is entry `Column` of the vocabulary,
/// and targets, log_sum_exp and scale of its rows.
Tile crossEntropyLogitsGrad(TileBuilder &B, Tile Logits, Tile Column,
                            Tile Target, Tile LogSumExp, Tile Scale,
                            int64_t Vocabulary);

void registerLinearCrossEntropyGrad(LoweringTable &Table);

//===----------------------------------------------------------------------===//
// LinearCrossEntropyChunks.cpp: a chunk is C rows, from an index on
//===----------------------------------------------------------------------===//

/// Rows and columns of a cell of the elementwise kernel.
constexpr int64_t ChunkLogitsRows = 16;
constexpr int64_t ChunkLogitsColumns = 512;

/// logits [C, Vocabulary], dlogits likewise unless Element is float32, then the
/// logits become their gradients, targets [R] i32, log_sum_exp [R], scale [1],
/// index first row; grid ceil(C / ChunkLogitsRows), ceil(Vocabulary /
/// ChunkLogitsColumns).
tile::KernelOp buildChunkLogitsGrad(mlir::ModuleOp Module, int64_t Vocabulary,
                                    mlir::Type Element = {});

/// dlogits [C, Vocabulary], weight [Vocabulary, Width], dhidden [R, Width],
/// index first row; a cell for each of hiddenGradEdges.
tile::KernelOp buildChunkHiddenGrad(mlir::ModuleOp Module,
                                    const CrossEntropyGradShape &Shape);

/// dlogits [C, Vocabulary], hidden [R, Width], dweight [Vocabulary, Width],
/// index first row; a cell for each of weightGradEdges. Adds to dweight with
/// Accumulate.
tile::KernelOp buildChunkWeightGrad(mlir::ModuleOp Module,
                                    const CrossEntropyGradShape &Shape,
                                    bool Accumulate);

//===----------------------------------------------------------------------===//
// The optimizer
//===----------------------------------------------------------------------===//

/// Elements that one cell of the norm adds up, of AdamW updates.
constexpr int64_t NormBlock = 32768;
constexpr int64_t AdamWBlock = 8192;

/// gradient [n], partials [K], index where this gradient's partial sums go;
/// grid ceil(n / NormBlock).
tile::KernelOp buildSumSquares(mlir::ModuleOp Module);

/// partials [K], norm [1]; grid 1.
tile::KernelOp buildNorm(mlir::ModuleOp Module);

/// gradient [n], norm [1], hyperparameters [8], parameter, first and second
/// moment [n], with a parameter narrower than float32 its master [n], updated
/// in place; grid ceil(n / AdamWBlock).
tile::KernelOp buildAdamW(mlir::ModuleOp Module, bool Decay,
                          mlir::Type Element = {});

void registerOptimizer(LoweringTable &Table);

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_KERNELS_GRADIENTKERNELS_H
