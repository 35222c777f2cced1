//===- ModelWeights.cpp - Filling and storing parameters ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/ModelImpl.h"

#include "runtime/Random.h"
#include "runtime/support/File.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstring>
#include <mutex>

using namespace transxssm;

namespace {

/// Elements that one thread initialises at a time; a multiple of four, since
/// four elements share one random counter.
constexpr int64_t ChunkElements = 1 << 16;
constexpr const char *EmbeddingName = "model.word_embed.weight";
constexpr const char *HeadName = "lm_head.weight";

std::string shapeText(const std::vector<int64_t> &Shape) {
  std::string Text = "[";
  for (size_t I = 0; I < Shape.size(); ++I)
    Text += (I ? ", " : "") + std::to_string(Shape[I]);
  return Text + "]";
}

/// Converts `Count` elements into a tensor, from element `First` on. What does
/// not lie on the host gets them in parts.
Status store(TensorArena &Into, size_t Index, DType To, int64_t First,
             DType From, const void *Values, int64_t Count) {
  if (Into.onHost())
    return convertElements(From, Values, To,
                           static_cast<uint8_t *>(Into.tensor(Index)) +
                               uint64_t(First) * sizeOf(To),
                           Count);
  constexpr int64_t PartElements = 1 << 20;
  std::vector<uint8_t> Part(size_t(std::min(PartElements, Count)) * sizeOf(To));
  const uint8_t *Source = static_cast<const uint8_t *>(Values);
  for (int64_t Done = 0; Done < Count; Done += PartElements) {
    int64_t Now = std::min(PartElements, Count - Done);
    if (Status Converted = convertElements(
            From, Source + uint64_t(Done) * sizeOf(From), To, Part.data(), Now);
        !Converted)
      return Converted;
    if (Status Written = Into.write(Index, uint64_t(First + Done) * sizeOf(To),
                                    Part.data(), uint64_t(Now) * sizeOf(To));
        !Written)
      return Written;
  }
  return {};
}

} // namespace

static std::atomic<uint64_t> ModelsMade{0};

ModelImpl::ModelImpl(const Package &From, const ModelOptions &Options,
                     unsigned Threads)
    : From(From), Options(Options), Pool(Threads), Number(++ModelsMade) {}

Result<std::unique_ptr<ModelImpl>>
ModelImpl::create(const Package &From, const std::string &Weights,
                  const ModelOptions &Options) {
  Result<unsigned> Threads = Options.Threads;
  if (Options.Threads == 0)
    Threads = ThreadPool::defaultThreads();
  if (!Threads)
    return Threads.error();
  std::unique_ptr<ModelImpl> Made(new ModelImpl(From, Options, *Threads));
  Result<std::unique_ptr<Executor>> Code =
      Executor::create(From, Options.Device, Made->Pool);
  if (!Code)
    return Code.error();
  Made->Code = std::move(*Code);
  if (Status Allocated = Made->allocateParameters(); !Allocated)
    return Allocated.error();
  Status Filled =
      Weights.empty() ? Made->initialize() : Made->loadWeights(Weights);
  if (Filled)
    Filled = Made->warnOfGrowth();
  if (!Filled)
    return Filled.error();
  return Made;
}

Status ModelImpl::allocateParameters() {
  std::vector<uint64_t> Sizes;
  for (const PackageParameter &Parameter : From.parameters()) {
    ParameterIndex.emplace(Parameter.Name, Sizes.size());
    Sizes.push_back(uint64_t(Parameter.NumElements) * sizeOf(Parameter.Type));
  }
  Result<TensorArena> Made =
      TensorArena::allocate(Sizes, "the parameters", Code->memory());
  if (!Made)
    return Made.error();
  Parameters = std::move(*Made);
  return {};
}

std::vector<uint64_t> ModelImpl::floatSizes() const {
  std::vector<uint64_t> Sizes;
  for (const PackageParameter &Parameter : From.parameters())
    Sizes.push_back(uint64_t(Parameter.NumElements) * sizeof(float));
  return Sizes;
}

