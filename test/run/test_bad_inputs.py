"""transxssm-run on damaged, hostile and misplaced files: one line of error, no crash.

Damage is random with a fixed seed. run_error() checks that the exit status is 1 and
that stderr ends with the one message; what the message says is tested elsewhere.
"""

import json
import os
import random
import struct

import numpy as np
import pytest
from conftest import flags, run_error, train_error

HEADER_BYTES = 8


def damaged(content, count, seed=7):
    """Copies cut short, with flipped bits, and with runs of bytes overwritten."""
    draw = random.Random(seed)
    for round in range(count):
        copy = bytearray(content)
        kind = round % 3
        if kind == 0:
            del copy[draw.randrange(len(copy)) :]
        elif kind == 1:
            copy[draw.randrange(min(len(copy), 2000))] ^= 1 << draw.randrange(8)
        else:
            start = draw.randrange(len(copy))
            copy[start : start + 16] = draw.randbytes(16)
        yield bytes(copy)


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture(scope="module")
def weights(trained):
    return trained[0] / "latest" / "model.safetensors"


def test_packages(package, tmp_path):
    bad = tmp_path / "bad.txpkg"
    for content in damaged(package.read_bytes(), 60):
        bad.write_bytes(content)
        assert run_error("inspect", bad).startswith(f"{bad}: ")


@pytest.mark.parametrize("place", ["directory", "/dev/null", "/dev/zero", "", "a\nb", "x" * 5000])
def test_places_that_are_no_files(package, weights, text, tmp_path, place):
    path = tmp_path if place == "directory" else place
    run_error("inspect", path)
    run_error("eval", package, "--weights", weights, "--data", path)
    if place != "directory":
        run_error("generate", package, "--weights", path, "--prompt", "a", code=(1, 2))
    if place.startswith("/dev"):
        train_error(package, place, data=text, steps=1)
        assert not os.path.isfile(place)


def test_damaged_weights(package, weights, tmp_path):
    bad = tmp_path / "model.safetensors"
    content = weights.read_bytes()
    header = HEADER_BYTES + struct.unpack("<Q", content[:HEADER_BYTES])[0]
    for cut in range(0, header + 1, 7):
        bad.write_bytes(content[:cut])
        assert str(bad) in run_error("generate", package, "--weights", bad, "--prompt", "a")


ENTRY = {"dtype": "F32", "shape": [256, 256], "data_offsets": [0, 262144]}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b"[" * 100000,
        b'{"a":' * 50000,
        {"current.weight": None},
        {"current.weight": []},
        {"current.weight": {}},
        {"current.weight": {**ENTRY, "dtype": 5}},
        {"current.weight": {**ENTRY, "dtype": "F13"}},
        {"current.weight": {**ENTRY, "dtype": "F64"}},
        {"current.weight": {**ENTRY, "shape": "big"}},
        {"current.weight": {**ENTRY, "shape": [-1]}},
        {"current.weight": {**ENTRY, "shape": [1.5]}},
        {"current.weight": {**ENTRY, "shape": [2**62, 2**62]}},
        {"current.weight": {**ENTRY, "shape": [2**64]}},
        {"current.weight": {**ENTRY, "shape": [1] * 100000}},
        {"current.weight": {**ENTRY, "data_offsets": [0]}},
        {"current.weight": {**ENTRY, "data_offsets": [262144, 0]}},
        {"current.weight": {**ENTRY, "data_offsets": [-4, 262140]}},
        {"current.weight": {**ENTRY, "data_offsets": [2**63, 2**63 + 262144]}},
        {"current.weight": {**ENTRY, "data_offsets": ["0", "262144"]}},
        {"__metadata__": 5, "current.weight": ENTRY},
        {"__metadata__": {"a": {}}, "current.weight": ENTRY},
        {"": ENTRY},
    ],
    ids=lambda header: str(header)[:60],
)
def test_hostile_weights(package, tmp_path, header):
    bad = tmp_path / "model.safetensors"
    bad.write_bytes(safetensors(header, bytes(262144)))
    message = run_error("generate", package, "--weights", bad, "--prompt", "a")
    assert len(message) < 2000


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**32, 2**62, 2**64 - 1])
def test_headers_of_impossible_length(package, tmp_path, length):
    bad = tmp_path / "model.safetensors"
    bad.write_bytes(struct.pack("<Q", length) + b"{}")
    assert str(bad) in run_error("generate", package, "--weights", bad, "--prompt", "a")


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"{}",
        b"[]",
        b'{"weight_map": 5}',
        b'{"weight_map": {"current.weight": 5}}',
        b'{"weight_map": {"current.weight": "none.safetensors"}}',
        b'{"weight_map": {"current.weight": "../../etc/passwd"}}',
        b'{"weight_map": {"current.weight": ""}}',
        b'{"weight_map": {"current.weight": "."}}',
    ],
)
def test_hostile_shards(package, tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_bytes(index)
    assert str(tmp_path) in run_error("generate", package, "--weights", tmp_path, "--prompt", "a")


def test_damaged_numbers(package, weights, tmp_path):
    good, bad = tmp_path / "good.npy", tmp_path / "bad.npy"
    np.save(good, np.arange(100, dtype=np.int32))
    header = good.read_bytes()[:128]
    for content in damaged(header, 60):
        bad.write_bytes(content)
        # The header alone, damaged or not, is a file without tokens.
        arguments = ("--weights", weights, "--data", bad, "--format", "npy")
        assert run_error("eval", package, *arguments).startswith(f"{bad}: ")


@pytest.mark.parametrize(
    "key, value",
    [
        (key, value)
        for key in ("step", "steps", "batch", "seq_len", "seed", "lr", "warmup")
        for value in (None, -1, 1e300, 2**63, 1.5, "x", [], {})
        if not (key == "lr" and value in (1.5, 1e300, 2**63))
    ]
    + [("val_fraction", value) for value in (-0.1, 0.95, 5, 1e300)]
    + [("data_format", value) for value in ("csv", "", 5)],
)
def test_hostile_trainer_files(package, trained, tmp_path, key, value):
    """Each key of trainer.json with each kind of wrong value, beside good files."""
    source = trained[0] / "step-60"
    for name in ("model.safetensors", "optimizer.safetensors", "config.json"):
        (tmp_path / name).symlink_to(source / name)
    trainer = json.loads((source / "trainer.json").read_text())
    assert key in trainer
    (tmp_path / "trainer.json").write_text(json.dumps({**trainer, key: value}))
    message = train_error(package, tmp_path / "out", resume=tmp_path)
    assert f"key '{key}'" in message


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 2**63},
        {"steps": "1e3"},
        {"batch": -1},
        {"seq_len": 2**64},
        {"lr": "nan"},
        {"lr": "inf"},
        {"lr": "1e999"},
        {"warmup": -1},
        {"seed": -1},
        {"seed": 2**64},
        {"threads": -1},
        {"threads": 10**9},
        {"eval_tokens": -1},
        {"keep": -1},
        {"max_grad_norm": "nan"},
        {"beta1": "nan"},
        {"eps": "inf"},
        {"weight_decay": "nan"},
    ],
    ids=str,
)
def test_hostile_options(package, text, tmp_path, options):
    given = {"data": text, "steps": 1, "out": tmp_path / "run", **options}
    message = run_error("train", package, *flags(**given), code=(1, 2))
    assert "--" + next(iter(options)).replace("_", "-") in message
