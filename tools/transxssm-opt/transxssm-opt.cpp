//===- transxssm-opt.cpp - mlir-opt for txs, tile and plan ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Beyond mlir-opt: `--import-config=config.json` takes the module that the
// importer makes of a configuration in place of an input file, so that
// `transxssm-opt --import-config=config.json --txs-autodiff` shows what a pass
// does to a model; `--txs-interpret=DIRECTORY --ids=1,2,3` runs a model in
// float64 and prints what every operation gives; `--txs-probe=DIRECTORY` finds
// the first operation where a compiled model leaves it.
//
//===----------------------------------------------------------------------===//

#include "Interpret.h"
#include "PrintError.h"
#include "ProbeCommand.h"

#include "codegen/Pipeline.h"
#include "codegen/nvptx/Passes.h"
#include "codegen/x86/Passes.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/txs/TxsDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/ImportConfig.h"
#include "passes/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace transxssm;

namespace {

llvm::cl::opt<std::string> ImportFile(
    "import-config",
    llvm::cl::desc("Start from the module of this config.json (or of the "
                   "directory that holds it)"),
    llvm::cl::value_desc("file"));
llvm::cl::list<std::string> ImportEntries(
    "import-entries", llvm::cl::CommaSeparated,
    llvm::cl::desc("Entries to import, all of them by default: forward, "
                   "prefill, decode, gradients, train"),
    llvm::cl::value_desc("names"));

/// Imports the configuration; null after an error was printed.
OwningOpRef<ModuleOp> import(MLIRContext &Context) {
  Result<ModelConfig> Config = ModelConfig::load(ImportFile);
  if (!Config) {
    printError(Config.message());
    return nullptr;
  }
  // One line for each error, as everywhere else.
  ScopedDiagnosticHandler Handler(&Context, [](Diagnostic &Why) {
    printError(ImportFile + ": " + Why.str());
    return success();
  });
  ImportOptions Options{{ImportEntries.begin(), ImportEntries.end()}};
  return importConfig(*Config, Options, Context);
}

int runOnConfig(StringRef OutputName, DialectRegistry &Registry) {
  MLIRContext Context(Registry);
  OwningOpRef<ModuleOp> Module = import(Context);
  if (!Module)
    return 1;
  std::string Text;
  llvm::raw_string_ostream Stream(Text);
  Module->print(Stream);
  std::string Why;
  std::unique_ptr<llvm::ToolOutputFile> Output =
      openOutputFile(OutputName, &Why);
  if (!Output) {
    printError(Why);
    return 1;
  }
  MlirOptMainConfig Settings = MlirOptMainConfig::createFromCLOptions();
  if (failed(MlirOptMain(Output->os(),
                         llvm::MemoryBuffer::getMemBufferCopy(Text, ImportFile),
                         Registry, Settings)))
    return 1;
  Output->keep();
  return 0;
}

} // namespace

int main(int Argc, char **Argv) {
  DialectRegistry Registry;
  Registry.insert<txs::TxsDialect, tile::TileDialect, plan::PlanDialect,
                  arith::ArithDialect, func::FuncDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect,
                  LLVM::LLVMDialect>();
  registerTransformsPasses();
  registerTransXSSMPasses();
  x86::registerX86Passes();
  nvptx::registerNvptxPasses();
  registerCompilerPipelines();
  auto [InputName, OutputName] = registerAndParseCLIOptions(
      Argc, Argv, "TransXSSM's optimizer driver\n", Registry);
  if (probeRequested())
    return probeModel();
  if (interpretationRequested())
    return interpretModel(Registry);
  if (!ImportFile.empty())
    return runOnConfig(OutputName, Registry);
  return asMainReturnCode(
      MlirOptMain(Argc, Argv, InputName, OutputName, Registry));
}
