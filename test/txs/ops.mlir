// Every documented example of TxsOps.td, one function each (examples.test keeps
// the two in step): it parses, verifies and prints as itself.
// RUN: transxssm-opt %s > %t.once
// RUN: transxssm-opt %t.once > %t.twice
// RUN: diff %t.once %t.twice
// RUN: FileCheck %s < %t.once

// CHECK: txs.parameter @model.layers.0.ssd.A : tensor<8xf32> initializer "ssd_decay" no_decay
txs.parameter @model.layers.0.ssd.A : tensor<8xf32> initializer "ssd_decay" no_decay
txs.parameter @model.final_layernorm.weight : tensor<1024xf32> initializer "ones" no_decay
txs.parameter @model.layers.0.pre_sequence_layernorm.weight : tensor<64xf32> initializer "ones" no_decay

// CHECK-LABEL: @read(
// CHECK: txs.read @model.final_layernorm.weight : tensor<1024xf32>
func.func @read() {
  %w = txs.read @model.final_layernorm.weight : tensor<1024xf32>
  return
}

// CHECK-LABEL: @block(
// CHECK: txs.block ssd 0 {
// CHECK-NEXT: {{.*}}txs.read @model.layers.0.pre_sequence_layernorm.weight : tensor<64xf32>
// CHECK-NEXT: {{.*}}txs.rms_norm {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} {eps = {{.*}} : f64} : tensor<?x?x64xf32>, tensor<64xf32>
// CHECK-NEXT: {{.*}}txs.yield {{%[a-z_0-9]+}} : tensor<?x?x64xf32>
// CHECK-NEXT: {{.*}}} : tensor<?x?x64xf32>
func.func @block(%x: tensor<?x?x64xf32>) {
  %x1 = txs.block ssd 0 {
    %w = txs.read @model.layers.0.pre_sequence_layernorm.weight : tensor<64xf32>
    %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x64xf32>, tensor<64xf32>
    txs.yield %h : tensor<?x?x64xf32>
  } : tensor<?x?x64xf32>
  return
}

// CHECK-LABEL: @embedding(
// CHECK: txs.embedding {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} {pad_token = 2 : i64} : tensor<?x?xi32>, tensor<97x64xf32> -> tensor<?x?x64xf32>
func.func @embedding(%ids: tensor<?x?xi32>, %w: tensor<97x64xf32>) {
  %x = txs.embedding %ids, %w {pad_token = 2 : i64}
     : tensor<?x?xi32>, tensor<97x64xf32> -> tensor<?x?x64xf32>
  return
}

// CHECK-LABEL: @rms_norm(
// CHECK: txs.rms_norm {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} {eps = {{.*}} : f64} : tensor<?x?x1024xf32>, tensor<1024xf32>
func.func @rms_norm(%x: tensor<?x?x1024xf32>, %w: tensor<1024xf32>) {
  %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x1024xf32>, tensor<1024xf32>
  return
}

// CHECK-LABEL: @linear(
// CHECK: txs.linear {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x1024xf32>, tensor<1024x1024xf32> -> tensor<?x?x8x128xf32>
func.func @linear(%h: tensor<?x?x1024xf32>, %w: tensor<1024x1024xf32>) {
  %c = txs.linear %h, %w : tensor<?x?x1024xf32>, tensor<1024x1024xf32>
     -> tensor<?x?x8x128xf32>
  return
}

// CHECK-LABEL: @linear_2(
// CHECK: txs.linear {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} bias {{%[a-z_0-9]+}} : tensor<?x?x64xf32>, tensor<32x64xf32>, tensor<32xf32> -> tensor<?x?x32xf32>
func.func @linear_2(%h: tensor<?x?x64xf32>, %w: tensor<32x64xf32>, %v: tensor<32xf32>) {
  %d = txs.linear %h, %w bias %v : tensor<?x?x64xf32>, tensor<32x64xf32>,
       tensor<32xf32> -> tensor<?x?x32xf32>
  return
}

