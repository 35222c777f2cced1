// RUN: transxssm-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @dropout(
// CHECK-SAME:    %[[X:[^:]*]]:
// CHECK:       %[[Y:.*]] = txs.dropout %[[X]], %{{.*}} {probability = 5.0
// CHECK-NEXT:  return %[[X]], %[[Y]]
func.func @dropout(%x: tensor<?x?x4xf32>, %s: tensor<2xi32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  %y = txs.dropout %x, %s {probability = 0.0 : f64, site = 1 : i64} : tensor<?x?x4xf32>, tensor<2xi32>
  %z = txs.dropout %x, %s {probability = 0.5 : f64, site = 1 : i64} : tensor<?x?x4xf32>, tensor<2xi32>
  return %y, %z : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// A second mask is another matter.
// CHECK-LABEL: @mask(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x?x4xf32>, %[[M:[^:]*]]: tensor<?x?xf32>, %[[N:[^:]*]]: tensor<?x?xf32>)
// CHECK-NEXT:  %[[Y:.*]] = txs.mask %[[X]], %[[M]]
// CHECK-NEXT:  %[[Z:.*]] = txs.mask %[[Y]], %[[N]]
// CHECK-NEXT:  return %[[Y]], %[[Z]]
func.func @mask(%x: tensor<?x?x4xf32>, %m: tensor<?x?xf32>, %n: tensor<?x?xf32>)
    -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  %0 = txs.mask %x, %m : tensor<?x?x4xf32>, tensor<?x?xf32>
  %1 = txs.mask %0, %m : tensor<?x?x4xf32>, tensor<?x?xf32>
  %2 = txs.mask %1, %n : tensor<?x?x4xf32>, tensor<?x?xf32>
  return %1, %2 : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// CHECK-LABEL: @add_zeros(
// CHECK-SAME:    %[[X:.*]]: tensor<?x?x4xf32>)
// CHECK-NEXT:  return %[[X]], %[[X]]
func.func @add_zeros(%x: tensor<?x?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  %z = txs.zeros like %x : tensor<?x?x4xf32>
  %0 = txs.add %x, %z : tensor<?x?x4xf32>
  %1 = txs.add %z, %x : tensor<?x?x4xf32>
  return %0, %1 : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// A rotation and its inverse stay: tables with a factor do not cancel.
// CHECK-LABEL: @rope(
// CHECK:       txs.rope
// CHECK-NEXT:  txs.rope {{.*}} {inverse}
func.func @rope(%x: tensor<?x?x2x4xf32>, %c: tensor<?x2xf32>, %s: tensor<?x2xf32>) -> tensor<?x?x2x4xf32> {
  %0 = txs.rope %x, %c, %s : tensor<?x?x2x4xf32>, tensor<?x2xf32>
  %1 = txs.rope %0, %c, %s {inverse} : tensor<?x?x2x4xf32>, tensor<?x2xf32>
  return %1 : tensor<?x?x2x4xf32>
}

// CHECK-LABEL: @scan_from_zeros(
// CHECK-NOT:   txs.zeros
// CHECK:       txs.ssm_scan %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} {chunk
func.func @scan_from_zeros(%c: tensor<?x?x2x4xf32>, %d: tensor<?x?x2xf32>, %a: tensor<2xf32>, %s: tensor<?x2x4x4xf32>)
    -> tensor<?x?x2x4xf32> {
  %z = txs.zeros like %s : tensor<?x2x4x4xf32>
  %y, %f = txs.ssm_scan %c, %c, %c, %d, %a from %z {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
  return %y : tensor<?x?x2x4xf32>
}

// CHECK-LABEL: @scan_grad_zero_state(
// CHECK-NOT:   txs.zeros
// CHECK:       txs.ssm_scan_grad
// CHECK-NOT:   dfinal
// CHECK:       return
func.func @scan_grad_zero_state(%c: tensor<?x?x2x4xf32>, %d: tensor<?x?x2xf32>, %a: tensor<2xf32>, %s: tensor<?x2x4x4xf32>)
    -> tensor<2xf32> {
  %z = txs.zeros like %s : tensor<?x2x4x4xf32>
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %c, %c, %c, %c, %d, %a dfinal %z {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
  return %da : tensor<2xf32>
}

// The gradient of a residual's input: what came through the scale and the rest.

// CHECK-LABEL: @scaled_sum(
// CHECK-NEXT:  %[[R:.*]] = txs.residual %arg0, %arg1, %arg2
// CHECK-NEXT:  return %[[R]]
func.func @scaled_sum(%x: tensor<?x?x8xf32>, %u: tensor<?x?x8xf32>, %w: tensor<8xf32>)
    -> tensor<?x?x8xf32> {
  %0 = txs.scale %x, %w : tensor<?x?x8xf32>, tensor<8xf32>
  %1 = txs.add %0, %u : tensor<?x?x8xf32>
  return %1 : tensor<?x?x8xf32>
}

// CHECK-LABEL: @scaled_sum_used_twice(
// CHECK:       txs.scale
// CHECK-NEXT:  txs.add
func.func @scaled_sum_used_twice(%x: tensor<?x?x8xf32>, %u: tensor<?x?x8xf32>, %w: tensor<8xf32>)
    -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>) {
  %0 = txs.scale %x, %w : tensor<?x?x8xf32>, tensor<8xf32>
  %1 = txs.add %u, %0 : tensor<?x?x8xf32>
  return %1, %0 : tensor<?x?x8xf32>, tensor<?x?x8xf32>
}
