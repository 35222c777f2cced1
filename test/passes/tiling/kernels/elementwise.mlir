// RUN: %tiled %s | FileCheck %s

// Operations on corresponding elements run over flat memory, 4096 elements a cell,
// whatever the shape.

// CHECK-LABEL:  tile.kernel @mul(
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?xf32>, %[[YM:[^:]*]]: memref<?xf32>, %[[ZM:[^:]*]]: memref<?xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 4096
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][%[[FIRST]]] over [0]
// CHECK-DAG:    %[[Y:.*]] = tile.load %[[YM]][%[[FIRST]]] over [0]
// CHECK-DAG:    %[[Z:.*]] = arith.mulf %[[X]], %[[Y]]
// CHECK:        tile.store %[[Z]], %[[ZM]][%[[FIRST]]] over [0]

// softplus = log1p(exp(-|x|)) + max(x, 0), which does not overflow.

// CHECK-LABEL:  tile.kernel @softplus(
// CHECK-DAG:    %[[X:.*]] = tile.load
// CHECK-DAG:    %[[SIZE:.*]] = math.absf %[[X]]
// CHECK-DAG:    %[[MINUS:.*]] = arith.negf %[[SIZE]]
// CHECK-DAG:    %[[E:.*]] = math.exp %[[MINUS]]
// CHECK-DAG:    %[[LOG:.*]] = math.log1p %[[E]]
// CHECK-DAG:    %[[RAMP:.*]] = arith.maximumf %[[X]], 0
// CHECK-DAG:    arith.addf %[[LOG]], %[[RAMP]]

// CHECK-LABEL:  tile.kernel @zeros(
// CHECK:        tile.store 0, {{.*}} : tensor<4096xf32>

// CHECK-LABEL:  plan.entry @flat
// CHECK:        plan.launch @mul grid (((batch * seq) * 24) ceildiv 4096)
// CHECK-NEXT:   plan.launch @softplus grid (((batch * seq) * 24) ceildiv 4096)
// CHECK-NEXT:   plan.launch @zeros grid (((batch * seq) * 24) ceildiv 4096)
func.func @flat(%x: tensor<?x?x3x8xf32> {txs.input = "x"}, %y: tensor<?x?x3x8xf32> {txs.input = "y"}) -> (tensor<?x?x3x8xf32> {txs.output = "z"}, tensor<?x?x3x8xf32> {txs.output = "o"}) {
  %m = txs.mul %x, %y : tensor<?x?x3x8xf32>
  %z = txs.activation softplus %m : tensor<?x?x3x8xf32>
  %o = txs.zeros like %x : tensor<?x?x3x8xf32>
  return %z, %o : tensor<?x?x3x8xf32>, tensor<?x?x3x8xf32>
}

// -----

// The other activations: silu(x) = x / (1 + exp(-x)), gelu(x) = x (1 + erf(x / sqrt 2))
// / 2, relu(x) = max(x, 0).

// CHECK-LABEL:  tile.kernel @silu(
// CHECK-DAG:    %[[X:.*]] = tile.load
// CHECK-DAG:    %[[MINUS:.*]] = arith.negf %[[X]]
// CHECK-DAG:    %[[E:.*]] = math.exp %[[MINUS]]
// CHECK-DAG:    %[[BELOW:.*]] = arith.addf 1, %[[E]]
// CHECK-DAG:    arith.divf %[[X]], %[[BELOW]]

// CHECK-LABEL:  tile.kernel @gelu(
// CHECK-DAG:    %[[X:.*]] = tile.load
// CHECK-DAG:    %[[HALF:.*]] = arith.mulf 0.5, %[[X]]
// CHECK-DAG:    %[[DOWN:.*]] = arith.mulf %[[X]], 0.707107
// CHECK-DAG:    %[[ERF:.*]] = math.erf %[[DOWN]]
// CHECK-DAG:    %[[ONEPLUS:.*]] = arith.addf 1, %[[ERF]]
// CHECK-DAG:    arith.mulf %[[HALF]], %[[ONEPLUS]]

// CHECK-LABEL:  tile.kernel @relu(
// CHECK-DAG:    %[[X:.*]] = tile.load
// CHECK-DAG:    arith.maximumf %[[X]], 0
func.func @activations(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x64xf32> {txs.output = "silu"}, tensor<?x?x64xf32> {txs.output = "gelu"},
        tensor<?x?x64xf32> {txs.output = "relu"}) {
  %0 = txs.activation silu %x : tensor<?x?x64xf32>
  %1 = txs.activation gelu %x : tensor<?x?x64xf32>
  %2 = txs.activation relu %x : tensor<?x?x64xf32>
  return %0, %1, %2 : tensor<?x?x64xf32>, tensor<?x?x64xf32>, tensor<?x?x64xf32>
}

// -----

// A factor for each channel or token: rows of channels, in tiles of about 4096
// elements. 1000 channels are two column tiles of 500.

// CHECK-LABEL:  tile.kernel @scale_n1000(
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x1000xf32>, %[[WM:[^:]*]]: memref<1000xf32>, %[[YM:[^:]*]]: memref<?x1000xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[CELL]], 4
// CHECK:        scf.for %[[C:[^ ,)]*]] = 0 to 1000 step 500 {
// CHECK-DAG:      %[[WV:.*]] = tile.load %[[WM]][%[[C]]] over [0]
// CHECK-DAG:      %[[W:.*]] = tile.broadcast %[[WV]] along [1] : tensor<500xf32> -> tensor<4x500xf32>
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]][%[[ROW]], %[[C]]] over [0, 1]
// CHECK-DAG:      %[[Y:.*]] = arith.mulf %[[W]], %[[X]]
// CHECK:          tile.store %[[Y]], %[[YM]][%[[ROW]], %[[C]]] over [0, 1]

