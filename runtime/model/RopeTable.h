//===- RopeTable.h - Rotary frequencies and the cos/sin table ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// One table serves every layer of a call. Row t holds cos and sin of
// position * inverse frequency j, j < P/2, times the scaling's attention
// factor. Frequencies and angles are computed in float64 and rounded once.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_MODEL_ROPETABLE_H
#define TRANSXSSM_RUNTIME_MODEL_ROPETABLE_H

#include "runtime/model/ModelConfig.h"

#include <cstdint>
#include <vector>

namespace transxssm {

/// The frequencies of one call.
struct RopeFrequencies {
  std::vector<double> Inverse; ///< P/2 of them
  double AttentionFactor = 1.0;
};

/// The frequencies of a call whose largest position is `CallLength` - 1.
RopeFrequencies ropeFrequencies(const ModelConfig &Config, int64_t CallLength);

/// Calls with the same key have the same frequencies. Only `dynamic` and
/// `longrope` depend on the length of the call at all.
int64_t ropeFrequencyKey(const ModelConfig &Config, int64_t CallLength);

/// Writes the rows of positions FirstPosition .. FirstPosition + Count - 1,
/// row-major [Count, P/2].
void fillRopeTable(const RopeFrequencies &Frequencies, int64_t FirstPosition,
                   int64_t Count, float *Cos, float *Sin);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_MODEL_ROPETABLE_H
