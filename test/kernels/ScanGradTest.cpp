//===- ScanGradTest.cpp - Gradients of the scan ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The chunked kernels against the recurrence, token by token.
//
//===----------------------------------------------------------------------===//

#include "test/kernels/GradientKernelTest.h"

using namespace transxssm;
using namespace transxssm::tiling;

namespace {

struct Scan {
  int64_t Batch, Length;
  ScanGradShape S;
  Floats Dy, C, B, X, Dt, A, Initial, DFinal;
};

struct ScanResults {
  Doubles DC, DB, DX, DDt, DA, DInitial;
};

/// The formulas of txs.ssm_scan_grad for one sequence and head.
void scanGradOf(const Scan &In, int64_t Sequence, int64_t Head,
                ScanResults &Out) {
  int64_t T = In.Length, H = In.S.Heads, P = In.S.HeadSize, N = In.S.StateSize;
  auto Token = [&](int64_t t) { return (Sequence * T + t) * H + Head; };
  int64_t StateAt = (Sequence * H + Head) * P * N;
  double A = In.A[Head];
  std::vector<Doubles> S(T + 1, Doubles(P * N, 0));
  if (In.S.Initial)
    S[0].assign(&In.Initial[StateAt], &In.Initial[StateAt] + P * N);
  for (int64_t t = 0; t < T; ++t)
    for (int64_t p = 0; p < P; ++p)
      for (int64_t n = 0; n < N; ++n)
        S[t + 1][p * N + n] = std::exp(In.Dt[Token(t)] * A) * S[t][p * N + n] +
                              double(In.Dt[Token(t)]) * In.X[Token(t) * P + p] *
                                  In.B[Token(t) * N + n];
  Doubles G(P * N, 0);
  double DLog = 0;
  if (In.S.Final) {
    G.assign(&In.DFinal[StateAt], &In.DFinal[StateAt] + P * N);
    for (int64_t I = 0; I < P * N; ++I)
      DLog += G[I] * S[T][I];
  }
  for (int64_t t = T - 1; t >= 0; --t) {
    const float *dy = &In.Dy[Token(t) * P], *x = &In.X[Token(t) * P];
    const float *c = &In.C[Token(t) * N], *b = &In.B[Token(t) * N];
    double Dt = In.Dt[Token(t)], XDx = 0;
    for (int64_t p = 0; p < P; ++p) {
      double DScaled = 0;
      for (int64_t n = 0; n < N; ++n) {
        double &g = G[p * N + n], s = S[t + 1][p * N + n];
        g += double(dy[p]) * c[n];
        Out.DC[Token(t) * N + n] += s * dy[p];
        Out.DB[Token(t) * N + n] += g * Dt * x[p];
        DScaled += g * b[n];
        DLog += dy[p] * s * c[n];
      }
      Out.DX[Token(t) * P + p] = Dt * DScaled;
      DLog -= Dt * x[p] * DScaled;
      XDx += x[p] * DScaled;
    }
    Out.DDt[Token(t)] = A * DLog + XDx;
    Out.DA[Sequence * H + Head] += Dt * DLog;
    for (double &g : G)
      g *= std::exp(Dt * A);
  }
  if (In.S.Initial)
    std::copy(G.begin(), G.end(), &Out.DInitial[StateAt]);
}

/// [B, Slots, H] to [B, H].
Floats sumOfChunks(const Floats &Parts, int64_t B, int64_t Slots, int64_t H) {
  Floats Sums(B * H);
  for (int64_t I = 0; I < B * Slots * H; ++I)
    Sums[I / (Slots * H) * H + I % H] += Parts[I];
  return Sums;
}

class ScanGradTest : public GradientKernelTest {
protected:
  Scan make(int64_t Batch, int64_t Length, ScanGradShape S) {
    int64_t Tokens = Batch * Length * S.Heads;
    int64_t States = Batch * S.Heads * S.HeadSize * S.StateSize;
    Scan In{Batch, Length, S, {}, {}, {}, {}, {}, {}, {}, {}};
    In.Dy = random(Tokens * S.HeadSize), In.X = random(Tokens * S.HeadSize);
    In.C = random(Tokens * S.StateSize), In.B = random(Tokens * S.StateSize);
    In.Dt = random(Tokens, 0.2, 0.5), In.A = random(S.Heads, 0.3, -1);
    for (float &Dt : In.Dt)
      Dt = std::abs(Dt);
    In.Initial = random(S.Initial ? States : 0);
    In.DFinal = random(S.Final ? States : 0);
    return In;
  }

