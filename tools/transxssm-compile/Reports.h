//===- Reports.h - Tables of transxssm-compile ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_COMPILE_REPORTS_H
#define TRANSXSSM_TOOLS_COMPILE_REPORTS_H

#include "runtime/Package.h"
#include "llvm/Support/raw_ostream.h"

namespace transxssm {

/// Bytes of parameters, gradients, moments and caches, then of every entry by
/// batch and sequence length. The figures are the runtime's own.
Status printMemory(const Package &Made, llvm::raw_ostream &Out);

/// Every kernel with its launches, and its code and scratch bytes per target.
Status printKernels(const Package &Made, llvm::raw_ostream &Out);

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_COMPILE_REPORTS_H
