//===- Inspect.cpp - transxssm-run inspect --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Commands.h"
#include "Progress.h"
#include "runtime/cpu/CpuFeatures.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>

using namespace transxssm;
using namespace transxssm::run;
using Json = nlohmann::ordered_json;

namespace {

/// Columns as wide as their widest cell; columns of numbers to the right.
class Table {
public:
  explicit Table(std::vector<std::string> Titles) { add(std::move(Titles)); }

  void add(std::vector<std::string> Cells) { Rows.push_back(std::move(Cells)); }

  void print() const {
    std::vector<size_t> Widths(Rows.front().size());
    for (const std::vector<std::string> &Row : Rows)
      for (size_t I = 0; I < Row.size(); ++I)
        Widths[I] = std::max(Widths[I], Row[I].size());
    for (const std::vector<std::string> &Row : Rows) {
      std::string Line;
      for (size_t I = 0; I < Row.size(); ++I) {
        std::string Space(Widths[I] - Row[I].size(), ' ');
        Line += "  " + (isNumeric(I) ? Space + Row[I] : Row[I] + Space);
      }
      std::printf("%s\n",
                  Line.substr(0, Line.find_last_not_of(' ') + 1).c_str());
    }
  }

private:
  bool isNumeric(size_t Column) const {
    return Rows.size() > 1 && std::isdigit(uint8_t(Rows[1][Column][0]));
  }

  std::vector<std::vector<std::string>> Rows;
};

std::string shapeText(const std::vector<int64_t> &Shape) {
  std::string Text;
  for (int64_t Extent : Shape)
    Text += (Text.empty() ? "" : "x") + std::to_string(Extent);
  return Text.empty() ? "scalar" : Text;
}

/// What one entry needs in memory for one size of call.
struct MemoryRow {
  std::string Entry;
  int64_t Batch = 0, SeqLen = 0;
  EntryMemory Call;
  uint64_t Gradients = 0, Moments = 0;
};

class Inspector {
public:
  Inspector(const InspectOptions &O, const Package &From) : O(O), From(From) {
    for (const PackageParameter &P : From.parameters()) {
      NumElements += P.NumElements;
      ParameterBytes += uint64_t(P.NumElements) * sizeOf(P.Type);
    }
  }

  Status collect();
  void printText() const;
  void printJson() const;

private:
  Status addRow(const PackageEntry &Entry, int64_t Batch, int64_t SeqLen);
  void printEntries() const;
  void printMemory() const;
  void printKernels() const;

