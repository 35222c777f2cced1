//===- WarpOperationTest.cpp - What instructions of a warp compute --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// What the conformance set (bench/conformance) does not have, since a device
// may do otherwise.
//
//===----------------------------------------------------------------------===//

#include "test/sim/SimHarness.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace transxssm;
using namespace transxssm::test;

namespace {

/// Runs `Body` in each lane of a warp: its i32 `%r` of them, from `%lane` and
/// the i32s of x that lie at [number, lane].
std::vector<uint32_t> runWarp(const std::string &Declarations,
                              const std::string &Body,
                              std::vector<uint32_t> X = {0},
                              size_t Results = 1) {
  std::string Text =
      "target triple = \"nvptx64-nvidia-cuda\"\n"
      "@tile = internal addrspace(3) global [512 x i8] undef, align 1024\n"
      "declare i32 @llvm.nvvm.read.ptx.sreg.laneid()\n" +
      Declarations +
      "\ndefine ptx_kernel void @k(ptr addrspace(1) %x, ptr addrspace(1) %y) "
      "{\n"
      "  %lane = call i32 @llvm.nvvm.read.ptx.sreg.laneid()\n"
      "  %xp = getelementptr i32, ptr addrspace(1) %x, i32 %lane\n"
      "  %yp = getelementptr i32, ptr addrspace(1) %y, i32 %lane\n" +
      Body + "\n  ret void\n}\n";
  SimKernels Kernels(Text);
  EXPECT_TRUE(Kernels.isLoaded()) << Kernels.error();
  std::vector<uint32_t> Y(32 * Results);
  if (!Kernels.isLoaded())
    return Y;
  SimLaunch Launch(Kernels, "k");
  Launch.input("x", X).output("y", Y);
  Launch.run({{1, 1, 1}, 32, 0});
  EXPECT_TRUE(Launch.reports().empty()) << Launch.reportText();
  return Y;
}

/// Loads of x[I, lane] as %x0, %x1, … and stores of the fields of %d.
std::string loads(size_t Count) {
  std::string Text;
  for (size_t I = 0; I < Count; ++I) {
    std::string N = std::to_string(I);
    Text += "  %xp" + N + " = getelementptr i32, ptr addrspace(1) %xp, i32 " +
            std::to_string(32 * I) + "\n  %x" + N +
            " = load i32, ptr addrspace(1) %xp" + N + ", align 4\n";
  }
  return Text;
}

std::string stores(const std::string &Struct, const std::string &Type,
                   size_t Count) {
  std::string Text;
  for (size_t I = 0; I < Count; ++I) {
    std::string N = std::to_string(I);
    Text += "  %d" + N + " = extractvalue " + Struct + " %d, " + N + "\n  %yp" +
            N + " = getelementptr i32, ptr addrspace(1) %yp, i32 " +
            std::to_string(32 * I) + "\n  store " + Type + " %d" + N +
            ", ptr addrspace(1) %yp" + N + ", align 4\n";
  }
  return Text;
}

TEST(WarpOperations, ProductsInTf32) {
  float A[16][8], B[8][8];
  std::vector<uint32_t> X(6 * 32);
  for (int M = 0; M < 16; ++M)
    for (int K = 0; K < 8; ++K)
      A[M][K] = float(M * 3 % 7 - K);
  for (int K = 0; K < 8; ++K)
    for (int N = 0; N < 8; ++N)
      B[K][N] = float(K * 5 % 11 - 2 * N);
  auto Put = [&](size_t Register, uint32_t Lane, float Value) {
    std::memcpy(&X[Register * 32 + Lane], &Value, 4);
    // What a tf32 operand has no place for must not count.
    X[Register * 32 + Lane] |= 0x1234 & 0x1fff;
  };
  for (uint32_t Lane = 0; Lane < 32; ++Lane) {
    uint32_t G = Lane / 4, Q = Lane % 4;
    Put(0, Lane, A[G][Q]);
    Put(1, Lane, A[G + 8][Q]);
    Put(2, Lane, A[G][Q + 4]);
    Put(3, Lane, A[G + 8][Q + 4]);
    Put(4, Lane, B[Q][G]);
    Put(5, Lane, B[Q + 4][G]);
  }
  const std::string Four = "{ float, float, float, float }";
  const std::string Name = "@llvm.nvvm.mma.m16n8k8.row.col.tf32";
  std::vector<uint32_t> Y = runWarp(
      "declare " + Four + " " + Name +
          "(i32, i32, i32, i32, i32, i32, float, float, float, float)",
      loads(6) + "  %d = call " + Four + " " + Name +
          "(i32 %x0, i32 %x1, i32 %x2, i32 %x3, i32 %x4, i32 %x5, float 1.0, "
          "float 1.0, float 1.0, float 1.0)\n" +
          stores(Four, "float", 4),
      X, 4);
  for (uint32_t Lane = 0; Lane < 32; ++Lane)
    for (uint32_t R = 0; R < 4; ++R) {
      uint32_t M = Lane / 4 + R / 2 * 8, N = Lane % 4 * 2 + R % 2;
      float Sum = 1;
      for (int K = 0; K < 8; ++K)
        Sum += A[M][K] * B[K][N];
      float Got;
      std::memcpy(&Got, &Y[R * 32 + Lane], 4);
      EXPECT_EQ(Got, Sum) << "row " << M << ", column " << N;
    }
}

} // namespace
