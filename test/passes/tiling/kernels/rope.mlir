// RUN: %tiled %s | FileCheck %s

// Tokens of all sequences are rows of one matrix. Row r takes line r mod seq of the
// tables, so a cell may go over the end of a sequence. Columns come in whole heads.

// CHECK-LABEL:  tile.kernel @rope_n1024_p128(
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x1024xf32>, %[[COSM:[^:]*]]: memref<?x64xf32>, %[[SINM:[^:]*]]: memref<?x64xf32>, %[[YM:[^:]*]]: memref<?x1024xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK:        %[[ROW:.*]] = arith.muli %[[CELL]], 4
// CHECK-DAG:    %[[SEQ:.*]] = memref.dim %[[COSM]], 0
// CHECK-DAG:    %[[SEQ32:.*]] = arith.index_cast %[[SEQ]]
// CHECK-DAG:    %[[SEQS:.*]] = tile.broadcast %[[SEQ32]]
// CHECK:        %[[LINE:.*]] = arith.remui {{.*}}, %[[SEQS]] : tensor<4xi32>
// CHECK-DAG:    %[[COS:.*]] = tile.gather %[[COSM]][%[[LINE]], 0] : {{.*}} -> tensor<4x64xf32>
// CHECK-DAG:    %[[SIN:.*]] = tile.gather %[[SINM]][%[[LINE]], 0] : {{.*}} -> tensor<4x64xf32>
// CHECK:        scf.for %[[COLUMN:[^ ,)]*]] = 0 to 1024 step 512 {
// CHECK:          %[[X:.*]] = tile.load %[[XM]][%[[ROW]], %[[COLUMN]]] over [0, 1] : {{.*}} -> tensor<4x512xf32>
// CHECK:          %[[Y:.*]] = tile.rope %[[X]], %[[COS]], %[[SIN]] : tensor<4x512xf32>, tensor<4x64xf32>
// CHECK:          tile.store %[[Y]], %[[YM]][%[[ROW]], %[[COLUMN]]] over [0, 1]
// CHECK:        plan.launch @rope_n1024_p128 grid ((batch * seq) ceildiv 4){{.*}} sizes (batch * seq, seq, seq, batch * seq)
func.func @heads(%x: tensor<?x?x8x128xf32> {txs.input = "x"}, %cos: tensor<?x64xf32> {txs.input = "rope_cos"}, %sin: tensor<?x64xf32> {txs.input = "rope_sin"}) -> (tensor<?x?x8x128xf32> {txs.output = "y"}) {
  %y = txs.rope %x, %cos, %sin : tensor<?x?x8x128xf32>, tensor<?x64xf32>
  return %y : tensor<?x?x8x128xf32>
}

// -----

// The inverse rotation; narrow rows are taken 64 at a time.

// CHECK-LABEL:  tile.kernel @rope_n48_p24_inverse(
// CHECK:        tile.rope {{.*}} {inverse} : tensor<64x48xf32>, tensor<64x12xf32>
// CHECK:        plan.launch @rope_n48_p24_inverse grid ((batch * seq) ceildiv 64)
func.func @inverse(%x: tensor<?x?x2x24xf32> {txs.input = "x"}, %cos: tensor<?x12xf32> {txs.input = "rope_cos"}, %sin: tensor<?x12xf32> {txs.input = "rope_sin"}) -> (tensor<?x?x2x24xf32> {txs.output = "y"}) {
  %y = txs.rope %x, %cos, %sin {inverse} : tensor<?x?x2x24xf32>, tensor<?x12xf32>
  return %y : tensor<?x?x2x24xf32>
}
