//===- DriverApi.h - What is called of CUDA's driver ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The part of the CUDA driver API (its reference manual, chapters 6.1 to 6.32)
// that device "cuda" uses, declared here so that neither building nor running
// needs a CUDA toolkit. Names of symbols are those that the driver exports:
// where a function has changed, the version is part of the name.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CUDA_DRIVERAPI_H
#define TRANSXSSM_RUNTIME_CUDA_DRIVERAPI_H

#include <cstddef>
#include <cstdint>

namespace transxssm::cuda {

// Handles are pointers to what only the driver knows.
using CuContext = struct CuContextOpaque *;
using CuStream = struct CuStreamOpaque *;
using CuModule = struct CuModuleOpaque *;
using CuFunction = struct CuFunctionOpaque *;
using CuEvent = struct CuEventOpaque *;
using CuGraph = struct CuGraphOpaque *;
using CuGraphNode = struct CuGraphNodeOpaque *;
using CuGraphExec = struct CuGraphExecOpaque *;
using CuDevice = int;
using CuDevicePointer = uint64_t;

enum CuResult : int {
  CuSuccess = 0,
  CuOutOfMemory = 2,
  CuNoDevice = 100,
  CuInvalidImage = 200,
  CuNoBinaryForGpu = 209,
  CuEccUncorrectable = 214,
  CuInvalidPtx = 218,
  CuUnsupportedPtxVersion = 222,
  CuIllegalAddress = 700,
  CuLaunchTimeout = 702,
  CuAssert = 710,
  CuHardwareStackError = 714,
  CuIllegalInstruction = 715,
  CuMisalignedAddress = 716,
  CuInvalidAddressSpace = 717,
  CuInvalidPc = 718,
  CuLaunchFailed = 719
};

// CUdevice_attribute, CUfunction_attribute, CUjit_option, CUstream_flags.
constexpr int CuAttributeMultiprocessors = 16;
constexpr int CuAttributeCapabilityMajor = 75;
constexpr int CuAttributeCapabilityMinor = 76;
constexpr int CuAttributeMaxSharedBytes = 97; // of a block that opts in
constexpr int CuFunctionMaxDynamicSharedBytes = 8;
constexpr int CuJitErrorLog = 5;
constexpr int CuJitErrorLogBytes = 6;
constexpr unsigned CuStreamNonBlocking = 1;

/// CUDA_KERNEL_NODE_PARAMS in its first version.
struct CuKernelNodeParameters {
  CuFunction Function;
  unsigned Grid[3];
  unsigned Block[3];
  unsigned SharedBytes;
  void **Parameters;
  void **Extra;
};

/// CUtensorMap, which only the driver understands.
struct alignas(64) CuTensorMap {
  uint64_t Opaque[16];
};

// CUtensorMapDataType, CUtensorMapInterleave, CUtensorMapSwizzle,
// CUtensorMapL2promotion, CUtensorMapFloatOOBfill.
constexpr int CuTensorFloat32 = 7;
constexpr int CuTensorBf16 = 9;
constexpr int CuTensorNoInterleave = 0;
constexpr int CuTensorNoSwizzle = 0;
constexpr int CuTensorSwizzle32 = 1;
constexpr int CuTensorSwizzle64 = 2;
constexpr int CuTensorSwizzle128 = 3;
constexpr int CuTensorPromotion256 = 3;
constexpr int CuTensorFillZeros = 0;

/// Every function: its member of DriverTable, its symbol, its parameters.
#define TRANSXSSM_CUDA_FUNCTIONS(X)                                            \
  X(Init, "cuInit", (unsigned))                                                \
  X(GetVersion, "cuDriverGetVersion", (int *))                                 \
  X(ErrorName, "cuGetErrorName", (CuResult, const char **))                    \
  X(ErrorText, "cuGetErrorString", (CuResult, const char **))                  \
  X(DeviceCount, "cuDeviceGetCount", (int *))                                  \
  X(DeviceGet, "cuDeviceGet", (CuDevice *, int))                               \
  X(DeviceName, "cuDeviceGetName", (char *, int, CuDevice))                    \
  X(DeviceAttribute, "cuDeviceGetAttribute", (int *, int, CuDevice))           \
  X(ContextRetain, "cuDevicePrimaryCtxRetain", (CuContext *, CuDevice))        \
  X(ContextRelease, "cuDevicePrimaryCtxRelease_v2", (CuDevice))                \
  X(ContextSet, "cuCtxSetCurrent", (CuContext))                                \
  X(StreamCreate, "cuStreamCreate", (CuStream *, unsigned))                    \
  X(StreamDestroy, "cuStreamDestroy_v2", (CuStream))                           \
  X(StreamWait, "cuStreamSynchronize", (CuStream))                             \
  X(MemoryAllocate, "cuMemAlloc_v2", (CuDevicePointer *, size_t))              \
  X(MemoryFree, "cuMemFree_v2", (CuDevicePointer))                             \
  X(MemoryInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                       \
  X(HostAllocate, "cuMemHostAlloc", (void **, size_t, unsigned))               \
  X(HostFree, "cuMemFreeHost", (void *))                                       \
  X(CopyIn, "cuMemcpyHtoDAsync_v2",                                            \
    (CuDevicePointer, const void *, size_t, CuStream))                         \
  X(CopyOut, "cuMemcpyDtoHAsync_v2",                                           \
    (void *, CuDevicePointer, size_t, CuStream))                               \
  X(CopyWithin, "cuMemcpyDtoDAsync_v2",                                        \
    (CuDevicePointer, CuDevicePointer, size_t, CuStream))                      \
  X(Fill, "cuMemsetD8Async",                                                   \
    (CuDevicePointer, unsigned char, size_t, CuStream))                        \
  X(ModuleLoad, "cuModuleLoadDataEx",                                          \
    (CuModule *, const void *, unsigned, int *, void **))                      \
  X(ModuleUnload, "cuModuleUnload", (CuModule))                                \
  X(ModuleFunction, "cuModuleGetFunction",                                     \
    (CuFunction *, CuModule, const char *))                                    \
  X(FunctionSet, "cuFuncSetAttribute", (CuFunction, int, int))                 \
  X(Launch, "cuLaunchKernel",                                                  \
    (CuFunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,   \
     unsigned, CuStream, void **, void **))                                    \
  X(TensorMapEncode, "cuTensorMapEncodeTiled",                                 \
    (CuTensorMap *, int, uint32_t, void *, const uint64_t *, const uint64_t *, \
     const uint32_t *, const uint32_t *, int, int, int, int))                  \
  X(EventCreate, "cuEventCreate", (CuEvent *, unsigned))                       \
  X(EventDestroy, "cuEventDestroy_v2", (CuEvent))                              \
  X(EventRecord, "cuEventRecord", (CuEvent, CuStream))                         \
  X(EventWait, "cuEventSynchronize", (CuEvent))                                \
  X(EventElapsed, "cuEventElapsedTime", (float *, CuEvent, CuEvent))           \
  X(GraphCreate, "cuGraphCreate", (CuGraph *, unsigned))                       \
  X(GraphDestroy, "cuGraphDestroy", (CuGraph))                                 \
  X(GraphAddKernel, "cuGraphAddKernelNode",                                    \
    (CuGraphNode *, CuGraph, const CuGraphNode *, size_t,                      \
     const CuKernelNodeParameters *))                                          \
  X(GraphInstantiate, "cuGraphInstantiateWithFlags",                           \
    (CuGraphExec *, CuGraph, unsigned long long))                              \
  X(GraphSetKernel, "cuGraphExecKernelNodeSetParams",                          \
    (CuGraphExec, CuGraphNode, const CuKernelNodeParameters *))                \
  X(GraphLaunch, "cuGraphLaunch", (CuGraphExec, CuStream))                     \
  X(GraphExecDestroy, "cuGraphExecDestroy", (CuGraphExec))

/// The functions of a loaded driver.
struct DriverTable {
#define TRANSXSSM_CUDA_MEMBER(Member, Symbol, Parameters)                      \
  CuResult(*Member) Parameters = nullptr;
  TRANSXSSM_CUDA_FUNCTIONS(TRANSXSSM_CUDA_MEMBER)
#undef TRANSXSSM_CUDA_MEMBER
};

} // namespace transxssm::cuda

#endif // TRANSXSSM_RUNTIME_CUDA_DRIVERAPI_H
