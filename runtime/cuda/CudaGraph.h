//===- CudaGraph.h - The launches of a call, replayed ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// One chain of kernel nodes. It is built node by node, not captured from the
// stream, so that each launch has a node to be changed: a decode step differs
// from the one before in those few launches that depend on the number of past
// tokens, and only these are set anew.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CUDA_CUDAGRAPH_H
#define TRANSXSSM_RUNTIME_CUDA_CUDAGRAPH_H

#include "runtime/cuda/CudaDevice.h"

#include <memory>
#include <vector>

namespace transxssm::cuda {

class CudaGraph {
public:
  static Result<std::unique_ptr<CudaGraph>> create(const CudaDevice &On,
                                                   const DeviceCall &Call);
  ~CudaGraph();

  /// Whether the call has as many launches of the same kernels, so that
  /// update() is enough.
  bool fits(const DeviceCall &Call) const;

  /// Sets what differs from the last call.
  Status update(const DeviceCall &Call);

  Status launch();

private:
  struct Node {
    CuGraphNode Handle = nullptr;
    uint32_t Kernel = 0;
    std::vector<int64_t> Values; ///< grid, sizes
    std::vector<void *> Operands;
  };

  explicit CudaGraph(const CudaDevice &On) : On(On) {}
  Status build(const DeviceCall &Call);
  static bool remember(const DeviceLaunch &Launch, Node &Into);

  const CudaDevice &On;
  std::vector<Node> Nodes;
  CuGraph Graph = nullptr;
  CuGraphExec Executable = nullptr;
};

} // namespace transxssm::cuda

#endif // TRANSXSSM_RUNTIME_CUDA_CUDAGRAPH_H
