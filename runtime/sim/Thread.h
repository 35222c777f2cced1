//===- Thread.h - A simulated GPU thread ----------------------------------
//===//
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

/// For every thread of the block, up to which clock its accesses are known to
/// have happened. Never changed once shared.
using ClockVector = std::vector<uint32_t>;
using Knowledge = std::shared_ptr<const ClockVector>;

/// One cp.async of 4 to 16 bytes.
struct AsyncCopy {
  uint32_t To = 0; ///< offset in shared memory
  uint32_t Bytes = 0, BytesRead = 0;
  const uint8_t *From = nullptr;
  uint32_t Site = 0;
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
  /// Barriers of the whole block that the thread has passed.
  uint32_t Epoch = 0;

  std::vector<AsyncCopy> OpenCopies;
  std::vector<std::vector<AsyncCopy>> CopyGroups;
  std::vector<LoggedAccess> Log;

  /// Whether what thread `Other` did at clock `When` happened before now.
  bool knows(uint32_t Other, uint32_t When) const {
    return Other == Number || When <= (*Known)[Other];
  }
};

/// Threads that wait in the same warp-wide instruction.
struct Meeting {
  uint32_t Mask = 0, Arrived = 0, Site = 0;
  const char *What = "";
  const uint64_t *In[32] = {};
  uint64_t *Out[32] = {};
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
