"""The command line of bench/gpu_check."""

import argparse
import sys
from pathlib import Path

from gpu import check, prepare, rates

TEXT = """\
On a machine that has the compiler:

  bench/gpu_check --prepare DIR            compiles goldens and models into DIR

On a machine with a GPU, with this repository and DIR, no LLVM:

  bench/gpu_check --packages DIR --out FILE.json

builds the runtime (or takes the programs that --prepare put into DIR), then in under ten minutes:
single kernels for each fragment, swizzle, operand order and box beside the simulator's answers;
every golden against the authors' numbers, with equal bits over repeated runs and CUDA graphs; every
launch of them beside the simulator's; the machine's ceilings; a product with large and with small
tiles; times of whole passes and of each kernel; the same model in PyTorch where that can be
imported. A part that cannot run says why.

  bench/gpu_check --refill FILE.json       writes the rate of small tiles into the compiler's table
"""


def main():
    parser = argparse.ArgumentParser(
        prog="bench/gpu_check",
        description=TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prepare", type=Path, metavar="DIR", help="compile into DIR")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="what --prepare made")
    parser.add_argument("--refill", type=Path, metavar="FILE", help="what --out wrote")
    parser.add_argument(
        "--table", type=Path, metavar="FILE", default=rates.TABLE, help="what --refill changes"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="all figures as JSON")
    parser.add_argument("--device", default="cuda:0", help="[cuda:0]")
    parser.add_argument(
        "--archs", default="sm_80,sm_90a", help="to prepare for, by commas [sm_80,sm_90a]"
    )
    parser.add_argument("--skip", default="", help=f"parts, by commas: {', '.join(check.PARTS)}")
    parser.add_argument("--budget", type=float, default=600, help="seconds for all parts [600]")
    parser.add_argument("--no-build", action="store_true", help="take the programs in DIR")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="tiny sizes, to test this script without a GPU: prepares for the tests' fake driver",
    )
    parser.add_argument("--bin", type=Path, help="programs of the compiler [build/bin]")
    options = parser.parse_args()
    if sum(map(bool, (options.prepare, options.packages, options.refill))) != 1:
        parser.error("expected one of --prepare DIR, --packages DIR and --refill FILE")
    unknown = set(filter(None, options.skip.split(","))) - set(check.PARTS)
    if unknown:
        parser.error(f"--skip: unknown parts {', '.join(sorted(unknown))}")
    try:
        if options.refill:
            return rates.refill(options.refill, options.table)
        return prepare.run(options) if options.prepare else check.run(options)
    except (OSError, RuntimeError, ValueError) as why:
        print(f"gpu_check: error: {why}", file=sys.stderr)
        return 2