  const InspectOptions &O;
  const Package &From;
  int64_t NumElements = 0;
  uint64_t ParameterBytes = 0;
  std::vector<MemoryRow> Memory;
};

Status Inspector::addRow(const PackageEntry &Entry, int64_t Batch,
                         int64_t SeqLen) {
  MemoryRow Row{Entry.Name, Batch, SeqLen, {}, 0, 0};
  // A decode call continues a full cache by one token.
  bool Step = Entry.Name == "decode";
  Symbols Sizes;
  Sizes.Batch = Batch;
  Sizes.Seq = Step ? 1 : SeqLen;
  Sizes.Past = Step ? SeqLen - 1 : 0;
  Sizes.Capacity = SeqLen;
  Result<EntryMemory> Call = entryMemory(From, Entry, Sizes);
  if (!Call)
    return Call.error();
  Row.Call = *Call;
  bool Gradients = false, Moments = false, States = false;
  uint64_t Masters = 0;
  for (const PackageBuffer &B : Entry.Buffers) {
    Gradients |= B.Kind == BufferKind::Gradient;
    Moments |= B.Kind == BufferKind::Moment1;
    States |= B.Kind == BufferKind::State;
    if (B.Kind == BufferKind::Master)
      Masters += uint64_t(From.parameters()[B.Index].NumElements) * 4;
  }
  if (!States)
    Row.Call.States = 0;
  // All are float32, whatever the parameters are.
  Row.Gradients = Gradients ? uint64_t(NumElements) * 4 : 0;
  Row.Moments = (Moments ? uint64_t(NumElements) * 8 : 0) + Masters;
  Memory.push_back(std::move(Row));
  return {};
}

Status Inspector::collect() {
  std::vector<int64_t> Batches = O.Batches, SeqLens = O.SeqLens;
  if (Batches.empty())
    Batches = {1, From.maxBatch()};
  if (SeqLens.empty())
    SeqLens = {From.maxSeqLen()};
  if (Batches.size() == 2 && Batches[0] == Batches[1])
    Batches.pop_back();
  for (const PackageEntry &Entry : From.entries())
    for (int64_t Batch : Batches)
      for (int64_t SeqLen : SeqLens) {
        if (Status Fits = resolveSizes(From, Batch, SeqLen); !Fits)
          return Fits;
        if (Status Added = addRow(Entry, Batch, SeqLen); !Added)
          return Added;
      }
  return {};
}

void Inspector::printEntries() const {
  std::printf("\nentries\n");
  Table Entries({"name", "launches", "buffers", "inputs", "outputs"});
  for (const PackageEntry &Entry : From.entries()) {
    std::string Inputs, Outputs;
    for (const PackageBuffer &B : Entry.Buffers) {
      if (B.Kind == BufferKind::Input)
        Inputs += (Inputs.empty() ? "" : ",") + B.Name;
      if (B.Kind == BufferKind::Output)
        Outputs += (Outputs.empty() ? "" : ",") + B.Name;
    }
    Entries.add({Entry.Name, std::to_string(Entry.Launches.size()),
                 std::to_string(Entry.Buffers.size()), Inputs, Outputs});
  }
  Entries.print();
}

void Inspector::printMemory() const {
  std::printf("\nmemory by call (parameters %s beside it; decode: one token "
              "after a cache of seq - 1)\n",
              bytesText(ParameterBytes).c_str());
  Table Rows({"entry", "batch", "seq", "activations", "cache", "in/out",
              "gradients", "optimizer", "total"});
  for (const MemoryRow &Row : Memory) {
    uint64_t Transfer = Row.Call.Inputs + Row.Call.Outputs;
    uint64_t Total = ParameterBytes + Row.Call.Temporaries + Row.Call.States +
                     Transfer + Row.Gradients + Row.Moments;
    Rows.add({Row.Entry, std::to_string(Row.Batch), std::to_string(Row.SeqLen),
              bytesText(Row.Call.Temporaries), bytesText(Row.Call.States),
              bytesText(Transfer), bytesText(Row.Gradients),
              bytesText(Row.Moments), bytesText(Total)});
  }
  Rows.print();
}

void Inspector::printKernels() const {
  std::printf("\nkernels\n");
  std::vector<std::string> Titles = {"name", "buffers", "sizes", "launches"};
  for (const PackageCode &Code : From.code())
    Titles.push_back("scratch " + Code.Target);
  Table Rows(Titles);
  for (size_t I = 0; I < From.kernels().size(); ++I) {
    const PackageKernel &Kernel = From.kernels()[I];
    int64_t Launches = 0;
    for (const PackageEntry &Entry : From.entries())
      for (const PackageLaunch &Launch : Entry.Launches)
        Launches += Launch.Kernel == I;
    std::vector<std::string> Cells = {
        Kernel.Name, std::to_string(Kernel.MemrefCount),
        std::to_string(Kernel.SizeCount), std::to_string(Launches)};
    for (const PackageCode &Code : From.code())
      Cells.push_back(bytesText(Code.Kernels[I].ScratchBytes));
    Rows.add(Cells);
  }
  Rows.print();
}

void Inspector::printText() const {
  const ModelConfig &Config = From.config();
  int64_t Attention = 0;
  for (int64_t I = 0; I < Config.NumHiddenLayers; ++I)
    Attention += Config.isAttentionLayer(I);
  std::printf("%s, by %s\n", From.sourceName().c_str(),
              From.producer().c_str());
  std::printf(
      "model       %lld SSD and %lld attention layers, hidden %lld, %lld"
      " heads, vocabulary %lld\n",
      (long long)(Config.NumHiddenLayers - Attention), (long long)Attention,
      (long long)Config.HiddenSize, (long long)Config.NumAttentionHeads,
      (long long)Config.VocabSize);
  std::printf("parameters  %lld in %zu tensors, %s\n", (long long)NumElements,
              From.parameters().size(), bytesText(ParameterBytes).c_str());
  std::printf("limits      batch %lld, sequence %lld\n",
              (long long)From.maxBatch(), (long long)From.maxSeqLen());
  for (const PackageCode &Code : From.code()) {
    std::string Features;
    for (const std::string &Feature : Code.Features)
      Features += " " + Feature;
    std::string Missing;
    for (const std::string &Feature : missingCpuFeatures(Code.Features))
      Missing += (Missing.empty() ? "; not here: " : " ") + Feature;
    std::printf("target      %s, %zu kernels in %s, needs%s%s\n",
                Code.Target.c_str(), Code.Kernels.size(),
                bytesText(Code.Object.size()).c_str(),
                Features.empty() ? " nothing special" : Features.c_str(),
                Missing.c_str());
  }
  printEntries();
  printMemory();
  if (O.Kernels)
    printKernels();
  if (!O.Parameters)
    return;
  std::printf("\nparameters\n");
  Table Rows({"name", "type", "shape", "initial values"});
  for (const PackageParameter &P : From.parameters())
    Rows.add({P.Name, nameOf(P.Type), shapeText(P.Shape), nameOf(P.Init)});
  Rows.print();
}

void Inspector::printJson() const {
  Json Out = {
      {"package", From.sourceName()},  {"producer", From.producer()},
      {"max_batch", From.maxBatch()},  {"max_seq_len", From.maxSeqLen()},
      {"num_parameters", NumElements}, {"parameter_bytes", ParameterBytes}};
  Out["config"] = Json::parse(From.configText(), nullptr, false);
  Out["targets"] = Json::array();
  for (const PackageCode &Code : From.code())
    Out["targets"].push_back({{"target", Code.Target},
                              {"features", Code.Features},
                              {"object_bytes", Code.Object.size()}});
  Out["entries"] = Json::array();
  for (const PackageEntry &Entry : From.entries())
    Out["entries"].push_back({{"name", Entry.Name},
                              {"launches", Entry.Launches.size()},
                              {"buffers", Entry.Buffers.size()}});
  Out["kernels"] = Json::array();
  for (size_t I = 0; I < From.kernels().size(); ++I) {
    Json Scratch = Json::object();
    for (const PackageCode &Code : From.code())
      Scratch[Code.Target] = Code.Kernels[I].ScratchBytes;
    Out["kernels"].push_back(
        {{"name", From.kernels()[I].Name}, {"scratch_bytes", Scratch}});
  }
  Out["parameters"] = Json::array();
  for (const PackageParameter &P : From.parameters())
    Out["parameters"].push_back(
        {{"name", P.Name}, {"dtype", nameOf(P.Type)}, {"shape", P.Shape}});
  Out["memory"] = Json::array();
  for (const MemoryRow &Row : Memory)
    Out["memory"].push_back(
        {{"entry", Row.Entry},
         {"batch", Row.Batch},
         {"seq_len", Row.SeqLen},
         {"activations", Row.Call.Temporaries},
         {"activations_unshared", Row.Call.TemporariesTotal},
         {"cache", Row.Call.States},
         {"inputs", Row.Call.Inputs},
         {"outputs", Row.Call.Outputs},
         {"gradients", Row.Gradients},
         {"optimizer", Row.Moments}});
  std::printf("%s\n",
              Out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

} // namespace

Result<int> run::runInspect(const InspectOptions &O) {
  Result<Package> From = Package::load(O.Package);
  if (!From)
    return From.error();
  Inspector All(O, *From);
  if (Status Collected = All.collect(); !Collected)
    return Collected.error();
  if (O.Json)
    All.printJson();
  else
    All.printText();
  return Success;
}
