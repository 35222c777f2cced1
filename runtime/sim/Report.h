//===- Report.h - What the simulator found --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SIM_REPORT_H
#define TRANSXSSM_RUNTIME_SIM_REPORT_H

#include <cstdint>
#include <string>

namespace transxssm::sim {

enum class ReportKind {
  SharedRace,          ///< two accesses of shared memory without order
  AsyncRace,           ///< access to memory with an asynchronous copy under way
  SharedUninitialized, ///< shared memory read that nobody wrote
  SharedOutOfBounds,
  GlobalRace, ///< two accesses of global memory without order
  GlobalUninitialized,
  GlobalOutOfBounds,
  Misaligned,
  Deadlock,
  Divergence,   ///< threads that should execute the same instruction do not
  MissingFence, ///< proxies used without a fence between them
  EarlyUse,     ///< of something that is not ready
  BadOperand,   ///< of an instruction: a mask, a barrier number, …
  PendingCopy   ///< a thread ends before its asynchronous copies
};

/// "shared memory race", ….
const char *nameOf(ReportKind Kind);

struct Report {
  ReportKind Kind = ReportKind::SharedRace;
  std::string Kernel;    ///< symbol
  std::string Operation; ///< the instruction that noticed it
  std::string Source;    ///< "file:line:column" at tile level, or empty
  std::string Message;
  uint64_t Block = 0; ///< number of the block in the grid
  uint32_t Thread = 0;

  /// Everything in one line.
  std::string str() const;
};

} // namespace transxssm::sim

#endif // TRANSXSSM_RUNTIME_SIM_REPORT_H
