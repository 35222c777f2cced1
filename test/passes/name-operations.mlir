// RUN: transxssm-opt %s --txs-name-operations --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s
// RUN: transxssm-opt %s --txs-name-operations --txs-inline-blocks --txs-to-tile | FileCheck %s --check-prefix=PLAN

// Numbers count what computes; blocks and reads have no name of their own. What
// uses no parameter is named after the last one.
txs.parameter @a.weight : tensor<8x8xf32> initializer "normal"
txs.parameter @b.weight : tensor<8xf32> initializer "ones"

// CHECK-LABEL: func.func @forward
// CHECK:       txs.add {{.*}} loc("0 txs.add")
// CHECK:       txs.linear {{.*}} loc("1 txs.linear @a.weight")
// CHECK:       txs.activation silu {{.*}} loc("2 txs.activation silu after @a.weight")
// CHECK:       txs.rms_norm {{.*}} loc("3 txs.rms_norm @b.weight")

// A launch says what it writes, not what it reads; a fused value has no place.
// PLAN-LABEL: plan.entry @forward
// PLAN:       plan.launch @add{{.*}}({{%[^,]*, %[^,]*, %[^)]*}}){{.*}}{holds = ["", "", "0 txs.add"]}
// PLAN-NEXT:  plan.launch @linear_k8_n8_silu{{.*}}{holds = ["", "", "2 txs.activation silu after @a.weight"]}
// PLAN-NEXT:  plan.launch @rms_norm{{.*}}"3 txs.rms_norm @b.weight"
func.func @forward(%x: tensor<?x?x8xf32> {txs.input = "x"}) -> (tensor<?x?x8xf32> {txs.output = "y"}) {
  %0 = txs.add %x, %x : tensor<?x?x8xf32>
  %1 = txs.block ssd 0 {
    %w = txs.read @a.weight : tensor<8x8xf32>
    %2 = txs.linear %0, %w : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x8xf32>
    %3 = txs.activation silu %2 : tensor<?x?x8xf32>
    txs.yield %3 : tensor<?x?x8xf32>
  } : tensor<?x?x8xf32>
  %v = txs.read @b.weight : tensor<8xf32>
  %4 = txs.rms_norm %1, %v {eps = 1.0e-6 : f64} : tensor<?x?x8xf32>, tensor<8xf32>
  return %4 : tensor<?x?x8xf32>
}
