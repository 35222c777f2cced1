//===- ElementwiseTest.cpp - Elementwise kernels and reductions on x86 ----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/codegen/x86/KernelHarness.h"

#include <gtest/gtest.h>

#include <array>

using namespace transxssm::test;

namespace {

/// y = (x * 2 + w) with x and y of $ROWS x $COLS cells, w a row.
const char *Affine = R"(
tile.kernel @affine(%x: memref<?x?xf32>, %w: memref<?xf32>, %y: memref<?x?xf32>) grid(%i, %j) {
  %rows = arith.constant $ROWS : index
  %cols = arith.constant $COLS : index
  %r = arith.muli %i, %rows : index
  %c = arith.muli %j, %cols : index
  %x0 = tile.load %x[%r, %c] over [0, 1] : memref<?x?xf32> -> tensor<$ROWSx$COLSxf32>
  %w0 = tile.load %w[%c] over [0] : memref<?xf32> -> tensor<$COLSxf32>
  %w1 = tile.broadcast %w0 along [1] : tensor<$COLSxf32> -> tensor<$ROWSx$COLSxf32>
  %two = arith.constant dense<2.0> : tensor<$ROWSx$COLSxf32>
  %x1 = arith.mulf %x0, %two : tensor<$ROWSx$COLSxf32>
  %x2 = arith.addf %x1, %w1 : tensor<$ROWSx$COLSxf32>
  tile.store %x2, %y[%r, %c] over [0, 1] : tensor<$ROWSx$COLSxf32>, memref<?x?xf32>
}
)";

TEST(Elementwise, AffineAtEveryBoundary) {
  for (auto [TileRows, TileCols] :
       {std::pair{16, 64}, {4, 24}, {5, 7}, {1, 1}, {3, 97}}) {
    Kernels K(substitute(Affine, {{"ROWS", std::to_string(TileRows)},
                                  {"COLS", std::to_string(TileCols)}}));
    for (int Rows : {1, TileRows - 1, TileRows, TileRows + 1, 3 * TileRows + 2})
      for (int Cols : {1, TileCols - 1, TileCols, TileCols + 1, 97}) {
        if (Rows == 0 || Cols == 0)
          continue;
        Array<float> X = randomArray(Rows * Cols, 1), W = randomArray(Cols, 2);
        Array<float> Y(Rows * Cols, 99.0f);
        K.run("affine", {X.data(), W.data(), Y.data()},
              {Rows, Cols, Cols, Rows, Cols},
              (Rows + TileRows - 1) / TileRows + 1,
              (Cols + TileCols - 1) / TileCols + 1);
        for (int R = 0; R < Rows; ++R)
          for (int C = 0; C < Cols; ++C)
            ASSERT_EQ(Y[R * Cols + C], X[R * Cols + C] * 2 + W[C])
                << Rows << "x" << Cols << " at " << R << ", " << C;
      }
  }
}

/// A memory of more elements than 32 bits count, of which the one cell that
/// runs reads and writes the first few.
TEST(Elementwise, FirstOfVeryMany) {
  Kernels K(R"(
tile.kernel @negate(%x: memref<?xf32>, %y: memref<?xf32>) grid(%i) {
  %n = arith.constant 21 : index
  %r = arith.muli %i, %n : index
  %t = tile.load %x[%r] over [0] : memref<?xf32> -> tensor<21xf32>
  %u = arith.negf %t : tensor<21xf32>
  tile.store %u, %y[%r] over [0] : tensor<21xf32>, memref<?xf32>
})");
  for (int64_t Size : {int64_t(1) << 31, (int64_t(1) << 32) + 1}) {
    Array<float> X = randomArray(21, 1), Y(21);
    K.run("negate", {X.data(), Y.data()}, {Size, Size});
    for (size_t I = 0; I < 21; ++I)
      ASSERT_EQ(Y[I], -X[I]) << Size << " elements, at " << I;
  }
}

