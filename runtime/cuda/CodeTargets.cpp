//===- CodeTargets.cpp - Which code a GPU takes ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/CodeTargets.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>

using namespace transxssm;
using namespace transxssm::cuda;

namespace {

/// Compute capability that code was made for: "sm_80", "sm_90a", "ptx-sm_80".
struct CodeTarget {
  int Capability = 0;
  bool IsPtx = false;
  /// Uses what one capability alone has ("a" behind the number).
  bool IsSpecific = false;
};

std::optional<CodeTarget> parseTarget(const std::string &Name) {
  CodeTarget Made;
  Made.IsPtx = Name.rfind("ptx-", 0) == 0;
  std::string Rest = Name.substr(Made.IsPtx ? 4 : 0);
  if (Rest.rfind("sm_", 0) != 0)
    return std::nullopt;
  char *End = nullptr;
  long Number = std::strtol(Rest.c_str() + 3, &End, 10);
  Made.IsSpecific = std::strcmp(End, "a") == 0;
  if (Number < 10 || Number > 999 || (*End && !Made.IsSpecific))
    return std::nullopt;
  Made.Capability = int(Number);
  return Made;
}

/// Machine code runs on its own major capability from its minor one on, PTX on
/// everything newer (CUDA programming guide, "Binary Compatibility" and "PTX
/// Compatibility").
bool runsOn(const CodeTarget &Code, int Capability) {
  if (Code.IsSpecific)
    return Code.Capability == Capability;
  if (Code.IsPtx)
    return Code.Capability <= Capability;
  return Code.Capability / 10 == Capability / 10 &&
         Code.Capability <= Capability;
}

} // namespace

std::vector<size_t> cuda::codeFor(const std::vector<std::string> &Targets,
                                  int Capability) {
  std::vector<std::pair<int, size_t>> Found; // the best first, in their order
  for (size_t I = 0; I < Targets.size(); ++I) {
    std::optional<CodeTarget> Target = parseTarget(Targets[I]);
    if (!Target || !runsOn(*Target, Capability))
      continue;
    int Rank = Target->Capability + (Target->IsSpecific ? 2000 : 0) +
               (Target->IsPtx ? 0 : 1000);
    Found.push_back({-Rank, I});
  }
  std::sort(Found.begin(), Found.end());
  std::vector<size_t> Made;
  for (const auto &[Rank, Place] : Found)
    Made.push_back(Place);
  return Made;
}
