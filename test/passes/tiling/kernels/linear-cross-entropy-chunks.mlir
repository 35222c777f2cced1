// RUN: %tiled %s | FileCheck %s

// A function that has the loss and its gradients makes the logits once, for a chunk
// of the rows at a time, and leaves them in memory: Z = H W^T as for the loss alone,
// with rows from START on.

// CHECK-LABEL:  tile.kernel @cross_entropy_partial_k64_v4500_shift_chunk(
// CHECK-SAME:      %[[H:[^:]*]]: memref<?x64xf32>, %[[W:[^:]*]]: memref<4500x64xf32>, {{.*}}, %[[LOGITS:[^:]*]]: memref<?x4500xf32>, %[[SEQ:[^:]*]]: index, %[[START:[^:]*]]: index) grid(%[[I:[^ ,)]*]],
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 128
// CHECK-DAG:    %[[TOKEN:.*]] = arith.addi %[[START]], %[[ROW]]
// CHECK-DAG:    %[[HT:.*]] = tile.load %[[H]][%[[TOKEN]], 0] over [0, 1]
// CHECK-DAG:    %[[V:.*]] = arith.muli {{.*}}, 512
// CHECK-DAG:    %[[WT:.*]] = tile.load %[[W]][%[[V]], 0] over [0, 1]
// CHECK-DAG:    %[[Z:.*]] = tile.mma %[[HT]], %[[WT]], 0 {transpose_rhs}
// CHECK:        tile.store %[[Z]], %[[LOGITS]][%[[ROW]], %[[V]]] over [0, 1]
// CHECK:        tile.reduce max

// The ranges are read by the chunk's rows; what they make goes to all rows.

// CHECK-LABEL:  tile.kernel @cross_entropy_combine_r9_shift_lse_chunk(
// CHECK-SAME:      %[[LSE:[^: ]*]]: memref<?xf32>, %[[LOSSES:[^: ]*]]: memref<?xf32>, %[[COUNTS:[^: ]*]]: memref<?xf32>, %{{[^:]*}}: index, %[[START:[^:]*]]: index) grid(%[[I:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 64
// CHECK-DAG:    %[[TOKEN:.*]] = arith.addi %[[START]], %[[ROW]]
// CHECK-DAG:    %[[CELL:.*]] = arith.divui %[[TOKEN]], 64
// CHECK:        scf.for %[[RANGE:[^ ,)]*]] = 0 to 9 step 1
// CHECK:          tile.load %{{.*}}[%[[RANGE]], %[[ROW]]] over [1]
// CHECK:        tile.store %{{.*}}, %[[LSE]][%[[TOKEN]]]
// CHECK:        tile.store %{{.*}}, %[[LOSSES]][%[[CELL]]]
// CHECK:        tile.store %{{.*}}, %[[COUNTS]][%[[CELL]]]

// The logits become their gradients where they are.

// CHECK-LABEL:  tile.kernel @cross_entropy_chunk_logits_grad_v4500(
// CHECK-SAME:      %[[Z:[^:]*]]: memref<?x4500xf32>, %[[TARGETS:[^:]*]]: memref<?xi32>, %[[LSE:[^:]*]]: memref<?xf32>, %[[SCALE:[^:]*]]: memref<1xf32>, %[[START:[^:]*]]: index) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 16
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 512
// CHECK-DAG:    %[[TOKEN:.*]] = arith.addi %[[START]], %[[ROW]]
// CHECK-DAG:    %[[TARGET:.*]] = tile.load %[[TARGETS]][%[[TOKEN]]]
// CHECK-DAG:    %[[L:.*]] = tile.load %[[LSE]][%[[TOKEN]]]
// CHECK-DAG:    tile.load %[[Z]][%[[ROW]], %[[COLUMN]]] over [0, 1]
// CHECK-DAG:    math.exp
// CHECK-DAG:    %[[GRAD:.*]] = arith.mulf
// CHECK:        tile.store %[[GRAD]], %[[Z]][%[[ROW]], %[[COLUMN]]] over [0, 1]

// dhidden = dlogits W for the rows of the chunk, over the whole vocabulary.

