//===- CpuFeatures.cpp - What this processor can do ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/CpuFeatures.h"

#include <fstream>
#include <set>
#include <sstream>

using namespace transxssm;

namespace {

/// The words of the first "flags" line. The kernel lists only what it also
/// saves on a context switch, which a bare cpuid would not tell.
std::set<std::string> readFlags() {
  std::ifstream File("/proc/cpuinfo");
  std::string Line;
  while (std::getline(File, Line)) {
    if (Line.rfind("flags", 0) != 0)
      continue;
    std::istringstream Words(Line.substr(Line.find(':') + 1));
    std::set<std::string> Flags;
    for (std::string Word; Words >> Word;)
      Flags.insert(Word);
    return Flags;
  }
  return {};
}

} // namespace

bool transxssm::hasCpuFeature(const std::string &Name) {
  static const std::set<std::string> Flags = readFlags();
  return Flags.count(Name) != 0;
}

std::vector<std::string>
transxssm::missingCpuFeatures(const std::vector<std::string> &Names) {
  std::vector<std::string> Missing;
  for (const std::string &Name : Names)
    if (!hasCpuFeature(Name))
      Missing.push_back(Name);
  return Missing;
}
