//===- SharedInput.h - Products that read the same matrix -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Brings products together that are one product in truth:
//
//   c, b, x, dt = h Wc^T, h Wb^T, h Wx^T, h Wdt^T        one launch
//   silu(h Wgate^T) * (h Wup^T)                          one launch, one store
//   dWc, dWb, ... = dc^T h, db^T h, ...                  one launch
//   dh = dc Wc + db Wb + dx Wx + ddt Wdt                 one kernel, which goes
//                                                        on adding to its tile
//
// Weights and gradients keep buffers of their own: the cells of a launch are
// divided among them.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_TILING_SHAREDINPUT_H
#define TRANSXSSM_PASSES_TILING_SHAREDINPUT_H

#include "passes/tiling/Fusion.h"

namespace transxssm {
namespace tiling {

/// Merges the groups of a plan where their roots belong together.
void shareInputs(FusionPlan &Plan);

} // namespace tiling
} // namespace transxssm

#endif // TRANSXSSM_PASSES_TILING_SHAREDINPUT_H
