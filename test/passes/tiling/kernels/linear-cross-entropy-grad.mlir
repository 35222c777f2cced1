// RUN: %tiled %s | FileCheck %s
// RUN: transxssm-opt %s --txs-to-tile=gpu=true --split-input-file --mlir-print-local-scope | FileCheck %s --check-prefix=GPU

// The gradients of the loss, a slab of the vocabulary at a time, so that only the
// gradients of 2048 logits per row are in memory. First the label that each row is
// scored against, -1 for none, and 1 / how many there are. With `shift` it is the
// next token's.

// CHECK-LABEL:  tile.kernel @cross_entropy_targets_shifted(
// CHECK-SAME:      %[[LABELS:[^:]*]]: memref<?x?xi32>, %[[TARGETS:[^:]*]]: memref<?x?xi32>, %[[SCALE:[^:]*]]: memref<1xf32>) grid(
// CHECK-DAG:    %[[SEQ:.*]] = memref.dim %[[LABELS]], 1
// CHECK-DAG:    %[[SCORED:.*]] = arith.subi %[[SEQ]], 1
// CHECK:        %[[COUNT:.*]] = scf.for %[[B:[^ ,)]*]] = 0 to {{.*}} step 1 iter_args({{.*}} = 0) -> (f32) {
// CHECK:          scf.for %[[T:[^ ,)]*]] = 0 to %[[SEQ]] step 64 iter_args(%[[N:[^ ,)]*]] = {{.*}}) -> (f32) {
// CHECK-DAG:        %[[NEXT:.*]] = arith.addi %[[T]], 1
// CHECK-DAG:        %[[LABEL:.*]] = tile.load %[[LABELS]][%[[B]], %[[NEXT]]] over [1]
// CHECK-DAG:        %[[GIVEN:.*]] = arith.cmpi sge, %[[LABEL]], 0
// CHECK-DAG:        %[[INSIDE:.*]] = arith.cmpi slt
// CHECK-DAG:        %[[COUNTS:.*]] = arith.andi %[[GIVEN]], %[[INSIDE]]
// CHECK-DAG:        %[[TARGET:.*]] = arith.select %[[COUNTS]], %[[LABEL]], -1
// CHECK:            tile.store %[[TARGET]], %[[TARGETS]][%[[B]], %[[T]]] over [1]
// CHECK-DAG:        %[[ONES:.*]] = arith.uitofp %[[COUNTS]]
// CHECK-DAG:        %[[SUM:.*]] = tile.reduce sum %[[ONES]] along 0
// CHECK-DAG:        arith.addf %[[N]], %[[SUM]]
// CHECK-DAG:    %[[ATLEASTONE:.*]] = arith.maximumf %[[COUNT]], 1
// CHECK-DAG:    %[[INVERSE:.*]] = arith.divf 1, %[[ATLEASTONE]]
// CHECK:        tile.store %[[INVERSE]], %[[SCALE]][0]

// dlogits = (exp(logits - log_sum_exp) - [column is the target]) / count, in the
// epilogue of logits = H W^T. Rows without a target get 0: their exponent is masked
// by a log_sum_exp of 1e30. Columns past the vocabulary get 0 as well.

