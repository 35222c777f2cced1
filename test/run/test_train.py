"""transxssm-run train: results, files, resuming, interrupts."""

import json
import math
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from conftest import (
    RUN,
    SAMPLES,
    TRAIN,
    flags,
    read_safetensors,
    run_error,
    train,
    train_error,
    windowed_loss,
)

SVG = "{http://www.w3.org/2000/svg}"


def split(text):
    tokens = list(text.read_bytes())
    cut = len(tokens) - int(len(tokens) * 0.05)
    return tokens[:cut], tokens[cut : cut + 1000]


def counting_losses(train, test):
    """Add-one unigram and Witten-Bell bigram, straight from their definitions."""
    unigrams, pairs = np.ones(256), np.zeros((256, 256))
    for before, after in zip(train, train[1:]):
        unigrams[after] += 1
        pairs[before, after] += 1
    unigrams /= unigrams.sum()
    distinct = (pairs > 0).sum(axis=1, keepdims=True)
    seen = pairs.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        bigrams = np.where(seen > 0, (pairs + distinct * unigrams) / (seen + distinct), unigrams)
    return (
        -np.mean([math.log(unigrams[b]) for b in test[1:]]),
        -np.mean([math.log(bigrams[a, b]) for a, b in zip(test, test[1:])]),
    )


def printed(output, label):
    return float(re.search(rf"^{label}\s+([\d.]+) nats", output, re.MULTILINE)[1])


def test_reports_losses(trained, text):
    out, done = trained
    output = done.stdout.decode()
    seen, held_out = split(text)
    weights = read_safetensors(out / "latest" / "model.safetensors")
    loss = printed(output, "validation loss")
    assert loss == pytest.approx(windowed_loss(weights, held_out, 32), abs=1e-4)
    unigram, bigram = counting_losses(seen, held_out)
    assert printed(output, "unigram model") == pytest.approx(unigram, abs=1e-4)
    assert printed(output, "bigram model") == pytest.approx(bigram, abs=1e-4)
    assert loss < bigram < unigram
    bits = float(re.search(r"([\d.]+) bits/byte", output)[1])
    assert bits == pytest.approx(loss / math.log(2), abs=1e-3)


def test_writes_history(trained):
    out, _ = trained
    lines = [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, 151))
    assert steps[-1]["tokens"] == 150 * 4 * 32
    assert [line["step"] for line in lines if "val_loss" in line] == list(range(15, 151, 15))
    assert steps[-1]["loss"] < 0.5 * steps[0]["loss"]


def test_learning_rate_warms_up_and_decays(trained):
    out, _ = trained
    lines = [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]
    rates = {line["step"]: line["lr"] for line in lines if "lr" in line}
    for step in range(1, 16):
        assert rates[step] == pytest.approx(0.05 * step / 15)
    for step in range(16, 151):
        phase = math.pi * (step - 15) / 135
        assert rates[step] == pytest.approx(0.005 + 0.0225 * (1 + math.cos(phase)))


def test_draws_a_picture(trained):
    out, _ = trained
    root = ElementTree.parse(out / "loss.svg").getroot()
    assert root.tag == SVG + "svg"
    texts = [element.text for element in root.iter(SVG + "text")]
    for wanted in ("step", "loss (nats per token)", "TransXSSM training"):
        assert wanted in texts
    for wanted in ("training", "validation", "bigram", "unigram"):
        assert any(text.startswith(wanted) for text in texts)
    curves = [element.get("points").split() for element in root.iter(SVG + "polyline")]
    assert [len(points) for points in curves] == [150, 150, 10]
    assert "nan" not in (out / "loss.svg").read_text()


