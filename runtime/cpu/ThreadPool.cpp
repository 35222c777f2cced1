//===- ThreadPool.cpp - Threads that share the cells of a grid -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A job is published by opening the gate. A worker that finds it open steps
// inside (one compare-and-swap), takes cells until none are left, and steps
// out. The caller takes cells too; when it runs out, it shuts the gate and
// waits for those inside. A worker that is late finds the gate shut: nobody
// waits for it, and it cannot touch the fields of the next job.
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/ThreadPool.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include <sched.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace transxssm;

namespace {

constexpr uint64_t Open = uint64_t(1) << 31;
constexpr uint64_t InsideMask = Open - 1;
constexpr unsigned MaxThreads = 1024;
// What TRANSXSSM_NUM_THREADS may ask for, as --threads.
constexpr unsigned MaxWanted = 4096;
constexpr std::chrono::microseconds SpinTime(100);

void pauseBriefly() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

/// Gives kernels the default floating-point environment (round to nearest,
/// denormals kept) on every thread: a caller that flushes denormals would
/// otherwise get different bits for the cells that it runs itself.
class DefaultFloatEnvironment {
public:
#if defined(__x86_64__)
  DefaultFloatEnvironment() : Saved(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~DefaultFloatEnvironment() { _mm_setcsr(Saved); }

private:
  unsigned Saved;
#else
  DefaultFloatEnvironment() {}
#endif
};

/// Processors that this process may run on.
unsigned usableProcessors() {
  cpu_set_t Set;
  CPU_ZERO(&Set);
  if (sched_getaffinity(0, sizeof(Set), &Set) == 0)
    return unsigned(std::max(CPU_COUNT(&Set), 1));
  return std::max(std::thread::hardware_concurrency(), 1u);
}

} // namespace

Result<unsigned> ThreadPool::defaultThreads() {
  const char *Name = "TRANSXSSM_NUM_THREADS";
  const char *Given = std::getenv(Name);
  std::string_view Text = Given ? Given : "";
  if (Text.empty())
    return std::min(usableProcessors(), MaxThreads);
  unsigned Count = 0;
  auto [End, Failed] =
      std::from_chars(Text.data(), Text.data() + Text.size(), Count);
  if (Failed != std::errc() || End != Text.data() + Text.size() || Count < 1 ||
      Count > MaxWanted)
    return makeError(Name, ": expected 1 to ", MaxWanted, ", got '", Text, "'");
  return Count;
}

ThreadPool::ThreadPool(unsigned Threads) {
  Threads = std::clamp(Threads, 1u, MaxThreads);
  // Spinning helps only while every thread has a processor to itself.
  Spins = Threads <= usableProcessors();
  Workers.reserve(Threads - 1);
  for (unsigned I = 1; I < Threads; ++I) {
    try {
      Workers.emplace_back([this, I] { work(I); });
    } catch (const std::system_error &) {
      break; // Fewer threads give the same bits.
    }
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> Lock(Mutex);
    Stop.store(true);
  }
  Wake.notify_all();
  for (std::thread &Worker : Workers)
    Worker.join();
}

void ThreadPool::run(int64_t JobCells, int64_t JobRow, Body JobWork,
                     void *JobContext) {
  if (JobCells <= 0)
    return;
  DefaultFloatEnvironment Environment;
  if (Workers.empty() || JobCells == 1) {
    JobWork(JobContext, 0, 0, JobCells);
    return;
  }
  Work = JobWork;
  Context = JobContext;
  Cells = JobCells;
  Row = JobRow;
  Next.store(0, std::memory_order_relaxed);
  uint64_t Job = ((Gate.load(std::memory_order_relaxed) >> 32) + 1) << 32;
  // Sequentially consistent, as is the sleepers' side: either a worker about
  // to sleep sees the open gate, or this thread sees the sleeper.
  Gate.store(Job | Open);
  if (Sleepers.load() > 0) {
    {
      std::lock_guard<std::mutex> Lock(Mutex);
    }
    Wake.notify_all();
  }

  drain(0);
  Gate.fetch_and(~Open, std::memory_order_acq_rel);
  for (unsigned Turn = 0;
       (Gate.load(std::memory_order_acquire) & InsideMask) != 0; ++Turn)
    if (Turn < 1000)
      pauseBriefly();
    else
      std::this_thread::yield();
}

/// How many cells a thread takes at a time: first many, so that they share
/// work, in the end few, so that all threads finish together. Half of an equal
/// share leaves room where the first cells take longest. Whole rows, or a part
/// of one.
int64_t ThreadPool::chunkFrom(int64_t First) const {
  int64_t Count = std::max<int64_t>(1, (Cells - First) / (int64_t(size()) * 2));
  int64_t Left = Row - First % Row;
  return Count < Left ? Count : Left + (Count - Left) / Row * Row;
}

void ThreadPool::drain(unsigned Thread) {
  int64_t First = Next.load(std::memory_order_relaxed);
  while (First < Cells) {
    int64_t Last = First + chunkFrom(First);
    if (!Next.compare_exchange_weak(First, Last, std::memory_order_relaxed))
      continue;
    Work(Context, Thread, First, Last);
    First = Next.load(std::memory_order_relaxed);
  }
}

bool ThreadPool::isNewJob(uint64_t State, uint64_t LastJob) {
  return (State & Open) != 0 && State >> 32 != LastJob;
}

bool ThreadPool::join(uint64_t &LastJob) {
  uint64_t State = Gate.load(std::memory_order_acquire);
  while (isNewJob(State, LastJob))
    if (Gate.compare_exchange_weak(State, State + 1,
                                   std::memory_order_acq_rel)) {
      LastJob = State >> 32;
      return true;
    }
  return false;
}

void ThreadPool::work(unsigned Thread) {
  DefaultFloatEnvironment Environment;
  using Clock = std::chrono::steady_clock;
  uint64_t LastJob = 0;
  Clock::time_point SpinUntil = Clock::now() + SpinTime;
  while (!Stop.load(std::memory_order_relaxed)) {
    if (join(LastJob)) {
      drain(Thread);
      Gate.fetch_sub(1, std::memory_order_acq_rel);
      SpinUntil = Clock::now() + SpinTime;
      continue;
    }
    if (Spins && Clock::now() < SpinUntil) {
      for (int I = 0; I < 16; ++I)
        pauseBriefly();
      continue;
    }
    std::unique_lock<std::mutex> Lock(Mutex);
    Sleepers.fetch_add(1);
    Wake.wait(Lock, [&] { return Stop || isNewJob(Gate.load(), LastJob); });
    Sleepers.fetch_sub(1);
    SpinUntil = Clock::now() + SpinTime;
  }
}
