//===- SsmScanGradChunks.cpp - The scan's gradient, a cell per chunk ------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The formulas of SsmScanGrad.cpp, for GPUs: instead of one cell that walks all
// chunks of a head backwards with the gradient E of the state in its registers,
//
//   1. cells that take some values (rows of E) of a head each walk the chunks
//      backwards, E before the chunk = exp(z) E + (exp(a) o dY)^T C, and store
//      E after every chunk;
//   2. a cell for each chunk makes its gradients from the stored states and E.
//      It adds up over the values what is no sum over one of them alone:
//
//        dY X~^T,  dY S,  X~ E,  <E, S>,  v_j,  x_t . dx~_t
//
//      so that no tile is as large as a state. It takes half as many values
//      at a time: what it adds up lies in registers, beside parts of two
//      states.
//
// The number of cells is that of chunks, not of heads, and sums over values
// have a fixed order, so results do not depend on how cells are run.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

tile::KernelOp tiling::buildScanGradStates(ModuleOp Module,
                                           const ScanGradShape &S) {
  return defineKernel(
      Module, "ssm_scan_grad_states" + S.name() + (S.Final ? "_final" : ""), 3,
      [&](TileBuilder &B) {
        int64_t H = S.Heads, P = S.HeadSize, N = S.StateSize, Q = S.Chunk;
        Tile Dy = B.memory({Dynamic, Dynamic, H, P}, S.Element);
        Tile C = B.memory({Dynamic, Dynamic, H, N}, S.Element);
        Tile Dt = B.memory({Dynamic, Dynamic, H}), AMemory = B.memory({H});
        Tile DFinal = S.Final ? B.memory({Dynamic, H, P, N}) : Tile();
        Tile DStates = B.memory({Dynamic, H, Dynamic, P, N});
        Tile DInitial = S.Initial ? B.memory({Dynamic, H, P, N}) : Tile();

        int64_t TileP = S.tileP(), TileN = tileExtent(N, N + 15);
        Tile Batch = B.grid(0), Head = B.grid(1), Value = B.grid(2) * TileP;
        Tile A = B.load(AMemory, {Head}), Count = B.extent(DStates, 2);
        Tile End = S.Final
                       ? B.load(DFinal, {Batch, Head, Value, 0}, {TileP, TileN})
                       : B.zeros({TileP, TileN});
        Tile Start =
            B.forLoop(0, Count, 1, {End}, [&](Tile I, ArrayRef<Tile> Carried) {
              Tile Chunk = Count - 1 - I, Token = Chunk * Q;
              Tile E = Carried[0];
              B.store(E, DStates, {Batch, Head, Chunk, Value, 0});
              ChunkDecay D = loadChunkDecay(B, S, Dt, Batch, Token, Head, A);
              Tile DyT =
                  B.load(Dy, {Batch, Token, Head, Value}, {Q, TileP}, {1, 3});
              Tile CT = B.load(C, {Batch, Token, Head, 0}, {Q, TileN}, {1, 3});
              return SmallVector<Tile>{B.mmaTransposedLeft(
                  DyT * B.asColumn(exp(D.Sum), TileP), CT, E * exp(D.Last))};
            })[0];
        if (S.Initial)
          B.store(Start, DInitial, {Batch, Head, Value, 0});
      });
}

namespace {
/// The second kernel.
struct ScanGradChunk {
  ScanGradChunk(TileBuilder &B, const ScanGradShape &S);
  void build();

private:
  /// What is added up over the values of the head.
  struct Sums {
    Tile DyX, DC, DKey;     ///< dY X~^T, dY S, X~ E
    Tile FromInputs, XByDx; ///< v_j, x_t . dx~_t
    Tile States;            ///< <E, S>

    SmallVector<Tile> list() const {
      return {DyX, DC, DKey, FromInputs, XByDx, States};
    }
    static Sums of(ArrayRef<Tile> L) {
      return {L[0], L[1], L[2], L[3], L[4], L[5]};
    }
  };

  Tile load(Tile Memory, Tile Column, int64_t Columns) {
    return B.load(Memory, {Batch, Token, Head, Column}, {S.Chunk, Columns},
                  {1, 3});
  }
  void store(Tile Value, Tile Memory, Tile Column) {
    B.store(Value, Memory, {Batch, Token, Head, Column}, {1, 3});
  }
  Sums addValues(Tile Value, Sums Old, Tile K);
  void storeRotated(Tile Value, Tile Memory, bool Rotated);

