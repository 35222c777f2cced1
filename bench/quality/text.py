"""Real text, byte by byte: a stretch to train on and two behind it to judge by."""

import sys

import numpy as np

from quality.common import ROOT, digest

sys.path.insert(0, str(ROOT / "tools"))
import demo  # noqa: E402

# Bytes of a held-out stretch: a twentieth of the text, at most so many.
MOST = {"validation": 16 << 10, "test": 64 << 10}


def read(path):
    """The user's file, or what ./dev demo trains on."""
    return path.read_bytes() if path else demo.king_james().encode()


def split(data):
    """Train, validation and test, in this order in the text; no byte is in two of them."""
    held = {name: min(len(data) // 20, most) for name, most in MOST.items()}
    second = len(data) - held["test"]
    first = second - held["validation"]
    return {"train": data[:first], "validation": data[first:second], "test": data[second:]}


def windows(length, seq):
    """Starts of windows of `seq` bytes that overlap by one: each byte but the first is predicted
    once, from those before it in its window. What does not fill a window is left out."""
    return range(0, length - seq + 1, seq - 1)


def bits(logits, targets):
    """-log2 of the probability of each target; logits [..., V]."""
    most = logits.max(-1)
    total = np.log(np.exp(logits - most[..., None]).sum(-1, dtype=np.float64)) + most
    found = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    return (total - found) / np.log(2)


class Text:
    """Batches of random windows, the same for every family, and bits per byte."""

    higher_is_better = False
    unit = "bits per byte"

    def __init__(self, settings, data):
        if digest(data) != settings["data"]:
            raise ValueError(f"text: expected digest {settings['data']}, got {digest(data)}")
        self.settings = settings
        self.batch_limit, self.seq_limit = settings["batch"], settings["seq"]
        self.parts = {name: np.frombuffer(part, np.uint8) for name, part in split(data).items()}
        least = min(len(part) for part in self.parts.values())
        if least < self.seq_limit:
            raise ValueError(
                f"text: expected at least {20 * self.seq_limit} bytes, got {len(data)}"
            )

    def take(self, part, starts):
        return part[np.asarray(starts)[:, None] + np.arange(self.seq_limit)].astype(np.int32)

    def batch(self, seed, step):
        """Label t is the target of position t - 1, so labels are the ids."""
        train = self.parts["train"]
        generator = np.random.default_rng([4, seed, step])
        starts = generator.integers(0, len(train) - self.seq_limit + 1, self.batch_limit)
        ids = self.take(train, starts)
        return ids, ids

    def evaluate(self, model, name):
        part, total, count = self.parts[name], 0.0, 0
        starts = windows(len(part), self.seq_limit)
        for first in range(0, len(starts), self.batch_limit):
            ids = self.take(part, starts[first : first + self.batch_limit])
            total += float(bits(model.forward(ids)[:, :-1], ids[:, 1:]).sum())
            count += ids[:, 1:].size
        # A model that left the numbers behind is worse than any.
        return {"bits": total / count if np.isfinite(total) else np.inf}

    @staticmethod
    def score(evaluation):
        return evaluation["bits"]
