//===- TileInterpreterTest.cpp - Tests of the tile interpreter ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Every operation against values worked out by hand.
//
//===----------------------------------------------------------------------===//

#include "dialect/tile/interpreter/TileInterpreter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir;
using namespace transxssm::tile;

namespace {

class TileInterpreterTest : public testing::Test {
protected:
  TileInterpreterTest() {
    Context.loadDialect<TileDialect, arith::ArithDialect, math::MathDialect,
                        memref::MemRefDialect, scf::SCFDialect>();
  }

  /// Parses one kernel and runs it; the text of the first error, if any.
  std::string run(const std::string &Text, std::vector<void *> Buffers,
                  std::vector<int64_t> Sizes, std::vector<int64_t> Grid,
                  InterpreterOptions Options = {}) {
    std::string Message;
    ScopedDiagnosticHandler Handler(&Context, [&](Diagnostic &D) {
      if (Message.empty())
        Message = D.str();
    });
    OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(Text, &Context);
    if (!Module)
      return "does not parse: " + Message;
    KernelOp Kernel = *Module->getOps<KernelOp>().begin();
    bool Ran = succeeded(runKernel(Kernel, Buffers, Sizes, Grid, Options));
    EXPECT_EQ(Ran, Message.empty());
    return Message;
  }

  /// Runs `Body`, which reads %x (N floats) and gives tile %r of the same
  /// shape.
  std::vector<float> map(std::vector<float> X, const std::string &Body) {
    std::vector<float> Y(X.size(), -1.0f);
    std::string N = std::to_string(X.size());
    std::string Text = "tile.kernel @map(%X: memref<" + N +
                       "xf32>, %Y: memref<" + N + "xf32>) grid(%i) {\n" +
                       "%zero = arith.constant 0 : index\n"
                       "%x = tile.load %X[%zero] over [0] : memref<" +
                       N + "xf32> -> tensor<" + N + "xf32>\n" + Body +
                       "\ntile.store %r, %Y[%zero] over [0] : tensor<" + N +
                       "xf32>, memref<" + N + "xf32>\n}";
    EXPECT_EQ(run(Text, {X.data(), Y.data()}, {}, {1}), "");
    return Y;
  }

  MLIRContext Context;
};

using Floats = std::vector<float>;

TEST_F(TileInterpreterTest, LoadGivesZeroOutsideAndStoreDrops) {
  Floats X = {1, 2, 3, 4, 5, 6, 7, 8, 9}, Y(9, -1);
  EXPECT_EQ(run(R"(
    tile.kernel @copy(%x: memref<?x3xf32>, %y: memref<?x3xf32>) grid(%i, %j) {
      %two = arith.constant 2 : index
      %row = arith.muli %i, %two : index
      %column = arith.muli %j, %two : index
      %t = tile.load %x[%row, %column] over [0, 1] : memref<?x3xf32> -> tensor<2x2xf32>
      %s = arith.addf %t, %t : tensor<2x2xf32>
      tile.store %s, %y[%row, %column] over [0, 1] : tensor<2x2xf32>, memref<?x3xf32>
    })",
                {X.data(), Y.data()}, {3, 3}, {2, 2}),
            "");
  EXPECT_EQ(Y, (Floats{2, 4, 6, 8, 10, 12, 14, 16, 18}));
}

TEST_F(TileInterpreterTest, LoadAlongAMiddleDimension) {
  Floats X = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, Y(4, -1);
  EXPECT_EQ(run(R"(
    tile.kernel @pick(%x: memref<2x3x2xf32>, %y: memref<4xf32>) grid(%i) {
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %t = tile.load %x[%one, %zero, %one] over [1] : memref<2x3x2xf32> -> tensor<4xf32>
      tile.store %t, %y[%zero] over [0] : tensor<4xf32>, memref<4xf32>
    })",
                {X.data(), Y.data()}, {}, {1}),
            "");
  EXPECT_EQ(Y, (Floats{7, 9, 11, 0}));
}