// residual = w x + update.

// CHECK-LABEL:  tile.kernel @residual_n1000(
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x1000xf32>, %[[UM:[^:]*]]: memref<?x1000xf32>, %[[WM:[^:]*]]: memref<1000xf32>, %[[YM:[^:]*]]: memref<?x1000xf32>) grid(
// CHECK-DAG:      %[[W:.*]] = tile.broadcast {{.*}} along [1]
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]]
// CHECK-DAG:      %[[WX:.*]] = arith.mulf %[[W]], %[[X]]
// CHECK-DAG:      %[[U:.*]] = tile.load %[[UM]]
// CHECK-DAG:    arith.addf %[[WX]], %[[U]]

// CHECK-LABEL:  tile.kernel @mask_n1000(
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?x1000xf32>, %[[MM:[^:]*]]: memref<?xf32>, %[[YM:[^:]*]]: memref<?x1000xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[CELL]], 4
// CHECK-DAG:    %[[MV:.*]] = tile.load %[[MM]][%[[ROW]]] over [0]
// CHECK-DAG:    %[[M:.*]] = tile.broadcast %[[MV]] along [0] : tensor<4xf32> -> tensor<4x500xf32>
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][%[[ROW]], {{.*}}] over [0, 1]
// CHECK-DAG:    arith.mulf %[[M]], %[[X]]

// CHECK-LABEL:  plan.entry @rows
// CHECK:        plan.launch @scale_n1000 grid ((batch * seq) ceildiv 4)
func.func @rows(%x: tensor<?x?x1000xf32> {txs.input = "x"}, %w: tensor<1000xf32> {txs.input = "w"}, %m: tensor<?x?xf32> {txs.input = "mask"}) -> (tensor<?x?x1000xf32> {txs.output = "z"}) {
  %a = txs.scale %x, %w : tensor<?x?x1000xf32>, tensor<1000xf32>
  %b = txs.residual %x, %a, %w : tensor<?x?x1000xf32>, tensor<1000xf32>
  %c = txs.mask %b, %m : tensor<?x?x1000xf32>, tensor<?x?xf32>
  return %c : tensor<?x?x1000xf32>
}

// -----

// Dropout counts elements with a 64-bit number, whose halves are words 0 and 1 of the
// counter of Philox 4x32-10 (words 2 and 3: 0 and the site, key: the seed); ten rounds,
// and an element stays when the first word is at least 0.25 * 2^32, unsigned.

// CHECK-LABEL:  tile.kernel @dropout0p25_site3(
// CHECK-SAME:      %[[XM:[^:]*]]: memref<?xf32>, %[[SEED:[^:]*]]: memref<2xi32>, %[[YM:[^:]*]]: memref<?xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 4096
// CHECK-DAG:    %[[POSITION:.*]] = arith.addi {{.*}} : tensor<4096xi64>
// CHECK-DAG:    %[[HIGHPART:.*]] = arith.shrui %[[POSITION]], 32
// CHECK-DAG:    %[[LOW:.*]] = arith.trunci %[[POSITION]]
// CHECK-DAG:    %[[HIGH:.*]] = arith.trunci %[[HIGHPART]]
// CHECK-DAG:    %[[KEY0:.*]] = tile.load %[[SEED]][0]
// CHECK-DAG:    %[[KEY1:.*]] = tile.load %[[SEED]][1]
// CHECK-DAG:    %[[WIDE:.*]] = arith.extui %[[LOW]]
// CHECK-DAG:    %[[PRODUCT:.*]] = arith.muli %[[WIDE]], 3528531795
// CHECK-DAG:    arith.muli {{.*}}, 3449720151
// CHECK-DAG:    arith.xori {{.*}}, 3 :
// CHECK-DAG:    arith.addi %[[KEY0]], -1640531527
// CHECK-DAG:    arith.addi %[[KEY1]], -1150833019
// CHECK-DAG:    %[[STAYS:.*]] = arith.cmpi uge, {{.*}}, 1073741824
// CHECK-DAG:    %[[FACTOR:.*]] = arith.select %[[STAYS]], 1.33333, 0
// CHECK-DAG:    %[[X:.*]] = tile.load %[[XM]][%[[FIRST]]]
// CHECK-DAG:    %[[Y:.*]] = arith.mulf %[[X]], %[[FACTOR]]
// CHECK:        tile.store %[[Y]], %[[YM]][%[[FIRST]]]
func.func @dropout(%x: tensor<?x?x64xf32> {txs.input = "x"}, %seed: tensor<2xi32> {txs.input = "seed"}) -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  %y = txs.dropout %x, %seed {probability = 0.25 : f64, site = 3 : i64} : tensor<?x?x64xf32>, tensor<2xi32>
  return %y : tensor<?x?x64xf32>
}

// -----

// A recompute barrier orders the passes before this one; here it is only a name.

// CHECK-LABEL:  plan.entry @recompute
// CHECK:        %[[X:.*]] = plan.buffer input "x"
// CHECK:        plan.launch @relu grid {{.*}}(%[[X]],
func.func @recompute(%x: tensor<?x?x64xf32> {txs.input = "x"}) -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  %b = txs.recompute_barrier %x : tensor<?x?x64xf32>
  %y = txs.activation relu %b : tensor<?x?x64xf32>
  return %y : tensor<?x?x64xf32>
}
