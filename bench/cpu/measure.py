"""Our packages and PyTorch in turns: training, prefill, decoding, products, compile time."""

import datetime
import itertools
import re
import time

from cpu import environment, report, turns, work
from cpu.common import (
    BIN,
    ENVIRONMENT,
    compile_package,
    four_layers,
    machine,
    median,
    read_config,
    run,
    run_json,
    say,
)

ENTRIES = ("train", "prefill", "decode")
# Name: configuration, batch, tokens, entries, share of the time.
MODELS = {
    "tiny": (lambda: read_config("tiny"), 4, 256, ENTRIES, 1),
    "320m, 4 layers": (four_layers, 1, 1024, ENTRIES, 5),
    "320m": (lambda: read_config("320m"), 1, 1024, ("decode",), 2),
}


class Budget:
    """Time for everything, divided among what is left to do. What torch.compile takes the first
    time does not count: its cache has it the next time."""

    def __init__(self, minutes, weights):
        self.end = self.part = time.monotonic() + 60 * minutes
        self.weights = list(weights)

    def start_part(self):
        now = time.monotonic()
        share = self.weights.pop(0) / max(sum(self.weights) + 1e-9, 1e-9)
        share = share / (1 + share)
        self.part = now + max(self.end - now, 0) * share

    def left(self):
        """Seconds until the present part has to end."""
        return self.part - time.monotonic()

    def extend(self, seconds):
        self.end += seconds
        self.part += seconds


def open_unit(unit, folder, options):
    """Processes that have a unit's model open, by their way of running it."""
    path = folder / f"{unit['key']}.txpkg"
    entries = "decode" if unit["entries"] == ("decode",) else None
    room = unit["seq"] + 64
    compile_package(unit["config"], path, unit["dtype"], unit["batch"], room, entries)
    request = {"batch": unit["batch"], "seq": unit["seq"]}
    request |= {"key": unit["key"], "entries": unit["entries"]}
    variables = environment.variables(unit["threads"])
    workers = {"ours": turns.ours(variables)}
    try:
        workers["ours"].ask("open", package=str(path), threads=unit["threads"], **request)
        # One process for each way: one that hangs is ended.
        for way in options.ways:
            workers[way] = turns.Worker(environment.python(), "worker_torch.py", variables)
            config = str(path.with_suffix(".json"))
            workers[way].ask("open", config=config, dtype=unit["dtype"], way=way, **request)
    except RuntimeError:
        close_unit(workers)
        raise
    return workers


def close_unit(workers):
    for worker in workers.values():
        worker.end()


def unit_figures(unit, workers):
    """{entry: {way: Figure}}."""
    made = {}
    for entry in unit["entries"]:
        made[entry] = {
            way: turns.Figure(worker, f"{unit['key']}/{'' if way == 'ours' else way + '/'}{entry}")
            for way, worker in workers.items()
        }
    return made


def warm_up(everything, budget, options):
    for figure in everything:
        if "/compile/" in figure.job:
            figure.warm(options.compile_limit)
            budget.extend(figure.first or options.compile_limit)
        else:
            figure.warm(max(budget.left(), turns.PATIENCE))
        say(f"  {figure.job}: {figure.failed or f'first call {figure.first:.2f} s'}")


def measure_unit(unit, folder, budget, options):
    """Fills in "figures" and "ceilings"."""
    budget.start_part()
    workers = open_unit(unit, folder, options)
    try:
        figures = unit_figures(unit, workers)
        everything = [figure for ways in figures.values() for figure in ways.values()]
        warm_up(everything, budget, options)
        measured = [turns.ceilings(unit["threads"])]
        for number in range(options.rounds):
            if number and budget.left() <= 0:
                break
            order = everything[:: 1 if number % 2 == 0 else -1]
            turns.rotate(order, 1, options.turn, options.most, budget.left)
            measured.append(turns.ceilings(unit["threads"]))
    finally:
        close_unit(workers)
    unit["ceilings"] = {
        key: median([c[key] for c in measured])
        for key in (*work.PEAKS.values(), "bytes_read_per_second")
    }
    unit["figures"] = {
        entry: {way: figure.result() for way, figure in ways.items()}
        for entry, ways in figures.items()
    }


