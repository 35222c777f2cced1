//===- Machine.h - The block that is running ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Internal to runtime/sim. One Machine runs block after block; the hooks of
// kernels find it through the thread that they are called with.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_MACHINE_H
#define TRANSXSSM_RUNTIME_SIM_MACHINE_H

#include "runtime/Random.h"
#include "runtime/sim/Fiber.h"
#include "runtime/sim/SharedMemory.h"
#include "runtime/sim/Simulator.h"
#include "runtime/sim/Thread.h"
#include "runtime/sim/Traffic.h"

#include <map>
#include <set>
#include <tuple>

namespace transxssm::sim {

constexpr uint32_t NoSite = ~uint32_t(0);

/// An mbarrier.
struct AsyncBarrier {
  uint32_t Count = 0, Pending = 0, Phase = 0;
  int64_t Bytes = 0; ///< expected and not arrived
  bool Fenced = false;
  uint32_t Site = 0; ///< of its initialisation
  std::vector<Thread *> Waiting;
  std::vector<TensorCopy> InFlight;
  /// What arrivals of this phase, and of the last one, have passed on.
  std::shared_ptr<ClockVector> Arrivals, Completed;
};

class Machine {
public:
  explicit Machine(Simulator &Owner) : Owner(Owner), Shared(*this) {}

  Status run(const SimModule &Module, const TransXSSMSimKernelInfo &Kernel,
             const LaunchShape &Shape, const std::vector<void *> &Parameters);

  const SimOptions &options() const { return Owner.Options; }
  Counters &counters() { return Owner.Counts; }
  SectorCache &cache() { return Cache; }
  SharedMemory &shared() { return Shared; }
  GlobalMemory &global() { return Owner.Memory; }
  const LaunchShape &shape() const { return Shape; }
  uint64_t blockNumber() const { return BlockNumber; }
  uint32_t launchNumber() const { return LaunchNumber; }
  const TransXSSMSimSite &site(uint32_t Number) const {
    return Number < Module->table().NumSites ? Module->table().Sites[Number]
                                             : NoSuchSite;
  }
  /// "op (file:line)" of a site, for messages.
  std::string describe(uint32_t Site) const;
  /// The buffer behind a kernel parameter, or null.
  const GlobalBuffer *operandBuffer(int32_t Parameter) const;
  bool onOwnStack(const Thread &Self, uint64_t Address) const {
    return Stacks.contains(Self.Number, Address);
  }
  /// Memory that stands in for an address that cannot be used.
  void *substitute() { return Substitute; }

  /// Adds a report unless its like (kind, site, other site) is there.
  void report(const Thread *Self, ReportKind Kind, uint32_t Site,
              const std::string &Message, uint32_t OtherSite = NoSite);

  // Meeting others.

  /// Suspends the running thread until wake().
  void wait(Thread &Self, const char *What, uint32_t Site);
  void wake(Thread &Other);
  /// Arrives in an instruction of the lanes in `Mask`; the last one to come
  /// runs Act(meeting, warp) for all.
  template <typename Action>
  void meet(Thread &Self, const char *What, uint32_t Mask, const uint64_t *In,
            uint64_t *Out, uint32_t Site, Action Act);
  void barrier(Thread &Self, uint32_t Id, uint32_t Count, bool Arrive,
               uint32_t Site);
  /// Everything that one of them did before happens before what any of them
  /// does next.
  void join(const std::vector<Thread *> &Threads);
  /// The same for the warp group of the thread; Act(group, first thread).
  template <typename Action>
  void meetGroup(Thread &Self, const char *What, const uint64_t *In,
                 uint64_t *Out, uint32_t Site, Action Act);
  /// Learns what a vector knows.
  void learn(Thread &Self, const ClockVector &From);
  /// Adds what the thread knows and has done.
  void teach(ClockVector &To, Thread &Self);
  /// The barrier at that offset; reports where there is none that the thread
  /// could know of.
  AsyncBarrier *findBarrier(Thread &Self, uint64_t Offset, uint32_t Site);
  std::map<uint64_t, AsyncBarrier> AsyncBarriers;
  /// Completes the phase of a barrier that has nothing left to wait for.
  void advance(AsyncBarrier &At);

