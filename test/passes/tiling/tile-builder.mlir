// RUN: %tiled %s | FileCheck %s

// A kernel's name says all that its body depends on, so one kernel serves every launch
// of its kind and shape.

// CHECK-LABEL:  module
// CHECK:        tile.kernel @sum_tokens_n64(
// CHECK:        tile.kernel @sum_rows_n64(
// CHECK-NOT:    tile.kernel
// CHECK:        plan.launch @sum_tokens_n64
// CHECK-NEXT:   plan.launch @sum_rows_n64
// CHECK-NEXT:   plan.launch @sum_tokens_n64
// CHECK-NEXT:   plan.launch @sum_rows_n64
func.func @shared(%x: tensor<?x?x64xf32> {txs.input = "x"}, %y: tensor<?x?x4x16xf32> {txs.input = "y"})
    -> (tensor<64xf32> {txs.output = "a"}, tensor<64xf32> {txs.output = "b"}) {
  %a = txs.sum_tokens %x : tensor<?x?x64xf32> -> tensor<64xf32>
  %b = txs.sum_tokens %y : tensor<?x?x4x16xf32> -> tensor<64xf32>
  return %a, %b : tensor<64xf32>, tensor<64xf32>
}

// -----

// Numbers and scalars take the shape and type of the other operand; vectors say along
// which dimension they are repeated. Columns are one tile without a loop where they
// fit, otherwise a loop over tiles.

// CHECK-LABEL:  tile.kernel @embedding_v9_n48(
// CHECK:        %[[T:.*]] = tile.gather {{.*}}, 0] : memref<9x48xf32>, tensor<8xi32> -> tensor<8x48xf32>
// CHECK-NEXT:   tile.store %[[T]], {{.*}}, 0] over [0, 1]

// CHECK-LABEL:  tile.kernel @scale_n1024(
// CHECK:        scf.for {{.*}} = 0 to 1024 step 512 {
// CHECK:          %[[V:.*]] = tile.load
// CHECK:          %[[W:.*]] = tile.broadcast %[[V]] along [1] : tensor<512xf32> -> tensor<4x512xf32>

// Launch arguments come before the grid's coordinates, whenever they are declared.

// CHECK-LABEL:  tile.kernel @ssm_scan_h1_p8_n8_q16(
// CHECK-SAME:      {{.*}}: memref<?x?x1x8xf32>) grid(
// CHECK:        %[[A:.*]] = tile.load {{.*}} : memref<1xf32> -> f32
// CHECK:        scf.for
// CHECK:          %[[DT:.*]] = tile.load {{.*}} -> tensor<16xf32>
// CHECK:          %[[AS:.*]] = tile.broadcast %[[A]] : f32 -> tensor<16xf32>
// CHECK:          arith.mulf %[[DT]], %[[AS]] : tensor<16xf32>
func.func @values(%ids: tensor<?x?xi32> {txs.input = "ids"}, %t: tensor<9x48xf32> {txs.input = "t"},
                  %x: tensor<?x?x1024xf32> {txs.input = "x"}, %w: tensor<1024xf32> {txs.input = "w"},
                  %c: tensor<?x?x1x8xf32> {txs.input = "c"}, %dt: tensor<?x?x1xf32> {txs.input = "dt"}, %a: tensor<1xf32> {txs.input = "a"})
    -> (tensor<?x?x48xf32> {txs.output = "e"}, tensor<?x?x1024xf32> {txs.output = "s"}, tensor<?x?x1x8xf32> {txs.output = "y"}) {
  %e = txs.embedding %ids, %t : tensor<?x?xi32>, tensor<9x48xf32> -> tensor<?x?x48xf32>
  %s = txs.scale %x, %w : tensor<?x?x1024xf32>, tensor<1024xf32>
  %y, %f = txs.ssm_scan %c, %c, %c, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<1xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>)
  return %e, %s, %y : tensor<?x?x48xf32>, tensor<?x?x1024xf32>, tensor<?x?x1x8xf32>
}

// -----

// A loop carries what its body returns; a branch runs what only some cells need.

// CHECK-LABEL:  tile.kernel @embedding_grad_v97_n64(
// CHECK:        scf.for
// CHECK:          scf.if
// CHECK-LABEL:  tile.kernel @sum_squares(
// CHECK:        %[[SUM:.*]] = scf.for {{.*}} iter_args(%[[OLD:[^ ,)]*]] = 0) -> (tensor<512xf32>) {
// CHECK:          %[[NEW:.*]] = arith.addf %[[OLD]],
// CHECK-NEXT:     scf.yield %[[NEW]] : tensor<512xf32>
func.func @control(%dx: tensor<?x?x64xf32> {txs.input = "dx"}, %ids: tensor<?x?xi32> {txs.input = "ids"}) -> (tensor<f32> {txs.output = "norm"}) {
  %dw = txs.embedding_grad %dx, %ids : tensor<?x?x64xf32>, tensor<?x?xi32> -> tensor<97x64xf32>
  %norm = txs.global_norm %dw : tensor<97x64xf32> -> tensor<f32>
  return %norm : tensor<f32>
}
