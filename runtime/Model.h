//===- Model.h - Running a compiled model --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The interface that tools and the Python module sit on. Token ids, masks and
// logits are dense row-major arrays of the caller. Calls on one Model are
// serialised; nothing here throws.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_MODEL_H
#define TRANSXSSM_RUNTIME_MODEL_H

#include "runtime/KernelTraffic.h"
#include "runtime/Package.h"
#include "runtime/Sampling.h"
#include "runtime/support/DType.h"
#include "runtime/support/Error.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace transxssm {

class ModelImpl;
class CacheImpl;

/// Time spent in one kernel since profiling began.
struct KernelProfile {
  std::string Name;
  uint64_t Launches = 0;
  double Seconds = 0;
  /// Of the launches' operands, each counted once: what a kernel that touches
  /// all of them moves at least.
  uint64_t Bytes = 0;
  /// Floating-point operations of products in whole tiles; 0 where the package
  /// does not know them.
  uint64_t Flops = 0;
};

/// What a launch has just written.
struct LaunchView {
  const PackageEntry &Entry;
  size_t Number; ///< of the launch in the entry
  /// By number of the entry's buffers; where the host does not reach them,
  /// copies of those that the launch had.
  const std::vector<void *> &Buffers;
  const std::vector<uint64_t> &Bytes;
};
using LaunchObserver = std::function<void(const LaunchView &)>;

/// A tensor that somebody else owns.
struct TensorView {
  std::string Name;
  DType Type = DType::F32;
  std::vector<int64_t> Shape;
  void *Data = nullptr;
  /// Where a device has memory of its own, Data is a copy, made for this view,
  /// and held by this; else null.
  std::shared_ptr<void> Copy = nullptr;

  int64_t numElements() const {
    int64_t Count = 1;
    for (int64_t Extent : Shape)
      Count *= Extent;
    return Count;
  }
};

struct ModelOptions {
  unsigned Threads = 0;       ///< 0: TRANSXSSM_NUM_THREADS, else all processors
  uint64_t Seed = 0;          ///< for the initial parameters and for dropout
  std::string Device = "cpu"; ///< or "cuda", "cuda:1", "sim", "sim:sm_80"
  /// Called with a line for whatever works but deserves attention.
  std::function<void(const std::string &)> Warn;
};

/// The settings of one AdamW step.
struct Hyperparameters {
  double LearningRate = 1e-3;
  double Beta1 = 0.9;
  double Beta2 = 0.95;
  double Eps = 1e-8;
  double WeightDecay = 0.1; ///< on tensors of rank two and more
  double MaxGradNorm = 1.0; ///< gradients are scaled down to this global norm
  /// After the step, decays A of the SSD layers above LargestKeptDecay are set
  /// to it. A token multiplies the state by exp(dt A) with dt > 0: while A is
  /// negative, the product exp(A sum dt) over any number of tokens stays below
  /// one, so that no sequence is long enough to overflow.
  bool KeepDecayNegative = false;
};

/// Below zero, where a state would sum up all tokens with equal weight: with
/// dt = softplus(0) = ln 2 it halves in 1e4 tokens. Small against the initial
/// -[1, 16), so that training hardly ever feels it.
constexpr float LargestKeptDecay = -1e-4f;

struct TrainResult {
  double Loss = 0;
  double GradNorm = 0; ///< before clipping
  int64_t Step = 0;    ///< counts from one
};

/// What a sequence of calls remembers: the states of the package and the
/// number of tokens seen. Movable; clone() copies the content.
class Cache {
public:
  Cache();
  ~Cache();
  Cache(Cache &&) noexcept;
  Cache &operator=(Cache &&) noexcept;

  int64_t batch() const;
  int64_t capacity() const;
  /// Tokens seen so far, the same for every sequence of the batch.
  int64_t length() const;

  Result<Cache> clone() const;
  /// Forgets everything: states zero, length zero.
  void reset();

  /// A state by its name in the package ("ssd_state.0", "key_cache.7").
  Result<TensorView> state(const std::string &Name) const;
  std::vector<std::string> stateNames() const;

private:
  friend class ModelImpl;
  friend class Model;
  std::unique_ptr<CacheImpl> Impl;
};