def test_writes_checkpoints(trained):
    out, _ = trained
    assert sorted(path.name for path in out.iterdir()) == [
        "latest",
        "loss.jsonl",
        "loss.svg",
        "step-120",
        "step-150",
        "step-60",
    ]
    assert (out / "latest").resolve().name == "step-150"
    for name in ("step-60", "step-120", "step-150"):
        assert sorted(path.name for path in (out / name).iterdir()) == [
            "config.json",
            "model.safetensors",
            "optimizer.safetensors",
            "trainer.json",
        ]
    trainer = json.loads((out / "step-60" / "trainer.json").read_text())
    assert (trainer["step"], trainer["steps"], trainer["batch"]) == (60, 150, 4)


CHECKPOINT = ("model.safetensors", "optimizer.safetensors", "config.json")


def same_files(left, right, names=CHECKPOINT):
    for name in names:
        assert (left / name).read_bytes() == (right / name).read_bytes(), name


@pytest.mark.parametrize("threads", [1, 2])
def test_resumes_bit_for_bit(package, text, tmp_path, threads):
    whole, half = tmp_path / "whole", tmp_path / "half"
    train(package, whole, data=text, steps=6, save_every=3, seed=5, threads=threads, **TRAIN)
    train(package, half, resume=whole / "step-3", threads=threads)
    same_files(whole / "step-6", half / "step-6")
    losses = [
        [
            (line["step"], line.get("loss"), line.get("val_loss"))
            for line in map(json.loads, (out / "loss.jsonl").read_text().splitlines())
        ]
        for out in (whole, half)
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 12


def test_keeps_decay_negative(text, tmp_path):
    """Steps of 4 carry the sample's decays, from -[1, 16), across zero."""
    package = SAMPLES / "sample-decay.txpkg"
    fast = {**TRAIN, "lr": 4, "warmup": 0, "steps": 6, "save_every": 3, "data": text}
    flag = "--keep-decay-negative"

    def largest(directory):
        weights = read_safetensors(directory / "model.safetensors")
        assert weights["current.weight"].max() > 1
        return weights["before.weight"].max()

    train(package, tmp_path / "free", **fast)
    assert largest(tmp_path / "free" / "step-6") > 1
    train(package, tmp_path / "kept", flag, **fast)
    for step in ("step-3", "step-6"):
        assert largest(tmp_path / "kept" / step) == np.float32(-1e-4)

    half = tmp_path / "kept" / "step-3"
    trainer = json.loads((half / "trainer.json").read_text())
    assert trainer["keep_decay_negative"] is True
    train(package, tmp_path / "again", resume=half)
    same_files(tmp_path / "kept" / "step-6", tmp_path / "again" / "step-6")
    train(package, tmp_path / "off", flag + "=false", resume=half)
    assert largest(tmp_path / "off" / "step-6") > 1
    # Checkpoints from before the option trained without it.
    del trainer["keep_decay_negative"]
    (half / "trainer.json").write_text(json.dumps(trainer))
    train(package, tmp_path / "older", resume=half)
    same_files(tmp_path / "off" / "step-6", tmp_path / "older" / "step-6")


def test_threads_do_not_change_bits(package, text, tmp_path):
    for threads in (1, 2):
        train(package, tmp_path / str(threads), data=text, steps=5, threads=threads, **TRAIN)
    same_files(tmp_path / "1" / "step-5", tmp_path / "2" / "step-5")


def test_seed_decides_weights_and_windows(package, text, tmp_path):
    for seed in (1, 2):
        train(package, tmp_path / str(seed), data=text, steps=2, seed=seed, **TRAIN)
    first, second = ((tmp_path / name / "loss.jsonl").read_text().splitlines()[0] for name in "12")
    assert json.loads(first)["loss"] != json.loads(second)["loss"]


def wait_for_lines(path, count):
    for _ in range(600):
        if path.exists() and path.read_text().count("\n") >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not grow to {count} lines")


def test_interrupt_saves_and_resumes(package, text, tmp_path):
    out = tmp_path / "run"
    options = flags(data=text, steps=100000, eval_every=0, out=out, **TRAIN)
    process = subprocess.Popen([RUN, "train", package, *map(str, options)], stderr=subprocess.PIPE)
    wait_for_lines(out / "loss.jsonl", 5)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    step = int(re.search(rb"interrupted after step (\d+) of 100000", messages)[1])
    assert f"resume with: transxssm-run train {package} --resume {out}" in messages.decode()
    assert (out / "latest").resolve().name == f"step-{step}"
    # An uninterrupted run takes the same steps; --steps would change the schedule.
    constant = {"lr": 0.05, "min_lr": 0.05, "warmup": 0, "eval_every": 0}
    train(package, out, resume=out, steps=step + 3, **constant)
    assert (out / "latest").resolve().name == f"step-{step + 3}"
    lines = [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, step + 4))