// CHECK-LABEL:  tile.kernel @cross_entropy_chunk_hidden_grad_v4500_n64(
// CHECK-SAME:      %[[D:[^:]*]]: memref<?x4500xf32>, %[[W:[^:]*]]: memref<4500x64xf32>, %[[DH:[^:]*]]: memref<?x64xf32>, %[[START:[^:]*]]: index)
// CHECK:        %[[SUM:.*]] = scf.for %[[K:[^ ,)]*]] = 0 to 4500 step 128
// CHECK-DAG:      tile.load %[[D]][%[[ROW:.*]], %[[K]]] over [0, 1]
// CHECK-DAG:      tile.load %[[W]][%[[K]],
// CHECK:        %[[TOKEN:.*]] = arith.addi %[[START]], %[[ROW]]
// CHECK:        tile.store %[[SUM]], %[[DH]][%[[TOKEN]],

// dweight = dlogits^T H over the chunk's rows, and is added to from the second on.

// CHECK-LABEL:  tile.kernel @cross_entropy_chunk_weight_grad_v4500_n64(
// CHECK-SAME:      %[[D:[^:]*]]: memref<?x4500xf32>, %[[H:[^:]*]]: memref<?x64xf32>, %[[DW:[^:]*]]: memref<4500x64xf32>, %[[START:[^:]*]]: index)
// CHECK-DAG:    %[[ROWS:.*]] = memref.dim %[[D]], 0
// CHECK:        %[[SUM:.*]] = scf.for %[[T:[^ ,)]*]] = 0 to %[[ROWS]] step 64 iter_args({{.*}} = 0)
// CHECK-DAG:      %[[TOKEN:.*]] = arith.addi %[[START]], %[[T]]
// CHECK-DAG:      %[[HT:.*]] = tile.load %[[H]][%[[TOKEN]],
// CHECK-DAG:      %[[DT:.*]] = tile.load %[[D]][%[[T]],
// CHECK-DAG:      tile.mma %[[DT]], %[[HT]], {{.*}} {transpose_lhs}
// CHECK:        tile.store %[[SUM]], %[[DW]][
// CHECK-LABEL:  tile.kernel @cross_entropy_chunk_weight_grad_v4500_n64_add(
// CHECK-SAME:      %[[DW:[^: ]*]]: memref<4500x64xf32>, %{{[^:]*}}: index)
// CHECK:        %[[OLD:.*]] = tile.load %[[DW]]
// CHECK:        scf.for {{.*}} iter_args({{.*}} = %[[OLD]])

// 4500 entries are three slabs of 2048, so there are up to three chunks of 7456 rows
// and a third of all: 1 + floor(rows / that), in whole tiles of 64 rows.

