//===- ShapeTest.cpp - Moving elements, scans and branches on x86 ---------===//
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

const char *Transpose = R"(
tile.kernel @transpose(%x: memref<?x?xf32>, %y: memref<?x?xf32>) grid(%i, %j) {
  %rows = arith.constant $ROWS : index
  %cols = arith.constant $COLS : index
  %r = arith.muli %i, %rows : index
  %c = arith.muli %j, %cols : index
  %t = tile.load %x[%r, %c] over [0, 1] : memref<?x?xf32> -> tensor<$ROWSx$COLSxf32>
  %n = arith.negf %t : tensor<$ROWSx$COLSxf32>
  %u = tile.transpose %n : tensor<$ROWSx$COLSxf32> -> tensor<$COLSx$ROWSxf32>
  tile.store %u, %y[%c, %r] over [0, 1] : tensor<$COLSx$ROWSxf32>, memref<?x?xf32>
}
)";

TEST(Shape, Transpose) {
  for (auto [TR, TC] : {std::pair{16, 16}, {8, 24}, {5, 7}, {13, 20}, {1, 9}}) {
    Kernels Kernel(substitute(Transpose, {{"ROWS", std::to_string(TR)},
                                          {"COLS", std::to_string(TC)}}));
    for (auto [R, C] : {std::pair{TR, TC}, {1, 1}, {TR + 3, 2 * TC - 1}}) {
      Array<float> X = randomArray(R * C, 1), Y(R * C);
      Kernel.run("transpose", {X.data(), Y.data()}, {R, C, C, R},
                 (R + TR - 1) / TR, (C + TC - 1) / TC);
      for (int I = 0; I < R; ++I)
        for (int J = 0; J < C; ++J)
          ASSERT_EQ(Y[J * R + I], -X[I * C + J]) << I << ", " << J;
    }
  }
}

const char *Scan = R"(
tile.kernel @scan(%x: memref<2x?x3xf32>, %y: memref<2x?x3xf32>, %z: memref<2x?x3xf32>, %e: memref<2x3xf32>) grid(%b, %h) {
  %c0 = arith.constant 0 : index
  %last = arith.constant $LAST : index
  %t = tile.load %x[%b, %c0, %h] over [1] : memref<2x?x3xf32> -> tensor<$Nxf32>
  %s = arith.addf %t, %t : tensor<$Nxf32>
  %u = tile.cumulative_sum %s : tensor<$Nxf32>
  %v = tile.cumulative_sum %s {reverse} : tensor<$Nxf32>
  %l = tile.extract %u[%last] : tensor<$Nxf32> -> f32
  %m = math.exp %l : f32
  tile.store %u, %y[%b, %c0, %h] over [1] : tensor<$Nxf32>, memref<2x?x3xf32>
  tile.store %v, %z[%b, %c0, %h] over [1] : tensor<$Nxf32>, memref<2x?x3xf32>
  tile.store %m, %e[%b, %h] : f32, memref<2x3xf32>
}
)";

/// Memory where consecutive elements of the tile are not neighbours.
TEST(Shape, CumulativeSumOfStridedTiles) {
  for (int N : {1, 8, 13}) {
    Kernels Kernel(substitute(
        Scan, {{"LAST", std::to_string(N - 1)}, {"N", std::to_string(N)}}));
    for (int T : {1, N, N + 2}) {
      int Used = std::min(T, N);
      Array<float> X = randomArray(6 * T, 4), Y(6 * T), Z(6 * T), E(6);
      Kernel.run("scan", {X.data(), Y.data(), Z.data(), E.data()}, {T, T, T}, 2,
                 3);
      for (int B = 0; B < 2; ++B)
        for (int H = 0; H < 3; ++H) {
          float Forward = 0, Backward = 0;
          for (int I = 0; I < Used; ++I) {
            Forward += 2 * X[(B * T + I) * 3 + H];
            ASSERT_EQ(Y[(B * T + I) * 3 + H], Forward);
          }
          for (int I = Used - 1; I >= 0; --I) {
            Backward += 2 * X[(B * T + I) * 3 + H];
            ASSERT_EQ(Z[(B * T + I) * 3 + H], Backward);
          }
          ASSERT_TRUE(isClose(E[B * 3 + H], std::exp(double(Forward)), 2e-7));
        }
    }
  }
}

