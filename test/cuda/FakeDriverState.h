//===- FakeDriverState.h - What the fake CUDA driver keeps ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Internal to the fake driver: what there is of memory, streams, modules and
// graphs, and the checks that its functions share.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_CUDA_FAKEDRIVERSTATE_H
#define TRANSXSSM_TEST_CUDA_FAKEDRIVERSTATE_H

#include "runtime/cuda/DriverApi.h"
#include "runtime/sim/Simulator.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

/// One of the driver's functions, for others to find.
#define FAKE extern "C" __attribute__((visibility("default")))
/// Begins one that needs a context and fails after an error that stays.
#define ENTER()                                                                \
  Lock Held(driver().Guard);                                                   \
  if (CuResult Failed = enter(__func__); Failed != CuSuccess)                  \
  return Failed

namespace transxssm::fake {

using cuda::CuFunction;
using cuda::CuKernelNodeParameters;
using cuda::CuResult;
using cuda::CuStream;
using cuda::CuSuccess;

/// Prints what a caller must not do and ends the process.
[[noreturn]] void misused(const std::string &How);

/// Every setting of FakeDriver.h, and what it is where nothing is said.
#define FAKE_SETTINGS(X)                                                       \
  X(version, 13000)                                                            \
  X(devices, 1)                                                                \
  X(capability, 80)                                                            \
  X(memory, uint64_t(8) << 30)                                                 \
  X(shared, 166912)                                                            \
  X(refuse_images, 0)                                                          \
  X(fail_allocation, 0)                                                        \
  X(fail_kernel, 0)                                                            \
  X(fail_launch, 0)                                                            \
  X(skip_kernel, 0)

struct Settings {
#define MEMBER(NAME, DEFAULT) uint64_t NAME = DEFAULT;
  FAKE_SETTINGS(MEMBER)
#undef MEMBER

  /// From the environment.
  void read();
};

struct FakeModule;

struct Function {
  FakeModule *Of = nullptr;
  const TransXSSMSimKernelInfo *Kernel = nullptr;
  uint64_t MaxShared = 48 * 1024;
};

struct FakeModule {
  std::unique_ptr<sim::SimModule> Code;
  std::map<std::string, Function> Functions;
};

/// A launch with copies of its parameters, as the driver makes them.
struct KernelLaunch {
  Function *Of = nullptr;
  sim::LaunchShape Shape;
  /// Eight bytes each, or those of a tensor map.
  std::vector<std::vector<uint64_t>> Values;
};

struct Stream {
  std::deque<std::function<CuResult()>> Waiting;
};

struct Event {
  double Seconds = -1; ///< when it was reached
};

struct Graph {
  std::deque<KernelLaunch> Nodes; // addresses are handles
};

struct GraphExec {
  std::map<const KernelLaunch *, size_t> Place; ///< of the graph's nodes
  std::vector<KernelLaunch> Nodes;
};

/// Everything there is. Handles are addresses, checked against these sets.
struct Driver {
  std::mutex Guard;
  Settings Given;
  bool Began = false;
  uint64_t Retained = 0, Used = 0;
  CuResult Sticky = CuSuccess;
  std::map<uint64_t, uint64_t> Memory; ///< bytes by address, of the device
  std::map<uint64_t, uint64_t> Pinned; ///< of the host
  std::set<Stream *> Streams;
  std::set<FakeModule *> Modules;
  std::set<Event *> Events;
  std::set<Graph *> Graphs;
  std::set<GraphExec *> Execs;
  std::set<const void *> Maps; ///< encoded and not yet passed
  std::map<std::string, uint64_t> Counts;
  uint64_t Allocations = 0, Images = 0, Launches = 0, Kernels = 0;
  sim::Simulator Runner;
};

Driver &driver();
using Lock = std::lock_guard<std::mutex>;

/// Whether the calling thread has made a context its own.
extern thread_local bool HasContext;

/// Whole pages for so many bytes.
inline uint64_t pageBytes(uint64_t Bytes) {
  return (Bytes + 4095) / 4096 * 4096;
}

/// Opens the device's memory for as long as it lives.
class DeviceAccess {
public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess &) = delete;
  DeviceAccess &operator=(const DeviceAccess &) = delete;
};

/// Comes first in what needs a context. The result is the sticky error, if any.
CuResult enter(const char *Name);

/// Bytes [Begin, Begin + Bytes) must lie in one allocation of the device.
void checkRange(const char *Name, uint64_t Begin, uint64_t Bytes);

/// Host memory must not be the device's.
void checkHost(const char *Name, const void *Memory);

bool isPinned(const void *Memory, uint64_t Bytes);

template <typename T>
T *checkHandle(const char *Name, const std::set<T *> &Known, void *Handle) {
  T *Made = static_cast<T *>(Handle);
  if (!Known.count(Made))
    misused(std::string(Name) + ": not a handle of this kind, or destroyed");
  return Made;
}

/// A new thing, and its handle.
template <typename T, typename Handle>
T *makeHandle(std::set<T *> &Known, Handle *Made) {
  T *New = new T;
  Known.insert(New);
  *Made = reinterpret_cast<Handle>(New);
  return New;
}

template <typename T>
void destroyHandle(const char *Name, std::set<T *> &Known, void *Handle) {
  T *Old = checkHandle(Name, Known, Handle);
  Known.erase(Old);
  delete Old;
}

Stream *stream(const char *Name, CuStream Handle);

/// Does what waits in a stream, in order.
CuResult drain(Stream &Of);

/// Runs a launch in the simulator, now.
CuResult runKernel(KernelLaunch &Launch);

/// What a launch and a node of a graph have in common.
CuResult makeLaunch(const char *Name, const CuKernelNodeParameters &Given,
                    KernelLaunch &Into);

} // namespace transxssm::fake

#endif // TRANSXSSM_TEST_CUDA_FAKEDRIVERSTATE_H
