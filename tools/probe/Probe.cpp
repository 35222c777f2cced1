//===- Probe.cpp - Where a compiled model leaves the reference ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "tools/probe/Probe.h"

#include "codegen/Pipeline.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/txs/interpreter/ModelInputs.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/MLIRContext.h"
#include "passes/NameOperations.h"
#include "runtime/Model.h"
#include "runtime/SafeTensors.h"
#include "runtime/support/File.h"
#include "tools/probe/Comparison.h"
#include "tools/probe/ReferenceRun.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;
using txs::TensorMap;

const ProbedValue *ProbeReport::first() const {
  auto Found = std::find_if(Values.begin(), Values.end(),
                            [](const ProbedValue &V) { return V.diverges(); });
  return Found == Values.end() ? nullptr : &*Found;
}

size_t ProbeReport::divergences() const {
  return std::count_if(Values.begin(), Values.end(),
                       [](const ProbedValue &V) { return V.diverges(); });
}

Status transxssm::negateStores(ModuleOp Module, StringRef Name) {
  auto Kernel = Module.lookupSymbol<tile::KernelOp>(Name);
  if (!Kernel)
    return makeError("expected a kernel '", Name.str(), "', got none");
  Kernel.walk([](tile::StoreOp Store) {
    if (!isa<FloatType>(getElementTypeOrSelf(Store.getValue())))
      return;
    OpBuilder Builder(Store);
    Value Negated =
        arith::NegFOp::create(Builder, Store.getLoc(), Store.getValue());
    Store.getValueMutable().assign(Negated);
  });
  return {};
}

namespace {

std::vector<int32_t> integers(const Tensor &From) {
  return std::vector<int32_t>(From.values().begin(), From.values().end());
}

/// Columns [From, To) of [B, T].
Tensor columns(const Tensor &Of, int64_t From, int64_t To) {
  Tensor Made({Of.dim(0), To - From});
  for (int64_t B = 0; B < Of.dim(0); ++B)
    for (int64_t T = From; T < To; ++T)
      Made.at(B, T - From) = Of.at(B, T);
  return Made;
}

/// One call of an entry, on tokens [From, To) of the inputs.
struct ProbedCall {
  std::string Entry;
  int64_t From = 0, To = 0;
};

class Prober {
public:
  Prober(const ProbeOptions &O, const ProbeInputs &Inputs)
      : O(O), Inputs(Inputs), Context(makeRegistry()) {}

  Result<ProbeReport> run();

private:
  static DialectRegistry makeRegistry() {
    DialectRegistry Registry;
    registerCompilerDialects(Registry);
    return Registry;
  }

  Status checkInputs() const;
  Status plan();
  OwningOpRef<ModuleOp> build();
  Result<Package> compile();
  Status loadModel();
  Status probeCall(const ProbedCall &Call);
  TensorMap referenceInputs(const ProbedCall &Call);
  Status runCompiled(const ProbedCall &Call);
  void observe(const LaunchView &Launch, const ReferenceValues &Reference,
               const ProbedCall &Call);
  void compareOperand(const LaunchView &View, const PackageHeldValue &Held,
                      const ReferenceValues &Reference, const ProbedCall &Call);
  void finish(const ReferenceValues &Reference, const ProbedCall &Call,
              size_t First);

  const ProbeOptions &O;
  const ProbeInputs &Inputs;
  MLIRContext Context;
  ModelConfig Config;
  std::string ConfigText;
  std::vector<ProbedCall> Calls;
  OwningOpRef<ModuleOp> Module; ///< with names
  std::optional<txs::Interpreter> Runner;
  TensorMap States;
  std::optional<Model> Compiled;
  Cache Past;
  ProbeReport Report;
  std::string Why = "the model does not compile"; ///< the last diagnostic
  std::map<std::string, size_t> Written; ///< of the call on hand, in Report
  std::optional<Error> Failure;          ///< of the observer
};

} // namespace

