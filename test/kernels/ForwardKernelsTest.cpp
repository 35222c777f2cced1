//===- ForwardKernelsTest.cpp - The forward kernels against plain loops ---===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every operation is lowered and run by itself, over sizes on both sides of
// every tile boundary, and compared with loops in double precision.
//
//===----------------------------------------------------------------------===//

#include "test/kernels/PlanRunner.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"
#include <cmath>
#include <functional>
#include <numeric>

using namespace transxssm::test;
using llvm::formatv;

namespace {

using Vector = std::vector<double>;

constexpr double Tolerance = 2e-6;

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

TEST(ForwardKernels, Embedding) {
  PlanRunner Runner(R"mlir(
    func.func @f(%ids: tensor<?x?xi32> {txs.input = "ids"},
                 %w: tensor<97x64xf32> {txs.input = "w"})
        -> (tensor<?x?x64xf32> {txs.output = "y"}) {
      %y = txs.embedding %ids, %w : tensor<?x?xi32>, tensor<97x64xf32>
           -> tensor<?x?x64xf32>
      return %y : tensor<?x?x64xf32>
    })mlir");
  Runner.Floats["w"] = randomFloats(97 * 64, 1);
  Runner.Integers["ids"] = {96, 0, 5, 5, 17, 3, 42, 1, 2, 95};
  Runner.run("f", {2, 5});
  for (size_t I = 0; I < 10; ++I)
    for (size_t C = 0; C < 64; ++C)
      ASSERT_EQ(Runner.Floats["y"][I * 64 + C],
                Runner.Floats["w"][Runner.Integers["ids"][I] * 64 + C]);
}

TEST(ForwardKernels, CacheAppend) {
  PlanRunner Runner(R"mlir(
    func.func @f(%x: tensor<?x?x2x24xf32> {txs.input = "x"},
                 %c: tensor<?x?x2x24xf32> {txs.state = "cache"},
                 %past: index {txs.input = "past"})
        -> (tensor<?x?x2x24xf32> {txs.state = "cache"}) {
      %c1 = txs.cache_append %c, %x at %past
          : tensor<?x?x2x24xf32>, tensor<?x?x2x24xf32>
      return %c1 : tensor<?x?x2x24xf32>
    })mlir");
  const int64_t Batch = 2, Seq = 67, Past = 5, Capacity = 80, Width = 48;
  Runner.Floats["x"] = randomFloats(Batch * Seq * Width, 1);
  Runner.Floats["cache"] = randomFloats(Batch * Capacity * Width, 2);
  std::vector<float> Expected = Runner.Floats["cache"];
  for (int64_t B = 0; B < Batch; ++B)
    std::copy_n(Runner.Floats["x"].begin() + B * Seq * Width, Seq * Width,
                Expected.begin() + (B * Capacity + Past) * Width);
  Runner.run("f", {Batch, Seq, Past, Capacity});
  EXPECT_EQ(Runner.Floats["cache"], Expected);
  EXPECT_EQ(Runner.Launched.size(), 1u); // in place, no copy
}

TEST(ForwardKernels, LastToken) {
  PlanRunner Runner(R"mlir(
    func.func @f(%x: tensor<?x?x64xf32> {txs.input = "x"},
                 %m: tensor<?x?xf32> {txs.input = "mask"})
        -> (tensor<?x64xf32> {txs.output = "plain"},
            tensor<?x64xf32> {txs.output = "masked"}) {
      %0 = txs.last_token %x : tensor<?x?x64xf32> -> tensor<?x64xf32>
      %1 = txs.last_token %x mask %m
         : tensor<?x?x64xf32>, tensor<?x?xf32> -> tensor<?x64xf32>
      return %0, %1 : tensor<?x64xf32>, tensor<?x64xf32>
    })mlir");
  Runner.Floats["x"] = randomFloats(3 * 4 * 64, 1);
  Runner.Floats["mask"] = {1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0};
  Runner.run("f", {3, 4});
  const int Last[3] = {1, 3, 3};
  for (int B = 0; B < 3; ++B)
    for (int C = 0; C < 64; ++C) {
      ASSERT_EQ(Runner.Floats["plain"][B * 64 + C],
                Runner.Floats["x"][(B * 4 + 3) * 64 + C]);
      ASSERT_EQ(Runner.Floats["masked"][B * 64 + C],
                Runner.Floats["x"][(B * 4 + Last[B]) * 64 + C]);
    }
}

//===----------------------------------------------------------------------===//
// Dense and elementwise layers
//===----------------------------------------------------------------------===//

class RmsNorm : public testing::TestWithParam<int64_t> {};

TEST_P(RmsNorm, MatchesFormula) {
  int64_t D = GetParam();
  PlanRunner Runner(formatv(R"mlir(
    func.func @f(%x: tensor<?x?x{0}xf32> {{txs.input = "x"},
                 %w: tensor<{0}xf32> {{txs.input = "w"})
        -> (tensor<?x?x{0}xf32> {{txs.output = "y"}) {{
      %y = txs.rms_norm %x, %w {{eps = 1.0e-6 : f64}
         : tensor<?x?x{0}xf32>, tensor<{0}xf32>
      return %y : tensor<?x?x{0}xf32>
    })mlir",
                            D));
  const int64_t Rows = 2 * 17;
  std::vector<float> X = randomFloats(Rows * D, 1), W = randomFloats(D, 2);
  Runner.Floats["x"] = X;
  Runner.Floats["w"] = W;
  Runner.run("f", {2, 17});
  Vector Y(Rows * D);
  for (int64_t R = 0; R < Rows; ++R) {
    double Sum = 0;
    for (int64_t C = 0; C < D; ++C)
      Sum += double(X[R * D + C]) * X[R * D + C];
    for (int64_t C = 0; C < D; ++C)
      Y[R * D + C] = W[C] * X[R * D + C] / std::sqrt(Sum / D + 1e-6);
  }
  EXPECT_LT(relativeError(Runner.Floats["y"], Y), Tolerance);
}

/// Heads are rows like tokens, forwards and backwards.
TEST(ForwardKernels, RmsNormOfHeads) {
  const char *Text = R"mlir(
    func.func @f(%x: tensor<?x?{0}x24xf32> {{txs.input = "x"},
                 %w: tensor<24xf32> {{txs.input = "w"},
                 %dy: tensor<?x?{0}x24xf32> {{txs.input = "dy"})
        -> (tensor<?x?{0}x24xf32> {{txs.output = "y"},
            tensor<?x?{0}x24xf32> {{txs.output = "dx"},
            tensor<24xf32> {{txs.output = "dw"}) {{
      %y = txs.rms_norm %x, %w {{eps = 1.0e-6 : f64}
         : tensor<?x?{0}x24xf32>, tensor<24xf32>
      %dx, %dw = txs.rms_norm_grad %dy, %x, %w {{eps = 1.0e-6 : f64}
         : tensor<?x?{0}x24xf32>, tensor<24xf32>
      return %y, %dx, %dw
         : tensor<?x?{0}x24xf32>, tensor<?x?{0}x24xf32>, tensor<24xf32>
    })mlir";
  PlanRunner Heads(formatv(Text, "x3")), Tokens(formatv(Text, ""));
  for (PlanRunner *Runner : {&Heads, &Tokens})
    Runner->Floats = {{"x", randomFloats(2 * 35 * 3 * 24, 1)},
                      {"w", randomFloats(24, 2)},
                      {"dy", randomFloats(2 * 35 * 3 * 24, 3)}};
  Heads.run("f", {2, 35});
  Tokens.run("f", {2, 35 * 3});
  for (const char *Name : {"y", "dx", "dw"})
    EXPECT_EQ(Heads.Floats[Name], Tokens.Floats[Name]) << Name;
}

INSTANTIATE_TEST_SUITE_P(Widths, RmsNorm,
                         testing::Values(16, 64, 97, 1024, 1536, 2062));

struct LinearCase {
  int64_t Inputs, Outputs, Rows;
  bool Bias;
};
class Linear : public testing::TestWithParam<LinearCase> {};

TEST_P(Linear, MatchesFormula) {
  auto [I, O, Rows, Bias] = GetParam();
  // Rank 2: one row per sequence, so that every variant is reached.
  PlanRunner Runner(formatv(R"mlir(
    func.func @f(%x: tensor<?x{0}xf32> {{txs.input = "x"},
                 %w: tensor<{1}x{0}xf32> {{txs.input = "w"},
                 %b: tensor<{1}xf32> {{txs.input = "b"})
        -> (tensor<?x{1}xf32> {{txs.output = "y"}) {{
      %y = txs.linear %x, %w {2}
         : tensor<?x{0}xf32>, tensor<{1}x{0}xf32>{3} -> tensor<?x{1}xf32>
      return %y : tensor<?x{1}xf32>
    })mlir",
                            I, O, Bias ? "bias %b" : "",
                            Bias ? formatv(", tensor<{0}xf32>", O).str() : ""));
  std::vector<float> X = randomFloats(Rows * I, 1), W = randomFloats(O * I, 2),
                     B = randomFloats(O, 3);
  Runner.Floats = {{"x", X}, {"w", W}, {"b", B}};
  Runner.run("f", {Rows});
  ASSERT_EQ(Runner.Launched.size(), 1u);
  const char *Kind = Rows == 1   ? "linear_rows1_"
                     : Rows <= 8 ? "linear_rows4_"
                                 : "linear_k";
  EXPECT_EQ(Runner.Launched[0].compare(0, strlen(Kind), Kind), 0);
  Vector Y(Rows * O);
  for (int64_t R = 0; R < Rows; ++R)
    for (int64_t C = 0; C < O; ++C) {
      double Sum = Bias ? B[C] : 0.0;
      for (int64_t K = 0; K < I; ++K)
        Sum += double(X[R * I + K]) * W[C * I + K];
      Y[R * O + C] = Sum;
    }
  EXPECT_LT(relativeError(Runner.Floats["y"], Y), Tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Linear,
    testing::Values(LinearCase{64, 97, 1, false}, LinearCase{64, 97, 3, false},
                    LinearCase{64, 97, 8, false}, LinearCase{64, 97, 9, false},
                    LinearCase{64, 97, 150, true}, LinearCase{48, 4, 5, true},
                    LinearCase{48, 4, 129, false},
                    LinearCase{300, 130, 1, true},
                    LinearCase{300, 130, 20, true},
                    LinearCase{512, 64, 128, false},
                    LinearCase{512, 64, 2, true}));

TEST(ForwardKernels, Elementwise) {
  PlanRunner Runner(R"mlir(
    func.func @f(%x: tensor<?x?x96xf32> {txs.input = "x"},
                 %u: tensor<?x?x96xf32> {txs.input = "u"},
                 %w: tensor<96xf32> {txs.input = "w"},
                 %m: tensor<?x?xf32> {txs.input = "mask"})
        -> (tensor<?x?x96xf32> {txs.output = "mul"},
            tensor<?x?x96xf32> {txs.output = "add"},
            tensor<?x?x96xf32> {txs.output = "scale"},
            tensor<?x?x96xf32> {txs.output = "residual"},
            tensor<?x?x96xf32> {txs.output = "masked"},
            tensor<?x?x96xf32> {txs.output = "zeros"}) {
      %0 = txs.mul %x, %u : tensor<?x?x96xf32>
      %1 = txs.add %x, %u : tensor<?x?x96xf32>
      %2 = txs.scale %x, %w : tensor<?x?x96xf32>, tensor<96xf32>
      %3 = txs.residual %x, %u, %w : tensor<?x?x96xf32>, tensor<96xf32>
      %4 = txs.mask %x, %m : tensor<?x?x96xf32>, tensor<?x?xf32>
      %5 = txs.zeros like %x : tensor<?x?x96xf32>
      return %0, %1, %2, %3, %4, %5 : tensor<?x?x96xf32>, tensor<?x?x96xf32>,
        tensor<?x?x96xf32>, tensor<?x?x96xf32>, tensor<?x?x96xf32>,
        tensor<?x?x96xf32>
    })mlir");
  const int64_t Rows = 3 * 29, D = 96;
  std::vector<float> X = randomFloats(Rows * D, 1),
                     U = randomFloats(Rows * D, 2), W = randomFloats(D, 3),
                     M(Rows, 1.0f);
  M[0] = M[30] = M[86] = 0;
  Runner.Floats = {{"x", X}, {"u", U}, {"w", W}, {"mask", M}};
  Runner.run("f", {3, 29});
  for (int64_t I = 0; I < Rows * D; ++I) {
    ASSERT_EQ(Runner.Floats["mul"][I], X[I] * U[I]);
    ASSERT_EQ(Runner.Floats["add"][I], X[I] + U[I]);
    ASSERT_EQ(Runner.Floats["scale"][I], W[I % D] * X[I]);
    ASSERT_NEAR(Runner.Floats["residual"][I], W[I % D] * X[I] + U[I], 1e-6);
    ASSERT_EQ(Runner.Floats["masked"][I], M[I / D] * X[I]);
    ASSERT_EQ(Runner.Floats["zeros"][I], 0.0f);
  }
}

TEST(ForwardKernels, Activations) {
  std::vector<float> X = randomFloats(5 * 8, 1);
  for (float &V : X)
    V *= 8;
  X[0] = 100, X[1] = -100, X[2] = 0;
  auto Check = [&](const char *Kind, double (*F)(double)) {
    PlanRunner Runner(formatv(R"mlir(
      func.func @f(%x: tensor<?x?x8xf32> {{txs.input = "x"})
          -> (tensor<?x?x8xf32> {{txs.output = "y"}) {{
        %y = txs.activation {0} %x : tensor<?x?x8xf32>
        return %y : tensor<?x?x8xf32>
      })mlir",
                              Kind));
    Runner.Floats["x"] = X;
    Runner.run("f", {1, 5});
    for (size_t I = 0; I < X.size(); ++I) {
      double Y = F(X[I]);
      ASSERT_NEAR(Runner.Floats["y"][I], Y, 1e-6 * (1 + std::fabs(Y)))
          << Kind << " of " << X[I];
    }
  };
  Check("silu", [](double V) { return V / (1 + std::exp(-V)); });
  Check("gelu",
        [](double V) { return 0.5 * V * (1 + std::erf(V / std::sqrt(2.0))); });
  Check("relu", [](double V) { return std::max(V, 0.0); });
  Check("softplus", [](double V) {
    return std::log1p(std::exp(-std::fabs(V))) + std::max(V, 0.0);
  });
}

/// Philox 4x32-10 as published, word 0.
uint32_t philoxWord(uint32_t C0, uint32_t C1, uint32_t C2, uint32_t C3,
                    uint32_t K0, uint32_t K1) {
  for (int Round = 0; Round < 10; ++Round) {
    uint64_t P0 = 0xD2511F53ull * C0, P1 = 0xCD9E8D57ull * C2;
    uint32_t N0 = uint32_t(P1 >> 32) ^ C1 ^ K0;
    uint32_t N2 = uint32_t(P0 >> 32) ^ C3 ^ K1;
    C0 = N0, C1 = uint32_t(P1), C2 = N2, C3 = uint32_t(P0);
    K0 += 0x9E3779B9u, K1 += 0xBB67AE85u;
  }
  return C0;
}

TEST(ForwardKernels, Dropout) {
  // The published answer for counter and key zero.
  ASSERT_EQ(philoxWord(0, 0, 0, 0, 0, 0), 0x6627e8d5u);
  PlanRunner Runner(R"mlir(
    func.func @f(%x: tensor<?x?x64xf32> {txs.input = "x"},
                 %s: tensor<2xi32> {txs.input = "seed"})
        -> (tensor<?x?x64xf32> {txs.output = "y"}) {
      %y = txs.dropout %x, %s {probability = 0.25 : f64, site = 7 : i64}
         : tensor<?x?x64xf32>, tensor<2xi32>
      return %y : tensor<?x?x64xf32>
    })mlir");
  std::vector<float> X = randomFloats(5 * 20 * 64, 1);
  Runner.Floats["x"] = X;
  Runner.Integers["seed"] = {-5, 123};
  Runner.run("f", {5, 20});
  size_t Dropped = 0;
  for (size_t I = 0; I < X.size(); ++I) {
    bool Keep = philoxWord(I, 0, 0, 7, uint32_t(-5), 123) >= 0x40000000u;
    ASSERT_EQ(Runner.Floats["y"][I], Keep ? X[I] * float(1 / 0.75) : 0.0f) << I;
    Dropped += !Keep;
  }
  EXPECT_NEAR(double(Dropped) / X.size(), 0.25, 0.02);
}

TEST(ForwardKernels, Rope) {
  PlanRunner Runner(R"mlir(
    func.func @f(%x: tensor<?x?x3x24xf32> {txs.input = "x"},
                 %cos: tensor<?x12xf32> {txs.input = "rope_cos"},
                 %sin: tensor<?x12xf32> {txs.input = "rope_sin"})
        -> (tensor<?x?x3x24xf32> {txs.output = "y"},
            tensor<?x?x3x24xf32> {txs.output = "back"}) {
      %y = txs.rope %x, %cos, %sin : tensor<?x?x3x24xf32>, tensor<?x12xf32>
      %z = txs.rope %y, %cos, %sin {inverse} : tensor<?x?x3x24xf32>, tensor<?x12xf32>
      return %y, %z : tensor<?x?x3x24xf32>, tensor<?x?x3x24xf32>
    })mlir");
  const int64_t Batch = 2, Seq = 37, Heads = 3, P = 24;
  std::vector<float> X = randomFloats(Batch * Seq * Heads * P, 1), Cos, Sin;
  for (int64_t I = 0; I < Seq * P / 2; ++I) {
    Cos.push_back(std::cos(0.1 * I));
    Sin.push_back(std::sin(0.1 * I));
  }
  Runner.Floats = {{"x", X}, {"rope_cos", Cos}, {"rope_sin", Sin}};
  Runner.run("f", {Batch, Seq});
  Vector Y(X.size());
  for (size_t Head = 0; Head < X.size() / P; ++Head)
    for (int64_t J = 0; J < P / 2; ++J) {
      int64_t T = Head / Heads % Seq;
      double U1 = X[Head * P + J], U2 = X[Head * P + P / 2 + J];
      double C = Cos[T * P / 2 + J], S = Sin[T * P / 2 + J];
      Y[Head * P + J] = U1 * C - U2 * S;
      Y[Head * P + P / 2 + J] = U2 * C + U1 * S;
    }
  EXPECT_LT(relativeError(Runner.Floats["y"], Y), Tolerance);
  EXPECT_LT(relativeError(Runner.Floats["back"], Vector(X.begin(), X.end())),
            Tolerance);
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

struct ScanSizes {
  int64_t Batch, Seq, Heads, P, N;
};

struct ScanData {
  std::vector<float> C, B, X, Dt, A;

  ScanData(const ScanSizes &S)
      : C(randomFloats(S.Batch * S.Seq * S.Heads * S.N, 1)),
        B(randomFloats(S.Batch * S.Seq * S.Heads * S.N, 2)),
        X(randomFloats(S.Batch * S.Seq * S.Heads * S.P, 3)),
        Dt(randomFloats(S.Batch * S.Seq * S.Heads, 4)) {
    for (float &V : Dt)
      V = 0.6f + 0.5f * V;
    for (int64_t H = 0; H < S.Heads; ++H)
      A.push_back(-0.1f - 4.0f * H);
  }

  void give(PlanRunner &Runner) const {
    Runner.Floats["c"] = C;
    Runner.Floats["b"] = B;
    Runner.Floats["x"] = X;
    Runner.Floats["dt"] = Dt;
    Runner.Floats["a"] = A;
  }

  /// Token by token; updates the state.
  Vector run(const ScanSizes &S, Vector &State) const {
    Vector Y(X.size());
    for (int64_t Bt = 0; Bt < S.Batch; ++Bt)
      for (int64_t T = 0; T < S.Seq; ++T)
        for (int64_t H = 0; H < S.Heads; ++H)
          step(S, State, Y, Bt, T, H);
    return Y;
  }

private:
  void step(const ScanSizes &S, Vector &State, Vector &Y, int64_t Bt, int64_t T,
            int64_t H) const {
    int64_t Row = (Bt * S.Seq + T) * S.Heads + H;
    double Decay = std::exp(double(Dt[Row]) * A[H]);
    for (int64_t P = 0; P < S.P; ++P) {
      double Sum = 0;
      for (int64_t N = 0; N < S.N; ++N) {
        double &V = State[((Bt * S.Heads + H) * S.P + P) * S.N + N];
        V = Decay * V + double(Dt[Row]) * X[Row * S.P + P] * B[Row * S.N + N];
        Sum += V * C[Row * S.N + N];
      }
      Y[Row * S.P + P] = Sum;
    }
  }
};

std::string scanText(const ScanSizes &S, bool Carried) {
  std::string State = formatv("tensor<?x{0}x{1}x{2}xf32>", S.Heads, S.P, S.N);
  return formatv(
      R"mlir(
    func.func @f(%c: tensor<?x?x{0}x{2}xf32> {{txs.input = "c"},
                 %b: tensor<?x?x{0}x{2}xf32> {{txs.input = "b"},
                 %x: tensor<?x?x{0}x{1}xf32> {{txs.input = "x"},
                 %dt: tensor<?x?x{0}xf32> {{txs.input = "dt"},
                 %a: tensor<{0}xf32> {{txs.input = "a"}{4})
        -> (tensor<?x?x{0}x{1}xf32> {{txs.output = "y"},
            {3} {{{6} = "s"}) {{
      %y, %s1 = txs.ssm_scan %c, %b, %x, %dt, %a {5} {{chunk = 16 : i64}
        : (tensor<?x?x{0}x{2}xf32>, tensor<?x?x{0}x{2}xf32>,
           tensor<?x?x{0}x{1}xf32>, tensor<?x?x{0}xf32>, tensor<{0}xf32>{7})
        -> (tensor<?x?x{0}x{1}xf32>, {3})
      return %y, %s1 : tensor<?x?x{0}x{1}xf32>, {3}
    })mlir",
      S.Heads, S.P, S.N, State,
      Carried ? formatv(", %s: {0} {{txs.state = \"s\"}", State).str() : "",
      Carried ? "from %s" : "", Carried ? "txs.state" : "txs.output",
      Carried ? ", " + State : "");
}

class SsmScan : public testing::TestWithParam<int64_t> {};

/// What the plan launches, up to the kernels' shapes.
static std::vector<std::string> scanLaunches(int64_t Seq, bool Carried,
                                             bool Gpu) {
  if (Seq == 1 && Carried)
    return {"ssm_step_h"};
  if (Gpu && Seq > 48) // four chunks of 16 or more
    return {"ssm_chunk_states_h", "ssm_state_pass_h", "ssm_chunk_outputs_h"};
  return {"ssm_scan_h"};
}

static void checkScan(int64_t Seq, bool Carried, bool Gpu, int64_t P = 16) {
  ScanSizes S = {2, Seq, 2, P, 24};
  PlanRunner Runner(scanText(S, Carried), Gpu ? "gpu=true" : "");
  ScanData Data(S);
  Data.give(Runner);
  Vector State(S.Batch * S.Heads * S.P * S.N);
  if (Carried) {
    Runner.Floats["s"] = randomFloats(State.size(), 9);
    State.assign(Runner.Floats["s"].begin(), Runner.Floats["s"].end());
  }
  Runner.run("f", {S.Batch, S.Seq});
  Vector Y = Data.run(S, State);
  std::vector<std::string> Launches = scanLaunches(Seq, Carried, Gpu);
  ASSERT_EQ(Runner.Launched.size(), Launches.size());
  for (size_t I = 0; I < Launches.size(); ++I)
    EXPECT_EQ(Runner.Launched[I].find(Launches[I]), 0u) << Runner.Launched[I];
  EXPECT_LT(relativeError(Runner.Floats["y"], Y), 1e-5);
  EXPECT_LT(relativeError(Runner.Floats["s"], State), 1e-5);
}

TEST_P(SsmScan, FromZero) { checkScan(GetParam(), false, false); }
TEST_P(SsmScan, FromState) { checkScan(GetParam(), true, false); }
TEST_P(SsmScan, FromZeroOnGpus) { checkScan(GetParam(), false, true); }
TEST_P(SsmScan, FromStateOnGpus) { checkScan(GetParam(), true, true); }

/// Two parts of a head, the second not full.
TEST(ScanParts, AreCellsOfTheirOwn) { checkScan(70, true, true, 72); }

/// The gradient from states that cells walk to is the one from chunks that are
/// cells: the formulas of the first are tested in ScanGradTest.
TEST(ScanForms, HaveOneGradient) {
  const std::string Text = R"mlir(
    func.func @f(%dy: tensor<?x?x2x40xf32> {txs.input = "dy"},
                 %c: tensor<?x?x2x24xf32> {txs.input = "c"},
                 %b: tensor<?x?x2x24xf32> {txs.input = "b"},
                 %x: tensor<?x?x2x40xf32> {txs.input = "x"},
                 %dt: tensor<?x?x2xf32> {txs.input = "dt"},
                 %a: tensor<2xf32> {txs.input = "a"},
                 %s: tensor<?x2x40x24xf32> {txs.input = "s"},
                 %df: tensor<?x2x40x24xf32> {txs.input = "df"})
        -> (tensor<?x?x2x24xf32> {txs.output = "dc"},
            tensor<?x?x2x24xf32> {txs.output = "db"},
            tensor<?x?x2x40xf32> {txs.output = "dx"},
            tensor<?x?x2xf32> {txs.output = "ddt"},
            tensor<2xf32> {txs.output = "da"},
            tensor<?x2x40x24xf32> {txs.output = "ds"}) {
      %dc, %db, %dx, %ddt, %da, %ds = txs.ssm_scan_grad
          %dy, %c, %b, %x, %dt, %a from %s dfinal %df {chunk = 16 : i64}
        : (tensor<?x?x2x40xf32>, tensor<?x?x2x24xf32>, tensor<?x?x2x24xf32>,
           tensor<?x?x2x40xf32>, tensor<?x?x2xf32>, tensor<2xf32>,
           tensor<?x2x40x24xf32>, tensor<?x2x40x24xf32>)
        -> (tensor<?x?x2x24xf32>, tensor<?x?x2x24xf32>, tensor<?x?x2x40xf32>,
            tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x40x24xf32>)
      return %dc, %db, %dx, %ddt, %da, %ds
        : tensor<?x?x2x24xf32>, tensor<?x?x2x24xf32>, tensor<?x?x2x40xf32>,
          tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x40x24xf32>
    })mlir";
  ScanSizes S = {2, 137, 2, 40, 24};
  PlanRunner Walk(Text), Parallel(Text, "gpu=true");
  for (PlanRunner *Runner : {&Walk, &Parallel}) {
    ScanData(S).give(*Runner);
    Runner->Floats["dy"] = randomFloats(S.Batch * S.Seq * S.Heads * S.P, 5);
    Runner->Floats["s"] = randomFloats(S.Batch * S.Heads * S.P * S.N, 6);
    Runner->Floats["df"] = randomFloats(S.Batch * S.Heads * S.P * S.N, 7);
    Runner->run("f", {S.Batch, S.Seq});
  }
  EXPECT_EQ(llvm::count_if(Parallel.Launched,
                           [](const std::string &Kernel) {
                             return Kernel.find("ssm_state_pass") == 0;
                           }),
            2);
  for (const char *Name : {"dc", "db", "dx", "ddt", "da", "ds"}) {
    const std::vector<float> &Want = Walk.Floats[Name];
    EXPECT_LT(
        relativeError(Parallel.Floats[Name], Vector(Want.begin(), Want.end())),
        1e-5)
        << Name;
  }
}

// 129 tokens are nine chunks: one more than are loaded at once.
INSTANTIATE_TEST_SUITE_P(Lengths, SsmScan,
                         testing::Values(1, 2, 15, 16, 17, 32, 48, 49, 53, 128,
                                         129));

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

struct AttentionCase {
  int64_t Seq, Past, Capacity, Heads, Groups;
  bool Mask;
};
class Attention : public testing::TestWithParam<AttentionCase> {};

/// What the plan launches, up to the kernels' shapes.
static std::vector<std::string> attentionLaunches(int64_t Seq, bool Gpu) {
  if (Gpu && Seq <= 64)
    return {Seq == 1 ? "attention_step_split128_h" : "attention_split128_h",
            "attention_combine_h"};
  return {Seq == 1 ? "attention_step_h" : "attention_h"};
}

static void checkAttention(const AttentionCase &Case, bool Gpu) {
  auto [Seq, Past, Capacity, H, G, Masked] = Case;
  const int64_t Batch = 2, P = 8;
  // States are extended by capacity, so keys come in as states.
  PlanRunner Runner(formatv(
                        R"mlir(
    func.func @f(%q: tensor<?x?x{0}x8xf32> {{txs.input = "q"},
                 %k: tensor<?x?x{1}x8xf32> {{txs.state = "k"},
                 %v: tensor<?x?x{1}x8xf32> {{txs.state = "v"},
                 %m: tensor<?x?xf32> {{txs.state = "m"},
                 %past: index {{txs.input = "past"})
        -> (tensor<?x?x{0}x8xf32> {{txs.output = "o"},
            tensor<?x?x{0}xf32> {{txs.output = "lse"}) {{
      %o, %l = txs.attention %q, %k, %v {2} past %past
        : (tensor<?x?x{0}x8xf32>, tensor<?x?x{1}x8xf32>,
           tensor<?x?x{1}x8xf32>{3}, index)
        -> (tensor<?x?x{0}x8xf32>, tensor<?x?x{0}xf32>)
      return %o, %l : tensor<?x?x{0}x8xf32>, tensor<?x?x{0}xf32>
    })mlir",
                        H, G, Masked ? "mask %m" : "",
                        Masked ? ", tensor<?x?xf32>" : ""),
                    Gpu ? "gpu=true" : "");
  std::vector<float> Q = randomFloats(Batch * Seq * H * P, 1),
                     K = randomFloats(Batch * Capacity * G * P, 2),
                     V = randomFloats(Batch * Capacity * G * P, 3),
                     M(Batch * Capacity, 1.0f);
  for (float &X : Q)
    X *= 3;
  // Left padding in one sequence, a hole in the other.
  M[0] = M[1] = M[Capacity + Past + Seq / 2] = 0;
  Runner.Floats = {{"q", Q}, {"k", K}, {"v", V}, {"m", M}};
  Runner.run("f", {Batch, Seq, Past, Capacity});
  std::vector<std::string> Launches = attentionLaunches(Seq, Gpu);
  ASSERT_EQ(Runner.Launched.size(), Launches.size());
  for (size_t I = 0; I < Launches.size(); ++I)
    EXPECT_EQ(Runner.Launched[I].find(Launches[I]), 0u) << Runner.Launched[I];

  Vector O(Q.size()), Lse(Batch * Seq * H);
  for (int64_t B = 0; B < Batch; ++B)
    for (int64_t T = 0; T < Seq; ++T)
      for (int64_t Head = 0; Head < H; ++Head) {
        int64_t Row = (B * Seq + T) * H + Head, Group = Head / (H / G);
        double Sum = 0;
        Vector Out(P);
        for (int64_t S = 0; S <= Past + T; ++S) {
          if (Masked && M[B * Capacity + S] == 0)
            continue;
          int64_t Key = (B * Capacity + S) * G + Group;
          double Score = 0;
          for (int64_t I = 0; I < P; ++I)
            Score += double(Q[Row * P + I]) * K[Key * P + I];
          double E = std::exp(Score / std::sqrt(double(P)));
          Sum += E;
          for (int64_t I = 0; I < P; ++I)
            Out[I] += E * V[Key * P + I];
        }
        Lse[Row] = Sum > 0 ? std::log(Sum) : 0;
        if (Sum == 0) // sees no key: the mean of all values
          for (int64_t S = 0; S < Past + Seq; ++S, ++Sum)
            for (int64_t I = 0; I < P; ++I)
              Out[I] += V[((B * Capacity + S) * G + Group) * P + I];
        for (int64_t I = 0; I < P; ++I)
          O[Row * P + I] = Out[I] / Sum;
      }
  EXPECT_LT(relativeError(Runner.Floats["o"], O), Tolerance);
  EXPECT_LT(relativeError(Runner.Floats["lse"], Lse), Tolerance);
}

TEST_P(Attention, MatchesFormula) { checkAttention(GetParam(), false); }
TEST_P(Attention, MatchesFormulaOnGpus) { checkAttention(GetParam(), true); }

/// More splits than are added up at once, the last of them with one key.
TEST(AttentionSplits, AreAddedUp) {
  checkAttention({1, 33 * 128, 33 * 128 + 1, 2, 1, true}, true);
  checkAttention({1, 128, 130, 2, 2, false}, true);
  checkAttention({2, 127, 129, 4, 2, true}, true);
  checkAttention({64, 300, 400, 2, 1, true}, true);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(AttentionCase{1, 0, 1, 4, 2, true},
                                         AttentionCase{1, 0, 8, 4, 4, false},
                                         AttentionCase{1, 63, 70, 4, 2, true},
                                         AttentionCase{1, 64, 65, 6, 2, false},
                                         AttentionCase{2, 0, 2, 4, 1, true},
                                         AttentionCase{63, 0, 64, 2, 1, true},
                                         AttentionCase{64, 0, 64, 2, 2, false},
                                         AttentionCase{65, 7, 90, 2, 1, true},
                                         AttentionCase{130, 64, 194, 2, 1,
                                                       true}));

TEST(ForwardKernels, AttentionDropout) {
  PlanRunner Runner(R"mlir(
    func.func @f(%q: tensor<?x?x2x8xf32> {txs.input = "q"},
                 %k: tensor<?x?x1x8xf32> {txs.input = "k"},
                 %v: tensor<?x?x1x8xf32> {txs.input = "v"},
                 %s: tensor<2xi32> {txs.input = "seed"})
        -> (tensor<?x?x2x8xf32> {txs.output = "o"}) {
      %o, %l = txs.attention %q, %k, %v seed %s {dropout = 0.5 : f64, site = 2 : i64}
        : (tensor<?x?x2x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>,
           tensor<2xi32>) -> (tensor<?x?x2x8xf32>, tensor<?x?x2xf32>)
      return %o : tensor<?x?x2x8xf32>
    })mlir");
  const int64_t Batch = 2, Seq = 70, H = 2, P = 8;
  std::vector<float> Q = randomFloats(Batch * Seq * H * P, 1),
                     K = randomFloats(Batch * Seq * P, 2),
                     V = randomFloats(Batch * Seq * P, 3);
  Runner.Floats = {{"q", Q}, {"k", K}, {"v", V}};
  Runner.Integers["seed"] = {11, 22};
  Runner.run("f", {Batch, Seq});
  Vector O(Q.size());
  for (int64_t B = 0; B < Batch; ++B)
    for (int64_t T = 0; T < Seq; ++T)
      for (int64_t Head = 0; Head < H; ++Head) {
        int64_t Row = (B * Seq + T) * H + Head;
        double Sum = 0;
        Vector Out(P);
        for (int64_t S = 0; S <= T; ++S) {
          double Score = 0;
          for (int64_t I = 0; I < P; ++I)
            Score += double(Q[Row * P + I]) * K[(B * Seq + S) * P + I];
          double E = std::exp(Score / std::sqrt(double(P)));
          Sum += E;
          if (philoxWord(S, T, B * H + Head, 2, 11, 22) < 0x80000000u)
            continue;
          for (int64_t I = 0; I < P; ++I)
            Out[I] += 2 * E * V[(B * Seq + S) * P + I];
        }
        for (int64_t I = 0; I < P; ++I)
          O[Row * P + I] = Out[I] / Sum;
      }
  EXPECT_LT(relativeError(Runner.Floats["o"], O), Tolerance);
}

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

struct LossCase {
  int64_t Vocabulary, Seq;
  bool Shift, NoneCounts;
};
class CrossEntropy : public testing::TestWithParam<LossCase> {};

TEST_P(CrossEntropy, MatchesFormula) {
  auto [Vocabulary, Seq, Shift, NoneCounts] = GetParam();
  const int64_t Batch = 3, D = 16;
  PlanRunner Runner(formatv(R"mlir(
    func.func @f(%h: tensor<?x?x16xf32> {{txs.input = "h"},
                 %w: tensor<{0}x16xf32> {{txs.input = "w"},
                 %y: tensor<?x?xi32> {{txs.input = "labels"})
        -> (tensor<f32> {{txs.output = "loss"},
            tensor<?x?xf32> {{txs.output = "lse"}) {{
      %loss, %l = txs.linear_cross_entropy %h, %w, %y {1}
        : tensor<?x?x16xf32>, tensor<{0}x16xf32>, tensor<?x?xi32>
        -> tensor<f32>, tensor<?x?xf32>
      return %loss, %l : tensor<f32>, tensor<?x?xf32>
    })mlir",
                            Vocabulary, Shift ? "shift" : ""));
  std::vector<float> Hidden = randomFloats(Batch * Seq * D, 1),
                     W = randomFloats(Vocabulary * D, 2);
  for (float &V : Hidden)
    V *= 4;
  std::vector<int32_t> Labels(Batch * Seq);
  for (size_t I = 0; I < Labels.size(); ++I)
    Labels[I] = NoneCounts || I % 5 == 3 ? -100 : I * 7919 % Vocabulary;
  Labels.back() = Vocabulary - 1;
  if (NoneCounts)
    Labels.back() = -100;
  Runner.Floats = {{"h", Hidden}, {"w", W}};
  Runner.Integers["labels"] = Labels;
  Runner.run("f", {Batch, Seq});

  Vector Lse(Batch * Seq);
  double Total = 0, Count = 0;
  for (int64_t R = 0; R < Batch * Seq; ++R) {
    bool Last = (R + 1) % Seq == 0;
    int32_t Label = Shift ? (Last ? -100 : Labels[R + 1]) : Labels[R];
    if (Label == -100)
      continue;
    double Sum = 0, Chosen = 0;
    for (int64_t V = 0; V < Vocabulary; ++V) {
      double Z = 0;
      for (int64_t I = 0; I < D; ++I)
        Z += double(Hidden[R * D + I]) * W[V * D + I];
      Sum += std::exp(Z);
      if (V == Label)
        Chosen = Z;
    }
    Lse[R] = std::log(Sum);
    Total += Lse[R] - Chosen;
    Count += 1;
  }
  EXPECT_NEAR(Runner.Floats["loss"][0], Total / std::max(Count, 1.0),
              2e-6 * (1 + Total / std::max(Count, 1.0)));
  EXPECT_LT(relativeError(Runner.Floats["lse"], Lse), Tolerance);
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrossEntropy,
                         testing::Values(LossCase{97, 1, false, false},
                                         LossCase{97, 22, true, false},
                                         LossCase{128, 43, true, false},
                                         LossCase{128, 7, true, true},
                                         LossCase{4200, 5, true, false}));

} // namespace
