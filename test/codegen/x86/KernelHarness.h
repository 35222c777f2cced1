//===- KernelHarness.h - Compiles and runs tile kernels in tests ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_CODEGEN_X86_KERNELHARNESS_H
#define TRANSXSSM_TEST_CODEGEN_X86_KERNELHARNESS_H

#include "codegen/x86/X86Codegen.h"
#include "runtime/cpu/ObjectLoader.h"
#include "test/codegen/GuardedMemory.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace transxssm::test {

/// Numbers between -Range and Range, the same in every run.
Array<float> randomArray(size_t Count, unsigned Seed, float Range = 1.0f);

/// The kernels of one MLIR text, compiled for this processor.
class Kernels {
public:
  explicit Kernels(const std::string &Text);
  explicit Kernels(mlir::ModuleOp Module) { compile(Module); }

  /// Runs all cells of a grid.
  void run(const std::string &Name, std::vector<void *> Buffers,
           std::vector<int64_t> Sizes, int64_t X = 1, int64_t Y = 1,
           int64_t Z = 1) const;
  int64_t scratchBytes(const std::string &Name) const {
    return ScratchBytes.at(Name);
  }
  bool isLoaded() const { return Object != nullptr; }

private:
  void compile(mlir::ModuleOp Module);

  std::unique_ptr<LoadedObject> Object;
  std::map<std::string, int64_t> ScratchBytes;
};

/// The best target that this processor can run. $TRANSXSSM_TEST_VECTOR_BITS
/// sets the width that kernels are tiled and vectorised for: LLVM splits
/// vectors that are wider than the registers, so that what AVX-512 gets can be
/// run without it, products of pairs of bf16 in an emulated form.
x86::X86Target hostTarget();

/// The text with every `$NAME` replaced.
std::string substitute(std::string Text,
                       const std::map<std::string, std::string> &Values);

} // namespace transxssm::test

#endif // TRANSXSSM_TEST_CODEGEN_X86_KERNELHARNESS_H