/// Initial values of some elements. They depend on the seed, the parameter's
/// place in the package and the element alone, not on the threads.
Status ModelImpl::initializeChunk(size_t Index, int64_t First, int64_t Count) {
  const PackageParameter &Parameter = From.parameters()[Index];
  std::vector<float> Values(size_t(Count), 0.0f);
  switch (Parameter.Init) {
  case Initializer::Normal:
    fillNormal(Options.Seed, uint32_t(Index), First, Count,
               From.config().InitializerRange, Values.data());
    break;
  case Initializer::Ones:
    std::fill(Values.begin(), Values.end(), 1.0f);
    break;
  case Initializer::Zeros:
    break;
  case Initializer::SsdDecay:
    fillUniform(Options.Seed, uint32_t(Index), First, Count, 1, 16,
                Values.data());
    for (float &Value : Values)
      Value = -Value;
    break;
  }
  // The embedding of the padding token starts at zero and stays there but for
  // what a tied head adds.
  std::optional<int64_t> Pad = From.config().PadTokenId;
  if (Pad && Parameter.Name == EmbeddingName && Parameter.Shape.size() == 2 &&
      *Pad < Parameter.Shape[0]) {
    int64_t Width = Parameter.Shape[1];
    int64_t Low = std::max(First, *Pad * Width);
    int64_t High = std::min(First + Count, (*Pad + 1) * Width);
    for (int64_t I = Low; I < High; ++I)
      Values[size_t(I - First)] = 0;
  }
  return store(Parameters, Index, Parameter.Type, First, DType::F32,
               Values.data(), Count);
}

Status ModelImpl::initialize() {
  struct Chunk {
    size_t Index;
    int64_t First, Count;
  };
  struct Job {
    ModelImpl *Self;
    std::vector<Chunk> Chunks;
    std::mutex Guard;
    Status Done;
  } Work{this, {}, {}, {}};
  for (size_t I = 0; I < From.parameters().size(); ++I)
    for (int64_t First = 0; First < From.parameters()[I].NumElements;
         First += ChunkElements)
      Work.Chunks.push_back(
          {I, First,
           std::min(ChunkElements, From.parameters()[I].NumElements - First)});
  Pool.run(
      int64_t(Work.Chunks.size()), 1,
      [](void *Context, unsigned, int64_t First, int64_t Last) {
        Job &Shared = *static_cast<Job *>(Context);
        for (int64_t I = First; I < Last; ++I) {
          const Chunk &Part = Shared.Chunks[size_t(I)];
          Status Filled =
              Shared.Self->initializeChunk(Part.Index, Part.First, Part.Count);
          if (Filled)
            continue;
          std::lock_guard<std::mutex> Held(Shared.Guard);
          Shared.Done = Filled;
        }
      },
      &Work);
  return Work.Done;
}

/// A checkpoint of a tied model may repeat the embedding as its head.
Status ModelImpl::checkExtraTensor(const SafeTensors &File,
                                   const SafeTensor &Extra) const {
  const SafeTensor *Embedding = File.find(EmbeddingName);
  if (Extra.Name == HeadName && From.config().TieWordEmbeddings && Embedding) {
    if (Embedding->Type == Extra.Type && Embedding->Bytes == Extra.Bytes &&
        std::memcmp(Embedding->Data, Extra.Data, Extra.Bytes) == 0)
      return {};
    return makeError(Extra.File, ": tensor '", HeadName,
                     "': expected it to equal ", EmbeddingName,
                     " since tie_word_embeddings is true");
  }
  return makeError(Extra.File, ": tensor '", Extra.Name,
                   "': the model has no such parameter");
}

