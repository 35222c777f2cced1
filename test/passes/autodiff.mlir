// RUN: transxssm-opt %s --split-input-file --txs-autodiff | FileCheck %s

// The gradients of a tied matrix from both its uses meet in one sum; a parameter
// that the loss does not depend on gets zeros; the attribute is gone.
txs.parameter @embed : tensor<9x4xf32> initializer "normal"
txs.parameter @unused : tensor<3xf32> initializer "ones" no_decay

// CHECK-LABEL: func.func @tied(
// CHECK-SAME:    %[[IDS:[^:]*]]: tensor<?x?xi32> {txs.input = "input_ids"}
// CHECK-SAME:    %[[LABELS:[^:]*]]: tensor<?x?xi32> {txs.input = "labels"}
// CHECK-NOT:   txs.differentiate
// CHECK:       %[[E:.*]] = txs.read @embed
// CHECK:       %[[X:.*]] = txs.embedding %[[IDS]], %[[E]]
// CHECK:       %[[W:.*]] = txs.read @embed
// CHECK:       %[[LOSS:.*]], %[[L:.*]] = txs.linear_cross_entropy %[[X]], %[[W]], %[[LABELS]] shift
// CHECK-NEXT:  %[[DX:.*]], %[[DW:.*]] = txs.linear_cross_entropy_grad %[[X]], %[[W]], %[[LABELS]], %[[L]] shift
// CHECK-NEXT:  %[[DE:.*]] = txs.embedding_grad %[[DX]], %[[IDS]] {pad_token = 2 : i64} : {{.*}} -> tensor<9x4xf32>
// CHECK-NEXT:  %[[SUM:.*]] = txs.add %[[DW]], %[[DE]] : tensor<9x4xf32>
// CHECK-NEXT:  txs.store_gradient @embed, %[[SUM]]
// CHECK-NEXT:  %[[U:.*]] = txs.read @unused
// CHECK-NEXT:  %[[Z:.*]] = txs.zeros like %[[U]]
// CHECK-NEXT:  txs.store_gradient @unused, %[[Z]]
// CHECK-NEXT:  return %[[LOSS]]
func.func @tied(%ids: tensor<?x?xi32> {txs.input = "input_ids"},
                %labels: tensor<?x?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  %e = txs.read @embed : tensor<9x4xf32>
  %x = txs.embedding %ids, %e {pad_token = 2 : i64}
     : tensor<?x?xi32>, tensor<9x4xf32> -> tensor<?x?x4xf32>
  %w = txs.read @embed : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %x, %w, %labels shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}

// What is not marked stays as it is.
// CHECK-LABEL: func.func @forward(
// CHECK-NOT:   store_gradient
func.func @forward(%x: tensor<?x?x4xf32>, %labels: tensor<?x?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) {
  %w = txs.read @embed : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %x, %w, %labels shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}

// -----

// A feed-forward layer inside a plain block, with a bias, dropout and every
// elementwise operation.
txs.parameter @norm : tensor<4xf32> initializer "ones" no_decay
txs.parameter @gate : tensor<8x4xf32> initializer "normal"
txs.parameter @bias : tensor<8xf32> initializer "zeros" no_decay
txs.parameter @down : tensor<4x8xf32> initializer "normal"
txs.parameter @scale : tensor<4xf32> initializer "ones" no_decay
txs.parameter @residual : tensor<4xf32> initializer "ones" no_decay
txs.parameter @head : tensor<9x4xf32> initializer "normal"

