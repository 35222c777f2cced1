// RUN: transxssm-opt %s | transxssm-opt | FileCheck %s
// RUN: transxssm-opt --mlir-print-op-generic %s | transxssm-opt | FileCheck %s

// The examples of PlanOps.td, printed as they were read.

// CHECK-DAG: #[[HIDDEN:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)>
// CHECK-DAG: #[[STATE:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0, 8, 128, 128)>
// CHECK-DAG: #[[ROWS:.*]] = affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 16)>
// CHECK-DAG: #[[SIZES:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s0 * s1)>
// CHECK-DAG: #[[SEVERAL:.*]] = affine_map<()[s0, s1, s2, s3] -> (s1 - 2)>

// CHECK: plan.parameter @model.layers.0.ssd.A tensor<8xf32> "ssd_decay"
plan.parameter @model.layers.0.ssd.A tensor<8xf32> "ssd_decay"
// CHECK: plan.state @ssd_state.0 #[[STATE]] f32
plan.state @ssd_state.0 affine_map<()[s0, s1, s2, s3] -> (s0, 8, 128, 128)> f32

tile.kernel @scale(%x: memref<?x64xf32>, %y: memref<?x64xf32>) grid(%i) {}

// CHECK-LABEL: plan.entry @forward {
plan.entry @forward {
  // CHECK: %[[X:.*]] = plan.buffer input "x" #[[HIDDEN]] f32 live 0 to 0
  %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)> f32 live 0 to 0
  // CHECK: %[[Y:.*]] = plan.buffer output "y" #[[HIDDEN]] f32 live 0 to 0
  %y = plan.buffer output "y" affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)> f32 live 0 to 0
  // CHECK: plan.launch @scale grid #[[ROWS]](%[[X]], %[[Y]]) sizes #[[SIZES]]
  plan.launch @scale grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 16)>
    (%x, %y) sizes affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s0 * s1)>
}

// CHECK-LABEL: plan.entry @kinds {
plan.entry @kinds {
  // CHECK: plan.buffer parameter "model.layers.0.ssd.A"
  %p = plan.buffer parameter "model.layers.0.ssd.A" affine_map<()[s0, s1, s2, s3] -> (8)> f32 live 0 to 0
  // CHECK: plan.buffer gradient "model.layers.0.ssd.A"
  %g = plan.buffer gradient "model.layers.0.ssd.A" affine_map<()[s0, s1, s2, s3] -> (8)> f32 live 0 to 0
  // CHECK: plan.buffer moment1 "model.layers.0.ssd.A"
  %m = plan.buffer moment1 "model.layers.0.ssd.A" affine_map<()[s0, s1, s2, s3] -> (8)> f32 live 0 to 0
  // CHECK: plan.buffer moment2 "model.layers.0.ssd.A"
  %n = plan.buffer moment2 "model.layers.0.ssd.A" affine_map<()[s0, s1, s2, s3] -> (8)> f32 live 0 to 0
  // CHECK: plan.buffer state "ssd_state.0" #[[STATE]] f32
  %s = plan.buffer state "ssd_state.0" affine_map<()[s0, s1, s2, s3] -> (s0, 8, 128, 128)> f32 live 0 to 0
  // CHECK: plan.buffer temporary "hidden"
  %t = plan.buffer temporary "hidden" affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)> f32 live 0 to 0
  // CHECK: plan.launch @scale {{.*}} when #[[SEVERAL]]
  plan.launch @scale grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 16)>
    (%t, %t) sizes affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s0 * s1)>
    when affine_map<()[s0, s1, s2, s3] -> (s1 - 2)>
}
