"""Compiles what a machine with a GPU shall check: needs the compiler, no GPU."""

import datetime
import json
import shutil
import time

from gpu import rates
from gpu.common import BASELINE, GOLDENS, PROGRAMS, ROOT, commit, say
from gpu.common import run as call

MODELS = ("320m", f"320m{BASELINE}", "1.3b")
TOKENS = 4096


def compile_package(options, config, out, *arguments):
    """What was made: all architectures and entries, or else those that have code."""
    compiler = options.bin / "transxssm-compile"
    common = [compiler, config, "-o", out, "-q", *arguments]
    problems = []
    for entries in ("forward,decode,train", "forward,decode"):
        for archs in dict.fromkeys((options.archs, options.archs.split(",")[0])):
            try:
                call(*common, "--entry", entries, "--gpu-arch", archs)
                return {"entries": entries, "archs": archs, "problems": problems}
            except RuntimeError as why:
                problems.append(f"{archs}, {entries}: {why}")
                say(f"{out}: {problems[-1]}")
    return {"entries": "", "archs": "", "problems": problems}


def golden(options, name, folder):
    """A golden's numbers, its package for GPUs and the same for the simulator."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors", "expected.safetensors"):
        shutil.copy(GOLDENS / name / file, folder / file)
    config = folder / "config.json"
    limits = ("--max-batch", "4", "--max-seq-len", "256")
    simulated = compile_package(options, config, folder / "sim.txpkg", "--target=sim", *limits)
    if options.smoke:
        fake(options, folder / "sim.txpkg", folder / "gpu.txpkg")
        return simulated
    return compile_package(options, config, folder / "gpu.txpkg", "--target=nvptx", *limits)


def fake(options, simulated, out):
    """For tests: the simulator's code under the name of machine code."""
    call(options.bin / "make-fake-cuda-package", simulated, out)


def kernels(options, folder):
    """The conformance set; what was wrong, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [options.bin / "transxssm-gpu-cases", folder, f"--archs={options.archs}"]
    try:
        said = call(*command, *(["--simulated"] if options.smoke else []))
    except RuntimeError as why:
        say(f"{folder}: {why}")
        return str(why)
    say(f"{folder}: {said.strip()}")
    return None


def model(options, name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    if options.smoke:
        config = json.loads((GOLDENS / "hybrid-tiny/config.json").read_text())
        config |= {"num_hidden_layers": 2, "attn_layer_period": 2, "attn_layer_offset": 1}
        (folder / "config.json").write_text(json.dumps(config))
        limits = ("--max-batch", "1", "--max-seq-len", "16")
        simulated = folder / "sim.txpkg"
        made = compile_package(options, folder / "config.json", simulated, "--target=sim", *limits)
        fake(options, simulated, folder / "gpu.txpkg")
        return made | {"tokens": 8, "dtype": "f32"}
    shutil.copy(ROOT / f"configs/{name}.json", folder / "config.json")
    limits = ("--max-batch", "1", "--max-seq-len", str(TOKENS))
    made = compile_package(
        options,
        folder / "config.json",
        folder / "gpu.txpkg",
        "--target=nvptx",
        "--dtype=bf16",
        *limits,
    )
    return made | {"tokens": TOKENS, "dtype": "bf16"}


def product(options, tiles, folder):
    """The product that is timed with large and with small tiles."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, _, _, dtype = rates.product(options.smoke)
    (folder / "config.json").write_text(json.dumps(rates.config(options.smoke)))
    out = folder / ("sim.txpkg" if options.smoke else "gpu.txpkg")
    command = [options.bin / "transxssm-compile", folder / "config.json", "-o", out, "-q"]
    command += ["--target=sim" if options.smoke else "--target=nvptx", "--gpu-arch", options.archs]
    command += [f"--dtype={dtype}", "--entry=decode", f"--product-tiles={tiles}"]
    command += ["--max-batch", "1", "--max-seq-len", rows]
    try:
        call(*command)
    except RuntimeError as why:
        say(f"{out}: {why}")
        return {"entries": "", "problems": [str(why)]}
    if options.smoke:
        fake(options, out, folder / "gpu.txpkg")
    return {"entries": "decode", "problems": []}


def run(options):
    """1 where something could not be compiled at all."""
    options.bin = options.bin or ROOT / "build/bin"
    if options.smoke:
        options.archs = "sm_80"
    out = options.prepare
    (out / "bin").mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        shutil.copy(options.bin / program, out / "bin" / program)
    manifest = {"commit": commit(), "date": str(datetime.date.today()), "archs": options.archs}
    manifest |= {"smoke": options.smoke, "goldens": {}, "models": {}, "rates": {}}
    manifest["kernels"] = kernels(options, out / "kernels")
    names = ["ssm-tiny"] if options.smoke else sorted(p.name for p in GOLDENS.iterdir())
    work = [(golden, "goldens", n) for n in names if (GOLDENS / n).is_dir()]
    work += [(model, "models", n) for n in (("smoke",) if options.smoke else MODELS)]
    work += [(product, "rates", tiles) for tiles in rates.TILES]
    for number, (make, kind, name) in enumerate(work):
        began = time.monotonic()
        manifest[kind][name] = make(options, name, out / kind / name)
        passed = time.monotonic() - began
        say(f"{number + 1} of {len(work)}: {kind}/{name}, {passed:.1f} s")
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    made = [
        package for kind in ("goldens", "models", "rates") for package in manifest[kind].values()
    ]
    complete = all(package["entries"] for package in made)
    return 0 if complete and not manifest["kernels"] else 1
