//===- Device.h - What runs the kernels of a package ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A device holds the code of a package's kernels and launches them. The
// executor knows nothing more of it: which buffers there are and when they are
// used is the same everywhere. "cpu" and "sim" work on the host's memory;
// "cuda" has its own, and copies inputs and outputs around the launches of a
// call.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_DEVICE_H
#define TRANSXSSM_RUNTIME_DEVICE_H

#include "runtime/KernelTraffic.h"
#include "runtime/Memory.h"
#include "runtime/Package.h"
#include "runtime/cpu/ThreadPool.h"
#include "runtime/support/Error.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace transxssm {

/// A launch with everything evaluated.
struct DeviceLaunch {
  const PackageEntry *Entry = nullptr;
  const PackageLaunch *From = nullptr;
  const int64_t *Grid = nullptr;   ///< three extents, at least one cell
  const int64_t *Sizes = nullptr;  ///< see kernel_abi.h
  void *const *Operands = nullptr; ///< one for each memref argument
  const uint64_t *Bytes = nullptr; ///< of each buffer of the entry
};

/// A call of an entry with everything evaluated.
struct DeviceCall {
  /// Which binding of the executor: calls with the same number have the same
  /// entry and buffers of the same sizes.
  uint64_t Number = 0;
  const std::vector<DeviceLaunch> &Launches;
  /// Inputs, then outputs: where the host has them and where the kernels do.
  /// On the host both are the same.
  uint8_t *Host = nullptr, *Transfer = nullptr;
  uint64_t InputBytes = 0;
  /// The part of the outputs that the host wants, from the first input on.
  uint64_t OutputFirst = 0, OutputBytes = 0;
};

/// How many blocks a launch starts of a kernel whose blocks go over the cells
/// of the grid, where `Fit` of them run at once; none where 31 bits, with which
/// such kernels count, do not hold the number of cells.
inline std::optional<uint32_t> residentBlocks(const int64_t *Grid,
                                              uint64_t Fit) {
  int64_t Cells = 1;
  for (size_t D = 0; D < 3; ++D)
    if (__builtin_mul_overflow(Cells, Grid[D], &Cells) ||
        Cells > std::numeric_limits<int32_t>::max())
      return std::nullopt;
  return static_cast<uint32_t>(std::min<uint64_t>(Cells, Fit));
}

class Device {
public:
  /// The device of that name ("cpu", "sim", "sim:sm_80", "cuda:0") with the
  /// code that the package has for it.
  static Result<std::unique_ptr<Device>>
  create(const Package &From, const std::string &Name, ThreadPool &Pool);

  virtual ~Device();

  /// The target of the code in use: "x86-64-v3", "sim-sm_80", ….
  const std::string &target() const { return Code->Target; }

  /// Where buffers of kernels lie, and where the host's side of inputs and
  /// outputs does (memory that the host reaches).
  virtual SharedSpace memory() const { return nullptr; }
  virtual SharedSpace staging() const { return nullptr; }

  /// Comes before the launches of each call: temporaries and outputs hold
  /// nothing that makes sense.
  virtual Status beginCall(const DeviceCall &Call) { return {}; }

  /// All launches in order.
  virtual Status runCall(const DeviceCall &Call);

  /// Comes after the launches: when it returns, the host has the outputs.
  virtual Status endCall(const DeviceCall &Call) { return {}; }

  virtual Status launch(const DeviceLaunch &Launch) = 0;

  /// The same with the seconds that it took.
  virtual Result<double> launchTimed(const DeviceLaunch &Launch);

  /// Counts traffic from now on, from zero: the counts, one for each kernel of
  /// the package, or null where the device cannot count.
  virtual const std::vector<KernelTraffic> *countTraffic() { return nullptr; }

protected:
  Device(const Package &From, const PackageCode &Code)
      : From(From), Code(&Code) {}

  const Package From; ///< keeps Code alive
  const PackageCode *Code;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_DEVICE_H
