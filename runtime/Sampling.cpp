//===- Sampling.cpp - Choosing the next token ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Sampling.h"

#include <cmath>

using namespace transxssm;

Status transxssm::checkSampling(const SamplingOptions &Options) {
  if (!std::isfinite(float(Options.Temperature)) || Options.Temperature < 0)
    return makeError(
        "temperature: expected a float32 number of at least 0, got ",
        Options.Temperature);
  if (Options.TopK < 0)
    return makeError("top_k: expected at least 0, got ", Options.TopK);
  if (!(Options.TopP > 0 && Options.TopP <= 1))
    return makeError("top_p: expected a number in (0, 1], got ", Options.TopP);
  return {};
}

Status transxssm::checkDraw(const TokenDraw &Draw, const ModelConfig &Config) {
  if (Draw.Choices < 0 || Draw.Choices > Config.VocabSize)
    return makeError("choices: expected 0 to the vocabulary's ",
                     Config.VocabSize, ", got ", Draw.Choices);
  return checkSampling(Draw.Options);
}