// CHECK-LABEL: func.func @feed_forward(
// CHECK-SAME:    %[[X:.*]]: tensor<?x?x4xf32>, %[[LABELS:.*]]: tensor<?x?xi32>, %[[SEED:.*]]: tensor<2xi32>)
// CHECK-NOT:   txs.block
// CHECK:       %[[N:.*]] = txs.read @norm
// CHECK:       %[[H:.*]] = txs.rms_norm %[[X]], %[[N]]
// CHECK:       %[[G:.*]] = txs.read @gate
// CHECK:       %[[U:.*]] = txs.linear %[[H]], %[[G]] bias
// CHECK:       %[[A:.*]] = txs.activation gelu %[[U]]
// CHECK:       %[[M:.*]] = txs.mul %[[A]], %[[U]]
// CHECK:       %[[D:.*]] = txs.read @down
// CHECK:       %[[O:.*]] = txs.linear %[[M]], %[[D]]
// CHECK:       %[[P:.*]] = txs.dropout %[[O]], %[[SEED]]
// CHECK:       %[[S:.*]] = txs.read @scale
// CHECK:       %[[C:.*]] = txs.scale %[[P]], %[[S]]
// CHECK:       %[[R:.*]] = txs.read @residual
// CHECK:       %[[Y:.*]] = txs.residual %[[X]], %[[C]], %[[R]]
// CHECK:       %[[HEAD:.*]] = txs.read @head
// CHECK:       txs.linear_cross_entropy
// CHECK-NEXT:  %[[DY:.*]], %[[DHEAD:.*]] = txs.linear_cross_entropy_grad %[[Y]], %[[HEAD]]
// CHECK-NEXT:  %[[DR:.*]] = txs.sum_tokens %[[DY]] times %[[X]] : {{.*}} -> tensor<4xf32>
// CHECK-NEXT:  %[[DC:.*]] = txs.scale %[[DY]], %[[S]]
// CHECK-NEXT:  %[[DS:.*]] = txs.sum_tokens %[[DY]] times %[[P]] : {{.*}} -> tensor<4xf32>
// CHECK-NEXT:  %[[DP:.*]] = txs.dropout %[[DC]], %[[SEED]] {probability = 1.000000e-01 : f64, site = 3 : i64}
// CHECK-NEXT:  %[[DM:.*]] = txs.linear_grad_input %[[DP]], %[[D]] : {{.*}} -> tensor<?x?x8xf32>
// CHECK-NEXT:  %[[DD:.*]] = txs.linear_grad_weight %[[DP]], %[[M]] : {{.*}} -> tensor<4x8xf32>
// CHECK-NEXT:  %[[DA:.*]] = txs.mul %[[DM]], %[[U]]
// CHECK-NEXT:  %[[DU0:.*]] = txs.mul %[[DM]], %[[A]]
// CHECK-NEXT:  %[[DU1:.*]] = txs.activation_grad gelu %[[DA]], %[[U]]
// CHECK-NEXT:  %[[DU:.*]] = txs.add %[[DU0]], %[[DU1]]
// CHECK-NEXT:  %[[DH:.*]] = txs.linear_grad_input %[[DU]], %[[G]] : {{.*}} -> tensor<?x?x4xf32>
// CHECK-NEXT:  %[[DG:.*]] = txs.linear_grad_weight %[[DU]], %[[H]] : {{.*}} -> tensor<8x4xf32>
// CHECK-NEXT:  %[[DB:.*]] = txs.sum_tokens %[[DU]] : {{.*}} -> tensor<8xf32>
// CHECK-NEXT:  %{{.*}}, %[[DN:.*]] = txs.rms_norm_grad %[[DH]], %[[X]], %[[N]] {eps = {{.*}} : f64}
// CHECK-NEXT:  txs.store_gradient @norm, %[[DN]]
// CHECK-NEXT:  txs.store_gradient @gate, %[[DG]]
// CHECK-NEXT:  txs.store_gradient @bias, %[[DB]]
// CHECK-NEXT:  txs.store_gradient @down, %[[DD]]
// CHECK-NEXT:  txs.store_gradient @scale, %[[DS]]
// CHECK-NEXT:  txs.store_gradient @residual, %[[DR]]
// CHECK-NEXT:  txs.store_gradient @head, %[[DHEAD]]
// CHECK-NEXT:  return
func.func @feed_forward(%x: tensor<?x?x4xf32>, %labels: tensor<?x?xi32>,
                        %seed: tensor<2xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  %y = txs.block ssd 0 {
    %n = txs.read @norm : tensor<4xf32>
    %h = txs.rms_norm %x, %n {eps = 1.0e-5 : f64} : tensor<?x?x4xf32>, tensor<4xf32>
    %g = txs.read @gate : tensor<8x4xf32>
    %b = txs.read @bias : tensor<8xf32>
    %u = txs.linear %h, %g bias %b : tensor<?x?x4xf32>, tensor<8x4xf32>, tensor<8xf32> -> tensor<?x?x8xf32>
    %a = txs.activation gelu %u : tensor<?x?x8xf32>
    %m = txs.mul %a, %u : tensor<?x?x8xf32>
    %d = txs.read @down : tensor<4x8xf32>
    %o = txs.linear %m, %d : tensor<?x?x8xf32>, tensor<4x8xf32> -> tensor<?x?x4xf32>
    %p = txs.dropout %o, %seed {probability = 0.1 : f64, site = 3 : i64} : tensor<?x?x4xf32>, tensor<2xi32>
    %s = txs.read @scale : tensor<4xf32>
    %c = txs.scale %p, %s : tensor<?x?x4xf32>, tensor<4xf32>
    %r = txs.read @residual : tensor<4xf32>
    %z = txs.residual %x, %c, %r : tensor<?x?x4xf32>, tensor<4xf32>
    txs.yield %z : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  %w = txs.read @head : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %y, %w, %labels shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}

// -----

// The scan: its rotation turns back, its state's gradient is absent while nobody
// uses the state, and a used initial state gets its gradient.
txs.parameter @c : tensor<8x4xf32> initializer "normal"
txs.parameter @a : tensor<2xf32> initializer "ssd_decay" no_decay
txs.parameter @head : tensor<9x8xf32> initializer "normal"
txs.parameter @out : tensor<5x9xf32> initializer "normal"

// CHECK-LABEL: func.func @scans(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x?x4xf32>, %[[MASK:[^:]*]]: tensor<?x?xf32>, %[[DT:[^:]*]]: tensor<?x?x2xf32>,
// CHECK-SAME:    %[[COS:[^:]*]]: tensor<?x2xf32>, %[[SIN:[^:]*]]: tensor<?x2xf32>
// CHECK:       %[[M:.*]] = txs.mask %[[X]], %[[MASK]]
// CHECK:       %[[Y0:.*]], %[[S:.*]] = txs.ssm_scan
// CHECK:       %[[Y1:.*]], %{{.*}} = txs.ssm_scan {{.*}} from %[[S]]
// CHECK:       %[[DH:.*]], %{{.*}} = txs.linear_cross_entropy_grad
// CHECK:       %[[DY:.*]] = txs.linear_grad_input %[[DH]]
// CHECK:       %[[DC1:.*]], %{{.*}}, %{{.*}}, %{{.*}}, %[[DA1:.*]], %[[DS:.*]] = txs.ssm_scan_grad %[[DY]], {{.*}} from %[[S]] {chunk = 16 : i64}
// CHECK:       %[[Z:.*]] = txs.zeros like %[[Y0]]
// CHECK:       %[[DC0:.*]], %[[DB0:.*]], %{{.*}}, %{{.*}}, %[[DA0:.*]] = txs.ssm_scan_grad %[[Z]], {{.*}} dfinal %[[DS]] {chunk = 16 : i64}
// CHECK:       %[[DA:.*]] = txs.add %[[DA1]], %[[DA0]]
// CHECK-NEXT:  %[[DR:.*]] = txs.rope %{{.*}}, %[[COS]], %[[SIN]] {inverse}
// CHECK-NEXT:  %[[DU:.*]] = txs.add %{{.*}}, %[[DR]]
// CHECK-NEXT:  %[[DC:.*]] = txs.linear_grad_weight %[[DU]], %[[M]]
// CHECK-NEXT:  txs.store_gradient @c, %[[DC]]
// CHECK-NEXT:  txs.store_gradient @a, %[[DA]]
func.func @scans(%x: tensor<?x?x4xf32>, %mask: tensor<?x?xf32>, %dt: tensor<?x?x2xf32>,
                 %cos: tensor<?x2xf32>, %sin: tensor<?x2xf32>, %labels: tensor<?x?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  %m = txs.mask %x, %mask : tensor<?x?x4xf32>, tensor<?x?xf32>
  %w = txs.read @c : tensor<8x4xf32>
  %u = txs.linear %m, %w : tensor<?x?x4xf32>, tensor<8x4xf32> -> tensor<?x?x2x4xf32>
  %c = txs.rope %u, %cos, %sin : tensor<?x?x2x4xf32>, tensor<?x2xf32>
  %a = txs.read @a : tensor<2xf32>
  %y0, %s = txs.ssm_scan %c, %c, %u, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
  %y, %f = txs.ssm_scan %c, %c, %u, %dt, %a from %s {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
  %o = txs.read @head : tensor<9x8xf32>
  %t = txs.linear %y, %o : tensor<?x?x2x4xf32>, tensor<9x8xf32> -> tensor<?x?x9xf32>
  %q = txs.read @out : tensor<5x9xf32>
  %loss, %l = txs.linear_cross_entropy %t, %q, %labels shift
     : tensor<?x?x9xf32>, tensor<5x9xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}

// -----

// Attention, and classification from the last token.
txs.parameter @q : tensor<8x4xf32> initializer "normal"
txs.parameter @k : tensor<4x4xf32> initializer "normal"
txs.parameter @classifier : tensor<3x8xf32> initializer "normal"
txs.parameter @mix : tensor<8x8xf32> initializer "normal"

// CHECK-LABEL: func.func @classify(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x?x4xf32>, %[[MASK:[^:]*]]: tensor<?x?xf32>, %[[SEED:[^:]*]]: tensor<2xi32>
// CHECK:       %[[QUERY:.*]] = txs.linear {{.*}} -> tensor<?x?x2x4xf32>
// CHECK:       %[[KEY:.*]] = txs.linear {{.*}} -> tensor<?x?x1x4xf32>
// CHECK:       %[[O:.*]], %[[LSE:.*]] = txs.attention
// CHECK:       %[[ROWS:.*]] = txs.linear
// CHECK:       %[[LAST:.*]] = txs.last_token %[[ROWS]] mask %[[MASK]]
// CHECK:       %[[DLAST:.*]], %[[DCLASS:.*]] = txs.linear_cross_entropy_grad %[[LAST]], %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} :
// CHECK-NEXT:  %[[DROWS:.*]] = txs.last_token_grad %[[DLAST]] like %[[ROWS]] mask %[[MASK]]
// CHECK-NEXT:  %[[DO:.*]] = txs.linear_grad_input %[[DROWS]]
// CHECK-NEXT:  %[[DMIX:.*]] = txs.linear_grad_weight %[[DROWS]], %[[O]]
// CHECK-NEXT:  %[[DQ:.*]], %[[DK:.*]], %[[DV:.*]] = txs.attention_grad %[[DO]], %[[QUERY]], %[[KEY]], %[[KEY]], %[[O]], %[[LSE]] mask %[[MASK]] seed %[[SEED]] {dropout = 2.500000e-01 : f64, site = 5 : i64}
// CHECK-NEXT:  %[[DKV:.*]] = txs.add %[[DK]], %[[DV]]
// CHECK-NEXT:  %[[DKW:.*]] = txs.linear_grad_weight %[[DKV]], %[[X]]
// CHECK-NEXT:  %[[DQW:.*]] = txs.linear_grad_weight %[[DQ]], %[[X]]
// CHECK-NEXT:  txs.store_gradient @q, %[[DQW]]
// CHECK-NEXT:  txs.store_gradient @k, %[[DKW]]
// CHECK-NEXT:  txs.store_gradient @classifier, %[[DCLASS]]
// CHECK-NEXT:  txs.store_gradient @mix, %[[DMIX]]
func.func @classify(%x: tensor<?x?x4xf32>, %mask: tensor<?x?xf32>, %seed: tensor<2xi32>,
                    %labels: tensor<?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  %wq = txs.read @q : tensor<8x4xf32>
  %q = txs.linear %x, %wq : tensor<?x?x4xf32>, tensor<8x4xf32> -> tensor<?x?x2x4xf32>
  %wk = txs.read @k : tensor<4x4xf32>
  %k = txs.linear %x, %wk : tensor<?x?x4xf32>, tensor<4x4xf32> -> tensor<?x?x1x4xf32>
  %o, %lse = txs.attention %q, %k, %k mask %mask seed %seed {dropout = 0.25 : f64, site = 5 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?x1x4xf32>, tensor<?x?xf32>, tensor<2xi32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x?x2xf32>)
  %wm = txs.read @mix : tensor<8x8xf32>
  %m = txs.linear %o, %wm : tensor<?x?x2x4xf32>, tensor<8x8xf32> -> tensor<?x?x8xf32>
  %last = txs.last_token %m mask %mask : tensor<?x?x8xf32>, tensor<?x?xf32> -> tensor<?x8xf32>
  %wc = txs.read @classifier : tensor<3x8xf32>
  %loss, %l = txs.linear_cross_entropy %last, %wc, %labels
     : tensor<?x8xf32>, tensor<3x8xf32>, tensor<?xi32> -> tensor<f32>, tensor<?xf32>
  return %loss : tensor<f32>
}