// CHECK-LABEL: @activation(
// CHECK: txs.activation softplus {{%[a-z_0-9]+}} : tensor<?x?x8xf32>
func.func @activation(%u: tensor<?x?x8xf32>) {
  %dt = txs.activation softplus %u : tensor<?x?x8xf32>
  return
}

// CHECK-LABEL: @mul(
// CHECK: txs.mul {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x2048xf32>
func.func @mul(%gate: tensor<?x?x2048xf32>, %up: tensor<?x?x2048xf32>) {
  %m = txs.mul %gate, %up : tensor<?x?x2048xf32>
  return
}

// CHECK-LABEL: @add(
// CHECK: txs.add {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x1024xf32>
func.func @add(%g0: tensor<?x?x1024xf32>, %g1: tensor<?x?x1024xf32>) {
  %g = txs.add %g0, %g1 : tensor<?x?x1024xf32>
  return
}

// CHECK-LABEL: @scale(
// CHECK: txs.scale {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x1024xf32>, tensor<1024xf32>
func.func @scale(%dy: tensor<?x?x1024xf32>, %w: tensor<1024xf32>) {
  %g = txs.scale %dy, %w : tensor<?x?x1024xf32>, tensor<1024xf32>
  return
}

// CHECK-LABEL: @residual(
// CHECK: txs.residual {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x1024xf32>, tensor<1024xf32>
func.func @residual(%x: tensor<?x?x1024xf32>, %y: tensor<?x?x1024xf32>, %w: tensor<1024xf32>) {
  %x1 = txs.residual %x, %y, %w : tensor<?x?x1024xf32>, tensor<1024xf32>
  return
}

// CHECK-LABEL: @mask(
// CHECK: txs.mask {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x1024xf32>, tensor<?x?xf32>
func.func @mask(%h: tensor<?x?x1024xf32>, %mask: tensor<?x?xf32>) {
  %m = txs.mask %h, %mask : tensor<?x?x1024xf32>, tensor<?x?xf32>
  return
}

// CHECK-LABEL: @dropout(
// CHECK: txs.dropout {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} {probability = 1.000000e-01 : f64, site = 3 : i64} : tensor<?x?x1024xf32>, tensor<2xi32>
func.func @dropout(%x: tensor<?x?x1024xf32>, %seed: tensor<2xi32>) {
  %y = txs.dropout %x, %seed {probability = 0.1 : f64, site = 3 : i64}
     : tensor<?x?x1024xf32>, tensor<2xi32>
  return
}

// CHECK-LABEL: @rope(
// CHECK: txs.rope {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x8x128xf32>, tensor<?x64xf32>
func.func @rope(%c: tensor<?x?x8x128xf32>, %cos: tensor<?x64xf32>, %sin: tensor<?x64xf32>) {
  %cr = txs.rope %c, %cos, %sin : tensor<?x?x8x128xf32>, tensor<?x64xf32>
  return
}

// CHECK-LABEL: @ssm_scan(
// CHECK: txs.ssm_scan {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} from {{%[a-z_0-9]+}} {chunk = 64 : i64} : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8xf32>, tensor<8xf32>, tensor<?x8x128x128xf32>) -> (tensor<?x?x8x128xf32>, tensor<?x8x128x128xf32>)
func.func @ssm_scan(%c: tensor<?x?x8x128xf32>, %b: tensor<?x?x8x128xf32>, %x: tensor<?x?x8x128xf32>, %dt: tensor<?x?x8xf32>, %a: tensor<8xf32>, %s0: tensor<?x8x128x128xf32>) {
  %y, %s1 = txs.ssm_scan %c, %b, %x, %dt, %a from %s0 {chunk = 64 : i64}
     : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>,
        tensor<?x?x8xf32>, tensor<8xf32>, tensor<?x8x128x128xf32>)
     -> (tensor<?x?x8x128xf32>, tensor<?x8x128x128xf32>)
  return
}