  TileBuilder &B;
  const ScanGradShape &S;
  int64_t TileP, TileN;
  Tile Dy, C, Key, X, Dt, AMemory, States, DStates, Cos, Sin;
  Tile DC, DKey, DX, DDt, DA;
  Tile Batch, Head, Chunk, Token;
  ChunkDecay D;
};
} // namespace

ScanGradChunk::ScanGradChunk(TileBuilder &B, const ScanGradShape &S)
    : B(B), S(S), TileP(tileExtent(S.HeadSize, S.Values / 2)),
      TileN(tileExtent(S.StateSize, S.StateSize + 15)) {
  int64_t H = S.Heads, P = S.HeadSize, N = S.StateSize;
  auto Tokens = [&](int64_t Width) {
    return B.memory({Dynamic, Dynamic, H, Width}, S.Element);
  };
  Dy = Tokens(P), C = Tokens(N), Key = Tokens(N), X = Tokens(P);
  Dt = B.memory({Dynamic, Dynamic, H}), AMemory = B.memory({H});
  States = B.memory({Dynamic, H, Dynamic, P, N});
  DStates = B.memory({Dynamic, H, Dynamic, P, N});
  if (S.RotatedC || S.RotatedB)
    Cos = B.memory({Dynamic, N / 2}), Sin = B.memory({Dynamic, N / 2});
  DC = Tokens(N), DKey = Tokens(N), DX = Tokens(P);
  DDt = B.memory({Dynamic, Dynamic, H}), DA = B.memory({Dynamic, Dynamic, H});
  Batch = B.grid(0), Head = B.grid(1), Chunk = B.grid(2);
  Token = Chunk * S.Chunk;
}

/// Everything about the values from `Value` on; K = L o (C B^T).
ScanGradChunk::Sums ScanGradChunk::addValues(Tile Value, Sums Old, Tile K) {
  int64_t Q = S.Chunk;
  Tile State = B.load(States, {Batch, Head, Chunk, Value, 0}, {TileP, TileN});
  Tile E = B.load(DStates, {Batch, Head, Chunk, Value, 0}, {TileP, TileN});
  Tile DyT = load(Dy, Value, TileP), XT = load(X, Value, TileP);
  Tile KeyT = load(Key, B.index(0), TileN);
  Tile Scaled = XT * B.asColumn(D.Steps, TileP);
  Sums New;
  New.States = Old.States + B.sum(B.sum(E * State));
  New.DC = B.mma(DyT, State, Old.DC);
  New.DKey = B.mma(Scaled, E, Old.DKey);
  Tile DXState = B.mmaTransposedRight(KeyT, E, B.zeros({Q, TileP})) *
                 B.asColumn(D.ToEnd, TileP);
  New.FromInputs = Old.FromInputs + B.sum(Scaled * DXState);
  New.DyX = B.mmaTransposedRight(DyT, Scaled, Old.DyX);
  Tile DScaled = B.mmaTransposedLeft(K, DyT, DXState);
  New.XByDx = Old.XByDx + B.sum(XT * DScaled);
  store(DScaled * B.asColumn(D.Steps, TileP), DX, Value);
  return New;
}

/// A gradient of what the rotary embedding made is rotated back.
void ScanGradChunk::storeRotated(Tile Value, Tile Memory, bool Rotated) {
  if (Rotated)
    Value = rotatedBack(B, Value, Cos, Sin, Token);
  store(Value, Memory, B.index(0));
}

