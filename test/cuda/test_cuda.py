"""Device "cuda" through transxssm-run and Python: over the fake driver, whose GPU is the
simulator, and where there is a GPU on that."""

import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import transxssm

BUILD = Path(os.environ["TRANSXSSM_BIN"])
GOLDENS = Path(os.environ["TRANSXSSM_GOLDENS"])
FAKE = os.environ["TRANSXSSM_FAKE_DRIVER"]


def run(*arguments, fake=True, code=0, **settings):
    environment = {k: v for k, v in os.environ.items() if k != "TRANSXSSM_CUDA_DRIVER"}
    if fake:
        environment["TRANSXSSM_CUDA_DRIVER"] = FAKE
    done = subprocess.run(
        [BUILD / arguments[0], *map(str, arguments[1:])],
        capture_output=True,
        text=True,
        timeout=1200,
        env=environment | settings,
    )
    assert done.returncode == code, done.stderr
    return done


def read_tensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    types = {"I64": np.int64, "F64": np.float64}
    return {
        name: np.frombuffer(
            data[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]],
            types[entry["dtype"]],
        ).reshape(entry["shape"])
        for name, entry in json.loads(data[8 : 8 + size]).items()
        if name != "__metadata__" and entry["dtype"] in types
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture(scope="session")
def package(folder):
    """Two layers of a golden model, for text of bytes."""
    config = json.loads((GOLDENS / "hybrid-tiny/config.json").read_text())
    config |= {"vocab_size": 256, "num_hidden_layers": 2}
    config |= {"attn_layer_period": 2, "attn_layer_offset": 1}
    (folder / "config.json").write_text(json.dumps(config))
    simulated, made = folder / "sim.txpkg", folder / "fake.txpkg"
    run(
        *("transxssm-compile", folder / "config.json", "-o", simulated, "-q"),
        *("--target=sim", "--gpu-arch=sm_80", "--max-batch=2", "--max-seq-len=64"),
    )
    run("make-fake-cuda-package", simulated, made)
    return made


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setenv("TRANSXSSM_CUDA_DRIVER", FAKE)


def test_train_resume_and_generate(package, folder):
    text = folder / "text.txt"
    text.write_text("abcdefgh " * 200)
    train = ["transxssm-run", "train", package, "--device", "cuda:0"]
    fresh = [*train, "--data", text, "--batch", 1, "--seq-len", 6, "--lr", 0.01]
    fresh += ["--steps", 3, "--save-every", 2, "--eval-every", 0, "--eval-tokens", 6]
    run(*fresh, "--out", folder / "whole")
    run(*train, "--resume", folder / "whole/step-2", "--out", folder / "part")
    for name in ("model.safetensors", "optimizer.safetensors"):
        whole, part = (next((folder / at).glob(f"latest/{name}")) for at in ("whole", "part"))
        assert whole.read_bytes() == part.read_bytes(), name

    weights = ["--weights", folder / "whole/latest", "--prompt", "abc", "-n", 4]
    generate = ["transxssm-run", "generate", package, *weights, "--device", "cuda"]
    assert run(*generate).stdout == run(*generate, TRANSXSSM_CUDA_GRAPHS="0").stdout


def test_bench_profiles(package):
    done = run(
        *("transxssm-run", "bench", package, "--device", "cuda", "--entry", "decode"),
        *("--seq-len", 4, "--batch", 1, "--iterations", 2, "--warmup", 1, "--profile"),
    )
    assert "kernels" in done.stdout and "append" in done.stdout


