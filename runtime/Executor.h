//===- Executor.h - Running the launches of an entry ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// bind() does what depends on the sizes of a call: it evaluates shapes, plans
// the arena and checks that every buffer lies inside the memory it gets. The
// result is kept, so that a decode loop binds once. run() evaluates what
// depends on the number of past tokens, then launches; all evaluation happens
// before the first launch, so that a call which fails has changed nothing.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_EXECUTOR_H
#define TRANSXSSM_RUNTIME_EXECUTOR_H

#include "runtime/Device.h"
#include "runtime/Memory.h"
#include "runtime/Model.h"
#include "runtime/Package.h"
#include "runtime/cpu/ThreadPool.h"

#include <memory>
#include <string>
#include <vector>

namespace transxssm {

/// Memory that outlives a call: one pointer per parameter or state, or none
/// where the entry does not use that kind.
struct PersistentBuffers {
  const std::vector<void *> *Parameters = nullptr;
  const std::vector<void *> *Gradients = nullptr;
  const std::vector<void *> *Moments1 = nullptr;
  const std::vector<void *> *Moments2 = nullptr;
  const std::vector<void *> *States = nullptr;
  const std::vector<void *> *Masters = nullptr;
};

/// An entry for one set of sizes.
class Binding {
public:
  const PackageEntry &entry() const { return *Entry; }
  const Symbols &sizes() const { return Sizes; }

  /// An input or output buffer of the entry, where the host fills or reads it;
  /// valid until the next call. Null when the entry has none of that name.
  void *input(const std::string &Name) const;
  void *output(const std::string &Name) const;

private:
  friend class Executor;

  void *hostBuffer(BufferKind Kind, const std::string &Name) const;

  /// Numbers of one launch, in Values from First: grid (3), then sizes.
  struct BoundLaunch {
    const PackageLaunch *From = nullptr;
    size_t First = 0;
    size_t FirstOperand = 0; ///< in Operands
    bool DependsOnPast = false;
    bool Skipped = false;
  };

  const PackageEntry *Entry = nullptr;
  Symbols Sizes;
  std::vector<uint64_t> Bytes;   ///< per buffer
  std::vector<uint64_t> Offsets; ///< per buffer, within its block
  std::vector<void *> Pointers;  ///< per buffer, set by each run
  uint8_t *Staging = nullptr;    ///< inputs and outputs, for the host
  std::vector<BoundLaunch> Launches;
  std::vector<int64_t> Values;
  std::vector<void *> Operands;    ///< of all launches, set by each run
  std::vector<DeviceLaunch> Ready; ///< those that run, set by each run
  uint64_t ArenaBytes = 0, InputBytes = 0, OutputBytes = 0;
  uint64_t Number = 0;  ///< no other binding has it
  uint64_t LastUse = 0; ///< number of the call that used it last
};

/// A package on a device, and the memory of its calls.
class Executor {
public:
  static Result<std::unique_ptr<Executor>>
  create(const Package &From, const std::string &DeviceName, ThreadPool &Pool);

  /// "x86-64-v3", ...: the code object in use.
  const std::string &target() const { return On->target(); }

  /// Where parameters and states have to lie.
  SharedSpace memory() const { return On->memory(); }

  /// The binding for these sizes: a kept one or a new one. It stays valid
  /// until the next bind().
  Result<Binding *> bind(const PackageEntry &Entry, const Symbols &Sizes);

  /// Runs the launches in order. An error comes before the first of them,
  /// except where a device finds one in a kernel. Of the outputs the host gets
  /// all, or the one that is named.
  Status run(Binding &Bound, const PersistentBuffers &Persistent,
             const std::string &Output = "");

  /// Called after every launch that ran, when set.
  LaunchObserver Observer;

  /// See Model::startTraffic().
  bool startTraffic() { return (Traffic = On->countTraffic()); }
  /// Null unless counting.
  const std::vector<KernelTraffic> *traffic() const { return Traffic; }

  /// See Model::startProfile().
  void startProfile();
  /// In the order of the package's kernels; empty unless profiling.
  const std::vector<KernelProfile> &profile() const { return Profile; }

private:
  Executor(const Package &From, std::unique_ptr<Device> On)
      : From(From), On(std::move(On)) {}

  Result<std::unique_ptr<Binding>> makeBinding(const PackageEntry &Entry,
                                               const Symbols &Sizes) const;
  Status placeBuffers(Binding &Bound) const;
  Status checkInterface(const Binding &Bound) const;
  Status evaluateLaunch(Binding &Bound, Binding::BoundLaunch &Launch) const;
  Status reserve(Binding &Bound);
  Status setPointers(Binding &Bound, const PersistentBuffers &Persistent) const;
  Status reserveBlock(MemoryBlock &Block, uint64_t Bytes,
                      const SharedSpace &Space, const Binding &For) const;
  void makeReady(Binding &Bound) const;
  Status runSingly(Binding &Bound);
  Status observe(const Binding &Bound, const DeviceLaunch &Launch) const;

  Package From;
  std::unique_ptr<Device> On;
  MemoryBlock Arena;    ///< temporaries of the call on hand
  MemoryBlock Staging;  ///< its inputs and outputs, for the host
  MemoryBlock Transfer; ///< the same for kernels that do not see the host's
  std::vector<std::unique_ptr<Binding>> Bindings;
  uint64_t Calls = 0;
  std::vector<KernelProfile> Profile;
  const std::vector<KernelTraffic> *Traffic = nullptr; ///< the device's
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_EXECUTOR_H
