// RUN: transxssm-opt %s --assign-scratch | FileCheck %s

// Two buffers that are never live together share memory; what a loop uses
// lives through all of it.
// CHECK-LABEL: func.func @share
// CHECK-SAME:  tile.scratch_bytes = 256 : i64
func.func @share(%v: vector<8xf32>, %n: index, %scratch: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<32xf32>
  vector.store %v, %a[%c0] : memref<32xf32>, vector<8xf32>
  %b = memref.alloc() : memref<32xf32>
  scf.for %i = %c0 to %n step %c1 {
    %x = vector.load %a[%c0] : memref<32xf32>, vector<8xf32>
    vector.store %x, %b[%c0] : memref<32xf32>, vector<8xf32>
  }
  %c = memref.alloc() : memref<32xf32>
  vector.store %v, %c[%c0] : memref<32xf32>, vector<8xf32>
  return
}
