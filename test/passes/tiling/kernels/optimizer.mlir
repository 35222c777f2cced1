// RUN: %tiled %s | FileCheck %s

// The norm of all gradients together. A cell adds the squares of 32768 elements, 512
// side by side, and leaves one number at its place.

// CHECK-LABEL:  tile.kernel @sum_squares(
// CHECK-SAME:      %[[G:[^:]*]]: memref<?xf32>, %[[PARTIALS:[^:]*]]: memref<?xf32>, %[[PLACE:[^:]*]]: index) grid(%[[CELL:[^ ,)]*]])
// CHECK:        %[[FIRST:.*]] = arith.muli %[[CELL]], 32768
// CHECK-DAG:    %[[NEXT:.*]] = arith.addi %[[FIRST]], 32768
// CHECK-DAG:    %[[SIZE:.*]] = memref.dim %[[G]], 0
// CHECK-DAG:    %[[END:.*]] = arith.minsi %[[NEXT]], %[[SIZE]]
// CHECK:        %[[SUMS:.*]] = scf.for %[[I:[^ ,)]*]] = %[[FIRST]] to %[[END]] step 512 iter_args(%[[OLD:[^ ,)]*]] = 0) -> (tensor<512xf32>) {
// CHECK:          %[[X:.*]] = tile.load %[[G]][%[[I]]] over [0]
// CHECK:          %[[SQUARE:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK:          %[[NEW:.*]] = arith.addf %[[OLD]], %[[SQUARE]]
// CHECK:          scf.yield %[[NEW]]
// CHECK-DAG:    %[[SUM:.*]] = tile.reduce sum %[[SUMS]] along 0
// CHECK-DAG:    %[[AT:.*]] = arith.addi %[[PLACE]], %[[CELL]]
// CHECK:        tile.store %[[SUM]], %[[PARTIALS]][%[[AT]]]

// One cell adds the numbers of all gradients and takes the root.

// CHECK-LABEL:  tile.kernel @norm_of_partials(
// CHECK-SAME:      %[[PARTIALS:[^:]*]]: memref<?xf32>, %[[NORM:[^:]*]]: memref<1xf32>) grid(
// CHECK:        %[[SUMS:.*]] = scf.for %[[I:[^ ,)]*]] = 0 to {{.*}} step 512 iter_args({{.*}} = 0)
// CHECK:        %[[SUM:.*]] = tile.reduce sum %[[SUMS]] along 0
// CHECK:        %[[ROOT:.*]] = math.sqrt %[[SUM]]
// CHECK:        tile.store %[[ROOT]], %[[NORM]][0]

// AdamW, everything updated in place. The hyperparameters are those of the step: rate,
// beta1, beta2, eps, decay, max_norm, and the bias corrections c1, c2.
// factor = min(1, max_norm / (norm + 1e-6)), or 1 when max_norm is 0.

// CHECK-LABEL:  tile.kernel @adamw(
// CHECK-SAME:      %[[GM:[^:]*]]: memref<?xf32>, %[[NORMM:[^:]*]]: memref<1xf32>, %[[HYPER:[^:]*]]: memref<8xf32>,
// CHECK-SAME:      %[[PM:[^:]*]]: memref<?xf32>, %[[MM:[^:]*]]: memref<?xf32>, %[[VM:[^:]*]]: memref<?xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[RATE:.*]] = tile.load %[[HYPER]][0]
// CHECK-DAG:    %[[BETA1:.*]] = tile.load %[[HYPER]][1]
// CHECK-DAG:    %[[BETA2:.*]] = tile.load %[[HYPER]][2]
// CHECK-DAG:    %[[EPS:.*]] = tile.load %[[HYPER]][3]
// CHECK-DAG:    %[[DECAY:.*]] = tile.load %[[HYPER]][4]
// CHECK-DAG:    %[[MAXNORM:.*]] = tile.load %[[HYPER]][5]
// CHECK-DAG:    %[[C1:.*]] = tile.load %[[HYPER]][6]
// CHECK-DAG:    %[[C2:.*]] = tile.load %[[HYPER]][7]
// CHECK-DAG:    %[[NORM:.*]] = tile.load %[[NORMM]][0]
// CHECK-DAG:    %[[SAFE:.*]] = arith.addf %[[NORM]], 1e-06
// CHECK-DAG:    %[[RATIO:.*]] = arith.divf %[[MAXNORM]], %[[SAFE]]
// CHECK-DAG:    %[[CLIPPED:.*]] = arith.minimumf %[[RATIO]], 1
// CHECK-DAG:    %[[CLIPS:.*]] = arith.cmpf ogt, %[[MAXNORM]], 0
// CHECK-DAG:    %[[FACTOR:.*]] = arith.select %[[CLIPS]], %[[CLIPPED]], 1
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 8192
// CHECK:        scf.for %[[I:[^ ,)]*]] = %[[FIRST]] to {{.*}} step 512 {
// CHECK-DAG:      %[[GRAD:.*]] = tile.load %[[GM]][%[[I]]] over [0]
// CHECK-DAG:      %[[FACTORS:.*]] = tile.broadcast %[[FACTOR]]
// CHECK-DAG:      %[[G:.*]] = arith.mulf %[[GRAD]], %[[FACTORS]]
// CHECK-DAG:      %[[P:.*]] = tile.load %[[PM]][%[[I]]] over [0]

// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2.

// CHECK-DAG:      %[[M0:.*]] = tile.load %[[MM]][%[[I]]] over [0]
// CHECK-DAG:      %[[BETA1S:.*]] = tile.broadcast %[[BETA1]] :
// CHECK-DAG:      %[[MKEPT:.*]] = arith.mulf %[[M0]], %[[BETA1S]]
// CHECK-DAG:      %[[REST1:.*]] = arith.subf 1, %[[BETA1]]
// CHECK-DAG:      %[[REST1S:.*]] = tile.broadcast %[[REST1]]
// CHECK-DAG:      %[[MNEW:.*]] = arith.mulf %[[G]], %[[REST1S]]
// CHECK-DAG:      %[[M:.*]] = arith.addf %[[MKEPT]], %[[MNEW]]
// CHECK-DAG:      %[[V0:.*]] = tile.load %[[VM]][%[[I]]] over [0]
// CHECK-DAG:      %[[BETA2S:.*]] = tile.broadcast %[[BETA2]] :
// CHECK-DAG:      %[[VKEPT:.*]] = arith.mulf %[[V0]], %[[BETA2S]]
// CHECK-DAG:      %[[GG:.*]] = arith.mulf %[[G]], %[[G]]
// CHECK-DAG:      %[[REST2:.*]] = arith.subf 1, %[[BETA2]]
// CHECK-DAG:      %[[REST2S:.*]] = tile.broadcast %[[REST2]]
// CHECK-DAG:      %[[VNEW:.*]] = arith.mulf %[[GG]], %[[REST2S]]
// CHECK-DAG:      %[[V:.*]] = arith.addf %[[VKEPT]], %[[VNEW]]

// p = p - rate (m / c1 / (sqrt(v / c2) + eps) + decay p).

// CHECK-DAG:      %[[C1S:.*]] = tile.broadcast %[[C1]] :
// CHECK-DAG:      %[[MHAT:.*]] = arith.divf %[[M]], %[[C1S]]
// CHECK-DAG:      %[[C2S:.*]] = tile.broadcast %[[C2]] :
// CHECK-DAG:      %[[VHAT:.*]] = arith.divf %[[V]], %[[C2S]]
// CHECK-DAG:      %[[ROOT:.*]] = math.sqrt %[[VHAT]]
// CHECK-DAG:      %[[EPSS:.*]] = tile.broadcast %[[EPS]]
// CHECK-DAG:      %[[BELOW:.*]] = arith.addf %[[ROOT]], %[[EPSS]]
// CHECK-DAG:      %[[STEP:.*]] = arith.divf %[[MHAT]], %[[BELOW]]
// CHECK-DAG:      %[[DECAYS:.*]] = tile.broadcast %[[DECAY]]
// CHECK-DAG:      %[[SHRINK:.*]] = arith.mulf %[[P]], %[[DECAYS]]
// CHECK-DAG:      %[[UPDATE:.*]] = arith.addf %[[STEP]], %[[SHRINK]]
// CHECK-DAG:      %[[RATES:.*]] = tile.broadcast %[[RATE]]
// CHECK-DAG:      %[[CHANGE:.*]] = arith.mulf %[[UPDATE]], %[[RATES]]
// CHECK-DAG:      %[[NEW:.*]] = arith.subf %[[P]], %[[CHANGE]]
// CHECK-DAG:      tile.store %[[M]], %[[MM]][%[[I]]] over [0]
// CHECK-DAG:      tile.store %[[V]], %[[VM]][%[[I]]] over [0]
// CHECK-DAG:      tile.store %[[NEW]], %[[PM]][%[[I]]] over [0]

// Parameters marked no_decay leave out the last term.