/// What to call: decode goes behind a prefill.
Status Prober::plan() {
  int64_t Tokens = Inputs.Ids.dim(1);
  if (O.Entry != "decode") {
    Calls = {{O.Entry, 0, Tokens}};
    return {};
  }
  if (Tokens < 2)
    return makeError("decode: expected at least two tokens, got ", Tokens);
  int64_t Prefill = O.Prefill ? O.Prefill : Tokens - 1;
  if (Prefill < 1 || Prefill >= Tokens)
    return makeError("decode: expected 1 to ", Tokens - 1, " of ", Tokens,
                     " tokens in the prefill, got ", Prefill);
  if (Inputs.Mask)
    for (int64_t B = 0; B < Inputs.Mask->dim(0); ++B)
      for (int64_t T = Prefill; T < Tokens; ++T)
        if (Inputs.Mask->at(B, T) == 0)
          return makeError("decode: expected no padding behind the prefill, "
                           "got some at token ",
                           T, " of sequence ", B);
  Calls = {{"prefill", 0, Prefill}, {"decode", Prefill, Tokens}};
  return {};
}

OwningOpRef<ModuleOp> Prober::build() {
  std::vector<std::string> Entries;
  for (const ProbedCall &Call : Calls)
    Entries.push_back(Call.Entry);
  return buildModel(Config, Entries, O.RecomputeBlocks, Context, O.Type);
}

Result<Package> Prober::compile() {
  OwningOpRef<ModuleOp> Lowered = build();
  PlanOptions Wanted;
  Wanted.Fuse = O.Fuse;
  Wanted.DebugNames = true;
  if (!Lowered || failed(lowerToPlan(*Lowered, Wanted)))
    return makeError(O.Directory, ": ", Why);
  if (O.EditKernels)
    if (Status Edited = O.EditKernels(*Lowered); !Edited)
      return Edited.error();
  CodeOptions OfCode;
  OfCode.OnlyThisMachine = true;
  FailureOr<std::vector<CodeObject>> Code = generateCode(*Lowered, OfCode);
  if (failed(Code))
    return makeError(O.Directory, ": ", Why);
  PackageOptions Limits{ConfigText, Inputs.Ids.dim(0), Inputs.Ids.dim(1)};
  std::vector<uint8_t> Payload;
  return makePackage(*Lowered, *Code, Limits, Payload);
}

/// The compiled model, and the interpreter with the very same parameters.
Status Prober::loadModel() {
  Result<Package> From = O.Compiled ? *O.Compiled : compile();
  if (!From)
    return From.error();
  ModelOptions Options;
  Options.Threads = O.Threads;
  Options.Device = O.Device;
  Result<Model> Loaded = Model::load(*From, O.Directory, Options);
  if (!Loaded)
    return Loaded.error();
  Compiled.emplace(std::move(*Loaded));
  Runner.emplace(*Module);
  // What is stored as bf16 is one rounding off by design, not by mistake.
  Runner->RoundResults = O.Type == DType::BF16;
  for (const std::string &Name : Compiled->parameterNames()) {
    Result<TensorView> From = Compiled->parameter(Name);
    if (!From)
      return From.error();
    Tensor To(From->Shape);
    if (Status Done = convertElements(From->Type, From->Data, DType::F64,
                                      To.values().data(), To.size());
        !Done)
      return Done;
    Runner->Parameters.emplace(Name, std::move(To));
  }
  int64_t Batch = Inputs.Ids.dim(0), Tokens = Inputs.Ids.dim(1);
  if (Calls[0].Entry != "prefill")
    return {};
  Result<Cache> Made = Compiled->newCache(Batch, Tokens);
  if (!Made)
    return Made.error();
  Past = std::move(*Made);
  States = txs::makeStates(*Module, "prefill", Batch, Tokens);
  return {};
}

static Hyperparameters probeSettings() { return Hyperparameters(); }

