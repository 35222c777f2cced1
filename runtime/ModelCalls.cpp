//===- ModelCalls.cpp - Running the entries of a package ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/ModelImpl.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace transxssm;

namespace {

/// The settings of txs.sample.
void fillDraw(Binding &Bound, const TokenDraw &Draw, int64_t VocabSize) {
  const SamplingOptions &Options = Draw.Options;
  if (auto *Sampling = static_cast<float *>(Bound.input("sampling"))) {
    Sampling[0] = float(Options.Temperature);
    Sampling[1] = float(Options.TopP);
  }
  if (auto *Words = static_cast<int32_t *>(Bound.input("draw"))) {
    Words[0] = int32_t(uint32_t(Options.Seed));
    Words[1] = int32_t(uint32_t(Options.Seed >> 32));
    Words[2] = int32_t(uint32_t(Draw.Step));
    Words[3] = int32_t(std::min(Options.TopK, VocabSize));
    Words[4] = int32_t(Draw.Choices ? Draw.Choices : VocabSize);
  }
}

/// An output of an entry that the loader and bind() have found there.
const float *floatOutput(const Binding &Bound, const char *Name) {
  return static_cast<const float *>(Bound.output(Name));
}

} // namespace

void RopeRows::copy(const ModelConfig &Config, int64_t Past, int64_t Seq,
                    float *Cos, float *Sin) {
  int64_t Width = Config.headSize() / 2, Length = Past + Seq;
  // Beyond the trained length dynamic frequencies change with every call:
  // only the rows of this call are computed.
  if (Config.Rope.Type == RopeType::Dynamic &&
      Length > Config.MaxPositionEmbeddings) {
    std::vector<float> Unused(Cos && Sin ? 0 : size_t(Seq * Width));
    fillRopeTable(ropeFrequencies(Config, Length), Past, Seq,
                  Cos ? Cos : Unused.data(), Sin ? Sin : Unused.data());
    return;
  }
  int64_t NewKey = ropeFrequencyKey(Config, Length);
  if (NewKey != Key) {
    Key = NewKey;
    Rows = 0;
    Frequencies = ropeFrequencies(Config, Length);
  }
  if (Rows < Length) {
    int64_t NewRows = std::max({Length, 2 * Rows, int64_t(64)});
    CosRows.resize(size_t(NewRows * Width));
    SinRows.resize(size_t(NewRows * Width));
    fillRopeTable(Frequencies, Rows, NewRows - Rows,
                  CosRows.data() + Rows * Width, SinRows.data() + Rows * Width);
    Rows = NewRows;
  }
  size_t Bytes = size_t(Seq * Width) * sizeof(float);
  if (Cos)
    std::memcpy(Cos, CosRows.data() + Past * Width, Bytes);
  if (Sin)
    std::memcpy(Sin, SinRows.data() + Past * Width, Bytes);
}

Result<const PackageEntry *>
ModelImpl::findEntry(const std::string &Name) const {
  if (const PackageEntry *Found = From.findEntry(Name))
    return Found;
  std::string Has;
  for (const PackageEntry &Entry : From.entries())
    Has += (Has.empty() ? "" : ", ") + Entry.Name;
  const char *Wanted = Name == "prefill"     ? "decode"
                       : Name == "gradients" ? "train"
                                             : Name.c_str();
  return makeError(From.sourceName(), ": package has no entry '", Name,
                   "'; it has: ", Has.empty() ? "none" : Has,
                   "; compile with --entry=", Wanted);
}

Status ModelImpl::checkTokens(const ModelCall &Call) const {
  int64_t VocabSize = From.config().VocabSize;
  for (int64_t I = 0; I < Call.Batch * Call.Seq; ++I) {
    int64_t B = I / Call.Seq, T = I % Call.Seq;
    if (Call.Ids[I] < 0 || Call.Ids[I] >= VocabSize)
      return makeError("input_ids[", B, ", ", T, "]: expected a token in [0, ",
                       VocabSize, "), got ", Call.Ids[I]);
    if (Call.Mask && Call.Mask[I] != 0 && Call.Mask[I] != 1)
      return makeError("attention_mask[", B, ", ", T,
                       "]: expected 0 or 1, got ", Call.Mask[I]);
  }
  return Call.Labels ? checkLabels(Call) : Status();
}

