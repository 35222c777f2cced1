// RUN: %tiled %s | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=gpu=true --mlir-print-local-scope | FileCheck %s --check-prefix=GPU

// With r = 1 / sqrt(mean(x^2) + eps) and g = w dy, dx = r g - x r^3 mean(g x) and
// dw = sum of dy x r. A cell takes each of its 64 rows twice: for the sums of x^2 and
// g x, then for the results.

// CHECK-LABEL:  tile.kernel @rms_norm_grad_n200_e1em06(
// CHECK-SAME:      %[[DYM:[^:]*]]: memref<?x200xf32>, %[[XM:[^:]*]]: memref<?x200xf32>, %[[WM:[^:]*]]: memref<200xf32>,
// CHECK-SAME:      %[[DXM:[^:]*]]: memref<?x200xf32>, %[[PARTIALS:[^:]*]]: memref<?x200xf32>) grid(%[[CELL:[^ ,)]*]])
// CHECK-DAG:    %[[FIRST:.*]] = arith.muli %[[CELL]], 64
// CHECK-DAG:    %[[END:.*]] = arith.addi %[[FIRST]], 64
// CHECK-DAG:    %[[ROWS:.*]] = memref.dim %[[XM]], 0
// CHECK:        %[[LAST:.*]] = arith.minsi %[[END]], %[[ROWS]]
// CHECK:        %[[DW:.*]] = scf.for %[[ROW:[^ ,)]*]] = %[[FIRST]] to %[[LAST]] step 1 iter_args(%[[DW0:[^ ,)]*]] = 0) -> (tensor<200xf32>) {
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]][%[[ROW]], 0] over [0, 1] : memref<?x200xf32> -> tensor<1x200xf32>
// CHECK-DAG:      %[[DY:.*]] = tile.load %[[DYM]][%[[ROW]], 0] over [0, 1]
// CHECK-DAG:      %[[WV:.*]] = tile.load %[[WM]][0] over [0]
// CHECK-DAG:      %[[W:.*]] = tile.broadcast %[[WV]] along [1]
// CHECK-DAG:      %[[G:.*]] = arith.mulf %[[DY]], %[[W]]
// CHECK-DAG:      %[[XX:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK-DAG:      %[[SX:.*]] = tile.reduce sum %[[XX]] along 1
// CHECK-DAG:      %[[SG:.*]] = tile.reduce sum %[[GX:.*]] along 1
// CHECK-DAG:      %[[MEANX:.*]] = arith.mulf %[[SX]], 0.005
// CHECK-DAG:      %[[SAFE:.*]] = arith.addf %[[MEANX]], 1e-06
// CHECK-DAG:      %[[ROOT:.*]] = math.sqrt %[[SAFE]]
// CHECK-DAG:      %[[INVERSE:.*]] = arith.divf 1, %[[ROOT]]
// CHECK-DAG:      %[[MEANG:.*]] = arith.mulf %[[SG]], 0.005
// CHECK-DAG:      %[[G1:.*]] = arith.mulf %[[MEANG]], %[[INVERSE]]
// CHECK-DAG:      %[[G2:.*]] = arith.mulf %[[G1]], %[[INVERSE]]
// CHECK-DAG:      %[[G3:.*]] = arith.mulf %[[G2]], %[[INVERSE]]
// CHECK-DAG:      %[[RS:.*]] = tile.broadcast %[[INVERSE]] along [0]
// CHECK-DAG:      %[[GS:.*]] = tile.broadcast %[[G3]] along [0]
// CHECK-DAG:      %[[RG:.*]] = arith.mulf {{.*}}, %[[RS]]
// CHECK-DAG:      %[[XG:.*]] = arith.mulf {{.*}}, %[[GS]]
// CHECK-DAG:      %[[DX:.*]] = arith.subf %[[RG]], %[[XG]]
// CHECK:          tile.store %[[DX]], %[[DXM]][%[[ROW]], 0] over [0, 1]
// CHECK-DAG:      %[[DYX:.*]] = arith.mulf
// CHECK-DAG:      %[[DYXR:.*]] = arith.mulf %[[DYX]], %[[RS]]
// CHECK-DAG:      %[[OWN:.*]] = tile.reduce sum %[[DYXR]] along 0
// CHECK:          %[[DW1:.*]] = arith.addf %[[DW0]], %[[OWN]]
// CHECK:          scf.yield %[[DW1]]
// CHECK:        tile.store %[[DW]], %[[PARTIALS]][%[[CELL]], 0] over [1]

// On GPUs, it takes 64 rows at a time, 128 columns of them twice.

// GPU-LABEL:    tile.kernel @rms_norm_grad_n200_e1em06(
// GPU:          scf.for %[[C:[^ ,)]*]] = %{{.*}} to %{{.*}} step %c128{{.*}} -> (tensor<64xf32>, tensor<64xf32>) {
// GPU-DAG:        tile.load %{{.*}}[%{{.*}}, %[[C]]] over [0, 1] : memref<?x200xf32> -> tensor<64x128xf32>
// GPU:            scf.yield
// GPU:          scf.for %[[C2:[^ ,)]*]] = %{{.*}} to %{{.*}} step %c128
// GPU:            tile.store %{{.*}}, %{{.*}}[%{{.*}}, %[[C2]]] over [0, 1] : tensor<64x128xf32>
// GPU:            tile.store %{{.*}}, %{{.*}}[%{{.*}}, %[[C2]]] over [1] : tensor<128xf32>

// The cells' parts of dw are added up by a kernel of their own.

// CHECK:        %[[PARTS:.*]] = plan.buffer temporary "rms_norm_grad.partials{{.*}}" ((batch * seq) ceildiv 64, 200)
// CHECK:        plan.launch @rms_norm_grad_n200_e1em06 grid ((batch * seq) ceildiv 64)({{.*}}, %[[PARTS]])
// CHECK-NEXT:   plan.launch @sum_rows_n200 grid (2)(%[[PARTS]], {{.*}}) sizes ((batch * seq) ceildiv 64)
func.func @norm(%dy: tensor<?x?x200xf32> {txs.input = "dy"}, %x: tensor<?x?x200xf32> {txs.input = "x"}, %w: tensor<200xf32> {txs.input = "w"})
    -> (tensor<?x?x200xf32> {txs.output = "dx"}, tensor<200xf32> {txs.output = "dw"}) {
  %dx, %dw = txs.rms_norm_grad %dy, %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x200xf32>, tensor<200xf32>
  return %dx, %dw : tensor<?x?x200xf32>, tensor<200xf32>
}
