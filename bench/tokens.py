#!/usr/bin/env python3
"""Tokens per second of training, prefill and decode on this CPU, into docs/benchmarks.md.

Compiles configs/tiny.json and four layers of configs/320m.json (three state-space, one
attention) and runs `transxssm-run bench` on each: medians over some calls after a warm-up, with
the range from the tenth to the ninetieth percentile, random weights and tokens.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / os.environ.get("TRANSXSSM_BUILD_DIR", "build") / "bin"


def four_layers(folder):
    """Four layers as wide as the 320M model; every fourth one is attention."""
    config = json.loads((ROOT / "configs/320m.json").read_text())
    config |= {"num_hidden_layers": 4, "attn_layer_period": 4, "attn_layer_offset": 3}
    path = Path(folder) / "320m-4.json"
    path.write_text(json.dumps(config))
    return path


def measure(name, config, folder, batch, seq, threads, iterations, dtype):
    package = Path(folder) / f"{name}-{dtype}.txpkg"
    if not package.exists():
        compile_command = [BIN / "transxssm-compile", config, "-o", package, "-q"]
        compile_command += ["--dtype", dtype]
        limits = ["--max-batch", str(batch), "--max-seq-len", str(seq)]
        subprocess.run(compile_command + limits, check=True)
    bench = [BIN / "transxssm-run", "bench", package, "--json", "--threads", str(threads)]
    sizes = ["--batch", str(batch), "--seq-len", str(seq), "--iterations", str(iterations)]
    done = subprocess.run(
        bench + sizes + ["--entry", "train,prefill,decode"], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def row(name, result):
    cells = [*name, f"{result['batch']} x {result['seq_len']}", str(result["threads"])]
    for entry in result["results"]:
        tokens = entry["tokens_per_call"]
        low, high = tokens / entry["seconds_p90"], tokens / entry["seconds_p10"]
        cells.append(f"{entry['tokens_per_second']:,.0f} ({low:,.0f} .. {high:,.0f})")
    return "| " + " | ".join(cells) + " |"


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=5, help="calls a figure [5]")
    parser.add_argument(
        "--dtype", default="f32,bf16", help="types of weights and activations [f32,bf16]"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks.md")
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    isa = "AVX-512" if "avx512f" in Path("/proc/cpuinfo").read_text() else "AVX2"
    lines = [
        "# Benchmarks",
        "",
        f"{datetime.date.today()}, {cpu_name()} ({isa}), commit {commit}.",
        "Tokens per second: median (10th .. 90th percentile) of "
        f"{options.iterations} calls; decode is one sequence step after seq - 1 tokens.",
        "Made by `bench/tokens.py`.",
        "",
        "| model | type | batch x seq | threads | train | prefill | decode |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        models = [("tiny", ROOT / "configs/tiny.json", 4, 256), ("320m, 4 layers", None, 1, 1024)]
        for name, config, batch, seq in models:
            config = config or four_layers(folder)
            for dtype in options.dtype.split(","):
                for threads in (1, 2):
                    result = measure(
                        name, config, folder, batch, seq, threads, options.iterations, dtype
                    )
                    lines.append(row((name, dtype), result))
                    print(lines[-1], file=sys.stderr)
    # What is written by hand stays: sections of their own.
    written = options.out.read_text() if options.out.exists() else ""
    _, heading, notes = written.partition("\n## ")
    options.out.write_text("\n".join(lines) + "\n" + heading + notes)


if __name__ == "__main__":
    main()
