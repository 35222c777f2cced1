"""Times compiled packages through the Python module. Run as a process by turns.Worker."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402

from cpu import common, worker  # noqa: E402

sys.path.insert(0, str(common.BUILD / "python"))
import transxssm  # noqa: E402


class Ours(worker.Jobs):
    def open(self, key, package, batch, seq, threads, entries):
        """Jobs "KEY/ENTRY" of a package with random weights."""
        model = transxssm.load(package, threads=threads)
        generator = np.random.default_rng(1)
        ids = generator.integers(0, model.package.vocab_size, (batch, seq), dtype=np.int32)
        make = {"train": self.train, "prefill": self.prefill, "decode": self.decode}
        for entry in entries:
            self.jobs[f"{key}/{entry}"] = make[entry](model, ids)

    def close(self):
        self.jobs = {}

    def train(self, model, ids):
        trainer = transxssm.Trainer(model, lr=1e-4)
        return (lambda: None), (lambda: trainer.step(ids, ids))

    def prefill(self, model, ids):
        cache = model.new_cache(*ids.shape)
        return cache.reset, lambda: model.prefill(ids, cache)

    def decode(self, model, ids):
        """Steps behind all tokens but one, until the cache is full; then from there again."""
        capacity = min(ids.shape[1] + 63, model.package.max_seq_len)
        start = model.new_cache(ids.shape[0], capacity)
        if ids.shape[1] > 1:
            model.prefill(ids[:, :-1], start)
        at = [start.clone()]

        def before():
            if at[0].length == capacity:
                at[0] = start.clone()

        return before, lambda: model.decode(ids[:, -1:], at[0])


if __name__ == "__main__":
    worker.serve(Ours())
