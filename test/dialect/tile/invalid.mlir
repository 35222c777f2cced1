// RUN: transxssm-opt %s --split-input-file --verify-diagnostics

// One error for each labelled constraint of TileOps.td.

// expected-error@+1 {{'tile.kernel' op has argument 0 of type 'memref<4x4xf32, strided<[1, 4]>>', expected a memref with identity layout or index (kernel_c1)}}
tile.kernel @k(%x: memref<4x4xf32, strided<[1, 4]>>) grid(%i) {}

// -----

// expected-error@+1 {{'tile.kernel' op has argument 0 of type 'tensor<4xf32>', expected a memref with identity layout or index (kernel_c1)}}
tile.kernel @k(%x: tensor<4xf32>) grid(%i) {}

// -----

// A launch passes buffers and sizes only; a number lies in a buffer.
// expected-error@+1 {{'tile.kernel' op has argument 1 of type 'f32', expected a memref with identity layout or index (kernel_c1)}}
tile.kernel @k(%x: memref<4xf32>, %rate: f32) grid(%i) {}

// -----

// expected-error@+1 {{'tile.kernel' op has a grid of rank 4, expected 1 to 3 (kernel_c2)}}
tile.kernel @k() grid(%i, %j, %k, %l) {}

// -----

// expected-error@+1 {{'tile.kernel' op has a grid of rank 0, expected 1 to 3 (kernel_c2)}}
tile.kernel @k() grid() {}

// -----

// expected-error@+1 {{'tile.kernel' op has a grid coordinate of type 'i32', expected index (kernel_c2)}}
"tile.kernel"() <{sym_name = "k", function_type = (i32) -> (), grid_rank = 1 : i64}> ({
^bb0(%i: i32):
  "tile.return"() : () -> ()
}) : () -> ()

// -----

// expected-error@+1 {{'tile.kernel' op has results, expected none (kernel_c3)}}
"tile.kernel"() <{sym_name = "k", function_type = (index) -> (f32), grid_rank = 1 : i64}> ({
^bb0(%i: index):
  "tile.return"() : () -> ()
}) : () -> ()

// -----

// expected-error@+1 {{'tile.kernel' op has 1 arguments, expected at least the 2 grid coordinates (kernel_c2)}}
"tile.kernel"() <{sym_name = "k", function_type = (index) -> (), grid_rank = 2 : i64}> ({
^bb0(%i: index):
  "tile.return"() : () -> ()
}) : () -> ()

// -----

tile.kernel @k(%x: memref<4x4xf32>) grid(%i) {
  // expected-error@+1 {{'tile.load' op has 1 indices, expected 2 (load_c1)}}
  %t = tile.load %x[%i] over [0] : memref<4x4xf32> -> tensor<4xf32>
}

// -----

tile.kernel @k(%x: memref<4x4xf32>) grid(%i) {
  // expected-error@+1 {{'tile.load' op runs over 1 dimensions, expected 2 (load_c2)}}
  %t = tile.load %x[%i, %i] over [0] : memref<4x4xf32> -> tensor<4x4xf32>
}

// -----

tile.kernel @k(%x: memref<4x4xf32>) grid(%i) {
  // expected-error@+1 {{'tile.load' op runs over dimensions [1, 0], expected strictly increasing below 2 (load_c2)}}
  %t = tile.load %x[%i, %i] over [1, 0] : memref<4x4xf32> -> tensor<4x4xf32>
}

// -----

tile.kernel @k(%x: memref<4x4xf32>) grid(%i) {
  // expected-error@+1 {{'tile.load' op runs over dimensions [0, 2], expected strictly increasing below 2 (load_c2)}}
  %t = tile.load %x[%i, %i] over [0, 2] : memref<4x4xf32> -> tensor<4x4xf32>
}

// -----

tile.kernel @k(%x: memref<4xf32>) grid(%i) {
  // expected-error@+1 {{'tile.load' op has element type 'i32', expected 'f32' (load_c3)}}
  %t = tile.load %x[%i] over [0] : memref<4xf32> -> tensor<4xi32>
}

// -----

tile.kernel @k(%x: memref<4xf32>) grid(%i) {
  %v = arith.constant 1.0 : f32
  // expected-error@+1 {{'tile.store' op has 2 indices, expected 1 (store_c1)}}
  tile.store %v, %x[%i, %i] : f32, memref<4xf32>
}

// -----

tile.kernel @k(%x: memref<4xf32>) grid(%i) {
  %v = arith.constant 1.0 : f32
  // expected-error@+1 {{'tile.store' op runs over 1 dimensions, expected 0 (store_c2)}}
  tile.store %v, %x[%i] over [0] : f32, memref<4xf32>
}

// -----