// CHECK-LABEL: @attention(
// CHECK: txs.attention {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} mask {{%[a-z_0-9]+}} past {{%[a-z_0-9]+}} : (tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?xf32>, index) -> (tensor<?x?x8x128xf32>, tensor<?x?x8xf32>)
func.func @attention(%q: tensor<?x?x8x128xf32>, %k: tensor<?x?x2x128xf32>, %v: tensor<?x?x2x128xf32>, %m: tensor<?x?xf32>, %n: index) {
  %o, %l = txs.attention %q, %k, %v mask %m past %n
     : (tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>,
        tensor<?x?xf32>, index) -> (tensor<?x?x8x128xf32>, tensor<?x?x8xf32>)
  return
}

// CHECK-LABEL: @cache_append(
// CHECK: txs.cache_append {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} at {{%[a-z_0-9]+}} : tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>
func.func @cache_append(%kc: tensor<?x?x2x128xf32>, %k: tensor<?x?x2x128xf32>, %past: index) {
  %kc1 = txs.cache_append %kc, %k at %past
     : tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>
  return
}

// CHECK-LABEL: @last_token(
// CHECK: txs.last_token {{%[a-z_0-9]+}} : tensor<?x?x1024xf32> -> tensor<?x1024xf32>
func.func @last_token(%h: tensor<?x?x1024xf32>) {
  %l = txs.last_token %h : tensor<?x?x1024xf32> -> tensor<?x1024xf32>
  return
}

// CHECK-LABEL: @sample(
// CHECK: txs.sample {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x50280xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
func.func @sample(%logits: tensor<?x50280xf32>, %settings: tensor<2xf32>, %draw: tensor<5xi32>) {
  %next = txs.sample %logits, %settings, %draw
     : tensor<?x50280xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
  return
}

// CHECK-LABEL: @linear_cross_entropy(
// CHECK: txs.linear_cross_entropy {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} shift : tensor<?x?x64xf32>, tensor<97x64xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
func.func @linear_cross_entropy(%h: tensor<?x?x64xf32>, %w: tensor<97x64xf32>, %labels: tensor<?x?xi32>) {
  %loss, %l = txs.linear_cross_entropy %h, %w, %labels shift
     : tensor<?x?x64xf32>, tensor<97x64xf32>, tensor<?x?xi32>
     -> tensor<f32>, tensor<?x?xf32>
  return
}

// CHECK-LABEL: @recompute_barrier(
// CHECK: txs.recompute_barrier {{%[a-z_0-9]+}} : tensor<?x?x64xf32>
func.func @recompute_barrier(%x: tensor<?x?x64xf32>) {
  %x2 = txs.recompute_barrier %x : tensor<?x?x64xf32>
  return
}

// CHECK-LABEL: @zeros(
// CHECK: txs.zeros like {{%[a-z_0-9]+}} : tensor<?x?x64xf32>
func.func @zeros(%x: tensor<?x?x64xf32>) {
  %z = txs.zeros like %x : tensor<?x?x64xf32>
  return
}

// CHECK-LABEL: @zeros__type(
// CHECK: txs.zeros like {{%[a-z_0-9]+}} : tensor<97x64xbf16> -> tensor<97x64xf32>
func.func @zeros__type(%w: tensor<97x64xbf16>) {
  %g = txs.zeros like %w : tensor<97x64xbf16> -> tensor<97x64xf32>
  return
}