TensorMap Prober::referenceInputs(const ProbedCall &Call) {
  Tensor Ids = columns(Inputs.Ids, Call.From, Call.To);
  std::optional<Tensor> Mask;
  if (Inputs.Mask)
    Mask = columns(*Inputs.Mask, Call.From, Call.To);
  TensorMap Made =
      txs::makeInputs(Config, Ids, Mask ? &*Mask : nullptr, Call.From);
  Made["labels"] = Inputs.Labels                   ? *Inputs.Labels
                   : Config.SequenceClassification ? Tensor({Ids.dim(0)})
                                                   : Ids;
  Made["seed"] = Tensor({2});
  // As the runtime passes them: rounded to float32.
  Hyperparameters S = probeSettings();
  Made["hyperparameters"] =
      Tensor({8}, {float(S.LearningRate), float(S.Beta1), float(S.Beta2),
                   float(S.Eps), float(S.WeightDecay), float(S.MaxGradNorm),
                   float(1 - S.Beta1), float(1 - S.Beta2)});
  return Made;
}

Status Prober::runCompiled(const ProbedCall &Call) {
  int64_t Batch = Inputs.Ids.dim(0), Tokens = Call.To - Call.From;
  std::vector<int32_t> Ids = integers(columns(Inputs.Ids, Call.From, Call.To));
  std::vector<int32_t> Labels = integers(referenceInputs(Call).at("labels"));
  std::vector<float> Mask, Logits(Batch * Tokens * Config.logitsWidth());
  if (Inputs.Mask) {
    Tensor Part = columns(*Inputs.Mask, Call.From, Call.To);
    Mask.assign(Part.values().begin(), Part.values().end());
  }
  const float *Kept = Inputs.Mask ? Mask.data() : nullptr;
  if (Call.Entry == "forward")
    return Compiled->forward(Ids.data(), Batch, Tokens, Kept, Logits.data());
  if (Call.Entry == "prefill")
    return Compiled->prefill(Ids.data(), Batch, Tokens, Kept, Past,
                             Logits.data());
  if (Call.Entry == "decode")
    return Compiled->decode(Ids.data(), Batch, Tokens, Past, Logits.data());
  if (Call.Entry == "gradients") {
    Result<double> Loss =
        Compiled->gradients(Ids.data(), Labels.data(), Batch, Tokens, Kept);
    return Loss ? Status() : Loss.error();
  }
  Result<TrainResult> Step = Compiled->trainStep(
      Ids.data(), Labels.data(), Batch, Tokens, Kept, probeSettings());
  return Step ? Status() : Step.error();
}

void Prober::compareOperand(const LaunchView &View,
                            const PackageHeldValue &Held,
                            const ReferenceValues &Reference,
                            const ProbedCall &Call) {
  const PackageLaunch &Launch = View.Entry.Launches[View.Number];
  uint32_t Number = Launch.Operands[Held.Operand];
  const PackageBuffer &Buffer = View.Entry.Buffers[Number];
  const Package &From = Compiled->package();
  auto Known = Reference.find(Held.Name);
  if (Known == Reference.end()) {
    Failure = makeError(From.sourceName(), ": launch ", View.Number,
                        " of entry '", Call.Entry, "' writes '", Held.Name,
                        "', which the model of this compiler and "
                        "configuration does not have; expected a package "
                        "compiled from them, with as many recomputed blocks");
    return;
  }
  const ReferenceValue &Expected = Known->second;
  uint64_t Bytes = uint64_t(Expected.Content.size()) * sizeOf(Buffer.Type);
  if (View.Bytes[Number] != Bytes) {
    Failure =
        makeError(From.sourceName(), ": launch ", View.Number, " of entry '",
                  Call.Entry, "' writes '", Held.Name, "' as ",
                  View.Bytes[Number], " bytes, expected ", Bytes);
    return;
  }
  ProbedValue Value;
  Value.Entry = Call.Entry;
  Value.Name = Held.Name;
  Value.Kernel = From.kernels()[Launch.Kernel].Name;
  Value.Buffer = Buffer.Name;
  Value.Launch = View.Number;
  Value.Bound = O.Tolerance           ? *O.Tolerance
                : Expected.OfGradient ? GradientTolerance
                                      : ForwardTolerance;
  if (Status Compared =
          compare(Expected.Content, Buffer.Type, View.Buffers[Number], Value);
      !Compared) {
    Failure = Compared.error();
    return;
  }
  auto [Place, New] = Written.try_emplace(Held.Name, Report.Values.size());
  if (New)
    Report.Values.push_back(std::move(Value));
  else // written again: the last time counts
    Report.Values[Place->second] = std::move(Value);
}

