// RUN: %tiled %s | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=gpu=true --split-input-file --mlir-print-local-scope | FileCheck %s --check-prefix=GPU

// A cell takes one head and 64 queries, scaled by 1 / sqrt 32, and goes over the
// keys up to its last query, with the running maximum m, sum l and result acc. Four
// query heads share two key heads. Tiles of queries come first in the grid, so that
// those of one head run in a row and share its packed keys and values.

// CHECK-LABEL:  tile.kernel @attention_h4_g2_p32_lse(
// CHECK-SAME:      %[[QM:[^:]*]]: memref<?x?x4x32xf32>, %[[KM:[^:]*]]: memref<?x?x2x32xf32>, %[[VM:[^:]*]]: memref<?x?x2x32xf32>,
// CHECK-SAME:      %[[OM:[^:]*]]: memref<?x?x4x32xf32>, %[[LSEM:[^:]*]]: memref<?x?x4xf32>, %[[PAST:[^:]*]]: index) grid(%[[CELL:[^ ,)]*]], %[[HEAD:[^ ,)]*]], %[[BATCH:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 64
// CHECK-DAG:    %[[GROUP:.*]] = arith.divui %[[HEAD]], 2
// CHECK-DAG:    %[[SEQ:.*]] = memref.dim %[[QM]], 1
// CHECK-DAG:    %[[QUERY:.*]] = tile.load %[[QM]][%[[BATCH]], %[[FIRST]], %[[HEAD]], 0] over [1, 3] : {{.*}} -> tensor<64x32xf32>
// CHECK-DAG:    %[[Q:.*]] = arith.mulf %[[QUERY]], 0.176777
// CHECK-DAG:    %[[NEXT:.*]] = arith.addi %[[FIRST]], 64
// CHECK-DAG:    %[[LASTQUERY:.*]] = arith.minsi %[[NEXT]], %[[SEQ]]
// CHECK-DAG:    %[[END:.*]] = arith.addi %[[PAST]], %[[LASTQUERY]]
// CHECK:        %[[R:.*]]:3 = scf.for %[[S:[^ ,)]*]] = 0 to %[[END]] step 64 iter_args(%[[M0:[^ ,)]*]] = -1e+30, %[[L0:[^ ,)]*]] = 0, %[[ACC0:[^ ,)]*]] = 0)

// A query sees the keys up to its own position, past + t.

// CHECK-DAG:      %[[K:.*]] = tile.load %[[KM]][%[[BATCH]], %[[S]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:      %[[V:.*]] = tile.load %[[VM]][%[[BATCH]], %[[S]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:      %[[QK:.*]] = tile.mma %[[Q]], %[[K]], 0 {transpose_rhs}
// CHECK-DAG:      %[[VISIBLE:.*]] = arith.cmpi sle
// CHECK-DAG:      %[[SCORES:.*]] = arith.select %[[VISIBLE]], %[[QK]], -2e+30
// CHECK-DAG:      %[[HIGHEST:.*]] = tile.reduce max %[[SCORES]] along 1
// CHECK-DAG:      %[[M:.*]] = arith.maximumf %[[M0]], %[[HIGHEST]]
// CHECK-DAG:      %[[MS:.*]] = tile.broadcast %[[M]] along [0]
// CHECK-DAG:      %[[FALL:.*]] = arith.subf %[[SCORES]], %[[MS]]
// CHECK-DAG:      %[[P:.*]] = math.exp %[[FALL]]
// CHECK-DAG:      %[[STEP:.*]] = arith.subf %[[M0]], %[[M]]
// CHECK-DAG:      %[[RATIO:.*]] = math.exp %[[STEP]]
// CHECK-DAG:      %[[LKEPT:.*]] = arith.mulf %[[L0]], %[[RATIO]]
// CHECK-DAG:      %[[LNEW:.*]] = tile.reduce sum %[[P]] along 1
// CHECK-DAG:      %[[L:.*]] = arith.addf %[[LKEPT]], %[[LNEW]]
// CHECK-DAG:      %[[RATIOS:.*]] = tile.broadcast %[[RATIO]] along [0]
// CHECK-DAG:      %[[KEPT:.*]] = arith.mulf %[[ACC0]], %[[RATIOS]]
// CHECK-DAG:      %[[ACC:.*]] = tile.mma %[[P]], %[[V]], %[[KEPT]] :
// CHECK:          scf.yield %[[M]], %[[L]], %[[ACC]]

