// RUN: %tiled %s | FileCheck %s

// A cell takes one head of one sequence and goes over the tokens in chunks of 64,
// with the state S^T [16, 24] carried. Tokens past the end load as 0: their decay
// is exp(0) = 1 and they add nothing.

// CHECK-LABEL:  tile.kernel @ssm_scan_h4_p24_n16_q64(
// CHECK-SAME:      %[[CM:[^:]*]]: memref<?x?x4x16xf32>, %[[BM:[^:]*]]: memref<?x?x4x16xf32>, %[[XM:[^:]*]]: memref<?x?x4x24xf32>, %[[DTM:[^:]*]]: memref<?x?x4xf32>, %[[AM:[^:]*]]: memref<4xf32>,
// CHECK-SAME:      %[[YM:[^:]*]]: memref<?x?x4x24xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK-DAG:    %[[A:.*]] = tile.load %[[AM]][%[[HEAD]]] : memref<4xf32> -> f32
// CHECK-DAG:    %[[SEQ:.*]] = memref.dim %[[XM]], 1
// CHECK:        scf.for %[[T:[^ ,)]*]] = 0 to %[[SEQ]] step 64 iter_args(%[[S:[^ ,)]*]] = 0) -> (tensor<16x24xf32>) {
// CHECK-DAG:      %[[C:.*]] = tile.load %[[CM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3] : {{.*}} -> tensor<64x16xf32>
// CHECK-DAG:      %[[B:.*]] = tile.load %[[BM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3] : {{.*}} -> tensor<64x16xf32>
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3] : {{.*}} -> tensor<64x24xf32>
// CHECK-DAG:      %[[DT:.*]] = tile.load %[[DTM]][%[[BATCH]], %[[T]], %[[HEAD]]] over [1] : {{.*}} -> tensor<64xf32>

// Running sums a of the decays dt A.

// CHECK-DAG:      %[[AT:.*]] = tile.broadcast %[[A]]
// CHECK-DAG:      %[[DECAY:.*]] = arith.mulf %[[DT]], %[[AT]]
// CHECK-DAG:      %[[SUMS:.*]] = tile.cumulative_sum %[[DECAY]] : tensor<64xf32>
// CHECK-DAG:      %[[LAST:.*]] = tile.extract %[[SUMS]][63]

// Y = (L o C B^T) (dt X) + exp(a) (C S^T) with L[i, j] = exp(a_i - a_j) for i >= j,
// else 0, masked before the exponential.

// CHECK-DAG:      %[[CB:.*]] = tile.mma %[[C]], %[[B]], 0 {transpose_rhs}
// CHECK-DAG:      %[[FROMSTART:.*]] = math.exp %[[SUMS]]
// CHECK-DAG:      %[[FROMSTARTS:.*]] = tile.broadcast %[[FROMSTART]] along [0]
// CHECK-DAG:      %[[CS:.*]] = tile.mma %[[C]], %[[S]], 0 :
// CHECK-DAG:      %[[BEFORE:.*]] = arith.mulf %[[CS]], %[[FROMSTARTS]]
// CHECK-DAG:      %[[CAUSAL:.*]] = arith.cmpi sge
// CHECK-DAG:      %[[AI:.*]] = tile.broadcast %[[SUMS]] along [0] : tensor<64xf32> -> tensor<64x64xf32>
// CHECK-DAG:      %[[AJ:.*]] = tile.broadcast %[[SUMS]] along [1] : tensor<64xf32> -> tensor<64x64xf32>
// CHECK-DAG:      %[[FALL:.*]] = arith.subf %[[AI]], %[[AJ]]
// CHECK-DAG:      %[[MASKED:.*]] = arith.select %[[CAUSAL]], %[[FALL]], -1e+30
// CHECK-DAG:      %[[L:.*]] = math.exp %[[MASKED]]
// CHECK-DAG:      %[[WEIGHTS:.*]] = arith.mulf %[[CB]], %[[L]]
// CHECK-DAG:      %[[DTS:.*]] = tile.broadcast %[[DT]] along [0]
// CHECK-DAG:      %[[XDT:.*]] = arith.mulf %[[X]], %[[DTS]]
// CHECK-DAG:      %[[Y:.*]] = tile.mma %[[WEIGHTS]], %[[XDT]], %[[BEFORE]] :
// CHECK:          tile.store %[[Y]], %[[YM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]

