// RUN: transxssm-opt %s --split-input-file --verify-diagnostics --tile-to-loops
// RUN: not transxssm-opt %s --tile-to-loops=vector-bits=100 2>&1 | FileCheck %s

// CHECK: error: option vector-bits must be 128, 256 or 512, but is 100

tile.kernel @loop(%x: memref<8xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0] over [0] : memref<8xf32> -> tensor<8xf32>
  // expected-error @below {{operation 'scf.while' has no lowering to x86 loops}}
  %u = scf.while (%a = %t) : (tensor<8xf32>) -> tensor<8xf32> {
    %false = arith.constant false
    scf.condition(%false) %a : tensor<8xf32>
  } do {
  ^bb0(%b: tensor<8xf32>):
    scf.yield %b : tensor<8xf32>
  }
}
