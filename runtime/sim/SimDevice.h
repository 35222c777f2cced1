//===- SimDevice.h - Kernels in the simulator -----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Device "sim": the same package, plan and results as on a GPU, with every
// kernel under the simulator's checks. The first thing that it reports fails
// the call. TRANSXSSM_SIM_SCHEDULE chooses the order of threads: "reverse", or
// a number that seeds a random one.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_SIMDEVICE_H
#define TRANSXSSM_RUNTIME_SIM_SIMDEVICE_H

#include "runtime/Device.h"
#include "runtime/sim/Simulator.h"

#include <vector>

namespace transxssm::sim {

class SimDevice : public Device {
public:
  /// Takes the code for that architecture ("sm_80"), or the last there is.
  static Result<std::unique_ptr<Device>>
  create(const Package &From, const std::string &Architecture);

  Status beginCall(const DeviceCall &Call) override;
  Status launch(const DeviceLaunch &Launch) override;
  const std::vector<KernelTraffic> *countTraffic() override;

private:
  SimDevice(const Package &From, const PackageCode &Code)
      : Device(From, Code) {}

  Status resolveKernels();
  Status setGrid(const DeviceLaunch &Launch, LaunchShape &Shape) const;
  Status addTensorMaps(const DeviceLaunch &Launch,
                       std::vector<TransXSSMSimTensorMap> &Maps,
                       std::vector<void *> &Parameters) const;
  void addTraffic(size_t Kernel, const Counters &Before);
  Status readSchedule();
  void declare(const DeviceLaunch &Launch);

  Simulator Runner;
  std::unique_ptr<SimModule> Module;
  std::vector<const TransXSSMSimKernelInfo *> Kernels;
  /// Buffers of the entry that this call has declared.
  std::vector<bool> Declared;
  std::vector<KernelTraffic> Traffic; ///< empty unless counting
};

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_SIMDEVICE_H
