//===- MakeSamplePackage.cpp - Writes the package of the sample model -----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// make-sample-package OBJECT PACKAGE [VOCAB] [ENTRY,ENTRY,...] [INITIALIZER]
// The initializer is that of before.weight.
//
//===----------------------------------------------------------------------===//

#include "runtime/PackageFile.h"
#include "runtime/support/File.h"

#include "package_generated.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace fbs = transxssm::package;
using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

namespace {

constexpr int64_t MaxBatch = 8, MaxSeqLen = 64;

class PackageMaker {
public:
  PackageMaker(int64_t Vocab, std::string Entries, std::string Initializer)
      : Vocab(Vocab), Entries(Entries.empty() ? "" : "," + Entries + ","),
        Initializer(std::move(Initializer)) {}

  bool write(const std::string &Object, const std::string &Path);

private:
  using Expressions = std::vector<Offset<fbs::Expression>>;

  Offset<fbs::Expression> constant(int64_t Value) {
    return expression(fbs::Opcode::Constant, Value);
  }
  Offset<fbs::Expression> symbol(fbs::Symbol Which) {
    return expression(fbs::Opcode::Symbol, int64_t(Which));
  }
  Offset<fbs::Expression> batch() { return symbol(fbs::Symbol::Batch); }
  Offset<fbs::Expression> seq() { return symbol(fbs::Symbol::Seq); }
  Offset<fbs::Expression> expression(fbs::Opcode Code, int64_t Value) {
    std::vector<fbs::Instruction> Instructions = {{Code, Value}};
    return fbs::CreateExpression(Made,
                                 Made.CreateVectorOfStructs(Instructions));
  }

  uint32_t buffer(const char *Name, fbs::BufferKind Kind, fbs::DType Type,
                  const Expressions &Shape, uint32_t Index = 0,
                  uint32_t LastUse = 0) {
    Buffers.push_back(fbs::CreateBuffer(Made, Made.CreateString(Name), Kind,
                                        Type, Made.CreateVector(Shape), Index,
                                        0, LastUse));
    return uint32_t(Buffers.size() - 1);
  }
  uint32_t matrix(fbs::BufferKind Kind, uint32_t Index) {
    return buffer(Index == 0 ? "current" : "before", Kind, fbs::DType::F32,
                  {constant(Vocab), constant(Vocab)}, Index);
  }
  void launch(uint32_t Kernel, Offset<fbs::Expression> Grid,
              const std::vector<uint32_t> &Operands, const Expressions &Sizes) {
    Launches.push_back(
        fbs::CreateLaunch(Made, Kernel, Made.CreateVector(Expressions{Grid}),
                          Made.CreateVector(Operands), Made.CreateVector(Sizes),
                          Made.CreateVector(Expressions{})));
  }
  void finishEntry(const char *Name) {
    if (Entries.empty() ||
        Entries.find("," + std::string(Name) + ",") != std::string::npos)
      Finished.push_back(fbs::CreateEntry(Made, Made.CreateString(Name),
                                          Made.CreateVector(Buffers),
                                          Made.CreateVector(Launches)));
    Buffers.clear();
    Launches.clear();
  }

  void logitsEntry(const char *Name, bool LastOnly);
  void trainingEntry(const char *Name, bool Update);
  std::vector<Offset<fbs::Parameter>> parameters();