Status ModelImpl::checkLabels(const ModelCall &Call) const {
  const ModelConfig &Config = From.config();
  bool Classifies = Config.SequenceClassification;
  for (int64_t I = 0; I < labelCount(Call); ++I) {
    if (Call.Labels[I] == -100 ||
        (Call.Labels[I] >= 0 && Call.Labels[I] < Config.logitsWidth()))
      continue;
    std::string Place = Classifies ? std::to_string(I)
                                   : std::to_string(I / Call.Seq) + ", " +
                                         std::to_string(I % Call.Seq);
    return makeError("labels[", Place, "]: expected -100 or a ",
                     Classifies ? "class" : "token", " in [0, ",
                     Config.logitsWidth(), "), got ", Call.Labels[I]);
  }
  return {};
}

int64_t ModelImpl::labelCount(const ModelCall &Call) const {
  return From.config().SequenceClassification ? Call.Batch
                                              : Call.Batch * Call.Seq;
}

Status ModelImpl::checkCache(const ModelCall &Call) const {
  const CacheImpl &Cache = *Call.Cache;
  if (Cache.Owner != Number)
    return makeError("the cache belongs to another model");
  if (Cache.Batch != Call.Batch)
    return makeError("expected batch ", Cache.Batch, " as in the cache, got ",
                     Call.Batch);
  if (Call.Seq > Cache.Capacity - Cache.Length)
    return makeError("the cache holds ", Cache.Length, " of ", Cache.Capacity,
                     " tokens: ", Call.Seq,
                     " more do not fit; create it with a larger capacity");
  return {};
}

Status ModelImpl::checkCall(const ModelCall &Call) const {
  if (Call.Batch < 1 || Call.Seq < 1)
    return makeError("expected a batch and a sequence of at least 1, got ",
                     Call.Batch, " and ", Call.Seq);
  if (Call.Batch > From.maxBatch())
    return makeError("batch ", Call.Batch, " exceeds the package's maximum ",
                     From.maxBatch(), "; compile with --max-batch");
  if (Call.Seq > From.maxSeqLen())
    return makeError("sequence length ", Call.Seq,
                     " exceeds the package's maximum ", From.maxSeqLen(),
                     "; compile with --max-seq-len");
  if (Call.Cache)
    if (Status Checked = checkCache(Call); !Checked)
      return Checked;
  return checkTokens(Call);
}

void ModelImpl::fillInputs(Binding &Bound, const ModelCall &Call) {
  size_t Tokens = size_t(Call.Batch * Call.Seq);
  if (void *Ids = Bound.input("input_ids"))
    std::memcpy(Ids, Call.Ids, Tokens * sizeof(int32_t));
  if (void *Labels = Bound.input("labels")) {
    size_t Count = size_t(labelCount(Call));
    if (Call.Labels)
      std::memcpy(Labels, Call.Labels, Count * sizeof(int32_t));
    else
      std::fill_n(static_cast<int32_t *>(Labels), Count, -100);
  }
  if (void *Mask = Bound.input("attention_mask")) {
    if (Call.Mask)
      std::memcpy(Mask, Call.Mask, Tokens * sizeof(float));
    else
      std::fill_n(static_cast<float *>(Mask), Tokens, 1.0f);
  }
  auto *Cos = static_cast<float *>(Bound.input("rope_cos"));
  auto *Sin = static_cast<float *>(Bound.input("rope_sin"));
  if (Cos || Sin)
    Rope.copy(From.config(), Bound.sizes().Past, Call.Seq, Cos, Sin);
  if (auto *Seed = static_cast<int32_t *>(Bound.input("seed"))) {
    Seed[0] = int32_t(uint32_t(Options.Seed ^ (Options.Seed >> 32)));
    Seed[1] = int32_t(Step);
  }
  fillDraw(Bound, Call.Draw, From.config().VocabSize);
  auto *Hyper = static_cast<float *>(Bound.input("hyperparameters"));
  if (Hyper && Call.Settings) {
    const Hyperparameters &S = *Call.Settings;
    double Next = double(Step + 1);
    const double Values[8] = {S.LearningRate,
                              S.Beta1,
                              S.Beta2,
                              S.Eps,
                              S.WeightDecay,
                              S.MaxGradNorm,
                              1 - std::pow(S.Beta1, Next),
                              1 - std::pow(S.Beta2, Next)};
    std::copy(std::begin(Values), std::end(Values), Hyper);
  } else if (Hyper) {
    std::fill_n(Hyper, 8, 0.0f);
  }
}

