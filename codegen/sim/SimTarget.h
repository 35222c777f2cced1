//===- SimTarget.h - Code of a package for device "sim" -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_SIM_SIMTARGET_H
#define TRANSXSSM_CODEGEN_SIM_SIMTARGET_H

#include "codegen/nvptx/NvptxCodegen.h"
#include "codegen/package/PackageWriter.h"

namespace transxssm::sim {

/// Every tile.kernel of the module as for a GPU of that architecture, compiled
/// for the simulator: target "sim-sm_80". The module stays as it is.
mlir::FailureOr<CodeObject> generateSimCode(mlir::ModuleOp Module,
                                            const nvptx::GpuTarget &Target);
/// The same for every architecture that is known.
mlir::FailureOr<std::vector<CodeObject>> generateSimCode(mlir::ModuleOp Module);

} // namespace transxssm::sim

#endif // TRANSXSSM_CODEGEN_SIM_SIMTARGET_H
