//===- Device.cpp - What runs the kernels of a package --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Device.h"

#include "runtime/cpu/CpuDevice.h"
#include "runtime/cuda/CudaDevice.h"
#include "runtime/sim/SimDevice.h"

#include <chrono>

using namespace transxssm;

Device::~Device() = default;

Status Device::runCall(const DeviceCall &Call) {
  for (const DeviceLaunch &Launch : Call.Launches)
    if (Status Done = launch(Launch); !Done)
      return Done;
  return {};
}

Result<double> Device::launchTimed(const DeviceLaunch &Launch) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point Began = Clock::now();
  if (Status Done = launch(Launch); !Done)
    return Done.error();
  return std::chrono::duration<double>(Clock::now() - Began).count();
}

Result<std::unique_ptr<Device>>
Device::create(const Package &From, const std::string &Name, ThreadPool &Pool) {
  if (Name == "cpu")
    return CpuDevice::create(From, Pool);
  if (Name == "sim" || Name.rfind("sim:", 0) == 0)
    return sim::SimDevice::create(From, Name.size() > 4 ? Name.substr(4) : "");
  if (Name == "cuda" || Name.rfind("cuda:", 0) == 0)
    return cuda::CudaDevice::create(From,
                                    Name == "cuda" ? "0" : Name.substr(5));
  return makeError("device '", Name,
                   "': expected cpu, cuda, cuda:NUMBER, sim or "
                   "sim:ARCHITECTURE");
}
