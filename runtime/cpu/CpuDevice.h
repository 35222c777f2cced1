//===- CpuDevice.h - Kernels on the processor -----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CPU_CPUDEVICE_H
#define TRANSXSSM_RUNTIME_CPU_CPUDEVICE_H

#include "runtime/Device.h"
#include "runtime/Memory.h"
#include "runtime/cpu/ObjectLoader.h"

#include <vector>

namespace transxssm {

/// Runs the cells of a grid on the threads of a pool.
class CpuDevice : public Device {
public:
  /// Takes the last code object whose features this machine has.
  static Result<std::unique_ptr<Device>> create(const Package &From,
                                                ThreadPool &Pool);

  Status launch(const DeviceLaunch &Launch) override;

private:
  CpuDevice(const Package &From, const PackageCode &Code, ThreadPool &Pool)
      : Device(From, Code), Pool(Pool) {}

  Status resolveKernels();

  ThreadPool &Pool;
  std::unique_ptr<LoadedObject> Object;
  std::vector<TransXSSMCpuKernel> Kernels;
  MemoryBlock Scratch; ///< one part for each thread
  uint64_t ScratchStride = 0;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_CPU_CPUDEVICE_H
