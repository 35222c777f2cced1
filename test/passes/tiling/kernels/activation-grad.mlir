// RUN: %tiled %s | FileCheck %s

// dx = dy f'(x) over flat memory, 4096 elements a cell. With s the sigmoid of x:
// silu' = s (1 + x (1 - s)).

// CHECK-LABEL:  tile.kernel @silu_grad(
// CHECK-SAME:      %[[DYM:[^:]*]]: memref<?xf32>, %[[XM:[^:]*]]: memref<?xf32>, %[[DXM:[^:]*]]: memref<?xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 4096
// CHECK-DAG:    %[[DY:.*]] = tile.load %[[DYM]][%[[FIRST]]] over [0]
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][%[[FIRST]]] over [0]
// CHECK-DAG:    %[[MINUS:.*]] = arith.negf %[[X]]
// CHECK-DAG:    %[[E:.*]] = math.exp %[[MINUS]]
// CHECK-DAG:    %[[ONEPLUS:.*]] = arith.addf 1, %[[E]]
// CHECK-DAG:    %[[S:.*]] = arith.divf 1, %[[ONEPLUS]]
// CHECK-DAG:    %[[REST:.*]] = arith.subf 1, %[[S]]
// CHECK-DAG:    %[[XREST:.*]] = arith.mulf %[[X]], %[[REST]]
// CHECK-DAG:    %[[FACTOR:.*]] = arith.addf 1, %[[XREST]]
// CHECK-DAG:    %[[SLOPE:.*]] = arith.mulf %[[S]], %[[FACTOR]]
// CHECK-DAG:    %[[DX:.*]] = arith.mulf %[[DY]], %[[SLOPE]]
// CHECK:        tile.store %[[DX]], %[[DXM]][%[[FIRST]]] over [0]
// CHECK:        plan.launch @silu_grad grid (((batch * seq) * 64) ceildiv 4096)
func.func @silu(%dy: tensor<?x?x64xf32> {txs.input = "dy"}, %u: tensor<?x?x64xf32> {txs.input = "u"}) -> (tensor<?x?x64xf32> {txs.output = "du"}) {
  %du = txs.activation_grad silu %dy, %u : tensor<?x?x64xf32>
  return %du : tensor<?x?x64xf32>
}

// -----

// gelu' = (1 + erf(x / sqrt 2)) / 2 + x exp(-x^2 / 2) / sqrt(2 pi).

// CHECK-LABEL:  tile.kernel @gelu_grad(
// CHECK-SAME:      {{.*}}, %[[XM:[^:]*]]: memref<?xf32>, {{.*}}) grid(
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]]
// CHECK-DAG:    %[[DOWN:.*]] = arith.mulf %[[X]], 0.707107
// CHECK-DAG:    %[[ERF:.*]] = math.erf %[[DOWN]]
// CHECK-DAG:    %[[ONEPLUS:.*]] = arith.addf 1, %[[ERF]]
// CHECK-DAG:    %[[HALF:.*]] = arith.mulf 0.5, %[[ONEPLUS]]
// CHECK-DAG:    %[[SQUARE:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK-DAG:    %[[EXPONENT:.*]] = arith.mulf %[[SQUARE]], -0.5
// CHECK-DAG:    %[[BELL:.*]] = math.exp %[[EXPONENT]]
// CHECK-DAG:    %[[XBELL:.*]] = arith.mulf %[[X]], %[[BELL]]
// CHECK-DAG:    %[[TAIL:.*]] = arith.mulf %[[XBELL]], 0.398942
// CHECK-DAG:    arith.addf %[[HALF]], %[[TAIL]]
func.func @gelu(%dy: tensor<?x?x64xf32> {txs.input = "dy"}, %u: tensor<?x?x64xf32> {txs.input = "u"}) -> (tensor<?x?x64xf32> {txs.output = "du"}) {
  %du = txs.activation_grad gelu %dy, %u : tensor<?x?x64xf32>
  return %du : tensor<?x?x64xf32>
}

// -----

// relu' = 1 above 0, else 0.

// CHECK-LABEL:  tile.kernel @relu_grad(
// CHECK-DAG:    %[[ABOVE:.*]] = arith.cmpf ogt, {{.*}}, 0
// CHECK-DAG:    %[[SLOPE:.*]] = arith.select %[[ABOVE]], 1, 0
// CHECK-DAG:    arith.mulf {{.*}}, %[[SLOPE]]
func.func @relu(%dy: tensor<?x?x64xf32> {txs.input = "dy"}, %u: tensor<?x?x64xf32> {txs.input = "u"}) -> (tensor<?x?x64xf32> {txs.output = "du"}) {
  %du = txs.activation_grad relu %dy, %u : tensor<?x?x64xf32>
  return %du : tensor<?x?x64xf32>
}

// -----

// softplus' = the sigmoid.

// CHECK-LABEL:  tile.kernel @softplus_grad(
// CHECK-DAG:    %[[MINUS:.*]] = arith.negf
// CHECK-DAG:    %[[E:.*]] = math.exp %[[MINUS]]
// CHECK-DAG:    %[[ONEPLUS:.*]] = arith.addf 1, %[[E]]
// CHECK-DAG:    %[[SLOPE:.*]] = arith.divf 1, %[[ONEPLUS]]
// CHECK-DAG:    arith.mulf {{.*}}, %[[SLOPE]]
func.func @softplus(%dy: tensor<?x?x64xf32> {txs.input = "dy"}, %u: tensor<?x?x64xf32> {txs.input = "u"}) -> (tensor<?x?x64xf32> {txs.output = "du"}) {
  %du = txs.activation_grad softplus %dy, %u : tensor<?x?x64xf32>
  return %du : tensor<?x?x64xf32>
}
