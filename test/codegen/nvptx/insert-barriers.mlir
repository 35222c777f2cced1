// RUN: transxssm-opt %s --pass-pipeline='builtin.module(func.func(insert-barriers))' | FileCheck %s

// Accesses as assign-shared-memory leaves them. One barrier before the reads,
// and, as the loop comes back to the writes, one before those; accesses of one
// group need none between them.
// CHECK-LABEL: func.func @loop
// CHECK:       scf.for
// CHECK:         llvm.nvvm.barrier.cta.sync.aligned.all
// CHECK-NEXT:    llvm.store
// CHECK-NEXT:    llvm.store
// CHECK:         llvm.nvvm.barrier.cta.sync.aligned.all
// CHECK-NEXT:    llvm.load
// CHECK-NEXT:    llvm.load
// CHECK-NOT:   llvm.nvvm.barrier
func.func @loop(%a: !llvm.ptr<3>, %b: !llvm.ptr<3>, %v: f32, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 1} : f32, !llvm.ptr<3>
    llvm.store %v, %b {tile.bytes = array<i64: 0, 128>, tile.group = 1} : f32, !llvm.ptr<3>
    %x = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 2} : !llvm.ptr<3> -> f32
    %y = llvm.load %b {tile.bytes = array<i64: 0, 128>, tile.group = 2} : !llvm.ptr<3> -> f32
  }
  return
}

// What a loop reads is waited for once, before it.
// CHECK-LABEL: func.func @before_loop
// CHECK:       llvm.store
// CHECK:       llvm.nvvm.barrier
// CHECK:       scf.for
// CHECK-NOT:   llvm.nvvm.barrier
// CHECK:       return
func.func @before_loop(%a: !llvm.ptr<3>, %v: f32, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 1} : f32, !llvm.ptr<3>
  scf.for %i = %c0 to %n step %c1 {
    %x = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 2} : !llvm.ptr<3> -> f32
  }
  return
}

// Beside a producer, consumers wait for each other alone.
// CHECK-LABEL: func.func @consumers
// CHECK:         %[[ONE:.*]] = arith.constant 1 : i32
// CHECK:         %[[COUNT:.*]] = arith.constant 128 : i32
// CHECK:         llvm.nvvm.barrier.cta.sync.aligned.count"(%[[ONE]], %[[COUNT]])
// CHECK-NEXT:    llvm.load
func.func @consumers(%a: !llvm.ptr<3>, %v: f32) attributes {tile.consumers = 128 : i64} {
  llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 1} : f32, !llvm.ptr<3>
  %x = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 2} : !llvm.ptr<3> -> f32
  return
}

// Other bytes, no barrier.
// CHECK-LABEL: func.func @apart
// CHECK-NOT:   llvm.nvvm.barrier
func.func @apart(%a: !llvm.ptr<3>, %b: !llvm.ptr<3>, %v: f32) {
  llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 1} : f32, !llvm.ptr<3>
  %x = llvm.load %b {tile.bytes = array<i64: 128, 256>, tile.group = 2} : !llvm.ptr<3> -> f32
  return
}

// Where only some threads write, all of them wait before the branch, and after
// it before they read.
// CHECK-LABEL: func.func @divergent
// CHECK:       llvm.load
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  scf.if
// CHECK-NEXT:    llvm.store
// CHECK:       } {tile.divergent}
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  llvm.load
func.func @divergent(%a: !llvm.ptr<3>, %v: f32, %mine: i1) {
  %x = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 1} : !llvm.ptr<3> -> f32
  scf.if %mine {
    llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 2} : f32, !llvm.ptr<3>
  } {tile.divergent}
  %y = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 3} : !llvm.ptr<3> -> f32
  return
}

// A branch that all threads take together may hold a barrier; after it, both of
// its ends count.
// CHECK-LABEL: func.func @uniform
// CHECK:       scf.if
// CHECK:         llvm.nvvm.barrier
// CHECK-NEXT:    llvm.load
// CHECK:       }
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  llvm.store
func.func @uniform(%a: !llvm.ptr<3>, %v: f32, %condition: i1) {
  llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 1} : f32, !llvm.ptr<3>
  scf.if %condition {
    %x = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 2} : !llvm.ptr<3> -> f32
  }
  llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 3} : f32, !llvm.ptr<3>
  return
}

