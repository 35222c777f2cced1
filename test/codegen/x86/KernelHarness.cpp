//===- KernelHarness.cpp - Compiles and runs tile kernels in tests --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/codegen/x86/KernelHarness.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "runtime/cpu/CpuFeatures.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace transxssm::test {

Array<float> randomArray(size_t Count, unsigned Seed, float Range) {
  std::mt19937 Generator(Seed);
  std::uniform_real_distribution<float> Uniform(-Range, Range);
  Array<float> Result(Count);
  for (size_t I = 0; I < Count; ++I)
    Result[I] = Uniform(Generator);
  return Result;
}

static x86::X86Target bestTarget() {
  for (x86::X86Target &Target : x86::x86Targets())
    if (missingCpuFeatures(Target.Features).empty())
      return Target;
  return x86::x86Targets().back();
}

x86::X86Target hostTarget() {
  x86::X86Target Target = bestTarget();
  if (const char *Bits = std::getenv("TRANSXSSM_TEST_VECTOR_BITS"))
    Target.Loops = {std::atoi(Bits), x86::PairProducts::Emulated};
  return Target;
}

Kernels::Kernels(const std::string &Text) {
  mlir::DialectRegistry Registry;
  Registry.insert<tile::TileDialect, mlir::arith::ArithDialect,
                  mlir::math::MathDialect, mlir::memref::MemRefDialect,
                  mlir::scf::SCFDialect>();
  mlir::MLIRContext Context(Registry, mlir::MLIRContext::Threading::DISABLED);
  auto Module = mlir::parseSourceString<mlir::ModuleOp>(Text, &Context);
  if (Module)
    compile(*Module);
}

void Kernels::compile(mlir::ModuleOp Module) {
  auto Compiled = x86::compileForX86(Module, hostTarget());
  if (failed(Compiled))
    return;
  for (const x86::CompiledKernel &Kernel : Compiled->Kernels)
    ScratchBytes[Kernel.Name] = Kernel.ScratchBytes;
  auto Loaded = LoadedObject::load(
      reinterpret_cast<const uint8_t *>(Compiled->Object.data()),
      Compiled->Object.size(), "test");
  if (Loaded)
    Object = std::move(*Loaded);
  else
    ADD_FAILURE() << Loaded.message();
}

void Kernels::run(const std::string &Name, std::vector<void *> Buffers,
                  std::vector<int64_t> Sizes, int64_t X, int64_t Y,
                  int64_t Z) const {
  ASSERT_TRUE(isLoaded()) << "the kernels did not compile";
  TransXSSMCpuKernel Kernel = Object->findKernel(Name);
  ASSERT_TRUE(Kernel) << "no kernel " << Name;
  size_t Bytes = (ScratchBytes.at(Name) + 63) / 64 * 64;
  GuardedMemory Scratch(Bytes);
  // A range of cells may share work, a single one has nobody to share with.
  constexpr int64_t CellsOfRange = 2;
  // What a kernel reads before writing must not matter.
  std::memset(Scratch.data(), 0xff, Bytes);
  for (int64_t K = 0; K < Z; ++K)
    for (int64_t J = 0; J < Y; ++J)
      for (int64_t I = 0; I < X; I += CellsOfRange)
        Kernel(Buffers.data(), Sizes.data(), Scratch.data(), I,
               std::min(I + CellsOfRange, X), J, K);
}

std::string substitute(std::string Text,
                       const std::map<std::string, std::string> &Values) {
  for (const auto &[Name, Value] : Values) {
    std::string Key = "$" + Name;
    for (size_t At = 0; (At = Text.find(Key, At)) != std::string::npos;
         At += Value.size())
      Text.replace(At, Key.size(), Value);
  }
  return Text;
}

} // namespace transxssm::test
