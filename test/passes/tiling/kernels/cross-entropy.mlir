// RUN: %tiled %s | FileCheck %s

// The loss from the hidden states, without the logits in memory. Every cell takes
// 128 rows and 512 entries of a large vocabulary, whose weights the cells of all
// rows share: Z = H W^T, its maximum M, sum of exponentials L and the label's
// logit C. There is no loop over the vocabulary.

// CHECK-LABEL:  tile.kernel @cross_entropy_partial_k64_v5000(
// CHECK-SAME:      %[[H:[^:]*]]: memref<?x64xf32>, %[[W:[^:]*]]: memref<5000x64xf32>, %[[LABELS:[^:]*]]: memref<?xi32>,
// CHECK-SAME:      %[[MAXIMA:[^:]*]]: memref<10x?xf32>, %[[SUMS:[^:]*]]: memref<10x?xf32>, %[[CHOSEN:[^:]*]]: memref<10x?xf32>, {{.*}}: index) grid(%[[CELL:[^ ,)]*]], %[[RANGE:[^ ,)]*]])
// CHECK-NOT:    scf.for
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[CELL]], 128
// CHECK-DAG:    %[[LABEL:.*]] = tile.load %[[LABELS]][%[[ROW]]] over [0] : memref<?xi32> -> tensor<128xi32>
// CHECK-DAG:    %[[LABELCOLUMN:.*]] = tile.broadcast %[[LABEL]] along [0] : tensor<128xi32> -> tensor<128x512xi32>
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[RANGE]], 512
// CHECK-DAG:    %[[HT:.*]] = tile.load %[[H]][%[[ROW]], 0] over [0, 1] : {{.*}} -> tensor<128x64xf32>
// CHECK-DAG:    %[[WT:.*]] = tile.load %[[W]][%[[FIRST]], 0] over [0, 1] : {{.*}} -> tensor<512x64xf32>
// CHECK-DAG:    %[[Z:.*]] = tile.mma %[[HT]], %[[WT]], 0 {transpose_rhs}

// 5000 is no multiple of 512: columns past the end must not be seen.

// CHECK-DAG:    %[[COLUMN:.*]] = arith.addi {{.*}} : tensor<128x512xi32>
// CHECK-DAG:    %[[INSIDE:.*]] = arith.cmpi slt, %[[COLUMN]], 5000
// CHECK-DAG:    %[[S:.*]] = arith.select %[[INSIDE]], %[[Z]], -2e+30
// CHECK-DAG:    %[[HIGHEST:.*]] = tile.reduce max %[[S]] along 1
// CHECK-DAG:    %[[M:.*]] = arith.maximumf -1e+30, %[[HIGHEST]]
// CHECK-DAG:    %[[MS:.*]] = tile.broadcast %[[M]] along [0]
// CHECK-DAG:    %[[BELOW:.*]] = arith.subf %[[S]], %[[MS]]
// CHECK-DAG:    %[[E:.*]] = math.exp %[[BELOW]]
// CHECK-DAG:    %[[ADDED:.*]] = tile.reduce sum %[[E]] along 1
// CHECK-DAG:    %[[L:.*]] = arith.addf {{.*}}, %[[ADDED]]
// CHECK-DAG:    %[[ISLABEL:.*]] = arith.cmpi eq, %[[COLUMN]], %[[LABELCOLUMN]]
// CHECK-DAG:    %[[PICKED:.*]] = arith.select %[[ISLABEL]], %[[S]], 0
// CHECK-DAG:    %[[LOGIT:.*]] = tile.reduce sum %[[PICKED]] along 1
// CHECK-DAG:    %[[C:.*]] = arith.addf 0, %[[LOGIT]]
// CHECK:        tile.store %[[M]], %[[MAXIMA]][%[[RANGE]], %[[ROW]]] over [1]
// CHECK-NEXT:   tile.store %[[L]], %[[SUMS]][%[[RANGE]], %[[ROW]]] over [1]
// CHECK-NEXT:   tile.store %[[C]], %[[CHOSEN]][%[[RANGE]], %[[ROW]]] over [1]

// A second kernel combines the ranges in their order: log_sum_exp = M + log L, and
// the loss of a row is log_sum_exp - C. Rows without a label do not count.

