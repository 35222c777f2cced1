//===- FakeDriver.cpp - A CUDA driver without a GPU, for tests ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/cuda/FakeDriver.h"
#include "runtime/cuda/DriverApi.h"
#include "runtime/sim/Simulator.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <elf.h>
#include <sys/mman.h>
#include <time.h>

using namespace transxssm;
using namespace transxssm::cuda;

namespace {

[[noreturn]] void misused(const std::string &How) {
  std::fprintf(stderr, "fake CUDA driver: %s\n", How.c_str());
  std::abort();
}

/// See FakeDriver.h.
struct Settings {
  uint64_t version = 13000, devices = 1, capability = 80,
           memory = uint64_t(8) << 30, shared = 166912, refuse_images = 0,
           fail_allocation = 0, fail_kernel = 0, fail_launch = 0,
           skip_kernel = 0;

  void read() {
    *this = Settings();
    const std::map<std::string, uint64_t *> Known = {
        {"version", &version},
        {"devices", &devices},
        {"capability", &capability},
        {"memory", &memory},
        {"shared", &shared},
        {"refuse_images", &refuse_images},
        {"fail_allocation", &fail_allocation},
        {"fail_kernel", &fail_kernel},
        {"fail_launch", &fail_launch},
        {"skip_kernel", &skip_kernel}};
    const char *Given = std::getenv("TRANSXSSM_FAKE_CUDA");
    std::string Text = Given ? Given : "";
    for (size_t At = 0; At < Text.size();) {
      size_t End = std::min(Text.find(',', At), Text.size());
      std::string Part = Text.substr(At, End - At);
      size_t Equals = Part.find('=');
      auto Found = Known.find(Part.substr(0, Equals));
      if (Equals == std::string::npos || Found == Known.end())
        misused("TRANSXSSM_FAKE_CUDA: unknown setting '" + Part + "'");
      *Found->second = std::strtoull(Part.c_str() + Equals + 1, nullptr, 10);
      At = End + 1;
    }
  }
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

Driver &driver() {
  static Driver *Only = new Driver; // outlives every caller
  return *Only;
}

thread_local bool HasContext = false;

double now() {
  timespec Time;
  ::clock_gettime(CLOCK_MONOTONIC, &Time);
  return double(Time.tv_sec) + 1e-9 * double(Time.tv_nsec);
}

uint64_t pageBytes(uint64_t Bytes) { return (Bytes + 4095) / 4096 * 4096; }

/// Opens the device's memory for as long as it lives.
class DeviceAccess {
public:
  DeviceAccess() { protect(PROT_READ | PROT_WRITE); }
  ~DeviceAccess() { protect(PROT_NONE); }

private:
  static void protect(int How) {
    for (const auto &[Begin, Bytes] : driver().Memory)
      if (::mprotect(reinterpret_cast<void *>(Begin), pageBytes(Bytes), How))
        misused("mprotect failed");
  }
};

/// Comes first in what needs a context. The result is the sticky error, if any.
CuResult enter(const char *Name) {
  if (!driver().Began)
    misused(std::string(Name) + " before cuInit");
  if (!HasContext)
    misused(std::string(Name) + " in a thread without a context");
  return driver().Sticky;
}

/// Bytes [Begin, Begin + Bytes) must lie in one allocation of the device.
void checkRange(const char *Name, uint64_t Begin, uint64_t Bytes) {
  const auto &Memory = driver().Memory;
  auto Next = Memory.upper_bound(Begin);
  if (Next == Memory.begin())
    misused(std::string(Name) + ": not an address of the device");
  const auto &[First, Size] = *std::prev(Next);
  if (Begin - First > Size || Bytes > Size - (Begin - First))
    misused(std::string(Name) + ": " + std::to_string(Bytes) + " bytes at " +
            std::to_string(Begin - First) + " of an allocation of " +
            std::to_string(Size));
}

/// Host memory must not be the device's.
void checkHost(const char *Name, const void *Memory) {
  uint64_t Address = reinterpret_cast<uint64_t>(Memory);
  const auto &Device = driver().Memory;
  auto Next = Device.upper_bound(Address);
  if (Next != Device.begin() &&
      Address - std::prev(Next)->first < std::prev(Next)->second)
    misused(std::string(Name) + ": a device address where a host's belongs");
}

bool isPinned(const void *Memory, uint64_t Bytes) {
  uint64_t Address = reinterpret_cast<uint64_t>(Memory);
  const auto &Pinned = driver().Pinned;
  auto Next = Pinned.upper_bound(Address);
  if (Next == Pinned.begin())
    return false;
  const auto &[First, Size] = *std::prev(Next);
  return Address - First <= Size && Bytes <= Size - (Address - First);
}

template <typename T>
T *checkHandle(const char *Name, const std::set<T *> &Known, void *Handle) {
  T *Made = static_cast<T *>(Handle);
  if (!Known.count(Made))
    misused(std::string(Name) + ": not a handle of this kind, or destroyed");
  return Made;
}

Stream *stream(const char *Name, CuStream Handle) {
  return checkHandle(Name, driver().Streams, Handle);
}

/// Does what waits in a stream, in order.
CuResult drain(Stream &Of) {
  while (!Of.Waiting.empty()) {
    std::function<CuResult()> Next = std::move(Of.Waiting.front());
    Of.Waiting.pop_front();
    if (driver().Sticky == CuSuccess)
      driver().Sticky = Next();
  }
  return driver().Sticky;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

CuResult runKernel(KernelLaunch &Launch) {
  Driver &D = driver();
  ++D.Counts["kernels"];
  if (++D.Kernels == D.Given.fail_kernel)
    return CuIllegalAddress;
  if (D.Kernels == D.Given.skip_kernel)
    return CuSuccess;
  DeviceAccess Open;
  sim::GlobalMemory &Global = D.Runner.memory();
  Global.clear();
  for (const auto &[Begin, Bytes] : D.Memory)
    Global.declare(reinterpret_cast<void *>(Begin), Bytes,
                   "allocation of " + std::to_string(Bytes) + " bytes", true);
  std::vector<void *> Parameters;
  for (std::vector<uint64_t> &Value : Launch.Values)
    Parameters.push_back(Value.data());
  D.Runner.clearReports();
  Status Done = D.Runner.launch(*Launch.Of->Of->Code, *Launch.Of->Kernel,
                                Launch.Shape, Parameters);
  if (Done && D.Runner.reports().empty())
    return CuSuccess;
  std::fprintf(
      stderr, "fake CUDA driver: kernel '%s': %s\n", Launch.Of->Kernel->Symbol,
      Done ? D.Runner.reports().front().str().c_str() : Done.message().c_str());
  return CuLaunchFailed;
}

/// What a launch and a node of a graph have in common.
CuResult makeLaunch(const char *Name, const CuKernelNodeParameters &Given,
                    KernelLaunch &Into) {
  constexpr CuResult InvalidValue = CuResult(1);
  Into.Of = reinterpret_cast<Function *>(Given.Function);
  bool Known = false;
  for (FakeModule *Module : driver().Modules)
    for (auto &[Symbol, Of] : Module->Functions)
      Known |= &Of == Into.Of;
  if (!Known)
    misused(std::string(Name) + ": not a function of a loaded module");
  for (unsigned Extent : Given.Grid)
    if (Extent == 0)
      return InvalidValue;
  if (Given.Grid[1] > 65535 || Given.Grid[2] > 65535 || Given.Block[0] == 0 ||
      Given.Block[0] > 1024 || Given.Block[1] != 1 || Given.Block[2] != 1 ||
      Given.SharedBytes > Into.Of->MaxShared || Given.Extra)
    return InvalidValue;
  uint64_t Expected = Into.Of->Kernel->Parameters, Count = 0;
  while (Count <= Expected && Given.Parameters[Count])
    ++Count;
  if (Count != Expected)
    misused(std::string(Name) + ": kernel '" + Into.Of->Kernel->Symbol +
            "' has " + std::to_string(Expected) + " parameters, got " +
            (Count > Expected ? "more" : std::to_string(Count)));
  Into.Values.clear();
  for (uint64_t I = 0; I < Count; ++I) {
    const uint64_t *From = static_cast<uint64_t *>(Given.Parameters[I]);
    // The driver knows how long a parameter is; here, who encoded it does.
    size_t Words = driver().Maps.erase(From) ? 16 : 1;
    Into.Values.emplace_back(From, From + Words);
  }
  std::copy_n(Given.Grid, 3, Into.Shape.Grid);
  Into.Shape.Threads = Given.Block[0];
  Into.Shape.DynamicSharedBytes = Given.SharedBytes;
  return CuSuccess;
}

/// The size of an object file: its header says where the last part ends.
uint64_t imageBytes(const void *Image) {
  Elf64_Ehdr Header;
  std::memcpy(&Header, Image, sizeof(Header));
  if (std::memcmp(Header.e_ident, ELFMAG, SELFMAG) != 0)
    return 0;
  uint64_t Bytes =
      Header.e_shoff + uint64_t(Header.e_shnum) * Header.e_shentsize;
  for (unsigned I = 0; I < Header.e_shnum; ++I) {
    Elf64_Shdr Section;
    std::memcpy(&Section,
                static_cast<const char *>(Image) + Header.e_shoff +
                    I * Header.e_shentsize,
                sizeof(Section));
    if (Section.sh_type != SHT_NOBITS)
      Bytes = std::max(Bytes, Section.sh_offset + Section.sh_size);
  }
  return Bytes;
}

using Lock = std::lock_guard<std::mutex>;

} // namespace

//===----------------------------------------------------------------------===//
// The driver's functions
//===----------------------------------------------------------------------===//

#define FAKE extern "C" __attribute__((visibility("default")))
#define ENTER()                                                                \
  Lock Held(driver().Guard);                                                   \
  if (CuResult Failed = enter(__func__); Failed != CuSuccess)                  \
  return Failed

FAKE uint64_t fakeCudaCount(const char *What) {
  Lock Held(driver().Guard);
  return driver().Counts[What];
}

FAKE CuResult cuInit(unsigned) {
  Lock Held(driver().Guard);
  Driver &D = driver();
  if (D.Retained == 0) {
    D.Given.read();
    D.Sticky = CuSuccess; // as in a new process
    D.Allocations = D.Images = D.Launches = D.Kernels = 0;
  }
  if (D.Given.devices == 0)
    return CuNoDevice;
  D.Began = true;
  return CuSuccess;
}

FAKE CuResult cuDriverGetVersion(int *Version) {
  Lock Held(driver().Guard);
  Settings Given;
  Given.read();
  *Version = int(Given.version);
  return CuSuccess;
}

FAKE CuResult cuGetErrorName(CuResult Result, const char **Name) {
  const std::map<int, const char *> Names = {
      {1, "CUDA_ERROR_INVALID_VALUE"},
      {CuOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY"},
      {CuInvalidImage, "CUDA_ERROR_INVALID_IMAGE"},
      {CuNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
      {500, "CUDA_ERROR_NOT_FOUND"},
      {CuIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"},
      {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
      {CuLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED"}};
  auto Found = Names.find(Result);
  *Name = Found == Names.end() ? nullptr : Found->second;
  return *Name ? CuSuccess : CuResult(1);
}

FAKE CuResult cuGetErrorString(CuResult Result, const char **Text) {
  *Text = Result == CuIllegalAddress
              ? "an illegal memory access was encountered"
              : nullptr;
  return *Text ? CuSuccess : CuResult(1);
}

FAKE CuResult cuDeviceGetCount(int *Count) {
  Lock Held(driver().Guard);
  *Count = int(driver().Given.devices);
  return CuSuccess;
}

FAKE CuResult cuDeviceGet(CuDevice *Device, int Ordinal) {
  Lock Held(driver().Guard);
  if (uint64_t(Ordinal) >= driver().Given.devices)
    return CuResult(101);
  *Device = Ordinal;
  return CuSuccess;
}

FAKE CuResult cuDeviceGetName(char *Text, int Bytes, CuDevice) {
  std::snprintf(Text, size_t(Bytes), "Simulated GPU");
  return CuSuccess;
}

FAKE CuResult cuDeviceGetAttribute(int *Value, int Attribute, CuDevice) {
  Lock Held(driver().Guard);
  const Settings &Given = driver().Given;
  switch (Attribute) {
  case CuAttributeCapabilityMajor:
    *Value = int(Given.capability / 10);
    return CuSuccess;
  case CuAttributeCapabilityMinor:
    *Value = int(Given.capability % 10);
    return CuSuccess;
  case CuAttributeMaxSharedBytes:
    *Value = int(Given.shared);
    return CuSuccess;
  default:
    misused("cuDeviceGetAttribute: unknown attribute " +
            std::to_string(Attribute));
  }
}

FAKE CuResult cuDevicePrimaryCtxRetain(CuContext *Context, CuDevice) {
  Lock Held(driver().Guard);
  ++driver().Retained;
  *Context = reinterpret_cast<CuContext>(&driver());
  return CuSuccess;
}

FAKE CuResult cuDevicePrimaryCtxRelease_v2(CuDevice) {
  Lock Held(driver().Guard);
  Driver &D = driver();
  if (D.Retained == 0)
    misused("a context released more often than retained");
  if (--D.Retained > 0)
    return CuSuccess;
  const std::pair<const char *, size_t> Left[] = {
      {"allocations", D.Memory.size()},
      {"pinned allocations", D.Pinned.size()},
      {"streams", D.Streams.size()},
      {"modules", D.Modules.size()},
      {"events", D.Events.size()},
      {"graphs", D.Graphs.size()},
      {"graph executables", D.Execs.size()}};
  for (const auto &[What, Count] : Left)
    if (Count)
      misused(std::to_string(Count) + " " + What +
              " left when the last context is released");
  return CuSuccess;
}

FAKE CuResult cuCtxSetCurrent(CuContext Context) {
  HasContext = Context != nullptr;
  return CuSuccess;
}

FAKE CuResult cuStreamCreate(CuStream *Made, unsigned) {
  ENTER();
  Stream *New = new Stream;
  driver().Streams.insert(New);
  *Made = reinterpret_cast<CuStream>(New);
  return CuSuccess;
}

FAKE CuResult cuStreamDestroy_v2(CuStream Handle) {
  Lock Held(driver().Guard);
  Stream *Old = stream(__func__, Handle);
  (void)drain(*Old);
  driver().Streams.erase(Old);
  delete Old;
  return driver().Sticky;
}

FAKE CuResult cuStreamSynchronize(CuStream Handle) {
  ENTER();
  return drain(*stream(__func__, Handle));
}

FAKE CuResult cuMemAlloc_v2(CuDevicePointer *Made, size_t Bytes) {
  ENTER();
  Driver &D = driver();
  if (Bytes == 0)
    return CuResult(1);
  if (++D.Allocations == D.Given.fail_allocation ||
      Bytes > D.Given.memory - D.Used)
    return CuOutOfMemory;
  void *Memory = ::mmap(nullptr, pageBytes(Bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (Memory == MAP_FAILED)
    return CuOutOfMemory;
  std::memset(Memory, 0xff, Bytes); // float: not a number
  (void)::mprotect(Memory, pageBytes(Bytes), PROT_NONE);
  *Made = reinterpret_cast<uint64_t>(Memory);
  D.Memory[*Made] = Bytes;
  D.Used += Bytes;
  D.Counts["peak"] = std::max(D.Counts["peak"], D.Used);
  return CuSuccess;
}

FAKE CuResult cuMemFree_v2(CuDevicePointer Memory) {
  Lock Held(driver().Guard);
  Driver &D = driver();
  auto Found = D.Memory.find(Memory);
  if (Found == D.Memory.end())
    misused("cuMemFree: not allocated, or freed already");
  for (Stream *Of : D.Streams) // the driver waits for work that may use it
    (void)drain(*Of);
  (void)::munmap(reinterpret_cast<void *>(Memory), pageBytes(Found->second));
  D.Used -= Found->second;
  D.Memory.erase(Found);
  return D.Sticky;
}

FAKE CuResult cuMemGetInfo_v2(size_t *Free, size_t *Total) {
  ENTER();
  *Free = driver().Given.memory - driver().Used;
  *Total = driver().Given.memory;
  return CuSuccess;
}

FAKE CuResult cuMemHostAlloc(void **Made, size_t Bytes, unsigned) {
  ENTER();
  if (Bytes == 0)
    return CuResult(1);
  *Made = std::malloc(Bytes);
  if (!*Made)
    return CuOutOfMemory;
  driver().Pinned[reinterpret_cast<uint64_t>(*Made)] = Bytes;
  return CuSuccess;
}

FAKE CuResult cuMemFreeHost(void *Memory) {
  Lock Held(driver().Guard);
  if (!driver().Pinned.erase(reinterpret_cast<uint64_t>(Memory)))
    misused("cuMemFreeHost: not allocated, or freed already");
  std::free(Memory);
  return driver().Sticky;
}

FAKE CuResult cuMemcpyHtoDAsync_v2(CuDevicePointer To, const void *From,
                                   size_t Bytes, CuStream Handle) {
  ENTER();
  checkRange(__func__, To, Bytes);
  checkHost(__func__, From);
  auto Copy = [=](const void *Source) {
    DeviceAccess Open;
    std::memcpy(reinterpret_cast<void *>(To), Source, Bytes);
    return CuSuccess;
  };
  std::deque<std::function<CuResult()>> &Queue =
      stream(__func__, Handle)->Waiting;
  // Pinned memory is read when the copy's turn comes, other memory at once.
  if (isPinned(From, Bytes)) {
    Queue.push_back([=] { return Copy(From); });
    return CuSuccess;
  }
  const char *Begin = static_cast<const char *>(From);
  auto Kept = std::make_shared<std::vector<char>>(Begin, Begin + Bytes);
  Queue.push_back([=] { return Copy(Kept->data()); });
  return CuSuccess;
}

FAKE CuResult cuMemcpyDtoHAsync_v2(void *To, CuDevicePointer From, size_t Bytes,
                                   CuStream Handle) {
  ENTER();
  checkRange(__func__, From, Bytes);
  checkHost(__func__, To);
  stream(__func__, Handle)->Waiting.push_back([=] {
    DeviceAccess Open;
    std::memcpy(To, reinterpret_cast<void *>(From), Bytes);
    return CuSuccess;
  });
  return CuSuccess;
}

FAKE CuResult cuMemcpyDtoDAsync_v2(CuDevicePointer To, CuDevicePointer From,
                                   size_t Bytes, CuStream Handle) {
  ENTER();
  checkRange(__func__, From, Bytes);
  checkRange(__func__, To, Bytes);
  stream(__func__, Handle)->Waiting.push_back([=] {
    DeviceAccess Open;
    std::memcpy(reinterpret_cast<void *>(To), reinterpret_cast<void *>(From),
                Bytes);
    return CuSuccess;
  });
  return CuSuccess;
}

FAKE CuResult cuMemsetD8Async(CuDevicePointer To, unsigned char Value,
                              size_t Bytes, CuStream Handle) {
  ENTER();
  checkRange(__func__, To, Bytes);
  stream(__func__, Handle)->Waiting.push_back([=] {
    DeviceAccess Open;
    std::memset(reinterpret_cast<void *>(To), Value, Bytes);
    return CuSuccess;
  });
  return CuSuccess;
}

FAKE CuResult cuModuleLoadDataEx(CuModule *Made, const void *Image,
                                 unsigned Count, int *Options, void **Values) {
  ENTER();
  if (++driver().Images <= driver().Given.refuse_images)
    return CuNoBinaryForGpu;
  auto New = std::make_unique<FakeModule>();
  Result<std::unique_ptr<sim::SimModule>> Code = sim::SimModule::load(
      static_cast<const uint8_t *>(Image), imageBytes(Image), "image");
  if (!Code) {
    for (unsigned I = 0; I < Count; ++I)
      if (Options[I] == CuJitErrorLog)
        std::strcpy(static_cast<char *>(Values[I]), Code.message().c_str());
    return CuInvalidImage;
  }
  New->Code = std::move(*Code);
  driver().Modules.insert(New.get());
  *Made = reinterpret_cast<CuModule>(New.release());
  return CuSuccess;
}

FAKE CuResult cuModuleUnload(CuModule Handle) {
  Lock Held(driver().Guard);
  FakeModule *Old = checkHandle(__func__, driver().Modules, Handle);
  for (Stream *Of : driver().Streams)
    (void)drain(*Of);
  driver().Modules.erase(Old);
  delete Old;
  return driver().Sticky;
}

FAKE CuResult cuModuleGetFunction(CuFunction *Made, CuModule Handle,
                                  const char *Symbol) {
  ENTER();
  FakeModule *Module = checkHandle(__func__, driver().Modules, Handle);
  const TransXSSMSimKernelInfo *Found = Module->Code->find(Symbol);
  if (!Found)
    return CuResult(500);
  Function &Of = Module->Functions[Symbol];
  Of.Of = Module;
  Of.Kernel = Found;
  *Made = reinterpret_cast<CuFunction>(&Of);
  return CuSuccess;
}

FAKE CuResult cuFuncSetAttribute(CuFunction Handle, int Attribute, int Value) {
  ENTER();
  if (Attribute != CuFunctionMaxDynamicSharedBytes || Value < 0 ||
      uint64_t(Value) > driver().Given.shared)
    return CuResult(1);
  reinterpret_cast<Function *>(Handle)->MaxShared = uint64_t(Value);
  return CuSuccess;
}

FAKE CuResult cuLaunchKernel(CuFunction Handle, unsigned X, unsigned Y,
                             unsigned Z, unsigned BlockX, unsigned BlockY,
                             unsigned BlockZ, unsigned SharedBytes, CuStream On,
                             void **Parameters, void **Extra) {
  ENTER();
  if (++driver().Launches == driver().Given.fail_launch)
    return CuResult(701);
  auto Launch = std::make_shared<KernelLaunch>();
  CuResult Checked = makeLaunch(__func__,
                                {Handle,
                                 {X, Y, Z},
                                 {BlockX, BlockY, BlockZ},
                                 SharedBytes,
                                 Parameters,
                                 Extra},
                                *Launch);
  if (Checked == CuSuccess)
    stream(__func__, On)->Waiting.push_back([=] { return runKernel(*Launch); });
  return Checked;
}

FAKE CuResult cuTensorMapEncodeTiled(
    CuTensorMap *Into, int Type, uint32_t Rank, void *Base,
    const uint64_t *Extent, const uint64_t *Stride, const uint32_t *Box,
    const uint32_t *ElementStride, int Interleave, int Swizzle, int, int Fill) {
  Lock Held(driver().Guard);
  checkRange(__func__, reinterpret_cast<uint64_t>(Base), 1);
  bool Right = Type == CuTensorBf16 && Rank >= 1 && Rank <= 5 &&
               Interleave == CuTensorNoInterleave &&
               Swizzle == CuTensorSwizzle128 && Fill == CuTensorFillZeros &&
               Box[0] * 2 <= 128 && reinterpret_cast<uint64_t>(Base) % 16 == 0;
  TransXSSMSimTensorMap Made = {};
  for (uint32_t D = 0; D < Rank && Right; ++D) {
    Right &=
        Extent[D] >= 1 && Box[D] >= 1 && Box[D] <= 256 && ElementStride[D] == 1;
    Made.Extent[D] = Extent[D];
    Made.Box[D] = Box[D];
    if (D + 1 == Rank)
      continue;
    Right &= Stride[D] % 16 == 0 && Stride[D] < (uint64_t(1) << 40);
    Made.Stride[D] = Stride[D];
  }
  if (!Right)
    return CuResult(1);
  Made.Base = reinterpret_cast<uint64_t>(Base);
  Made.Rank = uint16_t(Rank);
  Made.ElementBytes = 2;
  Made.Swizzle = 128;
  static_assert(sizeof(Made) == sizeof(*Into));
  std::memcpy(Into, &Made, sizeof(Made));
  driver().Maps.insert(Into);
  return CuSuccess;
}

FAKE CuResult cuEventCreate(CuEvent *Made, unsigned) {
  ENTER();
  Event *New = new Event;
  driver().Events.insert(New);
  *Made = reinterpret_cast<CuEvent>(New);
  return CuSuccess;
}

FAKE CuResult cuEventDestroy_v2(CuEvent Handle) {
  Lock Held(driver().Guard);
  Event *Old = checkHandle(__func__, driver().Events, Handle);
  driver().Events.erase(Old);
  delete Old;
  return driver().Sticky;
}

FAKE CuResult cuEventRecord(CuEvent Handle, CuStream On) {
  ENTER();
  Event *Of = checkHandle(__func__, driver().Events, Handle);
  Of->Seconds = -1;
  stream(__func__, On)->Waiting.push_back([=] {
    Of->Seconds = now();
    return CuSuccess;
  });
  return CuSuccess;
}

FAKE CuResult cuEventSynchronize(CuEvent Handle) {
  ENTER();
  (void)checkHandle(__func__, driver().Events, Handle);
  for (Stream *Of : driver().Streams)
    (void)drain(*Of);
  return driver().Sticky;
}

FAKE CuResult cuEventElapsedTime(float *Milliseconds, CuEvent From,
                                 CuEvent To) {
  ENTER();
  Event *A = checkHandle(__func__, driver().Events, From);
  Event *B = checkHandle(__func__, driver().Events, To);
  if (A->Seconds < 0 || B->Seconds < 0)
    return CuResult(600);
  *Milliseconds = float((B->Seconds - A->Seconds) * 1e3);
  return CuSuccess;
}

FAKE CuResult cuGraphCreate(CuGraph *Made, unsigned) {
  ENTER();
  Graph *New = new Graph;
  driver().Graphs.insert(New);
  *Made = reinterpret_cast<CuGraph>(New);
  return CuSuccess;
}

FAKE CuResult cuGraphDestroy(CuGraph Handle) {
  Lock Held(driver().Guard);
  Graph *Old = checkHandle(__func__, driver().Graphs, Handle);
  driver().Graphs.erase(Old);
  delete Old;
  return CuSuccess;
}

/// A graph is a chain: each node comes after the one before alone.
FAKE CuResult cuGraphAddKernelNode(CuGraphNode *Made, CuGraph Handle,
                                   const CuGraphNode *After, size_t Count,
                                   const CuKernelNodeParameters *Given) {
  ENTER();
  Graph *Of = checkHandle(__func__, driver().Graphs, Handle);
  CuGraphNode Last = Of->Nodes.empty()
                         ? nullptr
                         : reinterpret_cast<CuGraphNode>(&Of->Nodes.back());
  if (Count != (Last ? 1 : 0) || (Last && *After != Last))
    misused("cuGraphAddKernelNode: a node that is not behind the last one");
  KernelLaunch New;
  if (CuResult Checked = makeLaunch(__func__, *Given, New);
      Checked != CuSuccess)
    return Checked;
  Of->Nodes.push_back(std::move(New));
  *Made = reinterpret_cast<CuGraphNode>(&Of->Nodes.back());
  return CuSuccess;
}

FAKE CuResult cuGraphInstantiateWithFlags(CuGraphExec *Made, CuGraph Handle,
                                          unsigned long long) {
  ENTER();
  ++driver().Counts["instantiated"];
  Graph *Of = checkHandle(__func__, driver().Graphs, Handle);
  GraphExec *New = new GraphExec;
  for (const KernelLaunch &Node : Of->Nodes) {
    New->Place[&Node] = New->Nodes.size();
    New->Nodes.push_back(Node);
  }
  driver().Execs.insert(New);
  *Made = reinterpret_cast<CuGraphExec>(New);
  return CuSuccess;
}

FAKE CuResult cuGraphExecKernelNodeSetParams(
    CuGraphExec Handle, CuGraphNode Node, const CuKernelNodeParameters *Given) {
  ENTER();
  ++driver().Counts["changed"];
  GraphExec *Of = checkHandle(__func__, driver().Execs, Handle);
  auto Found = Of->Place.find(reinterpret_cast<KernelLaunch *>(Node));
  if (Found == Of->Place.end())
    misused("cuGraphExecKernelNodeSetParams: a node of another graph");
  return makeLaunch(__func__, *Given, Of->Nodes[Found->second]);
}

FAKE CuResult cuGraphLaunch(CuGraphExec Handle, CuStream On) {
  ENTER();
  ++driver().Counts["graphs"];
  if (++driver().Launches == driver().Given.fail_launch)
    return CuResult(701);
  GraphExec *Of = checkHandle(__func__, driver().Execs, Handle);
  // A launch has what the nodes are now, whatever is set later.
  for (const KernelLaunch &Node : Of->Nodes) {
    auto Launch = std::make_shared<KernelLaunch>(Node);
    stream(__func__, On)->Waiting.push_back([=] { return runKernel(*Launch); });
  }
  return CuSuccess;
}

FAKE CuResult cuGraphExecDestroy(CuGraphExec Handle) {
  Lock Held(driver().Guard);
  GraphExec *Old = checkHandle(__func__, driver().Execs, Handle);
  driver().Execs.erase(Old);
  delete Old;
  return CuSuccess;
}
