//===- Sampling.h - Choosing the next token ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SAMPLING_H
#define TRANSXSSM_RUNTIME_SAMPLING_H

#include "runtime/support/Error.h"

#include <cstdint>
#include <vector>

namespace transxssm {

struct SamplingOptions {
  double Temperature = 0.0; ///< 0 takes the most likely token
  int64_t TopK = 0;         ///< keep the K most likely; 0 keeps all
  double TopP = 1.0; ///< keep the fewest tokens with at least this probability
  uint64_t Seed = 0;
};

/// Draws tokens. The randomness of a draw depends on (seed, row, step) alone:
/// a row of a batch gets the same tokens whatever stands next to it.
class Sampler {
public:
  /// Rejects negative or non-finite options.
  static Result<Sampler> create(const SamplingOptions &Options);

  /// The next token of row `Row` at step `Step`. Ties go to the lower token.
  /// An error when a logit is NaN or all are -infinity.
  Result<int32_t> sample(const float *Logits, int64_t VocabSize, uint64_t Row,
                         uint64_t Step);

private:
  explicit Sampler(const SamplingOptions &Options) : Options(Options) {}

  SamplingOptions Options;
  std::vector<int32_t> Order;
  std::vector<double> Weights;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SAMPLING_H