// The next state, exp(a_last) S^T + B^T (dt exp(a_last - a) X).

// CHECK-DAG:      %[[LASTS:.*]] = tile.broadcast %[[LAST]] : f32 -> tensor<64xf32>
// CHECK-DAG:      %[[TOEND:.*]] = arith.subf %[[LASTS]], %[[SUMS]]
// CHECK-DAG:      %[[TOENDEXP:.*]] = math.exp %[[TOEND]]
// CHECK-DAG:      %[[FACTOR:.*]] = arith.mulf %[[DT]], %[[TOENDEXP]]
// CHECK-DAG:      %[[FACTORS:.*]] = tile.broadcast %[[FACTOR]] along [0]
// CHECK-DAG:      %[[XEND:.*]] = arith.mulf %[[X]], %[[FACTORS]]
// CHECK-DAG:      %[[WHOLE:.*]] = math.exp %[[LAST]] : f32
// CHECK-DAG:      %[[WHOLES:.*]] = tile.broadcast %[[WHOLE]]
// CHECK-DAG:      %[[OLD:.*]] = arith.mulf %[[S]], %[[WHOLES]]
// CHECK-DAG:      %[[NEXT:.*]] = tile.mma %[[B]], %[[XEND]], %[[OLD]] {transpose_lhs}
// CHECK:          scf.yield %[[NEXT]]
// CHECK-NOT:    tile.store
// CHECK:        plan.launch @ssm_scan_h4_p24_n16_q64 grid (batch, 4)({{.*}}) sizes ({{[^)]*}})
func.func @training(%c: tensor<?x?x4x16xf32> {txs.input = "c"}, %b: tensor<?x?x4x16xf32> {txs.input = "b"}, %x: tensor<?x?x4x24xf32> {txs.input = "x"},
                    %dt: tensor<?x?x4xf32> {txs.input = "dt"}, %a: tensor<4xf32> {txs.input = "a"})
    -> (tensor<?x?x4x24xf32> {txs.output = "y"}) {
  %y, %s = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 64 : i64}
    : (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<4xf32>)
    -> (tensor<?x?x4x24xf32>, tensor<?x4x24x16xf32>)
  return %y : tensor<?x?x4x24xf32>
}

// -----

// From a cache the state is read and replaced in place. A call with one token for
// each sequence takes a rank-one update and a matrix-vector product instead:
// S = exp(dt A) S + (dt x) b^T, y = S c.

