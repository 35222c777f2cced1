// RUN: transxssm-opt %s --tile-to-loops --canonicalize --cse | FileCheck %s
// RUN: transxssm-opt %s --tile-to-loops=vector-bits=512 --canonicalize --cse \
// RUN:   | FileCheck %s --check-prefix=WIDE

// A chain of elementwise operations is one nest without a buffer, in a loop over
// the cells of a range.
// CHECK-LABEL: func.func @fused
// CHECK-SAME:  %[[FIRST:[a-z0-9]+]]: index, %[[LAST:[a-z0-9]+]]: index,
// CHECK-NOT:   memref.alloc
// CHECK:       scf.for %{{.*}} = %[[FIRST]] to %[[LAST]]
// CHECK:       scf.for
// CHECK:         scf.for
// CHECK:           %[[X:.*]] = vector.load
// CHECK-SAME:        vector<8xf32>
// CHECK:           %[[A:.*]] = arith.mulf %[[X]], %[[X]] : vector<8xf32>
// CHECK:           %[[E:.*]] = math.exp %[[A]] : vector<8xf32>
// CHECK:           %[[S:.*]] = arith.addf %[[E]], %[[X]] : vector<8xf32>
// CHECK:           vector.store %[[S]]
// CHECK-NOT:   scf.for
// CHECK:       return
// WIDE-LABEL:  func.func @fused
// WIDE:        math.exp {{.*}} : vector<16xf32>
tile.kernel @fused(%x: memref<64x32xf32>, %y: memref<64x32xf32>) grid(%i) {
  %n = arith.constant 16 : index
  %c0 = arith.constant 0 : index
  %r = arith.muli %i, %n : index
  %t = tile.load %x[%r, %c0] over [0, 1] : memref<64x32xf32> -> tensor<16x32xf32>
  %a = arith.mulf %t, %t : tensor<16x32xf32>
  %e = math.exp %a : tensor<16x32xf32>
  %s = arith.addf %e, %t : tensor<16x32xf32>
  tile.store %s, %y[%r, %c0] over [0, 1] : tensor<16x32xf32>, memref<64x32xf32>
}

// The accumulator of a loop has one buffer, which the product updates in place:
// no copy, and no other buffer of its shape.
// CHECK-LABEL: func.func @carried
// CHECK:       scf.for
// CHECK:       %[[ACC:.*]] = memref.alloc() : memref<12x16xf32>
// CHECK-NOT:   memref<12x16xf32>
// CHECK:       scf.for
// CHECK-NOT:     memref.alloc() : memref<12x16xf32>
// CHECK:         vector.load %[[ACC]]
// CHECK:         math.fma
// CHECK:         vector.store {{.*}}, %[[ACC]]
// CHECK-NOT:     memref.copy
// CHECK:       return
tile.kernel @carried(%a: memref<12x64xf32>, %b: memref<64x16xf32>, %y: memref<12x16xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %one = arith.constant dense<1.0> : tensor<12x16xf32>
  %s = scf.for %k = %c0 to %c64 step %c32 iter_args(%acc = %one) -> (tensor<12x16xf32>) {
    %a0 = tile.load %a[%c0, %k] over [0, 1] : memref<12x64xf32> -> tensor<12x32xf32>
    %b0 = tile.load %b[%k, %c0] over [0, 1] : memref<64x16xf32> -> tensor<32x16xf32>
    %n = tile.mma %a0, %b0, %acc : tensor<12x32xf32>, tensor<32x16xf32>, tensor<12x16xf32>
    scf.yield %n : tensor<12x16xf32>
  }
  tile.store %s, %y[%c0, %c0] over [0, 1] : tensor<12x16xf32>, memref<12x16xf32>
}

// Rows and columns that may lie outside: loads are masked, stores are cut.
// CHECK-LABEL: func.func @edge
// CHECK:       vector.create_mask
// CHECK:       vector.maskedload
// CHECK:       vector.store
tile.kernel @edge(%x: memref<?x?xf32>, %y: memref<?x?xf32>) grid(%i) {
  %n = arith.constant 16 : index
  %c0 = arith.constant 0 : index
  %r = arith.muli %i, %n : index
  %t = tile.load %x[%r, %c0] over [0, 1] : memref<?x?xf32> -> tensor<16x32xf32>
  tile.store %t, %y[%r, %c0] over [0, 1] : tensor<16x32xf32>, memref<?x?xf32>
}

