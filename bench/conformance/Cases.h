//===- Cases.h - The conformance set --------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The kernels that bench/gpu_check compares with the simulator's answers. Each
// answer is written from the tables of the PTX ISA once more, in terms of
// elements, so that the simulator's tests compare it with the same.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_BENCH_CONFORMANCE_CASES_H
#define TRANSXSSM_BENCH_CONFORMANCE_CASES_H

#include "bench/conformance/Case.h"

#include <cmath>

namespace transxssm::conformance {

/// Shuffles, votes, ldmatrix and stmatrix.
void addWarpCases(std::vector<Case> &To);
/// mma.sync: fragments, and operands in either order of shared memory.
void addMmaCases(std::vector<Case> &To);
/// wgmma: both orders of each operand, every swizzle, widths, signs.
void addWgmmaCases(std::vector<Case> &To);
/// cp.async, guarded accesses.
void addCopyCases(std::vector<Case> &To);
/// Tensor loads and stores: ranks, swizzles, boxes over the edge.
void addTensorCases(std::vector<Case> &To);
/// What must be rounded as IEEE 754 says, and approximations.
void addArithmeticCases(std::vector<Case> &To);
/// The kernels of a folder, test/sim/kernels: barriers, registers, whole small
/// products.
void addFileCases(std::vector<Case> &To, const std::string &Folder);

/// All of them.
std::vector<Case> allCases(const std::string &Folder);

/// Small integers without a period that a layout could hide behind.
inline float smallInteger(size_t Number, int Seed) {
  return float(int((Number * 7 + Number / 13 * 3 + size_t(Seed)) % 15) - 7);
}

} // namespace transxssm::conformance

#endif // TRANSXSSM_BENCH_CONFORMANCE_CASES_H
