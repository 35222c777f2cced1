//===- ExpandMathTest.cpp - Accuracy of the inline functions --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/codegen/x86/KernelHarness.h"

#include <gtest/gtest.h>

using namespace transxssm::test;

namespace {

using Reference = double (*)(double);

struct Function {
  const char *Name;
  Reference Exact;
  double Low, High;
  double Ulps;
};

const Function Functions[] = {
    {"exp", std::exp, -103.0, 88.7, 2.0},
    {"exp2", std::exp2, -149.0, 127.9, 2.0},
    {"expm1", std::expm1, -20.0, 80.0, 4.0},
    {"log", std::log, 1e-44, 1e6, 2.0},
    {"log2", std::log2, 1e-44, 1e6, 3.0},
    {"log1p", std::log1p, -0.9999, 50.0, 4.0},
    {"tanh", std::tanh, -10.0, 10.0, 3.0},
    {"erf", std::erf, -5.0, 5.0, 3.0},
    {"rsqrt", [](double X) { return 1 / std::sqrt(X); }, 1e-30, 1e6, 2.0},
};

void PrintTo(const Function &F, std::ostream *Stream) { *Stream << F.Name; }

class Math : public testing::TestWithParam<Function> {
protected:
  static Kernels compile(const char *Name) {
    return Kernels(substitute(R"(
tile.kernel @f(%x: memref<?xf32>, %y: memref<?xf32>) grid(%i) {
  %n = arith.constant 64 : index
  %r = arith.muli %i, %n : index
  %t = tile.load %x[%r] over [0] : memref<?xf32> -> tensor<64xf32>
  %u = math.$NAME %t : tensor<64xf32>
  tile.store %u, %y[%r] over [0] : tensor<64xf32>, memref<?xf32>
})",
                              {{"NAME", Name}}));
  }
};

/// The distance between neighbours at a number.
double ulpOf(double X) {
  float Size = std::max(float(std::abs(X)), 1.1754944e-38f);
  return std::nextafter(Size, INFINITY) - double(Size);
}

TEST_P(Math, WithinUlpsOfDouble) {
  Function F = GetParam();
  Kernels Kernel = compile(F.Name);
  std::vector<float> Inputs;
  int Steps = 100000;
  for (int I = 0; I <= Steps; ++I)
    Inputs.push_back(F.Low + (F.High - F.Low) * I / Steps);
  for (float X = 1e-40f; X < 1e6f; X *= 1.01f)
    for (float S : {X, -X})
      if (S >= F.Low && S <= F.High)
        Inputs.push_back(S);
  Array<float> X(Inputs.size()), Y(Inputs.size());
  for (size_t I = 0; I < Inputs.size(); ++I)
    X[I] = Inputs[I];
  int64_t Count = Inputs.size();
  Kernel.run("f", {X.data(), Y.data()}, {Count, Count}, (Count + 63) / 64);
  double Worst = 0;
  float Where = 0;
  for (int64_t I = 0; I < Count; ++I) {
    double Exact = F.Exact(X[I]);
    double Error = std::abs(Y[I] - Exact) / ulpOf(Exact);
    // A NaN is the worst of all and stays so.
    if (!std::isnan(Worst) && !(Error <= Worst)) {
      Worst = Error;
      Where = X[I];
    }
  }
  EXPECT_LE(Worst, F.Ulps) << "at " << Where;
  RecordProperty("ulps", std::to_string(Worst));
  std::printf("%s: %.2f ulp at %g\n", F.Name, Worst, Where);
}

TEST_P(Math, SpecialValues) {
  Function F = GetParam();
  Kernels Kernel = compile(F.Name);
  const float Values[] = {0.0f,  INFINITY, -INFINITY, NAN,   1000.0f, -1000.0f,
                          1e38f, -1e38f,   1.0f,      -1.0f, -2.0f,   1e-45f};
  int64_t Count = std::size(Values);
  Array<float> X(Count), Y(Count);
  for (int I = 0; I < Count; ++I)
    X[I] = Values[I];
  Kernel.run("f", {X.data(), Y.data()}, {Count, Count});
  for (int I = 0; I < Count; ++I) {
    double Exact = F.Exact(X[I]);
    if (std::abs(Exact) > 3.4028236e38)
      Exact = std::copysign(INFINITY, Exact);
    EXPECT_TRUE(isClose(Y[I], Exact, 1e-6, 1e-44))
        << F.Name << "(" << X[I] << ") is " << Y[I] << ", expected " << Exact;
  }
}

INSTANTIATE_TEST_SUITE_P(Functions, Math, testing::ValuesIn(Functions),
                         [](const auto &Info) {
                           return std::string(Info.param.Name);
                         });

} // namespace
