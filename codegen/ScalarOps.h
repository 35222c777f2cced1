//===- ScalarOps.h - Whole numbers of a kernel ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_SCALAROPS_H
#define TRANSXSSM_CODEGEN_SCALAROPS_H

#include "dialect/tile/TileDialect.h"

#include <optional>

namespace transxssm {

/// What an operation on integers and indices gives for those operands, if it
/// is one of arithmetic. They are offsets and extents, which are not negative,
/// so that signs make no difference.
std::optional<int64_t> evaluateScalar(mlir::Operation &Op,
                                      llvm::ArrayRef<int64_t> In);

/// Multiplications and additions of one product.
int64_t flopsOf(tile::MmaOp Product);

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_SCALAROPS_H
