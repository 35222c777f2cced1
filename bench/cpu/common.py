"""What the parts of bench/cpu_bench share."""

import contextlib
import importlib.util
import json
import os
import platform
import statistics
import sys
from pathlib import Path

from gpu.common import GOLDENS, ROOT, commit, run, run_json

BUILD = ROOT / os.environ.get("TRANSXSSM_BUILD_DIR", "build")
BIN = BUILD / "bin"
# Not part of the build, so that a new build leaves PyTorch and what it compiled.
ENVIRONMENT = ROOT / "build-bench"

__all__ = ["GOLDENS", "ROOT", "commit", "run", "run_json"]


def say(text):
    print(f"cpu_bench: {text}", file=sys.stderr, flush=True)


def instruction_set(flags):
    """The widest that kernels are compiled for (codegen/x86/X86Codegen.cpp)."""
    if "avx512_bf16" in flags:
        return "AVX-512 with bf16"
    return "AVX-512" if "avx512f" in flags else "AVX2"


def machine():
    """What figures depend on."""
    info = Path("/proc/cpuinfo").read_text()
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    cache = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    bytes_of_cache = 0
    with contextlib.suppress(OSError, ValueError):
        bytes_of_cache = int(cache.read_text().strip().removesuffix("K")) * 1024
    return {
        "cpu": names[0] if names else platform.processor(),
        "isa": instruction_set(info.split()),
        "processors": len(os.sched_getaffinity(0)),
        "last_level_cache_bytes": bytes_of_cache,
        "commit": commit(),
    }


def python_with_numpy():
    """An interpreter for our own module."""
    if importlib.util.find_spec("numpy"):
        return sys.executable
    for folder in (ROOT / ".venv", ENVIRONMENT / "venv"):
        if (folder / "bin/python").exists():
            return folder / "bin/python"
    raise RuntimeError("NumPy is missing: ./dev build makes an environment that has it")


def read_config(name):
    return json.loads((ROOT / f"configs/{name}.json").read_text())


def four_layers():
    """Four layers as wide as the 320M model; every fourth one is attention."""
    changes = {"num_hidden_layers": 4, "attn_layer_period": 4, "attn_layer_offset": 3}
    return read_config("320m") | changes


def compile_package(config, out, dtype="f32", batch=1, seq=1024, entries=None):
    """Compiles a configuration, given as a dictionary, unless the package is there."""
    if out.exists():
        return out
    path = out.with_suffix(".json")
    path.write_text(json.dumps(config))
    command = [BIN / "transxssm-compile", path, "-o", out, "-q", "--dtype", dtype]
    command += ["--entry", entries] if entries else []
    run(*command, "--max-batch", batch, "--max-seq-len", seq)
    return out


def quantile(values, q):
    values = sorted(values)
    at = q * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def rates(tokens, seconds):
    """Median, tenth and ninetieth percentile of tokens a second."""
    return tuple(tokens / quantile(seconds, q) for q in (0.5, 0.9, 0.1))


def median(values):
    return statistics.median(values)
