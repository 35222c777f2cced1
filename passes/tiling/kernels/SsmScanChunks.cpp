//===- SsmScanChunks.cpp - The scan with its chunks side by side ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The formulas of SsmScan.cpp for GPUs where there are so few sequences and
// heads that cells which walk all chunks would leave most multiprocessors idle.
// Then the chunks are cells as well ("state passing", Dao and Gu, arXiv
// 2405.21060, section 6), with S_k the state before chunk k:
//
//   1. D_k = sum_j exp(z - a_j) (dt_j x_j) (x) b_j     a cell for each chunk
//   2. S_{k+1} = exp(z_k) S_k + D_k                    a cell for some rows of
//                                                      S; S_k replaces D_k
//   3. Y = (L o C B^T) (dt X) + diag(exp(a)) C S_k^T   a cell for each chunk
//
// The gradient of the scan starts with 1 and 2 as well, and then makes the
// gradients of the states with D_k = (exp(a) o dY)^T C, from the last chunk to
// the first one.
//
// It moves every state four times, so where sequences and heads alone fill a
// device the cells walk the chunks. Which form runs depends on sizes only, and
// each adds up in a fixed order; between them results differ by rounding.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

/// Chunks below which walking them is as fast as three launches.
static constexpr int64_t FewestChunks = 4;
/// Rows of the state that a cell of the second step takes, and chunks whose
/// states it loads at once.
static constexpr int64_t PassRows = 8, PassChunks = 8;

ScanForms tiling::scanForms(EntryBuilder &E, const ScanGradShape &S,
                            ArrayRef<AffineExpr> Always) {
  ScanForms Forms;
  Forms.Batch = E.batch();
  Forms.Walk.emplace_back(Always);
  TileSizes Sizes = TileSizes::of(E.module());
  int64_t Cells = S.Values ? S.Heads * S.parts() : 0;
  if (!Cells || Cells >= Sizes.multiprocessors())
    return Forms;
  // More sequences than Most fill the device; their states need no memory.
  int64_t Most = (Sizes.multiprocessors() - 1) / Cells;
  int64_t Tokens = (FewestChunks - 1) * S.Chunk + 1;
  AffineExpr Batch = E.batch(), Seq = E.seq();
  Forms.Batch = Batch % (Most + 1);
  Forms.Parallel.assign(Always.begin(), Always.end());
  Forms.Parallel.append({Most - Batch, Seq - Tokens});
  Forms.Walk.emplace_back(Always);
  Forms.Walk[0].push_back(Batch - (Most + 1));
  Forms.Walk[1].append({Most - Batch, Tokens - 1 - Seq});
  return Forms;
}

/// Step 1. `Gradient`: of the gradients of the states, which need no decays.
static tile::KernelOp buildChunkStates(ModuleOp Module, const ScanGradShape &S,
                                       bool Gradient) {
  ScanGradShape Named = S;
  Named.Initial = false; // it does not see any
  std::string Kind = Gradient ? "ssm_chunk_grad_states" : "ssm_chunk_states";
  return defineKernel(Module, Kind + Named.name(), 3, [&](TileBuilder &B) {
    int64_t H = S.Heads, P = S.HeadSize, N = S.StateSize, Q = S.Chunk;
    Tile Rows = B.memory({Dynamic, Dynamic, H, P}, S.Element);
    Tile Columns = B.memory({Dynamic, Dynamic, H, N}, S.Element);
    Tile Dt = B.memory({Dynamic, Dynamic, H}), AMemory = B.memory({H});
    Tile States = B.memory({Dynamic, H, Dynamic, P, N});
    Tile Decays = Gradient ? Tile() : B.memory({Dynamic, H, Dynamic});

    int64_t TileP = S.tileP(), TileN = tileExtent(N, N + 15);
    Tile Batch = B.grid(0), Head = B.grid(1) / S.parts(), Chunk = B.grid(2);
    Tile Part = B.grid(1) % S.parts(), Value = Part * TileP, Token = Chunk * Q;
    ChunkDecay D =
        loadChunkDecay(B, S, Dt, Batch, Token, Head, B.load(AMemory, {Head}));
    Tile Left = B.load(Rows, {Batch, Token, Head, Value}, {Q, TileP}, {1, 3});
    Tile Right = B.load(Columns, {Batch, Token, Head, 0}, {Q, TileN}, {1, 3});
    Tile Factor = Gradient ? exp(D.Sum) : D.Steps * D.ToEnd;
    Tile Added = B.mmaTransposedLeft(Left * B.asColumn(Factor, TileP), Right,
                                     B.zeros({TileP, TileN}));
    B.store(Added, States, {Batch, Head, Chunk, Value, 0});
    if (Gradient)
      return;
    auto Store = [&] { B.store(D.Last, Decays, {Batch, Head, Chunk}); };
    if (S.parts() == 1)
      Store();
    else
      B.ifThen(equal(Part, 0), Store);
  });
}

