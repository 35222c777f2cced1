// RUN: transxssm-opt %s --pass-pipeline='builtin.module(func.func(expand-exponentials))' | FileCheck %s

// What rounding drops of x log2(e) multiplies the result by 1 + l ln(2).
// CHECK-LABEL: func.func @full
// CHECK:       %[[LOW:.*]] = arith.maximumf %arg0
// CHECK:       %[[X:.*]] = arith.minimumf %[[LOW]]
// CHECK:       %[[H:.*]] = arith.mulf %[[X]], %[[L:.*]] : f32
// CHECK:       %[[N:.*]] = arith.negf %[[H]]
// CHECK:       %[[R:.*]] = math.fma %[[X]], %{{.*}}, %[[N]]
// CHECK:       %[[S:.*]] = math.fma %[[X]], %{{.*}}, %[[R]]
// CHECK-DAG:   %[[P:.*]] = llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"(%[[H]])
// CHECK-DAG:   %[[C:.*]] = math.fma %[[S]]
// CHECK:       arith.mulf %[[P]], %[[C]]
func.func @full(%x: f32) -> f32 {
  %e = math.exp %x : f32
  return %e : f32
}

// Beside bf16 two instructions are enough.
// CHECK-LABEL: func.func @short
// CHECK:       %[[H:.*]] = arith.mulf %arg0
// CHECK-NEXT:  %[[E:.*]] = llvm.call_intrinsic "llvm.nvvm.ex2.approx.ftz.f32"(%[[H]])
// CHECK-NEXT:  return %[[E]]
func.func @short(%x: f32) -> f32 attributes {tile.half_memory} {
  %e = math.exp %x : f32
  return %e : f32
}

// Others are left to expand-math.
// CHECK-LABEL: func.func @double
// CHECK:       math.exp %arg0 : f64
func.func @double(%x: f64) -> f64 {
  %e = math.exp %x : f64
  return %e : f64
}