// o = acc / l; log_sum_exp = m + log l for the backward pass.

// CHECK-DAG:    %[[SEEN:.*]] = arith.cmpf ogt, %[[R]]#1, 0
// CHECK-DAG:    %[[INVERSE:.*]] = arith.divf 1, %[[R]]#1
// CHECK-DAG:    %[[FACTOR:.*]] = arith.select %[[SEEN]], %[[INVERSE]], 0
// CHECK-DAG:    %[[FACTORS:.*]] = tile.broadcast %[[FACTOR]] along [0]
// CHECK-DAG:    %[[O:.*]] = arith.mulf %[[R]]#2, %[[FACTORS]]
// CHECK-DAG:    tile.store %[[O]], %[[OM]][%[[BATCH]], %[[FIRST]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:    %[[LOG:.*]] = math.log %[[R]]#1
// CHECK-DAG:    %[[SUM:.*]] = arith.addf %[[R]]#0, %[[LOG]]
// CHECK-DAG:    %[[LSE:.*]] = arith.select {{.*}}, %[[SUM]], 0
// CHECK-DAG:    tile.store %[[LSE]], %[[LSEM]][%[[BATCH]], %[[FIRST]], %[[HEAD]]] over [1]

// Without a cache `past`, the last size, is 0.

// CHECK:        plan.launch @attention_h4_g2_p32_lse grid (seq ceildiv 64, 4, batch){{.*}}, seq, 0)
func.func @training(%q: tensor<?x?x4x32xf32> {txs.input = "q"}, %k: tensor<?x?x2x32xf32> {txs.input = "k"}, %v: tensor<?x?x2x32xf32> {txs.input = "v"})
    -> (tensor<?x?x4x32xf32> {txs.output = "o"}, tensor<?x?x4xf32> {txs.output = "lse"}) {
  %o, %l = txs.attention %q, %k, %v : (tensor<?x?x4x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>) -> (tensor<?x?x4x32xf32>, tensor<?x?x4xf32>)
  return %o, %l : tensor<?x?x4x32xf32>, tensor<?x?x4xf32>
}

// -----

// From a cache, one token for each sequence: a cell takes the heads that share a key
// head, four rows here, so that each key is read once. The mask hides keys.

