// RUN: %tiled %s | FileCheck %s

// Every function becomes an entry, in order, each operation one or more launches.
// Kernels come first and are shared by the entries; parameters keep their names and
// lose what only the passes before needed.

// CHECK-LABEL:  module
// CHECK:        tile.kernel @add(
// CHECK:        tile.kernel @scale_n64(
// CHECK:        tile.kernel @silu(
// CHECK-NOT:    tile.kernel
// CHECK:        plan.parameter @w tensor<64xf32> "ones"
// CHECK-NOT:    txs.
// CHECK:        plan.entry @forward {
// CHECK:          plan.launch @add grid (((batch * seq) * 64) ceildiv 4096)
// CHECK-NEXT:     plan.launch @scale_n64 grid ((batch * seq) ceildiv 64)
// CHECK-NEXT:     plan.launch @silu
// CHECK-NEXT:   }
// CHECK-NEXT:   plan.entry @second {
// CHECK:          plan.launch @add
// CHECK-NEXT:   }
// CHECK-NOT:    func.func
txs.parameter @w : tensor<64xf32> initializer "ones" no_decay

// Blocks are inlined; what no result needs is not computed.

func.func @forward(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  %y = txs.block ssd 0 {
    %w = txs.read @w : tensor<64xf32>
    %0 = txs.add %x, %x : tensor<?x?x64xf32>
    %unused = txs.mul %0, %x : tensor<?x?x64xf32>
    %1 = txs.scale %0, %w : tensor<?x?x64xf32>, tensor<64xf32>
    txs.yield %1 : tensor<?x?x64xf32>
  } : tensor<?x?x64xf32>
  %z = txs.activation silu %y : tensor<?x?x64xf32>
  return %z : tensor<?x?x64xf32>
}
func.func @second(%x: tensor<?x?x24xf32> {txs.input = "x"})
    -> (tensor<?x?x24xf32> {txs.output = "y"}) {
  %0 = txs.add %x, %x : tensor<?x?x24xf32>
  return %0 : tensor<?x?x24xf32>
}

// -----

// A cache that several functions carry is declared once. Its second dynamic extent is
// the room for tokens.

// CHECK-LABEL:  module
// CHECK:        plan.state @keys (batch, capacity, 2, 16) f32
// CHECK-NOT:    plan.state @keys
// CHECK:        plan.entry @prefill
// CHECK:          plan.buffer state "keys" (batch, capacity, 2, 16) f32
// CHECK:        plan.entry @decode
// CHECK:          plan.buffer state "keys" (batch, capacity, 2, 16) f32
func.func @prefill(%t: tensor<?x?x2x16xf32> {txs.input = "t"}, %past: index {txs.input = "past"},
                   %k: tensor<?x?x2x16xf32> {txs.state = "keys"})
    -> (tensor<?x?x2x16xf32> {txs.state = "keys"}) {
  %k1 = txs.cache_append %k, %t at %past : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
  return %k1 : tensor<?x?x2x16xf32>
}
func.func @decode(%t: tensor<?x?x2x16xf32> {txs.input = "t"}, %past: index {txs.input = "past"},
                  %k: tensor<?x?x2x16xf32> {txs.state = "keys"})
    -> (tensor<?x?x2x16xf32> {txs.state = "keys"}) {
  %k1 = txs.cache_append %k, %t at %past : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
  return %k1 : tensor<?x?x2x16xf32>
}

// -----

// No number of tokens in a chunk is too large; kernels take 64 at most.

// CHECK-LABEL:  plan.entry @chunk
// CHECK:        plan.launch @ssm_scan_h1_p8_n8_q64
func.func @chunk(%c: tensor<?x?x1x8xf32> {txs.input = "c"}, %dt: tensor<?x?x1xf32> {txs.input = "dt"}, %a: tensor<1xf32> {txs.input = "a"})
    -> (tensor<?x?x1x8xf32> {txs.output = "y"}) {
  %y, %s = txs.ssm_scan %c, %c, %c, %dt, %a {chunk = 9223372036854775807 : i64}
    : (tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1x8xf32>, tensor<?x?x1xf32>, tensor<1xf32>)
    -> (tensor<?x?x1x8xf32>, tensor<?x1x8x8xf32>)
  return %y : tensor<?x?x1x8xf32>
}
