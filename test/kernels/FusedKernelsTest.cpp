//===- FusedKernelsTest.cpp - Kernels of several operations ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The same function, lowered with fusion and without it, with the number of
// launches that fusion is to leave.
//
//===----------------------------------------------------------------------===//

#include "test/kernels/PlanRunner.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"
#include <functional>

using namespace transxssm::test;
using llvm::formatv;

namespace {

/// Runs the same function with and without fusion; outputs must agree bit by
/// bit, since steps do the same arithmetic in the same order.
void checkFusion(const std::string &Text, const std::vector<std::string> &Names,
                 size_t FusedLaunches, Sizes S,
                 const std::function<void(PlanRunner &)> &Give) {
  PlanRunner Fused(Text), Apart(Text, "fuse=false");
  for (PlanRunner *Runner : {&Fused, &Apart}) {
    Give(*Runner);
    Runner->run("f", S);
  }
  EXPECT_EQ(Fused.Launched.size(), FusedLaunches);
  EXPECT_GT(Apart.Launched.size(), FusedLaunches);
  for (const std::string &Name : Names) {
    EXPECT_FALSE(Fused.Floats[Name].empty()) << "no output " << Name;
    EXPECT_EQ(Fused.Floats[Name], Apart.Floats[Name]) << Name;
  }
}

TEST(FusedKernels, KeptIntermediates) {
  checkFusion(R"mlir(
    func.func @f(%x: tensor<?x?x48xf32> {txs.input = "x"},
                 %w: tensor<72x48xf32> {txs.input = "w"},
                 %u: tensor<?x?x72xf32> {txs.input = "u"})
        -> (tensor<?x?x72xf32> {txs.output = "m"},
            tensor<?x?x72xf32> {txs.output = "g"},
            tensor<?x?x72xf32> {txs.output = "a"}) {
      %g = txs.linear %x, %w : tensor<?x?x48xf32>, tensor<72x48xf32>
           -> tensor<?x?x72xf32>
      %a = txs.activation silu %g : tensor<?x?x72xf32>
      %m = txs.mul %u, %a : tensor<?x?x72xf32>
      return %m, %g, %a : tensor<?x?x72xf32>, tensor<?x?x72xf32>,
                          tensor<?x?x72xf32>
    })mlir",
              {"m", "g", "a"}, 1, {3, 50}, [](PlanRunner &Runner) {
                Runner.Floats["x"] = randomFloats(150 * 48, 1);
                Runner.Floats["w"] = randomFloats(72 * 48, 2);
                Runner.Floats["u"] = randomFloats(150 * 72, 3);
              });
}

TEST(FusedKernels, DropoutAndResidual) {
  checkFusion(R"mlir(
    func.func @f(%x: tensor<?x?x64xf32> {txs.input = "x"},
                 %w: tensor<192x64xf32> {txs.input = "w"},
                 %r: tensor<?x?x192xf32> {txs.input = "r"},
                 %s: tensor<192xf32> {txs.input = "s"},
                 %seed: tensor<2xi32> {txs.input = "seed"})
        -> (tensor<?x?x192xf32> {txs.output = "y"}) {
      %0 = txs.linear %x, %w : tensor<?x?x64xf32>, tensor<192x64xf32>
           -> tensor<?x?x192xf32>
      %1 = txs.dropout %0, %seed {probability = 0.3 : f64, site = 3 : i64}
         : tensor<?x?x192xf32>, tensor<2xi32>
      %2 = txs.residual %r, %1, %s : tensor<?x?x192xf32>, tensor<192xf32>
      return %2 : tensor<?x?x192xf32>
    })mlir",
              {"y"}, 1, {2, 67}, [](PlanRunner &Runner) {
                Runner.Floats["x"] = randomFloats(134 * 64, 1);
                Runner.Floats["w"] = randomFloats(192 * 64, 2);
                Runner.Floats["r"] = randomFloats(134 * 192, 3);
                Runner.Floats["s"] = randomFloats(192, 4);
                Runner.Integers["seed"] = {1, 2};
              });
}

/// Head sizes that divide the tiles and one that does not, for few and many
/// rows.
class FusedRope : public testing::TestWithParam<std::tuple<int64_t, int64_t>> {
};

