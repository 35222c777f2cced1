//===- CodeTargets.h - Which code a GPU takes -----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CUDA_CODETARGETS_H
#define TRANSXSSM_RUNTIME_CUDA_CODETARGETS_H

#include <cstddef>
#include <string>
#include <vector>

namespace transxssm::cuda {

/// Places in `Targets` ("sm_80", "sm_90a", "ptx-sm_80") of code for a GPU of
/// that capability (80 for 8.0), the best first: made for it alone, then
/// machine code, then PTX, each by falling capability.
std::vector<size_t> codeFor(const std::vector<std::string> &Targets,
                            int Capability);

} // namespace transxssm::cuda

#endif // TRANSXSSM_RUNTIME_CUDA_CODETARGETS_H
