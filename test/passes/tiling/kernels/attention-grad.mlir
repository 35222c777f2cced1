// RUN: %tiled %s | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=gpu=true --split-input-file --mlir-print-local-scope | FileCheck %s --check-prefix=GPU

// delta_t = do_t . o_t for every query of every head.

// CHECK-LABEL:  tile.kernel @attention_delta_p32(
// CHECK-SAME:      %[[OM:[^:]*]]: memref<?x32xf32>, %[[DOM:[^:]*]]: memref<?x32xf32>, %[[DELTA:[^:]*]]: memref<?xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK:        %[[ROW:.*]] = arith.muli %[[CELL]], 64
// CHECK-DAG:    %[[O:.*]] = tile.load %[[OM]][%[[ROW]], 0] over [0, 1]
// CHECK-DAG:    %[[DO:.*]] = tile.load %[[DOM]][%[[ROW]], 0] over [0, 1]
// CHECK:        %[[PRODUCT:.*]] = arith.mulf %[[O]], %[[DO]]
// CHECK:        %[[SUM:.*]] = tile.reduce sum %[[PRODUCT]] along 1
// CHECK:        tile.store %[[SUM]], %[[DELTA]][%[[ROW]]] over [0]

// dq: a cell for 64 queries of a head goes over the keys that they see. With scores
// [key, query] the operands to transpose are those of the queries, once for a cell.
// p = exp(score - log_sum_exp), ds = p (do . v - delta), dq = ds^T k / sqrt 32.
// Products on GPUs read either order: nothing is transposed.

// GPU-LABEL:    tile.kernel @attention_grad_query_h4_g2_p32(
// GPU-NOT:      tile.transpose
// GPU-COUNT-2:  tile.mma {{.*}} {transpose_rhs}
// GPU-LABEL:    tile.kernel @attention_grad_key_value_h4_g2_p32(
// GPU-NOT:      tile.transpose
// GPU-COUNT-2:  tile.mma {{.*}} {transpose_rhs}

// CHECK-LABEL:  tile.kernel @attention_grad_query_h4_g2_p32(
// CHECK-SAME:      %[[DOM:[^:]*]]: memref<?x?x4x32xf32>, %[[QM:[^:]*]]: memref<?x?x4x32xf32>, %[[KM:[^:]*]]: memref<?x?x2x32xf32>, %[[VM:[^:]*]]: memref<?x?x2x32xf32>,
// CHECK-SAME:      %[[LSEM:[^:]*]]: memref<?x?x4xf32>, %[[DELTAM:[^:]*]]: memref<?x?x4xf32>, %[[DQM:[^:]*]]: memref<?x?x4x32xf32>) grid(%[[CELL:[^ ,)]*]], %[[HEAD:[^ ,)]*]], %[[BATCH:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 64
// CHECK-DAG:    %[[GROUP:.*]] = arith.divui %[[HEAD]], 2
// CHECK-DAG:    %[[QUERY:.*]] = tile.load %[[QM]][%[[BATCH]], %[[FIRST]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:    %[[SCALED:.*]] = arith.mulf %[[QUERY]], 0.176777
// CHECK-DAG:    %[[Q:.*]] = tile.transpose %[[SCALED]]
// CHECK-DAG:    %[[DOROWS:.*]] = tile.load %[[DOM]][%[[BATCH]], %[[FIRST]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:    %[[DO:.*]] = tile.transpose %[[DOROWS]]
// CHECK-DAG:    %[[L:.*]] = tile.load %[[LSEM]][%[[BATCH]], %[[FIRST]], %[[HEAD]]] over [1]
// CHECK-DAG:    %[[LSE:.*]] = tile.broadcast %[[L]] along [1]
// CHECK-DAG:    %[[D:.*]] = tile.load %[[DELTAM]][%[[BATCH]], %[[FIRST]], %[[HEAD]]] over [1]
// CHECK-DAG:    %[[DELTA:.*]] = tile.broadcast %[[D]] along [1]
// CHECK-DAG:    %[[SEQ:.*]] = memref.dim %[[QM]], 1
// CHECK-DAG:    %[[NEXT:.*]] = arith.addi %[[FIRST]], 64
// CHECK-DAG:    %[[END:.*]] = arith.minsi %[[NEXT]], %[[SEQ]]
// CHECK:        %[[SUM:.*]] = scf.for %[[S:[^ ,)]*]] = 0 to %[[END]] step 64 iter_args(%[[ACC:[^ ,)]*]] = 0) -> (tensor<64x32xf32>) {
// CHECK-DAG:      %[[K:.*]] = tile.load %[[KM]][%[[BATCH]], %[[S]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:      %[[V:.*]] = tile.load %[[VM]][%[[BATCH]], %[[S]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:      %[[KQ:.*]] = tile.mma %[[K]], %[[Q]], 0 :
// CHECK-DAG:      %[[SCORE:.*]] = arith.subf %[[KQ]], %[[LSE]]
// CHECK-DAG:      %[[VISIBLE:.*]] = arith.cmpi sle
// CHECK-DAG:      %[[MASKED:.*]] = arith.select %[[VISIBLE]], %[[SCORE]], -1e+30
// CHECK-DAG:      %[[P:.*]] = math.exp %[[MASKED]]
// CHECK-DAG:      %[[DP:.*]] = tile.mma %[[V]], %[[DO]], 0 :
// CHECK-DAG:      %[[FALL:.*]] = arith.subf %[[DP]], %[[DELTA]]
// CHECK-DAG:      %[[DS:.*]] = arith.mulf %[[P]], %[[FALL]]
// CHECK:          tile.mma %[[DS]], %[[K]], %[[ACC]] {transpose_lhs}
// CHECK:        %[[DQ:.*]] = arith.mulf %[[SUM]], 0.176777
// CHECK:        tile.store %[[DQ]], %[[DQM]][%[[BATCH]], %[[FIRST]], %[[HEAD]], 0] over [1, 3]

