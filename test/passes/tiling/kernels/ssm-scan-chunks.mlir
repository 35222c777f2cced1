// RUN: transxssm-opt %s --txs-to-tile=gpu=true --mlir-print-local-scope | FileCheck %s

// For GPUs with few sequences and heads: a cell makes what a chunk adds to 64 of the
// 96 values of a head's state, and one of the two cells of a head leaves its decay.

// CHECK-LABEL:  tile.kernel @ssm_chunk_states_h4_p96_n16_q64_v64(
// CHECK-SAME:     %{{[^:]*}}: memref<?x?x4x96xf32>, %{{[^:]*}}: memref<?x?x4x16xf32>, %{{[^:]*}}: memref<?x?x4xf32>, %{{[^:]*}}: memref<4xf32>,
// CHECK-SAME:     %[[STATES:[^:]*]]: memref<?x4x?x96x16xf32>, %[[DECAYS:[^:]*]]: memref<?x4x?xf32>) grid(%[[BATCH:[^ ,)]*]], %[[CELL:[^ ,)]*]], %[[CHUNK:[^ ,)]*]])
// CHECK:        %[[HEAD:.*]] = arith.divui %[[CELL]], %c2
// CHECK:        %[[Z:.*]] = tile.extract
// CHECK:        %[[PART:.*]] = arith.remui %[[CELL]], %c2
// CHECK:        %[[VALUE:.*]] = arith.muli %[[PART]], %c64
// CHECK:        %[[ADDED:.*]] = tile.mma %{{.*}} {transpose_lhs} : tensor<64x64xf32>, tensor<64x16xf32>, tensor<64x16xf32>
// CHECK:        tile.store %[[ADDED]], %[[STATES]][%[[BATCH]], %[[HEAD]], %[[CHUNK]], %[[VALUE]], %{{.*}}] over [3, 4]
// CHECK:        scf.if
// CHECK:          tile.store %[[Z]], %[[DECAYS]][%[[BATCH]], %[[HEAD]], %[[CHUNK]]]

// A cell takes eight rows of a state from chunk to chunk and loads what eight chunks add
// before it stores the states before them in its place. The last chunks come one by one.

// CHECK-LABEL:  tile.kernel @ssm_state_pass_h4_p96_n16_inplace(
// CHECK-SAME:     %[[DECAYS:[^:]*]]: memref<?x4x?xf32>, %[[STATES:[^:]*]]: memref<?x4x?x96x16xf32>, %[[STATE:[^:]*]]: memref<?x4x96x16xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]], %[[CELL:[^ ,)]*]])
// CHECK:        %[[FIRST:.*]] = tile.load %[[STATE]]
// CHECK:        %[[EIGHTS:.*]] = scf.for {{.*}} iter_args(%[[S:[^ ,)]*]] = %[[FIRST]]) -> (tensor<8x16xf32>) {
// CHECK-COUNT-8:  tile.load %[[STATES]]
// CHECK-NOT:      tile.load
// CHECK:          tile.store %[[S]], %[[STATES]]
// CHECK:          %[[KEPT:.*]] = arith.mulf %[[S]],
// CHECK:          %[[NEXT:.*]] = arith.addf %[[KEPT]],
// CHECK:          tile.store %[[NEXT]], %[[STATES]]
// CHECK-COUNT-6:  tile.store
// CHECK:        %[[LAST:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[EIGHTS]]) -> (tensor<8x16xf32>) {
// CHECK:        tile.store %[[LAST]], %[[STATE]]

// Y = (L o C B^T) (dt X) + diag(exp(a)) (C S^T), with c as it is.

