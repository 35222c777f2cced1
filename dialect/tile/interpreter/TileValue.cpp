//===- TileValue.cpp - Values of the tile interpreter ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/tile/interpreter/TileValue.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace transxssm::tile;

TileValue::TileValue(Type T) : Element(getElementTypeOrSelf(T)) {
  int64_t Count = 1;
  if (auto Tensor = dyn_cast<RankedTensorType>(T)) {
    Shape.assign(Tensor.getShape().begin(), Tensor.getShape().end());
    Count = Tensor.getNumElements();
  }
  if (isFloat())
    Floats.resize(Count);
  else
    Integers.resize(Count);
}

double transxssm::tile::roundToType(double Value, Type Element) {
  if (Element.isF64())
    return Value;
  if (Element.isF32())
    return static_cast<float>(Value);
  APFloat Rounded(Value);
  bool LosesInfo;
  Rounded.convert(cast<FloatType>(Element).getFloatSemantics(),
                  APFloat::rmNearestTiesToEven, &LosesInfo);
  Rounded.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                  &LosesInfo);
  return Rounded.convertToDouble();
}

unsigned transxssm::tile::integerWidth(Type Element) {
  return Element.isIndex() ? 64 : Element.getIntOrFloatBitWidth();
}

uint64_t transxssm::tile::unsignedBits(int64_t Value, Type Element) {
  return static_cast<uint64_t>(Value) &
         llvm::maskTrailingOnes<uint64_t>(integerWidth(Element));
}

int64_t transxssm::tile::wrapToType(int64_t Value, Type Element) {
  uint64_t Bits = unsignedBits(Value, Element);
  unsigned Width = integerWidth(Element);
  if (Width == 1 || Width == 64)
    return static_cast<int64_t>(Bits);
  return llvm::SignExtend64(Bits, Width);
}
