//===- PrintError.h - How transxssm-opt says what is wrong ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_TRANSXSSM_OPT_PRINTERROR_H
#define TRANSXSSM_TOOLS_TRANSXSSM_OPT_PRINTERROR_H

#include "runtime/support/Printable.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/raw_ostream.h"

namespace transxssm {

/// One line, whatever names and contents of files the message quotes.
inline void printError(const llvm::Twine &Message) {
  llvm::errs() << "transxssm-opt: error: " << printable(Message.str()) << "\n";
}

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_TRANSXSSM_OPT_PRINTERROR_H