def wait_for_handler(process):
    """Until the process catches SIGINT, as its bit in /proc says."""
    for _ in range(600):
        with open(f"/proc/{process.pid}/status") as status:
            caught = re.search(r"^SigCgt:\s*(\w+)", status.read(), re.MULTILINE)
        if int(caught[1], 16) >> (signal.SIGINT - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("SIGINT is not caught")


def test_interrupt_before_the_first_step(package, tmp_path):
    """Counting the pairs of so much data takes a while."""
    data, out = tmp_path / "zeros", tmp_path / "run"
    with open(data, "wb") as file:
        file.truncate(1 << 26)
    options = flags(data=data, steps=1000, out=out, format="bytes", **TRAIN)
    process = subprocess.Popen([RUN, "train", package, *map(str, options)], stderr=subprocess.PIPE)
    wait_for_handler(process)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert messages.endswith(b"interrupted before the first step; nothing is saved\n")
    assert not (out / "latest").is_symlink()


def test_unfinished_checkpoint_is_no_obstacle(package, text, tmp_path):
    out = tmp_path / "run"
    train(package, out, data=text, steps=2, **TRAIN)
    (out / ".step-4.tmp").mkdir()
    (out / ".step-4.tmp" / "model.safetensors").write_bytes(b"half")
    train(package, out, resume=out, steps=4)
    assert (out / "latest").resolve().name == "step-4"
    assert not (out / ".step-4.tmp").exists()


def test_keeps_as_many_checkpoints_as_asked(package, text, tmp_path):
    train(package, tmp_path / "run", data=text, steps=5, save_every=1, keep=2, **TRAIN)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"step-4", "step-5"} <= names and not names & {"step-1", "step-2", "step-3"}


def test_going_back_keeps_what_it_saves(package, text, tmp_path):
    """Checkpoints of the run that it leaves do not count, and stay."""
    out = tmp_path / "run"
    train(package, out, data=text, steps=6, save_every=2, **TRAIN)
    train(package, out, resume=out / "step-2", steps=4, keep=1)
    assert sorted(path.name for path in out.glob("*step-*")) == ["step-4", "step-6"]
    assert (out / "latest").resolve().name == "step-4"
    train(package, out, resume=out, steps=5)


def test_saves_over_an_older_checkpoint(package, text, tmp_path):
    out = tmp_path / "run"
    train(package, out, data=text, steps=4, save_every=2, **TRAIN)
    (out / "step-4" / "old").write_text("")
    train(package, out, resume=out / "step-2", save_every=1, steps=4)
    assert sorted(path.name for path in out.iterdir()) == [
        *("latest", "loss.jsonl", "loss.svg", "step-2", "step-3", "step-4")
    ]
    assert sorted(path.name for path in (out / "step-4").iterdir()) == sorted(
        [*CHECKPOINT, "trainer.json"]
    )


def test_starts_from_weights(package, text, trained, tmp_path):
    start = trained[0] / "latest"
    still = {"lr": 0, "weight_decay": 0}
    train(package, tmp_path / "run", data=text, steps=1, weights=start, **still)
    same_files(tmp_path / "run/step-1", start, ["model.safetensors"])


