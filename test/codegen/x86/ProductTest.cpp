//===- ProductTest.cpp - Products, loops and carried tiles on x86 ---------===//
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

/// y = op(a) op(b) + c, the tiles as large as the memory.
std::string productKernel(int M, int N, int K, bool TransposeA, bool TransposeB,
                          bool FromZero) {
  std::string A = TransposeA ? "$Kx$M" : "$Mx$K";
  std::string B = TransposeB ? "$Nx$K" : "$Kx$N";
  std::string Flags = TransposeA && TransposeB
                          ? "{transpose_lhs, transpose_rhs}"
                      : TransposeA ? "{transpose_lhs}"
                      : TransposeB ? "{transpose_rhs}"
                                   : "";
  std::string Text = R"(
tile.kernel @product(%a: memref<$Axf32>, %b: memref<$Bxf32>, %c: memref<$Mx$Nxf32>, %y: memref<$Mx$Nxf32>) grid(%i) {
  %z = arith.constant 0 : index
  %a0 = tile.load %a[%z, %z] over [0, 1] : memref<$Axf32> -> tensor<$Axf32>
  %b0 = tile.load %b[%z, %z] over [0, 1] : memref<$Bxf32> -> tensor<$Bxf32>
  $ACC
  %y0 = tile.mma %a0, %b0, %c0 $FLAGS : tensor<$Axf32>, tensor<$Bxf32>, tensor<$Mx$Nxf32>
  tile.store %y0, %y[%z, %z] over [0, 1] : tensor<$Mx$Nxf32>, memref<$Mx$Nxf32>
}
)";
  Text = substitute(
      Text,
      {{"ACC", FromZero ? "%c0 = arith.constant dense<0.0> : tensor<$Mx$Nxf32>"
                        : "%c0 = tile.load %c[%z, %z] over [0, 1] : "
                          "memref<$Mx$Nxf32> -> tensor<$Mx$Nxf32>"},
       {"FLAGS", Flags}});
  Text = substitute(Text, {{"Axf32", A + "xf32"}, {"Bxf32", B + "xf32"}});
  return substitute(Text, {{"M", std::to_string(M)},
                           {"N", std::to_string(N)},
                           {"K", std::to_string(K)}});
}

struct Shape {
  int M, N, K;
};

class Product : public testing::TestWithParam<Shape> {};

