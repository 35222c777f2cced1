//===- CudaContext.h - One GPU: its driver, memory and stream -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The driver is found when a device is asked for: libcuda.so.1, or the library
// that TRANSXSSM_CUDA_DRIVER names. All work of a model goes through one
// stream, so that copies and kernels keep their order.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CUDA_CUDACONTEXT_H
#define TRANSXSSM_RUNTIME_CUDA_CUDACONTEXT_H

#include "runtime/Memory.h"
#include "runtime/cuda/DriverApi.h"

#include <memory>
#include <mutex>
#include <string>

namespace transxssm::cuda {

class CudaContext : public MemorySpace {
public:
  /// Of the GPU with that number.
  static Result<std::shared_ptr<CudaContext>> create(unsigned Ordinal);
  ~CudaContext() override;

  const DriverTable &driver() const { return Driver; }
  CuStream stream() const { return Stream; }
  /// "cuda:0", which starts every error.
  const std::string &name() const { return Name; }
  /// "NVIDIA H200".
  const std::string &model() const { return ModelName; }
  /// 80 for compute capability 8.0.
  int capability() const { return Capability; }
  /// The most dynamic shared memory that a block may ask for.
  uint64_t maxSharedBytes() const { return MaxSharedBytes; }
  unsigned multiprocessors() const { return Multiprocessors; }

  /// Makes the GPU the calling thread's. An error if it has failed for good.
  Status enter();

  /// Turns a result of the driver into an error that says what was done. Errors
  /// after which the driver refuses everything else are remembered.
  Status check(CuResult Result, const std::string &Doing);

  /// Waits until the stream has done all that it was given.
  Status wait(const std::string &Doing);

  // MemorySpace
  Result<void *> allocate(uint64_t Bytes, const std::string &Purpose) override;
  void release(void *Memory) override;
  Status copyIn(void *To, const void *From, uint64_t Bytes) override;
  Status copyOut(void *To, const void *From, uint64_t Bytes) override;
  Status copyWithin(void *To, const void *From, uint64_t Bytes) override;
  Status zero(void *To, uint64_t Bytes) override;

private:
  CudaContext() = default;
  Status loadDriver();
  Status open(unsigned Ordinal);
  std::string describe(CuResult Result) const;

  DriverTable Driver;
  std::string Library, Name, ModelName;
  CuDevice Device = 0;
  CuContext Context = nullptr;
  CuStream Stream = nullptr;
  int Capability = 0;
  uint64_t MaxSharedBytes = 0;
  unsigned Multiprocessors = 0;
  std::mutex Guard;
  std::string Broken; ///< what every call says after an error that stays
};

/// Memory of the host that the GPU copies from and to by itself.
class PinnedSpace : public MemorySpace {
public:
  explicit PinnedSpace(std::shared_ptr<CudaContext> On) : On(std::move(On)) {}

  Result<void *> allocate(uint64_t Bytes, const std::string &Purpose) override;
  void release(void *Memory) override;
  Status copyIn(void *To, const void *From, uint64_t Bytes) override;
  Status copyOut(void *To, const void *From, uint64_t Bytes) override;
  Status copyWithin(void *To, const void *From, uint64_t Bytes) override;
  Status zero(void *To, uint64_t Bytes) override;

private:
  std::shared_ptr<CudaContext> On;
};

} // namespace transxssm::cuda

#endif // TRANSXSSM_RUNTIME_CUDA_CUDACONTEXT_H
