//===- ExponentialTest.cpp - exp by the device's power of two -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Against float64, on a simulator whose ex2.approx is as wrong as a device's
// may be.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/nvptx/NvptxCodegen.h"
#include "mlir/Parser/Parser.h"
#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::test;

namespace {

/// exp of the numbers, by a kernel whose other operand is of this type.
std::vector<float> exponentials(std::vector<float> X, const char *Other) {
  std::string Text = R"(
tile.kernel @f(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<1xOTHER>)
    grid(%i) {
  %n = arith.constant 64 : index
  %r = arith.muli %i, %n : index
  %t = tile.load %x[%r] over [0] : memref<?xf32> -> tensor<64xf32>
  %u = math.exp %t : tensor<64xf32>
  tile.store %u, %y[%r] over [0] : tensor<64xf32>, memref<?xf32>
})";
  Text.replace(Text.find("OTHER"), 5, Other);
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry, MLIRContext::Threading::DISABLED);
  OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(Text, &Context);
  std::vector<float> Y(X.size()), Z(1);
  if (!Module)
    return {};
  FailureOr<nvptx::DeviceModule> Device =
      nvptx::lowerForGpu(*Module, {"sm_80"});
  if (failed(Device))
    return {};
  SimKernels Kernels(*Device->Module);
  EXPECT_TRUE(Kernels.isLoaded()) << Kernels.error();
  SimLaunch Launch(Kernels, "f");
  Launch.input("x", X).output("y", Y).input("z", Z);
  Launch.size(X.size()).size(X.size());
  auto Blocks = static_cast<uint32_t>((X.size() + 63) / 64);
  Launch.run({{Blocks, 1, 1},
              static_cast<uint32_t>(Device->Kernels[0].Threads),
              static_cast<uint32_t>(Device->Kernels[0].SharedBytes)});
  EXPECT_TRUE(Launch.reports().empty()) << Launch.reportText();
  return Y;
}

std::vector<float> numbersBetween(float Low, float High) {
  constexpr int Steps = 20000;
  std::vector<float> Numbers;
  for (int I = 0; I <= Steps; ++I)
    Numbers.push_back(Low + (High - Low) * (float(I) / Steps));
  for (float X = 1e-10f; X < High; X *= 1.1f)
    Numbers.insert(Numbers.end(), {X, -X});
  return Numbers;
}

/// The largest relative error beside what is allowed for each number.
template <typename Bound>
double worstShare(const char *Other, Bound &&Allowed) {
  std::vector<float> X = numbersBetween(-87.3f, 88.7f);
  std::vector<float> Y = exponentials(X, Other);
  EXPECT_EQ(Y.size(), X.size());
  double Worst = 0;
  for (size_t I = 0; I < Y.size(); ++I) {
    double Exact = std::exp(double(X[I]));
    double Share = std::abs(Y[I] - Exact) / Exact / Allowed(X[I]);
    // A NaN is the worst of all.
    if (!(Share <= Worst))
      Worst = Share;
  }
  return Worst;
}

TEST(Exponential, KeepsWhatRoundingTheExponentDrops) {
  // The device's error and two roundings, 2^-24 each; the rest is far smaller.
  double Share = worstShare("f32", [](float) { return 0x1p-22 + 0x1.2p-23; });
  EXPECT_LE(Share, 1.0);
  // The simulator's power is not better than a device's has to be.
  EXPECT_GE(Share, 0.6);
}

TEST(Exponential, BesideBf16) {
  // The exponent is rounded, by 2^-24 of itself, and so is log2(e).
  auto Allowed = [](float X) {
    return 0x1p-22 + 0x1p-24 + std::abs(X) * (0x1p-24 + 0x1p-26);
  };
  double Share = worstShare("bf16", Allowed);
  EXPECT_LE(Share, 1.0);
  EXPECT_GE(worstShare("bf16", [](float) { return 0x1p-22 + 0x1.2p-23; }), 5.0)
      << "the short form";
}

TEST(Exponential, SpecialValues) {
  std::vector<float> X = {0.0f,    -0.0f,  INFINITY, -INFINITY, NAN,    1e30f,
                          -1e30f,  1e7f,   -1e7f,    89.0f,     100.0f, -104.0f,
                          -103.0f, -88.0f, 3.4e38f,  -3.4e38f,  1e-45f, 1.0f};
  for (const char *Other : {"f32", "bf16"}) {
    std::vector<float> Y = exponentials(X, Other);
    ASSERT_EQ(Y.size(), X.size());
    for (size_t I = 0; I < X.size(); ++I) {
      double Exact = std::exp(double(X[I]));
      if (std::isnan(X[I]))
        EXPECT_TRUE(std::isnan(Y[I])) << Other;
      else if (Exact > 3.4028236e38)
        EXPECT_EQ(Y[I], INFINITY) << Other << ": exp(" << X[I] << ")";
      else if (Exact < 0x1p-126)
        EXPECT_EQ(Y[I], 0.0f) << Other << ": exp(" << X[I] << ")";
      else
        EXPECT_NEAR(Y[I], Exact, 4e-7 * Exact) << Other << " " << X[I];
    }
    EXPECT_EQ(Y[0], 1.0f);
    EXPECT_EQ(Y[1], 1.0f);
  }
}

} // namespace