/// Two memories updated in one nest, from each other's old values, and a third
/// from the new ones.
const char *Walk = R"(
tile.kernel @walk(%g: memref<?xf32>, %m: memref<?xf32>, %p: memref<?xf32>, %q: memref<?xf32>) grid(%i) {
  %n = arith.constant $STEP : index
  %r = arith.muli %i, %n : index
  %half = arith.constant dense<0.5> : tensor<$STEPxf32>
  %g0 = tile.load %g[%r] over [0] : memref<?xf32> -> tensor<$STEPxf32>
  %m0 = tile.load %m[%r] over [0] : memref<?xf32> -> tensor<$STEPxf32>
  %p0 = tile.load %p[%r] over [0] : memref<?xf32> -> tensor<$STEPxf32>
  %m1 = arith.mulf %m0, %half : tensor<$STEPxf32>
  %m2 = arith.addf %m1, %g0 : tensor<$STEPxf32>
  %p1 = arith.subf %p0, %m2 : tensor<$STEPxf32>
  tile.store %m2, %m[%r] over [0] : tensor<$STEPxf32>, memref<?xf32>
  tile.store %p1, %p[%r] over [0] : tensor<$STEPxf32>, memref<?xf32>
  %m3 = tile.load %m[%r] over [0] : memref<?xf32> -> tensor<$STEPxf32>
  %q1 = arith.mulf %m3, %half : tensor<$STEPxf32>
  tile.store %q1, %q[%r] over [0] : tensor<$STEPxf32>, memref<?xf32>
}
)";

TEST(Elementwise, WalkOverMemoriesOfUnequalSizes) {
  for (int Step : {256, 300}) {
    Kernels K(substitute(Walk, {{"STEP", std::to_string(Step)}}));
    for (auto [G, M, P, Q] : {std::array{512, 512, 512, 512},
                              {600, 600, 600, 600},
                              {700, 690, 699, 701},
                              {5, 300, 259, 512},
                              {900, 3, 601, 256}}) {
      Array<float> Gs = randomArray(G, 1), Ms = randomArray(M, 2);
      Array<float> Ps = randomArray(P, 3), Qs(Q);
      Array<float> NewMs = randomArray(M, 2), NewPs = randomArray(P, 3);
      K.run("walk", {Gs.data(), NewMs.data(), NewPs.data(), Qs.data()},
            {G, M, P, Q}, (900 + Step - 1) / Step + 1);
      auto At = [](const Array<float> &Memory, int I) {
        return static_cast<size_t>(I) < Memory.size() ? Memory[I] : 0.0f;
      };
      for (int I = 0; I < 900; ++I) {
        float Moment = At(Ms, I) * 0.5f + At(Gs, I);
        if (I < M)
          ASSERT_EQ(NewMs[I], Moment) << M << " moments, at " << I;
        if (I < P)
          ASSERT_EQ(NewPs[I], Ps[I] - Moment) << P << " values, at " << I;
        if (I < Q)
          ASSERT_EQ(Qs[I], At(NewMs, I) * 0.5f) << Q << " results, at " << I;
      }
    }
  }
}

/// Softmax of every row, in bf16 or f32 memory.
const char *Softmax = R"(
tile.kernel @softmax(%x: memref<?x$COLSx$TYPE>, %y: memref<?x$COLSx$TYPE>) grid(%i) {
  %rows = arith.constant 8 : index
  %zero = arith.constant 0 : index
  %r = arith.muli %i, %rows : index
  %raw = tile.load %x[%r, %zero] over [0, 1] : memref<?x$COLSx$TYPE> -> tensor<8x$COLSx$TYPE>
  $EXTEND
  %m = tile.reduce max %x0 along 1 : tensor<8x$COLSxf32> -> tensor<8xf32>
  %mb = tile.broadcast %m along [0] : tensor<8xf32> -> tensor<8x$COLSxf32>
  %d = arith.subf %x0, %mb : tensor<8x$COLSxf32>
  %e = math.exp %d : tensor<8x$COLSxf32>
  %s = tile.reduce sum %e along 1 : tensor<8x$COLSxf32> -> tensor<8xf32>
  %one = arith.constant dense<1.0> : tensor<8xf32>
  %inv = arith.divf %one, %s : tensor<8xf32>
  %ib = tile.broadcast %inv along [0] : tensor<8xf32> -> tensor<8x$COLSxf32>
  %p = arith.mulf %e, %ib : tensor<8x$COLSxf32>
  $TRUNCATE
  tile.store %out, %y[%r, %zero] over [0, 1] : tensor<8x$COLSx$TYPE>, memref<?x$COLSx$TYPE>
}
)";

