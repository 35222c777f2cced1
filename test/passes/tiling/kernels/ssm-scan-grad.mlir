// RUN: %tiled %s | FileCheck %s

// Two sweeps. Forward: the state before each chunk, S [24, 16], kept in memory. Its
// 24 rows are a tile of 32, whole vectors; rows past the end are 0 and not stored.

// CHECK-LABEL:  tile.kernel @ssm_scan_states_h4_p24_n16_q64(
// CHECK-SAME:      %[[BM:[^:]*]]: memref<?x?x4x16xf32>, %[[XM:[^:]*]]: memref<?x?x4x24xf32>, %[[DTM:[^:]*]]: memref<?x?x4xf32>, %[[AM:[^:]*]]: memref<4xf32>,
// CHECK-SAME:      %[[STATES:[^:]*]]: memref<?x4x?x24x16xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK-DAG:    %[[SEQ:.*]] = memref.dim %[[XM]], 1
// CHECK:        scf.for %[[T:[^ ,)]*]] = 0 to %[[SEQ]] step 64 iter_args(%[[S:[^ ,)]*]] = 0) -> (tensor<32x16xf32>) {
// CHECK-DAG:      %[[NUMBER:.*]] = arith.divui %[[T]], 64
// CHECK:          tile.store %[[S]], %[[STATES]][%[[BATCH]], %[[HEAD]], %[[NUMBER]], 0, 0] over [3, 4]
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[B:.*]] = tile.load %[[BM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[DT:.*]] = tile.load %[[DTM]][%[[BATCH]], %[[T]], %[[HEAD]]] over [1]
// CHECK-DAG:      %[[SUMS:.*]] = tile.cumulative_sum
// CHECK-DAG:      %[[LAST:.*]] = tile.extract %[[SUMS]][63]
// CHECK-DAG:      %[[LASTS:.*]] = tile.broadcast %[[LAST]] : f32 -> tensor<64xf32>
// CHECK-DAG:      %[[FALL:.*]] = arith.subf %[[LASTS]], %[[SUMS]]
// CHECK-DAG:      %[[TOEND:.*]] = math.exp %[[FALL]]
// CHECK-DAG:      %[[DTEND:.*]] = arith.mulf %[[DT]], %[[TOEND]]
// CHECK-DAG:      %[[FACTOR:.*]] = tile.broadcast %[[DTEND]] along [0]
// CHECK-DAG:      %[[XEND:.*]] = arith.mulf %[[X]], %[[FACTOR]]
// CHECK-DAG:      %[[WHOLE:.*]] = math.exp %[[LAST]]
// CHECK-DAG:      %[[WHOLES:.*]] = tile.broadcast %[[WHOLE]] : f32 -> tensor<32x16xf32>
// CHECK-DAG:      %[[OLD:.*]] = arith.mulf %[[S]], %[[WHOLES]]
// CHECK-DAG:      %[[NEXT:.*]] = tile.mma %[[XEND]], %[[B]], %[[OLD]] {transpose_lhs}
// CHECK:          scf.yield %[[NEXT]]

// Backward, from the last chunk to the first, with E, the gradient of the state
// after the chunk, and the sum of dA carried.

// CHECK-LABEL:  tile.kernel @ssm_scan_grad_h4_p24_n16_q64(
// CHECK-SAME:      %[[DYM:[^:]*]]: memref<?x?x4x24xf32>, %[[CM:[^:]*]]: memref<?x?x4x16xf32>, %[[BM:[^:]*]]: memref<?x?x4x16xf32>, %[[XM:[^:]*]]: memref<?x?x4x24xf32>,
// CHECK-SAME:      %[[DTM:[^:]*]]: memref<?x?x4xf32>, %[[AM:[^:]*]]: memref<4xf32>, %[[STATES:[^:]*]]: memref<?x4x?x24x16xf32>,
// CHECK-SAME:      %[[DCM:[^:]*]]: memref<?x?x4x16xf32>, %[[DBM:[^:]*]]: memref<?x?x4x16xf32>, %[[DXM:[^:]*]]: memref<?x?x4x24xf32>, %[[DDTM:[^:]*]]: memref<?x?x4xf32>,
// CHECK-SAME:      %[[DAM:[^:]*]]: memref<?x4xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK-DAG:    %[[A:.*]] = tile.load %[[AM]][%[[HEAD]]]
// CHECK-DAG:    %[[CHUNKS:.*]] = memref.dim %[[STATES]], 2
// CHECK:        %[[R:.*]]:2 = scf.for %[[I:[^ ,)]*]] = 0 to %[[CHUNKS]] step 1 iter_args(%[[E:[^ ,)]*]] = 0, %[[DA:[^ ,)]*]] = 0) -> (tensor<32x16xf32>, f32) {
// CHECK-DAG:      %[[END:.*]] = arith.subi %[[CHUNKS]], 1
// CHECK-DAG:      %[[NUMBER:.*]] = arith.subi %[[END]], %[[I]]
// CHECK-DAG:      %[[T:.*]] = arith.muli %[[NUMBER]], 64
// CHECK-DAG:      %[[DT:.*]] = tile.load %[[DTM]][%[[BATCH]], %[[T]], %[[HEAD]]] over [1]
// CHECK-DAG:      %[[AS:.*]] = tile.broadcast %[[A]] : f32 -> tensor<64xf32>
// CHECK-DAG:      %[[DECAY:.*]] = arith.mulf %[[DT]], %[[AS]]
// CHECK-DAG:      %[[SUMS:.*]] = tile.cumulative_sum %[[DECAY]] :
// CHECK-DAG:      %[[LAST:.*]] = tile.extract %[[SUMS]][63]
// CHECK-DAG:      %[[LASTS:.*]] = tile.broadcast %[[LAST]] : f32 -> tensor<64xf32>
// CHECK-DAG:      %[[FALL:.*]] = arith.subf %[[LASTS]], %[[SUMS]]
// CHECK-DAG:      %[[TOEND:.*]] = math.exp %[[FALL]]
// CHECK-DAG:      %[[DY:.*]] = tile.load %[[DYM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[C:.*]] = tile.load %[[CM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[B:.*]] = tile.load %[[BM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[X:.*]] = tile.load %[[XM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[S:.*]] = tile.load %[[STATES]][%[[BATCH]], %[[HEAD]], {{.*}}, 0, 0] over [3, 4]
// CHECK-DAG:      %[[DTS:.*]] = tile.broadcast %[[DT]] along [0] : tensor<64xf32> -> tensor<64x32xf32>
// CHECK-DAG:      %[[XDT:.*]] = arith.mulf %[[X]], %[[DTS]]

// K = L o C B^T, M = L o dY (dt X)^T.

// CHECK-DAG:      %[[CAUSAL:.*]] = arith.cmpi sge
// CHECK-DAG:      %[[AI:.*]] = tile.broadcast %[[SUMS]] along [0]
// CHECK-DAG:      %[[AJ:.*]] = tile.broadcast %[[SUMS]] along [1]
// CHECK-DAG:      %[[AIJ:.*]] = arith.subf %[[AI]], %[[AJ]]
// CHECK-DAG:      %[[MASKED:.*]] = arith.select %[[CAUSAL]], %[[AIJ]], -1e+30
// CHECK-DAG:      %[[L:.*]] = math.exp %[[MASKED]]
// CHECK-DAG:      %[[CB:.*]] = tile.mma %[[C]], %[[B]], 0 {transpose_rhs}
// CHECK-DAG:      %[[K:.*]] = arith.mulf %[[L]], %[[CB]]
// CHECK-DAG:      %[[DYX:.*]] = tile.mma %[[DY]], %[[XDT]], 0 {transpose_rhs}
// CHECK-DAG:      %[[M:.*]] = arith.mulf %[[L]], %[[DYX]]

// dC = exp(a) (dY S) + M B;  dB = exp(z - a) (dt X E) + M^T C;
// d(dt X) = exp(z - a) (B E^T) + K^T dY;  dX = dt d(dt X).

// CHECK-DAG:      %[[DYS:.*]] = tile.mma %[[DY]], %[[S]], 0 :
// CHECK-DAG:      %[[FROMSTART:.*]] = math.exp %[[SUMS]]
// CHECK-DAG:      %[[FROMSTARTS:.*]] = tile.broadcast %[[FROMSTART]] along [0] : tensor<64xf32> -> tensor<64x16xf32>
// CHECK-DAG:      %[[DCSTATE:.*]] = arith.mulf %[[DYS]], %[[FROMSTARTS]]
// CHECK-DAG:      %[[BE:.*]] = tile.mma %[[B]], %[[E]], 0 {transpose_rhs}
// CHECK-DAG:      %[[TOENDX:.*]] = tile.broadcast %[[TOEND]] along [0] : tensor<64xf32> -> tensor<64x32xf32>
// CHECK-DAG:      %[[DXSTATE:.*]] = arith.mulf %[[BE]], %[[TOENDX]]
// CHECK-DAG:      %[[DC:.*]] = tile.mma %[[M]], %[[B]], %[[DCSTATE]] :
// CHECK-DAG:      tile.store %[[DC]], %[[DCM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[XE:.*]] = tile.mma %[[XDT]], %[[E]], 0 :
// CHECK-DAG:      %[[TOENDB:.*]] = tile.broadcast %[[TOEND]] along [0] : tensor<64xf32> -> tensor<64x16xf32>
// CHECK-DAG:      %[[DBSTATE:.*]] = arith.mulf %[[XE]], %[[TOENDB]]
// CHECK-DAG:      %[[DB:.*]] = tile.mma %[[M]], %[[C]], %[[DBSTATE]] {transpose_lhs}
// CHECK-DAG:      tile.store %[[DB]], %[[DBM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]
// CHECK-DAG:      %[[DXDT:.*]] = tile.mma %[[K]], %[[DY]], %[[DXSTATE]] {transpose_lhs}
// CHECK-DAG:      %[[DX:.*]] = arith.mulf %[[DXDT]],
// CHECK:          tile.store %[[DX]], %[[DXM]][%[[BATCH]], %[[T]], %[[HEAD]], 0] over [1, 3]

// The gradient of the decay of token t: every path that crosses it, of pairs within
// the chunk (one product with a triangle of ones), of outputs at or after t that
// read S, of inputs before t that reach E, and of S itself.

// CHECK-DAG:      %[[ROWS:.*]] = tile.iota 0 : tensor<64x64xi32>
// CHECK-DAG:      %[[COLUMNS:.*]] = tile.iota 1 : tensor<64x64xi32>
// CHECK-DAG:      %[[PAIRS:.*]] = arith.mulf %[[K]], %[[DYX]]
// CHECK-DAG:      %[[ABOVE:.*]] = arith.cmpi slt, %[[ROWS]], %[[COLUMNS]]
// CHECK-DAG:      %[[ONES:.*]] = arith.uitofp %[[ABOVE]]
// CHECK-DAG:      %[[OUT:.*]] = arith.mulf %[[C]], %[[DCSTATE]]
// CHECK-DAG:      %[[OUTSUM:.*]] = tile.reduce sum %[[OUT]] along 1
// CHECK-DAG:      %[[FROMOUTPUTS:.*]] = tile.broadcast %[[OUTSUM]] along [0]
// CHECK-DAG:      %[[PATHS:.*]] = tile.mma %[[PAIRS]], %[[ONES]], %[[FROMOUTPUTS]] :
// CHECK-DAG:      %[[IN:.*]] = arith.mulf %[[XDT]], %[[DXSTATE]]
// CHECK-DAG:      %[[INSUM:.*]] = tile.reduce sum %[[IN]] along 1
// CHECK-DAG:      %[[FROMINPUTS:.*]] = tile.broadcast %[[INSUM]] along [0]
// CHECK-DAG:      %[[BELOW:.*]] = arith.cmpi sle, %[[COLUMNS]], %[[ROWS]]
// CHECK-DAG:      %[[CROSSING:.*]] = arith.select %[[BELOW]], %[[PATHS]], %[[FROMINPUTS]]
// CHECK-DAG:      %[[WITHIN:.*]] = tile.reduce sum %[[CROSSING]] along 0
// CHECK-DAG:      %[[THROUGH:.*]] = arith.mulf %[[E]], %[[S]]
// CHECK-DAG:      %[[THROUGHROWS:.*]] = tile.reduce sum %[[THROUGH]] along 1
// CHECK-DAG:      %[[THROUGHSUM:.*]] = tile.reduce sum %[[THROUGHROWS]] along 0
// CHECK-DAG:      %[[WHOLE:.*]] = math.exp %[[LAST]]
// CHECK-DAG:      %[[THROUGHDECAY:.*]] = arith.mulf %[[THROUGHSUM]], %[[WHOLE]]
// CHECK-DAG:      %[[THROUGHS:.*]] = tile.broadcast %[[THROUGHDECAY]]
// CHECK-DAG:      %[[DLOG:.*]] = arith.addf %[[WITHIN]], %[[THROUGHS]]

// ddt = A dlog + x . d(dt x);  dA sums dt dlog;  E before = exp(z) E + (exp(a) dY)^T C.

// CHECK-DAG:      %[[AT:.*]] = tile.broadcast %[[A]]
// CHECK-DAG:      %[[ADLOG:.*]] = arith.mulf %[[DLOG]], %[[AT]]
// CHECK-DAG:      %[[XDX:.*]] = arith.mulf %[[X]], %[[DXDT]]
// CHECK-DAG:      %[[XDXSUM:.*]] = tile.reduce sum %[[XDX]] along 1
// CHECK-DAG:      %[[DDT:.*]] = arith.addf %[[ADLOG]], %[[XDXSUM]]
// CHECK-DAG:      tile.store %[[DDT]], %[[DDTM]][%[[BATCH]], %[[T]], %[[HEAD]]] over [1]
// CHECK-DAG:      %[[DTDLOG:.*]] = arith.mulf %[[DT]], %[[DLOG]]
// CHECK-DAG:      %[[DASUM:.*]] = tile.reduce sum %[[DTDLOG]] along 0
// CHECK-DAG:      %[[EOLD:.*]] = arith.mulf %[[E]], {{.*}} : tensor<32x16xf32>
// CHECK-DAG:      %[[FROMSTARTY:.*]] = tile.broadcast %[[FROMSTART]] along [0] : tensor<64xf32> -> tensor<64x32xf32>
// CHECK-DAG:      %[[DYSCALED:.*]] = arith.mulf %[[DY]], %[[FROMSTARTY]]
// CHECK-DAG:      %[[EBEFORE:.*]] = tile.mma %[[DYSCALED]], %[[C]], %[[EOLD]] {transpose_lhs}
// CHECK-DAG:      %[[DABEFORE:.*]] = arith.addf %[[DA]], %[[DASUM]]
// CHECK:          scf.yield %[[EBEFORE]], %[[DABEFORE]]
// CHECK:        tile.store %[[R]]#1, %[[DAM]][%[[BATCH]], %[[HEAD]]]

// dA is summed over the sequences by a kernel of its own.

// CHECK-LABEL:  plan.entry @training
// CHECK-DAG:    %[[STATES:.*]] = plan.buffer temporary "ssm_scan_grad.states{{.*}}" (batch, 4, seq ceildiv 64, 24, 16)
// CHECK-DAG:    %[[PARTIALS:.*]] = plan.buffer temporary "ssm_scan_grad.partials{{.*}}" (batch, 4)
// CHECK-DAG:    %[[DAB:.*]] = plan.buffer output "da"
// CHECK:        plan.launch @ssm_scan_states_h4_p24_n16_q64 grid (batch, 4)({{.*}}, %[[STATES]])
// CHECK-NEXT:   plan.launch @ssm_scan_grad_h4_p24_n16_q64 grid (batch, 4)({{.*}}, %[[STATES]], {{.*}}, %[[PARTIALS]])
// CHECK-NEXT:   plan.launch @sum_rows_n4 grid (1)(%[[PARTIALS]], %[[DAB]]) sizes (batch)
func.func @training(%dy: tensor<?x?x4x24xf32> {txs.input = "dy"}, %c: tensor<?x?x4x16xf32> {txs.input = "c"}, %b: tensor<?x?x4x16xf32> {txs.input = "b"}, %x: tensor<?x?x4x24xf32> {txs.input = "x"},
                    %dt: tensor<?x?x4xf32> {txs.input = "dt"}, %a: tensor<4xf32> {txs.input = "a"})
    -> (tensor<?x?x4x16xf32> {txs.output = "dc"}, tensor<?x?x4x16xf32> {txs.output = "db"}, tensor<?x?x4x24xf32> {txs.output = "dx"}, tensor<?x?x4xf32> {txs.output = "ddt"}, tensor<4xf32> {txs.output = "da"}) {
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 64 : i64}
     : (tensor<?x?x4x24xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<4xf32>)
     -> (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<4xf32>)
  return %dc, %db, %dx, %ddt, %da : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<4xf32>
}