tile.kernel @k(%x: memref<4x4xf32>) grid(%i) {
  %v = arith.constant dense<1.0> : tensor<4x4xf32>
  // expected-error@+1 {{'tile.store' op runs over dimensions [0, 0], expected strictly increasing below 2 (store_c2)}}
  tile.store %v, %x[%i, %i] over [0, 0] : tensor<4x4xf32>, memref<4x4xf32>
}

// -----

tile.kernel @k(%x: memref<4xf32>) grid(%i) {
  %v = arith.constant 1.0 : bf16
  // expected-error@+1 {{'tile.store' op has element type 'bf16', expected 'f32' (store_c3)}}
  tile.store %v, %x[%i] : bf16, memref<4xf32>
}

// -----

tile.kernel @k(%x: memref<4xf32>) grid(%i) {
  %ids = arith.constant dense<0> : tensor<2xi32>
  // expected-error@+1 {{'tile.gather' op has memory, rows and result of ranks 1, 1, 2, expected 2, 1, 2 (gather_c1)}}
  %r = tile.gather %x[%ids, %i] : memref<4xf32>, tensor<2xi32> -> tensor<2x4xf32>
}

// -----

tile.kernel @k(%x: memref<4x4xf32>) grid(%i) {
  %ids = arith.constant dense<0> : tensor<2xi32>
  // expected-error@+1 {{'tile.gather' op has 3 rows, expected 2 (gather_c2)}}
  %r = tile.gather %x[%ids, %i] : memref<4x4xf32>, tensor<2xi32> -> tensor<3x4xf32>
}

// -----

tile.kernel @k(%x: memref<4x4xf32>) grid(%i) {
  %ids = arith.constant dense<0> : tensor<2xi32>
  // expected-error@+1 {{'tile.gather' op has element type 'bf16', expected 'f32' (gather_c3)}}
  %r = tile.gather %x[%ids, %i] : memref<4x4xf32>, tensor<2xi32> -> tensor<2x4xbf16>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<4xf32>
  %b = arith.constant dense<0.0> : tensor<4x4xf32>
  %c = arith.constant dense<0.0> : tensor<4x4xf32>
  // expected-error@+1 {{'tile.mma' op has operands of ranks 1, 2, 2, expected 2 (mma_c1)}}
  %r = tile.mma %a, %b, %c : tensor<4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<2x3xf32>
  %b = arith.constant dense<0.0> : tensor<4x5xf32>
  %c = arith.constant dense<0.0> : tensor<2x5xf32>
  // expected-error@+1 {{'tile.mma' op multiplies 2x3 by 4x5 into 2x5, expected shapes M x K, K x N and M x N (mma_c1)}}
  %r = tile.mma %a, %b, %c : tensor<2x3xf32>, tensor<4x5xf32>, tensor<2x5xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<3x2xf32>
  %b = arith.constant dense<0.0> : tensor<3x5xf32>
  %c = arith.constant dense<0.0> : tensor<2x5xf32>
  // expected-error@+1 {{'tile.mma' op multiplies 3x2 by 3x5 into 2x5, expected shapes M x K, K x N and M x N (mma_c1)}}
  %r = tile.mma %a, %b, %c : tensor<3x2xf32>, tensor<3x5xf32>, tensor<2x5xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<3x2xf32>
  %b = arith.constant dense<0.0> : tensor<5x3xf32>
  %c = arith.constant dense<0.0> : tensor<5x2xf32>
  // expected-error@+1 {{'tile.mma' op multiplies 2x3 by 3x5 into 5x2, expected shapes M x K, K x N and M x N (mma_c1)}}
  %r = tile.mma %a, %b, %c {transpose_lhs, transpose_rhs} : tensor<3x2xf32>, tensor<5x3xf32>, tensor<5x2xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<4x4xf32>
  %b = arith.constant dense<0.0> : tensor<4x4xbf16>
  %c = arith.constant dense<0.0> : tensor<4x4xf32>
  // expected-error@+1 {{'tile.mma' op has operands of element types 'f32' and 'bf16', expected both f32 or both bf16 (mma_c2)}}
  %r = tile.mma %a, %b, %c : tensor<4x4xf32>, tensor<4x4xbf16>, tensor<4x4xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<4x4xf16>
  %b = arith.constant dense<0.0> : tensor<4x4xf16>
  %c = arith.constant dense<0.0> : tensor<4x4xf32>
  // expected-error@+1 {{'tile.mma' op has operands of element types 'f16' and 'f16', expected both f32 or both bf16 (mma_c2)}}
  %r = tile.mma %a, %b, %c : tensor<4x4xf16>, tensor<4x4xf16>, tensor<4x4xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<4x4xbf16>
  %b = arith.constant dense<0.0> : tensor<4x4xbf16>
  %c = arith.constant dense<0.0> : tensor<4x4xbf16>
  // expected-error@+1 {{'tile.mma' op accumulates in 'bf16', expected f32 (mma_c3)}}
  %r = tile.mma %a, %b, %c : tensor<4x4xbf16>, tensor<4x4xbf16>, tensor<4x4xbf16>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant 0.0 : f32
  // expected-error@+1 {{'tile.broadcast' op has element type 'bf16', expected 'f32' (broadcast_c1)}}
  %r = tile.broadcast %v : f32 -> tensor<4xbf16>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error@+1 {{'tile.broadcast' op maps 'tensor<4xf32>' along [1], expected strictly increasing dimensions of 'tensor<4x5xf32>' with equal extents (broadcast_c2)}}
  %r = tile.broadcast %v along [1] : tensor<4xf32> -> tensor<4x5xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error@+1 {{'tile.broadcast' op maps 'tensor<4xf32>' along [], expected strictly increasing dimensions of 'tensor<4x5xf32>' with equal extents (broadcast_c2)}}
  %r = tile.broadcast %v : tensor<4xf32> -> tensor<4x5xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4x5xf32>
  // expected-error@+1 {{'tile.transpose' op turns 'tensor<4x5xf32>' into 'tensor<4x5xf32>', expected the swapped shape of rank 2 (transpose_c1)}}
  %r = tile.transpose %v : tensor<4x5xf32> -> tensor<4x5xf32>
}

