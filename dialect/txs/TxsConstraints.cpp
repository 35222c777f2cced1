//===- TxsConstraints.cpp - What verifiers of txs have in common ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsConstraints.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

std::string txs::toText(Dimensions Shape) {
  std::string Text = "[";
  llvm::raw_string_ostream Stream(Text);
  llvm::interleaveComma(Shape, Stream, [&](int64_t Size) {
    if (ShapedType::isDynamic(Size))
      Stream << '?';
    else
      Stream << Size;
  });
  return Text + "]";
}

LogicalResult txs::expectForm(Operation *Op, StringRef Name, Value Tensor,
                              StringRef Form, size_t Leading, StringRef Label) {
  Dimensions Shape = shapeOf(Tensor);
  size_t Rank = Form.count(',') + 1;
  if (Shape.size() == Rank &&
      llvm::all_of(Shape.take_front(Leading), ShapedType::isDynamic) &&
      llvm::none_of(Shape.drop_front(Leading), ShapedType::isDynamic))
    return success();
  InFlightDiagnostic Error = Op->emitOpError("expects ")
                             << Name << " to be " << Form;
  if (Leading > 0)
    Error << " with " << Leading << " dynamic dimensions";
  if (Leading < Rank)
    Error << (Leading > 0 ? " and" : " with") << " static widths";
  return Error << ", but it is " << toText(Shape) << " (" << Label << ")";
}

LogicalResult txs::expectShape(Operation *Op, StringRef Name, Value Tensor,
                               Dimensions Expected, StringRef Label) {
  if (shapeOf(Tensor) == Expected)
    return success();
  return Op->emitOpError("expects ")
         << Name << " of shape " << toText(Expected) << ", but it is "
         << toText(shapeOf(Tensor)) << " (" << Label << ")";
}

LogicalResult txs::expectChannelWeight(Operation *Op, Value Input, Value Weight,
                                       StringRef Label) {
  Dimensions Shape = shapeOf(Input);
  if (Shape.empty() || ShapedType::isDynamic(Shape.back()))
    return Op->emitOpError("expects an input of static last dimension, but it "
                           "is ")
           << toText(Shape) << " (" << Label << ")";
  return expectShape(Op, "weight", Weight, {Shape.back()}, Label);
}

LogicalResult txs::expectProbability(Operation *Op, const APFloat &Value,
                                     StringRef Name, StringRef Label) {
  double Probability = Value.convertToDouble();
  if (Probability >= 0.0 && Probability < 1.0)
    return success();
  return Op->emitOpError("expects ") << Name << " in [0, 1), but it is "
                                     << Probability << " (" << Label << ")";
}

LogicalResult txs::expectSite(Operation *Op, uint64_t Site, StringRef Label) {
  if (llvm::isUInt<32>(Site))
    return success();
  return Op->emitOpError("expects site in [0, 2^32), but it is ")
         << static_cast<int64_t>(Site) << " (" << Label << ")";
}

LogicalResult txs::expectWide(Operation *Op, StringRef Name, Value Tensor,
                              StringRef Label) {
  Type Element = getElementTypeOrSelf(Tensor);
  if (Element.isF32() || Element.isF64())
    return success();
  return Op->emitOpError("expects ") << Name << " of f32 or f64, but it is of "
                                     << Element << " (" << Label << ")";
}

LogicalResult txs::expectElement(Operation *Op, StringRef Name, Value Tensor,
                                 Type Wanted, StringRef Label) {
  Type Element = getElementTypeOrSelf(Tensor);
  Type Expected = getElementTypeOrSelf(Wanted);
  if (Element == Expected)
    return success();
  return Op->emitOpError("expects ")
         << Name << " of " << Expected << ", but it is of " << Element << " ("
         << Label << ")";
}

FailureOr<Flattened> txs::flatten(Operation *Op, StringRef Name, Value Tensor,
                                  StringRef Label) {
  Dimensions Shape = shapeOf(Tensor);
  Flattened Result;
  Result.Leading = Shape.take_while(ShapedType::isDynamic);
  Dimensions Trailing = Shape.drop_front(Result.Leading.size());
  if (llvm::any_of(Trailing, ShapedType::isDynamic))
    return Op->emitOpError("expects ")
           << Name << " to have static dimensions after its dynamic ones, "
           << "but it is " << toText(Shape) << " (" << Label << ")";
  for (int64_t Size : Trailing)
    Result.Width *= Size;
  return Result;
}

LogicalResult txs::expectSameLeading(Operation *Op, StringRef NameA,
                                     const Flattened &A, StringRef NameB,
                                     const Flattened &B, StringRef Label) {
  if (A.Leading == B.Leading)
    return success();
  return Op->emitOpError("expects ")
         << NameA << " and " << NameB
         << " with the same leading dimensions, but there are "
         << A.Leading.size() << " and " << B.Leading.size() << " (" << Label
         << ")";
}
