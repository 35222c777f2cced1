"""Packages in bf16, from compiling to resuming: the Python module and transxssm-run.

How close their numbers are is the matter of MixedPrecisionTest; this is about everything that
touches a parameter or a cache.
"""

import json
import os
import random
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import transxssm

GOLDENS = Path(os.environ["TRANSXSSM_GOLDENS"])

pytestmark = pytest.mark.skipif(
    not os.environ.get("TRANSXSSM_COMPILE"), reason="this build has no compiler"
)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """hybrid-tiny for bytes: any text is data."""
    config = json.loads((GOLDENS / "hybrid-tiny" / "config.json").read_text())
    config.update(vocab_size=256, num_hidden_layers=2, attn_layer_period=2, attn_layer_offset=1)
    path = tmp_path_factory.mktemp("bf16") / "m.txpkg"
    return transxssm.compile(config, path, dtype="bf16", max_batch=4, max_seq_len=64)


@pytest.fixture
def ids():
    return np.random.default_rng(3).integers(0, 256, (2, 24))


def run(*arguments):
    command = [os.environ["TRANSXSSM_RUN"], *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def header_of(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    header.pop("__metadata__", None)
    return header


def has_bf16(array):
    return array.ndim >= 2


def test_parameters(package):
    model = transxssm.load(package, seed=1)
    for name, array in model.state_dict().items():
        assert array.dtype == np.float32
        if has_bf16(array):
            assert not (array.view(np.uint32) & 0xFFFF).any(), name
            with pytest.raises(ValueError, match="is bf16: only f32 can be shared"):
                model.parameter(name)
        else:
            assert np.array_equal(model.parameter(name), array)
    # What is set is rounded to nearest even.
    name = "model.word_embed.weight"
    values = np.full((256, 64), 1 + 2**-8, np.float32)
    values[0] = 1 + 3 * 2**-8
    model.load_state_dict({name: values})
    assert model.state_dict()[name][1, 0] == 1
    assert model.state_dict()[name][0, 0] == 1 + 2**-6


def test_saves_what_it_has(package, ids, tmp_path):
    model = transxssm.load(package, seed=1)
    model.save_pretrained(tmp_path)
    for name, entry in header_of(tmp_path / "model.safetensors").items():
        assert entry["dtype"] == ("BF16" if len(entry["shape"]) >= 2 else "F32"), name
    again = transxssm.load(package, weights=tmp_path)
    assert np.array_equal(again.forward(ids), model.forward(ids))


def test_cache(package, ids):
    model = transxssm.load(package, seed=1)
    cache = model.new_cache(batch=2)
    last = model.prefill(ids[:, :20], cache)
    more = model.decode(ids[:, 20:], cache)
    whole = model.forward(ids)
    assert last.dtype == more.dtype == whole.dtype == np.float32
    # Chunks of other sizes round in other places.
    scale = np.abs(whole).max()
    assert np.abs(last - whole[:, 19]).max() < 2**-6 * scale
    assert np.abs(more - whole[:, 20:]).max() < 2**-6 * scale
    assert cache.ssd_state(0).dtype == np.float32
    clone = cache.clone()
    assert np.array_equal(model.decode(ids[:, :1], clone), model.decode(ids[:, :1], cache))
    tokens = model.generate(ids, 8, temperature=0.8, seed=2)
    assert np.array_equal(tokens, model.generate(ids, 8, temperature=0.8, seed=2))


def test_trains_and_resumes_bit_for_bit(package, ids, tmp_path):
    model = transxssm.load(package, seed=1)
    trainer = transxssm.Trainer(model, lr=3e-3)
    losses = [trainer.step(ids, ids).loss for _ in range(10)]
    assert losses[-1] < 0.9 * losses[0]
    loss, gradients = model.gradients(ids, ids)
    assert all(gradient.dtype == np.float32 for gradient in gradients.values())
    model.save_pretrained(tmp_path)
    trainer.save(tmp_path / "optimizer.safetensors")
    stored = header_of(tmp_path / "optimizer.safetensors")
    for name, array in model.state_dict().items():
        assert ("master." + name in stored) == has_bf16(array)
    expected = [trainer.step(ids, ids) for _ in range(3)]

    again = transxssm.load(package, weights=tmp_path)
    resumed = transxssm.Trainer(again, lr=3e-3)
    resumed.load(tmp_path / "optimizer.safetensors")
    assert [resumed.step(ids, ids) for _ in range(3)] == expected
    for name, value in model.state_dict().items():
        assert np.array_equal(again.state_dict()[name], value), name


def test_damaged_masters(package, ids, tmp_path):
    model = transxssm.load(package, seed=1)
    trainer = transxssm.Trainer(model)
    trainer.step(ids, ids)
    path = tmp_path / "optimizer.safetensors"
    trainer.save(path)
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    entry = header["master.model.layers.0.ssd.x_proj.weight"]
    entry["shape"] = [32, 128]
    changed = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(changed)) + changed + content[8 + size :])
    message = r"ssd.x_proj.weight': expected f32 \[64, 64\], got f32 \[32, 128\]"
    with pytest.raises(ValueError, match=message):
        trainer.load(path)


def test_command_line(package, tmp_path):
    draw = random.Random(7)
    words = ["".join(draw.choice("abcdef") for _ in range(4)) for _ in range(20)]
    text = tmp_path / "text.txt"
    text.write_text(" ".join(draw.choice(words) for _ in range(3000)))
    common = ["--data", text, "--batch", 4, "--seq-len", 32, "--lr", "0.003", "--save-every", 5]
    whole, half = tmp_path / "whole", tmp_path / "half"
    run("train", package.path, *common, "--steps", 10, "--out", whole, "--threads", 2)
    run("train", package.path, "--resume", whole / "step-5", "--out", half, "--threads", 1)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (half / "step-10" / name).read_bytes() == (whole / "step-10" / name).read_bytes()
    losses = [
        json.loads(line)["loss"]
        for line in (whole / "loss.jsonl").read_text().splitlines()
        if "loss" in json.loads(line)
    ]
    assert losses[-1] < losses[0]
    weights = ["--weights", whole / "latest"]
    assert run("generate", package.path, *weights, "--prompt", "abc", "-n", 8)
    assert "nats" in run("eval", package.path, *weights, "--data", text, "--seq-len", 32)
    bench = json.loads(
        run("bench", package.path, "--json", "--batch", 1, "--seq-len", 16, "--iterations", 1)
    )
    assert {entry["name"] for entry in bench["results"]} >= {"train", "prefill", "decode"}
    described = json.loads(run("inspect", package.path, "--json"))
    types = {entry["name"]: entry["dtype"] for entry in described["parameters"]}
    assert types["model.word_embed.weight"] == "bf16"
    assert types["model.final_layernorm.weight"] == "f32"
