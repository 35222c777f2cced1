//===- SamplePackage.cpp - A package that tests build by hand -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "SamplePackage.h"

#include "runtime/PackageFile.h"
#include "runtime/support/File.h"

#include <cstdlib>
#include <filesystem>
#include <memory>

using namespace transxssm;
using namespace transxssm::test;
using namespace transxssm::package;

namespace {

const char *const ConfigText = R"({
  "model_type": "TransXSSM", "vocab_size": 11, "hidden_size": 8,
  "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
  "max_position_embeddings": 16, "rope_scaling": null, "pad_token_id": 2
})";

using ExpressionPointer = std::unique_ptr<ExpressionT>;
using ExpressionList = std::vector<ExpressionPointer>;

ExpressionPointer constant(int64_t Value) {
  auto Made = std::make_unique<ExpressionT>();
  Made->code.emplace_back(Opcode::Constant, Value);
  return Made;
}

ExpressionPointer symbol(Symbol Which) {
  auto Made = std::make_unique<ExpressionT>();
  Made->code.emplace_back(Opcode::Symbol, int64_t(Which));
  return Made;
}

ExpressionPointer combine(Opcode Code, ExpressionPointer A,
                          ExpressionPointer B) {
  A->code.insert(A->code.end(), B->code.begin(), B->code.end());
  A->code.emplace_back(Code, 0);
  return A;
}

ExpressionPointer batch() { return symbol(Symbol::Batch); }
ExpressionPointer seq() { return symbol(Symbol::Seq); }
ExpressionPointer past() { return symbol(Symbol::Past); }
ExpressionPointer capacity() { return symbol(Symbol::Capacity); }
ExpressionPointer tokens() { return combine(Opcode::Mul, batch(), seq()); }

template <typename... Elements> ExpressionList list(Elements... Each) {
  ExpressionList Made;
  (Made.push_back(std::move(Each)), ...);
  return Made;
}

/// Builds one entry: buffers first, then launches that refer to them.
class EntryMaker {
public:
  EntryMaker(PackageT &To, const char *Name)
      : To(To), Made(std::make_unique<EntryT>()) {
    Made->name = Name;
  }

  uint32_t buffer(const char *Name, BufferKind Kind, DType Type,
                  ExpressionList Shape, uint32_t Index = 0,
                  uint32_t FirstUse = 0, uint32_t LastUse = 0) {
    auto Buffer = std::make_unique<BufferT>();
    Buffer->name = Name;
    Buffer->kind = Kind;
    Buffer->dtype = Type;
    Buffer->shape = std::move(Shape);
    Buffer->index = Index;
    Buffer->first_use = FirstUse;
    Buffer->last_use = LastUse;
    Made->buffers.push_back(std::move(Buffer));
    return uint32_t(Made->buffers.size() - 1);
  }

  uint32_t input(const char *Name, DType Type, ExpressionList Shape) {
    return buffer(Name, BufferKind::Input, Type, std::move(Shape));
  }
  uint32_t output(const char *Name, ExpressionList Shape,
                  DType Type = DType::F32) {
    return buffer(Name, BufferKind::Output, Type, std::move(Shape));
  }
  uint32_t embedding(BufferKind Kind) {
    return buffer("embedding", Kind, DType::F32,
                  list(constant(SampleVocab), constant(SampleWidth)));
  }

  void launch(const char *Kernel, ExpressionList Grid,
              std::vector<uint32_t> Operands, ExpressionList Sizes,
              ExpressionList Guards = {}) {
    auto Launch = std::make_unique<LaunchT>();
    for (uint32_t K = 0; K < To.kernels.size(); ++K)
      if (To.kernels[K]->name == Kernel)
        Launch->kernel = K;
    Launch->grid = std::move(Grid);
    Launch->operands = std::move(Operands);
    Launch->sizes = std::move(Sizes);
    Launch->guards = std::move(Guards);
    Made->launches.push_back(std::move(Launch));
  }

  void finish() { To.entries.push_back(std::move(Made)); }

private:
  PackageT &To;
  std::unique_ptr<EntryT> Made;
};

