"""What preparing and checking share."""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDENS = ROOT / "test/goldens/data"
# How the name of a hybrid's Transformer of equal depth ends, and by how many per cent the paper has
# the hybrid faster at 4,096 tokens (arXiv 2506.09507).
BASELINE = "-transformer"
PAPER = {"train": 42.3, "decode": 29.5}
PROGRAMS = ("transxssm-run", "transxssm-gpu-check")


class Skipped(Exception):
    """Why a part does not run here."""


def say(text):
    print(f"gpu_check: {text}", file=sys.stderr, flush=True)


def run(*command, timeout=None, codes=(0,)):
    """The standard output of a program; RuntimeError with its last line of error."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as late:
        passed = time.monotonic() - began
        raise RuntimeError(f"{command[0]}: not done after {passed:.0f} s") from late
    if done.returncode not in codes:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        name = Path(command[0]).name
        raise RuntimeError(f"{name}: {lines[-1].removeprefix(f'{name}: ')}")
    return done.stdout


def run_json(*command, **options):
    return json.loads(run(*command, **options))


def commit():
    try:
        return run("git", "-C", ROOT, "rev-parse", "--short", "HEAD").strip()
    except (OSError, RuntimeError):
        return None