// -----

// With states on both sides: the forward sweep starts from the initial state, the
// backward sweep from the gradient of the final one, and what it ends with is the
// gradient of the initial state.

// CHECK-LABEL:  tile.kernel @ssm_scan_states_h1_p16_n16_q16_initial(
// CHECK-SAME:      {{.*}}, %[[INITIAL:[^:]*]]: memref<?x1x16x16xf32>, {{.*}}: memref<?x1x?x16x16xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK-DAG:    %[[S:.*]] = tile.load %[[INITIAL]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]
// CHECK:        scf.for {{.*}} step 16 iter_args({{.*}} = %[[S]])

// CHECK-LABEL:  tile.kernel @ssm_scan_grad_h1_p16_n16_q16_initial_final(
// CHECK-SAME:      {{.*}}: memref<?x1x?x16x16xf32>, %[[DFINAL:[^:]*]]: memref<?x1x16x16xf32>, {{.*}}, %[[DINITIAL:[^:]*]]: memref<?x1x16x16xf32>) grid(%[[BATCH:[^ ,)]*]], %[[HEAD:[^ ,)]*]])
// CHECK-DAG:    %[[E:.*]] = tile.load %[[DFINAL]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]
// CHECK:        %[[R:.*]]:2 = scf.for {{.*}} iter_args({{.*}} = %[[E]], {{.*}} = 0)
// CHECK-DAG:    tile.store %[[R]]#1,
// CHECK-DAG:    tile.store %[[R]]#0, %[[DINITIAL]][%[[BATCH]], %[[HEAD]], 0, 0] over [2, 3]
func.func @states(%dy: tensor<?x?x1x16xf32> {txs.input = "dy"}, %dt: tensor<?x?x1xf32> {txs.input = "dt"}, %a: tensor<1xf32> {txs.input = "a"},
                  %s: tensor<?x1x16x16xf32> {txs.input = "s"}, %ds: tensor<?x1x16x16xf32> {txs.input = "ds"})
    -> (tensor<?x?x1x16xf32> {txs.output = "dc"}, tensor<?x1x16x16xf32> {txs.output = "ds0"}) {
  %dc, %db, %dx, %ddt, %da, %ds0 = txs.ssm_scan_grad %dy, %dy, %dy, %dy, %dt, %a from %s dfinal %ds {chunk = 16 : i64}
     : (tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<1xf32>, tensor<?x1x16x16xf32>, tensor<?x1x16x16xf32>)
     -> (tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1x16xf32>, tensor<?x?x1xf32>, tensor<1xf32>, tensor<?x1x16x16xf32>)
  return %dc, %ds0 : tensor<?x?x1x16xf32>, tensor<?x1x16x16xf32>
}