TEST_P(FusedRope, MatchesSeparate) {
  auto [P, Seq] = GetParam();
  int64_t Rows = 2 * Seq;
  checkFusion(formatv(R"mlir(
    func.func @f(%x: tensor<?x?x32xf32> {{txs.input = "x"},
                 %w: tensor<{0}x32xf32> {{txs.input = "w"},
                 %b: tensor<{0}xf32> {{txs.input = "b"},
                 %cos: tensor<?x{2}xf32> {{txs.input = "rope_cos"},
                 %sin: tensor<?x{2}xf32> {{txs.input = "rope_sin"},
                 %s: tensor<?x1x1x1xf32> {{txs.state = "s"})
        -> (tensor<?x?x3x{1}xf32> {{txs.output = "y"}) {{
      %0 = txs.linear %x, %w bias %b : tensor<?x?x32xf32>, tensor<{0}x32xf32>,
           tensor<{0}xf32> -> tensor<?x?x3x{1}xf32>
      %1 = txs.rope %0, %cos, %sin : tensor<?x?x3x{1}xf32>, tensor<?x{2}xf32>
      return %1 : tensor<?x?x3x{1}xf32>
    })mlir",
                      3 * P, P, P / 2),
              {"y"}, 1, {2, Seq}, [&, P = P, Seq = Seq](PlanRunner &Runner) {
                Runner.Floats["x"] = randomFloats(Rows * 32, 1);
                Runner.Floats["w"] = randomFloats(3 * P * 32, 2);
                Runner.Floats["b"] = randomFloats(3 * P, 3);
                Runner.Floats["rope_cos"] = randomFloats(Seq * P / 2, 4);
                Runner.Floats["rope_sin"] = randomFloats(Seq * P / 2, 5);
                Runner.Floats["s"] = {0, 0};
              });
}

INSTANTIATE_TEST_SUITE_P(Shapes, FusedRope,
                         testing::Combine(testing::Values(16, 24, 128),
                                          testing::Values(1, 3, 70)));

//===----------------------------------------------------------------------===//
// Products of one input
//===----------------------------------------------------------------------===//

/// Wide and narrow products with and without bias; from a cache, few rows take
/// kernels of their own.
class SharedInput : public testing::TestWithParam<Sizes> {};

TEST_P(SharedInput, Projections) {
  Sizes S = GetParam();
  int64_t Rows = S.Batch * S.Seq;
  checkFusion(R"mlir(
    func.func @f(%x: tensor<?x?x40xf32> {txs.input = "x"},
                 %w: tensor<192x40xf32> {txs.input = "w"},
                 %v: tensor<96x40xf32> {txs.input = "v"},
                 %d: tensor<3x40xf32> {txs.input = "d"},
                 %b: tensor<3xf32> {txs.input = "b"},
                 %cos: tensor<?x16xf32> {txs.input = "rope_cos"},
                 %sin: tensor<?x16xf32> {txs.input = "rope_sin"},
                 %s: tensor<?x1x1x1xf32> {txs.state = "s"})
        -> (tensor<?x?x6x32xf32> {txs.output = "c"},
            tensor<?x?x3x32xf32> {txs.output = "x2"},
            tensor<?x?x3xf32> {txs.output = "dt"}) {
      %0 = txs.linear %x, %w : tensor<?x?x40xf32>, tensor<192x40xf32>
           -> tensor<?x?x6x32xf32>
      %1 = txs.rope %0, %cos, %sin : tensor<?x?x6x32xf32>, tensor<?x16xf32>
      %2 = txs.linear %x, %v : tensor<?x?x40xf32>, tensor<96x40xf32>
           -> tensor<?x?x3x32xf32>
      %3 = txs.linear %x, %d bias %b : tensor<?x?x40xf32>, tensor<3x40xf32>,
           tensor<3xf32> -> tensor<?x?x3xf32>
      %4 = txs.activation softplus %3 : tensor<?x?x3xf32>
      return %1, %2, %4 : tensor<?x?x6x32xf32>, tensor<?x?x3x32xf32>,
                          tensor<?x?x3xf32>
    })mlir",
              {"c", "x2", "dt"}, 1, S, [&](PlanRunner &Runner) {
                Runner.Floats["x"] = randomFloats(Rows * 40, 1);
                Runner.Floats["w"] = randomFloats(192 * 40, 2);
                Runner.Floats["v"] = randomFloats(96 * 40, 3);
                Runner.Floats["d"] = randomFloats(3 * 40, 4);
                Runner.Floats["b"] = randomFloats(3, 5);
                Runner.Floats["rope_cos"] = randomFloats(S.Seq * 16, 6);
                Runner.Floats["rope_sin"] = randomFloats(S.Seq * 16, 7);
                Runner.Floats["s"] = std::vector<float>(S.Batch, 0.0f);
              });
}

/// Gate and up projection end in one product, whichever comes first.
TEST_P(SharedInput, GateAndUp) {
  Sizes S = GetParam();
  int64_t Rows = S.Batch * S.Seq;
  for (bool GateFirst : {true, false})
    checkFusion(formatv(R"mlir(
    func.func @f(%x: tensor<?x?x48xf32> {{txs.input = "x"},
                 %v: tensor<150x48xf32> {{txs.input = "v"},
                 %w: tensor<150x48xf32> {{txs.input = "w"},
                 %s: tensor<?x1x1x1xf32> {{txs.state = "s"})
        -> (tensor<?x?x150xf32> {{txs.output = "m"},
            tensor<?x?x150xf32> {{txs.output = "g"}) {{
      %0 = txs.linear %x, %v : tensor<?x?x48xf32>, tensor<150x48xf32>
           -> tensor<?x?x150xf32>
      %1 = txs.linear %x, %w : tensor<?x?x48xf32>, tensor<150x48xf32>
           -> tensor<?x?x150xf32>
      %a = txs.activation silu %{0} : tensor<?x?x150xf32>
      %m = txs.mul %a, %{1} : tensor<?x?x150xf32>
      return %m, %{0} : tensor<?x?x150xf32>, tensor<?x?x150xf32>
    })mlir",
                        GateFirst ? 0 : 1, GateFirst ? 1 : 0),
                {"m", "g"}, 1, S, [&](PlanRunner &Runner) {
                  Runner.Floats["x"] = randomFloats(Rows * 48, 1);
                  Runner.Floats["v"] = randomFloats(150 * 48, 2);
                  Runner.Floats["w"] = randomFloats(150 * 48, 3);
                  Runner.Floats["s"] = std::vector<float>(S.Batch, 0.0f);
                });
}

INSTANTIATE_TEST_SUITE_P(Rows, SharedInput,
                         testing::Values(Sizes{1, 1}, Sizes{2, 3},
                                         Sizes{3, 50}));

//===----------------------------------------------------------------------===//
// Gradients
//===----------------------------------------------------------------------===//

/// Both gradients of a product of activations behind one input gradient, and
/// the weights' gradients together.
TEST(FusedKernels, GatedGradients) {
  checkFusion(R"mlir(
    func.func @f(%dy: tensor<?x?x48xf32> {txs.input = "dy"},
                 %w: tensor<48x80xf32> {txs.input = "w"},
                 %h: tensor<?x?x24xf32> {txs.input = "h"},
                 %g: tensor<?x?x80xf32> {txs.input = "g"},
                 %u: tensor<?x?x80xf32> {txs.input = "u"})
        -> (tensor<80x24xf32> {txs.output = "dwu"},
            tensor<80x24xf32> {txs.output = "dwg"},
            tensor<48x24xf32> {txs.output = "dw"}) {
      %a = txs.activation silu %g : tensor<?x?x80xf32>
      %dm = txs.linear_grad_input %dy, %w
         : tensor<?x?x48xf32>, tensor<48x80xf32> -> tensor<?x?x80xf32>
      %da = txs.mul %dm, %u : tensor<?x?x80xf32>
      %du = txs.mul %dm, %a : tensor<?x?x80xf32>
      %dg = txs.activation_grad silu %da, %g : tensor<?x?x80xf32>
      %0 = txs.linear_grad_weight %du, %h
         : tensor<?x?x80xf32>, tensor<?x?x24xf32> -> tensor<80x24xf32>
      %1 = txs.linear_grad_weight %dg, %h
         : tensor<?x?x80xf32>, tensor<?x?x24xf32> -> tensor<80x24xf32>
      %2 = txs.linear_grad_weight %dy, %h
         : tensor<?x?x48xf32>, tensor<?x?x24xf32> -> tensor<48x24xf32>
      return %0, %1, %2
           : tensor<80x24xf32>, tensor<80x24xf32>, tensor<48x24xf32>
    })mlir",
              {"dwu", "dwg", "dw"}, 3, {2, 67}, [](PlanRunner &Runner) {
                Runner.Floats["dy"] = randomFloats(134 * 48, 1);
                Runner.Floats["w"] = randomFloats(48 * 80, 2);
                Runner.Floats["h"] = randomFloats(134 * 24, 3);
                Runner.Floats["g"] = randomFloats(134 * 80, 4);
                Runner.Floats["u"] = randomFloats(134 * 80, 5);
              });
}

/// A norm's gradient joins that of the residual around it.
TEST(FusedKernels, NormGradAndResidual) {
  checkFusion(R"mlir(
    func.func @f(%dy: tensor<?x?x80xf32> {txs.input = "dy"},
                 %x: tensor<?x?x80xf32> {txs.input = "x"},
                 %w: tensor<80xf32> {txs.input = "w"},
                 %r: tensor<?x?x80xf32> {txs.input = "r"},
                 %s: tensor<80xf32> {txs.input = "s"})
        -> (tensor<?x?x80xf32> {txs.output = "dx"},
            tensor<80xf32> {txs.output = "dw"}) {
      %0, %1 = txs.rms_norm_grad %dy, %x, %w {eps = 1.0e-6 : f64}
         : tensor<?x?x80xf32>, tensor<80xf32>
      %2 = txs.residual %r, %0, %s : tensor<?x?x80xf32>, tensor<80xf32>
      return %2, %1 : tensor<?x?x80xf32>, tensor<80xf32>
    })mlir",
              {"dx", "dw"}, 2, {2, 67}, [](PlanRunner &Runner) {
                Runner.Floats["dy"] = randomFloats(134 * 80, 1);
                Runner.Floats["x"] = randomFloats(134 * 80, 2);
                Runner.Floats["w"] = randomFloats(80, 3);
                Runner.Floats["r"] = randomFloats(134 * 80, 4);
                Runner.Floats["s"] = randomFloats(80, 5);
              });
}

/// The rotation of the forward pass is undone where the gradients are made.
TEST(FusedKernels, ScanGradAndRotation) {
  const int64_t Seq = 67, Rows = 2 * Seq;
  checkFusion(R"mlir(
    func.func @f(%dy: tensor<?x?x2x24xf32> {txs.input = "dy"},
                 %c: tensor<?x?x2x32xf32> {txs.input = "c"},
                 %b: tensor<?x?x2x32xf32> {txs.input = "b"},
                 %x: tensor<?x?x2x24xf32> {txs.input = "x"},
                 %dt: tensor<?x?x2xf32> {txs.input = "dt"},
                 %a: tensor<2xf32> {txs.input = "a"},
                 %cos: tensor<?x16xf32> {txs.input = "rope_cos"},
                 %sin: tensor<?x16xf32> {txs.input = "rope_sin"})
        -> (tensor<?x?x2x32xf32> {txs.output = "dc"},
            tensor<?x?x2x32xf32> {txs.output = "db"},
            tensor<?x?x2x24xf32> {txs.output = "dx"}) {
      %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a
           {chunk = 32 : i64}
         : (tensor<?x?x2x24xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>,
            tensor<?x?x2x24xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
         -> (tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x24xf32>,
             tensor<?x?x2xf32>, tensor<2xf32>)
      %rc = txs.rope %dc, %cos, %sin {inverse}
         : tensor<?x?x2x32xf32>, tensor<?x16xf32>
      %rb = txs.rope %db, %cos, %sin {inverse}
         : tensor<?x?x2x32xf32>, tensor<?x16xf32>
      return %rc, %rb, %dx : tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>,
                             tensor<?x?x2x24xf32>
    })mlir",
              {"dc", "db", "dx"}, 3, {2, Seq}, [&](PlanRunner &Runner) {
                Runner.Floats["dy"] = randomFloats(Rows * 48, 1);
                Runner.Floats["c"] = randomFloats(Rows * 64, 2);
                Runner.Floats["b"] = randomFloats(Rows * 64, 3);
                Runner.Floats["x"] = randomFloats(Rows * 48, 4);
                Runner.Floats["dt"] = std::vector<float>(Rows * 2, 0.3f);
                Runner.Floats["a"] = {-0.5f, -1.0f};
                Runner.Floats["rope_cos"] = randomFloats(Seq * 16, 6);
                Runner.Floats["rope_sin"] = randomFloats(Seq * 16, 7);
              });
}

TEST(FusedKernels, AttentionGradAndRotation) {
  const int64_t Seq = 67, Rows = 2 * Seq;
  checkFusion(R"mlir(
    func.func @f(%dy: tensor<?x?x4x32xf32> {txs.input = "dy"},
                 %q: tensor<?x?x4x32xf32> {txs.input = "q"},
                 %k: tensor<?x?x2x32xf32> {txs.input = "k"},
                 %v: tensor<?x?x2x32xf32> {txs.input = "v"},
                 %cos: tensor<?x16xf32> {txs.input = "rope_cos"},
                 %sin: tensor<?x16xf32> {txs.input = "rope_sin"})
        -> (tensor<?x?x4x32xf32> {txs.output = "dq"},
            tensor<?x?x2x32xf32> {txs.output = "dk"},
            tensor<?x?x2x32xf32> {txs.output = "dv"}) {
      %o, %l = txs.attention %q, %k, %v
         : (tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>)
         -> (tensor<?x?x4x32xf32>, tensor<?x?x4xf32>)
      %dq, %dk, %dv = txs.attention_grad %dy, %q, %k, %v, %o, %l
         : (tensor<?x?x4x32xf32>, tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>,
            tensor<?x?x2x32xf32>, tensor<?x?x4x32xf32>, tensor<?x?x4xf32>)
         -> (tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>)
      %rk = txs.rope %dk, %cos, %sin {inverse}
         : tensor<?x?x2x32xf32>, tensor<?x16xf32>
      %rq = txs.rope %dq, %cos, %sin {inverse}
         : tensor<?x?x4x32xf32>, tensor<?x16xf32>
      return %rq, %rk, %dv : tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>,
                             tensor<?x?x2x32xf32>
    })mlir",
              {"dq", "dk", "dv"}, 4, {2, Seq}, [&](PlanRunner &Runner) {
                Runner.Floats["dy"] = randomFloats(Rows * 128, 1);
                Runner.Floats["q"] = randomFloats(Rows * 128, 2);
                Runner.Floats["k"] = randomFloats(Rows * 64, 3);
                Runner.Floats["v"] = randomFloats(Rows * 64, 4);
                Runner.Floats["rope_cos"] = randomFloats(Seq * 16, 6);
                Runner.Floats["rope_sin"] = randomFloats(Seq * 16, 7);
              });
}

/// What a sum of input gradients is, by loops in double precision.
std::vector<double>
sumOfProducts(PlanRunner &Runner,
              const std::vector<std::pair<std::string, std::string>> &Terms,
              int64_t Rows, int64_t Columns) {
  std::vector<double> Sum(Rows * Columns);
  for (const auto &[Dy, W] : Terms) {
    int64_t Outputs = Runner.Floats[W].size() / Columns;
    for (int64_t R = 0; R < Rows; ++R)
      for (int64_t O = 0; O < Outputs; ++O)
        for (int64_t C = 0; C < Columns; ++C)
          Sum[R * Columns + C] += double(Runner.Floats[Dy][R * Outputs + O]) *
                                  Runner.Floats[W][O * Columns + C];
  }
  return Sum;
}

/// The terms of a sum are added up in one tile, so that its bits are not those
/// of separate sums.
TEST(FusedKernels, GradientSum) {
  PlanRunner Runner(R"mlir(
    func.func @f(%d0: tensor<?x?x3xf32> {txs.input = "d0"},
                 %d1: tensor<?x?x150xf32> {txs.input = "d1"},
                 %d2: tensor<?x?x2x24xf32> {txs.input = "d2"},
                 %w0: tensor<3x80xf32> {txs.input = "w0"},
                 %w1: tensor<150x80xf32> {txs.input = "w1"},
                 %w2: tensor<48x80xf32> {txs.input = "w2"},
                 %m: tensor<?x?xf32> {txs.input = "m"})
        -> (tensor<?x?x80xf32> {txs.output = "sum"}) {
      %0 = txs.linear_grad_input %d0, %w0
         : tensor<?x?x3xf32>, tensor<3x80xf32> -> tensor<?x?x80xf32>
      %1 = txs.linear_grad_input %d1, %w1
         : tensor<?x?x150xf32>, tensor<150x80xf32> -> tensor<?x?x80xf32>
      %2 = txs.add %0, %1 : tensor<?x?x80xf32>
      %3 = txs.linear_grad_input %d2, %w2
         : tensor<?x?x2x24xf32>, tensor<48x80xf32> -> tensor<?x?x80xf32>
      %4 = txs.add %2, %3 : tensor<?x?x80xf32>
      %5 = txs.mask %4, %m : tensor<?x?x80xf32>, tensor<?x?xf32>
      return %5 : tensor<?x?x80xf32>
    })mlir");
  const int64_t Rows = 2 * 40, Widths[] = {3, 150, 48};
  for (int I = 0; I < 3; ++I) {
    Runner.Floats["d" + std::to_string(I)] =
        randomFloats(Rows * Widths[I], 2 * I);
    Runner.Floats["w" + std::to_string(I)] =
        randomFloats(Widths[I] * 80, 2 * I + 1);
  }
  Runner.Floats["m"] = std::vector<float>(Rows, 1.0f);
  Runner.Floats["m"][7] = 0;
  Runner.run("f", {2, 40});
  std::vector<double> Sum = sumOfProducts(
      Runner, {{"d0", "w0"}, {"d1", "w1"}, {"d2", "w2"}}, Rows, 80);
  for (int64_t C = 0; C < 80; ++C)
    Sum[7 * 80 + C] = 0;
  EXPECT_EQ(Runner.Launched.size(), 1u);
  EXPECT_LT(relativeError(Runner.Floats["sum"], Sum), 2e-6);
}

TEST(FusedKernels, ActivationGradient) {
  checkFusion(R"mlir(
    func.func @f(%dy: tensor<?x?x48xf32> {txs.input = "dy"},
                 %w: tensor<48x80xf32> {txs.input = "w"},
                 %z: tensor<?x?x80xf32> {txs.input = "z"})
        -> (tensor<?x?x80xf32> {txs.output = "dz"}) {
      %0 = txs.linear_grad_input %dy, %w
         : tensor<?x?x48xf32>, tensor<48x80xf32> -> tensor<?x?x80xf32>
      %1 = txs.activation_grad silu %0, %z : tensor<?x?x80xf32>
      return %1 : tensor<?x?x80xf32>
    })mlir",
              {"dz"}, 1, {2, 40}, [](PlanRunner &Runner) {
                Runner.Floats["dy"] = randomFloats(80 * 48, 1);
                Runner.Floats["w"] = randomFloats(48 * 80, 2);
                Runner.Floats["z"] = randomFloats(80 * 80, 3);
              });
}

/// The loss and its gradients, together and apart.
void checkLoss(int64_t Vocabulary, size_t Launches, Sizes S) {
  std::string Text = formatv(R"mlir(
    func.func @f(%h: tensor<?x?x24xf32> {{txs.input = "h"},
                 %w: tensor<{0}x24xf32> {{txs.input = "w"},
                 %labels: tensor<?x?xi32> {{txs.input = "labels"})
        -> (tensor<f32> {{txs.output = "loss"},
            tensor<?x?x24xf32> {{txs.output = "dh"},
            tensor<{0}x24xf32> {{txs.output = "dw"}) {{
      %loss, %l = txs.linear_cross_entropy %h, %w, %labels shift
         : tensor<?x?x24xf32>, tensor<{0}x24xf32>, tensor<?x?xi32>
           -> tensor<f32>, tensor<?x?xf32>
      %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %labels, %l shift
         : tensor<?x?x24xf32>, tensor<{0}x24xf32>, tensor<?x?xi32>,
           tensor<?x?xf32>
      return %loss, %dh, %dw
         : tensor<f32>, tensor<?x?x24xf32>, tensor<{0}x24xf32>
    })mlir",
                             Vocabulary);
  checkFusion(Text, {"loss", "dh", "dw"}, Launches, S, [&](PlanRunner &Runner) {
    int64_t Rows = S.Batch * S.Seq;
    Runner.Floats["h"] = randomFloats(Rows * 24, 1);
    Runner.Floats["w"] = randomFloats(Vocabulary * 24, 2);
    std::vector<int32_t> &Labels = Runner.Integers["labels"];
    for (int64_t I = 0; I < Rows; ++I)
      Labels.push_back(I % 5 == 4 ? -100 : I * 131 % Vocabulary);
  });
}

// Labels, five launches for the chunk that all rows are, and the mean: the same
// sums in the same order as launches for each slab of the vocabulary.
TEST(FusedKernels, LossWithGradients) { checkLoss(4500, 7, {3, 33}); }

} // namespace
