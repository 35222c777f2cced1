//===- Ceilings.cpp - What this processor can do at most ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/Ceilings.h"
#include "runtime/cpu/CpuFeatures.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <immintrin.h>
#include <thread>

using namespace transxssm;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int64_t Rounds = 400000; ///< 2 to 4 ms
constexpr int Chains = 12;         ///< latency 4, two units: 8 would do

/// Operations done.
__attribute__((target("avx2,fma"))) double runChains256() {
  __m256 Sums[Chains];
  for (__m256 &Sum : Sums)
    Sum = _mm256_set1_ps(1.0f);
  __m256 X = _mm256_set1_ps(0.999f), Y = _mm256_set1_ps(0.001f);
  for (int64_t I = 0; I < Rounds; ++I)
    for (__m256 &Sum : Sums) {
      Sum = _mm256_fmadd_ps(Sum, X, Y);
      asm volatile("" : "+x"(Sum)); // Else the loop is computed beforehand.
    }
  return double(Rounds) * Chains * 2 * 8;
}

__attribute__((target("avx512f"))) double runChains512() {
  __m512 Sums[Chains];
  for (__m512 &Sum : Sums)
    Sum = _mm512_set1_ps(1.0f);
  __m512 X = _mm512_set1_ps(0.999f), Y = _mm512_set1_ps(0.001f);
  for (int64_t I = 0; I < Rounds; ++I)
    for (__m512 &Sum : Sums) {
      Sum = _mm512_fmadd_ps(Sum, X, Y);
      asm volatile("" : "+v"(Sum));
    }
  return double(Rounds) * Chains * 2 * 16;
}

/// Bytes read.
__attribute__((target("avx2,fma"))) double sum(const float *Data, size_t Size) {
  __m256 Sums[8];
  for (__m256 &Sum : Sums)
    Sum = _mm256_setzero_ps();
  size_t I = 0;
  for (; I + 64 <= Size; I += 64)
    for (int J = 0; J < 8; ++J)
      Sums[J] = _mm256_add_ps(Sums[J], _mm256_loadu_ps(Data + I + 8 * J));
  for (__m256 &Sum : Sums)
    asm volatile("" : "+x"(Sum));
  return double(I) * sizeof(float);
}

/// Work per second of all threads together, from the first start to the last
/// end; the best of `Trials`.
double bestRate(unsigned Threads, int Trials,
                const std::function<double(unsigned)> &Work) {
  double Best = 0;
  for (int Trial = 0; Trial < Trials; ++Trial) {
    std::atomic<unsigned> Ready = 0;
    std::vector<Clock::time_point> Began(Threads), Ended(Threads);
    std::vector<double> Done(Threads);
    auto Run = [&](unsigned Thread) {
      ++Ready;
      while (Ready < Threads)
        std::this_thread::yield();
      Began[Thread] = Clock::now();
      Done[Thread] = Work(Thread);
      Ended[Thread] = Clock::now();
    };
    std::vector<std::thread> Others;
    for (unsigned Thread = 1; Thread < Threads; ++Thread)
      Others.emplace_back(Run, Thread);
    Run(0);
    double Total = Done[0];
    for (unsigned Thread = 1; Thread < Threads; ++Thread) {
      Others[Thread - 1].join();
      Total += Done[Thread];
    }
    std::chrono::duration<double> Seconds =
        *std::max_element(Ended.begin(), Ended.end()) -
        *std::min_element(Began.begin(), Began.end());
    Best = std::max(Best, Total / std::max(Seconds.count(), 1e-9));
  }
  return Best;
}

} // namespace

double transxssm::measureFmaPeak(unsigned Threads) {
  if (!missingCpuFeatures({"avx2", "fma"}).empty())
    return 0;
  bool Wide = hasCpuFeature("avx512f");
  return bestRate(Threads, 20, [Wide](unsigned) {
    return Wide ? runChains512() : runChains256();
  });
}

double transxssm::measureReadBandwidth(unsigned Threads,
                                       const std::vector<float> &Data) {
  if (!hasCpuFeature("avx2"))
    return 0;
  size_t Share = Data.size() / Threads;
  return bestRate(Threads, 6, [&](unsigned Thread) {
    return sum(Data.data() + Thread * Share, Share);
  });
}

Ceilings transxssm::measureCeilings(unsigned Threads) {
  // Ones: memory that was never written to is one page of zeros.
  std::vector<float> Data(size_t(64) << 20, 1.0f);
  return {measureFmaPeak(Threads), measureReadBandwidth(Threads, Data)};
}
