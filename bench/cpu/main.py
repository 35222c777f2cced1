"""The command line of bench/cpu_bench."""

import argparse
import sys
from pathlib import Path

from cpu import report
from cpu.measure import ENTRIES, MODELS

TEXT = """\
Speed on this processor.

  bench/cpu_bench measure            ours beside PyTorch, products beside OpenBLAS and oneDNN,
                                     ceilings of the machine, compile time: 11 minutes, and
                                     some more for torch.compile when it runs the first time
  bench/cpu_bench measure --quick    the small model alone, in float32: two minutes
  bench/cpu_bench headline           hybrid beside Transformer at 4,096 tokens, beside the paper's
                                     percentages: some minutes
  bench/cpu_bench growth             cost and memory as sequences grow: ten minutes
  bench/cpu_bench compare A.txpkg B.txpkg    two builds of one model

What is compared runs in turns in one go, so that a busy moment of the machine meets all of it.
PyTorch lives in an environment of its own, build-bench/, made at the first call. Figures are
appended to bench/results.jsonl, tables and pictures go to docs/benchmarks.md.
"""


def words(allowed):
    """A list by commas; names with a comma in them are written with '-'."""
    slugs = {name.replace(", ", "-").replace(" layers", ""): name for name in allowed}

    def read(text):
        chosen = [word for word in text.split(",") if word]
        for word in chosen:
            if word not in slugs:
                raise argparse.ArgumentTypeError(
                    f"expected some of {', '.join(slugs)}, got {word!r}"
                )
        return [slugs[word] for word in chosen]

    return read


def positive(kind):
    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not value > 0:
            raise argparse.ArgumentTypeError(f"expected a positive number, got {text!r}")
        return value

    return read


def add_outputs(parser):
    parser.add_argument("--history", type=Path, default=report.HISTORY, help="figures as JSON")
    parser.add_argument("--document", type=Path, default=report.DOCUMENT, help="tables")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")


def add_measure(commands):
    parser = commands.add_parser("measure", help="ours, PyTorch and the machine's ceilings")
    parser.add_argument("--quick", action="store_true", help="tiny, f32, two minutes")
    parser.add_argument(
        "--minutes", type=positive(float), help="at most, about; what is left over shortens [11]"
    )
    parser.add_argument("--models", type=words(MODELS), help="tiny,320m-4,320m [all]")
    parser.add_argument("--dtypes", type=words(("f32", "bf16")), help="[f32,bf16]")
    parser.add_argument("--threads", type=lambda t: [positive(int)(n) for n in t.split(",")])
    parser.add_argument("--entries", type=words(ENTRIES), default=list(ENTRIES))
    parser.add_argument("--ways", type=words(("eager", "compile")), default=["eager", "compile"])
    parser.add_argument("--without-torch", action="store_true", help="our figures alone")
    parser.add_argument(
        "--compile-limit", type=positive(float), default=240, help="seconds for torch.compile [240]"
    )
    parser.add_argument(
        "--by",
        choices=("clock", "processor"),
        default="clock",
        help="whose time the tables are by; the processor's is steadier on a busy machine, but "
        "counts threads that wait for others as busy [clock]",
    )
    parser.add_argument("--rounds", type=positive(int), default=5, help="turns of each [5]")
    parser.add_argument("--turn", type=positive(float), default=0.5, help="seconds of one [0.5]")
    parser.add_argument("--most", type=positive(int), default=50, help="calls of one turn [50]")
    add_outputs(parser)


def add_compare(commands):
    parser = commands.add_parser("compare", help="packages of one model side by side")
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--entries", type=words(ENTRIES), default=list(ENTRIES))
    parser.add_argument("--rounds", type=positive(int), default=5)
    parser.add_argument("--threads", type=positive(int), default=1)
    parser.add_argument("--batch", type=positive(int), default=1)
    parser.add_argument("--seq-len", type=positive(int), default=256)


def add_families(commands):
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--layers", type=positive(int), default=8, help="[8]")
    shared.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    shared.add_argument("--threads", type=positive(int), default=2, help="[2]")
    add_outputs(shared)
    text = "hybrid, Transformer and SSM at one length"
    parser = commands.add_parser("headline", parents=[shared], help=text)
    parser.add_argument("--seq-len", type=positive(int), default=4096, help="[4096]")
    parser.add_argument("--rounds", type=positive(int), default=3, help="[3]")
    text = "cost as sequences grow, from 512 tokens by doubling"
    parser = commands.add_parser("growth", parents=[shared], help=text)
    parser.add_argument("--seq-len", type=positive(int), default=32768, help="the longest [32768]")
    parser.add_argument("--minutes", type=positive(float), default=10, help="at most, about [10]")


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="bench/cpu_bench",
        description=TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add_measure(commands)
    add_compare(commands)
    add_families(commands)
    options = parser.parse_args(arguments)
    if options.command == "measure":
        quick = options.quick
        options.minutes = options.minutes or (2 if quick else 11)
        options.models = options.models or (["tiny"] if quick else list(MODELS))
        options.dtypes = options.dtypes or (["f32"] if quick else ["f32", "bf16"])
        options.threads = options.threads or ([1] if quick else [1, 2])
        options.ways = [] if options.without_torch else options.ways
    return options


def main():
    options = parse()
    # PyTorch's environment and processes are only needed from here on.
    from cpu import compare, growth, headline, measure

    work = {"measure": measure.measure, "compare": compare.compare}
    work |= {"headline": headline.headline, "growth": growth.growth}
    try:
        return work[options.command](options)
    except (OSError, RuntimeError, ValueError) as why:
        print(f"cpu_bench: error: {why}", file=sys.stderr)
        return 1