// CHECK-LABEL:  tile.kernel @cross_entropy_logits_grad_v4500_n64(
// CHECK-SAME:      %[[H:[^:]*]]: memref<?x64xf32>, %[[W:[^:]*]]: memref<4500x64xf32>, %[[TARGETS:[^:]*]]: memref<?xi32>, %[[LSE:[^:]*]]: memref<?xf32>, %[[SCALE:[^:]*]]: memref<1xf32>,
// CHECK-SAME:      %[[DLOGITS:[^:]*]]: memref<?x?xf32>, %[[SLAB:[^:]*]]: index) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 64
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 128
// CHECK-DAG:    %[[ENTRY:.*]] = arith.addi %[[SLAB]], %[[COLUMN]]
// CHECK:        %[[LOGITS:.*]] = scf.for %[[K:[^ ,)]*]] = 0 to 64 step 64 iter_args(%[[SUM:[^ ,)]*]] = 0) -> (tensor<64x128xf32>) {
// CHECK-DAG:      %[[HT:.*]] = tile.load %[[H]][%[[ROW]], %[[K]]] over [0, 1]
// CHECK-DAG:      %[[WT:.*]] = tile.load %[[W]][%[[ENTRY]], %[[K]]] over [0, 1]
// CHECK-DAG:      tile.mma %[[HT]], %[[WT]], %[[SUM]] {transpose_rhs}
// CHECK-DAG:    %[[TARGET:.*]] = tile.load %[[TARGETS]][%[[ROW]]] over [0]
// CHECK-DAG:    %[[L:.*]] = tile.load %[[LSE]][%[[ROW]]] over [0]
// CHECK-DAG:    %[[FACTOR:.*]] = tile.load %[[SCALE]][0]
// CHECK-DAG:    %[[COUNTS:.*]] = arith.cmpi sge, %[[TARGET]], 0
// CHECK-DAG:    %[[SHIFT:.*]] = arith.select %[[COUNTS]], %[[L]], 1e+30
// CHECK-DAG:    %[[SHIFTS:.*]] = tile.broadcast %[[SHIFT]] along [0]
// CHECK-DAG:    %[[FALL:.*]] = arith.subf %[[LOGITS]], %[[SHIFTS]]
// CHECK-DAG:    %[[INSIDE:.*]] = arith.cmpi slt, {{.*}}, 4500
// CHECK-DAG:    %[[EXPONENT:.*]] = arith.select %[[INSIDE]], %[[FALL]], -1e+30
// CHECK-DAG:    %[[P:.*]] = math.exp %[[EXPONENT]]
// CHECK-DAG:    %[[ISTARGET:.*]] = arith.cmpi eq
// CHECK-DAG:    %[[ONE:.*]] = arith.uitofp %[[ISTARGET]]
// CHECK-DAG:    %[[DIFFERENCE:.*]] = arith.subf %[[P]], %[[ONE]]
// CHECK-DAG:    %[[FACTORS:.*]] = tile.broadcast %[[FACTOR]]
// CHECK-DAG:    %[[GRAD:.*]] = arith.mulf %[[DIFFERENCE]], %[[FACTORS]]
// CHECK:        tile.store %[[GRAD]], %[[DLOGITS]][%[[ROW]], %[[COLUMN]]] over [0, 1]

// dhidden (+)= dlogits W, over the entries of the slab.

// CHECK-LABEL:  tile.kernel @cross_entropy_hidden_grad_v4500_n64(
// CHECK-SAME:      %[[DLOGITS:[^:]*]]: memref<?x?xf32>, %[[W:[^:]*]]: memref<4500x64xf32>, %[[DH:[^:]*]]: memref<?x64xf32>, %[[SLAB:[^:]*]]: index) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 64
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 128
// CHECK-DAG:    %[[WIDTH:.*]] = memref.dim %[[DLOGITS]], 1
// CHECK:        %[[DHT:.*]] = scf.for %[[K:[^ ,)]*]] = 0 to %[[WIDTH]] step 128 iter_args(%[[SUM:[^ ,)]*]] = 0) -> (tensor<64x64xf32>) {
// CHECK-DAG:      %[[DT:.*]] = tile.load %[[DLOGITS]][%[[ROW]], %[[K]]] over [0, 1]
// CHECK-DAG:      %[[ENTRY:.*]] = arith.addi %[[SLAB]], %[[K]]
// CHECK-DAG:      %[[WT:.*]] = tile.load %[[W]][%[[ENTRY]], %[[COLUMN]]] over [0, 1]
// CHECK-DAG:      tile.mma %[[DT]], %[[WT]], %[[SUM]] : tensor<64x128xf32>, tensor<128x64xf32>, tensor<64x64xf32>
// CHECK:        tile.store %[[DHT]], %[[DH]][%[[ROW]], %[[COLUMN]]] over [0, 1]

// dweight = dlogits^T H, over all tokens, for the rows of the slab.

