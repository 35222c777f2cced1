//===- GradientKernelTest.h - Running kernels in tests --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Builds a kernel, runs it on vectors and compares with plain loops in double.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_KERNELS_GRADIENTKERNELTEST_H
#define TRANSXSSM_TEST_KERNELS_GRADIENTKERNELTEST_H

#include "dialect/tile/interpreter/TileInterpreter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"
#include "passes/tiling/kernels/GradientKernels.h"
#include "gtest/gtest.h"
#include <cmath>
#include <limits>
#include <random>

namespace transxssm {
namespace tiling {

using Floats = std::vector<float>;
using Integers = std::vector<int32_t>;
using Doubles = std::vector<double>;
using Shorts = std::vector<uint16_t>; // the bits of bf16

class GradientKernelTest : public testing::Test {
protected:
  GradientKernelTest() {
    Context.loadDialect<tile::TileDialect, mlir::arith::ArithDialect,
                        mlir::math::MathDialect, mlir::memref::MemRefDialect,
                        mlir::scf::SCFDialect>();
    Module = mlir::ModuleOp::create(mlir::UnknownLoc::get(&Context));
  }

  mlir::ModuleOp module() { return *Module; }

  /// One buffer of a launch.
  struct Memory {
    Memory(Floats &V) : Data(V.data()) {}
    Memory(const Floats &V) : Data(const_cast<float *>(V.data())) {}
    Memory(const Integers &V) : Data(const_cast<int32_t *>(V.data())) {}
    Memory(Shorts &V) : Data(V.data()) {}
    void *Data;
  };

  void run(tile::KernelOp Kernel, std::vector<Memory> Memories,
           std::vector<int64_t> Sizes, std::vector<int64_t> Grid) {
    ASSERT_TRUE(succeeded(mlir::verify(Kernel)));
    std::vector<void *> Buffers;
    for (const Memory &M : Memories)
      Buffers.push_back(M.Data);
    ASSERT_TRUE(succeeded(tile::runKernel(Kernel, Buffers, Sizes, Grid)));
  }

  /// Standard normal numbers, the same on every run.
  Floats random(size_t Size, double Scale = 1, double Shift = 0) {
    std::normal_distribution<double> Normal(0, 1);
    Floats Values(Size);
    for (float &V : Values)
      V = static_cast<float>(Shift + Scale * Normal(Engine));
    return Values;
  }

  /// What a kernel must overwrite.
  static Floats unset(size_t Size) {
    return Floats(Size, std::numeric_limits<float>::quiet_NaN());
  }

  static int64_t ceilDiv(int64_t A, int64_t B) { return (A + B - 1) / B; }

  /// The error's norm is at most Tolerance of the expected norm; `Floor` is
  /// added to it where the exact result may be 0.
  static void expectClose(const Floats &Got, const Doubles &Want,
                          const std::string &What, double Tolerance = 2e-6,
                          double Floor = 1e-6) {
    ASSERT_EQ(Got.size(), Want.size()) << What;
    double Error = 0, Norm = 0;
    for (size_t I = 0; I < Got.size(); ++I) {
      Error += (Got[I] - Want[I]) * (Got[I] - Want[I]);
      Norm += Want[I] * Want[I];
    }
    // A NaN in Got makes the comparison false.
    EXPECT_TRUE(std::sqrt(Error) <= Tolerance * (std::sqrt(Norm) + Floor))
        << What << ": relative error " << std::sqrt(Error / Norm);
  }

private:
  mlir::MLIRContext Context;
  mlir::OwningOpRef<mlir::ModuleOp> Module;
  std::mt19937 Engine{7};
};

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_TEST_KERNELS_GRADIENTKERNELTEST_H
