// RUN: transxssm-opt %s --txs-mixed-precision --split-input-file --verify-diagnostics | FileCheck %s
// RUN: transxssm-opt %s --txs-mixed-precision --txs-mixed-precision --split-input-file --verify-diagnostics | FileCheck %s

// Parameters of rank 2 are bf16, those of rank 1 float32. Steps (and so what
// makes them), states and logits stay float32.

// CHECK: txs.parameter @embed : tensor<97x8xbf16>
// CHECK: txs.parameter @norm : tensor<8xf32>
// CHECK: txs.parameter @dt : tensor<2x8xbf16>
// CHECK: txs.parameter @A : tensor<2xf32>
txs.parameter @embed : tensor<97x8xf32> initializer "normal"
txs.parameter @norm : tensor<8xf32> initializer "ones" no_decay
txs.parameter @dt : tensor<2x8xf32> initializer "normal"
txs.parameter @x : tensor<8x8xf32> initializer "normal"
txs.parameter @A : tensor<2xf32> initializer "ssd_decay" no_decay

// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    %[[MASK:[a-z0-9]+]]: tensor<?x?xf32> {txs.input = "attention_mask"}
// CHECK-SAME:    tensor<?x4xf32> {txs.input = "rope_cos"}
// CHECK-SAME:    tensor<?x2x4x4xf32> {txs.state = "ssd_state.0"}
// CHECK-SAME:    tensor<?x?x2x4xbf16> {txs.state = "key_cache.1"}
// CHECK-SAME:    tensor<?x?xf32> {txs.state = "key_mask"}
// CHECK-SAME:    -> (tensor<?x?x97xf32> {txs.output = "logits"}, tensor<?x2x4x4xf32> {txs.state = "ssd_state.0"},
// CHECK-SAME:        tensor<?x?x2x4xbf16> {txs.state = "key_cache.1"}, tensor<?x?xf32> {txs.state = "key_mask"})
func.func @decode(%ids: tensor<?x?xi32> {txs.input = "input_ids"},
                  %mask: tensor<?x?xf32> {txs.input = "attention_mask"},
                  %cos: tensor<?x4xf32> {txs.input = "rope_cos"},
                  %past: index {txs.input = "past"},
                  %s: tensor<?x2x4x4xf32> {txs.state = "ssd_state.0"},
                  %kc: tensor<?x?x2x4xf32> {txs.state = "key_cache.1"},
                  %km: tensor<?x?xf32> {txs.state = "key_mask"})
    -> (tensor<?x?x97xf32> {txs.output = "logits"},
        tensor<?x2x4x4xf32> {txs.state = "ssd_state.0"},
        tensor<?x?x2x4xf32> {txs.state = "key_cache.1"},
        tensor<?x?xf32> {txs.state = "key_mask"}) {
  // CHECK: txs.embedding {{.*}} : tensor<?x?xi32>, tensor<97x8xbf16> -> tensor<?x?x8xbf16>
  %e = txs.read @embed : tensor<97x8xf32>
  %x = txs.embedding %ids, %e : tensor<?x?xi32>, tensor<97x8xf32> -> tensor<?x?x8xf32>
  // The mask's cache is as the mask.
  // CHECK: txs.cache_append {{.*}} : tensor<?x?xf32>, tensor<?x?xf32>
  %km1 = txs.cache_append %km, %mask at %past : tensor<?x?xf32>, tensor<?x?xf32>
  // CHECK: %[[BLOCK:.*]]:2 = txs.block ssd 0 {
  %b:2 = txs.block ssd 0 {
    // CHECK: txs.rms_norm {{.*}} : tensor<?x?x8xbf16>, tensor<8xf32>
    %n = txs.read @norm : tensor<8xf32>
    %h = txs.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x?x8xf32>, tensor<8xf32>
    // CHECK: txs.mask {{.*}}, %[[MASK]] : tensor<?x?x8xbf16>, tensor<?x?xf32>
    %m = txs.mask %h, %mask : tensor<?x?x8xf32>, tensor<?x?xf32>
    // CHECK: txs.linear {{.*}} : tensor<?x?x8xbf16>, tensor<2x8xbf16> -> tensor<?x?x2xf32>
    %w = txs.read @dt : tensor<2x8xf32>
    %u = txs.linear %m, %w : tensor<?x?x8xf32>, tensor<2x8xf32> -> tensor<?x?x2xf32>
    // CHECK: txs.activation softplus {{.*}} : tensor<?x?x2xf32>
    %d = txs.activation softplus %u : tensor<?x?x2xf32>
    %a = txs.read @A : tensor<2xf32>
    // CHECK: txs.ssm_scan
    // CHECK-SAME: (tensor<?x?x2x4xbf16>, tensor<?x?x2x4xbf16>, tensor<?x?x2x4xbf16>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>) -> (tensor<?x?x2x4xbf16>, tensor<?x2x4x4xf32>)
    %p = txs.read @x : tensor<8x8xf32>
    %v = txs.linear %m, %p : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x2x4xf32>
    %y, %f = txs.ssm_scan %v, %v, %v, %d, %a from %s {chunk = 16 : i64}
      : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x4xf32>)
      -> (tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>)
    // CHECK: txs.yield {{.*}} : tensor<?x?x2x4xbf16>, tensor<?x2x4x4xf32>
    txs.yield %y, %f : tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>
  } : tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>
  // CHECK: txs.cache_append {{.*}} : tensor<?x?x2x4xbf16>, tensor<?x?x2x4xbf16>
  %kc1 = txs.cache_append %kc, %b#0 at %past : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>
  // CHECK: txs.attention
  // CHECK-SAME: -> (tensor<?x?x2x4xbf16>, tensor<?x?x2xf32>)
  %o, %l = txs.attention %b#0, %kc1, %kc1 mask %km1 past %past
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?xf32>, index)
    -> (tensor<?x?x2x4xf32>, tensor<?x?x2xf32>)
  // CHECK: txs.linear {{.*}} : tensor<?x?x2x4xbf16>, tensor<97x8xbf16> -> tensor<?x?x97xf32>
  %z = txs.linear %o, %e : tensor<?x?x2x4xf32>, tensor<97x8xf32> -> tensor<?x?x97xf32>
  return %z, %b#1, %kc1, %km1 : tensor<?x?x97xf32>, tensor<?x2x4x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?xf32>
}

