// RUN: %tiled %s | FileCheck %s

// Buffers and when they live: inputs from the start, outputs to the end, temporaries
// from the launch that writes them to the last one that reads them, parameters always.
// A result with two names is copied to the second.

// CHECK-LABEL:  plan.entry @forward
// CHECK-NEXT:   %[[X:.*]] = plan.buffer input "x" (batch, seq, 64) f32 live 0 to 1
// CHECK-NEXT:   %[[A:.*]] = plan.buffer temporary "add{{.*}}" (batch, seq, 64) f32 live 0 to 1
// CHECK-NEXT:   %[[B:.*]] = plan.buffer temporary "add{{.*}}" (batch, seq, 64) f32 live 1 to 2
// CHECK-NEXT:   %[[W:.*]] = plan.buffer parameter "w" (64) f32 live 0 to 3
// CHECK-NEXT:   %[[Y:.*]] = plan.buffer output "y" (batch, seq, 64) f32 live 2 to 3
// CHECK-NEXT:   %[[Z:.*]] = plan.buffer output "z" (batch, seq, 64) f32 live 3 to 3
// CHECK-NEXT:   plan.launch @add grid {{.*}}(%[[X]], %[[X]], %[[A]])
// CHECK-NEXT:   plan.launch @add grid {{.*}}(%[[A]], %[[X]], %[[B]])
// CHECK-NEXT:   plan.launch @scale_n64 grid {{.*}}(%[[B]], %[[W]], %[[Y]])
// CHECK-NEXT:   plan.launch @copy grid (((batch * seq) * 64) ceildiv 4096)(%[[Y]], %[[Z]])
txs.parameter @w : tensor<64xf32> initializer "ones" no_decay
func.func @forward(%x: tensor<?x?x64xf32> {txs.input = "x"})
    -> (tensor<?x?x64xf32> {txs.output = "y"}, tensor<?x?x64xf32> {txs.output = "z"}) {
  %w = txs.read @w : tensor<64xf32>
  %0 = txs.add %x, %x : tensor<?x?x64xf32>
  %1 = txs.add %0, %x : tensor<?x?x64xf32>
  %2 = txs.scale %1, %w : tensor<?x?x64xf32>, tensor<64xf32>
  return %2, %2 : tensor<?x?x64xf32>, tensor<?x?x64xf32>
}

// -----

// An argument that is a result is copied.

// CHECK-LABEL:  plan.entry @identity
// CHECK-DAG:    %[[X:.*]] = plan.buffer input "x"
// CHECK-DAG:    %[[Y:.*]] = plan.buffer output "y"
// CHECK:        plan.launch @copy {{.*}}(%[[X]], %[[Y]])
func.func @identity(%x: tensor<?x?x64xf32> {txs.input = "x"}) -> (tensor<?x?x64xf32> {txs.output = "y"}) {
  return %x : tensor<?x?x64xf32>
}

// -----

// A state changes in place where nothing needs the old one afterwards, here a cache
// and the state of a scan. Extents of the rotary tables are tokens of the call.

// CHECK-LABEL:  plan.entry @inplace
// CHECK-DAG:    %[[COS:.*]] = plan.buffer input "rope_cos" (seq, 8)
// CHECK-DAG:    %[[K:.*]] = plan.buffer state "keys" (batch, capacity, 2, 16)
// CHECK-DAG:    %[[S:.*]] = plan.buffer state "ssd" (batch, 2, 16, 16)
// CHECK:        plan.launch @rope_n32_p16 {{.*}}, %[[COS]],
// CHECK:        plan.launch @cache_append_n32 {{.*}}, %[[K]])
// CHECK-NEXT:   plan.launch @ssm_step_h2_p16_n16_inplace {{.*}}, %[[S]], {{.*}})
// CHECK-NEXT:   plan.launch @ssm_scan_h2_p16_n16_q16_inplace {{.*}}, %[[S]], {{.*}})
// CHECK-NEXT:   }
func.func @inplace(%t: tensor<?x?x2x16xf32> {txs.input = "t"}, %dt: tensor<?x?x2xf32> {txs.input = "dt"},
                   %a: tensor<2xf32> {txs.input = "a"}, %past: index {txs.input = "past"},
                   %cos: tensor<?x8xf32> {txs.input = "rope_cos"}, %sin: tensor<?x8xf32> {txs.input = "rope_sin"},
                   %k: tensor<?x?x2x16xf32> {txs.state = "keys"}, %s: tensor<?x2x16x16xf32> {txs.state = "ssd"})
    -> (tensor<?x?x2x16xf32> {txs.output = "y"}, tensor<?x?x2x16xf32> {txs.state = "keys"}, tensor<?x2x16x16xf32> {txs.state = "ssd"}) {
  %r = txs.rope %t, %cos, %sin : tensor<?x?x2x16xf32>, tensor<?x8xf32>
  %k1 = txs.cache_append %k, %r at %past : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
  %y, %s1 = txs.ssm_scan %t, %t, %r, %dt, %a from %s {chunk = 16 : i64}
    : (tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x16x16xf32>)
    -> (tensor<?x?x2x16xf32>, tensor<?x2x16x16xf32>)
  return %y, %k1, %s1 : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x2x16x16xf32>
}

// -----

// Where the old state is needed after the new one is made, the new one is made
// elsewhere and copied at the end.

