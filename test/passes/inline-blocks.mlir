// RUN: transxssm-opt %s --txs-inline-blocks | FileCheck %s

// Blocks in sequence, one in another, one with two results, one that only hands
// on what it is given.
// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    %[[X:.*]]: tensor<?x?x4xf32>, %[[C:.*]]: tensor<?x?x4xf32>, %[[P:.*]]: index)
// CHECK-NEXT:  %[[Y:.*]] = txs.mul %[[X]], %[[X]]
// CHECK-NEXT:  %[[D:.*]] = txs.cache_append %[[C]], %[[Y]] at %[[P]]
// CHECK-NEXT:  %[[Z:.*]] = txs.add %[[Y]], %[[Y]]
// CHECK-NEXT:  return %[[Z]], %[[D]]
func.func @decode(%x: tensor<?x?x4xf32>, %cache: tensor<?x?x4xf32>, %past: index)
    -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  %y, %c = txs.block attention 0 {
    %0 = txs.block ssd 7 recompute {
      %1 = txs.mul %x, %x : tensor<?x?x4xf32>
      txs.yield %1 : tensor<?x?x4xf32>
    } : tensor<?x?x4xf32>
    %2 = txs.cache_append %cache, %0 at %past : tensor<?x?x4xf32>, tensor<?x?x4xf32>
    txs.yield %0, %2 : tensor<?x?x4xf32>, tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>, tensor<?x?x4xf32>
  %z = txs.block ssd 1 {
    %0 = txs.add %y, %y : tensor<?x?x4xf32>
    txs.yield %0 : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  %same = txs.block ssd 2 {
    txs.yield %z : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  return %same, %c : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}
