//===- TileToThreadsCells.cpp - Tile kernels to threads: resident blocks --===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Where it pays, blocks are resident: as many as fit at once go over the cells
// of the grid, so that the producer (TileToThreadsPipe.cpp) has the tiles of
// the next cell copied while consumers store the results of the last one. Both
// run the same loop over cells around their part of the kernel, from the
// block's number in steps of the number of blocks; the pipe's stages and phases
// run on. Which block makes a cell does not change what it computes.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/ThreadLowering.h"

using namespace mlir;

namespace transxssm::nvptx {

/// Iterations of a cell for which blocks stay, at most.
constexpr int64_t MostStayingIterations = 64;
/// Dimensions of a grid.
constexpr int64_t GridDimensions = 3;

/// Whether blocks should stay for several cells. A cell of products fills the
/// pipe before it multiplies and stores its results afterwards, in some 3,000
/// cycles that its multiprocessor has no other use for, unless
///
/// - a second block multiplies meanwhile, as where there is one group of
///   consumers;
/// - they are few beside the cell's own: an iteration, 128 x 128 x 64 products
///   at the 2,048 a cycle of an H100, takes 512, so 64 iterations ten times as
///   many. Longer cells (sums over tokens or over a vocabulary) are better
///   given to whichever multiprocessor is free, which evens out what differs
///   among them: blocks that stay share cells by their number alone.
///
/// Kernels that do more than to add products, or add to many sums, have no
/// registers left for a loop around everything.
bool ThreadLowering::paysToStay() {
  return !HasManySums && onlyAddsProducts() &&
         llvm::all_of(BoxRings, [&](const auto &Each) {
           std::optional<APInt> Count =
               cast<scf::ForOp>(Each.first).getStaticTripCount();
           return Count && Count->ule(MostStayingIterations) &&
                  !Each.first->template getParentOfType<scf::ForOp>();
         });
}

/// Has the launch pass the grid, and start no more blocks than there can be at
/// once: two groups of consumers and a producer are alone on a multiprocessor.
void ThreadLowering::addGridExtents() {
  Function->setAttr(ResidentAttr, B.getI64IntegerAttr(1));
  for (int64_t Dimension = 0; Dimension < GridDimensions; ++Dimension) {
    unsigned Number = Function.getNumArguments();
    if (failed(Function.insertArgument(Number, B.getI64Type(), {}, B.getLoc())))
      return error(Kernel, "cannot add the grid to the kernel's arguments");
    GridExtents.push_back(arith::TruncIOp::create(
        B, B.getI32Type(), Function.getArgument(Number)));
  }
}

/// Runs the body for this block's cell; for one cell after the other, in steps
/// of the number of blocks, where few blocks go over all of them.
void ThreadLowering::forEachCell(function_ref<void()> Body) {
  if (GridExtents.empty())
    return Body();
  Value Cells = GridExtents.front();
  for (Value Extent : llvm::drop_begin(GridExtents))
    Cells = arith::MulIOp::create(B, Cells, Extent);
  Type Index = B.getIndexType();
  auto For = scf::ForOp::create(
      B, blockCoordinate(B, 0),
      arith::IndexCastUIOp::create(B, Index, Cells).getResult(), blockCount(B));
  OpBuilder::InsertionGuard Guard(B);
  B.setInsertionPointToStart(For.getBody());
  // The order in which a device starts the blocks of a grid.
  Value Rest =
      arith::IndexCastUIOp::create(B, B.getI32Type(), For.getInductionVar());
  for (auto [Coordinate, Extent] :
       llvm::zip_first(Kernel.getGridArguments(), GridExtents)) {
    Value Own = arith::RemUIOp::create(B, Rest, Extent);
    Scalars.map(Coordinate, arith::IndexCastUIOp::create(B, Index, Own));
    Rest = arith::DivUIOp::create(B, Rest, Extent);
  }
  Body();
}

} // namespace transxssm::nvptx
