// RUN: transxssm-opt %s --split-input-file --verify-diagnostics --expand-math \
// RUN:   | FileCheck %s

// CHECK-LABEL: func.func @functions
// CHECK-NOT:   math.exp
// CHECK-NOT:   math.tanh
// CHECK:       math.fma
// CHECK:       return
func.func @functions(%x: vector<8xf32>) -> vector<8xf32> {
  %a = math.exp %x : vector<8xf32>
  %b = math.tanh %a : vector<8xf32>
  return %b : vector<8xf32>
}

// Arithmetic on bf16 is widened, and conversions are integer operations.
// CHECK-LABEL: func.func @short
// CHECK:       arith.shli
// CHECK:       arith.mulf {{.*}} : vector<8xf32>
// CHECK-NOT:   arith.truncf
// CHECK:       return
func.func @short(%x: vector<8xbf16>) -> vector<8xbf16> {
  %a = arith.mulf %x, %x : vector<8xbf16>
  return %a : vector<8xbf16>
}

// -----

// A processor's own rounding stays.
// RUN: transxssm-opt %s --split-input-file --verify-diagnostics \
// RUN:   --expand-math=rounds-to-bf16=true | FileCheck %s --check-prefix=OWN
// OWN-LABEL: func.func @rounds
// OWN:       arith.truncf %{{.*}} : vector<8xf32> to vector<8xbf16>
// OWN-NOT:   arith.cmpf
// OWN:       return
func.func @rounds(%x: vector<8xf32>) -> vector<8xbf16> {
  %a = arith.truncf %x : vector<8xf32> to vector<8xbf16>
  return %a : vector<8xbf16>
}

// OWN-LABEL: func.func @rounds_by_integers
// OWN-NOT:   arith.truncf
// OWN:       return
func.func @rounds_by_integers(%x: vector<8xf32>) -> vector<8xbf16>
    attributes {tile.integer_rounding} {
  %a = arith.truncf %x : vector<8xf32> to vector<8xbf16>
  return %a : vector<8xbf16>
}

// -----

func.func @unknown(%x: f32) -> f32 {
  // expected-error @below {{operation 'math.sin' on 'f32' has no inline form}}
  %a = math.sin %x : f32
  return %a : f32
}
