"""Runs the compiler, a program of its own: this package needs no LLVM."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ._runtime import Package


def find_compiler():
    """Path of transxssm-compile: $TRANSXSSM_COMPILE, beside this package, or on PATH."""
    given = os.environ.get("TRANSXSSM_COMPILE")
    if given:
        if not os.access(given, os.X_OK):
            raise RuntimeError(f"TRANSXSSM_COMPILE: expected a program, got '{given}'")
        return given
    here = Path(__file__).resolve().parent
    for folder in (here, here / "bin", here.parents[1] / "bin"):
        if os.access(folder / "transxssm-compile", os.X_OK):
            return str(folder / "transxssm-compile")
    found = shutil.which("transxssm-compile")
    if not found:
        raise RuntimeError(
            "transxssm-compile not found: set TRANSXSSM_COMPILE to its path or put it on PATH"
        )
    return found


def _run(command, verbose):
    result = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=None if verbose else subprocess.PIPE, text=True
    )
    if result.returncode == 0:
        return
    if verbose:
        raise ValueError("transxssm-compile failed, its message is above")
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    message = (errors or lines or [f"transxssm-compile: exit status {result.returncode}"])[0]
    if result.returncode < 0:
        raise RuntimeError(f"transxssm-compile ended by signal {-result.returncode}: {message}")
    raise ValueError(message)


def compile(
    config,
    output,
    target="cpu",
    dtype="f32",
    entries=("forward", "decode", "train"),
    max_batch=8,
    max_seq_len=512,
    activation_memory=None,
    verbose=False,
    gpu_arch=None,
):
    """Compiles a model into a package file and returns it as a Package.

    config       path of a config.json, of a directory with one, or a dict of its keys
    output       path of the package to write
    target       "cpu"; "nvptx", NVIDIA GPUs; "sim", the simulator of one
    dtype        "f32" or "bf16": type of weights and activations
    entries      what the package can do: "forward", "decode" (with prefill), "train" (with
                 gradients)
    max_batch, max_seq_len
                 largest sizes of a call; any smaller ones need no recompilation
    activation_memory
                 bytes (int) or text such as "2GiB" that a training step may use for
                 activations; the compiler recomputes blocks to fit
    verbose      let the compiler's progress through to standard error
    gpu_arch     architectures for "nvptx" and "sim", as ("sm_80",) or "sm_80,sm_90a"; all that
                 the compiler knows by default

    Raises ValueError with the compiler's message when it rejects the configuration or an
    option, RuntimeError when there is no compiler.
    """
    if isinstance(entries, str):
        entries = tuple(entries.split(","))
    command = [
        find_compiler(),
        "-o",
        os.fspath(output),
        f"--target={target}",
        f"--dtype={dtype}",
        "--entry=" + ",".join(entries),
        f"--max-batch={int(max_batch)}",
        f"--max-seq-len={int(max_seq_len)}",
    ]
    if gpu_arch is not None:
        names = gpu_arch if isinstance(gpu_arch, str) else ",".join(gpu_arch)
        command.append(f"--gpu-arch={names}")
    if activation_memory is not None:
        command.append(f"--activation-memory={activation_memory}")
    if isinstance(config, dict):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "config.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(config, file)
            _run([*command, path], verbose)
    else:
        _run([*command, os.fspath(config)], verbose)
    return Package(os.fspath(output))
