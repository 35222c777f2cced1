//===- Generation.h - Continuing prompts ---------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
//   GenerationOptions Options;
//   Options.NewTokens = 100;
//   Options.Sampling.Temperature = 0.7;
//   Options.OnTokens = [](int64_t Step, const int32_t *Tokens) {
//     std::printf("%d ", Tokens[0]); // of row 0
//     return true;                   // go on
//   };
//   Result<Generated> Made = generate(Model, Ids, Batch, Seq, Mask, Options);
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_GENERATION_H
#define TRANSXSSM_RUNTIME_GENERATION_H

#include "runtime/Model.h"
#include "runtime/Sampling.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace transxssm {

struct GenerationOptions {
  int64_t NewTokens = 0; ///< for each sequence, at least 1
  SamplingOptions Sampling;
  /// Only tokens below this are drawn; 0 allows the whole vocabulary.
  int64_t Choices = 0;
  /// Called with the new token of every row, step after step; false ends the
  /// generation behind this step. May be empty.
  std::function<bool(int64_t Step, const int32_t *Tokens)> OnTokens;
};

struct Generated {
  int64_t Steps = 0;           ///< fewer than asked for when OnTokens ended it
  std::vector<int32_t> Tokens; ///< [B, Steps]
};

/// Whether a cache of the package holds a prompt and what follows it. The last
/// new token is never fed back, so it needs no place.
Status checkGeneration(const Package &Of, int64_t Prompt, int64_t NewTokens);

/// Continues every row of Ids [B, T]. Shorter prompts are padded on the left,
/// with 0 in Mask [B, T] (null: no padding). A row's tokens depend on its ids,
/// its number and the seed alone. Needs the entry "prefill".
Result<Generated> generate(Model &Of, const int32_t *Ids, int64_t Batch,
                           int64_t Seq, const float *Mask,
                           const GenerationOptions &Options);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_GENERATION_H
