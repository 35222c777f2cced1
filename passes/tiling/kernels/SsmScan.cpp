//===- SsmScan.cpp - The state-space recurrence ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Per batch and head, with state S [P, N] and scalar decay A:
//
//     S_t = exp(dt_t A) S_{t-1} + dt_t x_t (x) b_t;   y_t = S_t c_t
//
// in the chunked (dual) form of Dao and Gu (arXiv 2405.21060), Q tokens at a
// time. With a = the running sum of dt A within the chunk:
//
//     Y  = (L o C B^T) (dt X) + diag(exp(a)) C S^T,  L[i, j] = exp(a_i - a_j),
//     i >= j S' = exp(a_Q) S + sum_j exp(a_Q - a_j) (dt_j x_j) (x) b_j
//
// Only differences a_i - a_j <= 0 (for A < 0) are exponentiated, so nothing
// overflows. The state is carried as S^T [N, P]: both products that read it
// then need no transposition. Tokens past the end have dt = 0: they neither
// decay the state nor add to it.
//
// One token at a time is a rank-one update and a matrix-vector product. Where
// sequences and heads are few, GPUs take chunks side by side
// (SsmScanChunks.cpp).
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

int64_t tiling::scanTile(int64_t Chunk) {
  return std::clamp<int64_t>(powerOfTwoAtMost(Chunk), 16, 64);
}

namespace {
enum class StateUse {
  None,     // begins at zero, the final state is not needed
  Final,    // begins at zero
  Initial,  // the final state is not needed
  Separate, // both, in two memories
  InPlace   // both, in one memory
};

struct ScanShape {
  int64_t Heads, P, N, Q;
  StateUse State;
  Type Element;       // of c, b, x and y
  int64_t Values = 0; // of a head that a cell takes; 0: all

  std::string name(StringRef Kind, bool WithTile) const {
    static const char *const Suffixes[] = {"", "_final", "_initial",
                                           "_initial_final", "_inplace"};
    std::string Tile = WithTile ? "_q" + std::to_string(Q) : "";
    if (WithTile && Values)
      Tile += "_v" + std::to_string(Values);
    return llvm::formatv("{0}_h{1}_p{2}_n{3}{4}{5}{6}", Kind, Heads, P, N, Tile,
                         typeSuffix(Element),
                         Suffixes[static_cast<int>(State)]);
  }
};

struct ScanArguments {
  ScanArguments(TileBuilder &B, const ScanShape &S)
      : C(B.memory({Dynamic, Dynamic, S.Heads, S.N}, S.Element)),
        K(B.memory({Dynamic, Dynamic, S.Heads, S.N}, S.Element)),
        X(B.memory({Dynamic, Dynamic, S.Heads, S.P}, S.Element)),
        Dt(B.memory({Dynamic, Dynamic, S.Heads})), A(B.memory({S.Heads})) {
    auto State = [&]() { return B.memory({Dynamic, S.Heads, S.P, S.N}); };
    if (S.State == StateUse::Initial || S.State == StateUse::Separate ||
        S.State == StateUse::InPlace)
      Initial = State();
    Y = B.memory({Dynamic, Dynamic, S.Heads, S.P}, S.Element);
    if (S.State == StateUse::InPlace)
      Final = Initial;
    if (S.State == StateUse::Final || S.State == StateUse::Separate)
      Final = State();
  }

  Tile C, K, X, Dt, A, Initial, Y, Final;
};
} // namespace

Tile tiling::chunkDecay(TileBuilder &B, Tile Sums) {
  int64_t Q = Sums.rows();
  // Masked before the exponential, so that what is not used cannot overflow.
  Tile Causal = B.iota({Q, Q}, 0) >= B.iota({Q, Q}, 1);
  Tile Difference = B.asColumn(Sums, Q) - B.asRow(Sums, Q);
  return exp(select(Causal, Difference, MaskedExponent));
}

