"""Tables of what was measured, and the generated parts of docs/benchmarks.md."""

import json

from cpu import picture, work
from cpu.common import ROOT, median, rates

WAYS = {"ours": "TransXSSM", "eager": "PyTorch eager", "compile": "torch.compile"}
HISTORY = ROOT / "bench/results.jsonl"
DOCUMENT = ROOT / "docs/benchmarks.md"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def tokens_of(unit, entry):
    return unit["batch"] * (1 if entry == "decode" else unit["seq"])


def seconds_of(unit, entry, way):
    """Of each call, by the clock that the table is by; none where there was no call."""
    figure = unit["figures"].get(entry, {}).get(way, {})
    if unit.get("clock") == "processor":
        return [seconds / unit["threads"] for seconds in figure.get("processor_seconds", ())]
    return figure.get("seconds", [])


def rate(unit, entry, way):
    """Median tokens a second, or None."""
    seconds = seconds_of(unit, entry, way)
    return rates(tokens_of(unit, entry), seconds)[0] if seconds else None


def better_peer(unit, entry):
    found = [r for r in (rate(unit, entry, "eager"), rate(unit, entry, "compile")) if r]
    return max(found, default=None)


def bound(unit, entry, machine):
    sizes = unit["batch"], unit["seq"], unit["dtype"]
    cache = machine["last_level_cache_bytes"]
    return work.bound(unit["config"], entry, *sizes, unit["ceilings"], cache)


def cell(unit, entry, way):
    figure = unit["figures"].get(entry, {}).get(way, {"failed": "-"})
    if "failed" in figure:
        return figure["failed"][:60]
    middle, low, high = (
        number(r) for r in rates(tokens_of(unit, entry), seconds_of(unit, entry, way))
    )
    return f"{middle} ({low} .. {high})"


def speed_rows(results):
    for unit in results["units"]:
        for entry in unit["figures"]:
            mine, peer = rate(unit, entry, "ours"), better_peer(unit, entry)
            most = bound(unit, entry, results["machine"])
            yield [
                unit["model"],
                unit["dtype"],
                str(unit["threads"]),
                entry,
                *(cell(unit, entry, way) for way in WAYS),
                f"{mine / peer:.2f}" if mine and peer else "-",
                number(most),
                f"{mine / most:.2f}" if mine else "-",
            ]


def find(results, model, dtype, threads):
    for unit in results["units"]:
        if (unit["model"], unit["dtype"], unit["threads"]) == (model, dtype, threads):
            return unit
    return None


def goals(results):
    """(what, wanted, measured, met, most) of what the project wants from this processor; most:
    what operations and bytes at the measured peaks allow, or None."""
    made = []

    def add(what, wanted, measured, low=True, most=None):
        if measured is not None:
            met = measured >= wanted if low else measured <= wanted
            made.append((what, wanted, measured, met, most))

    for unit in results["units"]:
        for entry in unit["figures"]:
            mine, peer = rate(unit, entry, "ours"), better_peer(unit, entry)
            wanted = {"train": 1.5, "prefill": 1.5, "decode": 2.5}[entry]
            if unit["model"] == "tiny":
                wanted = 5 if entry == "train" else None
            if wanted and mine and peer:
                most = bound(unit, entry, results["machine"]) / peer
                what = f"{unit['model']}, {unit['dtype']}, {unit['threads']} threads, {entry}"
                add(f"{what}: times the better PyTorch", wanted, mine / peer, most=most)
    for dtype in ("f32", "bf16"):
        one, two = (find(results, "320m, 4 layers", dtype, n) for n in (1, 2))
        for entry in ("train", "prefill"):
            if one and two and rate(one, entry, "ours") and rate(two, entry, "ours"):
                gain = rate(two, entry, "ours") / rate(one, entry, "ours")
                add(f"320m, 4 layers, {dtype}, {entry}: gain by a second thread", 1.85, gain)
        if one and rate(one, "decode", "ours"):
            reached = rate(one, "decode", "ours") / bound(one, "decode", results["machine"])
            add(f"320m, 4 layers, {dtype}, decode: share of read bandwidth", 0.9, reached)
    for name, product in results.get("products", {}).items():
        if "TransXSSM" in product["rates"]:
            share = product["rates"]["TransXSSM"] / results["product_peak"]
            add(f"product {name}: share of FMA peak", 0.88, share)
    for name, wanted in (("320m", 20), ("tiny", 3)):
        if name in results.get("compile", {}):
            seconds = results["compile"][name]["seconds"]
            add(f"compiling {name}, every entry: seconds", wanted, seconds, low=False)
    return made


def goal_table(results):
    rows = [
        [
            *(what, f"{wanted:g}", f"{measured:.2f}", f"{most:.2f}" if most else "-"),
            "met" if met else "**missed**",
        ]
        for what, wanted, measured, met, most in goals(results)
    ]
    return table(["what", "wanted", "measured", "bound allows", ""], rows)


