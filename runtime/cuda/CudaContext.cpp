//===- CudaContext.cpp - One GPU: its driver, memory and stream -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/CudaContext.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>

using namespace transxssm;
using namespace transxssm::cuda;

namespace {

/// The first driver that loads machine code for sm_90a.
constexpr int OldestDriver = 12000;

std::string versionText(int Version) {
  return std::to_string(Version / 1000) + "." +
         std::to_string(Version % 1000 / 10);
}

/// Whether the driver refuses all work after this error (the reference manual
/// says of each: "the context cannot be used").
bool isSticky(CuResult Result) {
  switch (Result) {
  case CuEccUncorrectable:
  case CuIllegalAddress:
  case CuLaunchTimeout:
  case CuAssert:
  case CuHardwareStackError:
  case CuIllegalInstruction:
  case CuMisalignedAddress:
  case CuInvalidAddressSpace:
  case CuInvalidPc:
  case CuLaunchFailed:
    return true;
  default:
    return false;
  }
}

CuDevicePointer device(const void *Memory) {
  return CuDevicePointer(reinterpret_cast<uintptr_t>(Memory));
}

} // namespace

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

Result<std::shared_ptr<CudaContext>> CudaContext::create(unsigned Ordinal) {
  std::shared_ptr<CudaContext> Made(new CudaContext);
  Made->Name = "cuda:" + std::to_string(Ordinal);
  if (Status Loaded = Made->loadDriver(); !Loaded)
    return Loaded.error();
  if (Status Opened = Made->open(Ordinal); !Opened)
    return Opened.error();
  return Made;
}

Status CudaContext::loadDriver() {
  const char *Given = std::getenv("TRANSXSSM_CUDA_DRIVER");
  Library = Given && *Given ? Given : "libcuda.so.1";
  // Never closed: the driver keeps threads and state of its own.
  void *Handle = ::dlopen(Library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!Handle) {
    const char *Why = ::dlerror();
    return makeError("device '", Name, "': cannot load NVIDIA's driver: ",
                     Why ? Why : Library.c_str());
  }
  auto Find = [&](const char *Symbol) { return ::dlsym(Handle, Symbol); };
  // An old driver lacks functions: its version says more than their names.
  auto Version = reinterpret_cast<CuResult (*)(int *)>(
      reinterpret_cast<uintptr_t>(Find("cuDriverGetVersion")));
  int Number = 0;
  if (Version && Version(&Number) == CuSuccess && Number < OldestDriver)
    return makeError("device '", Name, "': expected a driver for CUDA ",
                     versionText(OldestDriver), " or later, got one for ",
                     versionText(Number));
#define TRANSXSSM_CUDA_FIND(Member, Symbol, Parameters)                        \
  Driver.Member = reinterpret_cast<decltype(Driver.Member)>(                   \
      reinterpret_cast<uintptr_t>(Find(Symbol)));                              \
  if (!Driver.Member)                                                          \
    return makeError("device '", Name, "': ", Library, " has no function ",    \
                     Symbol);
  TRANSXSSM_CUDA_FUNCTIONS(TRANSXSSM_CUDA_FIND)
#undef TRANSXSSM_CUDA_FIND
  return {};
}

Status CudaContext::open(unsigned Ordinal) {
  CuResult Began = Driver.Init(0);
  int Count = 0;
  if (Began == CuSuccess)
    if (Status Done = check(Driver.DeviceCount(&Count), "counting devices");
        !Done)
      return Done;
  if (Began == CuNoDevice || (Began == CuSuccess && Count == 0))
    return makeError("device '", Name, "': this machine has no NVIDIA GPU");
  if (Status Done = check(Began, "starting the driver"); !Done)
    return Done;
  if (Ordinal >= unsigned(Count))
    return makeError("device '", Name, "': expected a number below ", Count,
                     ", as many GPUs as there are");
  if (Status Done =
          check(Driver.DeviceGet(&Device, int(Ordinal)), "opening it");
      !Done)
    return Done;
  char Text[256] = "";
  int Major = 0, Minor = 0, Shared = 0, Processors = 0;
  for (CuResult Result :
       {Driver.DeviceName(Text, int(sizeof(Text)) - 1, Device),
        Driver.DeviceAttribute(&Major, CuAttributeCapabilityMajor, Device),
        Driver.DeviceAttribute(&Minor, CuAttributeCapabilityMinor, Device),
        Driver.DeviceAttribute(&Shared, CuAttributeMaxSharedBytes, Device),
        Driver.DeviceAttribute(&Processors, CuAttributeMultiprocessors, Device),
        Driver.ContextRetain(&Context, Device)})
    if (Status Done = check(Result, "opening it"); !Done)
      return Done;
  ModelName = Text;
  Capability = 10 * Major + Minor;
  MaxSharedBytes = uint64_t(std::max(Shared, 0));
  Multiprocessors = unsigned(std::max(Processors, 1));
  if (Status Entered = enter(); !Entered)
    return Entered;
  return check(Driver.StreamCreate(&Stream, CuStreamNonBlocking),
               "making a stream");
}