// Nothing to mask where the grid's step divides the memory.
// CHECK-LABEL: func.func @inside
// CHECK-NOT:   maskedload
// CHECK:       return
tile.kernel @inside(%x: memref<64x32xf32>, %y: memref<64x32xf32>) grid(%i, %j) {
  %n = arith.constant 16 : index
  %r = arith.muli %i, %n : index
  %c = arith.muli %j, %n : index
  %t = tile.load %x[%r, %c] over [0, 1] : memref<64x32xf32> -> tensor<16x16xf32>
  tile.store %t, %y[%r, %c] over [0, 1] : tensor<16x16xf32>, memref<64x32xf32>
}

// A step of a flat walk: stores share a nest without buffers, which reads whole
// vectors without masks; what is left at the end of memory goes one by one.
// CHECK-LABEL: func.func @walk
// CHECK-NOT:   memref.alloc
// CHECK-NOT:   create_mask
// CHECK:       %[[REST:.*]] = arith.remui
// CHECK-NEXT:  %[[INSIDE:.*]] = arith.subi %{{.*}}, %[[REST]]
// CHECK-NEXT:  scf.for %{{.*}} = %{{.*}} to %[[INSIDE]]
// CHECK:         vector.load %[[M:arg[0-9]+]]
// CHECK:         vector.load %[[P:arg[0-9]+]]
// CHECK:         vector.store {{.*}}, %[[M]]
// CHECK:         vector.store {{.*}}, %[[P]]
// CHECK:       scf.for %{{.*}} = %[[INSIDE]] to
// CHECK:         memref.store {{.*}}, %[[M]]
// CHECK:         memref.store {{.*}}, %[[P]]
// CHECK-NOT:   scf.for
// CHECK:       return
tile.kernel @walk(%m: memref<?xf32>, %p: memref<?xf32>) grid(%i) {
  %n = arith.constant 512 : index
  %r = arith.muli %i, %n : index
  %m0 = tile.load %m[%r] over [0] : memref<?xf32> -> tensor<512xf32>
  %m1 = arith.addf %m0, %m0 : tensor<512xf32>
  %p0 = tile.load %p[%r] over [0] : memref<?xf32> -> tensor<512xf32>
  %p1 = arith.subf %p0, %m1 : tensor<512xf32>
  tile.store %m1, %m[%r] over [0] : tensor<512xf32>, memref<?xf32>
  tile.store %p1, %p[%r] over [0] : tensor<512xf32>, memref<?xf32>
}

// The weights do not depend on the innermost coordinate: two steps of them have
// a place each, which outlives the cell, and are copied by whichever cell finds
// its step unmarked. A cell that is alone uses the first place for all steps.
// CHECK-LABEL: func.func @shared
// CHECK-SAME:  %[[FIRST:[a-z0-9]+]]: index, %[[LAST:[a-z0-9]+]]: index, %{{[a-z0-9]+}}: index, %{{[a-z0-9]+}}: memref<?xi8>
// CHECK:       %[[PANELS:.*]] = memref.alloc() : memref<2x65x16xf32>
// CHECK:       %[[MARKS:.*]] = memref.alloc() : memref<2xi32>
// CHECK:       %[[NEXT:.*]] = arith.addi %[[FIRST]]
// CHECK:       %[[SEVERAL:.*]] = arith.cmpi slt, %[[NEXT]], %[[LAST]]
// CHECK:       %[[SPARE:.*]] = arith.select %[[SEVERAL]]
// CHECK:       scf.for %{{.*}} = %[[FIRST]] to %[[LAST]]
// CHECK:         scf.for
// CHECK:           %[[SLOT:.*]] = arith.minui %{{.*}}, %[[SPARE]]
// CHECK:           memref.load %[[MARKS]][%[[SLOT]]]
// CHECK:           scf.if
// CHECK:             vector.store %{{.*}}, %[[PANELS]]
// CHECK:             memref.store %{{.*}}, %[[MARKS]][%[[SLOT]]]
// CHECK:           math.fma
tile.kernel @shared(%a: memref<?x128xf32>, %b: memref<128x64xf32>, %y: memref<?x64xf32>) grid(%i, %j) {
  %c0 = arith.constant 0 : index
  %c12 = arith.constant 12 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %m = arith.muli %i, %c12 : index
  %n = arith.muli %j, %c16 : index
  %zero = arith.constant dense<0.0> : tensor<12x16xf32>
  %s = scf.for %k = %c0 to %c128 step %c64 iter_args(%acc = %zero) -> (tensor<12x16xf32>) {
    %a0 = tile.load %a[%m, %k] over [0, 1] : memref<?x128xf32> -> tensor<12x64xf32>
    %b0 = tile.load %b[%k, %n] over [0, 1] : memref<128x64xf32> -> tensor<64x16xf32>
    %next = tile.mma %a0, %b0, %acc : tensor<12x64xf32>, tensor<64x16xf32>, tensor<12x16xf32>
    scf.yield %next : tensor<12x16xf32>
  }
  tile.store %s, %y[%m, %n] over [0, 1] : tensor<12x16xf32>, memref<?x64xf32>
}

