//===- DType.h - Element types and their sizes ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SUPPORT_DTYPE_H
#define TRANSXSSM_RUNTIME_SUPPORT_DTYPE_H

#include <cstddef>
#include <cstdint>

namespace transxssm {

/// The element types of buffers and tensors, numbered as in package.fbs.
enum class DType : uint8_t { F32, BF16, F16, F64, I32, I64 };

inline constexpr unsigned NumDTypes = 6;

/// Size of one element in bytes.
constexpr size_t sizeOf(DType Type) {
  switch (Type) {
  case DType::F32:
  case DType::I32:
    return 4;
  case DType::BF16:
  case DType::F16:
    return 2;
  case DType::F64:
  case DType::I64:
    return 8;
  }
  return 0;
}

/// "f32", "bf16", ... for messages.
constexpr const char *nameOf(DType Type) {
  switch (Type) {
  case DType::F32:
    return "f32";
  case DType::BF16:
    return "bf16";
  case DType::F16:
    return "f16";
  case DType::F64:
    return "f64";
  case DType::I32:
    return "i32";
  case DType::I64:
    return "i64";
  }
  return "?";
}

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SUPPORT_DTYPE_H