CudaContext::~CudaContext() {
  if (!Context)
    return;
  (void)Driver.ContextSet(Context);
  if (Stream)
    (void)Driver.StreamDestroy(Stream);
  (void)Driver.ContextRelease(Device);
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

std::string CudaContext::describe(CuResult Result) const {
  const char *Id = nullptr, *Text = nullptr;
  (void)Driver.ErrorName(Result, &Id);
  (void)Driver.ErrorText(Result, &Text);
  std::string Made = Id ? Id : "error " + std::to_string(int(Result));
  return Text ? Made + " (" + Text + ")" : Made;
}

Status CudaContext::check(CuResult Result, const std::string &Doing) {
  if (Result == CuSuccess)
    return {};
  std::string Message = Name + ": " + Doing + ": " + describe(Result);
  if (isSticky(Result)) {
    Message += "; the device is lost to this process, which has to be "
               "restarted";
    std::lock_guard<std::mutex> Held(Guard);
    if (Broken.empty())
      Broken = Message;
    return Error{Broken};
  }
  return Error{Message};
}

Status CudaContext::enter() {
  {
    std::lock_guard<std::mutex> Held(Guard);
    if (!Broken.empty())
      return Error{Broken};
  }
  return check(Driver.ContextSet(Context), "entering its context");
}

Status CudaContext::wait(const std::string &Doing) {
  return check(Driver.StreamWait(Stream), Doing);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Result<void *> CudaContext::allocate(uint64_t Bytes,
                                     const std::string &Purpose) {
  if (Status Entered = enter(); !Entered)
    return Entered.error();
  CuDevicePointer Memory = 0;
  // The driver refuses to allocate nothing.
  CuResult Result =
      Driver.MemoryAllocate(&Memory, std::max<uint64_t>(Bytes, 1));
  if (Result == CuOutOfMemory) {
    size_t Free = 0, Total = 0;
    (void)Driver.MemoryInfo(&Free, &Total);
    return makeError(Name, ": cannot allocate ", Bytes, " bytes for ", Purpose,
                     ": ", Free, " of ", Total, " bytes are free");
  }
  if (Status Done = check(Result, "allocating memory for " + Purpose); !Done)
    return Done.error();
  void *Made = reinterpret_cast<void *>(uintptr_t(Memory));
  if (Status Zeroed = zero(Made, Bytes); !Zeroed) {
    release(Made);
    return Zeroed.error();
  }
  return Made;
}

void CudaContext::release(void *Memory) {
  (void)Driver.ContextSet(Context);
  (void)Driver.MemoryFree(device(Memory));
}

Status CudaContext::copyIn(void *To, const void *From, uint64_t Bytes) {
  if (Status Entered = enter(); !Entered || Bytes == 0)
    return Entered;
  if (Status Done = check(Driver.CopyIn(device(To), From, Bytes, Stream),
                          "copying to it");
      !Done)
    return Done;
  return wait("copying to it");
}

Status CudaContext::copyOut(void *To, const void *From, uint64_t Bytes) {
  if (Status Entered = enter(); !Entered || Bytes == 0)
    return Entered;
  if (Status Done = check(Driver.CopyOut(To, device(From), Bytes, Stream),
                          "copying from it");
      !Done)
    return Done;
  return wait("copying from it");
}

Status CudaContext::copyWithin(void *To, const void *From, uint64_t Bytes) {
  if (Status Entered = enter(); !Entered || Bytes == 0)
    return Entered;
  if (Status Done =
          check(Driver.CopyWithin(device(To), device(From), Bytes, Stream),
                "copying within it");
      !Done)
    return Done;
  return wait("copying within it");
}

Status CudaContext::zero(void *To, uint64_t Bytes) {
  if (Status Entered = enter(); !Entered || Bytes == 0)
    return Entered;
  if (Status Done =
          check(Driver.Fill(device(To), 0, Bytes, Stream), "clearing memory");
      !Done)
    return Done;
  return wait("clearing memory");
}

//===----------------------------------------------------------------------===//
// Pinned memory
//===----------------------------------------------------------------------===//

Result<void *> PinnedSpace::allocate(uint64_t Bytes,
                                     const std::string &Purpose) {
  if (Status Entered = On->enter(); !Entered)
    return Entered.error();
  void *Memory = nullptr;
  uint64_t Wanted = std::max<uint64_t>(Bytes, 1);
  CuResult Result = On->driver().HostAllocate(&Memory, Wanted, 0);
  if (Result == CuOutOfMemory)
    return makeError(On->name(), ": cannot allocate ", Bytes,
                     " bytes of pinned host memory for ", Purpose);
  if (Status Done = On->check(Result, "allocating pinned host memory"); !Done)
    return Done.error();
  std::memset(Memory, 0, Wanted);
  return Memory;
}

void PinnedSpace::release(void *Memory) {
  (void)On->enter();
  (void)On->driver().HostFree(Memory);
}

Status PinnedSpace::copyIn(void *To, const void *From, uint64_t Bytes) {
  std::memcpy(To, From, Bytes);
  return {};
}

Status PinnedSpace::copyOut(void *To, const void *From, uint64_t Bytes) {
  std::memcpy(To, From, Bytes);
  return {};
}

Status PinnedSpace::copyWithin(void *To, const void *From, uint64_t Bytes) {
  std::memcpy(To, From, Bytes);
  return {};
}

Status PinnedSpace::zero(void *To, uint64_t Bytes) {
  std::memset(To, 0, Bytes);
  return {};
}