void ScanGradChunk::build() {
  int64_t Q = S.Chunk;
  Tile A = B.load(AMemory, {Head}), Zero = B.index(0);
  D = loadChunkDecay(B, S, Dt, Batch, Token, Head, A);
  Tile Square = B.zeros({Q, Q}), Wide = B.zeros({Q, TileN});
  Tile K = chunkDecay(B, D.Sum) * B.mmaTransposedRight(load(C, Zero, TileN),
                                                       load(Key, Zero, TileN),
                                                       Square);
  Sums Start = {Square, Wide, Wide, B.zeros({Q}), B.zeros({Q}), B.number(0)};
  Sums Total = Start;
  if (S.HeadSize <= TileP)
    Total = addValues(Zero, Start, K);
  else
    Total = Sums::of(
        B.forLoop(0, S.HeadSize, TileP, Start.list(),
                  [&](Tile Value, ArrayRef<Tile> Carried) {
                    return addValues(Value, Sums::of(Carried), K).list();
                  }));

  Tile CT = load(C, Zero, TileN);
  Tile M = chunkDecay(B, D.Sum) * Total.DyX;
  Tile DCState = Total.DC * B.asColumn(exp(D.Sum), TileN);
  Tile FromOutputs = B.asColumn(B.sum(CT * DCState), Q);
  storeRotated(B.mma(M, load(Key, Zero, TileN), DCState), DC, S.RotatedC);
  storeRotated(
      B.mmaTransposedLeft(M, CT, Total.DKey * B.asColumn(D.ToEnd, TileN)), DKey,
      S.RotatedB);

  Tile DLog = decayGradient(B, K * Total.DyX, FromOutputs, Total.FromInputs,
                            Total.States * exp(D.Last));
  B.store(DLog * A + Total.XByDx, DDt, {Batch, Token, Head}, {1});
  B.store(B.sum(D.Steps * DLog), DA, {Batch, Chunk, Head});
}

tile::KernelOp tiling::buildScanGradChunk(ModuleOp Module,
                                          const ScanGradShape &S) {
  ScanGradShape Named = S;
  Named.Initial = false; // it does not see any
  return defineKernel(Module,
                      "ssm_scan_grad_chunk" + Named.name() +
                          (S.RotatedC ? "_unrope_c" : "") +
                          (S.RotatedB ? "_unrope_b" : ""),
                      3, [&](TileBuilder &B) { ScanGradChunk(B, S).build(); });
}

void tiling::launchScanGradChunks(EntryBuilder &E, txs::SsmScanGradOp Op,
                                  const ScanGradShape &S,
                                  const ScanForms &Forms, Buffer *States,
                                  Buffer *Decays) {
  AffineExpr Batch = E.batch(), Seq = E.seq(), Heads = E.constant(S.Heads);
  AffineExpr Slots = Seq.ceilDiv(S.Chunk);
  Buffer *DStates = E.temporary(
      "ssm_scan_grad.dstates",
      {Batch, Heads, Slots, E.constant(S.HeadSize), E.constant(S.StateSize)});
  Buffer *DA = E.temporary("ssm_scan_grad.partials", {Batch, Slots, Heads});
  auto Read = [&](Value V) { return LaunchArgument(E.read(V), {Batch, Seq}); };

  SmallVector<LaunchArgument> Walk = {Read(Op.getDy()), Read(Op.getC()),
                                      Read(Op.getDt()), E.read(Op.getA())};
  Buffer *Last = S.Final ? E.read(Op.getDfinal()) : nullptr;
  Buffer *First = S.Initial ? E.write(Op.getDinitial()) : nullptr;
  if (Last)
    Walk.push_back({Last, {Batch}});
  Walk.push_back({DStates, {Batch, Slots}});
  if (First)
    Walk.push_back({First, {Batch}});
  for (ArrayRef<AffineExpr> When : Forms.Walk)
    E.launch(buildScanGradStates(E.module(), S),
             {Batch, Heads, E.constant(S.parts())}, Walk, When);
  if (!Forms.Parallel.empty())
    launchChunkStates(E, S, Forms,
                      {E.read(Op.getDy()), E.read(Op.getC()),
                       E.read(Op.getDt()), E.read(Op.getA()), DStates, Decays,
                       Last, First, Batch},
                      /*Gradient=*/true);

  SmallVector<LaunchArgument> Chunk = {
      Read(Op.getDy()),         Read(Op.getC()),          Read(Op.getB()),
      Read(Op.getX()),          Read(Op.getDt()),         E.read(Op.getA()),
      {States, {Batch, Slots}}, {DStates, {Batch, Slots}}};
  addScanGradResults(E, Op, Chunk);
  Chunk.push_back({DA, {Batch, Slots}});
  E.launch(buildScanGradChunk(E.module(), S), {Batch, Heads, Slots}, Chunk);
  launchSumRows(E, DA, Batch * Slots, S.Heads, E.write(Op.getDa()));
}
