//===- Progress.h - Progress on standard error ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_PROGRESS_H
#define TRANSXSSM_TOOLS_RUN_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <string>

namespace transxssm::run {

using Clock = std::chrono::steady_clock;

inline double secondsSince(Clock::time_point Start) {
  return std::chrono::duration<double>(Clock::now() - Start).count();
}

/// On a terminal one line that is rewritten, elsewhere a plain line every few
/// seconds.
class Progress {
public:
  /// `Label` starts the line; `Total` units of work are ahead, `Done` of them
  /// were done by an earlier run.
  Progress(std::string Label, int64_t Total, int64_t Done = 0);
  ~Progress() { clear(); }

  /// Shows the bar, `Text` and the estimated time left.
  void update(int64_t Done, const std::string &Text);
  /// Prints a line of its own, above the bar.
  void say(const std::string &Line);
  /// Removes the bar from the terminal.
  void clear();

private:
  std::string Label;
  int64_t Total, Before;
  bool Terminal, Shown = false, Any = false;
  Clock::time_point Start, LastShown;
};

/// "1h02m", "3m05s", "12s".
std::string durationText(double Seconds);
/// "1.23M", "45.6k", "789".
std::string countText(double Count);
/// "1.5 GiB".
std::string bytesText(uint64_t Bytes);

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_PROGRESS_H