// CHECK-LABEL:  tile.kernel @ssm_step_h4_p24_n16_inplace(
// CHECK-SAME:      %[[CM:[^:]*]]: memref<?x?x4x16xf32>, %[[BM:[^:]*]]: memref<?x?x4x16xf32>, %[[XM:[^:]*]]: memref<?x?x4x24xf32>, %[[DTM:[^:]*]]: memref<?x?x4xf32>, %[[AM:[^:]*]]: memref<4xf32>,
// CHECK-SAME:      %[[SM:[^:]*]]: memref<?x4x24x16xf32>, %[[YM:[^:]*]]: memref<?x?x4x24xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK-DAG:    %[[C:.*]] = tile.load %[[CM]][%[[BATCH]], 0, %[[HEAD]], 0] over [3]
// CHECK-DAG:    %[[B:.*]] = tile.load %[[BM]][%[[BATCH]], 0, %[[HEAD]], 0] over [3]
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][%[[BATCH]], 0, %[[HEAD]], 0] over [3]
// CHECK-DAG:    %[[DT:.*]] = tile.load %[[DTM]][%[[BATCH]], 0, %[[HEAD]]] :
// CHECK-DAG:    %[[A:.*]] = tile.load %[[AM]][%[[HEAD]]] :
// CHECK-DAG:    %[[LOG:.*]] = arith.mulf %[[DT]], %[[A]] : f32
// CHECK-DAG:    %[[DECAY:.*]] = math.exp %[[LOG]] : f32
// CHECK-DAG:    %[[OLD:.*]] = tile.load %[[SM]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]
// CHECK-DAG:    %[[DECAYS:.*]] = tile.broadcast %[[DECAY]]
// CHECK-DAG:    %[[KEPT:.*]] = arith.mulf %[[OLD]], %[[DECAYS]]
// CHECK-DAG:    %[[DTS:.*]] = tile.broadcast %[[DT]]
// CHECK-DAG:    %[[XDT:.*]] = arith.mulf %[[X]], %[[DTS]]
// CHECK-DAG:    %[[XCOLUMN:.*]] = tile.broadcast %[[XDT]] along [0] : tensor<24xf32> -> tensor<24x16xf32>
// CHECK-DAG:    %[[BROW:.*]] = tile.broadcast %[[B]] along [1] : tensor<16xf32> -> tensor<24x16xf32>
// CHECK-DAG:    %[[ADDED:.*]] = arith.mulf %[[XCOLUMN]], %[[BROW]]
// CHECK-DAG:    %[[S:.*]] = arith.addf %[[KEPT]], %[[ADDED]]
// CHECK-DAG:    %[[CROW:.*]] = tile.broadcast %[[C]] along [1] : tensor<16xf32> -> tensor<24x16xf32>
// CHECK-DAG:    %[[SC:.*]] = arith.mulf %[[S]], %[[CROW]]
// CHECK-DAG:    %[[Y:.*]] = tile.reduce sum %[[SC]] along 1
// CHECK-DAG:    tile.store %[[S]], %[[SM]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]
// CHECK-DAG:    tile.store %[[Y]], %[[YM]][%[[BATCH]], 0, %[[HEAD]], 0] over [3]

// Memory holds S [24, 16]; the chunks work on S^T. A configured chunk of 200 tokens
// makes tiles of 64, the largest that there are.

// CHECK-LABEL:  tile.kernel @ssm_scan_h4_p24_n16_q64_inplace(
// CHECK-SAME:      {{.*}}, %[[SM:[^:]*]]: memref<?x4x24x16xf32>, {{.*}}) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK-DAG:    %[[OLD:.*]] = tile.load %[[SM]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]
// CHECK-DAG:    %[[START:.*]] = tile.transpose %[[OLD]]
// CHECK:        %[[END:.*]] = scf.for {{.*}} step 64 iter_args({{.*}} = %[[START]]) -> (tensor<16x24xf32>)
// CHECK-DAG:    %[[NEW:.*]] = tile.transpose %[[END]]
// CHECK:        tile.store %[[NEW]], %[[SM]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]

// CHECK-LABEL:  plan.entry @decode
// CHECK:        %[[S:.*]] = plan.buffer state "ssd" (batch, 4, 24, 16)
// CHECK:        plan.launch @ssm_step_h4_p24_n16_inplace grid (batch, 4)({{.*}}, %[[S]], {{.*}} when (-seq + 1)
// CHECK-NEXT:   plan.launch @ssm_scan_h4_p24_n16_q64_inplace grid (batch, 4)({{.*}}, %[[S]], {{.*}} when (seq - 2)
func.func @decode(%c: tensor<?x?x4x16xf32> {txs.input = "c"}, %b: tensor<?x?x4x16xf32> {txs.input = "b"}, %x: tensor<?x?x4x24xf32> {txs.input = "x"},
                  %dt: tensor<?x?x4xf32> {txs.input = "dt"}, %a: tensor<4xf32> {txs.input = "a"}, %s: tensor<?x4x24x16xf32> {txs.state = "ssd"})
    -> (tensor<?x?x4x24xf32> {txs.output = "y"}, tensor<?x4x24x16xf32> {txs.state = "ssd"}) {
  %y, %s1 = txs.ssm_scan %c, %b, %x, %dt, %a from %s {chunk = 200 : i64}
    : (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<4xf32>, tensor<?x4x24x16xf32>)
    -> (tensor<?x?x4x24xf32>, tensor<?x4x24x16xf32>)
  return %y, %s1 : tensor<?x?x4x24xf32>, tensor<?x4x24x16xf32>
}

