//===- SimHarness.h - Runs GPU kernels in the simulator -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Compiles kernels for the simulator, from LLVM IR text or from a module that
// codegen/nvptx made, and launches them over host arrays:
//
//   SimKernels Kernels(Text);
//   std::vector<float> X = …, Y(N);
//   SimLaunch Launch(Kernels, "kernel");
//   Launch.input("x", X).output("y", Y).size(N);
//   Launch.run({{Blocks, 1, 1}, Threads, SharedBytes});
//   EXPECT_TRUE(Launch.reports().empty()) << Launch.reportText();
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_SIM_SIMHARNESS_H
#define TRANSXSSM_TEST_SIM_SIMHARNESS_H

#include "codegen/nvptx/GpuTarget.h"
#include "runtime/sim/Simulator.h"
#include "runtime/support/HalfFloats.h"
#include "transxssm/sim_abi.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/IR/Module.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace transxssm::test {

/// Kernels that the simulator can run.
class SimKernels {
public:
  explicit SimKernels(const std::string &Text);
  explicit SimKernels(const llvm::Module &Module) { compile(Module); }

  /// Why there are none; empty where all went well.
  const std::string &error() const { return Error; }
  const sim::SimModule &module() const { return *Loaded; }
  bool isLoaded() const { return Loaded != nullptr; }

private:
  void compile(const llvm::Module &Module);

  std::unique_ptr<sim::SimModule> Loaded;
  std::string Error;
};

/// The arguments of a kernel and what running it gave.
class SimLaunch {
public:
  SimLaunch(const SimKernels &Kernels, std::string Kernel)
      : Kernels(Kernels), Kernel(std::move(Kernel)) {}

  sim::Simulator Simulator;

  /// Adds a pointer to an array that holds values already, or that the kernel
  /// must fill. The vector must outlive the launch.
  template <typename T>
  SimLaunch &input(const std::string &Name, std::vector<T> &Values) {
    return buffer(Name, Values.data(), Values.size() * sizeof(T), true);
  }
  template <typename T>
  SimLaunch &output(const std::string &Name, std::vector<T> &Values) {
    return buffer(Name, Values.data(), Values.size() * sizeof(T), false);
  }
  SimLaunch &buffer(const std::string &Name, void *Data, uint64_t Bytes,
                    bool Initialized);
  /// Adds an integer.
  SimLaunch &size(int64_t Value);
  /// Adds the grid where the kernel's blocks go over its cells
  /// (ResidentBlocks); what to launch, with so many blocks at most in that
  /// case.
  sim::LaunchShape cells(llvm::ArrayRef<int64_t> Grid, bool Resident,
                         int64_t Blocks = 3);
  /// Adds a tensor map, which must outlive the launch.
  SimLaunch &map(TransXSSMSimTensorMap &Map) {
    Parameters.push_back(&Map);
    return *this;
  }
  /// Adds the one that a compiled kernel wants of the memory at Base, for those
  /// sizes of the launch.
  SimLaunch &map(const nvptx::TensorMap &Wanted, const void *Base,
                 llvm::ArrayRef<int64_t> Sizes);

  /// Adds a gtest failure where the launch is impossible.
  void run(const sim::LaunchShape &Shape);

  const std::vector<sim::Report> &reports() const {
    return Simulator.reports();
  }
  /// One line each.
  std::string reportText() const;

private:
  const SimKernels &Kernels;
  std::string Kernel;
  std::vector<std::unique_ptr<uint64_t>> Values;
  std::vector<std::unique_ptr<TransXSSMSimTensorMap>> Maps;
  std::vector<void *> Parameters;
};

/// Round-robin, reverse and random schedules, with copies that land early and
/// late: `Seeds` random ones beside four others.
std::vector<sim::SimOptions> manySchedules(unsigned Seeds);

/// The text of test/sim/kernels/NAME.ll, with one bug planted: lines that end
/// in "; without BUG" are left out, lines "; with BUG: TEXT" become TEXT. No
/// bug where it is empty.
std::string kernelText(const std::string &Name, const std::string &Bug = "");

inline uint16_t toBf16(float Value) { return floatToBFloat(Value); }
inline float fromBf16(uint16_t Bits) { return bfloatToFloat(Bits); }
/// So many bf16 between -1 and 1.
std::vector<uint16_t> randomHalves(size_t Count, std::mt19937 &Generator);

} // namespace transxssm::test

#endif // TRANSXSSM_TEST_SIM_SIMHARNESS_H