// What a cell writes itself is not shared.
// CHECK-LABEL: func.func @written
// CHECK-NOT:   xi32>
// CHECK:       return
tile.kernel @written(%a: memref<?x16xf32>, %b: memref<16x16xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %c12 = arith.constant 12 : index
  %m = arith.muli %i, %c12 : index
  %zero = arith.constant dense<0.0> : tensor<12x16xf32>
  %a0 = tile.load %a[%m, %c0] over [0, 1] : memref<?x16xf32> -> tensor<12x16xf32>
  %b0 = tile.load %b[%c0, %c0] over [0, 1] : memref<16x16xf32> -> tensor<16x16xf32>
  %s = tile.mma %a0, %b0, %zero : tensor<12x16xf32>, tensor<16x16xf32>, tensor<12x16xf32>
  tile.store %s, %b[%c0, %c0] over [0, 1] : tensor<12x16xf32>, memref<16x16xf32>
}

// Cells of a range may begin at different multiples of the step: slots are
// counted from zero, not from where a cell begins.
// CHECK-LABEL: func.func @triangle
// CHECK:       %[[MARKS:.*]] = memref.alloc() : memref<64xi32>
// CHECK:       %[[FIRST:.*]] = arith.muli %{{.*}}, %[[C16:.*]] : index
// CHECK:       scf.for %[[K:[a-z0-9]+]] = %[[FIRST]] to %{{.*}} step %[[C16]]
// CHECK:         %[[STEP:.*]] = arith.divui %[[K]], %[[C16]]
// CHECK:         %[[SLOT:.*]] = arith.minui %[[STEP]]
// CHECK:         memref.load %[[MARKS]][%[[SLOT]]]
tile.kernel @triangle(%a: memref<?x16xf32>, %b: memref<?x16xf32>, %y: memref<?x16xf32>, %end: index) grid(%i) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %m = arith.muli %i, %c16 : index
  %zero = arith.constant dense<0.0> : tensor<16x16xf32>
  %a0 = tile.load %a[%m, %c0] over [0, 1] : memref<?x16xf32> -> tensor<16x16xf32>
  %s = scf.for %k = %m to %end step %c16 iter_args(%acc = %zero) -> (tensor<16x16xf32>) {
    %b0 = tile.load %b[%k, %c0] over [0, 1] : memref<?x16xf32> -> tensor<16x16xf32>
    %next = tile.mma %a0, %b0, %acc : tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>
    scf.yield %next : tensor<16x16xf32>
  }
  tile.store %s, %y[%m, %c0] over [0, 1] : tensor<16x16xf32>, memref<?x16xf32>
}

// A transcendental function is made of two vectors at a time.
// CHECK-LABEL: func.func @function
// CHECK:       math.exp %{{.*}} : vector<16xf32>
tile.kernel @function(%x: memref<4x32xf32>, %y: memref<4xf32>, %z: memref<4xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] over [0, 1] : memref<4x32xf32> -> tensor<4x32xf32>
  %e = math.exp %t : tensor<4x32xf32>
  %sum = tile.reduce sum %e along 1 : tensor<4x32xf32> -> tensor<4xf32>
  %max = tile.reduce max %e along 1 : tensor<4x32xf32> -> tensor<4xf32>
  tile.store %sum, %y[%c0] over [0] : tensor<4xf32>, memref<4xf32>
  tile.store %max, %z[%c0] over [0] : tensor<4xf32>, memref<4xf32>
}

