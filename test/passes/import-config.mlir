// A hybrid of one state-space and one attention layer.
// RUN: transxssm-opt --import-config=%S/Inputs/hybrid.json | FileCheck %s
// A parameter for every tensor of the checkpoint, in model order.
// CHECK:      txs.parameter @model.word_embed.weight : tensor<97x64xf32> initializer "normal"
// CHECK-NEXT: txs.parameter @model.layers.0.pre_sequence_layernorm.weight : tensor<64xf32> initializer "ones" no_decay
// CHECK-NEXT: txs.parameter @model.layers.0.ssd.A : tensor<4xf32> initializer "ssd_decay" no_decay
// CHECK:      txs.parameter @model.layers.1.attn.k_proj.weight : tensor<32x64xf32> initializer "normal"
// CHECK-NOT:  txs.parameter @lm_head
// CHECK-NOT:  .bias

// CHECK-LABEL: func.func @forward(
// CHECK-SAME:    %[[IDS:[a-z0-9]+]]: tensor<?x?xi32> {txs.input = "input_ids"}
// CHECK-SAME:    %[[MASK:[a-z0-9]+]]: tensor<?x?xf32> {txs.input = "attention_mask"}
// CHECK-SAME:    %[[COS:[a-z0-9]+]]: tensor<?x8xf32> {txs.input = "rope_cos"}
// CHECK-SAME:    %[[SIN:[a-z0-9]+]]: tensor<?x8xf32> {txs.input = "rope_sin"})
// CHECK-SAME:    -> (tensor<?x?x97xf32> {txs.output = "logits"})
// CHECK:      %[[W:.*]] = txs.read @model.word_embed.weight
// CHECK-NEXT: %[[X:.*]] = txs.embedding %[[IDS]], %[[W]] {pad_token = 2 : i64}
// CHECK-NEXT: %[[X1:.*]] = txs.block ssd 0 {
// CHECK:        %[[H:.*]] = txs.rms_norm %[[X]],
// CHECK-NEXT:   %[[HM:.*]] = txs.mask %[[H]], %[[MASK]]
// CHECK:        %[[C:.*]] = txs.linear %[[HM]], {{.*}} -> tensor<?x?x4x16xf32>
// CHECK-NEXT:   %[[CR:.*]] = txs.rope %[[C]], %[[COS]], %[[SIN]]
// CHECK:        %[[B:.*]] = txs.linear %[[HM]], {{.*}} -> tensor<?x?x4x16xf32>
// CHECK-NEXT:   %[[BR:.*]] = txs.rope %[[B]], %[[COS]], %[[SIN]]
// CHECK:        %[[V:.*]] = txs.linear %[[HM]], {{.*}} -> tensor<?x?x4x16xf32>
// CHECK:        %[[U:.*]] = txs.linear %[[HM]], {{.*}} -> tensor<?x?x4xf32>
// CHECK-NEXT:   %[[DT:.*]] = txs.activation softplus %[[U]]
// CHECK-NEXT:   %[[A:.*]] = txs.read @model.layers.0.ssd.A
// CHECK-NEXT:   %[[Y:.*]], %{{.*}} = txs.ssm_scan %[[CR]], %[[BR]], %[[V]], %[[DT]], %[[A]] {chunk = 16 : i64}
// CHECK:        %[[O:.*]] = txs.linear %[[Y]], {{.*}} -> tensor<?x?x64xf32>
// CHECK:        %[[R:.*]] = txs.residual %[[X]], %[[O]],
// CHECK:        %[[H2:.*]] = txs.rms_norm %[[R]],
// CHECK:        %[[G:.*]] = txs.linear %[[H2]], {{.*}} -> tensor<?x?x128xf32>
// CHECK:        %[[UP:.*]] = txs.linear %[[H2]], {{.*}} -> tensor<?x?x128xf32>
// CHECK:        %[[AG:.*]] = txs.activation silu %[[G]]
// CHECK:        %[[M:.*]] = txs.mul %[[AG]], %[[UP]]
// CHECK:        %[[D:.*]] = txs.linear %[[M]], {{.*}} -> tensor<?x?x64xf32>
// CHECK:        %[[R2:.*]] = txs.residual %[[R]], %[[D]],
// CHECK-NEXT:   txs.yield %[[R2]] : tensor<?x?x64xf32>
// CHECK:      %[[X2:.*]] = txs.block attention 1 {
// CHECK:        %[[QR:.*]] = txs.rope {{.*}} tensor<?x?x4x16xf32>
// CHECK:        %[[KR:.*]] = txs.rope {{.*}} tensor<?x?x2x16xf32>
// CHECK:        %[[AV:.*]] = txs.linear {{.*}} -> tensor<?x?x2x16xf32>
// CHECK-NEXT:   txs.attention %[[QR]], %[[KR]], %[[AV]] mask %[[MASK]] :
// CHECK:      %[[N:.*]] = txs.rms_norm %[[X2]],
// CHECK-NEXT: %[[WT:.*]] = txs.read @model.word_embed.weight
// CHECK-NEXT: %[[L:.*]] = txs.linear %[[N]], %[[WT]]
// CHECK-NEXT: return %[[L]]