TEST_P(Product, EveryTransposition) {
  auto [M, N, K] = GetParam();
  for (int Flags = 0; Flags < 8; ++Flags) {
    bool TransposeA = Flags & 1, TransposeB = Flags & 2, FromZero = Flags & 4;
    Kernels Kernel(productKernel(M, N, K, TransposeA, TransposeB, FromZero));
    Array<float> A = randomArray(M * K, 1), B = randomArray(K * N, 2);
    Array<float> C = randomArray(M * N, 3), Y(M * N);
    Kernel.run("product", {A.data(), B.data(), C.data(), Y.data()}, {});
    for (int I = 0; I < M; ++I)
      for (int J = 0; J < N; ++J) {
        double Sum = FromZero ? 0.0 : C[I * N + J], Size = std::abs(Sum);
        for (int L = 0; L < K; ++L) {
          double Term = double(A[TransposeA ? L * M + I : I * K + L]) *
                        B[TransposeB ? J * K + L : L * N + J];
          Sum += Term;
          Size += std::abs(Term);
        }
        ASSERT_NEAR(Y[I * N + J], Sum, 1e-6 * Size)
            << "flags " << Flags << " at " << I << ", " << J;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Product,
                         testing::Values(Shape{1, 1, 1}, Shape{1, 64, 128},
                                         Shape{2, 19, 30}, Shape{4, 32, 16},
                                         Shape{3, 97, 33}, Shape{5, 3, 2},
                                         Shape{6, 16, 8}, Shape{13, 20, 11},
                                         Shape{64, 64, 64}, Shape{32, 97, 40},
                                         Shape{7, 40, 600}, Shape{1, 40, 600},
                                         Shape{1, 21, 1040}));

/// Few rows that are read where they lie: no block reaches past its memory.
const char *FewRowsText = R"(
tile.kernel @few(%a: memref<$ROWSx64xf32>, %b: memref<24x64xf32>, %y: memref<$ROWSx24xf32>) grid(%i) {
  %z = arith.constant 0 : index
  %m = arith.constant $M : index
  %r = arith.muli %i, %m : index
  %a0 = tile.load %a[%r, %z] over [0, 1] : memref<$ROWSx64xf32> -> tensor<$Mx64xf32>
  %b0 = tile.load %b[%z, %z] over [0, 1] : memref<24x64xf32> -> tensor<24x64xf32>
  %c0 = arith.constant dense<0.0> : tensor<$Mx24xf32>
  %y0 = tile.mma %a0, %b0, %c0 {transpose_rhs} : tensor<$Mx64xf32>, tensor<24x64xf32>, tensor<$Mx24xf32>
  tile.store %y0, %y[%r, %z] over [0, 1] : tensor<$Mx24xf32>, memref<$ROWSx24xf32>
}
)";

TEST(FewRows, ReadInPlace) {
  constexpr int Blocks = 3, N = 24, K = 64;
  for (int M : {1, 2, 3, 4}) {
    int Rows = Blocks * M;
    Kernels Kernel(substitute(FewRowsText, {{"ROWS", std::to_string(Rows)},
                                            {"M", std::to_string(M)}}));
    Array<float> A = randomArray(Rows * K, 1), B = randomArray(N * K, 2);
    Array<float> Y(Rows * N);
    Kernel.run("few", {A.data(), B.data(), Y.data()}, {}, Blocks);
    for (int I = 0; I < Rows; ++I)
      for (int J = 0; J < N; ++J) {
        double Sum = 0, Size = 0;
        for (int L = 0; L < K; ++L) {
          double Term = double(A[I * K + L]) * B[J * K + L];
          Sum += Term;
          Size += std::abs(Term);
        }
        ASSERT_NEAR(Y[I * N + J], Sum, 1e-6 * Size)
            << M << " rows at " << I << ", " << J;
      }
  }
}

/// Tiles whose memory ends where only a call knows: y is the whole tile, zero
/// where there is nothing to multiply.
const char *Partial = R"(
tile.kernel @partial(%a: memref<?x?xf32>, %b: memref<?x?xf32>, %y: memref<$Mx$Nxf32>) grid(%i) {
  %z = arith.constant 0 : index
  %a0 = tile.load %a[%z, %z] over [0, 1] : memref<?x?xf32> -> tensor<$Axf32>
  %b0 = tile.load %b[%z, %z] over [0, 1] : memref<?x?xf32> -> tensor<$Bxf32>
  %c0 = arith.constant dense<0.0> : tensor<$Mx$Nxf32>
  %y0 = tile.mma %a0, %b0, %c0 $FLAGS : tensor<$Axf32>, tensor<$Bxf32>, tensor<$Mx$Nxf32>
  tile.store %y0, %y[%z, %z] over [0, 1] : tensor<$Mx$Nxf32>, memref<$Mx$Nxf32>
}
)";

void checkPartial(Shape Tile, bool TransposeA, bool TransposeB,
                  llvm::ArrayRef<Shape> Calls) {
  auto Pair = [](int A, int B) {
    return std::to_string(A) + "x" + std::to_string(B);
  };
  std::string Flags = TransposeA && TransposeB
                          ? "{transpose_lhs, transpose_rhs}"
                      : TransposeA ? "{transpose_lhs}"
                      : TransposeB ? "{transpose_rhs}"
                                   : "";
  Kernels Kernel(substitute(
      Partial,
      {{"Axf32",
        (TransposeA ? Pair(Tile.K, Tile.M) : Pair(Tile.M, Tile.K)) + "xf32"},
       {"Bxf32",
        (TransposeB ? Pair(Tile.N, Tile.K) : Pair(Tile.K, Tile.N)) + "xf32"},
       {"FLAGS", Flags},
       {"Mx", std::to_string(Tile.M) + "x"},
       {"Nxf32", std::to_string(Tile.N) + "xf32"}}));
  for (auto [M, N, K] : Calls) {
    Array<float> A = randomArray(M * K, 1), B = randomArray(K * N, 2);
    Array<float> Y(Tile.M * Tile.N, 7.0f);
    std::vector<int64_t> Sizes = {M, K, K, N};
    if (TransposeA)
      std::swap(Sizes[0], Sizes[1]);
    if (TransposeB)
      std::swap(Sizes[2], Sizes[3]);
    Kernel.run("partial", {A.data(), B.data(), Y.data()}, Sizes);
    for (int I = 0; I < Tile.M; ++I)
      for (int J = 0; J < Tile.N; ++J) {
        double Sum = 0, Size = 0;
        for (int L = 0; L < (I < M && J < N ? K : 0); ++L) {
          double Term = double(A[TransposeA ? L * M + I : I * K + L]) *
                        B[TransposeB ? J * K + L : L * N + J];
          Sum += Term;
          Size += std::abs(Term);
        }
        ASSERT_NEAR(Y[I * Tile.N + J], Sum, 1e-6 * Size)
            << M << " x " << N << " x " << K << " at " << I << ", " << J;
      }
  }
}

