"""bench/gpu_check as a whole, over the fake driver: what it reports where all is well, and that it
sees what is not."""

import json
import os
import shutil
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
    assert len(figures["kernels"]["checks"]) > 30
    assert all(check["ok"] for check in figures["kernels"]["checks"])
    (checks,) = (golden["checks"] for golden in figures["goldens"].values())
    assert {check["name"] for check in checks} == {"logits", "decode"}
    assert all(check["ok"] and check["same_bits"] for check in checks)
    (launches,) = (golden["checks"] for golden in figures["launches"].values())
    assert launches[0]["ok"] and launches[0]["launches"] > 10
    assert launches[1] == {"name": "draws", "tokens": 12, "error": 0.0, "bound": 0, "ok": True}
    assert figures["ceilings"]["copy"]["bytes_per_second"] > 0
    rates = figures["rates"]
    assert (rates["architecture"], rates["multiprocessors"]) == ("sm_80", 2)
    assert rates["small_tile_rate"] == rates["seconds"]["large"] / rates["seconds"]["small"] > 0
    assert f"small tiles: {rates['small_tile_rate']:.3f} of large ones'" in done.stdout
    for entry in ("train", "prefill", "decode"):
        made = figures["models"]["smoke"][entry]
        assert made["seconds_median"] > 0
        assert all(kernel["bytes"] > 0 for kernel in made["kernels"])
    assert figures["peers"] == {"skipped": "by --skip"}
    # That simulated GPU is not the one that the compiler's table is of.
    table = tmp_path / "table.inc"
    shutil.copy(ROOT / "passes/tiling/GpuRates.inc", table)
    refused = gpu_check("--refill", out, "--table", table, code=2)
    assert "expected a GPU with 108 multiprocessors" in refused.stderr
    assert "passed" in done.stdout.splitlines()[-1]


