// RUN: transxssm-opt %s --tile-to-loops="vector-bits=512 pairs=instructions" \
// RUN:   --canonicalize --cse | FileCheck %s
// RUN: transxssm-opt %s --tile-to-loops="vector-bits=512 pairs=emulated" \
// RUN:   --canonicalize --cse | FileCheck %s --check-prefix=EMULATED
// RUN: transxssm-opt %s --tile-to-loops=vector-bits=512 --canonicalize --cse \
// RUN:   | FileCheck %s --check-prefix=EXTENDED

// Pairs along k are one i32 each. Those of the rhs are joined from two rows; the
// lhs has them side by side in memory. 12 rows are two blocks of six.
// CHECK-LABEL: func.func @product
// CHECK-DAG:   memref.alloc() : memref<12x32xi32>
// CHECK-DAG:   memref.alloc() : memref<1x17x32xi32>
// CHECK:       arith.shli {{.*}} : vector<16xi32>
// CHECK:       arith.ori {{.*}} : vector<16xi32>
// CHECK:       vector.bitcast {{.*}} : vector<32xbf16> to vector<16xi32>
// CHECK:       scf.for {{.*}} -> (vector<16xf32>
// CHECK-COUNT-12: x86vector.avx512.dot {{.*}} : vector<32xbf16> -> vector<16xf32>
// CHECK-NOT:   fma
// CHECK:       return
// EMULATED-LABEL: func.func @product
// EMULATED-NOT: x86vector
// EMULATED:     math.fma {{.*}} : vector<16xf32>
// EXTENDED-LABEL: func.func @product
// EXTENDED:     memref.alloc() : memref<1x33x32xf32>
tile.kernel @product(%a: memref<12x32xbf16>, %b: memref<32x32xbf16>, %y: memref<12x32xf32>) grid(%i) {
  %z = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<12x32xf32>
  %l = tile.load %a[%z, %z] over [0, 1] : memref<12x32xbf16> -> tensor<12x32xbf16>
  %r = tile.load %b[%z, %z] over [0, 1] : memref<32x32xbf16> -> tensor<32x32xbf16>
  %p = tile.mma %l, %r, %zero : tensor<12x32xbf16>, tensor<32x32xbf16>, tensor<12x32xf32>
  tile.store %p, %y[%z, %z] over [0, 1] : tensor<12x32xf32>, memref<12x32xf32>
}

// With one row both operands are read as they lie in memory.
// CHECK-LABEL: func.func @dot
// CHECK:       x86vector.avx512.dot
// CHECK:       return
tile.kernel @dot(%a: memref<1x64xbf16>, %b: memref<16x64xbf16>, %y: memref<1x16xf32>) grid(%i) {
  %z = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<1x16xf32>
  %l = tile.load %a[%z, %z] over [0, 1] : memref<1x64xbf16> -> tensor<1x64xbf16>
  %r = tile.load %b[%z, %z] over [0, 1] : memref<16x64xbf16> -> tensor<16x64xbf16>
  %p = tile.mma %l, %r, %zero {transpose_rhs} : tensor<1x64xbf16>, tensor<16x64xbf16>, tensor<1x16xf32>
  tile.store %p, %y[%z, %z] over [0, 1] : tensor<1x16xf32>, memref<1x16xf32>
}

// Half a pair is none: an odd depth is multiplied as float32.
// CHECK-LABEL: func.func @odd
// CHECK-NOT:   x86vector
// CHECK:       math.fma
// CHECK:       return
tile.kernel @odd(%a: memref<8x15xbf16>, %b: memref<15x16xbf16>, %y: memref<8x16xf32>) grid(%i) {
  %z = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : tensor<8x16xf32>
  %l = tile.load %a[%z, %z] over [0, 1] : memref<8x15xbf16> -> tensor<8x15xbf16>
  %r = tile.load %b[%z, %z] over [0, 1] : memref<15x16xbf16> -> tensor<15x16xbf16>
  %p = tile.mma %l, %r, %zero : tensor<8x15xbf16>, tensor<15x16xbf16>, tensor<8x16xf32>
  tile.store %p, %y[%z, %z] over [0, 1] : tensor<8x16xf32>, memref<8x16xf32>
}
