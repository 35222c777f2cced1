// RUN: %tiled %s | FileCheck %s

// dinput is dresult at the last token of the sequence and 0 elsewhere; a cell writes
// all of a sequence.

// CHECK-LABEL:  tile.kernel @last_token_grad_n600(
// CHECK-SAME:      %[[DY:[^:]*]]: memref<?x600xf32>, %[[DX:[^:]*]]: memref<?x?x600xf32>) grid(%[[BATCH:[^ ,)]*]])
// CHECK:        %[[SEQ:.*]] = memref.dim %[[DX]], 1
// CHECK:        %[[LAST:.*]] = arith.subi %[[SEQ]], 1
// CHECK:        scf.for %[[T:[^ ,)]*]] = 0 to %[[SEQ]] step 16 {
// CHECK:          %[[ISLAST:.*]] = arith.cmpi eq
// CHECK:          scf.for %[[C:[^ ,)]*]] = 0 to 600 step 256 {
// CHECK:            %[[ROW:.*]] = tile.load %[[DY]][%[[BATCH]], %[[C]]] over [1] : {{.*}} -> tensor<256xf32>
// CHECK:            %[[ROWS:.*]] = tile.broadcast %[[ROW]] along [1]
// CHECK:            %[[KEPT:.*]] = arith.select %[[ISLAST]], %[[ROWS]], 0
// CHECK:            tile.store %[[KEPT]], %[[DX]][%[[BATCH]], %[[T]], %[[C]]] over [1, 2]
// CHECK:        plan.launch @last_token_grad_n600 grid (batch){{.*}} sizes (batch, batch, seq)
func.func @last(%dy: tensor<?x600xf32> {txs.input = "dy"}, %x: tensor<?x?x600xf32> {txs.input = "x"}) -> (tensor<?x?x600xf32> {txs.output = "dx"}) {
  %dx = txs.last_token_grad %dy like %x : tensor<?x600xf32>, tensor<?x?x600xf32> -> tensor<?x?x600xf32>
  return %dx : tensor<?x?x600xf32>
}

// -----

// With a mask, the last position that it keeps.

// CHECK-LABEL:  tile.kernel @last_token_grad_masked_n64(
// CHECK-SAME:      {{.*}}, %[[MASK:[^:]*]]: memref<?x?xf32>, %[[DX:[^:]*]]: memref<?x?x64xf32>) grid(%[[BATCH:[^ ,)]*]])
// CHECK:        %[[SEQ:.*]] = memref.dim %[[DX]], 1
// CHECK:        %[[END:.*]] = arith.subi %[[SEQ]], 1
// CHECK:        %[[LAST:.*]] = scf.for %[[T:[^ ,)]*]] = 0 to %[[SEQ]] step 1 iter_args(%[[BEST:[^ ,)]*]] = %[[END]]) -> (index) {
// CHECK:          %[[M:.*]] = tile.load %[[MASK]][%[[BATCH]], %[[T]]]
// CHECK:          %[[KEPT:.*]] = arith.cmpf une, %[[M]], 0
// CHECK:          arith.select %[[KEPT]], %[[T]], %[[BEST]]
// CHECK:        %[[LAST32:.*]] = arith.index_cast %[[LAST]]
// CHECK:        scf.for {{.*}} = 0 to %[[SEQ]] step 16 {
// CHECK:          %[[LASTS:.*]] = tile.broadcast %[[LAST32]]
// CHECK:          arith.cmpi eq, {{.*}}, %[[LASTS]]
func.func @masked(%dy: tensor<?x64xf32> {txs.input = "dy"}, %x: tensor<?x?x64xf32> {txs.input = "x"}, %m: tensor<?x?xf32> {txs.input = "mask"}) -> (tensor<?x?x64xf32> {txs.output = "dx"}) {
  %dx = txs.last_token_grad %dy like %x mask %m : tensor<?x64xf32>, tensor<?x?x64xf32>, tensor<?x?xf32> -> tensor<?x?x64xf32>
  return %dx : tensor<?x?x64xf32>
}
