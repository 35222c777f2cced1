// RUN: %tiled %s | FileCheck %s

// Rows looked up, appended and picked out: memory in, memory out.

// Embedding. A cell takes eight tokens and gathers their rows, up to 512 columns
// at a time. Ids past the last token load as 0; their rows are not stored.

// CHECK-LABEL:  tile.kernel @embedding_v97_n1024(
// CHECK-SAME:      %[[IDS:[^:]*]]: memref<?xi32>, %[[TABLE:[^:]*]]: memref<97x1024xf32>, %[[OUT:[^:]*]]: memref<?x1024xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK:        %[[ROW:.*]] = arith.muli %[[CELL]], 8
// CHECK:        %[[ROWS:.*]] = tile.load %[[IDS]][%[[ROW]]] over [0] : memref<?xi32> -> tensor<8xi32>
// CHECK:        scf.for %[[COLUMN:[^ ,)]*]] = 0 to 1024 step 512 {
// CHECK-NEXT:     %[[X:.*]] = tile.gather %[[TABLE]][%[[ROWS]], %[[COLUMN]]] : {{.*}} -> tensor<8x512xf32>
// CHECK-NEXT:     tile.store %[[X]], %[[OUT]][%[[ROW]], %[[COLUMN]]] over [0, 1]
// CHECK:        plan.launch @embedding_v97_n1024 grid ((batch * seq) ceildiv 8)
func.func @embedding(%ids: tensor<?x?xi32> {txs.input = "ids"}, %w: tensor<97x1024xf32> {txs.input = "w"})
    -> (tensor<?x?x1024xf32> {txs.output = "x"}) {
  %x = txs.embedding %ids, %w : tensor<?x?xi32>, tensor<97x1024xf32> -> tensor<?x?x1024xf32>
  return %x : tensor<?x?x1024xf32>
}

// -----

// A cache grows by the tokens of a call, from position `past` on, in place.
// Cells go over 64 tokens of a sequence; those of the last one that this call
// does not have keep what the cache holds there.

// CHECK-LABEL:  tile.kernel @cache_append_n48(
// CHECK-SAME:      %[[TOKENS:[^:]*]]: memref<?x?x48xf32>, %[[CACHE:[^:]*]]: memref<?x?x48xf32>, %[[PAST:[^:]*]]: index) grid(%[[BATCH:[^ ,)]*]], %[[CELL:[^ ,)]*]])
// CHECK:        %[[FIRST:.*]] = arith.muli %[[CELL]], 64
// CHECK-DAG:    %[[POSITION:.*]] = tile.iota 0 : tensor<64x48xi32>
// CHECK-DAG:    %[[SEQ:.*]] = memref.dim %[[TOKENS]], 1
// CHECK-DAG:    %[[IN:.*]] = arith.cmpi slt
// CHECK-DAG:    %[[NEW:.*]] = tile.load %[[TOKENS]][%[[BATCH]], %[[FIRST]], 0] over [1, 2] : {{.*}} -> tensor<64x48xf32>
// CHECK-DAG:    %[[PLACE:.*]] = arith.addi %[[PAST]], %[[FIRST]]
// CHECK-DAG:    %[[OLD:.*]] = tile.load %[[CACHE]][%[[BATCH]], %[[PLACE]], 0] over [1, 2] : {{.*}} -> tensor<64x48xf32>
// CHECK:        %[[KEPT:.*]] = arith.select %[[IN]], %[[NEW]], %[[OLD]]
// CHECK:        tile.store %[[KEPT]], %[[CACHE]][%[[BATCH]], {{.*}}, 0] over [1, 2]

// The cache has room for `capacity` tokens.

// CHECK:        plan.state @keys (batch, capacity, 2, 24) f32
// CHECK:        %[[C:.*]] = plan.buffer state "keys"
// CHECK:        plan.launch @cache_append_n48 grid (batch, seq ceildiv 64)({{.*}}, %[[C]]) sizes (batch, seq, batch, capacity, past)
func.func @append(%t: tensor<?x?x2x24xf32> {txs.input = "tokens"},
                  %past: index {txs.input = "past"},
                  %c: tensor<?x?x2x24xf32> {txs.state = "keys"})
    -> (tensor<?x?x2x24xf32> {txs.state = "keys"}) {
  %c1 = txs.cache_append %c, %t at %past : tensor<?x?x2x24xf32>, tensor<?x?x2x24xf32>
  return %c1 : tensor<?x?x2x24xf32>
}

// -----

// The last token of each sequence: without a mask, the one before the end.

// CHECK-LABEL:  tile.kernel @last_token_n64(
// CHECK-SAME:      %[[X:[^:]*]]: memref<?x?x64xf32>, %[[Y:[^:]*]]: memref<?x64xf32>) grid(%[[BATCH:[^ ,)]*]])
// CHECK:        %[[SEQ:.*]] = memref.dim %[[X]], 1
// CHECK:        %[[LAST:.*]] = arith.subi %[[SEQ]], 1
// CHECK:        %[[ROW:.*]] = tile.load %[[X]][%[[BATCH]], %[[LAST]], 0] over [2] : {{.*}} -> tensor<64xf32>
// CHECK:        tile.store %[[ROW]], %[[Y]][%[[BATCH]], 0] over [1]
// CHECK:        plan.launch @last_token_n64 grid (batch)
func.func @last(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x64xf32> {txs.output = "y"}) {
  %y = txs.last_token %x : tensor<?x?x64xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// With a mask, the last position that it keeps; the end where it keeps none.

// CHECK-LABEL:  tile.kernel @last_token_n64_mask(
// CHECK-SAME:      %[[X:[^:]*]]: memref<?x?x64xf32>, %[[MASK:[^:]*]]: memref<?x?xf32>, %[[Y:[^:]*]]: memref<?x64xf32>) grid(%[[BATCH:[^ ,)]*]])
// CHECK:        %[[SEQ:.*]] = memref.dim %[[X]], 1
// CHECK:        %[[END:.*]] = arith.subi %[[SEQ]], 1
// CHECK:        %[[LAST:.*]] = scf.for %[[T:[^ ,)]*]] = 0 to %[[SEQ]] step 1 iter_args(%[[BEST:[^ ,)]*]] = %[[END]]) -> (index) {
// CHECK:          %[[M:.*]] = tile.load %[[MASK]][%[[BATCH]], %[[T]]] : memref<?x?xf32> -> f32
// CHECK:          %[[KEPT:.*]] = arith.cmpf une, %[[M]], {{.*}} : f32
// CHECK:          %[[NEXT:.*]] = arith.select %[[KEPT]], %[[T]], %[[BEST]] : index
// CHECK:          scf.yield %[[NEXT]]
// CHECK:        tile.load %[[X]][%[[BATCH]], %[[LAST]], 0] over [2]
func.func @last_masked(%x: tensor<?x?x64xf32> {txs.input = "x"}, %m: tensor<?x?xf32> {txs.input = "mask"})
    -> (tensor<?x64xf32> {txs.output = "y"}) {
  %y = txs.last_token %x mask %m : tensor<?x?x64xf32>, tensor<?x?xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