// CHECK-LABEL:  tile.kernel @cross_entropy_weight_grad_v4500_n64(
// CHECK-SAME:      %[[DLOGITS:[^:]*]]: memref<?x?xf32>, %[[H:[^:]*]]: memref<?x64xf32>, %[[DW:[^:]*]]: memref<4500x64xf32>, %[[SLAB:[^:]*]]: index) grid(%[[I:[^ ,)]*]], %[[J:[^ ,)]*]])
// CHECK-DAG:    %[[ROW:.*]] = arith.muli %[[I]], 64
// CHECK-DAG:    %[[COLUMN:.*]] = arith.muli %[[J]], 128
// CHECK-DAG:    %[[TOKENS:.*]] = memref.dim %[[H]], 0
// CHECK:        %[[DWT:.*]] = scf.for %[[T:[^ ,)]*]] = 0 to %[[TOKENS]] step 64 iter_args(%[[SUM:[^ ,)]*]] = 0) -> (tensor<64x64xf32>) {
// CHECK-DAG:      %[[DT:.*]] = tile.load %[[DLOGITS]][%[[T]], %[[ROW]]] over [0, 1]
// CHECK-DAG:      %[[HT:.*]] = tile.load %[[H]][%[[T]], %[[COLUMN]]] over [0, 1]
// CHECK-DAG:      tile.mma %[[DT]], %[[HT]], %[[SUM]] {transpose_lhs}
// CHECK-DAG:    %[[ENTRY:.*]] = arith.addi %[[SLAB]], %[[ROW]]
// CHECK:        tile.store %[[DWT]], %[[DW]][%[[ENTRY]], %[[COLUMN]]] over [0, 1]

// From the second slab on dhidden is added to.

// CHECK-LABEL:  tile.kernel @cross_entropy_hidden_grad_v4500_n64_add(
// CHECK-SAME:      {{.*}}, %[[DH:[^:]*]]: memref<?x64xf32>, {{.*}}: index)
// CHECK-DAG:    %[[OLD:.*]] = tile.load %[[DH]]
// CHECK:        scf.for {{.*}} iter_args({{.*}} = %[[OLD]])

// 4500 entries are slabs of 2048, 2048 and 404.

// CHECK-LABEL:  plan.entry @slabs
// CHECK-DAG:    %[[D:.*]] = plan.buffer temporary "linear_cross_entropy_grad.dlogits{{.*}}" (batch * seq, 2048) f32 live 1 to 9
// CHECK-DAG:    %[[T:.*]] = plan.buffer temporary "linear_cross_entropy_grad.targets{{.*}}" (batch * seq) i32
// CHECK-DAG:    %[[DH:.*]] = plan.buffer output "dh"
// CHECK-DAG:    %[[DW:.*]] = plan.buffer output "dw"
// CHECK-DAG:    %[[H:.*]] = plan.buffer input "h"
// CHECK-DAG:    %[[W:.*]] = plan.buffer input "w"
// CHECK:        plan.launch @cross_entropy_targets_shifted grid (1)({{.*}}, %[[T]], {{.*}}) sizes (batch, seq, batch, seq)
// CHECK-NEXT:   plan.launch @cross_entropy_logits_grad_v4500_n64 grid ((batch * seq) ceildiv 64, 16)(%[[H]], %[[W]], %[[T]], {{.*}}, %[[D]]) sizes ({{.*}}, batch * seq, 2048, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_hidden_grad_v4500_n64 grid ((batch * seq) ceildiv 64, 1)(%[[D]], %[[W]], %[[DH]]) sizes (batch * seq, 2048, batch * seq, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_weight_grad_v4500_n64 grid (32, 1)(%[[D]], %[[H]], %[[DW]]) sizes (batch * seq, 2048, batch * seq, 0)
// CHECK-NEXT:   plan.launch @cross_entropy_logits_grad_v4500_n64 grid ((batch * seq) ceildiv 64, 16){{.*}}, 2048)
// CHECK-NEXT:   plan.launch @cross_entropy_hidden_grad_v4500_n64_add grid ((batch * seq) ceildiv 64, 1){{.*}}, 2048)
// CHECK-NEXT:   plan.launch @cross_entropy_weight_grad_v4500_n64 grid (32, 1){{.*}}, 2048)
// CHECK-NEXT:   plan.launch @cross_entropy_logits_grad_v4500_n64 grid ((batch * seq) ceildiv 64, 4){{.*}}, 404, 4096)
// CHECK-NEXT:   plan.launch @cross_entropy_hidden_grad_v4500_n64_add grid ((batch * seq) ceildiv 64, 1){{.*}} sizes (batch * seq, 404, batch * seq, 4096)
// CHECK-NEXT:   plan.launch @cross_entropy_weight_grad_v4500_n64 grid (7, 1){{.*}} sizes (batch * seq, 404, batch * seq, 4096)
// CHECK-NOT:    plan.launch

