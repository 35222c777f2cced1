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

bool ThreadLowering::canCopyBoxes(tile::LoadOp Load) {
  Value Result = Load.getResult();
  ArrayRef<int64_t> Shape = tileType(Result).getShape();
  auto Memory = cast<MemRefType>(Load.getMemory().getType());
  int64_t Rank = Memory.getRank();
  // Strides are multiples of sixteen bytes, as maps want them, if that of the
  // rows is.
  return Target.TensorMaps && Layouts.isOperand(Result) && Rank >= 2 &&
         Rank <= MostRank && !Memory.isDynamicDim(Rank - 1) &&
         Memory.getDimSize(Rank - 1) % RowElements == 0 &&
         Shape[0] == paddedExtent(Shape[0]) && Shape[0] <= MostRows &&
         Shape[1] == paddedExtent(Shape[1]) && Shape[1] % BoxColumns == 0;
}

/// The kernel's argument that describes the memory and the boxes of a load.
Value ThreadLowering::tensorMap(tile::LoadOp Load) {
  auto Memory = cast<MemRefType>(Load.getMemory().getType());
  int64_t Operand = 0, FirstSize = 0;
  for (Value Argument : Kernel.getLaunchArguments()) {
    if (Argument == Load.getMemory())
      break;
    auto Other = dyn_cast<MemRefType>(Argument.getType());
    Operand += Other != nullptr;
    FirstSize += Other ? Other.getNumDynamicDims() : 1;
  }
  SmallVector<int64_t> Numbers{Operand, FirstSize};
  for (int64_t Extent : Memory.getShape())
    Numbers.push_back(ShapedType::isDynamic(Extent) ? -1 : Extent);
  SmallVector<int64_t> Box(Memory.getRank(), 1);
  Box[Load.getDimensions().front()] = tileType(Load.getResult()).getDimSize(0);
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
      error(Load, "cannot add a tensor map to the kernel's arguments");
  }
  return Function.getArgument(FirstMap + Number);
}

/// What one thread does for a tile.
void ThreadLowering::copyBoxes(tile::LoadOp Load, const SharedTile &To,
                               Value Barrier) {
  Value Map = tensorMap(Load), Pointer = sharedPointer(To);
  int64_t Columns = tileType(Load.getResult()).getDimSize(1);
  for (int64_t Column = 0; Column < Columns; Column += BoxColumns) {
    Value Place = add(To.Shift, To.offset(0, Column));
    Value Address = LLVM::GEPOp::create(
        B, Pointer.getType(), B.getBF16Type(), Pointer,
        ArrayRef<LLVM::GEPArg>{
            arith::IndexCastOp::create(B, B.getI64Type(), Place).getResult()});
    SmallVector<Value> Coordinates;
    for (Value Index : llvm::reverse(Load.getIndices())) {
      Value At = scalar(Index);
      if (Coordinates.empty())
        At = add(At, Column);
      Coordinates.push_back(arith::IndexCastOp::create(B, B.getI32Type(), At));
    }
    markPipe(copyBox(B, Address, Barrier, Map, Coordinates));
  }
}

} // namespace transxssm::nvptx
