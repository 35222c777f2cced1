//===- LinearGrad.cpp - Gradients of a projection -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//   dinput[r, i] = sum over o of dresult[r, o] weight[o, i]
//   dweight[o, i] = sum over rows r of dresult[r, o] input[r, i]
//
// One cell makes one tile of the result and adds over the whole of the inner
// dimension in order, so the result does not depend on how cells are run.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/GradientKernels.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

tile::KernelOp tiling::buildLinearGradInput(ModuleOp Module, int64_t Outputs,
                                            int64_t Inputs, Epilogue *Tail) {
  return defineKernel(
      Module,
      "linear_grad_input_o" + Twine(Outputs) + "_i" + Twine(Inputs) +
          (Tail ? Tail->name() : ""),
      2, [&](TileBuilder &B) {
        Tile DResult = B.memory({Dynamic, Outputs});
        Tile Weight = B.memory({Outputs, Inputs});
        Tile DInput = Tail ? Tile() : B.memory({Dynamic, Inputs});
        if (Tail)
          Tail->declare(B);
        int64_t Columns = tileExtent(Inputs, ProductColumns);
        int64_t Inner = tileExtent(Outputs, 128);
        Tile Row = B.grid(0) * ProductRows, Column = B.grid(1) * ProductColumns;
        Tile Sum =
            B.forLoop(0, Outputs, Inner, {B.zeros({ProductRows, Columns})},
                      [&](Tile K, ArrayRef<Tile> Carried) {
                        Tile L =
                            B.load(DResult, {Row, K}, {ProductRows, Inner});
                        Tile R = B.load(Weight, {K, Column}, {Inner, Columns});
                        return SmallVector<Tile>{B.mma(L, R, Carried[0])};
                      })[0];
        if (Tail)
          Tail->store(B, Sum, Row, Column);
        else
          B.store(Sum, DInput, {Row, Column});
      });
}

tile::KernelOp tiling::buildLinearGradWeight(ModuleOp Module, int64_t Outputs,
                                             int64_t Inputs) {
  return defineKernel(
      Module, "linear_grad_weight_o" + Twine(Outputs) + "_i" + Twine(Inputs), 2,
      [&](TileBuilder &B) {
        Tile DResult = B.memory({Dynamic, Outputs});
        Tile Input = B.memory({Dynamic, Inputs});
        Tile DWeight = B.memory({Outputs, Inputs});
        int64_t Rows = tileExtent(Outputs, ProductRows);
        int64_t Columns = tileExtent(Inputs, ProductColumns);
        int64_t Inner = 64;
        Tile Row = B.grid(0) * ProductRows, Column = B.grid(1) * ProductColumns;
        Tile Sum = B.forLoop(
            0, B.extent(Input, 0), Inner, {B.zeros({Rows, Columns})},
            [&](Tile Token, ArrayRef<Tile> Carried) {
              Tile L = B.load(DResult, {Token, Row}, {Inner, Rows});
              Tile R = B.load(Input, {Token, Column}, {Inner, Columns});
              return SmallVector<Tile>{B.mmaTransposedLeft(L, R, Carried[0])};
            })[0];
        B.store(Sum, DWeight, {Row, Column});
      });
}

static LogicalResult lowerLinearGradInput(txs::LinearGradInputOp Op,
                                          EntryBuilder &E) {
  int64_t Outputs = E.width(Op.getDresult()), Inputs = E.width(Op.getDinput());
  AffineExpr Rows = E.tokens(Op.getDresult());
  Epilogue Tail(E, E.chain(Op));
  SmallVector<LaunchArgument> Arguments = {{E.read(Op.getDresult()), {Rows}},
                                           {E.read(Op.getWeight())}};
  Tail.addArguments(Arguments);
  E.launch(buildLinearGradInput(E.module(), Outputs, Inputs, &Tail),
           {Rows.ceilDiv(ProductRows),
            E.constant(llvm::divideCeil(Inputs, ProductColumns))},
           Arguments);
  return success();
}

static LogicalResult lowerLinearGradWeight(txs::LinearGradWeightOp Op,
                                           EntryBuilder &E) {
  int64_t Outputs = E.width(Op.getDresult()), Inputs = E.width(Op.getInput());
  AffineExpr Rows = E.tokens(Op.getDresult());
  E.launch(buildLinearGradWeight(E.module(), Outputs, Inputs),
           {E.constant(llvm::divideCeil(Outputs, ProductRows)),
            E.constant(llvm::divideCeil(Inputs, ProductColumns))},
           {{E.read(Op.getDresult()), {Rows}},
            {E.read(Op.getInput()), {Rows}},
            {E.write(Op.getDweight())}});
  return success();
}

void tiling::registerLinearGrad(LoweringTable &Table) {
  Table.add<txs::LinearGradInputOp>(lowerLinearGradInput);
  Table.add<txs::LinearGradWeightOp>(lowerLinearGradWeight);
}
