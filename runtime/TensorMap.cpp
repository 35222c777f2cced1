//===- TensorMap.cpp - What a GPU copies as boxes -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/TensorMap.h"

#include <algorithm>

using namespace transxssm;

namespace {

/// Of cuTensorMapEncodeTiled in the driver's reference manual.
constexpr uint32_t MaxBox = 256;
constexpr uint64_t MaxExtent = uint64_t(1) << 32;
constexpr uint64_t MaxStride = uint64_t(1) << 40;
constexpr uint64_t StrideAlignment = 16;

} // namespace

Status transxssm::checkTensorMap(const PackageTensorMap &Map,
                                 const PackageKernel &Kernel,
                                 const std::string &Where) {
  if (Map.Operand >= Kernel.MemrefCount)
    return makeError(Where, ": expected an operand below ", Kernel.MemrefCount,
                     ", got ", Map.Operand);
  if (Map.Shape.size() < 2 || Map.Shape.size() > MaxTensorRank ||
      Map.Box.size() != Map.Shape.size())
    return makeError(Where, ": expected 2 to ", MaxTensorRank,
                     " extents and as many of a box, got ", Map.Shape.size(),
                     " and ", Map.Box.size());
  uint64_t Sizes = Map.FirstSize;
  for (int64_t Extent : Map.Shape) {
    Sizes += Extent == -1;
    if (Extent != -1 && (Extent < 1 || uint64_t(Extent) > MaxExtent))
      return makeError(Where, ": expected extents of 1 to ", MaxExtent,
                       ", or -1, got ", Extent);
  }
  if (Sizes > Kernel.SizeCount)
    return makeError(Where, ": expected extents among ", Kernel.SizeCount,
                     " sizes, got number ", Sizes - 1);
  for (uint32_t Extent : Map.Box)
    if (Extent < 1 || Extent > MaxBox)
      return makeError(Where, ": expected extents of a box of 1 to ", MaxBox,
                       ", got ", Extent);
  if (Map.Box.back() != TensorBoxColumns)
    return makeError(Where, ": expected a box of ", TensorBoxColumns,
                     " columns, got ", Map.Box.back());
  return {};
}

Result<BoundTensorMap> transxssm::bindTensorMap(const PackageTensorMap &Map,
                                                const DeviceLaunch &Launch) {
  BoundTensorMap Made;
  Made.Base = Launch.Operands[Map.Operand];
  Made.Rank = uint32_t(Map.Shape.size());
  uint32_t Size = Map.FirstSize;
  uint64_t Bytes = TensorElementBytes;
  bool Empty = false;
  for (size_t D = 0; D < Map.Shape.size(); ++D) {
    int64_t Extent = Map.Shape[D] == -1 ? Launch.Sizes[Size++] : Map.Shape[D];
    Empty |= Extent == 0;
    // Nothing is launched then; a map has to have elements all the same.
    Extent = std::max<int64_t>(Extent, 1);
    if (uint64_t(Extent) > MaxExtent)
      return makeError("tensor map of operand ", Map.Operand, ": extent ",
                       Extent, " is too large");
    Made.Extent[Made.Rank - 1 - D] = uint64_t(Extent);
    Made.Box[Made.Rank - 1 - D] = Map.Box[D];
  }
  for (uint32_t D = 0; D < Made.Rank; ++D) {
    if (__builtin_mul_overflow(Bytes, Made.Extent[D], &Bytes) ||
        (D + 1 < Made.Rank && Bytes >= MaxStride))
      return makeError("tensor map of operand ", Map.Operand,
                       ": the tensor is too large");
    if (D + 1 < Made.Rank)
      Made.Stride[D] = Bytes;
  }
  if (Made.Stride[0] % StrideAlignment != 0)
    return makeError("tensor map of operand ", Map.Operand,
                     ": expected rows of a multiple of ", StrideAlignment,
                     " bytes, got ", Made.Stride[0]);
  uint64_t Has = Launch.Bytes[Launch.From->Operands[Map.Operand]];
  if (!Empty && Bytes > Has)
    return makeError("tensor map of operand ", Map.Operand,
                     ": expected at most the buffer's ", Has, " bytes, got ",
                     Bytes);
  return Made;
}
