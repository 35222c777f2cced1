#!/usr/bin/env python3
"""Tokens per second of packages side by side: runs that take turns, and their medians.

Two builds of the compiler make two packages of one model; this says which one is faster, also
on a machine that does other things meanwhile: beside the time on the clock it gives the
processor time of a call, which is the difference between a run of many calls and a run of one.
"""

import argparse
import json
import resource
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def bench(options, package, entry, calls):
    before = processor_seconds()
    command = [options.runner, "bench", package, "--json", "--entry", entry]
    command += ["--batch", str(options.batch), "--seq-len", str(options.seq_len)]
    command += ["--threads", str(options.threads), "--iterations", str(calls)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return processor_seconds() - before, json.loads(done.stdout)["results"][0]


def measure(options, package, entry, calls):
    """Tokens a second, and tokens a second of processor time."""
    alone, _ = bench(options, package, entry, 1)
    together, result = bench(options, package, entry, 1 + calls)
    seconds = max(together - alone, 1e-9) / calls
    return result["tokens_per_second"], result["tokens_per_call"] / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--entries", default="train:1,prefill:3,decode:20", help="with calls a run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--runner", type=Path, default=ROOT / "build/bin/transxssm-run")
    options = parser.parse_args()
    for item in options.entries.split(","):
        entry, calls = item.split(":")
        figures = {package: [] for package in options.packages}
        for turn in range(options.rounds):
            order = options.packages if turn % 2 == 0 else options.packages[::-1]
            for package in order:
                figures[package].append(measure(options, package, entry, int(calls)))
        for package, values in figures.items():
            clock, processor = (statistics.median(column) for column in zip(*values, strict=True))
            print(
                f"{entry:8} {package.name:24} {clock:10,.0f} tok/s {processor:10,.0f} by CPU time"
            )


if __name__ == "__main__":
    main()
