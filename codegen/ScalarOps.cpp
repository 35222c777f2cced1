//===- ScalarOps.cpp - Whole numbers of a kernel --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/ScalarOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace transxssm {

std::optional<int64_t> evaluateScalar(Operation &Op, ArrayRef<int64_t> In) {
  using Answer = std::optional<int64_t>;
  return llvm::TypeSwitch<Operation *, Answer>(&Op)
      .Case<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
            arith::ExtUIOp, arith::TruncIOp>([&](auto) { return In[0]; })
      .Case<arith::AddIOp>([&](auto) { return In[0] + In[1]; })
      .Case<arith::SubIOp>([&](auto) { return In[0] - In[1]; })
      .Case<arith::MulIOp>([&](auto) { return In[0] * In[1]; })
      .Case<arith::DivSIOp, arith::DivUIOp>([&](auto) -> Answer {
        return In[1] > 0 ? Answer(In[0] / In[1]) : std::nullopt;
      })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>([&](auto) -> Answer {
        return In[1] > 0 ? Answer((In[0] + In[1] - 1) / In[1]) : std::nullopt;
      })
      .Case<arith::RemSIOp, arith::RemUIOp>([&](auto) -> Answer {
        return In[1] > 0 ? Answer(In[0] % In[1]) : std::nullopt;
      })
      .Case<arith::MinSIOp, arith::MinUIOp>(
          [&](auto) { return std::min(In[0], In[1]); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>(
          [&](auto) { return std::max(In[0], In[1]); })
      .Case<arith::AndIOp>([&](auto) { return In[0] & In[1]; })
      .Case<arith::OrIOp>([&](auto) { return In[0] | In[1]; })
      .Case<arith::SelectOp>([&](auto) { return In[0] ? In[1] : In[2]; })
      .Case<arith::CmpIOp>([&](arith::CmpIOp Cmp) -> Answer {
        return arith::applyCmpPredicate(Cmp.getPredicate(),
                                        APInt(64, uint64_t(In[0])),
                                        APInt(64, uint64_t(In[1])));
      })
      .Default([](Operation *) { return std::nullopt; });
}

int64_t flopsOf(tile::MmaOp Product) {
  auto Left = cast<ShapedType>(Product.getLhs().getType());
  auto Result = cast<ShapedType>(Product.getResult().getType());
  int64_t Inner = Left.getDimSize(Product.getTransposeLhs() ? 0 : 1);
  return 2 * Result.getNumElements() * Inner;
}

} // namespace transxssm
