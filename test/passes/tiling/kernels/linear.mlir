// RUN: %tiled %s | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=gpu=true --split-input-file --mlir-print-local-scope | FileCheck %s --check-prefix=GPU

// y = x W^T + b. A cell makes 128 rows of 96 columns and goes over the 1000 inputs 64
// at a time; past the end both operands load as 0.

// CHECK-LABEL:  tile.kernel @linear_k1000_n96_bias
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x1000xf32>, %[[WM:[^:]*]]: memref<96x1000xf32>, %[[BM:[^:]*]]: memref<96xf32>, %[[YM:[^:]*]]: memref<?x96xf32>) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 128
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 96
// CHECK:        %[[PRODUCT:.*]] = scf.for %[[K:[^ ,)]*]] = 0 to 1000 step 64 iter_args(%[[SUM:[^ ,)]*]] = 0) -> (tensor<128x96xf32>) {
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]][%[[ROW]], %[[K]]] over [0, 1] : {{.*}} -> tensor<128x64xf32>
// CHECK-DAG:      %[[W:.*]] = tile.load %[[WM]][%[[COLUMN]], %[[K]]] over [0, 1] : {{.*}} -> tensor<96x64xf32>
// CHECK:          %[[NEXT:.*]] = tile.mma %[[X]], %[[W]], %[[SUM]] {transpose_rhs}
// CHECK:          scf.yield %[[NEXT]]
// CHECK:        %[[BIAS:.*]] = tile.load %[[BM]][%[[COLUMN]]] over [0]
// CHECK:        %[[BIASES:.*]] = tile.broadcast %[[BIAS]] along [1]
// CHECK:        %[[Y:.*]] = arith.addf %[[PRODUCT]], %[[BIASES]]
// CHECK:        tile.store %[[Y]], %[[YM]][%[[ROW]], %[[COLUMN]]] over [0, 1]
// CHECK:        plan.launch @linear_k1000_n96_bias{{.*}} grid ((batch * seq) ceildiv 128, 1)
// CHECK-NOT:    plan.launch
func.func @training(%x: tensor<?x?x1000xf32> {txs.input = "x"}, %w: tensor<96x1000xf32> {txs.input = "w"}, %b: tensor<96xf32> {txs.input = "b"}) -> (tensor<?x?x96xf32> {txs.output = "y"}) {
  %y = txs.linear %x, %w bias %b : tensor<?x?x1000xf32>, tensor<96x1000xf32>, tensor<96xf32> -> tensor<?x?x96xf32>
  return %y : tensor<?x?x96xf32>
}

// -----

// A function with a state is called with few rows as well. Then time is that of
// reading the weights: a cell takes 32 outputs and reads their weights once, with one
// row, or with four at a time up to eight rows.

// CHECK-LABEL:  tile.kernel @linear_rows1_k64_n97
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x64xf32>, %[[WM:[^:]*]]: memref<97x64xf32>, %[[YM:[^:]*]]: memref<?x97xf32>) grid(%[[J:[^ ,)]*]])
// CHECK:        %[[COLUMN:.*]] = arith.muli %[[J]], 32
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][0, 0] over [0, 1] : {{.*}} -> tensor<1x64xf32>
// CHECK-DAG:    %[[W:.*]] = tile.load %[[WM]][%[[COLUMN]], 0] over [0, 1] : {{.*}} -> tensor<32x64xf32>
// CHECK:        %[[Y:.*]] = tile.mma %[[X]], %[[W]], 0 {transpose_rhs}
// CHECK:        tile.store %[[Y]], %[[YM]][0, %[[COLUMN]]] over [0, 1]

// CHECK-LABEL:  tile.kernel @linear_rows4_k64_n97
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x64xf32>
// CHECK:        %[[ROWS:.*]] = memref.dim %[[XM]], 0
// CHECK:        scf.for %[[ROW:[^ ,)]*]] = 0 to %[[ROWS]] step 4 {
// CHECK:          tile.load %[[XM]][%[[ROW]], 0] over [0, 1] : {{.*}} -> tensor<4x64xf32>

// 97 columns are one tile of 112, whole vectors.

// CHECK-LABEL:  tile.kernel @linear_k64_n97
// CHECK:        tile.mma {{.*}} {transpose_rhs} : tensor<128x64xf32>, tensor<112x64xf32>, tensor<128x112xf32>

// CHECK-LABEL:  plan.entry @decode
// CHECK:        plan.launch @linear_rows1_k64_n97{{.*}} grid (4){{.*}} when (-(batch * seq) + 1)
// CHECK-NEXT:   plan.launch @linear_rows4_k64_n97{{.*}} grid (4){{.*}} when (batch * seq - 2, -(batch * seq) + 8)
// CHECK-NEXT:   plan.launch @linear_k64_n97{{.*}} grid ((batch * seq) ceildiv 128, 1){{.*}} when (batch * seq - 9)
// On a GPU a cell of few rows takes eight outputs and adds up products of weights
// and rows of x, element by element.

// GPU-LABEL:    tile.kernel @linear_rows1_k64_n97
// GPU-NOT:        tile.mma
// GPU:            arith.mulf %{{.*}} : tensor<8x64xf32>
// GPU-NOT:        tile.mma
// GPU:            tile.reduce sum %{{.*}} along 1 : tensor<8x64xf32> -> tensor<8xf32>
// GPU:            tile.store %{{.*}} : tensor<1x8xf32>
// GPU-LABEL:    tile.kernel @linear_rows4_k64_n97
// GPU-COUNT-4:    tile.reduce sum %{{.*}} along 1 : tensor<8x64xf32> -> tensor<8xf32>
// GPU:            tile.store %{{.*}} : tensor<4x8xf32>

// Up to 6,912 rows, 108 of 64, small tiles need at most two waves of 108 cells; one
// more wave takes longer than one of large tiles.

// GPU-LABEL:    tile.kernel @linear_small_k64_n97
// GPU:            tile.mma {{.*}} {transpose_rhs} : tensor<64x32xf32>, tensor<64x32xf32>, tensor<64x64xf32>
// GPU:          plan.launch @linear_rows1_k64_n97 grid {{.*}}(13)
// GPU:          plan.launch @linear_small_k64_n97 grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 64, 2)>{{.*}} when affine_map<()[s0, s1, s2, s3] -> (s0 * s1 - 9, -(s0 * s1) + 6912)>
// GPU-NEXT:     plan.launch @linear_k64_n97 grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 128, 1)>{{.*}} when affine_map<()[s0, s1, s2, s3] -> (s0 * s1 - 6913)>
func.func @decode(%x: tensor<?x?x64xf32> {txs.input = "x"}, %w: tensor<97x64xf32> {txs.input = "w"}, %s: tensor<?x64xf32> {txs.state = "s"}) -> (tensor<?x?x97xf32> {txs.output = "y"}, tensor<?x64xf32> {txs.state = "s"}) {
  %y = txs.linear %x, %w : tensor<?x?x64xf32>, tensor<97x64xf32> -> tensor<?x?x97xf32>
  return %y, %s : tensor<?x?x97xf32>, tensor<?x64xf32>
}