const char *Gather = R"(
tile.kernel @gather(%m: memref<$Vx$Dxf32>, %ids: memref<?xi32>, %y: memref<?x$Dxf32>) grid(%i, %j) {
  %n = arith.constant 6 : index
  %w = arith.constant 16 : index
  %r = arith.muli %i, %n : index
  %c = arith.muli %j, %w : index
  %k = tile.load %ids[%r] over [0] : memref<?xi32> -> tensor<6xi32>
  %t = tile.gather %m[%k, %c] : memref<$Vx$Dxf32>, tensor<6xi32> -> tensor<6x16xf32>
  tile.store %t, %y[%r, %c] over [0, 1] : tensor<6x16xf32>, memref<?x$Dxf32>
}
)";

TEST(Shape, Gather) {
  for (int D : {16, 48, 19, 5}) {
    int V = 11;
    Kernels Kernel(substitute(
        Gather, {{"V", std::to_string(V)}, {"D", std::to_string(D)}}));
    for (int N : {1, 6, 14}) {
      Array<float> M = randomArray(V * D, 5), Y(N * D);
      Array<int32_t> Ids(N);
      for (int I = 0; I < N; ++I)
        Ids[I] = (I * 7 + 10) % V;
      Kernel.run("gather", {M.data(), Ids.data(), Y.data()}, {N, N},
                 (N + 5) / 6, (D + 15) / 16);
      for (int I = 0; I < N; ++I)
        for (int C = 0; C < D; ++C)
          ASSERT_EQ(Y[I * D + C], M[Ids[I] * D + C]) << I << ", " << C;
    }
  }
}

const char *Rope = R"(
tile.kernel @rope(%x: memref<?x$Cxf32>, %cos: memref<?x$Mxf32>, %sin: memref<?x$Mxf32>) grid(%i) {
  %n = arith.constant 4 : index
  %c0 = arith.constant 0 : index
  %r = arith.muli %i, %n : index
  %t = tile.load %x[%r, %c0] over [0, 1] : memref<?x$Cxf32> -> tensor<4x$Cxf32>
  %c = tile.load %cos[%r, %c0] over [0, 1] : memref<?x$Mxf32> -> tensor<4x$Mxf32>
  %s = tile.load %sin[%r, %c0] over [0, 1] : memref<?x$Mxf32> -> tensor<4x$Mxf32>
  %u = tile.rope %t, %c, %s $FLAGS : tensor<4x$Cxf32>, tensor<4x$Mxf32>
  tile.store %u, %x[%r, %c0] over [0, 1] : tensor<4x$Cxf32>, memref<?x$Cxf32>
}
)";

/// In place: every element is read for two results.
TEST(Shape, RopeInPlace) {
  for (auto [Heads, Half] : {std::pair{1, 8}, {3, 8}, {2, 32}, {2, 3}, {1, 1}})
    for (bool Inverse : {false, true}) {
      int C = 2 * Heads * Half, N = 7;
      Kernels Kernel(substitute(Rope, {{"C", std::to_string(C)},
                                       {"M", std::to_string(Half)},
                                       {"FLAGS", Inverse ? "{inverse}" : ""}}));
      Array<float> X = randomArray(N * C, 6), Old = randomArray(N * C, 6);
      Array<float> Cos = randomArray(N * Half, 7),
                   Sin = randomArray(N * Half, 8);
      Kernel.run("rope", {X.data(), Cos.data(), Sin.data()}, {N, N, N}, 2);
      for (int R = 0; R < N; ++R)
        for (int H = 0; H < Heads; ++H)
          for (int I = 0; I < Half; ++I) {
            int A = R * C + H * 2 * Half + I, B = A + Half;
            double S = Sin[R * Half + I] * (Inverse ? -1 : 1);
            double K = Cos[R * Half + I];
            ASSERT_NEAR(X[A], Old[A] * K - Old[B] * S, 1e-6);
            ASSERT_NEAR(X[B], Old[B] * K + Old[A] * S, 1e-6);
          }
    }
}

