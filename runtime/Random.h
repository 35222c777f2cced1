//===- Random.h - Counter-based random numbers ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011). A number is a function of key and counter, so
// any element of any tensor can be drawn by itself, in any order.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_RANDOM_H
#define TRANSXSSM_RUNTIME_RANDOM_H

#include <array>
#include <cstdint>

namespace transxssm {

/// Four random words for this counter under this key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> Counter, uint64_t Key);

/// Uniform in (0, 1): never 0, so that its logarithm is finite.
inline double uniformOpen(uint32_t Word) { return (Word + 0.5) * 0x1p-32; }

/// Elements First .. First + Count - 1 of stream `Stream`, from
/// normal(0, Deviation).
void fillNormal(uint64_t Seed, uint32_t Stream, int64_t First, int64_t Count,
                double Deviation, float *Out);

/// The same, uniform in [Low, High).
void fillUniform(uint64_t Seed, uint32_t Stream, int64_t First, int64_t Count,
                 double Low, double High, float *Out);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_RANDOM_H
