// RUN: transxssm-opt %s --txs-to-tile | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=fuse=false | FileCheck %s --check-prefix=APART

txs.parameter @gate : tensor<128x64xf32> initializer "normal"
txs.parameter @up : tensor<128x64xf32> initializer "normal"

// Gate and up projection are one kernel with what follows; what lies between is
// not stored.

// CHECK-LABEL: plan.entry @inference
// CHECK-NOT: activation
// CHECK: plan.launch @linear_k64_n128_n128_silu_v0_mul_v2_v1 grid
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

// A product of one input has two results; what something else needs is stored
// on the way.

// CHECK-LABEL: plan.entry @training
// CHECK-NOT: plan.launch
// CHECK: plan.launch @linear_k64_n128_n128_silu_v0_mul_v2_v1_relu_v0_keep3 grid
// CHECK-NEXT: }
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

// Steps need not follow each other.

// CHECK-LABEL: plan.entry @early
// CHECK-NOT: plan.launch
// CHECK: plan.launch @linear_k64_n128_mul_v0_v0_silu_v0_keep1 grid
// CHECK-NEXT: }
func.func @early(%x: tensor<?x?x64xf32> {txs.input = "x"},
                 %d: tensor<?x?x128xf32> {txs.input = "d"})
    -> (tensor<?x?x128xf32> {txs.output = "y"}, tensor<?x?x128xf32> {txs.output = "z"}) {
  %wg = txs.read @gate : tensor<128x64xf32>
  %g = txs.linear %x, %wg : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %m = txs.mul %g, %g : tensor<?x?x128xf32>
  %a = txs.activation silu %g : tensor<?x?x128xf32>
  return %m, %a : tensor<?x?x128xf32>, tensor<?x?x128xf32>
}

// An operation that needs what is made from the kernel's result cannot be part
// of the kernel; what is part of it is stored for the others.

// CHECK-LABEL: plan.entry @cycle
// CHECK: plan.launch @linear_k64_n128_silu_keep0 grid
// CHECK-NEXT: plan.launch @scale_n64
// CHECK-NEXT: plan.launch @mul grid
// CHECK-NEXT: }
txs.parameter @factors : tensor<64xf32> initializer "ones" no_decay
func.func @cycle(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x2x64xf32> {txs.output = "y"}, tensor<?x?x2x64xf32> {txs.output = "z"}) {
  %wg = txs.read @gate : tensor<128x64xf32>
  %f = txs.read @factors : tensor<64xf32>
  %g = txs.linear %x, %wg : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x2x64xf32>
  %a = txs.activation silu %g : tensor<?x?x2x64xf32>
  %s = txs.scale %a, %f : tensor<?x?x2x64xf32>, tensor<64xf32>
  %m = txs.mul %g, %s : tensor<?x?x2x64xf32>
  return %m, %a : tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>
}