// dk and dv: a cell for 64 keys goes over the query heads of its group and the
// queries from its first key on, in order. Now scores are [query, key].

// CHECK-LABEL:  tile.kernel @attention_grad_key_value_h4_g2_p32(
// CHECK-SAME:      %[[DOM:[^:]*]]: memref<?x?x4x32xf32>, %[[QM:[^:]*]]: memref<?x?x4x32xf32>, %[[KM:[^:]*]]: memref<?x?x2x32xf32>, %[[VM:[^:]*]]: memref<?x?x2x32xf32>,
// CHECK-SAME:      %[[LSEM:[^:]*]]: memref<?x?x4xf32>, %[[DELTAM:[^:]*]]: memref<?x?x4xf32>, %[[DKM:[^:]*]]: memref<?x?x2x32xf32>, %[[DVM:[^:]*]]: memref<?x?x2x32xf32>) grid(%[[CELL:[^ ,)]*]], %[[GROUP:[^ ,)]*]], %[[BATCH:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 64
// CHECK-DAG:    %[[KEY:.*]] = tile.load %[[KM]][%[[BATCH]], %[[FIRST]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:    %[[SCALED:.*]] = arith.mulf %[[KEY]], 0.176777
// CHECK-DAG:    %[[K:.*]] = tile.transpose %[[SCALED]]
// CHECK-DAG:    %[[VROWS:.*]] = tile.load %[[VM]][%[[BATCH]], %[[FIRST]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:    %[[V:.*]] = tile.transpose %[[VROWS]]
// CHECK:        %[[R:.*]]:2 = scf.for %[[HEAD:[^ ,)]*]] = {{.*}} to {{.*}} step 1 iter_args(%[[DK0:[^ ,)]*]] = 0, %[[DV0:[^ ,)]*]] = 0)
// CHECK:          %[[SEQ:.*]] = memref.dim %[[QM]], 1
// CHECK:          scf.for %[[T:[^ ,)]*]] = %[[FIRST]] to %[[SEQ]] step 64 iter_args(%[[DK:[^ ,)]*]] = %[[DK0]], %[[DV:[^ ,)]*]] = %[[DV0]])
// CHECK-DAG:        %[[Q:.*]] = tile.load %[[QM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:        %[[DO:.*]] = tile.load %[[DOM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:        %[[L:.*]] = tile.load %[[LSEM]][%[[BATCH]], %[[T]], %[[HEAD]]] over [1]
// CHECK-DAG:        %[[LSE:.*]] = tile.broadcast %[[L]] along [0]
// CHECK-DAG:        %[[D:.*]] = tile.load %[[DELTAM]][%[[BATCH]], %[[T]], %[[HEAD]]] over [1]
// CHECK-DAG:        %[[DELTA:.*]] = tile.broadcast %[[D]] along [0]
// CHECK-DAG:        %[[QK:.*]] = tile.mma %[[Q]], %[[K]], 0 :
// CHECK-DAG:        %[[SCORE:.*]] = arith.subf %[[QK]], %[[LSE]]
// CHECK-DAG:        %[[VISIBLE:.*]] = arith.cmpi sle
// CHECK-DAG:        %[[MASKED:.*]] = arith.select %[[VISIBLE]], %[[SCORE]], -1e+30
// CHECK-DAG:        %[[P:.*]] = math.exp %[[MASKED]]
// CHECK-DAG:        %[[DP:.*]] = tile.mma %[[DO]], %[[V]], 0 :
// CHECK-DAG:        %[[FALL:.*]] = arith.subf %[[DP]], %[[DELTA]]
// CHECK-DAG:        %[[DS:.*]] = arith.mulf %[[P]], %[[FALL]]
// CHECK-DAG:        %[[NEXTDK:.*]] = tile.mma %[[DS]], %[[Q]], %[[DK]] {transpose_lhs}
// CHECK-DAG:        %[[NEXTDV:.*]] = tile.mma %[[P]], %[[DO]], %[[DV]] {transpose_lhs}
// CHECK:            scf.yield %[[NEXTDK]], %[[NEXTDV]]
// CHECK-DAG:    %[[DKSCALED:.*]] = arith.mulf %[[R]]#0, 0.176777
// CHECK-DAG:    tile.store %[[DKSCALED]], %[[DKM]][%[[BATCH]], %[[FIRST]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:    tile.store %[[R]]#1, %[[DVM]][%[[BATCH]], %[[FIRST]], %[[GROUP]], 0] over [1, 3]