namespace {
/// Where the second step begins and ends: nowhere, in two memories or in one.
enum class StateEnds { None, Start, End, Both, InPlace };
} // namespace

static StateEnds stateEnds(const Buffer *Start, const Buffer *End) {
  if (Start && Start == End)
    return StateEnds::InPlace;
  if (Start)
    return End ? StateEnds::Both : StateEnds::Start;
  return End ? StateEnds::End : StateEnds::None;
}

/// Step 2, backwards for gradients.
static tile::KernelOp buildStatePass(ModuleOp Module, const ScanGradShape &S,
                                     StateEnds Ends, bool Backwards) {
  static const char *const Suffixes[] = {"", "_start", "_end", "_start_end",
                                         "_inplace"};
  std::string Name =
      "ssm_state_pass_h" + std::to_string(S.Heads) + "_p" +
      std::to_string(S.HeadSize) + "_n" + std::to_string(S.StateSize) +
      (Backwards ? "_backwards" : "") + Suffixes[static_cast<int>(Ends)];
  return defineKernel(Module, Name, 3, [&](TileBuilder &B) {
    int64_t H = S.Heads, P = S.HeadSize, N = S.StateSize;
    int64_t TileN = tileExtent(N, N + 15);
    Tile Decays = B.memory({Dynamic, H, Dynamic});
    Tile States = B.memory({Dynamic, H, Dynamic, P, N}), Start, End;
    auto Memory = [&] { return B.memory({Dynamic, H, P, N}); };
    if (Ends != StateEnds::None && Ends != StateEnds::End)
      Start = Memory();
    if (Ends == StateEnds::End || Ends == StateEnds::Both)
      End = Memory();
    if (Ends == StateEnds::InPlace)
      End = Start;

    Tile Batch = B.grid(0), Head = B.grid(1), Row = B.grid(2) * PassRows;
    Tile First = Start ? B.load(Start, {Batch, Head, Row, 0}, {PassRows, TileN})
                       : B.zeros({PassRows, TileN});
    // `Number` chunks in order, the first of them in memory being Base.
    auto Pass = [&](Tile Base, int64_t Number, Tile State) {
      SmallVector<Tile> Chunks, Factors, Added;
      for (int64_t I = 0; I < Number; ++I) {
        Tile Chunk = Base + (Backwards ? Number - 1 - I : I);
        Chunks.push_back(Chunk);
        Factors.push_back(exp(B.load(Decays, {Batch, Head, Chunk})));
        Added.push_back(
            B.load(States, {Batch, Head, Chunk, Row, 0}, {PassRows, TileN}));
      }
      for (int64_t I = 0; I < Number; ++I) {
        B.store(State, States, {Batch, Head, Chunks[I], Row, 0});
        State = State * Factors[I] + Added[I];
      }
      return SmallVector<Tile>{State};
    };
    Tile Count = B.extent(States, 2), Whole = Count / PassChunks * PassChunks;
    auto Groups = [&](Tile I, ArrayRef<Tile> Carried) {
      return Pass(Backwards ? Whole - PassChunks - I : I, PassChunks,
                  Carried[0]);
    };
    auto Rest = [&](Tile I, ArrayRef<Tile> Carried) {
      return Pass(Backwards ? Count - 1 - I : Whole + I, 1, Carried[0]);
    };
    Tile Last = First;
    if (Backwards)
      Last = B.forLoop(0, Count - Whole, 1, {Last}, Rest)[0];
    Last = B.forLoop(0, Whole, PassChunks, {Last}, Groups)[0];
    if (!Backwards)
      Last = B.forLoop(0, Count - Whole, 1, {Last}, Rest)[0];
    if (End)
      B.store(Last, End, {Batch, Head, Row, 0});
  });
}