void Prober::observe(const LaunchView &View, const ReferenceValues &Reference,
                     const ProbedCall &Call) {
  for (const PackageHeldValue &Held : View.Entry.Launches[View.Number].Holds)
    if (!Failure)
      compareOperand(View, Held, Reference, Call);
}

/// Sorts the call's values by launch and adds what the reference knows of them.
void Prober::finish(const ReferenceValues &Reference, const ProbedCall &Call,
                    size_t First) {
  std::stable_sort(Report.Values.begin() + First, Report.Values.end(),
                   [](const ProbedValue &A, const ProbedValue &B) {
                     return A.Launch < B.Launch;
                   });
  for (size_t I = First; I < Report.Values.size(); ++I) {
    ProbedValue &Value = Report.Values[I];
    Operation *Op = Reference.at(Value.Name).Op;
    llvm::raw_string_ostream Stream(Value.Operation);
    Op->print(Stream, OpPrintingFlags().useLocalScope());
    Value.Fused = unwrittenBehind(Op, Written);
  }
  Report.NotWritten += Reference.size() - Written.size();
}

Status Prober::probeCall(const ProbedCall &Call) {
  auto Entry = Module->lookupSymbol<func::FuncOp>(Call.Entry);
  Result<ReferenceValues> Reference =
      runReference(*Runner, Entry, referenceInputs(Call), States);
  if (!Reference)
    return Reference.error();
  size_t First = Report.Values.size();
  Written.clear();
  Compiled->observeLaunches(
      [&](const LaunchView &Launch) { observe(Launch, *Reference, Call); });
  Status Ran = runCompiled(Call);
  Compiled->observeLaunches(nullptr);
  if (!Ran)
    return Ran;
  if (Failure)
    return *Failure;
  if (Written.empty())
    return makeError(Compiled->package().sourceName(), ": entry '", Call.Entry,
                     "': expected launches that name what they write, got "
                     "none; compile with --debug-names");
  finish(*Reference, Call, First);
  return {};
}

/// Ids, labels and mask must agree; what they hold is checked by the runs.
Status Prober::checkInputs() const {
  const Tensor &Ids = Inputs.Ids;
  if (Inputs.Mask && Inputs.Mask->shape() != Ids.shape())
    return makeError("attention_mask: expected the shape of input_ids");
  if (!Inputs.Labels)
    return {};
  const Tensor &Labels = *Inputs.Labels;
  bool Fits = Config.SequenceClassification
                  ? Labels.shape() == Ids.shape().take_front()
                  : Labels.shape() == Ids.shape();
  if (!Fits)
    return makeError("labels: expected ",
                     Config.SequenceClassification ? "one for each sequence"
                                                   : "the shape of input_ids",
                     ", got ", Labels.size(), " of rank ", Labels.rank());
  return {};
}

Result<ProbeReport> Prober::run() {
  ScopedDiagnosticHandler Handler(&Context, [&](Diagnostic &D) {
    if (D.getSeverity() == DiagnosticSeverity::Error)
      Why = D.str();
  });
  Result<ModelConfig> Loaded = ModelConfig::load(O.Directory);
  if (!Loaded)
    return Loaded.error();
  Config = std::move(*Loaded);
  Result<std::string> Text = readFile(O.Directory + "/config.json");
  if (!Text)
    return Text.error();
  ConfigText = std::move(*Text);
  if (Status Checked = checkInputs(); !Checked)
    return Checked.error();
  if (Status Planned = plan(); !Planned)
    return Planned.error();
  Module = build();
  if (!Module)
    return makeError(O.Directory, ": ", Why);
  nameOperations(*Module);
  if (Status Ready = loadModel(); !Ready)
    return Ready.error();
  for (const ProbedCall &Call : Calls)
    if (Status Done = probeCall(Call); !Done)
      return Done.error();
  return std::move(Report);
}

Result<ProbeReport> transxssm::probe(const ProbeOptions &Options,
                                     const ProbeInputs &Inputs) {
  return Prober(Options, Inputs).run();
}