/// A package bound to weights and a device.
class Model {
public:
  /// `Weights` is a directory, a `.safetensors` file, an index of shards, or
  /// empty: then parameters get their initial values from Options.Seed.
  static Result<Model> load(const Package &From, const std::string &Weights,
                            const ModelOptions &Options = {});
  /// The same from the package's path.
  static Result<Model> load(const std::string &PackagePath,
                            const std::string &Weights,
                            const ModelOptions &Options = {});

  ~Model();
  Model(Model &&) noexcept;
  Model &operator=(Model &&) noexcept;

  const Package &package() const;
  const ModelConfig &config() const;
  unsigned numThreads() const;

  /// Entry "forward". Ids [B, T]; Mask [B, T] of 0 and 1, or null for all 1;
  /// Logits [B, T, V], or [B, num_labels] of a sequence classifier.
  Status forward(const int32_t *Ids, int64_t Batch, int64_t Seq,
                 const float *Mask, float *Logits);

  /// Entry "gradients": mean loss over labels that are not -100, label t being
  /// the target of token t - 1, and the gradient of every parameter (see
  /// gradient()). Labels [B, T] are not shifted. A sequence classifier takes
  /// labels [B], one for each sequence.
  Result<double> gradients(const int32_t *Ids, const int32_t *Labels,
                           int64_t Batch, int64_t Seq, const float *Mask);

  /// An empty cache. Capacity 0 means the package's longest sequence.
  Result<Cache> newCache(int64_t Batch, int64_t Capacity = 0);

  /// Entry "prefill": appends T tokens to the cache, whatever it holds
  /// already, and writes the logits [B, V] of the last one. A package without
  /// that entry runs "decode" instead.
  Status prefill(const int32_t *Ids, int64_t Batch, int64_t Seq,
                 const float *Mask, Cache &Continued, float *Logits);

  /// Entry "prefill" without its logits: appends T tokens and draws the next
  /// one of each sequence on the device, Tokens [B].
  Status nextTokens(const int32_t *Ids, int64_t Batch, int64_t Seq,
                    const float *Mask, Cache &Continued, const TokenDraw &Draw,
                    int32_t *Tokens);

  /// Entry "decode": appends T >= 1 tokens and writes all logits [B, T, V].
  Status decode(const int32_t *Ids, int64_t Batch, int64_t Seq,
                Cache &Continued, float *Logits);

  /// Entry "train": gradients, clipping and one AdamW update in place.
  Result<TrainResult> trainStep(const int32_t *Ids, const int32_t *Labels,
                                int64_t Batch, int64_t Seq, const float *Mask,
                                const Hyperparameters &Settings);

  /// Names in the order of the package.
  std::vector<std::string> parameterNames() const;
  /// The parameter itself: what is written there takes effect (unless it is a
  /// copy, see TensorView).
  Result<TensorView> parameter(const std::string &Name);
  /// Its gradient from the last call of gradients() or trainStep().
  Result<TensorView> gradient(const std::string &Name);
  /// Its first (1) or second (2) AdamW moment.
  Result<TensorView> moment(const std::string &Name, int Which);
  /// Overwrites a parameter from float32 values in its own shape.
  Status setParameter(const std::string &Name, const float *Values,
                      int64_t Count);

  /// Writes config.json and model.safetensors into a directory (created when
  /// missing), each in one step.
  Status save(const std::string &Directory) const;

  /// Training steps taken so far.
  int64_t step() const;
  void setStep(int64_t Step);
  /// Writes and reads both moments of every parameter, the masters of those
  /// narrower than float32, and the step. save() writes parameters as they are.
  Status saveOptimizer(const std::string &Path);
  Status loadOptimizer(const std::string &Path);

  /// Starts measuring every launch, from zero. It costs two clock reads each.
  void startProfile();
  /// What ran since then, the longest first; kernels that did not run are
  /// left out.
  std::vector<KernelProfile> profile() const;

  /// Starts counting what kernels move, from zero; an error on devices other
  /// than the simulator.
  Status startTraffic();
  /// What ran since then, the most moved first.
  std::vector<KernelTraffic> traffic() const;

  /// Calls `Observer` after every launch that ran, until it is replaced or
  /// taken away with null. For tools that look at intermediate values.
  void observeLaunches(LaunchObserver Observer);

private:
  explicit Model(std::unique_ptr<ModelImpl> Impl);
  std::unique_ptr<ModelImpl> Impl;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_MODEL_H
