//===- Tensor.h - Tensors of float64 for the reference interpreter --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_INTERPRETER_TENSOR_H
#define TRANSXSSM_DIALECT_TXS_INTERPRETER_TENSOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

namespace transxssm {
namespace txs {

/// A dense row-major tensor. Token ids, labels and seeds are held as doubles
/// too, which represent every int32 exactly; `past` is a tensor of rank 0.
class Tensor {
public:
  Tensor() = default;

  /// Zeros.
  explicit Tensor(llvm::ArrayRef<int64_t> Shape)
      : Shape(Shape), Values(countOf(Shape)) {}
  explicit Tensor(std::initializer_list<int64_t> Shape)
      : Tensor(llvm::ArrayRef<int64_t>(Shape)) {}

  Tensor(llvm::ArrayRef<int64_t> Shape, std::vector<double> Content)
      : Shape(Shape), Values(std::move(Content)) {
    assert(Values.size() == countOf(Shape) && "as many values as elements");
  }

  static Tensor scalar(double Value) { return Tensor({}, {Value}); }

  llvm::ArrayRef<int64_t> shape() const { return Shape; }
  int64_t rank() const { return Shape.size(); }
  int64_t dim(unsigned Index) const { return Shape[Index]; }
  int64_t size() const { return Values.size(); }

  /// The element at one index for every dimension.
  template <typename... Indices> double &at(Indices... At) {
    return Values[offset({int64_t(At)...})];
  }
  template <typename... Indices> double at(Indices... At) const {
    return Values[offset({int64_t(At)...})];
  }

  /// The element at a row-major position.
  double &operator[](int64_t Linear) { return Values[Linear]; }
  double operator[](int64_t Linear) const { return Values[Linear]; }

  /// The tensor as rows of `Width` elements.
  double *row(int64_t Index, int64_t Width) { return &Values[Index * Width]; }
  const double *row(int64_t Index, int64_t Width) const {
    return &Values[Index * Width];
  }

  std::vector<double> &values() { return Values; }
  const std::vector<double> &values() const { return Values; }

private:
  static size_t countOf(llvm::ArrayRef<int64_t> Shape) {
    size_t Count = 1;
    for (int64_t Extent : Shape)
      Count *= Extent;
    return Count;
  }

  size_t offset(std::initializer_list<int64_t> At) const {
    assert(At.size() == Shape.size() && "an index for every dimension");
    size_t Linear = 0, Dimension = 0;
    for (int64_t Index : At) {
      assert(Index >= 0 && Index < Shape[Dimension] && "index in range");
      Linear = Linear * Shape[Dimension++] + Index;
    }
    return Linear;
  }

  llvm::SmallVector<int64_t, 4> Shape;
  std::vector<double> Values;
};

using TensorMap = std::map<std::string, Tensor>;

} // namespace txs
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TXS_INTERPRETER_TENSOR_H