// One query against the keys of one head, which lie among those of others:
// memory is asked for them ahead. Keys beyond the end are not read, nor is a
// mask made for each of the others; their scores are zero.
// CHECK-LABEL: func.func @fragments
// CHECK-NOT:   maskedload
// CHECK:       %[[LEFT:.*]] = arith.minsi
// CHECK:       scf.for %{{.*}} = %[[LEFT]] to
// CHECK:         memref.store %{{.*}} : memref<1x64xf32>
// CHECK:       scf.for %{{.*}} to %[[LEFT]] step
// CHECK-NOT:     maskedload
// CHECK:         memref.prefetch
// CHECK-NOT:     maskedload
// CHECK:         math.fma
tile.kernel @fragments(%q: memref<1x32xf32>, %k: memref<?x4x32xf32>, %y: memref<1x64xf32>, %h: index) grid(%i) {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %m = arith.muli %i, %c64 : index
  %zero = arith.constant dense<0.0> : tensor<1x64xf32>
  %a = tile.load %q[%c0, %c0] over [0, 1] : memref<1x32xf32> -> tensor<1x32xf32>
  %b = tile.load %k[%m, %h, %c0] over [0, 2] : memref<?x4x32xf32> -> tensor<64x32xf32>
  %s = tile.mma %a, %b, %zero {transpose_rhs} : tensor<1x32xf32>, tensor<64x32xf32>, tensor<1x64xf32>
  tile.store %s, %y[%c0, %c0] over [0, 1] : tensor<1x64xf32>, memref<1x64xf32>
}

// One row of A: four rows of the weights at a time, a quarter of them apart.
// CHECK-LABEL: func.func @dot
// CHECK-DAG:     %[[FIVE:.*]] = arith.constant 5 : index
// CHECK-DAG:     %[[TEN:.*]] = arith.constant 10 : index
// CHECK-DAG:     %[[FIFTEEN:.*]] = arith.constant 15 : index
// CHECK:         scf.for %[[N:.*]] = %{{.*}} to %[[FIVE]]
// CHECK:           arith.addi %[[N]], %[[FIVE]]
// CHECK:           arith.addi %[[N]], %[[TEN]]
// CHECK:           arith.addi %[[N]], %[[FIFTEEN]]
// CHECK:           scf.for
// CHECK-COUNT-8:     math.fma
// CHECK-NOT:         math.fma
// CHECK:         scf.for %{{.*}} to %{{.*}} step
tile.kernel @dot(%x: memref<1x64xf32>, %w: memref<22x64xf32>, %y: memref<1x22xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<1x22xf32>
  %a = tile.load %x[%c0, %c0] over [0, 1] : memref<1x64xf32> -> tensor<1x64xf32>
  %b = tile.load %w[%c0, %c0] over [0, 1] : memref<22x64xf32> -> tensor<22x64xf32>
  %s = tile.mma %a, %b, %zero {transpose_rhs} : tensor<1x64xf32>, tensor<22x64xf32>, tensor<1x22xf32>
  tile.store %s, %y[%c0, %c0] over [0, 1] : tensor<1x22xf32>, memref<1x22xf32>
}

