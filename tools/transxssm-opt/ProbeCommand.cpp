//===- ProbeCommand.cpp - transxssm-opt --txs-probe -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "ProbeCommand.h"

#include "Interpret.h"
#include "PrintError.h"
#include "runtime/SafeTensors.h"
#include "tools/probe/Probe.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace transxssm;
using txs::Tensor;
namespace cl = llvm::cl;

namespace {

cl::OptionCategory Category(
    "Probe options",
    "--txs-probe runs a compiled model and the float64 interpreter on the "
    "same numbers and names the first operation where they part.\n"
    "  transxssm-opt --txs-probe=MODEL --ids=5,6,7\n"
    "  transxssm-opt --txs-probe=MODEL --inputs=expected.safetensors "
    "--entry=train --all\n"
    "  transxssm-opt --txs-probe=MODEL --entry=decode --prefill=20 --no-fuse\n"
    "Exit status: 0 nothing diverges, 1 something does, 2 wrong usage or "
    "input.\n");

cl::opt<std::string> Directory(
    "txs-probe", cl::cat(Category), cl::value_desc("directory"),
    cl::desc("Compare a compiled run of this model (config.json and "
             "model.safetensors) with the interpreter, value by value"));
cl::opt<std::string> EntryName(
    "entry", cl::cat(Category), cl::init("forward"), cl::value_desc("name"),
    cl::desc("forward (default), prefill, decode, gradients or train"));
cl::opt<std::string> InputFile(
    "inputs", cl::cat(Category), cl::value_desc("file"),
    cl::desc("A safetensors file with input_ids [batch, tokens] and perhaps "
             "labels and attention_mask, in place of --ids"));
cl::opt<int64_t> Prefill(
    "prefill", cl::cat(Category), cl::value_desc("tokens"),
    cl::desc("With --entry=decode: how many tokens the prefill takes; all but "
             "the last by default"));
cl::opt<std::string> PackageFile(
    "package", cl::cat(Category), cl::value_desc("file"),
    cl::desc("Probe this package, made by transxssm-compile --debug-names, in "
             "place of compiling one"));
cl::opt<std::string>
    DeviceName("device", cl::cat(Category), cl::init("cpu"),
               cl::value_desc("name"),
               cl::desc("With --package: what runs it, as for transxssm-run"));
cl::opt<bool> Mixed("bf16", cl::cat(Category),
                    cl::desc("Compile, or the package was compiled, with "
                             "--dtype=bf16; needs --tolerance"));
cl::opt<bool> NoFuse("no-fuse", cl::cat(Category),
                     cl::desc("Compile every operation to a kernel of its "
                              "own, so that every value is compared"));
cl::opt<int64_t> RecomputeBlocks(
    "recompute-blocks", cl::cat(Category), cl::value_desc("blocks"),
    cl::desc("Blocks that training recomputes, also those of --package"));
cl::opt<double> Tolerance(
    "tolerance", cl::cat(Category), cl::value_desc("error"),
    cl::desc("Largest relative error of every value; by default 1e-5, and "
             "1e-4 for gradients and what depends on them"));
cl::opt<bool> ShowAll("all", cl::cat(Category),
                      cl::desc("Also print a table of every value compared"));
cl::opt<std::string>
    NegatedKernel("probe-negate-kernel", cl::Hidden, cl::cat(Category),
                  cl::desc("For tests of the probe: negate what this kernel "
                           "stores"));

int fail(const llvm::Twine &Message) {
  printError(Message);
  return 2;
}

/// What a file of inputs holds under this name, if anything.
Result<std::optional<Tensor>>
readInput(const SafeTensors &File, const std::string &Name, bool TokensWanted) {
  const SafeTensor *From = File.find(Name);
  if (!From)
    return std::optional<Tensor>();
  if (TokensWanted && (From->Shape.size() != 2 || From->numElements() == 0))
    return makeError(From->File, ": tensor '", Name,
                     "': expected shape [batch, tokens], got rank ",
                     From->Shape.size(), " with ", From->numElements(),
                     " elements");
  return std::optional<Tensor>(Tensor(From->Shape, float64Values(*From)));
}

Result<ProbeInputs> readInputs() {
  ProbeInputs Made;
  std::vector<int> Tokens = idsOfCommandLine();
  if (InputFile.empty()) {
    if (Tokens.empty())
      return makeError("--txs-probe: expected tokens in --ids or a file in "
                       "--inputs, got neither");
    Made.Ids = Tensor({1, int64_t(Tokens.size())},
                      std::vector<double>(Tokens.begin(), Tokens.end()));
    return Made;
  }
  if (!Tokens.empty())
    return makeError("--txs-probe: expected --ids or --inputs, got both");
  Result<SafeTensors> File = SafeTensors::open(InputFile);
  if (!File)
    return File.error();
  Result<std::optional<Tensor>> Ids = readInput(*File, "input_ids", true);
  if (!Ids)
    return Ids.error();
  if (!*Ids)
    return makeError(File->sourceName(),
                     ": expected tensor 'input_ids', got none");
  Made.Ids = std::move(**Ids);
  for (auto [Name, Into] : {std::pair("labels", &Made.Labels),
                            std::pair("attention_mask", &Made.Mask)}) {
    Result<std::optional<Tensor>> Read = readInput(*File, Name, false);
    if (!Read)
      return Read.error();
    *Into = std::move(*Read);
  }
  return Made;
}

std::string bracketed(const std::vector<int64_t> &Numbers) {
  std::string Text;
  llvm::raw_string_ostream Stream(Text);
  Stream << "[";
  llvm::interleaveComma(Numbers, Stream);
  Stream << "]";
  return Text;
}

void printTable(const ProbeReport &Report) {
  llvm::outs() << "     error    bound  entry      launch  value, kernel\n";
  for (const ProbedValue &Value : Report.Values)
    llvm::outs() << (Value.diverges() ? "* " : "  ")
                 << llvm::format("%8.2e %8.2e  %-9s %7zu  ", Value.Error,
                                 Value.Bound, Value.Entry.c_str(), Value.Launch)
                 << Value.Name << ", " << Value.Kernel << "\n";
}

void printDivergence(const ProbedValue &Value) {
  llvm::raw_ostream &Stream = llvm::outs();
  Stream << "first divergence: " << Value.Name << "\n"
         << "  entry      " << Value.Entry << ", launch " << Value.Launch
         << ", kernel " << Value.Kernel << "\n"
         << "  operation  " << Value.Operation << "\n"
         << "  buffer     " << Value.Buffer << " " << bracketed(Value.Shape)
         << "\n"
         << "  error      "
         << llvm::format("%.3g, expected at most %.3g\n", Value.Error,
                         Value.Bound)
         << "  at         " << bracketed(Value.Index)
         << llvm::format(": expected %.9g, got %.9g\n", Value.Expected,
                         Value.Actual);
  for (const std::string &Name : Value.Fused)
    Stream << "  with       " << Name << " (its result stays in a kernel)\n";
}

void printSummary(const ProbeReport &Report) {
  double Worst = 0;
  for (const ProbedValue &Value : Report.Values)
    Worst = std::max(Worst, Value.Error);
  size_t Count = Report.divergences();
  llvm::outs() << Report.Values.size() << " values compared, "
               << Report.NotWritten << " stay in kernels or are not needed; ";
  if (Count)
    llvm::outs() << Count << " diverge\n";
  else
    llvm::outs() << "none diverges, largest error "
                 << llvm::format("%.3g\n", Worst);
}

} // namespace

