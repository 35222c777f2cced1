//===- LossChart.h - A picture of a training run --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_LOSSCHART_H
#define TRANSXSSM_TOOLS_RUN_LOSSCHART_H

#include "runtime/support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace transxssm::run {

struct LossPoint {
  int64_t Step = 0;
  double Loss = 0;
};

/// A horizontal line to compare with.
struct ReferenceLine {
  std::string Label;
  double Loss = 0;
};

struct LossChart {
  std::string Title;
  std::vector<LossPoint> Training, Validation;
  std::vector<ReferenceLine> References;

  /// The chart as SVG text: training loss raw and smoothed, validation loss,
  /// reference lines, axes in steps and nats.
  std::string svg() const;
  /// Writes it in one step.
  Status write(const std::string &Path) const;
};

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_LOSSCHART_H
