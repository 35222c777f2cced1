// RUN: %tiled %s | FileCheck %s

// Steps follow the product on its tile; what they need besides is declared after
// the product's own arguments, their results last. A value that two steps need
// is passed once, and the name says so.

// CHECK-LABEL:  tile.kernel @linear_k64_n128_silu_mul_add_m0
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x64xf32>, %[[WM:[^:]*]]: memref<128x64xf32>, %[[UM:[^:]*]]: memref<?x128xf32>, %[[YM:[^:]*]]: memref<?x128xf32>) grid
// CHECK:        %[[G:.*]] = tile.mma
// CHECK:        math.exp
// CHECK:        %[[A:.*]] = arith.divf %[[G]]
// CHECK:        %[[U:.*]] = tile.load %[[UM]]
// CHECK:        %[[M:.*]] = arith.mulf %[[A]], %[[U]]
// CHECK:        %[[Y:.*]] = arith.addf %[[M]], %{{.*}}
// CHECK:        tile.store %[[Y]], %[[YM]]
// CHECK-NOT:    tile.store
// CHECK-LABEL:  plan.entry @once
func.func @once(%x: tensor<?x?x64xf32> {txs.input = "x"}, %w: tensor<128x64xf32> {txs.input = "w"}, %u: tensor<?x?x128xf32> {txs.input = "u"}) -> (tensor<?x?x128xf32> {txs.output = "y"}) {
  %g = txs.linear %x, %w : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %a = txs.activation silu %g : tensor<?x?x128xf32>
  %m = txs.mul %a, %u : tensor<?x?x128xf32>
  %y = txs.add %m, %u : tensor<?x?x128xf32>
  return %y : tensor<?x?x128xf32>
}

// -----

// A result that nothing uses is not stored, by a kernel of another name.

// CHECK-DAG:    tile.kernel @rms_norm_grad_n64_e1em06_unused(%{{.*}}: memref<?x64xf32>, %{{.*}}: memref<?x64xf32>, %{{.*}}: memref<64xf32>, %{{.*}}: memref<?x64xf32>) grid
// CHECK-DAG:    tile.kernel @rms_norm_grad_n64_e1em06(%{{.*}}: memref<?x64xf32>, %{{.*}}: memref<?x64xf32>, %{{.*}}: memref<64xf32>, %{{.*}}: memref<?x64xf32>, %{{.*}}: memref<?x64xf32>) grid
// CHECK-LABEL:  plan.entry @unused
// CHECK:        plan.launch @rms_norm_grad_n64_e1em06_unused
// CHECK:        plan.launch @rms_norm_grad_n64_e1em06 grid
func.func @unused(%x: tensor<?x?x64xf32> {txs.input = "x"}, %w: tensor<64xf32> {txs.input = "w"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}, tensor<64xf32> {txs.output = "dw"}) {
  %a, %b = txs.rms_norm_grad %x, %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x64xf32>, tensor<64xf32>
  %r, %d = txs.rms_norm_grad %x, %x, %b {eps = 1.0e-6 : f64} : tensor<?x?x64xf32>, tensor<64xf32>
  return %r, %d : tensor<?x?x64xf32>, tensor<64xf32>
}
