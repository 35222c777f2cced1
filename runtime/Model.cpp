//===- Model.cpp - Running a compiled model -------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Model.h"

#include "runtime/ModelImpl.h"

#include <algorithm>

using namespace transxssm;

using Lock = std::lock_guard<std::mutex>;

Cache::Cache() = default;
Cache::~Cache() = default;
Cache::Cache(Cache &&) noexcept = default;
Cache &Cache::operator=(Cache &&) noexcept = default;

int64_t Cache::batch() const { return Impl ? Impl->Batch : 0; }
int64_t Cache::capacity() const { return Impl ? Impl->Capacity : 0; }
int64_t Cache::length() const { return Impl ? Impl->Length : 0; }

Result<Cache> Cache::clone() const {
  Cache Copy;
  if (!Impl)
    return Copy;
  Copy.Impl = std::make_unique<CacheImpl>(Impl->From);
  Copy.Impl->Owner = Impl->Owner;
  Copy.Impl->Batch = Impl->Batch;
  Copy.Impl->Capacity = Impl->Capacity;
  Copy.Impl->Length = Impl->Length;
  Copy.Impl->Sizes = Impl->Sizes;
  Copy.Impl->Space = Impl->Space;
  Result<TensorArena> States =
      TensorArena::allocate(Impl->Sizes, "the copy of a cache", Impl->Space);
  if (!States)
    return States.error();
  if (Status Copied = States->block().copyFrom(Impl->States.block()); !Copied)
    return Copied.error();
  Copy.Impl->States = std::move(*States);
  return Copy;
}

void Cache::reset() {
  if (!Impl)
    return;
  Impl->Length = 0;
  // A device that cannot do this has failed for good and says so in the next
  // call.
  (void)Impl->States.block().zero();
}

Result<TensorView> Cache::state(const std::string &Name) const {
  if (!Impl)
    return makeError("state '", Name, "': the cache is empty");
  const std::vector<PackageState> &States = Impl->From.states();
  for (size_t I = 0; I < States.size(); ++I) {
    if (States[I].Name != Name)
      continue;
    Result<HostBytes> Bytes = Impl->States.read(I);
    if (!Bytes)
      return Bytes.error();
    TensorView View{Name, States[I].Type, {}, Bytes->Data, Bytes->Copy};
    for (const Expression &Extent : States[I].Shape) {
      View.Shape.push_back(0);
      // The cache was allocated with the same sizes, so this cannot fail.
      (void)Extent.evaluate({Impl->Batch, 0, 0, Impl->Capacity},
                            View.Shape.back());
    }
    return View;
  }
  return makeError("the package has no state '", Name, "'");
}

std::vector<std::string> Cache::stateNames() const {
  std::vector<std::string> Names;
  if (Impl)
    for (const PackageState &State : Impl->From.states())
      Names.push_back(State.Name);
  return Names;
}

Model::Model(std::unique_ptr<ModelImpl> Impl) : Impl(std::move(Impl)) {}
Model::~Model() = default;
Model::Model(Model &&) noexcept = default;
Model &Model::operator=(Model &&) noexcept = default;

Result<Model> Model::load(const Package &From, const std::string &Weights,
                          const ModelOptions &Options) {
  Result<std::unique_ptr<ModelImpl>> Impl =
      ModelImpl::create(From, Weights, Options);
  if (!Impl)
    return Impl.error();
  return Model(std::move(*Impl));
}

Result<Model> Model::load(const std::string &PackagePath,
                          const std::string &Weights,
                          const ModelOptions &Options) {
  Result<Package> From = Package::load(PackagePath);
  if (!From)
    return From.error();
  return load(*From, Weights, Options);
}

const Package &Model::package() const { return Impl->From; }
const ModelConfig &Model::config() const { return Impl->From.config(); }
unsigned Model::numThreads() const { return Impl->Pool.size(); }

/// What all calls have.
static ModelCall callOf(const char *Entry, const int32_t *Ids, int64_t Batch,
                        int64_t Seq, const float *Mask = nullptr) {
  ModelCall Call;
  Call.Entry = Entry;
  Call.Batch = Batch;
  Call.Seq = Seq;
  Call.Ids = Ids;
  Call.Mask = Mask;
  return Call;
}

Status Model::forward(const int32_t *Ids, int64_t Batch, int64_t Seq,
                      const float *Mask, float *Logits) {
  Lock Guard(Impl->Mutex);
  ModelCall Call = callOf("forward", Ids, Batch, Seq, Mask);
  return Impl->runToLogits(Call, /*LastTokenOnly=*/false, Logits);
}

Result<double> Model::gradients(const int32_t *Ids, const int32_t *Labels,
                                int64_t Batch, int64_t Seq, const float *Mask) {
  Lock Guard(Impl->Mutex);
  ModelCall Call = callOf("gradients", Ids, Batch, Seq, Mask);
  Call.Labels = Labels;
  return Impl->runToLoss(Call);
}

Result<Cache> Model::newCache(int64_t Batch, int64_t Capacity) {
  Lock Guard(Impl->Mutex);
  Result<std::unique_ptr<CacheImpl>> Made =
      Impl->makeCache(Batch, Capacity ? Capacity : Impl->From.maxSeqLen());
  if (!Made)
    return Made.error();
  Cache Fresh;
  Fresh.Impl = std::move(*Made);
  return Fresh;
}

