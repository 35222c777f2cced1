//===- Probe.h - Where a compiled model leaves the reference --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Runs an entry twice on the same parameters and inputs: in the float64 txs
// interpreter and as compiled code. After every launch the values that it has
// written are compared with the interpreter's, so that the first operation to
// differ has a name. A value that fusion keeps out of memory is not compared;
// one that several launches write is compared after the last of them.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_PROBE_PROBE_H
#define TRANSXSSM_TOOLS_PROBE_PROBE_H

#include "dialect/txs/interpreter/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/Package.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace transxssm {

struct ProbeInputs {
  txs::Tensor Ids;                   ///< [B, T]
  std::optional<txs::Tensor> Labels; ///< the ids without
  std::optional<txs::Tensor> Mask;   ///< all ones without
};

struct ProbeOptions {
  std::string Directory;         ///< config.json and weights
  std::string Entry = "forward"; ///< or prefill, decode, gradients, train
  /// Tokens that "decode" finds in the cache, by a prefill that is compared as
  /// well; 0: all but one.
  int64_t Prefill = 0;
  /// A package with names. Without, one is compiled from the directory.
  std::optional<Package> Compiled;
  /// How the package is compiled, or was.
  DType Type = DType::F32;
  int64_t RecomputeBlocks = 0;
  bool Fuse = true;
  /// Called on the kernels before code is generated.
  std::function<Status(mlir::ModuleOp)> EditKernels;
  /// For every value, in place of the two below, which are for float32.
  std::optional<double> Tolerance;
  unsigned Threads = 0;
  std::string Device = "cpu"; ///< other ones need a package for them
};

/// Largest ||compiled - reference|| / ||reference|| of what float32 computes
/// forward, and of what depends on a gradient.
constexpr double ForwardTolerance = 1e-5, GradientTolerance = 1e-4;

/// A value and where it was written last.
struct ProbedValue {
  std::string Entry;
  std::string Name;      ///< "17 txs.linear @model.layers.0.ssd.c_proj.weight"
  std::string Operation; ///< as text
  /// Operations behind it whose results stay inside kernels.
  std::vector<std::string> Fused;
  std::string Kernel, Buffer;
  size_t Launch = 0;
  std::vector<int64_t> Shape;
  double Error = 0, Bound = 0;
  /// The first element that is off by more than Bound times the root mean
  /// square of the reference; it exists where the value diverges.
  std::vector<int64_t> Index;
  double Actual = 0, Expected = 0;

  bool diverges() const { return !(Error <= Bound); }
};

struct ProbeReport {
  /// In the order of the launches.
  std::vector<ProbedValue> Values;
  /// Values of the model that no launch writes: fused or not needed.
  size_t NotWritten = 0;

  /// The first that diverges, or null.
  const ProbedValue *first() const;
  size_t divergences() const;
};

Result<ProbeReport> probe(const ProbeOptions &Options,
                          const ProbeInputs &Inputs);

/// Multiplies the floats that a kernel stores by -1, to see whether a probe
/// finds it.
Status negateStores(mlir::ModuleOp Module, llvm::StringRef Kernel);

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_PROBE_PROBE_H
