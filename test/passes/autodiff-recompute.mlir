// A recomputed block leaves only its input to the backward sweep, which makes the
// rest again behind a barrier; what the gradients do not need of the copy (here
// the last product and the residual) is not made, and the call's own inputs need
// no barrier. Common subexpression elimination must leave it all in place.
// RUN: transxssm-opt %s --txs-autodiff | FileCheck %s
// RUN: transxssm-opt %s --txs-autodiff --cse | FileCheck %s

txs.parameter @embed : tensor<9x4xf32> initializer "normal"
txs.parameter @up : tensor<8x4xf32> initializer "normal"
txs.parameter @down : tensor<4x8xf32> initializer "normal"
txs.parameter @residual : tensor<4xf32> initializer "ones" no_decay

// CHECK-LABEL: func.func @gradients(
// CHECK-SAME:    %[[IDS:[^:]*]]: tensor<?x?xi32> {{{[^}]*}}}, %[[LABELS:[^:]*]]: tensor<?x?xi32> {{{[^}]*}}}, %[[MASK:[^:]*]]: tensor<?x?xf32>
// CHECK-NOT:   txs.block
// CHECK:       %[[X:.*]] = txs.embedding %[[IDS]]
// CHECK:       %[[FM:.*]] = txs.mask %[[X]], %[[MASK]]
// CHECK:       txs.linear %[[FM]]
// CHECK:       txs.residual %[[X]]
// CHECK:       %[[DY:.*]], %[[DHEAD:.*]] = txs.linear_cross_entropy_grad
// CHECK-NEXT:  %[[X2:.*]] = txs.recompute_barrier %[[X]] : tensor<?x?x4xf32>
// CHECK-NEXT:  %[[M:.*]] = txs.mask %[[X2]], %[[MASK]]
// CHECK:       %[[U:.*]] = txs.linear %[[M]]
// CHECK-NEXT:  %[[A:.*]] = txs.activation relu %[[U]]
// CHECK-NOT:   txs.linear %[[A]]
// CHECK-NOT:   txs.residual
// CHECK:       %[[DX0:.*]] = txs.scale %[[DY]]
// CHECK-NEXT:  %[[DR:.*]] = txs.sum_tokens %[[DY]] times %[[X2]]
// CHECK-NEXT:  %[[DA:.*]] = txs.linear_grad_input %[[DY]]
// CHECK-NEXT:  %[[DD:.*]] = txs.linear_grad_weight %[[DY]], %[[A]]
// CHECK-NEXT:  %[[DU:.*]] = txs.activation_grad relu %[[DA]], %[[U]]
// CHECK-NEXT:  %[[DM:.*]] = txs.linear_grad_input %[[DU]]
// CHECK-NEXT:  %[[DUP:.*]] = txs.linear_grad_weight %[[DU]], %[[M]]
// CHECK-NEXT:  %[[DX1:.*]] = txs.mask %[[DM]], %[[MASK]]
// CHECK-NEXT:  %[[DX:.*]] = txs.add %[[DX0]], %[[DX1]]
// CHECK-NEXT:  %[[DE:.*]] = txs.embedding_grad %[[DX]], %[[IDS]]
// CHECK-NEXT:  %[[SUM:.*]] = txs.add %[[DHEAD]], %[[DE]]
// CHECK-NEXT:  txs.store_gradient @embed, %[[SUM]]
// CHECK-NEXT:  txs.store_gradient @up, %[[DUP]]
// CHECK-NEXT:  txs.store_gradient @down, %[[DD]]
// CHECK-NEXT:  txs.store_gradient @residual, %[[DR]]
// CHECK-NEXT:  return
func.func @gradients(%ids: tensor<?x?xi32> {txs.input = "input_ids"},
                     %labels: tensor<?x?xi32> {txs.input = "labels"},
                     %mask: tensor<?x?xf32> {txs.input = "attention_mask"})
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  %e = txs.read @embed : tensor<9x4xf32>
  %x = txs.embedding %ids, %e : tensor<?x?xi32>, tensor<9x4xf32> -> tensor<?x?x4xf32>
  %y = txs.block ssd 0 recompute {
    %m = txs.mask %x, %mask : tensor<?x?x4xf32>, tensor<?x?xf32>
    %u = txs.read @up : tensor<8x4xf32>
    %h = txs.linear %m, %u : tensor<?x?x4xf32>, tensor<8x4xf32> -> tensor<?x?x8xf32>
    %a = txs.activation relu %h : tensor<?x?x8xf32>
    %d = txs.read @down : tensor<4x8xf32>
    %o = txs.linear %a, %d : tensor<?x?x8xf32>, tensor<4x8xf32> -> tensor<?x?x4xf32>
    %r = txs.read @residual : tensor<4xf32>
    %z = txs.residual %x, %o, %r : tensor<?x?x4xf32>, tensor<4xf32>
    txs.yield %z : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  %w = txs.read @embed : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %y, %w, %labels shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}
