//===- TxsOps.td - Operations of the txs dialect -----------*- tablegen -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_TXSOPS_TD
#define TRANSXSSM_DIALECT_TXS_TXSOPS_TD

include "dialect/txs/TxsDialect.td"
include "dialect/txs/TxsInterfaces.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

/// Nothing is computed of empty tensors, and sizes in bytes stay numbers.
def Txs_ValidExtents
    : CPred<"::transxssm::txs::hasValidExtents("
            "::llvm::cast<::mlir::ShapedType>($_self))">;
class Txs_TensorOf<list<Type> elements>
    : RankedTensorOf<elements, [Txs_ValidExtents],
                     "tensor of positive extents">;
def Txs_Float : Txs_TensorOf<[F32, BF16, F16, F64]>;
def Txs_Ids : Txs_TensorOf<[I32]>;

def Txs_Silu : I32EnumAttrCase<"Silu", 0, "silu">;
def Txs_Gelu : I32EnumAttrCase<"Gelu", 1, "gelu">;
def Txs_Relu : I32EnumAttrCase<"Relu", 2, "relu">;
def Txs_Softplus : I32EnumAttrCase<"Softplus", 3, "softplus">;
def Txs_ActivationKind : I32EnumAttr<"ActivationKind", "elementwise nonlinearity",
    [Txs_Silu, Txs_Gelu, Txs_Relu, Txs_Softplus]> {
  let cppNamespace = "::transxssm::txs";
}

def Txs_Ssd : I32EnumAttrCase<"Ssd", 0, "ssd">;
def Txs_Attention : I32EnumAttrCase<"Attention", 1, "attention">;
def Txs_MixerKind : I32EnumAttr<"MixerKind", "what mixes tokens in a block",
    [Txs_Ssd, Txs_Attention]> {
  let cppNamespace = "::transxssm::txs";
}

/// The gradient of a parameter is float32 or wider; see `gradientTypeOf`.
class Txs_GradientOf<string parameter, string gradient>
    : TypesMatchWith<"a gradient of its parameter's shape, float32 where the "
                     "parameter is narrower",
                     parameter, gradient,
                     "::transxssm::txs::gradientTypeOf($_self)">;

/// A pure operation that autodiff goes through.
class Txs_ForwardOp<string mnemonic, list<Trait> traits = []>
    : Txs_Op<mnemonic, !listconcat([Txs_Differentiable, Pure], traits)>;

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

