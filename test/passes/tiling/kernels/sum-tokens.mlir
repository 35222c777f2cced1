// RUN: %tiled %s | FileCheck %s

// The sum over all tokens, in two passes of fixed order: a cell adds 256 tokens for
// 128 columns, and another kernel adds the cells' sums, block after block.

// CHECK-LABEL:  tile.kernel @sum_tokens_n200(
// CHECK-SAME:      %[[X:[^:]*]]: memref<?x200xf32>, %[[PARTIALS:[^:]*]]: memref<?x200xf32>) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[I]], 256
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 128
// CHECK-DAG:    %[[TOKENS:.*]] = memref.dim %[[X]], 0
// CHECK-DAG:    %[[NEXT:.*]] = arith.addi %[[FIRST]], 256
// CHECK-DAG:    %[[END:.*]] = arith.minsi %[[NEXT]], %[[TOKENS]]
// CHECK:        %[[SUM:.*]] = scf.for %[[T:[^ ,)]*]] = %[[FIRST]] to %[[END]] step 32 iter_args(%[[OLD:[^ ,)]*]] = 0) -> (tensor<128xf32>) {
// CHECK-DAG:      %[[BLOCK:.*]] = tile.load %[[X]][%[[T]], %[[COLUMN]]] over [0, 1] : {{.*}} -> tensor<32x128xf32>
// CHECK-DAG:      %[[ADDED:.*]] = tile.reduce sum %[[BLOCK]] along 0
// CHECK-DAG:      arith.addf %[[OLD]], %[[ADDED]]
// CHECK:        tile.store %[[SUM]], %[[PARTIALS]][%[[I]], %[[COLUMN]]] over [1]

// CHECK-LABEL:  tile.kernel @sum_rows_n200(
// CHECK-SAME:      %[[PARTIALS:[^:]*]]: memref<?x200xf32>, %[[Y:[^:]*]]: memref<200xf32>) grid(%[[J:[^ ,)]*]])
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 128
// CHECK-DAG:    %[[BLOCKS:.*]] = memref.dim %[[PARTIALS]], 0
// CHECK:        %[[SUM:.*]] = scf.for %[[B:[^ ,)]*]] = 0 to %[[BLOCKS]] step 32 iter_args(%[[OLD:[^ ,)]*]] = 0) -> (tensor<128xf32>) {
// CHECK-DAG:      %[[BLOCK:.*]] = tile.load %[[PARTIALS]][%[[B]], %[[COLUMN]]] over [0, 1] : {{.*}} -> tensor<32x128xf32>
// CHECK-DAG:      %[[ADDED:.*]] = tile.reduce sum %[[BLOCK]] along 0
// CHECK-DAG:      arith.addf %[[OLD]], %[[ADDED]]
// CHECK:        tile.store %[[SUM]], %[[Y]][%[[COLUMN]]] over [0]

// CHECK-LABEL:  plan.entry @bias
// CHECK:        %[[PARTIALS:.*]] = plan.buffer temporary "sum_tokens.partials{{.*}}" ((batch * seq) ceildiv 256, 200)
// CHECK:        plan.launch @sum_tokens_n200 grid ((batch * seq) ceildiv 256, 2)({{.*}}, %[[PARTIALS]]) sizes (batch * seq, (batch * seq) ceildiv 256)
// CHECK-NEXT:   plan.launch @sum_rows_n200 grid (2)(%[[PARTIALS]], {{.*}}) sizes ((batch * seq) ceildiv 256)
func.func @bias(%dy: tensor<?x?x2x100xf32> {txs.input = "dy"}) -> (tensor<200xf32> {txs.output = "db"}) {
  %db = txs.sum_tokens %dy : tensor<?x?x2x100xf32> -> tensor<200xf32>
  return %db : tensor<200xf32>
}

// -----

// Of products of two tensors. 40 columns are a tile of 48, whole vectors.

// CHECK-LABEL:  tile.kernel @sum_tokens_product_n40(
// CHECK-SAME:      %[[X:[^:]*]]: memref<?x40xf32>, %[[Y:[^:]*]]: memref<?x40xf32>, {{.*}}) grid(
// CHECK:        scf.for %[[T:[^ ,)]*]] = {{.*}} step 32
// CHECK-DAG:      %[[XT:.*]] = tile.load %[[X]][%[[T]], {{.*}}] over [0, 1] : {{.*}} -> tensor<32x48xf32>
// CHECK-DAG:      %[[YT:.*]] = tile.load %[[Y]][%[[T]], {{.*}}] over [0, 1]
// CHECK-DAG:      %[[PRODUCT:.*]] = arith.mulf %[[XT]], %[[YT]]
// CHECK-DAG:      tile.reduce sum %[[PRODUCT]] along 0
// CHECK:        plan.launch @sum_tokens_product_n40 grid ((batch * seq) ceildiv 256, 1)
func.func @scale(%dy: tensor<?x?x40xf32> {txs.input = "dy"}, %x: tensor<?x?x40xf32> {txs.input = "x"}) -> (tensor<40xf32> {txs.output = "dw"}) {
  %dw = txs.sum_tokens %dy times %x : tensor<?x?x40xf32>, tensor<?x?x40xf32> -> tensor<40xf32>
  return %dw : tensor<40xf32>
}
