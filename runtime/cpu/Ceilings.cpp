//===- Ceilings.cpp - What this processor can do at most ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/Ceilings.h"
#include "runtime/Memory.h"
#include "runtime/cpu/CpuFeatures.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <immintrin.h>
#include <thread>
#include <vector>

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

__attribute__((target("avx512f,avx512bf16"))) double runPairChains512() {
  __m512 Sums[Chains];
  for (__m512 &Sum : Sums)
    Sum = _mm512_set1_ps(1.0f);
  __m512bh X = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
  for (int64_t I = 0; I < Rounds; ++I)
    for (__m512 &Sum : Sums) {
      Sum = _mm512_dpbf16_ps(Sum, X, X);
      asm volatile("" : "+v"(Sum));
    }
  return double(Rounds) * Chains * 2 * 32;
}

constexpr int Vectors = 8; ///< that one step of a stream reads

/// Bytes read, by streams that run side by side through parts of the memory:
/// the processor looks ahead page by page, so one stream alone waits at every
/// page's start, and how many are the fastest differs.
template <int Streams>
__attribute__((target("avx2,fma"))) double sum(const float *Data, size_t Size) {
  __m256 Sums[Vectors];
  for (__m256 &Sum : Sums)
    Sum = _mm256_setzero_ps();
  size_t Part = Size / Streams, I = 0;
  for (; I + 8 * Vectors <= Part; I += 8 * Vectors)
    for (int Stream = 0; Stream < Streams; ++Stream)
      for (int J = 0; J < Vectors; ++J)
        Sums[J] = _mm256_add_ps(
            Sums[J], _mm256_loadu_ps(Data + Stream * Part + I + 8 * J));
  for (__m256 &Sum : Sums)
    asm volatile("" : "+x"(Sum));
  return double(I) * Streams * sizeof(float);
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

double transxssm::measureBf16Peak(unsigned Threads) {
  if (!missingCpuFeatures({"avx512f", "avx512_bf16"}).empty())
    return measureFmaPeak(Threads);
  return bestRate(Threads, 20, [](unsigned) { return runPairChains512(); });
}

double transxssm::measureReadBandwidth(unsigned Threads, const float *Data,
                                       size_t Size) {
  if (!hasCpuFeature("avx2"))
    return 0;
  size_t Share = Size / Threads;
  double Best = 0;
  for (auto *Sum : {sum<1>, sum<2>, sum<4>, sum<8>})
    Best = std::max(Best, bestRate(Threads, 4, [&](unsigned Thread) {
                      return Sum(Data + Thread * Share, Share);
                    }));
  return Best;
}

Ceilings transxssm::measureCeilings(unsigned Threads) {
  constexpr size_t Size = size_t(64) << 20;
  Ceilings Made{measureFmaPeak(Threads), measureBf16Peak(Threads), 0};
  // As a model's memory: in large pages where the system has them.
  if (Result<MemoryBlock> Block =
          MemoryBlock::allocate(Size * sizeof(float), "read bandwidth")) {
    auto *Data = reinterpret_cast<float *>(Block->data());
    // Ones: memory that was never written to is one page of zeros.
    std::fill_n(Data, Size, 1.0f);
    Made.BytesReadPerSecond = measureReadBandwidth(Threads, Data, Size);
  }
  return Made;
}
