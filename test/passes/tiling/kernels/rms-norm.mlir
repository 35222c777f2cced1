// RUN: %tiled %s | FileCheck %s

// y = w x / sqrt(mean(x^2) + eps), row by row. Up to 1024 columns are one tile, and
// there is no loop; the fewer the columns, the more rows a cell takes.

// CHECK-LABEL:  tile.kernel @rms_norm_n200_eps1em06
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x200xf32>, %[[WM:[^:]*]]: memref<200xf32>, %[[YM:[^:]*]]: memref<?x200xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[CELL]], 16
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][%[[ROW]], 0] over [0, 1] : {{.*}} -> tensor<16x200xf32>
// CHECK-DAG:    %[[SQUARES:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK-DAG:    %[[SUM:.*]] = tile.reduce sum %[[SQUARES]] along 1
// CHECK-DAG:    %[[MEAN:.*]] = arith.divf %[[SUM]], 200
// CHECK-DAG:    %[[SAFE:.*]] = arith.addf %[[MEAN]], 1e-06
// CHECK-DAG:    %[[ROOT:.*]] = math.sqrt %[[SAFE]]
// CHECK-DAG:    %[[INVERSE:.*]] = arith.divf 1, %[[ROOT]]
// CHECK-DAG:    %[[WV:.*]] = tile.load %[[WM]][0] over [0]
// CHECK-DAG:    %[[W:.*]] = tile.broadcast %[[WV]] along [1] : tensor<200xf32> -> tensor<16x200xf32>
// CHECK-DAG:    %[[AGAIN:.*]] = tile.load %[[XM]][%[[ROW]], 0] over [0, 1]
// CHECK-DAG:    %[[R:.*]] = tile.broadcast %[[INVERSE]] along [0] : tensor<16xf32> -> tensor<16x200xf32>
// CHECK-DAG:    %[[NORMED:.*]] = arith.mulf %[[AGAIN]], %[[R]]
// CHECK-DAG:    %[[Y:.*]] = arith.mulf %[[W]], %[[NORMED]]
// CHECK:        tile.store %[[Y]], %[[YM]][%[[ROW]], 0] over [0, 1]
// CHECK:        plan.launch @rms_norm_n200_eps1em06{{.*}} grid ((batch * seq) ceildiv 16)
func.func @norm(%x: tensor<?x?x200xf32> {txs.input = "x"}, %w: tensor<200xf32> {txs.input = "w"}) -> (tensor<?x?x200xf32> {txs.output = "y"}) {
  %y = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x200xf32>, tensor<200xf32>
  return %y : tensor<?x?x200xf32>
}

// -----

// Wider rows are read twice, tile after tile: for the sum, then for the result.

// CHECK-LABEL:  tile.kernel @rms_norm_n2048_eps1em05
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x2048xf32>
// CHECK-DAG:    %[[ROW:.*]] = arith.muli {{.*}}, 2
// CHECK-DAG:    %[[FIRST:.*]] = tile.reduce sum
// CHECK:        %[[SUM:.*]] = scf.for %[[C:[^ ,)]*]] = 1024 to 2048 step 1024 iter_args(%[[OLD:[^ ,)]*]] = %[[FIRST]]) -> (tensor<2xf32>) {
// CHECK-DAG:      %[[PART:.*]] = tile.load %[[XM]][%[[ROW]], %[[C]]]
// CHECK-DAG:      %[[SQUARES:.*]] = arith.mulf %[[PART]], %[[PART]]
// CHECK-DAG:      %[[ADDED:.*]] = tile.reduce sum %[[SQUARES]] along 1
// CHECK-DAG:      arith.addf %[[OLD]], %[[ADDED]]
// CHECK-DAG:    arith.divf %[[SUM]], 2048
// CHECK:        scf.for %[[C2:[^ ,)]*]] = 0 to 2048 step 1024 {
// CHECK-DAG:      tile.load %[[XM]][%[[ROW]], %[[C2]]]
// CHECK:          tile.store
// CHECK:        plan.launch @rms_norm_n2048_eps1em05{{.*}} grid ((batch * seq) ceildiv 2)
func.func @wide(%x: tensor<?x?x2048xf32> {txs.input = "x"}, %w: tensor<2048xf32> {txs.input = "w"}) -> (tensor<?x?x2048xf32> {txs.output = "y"}) {
  %y = txs.rms_norm %x, %w {eps = 1.0e-5 : f64} : tensor<?x?x2048xf32>, tensor<2048xf32>
  return %y : tensor<?x?x2048xf32>
}