def test_tensor_maps(folder):
    """A training step whose products take boxes: the simulator's bits, maps made by the driver.

    Some kernels have resident blocks: of three multiprocessors in the simulator, of two here.
    """
    config = json.loads((GOLDENS / "hybrid-tiny/config.json").read_text())
    config |= {"vocab_size": 256, "num_hidden_layers": 2, "hidden_size": 128}
    config |= {"attn_layer_period": 2, "attn_layer_offset": 1, "intermediate_size": 128}
    config |= {"num_attention_heads": 2, "num_key_value_heads": 2, "ssd_chunk_size": 64}
    config_file = folder / "wide.json"
    config_file.write_text(json.dumps(config))
    options = ["--gpu-arch=sm_90a", "--dtype=bf16", "--max-batch=1", "--max-seq-len=64", "-q"]
    compile_ = ["transxssm-compile", config_file, *options]
    ptx = run(*compile_, "--target=nvptx", "--emit=ptx", "--entry=forward").stdout
    assert "cp.async.bulk.tensor.2d.shared" in ptx
    assert "cp.async.bulk.tensor.2d.global" in ptx
    assert "%nctaid.x" in ptx
    simulated, made = folder / "wide-sim.txpkg", folder / "wide-fake.txpkg"
    run(*compile_, "--target=sim", "-o", simulated)
    run("make-fake-cuda-package", simulated, made)
    text = folder / "wide.txt"
    text.write_text("abcdefgh " * 200)
    train = ["--data", text, "--batch", 1, "--seq-len", 63, "--lr", 0.01, "--steps", 1]
    train += ["--eval-every", 0, "--eval-tokens", 63]
    weights = []
    for package, device in ((simulated, "sim:sm_90a"), (made, "cuda:0")):
        out = folder / device.replace(":", "-")
        command = ["transxssm-run", "train", package, "--device", device, *train, "--out", out]
        run(*command, TRANSXSSM_FAKE_CUDA="capability=90,shared=232448")
        weights.append((out / "latest/model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_errors_are_one_line(package):
    bench = ["transxssm-run", "bench", package, "--entry", "decode", "--seq-len", 4]
    for settings, expected in (
        ("devices=0", "device 'cuda:0': this machine has no NVIDIA GPU"),
        ("version=10020", "expected a driver for CUDA 12.0 or later, got one for 10.2"),
        ("capability=75", "(Simulated GPU, sm_75), got sm_80; compile with --target=nvptx"),
        ("memory=1000", "cuda:0: cannot allocate "),
        ("fail_kernel=3", "which has to be restarted"),
    ):
        done = run(*bench, "--device", "cuda:0", code=1, TRANSXSSM_FAKE_CUDA=settings)
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("transxssm-run: error: "), lines
        assert expected in lines[0]
        assert not done.stdout


def test_python(package, fake):
    model = transxssm.load(package, device="cuda:0", seed=1)
    ids = np.random.default_rng(2).integers(0, 256, (1, 6))
    logits = model.forward(ids)
    cache = model.new_cache(batch=1)
    first = model.prefill(ids[:, :4], cache)
    rest = model.decode(ids[:, 4:], cache)
    np.testing.assert_allclose(first, logits[:, 3], rtol=0, atol=1e-5)
    np.testing.assert_allclose(rest, logits[:, 4:], rtol=0, atol=1e-5)
    assert cache.clone().state("ssd_state.0").any()

    loss, gradients = model.gradients(ids, ids)
    assert np.isfinite(loss) and all(np.isfinite(g).all() for g in gradients.values())
    name = model.parameter_names()[0]
    np.testing.assert_array_equal(model.gradient(name), gradients[name])


def test_python_copies_parameters(package, fake):
    model = transxssm.load(package, device="cuda", seed=1)
    name = model.parameter_names()[0]
    view = model.parameter(name)
    with pytest.raises(ValueError, match="read-only"):
        view[...] = 0
    model.load_state_dict({name: np.full_like(view, 0.25)})
    assert (model.parameter(name) == 0.25).all() and not (view == 0.25).all()
    assert (model.state_dict()[name] == 0.25).all()


def test_python_trainer_resumes(package, fake, tmp_path):
    ids = np.arange(6)[None] * 3

    def trainer(weights=None):
        model = transxssm.load(package, weights, device="cuda:0", seed=4)
        return transxssm.Trainer(model, lr=1e-2, keep_decay_negative=True)

    whole = trainer()
    losses = [whole.step(ids, ids).loss for _ in range(3)]
    part = trainer()
    assert [part.step(ids, ids).loss for _ in range(2)] == losses[:2]
    part.model.save_pretrained(tmp_path)
    part.save(tmp_path / "optimizer.safetensors")
    resumed = trainer(tmp_path)
    resumed.load(tmp_path / "optimizer.safetensors")
    assert resumed.step(ids, ids).loss == losses[2]
    for name, values in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.parameter(name), values)


def test_golden_on_a_gpu(folder, monkeypatch):
    """On a real GPU, with machine code or the driver's own from PTX."""
    monkeypatch.delenv("TRANSXSSM_CUDA_DRIVER", raising=False)
    golden = GOLDENS / "hybrid-tiny"
    made = folder / "gpu.txpkg"
    run(
        *("transxssm-compile", golden / "config.json", "-o", made, "-q", "--target=nvptx"),
        *("--gpu-arch=sm_80", "--entry=forward", "--max-batch=2", "--max-seq-len=64"),
    )
    try:
        model = transxssm.load(made, golden, device="cuda:0")
    except ValueError as why:
        missing = ("cannot load NVIDIA's driver", "has no NVIDIA GPU", "or later, got one for")
        if any(part in str(why) for part in missing):
            pytest.skip(f"no GPU: {why}")
        raise
    expected = read_tensors(golden / "expected.safetensors")
    logits = model.forward(expected["input_ids"])
    error = np.linalg.norm(logits - expected["logits"]) / np.linalg.norm(expected["logits"])
    assert error < 1e-5
    np.testing.assert_array_equal(logits, model.forward(expected["input_ids"]))
