//===- Comparison.cpp - Two results for one value -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "tools/probe/Comparison.h"

#include "runtime/SafeTensors.h"

#include <cmath>

using namespace transxssm;
using txs::Tensor;

/// The position of element `Linear` of a row-major tensor.
static std::vector<int64_t> indexOf(int64_t Linear,
                                    llvm::ArrayRef<int64_t> Shape) {
  std::vector<int64_t> Index(Shape.size());
  for (size_t D = Shape.size(); D-- > 0; Linear /= Shape[D])
    Index[D] = Linear % Shape[D];
  return Index;
}

Status transxssm::compare(const Tensor &Reference, DType Type, const void *Data,
                          ProbedValue &Into) {
  std::vector<double> Actual(size_t(Reference.size()), 0.0);
  if (Status Read = convertElements(Type, Data, DType::F64, Actual.data(),
                                    Reference.size());
      !Read)
    return Read;
  double Difference = 0, Norm = 0;
  for (int64_t I = 0; I < Reference.size(); ++I) {
    double Off = Actual[I] - Reference[I];
    Difference += Off * Off;
    Norm += Reference[I] * Reference[I];
  }
  Into.Shape.assign(Reference.shape().begin(), Reference.shape().end());
  Into.Error = Difference == 0 ? 0 : std::sqrt(Difference / Norm);
  if (!Into.diverges())
    return {};
  // The mean of the squares is above the limit, so one of them is.
  double Limit = Into.Bound * std::sqrt(Norm / double(Reference.size()));
  for (int64_t I = 0; I < Reference.size(); ++I)
    if (!(std::abs(Actual[I] - Reference[I]) <= Limit)) {
      Into.Index = indexOf(I, Reference.shape());
      Into.Actual = Actual[I];
      Into.Expected = Reference[I];
      break;
    }
  return {};
}