def Txs_ParameterOp : Txs_Op<"parameter", [Symbol]> {
  let summary = "declares a parameter under its checkpoint name";
  let description = [{
    `initializer` is one of "normal", "ones", "zeros", "ssd_decay" (see the
    runtime's ModelConfig); `no_decay` exempts the parameter from weight decay
    (tensors of rank 1).

    Constraints:
    - (parameter_c1) the type is a ranked tensor of floats, of static shape and
      positive extents.
    - (parameter_c2) the initializer is known.

    Example:
    ```mlir
    txs.parameter @model.layers.0.ssd.A : tensor<8xf32> initializer "ssd_decay" no_decay
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type,
                       StrAttr:$initializer, UnitAttr:$no_decay);
  let assemblyFormat = [{
    $sym_name `:` $type `initializer` $initializer (`no_decay` $no_decay^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Txs_ReadOp : Txs_Op<"read", [
    Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a parameter";
  let description = [{
    Parameters do not change within a function before its `txs.adamw`
    operations, which come last.

    Constraints:
    - (read_c1) the parameter exists and has the result's type.

    Example:
    ```mlir
    %w = txs.read @model.final_layernorm.weight : tensor<1024xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$parameter attr-dict `:` type($result)";
}

def Txs_BlockOp : Txs_Op<"block", [
    SingleBlockImplicitTerminator<"YieldOp">, RecursiveMemoryEffects]> {
  let summary = "one layer of the model: mixer and feed-forward";
  let description = [{
    Groups the operations of layer `layer`. It uses values from outside directly
    and returns what its region yields: the hidden states, then the layer's new
    states if it has any. Activations are recomputed block by block: a block
    marked `recompute` keeps none of its intermediate values for the backward
    pass, only its inputs.

    Constraints:
    - (block_c1) the results have the types of the yielded values.
    - (block_c2) the region has no arguments.

    Example:
    ```mlir
    %x1 = txs.block ssd 0 {
      %w = txs.read @model.layers.0.pre_sequence_layernorm.weight : tensor<64xf32>
      %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x64xf32>, tensor<64xf32>
      txs.yield %h : tensor<?x?x64xf32>
    } : tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins Txs_MixerKind:$mixer, I64Attr:$layer, UnitAttr:$recompute);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $mixer $layer (`recompute` $recompute^)? attr-dict-with-keyword $body
    `:` type($results)
  }];
  let hasVerifier = 1;
}

def Txs_YieldOp : Txs_Op<"yield", [
    Pure, Terminator, ReturnLike, HasParent<"BlockOp">]> {
  let summary = "ends a block with its results";
  let description = "Example: see `txs.block`.";
  let arguments = (ins Variadic<AnyType>:$results);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
  let assemblyFormat = "($results^ `:` type($results))? attr-dict";
}

//===----------------------------------------------------------------------===//
// Tokens in
//===----------------------------------------------------------------------===//

def Txs_EmbeddingOp : Txs_ForwardOp<"embedding"> {
  let summary = "looks up the rows of the embedding";
  let description = [{
    `result[b, t, :] = weight[ids[b, t], :]`. The row `pad_token`, if given, gets
    no gradient from the lookup.

    Constraints:
    - (embedding_c1) ids is [B, T], weight [V, D], result [B, T, D].
    - (embedding_c2) pad_token is in [0, V).

    Example:
    ```mlir
    %x = txs.embedding %ids, %w {pad_token = 2 : i64}
       : tensor<?x?xi32>, tensor<97x64xf32> -> tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins Txs_Ids:$ids, Txs_Float:$weight,
                       OptionalAttr<I64Attr>:$pad_token);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = [{
    $ids `,` $weight attr-dict `:` type($ids) `,` type($weight) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Dense and elementwise layers
//===----------------------------------------------------------------------===//

def Txs_RmsNormOp : Txs_ForwardOp<"rms_norm", [AllTypesMatch<["input", "result"]>]> {
  let summary = "root-mean-square normalisation with a learned scale";
  let description = [{
    `result = weight * input / sqrt(mean(input^2) + eps)` over the last dimension
    (Zhang and Sennrich, arXiv 1910.07467). The statistics are float32 or better;
    weight may be wider than input.

    Constraints:
    - (rms_norm_c1) weight is [D] where D is the input's last dimension.
    - (rms_norm_c2) eps is at least 2^-126, the smallest normal float32: a row
      of zeros must not become 0/0.

    Example:
    ```mlir
    %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x1024xf32>, tensor<1024xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Txs_Float:$weight, F64Attr:$eps);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` type($input) `,` type($weight)";
  let hasVerifier = 1;
}

def Txs_LinearOp : Txs_ForwardOp<"linear"> {
  let summary = "a projection: input times transposed weight, plus bias";
  let description = [{
    `result[b, t, o] = sum_i input[b, t, i] weight[o, i] + bias[o]`. The
    dimensions of input after [B, T] count as one of their product (the heads of a
    mixer's output are concatenated), and so do those of the result (a projection
    into heads is [B, T, H, P] directly). Accumulates in float32 or better;
    operands and result may have different element types (logits of a bf16 model
    are float32).

    Constraints:
    - (linear_c1) weight is [O, I], I the product of the input's trailing
      dimensions, O that of the result's.
    - (linear_c2) bias, if any, is [O].
    - (linear_c3) input and result agree in their leading dimensions.

    Example:
    ```mlir
    %c = txs.linear %h, %w : tensor<?x?x1024xf32>, tensor<1024x1024xf32>
       -> tensor<?x?x8x128xf32>
    %d = txs.linear %h, %w bias %v : tensor<?x?x64xf32>, tensor<32x64xf32>,
         tensor<32xf32> -> tensor<?x?x32xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Txs_Float:$weight,
                       Optional<Txs_Float>:$bias);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? attr-dict
    `:` type($input) `,` type($weight) (`,` type($bias)^)? `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The number of leading dimensions (batch and, unless pooled, sequence).
    int64_t getLeadingRank();
  }];
}

def Txs_ActivationOp : Txs_ForwardOp<"activation", [SameOperandsAndResultType]> {
  let summary = "an elementwise nonlinearity";
  let description = [{
    silu `x / (1 + exp(-x))`, gelu `x/2 (1 + erf(x / sqrt 2))`, relu `max(x, 0)`,
    softplus `log(1 + exp(x))`, computed without overflow.

    Example:
    ```mlir
    %dt = txs.activation softplus %u : tensor<?x?x8xf32>
    ```
  }];
  let arguments = (ins Txs_ActivationKind:$kind, Txs_Float:$input);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$kind $input attr-dict `:` type($input)";
}

def Txs_MulOp : Txs_ForwardOp<"mul", [Commutative, SameOperandsAndResultType]> {
  let summary = "elementwise product";
  let description = [{
    `result[i] = lhs[i] rhs[i]`.

    Example:
    ```mlir
    %m = txs.mul %gate, %up : tensor<?x?x2048xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$lhs, Txs_Float:$rhs);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs)";
}

def Txs_AddOp : Txs_ForwardOp<"add", [Commutative, SameOperandsAndResultType]> {
  let summary = "elementwise sum";
  let description = [{
    `result[i] = lhs[i] + rhs[i]`. Autodiff makes it where a value is used more
    than once.

    Example:
    ```mlir
    %g = txs.add %g0, %g1 : tensor<?x?x1024xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$lhs, Txs_Float:$rhs);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs)";
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Txs_ScaleOp : Txs_ForwardOp<"scale", [AllTypesMatch<["input", "result"]>]> {
  let summary = "multiplies every channel by its own factor";
  let description = [{
    `result[..., d] = weight[d] input[..., d]`.

    Constraints:
    - (scale_c1) weight is [D] where D is the input's last dimension.

    Example:
    ```mlir
    %g = txs.scale %dy, %w : tensor<?x?x1024xf32>, tensor<1024xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Txs_Float:$weight);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$input `,` $weight attr-dict `:` type($input) `,` type($weight)";
  let hasVerifier = 1;
}

def Txs_ResidualOp : Txs_ForwardOp<"residual", [
    AllTypesMatch<["input", "update", "result"]>]> {
  let summary = "the scaled residual connection";
  let description = [{
    `result = weight * input + update` with a learned vector `weight`.

    Constraints:
    - (residual_c1) weight is [D] where D is the input's last dimension.

    Example:
    ```mlir
    %x1 = txs.residual %x, %y, %w : tensor<?x?x1024xf32>, tensor<1024xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Txs_Float:$update, Txs_Float:$weight);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$input `,` $update `,` $weight attr-dict `:` type($input) `,` type($weight)";
  let hasVerifier = 1;
}

def Txs_MaskOp : Txs_ForwardOp<"mask", [AllTypesMatch<["input", "result"]>]> {
  let summary = "multiplies every token by its mask";
  let description = [{
    `result[b, t, ...] = mask[b, t] input[b, t, ...]`, mask 0 or 1. The
    input of a state-space mixer is masked, so that the state still decays through
    a padded position.

    Constraints:
    - (mask_c1) mask is [B, T].

    Example:
    ```mlir
    %m = txs.mask %h, %mask : tensor<?x?x1024xf32>, tensor<?x?xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Txs_Float:$mask);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$input `,` $mask attr-dict `:` type($input) `,` type($mask)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Txs_DropoutOp : Txs_ForwardOp<"dropout", [AllTypesMatch<["input", "result"]>]> {
  let summary = "zeroes elements at random and rescales the rest";
  let description = [{
    `result[i] = keep(i) input[i] / (1 - probability)` where `keep` depends only
    on the seed tensor [2], `site` and the element's linear index: the generator
    is counter-based (Philox 4x32-10), so the same step gives the same mask for
    any number of threads and again in the backward pass. Element i is kept when
    the first word of the generator's output is at least `probability 2^32`
    (rounded down), with key (seed[0], seed[1]) and counter (i mod 2^32,
    i / 2^32, 0, site).

    Constraints:
    - (dropout_c1) probability is in [0, 1).
    - (dropout_c2) seed is [2].
    - (dropout_c3) site is in [0, 2^32), a word of the counter.

    Example:
    ```mlir
    %y = txs.dropout %x, %seed {probability = 0.1 : f64, site = 3 : i64}
       : tensor<?x?x1024xf32>, tensor<2xi32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Txs_Ids:$seed, F64Attr:$probability,
                       I64Attr:$site);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$input `,` $seed attr-dict `:` type($input) `,` type($seed)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Position
//===----------------------------------------------------------------------===//

def Txs_RopeOp : Txs_ForwardOp<"rope", [
    AllTypesMatch<["input", "result"]>, AllTypesMatch<["cos", "sin"]>]> {
  let summary = "rotary position embedding in half-split form";
  let description = [{
    With the two halves `u1, u2` of a head: `[u1 cos - u2 sin, u2 cos + u1 sin]`
    (Su et al., arXiv 2104.09864). The one table of this call, `cos` and `sin`
    [T, P/2], serves state-space and attention layers alike; the caller makes it
    for positions past .. past + T - 1. `inverse` rotates by the opposite angle,
    which is the gradient.

    Constraints:
    - (rope_c1) input is [B, T, H, P] with even P.
    - (rope_c2) cos and sin are [T, P/2].

    Example:
    ```mlir
    %cr = txs.rope %c, %cos, %sin : tensor<?x?x8x128xf32>, tensor<?x64xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Txs_Float:$cos, Txs_Float:$sin,
                       UnitAttr:$inverse);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$input `,` $cos `,` $sin attr-dict `:` type($input) `,` type($cos)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Mixers
//===----------------------------------------------------------------------===//

def Txs_SsmScanOp : Txs_ForwardOp<"ssm_scan"> {
  let summary = "the state-space recurrence of SSD (Mamba-2)";
  let description = [{
    Per batch and head, with state S [P, N] and scalar decay A:

        S_t = exp(dt_t A) S_{t-1} + dt_t x_t (x) b_t
        y_t = S_t c_t

    (Dao and Gu, arXiv 2405.21060). `initial` is S before the first token, zero
    where absent; `final` is S after the last. `chunk` is the number of tokens
    that the chunked (dual) form takes at a time; it does not change the result.
    Any T >= 1.

    Constraints:
    - (ssm_scan_c1) c and b are [B, T, H, N], x is [B, T, H, P], dt [B, T, H],
      a [H].
    - (ssm_scan_c2) initial and final are [B, H, P, N].
    - (ssm_scan_c3) chunk >= 1.
    - (ssm_scan_c4) c, b, x and y have one element type; dt, a and the states
      have it too or, where it is narrower, float32.

    Example:
    ```mlir
    %y, %s1 = txs.ssm_scan %c, %b, %x, %dt, %a from %s0 {chunk = 64 : i64}
       : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>,
          tensor<?x?x8xf32>, tensor<8xf32>, tensor<?x8x128x128xf32>)
       -> (tensor<?x?x8x128xf32>, tensor<?x8x128x128xf32>)
    ```
  }];
  let arguments = (ins Txs_Float:$c, Txs_Float:$b, Txs_Float:$x, Txs_Float:$dt,
                       Txs_Float:$a, Optional<Txs_Float>:$initial,
                       I64Attr:$chunk);
  let results = (outs Txs_Float:$y, Txs_Float:$final);
  let assemblyFormat = [{
    $c `,` $b `,` $x `,` $dt `,` $a (`from` $initial^)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Txs_AttentionOp : Txs_ForwardOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "causal softmax attention with grouped keys and values";
  let description = [{
    Query t of this call is at position past + t and sees the keys s <= past + t
    whose `key_mask` is not 0:

        o[b, t, h] = sum_s softmax_s(q[b, t, h] . k[b, s, g] / sqrt P) v[b, s, g]

    with g = h / (H / G). `key` and `value` are this call's [B, T, G, P] (past
    absent, 0), or caches [B, S, G, P] that already hold this call's keys. A row
    that sees no key (padding on the left) gives the mean of v over s < past + T,
    hidden or not, as a softmax over equal scores does; only v gets a gradient
    from it, and its `log_sum_exp` is 0. `log_sum_exp` [B, T, H] is that of the row's
    scaled scores, for the gradient. `dropout` drops probabilities at random, with
    `seed` and `site` as in `txs.dropout` but the counter (s, t, b H + h, site).
    The T x S scores are never stored.

    Constraints:
    - (attention_c1) query and result are [B, T, H, P]; key and value
      [B, S, G, P] with H a multiple of G.
    - (attention_c2) key_mask, if any, is [B, S].
    - (attention_c3) log_sum_exp is [B, T, H].
    - (attention_c4) dropout is in [0, 1) and, unless 0, needs a seed [2]; site
      is in [0, 2^32).
    - (attention_c5) query, key, value and result have one element type;
      log_sum_exp has it too or, where it is narrower, float32.

    Example:
    ```mlir
    %o, %l = txs.attention %q, %k, %v mask %m past %n
       : (tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>,
          tensor<?x?xf32>, index) -> (tensor<?x?x8x128xf32>, tensor<?x?x8xf32>)
    ```
  }];
  let arguments = (ins Txs_Float:$query, Txs_Float:$key, Txs_Float:$value,
                       Optional<Txs_Float>:$key_mask, Optional<Index>:$past,
                       Optional<Txs_Ids>:$seed,
                       DefaultValuedAttr<F64Attr, "0.0">:$dropout,
                       DefaultValuedAttr<I64Attr, "0">:$site);
  let results = (outs Txs_Float:$result, Txs_Float:$log_sum_exp);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`mask` $key_mask^)? (`past` $past^)? (`seed` $seed^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Txs_CacheAppendOp : Txs_ForwardOp<"cache_append", [
    AllTypesMatch<["cache", "result"]>]> {
  let summary = "the cache with this call's tokens written after its past";
  let description = [{
    `result[b, past + t, ...] = tokens[b, t, ...]`, everything else as in `cache`
    [B, S, ...]. The plan does it in place.

    Constraints:
    - (cache_append_c1) cache is [B, S, ...], tokens [B, T, ...] of the same
      widths and element type.

    Example:
    ```mlir
    %kc1 = txs.cache_append %kc, %k at %past
       : tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$cache, Txs_Float:$tokens, Index:$past);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = [{
    $cache `,` $tokens `at` $past attr-dict `:` type($cache) `,` type($tokens)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Outputs and losses
//===----------------------------------------------------------------------===//

def Txs_LastTokenOp : Txs_ForwardOp<"last_token"> {
  let summary = "the hidden state of each sequence's last token";
  let description = [{
    `result[b, :] = input[b, l_b, :]` where l_b is T - 1 or, with `mask` [B, T],
    the last position whose mask is not 0 (T - 1 if there is none).

    Constraints:
    - (last_token_c1) input is [B, T, D], result [B, D].
    - (last_token_c2) mask, if any, is [B, T].

    Example:
    ```mlir
    %l = txs.last_token %h : tensor<?x?x1024xf32> -> tensor<?x1024xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$input, Optional<Txs_Float>:$mask);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = [{
    $input (`mask` $mask^)? attr-dict `:` type($input) (`,` type($mask)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Txs_SampleOp : Txs_Op<"sample", [Pure]> {
  let summary = "draws each sequence's next token";
  let description = [{
    `settings` are (temperature, top_p), `draw` (seed low, seed high, step,
    top_k, choices). For each row x of the logits, of which the tokens below
    `choices` count, with the maximum m and the distances `d_n = m - x_n` (0
    where `x_n = m`):

    - At temperature 0 the token is the most likely one.
    - Otherwise tokens have the weights `w_n = exp(-d_n / temperature)`. With
      `top_k` in [1, choices) those are kept that are at most as far as the
      k-th; of these, with `top_p` below 1, the fewest at a distance of at most
      some d whose weights add up to `top_p` of all kept. Tokens equally far as
      the last one kept are kept, too. Of what is kept the token is the one with
      the largest `-d_n / temperature + g_n`, which has the probability
      `w_n / sum w` (Gumbel's trick: Maddison et al., arXiv 1411.0030), with
      `g_n = -log(-log1p(-u_n))`. `u_n` depends on nothing but the seed, the
      step, the row and n, so that a sequence gets the same tokens whatever
      stands next to it: of `n = 2048 q + 512 w + l` it is made from word w of
      Philox 4x32-10 with key (seed low, seed high) and counter (step, row,
      512 q + l, 0x53414D50), `min((floor(word / 2) + 0.5) 2^-31, 1 - 2^-24)`.
    - Of several such tokens it is the first; -1 if a logit is NaN or none is
      above -infinity.

    Constraints:
    - (sample_c1) logits are [B, V] of f32 or f64, the result is [B].
    - (sample_c2) settings are [2] and draw is [5].
    - (sample_c3) V is at most 2^24: kernels count in float32.

    Example:
    ```mlir
    %next = txs.sample %logits, %settings, %draw
       : tensor<?x50280xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
    ```
  }];
  let arguments = (ins Txs_Float:$logits, Txs_Float:$settings, Txs_Ids:$draw);
  let results = (outs Txs_Ids:$tokens);
  let assemblyFormat = [{
    $logits `,` $settings `,` $draw attr-dict
    `:` type($logits) `,` type($settings) `,` type($draw) `->` type($tokens)
  }];
  let hasVerifier = 1;
}

def Txs_LinearCrossEntropyOp : Txs_ForwardOp<"linear_cross_entropy"> {
  let summary = "mean cross entropy of a projection";
  let description = [{
    With `z = hidden weight^T` [B, T, V], the mean over the labels that count of
    `log_sum_exp(z) - z[label]`. With `shift` token t is scored against the label
    at t + 1 and the last token of a sequence against none (language modelling);
    without it against its own, and hidden may be [B, D] with labels [B]
    (classification). A label of -100 does not count; when none counts the loss
    is 0. `log_sum_exp` is that of every row ([B, T] or [B]), for the gradient;
    it is 0 where the label does not count. The whole of z is never stored: a
    lowering makes it in parts.

    Constraints:
    - (linear_cross_entropy_c1) hidden is [B, T, D] or [B, D], weight [V, D].
    - (linear_cross_entropy_c2) labels has hidden's leading dimensions, and shift
      needs [B, T].
    - (linear_cross_entropy_c3) loss is a tensor of rank 0; log_sum_exp has the
      shape of labels; both float32 or float64.

    Example:
    ```mlir
    %loss, %l = txs.linear_cross_entropy %h, %w, %labels shift
       : tensor<?x?x64xf32>, tensor<97x64xf32>, tensor<?x?xi32>
       -> tensor<f32>, tensor<?x?xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$hidden, Txs_Float:$weight, Txs_Ids:$labels,
                       UnitAttr:$shift);
  let results = (outs Txs_Float:$loss, Txs_Float:$log_sum_exp);
  let assemblyFormat = [{
    $hidden `,` $weight `,` $labels (`shift` $shift^)? attr-dict
    `:` type($hidden) `,` type($weight) `,` type($labels)
    `->` type($loss) `,` type($log_sum_exp)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Gradients. `dx` is the gradient of the loss with respect to x.
//===----------------------------------------------------------------------===//

def Txs_RecomputeBarrierOp : Txs_Op<"recompute_barrier", [
    Txs_Differentiable,
    TypesMatchWith<"results have the operands' types", "inputs", "results",
                   "$_self">]> {
  let summary = "an identity that keeps recomputation where it is";
  let description = [{
    Returns its operands. It has no `Pure` trait, so common subexpression
    elimination cannot merge a recomputed block with the original, which would
    keep alive what recomputation is there to free.

    Example:
    ```mlir
    %x2 = txs.recompute_barrier %x : tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = "$inputs attr-dict `:` type($inputs)";
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$inputs), [{
    build($_builder, $_state, inputs.getTypes(), inputs);
  }]>];
}

def Txs_ZerosOp : Txs_ForwardOp<"zeros", [SameOperandsAndResultShape]> {
  let summary = "zeros of the shape of another value";
  let description = [{
    The gradient of a value that the loss does not depend on. Folds away where
    the consumer takes an optional operand. The element type may differ: the
    gradient of a bf16 parameter is float32.

    Example:
    ```mlir
    %z = txs.zeros like %x : tensor<?x?x64xf32>
    %g = txs.zeros like %w : tensor<97x64xbf16> -> tensor<97x64xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$like);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = [{
    `like` $like attr-dict `:` custom<LikeType>(type($like), type($result))
  }];
}

def Txs_EmbeddingGradOp : Txs_Op<"embedding_grad", [Pure]> {
  let summary = "gradient of `txs.embedding` with respect to the weight";
  let description = [{
    `dweight[v, :] = sum over (b, t) with ids[b, t] = v of dresult[b, t, :]`, added
    in the order of (b, t); zero for `v = pad_token`.

    Constraints:
    - (embedding_grad_c1) dresult is [B, T, D], ids [B, T], dweight [V, D].
    - (embedding_grad_c2) dweight is float32 or float64.
    - (embedding_grad_c3) pad_token is in [0, V).

    Example:
    ```mlir
    %dw = txs.embedding_grad %dx, %ids {pad_token = 2 : i64}
       : tensor<?x?x64xf32>, tensor<?x?xi32> -> tensor<97x64xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$dresult, Txs_Ids:$ids,
                       OptionalAttr<I64Attr>:$pad_token);
  let results = (outs Txs_Float:$dweight);
  let assemblyFormat = [{
    $dresult `,` $ids attr-dict `:` type($dresult) `,` type($ids) `->` type($dweight)
  }];
  let hasVerifier = 1;
}

def Txs_RmsNormGradOp : Txs_Op<"rms_norm_grad", [
    Pure, AllTypesMatch<["dresult", "input", "dinput"]>,
    Txs_GradientOf<"weight", "dweight">]> {
  let summary = "gradients of `txs.rms_norm`";
  let description = [{
    With r = 1 / sqrt(mean(x^2) + eps), n = x r and g = w dy:
    `dx = r (g - n mean(g n))`, `dw = sum over all tokens of dy n`.

    Constraints:
    - (rms_norm_grad_c1) as those of `txs.rms_norm`.

    Example:
    ```mlir
    %dx, %dw = txs.rms_norm_grad %dy, %x, %w {eps = 1.0e-6 : f64}
       : tensor<?x?x64xf32>, tensor<64xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$dresult, Txs_Float:$input, Txs_Float:$weight,
                       F64Attr:$eps);
  let results = (outs Txs_Float:$dinput, Txs_Float:$dweight);
  let assemblyFormat = [{
    $dresult `,` $input `,` $weight attr-dict `:` type($input) `,` type($weight)
  }];
  let hasVerifier = 1;
}

def Txs_LinearGradInputOp : Txs_Op<"linear_grad_input", [Pure]> {
  let summary = "gradient of `txs.linear` with respect to its input";
  let description = [{
    `dinput[b, t, i] = sum_o dresult[b, t, o] weight[o, i]`.

    Constraints:
    - (linear_grad_input_c1) weight is [O, I], O the product of dresult's trailing
      dimensions, I that of dinput's.

    Example:
    ```mlir
    %dh = txs.linear_grad_input %dc, %w
       : tensor<?x?x8x128xf32>, tensor<1024x1024xf32> -> tensor<?x?x1024xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$dresult, Txs_Float:$weight);
  let results = (outs Txs_Float:$dinput);
  let assemblyFormat = [{
    $dresult `,` $weight attr-dict `:` type($dresult) `,` type($weight) `->` type($dinput)
  }];
  let hasVerifier = 1;
}

def Txs_LinearGradWeightOp : Txs_Op<"linear_grad_weight", [Pure]> {
  let summary = "gradient of `txs.linear` with respect to its weight";
  let description = [{
    `dweight[o, i] = sum over all tokens of dresult[.., o] input[.., i]`.

    Constraints:
    - (linear_grad_weight_c1) dweight is [O, I], O the product of dresult's
      trailing dimensions, I that of input's.
    - (linear_grad_weight_c2) dweight is float32 or float64.

    Example:
    ```mlir
    %dw = txs.linear_grad_weight %dc, %h
       : tensor<?x?x8x128xf32>, tensor<?x?x1024xf32> -> tensor<1024x1024xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$dresult, Txs_Float:$input);
  let results = (outs Txs_Float:$dweight);
  let assemblyFormat = [{
    $dresult `,` $input attr-dict `:` type($dresult) `,` type($input) `->` type($dweight)
  }];
  let hasVerifier = 1;
}

def Txs_SumTokensOp : Txs_Op<"sum_tokens", [Pure]> {
  let summary = "sum of every channel over all tokens";
  let description = [{
    `result[d] = sum over (b, t) of lhs[b, t, d] rhs[b, t, d]`, or of lhs alone
    when rhs is absent; trailing dimensions count as one. The gradient of a bias
    (one operand) and of a residual's weight (two).

    Constraints:
    - (sum_tokens_c1) result is [D], D the product of the trailing dimensions.
    - (sum_tokens_c2) lhs and rhs have one type.
    - (sum_tokens_c3) result is float32 or float64.

    Example:
    ```mlir
    %db = txs.sum_tokens %dy : tensor<?x?x8x128xf32> -> tensor<1024xf32>
    %dw = txs.sum_tokens %dy times %x : tensor<?x?x64xf32>, tensor<?x?x64xf32> -> tensor<64xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$lhs, Optional<Txs_Float>:$rhs);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = [{
    $lhs (`times` $rhs^)? attr-dict `:` type($lhs) (`,` type($rhs)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Txs_ActivationGradOp : Txs_Op<"activation_grad", [Pure, SameOperandsAndResultType]> {
  let summary = "gradient of `txs.activation`";
  let description = [{
    `dinput = dresult f'(input)`.

    Example:
    ```mlir
    %du = txs.activation_grad silu %dy, %u : tensor<?x?x2048xf32>
    ```
  }];
  let arguments = (ins Txs_ActivationKind:$kind, Txs_Float:$dresult,
                       Txs_Float:$input);
  let results = (outs Txs_Float:$dinput);
  let assemblyFormat = "$kind $dresult `,` $input attr-dict `:` type($input)";
}

def Txs_SsmScanGradOp : Txs_Op<"ssm_scan_grad", [Pure, AttrSizedOperandSegments]> {
  let summary = "gradients of `txs.ssm_scan`";
  let description = [{
    With x~ = dt x, and G the gradient of the state, run backwards from dfinal
    (zero where absent):

        G_t = dy_t (x) c_t + exp(dt_{t+1} A) G_{t+1};   dinitial = exp(dt_0 A) G_0
        dc_t = S_t^T dy_t;   db_t = G_t^T x~_t;   dx~_t = G_t b_t;   dx_t = dt_t dx~_t
        da_t = dy_t . S_t c_t - x~_t . dx~_t  (+ <dfinal, S_T> at the last token)
        dlog_t = sum over s >= t of da_s
        ddt_t = A dlog_t + x_t . dx~_t;   dA = sum over b and t of dt_t dlog_t

    Constraints:
    - (ssm_scan_grad_c1) operands as in `txs.ssm_scan`; dy is [B, T, H, P],
      dfinal [B, H, P, N]; every result has the type of its operand.
    - (ssm_scan_grad_c2) dinitial is there exactly when initial is.

    Example:
    ```mlir
    %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 64 : i64}
       : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>,
          tensor<?x?x8x128xf32>, tensor<?x?x8xf32>, tensor<8xf32>)
       -> (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>,
           tensor<?x?x8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Txs_Float:$dy, Txs_Float:$c, Txs_Float:$b, Txs_Float:$x,
                       Txs_Float:$dt, Txs_Float:$a, Optional<Txs_Float>:$initial,
                       Optional<Txs_Float>:$dfinal, I64Attr:$chunk);
  let results = (outs Txs_Float:$dc, Txs_Float:$db, Txs_Float:$dx,
                      Txs_Float:$ddt, Txs_Float:$da,
                      Optional<Txs_Float>:$dinitial);
  let assemblyFormat = [{
    $dy `,` $c `,` $b `,` $x `,` $dt `,` $a (`from` $initial^)? (`dfinal` $dfinal^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Txs_AttentionGradOp : Txs_Op<"attention_grad", [Pure, AttrSizedOperandSegments]> {
  let summary = "gradients of `txs.attention` (no cache)";
  let description = [{
    Recomputes P[t, s] = exp(q_t . k_s / sqrt P - log_sum_exp_t) tile by tile
    (Dao, arXiv 2307.08691), with D_t = dresult_t . result_t:

        dv_s = sum_t P[t, s] dresult_t
        dscore[t, s] = P[t, s] (dresult_t . v_s - D_t) / sqrt P
        dq_t = sum_s dscore[t, s] k_s;   dk_s = sum_t dscore[t, s] q_t

    With dropout, both P in the first line and dresult_t . v_s in the second are
    times the factor (0 or 1 / (1 - dropout)) of the forward pass. The sums over t
    for dk and dv run over all query heads of a group.

    Constraints:
    - (attention_grad_c1) operands as in `txs.attention` with S = T and no past;
      every result has the type of its operand.

    Example:
    ```mlir
    %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l mask %m
       : (tensor<?x?x8x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>,
          tensor<?x?x2x128xf32>, tensor<?x?x8x128xf32>, tensor<?x?x8xf32>,
          tensor<?x?xf32>)
       -> (tensor<?x?x8x128xf32>, tensor<?x?x2x128xf32>, tensor<?x?x2x128xf32>)
    ```
  }];
  let arguments = (ins Txs_Float:$dresult, Txs_Float:$query, Txs_Float:$key,
                       Txs_Float:$value, Txs_Float:$result, Txs_Float:$log_sum_exp,
                       Optional<Txs_Float>:$key_mask, Optional<Txs_Ids>:$seed,
                       DefaultValuedAttr<F64Attr, "0.0">:$dropout,
                       DefaultValuedAttr<I64Attr, "0">:$site);
  let results = (outs Txs_Float:$dquery, Txs_Float:$dkey, Txs_Float:$dvalue);
  let assemblyFormat = [{
    $dresult `,` $query `,` $key `,` $value `,` $result `,` $log_sum_exp
    (`mask` $key_mask^)? (`seed` $seed^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Txs_LastTokenGradOp : Txs_Op<"last_token_grad", [Pure]> {
  let summary = "gradient of `txs.last_token`";
  let description = [{
    `dinput[b, t, :]` is `dresult[b, :]` at the chosen token, else 0. `like` gives
    the shape of dinput.

    Constraints:
    - (last_token_grad_c1) as those of `txs.last_token`.

    Example:
    ```mlir
    %dh = txs.last_token_grad %dl like %h
       : tensor<?x64xf32>, tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$dresult, Txs_Float:$like,
                       Optional<Txs_Float>:$mask);
  let results = (outs Txs_Float:$dinput);
  let assemblyFormat = [{
    $dresult `like` $like (`mask` $mask^)? attr-dict
    `:` type($dresult) `,` type($like) (`,` type($mask)^)? `->` type($dinput)
  }];
  let hasVerifier = 1;
}

def Txs_LinearCrossEntropyGradOp : Txs_Op<"linear_cross_entropy_grad", [
    Pure, AllTypesMatch<["hidden", "dhidden"]>,
    Txs_GradientOf<"weight", "dweight">]> {
  let summary = "gradients of `txs.linear_cross_entropy`";
  let description = [{
    For a row whose label counts, with n such rows: `dz = (softmax(z) -
    onehot(label)) / n`, where `softmax(z) = exp(z - log_sum_exp)`; zero for the
    others. `dhidden = dz weight`, `dweight = dz^T hidden`. The loss is the
    function's result, so its own gradient is 1.

    Constraints:
    - (linear_cross_entropy_grad_c1) operands as in `txs.linear_cross_entropy`.

    Example:
    ```mlir
    %dh, %dw = txs.linear_cross_entropy_grad %h, %w, %labels, %l shift
       : tensor<?x?x64xf32>, tensor<97x64xf32>, tensor<?x?xi32>, tensor<?x?xf32>
    ```
  }];
  let arguments = (ins Txs_Float:$hidden, Txs_Float:$weight, Txs_Ids:$labels,
                       Txs_Float:$log_sum_exp, UnitAttr:$shift);
  let results = (outs Txs_Float:$dhidden, Txs_Float:$dweight);
  let assemblyFormat = [{
    $hidden `,` $weight `,` $labels `,` $log_sum_exp (`shift` $shift^)? attr-dict
    `:` type($hidden) `,` type($weight) `,` type($labels) `,` type($log_sum_exp)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

def Txs_StoreGradientOp : Txs_Op<"store_gradient", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "hands a parameter's gradient to the caller";
  let description = [{
    Constraints:
    - (store_gradient_c1) the parameter exists and has the gradient's shape.
    - (store_gradient_c2) the gradient has the parameter's element type or, where
      that is narrower, float32.

    Example:
    ```mlir
    txs.store_gradient @model.layers.0.ssd.A, %da : tensor<8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter, Txs_Float:$gradient);
  let assemblyFormat = "$parameter `,` $gradient attr-dict `:` type($gradient)";
}

def Txs_GlobalNormOp : Txs_Op<"global_norm", [Pure]> {
  let summary = "the Euclidean norm of all gradients together";
  let description = [{
    `result = sqrt(sum over operands of the sum of squares)`.

    Constraints:
    - (global_norm_c1) result has rank 0 and is float32 or float64.
    - (global_norm_c2) there is a gradient, and each has a static shape.

    Example:
    ```mlir
    %n = txs.global_norm %g0, %g1 : tensor<8xf32>, tensor<97x64xf32> -> tensor<f32>
    ```
  }];
  let arguments = (ins Variadic<Txs_Float>:$gradients);
  let results = (outs Txs_Float:$result);
  let assemblyFormat = "$gradients attr-dict `:` type($gradients) `->` type($result)";
  let hasVerifier = 1;
}

def Txs_AdamWOp : Txs_Op<"adamw", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "updates a parameter and its two moments";
  let description = [{
    AdamW (Loshchilov and Hutter, arXiv 1711.05101) on the clipped gradient
    `g = gradient min(1, max_norm / (norm + 1e-6))`:

        m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
        p = p - lr (m / c1 / (sqrt(v / c2) + eps) + weight_decay p)

    where c1 = 1 - beta1^step, c2 = 1 - beta2^step. There is no decay for a
    parameter marked `no_decay`, and no clipping when max_norm is 0.
    `hyperparameters` is [8]: lr, beta1, beta2, eps, weight_decay, max_norm, c1, c2.

    A parameter narrower than float32 has a float32 master beside its moments: p
    above is the master, and the parameter becomes the master rounded. A master
    that no longer rounds to its parameter, because someone else wrote the
    parameter, counts as the parameter's value.

    Constraints:
    - (adamw_c1) the parameter exists and has the gradient's shape.
    - (adamw_c2) norm has rank 0, hyperparameters is [8].
    - (adamw_c3) the gradient is float32 or float64.
    - (adamw_c4) it ends a function: nothing but others of its kind and the
      return follow.

    Example:
    ```mlir
    txs.adamw @model.layers.0.ssd.A, %da, %norm, %hyper
       : tensor<8xf32>, tensor<f32>, tensor<8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter, Txs_Float:$gradient,
                       Txs_Float:$norm, Txs_Float:$hyperparameters);
  let assemblyFormat = [{
    $parameter `,` $gradient `,` $norm `,` $hyperparameters attr-dict
    `:` type($gradient) `,` type($norm) `,` type($hyperparameters)
  }];
  let hasVerifier = 1;
}

#endif // TRANSXSSM_DIALECT_TXS_TXSOPS_TD
