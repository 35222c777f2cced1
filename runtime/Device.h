//===- Device.h - What runs the kernels of a package ----------------------
//===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A device holds the code of a package's kernels and launches them. The
// executor knows nothing more of it: which buffers there are and when they are
// used is the same everywhere. Both devices of today, "cpu" and "sim", work on
// the executor's own memory.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_DEVICE_H
#define TRANSXSSM_RUNTIME_DEVICE_H

#include "runtime/Package.h"
#include "runtime/cpu/ThreadPool.h"
#include "runtime/support/Error.h"

#include <memory>
#include <string>

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

class Device {
public:
  /// The device of that name ("cpu", "sim", "sim:sm_80") with the code that
  /// the package has for it.
  static Result<std::unique_ptr<Device>>
  create(const Package &From, const std::string &Name, ThreadPool &Pool);

  virtual ~Device();

  /// The target of the code in use: "x86-64-v3", "sim-sm_80", ….
  const std::string &target() const { return Code->Target; }

  /// Comes before the launches of each call: temporaries and outputs hold
  /// nothing that makes sense.
  virtual void beginCall() {}

  virtual Status launch(const DeviceLaunch &Launch) = 0;

protected:
  Device(const Package &From, const PackageCode &Code)
      : From(From), Code(&Code) {}

  const Package From; ///< keeps Code alive
  const PackageCode *Code;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_DEVICE_H