TEST_F(TileInterpreterTest, MmaInEveryOrientation) {
  // [1 2; 3 4] [5 6; 7 8] = [19 22; 43 50]; transposes give the operands.
  const char *Orientations[] = {"", "{transpose_lhs}", "{transpose_rhs}",
                                "{transpose_lhs, transpose_rhs}"};
  for (int O = 0; O < 4; ++O) {
    Floats A = O & 1 ? Floats{1, 3, 2, 4} : Floats{1, 2, 3, 4};
    Floats B = O & 2 ? Floats{5, 7, 6, 8} : Floats{5, 6, 7, 8};
    Floats C = {100, 200, 300, 400};
    std::string Text = R"(
      tile.kernel @mma(%A: memref<2x2xf32>, %B: memref<2x2xf32>, %C: memref<2x2xf32>) grid(%i) {
        %z = arith.constant 0 : index
        %a = tile.load %A[%z, %z] over [0, 1] : memref<2x2xf32> -> tensor<2x2xf32>
        %b = tile.load %B[%z, %z] over [0, 1] : memref<2x2xf32> -> tensor<2x2xf32>
        %c = tile.load %C[%z, %z] over [0, 1] : memref<2x2xf32> -> tensor<2x2xf32>
        %r = tile.mma %a, %b, %c )" +
                       std::string(Orientations[O]) +
                       R"( : tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>
        tile.store %r, %C[%z, %z] over [0, 1] : tensor<2x2xf32>, memref<2x2xf32>
      })";
    EXPECT_EQ(run(Text, {A.data(), B.data(), C.data()}, {}, {1}), "");
    EXPECT_EQ(C, (Floats{119, 222, 343, 450})) << Orientations[O];
  }
}

TEST_F(TileInterpreterTest, MmaOfUnequalSides) {
  Floats A = {1, 2, 3}, B = {4, 5, 6}, C(9, 0);
  EXPECT_EQ(run(R"(
    tile.kernel @outer(%A: memref<1x3xf32>, %B: memref<1x3xf32>, %C: memref<3x3xf32>) grid(%i) {
      %z = arith.constant 0 : index
      %zero = arith.constant dense<0.0> : tensor<3x3xf32>
      %a = tile.load %A[%z, %z] over [0, 1] : memref<1x3xf32> -> tensor<1x3xf32>
      %b = tile.load %B[%z, %z] over [0, 1] : memref<1x3xf32> -> tensor<1x3xf32>
      %r = tile.mma %a, %b, %zero {transpose_lhs} : tensor<1x3xf32>, tensor<1x3xf32>, tensor<3x3xf32>
      tile.store %r, %C[%z, %z] over [0, 1] : tensor<3x3xf32>, memref<3x3xf32>
    })",
                {A.data(), B.data(), C.data()}, {}, {1}),
            "");
  EXPECT_EQ(C, (Floats{4, 5, 6, 8, 10, 12, 12, 15, 18}));
}

TEST_F(TileInterpreterTest, BroadcastTransposeReduce) {
  Floats X = {1, 2, 3, 4, 5, 6}, Row(3), Column(2), Turned(6), All(1);
  EXPECT_EQ(
      run(R"(
    tile.kernel @shapes(%X: memref<2x3xf32>, %R: memref<3xf32>, %C: memref<2xf32>,
                        %T: memref<3x2xf32>, %A: memref<1xf32>) grid(%i) {
      %z = arith.constant 0 : index
      %x = tile.load %X[%z, %z] over [0, 1] : memref<2x3xf32> -> tensor<2x3xf32>
      %sums = tile.reduce sum %x along 0 : tensor<2x3xf32> -> tensor<3xf32>
      %max = tile.reduce max %x along 1 : tensor<2x3xf32> -> tensor<2xf32>
      %column = tile.broadcast %max along [0] : tensor<2xf32> -> tensor<2x3xf32>
      %row = tile.broadcast %sums along [1] : tensor<3xf32> -> tensor<2x3xf32>
      %y = arith.subf %column, %row : tensor<2x3xf32>
      %t = tile.transpose %y : tensor<2x3xf32> -> tensor<3x2xf32>
      %total = tile.reduce sum %max along 0 : tensor<2xf32> -> f32
      tile.store %sums, %R[%z] over [0] : tensor<3xf32>, memref<3xf32>
      tile.store %max, %C[%z] over [0] : tensor<2xf32>, memref<2xf32>
      tile.store %t, %T[%z, %z] over [0, 1] : tensor<3x2xf32>, memref<3x2xf32>
      tile.store %total, %A[%z] : f32, memref<1xf32>
    })",
          {X.data(), Row.data(), Column.data(), Turned.data(), All.data()}, {},
          {1}),
      "");
  EXPECT_EQ(Row, (Floats{5, 7, 9}));
  EXPECT_EQ(Column, (Floats{3, 6}));
  EXPECT_EQ(Turned, (Floats{-2, 1, -4, -1, -6, -3}));
  EXPECT_EQ(All, (Floats{9}));
}