void addKernels(PackageT &To, bool Prefill) {
  auto Code = std::make_unique<CodeObjectT>();
  Code->target = "x86-64-v1";
  Code->object =
      sampleObject().empty() ? std::vector<uint8_t>{0} : sampleObject();
  std::vector<std::tuple<const char *, uint32_t, uint32_t>> Kernels = {
      {"sample_embed", 5, 3},    {"sample_logits", 4, 2},
      {"sample_scan", 5, 4},     {"sample_shift", 1, 2},
      {"sample_gradient", 3, 2}, {"sample_update", 7, 1}};
  if (Prefill)
    Kernels.push_back({"sample_draw", 5, 2});
  for (const auto &[Name, Memrefs, Sizes] : Kernels) {
    auto Kernel = std::make_unique<KernelT>();
    Kernel->name = Name;
    Kernel->memref_count = Memrefs;
    Kernel->size_count = Sizes;
    To.kernels.push_back(std::move(Kernel));
    auto Of = std::make_unique<KernelCodeT>();
    Of->symbol = Name;
    Of->scratch_bytes = SampleWidth * sizeof(float);
    Code->kernels.push_back(std::move(Of));
  }
  To.code.push_back(std::move(Code));
}

void addParameters(PackageT &To) {
  auto Embedding = std::make_unique<ParameterT>();
  Embedding->name = "model.word_embed.weight";
  Embedding->shape = {SampleVocab, SampleWidth};
  Embedding->initializer = "normal";
  To.parameters.push_back(std::move(Embedding));
  auto Decay = std::make_unique<ParameterT>();
  Decay->name = "model.layers.0.ssd.A";
  Decay->shape = {1};
  Decay->initializer = "ssd_decay";
  To.parameters.push_back(std::move(Decay));
}

void addStates(PackageT &To) {
  auto Sum = std::make_unique<StateT>();
  Sum->name = "ssd_state.0";
  Sum->shape = list(batch(), constant(SampleWidth));
  To.states.push_back(std::move(Sum));
  auto Mask = std::make_unique<StateT>();
  Mask->name = "key_mask";
  Mask->shape = list(batch(), capacity());
  To.states.push_back(std::move(Mask));
}

void addForward(PackageT &To) {
  EntryMaker Entry(To, "forward");
  uint32_t Ids = Entry.input("input_ids", DType::I32, list(batch(), seq()));
  uint32_t Mask =
      Entry.input("attention_mask", DType::F32, list(batch(), seq()));
  uint32_t Cos = Entry.input("rope_cos", DType::F32,
                             list(seq(), constant(SampleWidth / 2)));
  uint32_t Embed = Entry.embedding(BufferKind::Parameter);
  uint32_t Scale = Entry.buffer("scale", BufferKind::Parameter, DType::F32,
                                list(constant(1)), 1);
  uint32_t Hidden =
      Entry.buffer("hidden", BufferKind::Temporary, DType::F32,
                   list(batch(), seq(), constant(SampleWidth)), 0, 0, 1);
  uint32_t Logits =
      Entry.output("logits", list(batch(), seq(), constant(SampleVocab)));
  Entry.launch("sample_embed", list(seq(), batch()),
               {Ids, Mask, Cos, Embed, Hidden},
               list(seq(), constant(SampleWidth), constant(SampleWidth / 2)));
  Entry.launch("sample_logits", list(constant(SampleVocab), tokens()),
               {Hidden, Embed, Scale, Logits},
               list(constant(SampleWidth), constant(SampleVocab)));
  Entry.finish();
}

