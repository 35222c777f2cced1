//===- SimTarget.cpp - Code of a package for device "sim" -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimTarget.h"
#include "codegen/nvptx/KernelPackaging.h"
#include "codegen/sim/SimCodegen.h"

using namespace mlir;

namespace transxssm::sim {

FailureOr<CodeObject> generateSimCode(ModuleOp Module,
                                      const nvptx::GpuTarget &Target) {
  FailureOr<nvptx::DeviceModule> Device = nvptx::lowerForGpu(Module, Target);
  if (failed(Device))
    return failure();
  llvm::Expected<std::string> Object = compileForSimulator(*Device->Module);
  if (!Object)
    return Module.emitError("simulator, ")
               << Target.Name << ": " << llvm::toString(Object.takeError()),
           failure();
  CodeObject Made;
  Made.Target = "sim-" + Target.Name;
  Made.Object = std::move(*Object);
  for (const nvptx::DeviceKernel &Kernel : Device->Kernels)
    Made.Kernels.push_back(nvptx::packagedKernel(Kernel));
  return Made;
}

FailureOr<std::vector<CodeObject>> generateSimCode(ModuleOp Module) {
  std::vector<CodeObject> Made;
  for (const nvptx::GpuTarget &Target : nvptx::gpuTargets()) {
    FailureOr<CodeObject> Code = generateSimCode(Module, Target);
    if (failed(Code))
      return failure();
    Made.push_back(std::move(*Code));
  }
  return Made;
}

} // namespace transxssm::sim
