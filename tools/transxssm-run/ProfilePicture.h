//===- ProfilePicture.h - Where the time of a call goes ---------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_PROFILEPICTURE_H
#define TRANSXSSM_TOOLS_RUN_PROFILEPICTURE_H

#include "runtime/Model.h"
#include "runtime/cpu/Ceilings.h"

#include <string>
#include <vector>

namespace transxssm::run {

/// The kernels of one entry's calls.
struct EntryProfile {
  std::string Entry;
  double Seconds = 0; ///< of all calls together, also outside of kernels
  double Calls = 1;
  std::vector<KernelProfile> Kernels; ///< the longest first
};

/// Shares of the machine's peaks; 0 where one of the two is not known.
double shareOfFma(const KernelProfile &Kernel, const Ceilings &Peaks);
double shareOfRead(const KernelProfile &Kernel, const Ceilings &Peaks);

/// As SVG text: for each entry a row of its time, below it one of kinds of
/// kernels and one of kernels, as wide as their time; the closer to a peak of
/// the machine, the greener.
std::string profilePicture(const std::vector<EntryProfile> &Profiles,
                           const Ceilings &Peaks);

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_PROFILEPICTURE_H
