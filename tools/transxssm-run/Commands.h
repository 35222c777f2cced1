//===- Commands.h - The subcommands of transxssm-run ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_COMMANDS_H
#define TRANSXSSM_TOOLS_RUN_COMMANDS_H

#include "runtime/Model.h"
#include "runtime/Sampling.h"
#include "runtime/support/Error.h"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace transxssm::run {

enum ExitCode : int { Success = 0, Failure = 1, Usage = 2, Interrupted = 130 };

/// What every command that runs a model needs.
struct CommonOptions {
  std::string Package;
  std::string Device = "cpu";
  unsigned Threads = 0;
};

/// What DataOptions::Format may be.
inline const std::vector<std::string> DataFormats = {"auto", "bytes", "npy",
                                                     "uint16", "uint32"};

/// Where tokens come from.
struct DataOptions {
  std::vector<std::string> Files;
  std::string Format = "auto";
};

/// The largest TrainOptions::ValidationFraction, which leaves something to
/// train on.
inline constexpr double MaxValidationFraction = 0.9;

/// The settings of a training run. A checkpoint's trainer.json holds those
/// that decide about the numbers, so that a resumed run goes on as it began.
struct TrainOptions {
  CommonOptions Common;
  DataOptions Data;
  std::vector<std::string> ValidationFiles;
  double ValidationFraction = 0.05;
  std::string Weights, Out, Resume;
  int64_t Steps = 0;
  int64_t Batch = 0;  ///< 0: as many as the package takes
  int64_t SeqLen = 0; ///< 0: as long as the package takes
  double LearningRate = 1e-3;
  double MinLearningRate = -1; ///< negative: a tenth of LearningRate
  int64_t Warmup = -1;         ///< negative: a tenth of Steps, at most 100
  double Beta1 = 0.9, Beta2 = 0.95, Eps = 1e-8;
  double WeightDecay = 0.1, MaxGradNorm = 1.0;
  bool KeepDecayNegative = false; ///< see Hyperparameters
  int64_t Seed = 0;
  int64_t SaveEvery = 0;  ///< 0: at the end only
  int64_t EvalEvery = -1; ///< negative: ten times in the run; 0: at the end
  int64_t EvalTokens = 16384;
  int64_t Keep = 0; ///< checkpoints to keep; 0: all
  /// Names of the options that stood on the command line; they win over what
  /// a checkpoint says.
  std::set<std::string> Given;
};

struct GenerateOptions {
  CommonOptions Common;
  std::string Weights, Prompt, PromptFile;
  std::vector<int64_t> Ids;
  bool UseIds = false;
  bool Echo = false;     ///< print the prompt too
  int64_t NumTokens = 0; ///< 0: 128, or fewer where the package ends
  SamplingOptions Sampling;
};

struct EvalOptions {
  CommonOptions Common;
  DataOptions Data;
  std::string Weights;
  int64_t Batch = 0, SeqLen = 0, MaxTokens = 0;
  bool Json = false;
};

struct InspectOptions {
  std::string Package;
  std::vector<int64_t> Batches, SeqLens;
  bool Parameters = false, Kernels = false, Json = false;
};

struct BenchOptions {
  CommonOptions Common;
  std::vector<std::string> Entries;
  int64_t Batch = 1, SeqLen = 0, Past = -1;
  int64_t Iterations = 10, Warmup = 2, Seed = 0;
  bool Json = false;
  bool Profile = false;
  std::string ProfilePicture; ///< a path, or empty
  bool Traffic = false;
};

/// Each returns an exit code, or an error that main() prints.
Result<int> runTrain(TrainOptions Options);
Result<int> runGenerate(GenerateOptions Options);
Result<int> runEval(const EvalOptions &Options);
Result<int> runInspect(const InspectOptions &Options);
Result<int> runBench(const BenchOptions &Options);

/// A model with its warnings going to standard error. Empty weights draw
/// random ones from the seed.
Result<Model> openModel(const CommonOptions &Options,
                        const std::string &Weights, uint64_t Seed = 0);

/// Resolves 0 to the package's maximum and rejects what exceeds it.
Status resolveSizes(const Package &From, int64_t &Batch, int64_t &SeqLen);

/// Clear error for a package that classifies sequences: it has no next token.
Status requireLanguageModel(const Package &From);

/// Clear error unless every byte is a token of this model.
Status requireByteVocabulary(const Package &From);

/// Asks SIGINT and SIGTERM to end the work at the next good moment; a second
/// signal ends the process at once.
void watchInterrupts();
bool wasInterrupted();

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_COMMANDS_H
