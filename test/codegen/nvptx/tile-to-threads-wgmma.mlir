// RUN: transxssm-opt %s --tile-to-threads=arch=sm_90a --canonicalize --cse --split-input-file | FileCheck %s
// RUN: transxssm-opt %s --tile-to-threads="arch=sm_90a tensor-maps=true" --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=MAPS

// One warp group. Slices of both operands are copied three iterations ahead into
// rows of 128 bytes; 64 x 64 x 64 are four products, one after the other, with
// nothing between them, sums through the fence before and the wait behind.
// CHECK-LABEL: func.func @product
// CHECK-SAME:  tile.threads = 128
// CHECK-COUNT-2: memref.alloc() {alignment = 1024 : i64} : memref<16384xbf16, 3>
// CHECK-NOT:   ldmatrix
// CHECK:       scf.for
// CHECK:         llvm.nvvm.cp.async.wait.group
// CHECK-NEXT:    llvm.nvvm.fence.proxy.async.shared_cta
// CHECK-NEXT:    llvm.nvvm.barrier
// CHECK:         llvm.nvvm.cp.async.cg.shared.global.16
// CHECK:         "wgmma.fence.sync.aligned;", "=f,=f
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {{.*}}, $64, $65, 1, 1, 1, 0, 0;
// CHECK-NOT:   wgmma.mma_async
// CHECK:         llvm.nvvm.wgmma.commit_group.sync.aligned
// CHECK-NEXT:    "wgmma.wait_group.sync.aligned 0;", "=f,=f

// With tensor maps a thread of another warp group, which gives its registers
// away, copies a box of each operand when the stage is empty; the others wait
// until it is full, leave the products under way, and say that the stage before
// is empty. There is one map for each memory.
// MAPS-LABEL: func.func @product
// MAPS-SAME:  %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr)
// MAPS-SAME:  tile.tensor_maps = [array<i64: 0, 0, -1, 256, 64, 64>, array<i64: 1, 1, 64, 256, 64, 64>]
// MAPS-SAME:  tile.threads = 256
// MAPS-COUNT-8: llvm.nvvm.mbarrier.init.shared
// MAPS:       llvm.nvvm.fence.mbarrier_init.release.cluster
// MAPS:       llvm.nvvm.barrier.cta.sync.aligned.all
// MAPS:       scf.if
// MAPS:         llvm.nvvm.setmaxnreg.inc.sync.aligned.u32
// MAPS:         scf.for
// MAPS:           mbarrier.try_wait.parity.shared.b64
// MAPS-NOT:       cp.async
// MAPS-COUNT-4:   wgmma.mma_async
// MAPS:           llvm.nvvm.wgmma.commit_group
// MAPS-NEXT:      llvm.nvvm.wgmma.wait_group.sync.aligned"(%{{.*}})
// MAPS:           @$1 mbarrier.arrive.shared.b64 state, [$0];
// MAPS:           scf.yield
// MAPS:         wgmma.wait_group.sync.aligned 0;
// MAPS:         mbarrier.arrive.shared.b64
// MAPS:       } else {
// MAPS:         llvm.nvvm.setmaxnreg.dec.sync.aligned.u32
// MAPS:         scf.if
// MAPS:           scf.for
// MAPS:             mbarrier.try_wait.parity.shared.b64
// MAPS:             llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta{{.*}}%c16384_i32
// MAPS-COUNT-2:     llvm.nvvm.cp.async.bulk.tensor.g2s.cta.tile.2d
tile.kernel @product(%a: memref<?x256xbf16>, %b: memref<64x256xbf16>, %c: memref<?x64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %step = arith.constant 64 : index
  %end = arith.constant 256 : index
  %row = arith.muli %i, %step : index
  %start = arith.constant dense<0.0> : tensor<64x64xf32>
  %sum = scf.for %k = %zero to %end step %step iter_args(%s = %start) -> (tensor<64x64xf32>) {
    %l = tile.load %a[%row, %k] over [0, 1] : memref<?x256xbf16> -> tensor<64x64xbf16>
    %r = tile.load %b[%zero, %k] over [0, 1] : memref<64x256xbf16> -> tensor<64x64xbf16>
    %n = tile.mma %l, %r, %s {transpose_rhs} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
    scf.yield %n : tensor<64x64xf32>
  }
  tile.store %sum, %c[%row, %zero] over [0, 1] : tensor<64x64xf32>, memref<?x64xf32>
}

