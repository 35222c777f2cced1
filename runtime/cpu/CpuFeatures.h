//===- CpuFeatures.h - What this processor can do ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CPU_CPUFEATURES_H
#define TRANSXSSM_RUNTIME_CPU_CPUFEATURES_H

#include <string>
#include <vector>

namespace transxssm {

/// Whether the processor and the kernel offer a feature, by its name in
/// /proc/cpuinfo: "avx2", "fma", "avx512f", "avx512_bf16", ...
bool hasCpuFeature(const std::string &Name);

/// Those of `Names` that this machine lacks.
std::vector<std::string>
missingCpuFeatures(const std::vector<std::string> &Names);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_CPU_CPUFEATURES_H