TEST(Products, PartOfATile) {
  // One and two slices of rows with and without a rest, and a depth of several
  // panels.
  for (Shape Tile : {Shape{20, 24, 16}, Shape{64, 40, 48}, Shape{200, 40, 48},
                     Shape{256, 72, 40}, Shape{133, 16, 300}})
    for (bool TransposeA : {false, true})
      for (bool TransposeB : {false, true})
        checkPartial(Tile, TransposeA, TransposeB,
                     {{Tile.M, Tile.N, Tile.K},
                      {1, 1, 1},
                      {Tile.M - 1, Tile.N - 3, Tile.K - 1},
                      {Tile.M / 2 + 1, Tile.N, 3},
                      {std::min(Tile.M, 128), 5, Tile.K}});
}

/// A product over blocks with edges everywhere: rows and depth are dynamic.
const char *Blocked = R"(
tile.kernel @blocked(%a: memref<?x?x$TYPE>, %b: memref<?x?x$TYPE>, %bias: memref<?xf32>, %y: memref<?x?xf32>) grid(%i, %j) {
  %tm = arith.constant $TM : index
  %tn = arith.constant $TN : index
  %tk = arith.constant $TK : index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = arith.muli %i, %tm : index
  %n = arith.muli %j, %tn : index
  %depth = memref.dim %a, %c1 : memref<?x?x$TYPE>
  %bias0 = tile.load %bias[%n] over [0] : memref<?xf32> -> tensor<$TNxf32>
  %init = tile.broadcast %bias0 along [1] : tensor<$TNxf32> -> tensor<$TMx$TNxf32>
  %sum = scf.for %k = %c0 to %depth step %tk iter_args(%acc = %init) -> (tensor<$TMx$TNxf32>) {
    %a0 = tile.load %a[%m, %k] over [0, 1] : memref<?x?x$TYPE> -> tensor<$TMx$TKx$TYPE>
    %b0 = tile.load %b[%n, %k] over [0, 1] : memref<?x?x$TYPE> -> tensor<$TNx$TKx$TYPE>
    %next = tile.mma %a0, %b0, %acc {transpose_rhs} : tensor<$TMx$TKx$TYPE>, tensor<$TNx$TKx$TYPE>, tensor<$TMx$TNxf32>
    scf.yield %next : tensor<$TMx$TNxf32>
  }
  tile.store %sum, %y[%m, %n] over [0, 1] : tensor<$TMx$TNxf32>, memref<?x?xf32>
}
)";

template <typename T>
void checkBlocked(int TM, int TN, int TK, const char *Type,
                  const std::function<T(float)> &Convert,
                  const std::function<float(T)> &Back) {
  Kernels Kernel(substitute(Blocked, {{"TM", std::to_string(TM)},
                                      {"TN", std::to_string(TN)},
                                      {"TK", std::to_string(TK)},
                                      {"TYPE", Type}}));
  for (auto [M, N, K] :
       {Shape{TM, TN, TK}, Shape{1, 1, 1}, Shape{TM + 1, 2 * TN - 1, TK + 1},
        Shape{2 * TM - 1, TN + 3, 3 * TK - 5}}) {
    Array<float> FA = randomArray(M * K, 1), FB = randomArray(K * N, 2);
    Array<float> Bias = randomArray(N, 3), Y(M * N);
    Array<T> A(M * K), B(N * K);
    for (int I = 0; I < M * K; ++I)
      A[I] = Convert(FA[I]);
    for (int I = 0; I < N * K; ++I)
      B[I] = Convert(FB[I]);
    Kernel.run("blocked", {A.data(), B.data(), Bias.data(), Y.data()},
               {M, K, N, K, N, M, N}, (M + TM - 1) / TM, (N + TN - 1) / TN);
    for (int I = 0; I < M; ++I)
      for (int J = 0; J < N; ++J) {
        double Sum = Bias[J], Size = std::abs(Sum);
        for (int L = 0; L < K; ++L) {
          double Term = double(Back(A[I * K + L])) * Back(B[J * K + L]);
          Sum += Term;
          Size += std::abs(Term);
        }
        ASSERT_NEAR(Y[I * N + J], Sum, 1e-6 * Size) << I << ", " << J;
      }
  }
}

