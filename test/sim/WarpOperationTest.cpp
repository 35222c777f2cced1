//===- WarpOperationTest.cpp - What instructions of a warp compute --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Expected values are written from the tables of the PTX ISA once more, in
// terms of lanes and elements.
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

std::vector<uint32_t> shuffle(const std::string &Mode, int B, int C) {
  return runWarp("declare i32 @llvm.nvvm.shfl.sync." + Mode +
                     ".i32(i32, i32, i32, i32)",
                 "  %r = call i32 @llvm.nvvm.shfl.sync." + Mode +
                     ".i32(i32 -1, i32 %lane, i32 " + std::to_string(B) +
                     ", i32 " + std::to_string(C) +
                     ")\n  store i32 %r, ptr addrspace(1) %yp, align 4");
}

TEST(WarpOperations, Shuffles) {
  std::vector<uint32_t> Up = shuffle("up", 3, 0);
  std::vector<uint32_t> Down = shuffle("down", 3, 31);
  std::vector<uint32_t> Exchange = shuffle("bfly", 5, 31);
  std::vector<uint32_t> Broadcast = shuffle("idx", 7, 31);
  // Segments of 8 lanes: c = (32 - 8) << 8 | 7.
  std::vector<uint32_t> InSegment = shuffle("idx", 2, 0x1807);
  for (uint32_t Lane = 0; Lane < 32; ++Lane) {
    EXPECT_EQ(Up[Lane], Lane < 3 ? Lane : Lane - 3);
    EXPECT_EQ(Down[Lane], Lane + 3 > 31 ? Lane : Lane + 3);
    EXPECT_EQ(Exchange[Lane], Lane ^ 5);
    EXPECT_EQ(Broadcast[Lane], 7u);
    EXPECT_EQ(InSegment[Lane], Lane / 8 * 8 + 2);
  }
}

TEST(WarpOperations, VotesAndReductions) {
  const std::string Odd = "  %bit = and i32 %lane, 1\n"
                          "  %odd = icmp eq i32 %bit, 1\n";
  const std::string Store = "  store i32 %r, ptr addrspace(1) %yp, align 4";
  std::vector<uint32_t> Ballot = runWarp(
      "declare i32 @llvm.nvvm.vote.ballot.sync(i32, i1)",
      Odd + "  %r = call i32 @llvm.nvvm.vote.ballot.sync(i32 -1, i1 %odd)\n" +
          Store);
  std::vector<uint32_t> Any =
      runWarp("declare i1 @llvm.nvvm.vote.any.sync(i32, i1)\n"
              "declare i1 @llvm.nvvm.vote.all.sync(i32, i1)",
              Odd +
                  "  %a = call i1 @llvm.nvvm.vote.any.sync(i32 -1, i1 %odd)\n"
                  "  %b = call i1 @llvm.nvvm.vote.all.sync(i32 -1, i1 %odd)\n"
                  "  %a32 = zext i1 %a to i32\n  %b32 = zext i1 %b to i32\n"
                  "  %b2 = shl i32 %b32, 1\n  %r = or i32 %a32, %b2\n" +
                  Store);
  std::vector<uint32_t> Sum = runWarp(
      "declare i32 @llvm.nvvm.redux.sync.add(i32, i32)",
      "  %r = call i32 @llvm.nvvm.redux.sync.add(i32 %lane, i32 -1)\n" + Store);
  std::vector<uint32_t> Leader =
      runWarp("declare { i32, i1 } @llvm.nvvm.elect.sync(i32)",
              "  %e = call { i32, i1 } @llvm.nvvm.elect.sync(i32 -1)\n"
              "  %p = extractvalue { i32, i1 } %e, 1\n"
              "  %r = zext i1 %p to i32\n" +
                  Store);
  uint32_t Leaders = 0;
  for (uint32_t Lane = 0; Lane < 32; ++Lane) {
    EXPECT_EQ(Ballot[Lane], 0xaaaaaaaau);
    EXPECT_EQ(Any[Lane], 1u);
    EXPECT_EQ(Sum[Lane], 31u * 32 / 2);
    Leaders += Leader[Lane];
  }
  EXPECT_EQ(Leaders, 1u);
}

/// Register R of a lane is the elements 2 (lane % 4) and the next of row
/// lane / 4 of matrix R; matrices lie behind each other, rows of 16 bytes.
TEST(WarpOperations, MatricesThroughSharedMemory) {
  std::vector<uint32_t> X(4 * 32);
  for (size_t I = 0; I < X.size(); ++I)
    X[I] = uint32_t(2 * I | (2 * I + 1) << 16);
  const std::string P3 = "ptr addrspace(3)";
  const std::string Four = "{ i32, i32, i32, i32 }";
  std::string Address =
      "  %row = getelementptr <4 x i32>, ptr addrspace(3) @tile, i32 %lane\n";
  std::string Stored =
      "  call void @llvm.nvvm.stmatrix.sync.aligned.m8n8.x4.b16.p3(" + P3 +
      " %row, i32 %x0, i32 %x1, i32 %x2, i32 %x3)\n"
      "  call void @llvm.nvvm.bar.warp.sync(i32 -1)\n";
  std::string Declared =
      "declare void @llvm.nvvm.bar.warp.sync(i32)\n"
      "declare void @llvm.nvvm.stmatrix.sync.aligned.m8n8.x4.b16.p3(" +
      P3 + ", i32, i32, i32, i32)\ndeclare " + Four +
      " @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3(" + P3 + ")\ndeclare " +
      Four + " @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3(" + P3 +
      ")";
  for (bool Transposed : {false, true}) {
    std::string Loaded =
        "  %d = call " + Four + " @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4." +
        (Transposed ? "trans." : "") + "b16.p3(" + P3 + " %row)\n";
    std::vector<uint32_t> Y = runWarp(
        Declared, loads(4) + Address + Stored + Loaded + stores(Four, "i32", 4),
        X, 4);
    for (uint32_t Matrix = 0; Matrix < 4; ++Matrix)
      for (uint32_t Lane = 0; Lane < 32; ++Lane)
        for (uint32_t Half = 0; Half < 2; ++Half) {
          uint32_t Row = Lane / 4, Column = 2 * (Lane % 4) + Half;
          if (Transposed)
            std::swap(Row, Column);
          // Element (row, column) came from lane 4 row + column / 2.
          uint32_t From = Matrix * 32 + 4 * Row + Column / 2;
          EXPECT_EQ(Y[Matrix * 32 + Lane] >> 16 * Half & 0xffff,
                    2 * From + Column % 2);
        }
  }
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
