// RUN: transxssm-opt %s --tile-to-loops --assign-scratch --kernel-abi \
// RUN:   --kernels-to-llvm | FileCheck %s

// Loops are branches, vectors LLVM's, and no cast between memrefs and
// descriptors is left.
// CHECK-LABEL: llvm.func @double
// CHECK-NOT:   unrealized_conversion_cast
// CHECK:       llvm.cond_br
// CHECK:       llvm.load {{.*}} vector<8xf32>
// CHECK:       llvm.fadd {{.*}} : vector<8xf32>
// CHECK:       llvm.store {{.*}} vector<8xf32>
// CHECK-NOT:   scf.
// CHECK:       llvm.return
tile.kernel @double(%x: memref<64x64xf32>, %y: memref<64x64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %t = tile.load %x[%zero, %zero] over [0, 1] : memref<64x64xf32> -> tensor<64x64xf32>
  %s = arith.addf %t, %t : tensor<64x64xf32>
  tile.store %s, %y[%zero, %zero] over [0, 1] : tensor<64x64xf32>, memref<64x64xf32>
}

// Columns of a dynamic extent are masked.
// CHECK-LABEL: llvm.func @edge
// CHECK:       llvm.intr.masked.load
// CHECK:       llvm.return
tile.kernel @edge(%x: memref<64x?xf32>, %y: memref<64x64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %t = tile.load %x[%zero, %i] over [0, 1] : memref<64x?xf32> -> tensor<64x64xf32>
  tile.store %t, %y[%zero, %zero] over [0, 1] : tensor<64x64xf32>, memref<64x64xf32>
}
