//===- InlineBlocks.h - Dissolves blocks ----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_PASSES_INLINEBLOCKS_H
#define TRANSXSSM_PASSES_INLINEBLOCKS_H

#include "dialect/txs/TxsDialect.h"

namespace transxssm {

/// Replaces `Block` by the operations of its body.
void inlineBlock(txs::BlockOp Block);

} // namespace transxssm

#endif // TRANSXSSM_PASSES_INLINEBLOCKS_H
