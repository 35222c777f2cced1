"""What every kernel of a small model moves, counted by the simulator, beside what it must.

A state-space layer and one of attention: with heads and states of 128 as in the paper's models, in
bf16 and float32, and with heads of 16 and a vocabulary that nothing divides.
"""

import fnmatch
import json
import os
import subprocess

import pytest

COMPILE = os.environ["TRANSXSSM_COMPILE"]
RUN = os.environ["TRANSXSSM_RUN"]

CONFIG = {
    "architectures": ["TransXSSMForCausalLM"],
    "model_type": "TransXSSM",
    "vocab_size": 512,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "max_position_embeddings": 128,
    "ssd_chunk_size": 64,
}

# float32 has the same code for every architecture.
FLOAT = CONFIG | {
    "vocab_size": 256,
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_attention_heads": 1,
}
NARROW = CONFIG | {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "ssd_chunk_size": 16,
}
VARIANTS = {
    "bf16-sm_80": (CONFIG, "bf16", "sm_80", 64),
    "bf16-sm_90a": (CONFIG, "bf16", "sm_90a", 64),
    "float32": (FLOAT, "f32", "sm_80", 40),
    "narrow-bf16-sm_80": (NARROW, "bf16", "sm_80", 40),
    "narrow-bf16-sm_90a": (NARROW, "bf16", "sm_90a", 40),
    "narrow-float32": (NARROW, "f32", "sm_80", 40),
}

# memory: beside each byte of the launch once; sectors: beside the bytes that the instructions
# want; banks: passes over shared memory beside the fewest for those accesses.
LIMITS = {"memory": 1.15, "sectors": 1.15, "banks": 1.1}

# How a kernel's name begins, what of it exceeds the limit, by how much at most, why.
EXCEPTIONS = [
    (
        "cross_entropy_targets_shifted",
        "sectors",
        1.2,
        "labels one place on: 16 of them lie in three sectors, not two",
    ),
]


def limit(kernel, what):
    bounds = [
        most
        for name, of, most, _ in EXCEPTIONS
        if of == what and fnmatch.fnmatchcase(kernel, name + "*")
    ]
    return max([LIMITS[what], *bounds])


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_move_little_more_than_they_must(tmp_path, variant):
    config, dtype, architecture, tokens = VARIANTS[variant]
    (tmp_path / "config.json").write_text(json.dumps(config))
    package = tmp_path / "model.txpkg"
    sizes = ["--max-batch", "1", "--max-seq-len", "128", "--dtype", dtype]
    target = ["--target", "sim", "--sim-arch", architecture]
    compiled = [COMPILE, tmp_path / "config.json", "-q", "-o", package, *sizes, *target]
    subprocess.run(compiled, check=True, timeout=300)
    bench = [RUN, "bench", package, "--device", f"sim:{architecture}", "--traffic", "--json"]
    done = subprocess.run(
        [*bench, "--batch", "1", "--seq-len", str(tokens)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    seen, exceeded = set(), []
    for entry in json.loads(done.stdout)["results"]:
        seen.add(entry["name"])
        for kernel in entry["traffic"]:
            for what, moved, least in [
                ("memory", kernel["memory_bytes"], kernel["floor_bytes"]),
                ("sectors", kernel["requested_bytes"], kernel["requested_bytes_ideal"]),
                ("banks", kernel["bank_passes"], kernel["bank_passes_ideal"]),
            ]:
                if moved > limit(kernel["name"], what) * least:
                    exceeded.append((entry["name"], kernel["name"], what, moved / max(least, 1)))
    assert seen == {"forward", "prefill", "decode", "train"}
    assert not exceeded
