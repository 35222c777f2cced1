//===- LastTokenGrad.cpp - Gradient of the last token's choice ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//   dinput[b, t, :] = dresult[b, :] for t = l_b, else 0
//
// where l_b is the last position whose mask is not 0, T - 1 without a mask or
// where it is 0 throughout.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

tile::KernelOp tiling::buildLastTokenGrad(ModuleOp Module, int64_t Width,
                                          bool Mask, Type ResultElement,
                                          Type InputElement) {
  return defineKernel(
      Module,
      (Mask ? "last_token_grad_masked_n" : "last_token_grad_n") + Twine(Width) +
          typeSuffix({ResultElement, InputElement}),
      1, [&](TileBuilder &B) {
        Tile DResult = B.memory({Dynamic, Width}, ResultElement), MaskMemory;
        if (Mask)
          MaskMemory = B.memory({Dynamic, Dynamic});
        Tile DInput = B.memory({Dynamic, Dynamic, Width}, InputElement);
        constexpr int64_t Rows = 16;
        int64_t Columns = tileExtent(Width, 256);
        Tile Batch = B.grid(0), Length = B.extent(DInput, 1);
        Tile Last = B.toI32(lastPosition(B, MaskMemory, Batch, Length));
        B.forLoop(0, Length, Rows, [&](Tile Token) {
          Tile Position = B.iota({Rows, Columns}) + B.toI32(Token);
          Tile Chosen = equal(Position, Last);
          B.forLoop(0, Width, Columns, [&](Tile Column) {
            Tile Dy = B.load(DResult, {Batch, Column}, {Columns});
            B.store(select(Chosen, B.asRow(Dy, Rows), 0), DInput,
                    {Batch, Token, Column});
          });
        });
      });
}

static LogicalResult lowerLastTokenGrad(txs::LastTokenGradOp Op,
                                        EntryBuilder &E) {
  int64_t Width = E.width(Op.getDinput());
  AffineExpr Batch = E.batch(), Seq = E.seq();
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getDresult()), {Batch}}};
  if (Op.getMask())
    Arguments.push_back({E.read(Op.getMask()), {Batch, Seq}});
  Arguments.push_back({E.write(Op.getDinput()), {Batch, Seq}});
  E.launch(buildLastTokenGrad(E.module(), Width, Op.getMask() != nullptr,
                              E.element(Op.getDresult()),
                              E.element(Op.getDinput())),
           {Batch}, Arguments);
  return success();
}

void tiling::registerLastTokenGrad(LoweringTable &Table) {
  Table.add<txs::LastTokenGradOp>(lowerLastTokenGrad);
}
