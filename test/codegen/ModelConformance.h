//===- ModelConformance.h - Compiled kernels against the interpreter ------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Takes whole models to kernels and runs every launch of every entry twice, by
// the interpreter and as a target compiled it, from the same memory.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_CODEGEN_MODELCONFORMANCE_H
#define TRANSXSSM_TEST_CODEGEN_MODELCONFORMANCE_H

#include "codegen/Pipeline.h"
#include "dialect/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/support/DType.h"
#include "llvm/ADT/DenseMap.h"

#include <memory>
#include <string>
#include <vector>

namespace transxssm::test {

/// What the symbols of a plan stand for.
struct PlanSizes {
  int64_t Batch, Seq, Past, Capacity;
};

/// The memory of one plan buffer, as both sides see it.
struct PlanMemory;

/// Two hybrid models, small and with every kind of layer: one whose queries
/// share keys, one of widths that no tile divides.
extern const char *const GroupedHeadsConfig;
extern const char *const OddWidthsConfig;

class ModelConformance {
public:
  /// Memory that the compiled kernel gets.
  struct Argument {
    void *Data;
    size_t Bytes;
    bool IsWritten; ///< by the test or an earlier launch
  };

  /// Forward, decode and train of a model as kernels; a gtest failure, and no
  /// module, where that goes wrong. Compiled kernels get memory that ends where
  /// a page does, so that reads past it fault; for an alignment it may end
  /// before.
  explicit ModelConformance(const std::string &Json, DType Type = DType::F32,
                            size_t Alignment = 1,
                            const PlanOptions &Options = {});
  virtual ~ModelConformance();

  /// Compares every launch at these sizes, up to the first that differs.
  void check(const PlanSizes &Sizes);

protected:
  virtual void run(const std::string &Kernel,
                   const std::vector<Argument> &Arguments,
                   const std::vector<int64_t> &Sizes,
                   const std::vector<int64_t> &Grid) = 0;

  mlir::MLIRContext Context{mlir::MLIRContext::Threading::DISABLED};
  mlir::OwningOpRef<mlir::ModuleOp> Module;

private:
  using Memories = llvm::DenseMap<mlir::Value, std::unique_ptr<PlanMemory>>;

  void check(plan::EntryOp Entry, const PlanSizes &Sizes);
  void check(plan::LaunchOp Launch, const PlanSizes &Sizes, Memories &Of);

  size_t Alignment;
};

} // namespace transxssm::test

#endif // TRANSXSSM_TEST_CODEGEN_MODELCONFORMANCE_H
