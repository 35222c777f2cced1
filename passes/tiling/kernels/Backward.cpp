//===- Backward.cpp - The lowerings of gradients and optimizer ------- ---===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace transxssm::tiling;

void transxssm::tiling::registerBackwardLowerings(LoweringTable &Table) {
  registerSumTokens(Table);
  registerRmsNormGrad(Table);
  registerLinearGrad(Table);
  registerActivationGrad(Table);
  registerEmbeddingGrad(Table);
  registerLastTokenGrad(Table);
  registerSsmScanGrad(Table);
  registerAttentionGrad(Table);
  registerLinearCrossEntropyGrad(Table);
  registerOptimizer(Table);
}
