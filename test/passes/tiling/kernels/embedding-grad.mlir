// RUN: %tiled %s | FileCheck %s

// dweight[v] = sum of dresult over the tokens whose id is v. A cell owns 256 rows
// of the vocabulary: it clears them, then goes over all tokens in order and adds
// those that are its own. Nothing is atomic and the order of a sum is fixed.

// CHECK-LABEL:  tile.kernel @embedding_grad_v1000_n300(
// CHECK-SAME:      %[[DX:[^:]*]]: memref<?x300xf32>, %[[IDS:[^:]*]]: memref<?xi32>, %[[DW:[^:]*]]: memref<1000x300xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK:        %[[FIRST:.*]] = arith.muli %[[CELL]], 256
// CHECK:        %[[NEXT:.*]] = arith.addi %[[FIRST]], 256
// CHECK:        %[[END:.*]] = arith.minsi %[[NEXT]], 1000
// CHECK:        scf.for %[[ROW:[^ ,)]*]] = %[[FIRST]] to %[[END]] step 16 {
// CHECK:          scf.for %[[C0:[^ ,)]*]] = 0 to 300 step 256 {
// CHECK:            tile.store 0, %[[DW]][%[[ROW]], %[[C0]]] over [0, 1] : tensor<16x256xf32>
// CHECK:        %[[TOKENS:.*]] = memref.dim %[[IDS]], 0
// CHECK:        scf.for %[[T:[^ ,)]*]] = 0 to %[[TOKENS]] step 1 {
// CHECK:          %[[ID32:.*]] = tile.load %[[IDS]][%[[T]]] : memref<?xi32> -> i32
// CHECK:          %[[ID:.*]] = arith.index_cast %[[ID32]] : i32 to index
// CHECK-DAG:      %[[ABOVE:.*]] = arith.cmpi sge, %[[ID]], %[[FIRST]] : index
// CHECK-DAG:      %[[BELOW:.*]] = arith.cmpi slt, %[[ID]], %[[END]] : index
// CHECK:          %[[MINE:.*]] = arith.andi %[[ABOVE]], %[[BELOW]] : i1
// CHECK-NEXT:     scf.if %[[MINE]] {
// CHECK:            scf.for %[[C:[^ ,)]*]] = 0 to 300 step 256 {
// CHECK-DAG:          %[[SUM:.*]] = tile.load %[[DW]][%[[ID]], %[[C]]] over [1] : {{.*}} -> tensor<256xf32>
// CHECK-DAG:          %[[ADDED:.*]] = tile.load %[[DX]][%[[T]], %[[C]]] over [1] : {{.*}} -> tensor<256xf32>
// CHECK:              %[[NEW:.*]] = arith.addf %[[SUM]], %[[ADDED]]
// CHECK-NEXT:         tile.store %[[NEW]], %[[DW]][%[[ID]], %[[C]]] over [1]
// CHECK:        plan.launch @embedding_grad_v1000_n300 grid (4){{.*}} sizes (batch * seq, batch * seq)
func.func @embedding(%dx: tensor<?x?x300xf32> {txs.input = "dx"}, %ids: tensor<?x?xi32> {txs.input = "ids"})
    -> (tensor<1000x300xf32> {txs.output = "dw"}) {
  %dw = txs.embedding_grad %dx, %ids : tensor<?x?x300xf32>, tensor<?x?xi32> -> tensor<1000x300xf32>
  return %dw : tensor<1000x300xf32>
}

// -----

// The padding token has no gradient.

// CHECK-LABEL:  tile.kernel @embedding_grad_v97_n64_pad2(
// CHECK:        %[[END:.*]] = arith.minsi {{.*}}, 97
// CHECK:        %[[ID:.*]] = arith.index_cast {{.*}} : i32 to index
// CHECK:        %[[MINE:.*]] = arith.andi
// CHECK:        %[[KEPT:.*]] = arith.cmpi ne, %[[ID]], 2 : index
// CHECK:        %[[BOTH:.*]] = arith.andi %[[MINE]], %[[KEPT]] : i1
// CHECK-NEXT:   scf.if %[[BOTH]] {
// CHECK:        plan.launch @embedding_grad_v97_n64_pad2 grid (1)
func.func @padding(%dx: tensor<?x?x64xf32> {txs.input = "dx"}, %ids: tensor<?x?xi32> {txs.input = "ids"})
    -> (tensor<97x64xf32> {txs.output = "dw"}) {
  %dw = txs.embedding_grad %dx, %ids {pad_token = 2 : i64} : tensor<?x?x64xf32>, tensor<?x?xi32> -> tensor<97x64xf32>
  return %dw : tensor<97x64xf32>
}

// -----

// The table is a weight as well: its gradient as one is made where the sum of
// both is to be, and the sums over the tokens of an id are added to it there.

// CHECK-LABEL:  tile.kernel @embedding_grad_add_v97_n64(
// CHECK-SAME:      %[[DX:[^:]*]]: memref<?x64xf32>, %[[IDS:[^:]*]]: memref<?xi32>, %[[FIRST_OF:[^:]*]]: memref<97xi32>, %[[SUMS:[^:]*]]: memref<?x64xf32>, %[[DW:[^:]*]]: memref<97x64xf32>)
// CHECK:        tile.store {{.*}}, %[[FIRST_OF]][%{{.*}}] over [0] : tensor<256xi32>
// CHECK:        tile.store {{.*}}, %[[SUMS]]
// CHECK:        tile.load %[[DW]]
// CHECK:        plan.launch @linear_grad_weight{{.*}}(%{{.*}}, %{{.*}}, %[[OUT:[^ ,)]*]])
// CHECK:        plan.launch @embedding_grad_add_v97_n64 grid (1)({{.*}}, %[[OUT]])
// CHECK-NOT:    plan.launch @add
func.func @tied(%dx: tensor<?x?x64xf32> {txs.input = "dx"}, %ids: tensor<?x?xi32> {txs.input = "ids"},
                %dy: tensor<?x?x97xf32> {txs.input = "dy"}, %x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<97x64xf32> {txs.output = "dw"}) {
  %weight = txs.linear_grad_weight %dy, %x : tensor<?x?x97xf32>, tensor<?x?x64xf32> -> tensor<97x64xf32>
  %embedding = txs.embedding_grad %dx, %ids : tensor<?x?x64xf32>, tensor<?x?xi32> -> tensor<97x64xf32>
  %dw = txs.add %weight, %embedding : tensor<97x64xf32>
  return %dw : tensor<97x64xf32>
}
