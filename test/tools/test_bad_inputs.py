"""transxssm-compile and transxssm-opt on damaged and hostile files: errors, no crash.

Damage is random with a fixed seed. transxssm-compile answers with exit status 1 and
one line; transxssm-opt with diagnostics as MLIR prints them.
"""

import json
import os
import random
import subprocess

import pytest

COMPILE = os.environ["TRANSXSSM_COMPILE"]
OPT = os.environ["TRANSXSSM_OPT"]

CONFIG = {
    "model_type": "TransXSSM",
    "architectures": ["TransXSSMForCausalLM"],
    "vocab_size": 19,
    "hidden_size": 16,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
    "ssd_chunk_size": 4,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "hidden_act": "silu",
    "hidden_bias": False,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": {"rope_type": "yarn", "factor": 4.0},
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "pad_token_id": 2,
}
HOSTILE = [None, -1, 0, 1, 3, 2**31, 2**62, 2**64, 1e300, -1e300, 1.5, "x", "", True, [], [[]], {}]


def run(program, *arguments):
    """The status and stderr of a call that must not crash."""
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
    message = done.stderr.decode()  # UTF-8, whatever was in the file
    assert done.returncode in (0, 1, 2), message
    assert "Stack dump" not in message and "Assertion" not in message
    return done.returncode, message


def compile_config(path, *options):
    """What transxssm-compile says of a configuration: nothing, or one line."""
    status, message = run(COMPILE, path, "--emit=txs", "--quiet", *options)
    lines = message.splitlines()
    if status == 0:
        assert not lines
        return ""
    assert len(lines) == 1 and lines[0].startswith("transxssm-compile: error: "), lines
    return lines[0].removeprefix("transxssm-compile: error: ")


def test_hostile_values(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    assert compile_config(path) == ""
    cases = [(key, value) for key in CONFIG for value in HOSTILE]
    refused = 0
    for key, value in random.Random(7).sample(cases, 60):
        path.write_text(json.dumps({**CONFIG, key: value}))
        # A size may be too small for the value of another key.
        message = compile_config(path)
        assert not message or message.startswith(f"{path}: key '"), (key, value)
        refused += message != ""
    assert refused > 30


@pytest.mark.parametrize("seed", range(3))
def test_damaged_configurations(tmp_path, seed):
    draw = random.Random(seed)
    path = tmp_path / "config.json"
    content = json.dumps(CONFIG).encode()
    for _ in range(8):
        damaged = bytearray(content)
        damaged[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(damaged[: draw.randrange(len(content) // 2, len(content))])
        assert compile_config(path).startswith(f"{path}:")


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"3", b"\0", b"\xff\xfe", b"[" * 200000, b'{"a":' * 100000],
    ids=lambda content: repr(content[:8]),
)
def test_no_configurations(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    assert compile_config(path).startswith(f"{path}:")


@pytest.mark.parametrize("place", ["", "/dev/null", "/dev/zero", "nowhere\n.json", "x" * 5000])
def test_places_that_are_no_configurations(place):
    assert compile_config(place)


@pytest.mark.parametrize(
    "option",
    [
        "--max-batch=0",
        "--max-batch=99999999999999999999",
        "--max-seq-len=-1",
        "--max-seq-len=x",
        "--activation-memory=-5",
        "--activation-memory=1e400",
        "--activation-memory=nan",
        "--entry=",
        "--target=",
        "--dtype=f13",
        "--nonsense",
    ],
)
def test_hostile_options(tmp_path, option):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    assert option.split("=")[0] in compile_config(path, option)


@pytest.mark.parametrize("option", ["import-config", "txs-interpret", "txs-probe", "inputs"])
def test_messages_are_one_printable_line(option):
    """Whatever the names hold: these move the cursor and start another line."""
    more = ["--txs-probe=nowhere"] if option == "inputs" else ["--ids=1"]
    status, message = run(OPT, f"--{option}=no\x1b[2J\nwhere", *more)
    assert status in (1, 2)
    assert message.startswith("transxssm-opt: error: no\\x1b[2J\\x0awhere")
    assert message.endswith("\n") and message[:-1].isprintable()


MODULE = """
txs.parameter @w : tensor<32x64xf32> initializer "normal"
func.func @forward(%x: tensor<?x?x64xf32> {txs.input = "x"}, %n: tensor<64xf32> {txs.input = "n"})
    -> (tensor<?x?x32xf32> {txs.output = "y"}) {
  %w = txs.read @w : tensor<32x64xf32>
  %h = txs.rms_norm %x, %n {eps = 1.0e-6 : f64} : tensor<?x?x64xf32>, tensor<64xf32>
  %y = txs.linear %h, %w : tensor<?x?x64xf32>, tensor<32x64xf32> -> tensor<?x?x32xf32>
  return %y : tensor<?x?x32xf32>
}
"""


@pytest.mark.parametrize("seed", range(3))
def test_damaged_modules(tmp_path, seed):
    draw = random.Random(seed)
    path = tmp_path / "module.mlir"
    for _ in range(8):
        words = MODULE.split(" ")
        first, second = draw.randrange(len(words)), draw.randrange(len(words))
        words[first] = draw.choice([words[second], "", "0", "-1", "tensor<?xf32>", "f32", "%x"])
        path.write_text(" ".join(words))
        run(OPT, path, "--txs-to-tile")