// CHECK-LABEL:  tile.kernel @cross_entropy_combine_r10(
// CHECK-SAME:      %[[MAXIMA:[^:]*]]: memref<10x?xf32>, %[[SUMS:[^:]*]]: memref<10x?xf32>, %[[CHOSEN:[^:]*]]: memref<10x?xf32>, %[[LABELS:[^:]*]]: memref<?xi32>,
// CHECK-SAME:      %[[LOSSES:[^:]*]]: memref<?xf32>, %[[COUNTS:[^:]*]]: memref<?xf32>, {{.*}}: index) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[LABEL:.*]] = tile.load %[[LABELS]]
// CHECK-DAG:    %[[HAS:.*]] = arith.cmpi sge, %[[LABEL]], 0
// CHECK-DAG:    %[[INSIDE:.*]] = arith.cmpi slt
// CHECK-DAG:    %[[COUNTED:.*]] = arith.andi %[[HAS]], %[[INSIDE]]
// CHECK:        %[[R:.*]]:3 = scf.for %[[RANGE:[^ ,)]*]] = 0 to 10 step 1 iter_args(%[[M0:[^ ,)]*]] = -1e+30, %[[L0:[^ ,)]*]] = 0, %[[C0:[^ ,)]*]] = 0) ->
// CHECK-DAG:      %[[OTHER:.*]] = tile.load %[[MAXIMA]][%[[RANGE]], {{.*}}] over [1]
// CHECK-DAG:      %[[M:.*]] = arith.maximumf %[[M0]], %[[OTHER]]
// CHECK-DAG:      %[[FALL:.*]] = arith.subf %[[M0]], %[[M]]
// CHECK-DAG:      %[[RATIO:.*]] = math.exp %[[FALL]]
// CHECK-DAG:      %[[KEPT:.*]] = arith.mulf %[[L0]], %[[RATIO]]
// CHECK-DAG:      %[[OTHERSUM:.*]] = tile.load %[[SUMS]][%[[RANGE]], {{.*}}] over [1]
// CHECK-DAG:      %[[OTHERFALL:.*]] = arith.subf %[[OTHER]], %[[M]]
// CHECK-DAG:      %[[OTHERRATIO:.*]] = math.exp %[[OTHERFALL]]
// CHECK-DAG:      %[[ADDED:.*]] = arith.mulf %[[OTHERSUM]], %[[OTHERRATIO]]
// CHECK-DAG:      %[[L:.*]] = arith.addf %[[KEPT]], %[[ADDED]]
// CHECK-DAG:      %[[LOGIT:.*]] = tile.load %[[CHOSEN]][%[[RANGE]], {{.*}}] over [1]
// CHECK-DAG:      %[[C:.*]] = arith.addf %[[C0]], %[[LOGIT]]
// CHECK:          scf.yield %[[M]], %[[L]], %[[C]]
// CHECK-DAG:    %[[LOG:.*]] = math.log %[[R]]#1
// CHECK-DAG:    %[[LSE:.*]] = arith.addf %[[R]]#0, %[[LOG]]
// CHECK-DAG:    %[[LOSS:.*]] = arith.subf %[[LSE]], %[[R]]#2
// CHECK-DAG:    %[[COUNTEDLOSS:.*]] = arith.select %[[COUNTED]], %[[LOSS]], 0
// CHECK-DAG:    %[[SUM:.*]] = tile.reduce sum %[[COUNTEDLOSS]] along 0 : tensor<64xf32> -> f32
// CHECK:        tile.store %[[SUM]], %[[LOSSES]][%[[CELL]]]
// CHECK-DAG:    %[[COUNT:.*]] = tile.reduce sum {{.*}} along 0 : tensor<64xf32> -> f32
// CHECK:        tile.store %[[COUNT]], %[[COUNTS]][%[[CELL]]]

// A third adds the 64-row sums in their order and divides by how many rows count.

// CHECK-LABEL:  tile.kernel @cross_entropy_mean(
// CHECK-SAME:      %[[LOSSES:[^:]*]]: memref<?xf32>, %[[COUNTS:[^:]*]]: memref<?xf32>, %[[MEANM:[^:]*]]: memref<1xf32>) grid(
// CHECK:        %[[R:.*]]:2 = scf.for %[[I:[^ ,)]*]] = 0 to {{.*}} step 1 iter_args(%[[LOSS0:[^ ,)]*]] = 0, %[[COUNT0:[^ ,)]*]] = 0) -> (f32, f32)
// CHECK-DAG:      %[[LOSS:.*]] = tile.load %[[LOSSES]][%[[I]]]
// CHECK-DAG:      %[[SUM:.*]] = arith.addf %[[LOSS0]], %[[LOSS]]
// CHECK-DAG:      %[[ROWS:.*]] = tile.load %[[COUNTS]][%[[I]]]
// CHECK-DAG:      %[[COUNT:.*]] = arith.addf %[[COUNT0]], %[[ROWS]]
// CHECK:          scf.yield %[[SUM]], %[[COUNT]]
// CHECK-DAG:    %[[ATLEASTONE:.*]] = arith.maximumf %[[R]]#1, 1
// CHECK-DAG:    %[[MEAN:.*]] = arith.divf %[[R]]#0, %[[ATLEASTONE]]
// CHECK:        tile.store %[[MEAN]], %[[MEANM]][0]

// CHECK-LABEL:  plan.entry @loss
// CHECK:        plan.launch @cross_entropy_partial_k64_v5000 grid ((batch * seq) ceildiv 128, 10)
// CHECK-NEXT:   plan.launch @cross_entropy_combine_r10 grid ((batch * seq) ceildiv 64)
// CHECK-NEXT:   plan.launch @cross_entropy_mean grid (1)
func.func @loss(%h: tensor<?x?x64xf32> {txs.input = "h"}, %w: tensor<5000x64xf32> {txs.input = "w"}, %labels: tensor<?x?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}) {
  %loss, %l = txs.linear_cross_entropy %h, %w, %labels : tensor<?x?x64xf32>, tensor<5000x64xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}

