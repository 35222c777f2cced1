// RUN: transxssm-opt %s --tile-split-products --canonicalize | FileCheck %s

// Operands that are made for one product alone are made slice by slice.
// CHECK-LABEL: tile.kernel @product
// CHECK:       scf.for %[[K:.*]] = %c0 to %c256 step %c32
// CHECK:         %[[L:.*]] = tile.load %{{.*}}[%{{.*}}, %[[K]]] over [0, 1] : memref<?x256xf32> -> tensor<16x32xf32>
// CHECK:         %[[S:.*]] = arith.mulf %[[L]], %{{.*}} : tensor<16x32xf32>
// CHECK:         %[[R:.*]] = tile.load %{{.*}}[%c0, %[[K]]] over [0, 1] : memref<64x256xf32> -> tensor<64x32xf32>
// CHECK:         tile.mma %[[S]], %[[R]], %{{.*}} {transpose_rhs}
tile.kernel @product(%a: memref<?x256xf32>, %b: memref<64x256xf32>, %c: memref<?x64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %sixteen = arith.constant 16 : index
  %row = arith.muli %i, %sixteen : index
  %start = arith.constant dense<0.0> : tensor<16x64xf32>
  %l = tile.load %a[%row, %zero] over [0, 1] : memref<?x256xf32> -> tensor<16x256xf32>
  %two = arith.constant dense<2.0> : tensor<16x256xf32>
  %scaled = arith.mulf %l, %two : tensor<16x256xf32>
  %r = tile.load %b[%zero, %zero] over [0, 1] : memref<64x256xf32> -> tensor<64x256xf32>
  %p = tile.mma %scaled, %r, %start {transpose_rhs} : tensor<16x256xf32>, tensor<64x256xf32>, tensor<16x64xf32>
  tile.store %p, %c[%row, %zero] over [0, 1] : tensor<16x64xf32>, memref<?x64xf32>
}

// An operand with another use stays whole; a transposition is the product's own.
// CHECK-LABEL: tile.kernel @shared_operand
// CHECK-NOT:   scf.for
// CHECK:       tile.mma %{{.*}}, %{{.*}}, %{{.*}} {transpose_lhs} : tensor<64x16xf32>, tensor<64x16xf32>
tile.kernel @shared_operand(%a: memref<?x16xf32>, %b: memref<64x16xf32>, %c: memref<?x16xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %start = arith.constant dense<0.0> : tensor<16x16xf32>
  %l = tile.load %a[%i, %zero] over [0, 1] : memref<?x16xf32> -> tensor<64x16xf32>
  %t = tile.transpose %l : tensor<64x16xf32> -> tensor<16x64xf32>
  %r = tile.load %b[%zero, %zero] over [0, 1] : memref<64x16xf32> -> tensor<64x16xf32>
  %p = tile.mma %t, %r, %start : tensor<16x64xf32>, tensor<64x16xf32>, tensor<16x16xf32>
  tile.store %p, %c[%i, %zero] over [0, 1] : tensor<16x16xf32>, memref<?x16xf32>
  tile.store %l, %c[%i, %zero] over [0, 1] : tensor<64x16xf32>, memref<?x16xf32>
}