TEST_F(TileInterpreterTest, CumulativeSum) {
  EXPECT_EQ(map({1, 2, 3, 4}, "%r = tile.cumulative_sum %x : tensor<4xf32>"),
            (Floats{1, 3, 6, 10}));
  EXPECT_EQ(map({1, 2, 3, 4},
                "%r = tile.cumulative_sum %x {reverse} : tensor<4xf32>"),
            (Floats{10, 9, 7, 4}));
}

TEST_F(TileInterpreterTest, IotaSelectAndCompare) {
  EXPECT_EQ(map({5, 6, 7, 8}, R"(
    %n = tile.iota 0 : tensor<4xi32>
    %two = arith.constant dense<2> : tensor<4xi32>
    %low = arith.cmpi slt, %n, %two : tensor<4xi32>
    %f = arith.sitofp %n : tensor<4xi32> to tensor<4xf32>
    %r = arith.select %low, %x, %f : tensor<4xi1>, tensor<4xf32>)"),
            (Floats{5, 6, 2, 3}));
}

TEST_F(TileInterpreterTest, IotaAlongBothDimensions) {
  std::vector<int32_t> Rows(6), Columns(6);
  EXPECT_EQ(run(R"(
    tile.kernel @iota(%R: memref<2x3xi32>, %C: memref<2x3xi32>) grid(%i) {
      %z = arith.constant 0 : index
      %r = tile.iota 0 : tensor<2x3xi32>
      %c = tile.iota 1 : tensor<2x3xi32>
      tile.store %r, %R[%z, %z] over [0, 1] : tensor<2x3xi32>, memref<2x3xi32>
      tile.store %c, %C[%z, %z] over [0, 1] : tensor<2x3xi32>, memref<2x3xi32>
    })",
                {Rows.data(), Columns.data()}, {}, {1}),
            "");
  EXPECT_EQ(Rows, (std::vector<int32_t>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(Columns, (std::vector<int32_t>{0, 1, 2, 0, 1, 2}));
}

TEST_F(TileInterpreterTest, Rope) {
  Floats X = {1, 2, 3, 4, 5, 6, 7, 8}, Cos = {2, 3}, Sin = {5, 7}, Y(8), Z(8);
  EXPECT_EQ(run(R"(
    tile.kernel @rope(%X: memref<1x8xf32>, %C: memref<1x2xf32>, %S: memref<1x2xf32>,
                      %Y: memref<1x8xf32>, %Z: memref<1x8xf32>) grid(%i) {
      %z = arith.constant 0 : index
      %x = tile.load %X[%z, %z] over [0, 1] : memref<1x8xf32> -> tensor<1x8xf32>
      %c = tile.load %C[%z, %z] over [0, 1] : memref<1x2xf32> -> tensor<1x2xf32>
      %s = tile.load %S[%z, %z] over [0, 1] : memref<1x2xf32> -> tensor<1x2xf32>
      %y = tile.rope %x, %c, %s : tensor<1x8xf32>, tensor<1x2xf32>
      %b = tile.rope %x, %c, %s {inverse} : tensor<1x8xf32>, tensor<1x2xf32>
      tile.store %y, %Y[%z, %z] over [0, 1] : tensor<1x8xf32>, memref<1x8xf32>
      tile.store %b, %Z[%z, %z] over [0, 1] : tensor<1x8xf32>, memref<1x8xf32>
    })",
                {X.data(), Cos.data(), Sin.data(), Y.data(), Z.data()}, {},
                {1}),
            "");
  // Two heads of four channels: [1 2 | 3 4] and [5 6 | 7 8].
  EXPECT_EQ(Y, (Floats{2 - 15, 6 - 28, 6 + 5, 12 + 14, 10 - 35, 18 - 56,
                       14 + 25, 24 + 42}));
  EXPECT_EQ(Z, (Floats{2 + 15, 6 + 28, 6 - 5, 12 - 14, 10 + 35, 18 + 56,
                       14 - 25, 24 - 42}));
}

