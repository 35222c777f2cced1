"""Token files: every format gives the same tokens, bad ones a clear error."""

import json

import numpy as np
import pytest
from conftest import SAMPLES, read_safetensors, run, run_error, windowed_loss


@pytest.fixture(scope="module")
def weights(trained):
    return trained[0] / "latest"


def evaluate(package, weights, *arguments):
    done = run("eval", package, "--weights", weights, "--json", *arguments)
    return json.loads(done.stdout)


def test_eval_matches_the_model(package, weights, text):
    got = evaluate(package, weights, "--data", text, "--max-tokens", 5000)
    tokens = list(text.read_bytes())[:5000]
    expected = windowed_loss(read_safetensors(weights / "model.safetensors"), tokens, 64)
    assert got["loss"] == pytest.approx(expected, abs=1e-5)
    assert got["perplexity"] == pytest.approx(np.exp(expected), rel=1e-5)
    assert got["bits_per_byte"] == pytest.approx(expected / np.log(2), abs=1e-5)
    assert got["tokens"] == 4999


@pytest.mark.parametrize("count", [2, 3, 64, 65, 505, 506, 507])
def test_every_token_is_scored_once(package, weights, text, count):
    got = evaluate(package, weights, "--data", text, "--max-tokens", count)
    tokens = list(text.read_bytes())[:count]
    expected = windowed_loss(read_safetensors(weights / "model.safetensors"), tokens, 64)
    assert got["tokens"] == count - 1
    assert got["loss"] == pytest.approx(expected, abs=1e-5)


def test_eval_without_forward(weights, text):
    got = evaluate(
        SAMPLES / "sample-train-only.txpkg", weights, "--data", text, "--max-tokens", 1000
    )
    same = evaluate(SAMPLES / "sample.txpkg", weights, "--data", text, "--max-tokens", 1000)
    assert got["loss"] == pytest.approx(same["loss"], abs=1e-5)


def test_formats_agree(package, weights, text, tmp_path):
    tokens = np.frombuffer(text.read_bytes()[:700], np.uint8)
    (tmp_path / "plain.txt").write_bytes(tokens.tobytes())
    expected = evaluate(package, weights, "--data", tmp_path / "plain.txt")["loss"]
    for kind in ("u1", "<u2", "<u4", "<i4", "<i8"):
        path = tmp_path / f"{kind[-2:]}.npy"
        np.save(path, tokens.astype(kind))
        assert evaluate(package, weights, "--data", path)["loss"] == expected, kind
    np.save(tmp_path / "rank2.npy", tokens.astype(np.int32).reshape(70, 10))
    assert evaluate(package, weights, "--data", tmp_path / "rank2.npy")["loss"] == expected
    for kind in ("uint16", "uint32"):
        path = tmp_path / f"{kind}.bin"
        path.write_bytes(tokens.astype(kind).tobytes())
        assert evaluate(package, weights, "--data", path, "--format", kind)["loss"] == expected


def test_files_are_concatenated(package, weights, text, tmp_path):
    content = text.read_bytes()[:900]
    for name, part in (("a", content[:333]), ("b", b""), ("c", content[333:])):
        (tmp_path / name).write_bytes(part)
    (tmp_path / "whole").write_bytes(content)
    parts = [tmp_path / name for name in "abc"]
    whole = evaluate(package, weights, "--data", tmp_path / "whole")
    assert evaluate(package, weights, "--data", *parts) == whole


def test_tokens_are_not_called_bytes(package, weights, tmp_path):
    np.save(tmp_path / "ids.npy", np.arange(100, dtype=np.int32))
    assert "bits_per_token" in evaluate(package, weights, "--data", tmp_path / "ids.npy")


def bad_npy(path, header, data=b"\0" * 40):
    text = header.encode() + b" " * (117 - len(header)) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)


