//===- Numbers.h - Which numbers an option takes ----------------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// CLI11's own checks take a number that is too large for 64 bits as the largest
// one, and let "nan" pass every range.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_NUMBERS_H
#define TRANSXSSM_TOOLS_RUN_NUMBERS_H

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>

namespace transxssm::run {

/// Refuses what `Fits` refuses; `Expected` says in words what it takes.
inline CLI::Validator numberThat(std::function<bool(const char *)> Fits,
                                 const std::string &Expected) {
  return CLI::Validator(
      [=](std::string &Given) {
        return Fits(Given.c_str())
                   ? std::string()
                   : "expected " + Expected + ", got '" + Given + "'";
      },
      "");
}

inline CLI::Validator wholeNumber(int64_t Low, int64_t High = INT64_MAX) {
  std::string Range = "a whole number ";
  Range += High == INT64_MAX
               ? "of at least " + std::to_string(Low)
               : "from " + std::to_string(Low) + " to " + std::to_string(High);
  return numberThat(
      [=](const char *Text) {
        char *End = nullptr;
        errno = 0;
        int64_t Number = std::strtoll(Text, &End, 10);
        return End != Text && *End == 0 && errno == 0 && Number >= Low &&
               Number <= High;
      },
      Range);
}

/// Finite numbers for which `Accepts` is true.
inline CLI::Validator realNumber(std::function<bool(double)> Accepts,
                                 const std::string &Expected) {
  return numberThat(
      [=](const char *Text) {
        char *End = nullptr;
        double Number = std::strtod(Text, &End);
        return End != Text && *End == 0 && std::isfinite(Number) &&
               Accepts(Number);
      },
      Expected);
}

inline CLI::Validator notNegativeNumber() {
  return realNumber([](double X) { return X >= 0; }, "a number of at least 0");
}
inline CLI::Validator positiveNumber() {
  return realNumber([](double X) { return X > 0; }, "a number above 0");
}
/// From 0 to High.
inline CLI::Validator shareUpTo(double High, const std::string &Words) {
  return realNumber([=](double X) { return X >= 0 && X <= High; },
                    "a number from 0 to " + Words);
}

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_NUMBERS_H
