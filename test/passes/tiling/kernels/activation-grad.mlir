// RUN: %tiled %s | FileCheck %s

// dx = dy f'(x) over flat memory, 4096 elements a cell. With s the sigmoid of x:
// silu' = s (1 + x (1 - s)).

// CHECK-LABEL:  tile.kernel @silu_grad(
// CHECK-SAME:      %[[DYM:[^:]*]]: memref<?xf32>, %[[XM:[^:]*]]: memref<?xf32>, %[[DXM:[^:]*]]: memref<?xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK:        %[[FIRST:.*]] = arith.muli %[[CELL]], 4096
// CHECK-DAG:    %[[DY:.*]] = tile.load %[[DYM]][%[[FIRST]]] over [0]
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][%[[FIRST]]] over [0]
// CHECK:        %[[MINUS:.*]] = arith.negf %[[X]]
// CHECK:        %[[E:.*]] = math.exp %[[MINUS]]
// CHECK:        %[[ONEPLUS:.*]] = arith.addf 1, %[[E]]
// CHECK:        %[[S:.*]] = arith.divf 1, %[[ONEPLUS]]
// CHECK:        %[[REST:.*]] = arith.subf 1, %[[S]]
// CHECK:        %[[XREST:.*]] = arith.mulf %[[X]], %[[REST]]
// CHECK:        %[[FACTOR:.*]] = arith.addf 1, %[[XREST]]
// CHECK:        %[[SLOPE:.*]] = arith.mulf %[[S]], %[[FACTOR]]
// CHECK:        %[[DX:.*]] = arith.mulf %[[DY]], %[[SLOPE]]
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
// CHECK:        %[[X:.*]] = tile.load %[[XM]]
// CHECK:        %[[DOWN:.*]] = arith.mulf %[[X]], 0.707107
// CHECK:        %[[ERF:.*]] = math.erf %[[DOWN]]
// CHECK:        %[[ONEPLUS:.*]] = arith.addf 1, %[[ERF]]
// CHECK:        %[[HALF:.*]] = arith.mulf 0.5, %[[ONEPLUS]]
// CHECK:        %[[SQUARE:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK:        %[[EXPONENT:.*]] = arith.mulf %[[SQUARE]], -0.5
// CHECK:        %[[BELL:.*]] = math.exp %[[EXPONENT]]
// CHECK:        %[[XBELL:.*]] = arith.mulf %[[X]], %[[BELL]]
// CHECK:        %[[TAIL:.*]] = arith.mulf %[[XBELL]], 0.398942
// CHECK:        arith.addf %[[HALF]], %[[TAIL]]
func.func @gelu(%dy: tensor<?x?x64xf32> {txs.input = "dy"}, %u: tensor<?x?x64xf32> {txs.input = "u"}) -> (tensor<?x?x64xf32> {txs.output = "du"}) {
  %du = txs.activation_grad gelu %dy, %u : tensor<?x?x64xf32>
  return %du : tensor<?x?x64xf32>
}

// -----

// relu' = 1 above 0, else 0.

// CHECK-LABEL:  tile.kernel @relu_grad(
// CHECK:        %[[ABOVE:.*]] = arith.cmpf ogt, {{.*}}, 0
// CHECK:        %[[SLOPE:.*]] = arith.select %[[ABOVE]], 1, 0
// CHECK:        arith.mulf {{.*}}, %[[SLOPE]]
func.func @relu(%dy: tensor<?x?x64xf32> {txs.input = "dy"}, %u: tensor<?x?x64xf32> {txs.input = "u"}) -> (tensor<?x?x64xf32> {txs.output = "du"}) {
  %du = txs.activation_grad relu %dy, %u : tensor<?x?x64xf32>
  return %du : tensor<?x?x64xf32>
}

// -----

// softplus' = the sigmoid.

// CHECK-LABEL:  tile.kernel @softplus_grad(
// CHECK:        %[[MINUS:.*]] = arith.negf
// CHECK:        %[[E:.*]] = math.exp %[[MINUS]]
// CHECK:        %[[ONEPLUS:.*]] = arith.addf 1, %[[E]]
// CHECK:        %[[SLOPE:.*]] = arith.divf 1, %[[ONEPLUS]]
// CHECK:        arith.mulf {{.*}}, %[[SLOPE]]
func.func @softplus(%dy: tensor<?x?x64xf32> {txs.input = "dy"}, %u: tensor<?x?x64xf32> {txs.input = "u"}) -> (tensor<?x?x64xf32> {txs.output = "du"}) {
  %du = txs.activation_grad softplus %dy, %u : tensor<?x?x64xf32>
  return %du : tensor<?x?x64xf32>
}
