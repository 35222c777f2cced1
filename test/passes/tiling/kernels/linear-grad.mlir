// RUN: %tiled %s | FileCheck %s

// dx = dy W: over the outputs. Heads are columns: [.., 2, 48] is 96 outputs.

// CHECK-LABEL:  tile.kernel @linear_grad_input_o96_i200
// CHECK-SAME:      %[[DYM:[^:]*]]: memref<?x96xf32>, %[[WM:[^:]*]]: memref<96x200xf32>, %[[DXM:[^:]*]]: memref<?x200xf32>) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 64
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 128
// CHECK:        %[[DX:.*]] = scf.for %[[K:[^ ,)]*]] = 0 to 96 step 96 iter_args(%[[SUM:[^ ,)]*]] = 0) -> (tensor<64x128xf32>) {
// CHECK-DAG:      %[[DY:.*]] = tile.load %[[DYM]][%[[ROW]], %[[K]]] over [0, 1]
// CHECK-DAG:      %[[W:.*]] = tile.load %[[WM]][%[[K]], %[[COLUMN]]] over [0, 1]
// CHECK:          tile.mma %[[DY]], %[[W]], %[[SUM]] : tensor<64x96xf32>, tensor<96x128xf32>, tensor<64x128xf32>
// CHECK:        tile.store %[[DX]], %[[DXM]][%[[ROW]], %[[COLUMN]]] over [0, 1]

// dW = dy^T x: over all tokens, in order.

// CHECK-LABEL:  tile.kernel @linear_grad_weight_o96_i200
// CHECK-SAME:      %[[DYM:[^:]*]]: memref<?x96xf32>, %[[XM:[^:]*]]: memref<?x200xf32>, %[[DWM:[^:]*]]: memref<96x200xf32>) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 64
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 128
// CHECK-DAG:    %[[TOKENS:.*]] = memref.dim %[[XM]], 0
// CHECK:        %[[DW:.*]] = scf.for %[[T:[^ ,)]*]] = 0 to %[[TOKENS]] step 64 iter_args(%[[SUM:[^ ,)]*]] = 0) -> (tensor<64x128xf32>) {
// CHECK-DAG:      %[[DY:.*]] = tile.load %[[DYM]][%[[T]], %[[ROW]]] over [0, 1]
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]][%[[T]], %[[COLUMN]]] over [0, 1]
// CHECK:          tile.mma %[[DY]], %[[X]], %[[SUM]] {transpose_lhs}
// CHECK:        tile.store %[[DW]], %[[DWM]][%[[ROW]], %[[COLUMN]]] over [0, 1]

// CHECK-LABEL:  plan.entry @grad
// CHECK:        plan.launch @linear_grad_input_o96_i200{{.*}} grid ((batch * seq) ceildiv 64, 2){{.*}} sizes (batch * seq, batch * seq)
// CHECK:        plan.launch @linear_grad_weight_o96_i200{{.*}} grid (2, 2){{.*}} sizes (batch * seq, batch * seq)
func.func @grad(%dy: tensor<?x?x2x48xf32> {txs.input = "dy"}, %w: tensor<96x200xf32> {txs.input = "w"}, %x: tensor<?x?x200xf32> {txs.input = "x"}) -> (tensor<?x?x200xf32> {txs.output = "dx"}, tensor<96x200xf32> {txs.output = "dw"}) {
  %dx = txs.linear_grad_input %dy, %w : tensor<?x?x2x48xf32>, tensor<96x200xf32> -> tensor<?x?x200xf32>
  %dw = txs.linear_grad_weight %dy, %x : tensor<?x?x2x48xf32>, tensor<?x?x200xf32> -> tensor<96x200xf32>
  return %dx, %dw : tensor<?x?x200xf32>, tensor<96x200xf32>
}
