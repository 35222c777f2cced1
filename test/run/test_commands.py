"""transxssm-run generate, inspect, bench, and what all commands share."""

import json
import os
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import RUN, SAMPLES, read_safetensors, run, run_error

COMMANDS = ("train", "generate", "eval", "inspect", "bench")


@pytest.fixture(scope="module")
def weights(trained):
    return trained[0] / "latest"


def greedy(weights, prompt, count):
    values = read_safetensors(weights / "model.safetensors")
    tokens = list(prompt)
    for _ in range(count):
        logits = values["current.weight"][tokens[-1]].copy()
        if len(tokens) > 1:
            logits += values["before.weight"][tokens[-2]]
        tokens.append(int(np.argmax(logits)))
    return bytes(tokens[len(prompt) :])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(command):
    text = run(command, "--help").stdout.decode()
    assert f"transxssm-run {command} m.txpkg" in text
    assert "--json" in text or command in ("train", "generate")


def test_overview_and_version():
    text = run("--help").stdout.decode()
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert "130 interrupted" in text
    assert run("--version").stdout.startswith(b"transxssm-run ")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "subcommand is required"),
        (("dance",), "dance"),
        (("train", "p"), "--data is required"),
        (("train", "p", "--data", "d"), "--steps is required"),
        (("train", "p", "--data", "d", "--steps", "x", "--out", "o"), "--steps"),
        (("train", "p", "--data", "d", "--steps", "-1", "--out", "o"), "--steps"),
        (("train", "p", "--data", "d", "--steps", "1", "--out", "o", "--lr", "-1"), "--lr"),
        (("generate", "p", "--weights", "w"), "--prompt"),
        (("generate", "p", "--weights", "w", "--prompt", "a", "--ids", "1"), "--prompt"),
        (("generate", "p", "--prompt", "a"), "--weights is required"),
        (("generate", "p", "--weights", "w", "--prompt", "a", "-n", "0"), "-n"),
        (("eval", "p", "--weights", "w"), "--data is required"),
        (("eval", "p", "--weights", "w", "--data", "d", "--format", "csv"), "--format"),
        (("inspect",), "package is required"),
        (("inspect", "p", "--batch", "0"), "--batch"),
        (("bench", "p", "--entry", "dance"), "--entry"),
    ],
)
def test_wrong_usage(arguments, message):
    error = run_error(*arguments, code=2)
    assert message in error and error.endswith("--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_packages(command, package, tmp_path):
    more = {
        "train": ("--data", package, "--steps", 1, "--out", tmp_path / "out"),
        "generate": ("--weights", tmp_path, "--prompt", "a"),
        "eval": ("--weights", tmp_path, "--data", package),
    }.get(command, ())
    content = package.read_bytes()
    bad = tmp_path / "bad.txpkg"
    assert "cannot open" in run_error(command, bad, *more)
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    for damaged in (b"", content[:20], content[:-1], bytes(flipped), b"x" * 100):
        bad.write_bytes(damaged)
        assert run_error(command, bad, *more).startswith(f"{bad}: ")


def test_generates_greedily(package, weights):
    done = run("generate", package, "--weights", weights, "--prompt", "abc", "-n", 20)
    assert done.stdout == greedy(weights, b"abc", 20) + b"\n"
    assert b"20 tokens" in done.stderr


def test_prompt_from_file_or_input(package, weights, tmp_path):
    (tmp_path / "prompt").write_bytes(b"bad cab")
    expected = greedy(weights, b"bad cab", 10) + b"\n"
    arguments = ("generate", package, "--weights", weights, "-n", 10, "--prompt-file")
    assert run(*arguments, tmp_path / "prompt").stdout == expected
    assert run(*arguments, "-", input=b"bad cab").stdout == expected


def test_ids_and_echo(package, weights):
    expected = greedy(weights, [97, 98], 5)
    done = run("generate", package, "--weights", weights, "--ids", "97,98", "-n", 5, "--echo")
    assert [int(word) for word in done.stdout.split()] == [97, 98, *expected]
    done = run("generate", package, "--weights", weights, "--prompt", "ab", "-n", 5, "--echo")
    assert done.stdout == b"ab" + expected + b"\n"


def test_sampling_follows_its_seed(package, weights):
    def sample(seed, *more):
        return run(
            "generate",
            package,
            "--weights",
            weights,
            "--prompt",
            "a",
            "-n",
            40,
            "--temperature",
            1.5,
            "--seed",
            seed,
            *more,
        ).stdout

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)
    assert sample(1, "--top-k", 1) == greedy(weights, b"a", 40) + b"\n"


def test_generates_up_to_the_longest_sequence(package, weights):
    arguments = ("generate", package, "--weights", weights, "--prompt", "abcd", "-n")
    assert len(run(*arguments, 61).stdout) == 62
    assert run_error(*arguments, 62) == (
        "a prompt of 4 tokens and 62 new ones need a cache for 65, the package's maximum is 64; "
        "compile with --max-seq-len 65"
    )


def test_bad_prompts(package, weights):
    arguments = ("generate", package, "--weights", weights)
    assert (
        run_error(*arguments, "--prompt", "") == "the prompt is empty, expected at least one byte"
    )
    assert run_error(*arguments, "--ids", "1,256") == "--ids: token 1 is 256, expected 0 to 255"
    assert "cannot open" in run_error(*arguments, "--prompt-file", "/nowhere")