def check_kernels(folder, *arguments, code=0, settings="capability=90,shared=232448"):
    environment = os.environ | {"TRANSXSSM_CUDA_DRIVER": FAKE, "TRANSXSSM_FAKE_CUDA": settings}
    command = [BIN / "transxssm-gpu-check", "kernels", folder, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    """The conformance set for a Hopper GPU."""
    folder = tmp_path_factory.mktemp("kernels")
    command = [BIN / "transxssm-gpu-cases", folder, "--archs=sm_90a", "--simulated"]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return folder


def test_every_kernel_has_its_answer(kernels):
    made = check_kernels(kernels)
    assert all(check["ok"] for check in made["checks"]), made["checks"]
    names = {check["name"] for check in made["checks"]}
    assert (
        len(names) == len(made["checks"]) == len(json.loads((kernels / "kernels.json").read_text()))
    )
    assert {"wgmma.a-k-128.b-n-64", "mma.bf16.k16", "tensor-load.3d", "stmatrix.x4"} <= names
    assert made["not_for_this_gpu"] == 0 and made["next"] is None


def test_names_each_kernel_that_answers_otherwise(kernels):
    names = [check["name"] for check in check_kernels(kernels)["checks"]]
    # One that leaves its output as it was.
    made = check_kernels(kernels, code=1, settings="capability=90,shared=232448,skip_kernel=30")
    (wrong,) = (check for check in made["checks"] if not check["ok"])
    assert wrong["name"] == names[29]
    assert "words differ, first at 0: expected 0x" in wrong["says"]
    assert wrong["says"].endswith("got 0xcdcdcdcd")
    # A single wrong bit of an answer.
    described = json.loads((kernels / "kernels.json").read_text())
    (chosen,) = (each for each in described if each["name"] == "mma.bf16.k16")
    data = bytearray((kernels / "kernels.bin").read_bytes())
    data[chosen["arguments"][-1]["bytes"][0] + 5] ^= 1
    other = kernels / "other"
    other.mkdir()
    (other / "kernels.bin").write_bytes(data)
    (other / "kernels.json").write_text(json.dumps(described))
    made = check_kernels(other, code=1)
    (wrong,) = (check for check in made["checks"] if not check["ok"])
    assert wrong["name"] == "mma.bf16.k16"
    assert wrong["says"].startswith("y: 1 of 128 words differ, first at 1: ")


def test_goes_on_behind_a_kernel_that_breaks_the_device(kernels):
    settings = "capability=90,shared=232448,fail_kernel=3"
    made = check_kernels(kernels, code=1, settings=settings)
    assert [check["ok"] for check in made["checks"]] == [True, True, False]
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in made["checks"][2]["says"]
    assert made["next"] == 3
    rest = check_kernels(kernels, "--from", 3)
    assert all(check["ok"] for check in rest["checks"])


def test_gives_up_where_every_kernel_breaks_the_device(kernels, tmp_path):
    """check.kernels starts a process again behind each, but not for ever."""
    script = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from gpu import check

class Session:
    folder, device, calls = Path(sys.argv[2]), "cuda:0", 0
    def program(self, name, *arguments, codes):
        self.calls += 1
        first = arguments[-1]
        bad = {"name": str(first), "ok": False, "says": "lost"}
        return {"model": "", "not_for_this_gpu": 0, "checks": [bad], "next": first + 1}

session = Session()
made = check.kernels(session)
assert session.calls == check.MOST_BROKEN
assert [one["name"] for one in made["checks"][:3]] == ["0", "1", "2"]
assert made["checks"][-1]["name"] == f"those from number {check.MOST_BROKEN} on"
"""
    (tmp_path / "kernels").symlink_to(kernels)
    done = subprocess.run(
        [sys.executable, "-c", script, ROOT / "bench", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_sets_a_hybrid_beside_its_transformer(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bench")
    from gpu import report

    times = {"train": {"seconds_median": 2.0}, "decode": {"seconds_median": 0.5}}
    slower = {"train": {"seconds_median": 3.0}, "decode": {"failed": "out of memory"}}
    models = {"320m": times, "320m-transformer": slower, "1.3b": times}
    assert report.headline_lines({"models": models}) == [
        "320m beside its Transformer, train: +50.0 % (paper +42.3 %)"
    ]
    assert report.headline_lines({"models": {"failed": "no GPU"}}) == []


def test_kernels_of_another_gpu_are_left_out(kernels):
    made = check_kernels(kernels, settings="capability=80")
    assert made["checks"] == [] and made["not_for_this_gpu"] > 100


def test_names_the_first_kernel_that_differs(packages, tmp_path):
    out = tmp_path / "figures.json"
    done = gpu_check(
        *("--packages", packages, *QUICK, "--out", out, "--skip", "models,peers,ceilings"),
        code=1,
        settings="skip_kernel=4",
    )
    figures = json.loads(out.read_text())
    (wrong,) = (check for check in figures["kernels"]["checks"] if not check["ok"])
    assert f"{wrong['name']:40} {wrong['says']}" in done.stdout
    (launches,) = (golden["checks"] for golden in figures["launches"].values())
    assert not launches[0]["ok"]
    assert launches[0]["first"]["launch"] == 3
    assert f"kernel {launches[0]['first']['kernel']}" in done.stdout
    (checks,) = (golden["checks"] for golden in figures["goldens"].values())
    assert not checks[0]["ok"]
    assert "FAILED" in done.stdout.splitlines()[-1]


def test_says_what_stands_in_the_way(packages, tmp_path):
    done = gpu_check(
        *("--packages", packages, *QUICK, "--skip", "models,peers,launches,kernels"),
        code=1,
        settings="devices=0",
    )
    assert "device 'cuda:0': this machine has no NVIDIA GPU" in done.stdout
    done = gpu_check("--packages", tmp_path, code=2)
    assert "manifest.json: expected the output of bench/gpu_check --prepare" in done.stderr
