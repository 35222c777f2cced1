//===- ReferenceMixers.cpp - Scan, attention and their gradients ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Reference.h"

#include <cmath>

using namespace transxssm::txs;
using namespace transxssm::txs::reference;

//===----------------------------------------------------------------------===//
// The state-space recurrence
//===----------------------------------------------------------------------===//

/// S[b, h] = exp(dt_t A) S[b, h] + dt_t x_t (x) b_t.
static void advance(Tensor &State, const Tensor &B, const Tensor &X,
                    const Tensor &Dt, const Tensor &A, int64_t Batch, int64_t T,
                    int64_t H) {
  double Step = Dt.at(Batch, T, H), Decay = std::exp(Step * A[H]);
  for (int64_t P = 0; P < X.dim(3); ++P)
    for (int64_t N = 0; N < B.dim(3); ++N) {
      double &S = State.at(Batch, H, P, N);
      S = Decay * S + Step * X.at(Batch, T, H, P) * B.at(Batch, T, H, N);
    }
}

ScanResult reference::ssmScan(const Tensor &C, const Tensor &B, const Tensor &X,
                              const Tensor &Dt, const Tensor &A,
                              const Tensor *Initial) {
  int64_t Heads = X.dim(2), P = X.dim(3), N = B.dim(3);
  ScanResult Made{Tensor(X.shape()),
                  Initial ? *Initial : Tensor({X.dim(0), Heads, P, N})};
  for (int64_t Batch = 0; Batch < X.dim(0); ++Batch)
    for (int64_t T = 0; T < X.dim(1); ++T)
      for (int64_t H = 0; H < Heads; ++H) {
        advance(Made.Final, B, X, Dt, A, Batch, T, H);
        for (int64_t I = 0; I < P; ++I)
          for (int64_t J = 0; J < N; ++J)
            Made.Y.at(Batch, T, H, I) +=
                Made.Final.at(Batch, H, I, J) * C.at(Batch, T, H, J);
      }
  return Made;
}

namespace {

/// The gradients of one head of one sequence: forwards for the states, then
/// backwards with G, the gradient of the state. The decay's gradient is taken
/// from its definition, dlog_t = exp(dt_t A) <G_t, S_{t-1}>; the dialect's
/// documentation has the form without states, which is the same number.
class HeadGradient {
public:
  HeadGradient(ScanGradResult &Made, const Tensor &Dy, const Tensor &C,
               const Tensor &B, const Tensor &X, const Tensor &Dt,
               const Tensor &A, int64_t Batch, int64_t H)
      : Made(Made), Dy(Dy), C(C), B(B), X(X), Dt(Dt), A(A), Batch(Batch), H(H),
        Tokens(X.dim(1)), P(X.dim(3)), N(B.dim(3)) {}

  void run(const Tensor *Initial, const Tensor *Dfinal) {
    // States[t] is the state before token t.
    std::vector<Tensor> States;
    Tensor State = Initial ? *Initial : Tensor({X.dim(0), X.dim(2), P, N});
    for (int64_t T = 0; T < Tokens; ++T) {
      States.push_back(State);
      advance(State, B, X, Dt, A, Batch, T, H);
    }
    States.push_back(State);

    // G starts as the gradient of the final state.
    Tensor G = Dfinal ? *Dfinal : Tensor({X.dim(0), X.dim(2), P, N});
    for (int64_t T = Tokens; T-- > 0;)
      step(T, States[T], States[T + 1], G);
    for (int64_t I = 0; I < P; ++I)
      for (int64_t J = 0; J < N; ++J)
        Made.Dinitial.at(Batch, H, I, J) = G.at(Batch, H, I, J);
  }

private:
  /// Goes back over token T; G then is the gradient of the state before it.
  void step(int64_t T, const Tensor &Before, const Tensor &After, Tensor &G) {
    double Step = Dt.at(Batch, T, H), Decay = std::exp(Step * A[H]);
    double Dlog = 0, StepGradient = 0;
    for (int64_t I = 0; I < P; ++I)
      for (int64_t J = 0; J < N; ++J) {
        double &Gij = G.at(Batch, H, I, J);
        double Xi = X.at(Batch, T, H, I), Bj = B.at(Batch, T, H, J);
        Gij += Dy.at(Batch, T, H, I) * C.at(Batch, T, H, J);
        Made.Dc.at(Batch, T, H, J) +=
            After.at(Batch, H, I, J) * Dy.at(Batch, T, H, I);
        Made.Db.at(Batch, T, H, J) += Gij * Step * Xi;
        Made.Dx.at(Batch, T, H, I) += Gij * Step * Bj;
        StepGradient += Gij * Xi * Bj;
        Dlog += Decay * Gij * Before.at(Batch, H, I, J);
        Gij *= Decay;
      }
    Made.Ddt.at(Batch, T, H) = A[H] * Dlog + StepGradient;
    Made.Da[H] += Step * Dlog;
  }