TEST(Shape, BranchesCarryTilesAndScalars) {
  Kernels Kernel(R"(
tile.kernel @branch(%x: memref<3x10xf32>, %y: memref<3x10xf32>, %n: index) grid(%i) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = tile.load %x[%c0, %c0] over [0, 1] : memref<3x10xf32> -> tensor<3x10xf32>
  %big = arith.cmpi sgt, %n, %c1 : index
  %u, %f = scf.if %big -> (tensor<3x10xf32>, f32) {
    %a = arith.mulf %t, %t : tensor<3x10xf32>
    %k = arith.constant 3.0 : f32
    scf.yield %a, %k : tensor<3x10xf32>, f32
  } else {
    %k = arith.constant -1.0 : f32
    scf.yield %t, %k : tensor<3x10xf32>, f32
  }
  %b = tile.broadcast %f : f32 -> tensor<3x10xf32>
  %v = arith.addf %u, %b : tensor<3x10xf32>
  %w = scf.for %j = %c0 to %n step %c1 iter_args(%s = %v) -> (tensor<3x10xf32>) {
    %inner = scf.for %l = %c0 to %n step %c1 iter_args(%p = %s) -> (tensor<3x10xf32>) {
      %q = arith.addf %p, %b : tensor<3x10xf32>
      scf.yield %q : tensor<3x10xf32>
    }
    scf.yield %inner : tensor<3x10xf32>
  }
  tile.store %w, %y[%c0, %c0] over [0, 1] : tensor<3x10xf32>, memref<3x10xf32>
})");
  for (int N : {0, 1, 2, 4}) {
    Array<float> X = randomArray(30, 9), Y(30);
    Kernel.run("branch", {X.data(), Y.data()}, {N});
    for (int I = 0; I < 30; ++I) {
      float B = N > 1 ? 3 : -1, Expected = (N > 1 ? X[I] * X[I] : X[I]) + B;
      for (int J = 0; J < N * N; ++J)
        Expected += B;
      ASSERT_NEAR(Y[I], Expected, 1e-5 * (1 + std::abs(Expected)));
    }
  }
}

/// A tile loaded before a store to its memory keeps the old values.
TEST(Shape, LoadsSeeMemoryInProgramOrder) {
  Kernels Kernel(R"(
tile.kernel @order(%x: memref<16xf32>, %y: memref<16xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] over [0] : memref<16xf32> -> tensor<16xf32>
  %u = arith.addf %t, %t : tensor<16xf32>
  tile.store %u, %x[%c0] over [0] : tensor<16xf32>, memref<16xf32>
  %v = tile.load %x[%c0] over [0] : memref<16xf32> -> tensor<16xf32>
  %w = arith.mulf %t, %v : tensor<16xf32>
  tile.store %w, %y[%c0] over [0] : tensor<16xf32>, memref<16xf32>
})");
  Array<float> X = randomArray(16, 1), Old = randomArray(16, 1), Y(16);
  Kernel.run("order", {X.data(), Y.data()}, {});
  for (int I = 0; I < 16; ++I) {
    ASSERT_EQ(X[I], 2 * Old[I]);
    ASSERT_EQ(Y[I], Old[I] * (2 * Old[I]));
  }
}

TEST(Shape, UnequalConstants) {
  Kernels Kernel(R"(
tile.kernel @table(%y: memref<2x3xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %t = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %u = arith.addf %t, %t : tensor<2x3xf32>
  tile.store %u, %y[%c0, %c0] over [0, 1] : tensor<2x3xf32>, memref<2x3xf32>
})");
  Array<float> Y(6);
  Kernel.run("table", {Y.data()}, {});
  for (int I = 0; I < 6; ++I)
    ASSERT_EQ(Y[I], 2.0f * (I + 1));
}

} // namespace
