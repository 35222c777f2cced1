//===- FakeDriver.cpp - A CUDA driver without a GPU, for tests ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The functions for devices, streams and memory; FakeDriverKernels.cpp has the
// others.
//
//===----------------------------------------------------------------------===//

#include "test/cuda/FakeDriver.h"
#include "test/cuda/FakeDriverState.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

using namespace transxssm;
using namespace transxssm::cuda;
using namespace transxssm::fake;

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
  case CuAttributeMultiprocessors:
    *Value = 2;
    return CuSuccess;
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
  makeHandle(driver().Streams, Made);
  return CuSuccess;
}

FAKE CuResult cuStreamDestroy_v2(CuStream Handle) {
  Lock Held(driver().Guard);
  (void)drain(*stream(__func__, Handle));
  destroyHandle(__func__, driver().Streams, Handle);
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
