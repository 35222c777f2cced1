// One broken operation for every labelled constraint of TxsOps.td.
// RUN: transxssm-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{expects a ranked tensor of floats of static shape and positive extents, but it is 'tensor<?x4xf32>' (parameter_c1)}}
txs.parameter @w : tensor<?x4xf32> initializer "ones"

// -----

// expected-error @+1 {{expects a ranked tensor of floats of static shape and positive extents, but it is 'i32' (parameter_c1)}}
txs.parameter @w : i32 initializer "ones"

// -----

// expected-error @+1 {{expects initializer to be "normal", "ones", "zeros" or "ssd_decay", but it is "uniform" (parameter_c2)}}
txs.parameter @w : tensor<4xf32> initializer "uniform"

// -----

func.func @read_c1() {
  // expected-error @+1 {{expects a parameter named @v, but there is none (read_c1)}}
  %w = txs.read @v : tensor<4xf32>
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @read_c1__type() {
  // expected-error @+1 {{expects the parameter's type 'tensor<4xf32>', but the result is 'tensor<8xf32>' (read_c1)}}
  %w = txs.read @w : tensor<8xf32>
  return
}

// -----

func.func @block_c1(%x: tensor<?x?x4xf32>) {
  // expected-error @+1 {{expects the yielded types ('tensor<?x?x4xf32>') as results, but they are ('tensor<?x?x8xf32>') (block_c1)}}
  %y = txs.block ssd 0 {
    txs.yield %x : tensor<?x?x4xf32>
  } : tensor<?x?x8xf32>
  return
}

// -----

func.func @block_c2() {
  // expected-error @+1 {{expects a body without arguments, but it has 1 (block_c2)}}
  "txs.block"() <{mixer = 0 : i32, layer = 0 : i64}> ({
  ^bb0(%x: index):
    txs.yield
  }) : () -> ()
  return
}

// -----

func.func @embedding_c1(%ids: tensor<?xi32>, %w: tensor<9x4xf32>) {
  // expected-error @+1 {{expects ids to be [B, T] with 2 dynamic dimensions, but it is [?] (embedding_c1)}}
  %x = txs.embedding %ids, %w : tensor<?xi32>, tensor<9x4xf32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @embedding_c1__weight(%ids: tensor<?x?xi32>, %w: tensor<?x4xf32>) {
  // expected-error @+1 {{expects weight to be [V, D] with static widths, but it is [?, 4] (embedding_c1)}}
  %x = txs.embedding %ids, %w : tensor<?x?xi32>, tensor<?x4xf32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @embedding_c1__result(%ids: tensor<?x?xi32>, %w: tensor<9x4xf32>) {
  // expected-error @+1 {{expects result of shape [?, ?, 4], but it is [?, ?, 8] (embedding_c1)}}
  %x = txs.embedding %ids, %w : tensor<?x?xi32>, tensor<9x4xf32> -> tensor<?x?x8xf32>
  return
}

// -----

func.func @embedding_c2(%ids: tensor<?x?xi32>, %w: tensor<9x4xf32>) {
  // expected-error @+1 {{expects pad_token in [0, 9), but it is 9 (embedding_c2)}}
  %x = txs.embedding %ids, %w {pad_token = 9 : i64} : tensor<?x?xi32>, tensor<9x4xf32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @embedding_c2__negative(%ids: tensor<?x?xi32>, %w: tensor<9x4xf32>) {
  // expected-error @+1 {{expects pad_token in [0, 9), but it is -1 (embedding_c2)}}
  %x = txs.embedding %ids, %w {pad_token = -1 : i64} : tensor<?x?xi32>, tensor<9x4xf32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @rms_norm_c1(%x: tensor<?x?x4xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expects weight of shape [4], but it is [8] (rms_norm_c1)}}
  %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x4xf32>, tensor<8xf32>
  return
}

// -----

func.func @rms_norm_c1__dynamic(%x: tensor<?x?x?xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expects an input of static last dimension, but it is [?, ?, ?] (rms_norm_c1)}}
  %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x?xf32>, tensor<8xf32>
  return
}

// -----

func.func @rms_norm_c1__scalar(%x: tensor<f32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expects an input of static last dimension, but it is [] (rms_norm_c1)}}
  %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<f32>, tensor<8xf32>
  return
}

// -----

func.func @rms_norm_c2(%x: tensor<?x?x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{expects eps of at least 2^-126, but it is 0.000000e+00 (rms_norm_c2)}}
  %h = txs.rms_norm %x, %w {eps = 0.0 : f64} : tensor<?x?x4xf32>, tensor<4xf32>
  return
}

// -----

// In float32 it is 0.
func.func @rms_norm_c2__underflow(%x: tensor<?x?x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{expects eps of at least 2^-126, but it is 1.000000e-50 (rms_norm_c2)}}
  %h = txs.rms_norm %x, %w {eps = 1.0e-50 : f64} : tensor<?x?x4xf32>, tensor<4xf32>
  return
}

// -----