TEST_F(TileInterpreterTest, GatherRows) {
  Floats Table = {1, 2, 3, 4, 5, 6}, Y(6, -1);
  std::vector<int32_t> Ids = {2, 0};
  const char *Text = R"(
    tile.kernel @gather(%T: memref<?x2xf32>, %I: memref<2xi32>, %Y: memref<2x3xf32>) grid(%i) {
      %z = arith.constant 0 : index
      %ids = tile.load %I[%z] over [0] : memref<2xi32> -> tensor<2xi32>
      %t = tile.gather %T[%ids, %z] : memref<?x2xf32>, tensor<2xi32> -> tensor<2x3xf32>
      tile.store %t, %Y[%z, %z] over [0, 1] : tensor<2x3xf32>, memref<2x3xf32>
    })";
  EXPECT_EQ(run(Text, {Table.data(), Ids.data(), Y.data()}, {3}, {1}), "");
  EXPECT_EQ(Y, (Floats{5, 6, 0, 1, 2, 0}));
  Ids[1] = 3;
  EXPECT_EQ(run(Text, {Table.data(), Ids.data(), Y.data()}, {3}, {1}),
            "'tile.gather' op gathers row 3, expected 0 to 2");
}

TEST_F(TileInterpreterTest, LoopsCarryTilesAllAtOnce) {
  // Fibonacci: the pair is replaced, not updated one after the other.
  EXPECT_EQ(map({1, 10}, R"(
    %one = arith.constant 1 : index
    %five = arith.constant 5 : index
    %n, %r = scf.for %k = %zero to %five step %one
        iter_args(%a = %x, %b = %x) -> (tensor<2xf32>, tensor<2xf32>) {
      %s = arith.addf %a, %b : tensor<2xf32>
      scf.yield %b, %s : tensor<2xf32>, tensor<2xf32>
    })"),
            (Floats{13, 130}));
}

TEST_F(TileInterpreterTest, BranchesAndSizes) {
  Floats X(4, 0);
  EXPECT_EQ(run(R"(
    tile.kernel @branch(%X: memref<?xf32>, %limit: index) grid(%i) {
      %z = arith.constant 0 : index
      %size = memref.dim %X, %z : memref<?xf32>
      %c = arith.cmpi slt, %i, %limit : index
      %v = scf.if %c -> (index) {
        scf.yield %size : index
      } else {
        scf.yield %i : index
      }
      %n = arith.index_cast %v : index to i32
      %f = arith.sitofp %n : i32 to f32
      %write = arith.cmpi ne, %i, %z : index
      scf.if %write {
        tile.store %f, %X[%i] : f32, memref<?xf32>
      }
    })",
                {X.data()}, {4, 2}, {4}),
            "");
  EXPECT_EQ(X, (Floats{0, 4, 2, 3}));
}

TEST_F(TileInterpreterTest, MathFollowsTheLibrary) {
  Floats X = {0.25f, 1.0f, 2.5f};
  Floats Y = map(X, R"(
    %e = math.exp %x : tensor<3xf32>
    %l = math.log1p %e : tensor<3xf32>
    %r = math.rsqrt %l : tensor<3xf32>)");
  for (int I = 0; I < 3; ++I) {
    float E = std::exp(double(X[I]));
    float L = std::log1p(double(E));
    EXPECT_EQ(Y[I], float(1.0 / std::sqrt(double(L))));
  }
}

TEST_F(TileInterpreterTest, MaximaAndNotANumber) {
  float NaN = std::nanf("");
  Floats Y = map({NaN, 1, 3}, R"(
    %two = arith.constant dense<2.0> : tensor<3xf32>
    %r = arith.maximumf %x, %two : tensor<3xf32>)");
  EXPECT_TRUE(std::isnan(Y[0]));
  EXPECT_EQ(Y[1], 2);
  EXPECT_EQ(Y[2], 3);
  EXPECT_EQ(map({NaN, 1, 3}, R"(
    %two = arith.constant dense<2.0> : tensor<3xf32>
    %r = arith.maxnumf %x, %two : tensor<3xf32>)"),
            (Floats{2, 2, 3}));
  Y = map({1, NaN, 3}, R"(
    %m = tile.reduce max %x along 0 : tensor<3xf32> -> f32
    %r = tile.broadcast %m : f32 -> tensor<3xf32>)");
  EXPECT_TRUE(std::isnan(Y[0]));
}