// CHECK-LABEL:  plan.entry @both
// CHECK-DAG:    %[[OLD:.*]] = plan.buffer state "keys"
// CHECK-DAG:    %[[NEW:.*]] = plan.buffer temporary "cache_append
// CHECK:        plan.launch @copy {{.*}}(%[[OLD]], %[[NEW]])
// CHECK-NEXT:   plan.launch @cache_append_n32 {{.*}}, %[[NEW]])
// CHECK-NEXT:   plan.launch @add {{.*}}(%[[NEW]], %[[OLD]],
// CHECK-NEXT:   plan.launch @copy {{.*}}(%[[NEW]], %[[OLD]])
func.func @both(%t: tensor<?x?x2x16xf32> {txs.input = "t"},
                %past: index {txs.input = "past"},
                %k: tensor<?x?x2x16xf32> {txs.state = "keys"})
    -> (tensor<?x?x2x16xf32> {txs.output = "sum"},
        tensor<?x?x2x16xf32> {txs.state = "keys"}) {
  %k1 = txs.cache_append %k, %t at %past : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
  %s = txs.add %k1, %k : tensor<?x?x2x16xf32>
  return %s, %k1 : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
}

// -----

// A gradient is made in the caller's buffer: there is nothing left to do for
// store_gradient. Parameter and moments are updated where they are.

// CHECK-LABEL:  plan.entry @train
// CHECK-DAG:    %[[DW:.*]] = plan.buffer gradient "norm.weight" (64)
// CHECK-DAG:    %[[NORM:.*]] = plan.buffer output "grad_norm" (1)
// CHECK-DAG:    %[[W:.*]] = plan.buffer parameter "norm.weight" (64)
// CHECK-DAG:    %[[M1:.*]] = plan.buffer moment1 "norm.weight" (64)
// CHECK-DAG:    %[[M2:.*]] = plan.buffer moment2 "norm.weight" (64)
// CHECK:        plan.launch @sum_rows_n64 {{.*}}, %[[DW]])
// CHECK-NEXT:   plan.launch @sum_squares {{.*}}(%[[DW]],
// CHECK-NEXT:   plan.launch @norm_of_partials {{.*}}, %[[NORM]])
// CHECK-NEXT:   plan.launch @adamw_no_decay {{.*}}(%[[DW]], %[[NORM]], {{.*}}, %[[W]], %[[M1]], %[[M2]])
// CHECK-NEXT:   }
txs.parameter @norm.weight : tensor<64xf32> initializer "ones" no_decay
func.func @train(%dy: tensor<?x?x64xf32> {txs.input = "dy"},
                 %hyper: tensor<8xf32> {txs.input = "hyperparameters"})
    -> (tensor<f32> {txs.output = "grad_norm"}) {
  %dw = txs.sum_tokens %dy : tensor<?x?x64xf32> -> tensor<64xf32>
  txs.store_gradient @norm.weight, %dw : tensor<64xf32>
  %norm = txs.global_norm %dw : tensor<64xf32> -> tensor<f32>
  txs.adamw @norm.weight, %dw, %norm, %hyper : tensor<64xf32>, tensor<f32>, tensor<8xf32>
  return %norm : tensor<f32>
}

// -----

// A product reads whole rows of what it would write over: the new state has a place of
// its own until the end.

// CHECK-LABEL:  plan.entry @product
// CHECK-DAG:    %[[H:.*]] = plan.buffer state "h" (batch, 64)
// CHECK-DAG:    %[[NEW:.*]] = plan.buffer temporary "linear{{.*}}" (batch, 64)
// CHECK:        plan.launch @linear_k64_n64 {{.*}}(%[[H]], %{{.*}}, %[[NEW]])
// CHECK-NEXT:   plan.launch @copy {{.*}}(%[[NEW]], %[[H]])
// CHECK-NEXT:   }
txs.parameter @w : tensor<64x64xf32> initializer "normal"
func.func @product(%h: tensor<?x64xf32> {txs.state = "h"}) -> (tensor<?x64xf32> {txs.state = "h"}) {
  %w = txs.read @w : tensor<64x64xf32>
  %0 = txs.linear %h, %w : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// Old states that become new ones are saved before any is written.

// CHECK-LABEL:  plan.entry @swap
// CHECK-DAG:    %[[A:.*]] = plan.buffer state "a" (batch, 64)
// CHECK-DAG:    %[[B:.*]] = plan.buffer state "b" (batch, 64)
// CHECK-DAG:    %[[OLDB:.*]] = plan.buffer temporary "a{{.*}}" (batch, 64)
// CHECK-DAG:    %[[OLDA:.*]] = plan.buffer temporary "b{{.*}}" (batch, 64)
// CHECK:        plan.launch @copy {{.*}}(%[[B]], %[[OLDB]])
// CHECK-NEXT:   plan.launch @copy {{.*}}(%[[A]], %[[OLDA]])
// CHECK-NEXT:   plan.launch @copy {{.*}}(%[[OLDB]], %[[A]])
// CHECK-NEXT:   plan.launch @copy {{.*}}(%[[OLDA]], %[[B]])
// CHECK-NEXT:   }
func.func @swap(%a: tensor<?x64xf32> {txs.state = "a"}, %b: tensor<?x64xf32> {txs.state = "b"})
    -> (tensor<?x64xf32> {txs.state = "a"}, tensor<?x64xf32> {txs.state = "b"}) {
  return %b, %a : tensor<?x64xf32>, tensor<?x64xf32>
}
