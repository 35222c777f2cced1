// A configuration that does not work is one line that names file, key, expected
// and actual value.
// RUN: not transxssm-opt --import-config=%S/Inputs/bad-heads.json 2>&1 | FileCheck %s --check-prefix=HEADS --implicit-check-not={{.}}
// HEADS: {{^}}transxssm-opt: error: {{.*}}bad-heads.json: key 'num_attention_heads': expected a divisor of hidden_size 64, got 5{{$}}
// RUN: not transxssm-opt --import-config=%S/Inputs/bad-type.json 2>&1 | FileCheck %s --check-prefix=TYPE --implicit-check-not={{.}}
// TYPE: {{^}}transxssm-opt: error: {{.*}}bad-type.json: key 'model_type': expected "TransXSSM", got "llama"{{$}}
// RUN: not transxssm-opt --import-config=%S/Inputs/bad-act.json 2>&1 | FileCheck %s --check-prefix=ACT --implicit-check-not={{.}}
// ACT: {{^}}transxssm-opt: error: {{.*}}bad-act.json: key 'hidden_act': expected one of "silu", "gelu", "relu", got "tanh"{{$}}
// RUN: not transxssm-opt --import-config=%S/Inputs/bad-architectures.json 2>&1 | FileCheck %s --check-prefix=ARCH --implicit-check-not={{.}}
// ARCH: {{^}}transxssm-opt: error: {{.*}}bad-architectures.json: key 'architectures': expected a list of strings, got "TransXSSMForCausalLM"{{$}}
// RUN: not transxssm-opt --import-config=%S/Inputs/bad-syntax.json 2>&1 | FileCheck %s --check-prefix=SYNTAX --implicit-check-not={{.}}
// SYNTAX: {{^}}transxssm-opt: error: {{.*}}bad-syntax.json:3:19: expected valid JSON, got a syntax error{{$}}
// RUN: not transxssm-opt --import-config=%S/Inputs/no-such-file.json 2>&1 | FileCheck %s --check-prefix=MISSING --implicit-check-not={{.}}
// MISSING: {{^}}transxssm-opt: error: {{.*}}no-such-file.json: cannot open: No such file or directory{{$}}

// Entries that are unknown, not there for this kind of model, or given twice.
// RUN: not transxssm-opt --import-config=%S/Inputs/hybrid.json --import-entries=backward 2>&1 | FileCheck %s --check-prefix=ENTRY --implicit-check-not={{.}}
// ENTRY: {{^}}transxssm-opt: error: {{.*}}hybrid.json: unknown entry 'backward': expected some of forward, prefill, decode, gradients, train{{$}}
// RUN: not transxssm-opt --import-config=%S/Inputs/classification.json --import-entries=decode 2>&1 | FileCheck %s --check-prefix=CLASS --implicit-check-not={{.}}
// CLASS: {{^}}transxssm-opt: error: {{.*}}classification.json: unknown entry 'decode': expected some of forward, gradients, train{{$}}
// RUN: not transxssm-opt --import-config=%S/Inputs/hybrid.json --import-entries=forward,forward 2>&1 | FileCheck %s --check-prefix=TWICE --implicit-check-not={{.}}
// TWICE: {{^}}transxssm-opt: error: {{.*}}hybrid.json: entry 'forward' is given twice: expected each at most once{{$}}
