//===- PackageWriter.h - From plan IR and code to a package ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_PACKAGE_PACKAGEWRITER_H
#define TRANSXSSM_CODEGEN_PACKAGE_PACKAGEWRITER_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/Expression.h"

#include <cstdint>
#include <string>
#include <vector>

namespace transxssm {

/// A memory operand that a kernel copies as boxes, see runtime/TensorMap.h.
struct TensorMapCode {
  uint32_t Operand = 0;
  std::vector<int64_t> Shape; ///< outermost first; -1: a size of the launch
  uint32_t FirstSize = 0;     ///< number of the first of these sizes
  std::vector<uint32_t> Box;  ///< outermost first
};

/// Where the code of one kernel lies in an object, and what it needs.
struct KernelCode {
  std::string Kernel; ///< name of the tile.kernel
  std::string Symbol; ///< in the object
  uint64_t ScratchBytes = 0;
  uint32_t Threads = 0;     ///< of a block; 0 on a processor
  uint64_t SharedBytes = 0; ///< dynamic shared memory of a block
  std::vector<TensorMapCode> TensorMaps =
      {};                      ///< in the order of the parameters
  uint32_t ResidentBlocks = 0; ///< see package.fbs
};

/// All kernels compiled for one target.
struct CodeObject {
  std::string Target;                ///< "x86-64-v3", "sim-sm_80"
  std::vector<std::string> Features; ///< as in /proc/cpuinfo
  std::vector<KernelCode> Kernels;
  std::string Object; ///< see package.fbs
};

/// What a package says beside the plan.
struct PackageOptions {
  std::string Config; ///< text of config.json
  int64_t MaxBatch = 1;
  int64_t MaxSeqLen = 1;
};

/// The producer named in every package: "transxssm-compile 0.1.0".
std::string packageProducer();

/// A plan expression in postfix order. It must have no dimensions; an error
/// says what the runtime cannot represent.
Result<Expression> toPostfix(mlir::AffineExpr Expr);

/// The payload of the package (a finished FlatBuffer, see runtime/package.fbs)
/// for the module's parameters, states, kernels and entries, in their order.
/// `Code` may be empty: such a package can be inspected but not run.
mlir::FailureOr<std::vector<uint8_t>>
writePackagePayload(mlir::ModuleOp Module, llvm::ArrayRef<CodeObject> Code,
                    const PackageOptions &Options);

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_PACKAGE_PACKAGEWRITER_H
