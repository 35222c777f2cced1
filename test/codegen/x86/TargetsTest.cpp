//===- TargetsTest.cpp - One object per instruction set -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Parser/Parser.h"
#include "test/codegen/x86/KernelHarness.h"

#include <gtest/gtest.h>

using namespace transxssm;
using namespace transxssm::test;

namespace {

class Targets : public testing::Test {
protected:
  Targets() {
    Context.loadDialect<tile::TileDialect, mlir::arith::ArithDialect,
                        mlir::math::MathDialect, mlir::memref::MemRefDialect>();
  }

  mlir::FailureOr<x86::CompiledObject> compile(const char *Text,
                                               const x86::X86Target &Target,
                                               x86::X86Options Options = {}) {
    auto Module = mlir::parseSourceString<mlir::ModuleOp>(Text, &Context);
    EXPECT_TRUE(Module);
    return x86::compileForX86(*Module, Target, Options);
  }

  mlir::MLIRContext Context{mlir::MLIRContext::Threading::DISABLED};
};

const char *TwoKernels = R"(
tile.kernel @product(%a: memref<32x64xf32>, %b: memref<48x64xf32>, %y: memref<32x48xf32>) grid(%i) {
  %z = arith.constant 0 : index
  %a0 = tile.load %a[%z, %z] over [0, 1] : memref<32x64xf32> -> tensor<32x64xf32>
  %b0 = tile.load %b[%z, %z] over [0, 1] : memref<48x64xf32> -> tensor<48x64xf32>
  %c0 = arith.constant dense<0.0> : tensor<32x48xf32>
  %y0 = tile.mma %a0, %b0, %c0 {transpose_rhs} : tensor<32x64xf32>, tensor<48x64xf32>, tensor<32x48xf32>
  %e0 = math.exp %y0 : tensor<32x48xf32>
  tile.store %e0, %y[%z, %z] over [0, 1] : tensor<32x48xf32>, memref<32x48xf32>
}
tile.kernel @edge(%x: memref<?x?xbf16>, %y: memref<?x?xf32>) grid(%i) {
  %n = arith.constant 16 : index
  %r = arith.muli %i, %n : index
  %t = tile.load %x[%r, %r] over [0, 1] : memref<?x?xbf16> -> tensor<16x32xbf16>
  %u = arith.extf %t : tensor<16x32xbf16> to tensor<16x32xf32>
  tile.store %u, %y[%r, %r] over [0, 1] : tensor<16x32xf32>, memref<?x?xf32>
}
)";

TEST_F(Targets, UseTheirRegistersAndListEveryKernel) {
  for (const x86::X86Target &Target : x86::x86Targets()) {
    std::string Assembly, Llvm;
    x86::X86Options Options;
    Options.AsmText = &Assembly;
    Options.LlvmText = &Llvm;
    auto Compiled = compile(TwoKernels, Target, Options);
    ASSERT_TRUE(mlir::succeeded(Compiled)) << Target.Name;
    EXPECT_EQ(Compiled->Object.substr(0, 4), "\177ELF");
    ASSERT_EQ(Compiled->Kernels.size(), 2u);
    EXPECT_EQ(Compiled->Kernels[0].Name, "product");
    EXPECT_EQ(Compiled->Kernels[1].Name, "edge");
    EXPECT_GT(Compiled->Kernels[0].ScratchBytes, 0);
    bool Wide = Target.Loops.VectorBits == 512;
    EXPECT_EQ(Assembly.find("zmm") != std::string::npos, Wide) << Target.Name;
    EXPECT_NE(Assembly.find("vfmadd"), std::string::npos) << Target.Name;
    EXPECT_NE(Llvm.find(Wide ? "<16 x float>" : "<8 x float>"),
              std::string::npos);
    EXPECT_EQ(Assembly.find("call"), std::string::npos) << "no library calls";
  }
}

size_t countOf(const std::string &Text, const std::string &Part) {
  size_t Count = 0;
  for (size_t At = Text.find(Part); At != std::string::npos;
       At = Text.find(Part, At + 1))
    ++Count;
  return Count;
}

bool HasBf16(const x86::X86Target &Target) {
  return Target.Loops.Pairs == x86::PairProducts::Instructions;
}

