// RUN: transxssm-opt %s --txs-to-tile | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=fuse=false | FileCheck %s --check-prefix=APART

txs.parameter @c : tensor<128x64xf32> initializer "normal"
txs.parameter @x : tensor<32x64xf32> initializer "normal"
txs.parameter @dt : tensor<2x64xf32> initializer "normal"

// Products of one input share a launch, whatever their widths; a grid
// coordinate says whose cell it is, and the widest one decides how many cells
// each has.

// CHECK-DAG: #[[GRID:.*]] = affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 128, 1, 3)>
// CHECK-LABEL: tile.kernel @linear_k64_n128_and_n32_and_n2_softplus(
// CHECK-SAME:    grid(%[[ROW:.*]], %[[COLUMN:.*]], %[[PART:.*]])
// CHECK:       %[[FIRST:.*]] = arith.cmpi eq, %[[PART]], %c0
// CHECK:       scf.if
// CHECK:       tile.mma
// CHECK:       scf.if
// CHECK:       tile.mma
// CHECK:       scf.if
// CHECK:       tile.mma

// The gradient of the input adds up in one tile; the additions are gone.

// CHECK-LABEL: tile.kernel @linear_grad_input_o2_o32_o128_i64(
// CHECK:       %[[A:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %cst) -> (tensor<64x64xf32>)
// CHECK:       %[[B:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[A]]) -> (tensor<64x64xf32>)
// CHECK:       %[[C:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[B]]) -> (tensor<64x64xf32>)
// CHECK:       tile.store %[[C]]

// CHECK-LABEL: plan.entry @forward
// CHECK:       plan.launch @linear_k64_n128_and_n32_and_n2_softplus grid #[[GRID]]
// CHECK-NEXT:  }
// APART-LABEL: plan.entry @forward
// APART:       plan.launch @linear_k64_n128 grid
// APART-NEXT:  plan.launch @linear_k64_n32 grid
// APART-NEXT:  plan.launch @linear_k64_n2 grid
// APART-NEXT:  plan.launch @softplus
// APART-NEXT:  }
func.func @forward(%h: tensor<?x?x64xf32> {txs.input = "h"})
    -> (tensor<?x?x128xf32> {txs.output = "c"}, tensor<?x?x32xf32> {txs.output = "x"},
        tensor<?x?x2xf32> {txs.output = "dt"}) {
  %wc = txs.read @c : tensor<128x64xf32>
  %0 = txs.linear %h, %wc : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %wx = txs.read @x : tensor<32x64xf32>
  %1 = txs.linear %h, %wx : tensor<?x?x64xf32>, tensor<32x64xf32> -> tensor<?x?x32xf32>
  %wd = txs.read @dt : tensor<2x64xf32>
  %2 = txs.linear %h, %wd : tensor<?x?x64xf32>, tensor<2x64xf32> -> tensor<?x?x2xf32>
  %3 = txs.activation softplus %2 : tensor<?x?x2xf32>
  return %0, %1, %3 : tensor<?x?x128xf32>, tensor<?x?x32xf32>, tensor<?x?x2xf32>
}

// CHECK-LABEL: plan.entry @backward
// CHECK:       plan.launch @linear_grad_input_o2_o32_o128_i64 grid
// CHECK-NEXT:  plan.launch @linear_grad_weight_o2_o32_o128_i64 grid
// CHECK-NEXT:  }
// APART-LABEL: plan.entry @backward
// APART-COUNT-2: plan.launch @linear_grad_
// APART:       plan.launch @add
// APART:       plan.launch @add
// APART-NOT:   plan.launch @add
func.func @backward(%h: tensor<?x?x64xf32> {txs.input = "h"},
                    %dc: tensor<?x?x128xf32> {txs.input = "dc"},
                    %dx: tensor<?x?x32xf32> {txs.input = "dx"},
                    %ddt: tensor<?x?x2xf32> {txs.input = "ddt"})
    -> (tensor<?x?x64xf32> {txs.output = "dh"}, tensor<2x64xf32> {txs.output = "dwd"},
        tensor<32x64xf32> {txs.output = "dwx"}, tensor<128x64xf32> {txs.output = "dwc"}) {
  %wc = txs.read @c : tensor<128x64xf32>
  %wx = txs.read @x : tensor<32x64xf32>
  %wd = txs.read @dt : tensor<2x64xf32>
  %0 = txs.linear_grad_input %ddt, %wd : tensor<?x?x2xf32>, tensor<2x64xf32> -> tensor<?x?x64xf32>
  %1 = txs.linear_grad_weight %ddt, %h : tensor<?x?x2xf32>, tensor<?x?x64xf32> -> tensor<2x64xf32>
  %2 = txs.linear_grad_input %dx, %wx : tensor<?x?x32xf32>, tensor<32x64xf32> -> tensor<?x?x64xf32>
  %3 = txs.linear_grad_weight %dx, %h : tensor<?x?x32xf32>, tensor<?x?x64xf32> -> tensor<32x64xf32>
  %4 = txs.add %0, %2 : tensor<?x?x64xf32>
  %5 = txs.linear_grad_input %dc, %wc : tensor<?x?x128xf32>, tensor<128x64xf32> -> tensor<?x?x64xf32>
  %6 = txs.linear_grad_weight %dc, %h : tensor<?x?x128xf32>, tensor<?x?x64xf32> -> tensor<128x64xf32>
  %7 = txs.add %4, %5 : tensor<?x?x64xf32>
  return %7, %1, %3, %6 : tensor<?x?x64xf32>, tensor<2x64xf32>, tensor<32x64xf32>, tensor<128x64xf32>
}

// A product whose result something needs before the others can be made keeps
// its launch.

// CHECK-LABEL: plan.entry @chained
// CHECK:       plan.launch @linear_k64_n128 grid
// CHECK-NEXT:  plan.launch @linear_k128_n32
// CHECK-NEXT:  plan.launch @linear_k64_n32_mul grid
// CHECK-NEXT:  }
func.func @chained(%h: tensor<?x?x64xf32> {txs.input = "h"},
                   %w: tensor<32x128xf32> {txs.input = "w"})
    -> (tensor<?x?x32xf32> {txs.output = "y"}) {
  %wc = txs.read @c : tensor<128x64xf32>
  %0 = txs.linear %h, %wc : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %wx = txs.read @x : tensor<32x64xf32>
  %1 = txs.linear %h, %wx : tensor<?x?x64xf32>, tensor<32x64xf32> -> tensor<?x?x32xf32>
  %2 = txs.linear %0, %w : tensor<?x?x128xf32>, tensor<32x128xf32> -> tensor<?x?x32xf32>
  %3 = txs.mul %1, %2 : tensor<?x?x32xf32>
  return %3 : tensor<?x?x32xf32>
}
