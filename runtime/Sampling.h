//===- Sampling.h - Choosing the next token ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Tokens are drawn by a kernel of the package (txs.sample), so that logits stay
// on the device. Here is what it is told.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SAMPLING_H
#define TRANSXSSM_RUNTIME_SAMPLING_H

#include "runtime/model/ModelConfig.h"
#include "runtime/support/Error.h"

#include <cstdint>

namespace transxssm {

struct SamplingOptions {
  double Temperature = 0.0; ///< 0 takes the most likely token
  int64_t TopK = 0;         ///< keep the K most likely; 0 keeps all
  double TopP = 1.0; ///< keep the fewest tokens with at least this probability
  uint64_t Seed = 0;
};

/// One token for each sequence of a batch. The randomness depends on (seed, row
/// of the batch, step) alone: a row gets the same tokens whatever stands next
/// to it. Equally likely tokens are kept or dropped together; of several most
/// likely ones temperature 0 takes the lowest.
struct TokenDraw {
  SamplingOptions Options;
  uint64_t Step = 0; ///< its lower 32 bits count
  /// Only tokens below this are drawn; 0 allows the whole vocabulary.
  int64_t Choices = 0;
};

/// Refuses numbers that are negative, not finite or not in float32's range.
Status checkSampling(const SamplingOptions &Options);
/// The same, and choices beyond the vocabulary.
Status checkDraw(const TokenDraw &Draw, const ModelConfig &Config);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SAMPLING_H
