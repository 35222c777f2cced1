// RUN: transxssm-opt %s --txs-to-tile | FileCheck %s

// Calls that continue from a cache: states change in place, and one token per
// sequence takes kernels of its own, chosen by guards that exclude each other.

// CHECK-DAG: #[[ONE:.*]] = affine_map<()[s0, s1, s2, s3] -> (-s1 + 1)>
// CHECK-DAG: #[[MORE:.*]] = affine_map<()[s0, s1, s2, s3] -> (s1 - 2)>
// CHECK-DAG: #[[ROW:.*]] = affine_map<()[s0, s1, s2, s3] -> (-(s0 * s1) + 1)>
// CHECK-DAG: #[[FEW:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 * s1 - 2, -(s0 * s1) + 8)>
// CHECK-DAG: #[[MANY:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 * s1 - 9)>
// CHECK-DAG: #[[CACHE:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0, s3, 2, 16)>

txs.parameter @a : tensor<4xf32> initializer "ssd_decay" no_decay
txs.parameter @w : tensor<32x64xf32> initializer "normal"

// CHECK-LABEL: plan.entry @decode
// CHECK-DAG: %[[S:.*]] = plan.buffer state "ssd"
// CHECK-DAG: %[[C:.*]] = plan.buffer state "keys" #[[CACHE]]
// CHECK-DAG: %[[Y:.*]] = plan.buffer output "y"
// CHECK: plan.launch @ssm_step_h4_p16_n16_inplace {{.*}}%[[S]], %[[Y]]) {{.*}} when #[[ONE]]
// CHECK: plan.launch @ssm_scan_h4_p16_n16_q16_inplace {{.*}}%[[S]], %[[Y]]) {{.*}} when #[[MORE]]
// CHECK: plan.launch @linear_rows1_k64_n32 {{.*}} when #[[ROW]]
// CHECK: plan.launch @linear_rows4_k64_n32 {{.*}} when #[[FEW]]
// CHECK: plan.launch @linear_k64_n32 {{.*}} when #[[MANY]]
// CHECK: plan.launch @cache_append_n32 {{.*}}, %[[C]])
// CHECK: plan.launch @attention_step_h4_g2_p16 {{.*}}%[[C]], %[[C]], {{.*}} when #[[ONE]]
// CHECK: plan.launch @attention_h4_g2_p16 {{.*}}%[[C]], %[[C]], {{.*}} when #[[MORE]]
func.func @decode(%x: tensor<?x?x4x16xf32> {txs.input = "x"},
                  %dt: tensor<?x?x4xf32> {txs.input = "dt"},
                  %past: index {txs.input = "past"},
                  %s: tensor<?x4x16x16xf32> {txs.state = "ssd"},
                  %k: tensor<?x?x2x16xf32> {txs.state = "keys"})
    -> (tensor<?x?x4x16xf32> {txs.output = "y"},
        tensor<?x?x4x16xf32> {txs.output = "o"},
        tensor<?x4x16x16xf32> {txs.state = "ssd"},
        tensor<?x?x2x16xf32> {txs.state = "keys"}) {
  %a = txs.read @a : tensor<4xf32>
  %w = txs.read @w : tensor<32x64xf32>
  %y, %s1 = txs.ssm_scan %x, %x, %x, %dt, %a from %s {chunk = 16 : i64}
    : (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>,
       tensor<?x?x4xf32>, tensor<4xf32>, tensor<?x4x16x16xf32>)
    -> (tensor<?x?x4x16xf32>, tensor<?x4x16x16xf32>)
  %t = txs.linear %x, %w : tensor<?x?x4x16xf32>, tensor<32x64xf32> -> tensor<?x?x2x16xf32>
  %k1 = txs.cache_append %k, %t at %past : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
  %o, %l = txs.attention %x, %k1, %k1 past %past
    : (tensor<?x?x4x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, index)
    -> (tensor<?x?x4x16xf32>, tensor<?x?x4xf32>)
  return %y, %o, %s1, %k1 : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>,
    tensor<?x4x16x16xf32>, tensor<?x?x2x16xf32>
}

// Where the old state is needed after the new one is made, the new one is made
// elsewhere and copied at the end.

// CHECK-LABEL: plan.entry @both
// CHECK-DAG: %[[OLD:.*]] = plan.buffer state "keys"
// CHECK-DAG: %[[NEW:.*]] = plan.buffer temporary "cache_append
// CHECK: plan.launch @copy {{.*}}(%[[OLD]], %[[NEW]])
// CHECK-NEXT: plan.launch @cache_append_n32 {{.*}}, %[[NEW]])
// CHECK-NEXT: plan.launch @add {{.*}}(%[[NEW]], %[[OLD]],
// CHECK-NEXT: plan.launch @copy {{.*}}(%[[NEW]], %[[OLD]])
func.func @both(%t: tensor<?x?x2x16xf32> {txs.input = "t"},
                %past: index {txs.input = "past"},
                %k: tensor<?x?x2x16xf32> {txs.state = "keys"})
    -> (tensor<?x?x2x16xf32> {txs.output = "sum"},
        tensor<?x?x2x16xf32> {txs.state = "keys"}) {
  %k1 = txs.cache_append %k, %t at %past : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
  %s = txs.add %k1, %k : tensor<?x?x2x16xf32>
  return %s, %k1 : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
}