// CHECK-LABEL:  tile.kernel @ssm_chunk_outputs_h4_p96_n16_q64_v64(
// CHECK-SAME:     %[[STATES:[^:]*]]: memref<?x4x?x96x16xf32>, %[[Y:[^:]*]]: memref<?x?x4x96xf32>) grid(
// CHECK-DAG:    %[[S:.*]] = tile.load %[[STATES]]{{.*}} -> tensor<64x16xf32>
// CHECK-DAG:    %[[C:.*]] = tile.load {{.*}} -> tensor<64x16xf32>
// CHECK-DAG:    %[[CS:.*]] = tile.mma %[[C]], %[[S]], %{{.*}} {transpose_rhs}
// CHECK-DAG:    %[[BEFORE:.*]] = arith.mulf %[[CS]],
// CHECK-DAG:    tile.mma %{{.*}} {transpose_rhs} : tensor<64x16xf32>, tensor<64x16xf32>, tensor<64x64xf32>
// CHECK:        %[[RESULT:.*]] = tile.mma %{{.*}}, %{{.*}}, %[[BEFORE]] :
// CHECK:        tile.store %[[RESULT]], %[[Y]]

// A batch of up to 16 sequences has fewer than 132 cells of 64 values; only for those
// is there memory for states. With fewer than four chunks cells walk them.

// CHECK-LABEL:  plan.entry @prefill
// CHECK-DAG:    %[[S:.*]] = plan.buffer state "s"
// CHECK-DAG:    %[[STATES:.*]] = plan.buffer temporary "ssm_scan.states{{.*}}" affine_map<()[s0, s1, s2, s3] -> (s0 mod 17, 4, s1 ceildiv 64, 96, 16)>
// CHECK-DAG:    %[[DECAYS:.*]] = plan.buffer temporary "ssm_scan.decays
// CHECK:        plan.launch @ssm_step_h4_p96_n16_inplace {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s1 + 1)>
// CHECK-NEXT:   plan.launch @ssm_scan_h4_p96_n16_q64_v64_inplace {{.*}} when affine_map<()[s0, s1, s2, s3] -> (s1 - 2, s0 - 17)>
// CHECK-NEXT:   plan.launch @ssm_scan_h4_p96_n16_q64_v64_inplace {{.*}} when affine_map<()[s0, s1, s2, s3] -> (s1 - 2, -s0 + 16, -s1 + 192)>
// CHECK-NEXT:   plan.launch @ssm_chunk_states_h4_p96_n16_q64_v64 grid affine_map<()[s0, s1, s2, s3] -> (s0, 8, s1 ceildiv 64)>({{.*}}, %[[STATES]], %[[DECAYS]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (s1 - 2, -s0 + 16, s1 - 193)>
// CHECK-NEXT:   plan.launch @ssm_state_pass_h4_p96_n16_inplace grid affine_map<()[s0, s1, s2, s3] -> (s0, 4, 12)>(%[[DECAYS]], %[[STATES]], %[[S]])
// CHECK-NEXT:   plan.launch @ssm_chunk_outputs_h4_p96_n16_q64_v64 grid affine_map<()[s0, s1, s2, s3] -> (s0, 8, s1 ceildiv 64)>({{.*}}, %[[STATES]], %{{.*}})
func.func @prefill(%c: tensor<?x?x4x16xf32> {txs.input = "c"}, %b: tensor<?x?x4x16xf32> {txs.input = "b"}, %x: tensor<?x?x4x96xf32> {txs.input = "x"},
                   %dt: tensor<?x?x4xf32> {txs.input = "dt"}, %a: tensor<4xf32> {txs.input = "a"}, %s: tensor<?x4x96x16xf32> {txs.state = "s"})
    -> (tensor<?x?x4x96xf32> {txs.output = "y"}, tensor<?x4x96x16xf32> {txs.state = "s"}) {
  %y, %s1 = txs.ssm_scan %c, %b, %x, %dt, %a from %s {chunk = 64 : i64}
     : (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x96xf32>, tensor<?x?x4xf32>, tensor<4xf32>, tensor<?x4x96x16xf32>)
     -> (tensor<?x?x4x96xf32>, tensor<?x4x96x16xf32>)
  return %y, %s1 : tensor<?x?x4x96xf32>, tensor<?x4x96x16xf32>
}
