// RUN: transxssm-opt %s --split-input-file --txs-add-optimizer --verify-diagnostics

// expected-error @+1 {{'early' has no gradients yet: txs-autodiff comes before}}
func.func @early(%h: tensor<8xf32> {txs.input = "hyperparameters"}) attributes {txs.differentiate, txs.optimize} {
  return
}

// -----

// expected-error @+1 {{a function to optimize must have an input named "hyperparameters", but 'train' has none}}
func.func @train(%h: tensor<8xf32>) attributes {txs.optimize} {
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
// expected-error @+1 {{parameter 'w' has no gradient in 'train'}}
func.func @train(%h: tensor<8xf32> {txs.input = "hyperparameters"}) attributes {txs.optimize} {
  return
}

// -----

// expected-error @+1 {{a function to optimize must have a body of one block that returns, but 'external' has 0 blocks}}
func.func private @external(tensor<8xf32> {txs.input = "hyperparameters"}) attributes {txs.optimize}
