//===- PassTiming.h - Where the compiler's time goes ------------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// For --time-passes: MLIR's timing manager, which pass managers of all threads
// report to. The tool that starts it is the process, so it is one for all.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_PASSTIMING_H
#define TRANSXSSM_CODEGEN_PASSTIMING_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"

namespace transxssm {

/// Null unless somebody wants a report; set before any work begins.
inline mlir::TimingScope *&passTiming() {
  static mlir::TimingScope *Scope = nullptr;
  return Scope;
}

inline void timePasses(mlir::PassManager &Manager) {
  if (mlir::TimingScope *Scope = passTiming())
    Manager.enableTiming(*Scope);
}

/// Times what is not a pass of MLIR, until the scope ends.
inline mlir::TimingScope timeStage(llvm::StringRef Name) {
  mlir::TimingScope *Scope = passTiming();
  return Scope ? Scope->nest(Name) : mlir::TimingScope();
}

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_PASSTIMING_H
