//===- Report.cpp - What the simulator found ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Report.h"

using namespace transxssm::sim;

const char *transxssm::sim::nameOf(ReportKind Kind) {
  switch (Kind) {
  case ReportKind::SharedRace:
    return "shared memory race";
  case ReportKind::AsyncRace:
    return "race with an asynchronous copy";
  case ReportKind::SharedUninitialized:
    return "uninitialized shared memory";
  case ReportKind::SharedOutOfBounds:
    return "shared memory out of bounds";
  case ReportKind::GlobalRace:
    return "global memory race";
  case ReportKind::GlobalUninitialized:
    return "uninitialized global memory";
  case ReportKind::GlobalOutOfBounds:
    return "global memory out of bounds";
  case ReportKind::Misaligned:
    return "misaligned access";
  case ReportKind::Deadlock:
    return "deadlock";
  case ReportKind::Divergence:
    return "divergence";
  case ReportKind::MissingFence:
    return "missing fence";
  case ReportKind::EarlyUse:
    return "used too early";
  case ReportKind::BadOperand:
    return "bad operand";
  case ReportKind::PendingCopy:
    return "copy never waited for";
  }
  return "unknown";
}

std::string Report::str() const {
  std::string Line = "kernel '" + Kernel + "': ";
  if (!Source.empty())
    Line += Source + ": ";
  Line += std::string(nameOf(Kind)) + ": block " + std::to_string(Block) +
          ", thread " + std::to_string(Thread) + ", " + Operation + ": " +
          Message;
  return Line;
}