// Global memory that a kernel both writes and reads.
// CHECK-LABEL: func.func @global
// CHECK:       llvm.store
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  llvm.load
func.func @global(%a: !llvm.ptr<1>, %v: f32) {
  llvm.store %v, %a {tile.hazard = 0 : i64, tile.group = 1} : f32, !llvm.ptr<1>
  %x = llvm.load %a {tile.hazard = 0 : i64, tile.group = 2} : !llvm.ptr<1> -> f32
  return
}

// An asynchronous copy writes once more where it is waited for: a barrier
// between says nothing of it.
// CHECK-LABEL: func.func @copied
// CHECK:       cp.async.cg
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  llvm.load
// CHECK-NEXT:  cp.async.wait
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  llvm.load
func.func @copied(%a: !llvm.ptr<3>, %b: !llvm.ptr<3>, %g: !llvm.ptr<1>, %v: f32) {
  %zero = arith.constant 0 : i32
  llvm.store %v, %b {tile.bytes = array<i64: 128, 256>, tile.group = 1} : f32, !llvm.ptr<3>
  llvm.call_intrinsic "llvm.nvvm.cp.async.cg.shared.global.16"(%a, %g) {tile.bytes = array<i64: 0, 128>, tile.copy, tile.group = 2} : (!llvm.ptr<3>, !llvm.ptr<1>) -> ()
  %x = llvm.load %b {tile.bytes = array<i64: 128, 256>, tile.group = 3} : !llvm.ptr<3> -> f32
  llvm.call_intrinsic "llvm.nvvm.cp.async.wait.group"(%zero) : (i32) -> ()
  %y = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 4} : !llvm.ptr<3> -> f32
  return
}

// The stages of a ring are ordered by its loop; whatever else gets its bytes is
// not.
// CHECK-LABEL: func.func @ring
// CHECK:       cp.async.cg
// CHECK-NEXT:  llvm.load
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  llvm.store
func.func @ring(%a: !llvm.ptr<3>, %g: !llvm.ptr<1>, %v: f32) {
  llvm.call_intrinsic "llvm.nvvm.cp.async.cg.shared.global.16"(%a, %g) {tile.bytes = array<i64: 0, 128>, tile.copy, tile.group = 1, tile.ring = 0} : (!llvm.ptr<3>, !llvm.ptr<1>) -> ()
  %x = llvm.load %a {tile.bytes = array<i64: 0, 128>, tile.group = 2, tile.ring = 0} : !llvm.ptr<3> -> f32
  llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 3} : f32, !llvm.ptr<3>
  return
}

// What threads wrote is there for a product by a warp group after a fence and a
// barrier, which stands before the product's own fence. Of two fences the last
// is enough.
// CHECK-LABEL: func.func @group
// CHECK:       llvm.store
// CHECK-NEXT:  llvm.store
// CHECK-NEXT:  llvm.nvvm.fence.proxy.async.shared_cta
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  wgmma.fence.sync.aligned
// CHECK-NEXT:  wgmma.mma_async
// CHECK:       llvm.nvvm.barrier
// CHECK-NEXT:  llvm.store
func.func @group(%a: !llvm.ptr<3>, %b: !llvm.ptr<3>, %v: f32, %d: i64) {
  llvm.store %v, %a {tile.bytes = array<i64: 0, 128>, tile.group = 1} : f32, !llvm.ptr<3>
  llvm.call_intrinsic "llvm.nvvm.fence.proxy.async.shared_cta"() : () -> ()
  llvm.store %v, %b {tile.bytes = array<i64: 128, 256>, tile.group = 2} : f32, !llvm.ptr<3>
  llvm.call_intrinsic "llvm.nvvm.fence.proxy.async.shared_cta"() : () -> ()
  %f = llvm.inline_asm has_side_effects asm_dialect = att "wgmma.fence.sync.aligned;", "=f,0" %v : (f32) -> f32
  %s = llvm.inline_asm has_side_effects asm_dialect = att {tile.bytes = array<i64: 0, 128, 128, 256>, tile.group = 3} "wgmma.mma_async", "=f,0,l,l" %f, %d, %d : (f32, i64, i64) -> f32
  llvm.store %v, %b {tile.bytes = array<i64: 128, 256>, tile.group = 4} : f32, !llvm.ptr<3>
  return
}
