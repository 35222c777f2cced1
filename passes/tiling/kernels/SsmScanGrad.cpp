//===- SsmScanGrad.cpp - Gradients of the state-space scan ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Per batch and head, x~ = dt x, in chunks of Q tokens (Dao and Gu, arXiv
// 2405.21060). Within a chunk let a_i = sum over j <= i of dt_j A, z = a_{Q-1},
// L[i, j] = exp(a_i - a_j) for i >= j else 0, S the state before the chunk and
// E the gradient of the state after it. From the recurrence of the gradient,
// G_t = dy_t (x) c_t + exp(dt_{t+1} A) G_{t+1}, unrolled over the chunk:
//
//   M = L o (dY X~^T),  K = L o (C B^T)
//   dC  = exp(a) o (dY S)          + M B
//   dB  = exp(z - a) o (X~ E)      + M^T C
//   dX~ = exp(z - a) o (B E^T)     + K^T dY
//   E before the chunk = exp(z) E  + (exp(a) o dY)^T C
//
// The decay of token t is in every path from a token j < t, or the state before
// the chunk, to a token i >= t, or the state after it. With the pairs within
// the chunk W = L o (C B^T) o (dY X~^T), u_i = c_i . exp(a_i) S^T dy_i and
// v_j = x~_j . exp(z - a_j) E b_j, the gradient of dt_t A is
//
//   dlog_t = exp(z) <E, S> + sum over j < t of v_j
//            + sum over i >= t of (u_i + sum over j < t of W[i, j])
//
// which is summed as it stands, for one small product more. The difference of
// two running sums that it also is would lose the small values that a fast
// decay leaves. Finally dx = dt dx~, ddt_t = A dlog_t + x_t . dx~_t and dA =
// sum of dt_t dlog_t.
//
// Tokens past the end load as zeros: their decay is exp(0) and they add
// nothing.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

std::string ScanGradShape::name() const {
  return "_h" + std::to_string(Heads) + "_p" + std::to_string(HeadSize) + "_n" +
         std::to_string(StateSize) + "_q" + std::to_string(Chunk) +
         (Values ? "_v" + std::to_string(Values) : "") + typeSuffix(Element) +
         (Initial ? "_initial" : "");
}

ChunkDecay tiling::loadChunkDecay(TileBuilder &B, const ScanGradShape &S,
                                  Tile Dt, Tile Batch, Tile Token, Tile Head,
                                  Tile A) {
  ChunkDecay D;
  D.Steps = B.load(Dt, {Batch, Token, Head}, {S.Chunk}, {1});
  D.Sum = B.cumulativeSum(D.Steps * A);
  D.Last = B.extract(D.Sum, S.Chunk - 1);
  D.ToEnd = exp(B.fill(D.Last, {S.Chunk}) - D.Sum);
  return D;
}

Tile tiling::decayGradient(TileBuilder &B, Tile Pairs, Tile FromOutputs,
                           Tile FromInputs, Tile ThroughState) {
  int64_t Q = Pairs.rows();
  Tile Rows = B.iota({Q, Q}, 0), Columns = B.iota({Q, Q}, 1);
  // A running sum as a product: decays and steps are float32 in any model.
  Tile Paths = B.mmaFloat32(Pairs, B.toFloat(Rows < Columns), FromOutputs);
  Tile Counted = select(Columns <= Rows, Paths, B.asColumn(FromInputs, Q));
  return B.sum(Counted, 0) + B.fill(ThroughState, {Q});
}

Tile tiling::rotatedBack(TileBuilder &B, Tile Value, Tile Cos, Tile Sin,
                         Tile Token) {
  SmallVector<int64_t> Shape = {Value.rows(), Cos.columns()};
  return B.rope(Value, B.load(Cos, {Token, 0}, Shape),
                B.load(Sin, {Token, 0}, Shape), /*Inverse=*/true);
}