// CHECK-LABEL:  plan.entry @grouped
// CHECK:        %[[DELTA:.*]] = plan.buffer temporary "attention_grad.delta{{.*}}" (batch, seq, 4)
// CHECK:        plan.launch @attention_delta_p32 grid (((batch * seq) * 4) ceildiv 64)({{.*}}, %[[DELTA]])
// CHECK-NEXT:   plan.launch @attention_grad_query_h4_g2_p32 grid (seq ceildiv 64, 4, batch)({{.*}}, %[[DELTA]], {{.*}})
// CHECK-NEXT:   plan.launch @attention_grad_key_value_h4_g2_p32 grid (seq ceildiv 64, 2, batch)({{.*}}, %[[DELTA]], {{.*}}, {{.*}})
func.func @grouped(%do: tensor<?x?x4x32xf32> {txs.input = "do"}, %q: tensor<?x?x4x32xf32> {txs.input = "q"}, %k: tensor<?x?x2x32xf32> {txs.input = "k"}, %v: tensor<?x?x2x32xf32> {txs.input = "v"}, %o: tensor<?x?x4x32xf32> {txs.input = "o"}, %l: tensor<?x?x4xf32> {txs.input = "lse"})
    -> (tensor<?x?x4x32xf32> {txs.output = "dq"}, tensor<?x?x2x32xf32> {txs.output = "dk"}, tensor<?x?x2x32xf32> {txs.output = "dv"}) {
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l
     : (tensor<?x?x4x32xf32>, tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x4x32xf32>, tensor<?x?x4xf32>)
     -> (tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>)
  return %dq, %dk, %dv : tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>
}

// -----

// With a mask, hidden keys do not count. The queries before the first visible key got
// the mean of all values; what they give to dv comes in a loop of its own. The one
// query head of a key head needs no loop.

// CHECK-LABEL:  tile.kernel @attention_grad_key_value_dropout_p0p25_site5_h1_g1_p16_masked(
// CHECK-SAME:      {{.*}}, %[[MASK:[^:]*]]: memref<?x?xf32>, %[[SEED:[^:]*]]: memref<2xi32>, {{.*}}, {{.*}}) grid(%[[CELL:[^ ,)]*]], %[[GROUP:[^ ,)]*]], %[[BATCH:[^ ,)]*]])
// CHECK:        %[[LENGTH:.*]] = memref.dim %[[MASK]], 1
// CHECK:        %[[BLIND:.*]] = scf.for %[[T:[^ ,)]*]] = 0 to %[[LENGTH]] step 1 iter_args(%[[BEST:[^ ,)]*]] = %[[LENGTH]]) -> (index) {
// CHECK:          %[[M:.*]] = tile.load %[[MASK]][%[[BATCH]], %[[T]]]
// CHECK-DAG:      %[[PRESENT:.*]] = arith.cmpf une, %[[M]], 0
// CHECK-DAG:      %[[EARLIER:.*]] = arith.minsi %[[T]], %[[BEST]]
// CHECK:          arith.select %[[PRESENT]], %[[EARLIER]], %[[BEST]]
// CHECK:        %[[BLINDDV:.*]] = scf.for %[[T1:[^ ,)]*]] = 0 to %[[BLIND]] step 64 iter_args(%[[DV1:[^ ,)]*]] = 0)
// CHECK:          tile.mma {{.*}}, %[[DV1]] {transpose_lhs}
// CHECK:        scf.for {{.*}} step 64 iter_args(%[[DK2:[^ ,)]*]] = 0, %[[DV2:[^ ,)]*]] = %[[BLINDDV]])
// CHECK:          %[[KEPT:.*]] = arith.cmpf une, {{.*}}, 0
// CHECK:          arith.andi {{.*}}, %[[KEPT]]
func.func @masked(%q: tensor<?x?x1x16xf32> {txs.input = "q"}, %l: tensor<?x?x1xf32> {txs.input = "lse"}, %m: tensor<?x?xf32> {txs.input = "mask"}, %seed: tensor<2xi32> {txs.input = "seed"})
    -> (tensor<?x?x1x16xf32> {txs.output = "dq"}, tensor<?x?x1x16xf32> {txs.output = "dk"}, tensor<?x?x1x16xf32> {txs.output = "dv"}) {
  %dq, %dk, %dv = txs.attention_grad %q, %q, %q, %q, %q, %l mask %m seed %seed {dropout = 0.25 : f64, site = 5 : i64}
     : (tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<?x?xf32>, tensor<2xi32>)
     -> (tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>)
  return %dq, %dk, %dv : tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>
}