// CHECK-LABEL: func.func @prefill(
// CHECK-SAME:    %[[PM:[a-z0-9]+]]: tensor<?x?xf32> {txs.input = "attention_mask"}
// CHECK-SAME:    %[[SAMPLING:[a-z0-9]+]]: tensor<2xf32> {txs.input = "sampling"}
// CHECK-SAME:    %[[DRAW:[a-z0-9]+]]: tensor<5xi32> {txs.input = "draw"}
// CHECK-SAME:    %[[PAST:[a-z0-9]+]]: index {txs.input = "past"}
// CHECK-SAME:    %[[S0:[a-z0-9]+]]: tensor<?x4x16x16xf32> {txs.state = "ssd_state.0"}
// CHECK-SAME:    %[[KC:[a-z0-9]+]]: tensor<?x?x2x16xf32> {txs.state = "key_cache.1"}
// CHECK-SAME:    %[[VC:[a-z0-9]+]]: tensor<?x?x2x16xf32> {txs.state = "value_cache.1"}
// CHECK-SAME:    %[[KM:[a-z0-9]+]]: tensor<?x?xf32> {txs.state = "key_mask"})
// CHECK-SAME:    -> (tensor<?x97xf32> {txs.output = "logits"},
// CHECK-SAME:        tensor<?xi32> {txs.output = "tokens"},
// CHECK-SAME:        tensor<?x4x16x16xf32> {txs.state = "ssd_state.0"},
// CHECK-SAME:        tensor<?x?x2x16xf32> {txs.state = "key_cache.1"},
// CHECK-SAME:        tensor<?x?x2x16xf32> {txs.state = "value_cache.1"},
// CHECK-SAME:        tensor<?x?xf32> {txs.state = "key_mask"})
// CHECK:      %[[KM1:.*]] = txs.cache_append %[[KM]], %[[PM]] at %[[PAST]]
// CHECK:      %[[SSD:.*]]:2 = txs.block ssd 0 {
// CHECK:        %{{.*}}, %[[S1:.*]] = txs.ssm_scan {{.*}} from %[[S0]]
// CHECK:        txs.yield %{{.*}}, %[[S1]] :
// CHECK:      %[[ATT:.*]]:3 = txs.block attention 1 {
// CHECK:        %[[KC1:.*]] = txs.cache_append %[[KC]], %{{.*}} at %[[PAST]]
// CHECK-NEXT:   %[[VC1:.*]] = txs.cache_append %[[VC]], %{{.*}} at %[[PAST]]
// CHECK-NEXT:   txs.attention %{{.*}}, %[[KC1]], %[[VC1]] mask %[[KM1]] past %[[PAST]]
// CHECK:        txs.yield %{{.*}}, %[[KC1]], %[[VC1]] :
// CHECK:      %[[LAST:.*]] = txs.last_token %{{.*}} -> tensor<?x64xf32>
// CHECK:      %[[PL:.*]] = txs.linear %[[LAST]],
// CHECK-NEXT: %[[TOKENS:.*]] = txs.sample %[[PL]], %[[SAMPLING]], %[[DRAW]]
// CHECK-NEXT: return %[[PL]], %[[TOKENS]], %[[SSD]]#1, %[[ATT]]#1, %[[ATT]]#2, %[[KM1]]

// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    -> (tensor<?x?x97xf32> {txs.output = "logits"}, tensor<?x4x16x16xf32> {txs.state = "ssd_state.0"}
// CHECK-NOT:  txs.last_token
// CHECK:      return

// CHECK-LABEL: func.func @gradients(
// CHECK-SAME:    %[[LABELS:[a-z0-9]+]]: tensor<?x?xi32> {txs.input = "labels"}
// CHECK-NOT:     "seed"
// CHECK-SAME:    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate} {
// CHECK-NOT:  txs.dropout
// CHECK:      %[[LOSS:.*]], %{{.*}} = txs.linear_cross_entropy %{{.*}}, %{{.*}}, %[[LABELS]] shift
// CHECK-NEXT: return %[[LOSS]]

// CHECK-LABEL: func.func @train(
// CHECK-SAME:    %{{[a-z0-9]+}}: tensor<8xf32> {txs.input = "hyperparameters"})
// CHECK-SAME:    -> (tensor<f32> {txs.output = "loss"}) attributes {txs.differentiate, txs.optimize} {
