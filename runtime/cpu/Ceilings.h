//===- Ceilings.h - What this processor can do at most --------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Speeds that no kernel exceeds, measured: machines are shared and their clocks
// move, so a datasheet is no measure. Each is the best of several short trials.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CPU_CEILINGS_H
#define TRANSXSSM_RUNTIME_CPU_CEILINGS_H

#include <cstddef>

namespace transxssm {

struct Ceilings {
  double FlopsPerSecond = 0;     ///< of independent float32 FMA chains
  double Bf16FlopsPerSecond = 0; ///< of dot products of bf16 pairs
  double BytesReadPerSecond = 0; ///< of sums over memory
};

/// Floating-point operations per second of `Threads` threads together.
double measureFmaPeak(unsigned Threads);

/// The same of products of bf16: by AVX512-BF16, or as float32 without it.
double measureBf16Peak(unsigned Threads);

/// Bytes per second that `Threads` threads read of `Size` floats, much more
/// than the caches hold, in as many streams as is fastest.
double measureReadBandwidth(unsigned Threads, const float *Data, size_t Size);

/// All of them, with 256 MiB of memory: about half a second.
Ceilings measureCeilings(unsigned Threads);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_CPU_CEILINGS_H