TEST(Blocked, F32) {
  for (auto [M, N, K] :
       {Shape{16, 16, 16}, {13, 24, 20}, {1, 32, 64}, {4, 5, 8}, {2, 8, 40}})
    checkBlocked<float>(
        M, N, K, "f32", [](float X) { return X; }, [](float X) { return X; });
}

TEST(Blocked, Bf16) {
  auto ToBits = [](float X) {
    uint32_t Bits;
    std::memcpy(&Bits, &X, 4);
    return uint16_t(Bits >> 16);
  };
  auto FromBits = [](uint16_t Bits) {
    uint32_t Wide = uint32_t(Bits) << 16;
    float X;
    std::memcpy(&X, &Wide, 4);
    return X;
  };
  for (auto [M, N, K] : {Shape{16, 16, 16}, {1, 32, 64}, {4, 5, 8}})
    checkBlocked<uint16_t>(M, N, K, "bf16", ToBits, FromBits);
}

/// A chunk of the scan: w = (a b^T) o exp(d_i - d_j) below the diagonal,
/// y = w v + x o a, u = w^T v, and z = a^T (w v) with w v read as it lies.
const char *Causal = R"(
tile.kernel @causal(%a: memref<$QSx$NSxf32>, %b: memref<$QSx$NSxf32>, %v: memref<$QSx$NSxf32>, %x: memref<$NSxf32>, %d: memref<$QSxf32>,
                    %y: memref<$QSx$NSxf32>, %u: memref<$QSx$NSxf32>, %z: memref<$NSx$NSxf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %a0 = tile.load %a[%c0, %c0] over [0, 1] : memref<$QSx$NSxf32> -> tensor<$QSx$NSxf32>
  %b0 = tile.load %b[%c0, %c0] over [0, 1] : memref<$QSx$NSxf32> -> tensor<$QSx$NSxf32>
  %v0 = tile.load %v[%c0, %c0] over [0, 1] : memref<$QSx$NSxf32> -> tensor<$QSx$NSxf32>
  %x0 = tile.load %x[%c0] over [0] : memref<$NSxf32> -> tensor<$NSxf32>
  %d0 = tile.load %d[%c0] over [0] : memref<$QSxf32> -> tensor<$QSxf32>
  %none = arith.constant dense<0.0> : tensor<$QSx$QSxf32>
  %s = tile.mma %a0, %b0, %none {transpose_rhs} : tensor<$QSx$NSxf32>, tensor<$QSx$NSxf32>, tensor<$QSx$QSxf32>
  %rows = tile.iota 0 : tensor<$QSx$QSxi32>
  %columns = tile.iota 1 : tensor<$QSx$QSxi32>
  %seen = arith.cmpi sge, %rows, %columns : tensor<$QSx$QSxi32>
  %di = tile.broadcast %d0 along [0] : tensor<$QSxf32> -> tensor<$QSx$QSxf32>
  %dj = tile.broadcast %d0 along [1] : tensor<$QSxf32> -> tensor<$QSx$QSxf32>
  %fall = arith.subf %di, %dj : tensor<$QSx$QSxf32>
  %hidden = arith.constant dense<-1.0e30> : tensor<$QSx$QSxf32>
  %masked = arith.select %seen, %fall, %hidden : tensor<$QSx$QSxi1>, tensor<$QSx$QSxf32>
  %l = math.exp %masked : tensor<$QSx$QSxf32>
  %w = arith.mulf %s, %l : tensor<$QSx$QSxf32>
  %xs = tile.broadcast %x0 along [1] : tensor<$NSxf32> -> tensor<$QSx$NSxf32>
  %start = arith.mulf %xs, %a0 : tensor<$QSx$NSxf32>
  %y0 = tile.mma %w, %v0, %start : tensor<$QSx$QSxf32>, tensor<$QSx$NSxf32>, tensor<$QSx$NSxf32>
  tile.store %y0, %y[%c0, %c0] over [0, 1] : tensor<$QSx$NSxf32>, memref<$QSx$NSxf32>
  %empty = arith.constant dense<0.0> : tensor<$QSx$NSxf32>
  %u0 = tile.mma %w, %v0, %empty {transpose_lhs} : tensor<$QSx$QSxf32>, tensor<$QSx$NSxf32>, tensor<$QSx$NSxf32>
  tile.store %u0, %u[%c0, %c0] over [0, 1] : tensor<$QSx$NSxf32>, memref<$QSx$NSxf32>
  %square = arith.constant dense<0.0> : tensor<$NSx$NSxf32>
  %z0 = tile.mma %a0, %y0, %square {transpose_lhs} : tensor<$QSx$NSxf32>, tensor<$QSx$NSxf32>, tensor<$NSx$NSxf32>
  tile.store %z0, %z[%c0, %c0] over [0, 1] : tensor<$NSx$NSxf32>, memref<$NSx$NSxf32>
}
)";

