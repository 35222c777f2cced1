//===- Case.cpp - One kernel with its inputs and answers ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Case.h"

#include <cmath>
#include <cstdio>

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

std::string hex(const uint8_t *From, size_t Count) {
  std::string Text = "0x";
  for (size_t I = Count; I > 0; --I) {
    char Digits[3];
    std::snprintf(Digits, sizeof(Digits), "%02x", From[I - 1]);
    Text += Digits;
  }
  return Text;
}

bool isNear(const uint8_t *Actual, const uint8_t *Expected, double Bound) {
  float A, E;
  std::memcpy(&A, Actual, 4);
  std::memcpy(&E, Expected, 4);
  return std::memcmp(Actual, Expected, 4) == 0 || A == E ||
         std::abs(double(A) - double(E)) <= Bound * std::abs(double(E));
}

} // namespace

std::string conformance::difference(const Case &Of, const Contents &Actual) {
  for (size_t N = 0; N < Of.Arguments.size(); ++N) {
    const Argument &Each = Of.Arguments[N];
    if (Each.Kind == Argument::Role::Size)
      continue;
    // Words, for there is nothing shorter that a kernel stores alone but
    // halves, which are shown with their neighbour.
    size_t Differ = 0, First = 0, Words = Each.Bytes.size() / 4;
    if (Actual[N].size() != Each.Bytes.size())
      return Each.Name + ": expected " + std::to_string(Each.Bytes.size()) +
             " bytes, got " + std::to_string(Actual[N].size());
    for (size_t I = 0; I < Words; ++I) {
      const uint8_t *A = &Actual[N][4 * I], *E = &Each.Bytes[4 * I];
      bool Same =
          Each.Bound > 0 ? isNear(A, E, Each.Bound) : std::memcmp(A, E, 4) == 0;
      if (!Same && Differ++ == 0)
        First = I;
    }
    if (Differ)
      return Each.Name + ": " + std::to_string(Differ) + " of " +
             std::to_string(Words) + " words differ, first at " +
             std::to_string(First) + ": expected " +
             hex(&Each.Bytes[4 * First], 4) + ", got " +
             hex(&Actual[N][4 * First], 4);
  }
  return "";
}