func.func @linear_c1(%x: tensor<?x?x2x4xf32>, %w: tensor<12x4xf32>) {
  // expected-error @+1 {{expects weight of shape [12, 8], but it is [12, 4] (linear_c1)}}
  %y = txs.linear %x, %w : tensor<?x?x2x4xf32>, tensor<12x4xf32> -> tensor<?x?x12xf32>
  return
}

// -----

func.func @linear_c1__dynamic(%x: tensor<?x4x?xf32>, %w: tensor<12x4xf32>) {
  // expected-error @+1 {{expects input to have static dimensions after its dynamic ones, but it is [?, 4, ?] (linear_c1)}}
  %y = txs.linear %x, %w : tensor<?x4x?xf32>, tensor<12x4xf32> -> tensor<?x?x12xf32>
  return
}

// -----

func.func @linear_c2(%x: tensor<?x?x4xf32>, %w: tensor<12x4xf32>, %v: tensor<4xf32>) {
  // expected-error @+1 {{expects bias of shape [12], but it is [4] (linear_c2)}}
  %y = txs.linear %x, %w bias %v : tensor<?x?x4xf32>, tensor<12x4xf32>, tensor<4xf32> -> tensor<?x?x3x4xf32>
  return
}

// -----

func.func @linear_c3(%x: tensor<?x?x4xf32>, %w: tensor<12x4xf32>) {
  // expected-error @+1 {{expects input and result with the same leading dimensions, but there are 2 and 1 (linear_c3)}}
  %y = txs.linear %x, %w : tensor<?x?x4xf32>, tensor<12x4xf32> -> tensor<?x12xf32>
  return
}

// -----

func.func @scale_c1(%x: tensor<?x?x4xf32>, %w: tensor<2xf32>) {
  // expected-error @+1 {{expects weight of shape [4], but it is [2] (scale_c1)}}
  %y = txs.scale %x, %w : tensor<?x?x4xf32>, tensor<2xf32>
  return
}

// -----

func.func @residual_c1(%x: tensor<?x?x4xf32>, %w: tensor<2xf32>) {
  // expected-error @+1 {{expects weight of shape [4], but it is [2] (residual_c1)}}
  %y = txs.residual %x, %x, %w : tensor<?x?x4xf32>, tensor<2xf32>
  return
}

// -----

func.func @mask_c1(%x: tensor<?x?x4xf32>, %m: tensor<?xf32>) {
  // expected-error @+1 {{expects mask of shape [?, ?], but it is [?] (mask_c1)}}
  %y = txs.mask %x, %m : tensor<?x?x4xf32>, tensor<?xf32>
  return
}

// -----

func.func @mask_c1__rank(%m: tensor<?xf32>) {
  // expected-error @+1 {{expects an input [B, T, ...] with dynamic B and T, but it is [?] (mask_c1)}}
  %y = txs.mask %m, %m : tensor<?xf32>, tensor<?xf32>
  return
}

// -----

func.func @dropout_c1(%x: tensor<?x?x4xf32>, %s: tensor<2xi32>) {
  // expected-error @+1 {{expects probability in [0, 1), but it is 1.000000e+00 (dropout_c1)}}
  %y = txs.dropout %x, %s {probability = 1.0 : f64, site = 0 : i64} : tensor<?x?x4xf32>, tensor<2xi32>
  return
}

// -----

func.func @dropout_c2(%x: tensor<?x?x4xf32>, %s: tensor<1xi32>) {
  // expected-error @+1 {{expects seed of shape [2], but it is [1] (dropout_c2)}}
  %y = txs.dropout %x, %s {probability = 0.5 : f64, site = 0 : i64} : tensor<?x?x4xf32>, tensor<1xi32>
  return
}

// -----

func.func @dropout_c3(%x: tensor<?x?x4xf32>, %s: tensor<2xi32>) {
  // expected-error @+1 {{expects site in [0, 2^32), but it is 4294967296 (dropout_c3)}}
  %y = txs.dropout %x, %s {probability = 0.5 : f64, site = 4294967296 : i64} : tensor<?x?x4xf32>, tensor<2xi32>
  return
}

// -----

func.func @rope_c1(%x: tensor<?x?x2x3xf32>, %c: tensor<?x1xf32>) {
  // expected-error @+1 {{expects an even head size, but it is 3 (rope_c1)}}
  %y = txs.rope %x, %c, %c : tensor<?x?x2x3xf32>, tensor<?x1xf32>
  return
}

// -----

func.func @rope_c1__rank(%x: tensor<?x?x4xf32>, %c: tensor<?x2xf32>) {
  // expected-error @+1 {{expects input to be [B, T, H, P] with 2 dynamic dimensions and static widths, but it is [?, ?, 4] (rope_c1)}}
  %y = txs.rope %x, %c, %c : tensor<?x?x4xf32>, tensor<?x2xf32>
  return
}

// -----