def test_validation_files(package, text, tmp_path):
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("abc def ghi jab\n" * 20)
    done = train(package, tmp_path / "run", data=text, val_data=held_out, steps=1, **TRAIN)
    weights = read_safetensors(tmp_path / "run/latest/model.safetensors")
    expected = windowed_loss(weights, list(held_out.read_bytes()), 32)
    assert printed(done.stdout.decode(), "validation loss") == pytest.approx(expected, abs=1e-4)


def test_refuses_to_overwrite(package, text, trained):
    out, _ = trained
    message = train_error(package, out, data=text, steps=5)
    assert message == (
        f"{out}: has checkpoints already; pass --resume {out} to go on, or another --out"
    )


def test_refuses_other_data(package, trained, tmp_path):
    out, _ = trained
    other = tmp_path / "other.txt"
    other.write_text("something else entirely " * 100)
    message = train_error(package, tmp_path / "new", resume=out, data=other, steps=200)
    assert message.startswith(f"{other}: not the data that {out}/step-150 was trained on")


def test_refuses_what_is_finished(package, trained):
    out, _ = trained
    assert "already at step 150 of 150; pass a larger --steps" in run_error(
        "train", package, "--resume", out
    )


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "expected a JSON object"),
        ("{}", "key 'format': expected an integer of at least 0, got nothing"),
        ('{"format": 2}', "key 'format': expected 1, got 2"),
        ('{"format": 1, "data": 5}', "key 'data': expected a list of strings, got 5"),
    ],
)
def test_bad_trainer_file(package, tmp_path, content, message):
    (tmp_path / "trainer.json").write_text(content)
    error = train_error(package, tmp_path / "out", resume=tmp_path)
    assert error.startswith(f"{tmp_path}/trainer.json: {message}")


def test_resume_needs_a_checkpoint(package, tmp_path):
    assert run_error("train", package, "--resume", tmp_path) == (
        f"{tmp_path}: no checkpoint here: expected trainer.json or a link 'latest' to a "
        "directory with one"
    )


def test_damaged_optimizer_state(package, text, tmp_path):
    out = tmp_path / "run"
    train(package, out, data=text, steps=2, **TRAIN)
    path = out / "step-2" / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    history = (out / "loss.jsonl").read_bytes() + b'{"step": 3, "loss": 1.5}\n'
    (out / "loss.jsonl").write_bytes(history)
    assert str(path) in train_error(package, out, resume=out, steps=4)
    assert (out / "loss.jsonl").read_bytes() == history


def test_package_without_training(text, tmp_path):
    package = SAMPLES / "sample-forward-only.txpkg"
    message = train_error(package, tmp_path / "run", data=text, steps=1)
    assert message.endswith("has no entry 'train'; compile with --entry=train")


def test_package_with_nothing_but_training(text, tmp_path):
    package = SAMPLES / "sample-train-only.txpkg"
    train(package, tmp_path / "run", data=text, steps=2, **TRAIN)


def test_too_little_data(package, tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("abc def")
    message = train_error(package, tmp_path / "run", data=short, steps=1, seq_len=32)
    assert "7 training tokens are fewer than one window of 32" in message


@pytest.mark.parametrize(
    "option, message",
    [
        ({"batch": 9}, "batch 9 exceeds the package's maximum 8; compile with --max-batch 9"),
        (
            {"seq_len": 65},
            "sequence length 65 exceeds the package's maximum 64; compile with --max-seq-len 65",
        ),
        ({"seq_len": 1}, "--seq-len: expected at least 2, got 1"),
    ],
)
def test_sizes_beyond_the_package(package, text, tmp_path, option, message):
    assert message == train_error(package, tmp_path / "run", data=text, steps=1, **option)


def test_output_directory_that_is_a_file(package, text, tmp_path):
    (tmp_path / "file").write_text("")
    message = train_error(package, tmp_path / "file", data=text, steps=1)
    assert str(tmp_path / "file") in message