def product_shapes(config, rows):
    """M, K, N of a layer's products by the kernels that do them."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    return {
        "out of a mixer": (rows, width, width),
        "gate and up": (rows, width, 2 * inner),
        "down": (rows, inner, width),
    }


def kernel_products(kernels):
    """{(K, N): operations a second for one row} of kernels that are products with weights."""
    made = {}
    for kernel in kernels:
        found = re.match(r"linear_k(\d+)((?:_(?:and_)?n\d+)+)(_silu|_residual|$)", kernel["name"])
        if found and kernel["seconds"] > 0:
            inner = int(found[1])
            columns = sum(map(int, re.findall(r"n(\d+)", found[2])))
            each = 2 * inner * columns * kernel["launches"] / kernel["seconds"]
            made[inner, columns] = each
    return made


def products(folder, rounds):
    """Products of the 320M width: our kernels as they run in prefill, and libraries' alone."""
    config, rows = four_layers(), 1024
    package = compile_package(config, folder / "320m-4-f32.txpkg", seq=rows + 64)
    shapes = product_shapes(config, rows)
    bench = [BIN / "transxssm-run", "bench", package, "--json", "--profile", "--threads", 1]
    bench += ["--entry", "prefill", "--seq-len", rows, "--batch", 1, "--iterations", 2]
    libraries = ("OpenBLAS (NumPy)", "oneDNN", "PyTorch (MKL)")
    made = {name: {"shape": shape, "all": {}} for name, shape in shapes.items()}
    peaks = []
    with turns.Worker(environment.python(), "worker_torch.py", environment.variables(1)) as worker:
        worker.ask("products", shapes=shapes)
        for _ in range(rounds):
            own = kernel_products(run_json(*bench)["results"][0]["kernels"])
            peaks.append(turns.ceilings(1)["flops_per_second"])
            for name, (m, k, n) in shapes.items():
                if (k, n) in own:
                    made[name]["all"].setdefault("TransXSSM", []).append(own[k, n] * m)
                for library in libraries:
                    for clock, _ in worker.calls(f"{library}/{name}", 0.2, 20, 60):
                        rate = 2 * m * k * n / clock
                        made[name]["all"].setdefault(library, []).append(rate)
    for product in made.values():
        product["rates"] = {name: median(all_) for name, all_ in product.pop("all").items()}
    return made, median(peaks)


def compile_times(folder, threads):
    """Cold starts of the compiler, every entry, for the CPU."""
    made = {}
    for name, seq, calls in (("tiny", 2048, 3), ("320m", 4096, 1)):
        times = []
        for _ in range(calls):
            began = time.perf_counter()
            config = f"{report.ROOT}/configs/{name}.json"
            out = folder / f"cold-{name}.txpkg"
            run(BIN / "transxssm-compile", config, "-o", out, "-q", "--max-seq-len", seq)
            times.append(time.perf_counter() - began)
        made[name] = {"seconds": median(times), "all": times, "processors": threads}
        say(f"compiling {name}: {made[name]['seconds']:.2f} s")
    return made


def make_units(options):
    made = []
    # One and two threads of a model follow each other, so that a slower moment of the machine meets
    # both and the gain by the second is of one moment.
    for name, dtype, threads in itertools.product(options.models, options.dtypes, options.threads):
        config, batch, seq, entries, weight = MODELS[name]
        slug = name.replace(", ", "-").replace(" layers", "")
        unit = {"model": name, "dtype": dtype, "threads": threads, "batch": batch}
        unit["clock"] = options.by
        unit |= {"seq": seq, "config": config(), "key": f"{slug}-{dtype}"}
        unit["entries"] = tuple(e for e in entries if e in options.entries)
        made.append((unit, weight / threads))
    return [(unit, weight) for unit, weight in made if unit["entries"]]


def verify(results):
    """The PyTorch model has to be the same model."""
    with turns.Worker(environment.python(), "worker_torch.py", environment.variables(1)) as worker:
        facts = worker.ask("verify")
    results["torch"], results["golden_errors"] = facts["torch"], facts["errors"]
    if not max(facts["errors"].values()) < 1e-4:
        raise RuntimeError(f"the PyTorch model is off a golden by {facts['errors']}: not timed")
    say(f"PyTorch {facts['torch']} is {max(facts['errors'].values()):.1e} from a golden")


def measure(options):
    began = time.monotonic()
    folder = ENVIRONMENT / "packages" / str(machine()["commit"])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.txpkg"):
        old.unlink()
    results = {"date": str(datetime.date.today()), "machine": machine(), "clock": options.by}
    units = make_units(options)
    results["units"] = []
    if options.ways:
        verify(results)
    if not options.quick:
        results["compile"] = compile_times(folder, results["machine"]["processors"])
    # Verifying, compiling and products come out of the time as well.
    products_seconds = 0 if options.quick or not options.ways else 45
    spent = (time.monotonic() - began + products_seconds) / 60
    budget = Budget(options.minutes - spent, [weight for _, weight in units])
    for unit, _ in units:
        say(f"{unit['key']}, {unit['threads']} threads")
        measure_unit(unit, folder, budget, options)
        results["units"].append(unit)
    if products_seconds:
        try:
            results["products"], results["product_peak"] = products(folder, 3)
        except RuntimeError as why:
            say(f"products: {why}")
    results["seconds"] = round(time.monotonic() - began, 1)
    body = report.measured_section(results)
    pictures = {"bench-speed.svg": report.speed_picture(results)}
    print(body)
    if not options.dry:
        title = "Speed beside PyTorch and the machine"
        report.save("speed", results, title, body, pictures, options)
    say(f"{results['seconds']:.0f} s")
    return 0
