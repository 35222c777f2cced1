//===- Simulator.h - Running GPU kernels on the CPU, checked --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A launch runs every thread of a grid, block after block, under a
// happens-before race detector: barriers order accesses, the schedule does
// not, so one run finds races that happened to do no harm. Results, reports and
// counts are the same in every run with the same options.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_SIMULATOR_H
#define TRANSXSSM_RUNTIME_SIM_SIMULATOR_H

#include "runtime/cpu/ObjectLoader.h"
#include "runtime/sim/GlobalMemory.h"
#include "runtime/sim/Report.h"
#include "runtime/support/Error.h"
#include "transxssm/sim_abi.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace transxssm::sim {

class Machine;

/// Which of the threads that could run goes next.
enum class Schedule { RoundRobin, Reverse, Random };

struct SimOptions {
  Schedule Order = Schedule::RoundRobin;
  uint64_t Seed = 0; ///< of Schedule::Random
  /// Whether asynchronous copies land when they are issued, or only when they
  /// are waited for.
  bool EarlyCopies = false;
  /// A launch stops after that many.
  unsigned MaxReports = 8;
  /// A thread that executes more instructions is taken to hang.
  uint64_t MaxInstructions = uint64_t(1) << 36;
  /// Shared memory that a block may have; more makes a launch impossible.
  uint64_t MaxSharedBytes = 232448;
  /// Whether Counters are kept of memory traffic; costs about a third.
  bool CountTraffic = false;
  uint64_t CacheBytes = 40 * 1024 * 1024;
};

/// What ran, summed over launches.
struct Counters {
  uint64_t Instructions = 0; ///< LLVM instructions, summed over threads
  uint64_t TensorFlops = 0;
  uint64_t Barriers = 0;
  // With SimOptions::CountTraffic, in units of 32 bytes:
  uint64_t LoadSectors = 0, LoadSectorsIdeal = 0;
  uint64_t StoreSectors = 0, StoreSectorsIdeal = 0;
  /// Those that a second-level cache of SimOptions::CacheBytes, empty before
  /// each launch, does not hold.
  uint64_t MissedSectors = 0;
  /// Bytes that a launch reads and writes, each counted once; those of a buffer
  /// in whole sectors.
  uint64_t BytesRead = 0, BytesWritten = 0;
  /// Passes over the 32 banks of shared memory, and how few would do.
  uint64_t SharedWaves = 0, SharedWavesIdeal = 0;
};

/// A loaded object of codegen/sim.
class SimModule {
public:
  static Result<std::unique_ptr<SimModule>>
  load(const uint8_t *Object, size_t Bytes, const std::string &SourceName);

  /// The kernel of that symbol, or null.
  const TransXSSMSimKernelInfo *find(const std::string &Symbol) const;
  const TransXSSMSimModule &table() const { return *Table; }

private:
  std::unique_ptr<LoadedObject> Object;
  const TransXSSMSimModule *Table = nullptr;
};

struct LaunchShape {
  uint32_t Grid[3] = {1, 1, 1};
  uint32_t Threads = 32;
  uint64_t DynamicSharedBytes = 0;
};

class Simulator {
public:
  Simulator();
  ~Simulator();

  SimOptions Options;
  Counters Counts;

  /// The buffers that kernels may touch.
  GlobalMemory &memory() { return Memory; }

  /// Runs a grid. `Parameters` has a pointer to the value of each kernel
  /// parameter. An error only where the launch itself is impossible; what the
  /// kernel did wrong is in reports().
  Status launch(const SimModule &Module, const TransXSSMSimKernelInfo &Kernel,
                const LaunchShape &Shape,
                const std::vector<void *> &Parameters);

  /// Of all launches since clearReports().
  const std::vector<Report> &reports() const { return Reports; }
  void clearReports() { Reports.clear(); }

private:
  friend class Machine;
  GlobalMemory Memory;
  std::vector<Report> Reports;
  std::unique_ptr<Machine> Runner;
};

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_SIMULATOR_H