  void check(const Scan &In) {
    const ScanGradShape &S = In.S;
    int64_t B = In.Batch, T = In.Length, H = S.Heads;
    int64_t Slots = ceilDiv(T, S.Chunk);
    size_t StateSize = B * H * S.HeadSize * S.StateSize;
    Floats States = unset(StateSize * Slots);
    std::vector<Memory> Memories = {In.B, In.X, In.Dt, In.A};
    std::vector<int64_t> Sizes = {B, T, B, T, B, T};
    if (S.Initial)
      Memories.push_back(In.Initial), Sizes.push_back(B);
    Memories.push_back(States), Sizes.insert(Sizes.end(), {B, Slots});
    std::vector<int64_t> Grid = {B, H};
    if (S.Values)
      Grid.push_back(ceilDiv(S.HeadSize, S.Values));
    run(buildScanStates(module(), S), Memories, Sizes, Grid);

    Floats DC = unset(In.C.size()), DB = unset(In.B.size());
    Floats DX = unset(In.X.size()), DDt = unset(In.Dt.size());
    Floats DA = unset(B * H * (S.Values ? Slots : 1));
    Floats DInitial = unset(S.Initial ? StateSize : 0);
    Floats DStates = unset(S.Values ? StateSize * Slots : 0);
    if (S.Values) {
      Memories = {In.Dy, In.C, In.Dt, In.A};
      Sizes = {B, T, B, T, B, T};
      if (S.Final)
        Memories.push_back(In.DFinal), Sizes.push_back(B);
      Memories.push_back(DStates), Sizes.insert(Sizes.end(), {B, Slots});
      if (S.Initial)
        Memories.push_back(DInitial), Sizes.push_back(B);
      run(buildScanGradStates(module(), S), Memories, Sizes, Grid);
    }
    Memories = {In.Dy, In.C, In.B, In.X, In.Dt, In.A, States};
    Sizes = {B, T, B, T, B, T, B, T, B, T, B, Slots};
    if (S.Values)
      Memories.push_back(DStates), Sizes.insert(Sizes.end(), {B, Slots});
    else if (S.Final)
      Memories.push_back(In.DFinal), Sizes.push_back(B);
    for (Floats *Result : {&DC, &DB, &DX, &DDt, &DA})
      Memories.push_back(*Result);
    Sizes.insert(Sizes.end(), {B, T, B, T, B, T, B, T, B});
    if (S.Values) {
      Sizes.push_back(Slots);
      run(buildScanGradChunk(module(), S), Memories, Sizes, {B, H, Slots});
      DA = sumOfChunks(DA, B, Slots, H);
    } else {
      if (S.Initial)
        Memories.push_back(DInitial), Sizes.push_back(B);
      run(buildScanGrad(module(), S), Memories, Sizes, {B, H});
    }

    ScanResults Want{Doubles(DC.size()), Doubles(DB.size()),
                     Doubles(DX.size()), Doubles(DDt.size()),
                     Doubles(DA.size()), Doubles(DInitial.size())};
    for (int64_t Sequence = 0; Sequence < B; ++Sequence)
      for (int64_t Head = 0; Head < H; ++Head)
        scanGradOf(In, Sequence, Head, Want);
    std::string At = " for " + std::to_string(T) + " tokens";
    expectClose(DC, Want.DC, "dc" + At);
    expectClose(DB, Want.DB, "db" + At);
    expectClose(DX, Want.DX, "dx" + At);
    expectClose(DDt, Want.DDt, "ddt" + At);
    expectClose(DA, Want.DA, "da" + At);
    expectClose(DInitial, Want.DInitial, "dinitial" + At);
  }
};

TEST_F(ScanGradTest, AnyLength) {
  for (int64_t Length : {1, 15, 16, 17, 53})
    check(make(2, Length, {3, 16, 16, 16, false, false}));
}

TEST_F(ScanGradTest, InitialAndFinalState) {
  for (int64_t Length : {1, 17, 40})
    for (bool Initial : {false, true})
      check(make(1, Length, {2, 16, 16, 16, Initial, true}));
}

TEST_F(ScanGradTest, OddWidths) {
  check(make(1, 35, {2, 12, 20, 32, true, true}));
}

TEST_F(ScanGradTest, LongestChunk) {
  check(make(1, 130, {1, 32, 32, 64, false, false}));
}

/// A cell for each chunk, some values of a head at a time: one step, two steps,
/// and a last one that reaches beyond the head.
TEST_F(ScanGradTest, CellsOfChunks) {
  for (int64_t Length : {1, 16, 17, 53})
    for (int64_t HeadSize : {16, 32, 40})
      check(make(2, Length,
                 {3,
                  HeadSize,
                  16,
                  16,
                  Length == 17,
                  Length != 16,
                  {},
                  false,
                  false,
                  32}));
}

/// A decay so fast that exp(a_i - a_j) above the diagonal would overflow.
TEST_F(ScanGradTest, FastDecay) {
  Scan In = make(1, 50, {1, 16, 16, 32, true, true});
  In.A = {-40};
  check(In);
  In.S.Values = 32;
  check(In);
}

} // namespace
