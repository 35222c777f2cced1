// RUN: transxssm-opt %s --txs-to-tile=gpu=true --mlir-print-local-scope | FileCheck %s

// For GPUs: the forward sweep takes 64 of the 96 values of a head; so does the
// backward sweep, which only makes the gradients E of the states.

// CHECK-LABEL:  tile.kernel @ssm_scan_states_h4_p96_n16_q64_v64(
// CHECK-SAME:   grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]], %[[PART:[^ ,)]*]])
// CHECK:        %[[VALUE:.*]] = arith.muli %[[PART]], %c64
// CHECK:        scf.for %[[T:[^ ,)]*]] = {{.*}} iter_args(%[[S:[^ ,)]*]] = %{{.*}}) -> (tensor<64x16xf32>) {
// CHECK:          tile.store %[[S]], %{{.*}}[%[[BATCH]], %[[HEAD]], %{{.*}}, %[[VALUE]], %{{.*}}] over [3, 4]
// CHECK:          tile.load %{{.*}}[%[[BATCH]], %[[T]], %[[HEAD]], %[[VALUE]]] over [1, 3] : memref<?x?x4x96xf32> -> tensor<64x64xf32>

// CHECK-LABEL:  tile.kernel @ssm_scan_grad_states_h4_p96_n16_q64_v64(
// CHECK-SAME:   grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]], %{{.*}})
// CHECK:        scf.for %{{.*}} iter_args(%[[E:[^ ,)]*]] = %{{.*}}) -> (tensor<64x16xf32>) {
// CHECK:          tile.store %[[E]],
// CHECK:          %[[NEXT:.*]] = tile.mma %{{.*}}, %{{.*}}, %{{.*}} {transpose_lhs}
// CHECK:          scf.yield %[[NEXT]] : tensor<64x16xf32>

// A cell for each chunk: 32 values at a time, it adds up dY X~^T, dY S, X~ E, v, x .
// dx~ and <E, S>, and writes dx of those values.

// CHECK-LABEL:  tile.kernel @ssm_scan_grad_chunk_h4_p96_n16_q64_v64(
// CHECK-SAME:   grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]], %[[CHUNK:[^ ,)]*]])
// CHECK:        %[[SUMS:.*]]:6 = scf.for %[[V:[^ ,)]*]] = %c0{{.*}} to %c96{{.*}} step %c32{{.*}} iter_args
// CHECK-SAME:   (tensor<64x64xf32>, tensor<64x16xf32>, tensor<64x16xf32>, tensor<64xf32>, tensor<64xf32>, f32) {
// CHECK-DAG:      tile.load %{{.*}}[%[[BATCH]], %[[HEAD]], %[[CHUNK]], %[[V]], %{{.*}}] over [3, 4] : memref<?x4x?x96x16xf32> -> tensor<32x16xf32>
// CHECK:          tile.store %{{.*}}, %{{.*}}[%[[BATCH]], %{{.*}}, %[[HEAD]], %[[V]]] over [1, 3]
// CHECK:          scf.yield
// CHECK:        arith.mulf %{{.*}}, %[[SUMS]]#0
// CHECK:        tile.store %{{.*}}, %{{.*}}[%[[BATCH]], %[[CHUNK]], %[[HEAD]]]

// Where a batch has at most 16 sequences (with 8 cells each, fewer than 132
// multiprocessors) and four chunks or more, the states and their gradients are made
// chunk by chunk (ssm-scan-chunks.mlir).

// CHECK-LABEL:  plan.entry @training
// CHECK-DAG:    %[[STATES:.*]] = plan.buffer temporary "ssm_scan_grad.states
// CHECK-DAG:    %[[DSTATES:.*]] = plan.buffer temporary "ssm_scan_grad.dstates
// CHECK-DAG:    %[[DECAYS:.*]] = plan.buffer temporary "ssm_scan_grad.decays
// CHECK-DAG:    %[[PARTIALS:.*]] = plan.buffer temporary "ssm_scan_grad.partials
// CHECK:        plan.launch @ssm_scan_states_h4_p96_n16_q64_v64 {{.*}}%[[STATES]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (s0 - 17)>
// CHECK-NEXT:   plan.launch @ssm_scan_states_h4_p96_n16_q64_v64 {{.*}}%[[STATES]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s0 + 16, -s1 + 192)>
// CHECK-NEXT:   plan.launch @ssm_chunk_states_h4_p96_n16_q64_v64 {{.*}}%[[STATES]], %[[DECAYS]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s0 + 16, s1 - 193)>
// CHECK-NEXT:   plan.launch @ssm_state_pass_h4_p96_n16 {{.*}}(%[[DECAYS]], %[[STATES]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s0 + 16, s1 - 193)>
// CHECK-NEXT:   plan.launch @ssm_scan_grad_states_h4_p96_n16_q64_v64 {{.*}}%[[DSTATES]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (s0 - 17)>
// CHECK-NEXT:   plan.launch @ssm_scan_grad_states_h4_p96_n16_q64_v64 {{.*}}%[[DSTATES]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s0 + 16, -s1 + 192)>
// CHECK-NEXT:   plan.launch @ssm_chunk_grad_states_h4_p96_n16_q64_v64 {{.*}}%[[DSTATES]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s0 + 16, s1 - 193)>
// CHECK-NEXT:   plan.launch @ssm_state_pass_h4_p96_n16_backwards {{.*}}(%[[DECAYS]], %[[DSTATES]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s0 + 16, s1 - 193)>
// CHECK-NEXT:   plan.launch @ssm_scan_grad_chunk_h4_p96_n16_q64_v64 {{.*}}%[[STATES]], %[[DSTATES]], {{.*}}%[[PARTIALS]])
// CHECK-NEXT:   plan.launch @sum_rows_n4 {{.*}}(%[[PARTIALS]],
func.func @training(%dy: tensor<?x?x4x96xf32> {txs.input = "dy"}, %c: tensor<?x?x4x16xf32> {txs.input = "c"}, %b: tensor<?x?x4x16xf32> {txs.input = "b"}, %x: tensor<?x?x4x96xf32> {txs.input = "x"},
                    %dt: tensor<?x?x4xf32> {txs.input = "dt"}, %a: tensor<4xf32> {txs.input = "a"})
    -> (tensor<?x?x4x16xf32> {txs.output = "dc"}, tensor<?x?x4x16xf32> {txs.output = "db"}, tensor<?x?x4x96xf32> {txs.output = "dx"}, tensor<?x?x4xf32> {txs.output = "ddt"}, tensor<4xf32> {txs.output = "da"}) {
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 64 : i64}
     : (tensor<?x?x4x96xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x96xf32>, tensor<?x?x4xf32>, tensor<4xf32>)
     -> (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x96xf32>, tensor<?x?x4xf32>, tensor<4xf32>)
  return %dc, %db, %dx, %ddt, %da : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x96xf32>, tensor<?x?x4xf32>, tensor<4xf32>
}