// -----

// What a product made goes into the next one from registers; its transpose by
// stmatrix through shared memory.
// CHECK-LABEL: func.func @chain
// CHECK:       wgmma.mma_async.sync.aligned.m64n64k16{{.*}}, $64, $65, 0, 1, 1, 0, 0;
// CHECK:       wgmma.mma_async.sync.aligned.m64n64k16{{.*}}, $64, $65, 1, 1, 1, 0, 0;
// CHECK:       arith.truncf
// CHECK:       llvm.nvvm.stmatrix.sync.aligned.m8n8.x4.b16
// CHECK:       wgmma.mma_async.sync.aligned.m64n64k16{{.*}}, {$64, $65, $66, $67}, $68, 0, 1, 1, 1;
// CHECK:       wgmma.mma_async.sync.aligned.m64n64k16{{.*}}, $64, $65, 0, 1, 1, 1, 1;
// MAPS-LABEL: func.func @chain
tile.kernel @chain(%a: memref<64x64xbf16>, %b: memref<64x64xbf16>, %c: memref<64x64xf32>, %d: memref<64x64xf32>) grid(%i) {
  %zero = arith.constant 0 : index
  %start = arith.constant dense<0.0> : tensor<64x64xf32>
  %l = tile.load %a[%zero, %zero] over [0, 1] : memref<64x64xbf16> -> tensor<64x64xbf16>
  %r = tile.load %b[%zero, %zero] over [0, 1] : memref<64x64xbf16> -> tensor<64x64xbf16>
  %s = tile.mma %l, %r, %start {transpose_rhs} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
  %p = arith.truncf %s : tensor<64x64xf32> to tensor<64x64xbf16>
  %o = tile.mma %p, %r, %start : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
  %t = tile.mma %p, %r, %start {transpose_lhs} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
  tile.store %o, %c[%zero, %zero] over [0, 1] : tensor<64x64xf32>, memref<64x64xf32>
  tile.store %t, %d[%zero, %zero] over [0, 1] : tensor<64x64xf32>, memref<64x64xf32>
}

// -----

// A tile of bf16 leaves by a box, from where stmatrix has put it.
// CHECK-LABEL: func.func @store
// CHECK-NOT:   stmatrix
// CHECK-NOT:   cp.async.bulk
// MAPS-LABEL: func.func @store
// MAPS-SAME:  tile.tensor_maps = [array<i64: 2, 0, -1, 64, 64, 64>]
// MAPS-COUNT-4: llvm.nvvm.stmatrix.sync.aligned.m8n8.x4.b16
// MAPS-NOT:   stmatrix
// MAPS:       llvm.nvvm.fence.proxy.async.shared_cta
// MAPS-NEXT:  scf.if
// MAPS:         llvm.nvvm.cp.async.bulk.tensor.s2g.tile.2d
// MAPS-NOT:     bulk.tensor
// MAPS:         llvm.nvvm.cp.async.bulk.commit.group
// MAPS:         llvm.nvvm.cp.async.bulk.wait.group.read
// MAPS:         llvm.nvvm.cp.async.bulk.wait.group"
tile.kernel @store(%a: memref<64x64xbf16>, %b: memref<64x64xbf16>, %c: memref<?x64xbf16>) grid(%i) {
  %zero = arith.constant 0 : index
  %step = arith.constant 64 : index
  %row = arith.muli %i, %step : index
  %start = arith.constant dense<0.0> : tensor<64x64xf32>
  %l = tile.load %a[%zero, %zero] over [0, 1] : memref<64x64xbf16> -> tensor<64x64xbf16>
  %r = tile.load %b[%zero, %zero] over [0, 1] : memref<64x64xbf16> -> tensor<64x64xbf16>
  %s = tile.mma %l, %r, %start {transpose_rhs} : tensor<64x64xbf16>, tensor<64x64xbf16>, tensor<64x64xf32>
  %p = arith.truncf %s : tensor<64x64xf32> to tensor<64x64xbf16>
  tile.store %p, %c[%row, %zero] over [0, 1] : tensor<64x64xbf16>, memref<?x64xbf16>
}