// -----

// The final state alone; tiles have at least 16 tokens.

// CHECK-LABEL:  tile.kernel @ssm_scan_h1_p8_n8_q16_final(
// CHECK-SAME:      {{.*}}, %[[YM:[^:]*]]: memref<?x?x1x8xf32>, %[[FINAL:[^:]*]]: memref<?x1x8x8xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK:        %[[END:.*]] = scf.for {{.*}} step 16 iter_args({{.*}} = 0)
// CHECK-DAG:    %[[NEW:.*]] = tile.transpose %[[END]]
// CHECK:        tile.store %[[NEW]], %[[FINAL]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]
func.func @final(%c: tensor<?x?x1x8xf32> {txs.input = "c"}, %dt: tensor<?x?x1xf32> {txs.input = "dt"}, %a: tensor<1xf32> {txs.input = "a"})
    -> (tensor<?x?x1x8xf32> {txs.output = "y"}, tensor<?x1x8x8xf32> {txs.output = "s"}) {
  %y, %s = txs.ssm_scan %c, %c, %c, %dt, %a {chunk = 2 : i64}
    : (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<1xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>)
  return %y, %s : tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>
}

// -----

// A state handed from scan to scan: both in memories of their own, and the last one
// not made.

// CHECK-LABEL:  plan.entry @between
// CHECK-DAG:    %[[S0:.*]] = plan.buffer input "s0"
// CHECK-DAG:    %[[S1:.*]] = plan.buffer output "s"
// CHECK:        plan.launch @ssm_step_h1_p8_n8_initial_final {{.*}}, %[[S0]], {{.*}}, %[[S1]]) {{.*}} when (-seq + 1)
// CHECK-NEXT:   plan.launch @ssm_scan_h1_p8_n8_q16_initial_final {{.*}}, %[[S0]], {{.*}}, %[[S1]]) {{.*}} when (seq - 2)
// CHECK-NEXT:   plan.launch @ssm_step_h1_p8_n8_initial grid {{.*}}, %[[S1]], %{{[0-9]+}}) {{.*}} when (-seq + 1)
// CHECK-NEXT:   plan.launch @ssm_scan_h1_p8_n8_q16_initial grid {{.*}}, %[[S1]], %{{[0-9]+}}) {{.*}} when (seq - 2)
func.func @between(%c: tensor<?x?x1x8xf32> {txs.input = "c"}, %dt: tensor<?x?x1xf32> {txs.input = "dt"}, %a: tensor<1xf32> {txs.input = "a"}, %s0: tensor<?x1x8x8xf32> {txs.input = "s0"})
    -> (tensor<?x?x1x8xf32> {txs.output = "y"}, tensor<?x1x8x8xf32> {txs.output = "s"}, tensor<?x?x1x8xf32> {txs.output = "z"}) {
  %y, %s = txs.ssm_scan %c, %c, %c, %dt, %a from %s0 {chunk = 16 : i64}
    : (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<1xf32>, tensor<?x1x8x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>)
  %z, %s2 = txs.ssm_scan %c, %c, %y, %dt, %a from %s {chunk = 16 : i64}
    : (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<1xf32>, tensor<?x1x8x8xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>)
  return %y, %s, %z : tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>, tensor<?x?x1x8xf32>
}
