"""bench/gpu_check as a whole, over the fake driver: what it reports where all is well, and that it
sees what is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ["TRANSXSSM_BIN"])
FAKE = os.environ["TRANSXSSM_FAKE_DRIVER"]
# A busy machine may take ten times as long.
QUICK = ("--smoke", "--no-build", "--budget", "1200")


def gpu_check(*arguments, code=0, settings=""):
    environment = os.environ | {"TRANSXSSM_CUDA_DRIVER": FAKE, "TRANSXSSM_FAKE_CUDA": settings}
    done = subprocess.run(
        [sys.executable, ROOT / "bench/gpu_check", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=1300,
        env=environment,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu") / "packages"
    gpu_check("--prepare", folder, "--smoke", "--bin", BIN)
    return folder


def test_reports_everything(packages, tmp_path):
    out = tmp_path / "figures.json"
    done = gpu_check("--packages", packages, *QUICK, "--out", out, "--skip", "peers")
    figures = json.loads(out.read_text())
    (checks,) = (golden["checks"] for golden in figures["goldens"].values())
    assert {check["name"] for check in checks} == {"logits", "decode"}
    assert all(check["ok"] and check["same_bits"] for check in checks)
    (launches,) = (golden["checks"] for golden in figures["launches"].values())
    assert launches[0]["ok"] and launches[0]["launches"] > 10
    assert figures["ceilings"]["copy"]["bytes_per_second"] > 0
    for entry in ("train", "prefill", "decode"):
        made = figures["models"]["smoke"][entry]
        assert made["seconds_median"] > 0
        assert all(kernel["bytes"] > 0 for kernel in made["kernels"])
    assert figures["peers"] == {"skipped": "by --skip"}
    assert "passed" in done.stdout.splitlines()[-1]


def test_names_the_first_kernel_that_differs(packages, tmp_path):
    out = tmp_path / "figures.json"
    done = gpu_check(
        *("--packages", packages, *QUICK, "--out", out, "--skip", "models,peers,ceilings"),
        code=1,
        settings="skip_kernel=4",
    )
    figures = json.loads(out.read_text())
    (launches,) = (golden["checks"] for golden in figures["launches"].values())
    assert not launches[0]["ok"]
    assert launches[0]["first"]["launch"] == 3
    assert f"kernel {launches[0]['first']['kernel']}" in done.stdout
    (checks,) = (golden["checks"] for golden in figures["goldens"].values())
    assert not checks[0]["ok"]
    assert "FAILED" in done.stdout.splitlines()[-1]


def test_says_what_stands_in_the_way(packages, tmp_path):
    done = gpu_check(
        *("--packages", packages, *QUICK, "--skip", "models,peers,launches"),
        code=1,
        settings="devices=0",
    )
    assert "device 'cuda:0': this machine has no NVIDIA GPU" in done.stdout
    done = gpu_check("--packages", tmp_path, code=2)
    assert "manifest.json: expected the output of bench/gpu_check --prepare" in done.stderr
