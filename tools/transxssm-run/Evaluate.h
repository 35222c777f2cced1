//===- Evaluate.h - Loss over a range of tokens ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_EVALUATE_H
#define TRANSXSSM_TOOLS_RUN_EVALUATE_H

#include "TokenData.h"

#include <functional>

namespace transxssm::run {

struct Evaluation {
  double Nats = 0; ///< summed over the scored tokens
  int64_t Scored = 0;
  bool Stopped = false; ///< by an interrupt, before the end
  double mean() const { return Scored ? Nats / double(Scored) : 0.0; }
};

/// Scores every token of the range but the first. Windows of `SeqLen` tokens
/// overlap by one, so that each token is scored exactly once. Runs the entry
/// "forward", or "gradients" where the package has no other.
Result<Evaluation>
evaluate(Model &Of, const TokenRange &Over, int64_t Batch, int64_t SeqLen,
         const std::function<void(const Evaluation &)> &Report = {});

/// Minus the logarithm of softmax(Logits)[Target], in float64.
double crossEntropy(const float *Logits, int64_t VocabSize, int32_t Target);

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_EVALUATE_H