/// "prefill" differs from "decode" in handing out the logits of the last token
/// alone, and a token drawn from them.
void addDecode(PackageT &To, bool Prefill = false) {
  EntryMaker Entry(To, Prefill ? "prefill" : "decode");
  uint32_t Ids = Entry.input("input_ids", DType::I32, list(batch(), seq()));
  uint32_t Embed = Entry.embedding(BufferKind::Parameter);
  uint32_t Scale = Entry.buffer("scale", BufferKind::Parameter, DType::F32,
                                list(constant(1)), 1);
  uint32_t Sum = Entry.buffer("sum", BufferKind::State, DType::F32,
                              list(batch(), constant(SampleWidth)), 0);
  uint32_t KeyMask = Entry.buffer("key_mask", BufferKind::State, DType::F32,
                                  list(batch(), capacity()), 1);
  uint32_t Hidden =
      Entry.buffer("hidden", BufferKind::Temporary, DType::F32,
                   list(batch(), seq(), constant(SampleWidth)), 0, 0, 2);
  auto Shape = [] { return list(batch(), seq(), constant(SampleVocab)); };
  uint32_t Logits = Prefill ? Entry.buffer("rows", BufferKind::Temporary,
                                           DType::F32, Shape(), 0, 2, 3)
                            : Entry.output("logits", Shape());
  Entry.launch("sample_scan", list(batch()), {Ids, Embed, Sum, KeyMask, Hidden},
               list(seq(), constant(SampleWidth), past(), capacity()));
  Entry.launch("sample_shift", list(tokens()), {Hidden},
               list(constant(SampleWidth), past()),
               list(combine(Opcode::Add, past(), constant(-1))));
  Entry.launch("sample_logits", list(constant(SampleVocab), tokens()),
               {Hidden, Embed, Scale, Logits},
               list(constant(SampleWidth), constant(SampleVocab)));
  if (Prefill)
    Entry.launch("sample_draw", list(batch()),
                 {Logits,
                  Entry.input("sampling", DType::F32, list(constant(2))),
                  Entry.input("draw", DType::I32, list(constant(5))),
                  Entry.output("logits", list(batch(), constant(SampleVocab))),
                  Entry.output("tokens", list(batch()), DType::I32)},
                 list(seq(), constant(SampleVocab)));
  Entry.finish();
}

void addGradients(PackageT &To, bool Train) {
  EntryMaker Entry(To, Train ? "train" : "gradients");
  uint32_t Labels = Entry.input("labels", DType::I32, list(batch(), seq()));
  uint32_t Gradient = Entry.embedding(BufferKind::Gradient);
  uint32_t Loss = Entry.output("loss", list(constant(1)));
  Entry.launch("sample_gradient", list(constant(SampleVocab)),
               {Labels, Gradient, Loss}, list(tokens(), constant(SampleWidth)));
  if (Train) {
    uint32_t Hyper =
        Entry.input("hyperparameters", DType::F32, list(constant(8)));
    uint32_t Seed = Entry.input("seed", DType::I32, list(constant(2)));
    uint32_t Embed = Entry.embedding(BufferKind::Parameter);
    uint32_t First = Entry.embedding(BufferKind::Moment1);
    uint32_t Second = Entry.embedding(BufferKind::Moment2);
    uint32_t Norm = Entry.output("grad_norm", list(constant(1)));
    Entry.launch("sample_update", list(constant(SampleVocab)),
                 {Hyper, Seed, Gradient, Embed, First, Second, Norm},
                 list(constant(SampleWidth)));
  }
  Entry.finish();
}

std::vector<uint8_t> readObject(const char *Path) {
  Result<std::string> Content = readFile(Path);
  if (!Content)
    return {};
  return std::vector<uint8_t>(Content->begin(), Content->end());
}

} // namespace

const std::vector<uint8_t> &transxssm::test::sampleObject() {
  static const std::vector<uint8_t> Object = readObject(SAMPLE_OBJECT);
  return Object;
}

const std::vector<uint8_t> &transxssm::test::unknownSymbolObject() {
  static const std::vector<uint8_t> Object = readObject(UNKNOWN_SYMBOL_OBJECT);
  return Object;
}

PackageT transxssm::test::samplePackage(bool Prefill) {
  PackageT Made;
  Made.producer = "test";
  Made.config = ConfigText;
  Made.limits = std::make_unique<LimitsT>();
  Made.limits->max_batch = SampleMaxBatch;
  Made.limits->max_seq_len = SampleMaxSeq;
  addKernels(Made, Prefill);
  addParameters(Made);
  addStates(Made);
  addForward(Made);
  addDecode(Made);
  addGradients(Made, /*Train=*/false);
  addGradients(Made, /*Train=*/true);
  if (Prefill)
    addDecode(Made, Prefill);
  return Made;
}

std::vector<uint8_t> transxssm::test::serialize(const PackageT &From) {
  flatbuffers::FlatBufferBuilder Builder;
  FinishPackageBuffer(Builder, package::Package::Pack(Builder, &From));
  return framePackage(Builder.GetBufferPointer(), Builder.GetSize());
}

TemporaryFolder::TemporaryFolder() {
  std::string Pattern =
      (std::filesystem::temp_directory_path() / "transxssm-XXXXXX").string();
  Root = ::mkdtemp(Pattern.data()) ? Pattern : "";
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code Ignored;
  if (!Root.empty())
    std::filesystem::remove_all(Root, Ignored);
}