tile::KernelOp tiling::buildScanStates(ModuleOp Module,
                                       const ScanGradShape &S) {
  return defineKernel(
      Module, "ssm_scan_states" + S.name(), S.Values ? 3 : 2,
      [&](TileBuilder &B) {
        int64_t H = S.Heads, P = S.HeadSize, N = S.StateSize, Q = S.Chunk;
        Tile BMemory = B.memory({Dynamic, Dynamic, H, N}, S.Element);
        Tile XMemory = B.memory({Dynamic, Dynamic, H, P}, S.Element);
        Tile DtMemory = B.memory({Dynamic, Dynamic, H});
        Tile AMemory = B.memory({H});
        Tile Initial = S.Initial ? B.memory({Dynamic, H, P, N}) : Tile();
        Tile States = B.memory({Dynamic, H, Dynamic, P, N});

        int64_t TileP = S.tileP(), TileN = tileExtent(N, N + 15);
        Tile Batch = B.grid(0), Head = B.grid(1);
        Tile Value = S.Values ? B.grid(2) * TileP : B.index(0);
        Tile A = B.load(AMemory, {Head});
        Tile Start =
            S.Initial ? B.load(Initial, {Batch, Head, Value, 0}, {TileP, TileN})
                      : B.zeros({TileP, TileN});
        auto Step = [&](Tile Token, ArrayRef<Tile> Carried) {
          Tile State = Carried[0];
          B.store(State, States, {Batch, Head, Token / Q, Value, 0});
          ChunkDecay D = loadChunkDecay(B, S, DtMemory, Batch, Token, Head, A);
          Tile X =
              B.load(XMemory, {Batch, Token, Head, Value}, {Q, TileP}, {1, 3});
          Tile Key =
              B.load(BMemory, {Batch, Token, Head, 0}, {Q, TileN}, {1, 3});
          Tile Weighted = X * B.asColumn(D.Steps * D.ToEnd, TileP);
          return SmallVector<Tile>{
              B.mmaTransposedLeft(Weighted, Key, State * exp(D.Last))};
        };
        B.forLoop(0, B.extent(XMemory, 1), Q, {Start}, Step);
      });
}

namespace {
/// The backward kernel, in steps that follow the formulas above.
struct ScanGrad {
  ScanGrad(TileBuilder &B, const ScanGradShape &S);
  void build();

private:
  Tile loadChunk(Tile Memory, Tile Token, int64_t Columns) {
    return B.load(Memory, {Batch, Token, Head, 0}, {S.Chunk, Columns}, {1, 3});
  }
  void storeChunk(Tile Value, Tile Memory, Tile Token, bool Rotated = false) {
    if (Rotated)
      Value = rotatedBack(B, Value, Cos, Sin, Token);
    B.store(Value, Memory, {Batch, Token, Head, 0}, {1, 3});
  }
  SmallVector<Tile> chunk(Tile Token, Tile E, Tile DA);

  TileBuilder &B;
  const ScanGradShape &S;
  int64_t TileP, TileN;
  Tile Dy, C, Key, X, Dt, AMemory, States, DFinal, Cos, Sin;
  Tile DC, DKey, DX, DDt, DAMemory, DInitial;
  Tile Batch, Head, A;
};
} // namespace

ScanGrad::ScanGrad(TileBuilder &B, const ScanGradShape &S)
    : B(B), S(S), TileP(tileExtent(S.HeadSize, S.HeadSize + 15)),
      TileN(tileExtent(S.StateSize, S.StateSize + 15)) {
  int64_t H = S.Heads, P = S.HeadSize, N = S.StateSize;
  auto Tokens = [&](int64_t Width) {
    return B.memory({Dynamic, Dynamic, H, Width}, S.Element);
  };
  Dy = Tokens(P), C = Tokens(N), Key = Tokens(N), X = Tokens(P);
  Dt = B.memory({Dynamic, Dynamic, H}), AMemory = B.memory({H});
  States = B.memory({Dynamic, H, Dynamic, P, N});
  if (S.Final)
    DFinal = B.memory({Dynamic, H, P, N});
  if (S.RotatedC || S.RotatedB)
    Cos = B.memory({Dynamic, N / 2}), Sin = B.memory({Dynamic, N / 2});
  DC = Tokens(N), DKey = Tokens(N), DX = Tokens(P);
  DDt = B.memory({Dynamic, Dynamic, H}), DAMemory = B.memory({Dynamic, H});
  if (S.Initial)
    DInitial = B.memory({Dynamic, H, P, N});
  Batch = B.grid(0), Head = B.grid(1);
}