bool transxssm::probeRequested() { return !Directory.empty(); }

int transxssm::probeModel() {
  Result<ProbeInputs> Inputs = readInputs();
  if (!Inputs)
    return fail(Inputs.message());
  ProbeOptions Options;
  Options.Directory = Directory;
  Options.Entry = EntryName;
  Options.Prefill = Prefill;
  Options.RecomputeBlocks = RecomputeBlocks;
  Options.Fuse = !NoFuse;
  if (Mixed && !Tolerance.getNumOccurrences())
    return fail("--bf16: expected a --tolerance, got none: the bounds by "
                "default are those of float32");
  Options.Type = Mixed ? DType::BF16 : DType::F32;
  Options.Device = DeviceName;
  if (Tolerance.getNumOccurrences())
    Options.Tolerance = Tolerance;
  if (!NegatedKernel.empty())
    Options.EditKernels = [](mlir::ModuleOp Module) {
      return negateStores(Module, NegatedKernel);
    };
  if (!PackageFile.empty()) {
    Result<Package> Loaded = Package::load(PackageFile);
    if (!Loaded)
      return fail(Loaded.message());
    Options.Compiled = *Loaded;
  }
  Result<ProbeReport> Report = probe(Options, *Inputs);
  if (!Report)
    return fail(Report.message());
  if (ShowAll)
    printTable(*Report);
  if (const ProbedValue *First = Report->first())
    printDivergence(*First);
  printSummary(*Report);
  return Report->first() ? 1 : 0;
}
