// RUN: transxssm-opt %s --split-input-file --verify-diagnostics --assign-scratch \
// RUN:   | FileCheck %s

// Two buffers that are never live together share memory.
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

// What a loop uses lives through all of it: the next round reads %a again, after
// %b was written.
// CHECK-LABEL: func.func @again
// CHECK-SAME:  tile.scratch_bytes = 256 : i64
// CHECK-DAG:   %[[FIRST:.*]] = arith.constant 0 : index
// CHECK-DAG:   %[[SECOND:.*]] = arith.constant 128 : index
// CHECK-DAG:   memref.view %{{.*}}[%[[FIRST]]]
// CHECK-DAG:   memref.view %{{.*}}[%[[SECOND]]]
func.func @again(%v: vector<8xf32>, %n: index, %scratch: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<32xf32>
  vector.store %v, %a[%c0] : memref<32xf32>, vector<8xf32>
  scf.for %i = %c0 to %n step %c1 {
    %x = vector.load %a[%c0] : memref<32xf32>, vector<8xf32>
    %b = memref.alloc() : memref<32xf32>
    vector.store %x, %b[%c0] : memref<32xf32>, vector<8xf32>
  }
  return
}

// -----

// expected-error @below {{function with buffers expects scratch memory of type memref<?xi8> as its last argument}}
func.func @nowhere() {
  %a = memref.alloc() : memref<32xf32>
  memref.dealloc %a : memref<32xf32>
  return
}

// -----

func.func @dynamic(%n: index, %scratch: memref<?xi8>) {
  // expected-error @below {{expected a buffer of integers or floats and of static shape, got 'memref<?xf32>'}}
  %a = memref.alloc(%n) : memref<?xf32>
  return
}

// -----

func.func @indices(%scratch: memref<?xi8>) {
  // expected-error @below {{expected a buffer of integers or floats and of static shape, got 'memref<4xindex>'}}
  %a = memref.alloc() : memref<4xindex>
  return
}

// -----

func.func @blocks(%v: f32, %scratch: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  // expected-error @below {{buffer is used in another block of its region}}
  %a = memref.alloc() : memref<4xf32>
  llvm.br ^next
^next:
  memref.store %v, %a[%c0] : memref<4xf32>
  return
}