TEST(Products, LowerTriangles) {
  for (auto [Q, N] :
       {std::pair{64, 64}, {64, 128}, {13, 24}, {70, 16}, {5, 7}}) {
    SCOPED_TRACE(std::to_string(Q) + " x " + std::to_string(N));
    Kernels Kernel(substitute(
        Causal, {{"QS", std::to_string(Q)}, {"NS", std::to_string(N)}}));
    Array<float> A = randomArray(Q * N, 1), B = randomArray(Q * N, 2);
    Array<float> V = randomArray(Q * N, 3), X = randomArray(N, 4);
    Array<float> D = randomArray(Q, 5), Y(Q * N), U(Q * N), Z(N * N);
    Kernel.run("causal",
               {A.data(), B.data(), V.data(), X.data(), D.data(), Y.data(),
                U.data(), Z.data()},
               {});
    std::vector<double> W(Q * Q);
    for (int I = 0; I < Q; ++I)
      for (int J = 0; J <= I; ++J) {
        for (int C = 0; C < N; ++C)
          W[I * Q + J] += double(A[I * N + C]) * B[J * N + C];
        W[I * Q + J] *= std::exp(double(D[I]) - D[J]);
      }
    std::vector<double> ExpectedY(Q * N);
    for (int I = 0; I < Q; ++I)
      for (int C = 0; C < N; ++C) {
        double Row = double(X[C]) * A[I * N + C], Column = 0;
        for (int J = 0; J < Q; ++J) {
          Row += W[I * Q + J] * V[J * N + C];
          Column += W[J * Q + I] * V[J * N + C];
        }
        ExpectedY[I * N + C] = Row;
        ASSERT_NEAR(Y[I * N + C], Row, 1e-3) << "y " << I << ", " << C;
        ASSERT_NEAR(U[I * N + C], Column, 1e-3) << "u " << I << ", " << C;
      }
    for (int R = 0; R < N; ++R)
      for (int C = 0; C < N; ++C) {
        double Sum = 0;
        for (int I = 0; I < Q; ++I)
          Sum += A[I * N + R] * ExpectedY[I * N + C];
        ASSERT_NEAR(Z[R * N + C], Sum, 1e-2) << "z " << R << ", " << C;
      }
  }
}

