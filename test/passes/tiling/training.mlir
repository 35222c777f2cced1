// RUN: transxssm-opt %s --txs-to-tile | FileCheck %s

// A gradient is made in the caller's buffer. The vocabulary goes in slabs
// through one buffer; the first slab writes the gradient of the hidden states,
// the others add to it. AdamW updates parameter and moments in place.

txs.parameter @head.weight : tensor<4500x64xf32> initializer "normal"
txs.parameter @norm.weight : tensor<64xf32> initializer "ones" no_decay

// CHECK-DAG: #[[BLOCKS:.*]] = affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 64)>
// CHECK-DAG: #[[SLAB:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 * s1, 2048)>
// CHECK-DAG: #[[FIRST:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 * s1, 2048, s0 * s1, 0)>
// CHECK-DAG: #[[SECOND:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 * s1, 2048, s0 * s1, 2048)>
// CHECK-DAG: #[[THIRD:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 * s1, 404, s0 * s1, 4096)>
// CHECK-DAG: #[[PLACE:.*]] = affine_map<()[s0, s1, s2, s3] -> (64, 10, 9)>

// CHECK: plan.entry @train
// CHECK-DAG: %[[DLOGITS:.*]] = plan.buffer temporary "linear_cross_entropy_grad.dlogits{{.*}}" #[[SLAB]] f32 live 1 to 9
// CHECK-DAG: %[[DHEAD:.*]] = plan.buffer gradient "head.weight"
// CHECK-DAG: %[[DNORM:.*]] = plan.buffer gradient "norm.weight"
// CHECK-DAG: %[[HEAD:.*]] = plan.buffer parameter "head.weight"
// CHECK-DAG: %[[M1:.*]] = plan.buffer moment1 "head.weight"
// CHECK-DAG: %[[M2:.*]] = plan.buffer moment2 "head.weight"
// CHECK-DAG: %[[NORM:.*]] = plan.buffer output "grad_norm"

// CHECK: plan.launch @cross_entropy_targets_shifted
// CHECK-NEXT: plan.launch @cross_entropy_logits_grad_v4500_n64
// CHECK-NEXT: plan.launch @cross_entropy_hidden_grad_v4500_n64 grid {{.*}}(%[[DLOGITS]], %[[HEAD]], %[[DHIDDEN:.*]]) sizes #[[FIRST]]
// CHECK-NEXT: plan.launch @cross_entropy_weight_grad_v4500_n64 grid {{.*}}(%[[DLOGITS]], {{.*}}, %[[DHEAD]]) sizes #[[FIRST]]
// CHECK-NEXT: plan.launch @cross_entropy_logits_grad_v4500_n64
// CHECK-NEXT: plan.launch @cross_entropy_hidden_grad_v4500_n64_add grid {{.*}}(%[[DLOGITS]], %[[HEAD]], %[[DHIDDEN]]) sizes #[[SECOND]]
// CHECK-NEXT: plan.launch @cross_entropy_weight_grad_v4500_n64 grid {{.*}} sizes #[[SECOND]]
// CHECK-NEXT: plan.launch @cross_entropy_logits_grad_v4500_n64
// CHECK-NEXT: plan.launch @cross_entropy_hidden_grad_v4500_n64_add grid {{.*}} sizes #[[THIRD]]
// CHECK-NEXT: plan.launch @cross_entropy_weight_grad_v4500_n64 grid {{.*}} sizes #[[THIRD]]
// CHECK-NEXT: plan.launch @rms_norm_grad_n64_{{.*}} grid #[[BLOCKS]](%[[DHIDDEN]], {{.*}}, %[[PARTIALS:[0-9]+]])
// CHECK-NEXT: plan.launch @sum_rows_n64 grid {{.*}}(%[[PARTIALS]], %[[DNORM]])
// CHECK-NEXT: plan.launch @sum_squares grid {{.*}}(%[[DHEAD]], %[[SQUARES:.*]]) sizes
// CHECK-NEXT: plan.launch @sum_squares grid {{.*}}(%[[DNORM]], %[[SQUARES]]) sizes #[[PLACE]]
// CHECK-NEXT: plan.launch @norm_of_partials grid {{.*}}(%[[SQUARES]], %[[NORM]])
// CHECK-NEXT: plan.launch @adamw grid {{.*}}(%[[DHEAD]], %[[NORM]], %{{.*}}, %[[HEAD]], %[[M1]], %[[M2]])
// CHECK-NEXT: plan.launch @adamw_no_decay grid {{.*}}(%[[DNORM]], %[[NORM]],
// CHECK-NOT: plan.launch
func.func @train(%x: tensor<?x?x64xf32> {txs.input = "x"},
                 %labels: tensor<?x?xi32> {txs.input = "labels"},
                 %lse: tensor<?x?xf32> {txs.input = "lse"},
                 %hyper: tensor<8xf32> {txs.input = "hyperparameters"})
    -> (tensor<f32> {txs.output = "grad_norm"}) {
  %w = txs.read @head.weight : tensor<4500x64xf32>
  %n = txs.read @norm.weight : tensor<64xf32>
  %dh, %dw = txs.linear_cross_entropy_grad %x, %w, %labels, %lse shift
    : tensor<?x?x64xf32>, tensor<4500x64xf32>, tensor<?x?xi32>, tensor<?x?xf32>
  txs.store_gradient @head.weight, %dw : tensor<4500x64xf32>
  %dx, %dn = txs.rms_norm_grad %dh, %x, %n {eps = 1.0e-6 : f64}
    : tensor<?x?x64xf32>, tensor<64xf32>
  txs.store_gradient @norm.weight, %dn : tensor<64xf32>
  %norm = txs.global_norm %dw, %dn
    : tensor<4500x64xf32>, tensor<64xf32> -> tensor<f32>
  txs.adamw @head.weight, %dw, %norm, %hyper
    : tensor<4500x64xf32>, tensor<f32>, tensor<8xf32>
  txs.adamw @norm.weight, %dn, %norm, %hyper
    : tensor<64xf32>, tensor<f32>, tensor<8xf32>
  return %norm : tensor<f32>
}
