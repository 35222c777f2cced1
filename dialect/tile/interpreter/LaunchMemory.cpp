//===- LaunchMemory.cpp - The memory of one interpreted launch ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/tile/interpreter/LaunchMemory.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/APFloat.h"
#include <cstring>

using namespace mlir;
using namespace transxssm::tile;

void LaunchMemory::add(void *Data, Type Element, ArrayRef<int64_t> Shape) {
  Buffer New{Data, Element, SmallVector<int64_t>(Shape), nullptr};
  if (CheckRaces) {
    for (const Buffer &Other : Buffers)
      if (Other.Data == Data)
        New.Touched = Other.Touched;
    if (!New.Touched)
      New.Touched = std::make_shared<Owners>();
    size_t Count = 1;
    for (int64_t Extent : Shape)
      Count *= Extent;
    if (New.Touched->size() < Count)
      New.Touched->resize(Count, Owner{Nobody, Nobody});
  }
  Buffers.push_back(std::move(New));
}

static size_t linearise(ArrayRef<int64_t> Shape, ArrayRef<int64_t> At) {
  size_t Position = 0;
  for (auto [Extent, Coordinate] : llvm::zip_equal(Shape, At))
    Position = Position * Extent + Coordinate;
  return Position;
}

template <typename T> static T peek(const void *Data, size_t Position) {
  T Bits;
  std::memcpy(&Bits, static_cast<const char *>(Data) + Position * sizeof(T),
              sizeof(T));
  return Bits;
}

template <typename T> static void poke(void *Data, size_t Position, T Bits) {
  std::memcpy(static_cast<char *>(Data) + Position * sizeof(T), &Bits,
              sizeof(T));
}

/// A float from its 16 bits.
static double decodeHalf(uint16_t Bits, Type Element) {
  APFloat Wide(cast<FloatType>(Element).getFloatSemantics(), APInt(16, Bits));
  bool LosesInfo;
  Wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &LosesInfo);
  return Wide.convertToDouble();
}

static uint16_t encodeHalf(double Value, Type Element) {
  APFloat Narrow(Value);
  bool LosesInfo;
  Narrow.convert(cast<FloatType>(Element).getFloatSemantics(),
                 APFloat::rmNearestTiesToEven, &LosesInfo);
  return Narrow.bitcastToAPInt().getZExtValue();
}

LogicalResult LaunchMemory::reportRace(unsigned Buffer, ArrayRef<int64_t> At,
                                       const char *Does, const char *Did,
                                       int64_t Other, Operation *Op) const {
  InFlightDiagnostic Error = Op->emitOpError() << "in cell " << Cell << " "
                                               << Does << " element [";
  llvm::interleaveComma(At, Error);
  Error << "] of memref " << Buffer << ", which ";
  if (Other == Several)
    Error << "several other cells ";
  else
    Error << "cell " << Other << " ";
  return Error << Did;
}

LogicalResult LaunchMemory::read(unsigned Number, ArrayRef<int64_t> At,
                                 TileValue &Into, size_t To, Operation *Op) {
  const Buffer &From = Buffers[Number];
  size_t Position = linearise(From.Shape, At);
  if (CheckRaces) {
    Owner &Who = (*From.Touched)[Position];
    if (Who.Writer != Nobody && Who.Writer != Cell)
      return reportRace(Number, At, "reads", "writes", Who.Writer, Op);
    if (Who.Reader != Cell)
      Who.Reader = Who.Reader == Nobody ? Cell : Several;
  }
  if (From.Element.isF32())
    Into.Floats[To] = peek<float>(From.Data, Position);
  else if (From.Element.isF64())
    Into.Floats[To] = peek<double>(From.Data, Position);
  else if (isa<FloatType>(From.Element))
    Into.Floats[To] =
        decodeHalf(peek<uint16_t>(From.Data, Position), From.Element);
  else if (From.Element.isInteger(32))
    Into.Integers[To] = peek<int32_t>(From.Data, Position);
  else
    Into.Integers[To] = peek<int64_t>(From.Data, Position);
  return success();
}

LogicalResult LaunchMemory::write(unsigned Number, ArrayRef<int64_t> At,
                                  const TileValue &From, size_t Source,
                                  Operation *Op) {
  Buffer &To = Buffers[Number];
  size_t Position = linearise(To.Shape, At);
  if (CheckRaces) {
    Owner &Who = (*To.Touched)[Position];
    if (Who.Writer != Nobody && Who.Writer != Cell)
      return reportRace(Number, At, "writes", "writes too", Who.Writer, Op);
    if (Who.Reader != Nobody && Who.Reader != Cell)
      return reportRace(Number, At, "writes", "reads", Who.Reader, Op);
    Who.Writer = Cell;
  }
  if (To.Element.isF32())
    poke<float>(To.Data, Position, From.Floats[Source]);
  else if (To.Element.isF64())
    poke<double>(To.Data, Position, From.Floats[Source]);
  else if (isa<FloatType>(To.Element))
    poke<uint16_t>(To.Data, Position,
                   encodeHalf(From.Floats[Source], To.Element));
  else if (To.Element.isInteger(32))
    poke<int32_t>(To.Data, Position, From.Integers[Source]);
  else
    poke<int64_t>(To.Data, Position, From.Integers[Source]);
  return success();
}