/// Gradients and moments exist from the first entry on that uses them.
Status ModelImpl::reserveTraining(const PackageEntry &Entry) {
  const std::tuple<BufferKind, TensorArena *, const char *> Arenas[] = {
      {BufferKind::Gradient, &Gradients, "gradients"},
      {BufferKind::Moment1, &Moments1, "first moments"},
      {BufferKind::Moment2, &Moments2, "second moments"}};
  for (const auto &[Kind, Arena, Purpose] : Arenas) {
    bool Needed = false;
    for (const PackageBuffer &Buffer : Entry.Buffers)
      Needed |= Buffer.Kind == Kind;
    if (!Needed || !Arena->empty())
      continue;
    Result<TensorArena> Made =
        TensorArena::allocate(floatSizes(), Purpose, Code->memory());
    if (!Made)
      return Made.error();
    *Arena = std::move(*Made);
  }
  for (const PackageBuffer &Buffer : Entry.Buffers)
    if (Buffer.Kind == BufferKind::Master)
      return reserveMasters();
  return {};
}

Result<Binding *> ModelImpl::run(const ModelCall &Call) {
  Result<const PackageEntry *> Entry = findEntry(Call.Entry);
  if (!Entry)
    return Entry.error();
  if (Status Checked = checkCall(Call); !Checked)
    return Checked.error();
  if (Status Reserved = reserveTraining(**Entry); !Reserved)
    return Reserved.error();

  // An entry without a cache starts from zero states if it has any.
  CacheImpl *Cache = Call.Cache;
  std::unique_ptr<CacheImpl> Fresh;
  bool UsesStates = std::any_of(
      (*Entry)->Buffers.begin(), (*Entry)->Buffers.end(),
      [](const PackageBuffer &B) { return B.Kind == BufferKind::State; });
  if (!Cache && UsesStates) {
    Result<std::unique_ptr<CacheImpl>> Made = makeCache(Call.Batch, Call.Seq);
    if (!Made)
      return Made.error();
    Fresh = std::move(*Made);
    Cache = Fresh.get();
  }

  Symbols Sizes{Call.Batch, Call.Seq, Cache ? Cache->Length : 0,
                Cache ? Cache->Capacity : Call.Seq};
  Result<Binding *> Bound = Code->bind(**Entry, Sizes);
  if (!Bound)
    return Bound.error();
  fillInputs(**Bound, Call);
  PersistentBuffers Persistent{&Parameters.pointers(),
                               &Gradients.pointers(),
                               &Moments1.pointers(),
                               &Moments2.pointers(),
                               Cache ? &Cache->States.pointers() : nullptr,
                               &Masters.pointers()};
  if (Status Ran = Code->run(**Bound, Persistent, Call.Output); !Ran)
    return Ran.error();
  if (Call.Cache)
    Call.Cache->Length += Call.Seq;
  return *Bound;
}

Status ModelImpl::runToLogits(const ModelCall &Call, bool LastTokenOnly,
                              float *Logits) {
  const ModelConfig &Config = From.config();
  int64_t Width = Config.logitsWidth();
  bool OneRow = Call.Entry == "prefill" || Config.SequenceClassification;
  Result<Binding *> Bound = run(Call);
  if (!Bound)
    return Bound.error();
  const float *Output = floatOutput(**Bound, "logits");
  if (!OneRow && LastTokenOnly) {
    for (int64_t B = 0; B < Call.Batch; ++B)
      std::copy_n(Output + ((B + 1) * Call.Seq - 1) * Width, Width,
                  Logits + B * Width);
    return {};
  }
  std::copy_n(Output, Call.Batch * (OneRow ? 1 : Call.Seq) * Width, Logits);
  return {};
}