// -----

// With `shift` a row is scored against the label of the next token, which the last
// token of a sequence has none of. A wide product goes over the hidden size in
// steps; training keeps log_sum_exp, 0 for rows that do not count.

// CHECK-LABEL:  tile.kernel @cross_entropy_partial_k600_v97_shift(
// CHECK-SAME:      %[[H:[^:]*]]: memref<?x600xf32>, %[[W:[^:]*]]: memref<97x600xf32>, %[[LABELS:[^:]*]]: memref<?xi32>, {{.*}}) grid(
// CHECK-DAG:    %[[NEXT:.*]] = arith.addi {{.*}}, 1 : index
// CHECK-DAG:    tile.load %[[LABELS]][%[[NEXT]]] over [0]
// CHECK:        scf.for {{.*}} step 112
// CHECK:          %[[Z:.*]] = scf.for %[[K:[^ ,)]*]] = 0 to 600 step 64 iter_args(%[[SUM:[^ ,)]*]] = {{.*}}) -> (tensor<64x112xf32>) {
// CHECK-DAG:        %[[HT:.*]] = tile.load %[[H]][{{.*}}, %[[K]]] over [0, 1] : {{.*}} -> tensor<64x64xf32>
// CHECK-DAG:        %[[WT:.*]] = tile.load %[[W]][{{.*}}, %[[K]]] over [0, 1] : {{.*}} -> tensor<112x64xf32>
// CHECK-DAG:        tile.mma %[[HT]], %[[WT]], %[[SUM]] {transpose_rhs}

// CHECK-LABEL:  tile.kernel @cross_entropy_combine_r1_shift_lse(
// CHECK-SAME:      {{.*}}: memref<?xi32>, %[[LSE:[^:]*]]: memref<?xf32>, %[[LOSSES:[^:]*]]: memref<?xf32>, %[[COUNTS:[^:]*]]: memref<?xf32>, %[[SEQ:[^:]*]]: index)

// The last token of a sequence is the one before a multiple of the length.

// CHECK-DAG:    %[[SEQ32:.*]] = arith.index_cast %[[SEQ]] : index to i32
// CHECK-DAG:    %[[SEQTILE:.*]] = tile.broadcast %[[SEQ32]]
// CHECK-DAG:    %[[REST:.*]] = arith.remui {{.*}}, %[[SEQTILE]]
// CHECK-DAG:    %[[FOLLOWED:.*]] = arith.cmpi ne, %[[REST]], 0
// CHECK-DAG:    %[[COUNTED:.*]] = arith.andi {{.*}}, %[[FOLLOWED]]
// CHECK:        %[[R:.*]]:3 = scf.for
// CHECK:        %[[SUM:.*]] = arith.addf %[[R]]#0,
// CHECK:        %[[KEPT:.*]] = arith.select %[[COUNTED]], %[[SUM]], 0 : tensor<64xi1>, tensor<64xf32>
// CHECK:        tile.store %[[KEPT]], %[[LSE]][

// CHECK-LABEL:  plan.entry @training
// CHECK:        %[[L:.*]] = plan.buffer output "lse" (batch, seq) f32
// CHECK:        plan.launch @cross_entropy_combine_r1_shift_lse {{.*}}, %[[L]],
func.func @training(%h: tensor<?x?x600xf32> {txs.input = "h"}, %w: tensor<97x600xf32> {txs.input = "w"}, %labels: tensor<?x?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}, tensor<?x?xf32> {txs.output = "lse"}) {
  %loss, %l = txs.linear_cross_entropy %h, %w, %labels shift : tensor<?x?x600xf32>, tensor<97x600xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss, %l : tensor<f32>, tensor<?x?xf32>
}

// -----

// Classification: one row and one label for each sequence, three logits in a tile
// of eight.

// CHECK-LABEL:  tile.kernel @cross_entropy_partial_k64_v3(
// CHECK-DAG:    tile.mma {{.*}} {transpose_rhs} : tensor<64x64xf32>, tensor<8x64xf32>, tensor<64x8xf32>
// CHECK-LABEL:  plan.entry @classification
// CHECK:        plan.launch @cross_entropy_partial_k64_v3 grid (batch ceildiv 64, 1)
func.func @classification(%h: tensor<?x64xf32> {txs.input = "h"}, %w: tensor<3x64xf32> {txs.input = "w"}, %labels: tensor<?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}) {
  %loss, %l = txs.linear_cross_entropy %h, %w, %labels : tensor<?x64xf32>, tensor<3x64xf32>, tensor<?xi32> -> tensor<f32>, tensor<?xf32>
  return %loss : tensor<f32>
}