// The gradient of a bf16 weight is float32.
// CHECK-LABEL: @linear_cross_entropy_grad__bf16(
// CHECK: txs.linear_cross_entropy_grad {{.*}} : tensor<?x?x64xbf16>, tensor<97x64xbf16>,
// CHECK: txs.store_gradient @w, {{.*}} : tensor<97x64xf32>
txs.parameter @w : tensor<97x64xbf16> initializer "normal"
func.func @linear_cross_entropy_grad__bf16(%h: tensor<?x?x64xbf16>, %w: tensor<97x64xbf16>, %y: tensor<?x?xi32>, %l: tensor<?x?xf32>) {
  %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %y, %l shift
    : tensor<?x?x64xbf16>, tensor<97x64xbf16>, tensor<?x?xi32>, tensor<?x?xf32>
  txs.store_gradient @w, %dw : tensor<97x64xf32>
  return
}

// CHECK-LABEL: @embedding_grad(
// CHECK: txs.embedding_grad {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} {pad_token = 2 : i64} : tensor<?x?x64xf32>, tensor<?x?xi32> -> tensor<97x64xf32>
func.func @embedding_grad(%dx: tensor<?x?x64xf32>, %ids: tensor<?x?xi32>) {
  %dw = txs.embedding_grad %dx, %ids {pad_token = 2 : i64}
     : tensor<?x?x64xf32>, tensor<?x?xi32> -> tensor<97x64xf32>
  return
}

// CHECK-LABEL: @rms_norm_grad(
// CHECK: txs.rms_norm_grad {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} {eps = {{.*}} : f64} : tensor<?x?x64xf32>, tensor<64xf32>
func.func @rms_norm_grad(%dy: tensor<?x?x64xf32>, %x: tensor<?x?x64xf32>, %w: tensor<64xf32>) {
  %dx, %dw = txs.rms_norm_grad %dy, %x, %w {eps = 1.0e-6 : f64}
     : tensor<?x?x64xf32>, tensor<64xf32>
  return
}

// CHECK-LABEL: @linear_grad_input(
// CHECK: txs.linear_grad_input {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x8x128xf32>, tensor<1024x1024xf32> -> tensor<?x?x1024xf32>
func.func @linear_grad_input(%dc: tensor<?x?x8x128xf32>, %w: tensor<1024x1024xf32>) {
  %dh = txs.linear_grad_input %dc, %w
     : tensor<?x?x8x128xf32>, tensor<1024x1024xf32> -> tensor<?x?x1024xf32>
  return
}

// CHECK-LABEL: @linear_grad_weight(
// CHECK: txs.linear_grad_weight {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x8x128xf32>, tensor<?x?x1024xf32> -> tensor<1024x1024xf32>
func.func @linear_grad_weight(%dc: tensor<?x?x8x128xf32>, %h: tensor<?x?x1024xf32>) {
  %dw = txs.linear_grad_weight %dc, %h
     : tensor<?x?x8x128xf32>, tensor<?x?x1024xf32> -> tensor<1024x1024xf32>
  return
}

// CHECK-LABEL: @sum_tokens(
// CHECK: txs.sum_tokens {{%[a-z_0-9]+}} : tensor<?x?x8x128xf32> -> tensor<1024xf32>
func.func @sum_tokens(%dy: tensor<?x?x8x128xf32>) {
  %db = txs.sum_tokens %dy : tensor<?x?x8x128xf32> -> tensor<1024xf32>
  return
}

// CHECK-LABEL: @sum_tokens_2(
// CHECK: txs.sum_tokens {{%[a-z_0-9]+}} times {{%[a-z_0-9]+}} : tensor<?x?x64xf32>, tensor<?x?x64xf32> -> tensor<64xf32>
func.func @sum_tokens_2(%dy: tensor<?x?x64xf32>, %x: tensor<?x?x64xf32>) {
  %dw = txs.sum_tokens %dy times %x : tensor<?x?x64xf32>, tensor<?x?x64xf32> -> tensor<64xf32>
  return
}

// CHECK-LABEL: @activation_grad(
// CHECK: txs.activation_grad silu {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<?x?x2048xf32>
func.func @activation_grad(%dy: tensor<?x?x2048xf32>, %u: tensor<?x?x2048xf32>) {
  %du = txs.activation_grad silu %dy, %u : tensor<?x?x2048xf32>
  return
}

