//===- Baselines.h - What counting alone achieves -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_BASELINES_H
#define TRANSXSSM_TOOLS_RUN_BASELINES_H

#include "TokenData.h"

namespace transxssm::run {

/// Mean loss in nats of models that count tokens and pairs: a trained model
/// that is not clearly below the bigram has learned next to nothing.
struct Baselines {
  double Unigram = 0; ///< add-one smoothing
  double Bigram = 0;  ///< Witten-Bell interpolation with the unigram
};

/// Counts `Train` and scores every token of `Test` but the first.
Baselines countingBaselines(const TokenRange &Train, const TokenRange &Test,
                            int64_t VocabSize);

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_BASELINES_H
