//===- Pipeline.h - From config.json to a package -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The compiler's stages in order:
//
//   buildModel    config.json -> txs, with gradients and optimizer
//   lowerToPlan   txs -> tile kernels and plan entries
//   generateCode  tile kernels -> objects
//   makePackage   plan and objects -> a verified package
//
// Errors of the first three are diagnostics of the MLIR context.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_PIPELINE_H
#define TRANSXSSM_CODEGEN_PIPELINE_H

#include "codegen/package/PackageWriter.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/Package.h"
#include "runtime/model/ModelConfig.h"

#include <functional>
#include <string>
#include <vector>

namespace transxssm {

/// Registers every dialect that the stages use.
void registerCompilerDialects(mlir::DialectRegistry &Registry);

/// The functions that `Names` of the command line stand for, in the importer's
/// order: "forward" is itself, "decode" also prefill, "train" also gradients.
/// No names mean all that this kind of model has.
Result<std::vector<std::string>>
expandEntries(const std::vector<std::string> &Names, const ModelConfig &Config);

/// The passes between import and tiling; `Type`, F32 or BF16, is that of
/// weights and activations.
void addModelPasses(mlir::OpPassManager &Manager, int64_t RecomputeBlocks = 0,
                    DType Type = DType::F32);
struct PlanOptions {
  bool Fuse = true; ///< elementwise operations in other kernels
  /// Note in every launch which values of the model it writes.
  bool DebugNames = false;
  bool Gpu = false; ///< tile sizes for GPUs
  /// Of a GPU's products that continue from a cache: "by-size", "large" or
  /// "small".
  std::string ProductTiles = "by-size";
};

/// The passes from txs to plan.
void addPlanPasses(mlir::OpPassManager &Manager,
                   const PlanOptions &Options = {});
/// Makes both known to transxssm-opt: `txs-model-pipeline` and
/// `txs-to-plan-pipeline`.
void registerCompilerPipelines();

/// The module at txs level, ready for tiling; null after a diagnostic.
/// `RecomputeBlocks` blocks are computed again in the backward sweep.
mlir::OwningOpRef<mlir::ModuleOp>
buildModel(const ModelConfig &Config, const std::vector<std::string> &Entries,
           int64_t RecomputeBlocks, mlir::MLIRContext &Context,
           DType Type = DType::F32);

/// Replaces functions by kernels and plan entries.
mlir::LogicalResult lowerToPlan(mlir::ModuleOp Module,
                                const PlanOptions &Options = {});

/// The text of generated code, on request.
struct CodeText {
  std::string Llvm, Asm;
};

struct CodeOptions {
  /// Filled when not null.
  CodeText *Text = nullptr;
  /// Leave out the instruction sets that this machine lacks.
  bool OnlyThisMachine = false;
  /// Called after each instruction set, in order.
  std::function<void(const CodeObject &)> Done;
};

/// Compiles every kernel for the instruction sets of the CPU target, at the
/// same time. The least demanding comes first: a runtime takes the last one
/// that its processor can run.
mlir::FailureOr<std::vector<CodeObject>>
generateCode(mlir::ModuleOp Module, const CodeOptions &Options = {});

/// Serialises, and reads back what the runtime will see.
Result<Package> makePackage(mlir::ModuleOp Module,
                            llvm::ArrayRef<CodeObject> Code,
                            const PackageOptions &Options,
                            std::vector<uint8_t> &Payload);

/// Bytes that the temporaries of the training entries need at most, at the
/// limits of the package.
Result<uint64_t> trainingPeak(const Package &Planned);

/// How many blocks to recompute so that training fits a budget.
struct RecomputeChoice {
  int64_t Blocks = 0;
  uint64_t PeakBytes = 0;
};

/// The smallest number of recomputed blocks with which the training entries'
/// exact peak at the package's limits is at most `Budget`. The error names the
/// smallest peak that is possible.
Result<RecomputeChoice>
chooseRecompute(const ModelConfig &Config, const PackageOptions &Options,
                uint64_t Budget, mlir::MLIRContext &Context,
                DType Type = DType::F32, const PlanOptions &Plan = {});

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_PIPELINE_H
