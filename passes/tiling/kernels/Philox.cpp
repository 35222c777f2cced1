//===- Philox.cpp - Counter-based random numbers in kernels --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

/// The two halves of the 64-bit product of 32-bit words.
static std::pair<Tile, Tile> wideProduct(TileBuilder &B, Tile Word,
                                         uint32_t Factor) {
  OpBuilder &O = B.builder();
  Type Wide = RankedTensorType::get(Word.shape(), O.getI64Type());
  Tile Extended =
      B.wrap(arith::ExtUIOp::create(O, B.loc(), Wide, Word.value()));
  Tile Product = Extended * B.constant(Factor, Wide);
  return {B.toI32(Product), B.toI32(shiftRight(Product, 32))};
}

double tiling::wordConstant(uint32_t Word) {
  return static_cast<int32_t>(Word);
}

std::array<Tile, 4> tiling::philox(TileBuilder &B, std::array<Tile, 4> Counter,
                                   std::array<Tile, 2> Key) {
  ArrayRef<int64_t> Shape = Counter[0].shape();
  for (int Round = 0; Round < 10; ++Round) {
    auto [Low0, High0] = wideProduct(B, Counter[0], 0xD2511F53u);
    auto [Low1, High1] = wideProduct(B, Counter[2], 0xCD9E8D57u);
    Counter[0] = High1 ^ Counter[1] ^ B.fill(Key[0], Shape);
    Counter[1] = Low1;
    Counter[2] = High0 ^ Counter[3] ^ B.fill(Key[1], Shape);
    Counter[3] = Low0;
    Key[0] = Key[0] + wordConstant(0x9E3779B9u);
    Key[1] = Key[1] + wordConstant(0xBB67AE85u);
  }
  return Counter;
}
