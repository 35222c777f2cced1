//===- Interpret.cpp - transxssm-opt --txs-interpret ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The table names an operation by the parameters it reads, so that a run of
// something else (another compiler, PyTorch with hooks) can be laid beside it
// and the first line that differs found by eye.
//
//===----------------------------------------------------------------------===//

#include "Interpret.h"

#include "PrintError.h"
#include "dialect/txs/TxsDialect.h"
#include "dialect/txs/interpreter/Interpreter.h"
#include "dialect/txs/interpreter/ModelInputs.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "passes/ImportConfig.h"
#include "passes/NameOperations.h"
#include "runtime/SafeTensors.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

llvm::cl::opt<std::string> InterpretModel(
    "txs-interpret",
    llvm::cl::desc("Run this model (config.json and model.safetensors) in "
                   "float64 on --ids and print what every operation gives"),
    llvm::cl::value_desc("directory"));
llvm::cl::list<int>
    InterpretIds("ids", llvm::cl::CommaSeparated,
                 llvm::cl::desc("Tokens of one sequence for --txs-interpret "
                                "and --txs-probe"),
                 llvm::cl::value_desc("tokens"));
llvm::cl::opt<bool> InterpretGradients(
    "with-gradients",
    llvm::cl::desc("With --txs-interpret: the loss of predicting the ids, and "
                   "every gradient, in place of the logits"));

int fail(const llvm::Twine &Message) {
  printError(Message);
  return 1;
}

/// The parameters of the model, converted; every one must be in the file.
Result<TensorMap> readParameters(const ModelConfig &Config,
                                 const std::string &Directory) {
  Result<SafeTensors> File = SafeTensors::open(Directory);
  if (!File)
    return File.error();
  TensorMap Made;
  for (const ParameterInfo &Parameter : parameters(Config)) {
    const SafeTensor *From = File->find(Parameter.Name);
    if (!From)
      return makeError(File->sourceName(), ": expected tensor '",
                       Parameter.Name, "', got none");
    if (From->Shape != Parameter.Shape)
      return makeError(From->File, ": tensor '", Parameter.Name, "': expected ",
                       Parameter.numElements(),
                       " elements in the shape of the model, got ",
                       From->numElements());
    Tensor To(Parameter.Shape);
    if (Status Done = convertElements(From->Type, From->Data, DType::F64,
                                      To.values().data(), To.size());
        !Done)
      return Done.error();
    Made.emplace(Parameter.Name, std::move(To));
  }
  return Made;
}

void printTensor(llvm::raw_ostream &Stream, const Tensor &Of) {
  double Squares = 0;
  for (double Value : Of.values())
    Squares += Value * Value;
  Stream << "[";
  llvm::interleave(Of.shape(), Stream, "x");
  Stream << "] norm " << llvm::format("%.12g", std::sqrt(Squares)) << " :";
  for (int64_t I = 0; I < std::min<int64_t>(Of.size(), 3); ++I)
    Stream << llvm::format(" %.9g", Of[I]);
  Stream << (Of.size() > 3 ? " ...\n" : "\n");
}

void printOperation(Operation *Op, llvm::ArrayRef<const Tensor *> Results) {
  if (isa<ReadOp>(Op))
    return;
  std::string Indent = isa<BlockOp>(Op->getParentOp()) ? "    " : "  ";
  for (const Tensor *Result : Results) {
    llvm::outs() << Indent << operationTitle(Op) << " ";
    printTensor(llvm::outs(), *Result);
  }
}

LogicalResult differentiate(ModuleOp Module) {
  PassManager Passes(Module.getContext());
  if (failed(parsePassPipeline("txs-autodiff", Passes)))
    return failure();
  return Passes.run(Module);
}

int run(ModuleOp Module, const ModelConfig &Config, TensorMap Parameters) {
  Tensor Ids({1, int64_t(InterpretIds.size())});
  for (auto [Index, Id] : llvm::enumerate(InterpretIds))
    Ids[Index] = Id;
  TensorMap Inputs = makeInputs(Config, Ids);
  Inputs["labels"] = Config.SequenceClassification ? Tensor({1}) : Ids;
  Inputs["seed"] = Tensor({2});

  Interpreter Runner(Module);
  Runner.Parameters = std::move(Parameters);
  Runner.AfterOperation = printOperation;
  std::string Entry = InterpretGradients ? "gradients" : "forward";
  llvm::outs() << "operations of " << Entry << "\n";
  Result<RunResult> Made = Runner.run(Entry, Inputs);
  if (!Made)
    return fail(Made.message());
  for (const auto &[Title, Tensors] :
       {std::pair("outputs", Made->Outputs),
        std::pair("gradients", Made->Gradients)}) {
    if (!Tensors.empty())
      llvm::outs() << Title << "\n";
    for (const auto &[Name, Content] : Tensors) {
      llvm::outs() << "  " << Name << " ";
      printTensor(llvm::outs(), Content);
    }
  }
  return 0;
}

} // namespace

std::vector<int> transxssm::idsOfCommandLine() {
  return {InterpretIds.begin(), InterpretIds.end()};
}

bool transxssm::interpretationRequested() { return !InterpretModel.empty(); }

int transxssm::interpretModel(DialectRegistry &Registry) {
  if (InterpretIds.empty())
    return fail("--txs-interpret: expected tokens in --ids, got none");
  Result<ModelConfig> Config = ModelConfig::load(InterpretModel);
  if (!Config)
    return fail(Config.message());
  Result<TensorMap> Parameters = readParameters(*Config, InterpretModel);
  if (!Parameters)
    return fail(Parameters.message());
  MLIRContext Context(Registry);
  ImportOptions Options{{InterpretGradients ? "gradients" : "forward"}};
  OwningOpRef<ModuleOp> Module = importConfig(*Config, Options, Context);
  if (!Module || (InterpretGradients && failed(differentiate(*Module))))
    return 1;
  return run(*Module, *Config, std::move(*Parameters));
}
