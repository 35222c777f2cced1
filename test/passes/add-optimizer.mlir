// RUN: transxssm-opt %s --txs-autodiff --txs-add-optimizer | FileCheck %s

// The norm takes the gradients in the order of the parameters, whatever order the
// sweep made them in.
txs.parameter @embed : tensor<9x4xf32> initializer "normal"
txs.parameter @scale : tensor<4xf32> initializer "ones" no_decay
txs.parameter @unused : tensor<3xf32> initializer "zeros" no_decay

// CHECK-LABEL: func.func @train(
// CHECK-SAME:    %[[HYPER:[^ ]*]]: tensor<8xf32> {txs.input = "hyperparameters"})
// CHECK-SAME:    -> (tensor<f32> {txs.output = "loss"}, tensor<f32> {txs.output = "grad_norm"})
// CHECK-NOT:   txs.optimize
// CHECK:       %[[LOSS:.*]], %{{.*}} = txs.linear_cross_entropy %
// CHECK:       txs.store_gradient @embed, %[[DE:.*]] :
// CHECK:       txs.store_gradient @scale, %[[DS:.*]] :
// CHECK:       txs.store_gradient @unused, %[[DU:.*]] :
// CHECK-NEXT:  %[[NORM:.*]] = txs.global_norm %[[DE]], %[[DS]], %[[DU]] : tensor<9x4xf32>, tensor<4xf32>, tensor<3xf32> -> tensor<f32>
// CHECK-NEXT:  txs.adamw @embed, %[[DE]], %[[NORM]], %[[HYPER]]
// CHECK-NEXT:  txs.adamw @scale, %[[DS]], %[[NORM]], %[[HYPER]]
// CHECK-NEXT:  txs.adamw @unused, %[[DU]], %[[NORM]], %[[HYPER]]
// CHECK-NEXT:  return %[[LOSS]], %[[NORM]] : tensor<f32>, tensor<f32>
func.func @train(%ids: tensor<?x?xi32> {txs.input = "input_ids"},
                 %labels: tensor<?x?xi32> {txs.input = "labels"},
                 %hyper: tensor<8xf32> {txs.input = "hyperparameters"})
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate, txs.optimize} {
  %e = txs.read @embed : tensor<9x4xf32>
  %x = txs.embedding %ids, %e : tensor<?x?xi32>, tensor<9x4xf32> -> tensor<?x?x4xf32>
  %s = txs.read @scale : tensor<4xf32>
  %h = txs.scale %x, %s : tensor<?x?x4xf32>, tensor<4xf32>
  %loss, %l = txs.linear_cross_entropy %h, %e, %labels shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}

// A function of gradients alone gets no step.
// CHECK-LABEL: func.func @gradients(
// CHECK:       txs.store_gradient @embed
// CHECK-NOT:   txs.adamw
func.func @gradients(%x: tensor<?x?x4xf32>, %labels: tensor<?x?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  %e = txs.read @embed : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %x, %e, %labels shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}
