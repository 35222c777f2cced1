//===- ModelImpl.h - What is behind Model and Cache -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to the runtime. ModelCalls.cpp runs entries, ModelWeights.cpp fills
// and stores parameters, Model.cpp connects both to the public classes.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_MODELIMPL_H
#define TRANSXSSM_RUNTIME_MODELIMPL_H

#include "runtime/Executor.h"
#include "runtime/Memory.h"
#include "runtime/Model.h"
#include "runtime/SafeTensors.h"
#include "runtime/cpu/ThreadPool.h"
#include "runtime/model/RopeTable.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace transxssm {

/// The states of one cache.
class CacheImpl {
public:
  explicit CacheImpl(const Package &From) : From(From) {}

  Package From;
  uint64_t Owner = 0; ///< number of the model that made it
  int64_t Batch = 0;
  int64_t Capacity = 0;
  int64_t Length = 0;
  std::vector<uint64_t> Sizes;
  SharedSpace Space;
  TensorArena States;
};

/// Rows of cos and sin, computed once and kept while the frequencies last.
class RopeRows {
public:
  /// Writes the rows of a call; either target may be null.
  void copy(const ModelConfig &Config, int64_t Past, int64_t Seq, float *Cos,
            float *Sin);

private:
  int64_t Key = -1;
  int64_t Rows = 0;
  RopeFrequencies Frequencies;
  std::vector<float> CosRows, SinRows;
};

/// What one call of an entry works on. Pointers belong to the caller.
struct ModelCall {
  std::string Entry;
  int64_t Batch = 0, Seq = 0;
  const int32_t *Ids = nullptr;
  const int32_t *Labels = nullptr;
  const float *Mask = nullptr;
  CacheImpl *Cache = nullptr;
  const Hyperparameters *Settings = nullptr;
  TokenDraw Draw;     ///< the most likely token unless set
  std::string Output; ///< the only one that is wanted, or empty: all
};

class ModelImpl {
public:
  static Result<std::unique_ptr<ModelImpl>> create(const Package &From,
                                                   const std::string &Weights,
                                                   const ModelOptions &Options);

  // ModelCalls.cpp
  Status runToLogits(const ModelCall &Call, bool LastTokenOnly, float *Logits);
  Status runToTokens(const ModelCall &Call, int32_t *Tokens);
  Result<double> runToLoss(const ModelCall &Call);
  Result<TrainResult> runTraining(const ModelCall &Call);
  Result<std::unique_ptr<CacheImpl>> makeCache(int64_t Batch, int64_t Capacity);

  // ModelWeights.cpp
  Result<size_t> parameterIndex(const std::string &Name) const;
  Result<TensorView> view(size_t Index, const TensorArena &Arena,
                          DType Type) const;
  Result<TensorView> gradientView(const std::string &Name);
  Result<TensorView> momentView(const std::string &Name, int Which);
  Status setParameter(const std::string &Name, const float *Values,
                      int64_t Count);
  Status save(const std::string &Directory) const;
  Status saveOptimizer(const std::string &Path);
  Status loadOptimizer(const std::string &Path);

  Package From;
  ModelOptions Options;
  ThreadPool Pool;
  std::unique_ptr<Executor> Code;
  TensorArena Parameters;
  TensorArena Gradients; ///< empty until an entry needs it, as the moments
  TensorArena Moments1;
  TensorArena Moments2;
  /// The float32 values that narrower parameters are rounded from; nothing for
  /// the others. Zero, or whatever else does not round to its parameter, stands
  /// for the parameter itself: see txs.adamw.
  TensorArena Masters;
  int64_t Step = 0;
  /// No other model of this process has it, which cannot be said of an address.
  const uint64_t Number;
  /// One call at a time; the public methods lock it.
  std::mutex Mutex;

private:
  ModelImpl(const Package &From, const ModelOptions &Options, unsigned Threads);

  // ModelCalls.cpp
  Result<const PackageEntry *> findEntry(const std::string &Name) const;
  Status checkCall(const ModelCall &Call) const;
  Status checkTokens(const ModelCall &Call) const;
  Status checkLabels(const ModelCall &Call) const;
  int64_t labelCount(const ModelCall &Call) const;
  Status checkCache(const ModelCall &Call) const;
  Result<Binding *> run(const ModelCall &Call);
  void fillInputs(Binding &Bound, const ModelCall &Call);
  Status reserveTraining(const PackageEntry &Entry);

  // ModelWeights.cpp
  Status allocateParameters();
  Status initialize();
  Status initializeChunk(size_t Index, int64_t First, int64_t Count);
  Status loadWeights(const std::string &Path);
  Status checkExtraTensor(const SafeTensors &File,
                          const SafeTensor &Extra) const;
  Result<TensorArena *> momentArena(int Which);
  Status warnOfGrowth() const;
  Status keepDecayNegative();
  std::vector<uint64_t> floatSizes() const;
  bool hasMaster(const PackageParameter &Parameter) const;
  Status reserveMasters();
  Result<std::vector<float>> parameterValues(size_t Index) const;

  std::unordered_map<std::string, size_t> ParameterIndex;
  /// Weights in a wider type than the parameters, kept mapped until masters are
  /// made of them.
  std::optional<SafeTensors> WideWeights;
  RopeRows Rope;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_MODELIMPL_H
