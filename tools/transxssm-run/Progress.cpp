//===- Progress.cpp - Progress on standard error --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Progress.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

using namespace transxssm;

namespace {

/// Columns of the terminal; a longer line would wrap and stay behind.
size_t terminalWidth() {
  winsize Size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &Size) == 0 && Size.ws_col > 20)
    return Size.ws_col - 1;
  return 79;
}

template <typename... Values>
std::string format(const char *Pattern, Values... Arguments) {
  char Buffer[64];
  std::snprintf(Buffer, sizeof(Buffer), Pattern, Arguments...);
  return Buffer;
}

} // namespace

run::Progress::Progress(std::string Label, int64_t Total, int64_t Done)
    : Label(std::move(Label)), Total(std::max<int64_t>(Total, 1)), Before(Done),
      Terminal(::isatty(STDERR_FILENO)), Start(Clock::now()), LastShown(Start) {
}

void run::Progress::update(int64_t Done, const std::string &Text) {
  double Interval = Terminal ? 0.1 : 5.0;
  if (Any && Done < Total && secondsSince(LastShown) < Interval)
    return;
  Any = true;
  LastShown = Clock::now();
  std::string Line =
      Label + " " + std::to_string(Done) + "/" + std::to_string(Total) + " ";
  if (Terminal) {
    int64_t Cells = 16, Filled = std::min(Cells, Cells * Done / Total);
    Line += "[" + std::string(size_t(Filled), '#') +
            std::string(size_t(Cells - Filled), '.') + "] ";
  }
  Line += Text;
  if (Done > Before && Done < Total)
    Line += "  eta " + durationText(secondsSince(Start) * double(Total - Done) /
                                    double(Done - Before));
  if (!Terminal) {
    std::fprintf(stderr, "%s\n", Line.c_str());
    return;
  }
  std::fprintf(stderr, "\r\x1b[K%s", Line.substr(0, terminalWidth()).c_str());
  std::fflush(stderr);
  Shown = true;
}

void run::Progress::say(const std::string &Line) {
  clear();
  std::fprintf(stderr, "%s\n", Line.c_str());
}

void run::Progress::clear() {
  if (Shown)
    std::fputs("\r\x1b[K", stderr);
  Shown = false;
}

std::string run::durationText(double Seconds) {
  int64_t Whole = int64_t(Seconds + 0.5);
  if (Whole >= 3600)
    return format("%lldh%02lldm", (long long)(Whole / 3600),
                  (long long)(Whole / 60 % 60));
  if (Whole >= 60)
    return format("%lldm%02llds", (long long)(Whole / 60),
                  (long long)(Whole % 60));
  return format("%llds", (long long)Whole);
}

std::string run::countText(double Count) {
  if (Count >= 1e9)
    return format("%.3gG", Count / 1e9);
  if (Count >= 1e6)
    return format("%.3gM", Count / 1e6);
  if (Count >= 1e3)
    return format("%.3gk", Count / 1e3);
  return format("%.3g", Count);
}

std::string run::bytesText(uint64_t Bytes) {
  static const char *const Units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double Value = double(Bytes);
  int Unit = 0;
  for (; Value >= 1024 && Unit < 4; ++Unit)
    Value /= 1024;
  return format(Unit == 0 ? "%.0f %s" : "%.1f %s", Value, Units[Unit]);
}
