//===- TileToThreadsBoxStores.cpp - Tile kernels to threads: box stores ---===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Where a kernel gets tensor maps, a tile of bf16 in the accumulator's layout
// leaves by boxes of 64 columns: stmatrix to shared memory, rows of 128
// swizzled bytes without bank conflicts, and from there one thread has it
// copied in whole lines, which threads of that layout could not write. What
// lies outside the memory is dropped, as the map says.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/TensorCopies.h"
#include "codegen/nvptx/ThreadLowering.h"

using namespace mlir;

namespace transxssm::nvptx {

/// Whether the tile leaves by boxes: what a kernel stores once, at its end. In
/// a loop the iterations would wait for them. Kernels that do more in their
/// loops than to add products have no registers left for it.
bool ThreadLowering::canStoreBoxes(tile::StoreOp Store) {
  Value Tile = Store.getValue();
  if (isUniform(Tile) || !tileType(Tile).getElementType().isBF16() ||
      Memories[Store.getMemory()].Hazard >= 0 ||
      Store->getParentOfType<scf::ForOp>())
    return false;
  for (const auto &Each : BoxRings)
    if (productsUnderWay(Each.second) == 0)
      return false;
  const LinearLayout &Layout = Layouts.of(Tile);
  return Layout.holdsMatrices() && Layout.copyMask() == 0 &&
         fitsBoxes(Store.getMemory(), Store.getDimensions(), Tile);
}

void ThreadLowering::lowerBoxStore(tile::StoreOp Store) {
  Value Tile = Store.getValue();
  auto Known = OperandTiles.find(Tile);
  SharedTile From =
      Known != OperandTiles.end()
          ? Known->second
          : writeOperand(Tile, Layouts.of(Tile), registersOf(Tile));
  Value Map = tensorMap(Store.getMemory(), Store.getDimensions(), Tile);
  ++Group;
  OpBuilder::InsertionGuard Guard(B);
  auto If = scf::IfOp::create(B, isFirst(Layouts.threads() - 1),
                              /*withElseRegion=*/false);
  If->setAttr(DivergentAttr, B.getUnitAttr());
  B.setInsertionPointToStart(If.thenBlock());
  forEachBox(Store.getIndices(), From, Tile,
             [&](Value Address, ArrayRef<Value> Coordinates) {
               markShared(storeBox(B, Address, Map, Coordinates), From);
             });
  commitBoxes(B);
  // Then other tiles may have these bytes.
  waitForBoxes(B, /*OnlyRead=*/true);
  HasBoxStores = true;
}

/// Before the kernel ends.
void ThreadLowering::awaitBoxStores() {
  if (!HasBoxStores)
    return;
  OpBuilder::InsertionGuard Guard(B);
  auto If = scf::IfOp::create(B, isFirst(Layouts.threads() - 1),
                              /*withElseRegion=*/false);
  B.setInsertionPointToStart(If.thenBlock());
  waitForBoxes(B, /*OnlyRead=*/false);
}

} // namespace transxssm::nvptx
