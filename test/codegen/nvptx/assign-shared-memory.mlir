// RUN: transxssm-opt %s --assign-shared-memory | FileCheck %s

// CHECK: llvm.mlir.global external @shared_memory() {addr_space = 3 : i32, alignment = 1024 : i64}

// The first and the last buffer are never live together; what a loop uses lives
// through all of it.
// CHECK-LABEL: func.func @share
// CHECK-SAME:  tile.shared_bytes = 256 : i64
func.func @share(%v: vector<4xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: llvm.store %{{.*}} {alignment = 16 : i64, tile.bytes = array<i64: 0, 128>, tile.group = 1 : i64}
  %a = memref.alloc() : memref<32xf32, 3>
  vector.store %v, %a[%c0] {tile.group = 1} : memref<32xf32, 3>, vector<4xf32>
  %b = memref.alloc() : memref<32xf32, 3>
  scf.for %i = %c0 to %n step %c1 {
    // CHECK: llvm.load %{{.*}} {alignment = 16 : i64, tile.bytes = array<i64: 0, 128>}
    %x = vector.load %a[%c0] : memref<32xf32, 3>, vector<4xf32>
    // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 128, 256>
    vector.store %x, %b[%c0] : memref<32xf32, 3>, vector<4xf32>
  }
  %c = memref.alloc() : memref<32xf32, 3>
  // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 0, 128>
  vector.store %v, %c[%c0] : memref<32xf32, 3>, vector<4xf32>
  return
}
