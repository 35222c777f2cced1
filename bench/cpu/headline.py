"""The paper's claim, measured: how much faster the hybrid trains and writes than a Transformer."""

import datetime
import time

from gpu.common import PAPER

from cpu import picture, report, turns, work
from cpu.common import machine, median, say
from cpu.families import FAMILIES, family, open_family

# Row of the table: entry, sequences at once, the paper's per cent at 4,096 tokens. The bytes of
# the caches tell only where several sequences share one reading of the weights.
PARTS = {
    "train": ("train", 1, PAPER["train"]),
    "decode": ("decode", 1, PAPER["decode"]),
    "decode, 8 sequences": ("decode", 8, None),
}


def measure_part(part, options):
    """{model: figure}, and the ceilings. Models are open for one part only, for their memory."""
    entry, batch, _ = PARTS[part]
    workers = {}
    try:
        for name in FAMILIES:
            workers[name], _ = open_family(name, entry, batch, options.seq_len, options)
        figures = {name: turns.Figure(w, f"{name}/{entry}") for name, w in workers.items()}
        for figure in figures.values():
            figure.warm(600)
            say(f"{part}, {figure.job}: {figure.failed or f'first call {figure.first:.2f} s'}")
        turns.rotate(list(figures.values()), options.rounds, 1.0, 20, lambda: 600)
        return {n: f.result() for n, f in figures.items()}, turns.ceilings(options.threads)
    finally:
        for worker in workers.values():
            worker.end()


def headline(options):
    began = time.monotonic()
    results = {"date": str(datetime.date.today()), "machine": machine()}
    results |= {"layers": options.layers, "seq": options.seq_len, "dtype": options.dtype}
    results |= {"threads": options.threads, "figures": {}, "ceilings": {}}
    results["configs"] = {name: family(name, options.layers) for name in FAMILIES}
    for part in PARTS:
        results["figures"][part], results["ceilings"][part] = measure_part(part, options)
    results["seconds"] = round(time.monotonic() - began, 1)
    body = section(results)
    print(body)
    if not options.dry:
        drawn = {"bench-headline.svg": drawing(results)}
        report.save("headline", results, "Hybrid beside Transformer", body, drawn, options)
    return 0


def rates_of(results, part):
    """Median tokens a second by model; None where there are none."""
    entry, batch, _ = PARTS[part]
    tokens = batch * (results["seq"] if entry == "train" else 1)
    return {
        name: tokens / median(figure["seconds"]) if "seconds" in figure else None
        for name, figure in results["figures"][part].items()
    }


def bound_ratio(results, part):
    """Hybrid over Transformer, by operations and bytes at the measured peaks."""
    entry, batch, _ = PARTS[part]
    hybrid, transformer = (
        work.bound(
            *(results["configs"][name], entry, batch, results["seq"], results["dtype"]),
            *(results["ceilings"][part], results["machine"]["last_level_cache_bytes"]),
        )
        for name in ("hybrid", "Transformer")
    )
    return hybrid / transformer


def section(results):
    rows = []
    for part, (_, _, paper) in PARTS.items():
        rates = rates_of(results, part)
        faster = "-"
        if rates["hybrid"] and rates["Transformer"]:
            faster = f"{100 * (rates['hybrid'] / rates['Transformer'] - 1):+.1f} %"
        cells = [report.number(r) if r else "-" for r in rates.values()]
        bound = f"{100 * (bound_ratio(results, part) - 1):+.1f} %"
        rows.append([part, *cells, faster, f"+{paper} %" if paper else "-", bound])
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


def drawing(results):
    groups = {}
    for part in PARTS:
        rates = {name: rate for name, rate in rates_of(results, part).items() if rate}
        if "Transformer" in rates:
            groups[part] = {name: rate / rates["Transformer"] for name, rate in rates.items()}
    title = f"Speed beside a Transformer of equal depth, {results['seq']:,} tokens"
    return picture.bars(title, groups, "times")
