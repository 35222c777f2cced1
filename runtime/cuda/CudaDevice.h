//===- CudaDevice.h - Kernels on an NVIDIA GPU ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Device "cuda" or "cuda:NUMBER". A call copies its inputs, launches, and
// copies its outputs on one stream; it returns when they have arrived. From the
// second call of a binding on, the launches are replayed as a CUDA graph
// (CudaGraph.h).
//
// TRANSXSSM_CUDA_GRAPHS=0 launches one by one; TRANSXSSM_CUDA_SYNC=1 does too
// and waits for each kernel, so that an error names the one that made it.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CUDA_CUDADEVICE_H
#define TRANSXSSM_RUNTIME_CUDA_CUDADEVICE_H

#include "runtime/Device.h"
#include "runtime/cuda/CudaContext.h"

#include <memory>
#include <vector>

namespace transxssm::cuda {

class CudaGraph;

/// A launch in the driver's terms.
struct CudaLaunch {
  CuKernelNodeParameters Node = {};
  /// What Node points to. One pointer to the value of each kernel parameter:
  /// memory operands, sizes, tensor maps (by value). A null behind the last
  /// lets tests count them.
  std::vector<void *> Parameters;
  std::vector<CuTensorMap> Maps;
};

class CudaDevice : public Device {
public:
  /// `Number` is the text behind "cuda:".
  static Result<std::unique_ptr<Device>> create(const Package &From,
                                                const std::string &Number);
  ~CudaDevice() override;

  SharedSpace memory() const override { return Context; }
  SharedSpace staging() const override { return Pinned; }
  Status beginCall(const DeviceCall &Call) override;
  Status runCall(const DeviceCall &Call) override;
  Status endCall(const DeviceCall &Call) override;
  Status launch(const DeviceLaunch &Launch) override;
  Result<double> launchTimed(const DeviceLaunch &Launch) override;

  CudaContext &context() const { return *Context; }

  /// An error where the grid is larger than a GPU takes, or a tensor map
  /// impossible.
  Status prepare(const DeviceLaunch &Launch, CudaLaunch &Into) const;

private:
  CudaDevice(const Package &From, const PackageCode &Code,
             std::shared_ptr<CudaContext> On);

  Status addTensorMaps(const DeviceLaunch &Launch, CudaLaunch &Into) const;
  Status readEnvironment();
  Status loadModule();
  Status resolveKernels();
  std::string kernelName(const DeviceLaunch &Launch) const;

  /// A binding that has run, and its graph from the second time on.
  struct Replayed {
    uint64_t Number = 0, LastUse = 0;
    std::unique_ptr<CudaGraph> Graph;
  };
  Replayed &replayed(uint64_t Number, bool &Seen);

  std::shared_ptr<CudaContext> Context;
  SharedSpace Pinned;
  CuModule Module = nullptr;
  std::vector<CuFunction> Kernels;
  std::vector<Replayed> Known;
  uint64_t Calls = 0;
  CuEvent Began = nullptr, Ended = nullptr; ///< of timed launches
  bool UsesGraphs = true, Waits = false;
};

} // namespace transxssm::cuda

#endif // TRANSXSSM_RUNTIME_CUDA_CUDADEVICE_H