def test_bad_weights(package, weights, tmp_path):
    arguments = ("generate", package, "--prompt", "a", "--weights")
    assert str(tmp_path / "none") in run_error(*arguments, tmp_path / "none")
    cut = tmp_path / "model.safetensors"
    cut.write_bytes((weights / "model.safetensors").read_bytes()[:1000])
    assert str(cut) in run_error(*arguments, cut)
    other = {"current.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}
    header = json.dumps(other).encode()
    cut.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 16)
    message = run_error(*arguments, cut)
    assert "current.weight" in message and "256" in message


def test_entry_that_is_missing(weights):
    message = run_error(
        "generate", SAMPLES / "sample-forward-only.txpkg", "--weights", weights, "--prompt", "a"
    )
    assert "has no entry" in message and "it has: forward" in message


def test_inspect_json(package):
    found = json.loads(
        run("inspect", package, "--json", "--batch", "1,8", "--seq-len", "16,64").stdout
    )
    assert [entry["name"] for entry in found["entries"]] == [
        "forward",
        "prefill",
        "decode",
        "gradients",
        "train",
    ]
    assert found["num_parameters"] == 2 * 256 * 256
    assert found["config"]["vocab_size"] == 256
    assert [kernel["name"] for kernel in found["kernels"]][0] == "sample_logits"
    rows = {(row["entry"], row["batch"], row["seq_len"]): row for row in found["memory"]}
    assert len(rows) == 20
    assert rows["forward", 8, 16]["outputs"] == 8 * 16 * 256 * 4
    assert rows["decode", 8, 64]["outputs"] == 8 * 256 * 4
    assert rows["train", 1, 16]["activations"] == 256 * 4
    assert rows["train", 1, 16]["optimizer"] == 8 * found["num_parameters"]
    assert rows["forward", 1, 16]["gradients"] == 0


def test_inspect_text(package):
    text = run("inspect", package, "--kernels", "--parameters").stdout.decode()
    for wanted in (
        "parameters  131072 in 2 tensors, 512.0 KiB",
        "limits      batch 8, sequence 64",
        "sample_adamw",
        "current.weight",
        "256x256",
    ):
        assert wanted in text
    assert "exceeds the package's maximum 8" in run_error("inspect", package, "--batch", 9)


def test_bench(package):
    found = json.loads(run("bench", package, "--batch", 2, "--iterations", 3, "--json").stdout)
    assert [result["name"] for result in found["results"]] == [
        "forward",
        "train",
        "prefill",
        "decode",
    ]
    for result in found["results"]:
        assert result["tokens_per_call"] == (2 if result["name"] == "decode" else 128)
        assert 0 < result["seconds_p10"] <= result["seconds_median"] <= result["seconds_p90"]
        rate = result["tokens_per_call"] / result["seconds_median"]
        assert result["tokens_per_second"] == pytest.approx(rate)
    text = run("bench", package, "--entry", "decode", "--past", 5, "--iterations", 2).stdout
    assert b"decode after 5" in text and b"train" not in text
    for past in (64, 2**63 - 1):
        assert "the package's maximum is 64" in run_error("bench", package, "--past", past)


def test_bench_profile(package, tmp_path):
    picture = tmp_path / "p.svg"
    arguments = ("bench", package, "--entry", "forward,decode", "--iterations", 2, "--profile")
    found = json.loads(run(*arguments, "--json", "--profile-picture", picture).stdout)
    assert all(rate > 0 for rate in found["ceilings"].values())
    kernels = found["results"][0]["kernels"]
    # LaunchCostTest has the numbers.
    for kernel in kernels:
        multiplies = kernel["name"].startswith(("linear", "attention"))
        assert (kernel["flops"] > 0) == multiplies, kernel["name"]
    drawn = ElementTree.parse(picture).getroot()
    titles = [title.text for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0].startswith("forward: ") and any("launches" in title for title in titles)
    assert all(any(k["name"] + ":" in title for title in titles) for k in kernels)
    text = run(*arguments).stdout.decode()
    assert "peaks just now" in text and "(outside of kernels)" in text
    assert "--profile with it" in run_error("bench", package, "--profile-picture", picture)
    missing = tmp_path / "none/p.svg"
    assert "none" in run_error(*arguments, "--profile-picture", missing)


def test_threads_of_the_environment(package):
    bench = ("bench", package, "--entry", "decode", "--iterations", 1, "--json")
    few = {**os.environ, "TRANSXSSM_NUM_THREADS": "2"}
    assert json.loads(run(*bench, env=few).stdout)["threads"] == 2
    bad = {**os.environ, "TRANSXSSM_NUM_THREADS": "two"}
    failed = run(*bench, code=1, env=bad)
    assert failed.stderr == (
        b"transxssm-run: error: TRANSXSSM_NUM_THREADS: expected 1 to 4096, got 'two'\n"
    )
    assert json.loads(run(*bench, "--threads", 1, env=bad).stdout)["threads"] == 1


def test_unknown_device(package):
    assert "abacus" in run_error("bench", package, "--device", "abacus")


@pytest.mark.parametrize("command", ["generate", "inspect", "--help"])
def test_full_disk(command, package, weights):
    more = {"generate": (package, "--weights", weights, "--prompt", "a"), "inspect": (package,)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [RUN, command, *map(str, more.get(command, ()))], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        b"transxssm-run: error: standard output: cannot write: No space left on device"
    )


def test_closed_output_ends_quietly(package, weights):
    process = subprocess.Popen(
        f"'{RUN}' generate '{package}' --weights '{weights}' --prompt a -n 60 | head -c 1",
        shell=True,
        stdout=subprocess.PIPE,
    )
    assert process.communicate(timeout=60)[0] and process.returncode == 0
