//===- LaunchFlops.h - Operations of a launch as a formula ------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// LaunchCost.h counts for given sizes, cell by cell; this finds the formula for
// all sizes, which a package keeps for `transxssm-run bench --profile`. Both
// count what tile.mma multiplies, in whole tiles.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_LAUNCHFLOPS_H
#define TRANSXSSM_CODEGEN_LAUNCHFLOPS_H

#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"

#include <optional>

namespace transxssm {

/// Floating-point operations in products of one launch, in the symbols of the
/// plan. Cells may differ along one extent that the call's sizes decide, if a
/// number of steps grows there from cell to cell by the same, as in causal
/// attention. A loop that memory bounds counts as not run. Nothing where cells
/// differ in another way.
std::optional<mlir::AffineExpr> flopsOf(tile::KernelOp Kernel,
                                        plan::LaunchOp Launch);

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_LAUNCHFLOPS_H
