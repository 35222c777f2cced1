// RUN: %tiled %s | FileCheck %s

// A cell walks over a row of logits: once for the most likely token, and only at another
// temperature than 0 to cut off, a digit of the distance with each walk, and to draw.

// CHECK-LABEL:  tile.kernel @sample_v3000(
// CHECK-SAME:      %[[X:[^:]*]]: memref<?x3000xf32>, %[[SETTINGS:[^:]*]]: memref<2xf32>, %[[DRAW:[^:]*]]: memref<5xi32>, %[[TOKENS:[^:]*]]: memref<?xi32>) grid(%[[ROW:[^ ,)]*]])
// CHECK-DAG:    %[[TEMPERATURE:.*]] = tile.load %[[SETTINGS]][0] : memref<2xf32> -> f32
// CHECK-DAG:    %[[TOP_P:.*]] = tile.load %[[SETTINGS]][1] : memref<2xf32> -> f32
// CHECK-DAG:    %[[TOP_K:.*]] = tile.load %[[DRAW]][3] : memref<5xi32> -> i32
// CHECK:        %[[BEST:.*]]:3 = scf.for %[[C:[^ ,)]*]] = 0 to 3000 step 512
// CHECK:          tile.load %[[X]][%[[ROW]], %[[C]]] over [1] : {{.*}} -> tensor<512xf32>
// CHECK:        %[[LARGEST:.*]] = tile.reduce max %[[BEST]]#0
// CHECK:        %[[WARM:.*]] = arith.cmpf ogt, %[[TEMPERATURE]], 0
// CHECK:        %[[TOKEN:.*]] = scf.if %[[WARM]] -> (f32) {
// CHECK:          %[[RANKED:.*]] = scf.if {{.*}} -> (i32) {
// CHECK:            scf.for {{.*}} = 0 to 31 step 1 iter_args({{.*}} = 0, {{.*}} = 1073741824) -> (i32, i32) {
// CHECK:              scf.for {{.*}} = 0 to 3000 step 512
// CHECK:                arith.bitcast {{.*}} : tensor<512xf32> to tensor<512xi32>
// CHECK:          } else {
// CHECK:            scf.yield 2139095040
// CHECK:          %[[CUTS:.*]] = arith.cmpf olt, %[[TOP_P]], 1
// CHECK:          scf.if %[[CUTS]] -> (i32) {
// CHECK:            math.exp
// CHECK:          } else {
// CHECK:            scf.yield %[[RANKED]]
// Four words of a counter serve as many tiles of 512 tokens.
// CHECK:          scf.for {{.*}} = 0 to 3000 step 2048
// CHECK:            scf.for {{.*}} = 0 to 4 step 1
// CHECK:              scf.if
// CHECK:                math.log1p
// CHECK-NOT:            math.log1p
// CHECK:        } else {
// CHECK:          scf.yield
// CHECK:        arith.fptosi
// CHECK:        tile.store {{.*}}, %[[TOKENS]][%[[ROW]]]
// CHECK:        plan.launch @sample_v3000 grid (batch)
func.func @sample(%x: tensor<?x3000xf32> {txs.input = "x"}, %s: tensor<2xf32> {txs.input = "s"}, %d: tensor<5xi32> {txs.input = "d"}) -> (tensor<?xi32> {txs.output = "t"}) {
  %t = txs.sample %x, %s, %d : tensor<?x3000xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
  return %t : tensor<?xi32>
}
