//===- TileToThreadsExchanges.cpp - Tile kernels to threads: exchanges ----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Between the layout of a tile and that of its accesses of global memory,
// elements change places: with other lanes of the warp, or with other warps
// through shared memory.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/ThreadLowering.h"

using namespace mlir;

namespace transxssm::nvptx {

/// The lane gets the element of its other register from the lane whose number
/// differs in the bit, and gives it one of its own. Both ways are the same.
void ThreadLowering::exchange(LaneExchange E, Registers &Values) {
  Value IsFirst = isFirst(int64_t(1) << E.Thread);
  int64_t Bit = int64_t(1) << E.Register;
  auto Select = [&](Value L, Value R) -> Value {
    return arith::SelectOp::create(B, IsFirst, L, R);
  };
  for (size_t R = 0; R < Values.size(); ++R) {
    if (R & Bit)
      continue;
    Value &Low = Values[R], &High = Values[R | Bit];
    Value Got = shuffleXor(B, Select(High, Low), int64_t(1) << E.Thread);
    Value Kept = Low;
    Low = Select(Kept, Got);
    High = Select(Got, High);
  }
}

/// The same for registers of any type; two elements of bf16 go together.
void ThreadLowering::exchangeAll(ArrayRef<LaneExchange> Exchanges,
                                 Registers &Values) {
  if (Exchanges.empty())
    return;
  Type Element = Values.front().getType();
  if (Element.getIntOrFloatBitWidth() == 32) {
    for (LaneExchange E : Exchanges)
      exchange(E, Values);
    return;
  }
  Registers Words;
  for (size_t R = 0; R < Values.size(); R += 2)
    Words.push_back(LLVM::BitcastOp::create(
        B, B.getI32Type(), packVector(B, ArrayRef(Values).slice(R, 2))));
  for (LaneExchange E : Exchanges)
    exchange({E.Register - 1, E.Thread}, Words);
  Values.clear();
  for (Value Word : Words)
    llvm::append_range(
        Values, unpackVector(B, LLVM::BitcastOp::create(
                                    B, VectorType::get({2}, Element), Word)));
}

static Registers permuted(ArrayRef<Value> Values, const LinearLayout &From,
                          const LinearLayout &To) {
  Registers Moved;
  for (int64_t Source : registerPermutation(From, To))
    Moved.push_back(Values[Source]);
  return Moved;
}

Registers ThreadLowering::toMemory(const Traffic &T, Registers Values) {
  if (T.ThroughShared)
    return convert(Values, T.Own, T.Exchanged);
  if (T.Exchanges.empty())
    return Values;
  exchangeAll(T.Exchanges, Values);
  return permuted(Values, T.Exchanged, T.Place.Layout);
}

Registers ThreadLowering::fromMemory(const Traffic &T, Registers Values) {
  if (T.ThroughShared)
    return convert(Values, T.Exchanged, T.Own);
  if (T.Exchanges.empty())
    return Values;
  Values = permuted(Values, T.Place.Layout, T.Exchanged);
  exchangeAll(T.Exchanges, Values);
  return Values;
}

/// Of a vector's elements that lanes hold beside each other in registers, and
/// other lanes hold copies of, each lane keeps some: then one access moves what
/// took several. Removes the bits of registers that lanes now decide.
Registers ThreadLowering::spreadOverCopies(LinearLayout &Layout,
                                           Registers Values) {
  constexpr unsigned LaneBits = 5;
  SmallVector<Coordinates> Register(Layout.registerBases());
  SmallVector<Coordinates> Lanes(Layout.threadBases());
  for (unsigned Lane = 0; Lane < std::min<size_t>(LaneBits, Lanes.size());
       ++Lane) {
    if (Register.empty() || !Lanes[Lane].isZero())
      continue;
    Lanes[Lane] = Register.front();
    Register.erase(Register.begin());
    Value IsFirst = isFirst(int64_t(1) << Lane);
    Registers Kept;
    for (size_t R = 0; R < Values.size(); R += 2)
      Kept.push_back(
          arith::SelectOp::create(B, IsFirst, Values[R], Values[R + 1]));
    Values = std::move(Kept);
  }
  Layout = LinearLayout(Layout.rows(), Layout.columns(), Register, Lanes);
  return Values;
}

} // namespace transxssm::nvptx
