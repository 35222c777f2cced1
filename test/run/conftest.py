"""Runs transxssm-run and models its sample package in NumPy."""

import json
import os
import random
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

RUN = os.environ["TRANSXSSM_RUN"]
SAMPLES = Path(os.environ["TRANSXSSM_SAMPLES"])


def run(*arguments, code=0, **options):
    """Runs the program, expects its exit code (or one of them), returns the finished process."""
    done = subprocess.run([RUN, *map(str, arguments)], capture_output=True, timeout=120, **options)
    codes = code if isinstance(code, tuple) else (code,)
    assert done.returncode in codes, done.stderr.decode(errors="replace")
    return done


def run_error(*arguments, code=1):
    """Runs what must fail and returns its message: one line, and nothing on stdout."""
    done = run(*arguments, code=code)
    text = done.stderr.decode(errors="replace")
    lines = [line for line in text.splitlines() if "warning:" not in line]
    errors = [line for line in lines if line.startswith("transxssm-run: error: ")]
    assert len(errors) == 1 and lines[-1] == errors[0], lines
    assert not done.stdout
    return errors[0].removeprefix("transxssm-run: error: ")


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
        for name, entry in header.items()
    }


def sample_losses(weights, tokens):
    """Loss of each token but the first, by the sample model: a window as a whole."""
    tokens = np.asarray(tokens)
    logits = weights["current.weight"].astype(np.float64)[tokens]
    logits[1:] += weights["before.weight"][tokens[:-1]]
    logits -= logits.max(axis=-1, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -logp[np.arange(len(tokens) - 1), tokens[1:]]


def windowed_loss(weights, tokens, length):
    """Mean over windows that overlap by one token."""
    losses = [
        sample_losses(weights, tokens[start : start + length])
        for start in range(0, len(tokens) - 1, length - 1)
    ]
    return np.concatenate(losses).mean()


@pytest.fixture(scope="session")
def package():
    return SAMPLES / "sample.txpkg"


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """A text in which a letter depends on the two before it."""
    draw = random.Random(7)
    words = [
        "".join(draw.choice("abcdefghij") for _ in range(draw.randint(2, 6))) for _ in range(40)
    ]
    path = tmp_path_factory.mktemp("data") / "text.txt"
    path.write_text(" ".join(draw.choice(words) for _ in range(6000)) + "\n")
    return path


def flags(**values):
    """Values as options: steps=3, seq_len=8 is --steps 3 --seq-len 8."""
    return [
        part for name, value in values.items() for part in ("--" + name.replace("_", "-"), value)
    ]


def train(package, out, *more, **options):
    """A training run into the directory `out`."""
    return run("train", package, *flags(out=out, **options), *more)


def train_error(package, out, *more, **options):
    """The message of a training run that must fail."""
    return run_error("train", package, *flags(out=out, **options), *more)


TRAIN = {"lr": 0.05, "batch": 4, "seq_len": 32, "eval_tokens": 1000}


@pytest.fixture(scope="session")
def trained(package, text, tmp_path_factory):
    """A finished run of 150 steps with a checkpoint after 60: its directory and output."""
    out = tmp_path_factory.mktemp("trained") / "run"
    return out, train(package, out, data=text, steps=150, save_every=60, **TRAIN)