// CHECK-LABEL:  plan.entry @chunks
// CHECK-DAG:    %[[Z:.*]] = plan.buffer temporary "cross_entropy_logits{{.*}}" ((((batch * seq) ceildiv 64) ceildiv ((batch * seq) floordiv ((batch * seq) floordiv 3 + 7456) + 1)) * 64, 4500) f32 live 1 to 15
// CHECK-DAG:    %[[DH:.*]] = plan.buffer output "dh"
// CHECK-DAG:    %[[DW:.*]] = plan.buffer output "dw"
// CHECK-DAG:    %[[H:.*]] = plan.buffer input "h"
// CHECK-DAG:    %[[W:.*]] = plan.buffer input "w"
// CHECK:        plan.launch @cross_entropy_targets_shifted grid (1)
// CHECK-NEXT:   plan.launch @cross_entropy_partial_k64_v4500_shift_chunk grid (((((batch * seq) ceildiv 64) ceildiv ({{.*}})) * 64) ceildiv 128, 9)(%[[H]], %[[W]], {{.*}}, %[[Z]]) sizes ({{.*}}, seq, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_combine_r9_shift_lse_chunk {{.*}}, seq, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_logits_grad_v4500 grid ({{.*}} * 4, 9)(%[[Z]], {{.*}}, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_hidden_grad_v4500_n64 grid ({{.*}}, 1)(%[[Z]], %[[W]], %[[DH]]) sizes ({{.*}}, batch * seq, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_weight_grad_v4500_n64 grid (71, 1)(%[[Z]], %[[H]], %[[DW]]) sizes ({{.*}}, batch * seq, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_partial_k64_v4500_shift_chunk {{.*}} * 64) when (batch * seq - {{.*}} * 64 - 1)
// CHECK-NEXT:   plan.launch @cross_entropy_combine_r9_shift_lse_chunk
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_logits_grad_v4500
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_hidden_grad_v4500_n64
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_weight_grad_v4500_n64_add {{.*}} * 64) when (batch * seq - {{.*}} * 64 - 1)
// CHECK-NEXT:   plan.launch @cross_entropy_partial_k64_v4500_shift_chunk {{.*}} * 128) when (batch * seq - {{.*}} * 128 - 1)
// CHECK-NEXT:   plan.launch @cross_entropy_combine_r9_shift_lse_chunk
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_logits_grad_v4500
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_hidden_grad_v4500_n64
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_weight_grad_v4500_n64_add {{.*}} * 128) when (batch * seq - {{.*}} * 128 - 1)
// CHECK-NEXT:   plan.launch @cross_entropy_mean
// CHECK-NOT:    plan.launch
func.func @chunks(%h: tensor<?x?x64xf32> {txs.input = "h"}, %w: tensor<4500x64xf32> {txs.input = "w"}, %labels: tensor<?x?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}, tensor<?x?x64xf32> {txs.output = "dh"}, tensor<4500x64xf32> {txs.output = "dw"}) {
  %loss, %l = txs.linear_cross_entropy %h, %w, %labels shift : tensor<?x?x64xf32>, tensor<4500x64xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %labels, %l shift
     : tensor<?x?x64xf32>, tensor<4500x64xf32>, tensor<?x?xi32>, tensor<?x?xf32>
  return %loss, %dh, %dw : tensor<f32>, tensor<?x?x64xf32>, tensor<4500x64xf32>
}

// -----

// A vocabulary of one slab is one chunk. With bf16 the gradients of the logits, which
// are float32, go to a memory of their own.

// CHECK-LABEL:  tile.kernel @cross_entropy_chunk_logits_grad_v3_bf16(
// CHECK-SAME:      %[[Z:[^:]*]]: memref<?x3xf32>, %[[D:[^:]*]]: memref<?x3xbf16>,
// CHECK:        %[[GRAD:.*]] = arith.truncf
// CHECK:        tile.store %[[GRAD]], %[[D]][
// CHECK-LABEL:  plan.entry @classification
// CHECK:        plan.launch @cross_entropy_targets grid (1){{.*}} sizes (1, batch, 1, batch)
// CHECK-NEXT:   plan.launch @cross_entropy_partial_k200_v3_bf16_chunk grid (batch ceildiv 64, 1)
// CHECK-NEXT:   plan.launch @cross_entropy_combine_r1_lse_chunk grid (batch ceildiv 64)
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_logits_grad_v3_bf16 grid ((batch ceildiv 64) * 4, 1)
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_hidden_grad_v3_n200_bf16 grid (batch ceildiv 64, 2)
// CHECK-NEXT:   plan.launch @cross_entropy_chunk_weight_grad_v3_n200_bf16 grid (1, 2)
// CHECK-NEXT:   plan.launch @cross_entropy_mean
// CHECK-NOT:    plan.launch
func.func @classification(%h: tensor<?x200xbf16> {txs.input = "h"}, %w: tensor<3x200xbf16> {txs.input = "w"}, %labels: tensor<?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}, tensor<?x200xbf16> {txs.output = "dh"}, tensor<3x200xf32> {txs.output = "dw"}) {
  %loss, %l = txs.linear_cross_entropy %h, %w, %labels : tensor<?x200xbf16>, tensor<3x200xbf16>, tensor<?xi32> -> tensor<f32>, tensor<?xf32>
  %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %labels, %l
     : tensor<?x200xbf16>, tensor<3x200xbf16>, tensor<?xi32>, tensor<?xf32>
  return %loss, %dh, %dw : tensor<f32>, tensor<?x200xbf16>, tensor<3x200xf32>
}