/// Step 3.
static tile::KernelOp buildChunkOutputs(ModuleOp Module,
                                        const ScanGradShape &S) {
  ScanGradShape Named = S;
  Named.Initial = false;
  return defineKernel(
      Module, "ssm_chunk_outputs" + Named.name(), 3, [&](TileBuilder &B) {
        int64_t H = S.Heads, P = S.HeadSize, N = S.StateSize, Q = S.Chunk;
        Tile C = B.memory({Dynamic, Dynamic, H, N}, S.Element);
        Tile Key = B.memory({Dynamic, Dynamic, H, N}, S.Element);
        Tile X = B.memory({Dynamic, Dynamic, H, P}, S.Element);
        Tile Dt = B.memory({Dynamic, Dynamic, H}), AMemory = B.memory({H});
        Tile States = B.memory({Dynamic, H, Dynamic, P, N});
        Tile Y = B.memory({Dynamic, Dynamic, H, P}, S.Element);

        int64_t TileP = S.tileP(), TileN = tileExtent(N, N + 15);
        Tile Batch = B.grid(0), Head = B.grid(1) / S.parts(), Chunk = B.grid(2);
        Tile Value = B.grid(1) % S.parts() * TileP, Token = Chunk * Q;
        ChunkDecay D = loadChunkDecay(B, S, Dt, Batch, Token, Head,
                                      B.load(AMemory, {Head}));
        auto Load = [&](Tile Memory, Tile Column, int64_t Columns) {
          return B.load(Memory, {Batch, Token, Head, Column}, {Q, Columns},
                        {1, 3});
        };
        Tile CT = Load(C, B.index(0), TileN), KT = Load(Key, B.index(0), TileN);
        Tile State =
            B.load(States, {Batch, Head, Chunk, Value, 0}, {TileP, TileN});
        Tile Before = B.mmaTransposedRight(CT, State, B.zeros({Q, TileP})) *
                      B.asColumn(exp(D.Sum), TileP);
        Tile Weights = B.mmaTransposedRight(CT, KT, B.zeros({Q, Q}));
        Tile Scaled = Load(X, Value, TileP) * B.asColumn(D.Steps, TileP);
        Tile Result = B.mma(Weights * chunkDecay(B, D.Sum), Scaled, Before);
        B.store(Result, Y, {Batch, Token, Head, Value}, {1, 3});
      });
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

void tiling::launchChunkStates(EntryBuilder &E, const ScanGradShape &S,
                               const ScanForms &Forms, ChunkStates Operands,
                               bool Gradient) {
  AffineExpr Heads = E.constant(S.Heads), Slots = E.seq().ceilDiv(S.Chunk);
  SmallVector<AffineExpr> Tokens = {E.batch(), E.seq()};
  LaunchArgument States(Operands.States, {Operands.Sequences, Slots});
  LaunchArgument Decays(Operands.Decays, {Operands.Sequences, Slots});
  SmallVector<LaunchArgument> Add = {{Operands.Rows, Tokens},
                                     {Operands.Columns, Tokens},
                                     {Operands.Dt, Tokens},
                                     Operands.A,
                                     States};
  if (!Gradient)
    Add.push_back(Decays);
  E.launch(buildChunkStates(E.module(), S, Gradient),
           {E.batch(), E.constant(S.Heads * S.parts()), Slots}, Add,
           Forms.Parallel);

  SmallVector<LaunchArgument> Pass = {Decays, States};
  if (Operands.Start)
    Pass.push_back({Operands.Start, {E.batch()}});
  if (Operands.End && Operands.End != Operands.Start)
    Pass.push_back({Operands.End, {E.batch()}});
  E.launch(
      buildStatePass(E.module(), S, stateEnds(Operands.Start, Operands.End),
                     Gradient),
      {E.batch(), Heads, E.constant(llvm::divideCeil(S.HeadSize, PassRows))},
      Pass, Forms.Parallel);
}

void tiling::launchScanChunks(EntryBuilder &E, txs::SsmScanOp Op,
                              const ScanGradShape &S, const ScanForms &Forms,
                              Buffer *Initial, Buffer *Final) {
  AffineExpr Heads = E.constant(S.Heads), Slots = E.seq().ceilDiv(S.Chunk);
  Buffer *States = E.temporary("ssm_scan.states", {Forms.Batch, Heads, Slots,
                                                   E.constant(S.HeadSize),
                                                   E.constant(S.StateSize)});
  Buffer *Decays = E.temporary("ssm_scan.decays", {Forms.Batch, Heads, Slots});
  launchChunkStates(E, S, Forms,
                    {E.read(Op.getX()), E.read(Op.getB()), E.read(Op.getDt()),
                     E.read(Op.getA()), States, Decays, Initial, Final,
                     Forms.Batch},
                    /*Gradient=*/false);
  SmallVector<LaunchArgument> Outputs;
  for (Value V : {Op.getC(), Op.getB(), Op.getX(), Op.getDt()})
    Outputs.push_back({E.read(V), {E.batch(), E.seq()}});
  Outputs.push_back({E.read(Op.getA())});
  Outputs.push_back({States, {Forms.Batch, Slots}});
  Outputs.push_back({E.read(Op.getY()), {E.batch(), E.seq()}});
  E.launch(buildChunkOutputs(E.module(), S),
           {E.batch(), E.constant(S.Heads * S.parts()), Slots}, Outputs,
           Forms.Parallel);
}