/// A tile of attention: key j counts for query i where key + j <= query + i. y
/// is what the queries take from the values, u what the values get from them.
/// The products that read the weights are of $T.
const char *Diagonals = R"(
tile.kernel @attend(%a: memref<64x24xf32>, %b: memref<96x24xf32>, %v: memref<96x40xf32>, %x: memref<64x40xf32>,
                    %y: memref<64x40xf32>, %u: memref<96x40xf32>, %query: index, %key: index) grid(%i) {
  %c0 = arith.constant 0 : index
  %a0 = tile.load %a[%c0, %c0] over [0, 1] : memref<64x24xf32> -> tensor<64x24xf32>
  %b0 = tile.load %b[%c0, %c0] over [0, 1] : memref<96x24xf32> -> tensor<96x24xf32>
  %none = arith.constant dense<0.0> : tensor<64x96xf32>
  %s = tile.mma %a0, %b0, %none {transpose_rhs} : tensor<64x24xf32>, tensor<96x24xf32>, tensor<64x96xf32>
  %rows = tile.iota 0 : tensor<64x96xi32>
  %columns = tile.iota 1 : tensor<64x96xi32>
  %q32 = arith.index_cast %query : index to i32
  %k32 = arith.index_cast %key : index to i32
  %q = tile.broadcast %q32 : i32 -> tensor<64x96xi32>
  %k = tile.broadcast %k32 : i32 -> tensor<64x96xi32>
  %queries = arith.addi %rows, %q : tensor<64x96xi32>
  %keys = arith.addi %columns, %k : tensor<64x96xi32>
  %seen = arith.cmpi sle, %keys, %queries : tensor<64x96xi32>
  %hidden = arith.constant dense<-2.0e30> : tensor<64x96xf32>
  %masked = arith.select %seen, %s, %hidden : tensor<64x96xi1>, tensor<64x96xf32>
  %lowest = arith.constant dense<-1.0e30> : tensor<64xf32>
  %largest = tile.reduce max %masked along 1 : tensor<64x96xf32> -> tensor<64xf32>
  %maximum = arith.maximumf %lowest, %largest : tensor<64xf32>
  %m = tile.broadcast %maximum along [0] : tensor<64xf32> -> tensor<64x96xf32>
  %fall = arith.subf %masked, %m : tensor<64x96xf32>
  %w = math.exp %fall : tensor<64x96xf32>
  %v0 = tile.load %v[%c0, %c0] over [0, 1] : memref<96x40xf32> -> tensor<96x40xf32>
  %x0 = tile.load %x[%c0, %c0] over [0, 1] : memref<64x40xf32> -> tensor<64x40xf32>
  $CONVERSIONS
  %zy = arith.constant dense<0.0> : tensor<64x40xf32>
  %zu = arith.constant dense<0.0> : tensor<96x40xf32>
  %y0 = tile.mma $W, $V, %zy : tensor<64x96x$T>, tensor<96x40x$T>, tensor<64x40xf32>
  %u0 = tile.mma $W, $X, %zu {transpose_lhs} : tensor<64x96x$T>, tensor<64x40x$T>, tensor<96x40xf32>
  tile.store %y0, %y[%c0, %c0] over [0, 1] : tensor<64x40xf32>, memref<64x40xf32>
  tile.store %u0, %u[%c0, %c0] over [0, 1] : tensor<96x40xf32>, memref<96x40xf32>
}
)";

/// `Error` of an element, of 96 products of weights up to 1 and values up to 1.
void checkDiagonals(const Kernels &Kernel, int Query, int Key, double Error) {
  SCOPED_TRACE("queries from " + std::to_string(Query) + ", keys from " +
               std::to_string(Key));
  constexpr int Q = 64, K = 96, N = 24, P = 40;
  Array<float> A = randomArray(Q * N, 1), B = randomArray(K * N, 2);
  Array<float> V = randomArray(K * P, 3), X = randomArray(Q * P, 4);
  Array<float> Y(Q * P, 7.0f), U(K * P, 7.0f);
  Kernel.run("attend",
             {A.data(), B.data(), V.data(), X.data(), Y.data(), U.data()},
             {Query, Key});
  std::vector<double> W(Q * K), ExpectedY(Q * P), ExpectedU(K * P);
  for (int I = 0; I < Q; ++I) {
    double Largest = -1e30;
    for (int J = 0; J < K && Key + J <= Query + I; ++J) {
      for (int C = 0; C < N; ++C)
        W[I * K + J] += double(A[I * N + C]) * B[J * N + C];
      Largest = std::max(Largest, W[I * K + J]);
    }
    for (int J = 0; J < K && Key + J <= Query + I; ++J) {
      double Weight = std::exp(W[I * K + J] - Largest);
      for (int C = 0; C < P; ++C) {
        ExpectedY[I * P + C] += Weight * V[J * P + C];
        ExpectedU[J * P + C] += Weight * X[I * P + C];
      }
    }
  }
  for (int I = 0; I < Q * P; ++I)
    ASSERT_NEAR(Y[I], ExpectedY[I], Error) << "y " << I / P << ", " << I % P;
  for (int I = 0; I < K * P; ++I)
    ASSERT_NEAR(U[I], ExpectedU[I], Error) << "u " << I / P << ", " << I % P;
}

