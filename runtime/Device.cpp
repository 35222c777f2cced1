//===- Device.cpp - What runs the kernels of a package --------------------
//===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Device.h"

#include "runtime/cpu/CpuDevice.h"
#include "runtime/sim/SimDevice.h"

using namespace transxssm;

Device::~Device() = default;

Result<std::unique_ptr<Device>>
Device::create(const Package &From, const std::string &Name, ThreadPool &Pool) {
  if (Name == "cpu")
    return CpuDevice::create(From, Pool);
  if (Name == "sim" || Name.rfind("sim:", 0) == 0)
    return sim::SimDevice::create(From, Name.size() > 4 ? Name.substr(4) : "");
  return makeError("device '", Name,
                   "': expected cpu, sim or sim:ARCHITECTURE");
}
