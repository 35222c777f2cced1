// RUN: transxssm-opt %s --split-input-file --verify-diagnostics

// One error for each labelled constraint of PlanOps.td.

plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op has a shape over 0 dimensions and 1 symbols, expected 0 and 4 (buffer_c1)}}
  %x = plan.buffer input "x" affine_map<()[s0] -> (s0)> f32 live 0 to 0
}

// -----

plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op is live from 0 to 1, expected a range of the 0 launches (buffer_c2)}}
  %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (s0)> f32 live 0 to 1
}

// -----

tile.kernel @k(%x: memref<?xf32>) grid(%i) {}
plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op is live from 1 to 0, expected a range of the 2 launches (buffer_c2)}}
  %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (s0)> f32 live 1 to 0
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> (%x) sizes affine_map<()[s0, s1, s2, s3] -> (s0)>
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> (%x) sizes affine_map<()[s0, s1, s2, s3] -> (s0)>
}

// -----

plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op names "weight", expected a plan.parameter (buffer_c3)}}
  %x = plan.buffer parameter "weight" affine_map<()[s0, s1, s2, s3] -> (8)> f32 live 0 to 0
}

// -----

plan.parameter @weight tensor<8x4xf32> "normal"
plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op names "weight" with shape affine_map<()[s0, s1, s2, s3] -> (4, 8)> of 'f32', expected that of 'tensor<8x4xf32>' (buffer_c3)}}
  %x = plan.buffer gradient "weight" affine_map<()[s0, s1, s2, s3] -> (4, 8)> f32 live 0 to 0
}

// -----

plan.parameter @weight tensor<8x4xbf16> "normal"
plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op names "weight" with shape affine_map<()[s0, s1, s2, s3] -> (8, 4)> of 'bf16', expected that of 'tensor<8x4xbf16>' in 'f32' (buffer_c3)}}
  %x = plan.buffer master "weight" affine_map<()[s0, s1, s2, s3] -> (8, 4)> bf16 live 0 to 0
}

// -----

plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op names "ssd_state.0", expected a plan.state of the same shape and type (buffer_c3)}}
  %x = plan.buffer state "ssd_state.0" affine_map<()[s0, s1, s2, s3] -> (8)> f32 live 0 to 0
}

// -----

plan.state @ssd_state.0 affine_map<()[s0, s1, s2, s3] -> (s0, 8)> f32
plan.entry @e {
  // expected-error@+1 {{'plan.buffer' op names "ssd_state.0", expected a plan.state of the same shape and type (buffer_c3)}}
  %x = plan.buffer state "ssd_state.0" affine_map<()[s0, s1, s2, s3] -> (s0, 9)> f32 live 0 to 0
}

// -----

tile.kernel @k() grid(%i) {}
plan.entry @e {
  // expected-error@+1 {{'plan.launch' op has a grid over 0 dimensions and 1 symbols, expected 0 and 4 (launch_c1)}}
  plan.launch @k grid affine_map<()[s0] -> (s0)> () sizes affine_map<()[s0, s1, s2, s3] -> ()>
}

// -----

tile.kernel @k() grid(%i) {}
plan.entry @e {
  // expected-error@+1 {{'plan.launch' op has a sizes map over 1 dimensions and 0 symbols, expected 0 and 4 (launch_c1)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> () sizes affine_map<(d0) -> ()>
}

// -----

tile.kernel @k() grid(%i) {}
plan.entry @e {
  // expected-error@+1 {{'plan.launch' op has a guard over 0 dimensions and 2 symbols, expected 0 and 4 (launch_c1)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> () sizes affine_map<()[s0, s1, s2, s3] -> ()>
    when affine_map<()[s0, s1] -> (s0)>
}

// -----

tile.kernel @k() grid(%i) {}
plan.entry @e {
  // expected-error@+1 {{'plan.launch' op has a grid of rank 4, expected 1 to 3 (launch_c1)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0, s1, s2, s3)> () sizes affine_map<()[s0, s1, s2, s3] -> ()>
}

// -----

plan.entry @e {
  // expected-error@+1 {{'plan.launch' op launches @k, expected a tile.kernel (launch_c2)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> () sizes affine_map<()[s0, s1, s2, s3] -> ()>
}

// -----

tile.kernel @k(%x: memref<?x8xf32>, %n: index) grid(%i) {}
plan.entry @e {
  %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (s0, 8)> f32 live 0 to 0
  // expected-error@+1 {{'plan.launch' op passes 2 buffers, 1 sizes and a grid of rank 2, expected 1, 2 and 1 (launch_c2)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0, s1)> (%x, %x) sizes affine_map<()[s0, s1, s2, s3] -> (s0)>
}

// -----

tile.kernel @k(%x: memref<?x8xf32>) grid(%i) {}
plan.entry @e {
  %x = plan.buffer input "ids" affine_map<()[s0, s1, s2, s3] -> (s0, 8)> i32 live 0 to 0
  // expected-error@+1 {{'plan.launch' op passes "ids" of 'i32', expected 'f32' (launch_c3)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> (%x) sizes affine_map<()[s0, s1, s2, s3] -> (s0)>
}

// -----

tile.kernel @k(%x: memref<?x8xf32>) grid(%i) {}
plan.entry @e {
  %x = plan.buffer input "x" affine_map<()[s0, s1, s2, s3] -> (s0, 8)> f32 live 0 to 0
  // expected-error@+1 {{'plan.launch' op names what 2 operands hold, expected 1 (launch_c4)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> (%x) sizes affine_map<()[s0, s1, s2, s3] -> (s0)> {holds = ["", "0 txs.add"]}
}

// -----

// expected-error@+1 {{'plan.parameter' op is of 'tensor<?x4xf32>', expected a ranked tensor of static shape (parameter_c1)}}
plan.parameter @weight tensor<?x4xf32> "normal"

// -----

// expected-error@+1 {{'plan.state' op has a shape over 0 dimensions and 1 symbols, expected 0 and 4 (state_c1)}}
plan.state @ssd_state.0 affine_map<()[s0] -> (s0, 8)> f32

// -----

// expected-error@+1 {{'plan.entry' op has a body with 1 arguments, expected none (entry_c1)}}
plan.entry @e {
^bb0(%x: !plan.buffer):
  %y = plan.buffer input "y" affine_map<()[s0, s1, s2, s3] -> (s0)> f32 live 0 to 0
}

// -----

plan.entry @e {
  // expected-error@+1 {{'arith.constant' op is in a plan.entry, expected a plan.buffer or plan.launch (entry_c1)}}
  %c = arith.constant 1 : index
}

// -----

// Another buffer may lie in its place at launch 1.
tile.kernel @k(%x: memref<?xf32>) grid(%i) {}
plan.entry @e {
  %x = plan.buffer temporary "x" affine_map<()[s0, s1, s2, s3] -> (s0)> f32 live 0 to 0
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> (%x) sizes affine_map<()[s0, s1, s2, s3] -> (s0)>
  // expected-error@+1 {{'plan.launch' op is number 1 and uses "x", which is live from 0 to 0 (entry_c2)}}
  plan.launch @k grid affine_map<()[s0, s1, s2, s3] -> (s0)> (%x) sizes affine_map<()[s0, s1, s2, s3] -> (s0)>
}