func.func @rope_c2(%x: tensor<?x?x2x4xf32>, %c: tensor<?x4xf32>) {
  // expected-error @+1 {{expects cos of shape [?, 2], but it is [?, 4] (rope_c2)}}
  %y = txs.rope %x, %c, %c : tensor<?x?x2x4xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @ssm_scan_c1(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x4xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects b of shape [?, ?, 2, 8], but it is [?, ?, 2, 4] (ssm_scan_c1)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c1__heads(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x3x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects x of shape [?, ?, 2, 4], but it is [?, ?, 3, 4] (ssm_scan_c1)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x3x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x3x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c1__dt(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x3xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects dt of shape [?, ?, 2], but it is [?, ?, 3] (ssm_scan_c1)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x3xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c1__a(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<3xf32>) {
  // expected-error @+1 {{expects a of shape [2], but it is [3] (ssm_scan_c1)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<3xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c1__y(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects y of shape [?, ?, 2, 4], but it is [?, ?, 2, 8] (ssm_scan_c1)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c1__rank(%c: tensor<?x?x16xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects c to be [B, T, H, N] with 2 dynamic dimensions and static widths, but it is [?, ?, 16] (ssm_scan_c1)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x16xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c2(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>, %s: tensor<?x2x8x4xf32>) {
  // expected-error @+1 {{expects initial of shape [?, 2, 4, 8], but it is [?, 2, 8, 4] (ssm_scan_c2)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a from %s {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x8x4xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c2__final(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects final of shape [?, 2, 4, 8], but it is [?, 2, 8, 4] (ssm_scan_c2)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x8x4xf32>)
  return
}

// -----

func.func @ssm_scan_c3(%c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects chunk to be at least 1, but it is 0 (ssm_scan_c3)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 0 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c4__operands(%c: tensor<?x?x2x8xbf16>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xbf16>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects b of 'bf16', but it is of 'f32' (ssm_scan_c4)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xbf16>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xbf16>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xbf16>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c4__step(%c: tensor<?x?x2x8xbf16>, %b: tensor<?x?x2x8xbf16>, %x: tensor<?x?x2x4xbf16>, %dt: tensor<?x?x2xbf16>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects dt of 'f32', but it is of 'bf16' (ssm_scan_c4)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2x4xbf16>, tensor<?x?x2xbf16>, tensor<2xf32>)
    -> (tensor<?x?x2x4xbf16>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @ssm_scan_c4__state(%c: tensor<?x?x2x8xbf16>, %b: tensor<?x?x2x8xbf16>, %x: tensor<?x?x2x4xbf16>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects final of 'f32', but it is of 'bf16' (ssm_scan_c4)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2x4xbf16>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xbf16>, tensor<?x2x4x8xbf16>)
  return
}

// -----

func.func @ssm_scan_c4__result(%c: tensor<?x?x2x8xbf16>, %b: tensor<?x?x2x8xbf16>, %x: tensor<?x?x2x4xbf16>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects y of 'bf16', but it is of 'f32' (ssm_scan_c4)}}
  %y, %f = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2x4xbf16>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @attention_c1(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x3x8xf32>, %v: tensor<?x?x3x8xf32>) {
  // expected-error @+1 {{expects query heads to be a multiple of key heads, but there are 4 and 3 (attention_c1)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xf32>, tensor<?x?x3x8xf32>, tensor<?x?x3x8xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c1__zero(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x0x8xf32>, %v: tensor<?x?x0x8xf32>) {
  // expected-error @+1 {{operand #1 must be tensor of positive extents of}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xf32>, tensor<?x?x0x8xf32>, tensor<?x?x0x8xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c1__size(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x8xf32>) {
  // expected-error @+1 {{expects key of shape [?, ?, 2, 8], but it is [?, ?, 2, 4] (attention_c1)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x8xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c1__value(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x4x8xf32>) {
  // expected-error @+1 {{expects value of shape [?, ?, 2, 8], but it is [?, ?, 4, 8] (attention_c1)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x4x8xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c1__result(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>) {
  // expected-error @+1 {{expects result of shape [?, ?, 4, 8], but it is [?, ?, 2, 8] (attention_c1)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c2(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %m: tensor<?xf32>) {
  // expected-error @+1 {{expects key_mask of shape [?, ?], but it is [?] (attention_c2)}}
  %o, %l = txs.attention %q, %k, %v mask %m
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c3(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>) {
  // expected-error @+1 {{expects log_sum_exp of shape [?, ?, 4], but it is [?, ?, 2] (attention_c3)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x2xf32>)
  return
}

// -----

func.func @attention_c4(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>) {
  // expected-error @+1 {{expects a seed for dropout 1.000000e-01, but there is none (attention_c4)}}
  %o, %l = txs.attention %q, %k, %v {dropout = 0.1 : f64}
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c4__range(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %s: tensor<2xi32>) {
  // expected-error @+1 {{expects dropout in [0, 1), but it is -1.000000e-01 (attention_c4)}}
  %o, %l = txs.attention %q, %k, %v seed %s {dropout = -0.1 : f64}
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<2xi32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c4__seed(%q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %s: tensor<4xi32>) {
  // expected-error @+1 {{expects seed of shape [2], but it is [4] (attention_c4)}}
  %o, %l = txs.attention %q, %k, %v seed %s {dropout = 0.1 : f64}
    : (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<4xi32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c5__key(%q: tensor<?x?x4x8xbf16>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xbf16>) {
  // expected-error @+1 {{expects key of 'bf16', but it is of 'f32' (attention_c5)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xbf16>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xbf16>)
    -> (tensor<?x?x4x8xbf16>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c5__result(%q: tensor<?x?x4x8xbf16>, %k: tensor<?x?x2x8xbf16>, %v: tensor<?x?x2x8xbf16>) {
  // expected-error @+1 {{expects result of 'bf16', but it is of 'f32' (attention_c5)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2x8xbf16>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @attention_c5__log_sum_exp(%q: tensor<?x?x4x8xbf16>, %k: tensor<?x?x2x8xbf16>, %v: tensor<?x?x2x8xbf16>) {
  // expected-error @+1 {{expects log_sum_exp of 'f32', but it is of 'bf16' (attention_c5)}}
  %o, %l = txs.attention %q, %k, %v
    : (tensor<?x?x4x8xbf16>, tensor<?x?x2x8xbf16>, tensor<?x?x2x8xbf16>)
    -> (tensor<?x?x4x8xbf16>, tensor<?x?x4xbf16>)
  return
}

// -----

func.func @cache_append_c1__type(%c: tensor<?x?x2x4xbf16>, %t: tensor<?x?x2x4xf32>, %p: index) {
  // expected-error @+1 {{expects tokens of 'bf16', but it is of 'f32' (cache_append_c1)}}
  %r = txs.cache_append %c, %t at %p : tensor<?x?x2x4xbf16>, tensor<?x?x2x4xf32>
  return
}

// -----

func.func @cache_append_c1(%c: tensor<?x?x2x4xf32>, %t: tensor<?x?x2x8xf32>, %p: index) {
  // expected-error @+1 {{expects a cache [B, S, ...] and tokens [B, T, ...] of the same widths, but they are [?, ?, 2, 4] and [?, ?, 2, 8] (cache_append_c1)}}
  %r = txs.cache_append %c, %t at %p : tensor<?x?x2x4xf32>, tensor<?x?x2x8xf32>
  return
}

// -----

func.func @last_token_c1(%x: tensor<?x?x4xf32>) {
  // expected-error @+1 {{expects result of shape [?, 4], but it is [?, 8] (last_token_c1)}}
  %l = txs.last_token %x : tensor<?x?x4xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @last_token_c2(%x: tensor<?x?x4xf32>, %m: tensor<?xf32>) {
  // expected-error @+1 {{expects mask of shape [?, ?], but it is [?] (last_token_c2)}}
  %l = txs.last_token %x mask %m : tensor<?x?x4xf32>, tensor<?xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @sample_c1(%x: tensor<?x9xf32>, %s: tensor<2xf32>, %d: tensor<5xi32>) {
  // expected-error @+1 {{expects tokens of shape [?], but it is [9] (sample_c1)}}
  %t = txs.sample %x, %s, %d : tensor<?x9xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<9xi32>
  return
}

// -----

func.func @sample_c1__narrow(%x: tensor<?x9xbf16>, %s: tensor<2xf32>, %d: tensor<5xi32>) {
  // expected-error @+1 {{(sample_c1)}}
  %t = txs.sample %x, %s, %d : tensor<?x9xbf16>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
  return
}

// -----

func.func @sample_c2(%x: tensor<?x9xf32>, %s: tensor<2xf32>, %d: tensor<4xi32>) {
  // expected-error @+1 {{expects draw of shape [5], but it is [4] (sample_c2)}}
  %t = txs.sample %x, %s, %d : tensor<?x9xf32>, tensor<2xf32>, tensor<4xi32> -> tensor<?xi32>
  return
}

// -----

func.func @sample_c3(%x: tensor<?x16777217xf32>, %s: tensor<2xf32>, %d: tensor<5xi32>) {
  // expected-error @+1 {{draws from 16777217 tokens, expected at most 16777216 (sample_c3)}}
  %t = txs.sample %x, %s, %d : tensor<?x16777217xf32>, tensor<2xf32>, tensor<5xi32> -> tensor<?xi32>
  return
}

// -----

func.func @linear_cross_entropy_c1(%h: tensor<4xf32>, %w: tensor<9x4xf32>, %y: tensor<?x?xi32>) {
  // expected-error @+1 {{expects hidden to be [B, T, D] or [B, D] with static D only, but it is [4] (linear_cross_entropy_c1)}}
  %loss, %l = txs.linear_cross_entropy %h, %w, %y shift
    : tensor<4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return
}

// -----

func.func @linear_cross_entropy_c1__weight(%h: tensor<?x?x4xf32>, %w: tensor<9x8xf32>, %y: tensor<?x?xi32>) {
  // expected-error @+1 {{expects weight of shape [9, 4], but it is [9, 8] (linear_cross_entropy_c1)}}
  %loss, %l = txs.linear_cross_entropy %h, %w, %y shift
    : tensor<?x?x4xf32>, tensor<9x8xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return
}

// -----

func.func @linear_cross_entropy_c2(%h: tensor<?x?x4xf32>, %w: tensor<9x4xf32>, %y: tensor<?xi32>) {
  // expected-error @+1 {{expects labels of shape [?, ?], but it is [?] (linear_cross_entropy_c2)}}
  %loss, %l = txs.linear_cross_entropy %h, %w, %y shift
    : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?xi32> -> tensor<f32>, tensor<?x?xf32>
  return
}

// -----

func.func @linear_cross_entropy_c2__shift(%h: tensor<?x4xf32>, %w: tensor<9x4xf32>, %y: tensor<?xi32>) {
  // expected-error @+1 {{expects labels [B, T] to shift, but they are [?] (linear_cross_entropy_c2)}}
  %loss, %l = txs.linear_cross_entropy %h, %w, %y shift
    : tensor<?x4xf32>, tensor<9x4xf32>, tensor<?xi32> -> tensor<f32>, tensor<?x?xf32>
  return
}

// -----

func.func @linear_cross_entropy_c3(%h: tensor<?x?x4xf32>, %w: tensor<9x4xf32>, %y: tensor<?x?xi32>) {
  // expected-error @+1 {{expects loss of shape [], but it is [1] (linear_cross_entropy_c3)}}
  %loss, %l = txs.linear_cross_entropy %h, %w, %y shift
    : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  return
}

// -----

func.func @linear_cross_entropy_c3__shape(%h: tensor<?x?x4xf32>, %w: tensor<9x4xf32>, %y: tensor<?x?xi32>) {
  // expected-error @+1 {{expects log_sum_exp of shape [?, ?], but it is [?] (linear_cross_entropy_c3)}}
  %loss, %l = txs.linear_cross_entropy %h, %w, %y shift
    : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?xf32>
  return
}

// -----

func.func @linear_cross_entropy_c3__type(%h: tensor<?x?x4xf32>, %w: tensor<9x4xf32>, %y: tensor<?x?xi32>) {
  // expected-error @+1 {{expects log_sum_exp of f32 or f64, but it is of 'bf16' (linear_cross_entropy_c3)}}
  %loss, %l = txs.linear_cross_entropy %h, %w, %y shift
    : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xbf16>
  return
}

// -----

func.func @embedding_grad_c1(%ids: tensor<?x?xi32>, %d: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expects dresult of shape [?, ?, 4], but it is [?, ?, 8] (embedding_grad_c1)}}
  %w = txs.embedding_grad %d, %ids : tensor<?x?x8xf32>, tensor<?x?xi32> -> tensor<9x4xf32>
  return
}

// -----

func.func @embedding_grad_c2(%ids: tensor<?x?xi32>, %d: tensor<?x?x4xbf16>) {
  // expected-error @+1 {{expects dweight of f32 or f64, but it is of 'bf16' (embedding_grad_c2)}}
  %w = txs.embedding_grad %d, %ids : tensor<?x?x4xbf16>, tensor<?x?xi32> -> tensor<9x4xbf16>
  return
}

// -----

func.func @embedding_grad_c3(%ids: tensor<?x?xi32>, %d: tensor<?x?x4xf32>) {
  // expected-error @+1 {{expects pad_token in [0, 9), but it is -3 (embedding_grad_c3)}}
  %w = txs.embedding_grad %d, %ids {pad_token = -3 : i64} : tensor<?x?x4xf32>, tensor<?x?xi32> -> tensor<9x4xf32>
  return
}

// -----

func.func @rms_norm_grad_c1(%x: tensor<?x?x4xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expects weight of shape [4], but it is [8] (rms_norm_grad_c1)}}
  %dx, %dw = txs.rms_norm_grad %x, %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x4xf32>, tensor<8xf32>
  return
}

// -----

func.func @rms_norm_grad_c1__eps(%x: tensor<?x?x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{expects eps of at least 2^-126, but it is -1.000000e+00 (rms_norm_grad_c1)}}
  %dx, %dw = txs.rms_norm_grad %x, %x, %w {eps = -1.0 : f64} : tensor<?x?x4xf32>, tensor<4xf32>
  return
}

// -----

func.func @linear_grad_input_c1(%x: tensor<?x?x4xf32>, %w: tensor<12x4xf32>) {
  // expected-error @+1 {{expects weight of shape [4, 12], but it is [12, 4] (linear_grad_input_c1)}}
  %d = txs.linear_grad_input %x, %w : tensor<?x?x4xf32>, tensor<12x4xf32> -> tensor<?x?x12xf32>
  return
}

// -----

func.func @linear_grad_input_c1__leading(%x: tensor<?x?x4xf32>, %w: tensor<4x12xf32>) {
  // expected-error @+1 {{expects dresult and dinput with the same leading dimensions, but there are 2 and 1 (linear_grad_input_c1)}}
  %d = txs.linear_grad_input %x, %w : tensor<?x?x4xf32>, tensor<4x12xf32> -> tensor<?x12xf32>
  return
}

// -----

func.func @linear_grad_weight_c1(%x: tensor<?x?x4xf32>, %h: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expects dweight of shape [4, 8], but it is [8, 4] (linear_grad_weight_c1)}}
  %d = txs.linear_grad_weight %x, %h : tensor<?x?x4xf32>, tensor<?x?x8xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @linear_grad_weight_c2(%x: tensor<?x?x4xbf16>, %h: tensor<?x?x8xbf16>) {
  // expected-error @+1 {{expects dweight of f32 or f64, but it is of 'bf16' (linear_grad_weight_c2)}}
  %d = txs.linear_grad_weight %x, %h : tensor<?x?x4xbf16>, tensor<?x?x8xbf16> -> tensor<4x8xbf16>
  return
}

// -----

func.func @sum_tokens_c3(%x: tensor<?x?x4xbf16>) {
  // expected-error @+1 {{expects result of f32 or f64, but it is of 'bf16' (sum_tokens_c3)}}
  %d = txs.sum_tokens %x : tensor<?x?x4xbf16> -> tensor<4xbf16>
  return
}

// -----

func.func @sum_tokens_c1(%x: tensor<?x?x2x4xf32>) {
  // expected-error @+1 {{expects result of shape [8], but it is [4] (sum_tokens_c1)}}
  %d = txs.sum_tokens %x : tensor<?x?x2x4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @sum_tokens_c2(%x: tensor<?x?x4xf32>, %h: tensor<?x?x2x2xf32>) {
  // expected-error @+1 {{expects rhs of lhs's type 'tensor<?x?x4xf32>', but it is 'tensor<?x?x2x2xf32>' (sum_tokens_c2)}}
  %d = txs.sum_tokens %x times %h : tensor<?x?x4xf32>, tensor<?x?x2x2xf32> -> tensor<4xf32>
  return
}

// -----

func.func @ssm_scan_grad_c1(%dy: tensor<?x?x2x8xf32>, %c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects dy of shape [?, ?, 2, 4], but it is [?, ?, 2, 8] (ssm_scan_grad_c1)}}
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
  return
}

// -----

func.func @ssm_scan_grad_c1__dfinal(%dy: tensor<?x?x2x4xf32>, %c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>, %df: tensor<?x2x8x4xf32>) {
  // expected-error @+1 {{expects dfinal of shape [?, 2, 4, 8], but it is [?, 2, 8, 4] (ssm_scan_grad_c1)}}
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a dfinal %df {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x8x4xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
  return
}

// -----

func.func @ssm_scan_grad_c1__type(%dy: tensor<?x?x2x4xf32>, %c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects a gradient of its operand's type 'tensor<?x?x2x4xf32>', but it is 'tensor<?x?x2x8xf32>' (ssm_scan_grad_c1)}}
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
  return
}

// -----

func.func @ssm_scan_grad_c1__chunk(%dy: tensor<?x?x2x4xf32>, %c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects chunk to be at least 1, but it is -4 (ssm_scan_grad_c1)}}
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = -4 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
  return
}

// -----

func.func @ssm_scan_grad_c2(%dy: tensor<?x?x2x4xf32>, %c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>, %s: tensor<?x2x4x8xf32>) {
  // expected-error @+1 {{expects dinitial exactly when there is initial, but there is only initial (ssm_scan_grad_c2)}}
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a from %s {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x8xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
  return
}

// -----

func.func @ssm_scan_grad_c2__result(%dy: tensor<?x?x2x4xf32>, %c: tensor<?x?x2x8xf32>, %b: tensor<?x?x2x8xf32>, %x: tensor<?x?x2x4xf32>, %dt: tensor<?x?x2xf32>, %a: tensor<2xf32>) {
  // expected-error @+1 {{expects dinitial exactly when there is initial, but there is only dinitial (ssm_scan_grad_c2)}}
  %dc, %db, %dx, %ddt, %da, %ds = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 16 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x8xf32>)
  return
}

// -----

func.func @attention_grad_c1(%do: tensor<?x?x2x8xf32>, %q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %o: tensor<?x?x4x8xf32>, %l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{expects dresult of shape [?, ?, 4, 8], but it is [?, ?, 2, 8] (attention_grad_c1)}}
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l
    : (tensor<?x?x2x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>)
  return
}

// -----

func.func @attention_grad_c1__mask(%do: tensor<?x?x4x8xf32>, %q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %o: tensor<?x?x4x8xf32>, %l: tensor<?x?x4xf32>, %m: tensor<?xf32>) {
  // expected-error @+1 {{expects key_mask of shape [?, ?], but it is [?] (attention_grad_c1)}}
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l mask %m
    : (tensor<?x?x4x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4xf32>, tensor<?xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>)
  return
}

// -----

func.func @attention_grad_c1__lse(%do: tensor<?x?x4x8xf32>, %q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %o: tensor<?x?x4x8xf32>, %l: tensor<?x?x2xf32>) {
  // expected-error @+1 {{expects log_sum_exp of shape [?, ?, 4], but it is [?, ?, 2] (attention_grad_c1)}}
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l
    : (tensor<?x?x4x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x2xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>)
  return
}

// -----

func.func @attention_grad_c1__tokens(%do: tensor<?x?x4x8xf32>, %q: tensor<?x?x4x8xf32>, %k: tensor<?x5x2x8xf32>, %v: tensor<?x5x2x8xf32>, %o: tensor<?x?x4x8xf32>, %l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{expects key to be [B, S, G, P] with 2 dynamic dimensions and static widths, but it is [?, 5, 2, 8] (attention_grad_c1)}}
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l
    : (tensor<?x?x4x8xf32>, tensor<?x?x4x8xf32>, tensor<?x5x2x8xf32>, tensor<?x5x2x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x5x2x8xf32>, tensor<?x5x2x8xf32>)
  return
}

// -----

func.func @attention_grad_c1__type(%do: tensor<?x?x4x8xf32>, %q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %o: tensor<?x?x4x8xf32>, %l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{expects a gradient of its operand's type 'tensor<?x?x2x8xf32>', but it is 'tensor<?x?x4x8xf32>' (attention_grad_c1)}}
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l
    : (tensor<?x?x4x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>)
  return
}

// -----

func.func @attention_grad_c1__seed(%do: tensor<?x?x4x8xf32>, %q: tensor<?x?x4x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %o: tensor<?x?x4x8xf32>, %l: tensor<?x?x4xf32>) {
  // expected-error @+1 {{expects a seed for dropout 5.000000e-01, but there is none (attention_grad_c1)}}
  %dq, %dk, %dv = txs.attention_grad %do, %q, %k, %v, %o, %l {dropout = 0.5 : f64}
    : (tensor<?x?x4x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4xf32>)
    -> (tensor<?x?x4x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>)
  return
}

// -----

func.func @last_token_grad_c1(%x: tensor<?x?x4xf32>, %l: tensor<?x4xf32>) {
  // expected-error @+1 {{expects dinput of shape [?, ?, 4], but it is [?, ?, 8] (last_token_grad_c1)}}
  %d = txs.last_token_grad %l like %x : tensor<?x4xf32>, tensor<?x?x4xf32> -> tensor<?x?x8xf32>
  return
}

// -----

func.func @last_token_grad_c1__chosen(%x: tensor<?x?x4xf32>, %l: tensor<?x8xf32>) {
  // expected-error @+1 {{expects dresult of shape [?, 4], but it is [?, 8] (last_token_grad_c1)}}
  %d = txs.last_token_grad %l like %x : tensor<?x8xf32>, tensor<?x?x4xf32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @linear_cross_entropy_grad_c1(%x: tensor<?x?x4xf32>, %w: tensor<9x4xf32>, %y: tensor<?x?xi32>, %l: tensor<?xf32>) {
  // expected-error @+1 {{expects log_sum_exp of shape [?, ?], but it is [?] (linear_cross_entropy_grad_c1)}}
  %dh, %dw = txs.linear_cross_entropy_grad %x, %w, %y, %l shift
    : tensor<?x?x4xf32>, tensor<9x4xf32>, tensor<?x?xi32>, tensor<?xf32>
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @store_gradient_c1(%g: tensor<8xf32>) {
  // expected-error @+1 {{expects the gradient of shape [4], but it is [8] (store_gradient_c1)}}
  txs.store_gradient @w, %g : tensor<8xf32>
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @store_gradient_c1__name(%g: tensor<8xf32>) {
  // expected-error @+1 {{expects a parameter named @v, but there is none (store_gradient_c1)}}
  txs.store_gradient @v, %g : tensor<8xf32>
  return
}

// -----

txs.parameter @w : tensor<4x4xbf16> initializer "ones"
func.func @store_gradient_c2(%g: tensor<4x4xbf16>) {
  // expected-error @+1 {{expects the gradient of 'f32', but it is of 'bf16' (store_gradient_c2)}}
  txs.store_gradient @w, %g : tensor<4x4xbf16>
  return
}

// -----

txs.parameter @w : tensor<4x4xbf16> initializer "ones"
func.func @adamw_c3(%g: tensor<4x4xbf16>, %n: tensor<f32>, %h: tensor<8xf32>) {
  // expected-error @+1 {{expects the gradient of f32 or f64, but it is of 'bf16' (adamw_c3)}}
  txs.adamw @w, %g, %n, %h : tensor<4x4xbf16>, tensor<f32>, tensor<8xf32>
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @adamw_c4(%g: tensor<4xf32>, %n: tensor<f32>, %h: tensor<8xf32>) -> tensor<4xf32> {
  txs.adamw @w, %g, %n, %h : tensor<4xf32>, tensor<f32>, tensor<8xf32>
  // expected-error @-1 {{expects only operations of its kind behind it, but 'txs.read' follows (adamw_c4)}}
  %w = txs.read @w : tensor<4xf32>
  return %w : tensor<4xf32>
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @adamw_c4__block(%x: tensor<?x?x4xf32>, %g: tensor<4xf32>, %n: tensor<f32>, %h: tensor<8xf32>) -> tensor<?x?x4xf32> {
  %y = txs.block ssd 0 {
    // expected-error @+1 {{expects to end a function, but it is in a block of the model (adamw_c4)}}
    txs.adamw @w, %g, %n, %h : tensor<4xf32>, tensor<f32>, tensor<8xf32>
    txs.yield %x : tensor<?x?x4xf32>
  } : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @adamw_c1(%g: tensor<8xf32>, %n: tensor<f32>, %h: tensor<8xf32>) {
  // expected-error @+1 {{expects the gradient of shape [4], but it is [8] (adamw_c1)}}
  txs.adamw @w, %g, %n, %h : tensor<8xf32>, tensor<f32>, tensor<8xf32>
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @adamw_c1__name(%g: tensor<8xf32>, %n: tensor<f32>, %h: tensor<8xf32>) {
  // expected-error @+1 {{expects a parameter named @adamw_c1__name, but there is none (adamw_c1)}}
  txs.adamw @adamw_c1__name, %g, %n, %h : tensor<8xf32>, tensor<f32>, tensor<8xf32>
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @adamw_c2(%g: tensor<4xf32>, %n: tensor<1xf32>, %h: tensor<8xf32>) {
  // expected-error @+1 {{expects norm of shape [], but it is [1] (adamw_c2)}}
  txs.adamw @w, %g, %n, %h : tensor<4xf32>, tensor<1xf32>, tensor<8xf32>
  return
}

// -----

txs.parameter @w : tensor<4xf32> initializer "ones"
func.func @adamw_c2__hyperparameters(%g: tensor<4xf32>, %n: tensor<f32>, %h: tensor<7xf32>) {
  // expected-error @+1 {{expects hyperparameters of shape [8], but it is [7] (adamw_c2)}}
  txs.adamw @w, %g, %n, %h : tensor<4xf32>, tensor<f32>, tensor<7xf32>
  return
}

// -----

func.func @global_norm_c1(%g: tensor<4xf32>) {
  // expected-error @+1 {{expects result of shape [], but it is [5] (global_norm_c1)}}
  %n = txs.global_norm %g : tensor<4xf32> -> tensor<5xf32>
  return
}

// -----

func.func @global_norm_c1__type(%g: tensor<4xbf16>) {
  // expected-error @+1 {{expects result of f32 or f64, but it is of 'bf16' (global_norm_c1)}}
  %n = txs.global_norm %g : tensor<4xbf16> -> tensor<bf16>
  return
}

// -----

func.func @global_norm_c2(%g: tensor<?x4xf32>) {
  // expected-error @+1 {{expects gradients of static shape, but one is [?, 4] (global_norm_c2)}}
  %n = txs.global_norm %g : tensor<?x4xf32> -> tensor<f32>
  return
}

// -----

func.func @global_norm_c2__none() {
  // expected-error @+1 {{expects at least one gradient, but there is none (global_norm_c2)}}
  %n = "txs.global_norm"() : () -> tensor<f32>
  return
}

// -----

// The dimensions say which are batch and sequence.
func.func @static_batch(%ids: tensor<2x3xi32>, %w: tensor<9x4xf32>) {
  // expected-error @+1 {{expects ids to be [B, T] with 2 dynamic dimensions, but it is [2, 3] (embedding_c1)}}
  %x = txs.embedding %ids, %w : tensor<2x3xi32>, tensor<9x4xf32> -> tensor<2x3x4xf32>
  return
}

// -----

func.func @empty(%x: tensor<?x?x0xf32>, %w: tensor<0xf32>) {
  // expected-error @+1 {{operand #0 must be tensor of positive extents of}}
  %h = txs.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<?x?x0xf32>, tensor<0xf32>
  return
}

// -----

// 2^20 x 2^20 x 2^20 doubles are 2^63 bytes.
func.func @huge(%x: tensor<?x1048576x1048576x1048576xf32>) {
  // expected-error @+1 {{operand #0 must be tensor of positive extents of}}
  %y = txs.activation relu %x : tensor<?x1048576x1048576x1048576xf32>
  return
}

// -----

// expected-error @+1 {{expects a ranked tensor of floats of static shape and positive extents, but it is 'tensor<4xi32>' (parameter_c1)}}
txs.parameter @w : tensor<4xi32> initializer "ones"

// -----

func.func @unranked(%x: tensor<*xf32>) {
  // expected-error @+1 {{operand #0 must be tensor of positive extents of}}
  %y = "txs.zeros"(%x) : (tensor<*xf32>) -> tensor<*xf32>
  return
}
