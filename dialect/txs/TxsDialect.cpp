//===- TxsDialect.cpp - The txs dialect -----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace transxssm::txs;

Type transxssm::txs::gradientTypeOf(Type Kept) {
  Type Element = getElementTypeOrSelf(Kept);
  if (!Element.isBF16() && !Element.isF16())
    return Kept;
  Type Wide = Float32Type::get(Kept.getContext());
  auto Shaped = dyn_cast<ShapedType>(Kept);
  return Shaped ? Type(Shaped.clone(Wide)) : Wide;
}

bool transxssm::txs::hasValidExtents(ShapedType Tensor) {
  int64_t Bytes = sizeof(double); // the widest element
  for (int64_t Extent : Tensor.getShape()) {
    if (ShapedType::isDynamic(Extent))
      continue;
    if (Extent < 1 || llvm::MulOverflow(Bytes, Extent, Bytes))
      return false;
  }
  return true;
}

/// "T", or "T -> U" where the result's type is another one.
static ParseResult parseLikeType(OpAsmParser &Parser, Type &Like,
                                 Type &Result) {
  if (Parser.parseType(Like))
    return failure();
  Result = Like;
  return failed(Parser.parseOptionalArrow()) ? success()
                                             : Parser.parseType(Result);
}

static void printLikeType(OpAsmPrinter &Printer, Operation *, Type Like,
                          Type Result) {
  Printer << Like;
  if (Result != Like)
    Printer << " -> " << Result;
}

#include "dialect/txs/TxsDialect.cpp.inc"
#include "dialect/txs/TxsEnums.cpp.inc"
#include "dialect/txs/TxsInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/txs/TxsOps.cpp.inc"

void TxsDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialect/txs/TxsOps.cpp.inc"
      >();
}

int64_t LinearOp::getLeadingRank() {
  return llvm::count_if(cast<RankedTensorType>(getInput().getType()).getShape(),
                        ShapedType::isDynamic);
}

//===----------------------------------------------------------------------===//
// Memory effects
//===----------------------------------------------------------------------===//

void StoreGradientOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &Effects) {
  Effects.emplace_back(MemoryEffects::Write::get());
}

void AdamWOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &Effects) {
  Effects.emplace_back(MemoryEffects::Write::get());
}