  /// Actors beside the threads.
  size_t numActors() const { return Threads.size() + 1 + Groups.size(); }
  uint32_t acceleratorActor() const { return uint32_t(Threads.size()); }
  uint32_t groupActor(const WarpGroup &Of) const {
    return uint32_t(Threads.size() + 1 + size_t(&Of - Groups.data()));
  }
  WarpGroup *groupOf(const Thread &Self) {
    size_t Index = Self.Number / 128;
    return Index < Groups.size() ? &Groups[Index] : nullptr;
  }
  Thread &thread(size_t Number) { return Threads[Number]; }
  void waitForRegisters(Thread &Self, uint32_t Site) {
    RegisterWaiters.push_back(&Self);
    wait(Self, "setmaxnreg.inc", Site);
  }
  void wakeForRegisters() {
    std::vector<Thread *> Waiters = std::move(RegisterWaiters);
    RegisterWaiters.clear();
    for (Thread *Each : Waiters)
      wake(*Each);
  }
  uint32_t AcceleratorClock = 1;
  int64_t FreeRegisters = 0;

  /// Notices threads that never end.
  void checkProgress(Thread &Self, uint32_t Site) {
    if (Self.Instructions >= options().MaxInstructions || Stopped)
      stop(Self, Site);
  }

private:
  static const TransXSSMSimSite NoSuchSite;

  struct Barrier {
    std::vector<Thread *> Waiting;
    uint32_t Arrived = 0, Expected = 0, Site = 0;
    std::shared_ptr<ClockVector> Released; ///< by threads that only arrived
  };

  void stop(Thread &Self, uint32_t Site);
  static void runThread(void *Argument);
  void runBlock(const uint32_t Index[3]);
  void prepareThreads(const uint32_t Index[3]);
  void schedule();
  Thread *next();
  void checkEnd(Thread &Self);
  void reportDeadlock();
  Meeting &findMeeting(Thread &Self, const char *What, uint32_t Mask,
                       uint32_t Site);
  void finishMeeting(Thread &Self, uint32_t Mask);
  void completeBarrier(Thread &Self, Barrier &At);
  void enterBarrier(Thread &Self, Barrier &At, uint32_t Id, uint32_t Count,
                    uint32_t Site);

  Simulator &Owner;
  SharedMemory Shared;
  SectorCache Cache;
  FiberStacks Stacks;
  FiberContext Scheduler = nullptr;

  const SimModule *Module = nullptr;
  const TransXSSMSimKernelInfo *Kernel = nullptr;
  LaunchShape Shape;
  void *const *Parameters = nullptr;
  std::vector<const GlobalBuffer *> Operands;
  uint32_t LaunchNumber = 0;
  uint64_t BlockNumber = 0;
  unsigned LaunchReports = 0;
  bool Stopped = false;
  std::set<std::tuple<ReportKind, uint32_t, uint32_t>> Seen;

  std::vector<Thread> Threads;
  std::vector<WarpState> Warps;
  std::vector<WarpGroup> Groups;
  std::vector<Thread *> RegisterWaiters;
  Barrier Barriers[16];
  std::vector<Thread *> Ready;
  size_t ReadyHead = 0;
  uint64_t RandomState = 0;
  alignas(1024) uint8_t Substitute[4096] = {};
};

template <typename Action>
void Machine::meetGroup(Thread &Self, const char *What, const uint64_t *In,
                        uint64_t *Out, uint32_t Site, Action Act) {
  checkProgress(Self, Site);
  WarpGroup *At = groupOf(Self);
  if (!At) {
    report(&Self, ReportKind::BadOperand, Site,
           "the thread is in no group of four warps");
    return;
  }
  if (At->Arrived && At->Site != Site)
    report(&Self, ReportKind::Divergence, Site,
           "threads of the same four warps wait at " + describe(At->Site),
           At->Site);
  At->Site = Site;
  At->In[Self.Number % 128] = In;
  At->Out[Self.Number % 128] = Out;
  if (++At->Arrived < 128) {
    wait(Self, What, Site);
    return;
  }
  At->Arrived = 0;
  size_t First = Self.Number / 128 * 128;
  Act(*At, First);
  for (size_t I = First; I < First + 128; ++I)
    if (I != Self.Number)
      wake(Threads[I]);
}

template <typename Action>
void Machine::meet(Thread &Self, const char *What, uint32_t Mask,
                   const uint64_t *In, uint64_t *Out, uint32_t Site,
                   Action Act) {
  Mask &= Self.Group->fullMask();
  if (!(Mask >> Self.Lane & 1)) {
    report(&Self, ReportKind::BadOperand, Site,
           "the thread's own lane " + std::to_string(Self.Lane) +
               " is not in the mask");
    Mask |= uint32_t(1) << Self.Lane;
  }
  Meeting &At = findMeeting(Self, What, Mask, Site);
  At.Arrived |= uint32_t(1) << Self.Lane;
  At.In[Self.Lane] = In;
  At.Out[Self.Lane] = Out;
  if ((At.Arrived & Mask) != Mask) {
    wait(Self, What, Site);
    return;
  }
  Act(At, *Self.Group);
  finishMeeting(Self, Mask);
}

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_MACHINE_H