std::string softmaxKernel(int Cols, bool Bf16) {
  std::string Text = substitute(
      Softmax,
      {{"EXTEND", Bf16 ? "%x0 = arith.extf %raw : tensor<8x$COLSxbf16> to "
                         "tensor<8x$COLSxf32>"
                       : "%zs = arith.constant dense<0.0> : "
                         "tensor<8x$COLSxf32>\n  %x0 = arith.addf %raw, %zs : "
                         "tensor<8x$COLSxf32>"},
       {"TRUNCATE", Bf16 ? "%out = arith.truncf %p : tensor<8x$COLSxf32> to "
                           "tensor<8x$COLSxbf16>"
                         : "%zt = arith.constant dense<0.0> : "
                           "tensor<8x$COLSxf32>\n  %out = arith.addf %p, %zt "
                           ": tensor<8x$COLSxf32>"}});
  return substitute(
      Text, {{"TYPE", Bf16 ? "bf16" : "f32"}, {"COLS", std::to_string(Cols)}});
}

TEST(Elementwise, SoftmaxOfRows) {
  for (int Cols : {1, 3, 8, 30, 64, 128}) {
    Kernels K(softmaxKernel(Cols, false));
    for (int Rows : {1, 7, 8, 9, 21}) {
      Array<float> X = randomArray(Rows * Cols, Cols, 20.0f);
      Array<float> Y(Rows * Cols);
      K.run("softmax", {X.data(), Y.data()}, {Rows, Rows}, (Rows + 7) / 8);
      for (int R = 0; R < Rows; ++R) {
        float Max = -INFINITY;
        double Sum = 0;
        for (int C = 0; C < Cols; ++C)
          Max = std::max(Max, X[R * Cols + C]);
        // The difference is rounded, as in the kernel.
        auto Exponential = [&](int C) {
          return std::exp(double(float(X[R * Cols + C] - Max)));
        };
        for (int C = 0; C < Cols; ++C)
          Sum += Exponential(C);
        for (int C = 0; C < Cols; ++C)
          ASSERT_TRUE(
              isClose(Y[R * Cols + C], Exponential(C) / Sum, 1e-6, 1e-38))
              << Cols << " columns, row " << R << ", column " << C;
      }
    }
  }
}

float fromBf16(uint16_t Bits) {
  uint32_t Wide = uint32_t(Bits) << 16;
  float Result;
  std::memcpy(&Result, &Wide, 4);
  return Result;
}

uint16_t toBf16(float Value) {
  uint32_t Bits;
  std::memcpy(&Bits, &Value, 4);
  if (std::isnan(Value))
    return (Bits >> 16) | 0x40;
  return (Bits + 0x7fff + ((Bits >> 16) & 1)) >> 16;
}

TEST(Elementwise, SoftmaxInBf16) {
  for (int Cols : {3, 20, 64}) {
    Kernels K(softmaxKernel(Cols, true));
    for (int Rows : {1, 8, 13}) {
      Array<float> F = randomArray(Rows * Cols, Cols, 5.0f);
      Array<uint16_t> X(Rows * Cols), Y(Rows * Cols);
      for (size_t I = 0; I < X.size(); ++I)
        X[I] = toBf16(F[I]);
      K.run("softmax", {X.data(), Y.data()}, {Rows, Rows}, (Rows + 7) / 8);
      for (int R = 0; R < Rows; ++R) {
        double Sum = 0;
        for (int C = 0; C < Cols; ++C)
          Sum += std::exp(double(fromBf16(X[R * Cols + C])));
        for (int C = 0; C < Cols; ++C)
          ASSERT_TRUE(isClose(fromBf16(Y[R * Cols + C]),
                              std::exp(double(fromBf16(X[R * Cols + C]))) / Sum,
                              0.004))
              << Cols << " columns, row " << R << ", column " << C;
      }
    }
  }
}

const char *Columns = R"(
tile.kernel @columns(%x: memref<?x?xf32>, %sum: memref<?xf32>, %max: memref<?xf32>, %all: memref<1xf32>) grid(%j) {
  %zero = arith.constant 0 : index
  %cols = arith.constant $COLS : index
  %c = arith.muli %j, %cols : index
  %t = tile.load %x[%zero, %c] over [0, 1] : memref<?x?xf32> -> tensor<$ROWSx$COLSxf32>
  %s = tile.reduce sum %t along 0 : tensor<$ROWSx$COLSxf32> -> tensor<$COLSxf32>
  %m = tile.reduce max %t along 0 : tensor<$ROWSx$COLSxf32> -> tensor<$COLSxf32>
  tile.store %s, %sum[%c] over [0] : tensor<$COLSxf32>, memref<?xf32>
  tile.store %m, %max[%c] over [0] : tensor<$COLSxf32>, memref<?xf32>
  %a = tile.reduce max %m along 0 : tensor<$COLSxf32> -> f32
  tile.store %a, %all[%zero] : f32, memref<1xf32>
}
)";

