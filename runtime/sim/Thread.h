//===- Thread.h - A simulated GPU thread ----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to runtime/sim. Order of memory accesses is tracked with vector
// clocks (Lamport 1978, Mattern 1989; used as in FastTrack, Flanagan and Freund
// 2009): a thread's own clock advances whenever it passes something on, and
// what it has learnt of the others is a vector that all threads of a barrier
// share.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_THREAD_H
#define TRANSXSSM_RUNTIME_SIM_THREAD_H

#include "runtime/sim/Fiber.h"
#include "transxssm/sim_abi.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace transxssm::sim {

class Machine;
struct WarpState;

/// For every actor of the block, up to which clock its accesses are known to
/// have happened; then, for every actor again, up to which clock the
/// asynchronous proxy sees them. Actors are the threads, the tensor memory
/// accelerator and the tensor cores of each group of four warps. Never changed
/// once shared.
using ClockVector = std::vector<uint32_t>;
using Knowledge = std::shared_ptr<const ClockVector>;

/// One cp.async of 4 to 16 bytes.
struct AsyncCopy {
  uint32_t To = 0; ///< offset in shared memory
  uint32_t Bytes = 0, BytesRead = 0;
  const uint8_t *From = nullptr;
  uint32_t Site = 0;
};

/// A box of a tensor on its way between global and shared memory.
struct TensorCopy {
  const TransXSSMSimTensorMap *Map = nullptr;
  int32_t Coordinates[5] = {};
  uint32_t Shared = 0; ///< offset
  uint32_t Bytes = 0, Site = 0;
  uint32_t Clock = 0; ///< of the accelerator
  bool ReadDone = false;
  std::vector<uint8_t> Data; ///< of a store, once it has been read
};

/// One access, kept to count memory transactions of warps.
struct LoggedAccess {
  uint64_t Address;
  uint32_t What, Site;
};

enum class ThreadState { Ready, Waiting, Done };

struct Thread : TransXSSMSimThread {
  Machine *Owner = nullptr;
  WarpState *Group = nullptr;
  uint32_t Number = 0; ///< in the block

  ThreadState State = ThreadState::Ready;
  FiberContext Context = nullptr;
  const char *WaitsIn = ""; ///< while waiting: what for, and where
  uint32_t WaitSite = 0;

  Knowledge Known;
  uint32_t Clock = 1;
  /// Up to which clock the asynchronous proxy sees what the thread wrote.
  uint32_t ProxyClock = 0;
  /// Barriers of the whole block that the thread has passed.
  uint32_t Epoch = 0;

  std::vector<AsyncCopy> OpenCopies;
  std::vector<std::vector<AsyncCopy>> CopyGroups;
  std::vector<TensorCopy> OpenStores;
  std::vector<std::vector<TensorCopy>> StoreGroups;
  std::vector<LoggedAccess> Log;

  /// Whether what thread `Other` did at clock `When` happened before now.
  bool knows(uint32_t Other, uint32_t When) const {
    return Other == Number || When <= (*Known)[Other];
  }
  /// Whether the asynchronous proxy, used by this thread, sees it.
  bool proxyKnows(uint32_t Other, uint32_t When) const {
    return When <=
           (Other == Number ? ProxyClock : (*Known)[Known->size() / 2 + Other]);
  }
};

/// Threads that wait in the same warp-wide instruction.
struct Meeting {
  uint32_t Mask = 0, Arrived = 0, Site = 0;
  const char *What = "";
  const uint64_t *In[32] = {};
  uint64_t *Out[32] = {};
};

/// Four warps, which execute wgmma together.
struct WarpGroup {
  uint32_t Arrived = 0, Site = 0;
  const uint64_t *In[128] = {};
  uint64_t *Out[128] = {};
  bool Fenced = false;
  /// Ranges of shared memory that products read which are not waited for.
  using Reads = std::vector<std::pair<uint32_t, uint32_t>>;
  Reads Open;
  std::vector<Reads> Groups;
  uint32_t Clock = 1;                 ///< of its tensor cores
  uint32_t Registers = 0, Wanted = 0; ///< of each thread
};

struct WarpState {
  Thread *Lanes[32] = {};
  uint32_t Size = 0;
  std::vector<Meeting> Meetings;
  uint32_t AtBarrier = 0; ///< lanes that wait at BarrierSite
  uint32_t BarrierSite = 0;

  uint32_t fullMask() const {
    return Size == 32 ? ~uint32_t(0) : (uint32_t(1) << Size) - 1;
  }
};

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_THREAD_H