/// Everything about the chunk that starts at `Token`; returns the E and dA for
/// the chunk before it.
SmallVector<Tile> ScanGrad::chunk(Tile Token, Tile E, Tile DA) {
  int64_t Q = S.Chunk;
  ChunkDecay D = loadChunkDecay(B, S, Dt, Batch, Token, Head, A);
  Tile DyT = loadChunk(Dy, Token, TileP), CT = loadChunk(C, Token, TileN);
  Tile KeyT = loadChunk(Key, Token, TileN), XT = loadChunk(X, Token, TileP);
  Tile State = B.load(States, {Batch, Head, Token / Q, 0, 0}, {TileP, TileN});
  Tile Scaled = XT * B.asColumn(D.Steps, TileP);

  Tile L = chunkDecay(B, D.Sum);
  Tile Square = B.zeros({Q, Q});
  Tile K = L * B.mmaTransposedRight(CT, KeyT, Square);
  Tile DyX = B.mmaTransposedRight(DyT, Scaled, Square);
  Tile M = L * DyX;

  Tile FromStart = exp(D.Sum);
  Tile DCState =
      B.mma(DyT, State, B.zeros({Q, TileN})) * B.asColumn(FromStart, TileN);
  Tile DXState = B.mmaTransposedRight(KeyT, E, B.zeros({Q, TileP})) *
                 B.asColumn(D.ToEnd, TileP);
  storeChunk(B.mma(M, KeyT, DCState), DC, Token, S.RotatedC);
  Tile DKeyState =
      B.mma(Scaled, E, B.zeros({Q, TileN})) * B.asColumn(D.ToEnd, TileN);
  storeChunk(B.mmaTransposedLeft(M, CT, DKeyState), DKey, Token, S.RotatedB);
  Tile DScaled = B.mmaTransposedLeft(K, DyT, DXState);
  storeChunk(DScaled * B.asColumn(D.Steps, TileP), DX, Token);

  Tile DLog = decayGradient(B, K * DyX, B.asColumn(B.sum(CT * DCState), Q),
                            B.sum(Scaled * DXState),
                            B.sum(B.sum(E * State)) * exp(D.Last));
  B.store(DLog * A + B.sum(XT * DScaled), DDt, {Batch, Token, Head}, {1});
  Tile Before = B.mmaTransposedLeft(DyT * B.asColumn(FromStart, TileP), CT,
                                    E * exp(D.Last));
  return {Before, DA + B.sum(D.Steps * DLog)};
}

void ScanGrad::build() {
  A = B.load(AMemory, {Head});
  Tile Count = B.extent(States, 2);
  Tile E = S.Final ? B.load(DFinal, {Batch, Head, 0, 0}, {TileP, TileN})
                   : B.zeros({TileP, TileN});
  SmallVector<Tile> Results = B.forLoop(
      0, Count, 1, {E, B.number(0)}, [&](Tile I, ArrayRef<Tile> Carried) {
        return chunk((Count - 1 - I) * S.Chunk, Carried[0], Carried[1]);
      });
  B.store(Results[1], DAMemory, {Batch, Head});
  if (S.Initial)
    B.store(Results[0], DInitial, {Batch, Head, 0, 0});
}

