//===- Machine.cpp - The block that is running ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Machine.h"

#include <algorithm>
#include <map>

using namespace transxssm;
using namespace transxssm::sim;

namespace {
constexpr uint32_t MaxThreads = 1024;
constexpr uint32_t NumBarriers = 16;
} // namespace

const TransXSSMSimSite Machine::NoSuchSite = {"", "", "", 0, 0, -1, 0, 0};

static std::string sourceOf(const TransXSSMSimSite &Site) {
  std::string Source = Site.File;
  if (Site.Line)
    Source +=
        ":" + std::to_string(Site.Line) + ":" + std::to_string(Site.Column);
  return Source;
}

std::string Machine::describe(uint32_t Number) const {
  const TransXSSMSimSite &Site = site(Number);
  std::string Source = sourceOf(Site);
  return Source.empty() ? Site.Operation
                        : std::string(Site.Operation) + " (" + Source + ")";
}

const GlobalBuffer *Machine::operandBuffer(int32_t Parameter) const {
  return Parameter >= 0 && size_t(Parameter) < Operands.size()
             ? Operands[size_t(Parameter)]
             : nullptr;
}

void Machine::report(const Thread *Self, ReportKind Kind, uint32_t Number,
                     const std::string &Message, uint32_t OtherSite) {
  if (Stopped || !Seen.emplace(Kind, Number, OtherSite).second)
    return;
  const TransXSSMSimSite &Site = site(Number);
  Report Made;
  Made.Kind = Kind;
  Made.Kernel = Kernel->Symbol;
  Made.Operation = Site.Operation;
  Made.Source = sourceOf(Site);
  Made.Message = Message;
  Made.Block = BlockNumber;
  Made.Thread = Self ? Self->Number : 0;
  Owner.Reports.push_back(std::move(Made));
  if (++LaunchReports >= options().MaxReports)
    Stopped = true;
}

//===----------------------------------------------------------------------===//
// Scheduling
//===----------------------------------------------------------------------===//

void Machine::wait(Thread &Self, const char *What, uint32_t Site) {
  Self.State = ThreadState::Waiting;
  Self.WaitsIn = What;
  Self.WaitSite = Site;
  switchFiber(&Self.Context, Scheduler);
}

void Machine::wake(Thread &Other) {
  if (Other.State != ThreadState::Waiting)
    return;
  Other.State = ThreadState::Ready;
  Ready.push_back(&Other);
}

void Machine::stop(Thread &Self, uint32_t Site) {
  report(&Self, ReportKind::Deadlock, Site,
         "more than " + std::to_string(options().MaxInstructions) +
             " instructions executed");
  Stopped = true;
  wait(Self, "the end", Site);
}

/// The thread that runs next, or null.
Thread *Machine::next() {
  if (ReadyHead == Ready.size())
    return nullptr;
  size_t Chosen = ReadyHead;
  if (options().Order == Schedule::Reverse) {
    Chosen = Ready.size() - 1;
  } else if (options().Order == Schedule::Random) {
    // xorshift64 (Marsaglia 2003)
    RandomState ^= RandomState << 13;
    RandomState ^= RandomState >> 7;
    RandomState ^= RandomState << 17;
    Chosen = ReadyHead + RandomState % (Ready.size() - ReadyHead);
    std::swap(Ready[Chosen], Ready.back());
    Chosen = Ready.size() - 1;
  }
  Thread *Found = Ready[Chosen];
  if (Chosen == ReadyHead)
    ++ReadyHead;
  else
    Ready.pop_back();
  if (ReadyHead == Ready.size()) {
    Ready.clear();
    ReadyHead = 0;
  }
  return Found;
}

void Machine::schedule() {
  while (Thread *Self = next()) {
    switchFiber(&Scheduler, Self->Context);
    if (Stopped)
      return;
  }
  reportDeadlock();
}

/// Clang's check of function types reads the bytes before a function, which
/// generated code does not have.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
void Machine::runThread(void *Argument) {
  Thread &Self = *static_cast<Thread *>(Argument);
  Machine &Owner = *Self.Owner;
  Owner.Kernel->Function(&Self, Owner.Parameters);
  Owner.checkEnd(Self);
  Self.State = ThreadState::Done;
  switchFiber(&Self.Context, Owner.Scheduler);
}