// A lower triangle, as the weights of the scan's chunks are: what is above the
// diagonal is neither multiplied nor made. Of the result of which the triangle is
// read, blocks above the diagonal have no k; of rows of the triangle as an
// operand, a block has k up to its last row, and makes what it starts with.
// CHECK-LABEL: func.func @causal
// CHECK:       %[[ABOVE:.*]] = arith.cmpi sge, %{{.*}} : index
// CHECK-NEXT:  %[[END:.*]] = arith.select %[[ABOVE]], %c0, %c16 : index
// CHECK-NEXT:  scf.for %{{.*}} = %c0 to %[[END]] step %c2 iter_args
// CHECK:       %[[COPIED:.*]] = arith.minui %{{.*}}, %c32
// CHECK-NEXT:  scf.for %{{.*}} = %c0 to %[[COPIED]] step %c16
// CHECK:         math.exp
// CHECK:       scf.for %[[ROW:.*]] = %c0 to %c24 step %c6
// CHECK:         %[[FIRST:.*]] = arith.mulf
// CHECK:         %[[LAST:.*]] = arith.minsi %{{.*}}, %c32
// CHECK-NEXT:    scf.for %{{.*}} = %c0 to %[[LAST]] step %c2 iter_args(%{{.*}} = %[[FIRST]],
tile.kernel @causal(%a: memref<32x16xf32>, %b: memref<32x16xf32>, %d: memref<32x32xf32>, %y: memref<32x16xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %a0 = tile.load %a[%c0, %c0] over [0, 1] : memref<32x16xf32> -> tensor<32x16xf32>
  %b0 = tile.load %b[%c0, %c0] over [0, 1] : memref<32x16xf32> -> tensor<32x16xf32>
  %d0 = tile.load %d[%c0, %c0] over [0, 1] : memref<32x32xf32> -> tensor<32x32xf32>
  %none = arith.constant dense<0.0> : tensor<32x32xf32>
  %s = tile.mma %a0, %b0, %none {transpose_rhs} : tensor<32x16xf32>, tensor<32x16xf32>, tensor<32x32xf32>
  %rows = tile.iota 0 : tensor<32x32xi32>
  %columns = tile.iota 1 : tensor<32x32xi32>
  %seen = arith.cmpi sge, %rows, %columns : tensor<32x32xi32>
  %low = arith.constant dense<-1.0e30> : tensor<32x32xf32>
  %masked = arith.select %seen, %d0, %low : tensor<32x32xi1>, tensor<32x32xf32>
  %l = math.exp %masked : tensor<32x32xf32>
  %w = arith.mulf %s, %l : tensor<32x32xf32>
  %scale = arith.constant dense<2.0> : tensor<32x16xf32>
  %start = arith.mulf %b0, %scale : tensor<32x16xf32>
  %y0 = tile.mma %w, %b0, %start : tensor<32x32xf32>, tensor<32x16xf32>, tensor<32x16xf32>
  tile.store %y0, %y[%c0, %c0] over [0, 1] : tensor<32x16xf32>, memref<32x16xf32>
}

// A tile in a scratch buffer is the right side of a product where it lies, its
// rows a line longer than 256 bytes; one from memory is packed, once for both
// products that read it.
// CHECK-LABEL: func.func @inplace
// CHECK:       %[[PANELS:.*]] = memref.alloc() : memref<4x13x16xf32>
// CHECK:       %[[SUM:.*]] = memref.alloc() : memref<12x80xf32>
// CHECK:       %[[NEXT:.*]] = memref.alloc() : memref<12x80xf32>
// CHECK-NOT:   memref.alloc() : memref<4x13x16xf32>
// CHECK:       vector.load %[[SUM]][%{{.*}}] : memref<12x80xf32>
// CHECK:       return
tile.kernel @inplace(%a: memref<12x12xf32>, %b: memref<12x64xf32>, %y: memref<12x64xf32>, %z: memref<12x64xf32>, %j: index) grid(%i) {
  %c0 = arith.constant 0 : index
  %a0 = tile.load %a[%c0, %c0] over [0, 1] : memref<12x12xf32> -> tensor<12x12xf32>
  %b0 = tile.load %b[%c0, %c0] over [0, 1] : memref<12x64xf32> -> tensor<12x64xf32>
  %none = arith.constant dense<0.0> : tensor<12x64xf32>
  %s = tile.mma %a0, %b0, %none : tensor<12x12xf32>, tensor<12x64xf32>, tensor<12x64xf32>
  %t = tile.mma %a0, %s, %none : tensor<12x12xf32>, tensor<12x64xf32>, tensor<12x64xf32>
  tile.store %t, %y[%c0, %c0] over [0, 1] : tensor<12x64xf32>, memref<12x64xf32>
  %u = tile.mma %a0, %b0, %t {transpose_lhs} : tensor<12x12xf32>, tensor<12x64xf32>, tensor<12x64xf32>
  tile.store %u, %z[%c0, %c0] over [0, 1] : tensor<12x64xf32>, memref<12x64xf32>
}

