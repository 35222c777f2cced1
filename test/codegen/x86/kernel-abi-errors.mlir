// RUN: transxssm-opt %s --split-input-file --verify-diagnostics --kernel-abi

// Functions that are not what tile-to-loops makes.

// expected-error @below {{kernel lacks the attribute tile.grid_rank}}
func.func @plain(%scratch: memref<?xi8>) {
  return
}

// -----

// expected-error @below {{attribute tile.grid_rank: expected 1 to 3, got 4}}
func.func @four(%i: index, %last: index, %j: index, %k: index, %l: index, %scratch: memref<?xi8>) attributes {tile.grid_rank = 4 : i64} {
  return
}

// -----

// expected-error @below {{kernel expects 2 numbers of type index, for a range of cells, and scratch memory of type memref<?xi8> as its last arguments}}
func.func @none() attributes {tile.grid_rank = 1 : i64} {
  return
}

// -----

// expected-error @below {{kernel expects 3 numbers of type index, for a range of cells, and scratch memory of type memref<?xi8> as its last arguments}}
func.func @coordinates(%first: index, %last: index, %scratch: memref<?xi8>) attributes {tile.grid_rank = 2 : i64} {
  return
}

// -----

// expected-error @below {{kernel expects 2 numbers of type index, for a range of cells, and scratch memory of type memref<?xi8> as its last arguments}}
func.func @scratch(%first: index, %last: index, %scratch: memref<8xi8>) attributes {tile.grid_rank = 1 : i64} {
  return
}

// -----

// expected-error @below {{kernel argument 0 has type 'f32', expected a memref or index}}
func.func @number(%x: f32, %first: index, %last: index, %scratch: memref<?xi8>) attributes {tile.grid_rank = 1 : i64} {
  return
}
