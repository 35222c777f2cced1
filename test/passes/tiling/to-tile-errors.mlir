// RUN: transxssm-opt %s --txs-to-tile --split-input-file --verify-diagnostics

// What is no entry: every argument and result needs one name and a shape whose first
// extents, at most two, are the dynamic ones.

// expected-error@+1 {{function @declared has 0 blocks, expected one}}
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
