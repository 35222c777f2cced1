"""Hybrid, Transformer and state-space model side by side: at one length, and as it grows."""

import datetime
import math
import re
import time

from cpu import environment, picture, report, turns, work
from cpu.common import BIN, ENVIRONMENT, compile_package, machine, median, read_config, run, say

FAMILIES = {"hybrid": "320m", "Transformer": "320m-transformer", "SSM": "320m-ssm"}
# Per cent by which the hybrid is faster than the Transformer at 4,096 tokens, in the paper.
PAPER = {"train": 42.3, "decode": 29.5}


def family(name, layers):
    """So many layers of the 320M width. The vocabulary shrinks with the depth, so that the head
    keeps its share of the work; one layer of a hybrid's eight, at least one, is attention."""
    config = read_config(FAMILIES[name])
    config["vocab_size"] = max(256, config["vocab_size"] * layers // config["num_hidden_layers"])
    config["num_hidden_layers"] = layers
    if name == "hybrid":
        config["attn_layer_period"] = min(8, layers)
        config["attn_layer_offset"] = config["attn_layer_period"] - 1
    return config


def open_family(name, seq, options, entries):
    """A process that has the model open, its configuration and package."""
    config = family(name, options.layers)
    folder = ENVIRONMENT / "packages/families"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{options.layers}-{seq}.txpkg"
    path.unlink(missing_ok=True)
    compile_package(config, path, options.dtype, 1, seq + 64, "forward,decode,train")
    worker = turns.ours(environment.variables(options.threads))
    request = {"batch": 1, "seq": seq, "threads": options.threads, "entries": entries}
    worker.ask("open", key=name, package=str(path), **request)
    return worker, config


def headline(options):
    """The paper's claim, measured: how much faster the hybrid trains and writes."""
    began = time.monotonic()
    names, entries = ("hybrid", "Transformer", "SSM"), ("train", "decode")
    opened = {}
    try:
        for name in names:
            opened[name] = open_family(name, options.seq_len, options, entries)
            say(f"{name}: {options.layers} layers, {options.seq_len} tokens")
        figures = {
            (name, entry): turns.Figure(opened[name][0], f"{name}/{entry}")
            for entry in entries
            for name in names
        }
        for figure in figures.values():
            figure.warm(600)
            say(f"  {figure.job}: {figure.failed or f'first call {figure.first:.2f} s'}")
        turns.rotate(list(figures.values()), options.rounds, 1.0, 20, lambda: 600)
        peaks = turns.ceilings(options.threads)
    finally:
        for worker, _ in opened.values():
            worker.end()
    results = {"date": str(datetime.date.today()), "machine": machine(), "ceilings": peaks}
    results |= {"layers": options.layers, "seq": options.seq_len, "dtype": options.dtype}
    results |= {"threads": options.threads, "configs": {n: c for n, (_, c) in opened.items()}}
    results["figures"] = {
        entry: {name: figures[name, entry].result() for name in names} for entry in entries
    }
    results["seconds"] = round(time.monotonic() - began, 1)
    body = headline_section(results)
    print(body)
    if not options.dry:
        groups = {e: {n: v for n, v in rates_of(results, e).items() if v} for e in entries}
        relative = {
            e: {n: v / values["Transformer"] for n, v in values.items()}
            for e, values in groups.items()
            if "Transformer" in values
        }
        title = f"Speed beside a Transformer of equal depth, {options.seq_len} tokens"
        drawn = picture.bars(title, relative, "times")
        report.save(
            *("headline", results, "Hybrid beside Transformer", body),
            *({"bench-headline.svg": drawn}, options),
        )
    return 0


def rates_of(results, entry):
    """Median tokens a second by model; None where there are none."""
    tokens = results["seq"] if entry == "train" else 1
    return {
        name: tokens / median(figure["seconds"]) if "seconds" in figure else None
        for name, figure in results["figures"][entry].items()
    }


def bound_ratio(results, entry):
    """Hybrid over Transformer, by operations and bytes at the measured peaks."""
    hybrid, transformer = (
        work.bound(
            *(results["configs"][name], entry, 1, results["seq"], results["dtype"]),
            *(results["ceilings"], results["machine"]["last_level_cache_bytes"]),
        )
        for name in ("hybrid", "Transformer")
    )
    return hybrid / transformer


def headline_section(results):
    rows = []
    for entry in ("train", "decode"):
        rates = rates_of(results, entry)
        faster = "-"
        if rates["hybrid"] and rates["Transformer"]:
            faster = f"{100 * (rates['hybrid'] / rates['Transformer'] - 1):+.1f} %"
        cells = [report.number(r) if r else "-" for r in rates.values()]
        bound = f"{100 * (bound_ratio(results, entry) - 1):+.1f} %"
        rows.append([entry, *cells, faster, f"+{PAPER[entry]} %", bound])
    header = ["", *(f"{n}, tokens/s" for n in FAMILIES), "hybrid faster by", "paper", "bound"]
    return "\n".join(
        [
            f"{results['date']}, {results['machine']['cpu']}, commit "
            f"{results['machine']['commit']}: {results['layers']} layers of the 320M width, "
            f"{results['seq']:,} tokens, {results['dtype']}, {results['threads']} threads. The "
            "Transformer's attention is fused as well as the hybrid's. Bound: what operations "
            "and bytes allow at the measured peaks. `bench/cpu_bench headline`.",
            "",
            report.table(header, rows),
            "",
            "![speed beside a Transformer](images/bench-headline.svg)",
        ]
    )


def predicted_bytes(config, path, seq, dtype):
    """What the compiler says that a training step of one sequence takes."""
    command = [BIN / "transxssm-compile", path, "--print-memory", "-q", "--dtype", dtype]
    text = run(*command, "--entry", "train", "--max-batch", 1, "--max-seq-len", seq)
    return parse_memory(text, seq)


def parse_memory(text, seq):
    total = 0
    for name in ("parameters", "gradients", "optimizer"):
        found = re.search(rf"^{name} .*? (\d+) bytes", text, re.MULTILINE)
        total += int(found[1]) if found else 0
    row = re.search(rf"^train +1 +{seq} +[\d.]+ \w+ +(\d+) ", text, re.MULTILINE)
    if not row:
        raise RuntimeError(f"--print-memory: expected a row of train for {seq} tokens")
    return total + int(row[1])


def exponent(points):
    """Of the power law through (length, seconds), by least squares of logarithms, over the upper
    half of the lengths, where constants matter less."""
    points = sorted(points)[-max(2, (len(points) + 1) // 2) :]
    if len(points) < 2:
        return None
    xs, ys = ([math.log(p[axis]) for p in points] for axis in (0, 1))
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((a - x) ** 2 for a in xs)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / across


def grow(name, seq, entry, options):
    """One entry's seconds and peak memory at a length, in a process of its own."""
    worker, config = open_family(name, seq, options, (entry,))
    with worker:
        calls, peak = [], 0
        for most in (1, 1 if entry == "train" else 20):
            request = {"seconds": 1.0, "most": most, "limit": 600}
            answer = worker.ask("call", 660, job=f"{name}/{entry}", **request)
            calls, peak = answer["calls"], answer["peak_bytes"]
    made = {"seq": seq, "seconds": median([clock for clock, _ in calls]), "peak_bytes": peak}
    made["cache_bytes"] = work.cache_bytes(config, seq, options.dtype)
    if entry == "train":
        path = ENVIRONMENT / f"packages/families/{name}-{options.layers}-{seq}.json"
        made["predicted_bytes"] = predicted_bytes(config, path, seq, options.dtype)
    return made


def growth(options):
    """Training step and decoding step against length, while there is time."""
    end = time.monotonic() + 60 * options.minutes
    results = {"date": str(datetime.date.today()), "machine": machine(), "figures": {}}
    results |= {"layers": options.layers, "dtype": options.dtype, "threads": options.threads}
    lengths = [512 << i for i in range(20) if 512 << i <= options.seq_len]
    spent = {}
    for seq in lengths:
        for name in FAMILIES:
            for entry in ("decode", "train"):
                began = time.monotonic()
                # Twice the length takes up to four times as long.
                if began + 4 * spent.get((name, entry), 0) > end:
                    continue
                try:
                    made = grow(name, seq, entry, options)
                except RuntimeError as why:
                    say(f"{name}, {entry}, {seq} tokens: {why}")
                    continue
                spent[name, entry] = time.monotonic() - began
                results["figures"].setdefault(entry, {}).setdefault(name, []).append(made)
                say(f"{name}, {entry}, {seq} tokens: {made['seconds']:.4f} s")
    body = growth_section(results)
    print(body)
    if not options.dry:
        report.save("growth", results, "As sequences grow", body, growth_pictures(results), options)
    return 0


def growth_pictures(results):
    made = {}
    titles = {"train": "Seconds of a training step", "decode": "Seconds of one decoded token"}
    for entry, title in titles.items():
        series = {
            name: [(point["seq"], point["seconds"]) for point in points]
            for name, points in results["figures"].get(entry, {}).items()
        }
        made[f"bench-growth-{entry}.svg"] = picture.curves(title, series, "tokens", "seconds")
    return made


def growth_section(results):
    rows = []
    for entry, families in results["figures"].items():
        for name, points in families.items():
            power = exponent([(p["seq"], p["seconds"]) for p in points])
            for point in points:
                last = point is points[-1]
                predicted = point.get("predicted_bytes")
                rows.append(
                    [
                        entry,
                        name,
                        f"{point['seq']:,}",
                        f"{point['seconds']:.4f}",
                        f"{point['peak_bytes'] / 2**20:,.0f}",
                        f"{predicted / 2**20:,.0f}" if predicted else "-",
                        f"{point['cache_bytes'] / 2**20:.1f}",
                        f"{power:.2f}" if last and power is not None else "",
                    ]
                )
    header = ["entry", "model", "tokens", "seconds", "peak MiB", "predicted MiB", "cache MiB"]
    return "\n".join(
        [
            f"{results['date']}, {results['machine']['cpu']}, commit "
            f"{results['machine']['commit']}: {results['layers']} layers of the 320M width, "
            f"{results['dtype']}, {results['threads']} threads, one sequence. Peak: of the whole "
            "process, with its Python; predicted: by `--print-memory`. The exponent is that of "
            "seconds in tokens, over the upper half of the lengths. `bench/cpu_bench growth`.",
            "",
            report.table([*header, "exponent"], rows),
            "",
            "![training](images/bench-growth-train.svg)",
            "",
            "![decoding](images/bench-growth-decode.svg)",
        ]
    )
