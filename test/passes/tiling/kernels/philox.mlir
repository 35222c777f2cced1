// RUN: %tiled %s | FileCheck %s --check-prefix=EVEN
// RUN: %tiled %s | FileCheck %s --check-prefix=ODD
// RUN: %tiled %s | FileCheck %s --check-prefix=KEY

// Ten rounds of Philox 4x32-10: in each a wide product of word 0 of the counter and one of word 2,
// each with its factor, and between them a key whose words grow by the two Weyl constants. Drawing
// a token needs all four words; dropout the first, which the last product of word 0 does not reach.

// EVEN-LABEL:     tile.kernel @sample_v2048(
// EVEN-COUNT-10:    arith.muli {{.*}}, 3528531795 : tensor<512xi64>
// EVEN-NOT:         3528531795
// EVEN-LABEL:     tile.kernel @dropout0p5_site7(
// EVEN-COUNT-9:     arith.muli {{.*}}, 3528531795 : tensor<4096xi64>
// EVEN-NOT:         3528531795

// ODD-LABEL:      tile.kernel @sample_v2048(
// ODD-COUNT-10:     arith.muli {{.*}}, 3449720151 : tensor<512xi64>
// ODD-NOT:          3449720151
// ODD-LABEL:      tile.kernel @dropout0p5_site7(
// ODD-COUNT-10:     arith.muli {{.*}}, 3449720151 : tensor<4096xi64>
// ODD-NOT:          3449720151

// KEY-LABEL:      tile.kernel @sample_v2048(
// KEY-COUNT-9:      arith.addi {{.*}}, -1640531527 : i32
// KEY-NOT:          -1640531527
// KEY-LABEL:      tile.kernel @dropout0p5_site7(
// KEY-COUNT-9:      arith.addi {{.*}}, -1640531527 : i32
func.func @both(%x: tensor<?x?x64xf32> {txs.input = "x"}, %seed: tensor<2xi32> {txs.input = "seed"}, %l: tensor<?x2048xf32> {txs.input = "l"}, %s: tensor<2xf32> {txs.input = "s"}, %d: tensor<5xi32> {txs.input = "d"}) -> (tensor<?x?x64xf32> {txs.output = "y"}, tensor<?xi32> {txs.output = "t"}) {
  %t = txs.sample %l, %s, %d : tensor<?x2048xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
  %y = txs.dropout %x, %seed {probability = 0.5 : f64, site = 7 : i64} : tensor<?x?x64xf32>, tensor<2xi32>
  return %y, %t : tensor<?x?x64xf32>, tensor<?xi32>
}
