"""What runs on the machine with the GPU."""

import datetime
import json
import shutil
import time
from pathlib import Path

from gpu import peers, rates, report
from gpu.common import PROGRAMS, ROOT, Skipped, commit, run_json, say
from gpu.common import run as call

# In this order; each gives a dictionary for the report.
PARTS = ("kernels", "goldens", "launches", "ceilings", "rates", "models", "peers")

# Kernels after which no more are run in a process of their own.
MOST_BROKEN = 12


class Session:
    def __init__(self, options):
        self.options = options
        self.folder = options.packages
        self.device = options.device
        self.deadline = time.monotonic() + options.budget
        path = self.folder / "manifest.json"
        if not path.is_file():
            raise RuntimeError(f"{path}: expected the output of bench/gpu_check --prepare")
        self.manifest = json.loads(path.read_text())
        self.bin = None
        self.results = {}

    def seconds_left(self):
        left = self.deadline - time.monotonic()
        if left <= 1:
            raise Skipped("the time for all parts is over; see --budget")
        return left

    def program(self, name, *arguments, **options):
        return run_json(self.bin / name, *arguments, timeout=self.seconds_left(), **options)


def build(session):
    """The folder of the programs: built here, or as they came."""
    carried = session.folder / "bin"
    if session.options.no_build or not shutil.which("cmake") or not shutil.which("flatc"):
        say("not building: taking the programs in the packages' folder")
        return carried
    made = ROOT / "build-gpu-check"
    options = ["-DTRANSXSSM_BUILD_TESTS=OFF", "-DTRANSXSSM_BUILD_PYTHON=OFF"]
    try:
        left = session.seconds_left()
        call("cmake", "--preset", "runtime", "-S", ROOT, "-B", made, *options, timeout=left)
        call("cmake", "--build", made, "--target", *PROGRAMS, timeout=left)
    except RuntimeError as why:
        say(f"cannot build ({why}): taking the programs in the packages' folder")
        return carried
    return made / "bin"


def each_golden(session, what, packages, arguments):
    """The verdict of transxssm-gpu-check on each golden whose packages are there."""
    made = {}
    for name in session.manifest["goldens"]:
        folder = session.folder / "goldens" / name
        if not all((folder / package).is_file() for package in packages):
            made[name] = {"failed": "did not compile"}
            continue
        made[name] = guarded(
            lambda folder=folder: session.program(
                "transxssm-gpu-check", *arguments(folder), codes=(0, 1)
            )
        )
        say(f"{what} {name}: {report.verdict(made[name])}")
    return made


def kernels(session):
    """The conformance set, in a new process after each kernel that breaks the device for the last
    one."""
    folder = session.folder / "kernels"
    if not (folder / "kernels.json").is_file():
        return {"failed": "did not compile"}
    checks, first, others, processes = [], 0, 0, 0
    while first is not None and processes < MOST_BROKEN:
        processes += 1
        command = ("kernels", folder, "--device", session.device, "--from", first)
        part = session.program("transxssm-gpu-check", *command, codes=(0, 1))
        checks += part["checks"]
        others += part["not_for_this_gpu"]
        first = part["next"]
    if first is not None:
        says = f"{MOST_BROKEN} kernels broke the device for their process"
        checks.append({"name": f"those from number {first} on", "ok": False, "says": says})
    made = {"device": part["model"], "not_for_this_gpu": others, "checks": checks}
    say(f"kernels: {report.kernel_verdict(made)}")
    return made


def goldens(session):
    parts = ["--parts", "logits,decode"] if session.options.smoke else []
    return each_golden(
        session,
        "golden",
        ["gpu.txpkg"],
        lambda folder: ("golden", folder / "gpu.txpkg", folder, "--device", session.device, *parts),
    )


def simulated_device(session):
    """The simulator of the code that this GPU takes."""
    size = ["--bytes", 1 << 20, "--rounds", 1]
    facts = session.program("transxssm-gpu-check", "bandwidth", "--device", session.device, *size)
    own = {arch for arch in session.manifest["archs"].split(",") if arch.endswith("a")}
    arch = f"sm_{facts['capability']}a"
    return f"sim:{arch}" if arch in own else "sim:sm_80"