// On GPUs dlogits has rows of a known width, a multiple of 32 bytes, whatever the
// vocabulary. Of the last slab only as many columns are read as it has entries.
// GPU-LABEL:    tile.kernel @cross_entropy_hidden_grad_v4500_n64_slab2048_counted(
// GPU-SAME:         %[[DM:[^:]*]]: memref<?x2048xf32>, %{{[^:]*}}: memref<4500x64xf32>, %{{[^:]*}}: memref<?x64xf32>, %{{[^:]*}}: index, %[[COUNT:[^:]*]]: index)
// GPU:            scf.for %{{.*}} = %{{.*}} to %[[COUNT]]
// GPU-LABEL:    plan.entry @slabs
// GPU:            plan.launch @cross_entropy_hidden_grad_v4500_n64_slab2048_counted grid {{.*}} sizes {{.*}}(s0 * s1, s0 * s1, 0, 2048)
// GPU:            plan.launch @cross_entropy_hidden_grad_v4500_n64_slab2048_counted_add grid {{.*}} sizes {{.*}}(s0 * s1, s0 * s1, 4096, 404)
func.func @slabs(%h: tensor<?x?x64xf32> {txs.input = "h"}, %w: tensor<4500x64xf32> {txs.input = "w"}, %labels: tensor<?x?xi32> {txs.input = "labels"}, %l: tensor<?x?xf32> {txs.input = "lse"})
    -> (tensor<?x?x64xf32> {txs.output = "dh"}, tensor<4500x64xf32> {txs.output = "dw"}) {
  %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %labels, %l shift
     : tensor<?x?x64xf32>, tensor<4500x64xf32>, tensor<?x?xi32>, tensor<?x?xf32>
  return %dh, %dw : tensor<?x?x64xf32>, tensor<4500x64xf32>
}

// -----

// Classification: a label for each sequence is one row of labels, and a small
// vocabulary is one slab, in tiles rounded up to whole vectors.

// CHECK-LABEL:  tile.kernel @cross_entropy_targets(
// CHECK-NOT:    arith.addi {{.*}}, 1 :
// CHECK-LABEL:  tile.kernel @cross_entropy_logits_grad_v3_n200(
// CHECK:        scf.for {{.*}} = 0 to 200 step 128
// CHECK-DAG:      tile.mma {{.*}} {transpose_rhs} : tensor<64x128xf32>, tensor<16x128xf32>, tensor<64x16xf32>
// CHECK-LABEL:  plan.entry @classification
// CHECK:        plan.launch @cross_entropy_targets grid (1){{.*}} sizes (1, batch, 1, batch)
// CHECK-NEXT:   plan.launch @cross_entropy_logits_grad_v3_n200 grid (batch ceildiv 64, 1)
// CHECK-NEXT:   plan.launch @cross_entropy_hidden_grad_v3_n200 grid (batch ceildiv 64, 2)
// CHECK-NEXT:   plan.launch @cross_entropy_weight_grad_v3_n200 grid (1, 2)
// CHECK-NOT:    plan.launch

// GPU-LABEL:    plan.entry @classification
// GPU:            plan.buffer temporary "linear_cross_entropy_grad.dlogits{{.*}} (s0, 16)
// GPU:            plan.launch @cross_entropy_hidden_grad_v3_n200_slab16 grid
func.func @classification(%h: tensor<?x200xf32> {txs.input = "h"}, %w: tensor<3x200xf32> {txs.input = "w"}, %labels: tensor<?xi32> {txs.input = "labels"}, %l: tensor<?xf32> {txs.input = "lse"})
    -> (tensor<?x200xf32> {txs.output = "dh"}, tensor<3x200xf32> {txs.output = "dw"}) {
  %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %labels, %l
     : tensor<?x200xf32>, tensor<3x200xf32>, tensor<?xi32>, tensor<?xf32>
  return %dh, %dw : tensor<?x200xf32>, tensor<3x200xf32>
}