// CHECK-LABEL:  tile.kernel @attention_step_h4_g1_p32_mask(
// CHECK-SAME:      %[[QM:[^:]*]]: memref<?x?x4x32xf32>, %[[KM:[^:]*]]: memref<?x?x1x32xf32>, %[[VM:[^:]*]]: memref<?x?x1x32xf32>, %[[MASK:[^:]*]]: memref<?x?xf32>,
// CHECK-SAME:      %[[OM:[^:]*]]: memref<?x?x4x32xf32>, %[[PAST:[^:]*]]: index) grid(%[[BATCH:[^ ,)]*]], %[[GROUP:[^ ,)]*]])
// CHECK-DAG:    %[[HEAD:.*]] = arith.muli %[[GROUP]], 4
// CHECK-DAG:    %[[QUERY:.*]] = tile.load %[[QM]][%[[BATCH]], 0, %[[HEAD]], 0] over [2, 3] : {{.*}} -> tensor<4x32xf32>
// CHECK-DAG:    %[[Q:.*]] = arith.mulf %[[QUERY]], 0.176777
// CHECK-DAG:    %[[END:.*]] = arith.addi %[[PAST]], 1
// CHECK:        %[[R:.*]]:3 = scf.for %[[S:[^ ,)]*]] = 0 to %[[END]] step 64 iter_args(%[[M0:[^ ,)]*]] = -1e+30, %[[L0:[^ ,)]*]] = 0, %[[ACC0:[^ ,)]*]] = 0)
// CHECK-DAG:      %[[K:.*]] = tile.load %[[KM]][%[[BATCH]], %[[S]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:      %[[QK:.*]] = tile.mma %[[Q]], %[[K]], 0 {transpose_rhs} : tensor<4x32xf32>, tensor<64x32xf32>, tensor<4x64xf32>
// CHECK-DAG:      %[[INSIDE:.*]] = arith.cmpi slt
// CHECK-DAG:      %[[MASKED:.*]] = tile.load %[[MASK]][%[[BATCH]], %[[S]]] over [1]
// CHECK-DAG:      %[[MASKROW:.*]] = tile.broadcast %[[MASKED]] along [1]
// CHECK-DAG:      %[[KEPT:.*]] = arith.cmpf une, %[[MASKROW]], 0
// CHECK-DAG:      %[[VISIBLE:.*]] = arith.andi %[[INSIDE]], %[[KEPT]]
// CHECK-DAG:      arith.select %[[VISIBLE]], %[[QK]], -2e+30

// A row that has seen no key has l = 0 and gets the mean of all values, in a loop
// that no other cell enters.

// CHECK-DAG:    %[[BLIND:.*]] = arith.select {{.*}}, 0, 1 : tensor<4xi1>, tensor<4xf32>
// CHECK-DAG:    %[[ANY:.*]] = tile.reduce max %[[BLIND]] along 0
// CHECK-DAG:    %[[ENTERS:.*]] = arith.cmpf ogt, %[[ANY]], 0
// CHECK-DAG:    %[[LIMIT:.*]] = arith.select %[[ENTERS]], %[[END]], 0 : index
// CHECK-DAG:    %[[SHARE:.*]] = arith.divf %[[BLIND]],
// CHECK:        %[[O:.*]] = scf.for %[[S2:[^ ,)]*]] = 0 to %[[LIMIT]] step 64
// CHECK-DAG:      %[[WEIGHT:.*]] = arith.select {{.*}}, {{.*}}, 0
// CHECK-DAG:      %[[V:.*]] = tile.load %[[VM]][%[[BATCH]], %[[S2]], %[[GROUP]], 0] over [1, 3]
// CHECK-DAG:      tile.mma %[[WEIGHT]], %[[V]],
// CHECK:        tile.store %[[O]], %[[OM]][%[[BATCH]], 0, %[[HEAD]], 0] over [2, 3]

// CHECK-LABEL:  plan.entry @decode
// CHECK-DAG:    %[[K:.*]] = plan.buffer state "keys" (batch, capacity, 1, 32)
// CHECK-DAG:    %[[V:.*]] = plan.buffer state "values" (batch, capacity, 1, 32)
// CHECK-DAG:    %[[M:.*]] = plan.buffer state "key_mask" (batch, capacity)
// CHECK:        plan.launch @attention_step_h4_g1_p32_mask grid (batch, 1)({{.*}}, %[[K]], %[[V]], %[[M]], {{.*}}, past) when (-seq + 1)
// CHECK-NEXT:   plan.launch @attention_h4_g1_p32_mask grid (seq ceildiv 64, 4, batch)({{.*}}, %[[K]], %[[V]], %[[M]], {{.*}}, past) when (seq - 2)
// On GPUs a cell takes 128 of the keys and leaves m, l and acc. For up to 64 queries
// of a head there is a kernel like it.