static tile::KernelOp buildScan(ModuleOp Module, const ScanShape &S) {
  int64_t N = S.N, Q = S.Q;
  // Values do not see each other: rows of the state, columns of x and y.
  int64_t P = S.Values ? std::min((S.P + 15) / 16 * 16, S.Values) : S.P;
  unsigned Rank = S.Values ? 3 : 2;
  return defineKernel(
      Module, S.name("ssm_scan", true), Rank, [&](TileBuilder &B) {
        ScanArguments M(B, S);
        Tile Batch = B.grid(0), Head = B.grid(1);
        Tile Value = S.Values ? B.grid(2) * P : B.index(0);
        Tile A = B.load(M.A, {Head});
        Tile Start = M.Initial
                         ? B.transpose(B.load(M.Initial,
                                              {Batch, Head, Value, 0}, {P, N}))
                         : B.zeros({N, P});
        auto Chunk = [&](Tile T, ArrayRef<Tile> Carried) {
          Tile State = Carried[0];
          Tile C = B.load(M.C, {Batch, T, Head, 0}, {Q, N}, {1, 3});
          Tile K = B.load(M.K, {Batch, T, Head, 0}, {Q, N}, {1, 3});
          Tile X = B.load(M.X, {Batch, T, Head, Value}, {Q, P}, {1, 3});
          Tile Dt = B.load(M.Dt, {Batch, T, Head}, {Q}, {1});
          Tile Sums = B.cumulativeSum(Dt * A);
          Tile Last = B.extract(Sums, Q - 1);

          // The decay from the chunk's start scales the result: both products
          // with c take it as it lies in memory. dt scales x and not the
          // weights: in bf16 that is what the gradient rounds, and with another
          // rounding here the gradients of c and b are 1.3 times as far off.
          Tile Weights = B.mmaTransposedRight(C, K, B.zeros({Q, Q}));
          Tile Before =
              B.mma(C, State, B.zeros({Q, P})) * B.asColumn(exp(Sums), P);
          Tile Y = B.mma(Weights * chunkDecay(B, Sums), X * B.asColumn(Dt, P),
                         Before);
          B.store(Y, M.Y, {Batch, T, Head, Value}, {1, 3});

          Tile ToEnd = Dt * exp(B.fill(Last, {Q}) - Sums);
          Tile Next = B.mmaTransposedLeft(K, X * B.asColumn(ToEnd, P),
                                          State * exp(Last));
          return SmallVector<Tile>{Next};
        };
        Tile End = B.forLoop(0, B.extent(M.X, 1), Q, {Start}, Chunk)[0];
        if (M.Final)
          B.store(B.transpose(End), M.Final, {Batch, Head, Value, 0});
      });
}

static tile::KernelOp buildScanStep(ModuleOp Module, const ScanShape &S) {
  int64_t P = S.P, N = S.N;
  return defineKernel(
      Module, S.name("ssm_step", false), 2, [&](TileBuilder &B) {
        ScanArguments M(B, S);
        Tile Batch = B.grid(0), Head = B.grid(1);
        Tile C = B.load(M.C, {Batch, 0, Head, 0}, {N});
        Tile K = B.load(M.K, {Batch, 0, Head, 0}, {N});
        Tile X = B.load(M.X, {Batch, 0, Head, 0}, {P});
        Tile Dt = B.load(M.Dt, {Batch, 0, Head});
        Tile Decay = exp(Dt * B.load(M.A, {Head}));
        Tile Old = B.load(M.Initial, {Batch, Head, 0, 0}, {P, N});
        Tile State = Old * Decay + B.asColumn(X * Dt, N) * B.asRow(K, P);
        if (M.Final)
          B.store(State, M.Final, {Batch, Head, 0, 0});
        B.store(B.sum(State * B.asRow(C, P)), M.Y, {Batch, 0, Head, 0});
      });
}

static LogicalResult lowerScan(txs::SsmScanOp Op, EntryBuilder &E) {
  ArrayRef<int64_t> X = cast<RankedTensorType>(Op.getX().getType()).getShape();
  ScanShape Shape = {X[2],
                     X[3],
                     E.columns(Op.getB()),
                     scanTile(Op.getChunk()),
                     StateUse::None,
                     E.element(Op.getX())};
  bool UsesFinal = E.isUsed(Op.getFinal());
  SmallVector<AffineExpr> Extents = {E.batch(), E.seq()};
  SmallVector<LaunchArgument> Arguments;
  for (Value V : {Op.getC(), Op.getB(), Op.getX(), Op.getDt()})
    Arguments.push_back({E.read(V), Extents});
  Arguments.push_back({E.read(Op.getA())});

  Buffer *Initial = Op.getInitial() ? E.read(Op.getInitial()) : nullptr;
  Buffer *Y = E.write(Op.getY());
  Buffer *Final = UsesFinal ? E.write(Op.getFinal()) : nullptr;
  if (Initial) {
    Arguments.push_back({Initial, {E.batch()}});
    Shape.State = !Final             ? StateUse::Initial
                  : Final == Initial ? StateUse::InPlace
                                     : StateUse::Separate;
  } else if (Final) {
    Shape.State = StateUse::Final;
  }
  Arguments.push_back({Y, Extents});
  if (Final && Final != Initial)
    Arguments.push_back({Final, {E.batch()}});

  Shape.Values = TileSizes::of(E.module()).scanValues();
  SmallVector<AffineExpr> Grid = {E.batch(), E.constant(Shape.Heads)}, Many;
  ScanGradShape Chunks = {Shape.Heads, Shape.P, Shape.N,      Shape.Q,
                          false,       false,   Shape.Element};
  Chunks.Values = Shape.Values;
  if (Initial) {
    E.launch(buildScanStep(E.module(), Shape), Grid, Arguments, {1 - E.seq()});
    Many = {E.seq() - 2};
  }
  if (Shape.Values)
    Grid.push_back(E.constant(Chunks.parts()));
  ScanForms Forms = scanForms(E, Chunks, Many);
  for (ArrayRef<AffineExpr> When : Forms.Walk)
    E.launch(buildScan(E.module(), Shape), Grid, Arguments, When);
  if (!Forms.Parallel.empty())
    launchScanChunks(E, Op, Chunks, Forms, Initial, Final);
  return success();
}

void tiling::registerSsmScan(LoweringTable &Table) {
  Table.add<txs::SsmScanOp>(lowerScan);
}