/// Products of bf16 are made of pairs where the processor can, and of float32
/// elsewhere.
TEST_F(Targets, MultiplyPairsOfBf16) {
  for (const x86::X86Target &Target : x86::x86Targets()) {
    std::string Assembly;
    x86::X86Options Options;
    Options.AsmText = &Assembly;
    auto Compiled = compile(R"(
tile.kernel @product(%x: memref<64x64xbf16>, %w: memref<64x64xbf16>,
                     %y: memref<64x64xf32>) grid(%i) {
  %z = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %a = tile.load %x[%z, %z] over [0, 1] : memref<64x64xbf16> -> tensor<64x64xbf16>
  %b = tile.load %w[%z, %z] over [0, 1] : memref<64x64xbf16> -> tensor<64x64xbf16>
  %p = tile.mma %a, %b, %zero : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
  tile.store %p, %y[%z, %z] over [0, 1] : tensor<64x64xf32>, memref<64x64xf32>
})",
                            Target, Options);
    ASSERT_TRUE(mlir::succeeded(Compiled)) << Target.Name;
    EXPECT_EQ(countOf(Assembly, "vdpbf16ps") > 0, HasBf16(Target)) << Assembly;
    EXPECT_EQ(countOf(Assembly, "vfmadd") == 0, HasBf16(Target)) << Assembly;
  }
}

/// bf16 is read by widening words and shifting them up, and written by rounding
/// in integers and narrowing, or by the instruction of processors that have
/// one: in vectors, without library calls.
TEST_F(Targets, ConvertBf16InVectors) {
  for (const x86::X86Target &Target : x86::x86Targets()) {
    std::string Assembly;
    x86::X86Options Options;
    Options.AsmText = &Assembly;
    auto Compiled = compile(R"(
tile.kernel @double(%x: memref<4096xbf16>, %y: memref<4096xbf16>) grid(%i) {
  %z = arith.constant 0 : index
  %t = tile.load %x[%z] over [0] : memref<4096xbf16> -> tensor<4096xbf16>
  %u = arith.extf %t : tensor<4096xbf16> to tensor<4096xf32>
  %v = arith.addf %u, %u : tensor<4096xf32>
  %w = arith.truncf %v : tensor<4096xf32> to tensor<4096xbf16>
  tile.store %w, %y[%z] over [0] : tensor<4096xbf16>, memref<4096xbf16>
})",
                            Target, Options);
    ASSERT_TRUE(mlir::succeeded(Compiled)) << Target.Name;
    bool Wide = Target.Loops.VectorBits == 512;
    const std::string Register = Wide ? "zmm" : "ymm";
    EXPECT_GT(countOf(Assembly, "vpmovzxwd"), 0u) << Assembly;
    EXPECT_GT(countOf(Assembly, "vpslld\t$16, %" + Register), 0u) << Assembly;
    const char *Narrow = HasBf16(Target) ? "vcvtneps2bf16"
                         : Wide          ? "vpmovdw"
                                         : "vpackusdw";
    EXPECT_GT(countOf(Assembly, Narrow), 0u) << Assembly;
    EXPECT_EQ(countOf(Assembly, "call"), 0u) << Assembly;
    // No element goes on its own.
    for (const char *Scalar : {"pinsrw", "pextrw", "addss", "movw"})
      EXPECT_EQ(countOf(Assembly, Scalar), 0u) << Scalar << Assembly;
  }
}

/// The same text gives the same object, bit for bit.
TEST_F(Targets, AreDeterministic) {
  for (const x86::X86Target &Target : x86::x86Targets()) {
    auto First = compile(TwoKernels, Target),
         Second = compile(TwoKernels, Target);
    ASSERT_TRUE(mlir::succeeded(First) && mlir::succeeded(Second));
    EXPECT_TRUE(First->Object == Second->Object) << Target.Name;
  }
}

TEST_F(Targets, ReportWhatTheyCannotDo) {
  std::string Messages;
  mlir::ScopedDiagnosticHandler Handler(&Context, [&](mlir::Diagnostic &D) {
    Messages += D.str() + "\n";
    return mlir::success();
  });
  auto Compiled = compile(R"(
tile.kernel @sine(%x: memref<8xf32>) grid(%i) {
  %z = arith.constant 0 : index
  %t = tile.load %x[%z] over [0] : memref<8xf32> -> tensor<8xf32>
  %u = math.sin %t : tensor<8xf32>
  tile.store %u, %x[%z] over [0] : tensor<8xf32>, memref<8xf32>
})",
                          hostTarget());
  EXPECT_TRUE(mlir::failed(Compiled));
  EXPECT_NE(Messages.find("'math.sin' on 'vector<8xf32>' has no inline form"),
            std::string::npos)
      << Messages;
}

} // namespace