// GPU-LABEL:    tile.kernel @attention_step_split128_h4_g1_p32_mask(
// GPU-SAME:       %[[QM:[^:]*]]: memref<?x?x4x32xf32>, %[[KM:[^:]*]]: memref<?x?x1x32xf32>, %[[VM:[^:]*]]: memref<?x?x1x32xf32>, %[[MASK:[^:]*]]: memref<?x?xf32>,
// GPU-SAME:       %[[MM:[^:]*]]: memref<?x?x?x4xf32>, %[[LM:[^:]*]]: memref<?x?x?x4xf32>, %[[ACCM:[^:]*]]: memref<?x?x?x4x32xf32>, %[[PAST:[^:]*]]: index) grid(%[[BATCH:[^ ,)]*]], %[[GROUP:[^ ,)]*]], %[[CELL:[^ ,)]*]])
// GPU:            %[[BEGIN:.*]] = arith.muli %[[CELL]], %c128
// GPU:            %[[NEXT:.*]] = arith.addi %[[BEGIN]], %c128
// GPU:            %[[KEYS:.*]] = arith.addi %[[PAST]], %c1
// GPU:            %[[END:.*]] = arith.minsi %[[NEXT]], %[[KEYS]]
// GPU:            %[[R:.*]]:3 = scf.for %{{.*}} = %[[BEGIN]] to %[[END]] step
// GPU:            tile.store %[[R]]#0, %[[MM]][%[[BATCH]], %[[CELL]], %{{.*}}] over [3]
// GPU:            tile.store %[[R]]#1, %[[LM]][%[[BATCH]], %[[CELL]], %{{.*}}] over [3]
// GPU:            tile.store %[[R]]#2, %[[ACCM]][%[[BATCH]], %[[CELL]], %{{.*}}] over [3, 4]

// GPU-LABEL:    tile.kernel @attention_split128_h4_g1_p32_mask(
// GPU:            scf.for {{.*}} -> (tensor<64xf32>, tensor<64xf32>, tensor<64x32xf32>)

// A cell adds up the splits of a head of a query, sixteen at a time: first their
// highest maximum, then l and acc times exp(m_i - m). Without a visible key it gets
// the mean of all values.

// GPU-LABEL:    tile.kernel @attention_combine_h4_g1_p32_mask(
// GPU-SAME:       %[[MM:[^:]*]]: memref<?x?x?x4xf32>, %[[LM:[^:]*]]: memref<?x?x?x4xf32>, %[[ACCM:[^:]*]]: memref<?x?x?x4x32xf32>, %[[VM:[^:]*]]: memref<?x?x1x32xf32>,
// GPU-SAME:       grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]], %[[QUERY:[^ ,)]*]])
// GPU:            %[[MAXIMA:.*]] = scf.for %{{.*}} -> (tensor<16xf32>) {
// GPU:              tile.load %[[MM]][%[[BATCH]], %{{.*}}, %[[QUERY]], %[[HEAD]]] over [1]
// GPU:              arith.maximumf
// GPU:            %[[M:.*]] = tile.reduce max %[[MAXIMA]] along 0
// GPU:            %[[SUMS:.*]]:2 = scf.for %{{.*}} -> (tensor<16xf32>, tensor<16x32xf32>) {
// GPU:              %[[HIGHEST:.*]] = tile.broadcast %[[M]]
// GPU:              %[[FALL:.*]] = arith.subf %{{.*}}, %[[HIGHEST]]
// GPU:              math.exp %[[FALL]]
// GPU:            %[[L:.*]] = tile.reduce sum %[[SUMS]]#0 along 0
// GPU:            tile.reduce sum %[[SUMS]]#1 along 0
// GPU:            scf.for %{{.*}} -> (tensor<16x32xf32>) {
// GPU:              tile.load %[[VM]]
// GPU:            tile.store %{{.*}}, %{{.*}}[%[[BATCH]], %[[QUERY]], %[[HEAD]], %{{.*}}] over [3]

