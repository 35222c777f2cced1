"""Cost and memory of hybrid, Transformer and state-space model as sequences grow."""

import datetime
import math
import re
import time

from cpu import picture, report, work
from cpu.common import BIN, machine, median, run, say
from cpu.families import FAMILIES, open_family, package_path

# Seconds from which on what only a first call does (pages touched for the first time, about half
# a second for each GiB) no longer counts: such a call is not made again.
LONG_CALL = 30


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
    worker, config = open_family(name, entry, 1, seq, options)
    with worker:
        calls, peak = [], 0
        for most in (1, 1 if entry == "train" else 20):
            request = {"seconds": 1.0, "most": most, "limit": 600}
            answer = worker.ask("call", 660, job=f"{name}/{entry}", **request)
            calls, peak = answer["calls"], answer["peak_bytes"]
            if calls[0][0] > LONG_CALL:
                break
    made = {"seq": seq, "seconds": median([clock for clock, _ in calls]), "peak_bytes": peak}
    made["cache_bytes"] = work.cache_bytes(config, seq, options.dtype)
    if entry == "train":
        path = package_path(name, entry, 1, seq, options).with_suffix(".json")
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