// -----

// What reaches an output through operations of one type stays as it is.

// CHECK-LABEL: func.func @forward(
// CHECK: txs.linear {{.*}} : tensor<?x?x4xf32>, tensor<4x4xbf16> -> tensor<?x?x4xbf16>
// CHECK: txs.activation silu {{.*}} : tensor<?x?x4xbf16>
// CHECK: txs.linear {{.*}} : tensor<?x?x4xbf16>, tensor<4x4xbf16> -> tensor<?x?x4xf32>
// CHECK: txs.mul {{.*}} : tensor<?x?x4xf32>
txs.parameter @w : tensor<4x4xf32> initializer "normal"
func.func @forward(%x: tensor<?x?x4xf32> {txs.input = "x"}) -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %w = txs.read @w : tensor<4x4xf32>
  %0 = txs.linear %x, %w : tensor<?x?x4xf32>, tensor<4x4xf32> -> tensor<?x?x4xf32>
  %1 = txs.activation silu %0 : tensor<?x?x4xf32>
  %2 = txs.linear %1, %w : tensor<?x?x4xf32>, tensor<4x4xf32> -> tensor<?x?x4xf32>
  %3 = txs.mul %2, %2 : tensor<?x?x4xf32>
  return %3 : tensor<?x?x4xf32>
}

// -----

func.func @late(%x: tensor<?x?x4xf32>, %dy: tensor<?x?x4xf32>) {
  // expected-error @+1 {{'txs.activation_grad' op has no form in mixed precision: txs-mixed-precision comes before txs-autodiff}}
  %d = txs.activation_grad silu %dy, %x : tensor<?x?x4xf32>
  return
}

// -----

// expected-error @+1 {{a function for mixed precision must have a body of one block that returns, but 'external' has 0 blocks}}
func.func private @external() -> tensor<f32>