  ScanGradResult &Made;
  const Tensor &Dy, &C, &B, &X, &Dt, &A;
  int64_t Batch, H, Tokens, P, N;
};

} // namespace

ScanGradResult reference::ssmScanGrad(const Tensor &Dy, const Tensor &C,
                                      const Tensor &B, const Tensor &X,
                                      const Tensor &Dt, const Tensor &A,
                                      const Tensor *Initial,
                                      const Tensor *Dfinal) {
  ScanGradResult Made{
      Tensor(C.shape()), Tensor(B.shape()),
      Tensor(X.shape()), Tensor(Dt.shape()),
      Tensor(A.shape()), Tensor({X.dim(0), X.dim(2), X.dim(3), B.dim(3)})};
  for (int64_t Batch = 0; Batch < X.dim(0); ++Batch)
    for (int64_t H = 0; H < X.dim(2); ++H)
      HeadGradient(Made, Dy, C, B, X, Dt, A, Batch, H).run(Initial, Dfinal);
  return Made;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

namespace {

/// What one query row makes of the keys. A row that sees no key at all (padding
/// on the left) weighs every key of the sequence so far equally.
struct Row {
  std::vector<double> Probabilities; ///< 0 where it does not see
  double LogSumExp = 0;
  bool SeesNothing = false;
};

} // namespace

static double dotOf(const Tensor &Query, const Tensor &Key, int64_t B,
                    int64_t T, int64_t H, int64_t S, int64_t G) {
  double Dot = 0;
  for (int64_t P = 0; P < Query.dim(3); ++P)
    Dot += Query.at(B, T, H, P) * Key.at(B, S, G, P);
  return Dot / std::sqrt(double(Query.dim(3)));
}

/// The softmax of query T of head H.
static Row softmaxOf(const Tensor &Query, const Tensor &Key,
                     const Tensor *KeyMask, int64_t Past, int64_t B, int64_t T,
                     int64_t H) {
  int64_t G = H / (Query.dim(2) / Key.dim(2)), Keys = Past + Query.dim(1);
  std::vector<double> Scores(Key.dim(1), -INFINITY);
  double Largest = -INFINITY, Sum = 0;
  for (int64_t S = 0; S <= Past + T; ++S) {
    if (KeyMask && KeyMask->at(B, S) == 0)
      continue;
    Scores[S] = dotOf(Query, Key, B, T, H, S, G);
    Largest = std::max(Largest, Scores[S]);
  }
  Row Made{std::vector<double>(Key.dim(1))};
  if (Largest == -INFINITY) {
    Made.SeesNothing = true;
    for (int64_t S = 0; S < Keys; ++S)
      Made.Probabilities[S] = 1.0 / Keys;
    return Made;
  }
  for (double Score : Scores)
    Sum += std::exp(Score - Largest);
  Made.LogSumExp = Largest + std::log(Sum);
  for (int64_t S = 0; S <= Past + T; ++S)
    Made.Probabilities[S] = std::exp(Scores[S] - Made.LogSumExp);
  return Made;
}

AttentionResult reference::attention(const Tensor &Query, const Tensor &Key,
                                     const Tensor &Val, const Tensor *KeyMask,
                                     int64_t Past, const DropoutMask &Dropout) {
  int64_t Heads = Query.dim(2), Group = Heads / Key.dim(2);
  AttentionResult Made{Tensor(Query.shape()),
                       Tensor({Query.dim(0), Query.dim(1), Heads})};
  for (int64_t B = 0; B < Query.dim(0); ++B)
    for (int64_t T = 0; T < Query.dim(1); ++T)
      for (int64_t H = 0; H < Heads; ++H) {
        Row Seen = softmaxOf(Query, Key, KeyMask, Past, B, T, H);
        Made.LogSumExp.at(B, T, H) = Seen.LogSumExp;
        for (int64_t S = 0; S < Key.dim(1); ++S) {
          double Weight =
              Seen.Probabilities[S] * Dropout.factor(S, T, B * Heads + H);
          for (int64_t P = 0; P < Query.dim(3); ++P)
            Made.Result.at(B, T, H, P) += Weight * Val.at(B, S, H / Group, P);
        }
      }
  return Made;
}

AttentionGradResult
reference::attentionGrad(const Tensor &Dresult, const Tensor &Query,
                         const Tensor &Key, const Tensor &Val,
                         const Tensor &Result, const Tensor &LogSumExp,
                         const Tensor *KeyMask, const DropoutMask &Dropout) {
  int64_t Heads = Query.dim(2), Group = Heads / Key.dim(2);
  int64_t Width = Query.dim(3);
  double Scale = 1 / std::sqrt(double(Width));
  AttentionGradResult Made{Tensor(Query.shape()), Tensor(Key.shape()),
                           Tensor(Val.shape())};
  for (int64_t B = 0; B < Query.dim(0); ++B)
    for (int64_t T = 0; T < Query.dim(1); ++T)
      for (int64_t H = 0; H < Heads; ++H) {
        int64_t G = H / Group;
        Row Seen = softmaxOf(Query, Key, KeyMask, 0, B, T, H);
        // Equal to the sum over s of P[t, s] times its gradient, with dropout
        // as without.
        double Delta = 0;
        for (int64_t P = 0; P < Width; ++P)
          Delta += Dresult.at(B, T, H, P) * Result.at(B, T, H, P);
        for (int64_t S = 0; S < Key.dim(1); ++S) {
          double Weight = Seen.Probabilities[S];
          double Factor = Dropout.factor(S, T, B * Heads + H);
          double Dot = 0;
          for (int64_t P = 0; P < Width; ++P) {
            Dot += Dresult.at(B, T, H, P) * Val.at(B, S, G, P);
            Made.Dvalue.at(B, S, G, P) +=
                Weight * Factor * Dresult.at(B, T, H, P);
          }
          // The equal weights of a row that sees nothing depend on no score.
          if (Seen.SeesNothing)
            continue;
          double Dscore = Weight * (Factor * Dot - Delta) * Scale;
          for (int64_t P = 0; P < Width; ++P) {
            Made.Dquery.at(B, T, H, P) += Dscore * Key.at(B, S, G, P);
            Made.Dkey.at(B, S, G, P) += Dscore * Query.at(B, T, H, P);
          }
        }
      }
  return Made;
}

Tensor reference::cacheAppend(const Tensor &Cache, const Tensor &Tokens,
                              int64_t Past) {
  Tensor Result = Cache;
  int64_t Capacity = Cache.dim(1), Count = Tokens.dim(1);
  int64_t Rows = Tokens.dim(0) * Count;
  int64_t Width = Rows ? Tokens.size() / Rows : 0;
  for (int64_t B = 0; B < Tokens.dim(0); ++B)
    for (int64_t T = 0; T < Count; ++T)
      for (int64_t I = 0; I < Width; ++I)
        Result.row(B * Capacity + Past + T, Width)[I] =
            Tokens.row(B * Count + T, Width)[I];
  return Result;
}