TEST_F(TileInterpreterTest, RoundingToTypeIsAnOption) {
  // 1 + 2^-30 is 1 in float32.
  std::string Body = R"(
    tile.kernel @round(%X: memref<1xf32>) grid(%i) {
      %z = arith.constant 0 : index
      %tiny = arith.constant 9.31322574615478515625e-10 : f32
      %one = arith.constant 1.0 : f32
      %s = arith.addf %one, %tiny : f32
      %d = arith.subf %s, %one : f32
      tile.store %d, %X[%z] : f32, memref<1xf32>
    })";
  Floats X = {5};
  EXPECT_EQ(run(Body, {X.data()}, {}, {1}), "");
  EXPECT_EQ(X[0], 0.0f);
  InterpreterOptions Exact;
  Exact.RoundToType = false;
  EXPECT_EQ(run(Body, {X.data()}, {}, {1}, Exact), "");
  EXPECT_EQ(X[0], 0x1p-30f);
}

TEST_F(TileInterpreterTest, Bfloat16RoundsToEven) {
  // bf16 has 8 bits: 257 lies half way between 256 and 258, 259 between 258
  // and 260.
  EXPECT_EQ(map({257, 259, 1.0f}, R"(
    %h = arith.truncf %x : tensor<3xf32> to tensor<3xbf16>
    %r = arith.extf %h : tensor<3xbf16> to tensor<3xf32>)"),
            (Floats{256, 260, 1}));
}

TEST_F(TileInterpreterTest, IntegersWrapAndExtend) {
  // The first round of Philox: high and low words of an i32 product.
  std::vector<int32_t> X = {-1, 1 << 30}, Low(2), High(2);
  EXPECT_EQ(run(R"(
    tile.kernel @wide(%X: memref<2xi32>, %L: memref<2xi32>, %H: memref<2xi32>) grid(%i) {
      %z = arith.constant 0 : index
      %x = tile.load %X[%z] over [0] : memref<2xi32> -> tensor<2xi32>
      %m = arith.constant dense<0xD2511F53> : tensor<2xi32>
      %low, %high = arith.mului_extended %x, %m : tensor<2xi32>
      tile.store %low, %L[%z] over [0] : tensor<2xi32>, memref<2xi32>
      tile.store %high, %H[%z] over [0] : tensor<2xi32>, memref<2xi32>
    })",
                {X.data(), Low.data(), High.data()}, {}, {1}),
            "");
  for (int I = 0; I < 2; ++I) {
    uint64_t Product = uint64_t(uint32_t(X[I])) * 0xD2511F53u;
    EXPECT_EQ(uint32_t(Low[I]), uint32_t(Product));
    EXPECT_EQ(uint32_t(High[I]), uint32_t(Product >> 32));
  }
}

TEST_F(TileInterpreterTest, BitcastAndShifts) {
  // Clears the last nine of the 23 bits of the fraction.
  EXPECT_EQ(map({1.5f, 1.0f + 0x1p-23f}, R"(
    %bits = arith.bitcast %x : tensor<2xf32> to tensor<2xi32>
    %nine = arith.constant dense<9> : tensor<2xi32>
    %shifted = arith.shrui %bits, %nine : tensor<2xi32>
    %back = arith.shli %shifted, %nine : tensor<2xi32>
    %r = arith.bitcast %back : tensor<2xi32> to tensor<2xf32>)"),
            (Floats{1.5f, 1.0f}));
}

TEST_F(TileInterpreterTest, BitcastBetweenFloats) {
  // 1.5 is 3fc0 in bf16; in f16 that is 2^0 (1 + 0x3c0 / 0x400).
  EXPECT_EQ(map({1.5f, 0.0f}, R"(
    %short = arith.truncf %x : tensor<2xf32> to tensor<2xbf16>
    %half = arith.bitcast %short : tensor<2xbf16> to tensor<2xf16>
    %r = arith.extf %half : tensor<2xf16> to tensor<2xf32>)"),
            (Floats{1.9375f, 0.0f}));
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

TEST_F(TileInterpreterTest, CoordinatesOutsideOfOverMustBeInBounds) {
  Floats X(6), Y(2);
  EXPECT_EQ(run(R"(
    tile.kernel @far(%X: memref<3x2xf32>, %Y: memref<2xf32>) grid(%i) {
      %z = arith.constant 0 : index
      %three = arith.constant 3 : index
      %x = tile.load %X[%three, %z] over [1] : memref<3x2xf32> -> tensor<2xf32>
      tile.store %x, %Y[%z] over [0] : tensor<2xf32>, memref<2xf32>
    })",
                {X.data(), Y.data()}, {}, {1}),
            "'tile.load' op accesses coordinate 3 of dimension 0, expected 0 "
            "to 2");
}

