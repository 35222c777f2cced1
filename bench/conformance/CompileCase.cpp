//===- CompileCase.cpp - Kernels of the conformance set as code -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/CompileCase.h"

#include "codegen/nvptx/NvptxCodegen.h"
#include "codegen/sim/SimCodegen.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/Support/SourceMgr.h"

using namespace transxssm;
using namespace transxssm::conformance;

static Result<nvptx::DeviceModule> parse(const Case &Of) {
  nvptx::DeviceModule Made;
  Made.Context = std::make_unique<llvm::LLVMContext>();
  llvm::SMDiagnostic Why;
  Made.Module = llvm::parseAssemblyString(Of.Text, Why, *Made.Context);
  if (!Made.Module)
    return makeError(Of.Name, ": line ", Why.getLineNo(), ": ",
                     Why.getMessage().str(), ": ", Why.getLineContents().str());
  return Made;
}

Result<std::string> conformance::compileForSimulator(const Case &Of) {
  Result<nvptx::DeviceModule> Parsed = parse(Of);
  if (!Parsed)
    return Parsed.error();
  llvm::Expected<std::string> Object =
      sim::compileForSimulator(*Parsed->Module);
  if (!Object)
    return makeError(Of.Name, ": ", llvm::toString(Object.takeError()));
  return std::move(*Object);
}

Result<std::string> conformance::compileToPtx(const Case &Of,
                                              const std::string &Architecture) {
  Result<nvptx::DeviceModule> Parsed = parse(Of);
  if (!Parsed)
    return Parsed.error();
  nvptx::GpuTarget Target;
  Target.Name = Architecture;
  Target.TensorMaps = Target.hasWgmma();
  mlir::FailureOr<std::string> Ptx = nvptx::emitPtx(*Parsed, Target);
  if (mlir::failed(Ptx))
    return makeError(Of.Name, ": LLVM cannot write PTX for ", Architecture);
  return std::move(*Ptx);
}
