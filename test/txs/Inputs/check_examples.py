"""Fails for each documented example that the test file does not contain.

Usage: check_examples.py OPS.td OPS.mlir INVALID.mlir

Also fails for an operation without an example (a terminator is shown by its
parent), and for a constraint label that INVALID.mlir does not expect.
"""

import re
import sys


def normalise(text):
    return " ".join(text.split())


def main():
    definitions = open(sys.argv[1]).read()
    tested = normalise(open(sys.argv[2]).read())
    invalid = open(sys.argv[3]).read()
    problems = []
    operations = re.findall(
        r'^def Txs_\w+ : Txs_(?:Forward)?Op<"(\w+)"(.*?)^}', definitions, re.M | re.S
    )
    for name, body in operations:
        examples = re.findall(r"```mlir\n(.*?)```", body, re.S)
        if not examples and "Terminator" not in body:
            problems.append(f"txs.{name} has no example")
        for example in examples:
            # An example of several statements may be split over functions.
            for part in re.split(r"\n(?= {4}%)", "\n" + example):
                if normalise(part) not in tested:
                    problems.append(f"example of txs.{name} is not in the test")
    for label in re.findall(r"^    - \((\w+_c\d+)\)", definitions, re.M):
        if not re.search(rf"expected-error .*\({label}\)", invalid):
            problems.append(f"constraint {label} has no expected-error")
    print("\n".join(problems) or f"{len(operations)} operations are in step")
    sys.exit(bool(problems))


main()
