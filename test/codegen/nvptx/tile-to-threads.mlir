// RUN: transxssm-opt %s --tile-to-threads --cse --canonicalize --split-input-file | FileCheck %s

// Four rows of 64 in one warp: eight threads a row, four columns each, and 32
// columns on the next four. The maximum needs no shared memory.
// CHECK-LABEL: func.func @normalise(%arg0: !llvm.ptr<1>, %arg1: !llvm.ptr<1>, %arg2: i64, %arg3: i64)
// CHECK-SAME:  tile.threads = 32
// CHECK-NOT:   memref.alloc
// CHECK-COUNT-2: "mov.b32 $0, 0; mov.b32 $1, 0; mov.b32 $2, 0; mov.b32 $3, 0; @$5 ld.global.v4.b32 {$0, $1, $2, $3}, [$4];"
// CHECK-COUNT-7: arith.maximumf
// CHECK:       %[[OTHER:.*]] = llvm.call_intrinsic "llvm.nvvm.shfl.sync.bfly.f32"(%{{.*}}, %[[OWN:.*]], %c1_i32
// CHECK:       arith.maximumf %[[OWN]], %[[OTHER]]
// CHECK:       llvm.nvvm.shfl.sync.bfly.f32"(%{{.*}}, %{{.*}}, %c2_i32
// CHECK:       llvm.nvvm.shfl.sync.bfly.f32"(%{{.*}}, %{{.*}}, %c4_i32
// CHECK-NOT:   llvm.nvvm.shfl
// CHECK-COUNT-8: arith.subf
// CHECK-COUNT-2: "@$1 st.global.v4.b32 [$0], {$2, $3, $4, $5};"
tile.kernel @normalise(%x: memref<?x64xf32>, %y: memref<?x64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %four = arith.constant 4 : index
  %row = arith.muli %i, %four : index
  %t = tile.load %x[%row, %zero] over [0, 1] : memref<?x64xf32> -> tensor<4x64xf32>
  %s = tile.reduce max %t along 1 : tensor<4x64xf32> -> tensor<4xf32>
  %m = tile.broadcast %s along [0] : tensor<4xf32> -> tensor<4x64xf32>
  %d = arith.subf %t, %m : tensor<4x64xf32>
  tile.store %d, %y[%row, %zero] over [0, 1] : tensor<4x64xf32>, memref<?x64xf32>
}

// -----

// Memory whose length is not known: wide accesses where the block is inside,
// else also, but for elements behind the last sixteen bytes.
// CHECK-LABEL: func.func @flat
// CHECK:       %[[INSIDE:.*]] = arith.cmpi sle
// CHECK:       scf.if %[[INSIDE]]
// CHECK:         llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK:       } else {
// CHECK:         @$5 ld.global.v4.b32
// CHECK-COUNT-3: @$2 ld.global.b32 $0, [$1];
// CHECK:       scf.if
// CHECK:         llvm.store %{{.*}} {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<1>
// CHECK:       } else {
// CHECK:         st.global.v4.b32
// CHECK-COUNT-3: st.global.b32
tile.kernel @flat(%x: memref<?xf32>, %y: memref<?xf32>) grid(%i) {
  %size = arith.constant 128 : index
  %first = arith.muli %i, %size : index
  %t = tile.load %x[%first] over [0] : memref<?xf32> -> tensor<128xf32>
  %n = arith.negf %t : tensor<128xf32>
  tile.store %n, %y[%first] over [0] : tensor<128xf32>, memref<?xf32>
}

// -----

// Operands of a product pass through shared memory, four k at a time; rows have
// a pad of 16 bytes after every four.
// CHECK-LABEL: func.func @product
// CHECK-COUNT-2: memref.alloc() : memref<272xf32, 3>
// CHECK:       scf.for %{{.*}} = %c0 to %c16 step %c4 iter_args
// CHECK:         vector.load %{{.*}} : memref<272xf32, 3>, vector<4xf32>
// CHECK:         math.fma
tile.kernel @product(%a: memref<16x16xf32>, %b: memref<16x16xf32>, %c: memref<16x16xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %start = arith.constant dense<0.0> : tensor<16x16xf32>
  %l = tile.load %a[%zero, %zero] over [0, 1] : memref<16x16xf32> -> tensor<16x16xf32>
  %r = tile.load %b[%zero, %zero] over [0, 1] : memref<16x16xf32> -> tensor<16x16xf32>
  %p = tile.mma %l, %r, %start {transpose_rhs} : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>
  tile.store %p, %c[%zero, %zero] over [0, 1] : tensor<16x16xf32>, memref<16x16xf32>
}

