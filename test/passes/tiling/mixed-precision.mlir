// RUN: transxssm-opt %s --txs-to-tile | FileCheck %s

// The kernels of bf16 values have names of their own. Products take bf16
// operands and accumulate in float32; everything else is computed in float32 and
// rounded where it is stored.

// CHECK-LABEL: tile.kernel @rms_norm_n64_eps1em06_bf16_f32(
// CHECK-SAME:    memref<?x64xbf16>, %{{.*}}: memref<64xf32>, %{{.*}}: memref<?x64xbf16>)
// CHECK-DAG:     %[[X:.*]] = tile.load {{.*}} -> tensor<16x64xbf16>
// CHECK-DAG:     arith.extf %[[X]] : tensor<16x64xbf16> to tensor<16x64xf32>
// CHECK-DAG:     tile.reduce sum {{.*}} : tensor<16x64xf32> -> tensor<16xf32>
// CHECK-DAG:     %[[Y:.*]] = arith.truncf {{.*}} : tensor<16x64xf32> to tensor<16x64xbf16>
// CHECK:         tile.store %[[Y]]

// CHECK-LABEL: tile.kernel @linear_k64_bf16_n64_silu(
// CHECK-DAG:     tile.mma {{.*}} {transpose_rhs} : tensor<128x64xbf16>, tensor<64x64xbf16>, tensor<128x64xf32>
// CHECK-DAG:     math.exp {{.*}} : tensor<128x64xf32>
// CHECK-DAG:     arith.truncf {{.*}} : tensor<128x64xf32> to tensor<128x64xbf16>

// Logits are not rounded.
// CHECK-LABEL: tile.kernel @linear_k64_bf16_n97_to_f32(
// CHECK-SAME:    memref<?x64xbf16>, %{{.*}}: memref<97x64xbf16>, %{{.*}}: memref<?x97xf32>)
// CHECK-DAG:     tile.mma {{.*}} : tensor<128x64xbf16>, tensor<{{.*}}x64xbf16>,
// CHECK-NOT:     arith.truncf
// CHECK:         tile.store

// Gradients of weights are float32.
// CHECK-LABEL: tile.kernel @linear_grad_weight_o97_i64_bf16(
// CHECK-SAME:    memref<?x97xf32>, %{{.*}}: memref<?x64xbf16>, %{{.*}}: memref<97x64xf32>)
// CHECK-DAG:     %[[DY:.*]] = tile.load {{.*}} -> tensor<64x64xf32>
// CHECK-DAG:     %[[SHORT:.*]] = arith.truncf %[[DY]] : tensor<64x64xf32> to tensor<64x64xbf16>
// CHECK-DAG:     tile.mma %[[SHORT]], {{.*}} {transpose_lhs} : tensor<64x64xbf16>,

// The optimizer has a master to update, which it rounds to the parameter.
// CHECK-LABEL: tile.kernel @adamw_bf16(
// CHECK-SAME:    %[[P:[a-z0-9]+]]: memref<?xbf16>, %{{[a-z0-9]+}}: memref<?xf32>, %{{[a-z0-9]+}}: memref<?xf32>, %[[MASTER:[a-z0-9]+]]: memref<?xf32>) grid
// CHECK-DAG:     %[[PARAMETER:.*]] = tile.load %[[P]]
// CHECK-DAG:     %[[OLD:.*]] = tile.load %[[MASTER]]
// CHECK-DAG:     %[[ROUNDED:.*]] = arith.truncf %[[OLD]]
// CHECK-DAG:     arith.cmpf oeq,
// CHECK-DAG:     arith.select
// CHECK:         tile.store %[[NEW:.*]], %[[MASTER]]
// CHECK-DAG:     %[[SHORT:.*]] = arith.truncf %[[NEW]]
// CHECK:         tile.store %[[SHORT]], %[[P]]

txs.parameter @norm : tensor<64xf32> initializer "ones" no_decay
txs.parameter @w : tensor<64x64xbf16> initializer "normal"
txs.parameter @head : tensor<97x64xbf16> initializer "normal"

// CHECK-LABEL: plan.entry @forward
// CHECK:         plan.buffer parameter "norm" {{.*}} f32 live
// CHECK:         plan.buffer temporary {{.*}} bf16 live
// CHECK:         plan.buffer parameter "w" {{.*}} bf16 live
// CHECK:         plan.buffer output "logits" {{.*}} f32 live
func.func @forward(%x: tensor<?x?x64xbf16> {txs.input = "x"}) -> (tensor<?x?x97xf32> {txs.output = "logits"}) {
  %n = txs.read @norm : tensor<64xf32>
  %h = txs.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x?x64xbf16>, tensor<64xf32>
  %w = txs.read @w : tensor<64x64xbf16>
  %y = txs.linear %h, %w : tensor<?x?x64xbf16>, tensor<64x64xbf16> -> tensor<?x?x64xbf16>
  %s = txs.activation silu %y : tensor<?x?x64xbf16>
  %v = txs.read @head : tensor<97x64xbf16>
  %z = txs.linear %s, %v : tensor<?x?x64xbf16>, tensor<97x64xbf16> -> tensor<?x?x97xf32>
  return %z : tensor<?x?x97xf32>
}

// CHECK-LABEL: plan.entry @train
// CHECK:         %[[G:.*]] = plan.buffer gradient "head" {{.*}} f32 live
// CHECK:         %[[W:.*]] = plan.buffer parameter "head" {{.*}} bf16 live
// CHECK:         %[[M1:.*]] = plan.buffer moment1 "head" {{.*}} f32 live
// CHECK:         %[[M2:.*]] = plan.buffer moment2 "head" {{.*}} f32 live
// CHECK:         %[[M:.*]] = plan.buffer master "head" {{.*}} f32 live
// CHECK:         plan.launch @adamw_bf16 {{.*}}(%[[G]], %{{.*}}, %{{.*}}, %[[W]], %[[M1]], %[[M2]], %[[M]])
func.func @train(%dz: tensor<?x?x97xf32> {txs.input = "dz"}, %h: tensor<?x?x64xbf16> {txs.input = "h"},
                 %hyper: tensor<8xf32> {txs.input = "hyperparameters"}) -> (tensor<f32> {txs.output = "grad_norm"}) {
  %dw = txs.linear_grad_weight %dz, %h : tensor<?x?x97xf32>, tensor<?x?x64xbf16> -> tensor<97x64xf32>
  txs.store_gradient @head, %dw : tensor<97x64xf32>
  %norm = txs.global_norm %dw : tensor<97x64xf32> -> tensor<f32>
  txs.adamw @head, %dw, %norm, %hyper : tensor<97x64xf32>, tensor<f32>, tensor<8xf32>
  return %norm : tensor<f32>
}