tile::KernelOp tiling::buildScanGrad(ModuleOp Module, const ScanGradShape &S) {
  return defineKernel(Module,
                      "ssm_scan_grad" + S.name() + (S.Final ? "_final" : "") +
                          (S.RotatedC ? "_unrope_c" : "") +
                          (S.RotatedB ? "_unrope_b" : ""),
                      2, [&](TileBuilder &B) { ScanGrad(B, S).build(); });
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

static ScanGradShape shapeOf(txs::SsmScanGradOp Op) {
  auto C = cast<RankedTensorType>(Op.getC().getType());
  auto X = cast<RankedTensorType>(Op.getX().getType());
  return {X.getDimSize(2),
          X.getDimSize(3),
          C.getDimSize(3),
          scanTile(Op.getChunk()),
          Op.getInitial() != nullptr,
          Op.getDfinal() != nullptr,
          X.getElementType()};
}

void tiling::addScanGradResults(EntryBuilder &E, txs::SsmScanGradOp Op,
                                SmallVectorImpl<LaunchArgument> &Arguments) {
  FusedGroup Group = E.group(Op);
  txs::RopeOp C = rotationOf(Group, Op.getDc());
  txs::RopeOp B = rotationOf(Group, Op.getDb());
  if (txs::RopeOp Rope = C ? C : B)
    for (Value Table : {Rope.getCos(), Rope.getSin()})
      Arguments.push_back({E.read(Table), {E.seq()}});
  Value DC = C ? C.getResult() : Op.getDc(),
        DB = B ? B.getResult() : Op.getDb();
  for (Value Result : {DC, DB, Value(Op.getDx()), Value(Op.getDdt())})
    Arguments.push_back({E.write(Result), {E.batch(), E.seq()}});
}

/// The states before the chunks, in either form; returns their decays, which
/// one of them leaves.
static Buffer *launchStates(EntryBuilder &E, txs::SsmScanGradOp Op,
                            const ScanGradShape &S, const ScanForms &Forms,
                            Buffer *States) {
  AffineExpr Batch = E.batch(), Seq = E.seq(), Heads = E.constant(S.Heads);
  AffineExpr Slots = Seq.ceilDiv(S.Chunk);
  auto Read = [&](Value V) { return LaunchArgument(E.read(V), {Batch, Seq}); };
  SmallVector<LaunchArgument> Forward = {Read(Op.getB()), Read(Op.getX()),
                                         Read(Op.getDt()), E.read(Op.getA())};
  Buffer *Initial = S.Initial ? E.read(Op.getInitial()) : nullptr;
  if (Initial)
    Forward.push_back({Initial, {Batch}});
  Forward.push_back({States, {Batch, Slots}});
  SmallVector<AffineExpr> Cells = {Batch, Heads};
  if (S.Values)
    Cells.push_back(E.constant(S.parts()));
  for (ArrayRef<AffineExpr> When : Forms.Walk)
    E.launch(buildScanStates(E.module(), S), Cells, Forward, When);
  if (Forms.Parallel.empty())
    return nullptr;
  Buffer *Decays = E.temporary("ssm_scan_grad.decays", {Batch, Heads, Slots});
  launchChunkStates(E, S, Forms,
                    {E.read(Op.getX()), E.read(Op.getB()), E.read(Op.getDt()),
                     E.read(Op.getA()), States, Decays, Initial, nullptr,
                     Batch},
                    /*Gradient=*/false);
  return Decays;
}

static LogicalResult lowerSsmScanGrad(txs::SsmScanGradOp Op, EntryBuilder &E) {
  ScanGradShape S = shapeOf(Op);
  S.Values = TileSizes::of(E.module()).scanValues();
  AffineExpr Batch = E.batch(), Seq = E.seq(), Heads = E.constant(S.Heads);
  AffineExpr Slots = Seq.ceilDiv(S.Chunk);
  Buffer *States = E.temporary(
      "ssm_scan_grad.states",
      {Batch, Heads, Slots, E.constant(S.HeadSize), E.constant(S.StateSize)});
  auto Read = [&](Value V) { return LaunchArgument(E.read(V), {Batch, Seq}); };

  ScanForms Forms = scanForms(E, S);
  Buffer *Decays = launchStates(E, Op, S, Forms, States);
  FusedGroup Group = E.group(Op);
  S.RotatedC = rotationOf(Group, Op.getDc()) != nullptr;
  S.RotatedB = rotationOf(Group, Op.getDb()) != nullptr;
  if (S.Values)
    return launchScanGradChunks(E, Op, S, Forms, States, Decays), success();
  Buffer *DA = E.temporary("ssm_scan_grad.partials", {Batch, Heads});
  SmallVector<LaunchArgument> Backward = {
      Read(Op.getDy()),        Read(Op.getC()),  Read(Op.getB()),
      Read(Op.getX()),         Read(Op.getDt()), E.read(Op.getA()),
      {States, {Batch, Slots}}};
  if (S.Final)
    Backward.push_back({E.read(Op.getDfinal()), {Batch}});
  addScanGradResults(E, Op, Backward);
  Backward.push_back({DA, {Batch}});
  if (S.Initial)
    Backward.push_back({E.write(Op.getDinitial()), {Batch}});
  E.launch(buildScanGrad(E.module(), S), {Batch, Heads}, Backward);
  launchSumRows(E, DA, Batch, S.Heads, E.write(Op.getDa()));
  return success();
}

void tiling::registerSsmScanGrad(LoweringTable &Table) {
  Table.add<txs::SsmScanGradOp>(lowerSsmScanGrad);
}
