"""Packages of one model side by side, as two builds of the compiler make them."""

import time

from cpu import environment, turns
from cpu.common import median, quantile, say

CALLS = {"train": 3, "prefill": 10, "decode": 50}


def compare(options):
    """Medians by the clock and by processor time, which other processes disturb less."""
    variables = environment.variables(options.threads)
    # A process each, so that no package meets a heap that another one has shaped.
    workers = [turns.ours(variables) for _ in options.packages]
    try:
        for worker, package in zip(workers, options.packages, strict=True):
            request = {"batch": options.batch, "seq": options.seq_len, "threads": options.threads}
            entries = options.entries
            worker.ask("open", key="p", package=str(package), entries=entries, **request)
        for entry in options.entries:
            figures = [turns.Figure(worker, f"p/{entry}") for worker in workers]
            for figure in figures:
                figure.warm(600)
            end = time.monotonic() + 3600
            turns.rotate(
                figures, options.rounds, 1.0, CALLS[entry], lambda end=end: end - time.monotonic()
            )
            tokens = options.batch * (1 if entry == "decode" else options.seq_len)
            for package, figure in zip(options.packages, figures, strict=True):
                print(describe(entry, package, figure, tokens), flush=True)
    finally:
        for worker in workers:
            worker.end()
    say(f"{options.rounds} rounds, {options.threads} threads, {options.batch} x {options.seq_len}")
    return 0


def describe(entry, package, figure, tokens):
    if not figure.calls:
        return f"{entry:8} {package.name:24} {figure.failed}"
    clock, processor = zip(*figure.calls, strict=True)
    return (
        f"{entry:8} {package.name:24} {tokens / median(clock):10,.1f} tok/s "
        f"({tokens / quantile(clock, 0.9):,.1f} .. {tokens / quantile(clock, 0.1):,.1f}) "
        f"{tokens / median(processor):10,.1f} by processor time, {len(clock)} calls"
    )