TEST_F(TileInterpreterTest, TwoWritersAreARace) {
  Floats X(3);
  std::string Text = R"(
    tile.kernel @race(%X: memref<?xf32>) grid(%i) {
      %v = arith.constant dense<1.0> : tensor<2xf32>
      tile.store %v, %X[%i] over [0] : tensor<2xf32>, memref<?xf32>
    })";
  EXPECT_EQ(run(Text, {X.data()}, {3}, {2}),
            "'tile.store' op in cell 1 writes element [1] of memref 0, which "
            "cell 0 writes too");
  InterpreterOptions Unchecked;
  Unchecked.CheckRaces = false;
  EXPECT_EQ(run(Text, {X.data()}, {3}, {2}, Unchecked), "");
}

TEST_F(TileInterpreterTest, ReadersOfWhatOthersWriteAreARace) {
  // In place through two arguments with one buffer; cell i reads what i +/- 1
  // writes.
  for (const char *Offset : {"1", "-1"}) {
    Floats X(6);
    std::string Text = R"(
      tile.kernel @race(%X: memref<6xf32>, %Y: memref<6xf32>) grid(%i) {
        %one = arith.constant 1 : index
        %offset = arith.constant )" +
                       std::string(Offset) + R"( : index
        %at = arith.addi %i, %one : index
        %from = arith.addi %at, %offset : index
        %v = tile.load %X[%from] : memref<6xf32> -> f32
        tile.store %v, %Y[%at] : f32, memref<6xf32>
      })";
    std::string Message = run(Text, {X.data(), X.data()}, {}, {3});
    EXPECT_EQ(Message, *Offset == '1' ? "'tile.store' op in cell 1 writes "
                                        "element [2] of memref 1, which cell 0 "
                                        "reads"
                                      : "'tile.load' op in cell 1 reads "
                                        "element [1] of memref 0, which cell 0 "
                                        "writes");
    Floats Y(6);
    EXPECT_EQ(run(Text, {X.data(), Y.data()}, {}, {3}), "");
  }
}

TEST_F(TileInterpreterTest, UnknownOperation) {
  Floats X(1);
  EXPECT_EQ(run(R"(
    tile.kernel @unknown(%X: memref<1xf32>) grid(%i) {
      %m = memref.alloca() : memref<1xf32>
    })",
                {X.data()}, {}, {1}),
            "'memref.alloca' op is unknown to the tile interpreter, expected "
            "an operation of a kernel");
}

TEST_F(TileInterpreterTest, DivisionByZero) {
  EXPECT_EQ(run(R"(
    tile.kernel @divide() grid(%i) {
      %one = arith.constant 1 : index
      %q = arith.divsi %one, %i : index
    })",
                {}, {}, {1}),
            "'arith.divsi' op divides 1 by zero");
}

TEST_F(TileInterpreterTest, LaunchMustMatchTheKernel) {
  Floats X(1);
  std::string Text = "tile.kernel @k(%X: memref<?xf32>, %n: index) grid(%i) {}";
  EXPECT_EQ(run(Text, {X.data()}, {1}, {1}),
            "'tile.kernel' op is given 1 buffers and 1 sizes, expected 1 and "
            "2");
  EXPECT_EQ(run(Text, {X.data()}, {1, 1}, {1, 1}),
            "'tile.kernel' op is given a grid of rank 2, expected 1");
}

TEST_F(TileInterpreterTest, OneCell) {
  Floats X(4, 0);
  OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(R"(
    tile.kernel @one(%X: memref<?xf32>) grid(%i) {
      %v = arith.constant 1.0 : f32
      tile.store %v, %X[%i] : f32, memref<?xf32>
    })",
                                                             &Context);
  ASSERT_TRUE(Module);
  KernelOp Kernel = *Module->getOps<KernelOp>().begin();
  void *Buffers[] = {X.data()};
  EXPECT_TRUE(succeeded(runKernelCell(Kernel, Buffers, {4}, {2})));
  EXPECT_EQ(X, (Floats{0, 0, 1, 0}));
}

} // namespace
