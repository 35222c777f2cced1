//===- TileToThreadsBoxes.cpp - Tile kernels to threads: copies of boxes --===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Where a kernel gets tensor maps, one thread has boxes of 64 columns copied
// to shared memory just as wgmma wants them. What a tile takes from outside its
// memory is zero, as the map says. Who does that when: TileToThreadsPipe.cpp.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/TensorCopies.h"
#include "codegen/nvptx/ThreadLowering.h"

using namespace mlir;

namespace transxssm::nvptx {

/// Columns of a box: a row of 128 bytes. Its most rows, and dimensions. A row
/// of memory is a multiple of so many elements: sixteen bytes.
constexpr int64_t BoxColumns = 64, MostRows = 256, MostRank = 5;
constexpr int64_t RowElements = 8;

/// Whether boxes can make up a tile of this memory.
bool ThreadLowering::fitsBoxes(Value Memory, ArrayRef<int64_t> Dimensions,
                               Value Tile) {
  auto Type = cast<MemRefType>(Memory.getType());
  ArrayRef<int64_t> Shape = tileType(Tile).getShape();
  int64_t Last = Type.getRank() - 1;
  // Strides are multiples of sixteen bytes, as maps want them, if that of the
  // rows is.
  return Target.TensorMaps && Shape.size() == 2 && Last >= 1 &&
         Last < MostRank && Dimensions.back() == Last &&
         !Type.isDynamicDim(Last) && Type.getDimSize(Last) % RowElements == 0 &&
         Shape[0] == paddedExtent(Shape[0]) && Shape[0] <= MostRows &&
         Shape[1] == paddedExtent(Shape[1]) && Shape[1] % BoxColumns == 0;
}

bool ThreadLowering::canCopyBoxes(tile::LoadOp Load) {
  return Layouts.isOperand(Load.getResult()) &&
         fitsBoxes(Load.getMemory(), Load.getDimensions(), Load.getResult());
}

/// The kernel's argument that describes a memory and the boxes of a tile.
Value ThreadLowering::tensorMap(Value Memory, ArrayRef<int64_t> Dimensions,
                                Value Tile) {
  auto Type = cast<MemRefType>(Memory.getType());
  int64_t Operand = 0, FirstSize = 0;
  for (Value Argument : Kernel.getLaunchArguments()) {
    if (Argument == Memory)
      break;
    auto Other = dyn_cast<MemRefType>(Argument.getType());
    Operand += Other != nullptr;
    FirstSize += Other ? Other.getNumDynamicDims() : 1;
  }
  SmallVector<int64_t> Numbers{Operand, FirstSize};
  for (int64_t Extent : Type.getShape())
    Numbers.push_back(ShapedType::isDynamic(Extent) ? -1 : Extent);
  SmallVector<int64_t> Box(Type.getRank(), 1);
  Box[Dimensions.front()] = tileType(Tile).getDimSize(0);
  Box.back() = BoxColumns;
  Numbers.append(Box);
  Attribute Map = B.getDenseI64ArrayAttr(Numbers);
  auto *Known = llvm::find(TensorMaps, Map);
  size_t Number = Known - TensorMaps.begin();
  size_t FirstMap = Function.getNumArguments() - TensorMaps.size();
  if (Known == TensorMaps.end()) {
    TensorMaps.push_back(Map);
    if (failed(Function.insertArgument(
            Function.getNumArguments(),
            LLVM::LLVMPointerType::get(B.getContext()), {}, B.getLoc())))
      error(Kernel, "cannot add a tensor map to the kernel's arguments");
  }
  return Function.getArgument(FirstMap + Number);
}

/// Calls the function for the place of each box in shared memory and in its
/// tensor, innermost first.
void ThreadLowering::forEachBox(ValueRange Indices, const SharedTile &Shared,
                                Value Tile,
                                function_ref<void(Value, ArrayRef<Value>)> Do) {
  Value Pointer = sharedPointer(Shared);
  int64_t Columns = tileType(Tile).getDimSize(1);
  for (int64_t Column = 0; Column < Columns; Column += BoxColumns) {
    Value Place = index(Shared.offset(0, Column));
    if (Shared.Shift)
      Place = add(Shared.Shift, Place);
    Value Address = LLVM::GEPOp::create(
        B, Pointer.getType(), B.getBF16Type(), Pointer,
        ArrayRef<LLVM::GEPArg>{
            arith::IndexCastOp::create(B, B.getI64Type(), Place).getResult()});
    SmallVector<Value> Coordinates;
    for (Value Index : llvm::reverse(Indices)) {
      Value At = scalar(Index);
      if (Coordinates.empty())
        At = add(At, Column);
      Coordinates.push_back(arith::IndexCastOp::create(B, B.getI32Type(), At));
    }
    Do(Address, Coordinates);
  }
}

/// What one thread does for a tile.
void ThreadLowering::copyBoxes(tile::LoadOp Load, const SharedTile &To,
                               Value Barrier) {
  Value Tile = Load.getResult();
  Value Map = tensorMap(Load.getMemory(), Load.getDimensions(), Tile);
  forEachBox(Load.getIndices(), To, Tile,
             [&](Value Address, ArrayRef<Value> Coordinates) {
               markPipe(copyBox(B, Address, Barrier, Map, Coordinates));
             });
}

} // namespace transxssm::nvptx
