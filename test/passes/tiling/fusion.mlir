// RUN: transxssm-opt %s --txs-to-tile | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=fuse=false | FileCheck %s --check-prefix=APART

txs.parameter @gate : tensor<128x64xf32> initializer "normal"
txs.parameter @up : tensor<128x64xf32> initializer "normal"

// The chain silu, mul is part of the gate's kernel, launched where it ends; what
// lies between is not stored.

// CHECK-LABEL: plan.entry @inference
// CHECK-NOT: activation
// CHECK: plan.launch @linear_k64_n128 grid
// CHECK-NEXT: plan.launch @linear_k64_n128_silu_mul grid
// CHECK-NEXT: }
// APART-LABEL: plan.entry @inference
// APART: plan.launch @linear_k64_n128 grid
// APART-NEXT: plan.launch @linear_k64_n128 grid
// APART-NEXT: plan.launch @silu
// APART-NEXT: plan.launch @mul
// APART-NEXT: }
func.func @inference(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x128xf32> {txs.output = "y"}) {
  %wg = txs.read @gate : tensor<128x64xf32>
  %wu = txs.read @up : tensor<128x64xf32>
  %g = txs.linear %x, %wg : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %u = txs.linear %x, %wu : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %a = txs.activation silu %g : tensor<?x?x128xf32>
  %m = txs.mul %a, %u : tensor<?x?x128xf32>
  return %m : tensor<?x?x128xf32>
}

// What something else needs later is stored on the way.

// CHECK-LABEL: plan.entry @training
// CHECK: plan.launch @linear_k64_n128 grid
// CHECK-NEXT: plan.launch @linear_k64_n128_silu_mul_keep0 grid
// CHECK-NEXT: plan.launch @relu
func.func @training(%x: tensor<?x?x64xf32> {txs.input = "x"},
                    %d: tensor<?x?x128xf32> {txs.input = "d"})
    -> (tensor<?x?x128xf32> {txs.output = "y"}, tensor<?x?x128xf32> {txs.output = "z"}) {
  %wg = txs.read @gate : tensor<128x64xf32>
  %wu = txs.read @up : tensor<128x64xf32>
  %g = txs.linear %x, %wg : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %u = txs.linear %x, %wu : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %a = txs.activation silu %g : tensor<?x?x128xf32>
  %m = txs.mul %a, %u : tensor<?x?x128xf32>
  %z = txs.activation relu %g : tensor<?x?x128xf32>
  return %m, %z : tensor<?x?x128xf32>, tensor<?x?x128xf32>
}

// A use before the end of a chain keeps the chain from growing.

// CHECK-LABEL: plan.entry @early
// CHECK: plan.launch @linear_k64_n128 grid
// CHECK-NEXT: plan.launch @mul
// CHECK-NEXT: plan.launch @silu
func.func @early(%x: tensor<?x?x64xf32> {txs.input = "x"},
                 %d: tensor<?x?x128xf32> {txs.input = "d"})
    -> (tensor<?x?x128xf32> {txs.output = "y"}, tensor<?x?x128xf32> {txs.output = "z"}) {
  %wg = txs.read @gate : tensor<128x64xf32>
  %g = txs.linear %x, %wg : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %m = txs.mul %g, %g : tensor<?x?x128xf32>
  %a = txs.activation silu %g : tensor<?x?x128xf32>
  return %m, %a : tensor<?x?x128xf32>, tensor<?x?x128xf32>
}