TEST(Elementwise, ColumnReductions) {
  for (auto [Rows, Cols] : {std::pair{1, 8}, {6, 5}, {17, 64}, {8, 24}}) {
    Kernels K(substitute(Columns, {{"ROWS", std::to_string(Rows)},
                                   {"COLS", std::to_string(Cols)}}));
    Array<float> X = randomArray(Rows * Cols, 3);
    Array<float> Sum(Cols), Max(Cols), All(1);
    K.run("columns", {X.data(), Sum.data(), Max.data(), All.data()},
          {Rows, Cols, Cols, Cols});
    float Largest = -INFINITY;
    for (int C = 0; C < Cols; ++C) {
      float ExpectedSum = 0, ExpectedMax = -INFINITY;
      for (int R = 0; R < Rows; ++R) {
        ExpectedSum += X[R * Cols + C];
        ExpectedMax = std::max(ExpectedMax, X[R * Cols + C]);
      }
      Largest = std::max(Largest, ExpectedMax);
      EXPECT_EQ(Sum[C], ExpectedSum) << C;
      EXPECT_EQ(Max[C], ExpectedMax) << C;
    }
    EXPECT_EQ(All[0], Largest);
  }
}

TEST(Elementwise, MaximumPassesNanOn) {
  Kernels K(substitute(Columns, {{"ROWS", "3"}, {"COLS", "16"}}));
  Array<float> X = randomArray(48, 3);
  X[5] = NAN;
  Array<float> Sum(16), Max(16), All(1);
  K.run("columns", {X.data(), Sum.data(), Max.data(), All.data()},
        {3, 16, 16, 16});
  EXPECT_TRUE(std::isnan(Max[5]));
  EXPECT_TRUE(std::isnan(All[0]));
  EXPECT_FALSE(std::isnan(Max[4]));
}

/// Integer tiles: 64-bit products, shifts, comparisons, selections.
TEST(Elementwise, Integers) {
  Kernels K(R"(
tile.kernel @ints(%x: memref<?xi32>, %y: memref<?xi32>, %z: memref<?xf32>) grid(%i) {
  %n = arith.constant 16 : index
  %r = arith.muli %i, %n : index
  %x0 = tile.load %x[%r] over [0] : memref<?xi32> -> tensor<16xi32>
  %k = tile.iota 0 : tensor<16xi32>
  %w = arith.extui %x0 : tensor<16xi32> to tensor<16xi64>
  %m = arith.constant dense<3528531795> : tensor<16xi64>
  %p = arith.muli %w, %m : tensor<16xi64>
  %s = arith.constant dense<32> : tensor<16xi64>
  %h = arith.shrui %p, %s : tensor<16xi64>
  %hi = arith.trunci %h : tensor<16xi64> to tensor<16xi32>
  %even = arith.constant dense<1> : tensor<16xi32>
  %b = arith.andi %k, %even : tensor<16xi32>
  %z0 = arith.constant dense<0> : tensor<16xi32>
  %c = arith.cmpi eq, %b, %z0 : tensor<16xi32>
  %y0 = arith.select %c, %hi, %k : tensor<16xi1>, tensor<16xi32>
  tile.store %y0, %y[%r] over [0] : tensor<16xi32>, memref<?xi32>
  %f = arith.uitofp %y0 : tensor<16xi32> to tensor<16xf32>
  tile.store %f, %z[%r] over [0] : tensor<16xf32>, memref<?xf32>
})");
  for (int N : {1, 15, 16, 17, 40}) {
    Array<int32_t> X(N), Y(N);
    Array<float> Z(N);
    for (int I = 0; I < N; ++I)
      X[I] = 0x9e3779b9u * (I + 1);
    K.run("ints", {X.data(), Y.data(), Z.data()}, {N, N, N}, (N + 15) / 16);
    for (int I = 0; I < N; ++I) {
      uint32_t High = (uint64_t(uint32_t(X[I])) * 3528531795u) >> 32;
      uint32_t Expected = I % 2 == 0 ? High : I % 16;
      ASSERT_EQ(uint32_t(Y[I]), Expected) << I;
      ASSERT_EQ(Z[I], float(Expected)) << I;
    }
  }
}

} // namespace