// GPU-LABEL:    plan.entry @decode
// GPU:            %[[ACC:.*]] = plan.buffer temporary "attention.accumulator{{.*}}" affine_map<()[s0, s1, s2, s3] -> (s0, s3 ceildiv 128, s1 mod 65, 4, 32)>
// GPU:            plan.launch @attention_step_split128_h4_g1_p32_mask grid affine_map<()[s0, s1, s2, s3] -> (s0, 1, (s1 + s2) ceildiv 128)>({{.*}}%[[ACC]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s1 + 1)>
// GPU-NEXT:       plan.launch @attention_split128_h4_g1_p32_mask grid affine_map<()[s0, s1, s2, s3] -> (s0, 4, (s1 + s2) ceildiv 128)>({{.*}}%[[ACC]]) {{.*}} when affine_map<()[s0, s1, s2, s3] -> (s1 - 2, -s1 + 64)>
// GPU-NEXT:       plan.launch @attention_combine_h4_g1_p32_mask grid affine_map<()[s0, s1, s2, s3] -> (s0, 4, s1)>({{.*}}%[[ACC]], {{.*}} when affine_map<()[s0, s1, s2, s3] -> (-s1 + 64)>
// GPU-NEXT:       plan.launch @attention_h4_g1_p32_mask {{.*}} when affine_map<()[s0, s1, s2, s3] -> (s1 - 65)>
func.func @decode(%q: tensor<?x?x4x32xf32> {txs.input = "q"}, %past: index {txs.input = "past"},
                  %k: tensor<?x?x1x32xf32> {txs.state = "keys"}, %v: tensor<?x?x1x32xf32> {txs.state = "values"}, %m: tensor<?x?xf32> {txs.state = "key_mask"})
    -> (tensor<?x?x4x32xf32> {txs.output = "o"}, tensor<?x?x1x32xf32> {txs.state = "keys"}, tensor<?x?x1x32xf32> {txs.state = "values"}, tensor<?x?xf32> {txs.state = "key_mask"}) {
  %o, %l = txs.attention %q, %k, %v mask %m past %past : (tensor<?x?x4x32xf32>, tensor<?x?x1x32xf32>, tensor<?x?x1x32xf32>, tensor<?x?xf32>, index) -> (tensor<?x?x4x32xf32>, tensor<?x?x4xf32>)
  return %o, %k, %v, %m : tensor<?x?x4x32xf32>, tensor<?x?x1x32xf32>, tensor<?x?x1x32xf32>, tensor<?x?xf32>
}

// -----

// Dropout multiplies the probabilities after their sum is taken, by 0 or 1 / 0.75:
// an element is dropped where its Philox word is below 0.25 * 2^32, as unsigned.

// CHECK-LABEL:  tile.kernel @attention_h2_g2_p16_dropout0p25_site5(
// CHECK-SAME:      {{.*}}, %[[SEED:[^:]*]]: memref<2xi32>, {{.*}}: index) grid(
// CHECK:        scf.for
// CHECK-DAG:      %[[P:.*]] = math.exp {{.*}} : tensor<64x64xf32>
// CHECK-DAG:      tile.reduce sum %[[P]] along 1
// CHECK-DAG:      %[[DROPPED:.*]] = arith.mulf %[[P]], {{.*}} : tensor<64x64xf32>
// CHECK-DAG:      tile.mma %[[DROPPED]],
// CHECK:        plan.launch @attention_h2_g2_p16_dropout0p25_site5 grid (seq ceildiv 64, 2, batch)
// CHECK-NOT:    plan.launch
func.func @dropout(%q: tensor<?x?x2x16xf32> {txs.input = "q"}, %seed: tensor<2xi32> {txs.input = "seed"})
    -> (tensor<?x?x2x16xf32> {txs.output = "o"}) {
  %o, %l = txs.attention %q, %q, %q seed %seed {dropout = 0.25 : f64, site = 5 : i64} : (tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<2xi32>) -> (tensor<?x?x2x16xf32>, tensor<?x?x2xf32>)
  return %o : tensor<?x?x2x16xf32>
}
