"""transxssm.compile as a caller of the compiler: a script stands in for it."""

import json
import os
import shutil

import pytest
import transxssm
from conftest import SAMPLES
from transxssm import compiler

STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" > {log}
for last; do :; done
cat "$last" > {config}
{body}
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Installs a script as the compiler: body -> function that returns its arguments."""

    def install(body):
        script = tmp_path / "compiler.sh"
        log = tmp_path / "arguments"
        script.write_text(STAND_IN.format(log=log, config=tmp_path / "config-seen", body=body))
        script.chmod(0o755)
        monkeypatch.setenv("TRANSXSSM_COMPILE", str(script))
        return lambda: log.read_text().splitlines()

    return install


def test_passes_options(stand_in, tmp_path):
    arguments = stand_in(f'cp {SAMPLES}/sample.txpkg "$2"')
    (tmp_path / "config.json").write_text("{}")
    package = transxssm.compile(
        tmp_path / "config.json",
        tmp_path / "m.txpkg",
        dtype="bf16",
        entries=("forward", "train"),
        max_batch=3,
        max_seq_len=77,
        activation_memory="2GiB",
    )
    assert isinstance(package, transxssm.Package)
    assert package.path == str(tmp_path / "m.txpkg")
    assert arguments() == [
        "-o", str(tmp_path / "m.txpkg"), "--target=cpu", "--dtype=bf16",
        "--entry=forward,train", "--max-batch=3", "--max-seq-len=77",
        "--activation-memory=2GiB", str(tmp_path / "config.json"),
    ]  # fmt: skip


@pytest.mark.parametrize("gpu_arch", ["sm_80,sm_90a", ("sm_80", "sm_90a")])
def test_passes_architectures(stand_in, tmp_path, gpu_arch):
    arguments = stand_in(f'cp {SAMPLES}/sample.txpkg "$2"')
    transxssm.compile({}, tmp_path / "m.txpkg", target="nvptx", gpu_arch=gpu_arch)
    assert {"--target=nvptx", "--gpu-arch=sm_80,sm_90a"} <= set(arguments())


def test_takes_a_dict(stand_in, tmp_path):
    arguments = stand_in(f'cp {SAMPLES}/sample.txpkg "$2"')
    config = {"model_type": "TransXSSM", "hidden_size": 64}
    transxssm.compile(config, tmp_path / "m.txpkg", entries="forward")
    assert json.loads((tmp_path / "config-seen").read_text()) == config
    assert "--entry=forward" in arguments()
    assert not os.path.exists(arguments()[-1])


def test_reports_errors(stand_in, tmp_path):
    stand_in("echo 'lowering' >&2; echo 'transxssm-compile: error: c: key K: bad' >&2; exit 1")
    with pytest.raises(ValueError, match="^transxssm-compile: error: c: key K: bad$"):
        transxssm.compile({}, tmp_path / "m.txpkg")
    stand_in("kill -SEGV $$")
    with pytest.raises(RuntimeError, match="ended by signal 11"):
        transxssm.compile({}, tmp_path / "m.txpkg")


def test_missing_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSXSSM_COMPILE", str(tmp_path / "nothing"))
    with pytest.raises(RuntimeError, match="TRANSXSSM_COMPILE: expected a program, got"):
        transxssm.compile({}, tmp_path / "m.txpkg")
    monkeypatch.delenv("TRANSXSSM_COMPILE")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(compiler, "__file__", str(tmp_path / "a" / "b" / "compiler.py"))
    with pytest.raises(RuntimeError, match="transxssm-compile not found: set TRANSXSSM_COMPILE"):
        transxssm.compile({}, tmp_path / "m.txpkg")
    shutil.copy("/bin/true", tmp_path / "transxssm-compile")
    assert compiler.find_compiler() == str(tmp_path / "transxssm-compile")


def test_tokenizers(tmp_path):
    tokenizer = transxssm.load_tokenizer()
    assert tokenizer.encode("aé") == [97, 195, 169]
    assert tokenizer.decode([97, 195, 169, 300]) == "aé"
    with pytest.raises(ValueError, match="expected a tokenizer.json"):
        transxssm.load_tokenizer(tmp_path)
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "?": 2}, "?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = transxssm.load_tokenizer(tmp_path)
    assert tokenizer.vocab_size == 3
    assert tokenizer.encode("b a x") == [1, 0, 2]
    assert tokenizer.decode([1, 0]) == "b a"
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="not a tokenizer"):
        transxssm.load_tokenizer(tmp_path)
