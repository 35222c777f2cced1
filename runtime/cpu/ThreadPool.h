//===- ThreadPool.h - Threads that share the cells of a grid -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A decode step launches hundreds of kernels of a few microseconds each, so a
// launch allocates nothing, wakes nobody who still spins and never waits for a
// thread that has not begun to work on it.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CPU_THREADPOOL_H
#define TRANSXSSM_RUNTIME_CPU_THREADPOOL_H

#include "runtime/support/Error.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace transxssm {

/// A fixed number of threads; the caller of run() is one of them.
class ThreadPool {
public:
  /// Runs the cells First .. Last - 1 on the thread number `Thread`, which is
  /// less than size(). Must not throw.
  using Body = void (*)(void *Context, unsigned Thread, int64_t First,
                        int64_t Last);

  /// At most 1,024 threads, and fewer where the system gives no more.
  explicit ThreadPool(unsigned Threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  unsigned size() const { return unsigned(Workers.size()) + 1; }

  /// Runs every cell of 0 .. Cells - 1 once and returns when all are done.
  /// `Row` cells next to each other share work where one thread gets them all.
  /// One caller at a time.
  void run(int64_t Cells, int64_t Row, Body Work, void *Context);

  /// How many threads to take where nobody asks for a number:
  /// TRANSXSSM_NUM_THREADS, or as many as the process may use when that is not
  /// set or empty.
  static Result<unsigned> defaultThreads();

private:
  void work(unsigned Thread);
  void drain(unsigned Thread);
  int64_t chunkFrom(int64_t First) const;
  bool join(uint64_t &LastJob);
  static bool isNewJob(uint64_t State, uint64_t LastJob);

  // The job on hand. Written only while the gate is shut and nobody is inside.
  Body Work = nullptr;
  void *Context = nullptr;
  int64_t Cells = 0;
  int64_t Row = 1;
  std::atomic<int64_t> Next{0};

  /// Upper 32 bits: number of the job. Bit 31: open. Below: workers inside.
  std::atomic<uint64_t> Gate{0};
  std::atomic<int> Sleepers{0};
  std::atomic<bool> Stop{false};
  bool Spins = true;
  std::mutex Mutex;
  std::condition_variable Wake;
  std::vector<std::thread> Workers;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_CPU_THREADPOOL_H
