"""Fails for each documented example that the test file does not contain.

Usage: check_examples.py OPS.td OPS.mlir INVALID.mlir

Also fails for an operation without an example of its own or "see" another's, and
for a constraint label that INVALID.mlir does not expect.
"""

import re
import sys


def normalise(text):
    """Without comments and line breaks."""
    return " ".join(re.sub(r"^\s*//.*$", "", text, flags=re.M).split())


def main():
    definitions = open(sys.argv[1]).read()
    tested = normalise(open(sys.argv[2]).read())
    invalid = open(sys.argv[3]).read()
    problems = []
    operations = re.findall(
        r'^def (\w+?)_\w+ : \w+?_(?:Forward)?Op<"(\w+)"(.*?)^}', definitions, re.M | re.S
    )
    for dialect, operation, body in operations:
        name = f"{dialect.lower()}.{operation}"
        examples = re.findall(r"```mlir\n(.*?)```", body, re.S)
        if not examples and not re.search(r"Example: see `\w+\.\w+`", body):
            problems.append(f"{name} has no example")
        for example in examples:
            # An example of several statements may be split over functions.
            for part in re.split(r"\n(?= {4}%)", "\n" + example):
                if normalise(part) not in tested:
                    problems.append(f"example of {name} is not in the test")
    for label in re.findall(r"^    - \((\w+_c\d+)\)", definitions, re.M):
        if not re.search(rf"expected-error\b.*\({label}\)", invalid):
            problems.append(f"constraint {label} has no expected-error")
    print("\n".join(problems) or f"{len(operations)} operations are in step")
    sys.exit(bool(problems))


main()
