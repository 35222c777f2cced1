// RUN: transxssm-opt %s | transxssm-opt | FileCheck %s
// RUN: transxssm-opt --mlir-print-op-generic %s | transxssm-opt | FileCheck %s

// The examples of TileOps.td, printed as they were read.

// CHECK-LABEL: tile.kernel @scale(%{{.*}}: memref<?x64xf32>, %{{.*}}: memref<?x64xf32>) grid(%{{.*}}) {
// CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}] over [0, 1] : memref<?x64xf32> -> tensor<16x64xf32>
// CHECK: tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] over [0, 1] : tensor<16x64xf32>, memref<?x64xf32>
// CHECK-NOT: tile.return
tile.kernel @scale(%x: memref<?x64xf32>, %y: memref<?x64xf32>) grid(%i) {
  %rows = arith.constant 16 : index
  %zero = arith.constant 0 : index
  %row = arith.muli %i, %rows : index
  %two = arith.constant dense<2.0> : tensor<16x64xf32>
  %t = tile.load %x[%row, %zero] over [0, 1] : memref<?x64xf32> -> tensor<16x64xf32>
  %u = arith.mulf %t, %two : tensor<16x64xf32>
  tile.store %u, %y[%row, %zero] over [0, 1] : tensor<16x64xf32>, memref<?x64xf32>
}

// CHECK-LABEL: tile.kernel @nothing() grid(%{{.*}}, %{{.*}}, %{{.*}}) {
tile.kernel @nothing() grid(%i, %j, %k) {}

// CHECK-LABEL: tile.kernel @attributes(%{{.*}}: memref<8xf32> {test.note = "x"}, %{{.*}}: index) grid(%{{.*}}) attributes {test.kind = 1 : i64} {
tile.kernel @attributes(%x: memref<8xf32> {test.note = "x"}, %n: index) grid(%i)
    attributes {test.kind = 1 : i64} {}

// CHECK-LABEL: tile.kernel @memory
tile.kernel @memory(%C: memref<?x?x8x128xf32>, %A: memref<8xf32>,
                    %Y: memref<?x?x8x128xf32>, %table: memref<32768x1024xf32>,
                    %I: memref<?xi32>, %column: index) grid(%b, %t, %h) {
  %zero = arith.constant 0 : index
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] over [1, 3] : memref<?x?x8x128xf32> -> tensor<64x128xf32>
  %c = tile.load %C[%b, %t, %h, %zero] over [1, 3]
     : memref<?x?x8x128xf32> -> tensor<64x128xf32>
  // CHECK: tile.load %{{.*}}[%{{.*}}] : memref<8xf32> -> f32
  %a = tile.load %A[%h] : memref<8xf32> -> f32
  // CHECK: tile.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] over [1, 3] : tensor<64x128xf32>, memref<?x?x8x128xf32>
  %y = arith.addf %c, %c : tensor<64x128xf32>
  tile.store %y, %Y[%b, %t, %h, %zero] over [1, 3]
     : tensor<64x128xf32>, memref<?x?x8x128xf32>
  // CHECK: tile.store %{{.*}}, %{{.*}}[%{{.*}}] : f32, memref<8xf32>
  tile.store %a, %A[%h] : f32, memref<8xf32>
  %ids = tile.load %I[%t] over [0] : memref<?xi32> -> tensor<16xi32>
  // CHECK: tile.gather %{{.*}}[%{{.*}}, %{{.*}}] : memref<32768x1024xf32>, tensor<16xi32> -> tensor<16x256xf32>
  %x = tile.gather %table[%ids, %column]
     : memref<32768x1024xf32>, tensor<16xi32> -> tensor<16x256xf32>
}

// CHECK-LABEL: tile.kernel @products
tile.kernel @products(%Q: memref<64x128xf32>, %K: memref<32x128xf32>,
                      %H: memref<64x16xbf16>) grid(%i) {
  %z = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<64x32xf32>
  %square = arith.constant dense<0.0> : tensor<16x16xf32>
  %q = tile.load %Q[%z, %z] over [0, 1] : memref<64x128xf32> -> tensor<64x128xf32>
  %k = tile.load %K[%z, %z] over [0, 1] : memref<32x128xf32> -> tensor<32x128xf32>
  %h = tile.load %H[%z, %z] over [0, 1] : memref<64x16xbf16> -> tensor<64x16xbf16>
  // CHECK: tile.mma %{{.*}}, %{{.*}}, %{{.*}} {transpose_rhs} : tensor<64x128xf32>, tensor<32x128xf32>, tensor<64x32xf32>
  %s = tile.mma %q, %k, %zero {transpose_rhs}
     : tensor<64x128xf32>, tensor<32x128xf32>, tensor<64x32xf32>
  // CHECK: tile.mma %{{.*}}, %{{.*}}, %{{.*}} {transpose_lhs} : tensor<64x16xbf16>, tensor<64x16xbf16>, tensor<16x16xf32>
  %g = tile.mma %h, %h, %square {transpose_lhs}
     : tensor<64x16xbf16>, tensor<64x16xbf16>, tensor<16x16xf32>
}

