//===- TileOps.td - Operations of the tile dialect ---------*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TILE_TILEOPS_TD
#define TRANSXSSM_DIALECT_TILE_TILEOPS_TD

include "dialect/tile/TileDialect.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Scalar : AnyTypeOf<[F32, BF16, F16, F64, I1, I32, I64, Index]>;
class Tile_TileOf<list<Type> elements>
    : RankedTensorOf<elements, [
          HasStaticShapePred, HasAnyRankOfPred<[1, 2]>,
          CPred<"::llvm::cast<::mlir::ShapedType>($_self)"
                ".getNumElements() > 0">],
                     "tile of rank 1 or 2 with positive extents">;
def Tile_Tile : Tile_TileOf<[F32, BF16, F16, F64, I1, I32, I64]>;
def Tile_FloatTile : Tile_TileOf<[F32, BF16, F16, F64]>;
def Tile_Value : AnyTypeOf<[Tile_Tile, Tile_Scalar]>;
def Tile_Memory : MemRefOf<[F32, BF16, F16, F64, I32, I64]>;

def Tile_ReductionSum : I32EnumAttrCase<"Sum", 0, "sum">;
def Tile_ReductionMax : I32EnumAttrCase<"Max", 1, "max">;
def Tile_Reduction : I32EnumAttr<"Reduction", "how a reduction combines",
                                 [Tile_ReductionSum, Tile_ReductionMax]> {
  let cppNamespace = "::transxssm::tile";
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def Tile_KernelOp : Tile_Op<"kernel", [
    FunctionOpInterface, IsolatedFromAbove, AffineScope, AutomaticAllocationScope,
    SingleBlockImplicitTerminator<"ReturnOp">]> {
  let summary = "a program run once for each cell of a grid";
  let description = [{
    The arguments in parentheses come from the launch; those of `grid` are the
    coordinates of the cell, of type `index`.

    Constraints:
    - (kernel_c1) arguments are memrefs with identity layout or of type `index`:
      a launch passes nothing else (`kernel_abi.h`).
    - (kernel_c2) the grid has one to three coordinates, the last arguments, of
      type `index`.
    - (kernel_c3) a kernel has no results.

    Example:
    ```mlir
    tile.kernel @scale(%x: memref<?x64xf32>, %y: memref<?x64xf32>) grid(%i) {
      %rows = arith.constant 16 : index
      %zero = arith.constant 0 : index
      %row = arith.muli %i, %rows : index
      %two = arith.constant dense<2.0> : tensor<16x64xf32>
      %t = tile.load %x[%row, %zero] over [0, 1] : memref<?x64xf32> -> tensor<16x64xf32>
      %u = arith.mulf %t, %two : tensor<16x64xf32>
      tile.store %u, %y[%row, %zero] over [0, 1] : tensor<16x64xf32>, memref<?x64xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypeAttrOf<FunctionType>:$function_type,
                       I64Attr:$grid_rank,
                       OptionalAttr<DictArrayAttr>:$arg_attrs,
                       OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name,
      "::llvm::ArrayRef<::mlir::Type>":$arguments, "int64_t":$gridRank)>];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The arguments that a launch passes: memrefs and indices.
    ::mlir::Block::BlockArgListType getLaunchArguments();
    /// How many buffers and sizes a launch passes for them: one buffer for each
    /// memref; one size for each of its dynamic extents and each index.
    struct LaunchCounts {
      uint32_t Buffers = 0, Sizes = 0;
    };
    LaunchCounts countLaunchArguments();
    /// The coordinates of the grid cell.
    ::mlir::Block::BlockArgListType getGridArguments();

    // FunctionOpInterface.
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() {
      return getFunctionType().getInputs();
    }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() {
      return getFunctionType().getResults();
    }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
  }];
}

def Tile_ReturnOp : Tile_Op<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "ends a kernel";
  let description = [{
    Example: see `tile.kernel`; it is implied when left out.
  }];
  let assemblyFormat = "attr-dict";
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def Tile_LoadOp : Tile_Op<"load"> {
  let summary = "reads a tile from memory, zero outside the memory's bounds";
  let description = [{
    `result[i, j] = memory[indices + i e_p + j e_q]` where `dimensions = [p, q]`
    names the memref dimension that each dimension of the tile runs along, in
    increasing order. Elements whose coordinate along `p` or `q` is outside the
    memref are zero. All other coordinates must be in bounds. Without `over` the
    result is one scalar.

    Constraints:
    - (load_c1) as many indices as the memref has dimensions.
    - (load_c2) one entry of `dimensions` per dimension of the result, strictly
      increasing, each a dimension of the memref.
    - (load_c3) the element types of memref and result are equal.

    Example:
    ```mlir
    // 64 tokens of one head: [batch, token, head, channel].
    %c = tile.load %C[%b, %t, %h, %zero] over [1, 3]
       : memref<?x?x8x128xf32> -> tensor<64x128xf32>
    %a = tile.load %A[%h] : memref<8xf32> -> f32
    ```
  }];
  let arguments = (ins Arg<Tile_Memory, "", [MemRead]>:$memory,
                       Variadic<Index>:$indices,
                       DenseI64ArrayAttr:$dimensions);
  let results = (outs Tile_Value:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Tile_StoreOp : Tile_Op<"store"> {
  let summary = "writes a tile to memory, dropping what is out of bounds";
  let description = [{
    The inverse of `tile.load`: elements of the tile whose place is outside the
    memref are not written.

    Constraints:
    - (store_c1) as many indices as the memref has dimensions.
    - (store_c2) one entry of `dimensions` per dimension of the value, strictly
      increasing, each a dimension of the memref.
    - (store_c3) the element types of memref and value are equal.

    Example:
    ```mlir
    tile.store %y, %Y[%b, %t, %h, %zero] over [1, 3]
       : tensor<64x128xf32>, memref<?x?x8x128xf32>
    ```
  }];
  let arguments = (ins Tile_Value:$value,
                       Arg<Tile_Memory, "", [MemWrite]>:$memory,
                       Variadic<Index>:$indices,
                       DenseI64ArrayAttr:$dimensions);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Tile_GatherOp : Tile_Op<"gather"> {
  let summary = "reads rows chosen by a tile of row numbers";
  let description = [{
    `result[i, j] = memory[rows[i], column + j]`; columns outside the memref are
    zero. Every row number must be in bounds.

    Constraints:
    - (gather_c1) memory has rank 2, rows has rank 1, result has rank 2.
    - (gather_c2) the result has as many rows as `rows` has elements.
    - (gather_c3) the element types of memref and result are equal.

    Example:
    ```mlir
    %x = tile.gather %table[%ids, %column]
       : memref<32768x1024xf32>, tensor<16xi32> -> tensor<16x256xf32>
    ```
  }];
  let arguments = (ins Arg<Tile_Memory, "", [MemRead]>:$memory,
                       Tile_TileOf<[I32]>:$rows, Index:$column);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $memory `[` $rows `,` $column `]` attr-dict
    `:` type($memory) `,` type($rows) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

def Tile_MmaOp : Tile_Op<"mma", [Pure, AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "matrix multiply-accumulate";
  let description = [{
    `result = accumulator + op(lhs) op(rhs)` where `op` transposes an operand
    marked `transpose_lhs` / `transpose_rhs`. Products of bf16 operands
    accumulate in float32. The order of the additions over k is fixed by the
    target, the same for every call of the same shape.

    Constraints:
    - (mma_c1) all operands have rank 2 and the shapes agree: M x K, K x N, M x N
      after transposition.
    - (mma_c2) lhs and rhs have one element type, f32 or bf16.
    - (mma_c3) the accumulator is f32.

    Example:
    ```mlir
    %s = tile.mma %q, %k, %zero {transpose_rhs}
       : tensor<64x128xf32>, tensor<32x128xf32>, tensor<64x32xf32>
    ```
  }];
  let arguments = (ins Tile_FloatTile:$lhs, Tile_FloatTile:$rhs,
                       Tile_FloatTile:$accumulator,
                       UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs);
  let results = (outs Tile_FloatTile:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `,` $accumulator attr-dict
    `:` type($lhs) `,` type($rhs) `,` type($accumulator)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Shape changes
//===----------------------------------------------------------------------===//

def Tile_BroadcastOp : Tile_Op<"broadcast", [Pure]> {
  let summary = "repeats a scalar or a vector tile along new dimensions";
  let description = [{
    `result[i, j] = value` for a scalar; for a rank-1 value `result[i, j] =
    value[i]` with `along [0]` (a column, repeated over the columns) or
    `value[j]` with `along [1]` (a row, repeated over the rows): `dimensions`
    names the result dimension that the value's dimension becomes.

    Constraints:
    - (broadcast_c1) the element types are equal.
    - (broadcast_c2) one entry of `dimensions` per dimension of the value,
      strictly increasing, with equal extents.

    Example:
    ```mlir
    %m = tile.broadcast %row_max along [0] : tensor<64xf32> -> tensor<64x32xf32>
    %z = tile.broadcast %scalar : f32 -> tensor<64xf32>
    ```
  }];
  let arguments = (ins Tile_Value:$value,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$dimensions);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = [{
    $value (`along` $dimensions^)? attr-dict `:` type($value) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_TransposeOp : Tile_Op<"transpose", [Pure]> {
  let summary = "swaps rows and columns";
  let description = [{
    `result[j, i] = value[i, j]`. Prefer the `transpose_` attributes of
    `tile.mma`, which cost nothing.

    Constraints:
    - (transpose_c1) rank 2; the result has the swapped shape and the same
      element type.

    Example:
    ```mlir
    %t = tile.transpose %x : tensor<64x32xf32> -> tensor<32x64xf32>
    ```
  }];
  let arguments = (ins Tile_Tile:$value);
  let results = (outs Tile_Tile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `->` type($result)";
  let hasVerifier = 1;
}

def Tile_IotaOp : Tile_Op<"iota", [Pure]> {
  let summary = "0, 1, 2, ... along one dimension";
  let description = [{
    `result[i, j]` is `i` for `dimension = 0`, `j` for 1. Causal masks, positions
    and random-number counters are made from it.

    Constraints:
    - (iota_c1) the dimension exists.

    Example:
    ```mlir
    %i = tile.iota 0 : tensor<64x32xi32>
    %j = tile.iota 1 : tensor<64x32xi32>
    %visible = arith.cmpi sle, %j, %i : tensor<64x32xi32>
    ```
  }];
  let arguments = (ins I64Attr:$dimension);
  let results = (outs Tile_TileOf<[I32, I64]>:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Reductions and scans
//===----------------------------------------------------------------------===//

def Tile_ReduceOp : Tile_Op<"reduce", [Pure]> {
  let summary = "sum or maximum along one dimension";
  let description = [{
    `tile.reduce sum %x along 1` gives the sum of every row; along 0, of every
    column. A rank-1 tile reduces to a scalar. The order of the additions is
    fixed by the target.

    Constraints:
    - (reduce_c1) the dimension exists, and the result's shape is the value's
      without it (a scalar for rank 1).
    - (reduce_c2) the element types are equal, f32 or f64.

    Example:
    ```mlir
    %m = tile.reduce max %s along 1 : tensor<64x32xf32> -> tensor<64xf32>
    %t = tile.reduce sum %m along 0 : tensor<64xf32> -> f32
    ```
  }];
  let arguments = (ins Tile_Reduction:$kind, Tile_FloatTile:$value,
                       I64Attr:$dimension);
  let results = (outs Tile_Value:$result);
  let assemblyFormat = [{
    $kind $value `along` $dimension attr-dict `:` type($value) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Tile_CumulativeSumOp : Tile_Op<"cumulative_sum", [
    Pure, SameOperandsAndResultType]> {
  let summary = "inclusive running sum of a vector tile";
  let description = [{
    `result[i] = value[0] + ... + value[i]`, added in that order; with `reverse`
    `value[i] + ... + value[n-1]`, added from the end.

    Constraints:
    - (cumulative_sum_c1) rank 1, f32 or f64.

    Example:
    ```mlir
    %cum = tile.cumulative_sum %log_decay : tensor<64xf32>
    %after = tile.cumulative_sum %g {reverse} : tensor<64xf32>
    ```
  }];
  let arguments = (ins Tile_FloatTile:$value, UnitAttr:$reverse);
  let results = (outs Tile_FloatTile:$result);
  let assemblyFormat = "$value attr-dict `:` type($value)";
  let hasVerifier = 1;
}

def Tile_ExtractOp : Tile_Op<"extract", [Pure]> {
  let summary = "one element of a vector tile as a scalar";
  let description = [{
    `result = value[position]`; the position must be in bounds.

    Constraints:
    - (extract_c1) rank 1, and the result is the element type.

    Example:
    ```mlir
    %last = tile.extract %cum[%end] : tensor<64xf32> -> f32
    ```
  }];
  let arguments = (ins Tile_Tile:$value, Index:$position);
  let results = (outs Tile_Scalar:$result);
  let assemblyFormat = [{
    $value `[` $position `]` attr-dict `:` type($value) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Rotary position embedding
//===----------------------------------------------------------------------===//

def Tile_RopeOp : Tile_Op<"rope", [Pure, AllTypesMatch<["value", "result"]>,
                                   AllTypesMatch<["cos", "sin"]>]> {
  let summary = "rotates the two halves of every head";
  let description = [{
    Each row of `value` holds one or more heads of `2 m` channels, where `m` is
    the number of columns of `cos` and `sin`. For each head, with halves `u1`
    and `u2`: `[u1 cos - u2 sin, u2 cos + u1 sin]`; with `inverse` the rotation
    by the opposite angle, `[u1 cos + u2 sin, u2 cos - u1 sin]`, which is also
    its gradient (scaled tables included).

    Constraints:
    - (rope_c1) all operands have rank 2, equal numbers of rows and the same
      float type.
    - (rope_c2) cos and sin have one shape, and the columns of `value` are a
      multiple of twice theirs.

    Example:
    ```mlir
    %c = tile.rope %u, %cos, %sin : tensor<64x128xf32>, tensor<64x64xf32>
    ```
  }];
  let arguments = (ins Tile_FloatTile:$value, Tile_FloatTile:$cos,
                       Tile_FloatTile:$sin, UnitAttr:$inverse);
  let results = (outs Tile_FloatTile:$result);
  let assemblyFormat = [{
    $value `,` $cos `,` $sin attr-dict `:` type($value) `,` type($cos)
  }];
  let hasVerifier = 1;
}

#endif // TRANSXSSM_DIALECT_TILE_TILEOPS_TD
