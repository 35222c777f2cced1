"""How fast products are with small tiles: measured on a GPU, written into the compiler's table.

The same product is compiled with tiles of 128 x 128 and of 64 x 64. Its rate is the time with
large ones over that with small ones; the table, passes/tiling/GpuRates.inc, has it for each
architecture.
"""

import json
import os
import re

from gpu.common import ROOT

TABLE = ROOT / "passes/tiling/GpuRates.inc"
TILES = ("large", "small")
LINE = re.compile(r'\{"(?P<arch>\w+)", (?P<count>\d+), (?P<rate>[\d.]+), "(?P<source>[^"]*)"\},')

# What lies beyond is a mistake of the measurement.
LEAST, MOST = 0.05, 4.0

# One state-space layer. Its last product has 8,192 x 4,096 results over 1,024 elements: 2,048 large
# tiles, 19 waves of 108 multiprocessors or 16 of 132, and 8,192 small ones, 76 or 63 waves. What
# the last waves leave idle, at most 3 %, is much the same for both: 1.5 % of the rate at most.
MODEL = {"hidden_size": 4096, "intermediate_size": 1024, "num_attention_heads": 32}
SMOKE = {"hidden_size": 128, "intermediate_size": 64, "num_attention_heads": 2}


def config(smoke):
    made = json.loads((ROOT / "configs/320m.json").read_text())
    made |= {"num_hidden_layers": 1, "attn_layer_period": 2, "attn_layer_offset": 1}
    made |= {"vocab_size": 64, "rope_scaling": None}
    return made | (SMOKE if smoke else MODEL)


def product(smoke):
    """The product that is timed: rows, elements summed up, columns, type."""
    shape = SMOKE if smoke else MODEL
    rows, dtype = (16, "f32") if smoke else (8192, "bf16")
    return rows, shape["intermediate_size"], shape["hidden_size"], dtype


def kernel(tiles, smoke):
    """As the compiler calls it."""
    _, inner, columns, dtype = product(smoke)
    kind = "linear_small" if tiles == "small" else "linear"
    return f"{kind}_k{inner}{'' if dtype == 'f32' else '_' + dtype}_n{columns}_residual"


def architecture(capability, archs):
    """The table's name for a GPU: with an "a" where packages have code for it alone."""
    own = f"sm_{capability}a"
    return own if own in archs.split(",") else f"sm_{capability}"


def seconds_of(session, tiles):
    """One launch of the product, on average over the launches of some calls."""
    smoke = session.options.smoke
    package = session.folder / "rates" / tiles / "gpu.txpkg"
    if not package.is_file():
        raise RuntimeError(f"the product with {tiles} tiles did not compile")
    command = ["bench", package, "--device", session.device, "--json", "--entry", "prefill"]
    command += ["--batch", 1, "--seq-len", product(smoke)[0], "--profile"]
    command += ["--iterations", 1 if smoke else 10, "--warmup", 1 if smoke else 2]
    launched = session.program("transxssm-run", *command)["results"][0]["kernels"]
    for each in launched:
        if each["name"] == kernel(tiles, smoke):
            return each["seconds"] / each["launches"]
    names = ", ".join(each["name"] for each in launched)
    raise RuntimeError(f"expected a launch of {kernel(tiles, smoke)}, got {names}")


def measure(session):
    """In turns, the shortest of each: clocks move."""
    size = ["--bytes", 1 << 20, "--rounds", 1]
    facts = session.program("transxssm-gpu-check", "bandwidth", "--device", session.device, *size)
    seconds = {tiles: float("inf") for tiles in TILES}
    for _ in range(1 if session.options.smoke else 3):
        for tiles in TILES:
            seconds[tiles] = min(seconds[tiles], seconds_of(session, tiles))
    rows, inner, columns, dtype = product(session.options.smoke)
    return {
        "architecture": architecture(facts["capability"], session.manifest["archs"]),
        "multiprocessors": facts["multiprocessors"],
        "model": facts["model"],
        "product": {"shape": [rows, inner, columns], "dtype": dtype},
        "seconds": seconds,
        "small_tile_rate": seconds["large"] / seconds["small"],
    }


def measured(path):
    """The rates of a result of gpu_check, and when they were measured."""
    try:
        result = json.loads(path.read_text())
    except ValueError as why:
        raise RuntimeError(f"{path}: expected JSON of bench/gpu_check, got {why}") from why
    made = result.get("rates") if isinstance(result, dict) else None
    if not isinstance(made, dict):
        raise RuntimeError(f"{path}: expected the part 'rates', got none")
    for why in ("skipped", "failed"):
        if why in made:
            raise RuntimeError(f"{path}: expected measured rates, got {why}: {made[why]}")
    for key, kind in (
        ("architecture", str),
        ("multiprocessors", int),
        ("model", str),
        ("small_tile_rate", float),
    ):
        if not isinstance(made.get(key), kind):
            got = json.dumps(made.get(key))
            raise RuntimeError(f"{path}: rates.{key}: expected {kind.__name__}, got {got}")
    if not LEAST <= made["small_tile_rate"] <= MOST:
        got = made["small_tile_rate"]
        raise RuntimeError(f"{path}: expected a rate from {LEAST} to {MOST}, got {got}")
    return made, f"{made['model']}, {result.get('date')}, commit {result.get('commit')}"


def refilled(text, made, source, path, table):
    """The table's text with one line replaced."""
    lines = {found["arch"]: found for found in LINE.finditer(text)}
    line = lines.get(made["architecture"])
    if not line:
        known = ", ".join(lines) or "none"
        raise RuntimeError(f"{table}: no line for {made['architecture']} ({path}), only {known}")
    if int(line["count"]) != made["multiprocessors"]:
        raise RuntimeError(
            f"{path}: expected a GPU with {line['count']} multiprocessors, which {table.name} has"
            f" for {line['arch']}, got {made['multiprocessors']} ({made['model']})"
        )
    # It becomes a literal of C++.
    source = re.sub(r"[^A-Za-z0-9 .,:()/+-]", "_", source)
    new = f'{{"{line["arch"]}", {line["count"]}, {made["small_tile_rate"]:.3f}, "{source}"}},'
    return text[: line.start()] + new + text[line.end() :], line[0], new


def refill(path, table):
    made, source = measured(path)
    text, old, new = refilled(table.read_text(), made, source, path, table)
    beside = table.with_name(table.name + ".new")
    beside.write_text(text)
    os.replace(beside, table)
    print(f"{table}\n- {old}\n+ {new}")
    print("Build again; where products get other tiles, linear.mlir says up to how many rows.")
    return 0
