// RUN: transxssm-opt %s --tile-to-loops --assign-scratch --kernel-abi \
// RUN:   | FileCheck %s

// Buffers and sizes come from tables, in argument order; the grid by value.
// CHECK-LABEL: func.func @abi
// CHECK-SAME:  (%[[BUFFERS:.*]]: !llvm.ptr, %[[SIZES:.*]]: !llvm.ptr, %{{.*}}: !llvm.ptr {llvm.noalias}, %[[X:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64)
// CHECK:       llvm.getelementptr %[[BUFFERS]][0]
// CHECK:       llvm.getelementptr %[[SIZES]][0]
// CHECK:       llvm.getelementptr %[[SIZES]][1]
// CHECK:       arith.index_cast %[[X]]
tile.kernel @abi(%x: memref<?xf32>, %n: index) grid(%i) {
  %t = tile.load %x[%i] : memref<?xf32> -> f32
  tile.store %t, %x[%n] : f32, memref<?xf32>
}