// CHECK-LABEL:  tile.kernel @adamw_no_decay(
// CHECK-SAME:      {{.*}}, %[[HYPER:[^:]*]]: memref<8xf32>, %[[PM:[^:]*]]: memref<?xf32>,
// CHECK:        %[[RATE:.*]] = tile.load %[[HYPER]][0]
// CHECK-DAG:    %[[P:.*]] = tile.load %[[PM]]
// CHECK-DAG:    %[[RATES:.*]] = tile.broadcast %[[RATE]]
// CHECK-DAG:    %[[CHANGE:.*]] = arith.mulf {{.*}}, %[[RATES]]
// CHECK-NOT:    arith.mulf %[[P]],
// CHECK:        arith.subf %[[P]], %[[CHANGE]]

// One norm over both gradients: three cells of the first, one of the second.

// CHECK-LABEL:  plan.entry @train
// CHECK-DAG:    %[[PARTIALS:.*]] = plan.buffer temporary "global_norm.partials{{.*}}" (4)
// CHECK-DAG:    %[[DW:.*]] = plan.buffer input "dw"
// CHECK-DAG:    %[[DN:.*]] = plan.buffer input "dn"
// CHECK-DAG:    %[[NORM:.*]] = plan.buffer output "grad_norm"
// CHECK-DAG:    %[[HYPER:.*]] = plan.buffer input "hyperparameters"
// CHECK-DAG:    %[[W:.*]] = plan.buffer parameter "w"
// CHECK-DAG:    %[[WM:.*]] = plan.buffer moment1 "w"
// CHECK-DAG:    %[[WV:.*]] = plan.buffer moment2 "w"
// CHECK:        plan.launch @sum_squares grid (3)(%[[DW]], %[[PARTIALS]]) sizes (97000, 4, 0)
// CHECK-NEXT:   plan.launch @sum_squares grid (1)(%[[DN]], %[[PARTIALS]]) sizes (64, 4, 3)
// CHECK-NEXT:   plan.launch @norm_of_partials grid (1)(%[[PARTIALS]], %[[NORM]]) sizes (4)
// CHECK-NEXT:   plan.launch @adamw grid (12)(%[[DW]], %[[NORM]], %[[HYPER]], %[[W]], %[[WM]], %[[WV]]) sizes (97000, 97000, 97000, 97000)
// CHECK-NEXT:   plan.launch @adamw_no_decay grid (1)(%[[DN]], %[[NORM]], %[[HYPER]], {{.*}}) sizes (64, 64, 64, 64)
txs.parameter @w : tensor<97x1000xf32> initializer "normal"
txs.parameter @n : tensor<64xf32> initializer "ones" no_decay
func.func @train(%dw: tensor<97x1000xf32> {txs.input = "dw"}, %dn: tensor<64xf32> {txs.input = "dn"}, %hyper: tensor<8xf32> {txs.input = "hyperparameters"})
    -> (tensor<f32> {txs.output = "grad_norm"}) {
  %norm = txs.global_norm %dw, %dn : tensor<97x1000xf32>, tensor<64xf32> -> tensor<f32>
  txs.adamw @w, %dw, %norm, %hyper : tensor<97x1000xf32>, tensor<f32>, tensor<8xf32>
  txs.adamw @n, %dn, %norm, %hyper : tensor<64xf32>, tensor<f32>, tensor<8xf32>
  return %norm : tensor<f32>
}

// -----

// A gradient is made in its own buffer, unless it has another name already: then it
// is copied.

// CHECK-LABEL:  plan.entry @gradients
// CHECK-DAG:    %[[SUM:.*]] = plan.buffer output "sum"
// CHECK-DAG:    %[[A:.*]] = plan.buffer gradient "a"
// CHECK-DAG:    %[[B:.*]] = plan.buffer gradient "b"
// CHECK:        plan.launch @sum_rows_n64 {{.*}}, %[[SUM]])
// CHECK-NEXT:   plan.launch @copy grid (1)(%[[SUM]], %[[A]]) sizes (64, 64)
// CHECK-NEXT:   plan.launch @copy grid (1)(%[[SUM]], %[[B]]) sizes (64, 64)
txs.parameter @a : tensor<64xf32> initializer "ones" no_decay
txs.parameter @b : tensor<64xf32> initializer "ones" no_decay
func.func @gradients(%x: tensor<?x?x64xf32> {txs.input = "x"}) -> (tensor<64xf32> {txs.output = "sum"}) {
  %d = txs.sum_tokens %x : tensor<?x?x64xf32> -> tensor<64xf32>
  txs.store_gradient @a, %d : tensor<64xf32>
  txs.store_gradient @b, %d : tensor<64xf32>
  return %d : tensor<64xf32>
}
