// RUN: %tiled %s | FileCheck %s

// Between two stores or loops the order of operations follows from the data flow
// alone, whatever C++ evaluated first: operands from left to right, each right before
// its first use. The loads are no exception.

// CHECK-LABEL:  tile.kernel @residual_n64(
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x64xf32>, %[[UM:[^:]*]]: memref<?x64xf32>, %[[WM:[^:]*]]: memref<64xf32>, %[[YM:[^:]*]]: memref<?x64xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-NEXT:   %[[WV:.*]] = tile.load %[[WM]][0]
// CHECK-NEXT:   %[[W:.*]] = tile.broadcast %[[WV]] along [1]
// CHECK-NEXT:   %[[ROW:.*]] = arith.muli %[[CELL]], 64
// CHECK-NEXT:   %[[X:.*]] = tile.load %[[XM]][%[[ROW]], 0]
// CHECK-NEXT:   %[[WX:.*]] = arith.mulf %[[W]], %[[X]]
// CHECK-NEXT:   %[[U:.*]] = tile.load %[[UM]][%[[ROW]], 0]
// CHECK-NEXT:   %[[Y:.*]] = arith.addf %[[WX]], %[[U]]
// CHECK-NEXT:   tile.store %[[Y]], %[[YM]][%[[ROW]], 0]
// CHECK-NEXT:   }
func.func @equal(%x: tensor<?x?x64xf32> {txs.input = "x"}, %u: tensor<?x?x64xf32> {txs.input = "u"}, %w: tensor<64xf32> {txs.input = "w"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  %y = txs.residual %x, %u, %w : tensor<?x?x64xf32>, tensor<64xf32>
  return %y : tensor<?x?x64xf32>
}

// -----

// An operand that holds more while it is computed than what is left of it goes first:
// the product, before the tile that is added to it.

// CHECK-LABEL:  tile.kernel @linear_k64_n64_residual(
// CHECK:        %[[SUM:.*]] = tile.mma
// CHECK-NEXT:   %[[WV:.*]] = tile.load
// CHECK-NEXT:   %[[W:.*]] = tile.broadcast %[[WV]] along [1]
// CHECK-NEXT:   %[[R:.*]] = tile.load
// CHECK-NEXT:   %[[WR:.*]] = arith.mulf %[[W]], %[[R]]
// CHECK-NEXT:   %[[Y:.*]] = arith.addf %[[WR]], %[[SUM]]
// CHECK-NEXT:   tile.store %[[Y]]
func.func @heavier(%x: tensor<?x?x64xf32> {txs.input = "x"}, %v: tensor<64x64xf32> {txs.input = "v"}, %r: tensor<?x?x64xf32> {txs.input = "r"}, %w: tensor<64xf32> {txs.input = "w"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  %p = txs.linear %x, %v : tensor<?x?x64xf32>, tensor<64x64xf32> -> tensor<?x?x64xf32>
  %y = txs.residual %r, %p, %w : tensor<?x?x64xf32>, tensor<64xf32>
  return %y : tensor<?x?x64xf32>
}

// -----

// Reads stay behind the stores and loops before them: the norm reads its input again
// after the sum.

// CHECK-LABEL:  tile.kernel @rms_norm_n2048_eps1em05(
// CHECK:        tile.load
// CHECK:        scf.for
// CHECK:          tile.load
// CHECK:        scf.for
// CHECK:          tile.load
// CHECK:          tile.store
func.func @again(%x: tensor<?x?x2048xf32> {txs.input = "x"}, %w: tensor<2048xf32> {txs.input = "w"}) -> (tensor<?x?x2048xf32> {txs.output = "y"}) {
  %y = txs.rms_norm %x, %w {eps = 1.0e-5 : f64} : tensor<?x?x2048xf32>, tensor<2048xf32>
  return %y : tensor<?x?x2048xf32>
}

// -----

// What nothing needs is not built: which rows count is asked by the kernel that adds
// up the losses, not by the one that makes the logits.

// CHECK-LABEL:  tile.kernel @cross_entropy_partial_k64_v97_shift(
// CHECK-NOT:    arith.remui
// CHECK-LABEL:  tile.kernel @cross_entropy_combine_r1_shift(
// CHECK:        arith.remui
func.func @needed(%h: tensor<?x?x64xf32> {txs.input = "h"}, %w: tensor<97x64xf32> {txs.input = "w"}, %labels: tensor<?x?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}) {
  %loss, %l = txs.linear_cross_entropy %h, %w, %labels shift : tensor<?x?x64xf32>, tensor<97x64xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}