// -----

// The operands of a product in a loop are copied ahead: three stages before the
// loop, of the four that the ring has (2304 elements each, with sixteen bytes
// after every two rows); then one in each iteration, after a wait and a barrier.
// CHECK-LABEL: func.func @ahead
// CHECK:       %[[RING:.*]] = memref.alloc() : memref<9216xbf16, 3>
// CHECK:       memref.alloc() : memref<9216xbf16, 3>
// CHECK-NOT:   memref.alloc
// CHECK:       llvm.nvvm.cp.async.cg.shared.global.16.s"{{.*}} {tile.copy, tile.group = [[FIRST:[0-9]+]] : i64, tile.ring = 0 : i64}
// CHECK:       cp.async.commit.group
// CHECK:       cp.async.commit.group
// CHECK:       cp.async.commit.group
// CHECK-NOT:   cp.async
// CHECK:       scf.for
// CHECK-NEXT:    llvm.call_intrinsic "llvm.nvvm.cp.async.wait.group"(%c2_i32)
// CHECK-NEXT:    llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.aligned.all"
// CHECK:         scf.if
// CHECK-COUNT-2:   llvm.nvvm.cp.async.cg.shared.global.16
// CHECK:         cp.async.commit.group
// CHECK-NOT:     cp.async
// CHECK:         llvm.nvvm.ldmatrix{{.*}}tile.ring = 0 : i64
tile.kernel @ahead(%a: memref<?x256xbf16>, %b: memref<64x256xbf16>, %c: memref<?x64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %step = arith.constant 32 : index
  %end = arith.constant 256 : index
  %rows = arith.constant 64 : index
  %row = arith.muli %i, %rows : index
  %start = arith.constant dense<0.0> : tensor<64x64xf32>
  %sum = scf.for %k = %zero to %end step %step iter_args(%s = %start) -> tensor<64x64xf32> {
    %l = tile.load %a[%row, %k] over [0, 1] : memref<?x256xbf16> -> tensor<64x32xbf16>
    %r = tile.load %b[%zero, %k] over [0, 1] : memref<64x256xbf16> -> tensor<64x32xbf16>
    %p = tile.mma %l, %r, %s {transpose_rhs} : tensor<64x32xbf16>, tensor<64x32xbf16>, tensor<64x64xf32>
    scf.yield %p : tensor<64x64xf32>
  }
  tile.store %sum, %c[%row, %zero] over [0, 1] : tensor<64x64xf32>, memref<?x64xf32>
}

// -----

// A thread of this layout holds both elements of each pair, 32 columns apart,
// and loads their lines of the tables to where it needs them: nothing passes
// through shared memory.
// CHECK-LABEL: func.func @turn
// CHECK-NOT:   memref.alloc
// CHECK:       arith.mulf
// CHECK-NOT:   memref.alloc
// CHECK:       return
tile.kernel @turn(%x: memref<64x64xf32>, %c: memref<64x32xf32>, %s: memref<64x32xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %t = tile.load %x[%zero, %zero] over [0, 1] : memref<64x64xf32> -> tensor<64x64xf32>
  %cos = tile.load %c[%zero, %zero] over [0, 1] : memref<64x32xf32> -> tensor<64x32xf32>
  %sin = tile.load %s[%zero, %zero] over [0, 1] : memref<64x32xf32> -> tensor<64x32xf32>
  %r = tile.rope %t, %cos, %sin : tensor<64x64xf32>, tensor<64x32xf32>
  tile.store %r, %x[%zero, %zero] over [0, 1] : tensor<64x64xf32>, memref<64x64xf32>
}

