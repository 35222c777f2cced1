// RUN: transxssm-opt %s --txs-to-tile --split-input-file --verify-diagnostics

// What is no entry: every argument and result needs one name and a shape whose first
// extents, at most two, are the dynamic ones.

// expected-error@+1 {{a function to tile must have a body of one block that returns, but 'declared' has 0 blocks}}
func.func private @declared(%x: tensor<?x?x64xf32>) -> tensor<?x?x64xf32>

// -----

// expected-error@+1 {{function @argument has argument 0 with no name, expected txs.input or txs.state}}
func.func @argument(%x: tensor<?x?x64xf32>) -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  %0 = txs.activation relu %x : tensor<?x?x64xf32>
  return %0 : tensor<?x?x64xf32>
}

// -----

// expected-error@+1 {{function @both has argument 0 with two names, expected txs.input or txs.state}}
func.func @both(%x: tensor<?x?x64xf32> {txs.input = "x", txs.state = "x"}) -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  return %x : tensor<?x?x64xf32>
}

// -----

// expected-error@+1 {{function @result has result 0 with no name, expected txs.output or txs.state}}
func.func @result(%x: tensor<?x?x64xf32> {txs.input = "x"}) -> tensor<?x?x64xf32> {
  return %x : tensor<?x?x64xf32>
}

// -----

// expected-error@+1 {{function @shape has argument 0 of type 'tensor<?x?x?xf32>', expected a tensor with at most two dynamic extents, the first ones}}
func.func @shape(%x: tensor<?x?x?xf32> {txs.input = "x"}) -> (tensor<?x?x?xf32> {txs.output = "y"}) {
  return %x : tensor<?x?x?xf32>
}

// -----

// expected-error@+1 {{function @order has argument 0 of type 'tensor<64x?xf32>', expected a tensor with at most two dynamic extents, the first ones}}
func.func @order(%x: tensor<64x?xf32> {txs.input = "x"}) -> (tensor<64x?xf32> {txs.output = "y"}) {
  return %x : tensor<64x?xf32>
}

// -----

// expected-error@+1 {{function @index has result 0 of type 'index', expected a tensor with at most two dynamic extents, the first ones}}
func.func @index(%past: index {txs.input = "past"}) -> (index {txs.output = "y"}) {
  return %past : index
}

// -----

func.func @operation(%x: tensor<?x?x64xf32> {txs.input = "x"}) -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  // expected-error@+1 {{'arith.addf' op has no tile lowering}}
  %0 = arith.addf %x, %x : tensor<?x?x64xf32>
  return %0 : tensor<?x?x64xf32>
}

// -----

// Buffers are told apart by their names.
// expected-error@+1 {{function @arguments has argument 1 named "x", expected a name of its own, but an earlier one has it}}
func.func @arguments(%x: tensor<?x?x64xf32> {txs.input = "x"}, %y: tensor<?x?x32xf32> {txs.input = "x"}) {
  return
}

// -----

// expected-error@+1 {{function @results has result 1 named "y", expected a name of its own, but an earlier one has it}}
func.func @results(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}, tensor<?x?x64xf32> {txs.output = "y"}) {
  %0 = txs.activation relu %x : tensor<?x?x64xf32>
  return %x, %0 : tensor<?x?x64xf32>, tensor<?x?x64xf32>
}

// -----

// Expressions of a plan know one index.
// expected-error@+1 {{function @future has argument 0 of type index named "future", expected "past", the only index of a model}}
func.func @future(%x: index {txs.input = "future"}) {
  return
}

// -----

// expected-error@+1 {{function @state has argument 0 of type 'index', expected a tensor with at most two dynamic extents, the first ones}}
func.func @state(%x: index {txs.state = "past"}) {
  return
}

// -----

// A rotary table has a line for each token, whatever the sequence.
// expected-error@+1 {{function @table has argument 0 of type 'tensor<?x?x64xf32>', expected a tensor with at most one dynamic extent, the first one}}
func.func @table(%x: tensor<?x?x64xf32> {txs.input = "rope_cos"}) {
  return
}

// -----

// expected-error@+1 {{function @element has argument 0 of type 'tensor<?x?xi8>', expected elements of f32, bf16 or i32}}
func.func @element(%x: tensor<?x?xi8> {txs.input = "x"}) {
  return
}

// -----

txs.parameter @w : tensor<64xf16> initializer "ones"
func.func @value() -> (tensor<64xf32> {txs.output = "y"}) {
  // expected-error@+1 {{'txs.read' op makes a value of type 'tensor<64xf16>', expected elements of f32, bf16 or i32}}
  %w = txs.read @w : tensor<64xf16>
  %y = txs.zeros like %w : tensor<64xf16> -> tensor<64xf32>
  return %y : tensor<64xf32>
}
