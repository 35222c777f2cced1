// RUN: transxssm-opt %s --tile-to-loops --assign-scratch --kernel-abi \
// RUN:   | FileCheck %s

// Buffers and sizes come from tables, in argument order; the range of
// cells by value.
// CHECK-LABEL: func.func @abi
// CHECK-SAME:  (%[[BUFFERS:.*]]: !llvm.ptr, %[[SIZES:.*]]: !llvm.ptr, %{{.*}}: !llvm.ptr {llvm.noalias}, %[[FIRST:.*]]: i64, %[[LAST:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64)
// CHECK:       llvm.getelementptr %[[BUFFERS]][0]
// CHECK:       llvm.getelementptr %[[SIZES]][0]
// CHECK:       llvm.getelementptr %[[SIZES]][1]
// CHECK-DAG:   %[[LOW:.*]] = arith.index_cast %[[FIRST]]
// CHECK-DAG:   %[[HIGH:.*]] = arith.index_cast %[[LAST]]
// CHECK:       scf.for %{{.*}} = %[[LOW]] to %[[HIGH]]
tile.kernel @abi(%x: memref<?xf32>, %n: index) grid(%i) {
  %t = tile.load %x[%i] : memref<?xf32> -> f32
  tile.store %t, %x[%n] : f32, memref<?xf32>
}
