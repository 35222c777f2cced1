"""The benchmark's own virtual environment, with PyTorch."""

import os
import subprocess
import sys

from cpu.common import ENVIRONMENT, run, say

TORCH = "2.13.0"


def python():
    """Its interpreter; made at the first call, which downloads some 200 MB."""
    interpreter = ENVIRONMENT / "venv/bin/python"
    query = [interpreter, "-c", "import torch; print(torch.__version__)"]
    if interpreter.exists():
        done = subprocess.run(query, capture_output=True, text=True)
        if done.stdout.startswith(TORCH):
            return interpreter
    say(f"installing PyTorch {TORCH} into {ENVIRONMENT / 'venv'}")
    run(sys.executable, "-m", "venv", ENVIRONMENT / "venv")
    # setuptools: torch.compile builds C++ with it.
    packages = [f"torch=={TORCH}", "numpy", "setuptools"]
    run(interpreter, "-m", "pip", "install", "-q", *packages)
    return interpreter


def variables(threads):
    """So many threads for every library, and a lasting cache of what torch.compile made."""
    made = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        made[name] = str(threads)
    made["TORCHINDUCTOR_CACHE_DIR"] = str(ENVIRONMENT / "inductor")
    made["PYTHONDONTWRITEBYTECODE"] = "1"
    flags = set()
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("flags"):
                flags = set(line.split())
                break
    # OpenBLAS does not know every processor of a virtual machine.
    made["OPENBLAS_CORETYPE"] = (
        "SkylakeX" if "avx512f" in flags else "Zen" if "avx2" in flags else "Nehalem"
    )
    return made