// -----

// Of an accumulator a thread has two columns of bf16 beside each other. Two
// exchanges with other lanes bring it eight, which it stores at once.
// CHECK-LABEL: func.func @accumulator
// CHECK-COUNT-8: "llvm.nvvm.shfl.sync.bfly.i32"
// CHECK-NOT:   shfl
// CHECK-COUNT-2: llvm.store %{{.*}} {alignment = 16 : i64} : vector<8xbf16>, !llvm.ptr<1>
// CHECK-NOT:   llvm.store
tile.kernel @accumulator(%x: memref<16x16xbf16>, %y: memref<32x16xbf16>, %z: memref<16x32xbf16>) grid(%i) {
  %zero = arith.constant 0 : index
  %sums = arith.constant dense<0.0> : tensor<16x32xf32>
  %a = tile.load %x[%zero, %zero] over [0, 1] : memref<16x16xbf16> -> tensor<16x16xbf16>
  %b = tile.load %y[%zero, %zero] over [0, 1] : memref<32x16xbf16> -> tensor<32x16xbf16>
  %c = tile.mma %a, %b, %sums {transpose_rhs} : tensor<16x16xbf16>, tensor<32x16xbf16>, tensor<16x32xf32>
  %d = arith.truncf %c : tensor<16x32xf32> to tensor<16x32xbf16>
  tile.store %d, %z[%zero, %zero] over [0, 1] : tensor<16x32xbf16>, memref<16x32xbf16>
}

// -----

// A vector whose elements are not next to each other in memory: neighbours go
// to neighbouring lanes, the upper half of 64 to second registers.
// CHECK-LABEL: func.func @apart
// CHECK:       %[[TID:.*]] = arith.index_castui
// CHECK:       %[[APART:.*]] = arith.muli %[[TID]], %c2
// CHECK:       llvm.getelementptr
// CHECK:       %[[SECOND:.*]] = arith.addi %[[APART]], %c64
tile.kernel @apart(%x: memref<64x2xf32>, %y: memref<64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %t = tile.load %x[%zero, %zero] over [0] : memref<64x2xf32> -> tensor<64xf32>
  %n = arith.negf %t : tensor<64xf32>
  tile.store %n, %y[%zero] over [0] : tensor<64xf32>, memref<64xf32>
}

// -----

// A tile that is loaded to be transposed to an accumulator lies as that does,
// and so does one that is transposed to be stored: eight lanes have 32 bytes of
// a row, and no float32 passes through shared memory.
// CHECK-LABEL: func.func @turned
// CHECK-NOT:   memref<{{[0-9]+}}xf32, 3>
// CHECK:       llvm.nvvm.mma.m16n8k16
// CHECK-NOT:   memref<{{[0-9]+}}xf32, 3>
// CHECK:       return
tile.kernel @turned(%s: memref<16x32xf32>, %x: memref<32x16xbf16>, %y: memref<16x16xbf16>) grid(%i) {
  %zero = arith.constant 0 : index
  %t = tile.load %s[%zero, %zero] over [0, 1] : memref<16x32xf32> -> tensor<16x32xf32>
  %sums = tile.transpose %t : tensor<16x32xf32> -> tensor<32x16xf32>
  %a = tile.load %x[%zero, %zero] over [0, 1] : memref<32x16xbf16> -> tensor<32x16xbf16>
  %b = tile.load %y[%zero, %zero] over [0, 1] : memref<16x16xbf16> -> tensor<16x16xbf16>
  %c = tile.mma %a, %b, %sums : tensor<32x16xbf16>, tensor<16x16xbf16>, tensor<32x16xf32>
  %d = tile.transpose %c : tensor<32x16xf32> -> tensor<16x32xf32>
  tile.store %d, %s[%zero, %zero] over [0, 1] : tensor<16x32xf32>, memref<16x32xf32>
}

// -----

