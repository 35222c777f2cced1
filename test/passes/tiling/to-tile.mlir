// RUN: transxssm-opt %s --txs-to-tile | FileCheck %s

// Flat kernels are shared by every shape; live ranges end at the last use.

// CHECK-DAG: #[[TOKENS:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)>
// CHECK-DAG: #[[FLAT:.*]] = affine_map<()[s0, s1, s2, s3] -> (((s0 * s1) * 64) ceildiv 4096)>
// CHECK: tile.kernel @add
// CHECK: tile.kernel @scale_n64
// CHECK: tile.kernel @silu(%[[X:.*]]: memref<?xf32>, %[[Y:.*]]: memref<?xf32>) grid(%[[I:.*]])
// CHECK:   %[[T:.*]] = tile.load %[[X]][%{{.*}}] over [0] : memref<?xf32> -> tensor<4096xf32>
// CHECK:   tile.store %{{.*}}, %[[Y]]
// CHECK: plan.parameter @w tensor<64xf32> "ones"
txs.parameter @w : tensor<64xf32> initializer "ones" no_decay

// CHECK: plan.entry @forward
// CHECK-NEXT: %[[IN:.*]] = plan.buffer input "x" #[[TOKENS]] f32 live 0 to 1
// CHECK-NEXT: %[[S:.*]] = plan.buffer temporary {{.*}} live 0 to 1
// CHECK-NEXT: %[[A:.*]] = plan.buffer temporary {{.*}} live 1 to 2
// CHECK-NEXT: %[[W:.*]] = plan.buffer parameter "w" {{.*}} live 0 to 3
// CHECK-NEXT: %[[OUT:.*]] = plan.buffer output "y" {{.*}} live 2 to 3
// CHECK-NEXT: %[[COPY:.*]] = plan.buffer output "z" {{.*}} live 3 to 3
// CHECK-NEXT: plan.launch @add grid #[[FLAT]](%[[IN]], %[[IN]], %[[S]])
// CHECK-NEXT: plan.launch @add {{.*}}(%[[S]], %[[IN]], %[[A]])
// CHECK-NEXT: plan.launch @scale_n64 {{.*}}(%[[A]], %[[W]], %[[OUT]])
// CHECK-NEXT: plan.launch @copy {{.*}}(%[[OUT]], %[[COPY]])
func.func @forward(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}, tensor<?x?x64xf32> {txs.output = "z"}) {
  %w = txs.read @w : tensor<64xf32>
  %0 = txs.add %x, %x : tensor<?x?x64xf32>
  %1 = txs.add %0, %x : tensor<?x?x64xf32>
  %2 = txs.scale %1, %w : tensor<?x?x64xf32>, tensor<64xf32>
  return %2, %2 : tensor<?x?x64xf32>, tensor<?x?x64xf32>
}

// CHECK: plan.entry @second
// CHECK: plan.launch @silu
func.func @second(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  %0 = txs.activation silu %x : tensor<?x?x64xf32>
  return %0 : tensor<?x?x64xf32>
}