Status Model::prefill(const int32_t *Ids, int64_t Batch, int64_t Seq,
                      const float *Mask, Cache &Continued, float *Logits) {
  if (!Continued.Impl)
    return makeError("the cache was not made by newCache");
  Lock Guard(Impl->Mutex);
  ModelCall Call = callOf("prefill", Ids, Batch, Seq, Mask);
  if (!Impl->From.findEntry("prefill") && Impl->From.findEntry("decode"))
    Call.Entry = "decode";
  Call.Cache = Continued.Impl.get();
  return Impl->runToLogits(Call, /*LastTokenOnly=*/true, Logits);
}

Status Model::nextTokens(const int32_t *Ids, int64_t Batch, int64_t Seq,
                         const float *Mask, Cache &Continued,
                         const TokenDraw &Draw, int32_t *Tokens) {
  if (!Continued.Impl)
    return makeError("the cache was not made by newCache");
  Lock Guard(Impl->Mutex);
  ModelCall Call = callOf("prefill", Ids, Batch, Seq, Mask);
  Call.Cache = Continued.Impl.get();
  Call.Draw = Draw;
  Call.Output = "tokens";
  return Impl->runToTokens(Call, Tokens);
}

Status Model::decode(const int32_t *Ids, int64_t Batch, int64_t Seq,
                     Cache &Continued, float *Logits) {
  if (!Continued.Impl)
    return makeError("the cache was not made by newCache");
  Lock Guard(Impl->Mutex);
  ModelCall Call = callOf("decode", Ids, Batch, Seq);
  Call.Cache = Continued.Impl.get();
  return Impl->runToLogits(Call, /*LastTokenOnly=*/false, Logits);
}

Result<TrainResult> Model::trainStep(const int32_t *Ids, const int32_t *Labels,
                                     int64_t Batch, int64_t Seq,
                                     const float *Mask,
                                     const Hyperparameters &Settings) {
  Lock Guard(Impl->Mutex);
  ModelCall Call = callOf("train", Ids, Batch, Seq, Mask);
  Call.Labels = Labels;
  Call.Settings = &Settings;
  return Impl->runTraining(Call);
}

std::vector<std::string> Model::parameterNames() const {
  std::vector<std::string> Names;
  for (const PackageParameter &Parameter : Impl->From.parameters())
    Names.push_back(Parameter.Name);
  return Names;
}

Result<TensorView> Model::parameter(const std::string &Name) {
  Lock Guard(Impl->Mutex);
  Result<size_t> Index = Impl->parameterIndex(Name);
  if (!Index)
    return Index.error();
  return Impl->view(*Index, Impl->Parameters,
                    Impl->From.parameters()[*Index].Type);
}

Result<TensorView> Model::gradient(const std::string &Name) {
  Lock Guard(Impl->Mutex);
  return Impl->gradientView(Name);
}

Result<TensorView> Model::moment(const std::string &Name, int Which) {
  Lock Guard(Impl->Mutex);
  return Impl->momentView(Name, Which);
}

Status Model::setParameter(const std::string &Name, const float *Values,
                           int64_t Count) {
  Lock Guard(Impl->Mutex);
  return Impl->setParameter(Name, Values, Count);
}

Status Model::save(const std::string &Directory) const {
  Lock Guard(Impl->Mutex);
  return Impl->save(Directory);
}

void Model::startProfile() {
  Lock Guard(Impl->Mutex);
  Impl->Code->startProfile();
}

std::vector<KernelProfile> Model::profile() const {
  Lock Guard(Impl->Mutex);
  std::vector<KernelProfile> Ran;
  for (const KernelProfile &Kernel : Impl->Code->profile())
    if (Kernel.Launches)
      Ran.push_back(Kernel);
  std::stable_sort(Ran.begin(), Ran.end(),
                   [](const KernelProfile &L, const KernelProfile &R) {
                     return L.Seconds > R.Seconds;
                   });
  return Ran;
}

Status Model::startTraffic() {
  Lock Guard(Impl->Mutex);
  if (!Impl->Code->startTraffic())
    return makeError("traffic: expected the device 'sim', got ",
                     Impl->Code->target());
  return {};
}

std::vector<KernelTraffic> Model::traffic() const {
  Lock Guard(Impl->Mutex);
  std::vector<KernelTraffic> Ran;
  if (const std::vector<KernelTraffic> *All = Impl->Code->traffic())
    std::copy_if(All->begin(), All->end(), std::back_inserter(Ran),
                 [](const KernelTraffic &Each) { return Each.Launches > 0; });
  std::stable_sort(Ran.begin(), Ran.end(),
                   [](const KernelTraffic &L, const KernelTraffic &R) {
                     return L.MemoryBytes > R.MemoryBytes;
                   });
  return Ran;
}

void Model::observeLaunches(LaunchObserver Observer) {
  Lock Guard(Impl->Mutex);
  Impl->Code->Observer = std::move(Observer);
}

int64_t Model::step() const {
  Lock Guard(Impl->Mutex);
  return Impl->Step;
}

void Model::setStep(int64_t Step) {
  Lock Guard(Impl->Mutex);
  Impl->Step = Step;
}

Status Model::saveOptimizer(const std::string &Path) {
  Lock Guard(Impl->Mutex);
  return Impl->saveOptimizer(Path);
}

Status Model::loadOptimizer(const std::string &Path) {
  Lock Guard(Impl->Mutex);
  return Impl->loadOptimizer(Path);
}