// CHECK-LABEL: tile.kernel @shapes
tile.kernel @shapes(%X: memref<64x32xf32>, %M: memref<64xf32>) grid(%n) {
  %zero = arith.constant 0 : index
  %x = tile.load %X[%zero, %zero] over [0, 1] : memref<64x32xf32> -> tensor<64x32xf32>
  %row_max = tile.load %M[%zero] over [0] : memref<64xf32> -> tensor<64xf32>
  %scalar = tile.load %M[%zero] : memref<64xf32> -> f32
  // CHECK: tile.broadcast %{{.*}} along [0] : tensor<64xf32> -> tensor<64x32xf32>
  %m = tile.broadcast %row_max along [0] : tensor<64xf32> -> tensor<64x32xf32>
  // CHECK: tile.broadcast %{{.*}} along [1] : tensor<64xf32> -> tensor<4x64xf32>
  %r = tile.broadcast %row_max along [1] : tensor<64xf32> -> tensor<4x64xf32>
  // CHECK: tile.broadcast %{{.*}} : f32 -> tensor<64xf32>
  %z = tile.broadcast %scalar : f32 -> tensor<64xf32>
  // CHECK: tile.transpose %{{.*}} : tensor<64x32xf32> -> tensor<32x64xf32>
  %t = tile.transpose %x : tensor<64x32xf32> -> tensor<32x64xf32>
  // CHECK: tile.iota 0 : tensor<64x32xi32>
  %i = tile.iota 0 : tensor<64x32xi32>
  // CHECK: tile.iota 1 : tensor<64x32xi32>
  %j = tile.iota 1 : tensor<64x32xi32>
  %visible = arith.cmpi sle, %j, %i : tensor<64x32xi32>
}

// CHECK-LABEL: tile.kernel @reductions
tile.kernel @reductions(%S: memref<64x32xf32>, %V: memref<64xf32>, %end: index) grid(%n) {
  %z = arith.constant 0 : index
  %log_decay = tile.load %V[%z] over [0] : memref<64xf32> -> tensor<64xf32>
  %s = tile.load %S[%z, %z] over [0, 1] : memref<64x32xf32> -> tensor<64x32xf32>
  // CHECK: tile.reduce max %{{.*}} along 1 : tensor<64x32xf32> -> tensor<64xf32>
  %m = tile.reduce max %s along 1 : tensor<64x32xf32> -> tensor<64xf32>
  // CHECK: tile.reduce sum %{{.*}} along 0 : tensor<64xf32> -> f32
  %t = tile.reduce sum %m along 0 : tensor<64xf32> -> f32
  // CHECK: tile.cumulative_sum %{{.*}} : tensor<64xf32>
  %cum = tile.cumulative_sum %log_decay : tensor<64xf32>
  // CHECK: tile.cumulative_sum %{{.*}} {reverse} : tensor<64xf32>
  %g = arith.mulf %cum, %m : tensor<64xf32>
  %after = tile.cumulative_sum %g {reverse} : tensor<64xf32>
  // CHECK: tile.extract %{{.*}}[%{{.*}}] : tensor<64xf32> -> f32
  %last = tile.extract %cum[%end] : tensor<64xf32> -> f32
}

// CHECK-LABEL: tile.kernel @rope
tile.kernel @rope(%U: memref<64x128xf32>, %C: memref<64x64xf32>, %S: memref<64x64xf32>) grid(%n) {
  %z = arith.constant 0 : index
  %u = tile.load %U[%z, %z] over [0, 1] : memref<64x128xf32> -> tensor<64x128xf32>
  %cos = tile.load %C[%z, %z] over [0, 1] : memref<64x64xf32> -> tensor<64x64xf32>
  %sin = tile.load %S[%z, %z] over [0, 1] : memref<64x64xf32> -> tensor<64x64xf32>
  // CHECK: tile.rope %{{.*}}, %{{.*}}, %{{.*}} : tensor<64x128xf32>, tensor<64x64xf32>
  %c = tile.rope %u, %cos, %sin : tensor<64x128xf32>, tensor<64x64xf32>
  // CHECK: tile.rope %{{.*}}, %{{.*}}, %{{.*}} {inverse} : tensor<64x128xf32>, tensor<64x64xf32>
  %d = tile.rope %u, %cos, %sin {inverse} : tensor<64x128xf32>, tensor<64x64xf32>
}