// Rows of 33 elements begin in the middle of sectors: three exchanges bring all
// 32 columns of a row to the 32 lanes, which store them at once.
// CHECK-LABEL: func.func @odd
// CHECK-COUNT-24: "llvm.nvvm.shfl.sync.bfly.f32"
// CHECK-NOT:   shfl
// CHECK-COUNT-16: llvm.store %{{.*}} {alignment = 4 : i64} : vector<1xf32>, !llvm.ptr<1>
// CHECK-NOT:   llvm.store
tile.kernel @odd(%x: memref<16x16xbf16>, %y: memref<32x16xbf16>, %z: memref<16x33xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %sums = arith.constant dense<0.0> : tensor<16x32xf32>
  %a = tile.load %x[%zero, %zero] over [0, 1] : memref<16x16xbf16> -> tensor<16x16xbf16>
  %b = tile.load %y[%zero, %zero] over [0, 1] : memref<32x16xbf16> -> tensor<32x16xbf16>
  %c = tile.mma %a, %b, %sums {transpose_rhs} : tensor<16x16xbf16>, tensor<32x16xbf16>, tensor<16x32xf32>
  tile.store %c, %z[%zero, %zero] over [0, 1] : tensor<16x32xf32>, memref<16x33xf32>
}

// -----

// Eight warps need all of a vector whose elements lie apart: it is loaded once,
// an element to a thread, and goes on through shared memory. The sums of rows,
// which lie apart as well, are stored in one access, though a thread has two.
// CHECK-LABEL: func.func @once
// CHECK-SAME:  tile.threads = 256
// CHECK-COUNT-1: ld.global.b32
// CHECK-NOT:   ld.global
// CHECK:       memref.alloc() : memref<64xf32, 3>
// CHECK-COUNT-2: vector.load %{{.*}} : memref<64xf32, 3>, vector<4xf32>
// CHECK-COUNT-1: st.global.b32
// CHECK-NOT:   st.global
tile.kernel @once(%x: memref<64x2xf32>, %y: memref<64x2xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %t = tile.load %x[%zero, %zero] over [0] : memref<64x2xf32> -> tensor<64xf32>
  %m = tile.broadcast %t along [1] : tensor<64xf32> -> tensor<64x64xf32>
  %row = tile.iota 0 : tensor<64x64xi32>
  %r = arith.sitofp %row : tensor<64x64xi32> to tensor<64x64xf32>
  %p = arith.mulf %m, %r : tensor<64x64xf32>
  %s = tile.reduce sum %p along 1 : tensor<64x64xf32> -> tensor<64xf32>
  tile.store %s, %y[%zero, %zero] over [0] : tensor<64xf32>, memref<64x2xf32>
}

// -----

// Two warps have eight columns each of a row of 16, half a sector: the tile goes
// through shared memory, and a thread stores sixteen bytes beside its neighbour.
// CHECK-LABEL: func.func @halves
// CHECK-SAME:  tile.threads = 256
// CHECK:       llvm.nvvm.mma.m16n8k16
// CHECK:       vector.store %{{.*}} : memref<1152xbf16, 3>, vector<2xbf16>
// CHECK:       vector.load %{{.*}} : memref<1152xbf16, 3>, vector<8xbf16>
// CHECK-COUNT-1: st.global.v4.b32
// CHECK-NOT:   st.global
tile.kernel @halves(%x: memref<64x64xbf16>, %y: memref<64x16xbf16>, %z: memref<64x16xbf16>) grid(%i) {
  %zero = arith.constant 0 : index
  %sums = arith.constant dense<0.0> : tensor<64x16xf32>
  %a = tile.load %x[%zero, %zero] over [0, 1] : memref<64x64xbf16> -> tensor<64x64xbf16>
  %b = tile.load %y[%zero, %zero] over [0, 1] : memref<64x16xbf16> -> tensor<64x16xbf16>
  %c = tile.mma %a, %b, %sums : tensor<64x64xbf16>, tensor<64x16xbf16>, tensor<64x16xf32>
  %d = arith.truncf %c : tensor<64x16xf32> to tensor<64x16xbf16>
  tile.store %d, %z[%zero, %zero] over [0, 1] : tensor<64x16xbf16>, memref<64x16xbf16>
}