// CHECK-LABEL: @ssm_scan_grad(
// CHECK: txs.ssm_scan_grad {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} {chunk = 64 : i64} : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8xf32>, tensor<8xf32>) -> (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8xf32>, tensor<8xf32>)
func.func @ssm_scan_grad(%dy: tensor<?x?x8x128xf32>, %c: tensor<?x?x8x128xf32>, %b: tensor<?x?x8x128xf32>, %x: tensor<?x?x8x128xf32>, %dt: tensor<?x?x8xf32>, %a: tensor<8xf32>) {
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 64 : i64}
     : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>,
        tensor<?x?x8x128xf32>, tensor<?x?x8xf32>, tensor<8xf32>)
     -> (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>,
         tensor<?x?x8xf32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: @attention_grad(
// CHECK: txs.attention_grad {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} mask {{%[a-z_0-9]+}} : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8xf32>, tensor<?x?xf32>) -> (tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>)
func.func @attention_grad(%do: tensor<?x?x8x128xf32>, %q: tensor<?x?x8x128xf32>, %k: tensor<?x?x2x128xf32>, %v: tensor<?x?x2x128xf32>, %o: tensor<?x?x8x128xf32>, %l: tensor<?x?x8xf32>, %m: tensor<?x?xf32>) {
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l mask %m
     : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>,
        tensor<?x?x2x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8xf32>,
        tensor<?x?xf32>)
     -> (tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>)
  return
}

// CHECK-LABEL: @last_token_grad(
// CHECK: txs.last_token_grad {{%[a-z_0-9]+}} like {{%[a-z_0-9]+}} : tensor<?x64xf32>, tensor<?x?x64xf32> -> tensor<?x?x64xf32>
func.func @last_token_grad(%dl: tensor<?x64xf32>, %h: tensor<?x?x64xf32>) {
  %dh = txs.last_token_grad %dl like %h
     : tensor<?x64xf32>, tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  return
}

// CHECK-LABEL: @linear_cross_entropy_grad(
// CHECK: txs.linear_cross_entropy_grad {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} shift : tensor<?x?x64xf32>, tensor<97x64xf32>, tensor<?x?xi32>, tensor<?x?xf32>
func.func @linear_cross_entropy_grad(%h: tensor<?x?x64xf32>, %w: tensor<97x64xf32>, %labels: tensor<?x?xi32>, %l: tensor<?x?xf32>) {
  %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %labels, %l shift
     : tensor<?x?x64xf32>, tensor<97x64xf32>, tensor<?x?xi32>, tensor<?x?xf32>
  return
}

// CHECK-LABEL: @store_gradient(
// CHECK: txs.store_gradient @model.layers.0.ssd.A, {{%[a-z_0-9]+}} : tensor<8xf32>
func.func @store_gradient(%da: tensor<8xf32>) {
  txs.store_gradient @model.layers.0.ssd.A, %da : tensor<8xf32>
  return
}

// CHECK-LABEL: @global_norm(
// CHECK: txs.global_norm {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<8xf32>, tensor<97x64xf32> -> tensor<f32>
func.func @global_norm(%g0: tensor<8xf32>, %g1: tensor<97x64xf32>) {
  %n = txs.global_norm %g0, %g1 : tensor<8xf32>, tensor<97x64xf32> -> tensor<f32>
  return
}

// CHECK-LABEL: @adamw(
// CHECK: txs.adamw @model.layers.0.ssd.A, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}}, {{%[a-z_0-9]+}} : tensor<8xf32>, tensor<f32>, tensor<8xf32>
func.func @adamw(%da: tensor<8xf32>, %norm: tensor<f32>, %hyper: tensor<8xf32>) {
  txs.adamw @model.layers.0.ssd.A, %da, %norm, %hyper
     : tensor<8xf32>, tensor<f32>, tensor<8xf32>
  return
}
