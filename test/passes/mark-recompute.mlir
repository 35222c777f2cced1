// RUN: transxssm-opt %s --txs-mark-recompute=blocks=1 | FileCheck %s --check-prefixes=CHECK,ONE
// RUN: transxssm-opt %s --txs-mark-recompute=blocks=-1 | FileCheck %s --check-prefixes=CHECK,ALL
// RUN: transxssm-opt %s --txs-mark-recompute | FileCheck %s --check-prefixes=CHECK,NONE
// RUN: not transxssm-opt %s --txs-mark-recompute=blocks=-2 2>&1 | FileCheck %s --check-prefix=ERROR

// ERROR: error: option blocks must be at least -1, but is -2

// CHECK-LABEL: func.func @gradients(
// ONE:   txs.block ssd 0 recompute {
// ONE:   txs.block attention 1 {
// ALL:   txs.block ssd 0 recompute {
// ALL:   txs.block attention 1 recompute {
// NONE:  txs.block ssd 0 {
// NONE:  txs.block attention 1 {
func.func @gradients(%x: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> attributes {txs.differentiate} {
  %0 = txs.block ssd 0 {
    txs.yield %x : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  %1 = txs.block attention 1 recompute {
    txs.yield %0 : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  return %1 : tensor<?x?x4xf32>
}

// CHECK-LABEL: func.func @forward(
// CHECK: txs.block ssd 0 {
func.func @forward(%x: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %0 = txs.block ssd 0 {
    txs.yield %x : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}