TEST(Products, TilesOnTheDiagonal) {
  Kernels Single(substitute(Diagonals, {{"CONVERSIONS", ""},
                                        {"W", "%w"},
                                        {"V", "%v0"},
                                        {"X", "%x0"},
                                        {"T", "f32"}}));
  Kernels Half(substitute(Diagonals, {{"CONVERSIONS", R"(
  %wt = arith.truncf %w : tensor<64x96xf32> to tensor<64x96xbf16>
  %vt = arith.truncf %v0 : tensor<96x40xf32> to tensor<96x40xbf16>
  %xt = arith.truncf %x0 : tensor<64x40xf32> to tensor<64x40xbf16>)"},
                                      {"W", "%wt"},
                                      {"V", "%vt"},
                                      {"X", "%xt"},
                                      {"T", "bf16"}}));
  for (auto [Query, Key] : {std::pair{0, 0},
                            {5, 0},
                            {0, 5},
                            {32, 31},
                            {0, 63},
                            {1, 64},
                            {0, 64},
                            {7, 200},
                            {95, 0},
                            {300, 4}}) {
    checkDiagonals(Single, Query, Key, 1e-4);
    checkDiagonals(Half, Query, Key, 0.1);
  }
}

/// Two tiles that change places in every step, and one that sums the first.
TEST(Loops, CarriedTilesExchange) {
  Kernels Kernel(R"(
tile.kernel @exchange(%a: memref<5x12xf32>, %b: memref<5x12xf32>, %s: memref<5x12xf32>, %n: index) grid(%i) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a0 = tile.load %a[%c0, %c0] over [0, 1] : memref<5x12xf32> -> tensor<5x12xf32>
  %b0 = tile.load %b[%c0, %c0] over [0, 1] : memref<5x12xf32> -> tensor<5x12xf32>
  %z = arith.constant dense<0.0> : tensor<5x12xf32>
  %r:3 = scf.for %k = %c0 to %n step %c1 iter_args(%x = %a0, %y = %b0, %t = %z) -> (tensor<5x12xf32>, tensor<5x12xf32>, tensor<5x12xf32>) {
    %t1 = arith.addf %t, %x : tensor<5x12xf32>
    scf.yield %y, %x, %t1 : tensor<5x12xf32>, tensor<5x12xf32>, tensor<5x12xf32>
  }
  tile.store %r#0, %a[%c0, %c0] over [0, 1] : tensor<5x12xf32>, memref<5x12xf32>
  tile.store %r#1, %b[%c0, %c0] over [0, 1] : tensor<5x12xf32>, memref<5x12xf32>
  tile.store %r#2, %s[%c0, %c0] over [0, 1] : tensor<5x12xf32>, memref<5x12xf32>
})");
  for (int N : {0, 1, 2, 5}) {
    Array<float> A = randomArray(60, 1), B = randomArray(60, 2), S(60, 7.0f);
    Array<float> A0 = randomArray(60, 1), B0 = randomArray(60, 2);
    Kernel.run("exchange", {A.data(), B.data(), S.data()}, {N});
    for (int I = 0; I < 60; ++I) {
      float X = A0[I], Y = B0[I], Sum = 0;
      for (int K = 0; K < N; ++K) {
        Sum += X;
        std::swap(X, Y);
      }
      ASSERT_EQ(A[I], X);
      ASSERT_EQ(B[I], Y);
      ASSERT_EQ(S[I], Sum);
    }
  }
}