// A tile of attention that the diagonal of all tokens crosses anywhere: blocks of
// scores above it have no k, the rows of weights have k up to it. It is rounded up
// to two steps, since loops are unrolled by as many.
// CHECK-LABEL: func.func @diagonal
// CHECK-SAME:  %[[QUERY:[a-z0-9]+]]: index, %[[KEY:[a-z0-9]+]]: index
// CHECK:       %[[OFFSET:.*]] = arith.subi %[[QUERY]], %[[KEY]] : index
// CHECK:       %[[END:.*]] = arith.addi %{{.*}}, %[[OFFSET]] : index
// CHECK:       %[[ABOVE:.*]] = arith.cmpi sge, %{{.*}}, %[[END]] : index
// CHECK-NEXT:  arith.select %[[ABOVE]], %c0, %c16 : index
// CHECK:       math.exp
// CHECK:       %[[ROW:.*]] = arith.maxsi %{{.*}}, %c0 : index
// CHECK-NEXT:  %[[UP:.*]] = arith.addi %[[ROW]], %c1 : index
// CHECK-NEXT:  %[[PAIRS:.*]] = arith.divui %[[UP]], %c2 : index
// CHECK-NEXT:  %[[EVEN:.*]] = arith.muli %[[PAIRS]], %c2 : index
// CHECK-NEXT:  %[[LAST:.*]] = arith.minsi %[[EVEN]], %c32 : index
// CHECK-NEXT:  scf.for %{{.*}} = %c0 to %[[LAST]] step %c2 iter_args
tile.kernel @diagonal(%a: memref<24x16xf32>, %b: memref<32x16xf32>, %v: memref<32x16xf32>, %y: memref<24x16xf32>, %query: index, %key: index) grid(%i) {
  %c0 = arith.constant 0 : index
  %a0 = tile.load %a[%c0, %c0] over [0, 1] : memref<24x16xf32> -> tensor<24x16xf32>
  %b0 = tile.load %b[%c0, %c0] over [0, 1] : memref<32x16xf32> -> tensor<32x16xf32>
  %none = arith.constant dense<0.0> : tensor<24x32xf32>
  %s = tile.mma %a0, %b0, %none {transpose_rhs} : tensor<24x16xf32>, tensor<32x16xf32>, tensor<24x32xf32>
  %rows = tile.iota 0 : tensor<24x32xi32>
  %columns = tile.iota 1 : tensor<24x32xi32>
  %q32 = arith.index_cast %query : index to i32
  %k32 = arith.index_cast %key : index to i32
  %q = tile.broadcast %q32 : i32 -> tensor<24x32xi32>
  %k = tile.broadcast %k32 : i32 -> tensor<24x32xi32>
  %queries = arith.addi %rows, %q : tensor<24x32xi32>
  %keys = arith.addi %columns, %k : tensor<24x32xi32>
  %seen = arith.cmpi sle, %keys, %queries : tensor<24x32xi32>
  %hidden = arith.constant dense<-2.0e30> : tensor<24x32xf32>
  %masked = arith.select %seen, %s, %hidden : tensor<24x32xi1>, tensor<24x32xf32>
  %lowest = arith.constant dense<-1.0e30> : tensor<24xf32>
  %largest = tile.reduce max %masked along 1 : tensor<24x32xf32> -> tensor<24xf32>
  %maximum = arith.maximumf %lowest, %largest : tensor<24xf32>
  %m = tile.broadcast %maximum along [0] : tensor<24xf32> -> tensor<24x32xf32>
  %fall = arith.subf %masked, %m : tensor<24x32xf32>
  %w = math.exp %fall : tensor<24x32xf32>
  %v0 = tile.load %v[%c0, %c0] over [0, 1] : memref<32x16xf32> -> tensor<32x16xf32>
  %zero = arith.constant dense<0.0> : tensor<24x16xf32>
  %y0 = tile.mma %w, %v0, %zero : tensor<24x32xf32>, tensor<32x16xf32>, tensor<24x16xf32>
  tile.store %y0, %y[%c0, %c0] over [0, 1] : tensor<24x16xf32>, memref<24x16xf32>
}