  int64_t Vocab;
  std::string Entries, Initializer;
  FlatBufferBuilder Made;
  std::vector<Offset<fbs::Buffer>> Buffers;
  std::vector<Offset<fbs::Launch>> Launches;
  std::vector<Offset<fbs::Entry>> Finished;
};

void PackageMaker::logitsEntry(const char *Name, bool LastOnly) {
  using Kind = fbs::BufferKind;
  uint32_t Ids =
      buffer("input_ids", Kind::Input, fbs::DType::I32, {batch(), seq()});
  uint32_t Current = matrix(Kind::Parameter, 0);
  uint32_t Before = matrix(Kind::Parameter, 1);
  uint32_t State = buffer("ssd_state.0", Kind::State, fbs::DType::F32,
                          {batch(), constant(1), constant(1), constant(1)});
  Expressions Shape = {batch(), seq(), constant(Vocab)};
  if (LastOnly)
    Shape.erase(Shape.begin() + 1);
  uint32_t Logits = buffer("logits", Kind::Output, fbs::DType::F32, Shape);
  launch(0, batch(), {Ids, Current, Before, State, Logits},
         {seq(), constant(Vocab), constant(LastOnly)});
  if (LastOnly) {
    uint32_t Sampling =
        buffer("sampling", Kind::Input, fbs::DType::F32, {constant(2)});
    uint32_t Draw = buffer("draw", Kind::Input, fbs::DType::I32, {constant(5)});
    uint32_t Tokens =
        buffer("tokens", Kind::Output, fbs::DType::I32, {batch()});
    launch(4, batch(), {Logits, Sampling, Draw, Tokens}, {constant(Vocab)});
  }
  finishEntry(Name);
}

void PackageMaker::trainingEntry(const char *Name, bool Update) {
  using Kind = fbs::BufferKind;
  uint32_t Ids =
      buffer("input_ids", Kind::Input, fbs::DType::I32, {batch(), seq()});
  uint32_t Labels =
      buffer("labels", Kind::Input, fbs::DType::I32, {batch(), seq()});
  uint32_t Value[2], Grad[2];
  for (uint32_t I : {0, 1}) {
    Value[I] = matrix(Kind::Parameter, I);
    Grad[I] = matrix(Kind::Gradient, I);
  }
  uint32_t Row =
      buffer("row", Kind::Temporary, fbs::DType::F32, {constant(Vocab)});
  uint32_t Loss = buffer("loss", Kind::Output, fbs::DType::F32, {constant(1)});
  launch(1, constant(1),
         {Ids, Labels, Value[0], Value[1], Grad[0], Grad[1], Row, Loss},
         {batch(), seq(), constant(Vocab)});
  if (Update) {
    uint32_t Hyper =
        buffer("hyperparameters", Kind::Input, fbs::DType::F32, {constant(8)});
    uint32_t Norm =
        buffer("grad_norm", Kind::Output, fbs::DType::F32, {constant(1)});
    launch(2, constant(1), {Grad[0], Grad[1], Norm}, {constant(Vocab)});
    for (uint32_t I : {0, 1})
      launch(3, constant(Vocab),
             {Hyper, Norm, Value[I], Grad[I], matrix(Kind::Moment1, I),
              matrix(Kind::Moment2, I)},
             {constant(Vocab)});
  }
  finishEntry(Name);
}

std::vector<Offset<fbs::Parameter>> PackageMaker::parameters() {
  std::vector<Offset<fbs::Parameter>> All;
  std::vector<int64_t> Shape = {Vocab, Vocab};
  const std::pair<const char *, std::string> Each[] = {
      {"current.weight", "normal"}, {"before.weight", Initializer}};
  for (const auto &[Name, Start] : Each)
    All.push_back(fbs::CreateParameter(
        Made, Made.CreateString(Name), fbs::DType::F32,
        Made.CreateVector(Shape), Made.CreateString(Start)));
  return All;
}

bool PackageMaker::write(const std::string &Object, const std::string &Path) {
  struct {
    const char *Name;
    uint32_t Memrefs, Sizes;
  } const Kernels[] = {{"sample_logits", 5, 3},
                       {"sample_loss", 8, 3},
                       {"sample_norm", 3, 1},
                       {"sample_adamw", 6, 1},
                       {"sample_draw", 4, 1}};
  std::vector<Offset<fbs::Kernel>> Table;
  std::vector<Offset<fbs::KernelCode>> Code;
  for (const auto &Kernel : Kernels) {
    Table.push_back(fbs::CreateKernel(Made, Made.CreateString(Kernel.Name),
                                      Kernel.Memrefs, Kernel.Sizes));
    Code.push_back(
        fbs::CreateKernelCode(Made, Made.CreateString(Kernel.Name), 0));
  }
  logitsEntry("forward", false);
  logitsEntry("prefill", true);
  logitsEntry("decode", false);
  trainingEntry("gradients", false);
  trainingEntry("train", true);
  std::vector<Offset<fbs::State>> States = {
      fbs::CreateState(Made, Made.CreateString("ssd_state.0"), fbs::DType::F32,
                       Made.CreateVector(Expressions{
                           batch(), constant(1), constant(1), constant(1)}))};
  std::vector<Offset<fbs::CodeObject>> Objects = {fbs::CreateCodeObject(
      Made, Made.CreateString("x86-64"),
      Made.CreateVector(std::vector<Offset<flatbuffers::String>>{}),
      Made.CreateVector(Code),
      Made.CreateVector(reinterpret_cast<const uint8_t *>(Object.data()),
                        Object.size()))};
  std::string Config = "{\"model_type\": \"TransXSSM\", \"hidden_size\": 16, "
                       "\"num_attention_heads\": 2, \"num_hidden_layers\": 1, "
                       "\"intermediate_size\": 16, \"rope_scaling\": null, "
                       "\"initializer_range\": 0.02, \"vocab_size\": " +
                       std::to_string(Vocab) + "}";
  auto Parameters = Made.CreateVector(parameters());
  Made.Finish(fbs::CreatePackage(
                  Made, Made.CreateString("make-sample-package"),
                  Made.CreateString(Config),
                  fbs::CreateLimits(Made, MaxBatch, MaxSeqLen), Parameters,
                  Made.CreateVector(States), Made.CreateVector(Table),
                  Made.CreateVector(Objects), Made.CreateVector(Finished)),
              fbs::PackageIdentifier());
  transxssm::Status Written =
      transxssm::writePackage(Path, Made.GetBufferPointer(), Made.GetSize());
  if (!Written)
    std::fprintf(stderr, "%s\n", Written.message().c_str());
  return bool(Written);
}

} // namespace

int main(int Argc, char **Argv) {
  if (Argc < 3) {
    std::fprintf(stderr, "usage: make-sample-package OBJECT PACKAGE [VOCAB] "
                         "[ENTRY,ENTRY,...] [INITIALIZER]\n");
    return 2;
  }
  transxssm::Result<std::string> Object = transxssm::readFile(Argv[1]);
  if (!Object) {
    std::fprintf(stderr, "%s\n", Object.message().c_str());
    return 1;
  }
  PackageMaker Maker(Argc > 3 ? std::atoll(Argv[3]) : 256,
                     Argc > 4 ? Argv[4] : "", Argc > 5 ? Argv[5] : "normal");
  return Maker.write(*Object, Argv[2]) ? 0 : 1;
}