@pytest.mark.parametrize(
    "header, message",
    [
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (10,), }",
            "expected element type uint8, uint16, uint32, int32 or int64, got '<f4'",
        ),
        (
            "{'descr': '>i4', 'fortran_order': False, 'shape': (10,), }",
            "expected element type uint8, uint16, uint32, int32 or int64, got '>i4'",
        ),
        (
            "{'descr': '<i4', 'fortran_order': False, 'shape': (11,), }",
            "shape (11,) needs 11 elements, the file has 10",
        ),
        (
            "{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
            "the .npy header has no valid shape",
        ),
        (
            "{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }",
            "the .npy header has no valid shape",
        ),
        ("{'descr': '<i4', 'fortran_order': False, }", "the .npy header has no valid shape"),
        ("", "expected element type uint8, uint16, uint32, int32 or int64, got none"),
    ],
)
def test_bad_npy(package, weights, tmp_path, header, message):
    path = tmp_path / "bad.npy"
    bad_npy(path, header)
    assert run_error("eval", package, "--weights", weights, "--data", path) == f"{path}: {message}"


def test_truncated_npy(package, weights, tmp_path):
    path = tmp_path / "ids.npy"
    np.save(path, np.arange(20, dtype=np.int32))
    content = path.read_bytes()
    for length in (0, 5, 9, 11, 60, 127, 140):
        path.write_bytes(content[:length])
        assert run_error("eval", package, "--weights", weights, "--data", path).startswith(
            f"{path}: "
        )


def test_npy_in_fortran_order(package, weights, tmp_path):
    path = tmp_path / "ids.npy"
    tokens = np.arange(20, dtype=np.int32).reshape(4, 5)
    np.save(path, np.asfortranarray(tokens))
    assert run_error("eval", package, "--weights", weights, "--data", path) == (
        f"{path}: expected an array in C order, got one in Fortran order; save it through "
        "numpy.ascontiguousarray"
    )
    # One row is both.
    np.save(path, np.asfortranarray(tokens.reshape(1, 20)))
    run("eval", package, "--weights", weights, "--data", path)


def test_a_single_token_has_no_score(package, weights, text):
    arguments = ("eval", package, "--weights", weights, "--data", text, "--max-tokens")
    assert "expected 0 or at least 2" in run_error(*arguments, 1)
    assert b"tokens scored   1\n" in run(*arguments, 2).stdout


def test_tokens_outside_the_vocabulary(package, weights, tmp_path):
    path = tmp_path / "ids.npy"
    for tokens, message in (
        ([1, 2, 256], "token 2 is 256, expected 0 to 255 (key 'vocab_size' is 256)"),
        ([1, -3], "token 1 is -3, expected 0 to 255 (key 'vocab_size' is 256)"),
    ):
        np.save(path, np.array(tokens, np.int32))
        assert run_error("eval", package, "--weights", weights, "--data", path) == (
            f"{path}: {message}"
        )


def test_bytes_need_a_byte_vocabulary(weights, text):
    package = SAMPLES / "sample-small-vocabulary.txpkg"
    assert run_error("eval", package, "--weights", weights, "--data", text) == (
        f"{package}: text as bytes needs key 'vocab_size' of at least 256, got 100"
    )


def test_other_bad_files(package, weights, tmp_path):
    cases = {"odd.bin": b"abc", "empty.txt": b"", "one.txt": b"a"}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
    arguments = ("eval", package, "--weights", weights, "--data")
    assert run_error(*arguments, tmp_path / "odd.bin", "--format", "uint16") == (
        f"{tmp_path}/odd.bin: expected a multiple of 2 bytes, got 3"
    )
    assert "does not say its element type" in run_error(*arguments, tmp_path / "odd.bin")
    assert "expected at least 2 tokens, got 0" in run_error(*arguments, tmp_path / "empty.txt")
    assert "expected at least 2 tokens, got 1" in run_error(*arguments, tmp_path / "one.txt")
    assert "cannot open" in run_error(*arguments, tmp_path / "missing.txt")
    assert "expected a regular file" in run_error(*arguments, tmp_path)