void Machine::checkEnd(Thread &Self) {
  for (std::vector<TensorCopy> &Group : Self.StoreGroups)
    Self.OpenStores.insert(Self.OpenStores.end(), Group.begin(), Group.end());
  for (const TensorCopy &Store : Self.OpenStores)
    report(&Self, ReportKind::PendingCopy, Store.Site,
           "the thread ends before the store is waited for");
  const AsyncCopy *Pending = nullptr;
  for (const std::vector<AsyncCopy> &Group : Self.CopyGroups)
    if (!Group.empty())
      Pending = &Group.front();
  if (!Self.OpenCopies.empty())
    Pending = &Self.OpenCopies.front();
  if (Pending)
    report(&Self, ReportKind::PendingCopy, Pending->Site,
           "the thread ends before the copy is waited for");
}

/// One report for each instruction in which threads wait for ever.
void Machine::reportDeadlock() {
  std::map<uint32_t, std::vector<const Thread *>> Waiting;
  size_t Ended = 0;
  for (const Thread &Each : Threads) {
    if (Each.State == ThreadState::Waiting)
      Waiting[Each.WaitSite].push_back(&Each);
    Ended += Each.State == ThreadState::Done;
  }
  for (const auto &[Site, Group] : Waiting) {
    std::string Message =
        std::to_string(Group.size()) + " of " + std::to_string(Threads.size()) +
        " threads wait for ever in " + Group.front()->WaitsIn + ", " +
        std::to_string(Ended) + " have ended";
    for (const auto &[OtherSite, Others] : Waiting)
      if (OtherSite != Site)
        Message += ", " + std::to_string(Others.size()) + " wait at " +
                   describe(OtherSite);
    report(Group.front(), ReportKind::Deadlock, Site, Message);
  }
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

void Machine::prepareThreads(const uint32_t Index[3]) {
  uint32_t Count = Shape.Threads;
  // As many registers as ptxas may give to a thread.
  uint32_t Blocks = std::max(Kernel->Blocks, 1u);
  Groups.assign(Count / 128, WarpGroup());
  for (WarpGroup &Each : Groups)
    Each.Registers = Each.Wanted =
        std::min(65536 / (Count * Blocks) / 8 * 8, 248u);
  FreeRegisters = 0;
  RegisterWaiters.clear();
  AsyncBarriers.clear();
  AcceleratorClock = 1;
  Threads.resize(Count);
  auto Nothing = std::make_shared<const ClockVector>(2 * numActors(), 0);
  Warps.assign((Count + 31) / 32, WarpState());
  for (Barrier &Each : Barriers)
    Each = Barrier();
  Ready.clear();
  ReadyHead = 0;
  for (uint32_t I = 0; I < Count; ++I) {
    Thread &Made = Threads[I];
    Made = Thread();
    Made.Owner = this;
    Made.Number = I;
    Made.Tid[0] = I;
    Made.BlockDim[0] = Count;
    Made.BlockDim[1] = Made.BlockDim[2] = 1;
    std::copy_n(Index, 3, Made.BlockIdx);
    std::copy_n(Shape.Grid, 3, Made.GridDim);
    Made.Lane = I % 32;
    Made.Warp = I / 32;
    Made.ClusterSize = 1;
    Made.SharedWindow = Shared.window();
    Made.Known = Nothing;
    Made.Group = &Warps[Made.Warp];
    Made.Group->Lanes[Made.Lane] = &Made;
    Made.Group->Size = Made.Lane + 1;
    Made.Context = Stacks.prepare(I, &Machine::runThread, &Made);
    Ready.push_back(&Made);
  }
}

void Machine::runBlock(const uint32_t Index[3]) {
  prepareThreads(Index);
  schedule();
  for (const auto &[Offset, Each] : AsyncBarriers)
    if (!Each.InFlight.empty())
      report(nullptr, ReportKind::PendingCopy, Each.InFlight.front().Site,
             "the block ends before the load is waited for");
  for (const Thread &Each : Threads)
    counters().Instructions += Each.Instructions;
  if (options().CountTraffic)
    for (WarpState &Each : Warps)
      flushTraffic(Each, counters(), Cache);
}

Status Machine::run(const SimModule &From, const TransXSSMSimKernelInfo &Run,
                    const LaunchShape &Wanted,
                    const std::vector<void *> &Given) {
  auto Fail = [&](const auto &...Parts) {
    return makeError("kernel '", Run.Symbol, "': ", Parts...);
  };
  if (Given.size() != Run.Parameters)
    return Fail("expected ", Run.Parameters, " parameters, got ", Given.size());
  if (Wanted.Threads == 0 || Wanted.Threads > MaxThreads)
    return Fail("expected 1 to ", MaxThreads, " threads in a block, got ",
                Wanted.Threads);
  if (Run.Threads && Run.Threads != Wanted.Threads)
    return Fail("expected ", Run.Threads, " threads in a block, got ",
                Wanted.Threads);
  Module = &From;
  Kernel = &Run;
  Shape = Wanted;
  Parameters = Given.data();
  ++LaunchNumber;
  LaunchReports = 0;
  Stopped = false;
  Seen.clear();
  RandomState = options().Seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
  Threads.resize(Shape.Threads);
  if (Status Reserved = Stacks.reserve(Shape.Threads); !Reserved)
    return Reserved;
  Operands.clear();
  for (void *Value : Given)
    Operands.push_back(global().find(*static_cast<const uint64_t *>(Value)));
  uint64_t SharedBytes = Run.StaticBytes;
  if (Shape.DynamicSharedBytes)
    SharedBytes = (SharedBytes + Run.DynamicAlign - 1) / Run.DynamicAlign *
                      Run.DynamicAlign +
                  Shape.DynamicSharedBytes;
  if (options().CountTraffic)
    Cache.reset(options().CacheBytes);
  uint32_t Index[3];
  BlockNumber = 0;
  for (Index[2] = 0; Index[2] < Shape.Grid[2]; ++Index[2])
    for (Index[1] = 0; Index[1] < Shape.Grid[1]; ++Index[1])
      for (Index[0] = 0; Index[0] < Shape.Grid[0]; ++Index[0], ++BlockNumber) {
        if (Status Reset = Shared.reset(SharedBytes, options().MaxSharedBytes);
            !Reset)
          return Fail(Reset.message());
        runBlock(Index);
        if (Stopped)
          return {};
      }
  return {};
}

//===----------------------------------------------------------------------===//
// Meeting others
//===----------------------------------------------------------------------===//

void Machine::join(const std::vector<Thread *> &Joined) {
  auto All = std::make_shared<ClockVector>(2 * numActors(), 0);
  const ClockVector *Last = nullptr;
  for (Thread *Each : Joined) {
    if (Each->Known.get() == Last)
      continue;
    Last = Each->Known.get();
    for (size_t I = 0; I < All->size(); ++I)
      (*All)[I] = std::max((*All)[I], (*Last)[I]);
  }
  for (Thread *Each : Joined) {
    (*All)[Each->Number] = Each->Clock;
    uint32_t &Proxy = (*All)[numActors() + Each->Number];
    Proxy = std::max(Proxy, Each->ProxyClock);
  }
  for (Thread *Each : Joined) {
    Each->Known = All;
    Each->ProxyClock = (*All)[numActors() + Each->Number];
    ++Each->Clock;
  }
}

void Machine::learn(Thread &Self, const ClockVector &From) {
  auto Learnt = std::make_shared<ClockVector>(*Self.Known);
  for (size_t I = 0; I < Learnt->size(); ++I)
    (*Learnt)[I] = std::max((*Learnt)[I], From[I]);
  Self.ProxyClock =
      std::max(Self.ProxyClock, (*Learnt)[numActors() + Self.Number]);
  Self.Known = Learnt;
}

void Machine::teach(ClockVector &To, Thread &Self) {
  for (size_t I = 0; I < To.size(); ++I)
    To[I] = std::max(To[I], (*Self.Known)[I]);
  uint32_t &Proxy = To[numActors() + Self.Number];
  Proxy = std::max(Proxy, Self.ProxyClock);
  To[Self.Number] = Self.Clock++;
}

Meeting &Machine::findMeeting(Thread &Self, const char *What, uint32_t Mask,
                              uint32_t Site) {
  checkProgress(Self, Site);
  for (Meeting &Each : Self.Group->Meetings)
    if (Each.Mask == Mask && Each.Site == Site)
      return Each;
  for (Meeting &Each : Self.Group->Meetings)
    if (Each.Mask & Mask)
      report(&Self, ReportKind::Divergence, Site,
             std::string("lanes of the same warp wait elsewhere for this one; "
                         "they are at ") +
                 describe(Each.Site),
             Each.Site);
  Meeting Made;
  Made.Mask = Mask;
  Made.Site = Site;
  Made.What = What;
  Self.Group->Meetings.push_back(Made);
  return Self.Group->Meetings.back();
}

void Machine::finishMeeting(Thread &Self, uint32_t Mask) {
  WarpState &Group = *Self.Group;
  for (size_t I = 0; I < Group.Meetings.size(); ++I)
    if (Group.Meetings[I].Mask == Mask && Group.Meetings[I].Arrived == Mask) {
      Group.Meetings.erase(Group.Meetings.begin() + long(I));
      break;
    }
  for (uint32_t Lane = 0; Lane < Group.Size; ++Lane)
    if ((Mask >> Lane & 1) && Lane != Self.Lane)
      wake(*Group.Lanes[Lane]);
}

void Machine::enterBarrier(Thread &Self, Barrier &At, uint32_t Id,
                           uint32_t Count, uint32_t Site) {
  if (At.Arrived && At.Expected != Count)
    report(&Self, ReportKind::BadOperand, Site,
           "barrier " + std::to_string(Id) + " with " + std::to_string(Count) +
               " threads; others expect " + std::to_string(At.Expected) +
               " at " + describe(At.Site),
           At.Site);
  At.Expected = Count;
  At.Site = Site;
  ++At.Arrived;
}

void Machine::barrier(Thread &Self, uint32_t Id, uint32_t Count, bool Arrive,
                      uint32_t Site) {
  checkProgress(Self, Site);
  uint32_t All = uint32_t(Threads.size());
  if (Id >= NumBarriers || Count > All || (Count % 32 && Count != All) ||
      (Arrive && Count == 0)) {
    report(&Self, ReportKind::BadOperand, Site,
           "barrier " + std::to_string(Id) + " of " + std::to_string(Count) +
               " threads; a block of " + std::to_string(All) +
               " has barriers 0 to 15 of whole warps");
    return;
  }
  Barrier &At = Barriers[Id];
  enterBarrier(Self, At, Id, Count ? Count : All, Site);
  if (Arrive) {
    if (!At.Released)
      At.Released = std::make_shared<ClockVector>(2 * numActors(), 0);
    teach(*At.Released, Self);
    if (At.Arrived >= At.Expected)
      completeBarrier(Self, At);
    return;
  }
  WarpState &Group = *Self.Group;
  if (Group.AtBarrier && Group.BarrierSite != Site)
    report(&Self, ReportKind::Divergence, Site,
           "lanes of the same warp wait at another barrier, " +
               describe(Group.BarrierSite),
           Group.BarrierSite);
  ++Group.AtBarrier;
  Group.BarrierSite = Site;
  At.Waiting.push_back(&Self);
  if (At.Arrived >= At.Expected)
    completeBarrier(Self, At);
  else
    wait(Self, "a barrier", Site);
}

void Machine::completeBarrier(Thread &Self, Barrier &At) {
  ++counters().Barriers;
  std::vector<Thread *> Waiting = std::move(At.Waiting);
  if (At.Released)
    // What threads that only arrived did comes before what the others do next.
    for (Thread *Each : Waiting)
      learn(*Each, *At.Released);
  At = Barrier();
  join(Waiting);
  bool Whole = Waiting.size() == Threads.size();
  if (Whole && options().CountTraffic)
    for (WarpState &Each : Warps)
      flushTraffic(Each, counters(), Cache);
  for (Thread *Each : Waiting) {
    Each->Epoch += Whole;
    Each->Group->AtBarrier = 0;
    if (Each != &Self)
      wake(*Each);
  }
}