Status ModelImpl::runToTokens(const ModelCall &Call, int32_t *Tokens) {
  if (Status Checked = checkDraw(Call.Draw, From.config()); !Checked)
    return Checked;
  Result<Binding *> Bound = run(Call);
  if (!Bound)
    return Bound.error();
  const auto *Drawn = static_cast<const int32_t *>((*Bound)->output("tokens"));
  for (int64_t Row = 0; Row < Call.Batch; ++Row)
    if (Drawn[Row] < 0)
      return makeError("row ", Row, ", step ", Call.Draw.Step,
                       ": logits hold nan or no finite value");
  std::copy_n(Drawn, Call.Batch, Tokens);
  return {};
}

Result<double> ModelImpl::runToLoss(const ModelCall &Call) {
  Result<Binding *> Bound = run(Call);
  if (!Bound)
    return Bound.error();
  return double(*floatOutput(**Bound, "loss"));
}

/// Kernels get float32: what leaves its range, upwards or to zero, is refused
/// as well.
static Status checkSettings(const Hyperparameters &S) {
  struct Setting {
    const char *Name;
    double Value;
    bool Fits;
    const char *Expected;
  };
  auto AtLeastZero = [](double Value) {
    return Value >= 0 && std::isfinite(float(Value));
  };
  auto AboveZero = [](double Value) {
    return float(Value) > 0 && std::isfinite(float(Value));
  };
  auto Decay = [](double Value) { return Value >= 0 && Value < 1; };
  const Setting Settings[] = {
      {"lr", S.LearningRate, AtLeastZero(S.LearningRate), "at least 0"},
      {"beta1", S.Beta1, Decay(S.Beta1), "at least 0 and below 1"},
      {"beta2", S.Beta2, Decay(S.Beta2), "at least 0 and below 1"},
      {"eps", S.Eps, AboveZero(S.Eps), "above 0"},
      {"weight_decay", S.WeightDecay, AtLeastZero(S.WeightDecay), "at least 0"},
      {"max_grad_norm", S.MaxGradNorm, AboveZero(S.MaxGradNorm), "above 0"}};
  for (const Setting &Each : Settings)
    if (!Each.Fits)
      return makeError(Each.Name, ": expected a float32 number ", Each.Expected,
                       ", got ", Each.Value);
  return {};
}

Result<TrainResult> ModelImpl::runTraining(const ModelCall &Call) {
  const Hyperparameters &S = *Call.Settings;
  if (Status Checked = checkSettings(S); !Checked)
    return Checked.error();
  Result<Binding *> Bound = run(Call);
  if (!Bound)
    return Bound.error();
  if (S.KeepDecayNegative)
    if (Status Kept = keepDecayNegative(); !Kept)
      return Kept.error();
  ++Step;
  return TrainResult{*floatOutput(**Bound, "loss"),
                     *floatOutput(**Bound, "grad_norm"), Step};
}

Result<std::unique_ptr<CacheImpl>> ModelImpl::makeCache(int64_t Batch,
                                                        int64_t Capacity) {
  if (Batch < 1 || Batch > From.maxBatch())
    return makeError("batch ", Batch,
                     " of a cache: expected 1 to the "
                     "package's maximum ",
                     From.maxBatch(), "; compile with --max-batch");
  if (Capacity < 1 || Capacity > From.maxSeqLen())
    return makeError("capacity ", Capacity,
                     " of a cache: expected 1 to the "
                     "package's maximum ",
                     From.maxSeqLen(), "; compile with --max-seq-len");
  auto Made = std::make_unique<CacheImpl>(From);
  Made->Owner = Number;
  Made->Batch = Batch;
  Made->Capacity = Capacity;
  for (const PackageState &State : From.states()) {
    Result<uint64_t> Bytes =
        byteSize(State.Type, State.Shape, {Batch, 0, 0, Capacity});
    if (!Bytes)
      return makeError(From.sourceName(), ": state '", State.Name,
                       "': ", Bytes.message());
    Made->Sizes.push_back(*Bytes);
  }
  Made->Space = Code->memory();
  Result<TensorArena> States =
      TensorArena::allocate(Made->Sizes,
                            "a cache of batch " + std::to_string(Batch) +
                                " and capacity " + std::to_string(Capacity),
                            Made->Space);
  if (!States)
    return States.error();
  Made->States = std::move(*States);
  return Made;
}
