// RUN: transxssm-opt %s --assign-shared-memory | FileCheck %s

// CHECK: llvm.mlir.global external @shared_memory() {addr_space = 3 : i32, alignment = 1024 : i64}

// Operands of wgmma begin at multiples of 1,024 bytes; what finally uses an
// address knows the bytes of all its buffers.
// CHECK-LABEL: func.func @aligned
// CHECK-SAME:  tile.shared_bytes = 5120 : i64
// CHECK:       tile.bytes = array<i64: 0, 2304, 3072, 5120>
func.func @aligned(%v: vector<4xf32>) {
  %c0 = arith.constant 0 : index
  %four = llvm.mlir.constant(4 : i64) : i64
  %a = memref.alloc() : memref<576xf32, 3>
  %b = memref.alloc() {alignment = 1024 : i64} : memref<1024xbf16, 3>
  %pb = builtin.unrealized_conversion_cast %b : memref<1024xbf16, 3> to !llvm.ptr<3>
  %pa = builtin.unrealized_conversion_cast %a : memref<576xf32, 3> to !llvm.ptr<3>
  %ib = llvm.ptrtoint %pb : !llvm.ptr<3> to i64
  %ia = llvm.ptrtoint %pa : !llvm.ptr<3> to i64
  %db = llvm.lshr %ib, %four : i64
  %da = llvm.lshr %ia, %four : i64
  llvm.inline_asm has_side_effects "use $0 $1", "l,l" %db, %da : (i64, i64) -> ()
  return
}

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

// A pipe lives until its consumers, the first region, have used it; what comes
// behind gets its bytes.
// CHECK-LABEL: func.func @pipe
// CHECK-SAME:  tile.shared_bytes = 128 : i64
func.func @pipe(%v: vector<4xf32>, %consumes: i1) {
  %c0 = arith.constant 0 : index
  %a = memref.alloc() {tile.pipe} : memref<32xf32, 3>
  scf.if %consumes {
    // CHECK: llvm.load {{.*}} tile.bytes = array<i64: 0, 128>
    %x = vector.load %a[%c0] : memref<32xf32, 3>, vector<4xf32>
    %b = memref.alloc() : memref<32xf32, 3>
    // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 0, 128>
    vector.store %x, %b[%c0] : memref<32xf32, 3>, vector<4xf32>
  } else {
    // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 0, 128>
    vector.store %v, %a[%c0] : memref<32xf32, 3>, vector<4xf32>
  }
  return
}

// Blocks take one of the branches, whose buffers may have the same bytes though
// the pipe lives from the start; the third one is used by both kinds.
// CHECK-LABEL: func.func @branches
// CHECK-SAME:  tile.shared_bytes = 256 : i64
func.func @branches(%v: vector<4xf32>, %consumes: i1, %inside: i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %block = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.ctaid.z"() : () -> i32
  %z = arith.index_castui %block : i32 to index
  %first = arith.cmpi eq, %z, %c0 : index
  %second = arith.cmpi eq, %z, %c1 : index
  %also = arith.andi %second, %inside : i1
  %a = memref.alloc() {tile.pipe} : memref<32xf32, 3>
  %c = memref.alloc() : memref<32xf32, 3>
  scf.if %consumes {
    scf.if %first {
      %b = memref.alloc() : memref<32xf32, 3>
      // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 0, 128>
      vector.store %v, %b[%c0] : memref<32xf32, 3>, vector<4xf32>
      // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 128, 256>
      vector.store %v, %c[%c0] : memref<32xf32, 3>, vector<4xf32>
    }
    scf.if %also {
      // CHECK: llvm.load {{.*}} tile.bytes = array<i64: 0, 128>
      %x = vector.load %a[%c0] : memref<32xf32, 3>, vector<4xf32>
      // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 128, 256>
      vector.store %x, %c[%c0] : memref<32xf32, 3>, vector<4xf32>
    }
  } else {
    scf.if %also {
      // CHECK: llvm.store {{.*}} tile.bytes = array<i64: 0, 128>
      vector.store %v, %a[%c0] : memref<32xf32, 3>, vector<4xf32>
    }
  }
  return
}

// A number that threads may not share decides nothing.
// CHECK-LABEL: func.func @other_branches
// CHECK-SAME:  tile.shared_bytes = 256 : i64
func.func @other_branches(%v: vector<4xf32>, %z: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %first = arith.cmpi eq, %z, %c0 : index
  %second = arith.cmpi eq, %z, %c1 : index
  %a = memref.alloc() : memref<32xf32, 3>
  %b = memref.alloc() : memref<32xf32, 3>
  scf.if %first {
    vector.store %v, %a[%c0] : memref<32xf32, 3>, vector<4xf32>
  }
  scf.if %second {
    vector.store %v, %b[%c0] : memref<32xf32, 3>, vector<4xf32>
  }
  return
}