def launches(session):
    """Every launch of the goldens beside the simulator's: a wrong fragment layout, swizzle or
    tensor box shows in the first kernel that has it. And tokens that both draw."""
    parts = ["--parts", "forward,draws"] if session.options.smoke else []
    simulated = ["--simulated-device", simulated_device(session)]
    return each_golden(
        session,
        "launches of",
        ["gpu.txpkg", "sim.txpkg"],
        lambda folder: (
            *("launches", folder / "gpu.txpkg", folder, "--device", session.device, *parts),
            *("--simulated", folder / "sim.txpkg", *simulated),
        ),
    )


def ceilings(session):
    size = ["--bytes", 1 << 20, "--rounds", 2] if session.options.smoke else []
    made = {
        "copy": guarded(
            lambda: session.program(
                "transxssm-gpu-check", "bandwidth", "--device", session.device, *size
            )
        )
    }
    made["product"] = guarded(lambda: peers.product_ceiling(session))
    return made


def model_times(session, name, entry):
    """One entry of a model: whole calls, then kernel by kernel."""
    facts = session.manifest["models"][name]
    package = session.folder / "models" / name / "gpu.txpkg"
    smoke = session.options.smoke
    common = ["bench", package, "--device", session.device, "--json", "--entry", entry]
    common += ["--batch", 1, "--seq-len", facts["tokens"]]
    few = ["--iterations", 1, "--warmup", 1]
    calls = few if smoke else ["--iterations", 50 if entry == "decode" else 5, "--warmup", 2]
    whole = session.program("transxssm-run", *common, *calls)["results"][0]
    split = session.program("transxssm-run", *common, *few, "--profile")["results"][0]
    say(f"{name} {entry}: {whole['seconds_median'] * 1e3:.3f} ms")
    return whole | {"kernels": split["kernels"]}


def product_parameters(session, name):
    """Elements of weights that are multiplied with each token."""
    package = session.folder / "models" / name / "gpu.txpkg"
    facts = session.program("transxssm-run", "inspect", package, "--parameters", "--json")
    config = json.loads((package.parent / "config.json").read_text())
    total = 0
    for parameter in facts["parameters"]:
        shape = parameter["shape"]
        # The embedding is looked up; tied, it is the head's weight too.
        embeds = parameter["name"] == "model.word_embed.weight"
        if len(shape) == 2 and (not embeds or config.get("tie_word_embeddings")):
            total += shape[0] * shape[1]
    return total


def models(session):
    made = {}
    for name, facts in session.manifest["models"].items():
        if not (session.folder / "models" / name / "gpu.txpkg").is_file():
            made[name] = {"failed": "did not compile"}
            continue
        made[name] = {"tokens": facts["tokens"], "dtype": facts["dtype"]}
        made[name]["product_parameters"] = guarded(
            lambda name=name: product_parameters(session, name)
        )
        for entry in ("train", "prefill", "decode"):
            if entry == "train" and "train" not in facts["entries"]:
                made[name][entry] = {"failed": "did not compile"}
                continue
            made[name][entry] = guarded(
                lambda name=name, entry=entry: model_times(session, name, entry)
            )
            if "failed" in made[name][entry]:
                say(f"{name} {entry}: {made[name][entry]['failed']}")
    return made


def guarded(work):
    """A part's result, or why there is none."""
    try:
        return work()
    except Skipped as why:
        return {"skipped": str(why)}
    except (OSError, RuntimeError, ValueError, KeyError) as why:
        return {"failed": str(why) or type(why).__name__}


def machine(device):
    made = {"device": device}
    try:
        query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit"
        made["nvidia-smi"] = call("nvidia-smi", query, "--format=csv,noheader").strip()
    except (OSError, RuntimeError) as why:
        made["nvidia-smi"] = f"none: {why}"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            made["processor"] = line.split(":")[1].strip()
            break
    return made


def run(options):
    began = time.monotonic()
    session = Session(options)
    session.bin = build(session)
    results = session.results
    results["date"] = str(datetime.date.today())
    results["commit"] = commit()
    results["packages"] = {k: session.manifest[k] for k in ("commit", "date", "archs", "smoke")}
    results["machine"] = machine(options.device)
    work = {
        "kernels": kernels,
        "goldens": goldens,
        "launches": launches,
        "ceilings": ceilings,
        "rates": rates.measure,
        "models": models,
        "peers": peers.run,
    }
    for part in PARTS:
        say(f"{part} …")
        if part in options.skip.split(","):
            results[part] = {"skipped": "by --skip"}
        else:
            results[part] = guarded(lambda part=part: work[part](session))
    results["seconds"] = round(time.monotonic() - began, 1)
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n")
    print(report.text(results))
    return 0 if report.passed(results) else 1
