// RUN: transxssm-opt %s --split-input-file --txs-autodiff --verify-diagnostics

// expected-error @+1 {{a function to differentiate must have a result named "loss", but 'nameless' has none}}
func.func @nameless(%x: tensor<f32>) -> tensor<f32> attributes {txs.differentiate} {
  return %x : tensor<f32>
}

// -----

// expected-error @+1 {{the loss must be a float tensor of rank 0, but is 'tensor<?xf32>'}}
func.func @vector(%x: tensor<?xf32>) -> (tensor<?xf32> {txs.output = "loss"}) attributes {txs.differentiate} {
  return %x : tensor<?xf32>
}

// -----

// expected-error @+1 {{a function to differentiate must have a body of one block that returns, but 'external' has 0 blocks}}
func.func private @external() -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate}

// -----

txs.parameter @head : tensor<9x4xf32> initializer "normal"
func.func @twice(%x: tensor<?x?x4xf32>, %y: tensor<?x?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  %w = txs.read @head : tensor<9x4xf32>
  // expected-error @+1 {{must be the loss itself to have a gradient, but the loss is computed from it}}
  %loss, %l = txs.linear_cross_entropy %x, %w, %y shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  %twice = txs.add %loss, %loss : tensor<f32>
  return %twice : tensor<f32>
}

// -----

txs.parameter @head : tensor<9x4xf32> initializer "normal"
func.func @cached(%h: tensor<?x?x2x2xf32>, %past: index, %y: tensor<?x?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  // expected-error @+1 {{has no gradient with a past: caches are for inference}}
  %o, %lse = txs.attention %h, %h, %h past %past
    : (tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>, index) -> (tensor<?x?x2x2xf32>, tensor<?x?x2xf32>)
  %v = txs.read @head : tensor<9x4xf32>
  %u = txs.read @out : tensor<4x4xf32>
  %x = txs.linear %o, %u : tensor<?x?x2x2xf32>, tensor<4x4xf32> -> tensor<?x?x4xf32>
  %w = txs.read @head : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %x, %w, %y shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}
txs.parameter @out : tensor<4x4xf32> initializer "normal"

// -----

txs.parameter @head : tensor<9x4xf32> initializer "normal"
func.func @appended(%cache: tensor<?x?x4xf32>, %h: tensor<?x?x4xf32>, %past: index, %y: tensor<?x?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  // expected-error @+1 {{has no gradient: caches are for inference}}
  %x = txs.cache_append %cache, %h at %past : tensor<?x?x4xf32>, tensor<?x?x4xf32>
  %w = txs.read @head : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %x, %w, %y shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}

// -----

txs.parameter @head : tensor<9x4xf32> initializer "normal"
func.func @second_order(%h: tensor<?x?x4xf32>, %y: tensor<?x?xi32>)
    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  // expected-error @+1 {{has no gradient, but the loss depends on it}}
  %x = txs.activation_grad silu %h, %h : tensor<?x?x4xf32>
  %w = txs.read @head : tensor<9x4xf32>
  %loss, %l = txs.linear_cross_entropy %x, %w, %y shift
     : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %loss : tensor<f32>
}
