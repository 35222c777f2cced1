//===- Comparison.h - Two results for one value ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_PROBE_COMPARISON_H
#define TRANSXSSM_TOOLS_PROBE_COMPARISON_H

#include "tools/probe/Probe.h"

namespace transxssm {

/// Fills in Shape, Error, and where it diverges Index and both elements.
/// `Data` holds Type elements, as many as the reference has.
Status compare(const txs::Tensor &Reference, DType Type, const void *Data,
               ProbedValue &Into);

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_PROBE_COMPARISON_H
