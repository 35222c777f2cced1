// Every layer attention: the Transformer baseline.
// RUN: transxssm-opt --import-config=%S/Inputs/transformer.json --import-entries=forward,decode | FileCheck %s --check-prefix=TRANSFORMER
// TRANSFORMER-NOT: ssd
// TRANSFORMER: func.func @forward
// TRANSFORMER: txs.block attention 0
// TRANSFORMER: txs.block attention 1
// TRANSFORMER: func.func @decode
// TRANSFORMER-SAME: "key_cache.0"{{.*}}"value_cache.0"{{.*}}"key_cache.1"{{.*}}"value_cache.1"{{.*}}"key_mask"
// TRANSFORMER-NOT: ssd

// No layer attention: the state-space baseline; there is no key mask to keep.
// RUN: transxssm-opt --import-config=%S/Inputs/ssm.json --import-entries=decode | FileCheck %s --check-prefix=SSM
// SSM-NOT: attn
// SSM-LABEL: func.func @decode
// SSM-SAME: "past"}, {{.*}}"ssd_state.0"}, {{.*}}"ssd_state.1"})
// SSM-NOT: key_mask
// SSM-NOT: cache_append
// SSM: txs.block ssd 0
// SSM: txs.block ssd 1
// SSM-NOT: attn

// Biases, gelu, a head of its own, no padding token.
// RUN: transxssm-opt --import-config=%S/Inputs/bias-untied.json --import-entries=forward | FileCheck %s --check-prefix=BIAS
// BIAS:      txs.parameter @model.layers.0.ssd.dt_proj.bias : tensor<4xf32> initializer "zeros" no_decay
// BIAS:      txs.parameter @model.layers.1.attn.k_proj.bias : tensor<32xf32> initializer "zeros" no_decay
// BIAS:      txs.parameter @lm_head.weight : tensor<97x64xf32> initializer "normal"
// BIAS:      txs.embedding %{{[a-z0-9]+}}, %{{[a-z0-9]+}} :
// BIAS:      %[[B:.*]] = txs.read @model.layers.0.ssd.c_proj.bias : tensor<64xf32>
// BIAS-NEXT: txs.linear %{{.*}} bias %[[B]] :
// BIAS:      txs.activation gelu
// BIAS:      %[[W:.*]] = txs.read @lm_head.weight
// BIAS-NEXT: txs.linear %{{[0-9]+}}, %[[W]] :

// Dropout in training only, with a site of its own for every place.
// RUN: transxssm-opt --import-config=%S/Inputs/dropout.json --import-entries=forward,gradients | FileCheck %s --check-prefix=DROPOUT
// DROPOUT-LABEL: func.func @forward
// DROPOUT-NOT:   txs.dropout
// DROPOUT-NOT:   seed
// DROPOUT-LABEL: func.func @gradients
// DROPOUT-SAME:  %[[SEED:[a-z0-9]+]]: tensor<2xi32> {txs.input = "seed"}
// DROPOUT:       txs.dropout %{{.*}}, %[[SEED]] {probability = 1.000000e-01 : f64, site = 0 : i64}
// DROPOUT:       txs.dropout %{{.*}}, %[[SEED]] {probability = 1.000000e-01 : f64, site = 1 : i64}
// DROPOUT:       txs.attention {{.*}} seed %[[SEED]] {dropout = 2.500000e-01 : f64, site = 5 : i64}
// DROPOUT:       txs.dropout {{.*}} site = 3 : i64
// DROPOUT:       txs.dropout {{.*}} site = 4 : i64

// Sequence classification: the last token that is not padding, one label each.
// RUN: transxssm-opt --import-config=%S/Inputs/classification.json | FileCheck %s --check-prefix=CLASS
// CLASS-NOT:   lm_head
// CLASS:       txs.parameter @classifier.weight : tensor<5x64xf32> initializer "normal"
// CLASS-LABEL: func.func @forward
// CLASS-SAME:  %[[MASK:[a-z0-9]+]]: tensor<?x?xf32> {txs.input = "attention_mask"}
// CLASS-SAME:  tensor<?x5xf32> {txs.output = "logits"}
// CLASS:       txs.last_token %{{.*}} mask %[[MASK]]
// CLASS-NOT:   func.func @decode
// CLASS-LABEL: func.func @gradients
// CLASS-SAME:  %[[LABELS:[a-z0-9]+]]: tensor<?xi32> {txs.input = "labels"}
// CLASS:       txs.linear_cross_entropy %{{.*}}, %{{.*}}, %[[LABELS]] :
// CLASS-LABEL: func.func @train

// Every configuration of the repository.
// RUN: transxssm-opt --import-config=%configs/tiny.json --import-entries=train | FileCheck %s --check-prefix=TINY
// RUN: transxssm-opt --import-config=%configs/320m.json --import-entries=decode | FileCheck %s --check-prefix=SMALL
// RUN: transxssm-opt --import-config=%configs/1.3b-transformer.json --import-entries=decode | FileCheck %s --check-prefix=LARGE
// RUN: transxssm-opt --import-config=%configs/1.3b-ssm.json --import-entries=decode | FileCheck %s --check-prefix=LARGESSM
// TINY:     txs.block attention 7
// SMALL:    txs.parameter @model.word_embed.weight : tensor<32768x1024xf32>
// SMALL:    txs.block attention 31
// LARGE:    txs.parameter @model.word_embed.weight : tensor<32768x2048xf32>
// LARGE:    txs.block attention 0
// LARGESSM: txs.block ssd 31