def product_table(results):
    rows = []
    names = ("TransXSSM", "OpenBLAS (NumPy)", "oneDNN", "PyTorch (MKL)")
    for name, product in results.get("products", {}).items():
        cells = [
            f"{product['rates'][n] / 1e9:.1f}" if n in product["rates"] else "-" for n in names
        ]
        mine = product["rates"].get("TransXSSM", 0) / results["product_peak"]
        rows.append([name, " x ".join(map(str, product["shape"])), *cells, f"{mine:.2f}"])
    return table(["product", "M x K x N", *names, "ours / FMA peak"], rows)


def quiet_share(results):
    """How much of the clock's time our one-thread calls had the processor, at the median."""
    shares = []
    for unit in results["units"]:
        for ways in unit["figures"].values():
            ours = ways.get("ours", {})
            if unit["threads"] == 1 and "seconds" in ours:
                shares.append(sum(ours["processor_seconds"]) / sum(ours["seconds"]))
    return median(shares) if shares else 1


def headline(results):
    machine = results["machine"]
    peaks = {}
    for unit in results["units"]:
        made = unit["ceilings"]
        peaks[unit["threads"]] = (
            f"{unit['threads']} threads: {made['flops_per_second'] / 1e9:.0f} GFLOP/s in float32, "
            f"{made['bf16_flops_per_second'] / 1e9:.0f} in bf16, "
            f"{made['bytes_read_per_second'] / 1e9:.1f} GB/s read"
        )
    return (
        f"{results['date']}, {machine['cpu']} ({machine['isa']}, {machine['processors']} "
        f"processors), commit {machine['commit']}, PyTorch {results.get('torch', 'not run')}. "
        f"Ceilings, measured in between: {'; '.join(peaks.values())}. While one thread worked it "
        f"had {100 * quiet_share(results):.0f} % of a processor (below 95: the machine was "
        f"busy); figures are by the {results['clock']}'s time."
    )


def measured_section(results):
    header = [
        "model",
        "type",
        "threads",
        "entry",
        *WAYS.values(),
        "ours / better",
        "bound",
        "share",
    ]
    parts = [
        headline(results),
        "",
        "Tokens per second: median (10th .. 90th percentile) of calls in turns. Bound: what the "
        "products of the model at the measured peak of their type and, in decoding, its weights "
        "and cache at the measured read bandwidth allow. Decoding is one step of each sequence "
        "(tiny: 4 x 256, 320m: 1 x 1024) behind all but one token. The PyTorch model is "
        "`bench/gpu/torch_model.py`, checked against a golden; torch.compile gets it layer by "
        "layer. In bf16 its weights, gradients and moments are all bf16, where ours keep float32 "
        "masters, and it widens the weights to float32 in each call where that is faster for it "
        "(many rows on a processor without instructions for bf16).",
        "",
        table(header, speed_rows(results)),
        "",
        "![tokens a second beside PyTorch](images/bench-speed.svg)",
    ]
    if results.get("products"):
        parts += ["", "Single products, float32, one thread, GFLOP/s; ours as the model's kernels, "
                  "with all that is fused into them:", "", product_table(results)]  # fmt: skip
    parts += ["", "What the project wants of this:", "", goal_table(results)]
    return "\n".join(parts)


def speed_picture(results):
    """Tokens a second in units of the better PyTorch, for most threads."""
    groups = {}
    threads = max((u["threads"] for u in results["units"]), default=1)
    for unit in results["units"]:
        for entry in unit["figures"] if unit["threads"] == threads else ():
            peer = better_peer(unit, entry)
            found = {name: rate(unit, entry, way) for way, name in WAYS.items()}
            found["bound"] = bound(unit, entry, results["machine"])
            if peer and unit["model"] != "tiny":
                values = {name: r / peer for name, r in found.items() if r}
                whole = "" if "layers" in unit["model"] else "\nwhole model"
                groups[f"{entry}\n{unit['dtype']}{whole}"] = values
    title = f"Tokens a second beside the better PyTorch, 320M width, {threads} threads"
    return picture.bars(title, groups, "times")


def replace_section(document, name, title, body, maker="bench/cpu_bench"):
    """The document with the generated section of that name replaced, or added to its end."""
    begin, end = f"<!-- {name}: made by {maker} -->", f"<!-- end of {name} -->"
    section = f"{begin}\n## {title}\n\n{body}\n{end}"
    before, found, rest = document.partition(begin)
    if not found:
        return document.rstrip("\n") + "\n\n" + section + "\n"
    _, closed, after = rest.partition(end)
    return before + section + (after if closed else "\n")


def save(kind, results, title, body, pictures, options, maker="bench/cpu_bench"):
    """Appends the figures to the history and writes document and pictures."""
    record = {"kind": kind} | results
    with open(options.history, "a") as history:
        history.write(json.dumps(record) + "\n")
    document = options.document
    text = document.read_text() if document.exists() else "# Benchmarks\n"
    document.write_text(replace_section(text, kind, title, body, maker))
    images = document.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, drawn in pictures.items():
        (images / name).write_text(drawn)
