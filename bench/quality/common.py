"""What the parts of bench/accuracy share."""

import hashlib
import json
import os
import sys

from cpu.common import BUILD, ENVIRONMENT, ROOT, python_with_numpy

FOLDER = ENVIRONMENT / "accuracy"

__all__ = ["BUILD", "FOLDER", "ROOT"]


def say(text):
    print(f"accuracy: {text}", file=sys.stderr, flush=True)


def digest(value):
    """A short name for settings, given as what JSON can hold, or for bytes."""
    if not isinstance(value, bytes):
        value = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(value).hexdigest()[:16]


def need_numpy():
    """Goes on in an interpreter that has NumPy, as ./dev build made one."""
    interpreter = str(python_with_numpy())
    if interpreter != sys.executable:
        os.execv(interpreter, [interpreter, *sys.argv])


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    """The standard deviation of what a sample was drawn from; None for a single value."""
    if len(values) < 2:
        return None
    middle = mean(values)
    return (sum((value - middle) ** 2 for value in values) / (len(values) - 1)) ** 0.5
