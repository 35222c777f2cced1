// RUN: transxssm-opt %s --split-input-file --txs-autodiff --verify-diagnostics
// RUN: transxssm-opt %s --split-input-file --txs-mixed-precision --verify-diagnostics
// RUN: transxssm-opt %s --split-input-file --txs-to-tile --verify-diagnostics

// Passes take functions whose body is one block that ends with func.return. The
// message begins with what was to be done.

// expected-error @+1 {{must have a body of one block that returns, but 'several' has 2 blocks}}
func.func @several(%x: tensor<f32>) -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  llvm.br ^next
^next:
  return %x : tensor<f32>
}

// -----

// expected-error @+1 {{must have a body of one block that returns, but 'never' ends with llvm.unreachable}}
func.func @never(%x: tensor<f32>) -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
  llvm.unreachable
}