/// Online softmax times values, which carries maximum, sum and result: the
/// pattern of attention.
const char *Attention = R"(
tile.kernel @attend(%q: memref<?x$D$xf32>, %k: memref<?x$D$xf32>, %v: memref<?x$D$xf32>, %o: memref<?x$D$xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %bq = arith.constant $Q$ : index
  %bk = arith.constant $K$ : index
  %r = arith.muli %i, %bq : index
  %t = memref.dim %k, %c0 : memref<?x$D$xf32>
  %q0 = tile.load %q[%r, %c0] over [0, 1] : memref<?x$D$xf32> -> tensor<$Q$x$D$xf32>
  %m0 = arith.constant dense<-1.0e30> : tensor<$Q$xf32>
  %l0 = arith.constant dense<0.0> : tensor<$Q$xf32>
  %o0 = arith.constant dense<0.0> : tensor<$Q$x$D$xf32>
  %s0 = arith.constant dense<0.0> : tensor<$Q$x$K$xf32>
  %ti = arith.index_cast %t : index to i32
  %x:3 = scf.for %j = %c0 to %t step %bk iter_args(%m = %m0, %l = %l0, %acc = %o0) -> (tensor<$Q$xf32>, tensor<$Q$xf32>, tensor<$Q$x$D$xf32>) {
    %k0 = tile.load %k[%j, %c0] over [0, 1] : memref<?x$D$xf32> -> tensor<$K$x$D$xf32>
    %v0 = tile.load %v[%j, %c0] over [0, 1] : memref<?x$D$xf32> -> tensor<$K$x$D$xf32>
    %s = tile.mma %q0, %k0, %s0 {transpose_rhs} : tensor<$Q$x$D$xf32>, tensor<$K$x$D$xf32>, tensor<$Q$x$K$xf32>
    %io = tile.iota 1 : tensor<$Q$x$K$xi32>
    %ji = arith.index_cast %j : index to i32
    %jb = tile.broadcast %ji : i32 -> tensor<$Q$x$K$xi32>
    %tb = tile.broadcast %ti : i32 -> tensor<$Q$x$K$xi32>
    %pos = arith.addi %io, %jb : tensor<$Q$x$K$xi32>
    %in = arith.cmpi slt, %pos, %tb : tensor<$Q$x$K$xi32>
    %low = arith.constant dense<-1.0e30> : tensor<$Q$x$K$xf32>
    %sm = arith.select %in, %s, %low : tensor<$Q$x$K$xi1>, tensor<$Q$x$K$xf32>
    %rm = tile.reduce max %sm along 1 : tensor<$Q$x$K$xf32> -> tensor<$Q$xf32>
    %mn = arith.maximumf %m, %rm : tensor<$Q$xf32>
    %mb = tile.broadcast %mn along [0] : tensor<$Q$xf32> -> tensor<$Q$x$K$xf32>
    %d = arith.subf %sm, %mb : tensor<$Q$x$K$xf32>
    %p = math.exp %d : tensor<$Q$x$K$xf32>
    %dm = arith.subf %m, %mn : tensor<$Q$xf32>
    %al = math.exp %dm : tensor<$Q$xf32>
    %rs = tile.reduce sum %p along 1 : tensor<$Q$x$K$xf32> -> tensor<$Q$xf32>
    %la = arith.mulf %l, %al : tensor<$Q$xf32>
    %ln = arith.addf %la, %rs : tensor<$Q$xf32>
    %ab = tile.broadcast %al along [0] : tensor<$Q$xf32> -> tensor<$Q$x$D$xf32>
    %sc = arith.mulf %acc, %ab : tensor<$Q$x$D$xf32>
    %on = tile.mma %p, %v0, %sc : tensor<$Q$x$K$xf32>, tensor<$K$x$D$xf32>, tensor<$Q$x$D$xf32>
    scf.yield %mn, %ln, %on : tensor<$Q$xf32>, tensor<$Q$xf32>, tensor<$Q$x$D$xf32>
  }
  %lb = tile.broadcast %x#1 along [0] : tensor<$Q$xf32> -> tensor<$Q$x$D$xf32>
  %y = arith.divf %x#2, %lb : tensor<$Q$x$D$xf32>
  tile.store %y, %o[%r, %c0] over [0, 1] : tensor<$Q$x$D$xf32>, memref<?x$D$xf32>
}
)";

TEST(Loops, OnlineSoftmax) {
  for (auto [Q, K, D] : {Shape{16, 16, 32}, {7, 12, 24}, {1, 16, 16}}) {
    Kernels Kernel(substitute(Attention, {{"Q$", std::to_string(Q)},
                                          {"K$", std::to_string(K)},
                                          {"D$", std::to_string(D)}}));
    for (auto [Tq, Tk] : {std::pair{1, 1}, {Q, K}, {Q + 1, 3 * K + 5}}) {
      Array<float> Qs = randomArray(Tq * D, 1, 2),
                   Ks = randomArray(Tk * D, 2, 2), Vs = randomArray(Tk * D, 3),
                   O(Tq * D);
      Kernel.run("attend", {Qs.data(), Ks.data(), Vs.data(), O.data()},
                 {Tq, Tk, Tk, Tq}, (Tq + Q - 1) / Q);
      for (int I = 0; I < Tq; ++I) {
        std::vector<double> P(Tk);
        double Sum = 0;
        for (int J = 0; J < Tk; ++J) {
          double S = 0;
          for (int C = 0; C < D; ++C)
            S += double(Qs[I * D + C]) * Ks[J * D + C];
          Sum += P[J] = std::exp(S);
        }
        for (int C = 0; C < D; ++C) {
          double Expected = 0;
          for (int J = 0; J < Tk; ++J)
            Expected += P[J] / Sum * Vs[J * D + C];
          ASSERT_NEAR(O[I * D + C], Expected, 2e-5) << I << ", " << C;
        }
      }
    }
  }
}

} // namespace