Status ModelImpl::loadWeights(const std::string &Path) {
  Result<SafeTensors> File = SafeTensors::open(Path);
  if (!File)
    return File.error();
  for (const auto &[Name, Tensor] : File->tensors())
    if (!ParameterIndex.count(Name))
      if (Status Checked = checkExtraTensor(*File, Tensor); !Checked)
        return Checked;
  for (size_t I = 0; I < From.parameters().size(); ++I) {
    const PackageParameter &Parameter = From.parameters()[I];
    const SafeTensor *Tensor = File->find(Parameter.Name);
    if (!Tensor)
      return makeError(Path, ": tensor '", Parameter.Name, "': expected shape ",
                       shapeText(Parameter.Shape), ", got no such tensor");
    if (Tensor->Shape != Parameter.Shape)
      return makeError(Tensor->File, ": tensor '", Parameter.Name,
                       "': expected shape ", shapeText(Parameter.Shape),
                       ", got ", shapeText(Tensor->Shape));
    Status Converted = store(Parameters, I, Parameter.Type, 0, Tensor->Type,
                             Tensor->Data, Parameter.NumElements);
    if (!Converted)
      return makeError(Tensor->File, ": tensor '", Parameter.Name,
                       "': ", Converted.message());
    if (hasMaster(Parameter) && Tensor->Type != Parameter.Type)
      WideWeights = *File;
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Masters
//===----------------------------------------------------------------------===//

bool ModelImpl::hasMaster(const PackageParameter &Parameter) const {
  return Parameter.Type != DType::F32 && From.findEntry("train");
}

/// Makes the masters on first use: training begins with what the checkpoint
/// has, not with what is left of it in the parameters' type.
Status ModelImpl::reserveMasters() {
  if (!Masters.empty())
    return {};
  std::vector<uint64_t> Sizes;
  for (const PackageParameter &Parameter : From.parameters())
    Sizes.push_back(Parameter.Type != DType::F32
                        ? uint64_t(Parameter.NumElements) * sizeof(float)
                        : 0);
  Result<TensorArena> Made =
      TensorArena::allocate(Sizes, "master weights", Code->memory());
  if (!Made)
    return Made.error();
  Masters = std::move(*Made);
  for (size_t I = 0; WideWeights && I < From.parameters().size(); ++I) {
    const PackageParameter &Parameter = From.parameters()[I];
    const SafeTensor *Tensor = WideWeights->find(Parameter.Name);
    if (hasMaster(Parameter) && Tensor)
      if (Status Stored = store(Masters, I, DType::F32, 0, Tensor->Type,
                                Tensor->Data, Parameter.NumElements);
          !Stored)
        return Stored;
  }
  WideWeights.reset();
  return {};
}

//===----------------------------------------------------------------------===//
// Decays
//===----------------------------------------------------------------------===//

Result<std::vector<float>> ModelImpl::parameterValues(size_t Index) const {
  const PackageParameter &Parameter = From.parameters()[Index];
  Result<HostBytes> Held = Parameters.read(Index);
  if (!Held)
    return Held.error();
  std::vector<float> Values(size_t(Parameter.NumElements));
  if (Status Done = convertElements(Parameter.Type, Held->Data, DType::F32,
                                    Values.data(), Parameter.NumElements);
      !Done)
    return Done.error();
  return Values;
}

/// A decay A >= 0 makes the state grow by exp(dt * A) a token. With
/// dt = softplus(0) = ln 2 and float32 overflowing at exp(88.7), that is
/// 88.7 / (A ln 2) tokens.
Status ModelImpl::warnOfGrowth() const {
  for (size_t I = 0; Options.Warn && I < From.parameters().size(); ++I) {
    const PackageParameter &Parameter = From.parameters()[I];
    if (Parameter.Init != Initializer::SsdDecay)
      continue;
    Result<std::vector<float>> Values = parameterValues(I);
    if (!Values)
      return Values.error();
    float Largest = *std::max_element(Values->begin(), Values->end());
    if (!(Largest >= 0))
      continue;
    std::string Tokens = "never decays";
    if (Largest > 0) // tiny values give more tokens than an integer holds
      Tokens = makeError("overflows float32 after about ",
                         std::floor(88.7 / (double(Largest) * std::log(2.0))),
                         " tokens")
                   .Message;
    Options.Warn(makeError("parameter '", Parameter.Name,
                           "': expected negative values, got ", Largest,
                           ": its state ", Tokens)
                     .Message);
  }
  return {};
}

/// See Hyperparameters::KeepDecayNegative. NaN stays, so that a diverged run
/// does not look sound.
Status ModelImpl::keepDecayNegative() {
  for (size_t I = 0; I < From.parameters().size(); ++I) {
    const PackageParameter &Parameter = From.parameters()[I];
    if (Parameter.Init != Initializer::SsdDecay)
      continue;
    Result<std::vector<float>> Values = parameterValues(I);
    if (!Values)
      return Values.error();
    bool Changed = false;
    for (float &Value : *Values)
      if (Value > LargestKeptDecay) {
        Value = LargestKeptDecay;
        Changed = true;
      }
    if (!Changed)
      continue;
    if (Status Stored = store(Parameters, I, Parameter.Type, 0, DType::F32,
                              Values->data(), Parameter.NumElements);
        !Stored)
      return Stored;
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Views, saving, loading
//===----------------------------------------------------------------------===//

Result<size_t> ModelImpl::parameterIndex(const std::string &Name) const {
  auto Found = ParameterIndex.find(Name);
  if (Found == ParameterIndex.end())
    return makeError("the model has no parameter '", Name, "'");
  return Found->second;
}

Result<TensorView> ModelImpl::view(size_t Index, const TensorArena &Arena,
                                   DType Type) const {
  const PackageParameter &Parameter = From.parameters()[Index];
  Result<HostBytes> Held = Arena.read(Index);
  if (!Held)
    return Held.error();
  return TensorView{Parameter.Name, Type, Parameter.Shape, Held->Data,
                    Held->Copy};
}

Result<TensorView> ModelImpl::gradientView(const std::string &Name) {
  Result<size_t> Index = parameterIndex(Name);
  if (!Index)
    return Index.error();
  if (Gradients.empty())
    return makeError("no gradient of '", Name,
                     "' yet: neither gradients nor train has run");
  return view(*Index, Gradients, DType::F32);
}

/// Moments are zero before the first step, so asking early is no error.
Result<TensorArena *> ModelImpl::momentArena(int Which) {
  if (Which != 1 && Which != 2)
    return makeError("expected moment 1 or 2, got ", Which);
  TensorArena &Arena = Which == 1 ? Moments1 : Moments2;
  if (Arena.empty()) {
    Result<TensorArena> Made = TensorArena::allocate(
        floatSizes(), Which == 1 ? "first moments" : "second moments",
        Code->memory());
    if (!Made)
      return Made.error();
    Arena = std::move(*Made);
  }
  return &Arena;
}

Result<TensorView> ModelImpl::momentView(const std::string &Name, int Which) {
  Result<size_t> Index = parameterIndex(Name);
  if (!Index)
    return Index.error();
  Result<TensorArena *> Arena = momentArena(Which);
  if (!Arena)
    return Arena.error();
  return view(*Index, **Arena, DType::F32);
}

Status ModelImpl::setParameter(const std::string &Name, const float *Values,
                               int64_t Count) {
  Result<size_t> Index = parameterIndex(Name);
  if (!Index)
    return Index.error();
  const PackageParameter &Parameter = From.parameters()[*Index];
  if (Count != Parameter.NumElements)
    return makeError("parameter '", Name, "': expected ", Parameter.NumElements,
                     " values, got ", Count);
  return store(Parameters, *Index, Parameter.Type, 0, DType::F32, Values,
               Count);
}

Status ModelImpl::save(const std::string &Directory) const {
  if (Status Made = makeDirectories(Directory); !Made)
    return Made;
  std::vector<TensorToWrite> Tensors;
  std::vector<TensorView> Views; // hold what Tensors point to
  for (size_t I = 0; I < From.parameters().size(); ++I) {
    const PackageParameter &Parameter = From.parameters()[I];
    Result<TensorView> View = view(I, Parameters, Parameter.Type);
    if (!View)
      return View.error();
    Tensors.push_back(
        {Parameter.Name, Parameter.Type, Parameter.Shape, View->Data});
    Views.push_back(std::move(*View));
  }
  if (Status Written = writeSafeTensors(Directory + "/model.safetensors",
                                        Tensors, {{"format", "pt"}});
      !Written)
    return Written;
  const std::string &Config = From.configText();
  return writeFileAtomically(Directory + "/config.json",
                             {{Config.data(), Config.size()}});
}

Status ModelImpl::saveOptimizer(const std::string &Path) {
  std::vector<TensorToWrite> Tensors;
  std::vector<TensorView> Views; // hold what Tensors point to
  for (int Which : {1, 2})
    for (const PackageParameter &Parameter : From.parameters()) {
      Result<TensorView> Moment = momentView(Parameter.Name, Which);
      if (!Moment)
        return Moment.error();
      Tensors.push_back(
          {"moment" + std::to_string(Which) + "." + Parameter.Name, DType::F32,
           Parameter.Shape, Moment->Data});
      Views.push_back(std::move(*Moment));
    }
  for (size_t I = 0; I < From.parameters().size(); ++I) {
    const PackageParameter &Parameter = From.parameters()[I];
    if (!hasMaster(Parameter))
      continue;
    if (Status Reserved = reserveMasters(); !Reserved)
      return Reserved;
    Result<TensorView> Master = view(I, Masters, DType::F32);
    if (!Master)
      return Master.error();
    Tensors.push_back({"master." + Parameter.Name, DType::F32, Parameter.Shape,
                       Master->Data});
    Views.push_back(std::move(*Master));
  }
  return writeSafeTensors(Path, Tensors, {{"step", std::to_string(Step)}});
}

/// What a checkpoint holds for one value of the optimizer, or why it does not
/// fit.
static Status checkSaved(const std::string &Path, const std::string &Name,
                         const SafeTensor *Tensor,
                         const PackageParameter &Parameter) {
  if (Tensor && Tensor->Shape == Parameter.Shape && Tensor->Type == DType::F32)
    return {};
  return makeError(Path, ": tensor '", Name, "': expected f32 ",
                   shapeText(Parameter.Shape), ", got ",
                   Tensor ? std::string(nameOf(Tensor->Type)) + " " +
                                shapeText(Tensor->Shape)
                          : "nothing");
}

/// Takes over the tensors that are there, each into the place of its number.
static Status writeAll(TensorArena &Into,
                       const std::vector<const SafeTensor *> &Tensors) {
  for (size_t I = 0; I < Tensors.size(); ++I)
    if (Tensors[I])
      if (Status Done = Into.write(I, 0, Tensors[I]->Data, Tensors[I]->Bytes);
          !Done)
        return Done;
  return {};
}

/// The steps that the optimizer has taken, from the metadata of its file.
static Result<int64_t> readStep(const SafeTensors &File) {
  auto Found = File.metadata().find("step");
  if (Found == File.metadata().end())
    return makeError(File.sourceName(), ": metadata 'step': expected a count "
                                        "of steps, got nothing");
  const std::string &Text = Found->second;
  // Not the largest of all, which could not be counted on from.
  int64_t Count = -1;
  auto [End, Failed] =
      std::from_chars(Text.data(), Text.data() + Text.size(), Count);
  if (Failed != std::errc() || End != Text.data() + Text.size() || Count < 0 ||
      Count == INT64_MAX)
    return makeError(File.sourceName(),
                     ": metadata 'step': expected a count "
                     "of steps, got '",
                     Text.substr(0, 60), "'");
  return Count;
}

Status ModelImpl::loadOptimizer(const std::string &Path) {
  Result<SafeTensors> File = SafeTensors::open(Path);
  if (!File)
    return File.error();
  Result<int64_t> Count = readStep(*File);
  if (!Count)
    return Count.error();
  // All tensors are checked before the first is taken over.
  std::vector<const SafeTensor *> Moments[2], Saved;
  for (const PackageParameter &Parameter : From.parameters()) {
    for (int Which : {1, 2}) {
      std::string Name =
          "moment" + std::to_string(Which) + "." + Parameter.Name;
      Moments[Which - 1].push_back(File->find(Name));
      if (Status Checked =
              checkSaved(Path, Name, Moments[Which - 1].back(), Parameter);
          !Checked)
        return Checked;
    }
    // A checkpoint of a float32 package has no masters: its weights are.
    std::string Name = "master." + Parameter.Name;
    Saved.push_back(hasMaster(Parameter) ? File->find(Name) : nullptr);
    if (Saved.back())
      if (Status Checked = checkSaved(Path, Name, Saved.back(), Parameter);
          !Checked)
        return Checked;
  }
  for (int Which : {1, 2}) {
    Result<TensorArena *> Arena = momentArena(Which);
    if (!Arena)
      return Arena.error();
    if (Status Done = writeAll(**Arena, Moments[Which - 1]); !Done)
      return Done;
  }
  if (std::any_of(Saved.begin(), Saved.end(),
                  [](const SafeTensor *Tensor) { return Tensor; })) {
    if (Status Reserved = reserveMasters(); !Reserved)
      return Reserved;
    if (Status Done = writeAll(Masters, Saved); !Done)
      return Done;
  }
  Step = *Count;
  return {};
}