// -----

tile.kernel @k() grid(%i) {
  // expected-error@+1 {{'tile.iota' op counts along dimension 1, expected below 1 (iota_c1)}}
  %r = tile.iota 1 : tensor<4xi32>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4x5xf32>
  // expected-error@+1 {{'tile.reduce' op reduces along dimension 2, expected below 2 (reduce_c1)}}
  %r = tile.reduce sum %v along 2 : tensor<4x5xf32> -> tensor<4xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4x5xf32>
  // expected-error@+1 {{'tile.reduce' op has result 'tensor<5xf32>', expected 'tensor<4xf32>' (reduce_c1)}}
  %r = tile.reduce sum %v along 1 : tensor<4x5xf32> -> tensor<5xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4xbf16>
  // expected-error@+1 {{'tile.reduce' op reduces 'bf16', expected f32 or f64 (reduce_c2)}}
  %r = tile.reduce max %v along 0 : tensor<4xbf16> -> bf16
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4x5xf32>
  // expected-error@+1 {{'tile.cumulative_sum' op sums 'tensor<4x5xf32>', expected rank 1 of f32 or f64 (cumulative_sum_c1)}}
  %r = tile.cumulative_sum %v : tensor<4x5xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4x5xf32>
  // expected-error@+1 {{'tile.extract' op extracts 'f32' from 'tensor<4x5xf32>', expected the element type of rank 1 (extract_c1)}}
  %r = tile.extract %v[%i] : tensor<4x5xf32> -> f32
}

// -----

tile.kernel @k() grid(%i) {
  %v = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error@+1 {{'tile.extract' op extracts 'i32' from 'tensor<4xf32>', expected the element type of rank 1 (extract_c1)}}
  %r = tile.extract %v[%i] : tensor<4xf32> -> i32
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<4x8xf32>
  %t = arith.constant dense<0.0> : tensor<5x4xf32>
  // expected-error@+1 {{'tile.rope' op rotates 'tensor<4x8xf32>' by 'tensor<5x4xf32>', expected rank 2, equal rows and one element type (rope_c1)}}
  %r = tile.rope %a, %t, %t : tensor<4x8xf32>, tensor<5x4xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %a = arith.constant dense<0.0> : tensor<4x12xf32>
  %t = arith.constant dense<0.0> : tensor<4x4xf32>
  // expected-error@+1 {{'tile.rope' op rotates 12 columns, expected a multiple of 8 (rope_c2)}}
  %r = tile.rope %a, %t, %t : tensor<4x12xf32>, tensor<4x4xf32>
}

// -----

// Tiles have rank 1 or 2 and are not empty.
tile.kernel @k(%x: memref<4x4x4xf32>) grid(%i) {
  // expected-error@+1 {{result #0 must be tile of rank 1 or 2 with positive extents of}}
  %t = tile.load %x[%i, %i, %i] over [0, 1, 2] : memref<4x4x4xf32> -> tensor<4x4x4xf32>
}

// -----

tile.kernel @k(%x: memref<4xf32>) grid(%i) {
  %t = arith.constant dense<0.0> : tensor<0x4xf32>
  // expected-error@+1 {{operand #0 must be tile of rank 1 or 2 with positive extents of}}
  %m = tile.reduce max %t along 0 : tensor<0x4xf32> -> tensor<4xf32>
}

// -----

tile.kernel @k() grid(%i) {
  %u = arith.constant dense<0.0> : tensor<4x4xf32>
  %c = arith.constant dense<0.0> : tensor<4x0xf32>
  // expected-error@+1 {{operand #1 must be tile of rank 1 or 2 with positive extents of}}
  %v = tile.rope %u, %c, %c : tensor<4x4xf32>, tensor<4x0xf32>
}
