"""Times the same model in PyTorch. Run as a process by turns.Worker, in bench's environment."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import json  # noqa: E402
import os  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from gpu import peers, torch_model  # noqa: E402

from cpu import worker  # noqa: E402

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def widening_is_faster(width, rows):
    """Whether bf16 products of so many rows are faster in float32, widening included."""
    x, w = (torch.randn(n, width, dtype=torch.bfloat16) for n in (rows, width))
    ways = (
        lambda: torch.nn.functional.linear(x, w),
        lambda: torch.nn.functional.linear(x.float(), w.float()),
    )
    with torch.no_grad():
        native, widened = (min(worker.timed(way, way)[0] for _ in range(2)) for way in ways)
    return widened < native


class Torch(worker.Jobs):
    def verify(self):
        """How far the PyTorch model is from a golden."""
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        errors = peers.golden_errors(torch, torch_model, "cpu")
        return {"torch": torch.__version__, "errors": errors}

    def open(self, key, config, dtype, batch, seq, way, entries):
        """Jobs "KEY/WAY/ENTRY".

        Without instructions for bf16, PyTorch multiplies many rows of it ten and more times
        slower than float32, and one row of it faster than it widens the weights. Weights are bf16
        and widened in each call where that is the faster way for so many rows.
        """
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        config = json.loads(Path(config).read_text())
        weights = torch_model.random_weights(config, "cpu", TYPES[dtype])
        # Layer by layer: as fast, and compiled once for each kind of layer.
        made = torch.compile if way == "compile" else (lambda f, **_: f)
        self.each = made(torch_model.block, dynamic=False)
        self.end = made(torch_model.loss_at_end, dynamic=False)
        generator = torch.Generator().manual_seed(1)
        ids = torch.randint(0, config["vocab_size"], (batch, seq), generator=generator)
        table = torch_model.rope_table(config, seq, "cpu")
        for entry in entries:
            rows = batch * (1 if entry == "decode" else seq)
            self.widens = dtype == "bf16" and widening_is_faster(config["hidden_size"], rows)
            self.type = torch.float32 if self.widens else TYPES[dtype]
            work = getattr(self, entry)(config, weights, ids, table)
            self.jobs[f"{key}/{way}/{entry}"] = ((lambda: None), work)

    def usage(self):
        """What to do with the weights in each call of the entry that is being opened."""
        if not self.widens:
            return lambda weights: weights
        return lambda weights: {name: values.float() for name, values in weights.items()}

    def train(self, config, weights, ids, table):
        used = self.usage()
        optimizer = torch.optim.AdamW(weights.values(), lr=1e-4, fused=True)

        def work():
            optimizer.zero_grad()
            parts = {"each": self.each, "end": self.end}
            torch_model.loss_of(used(weights), config, ids, table, **parts).backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimizer.step()

        return work

    def prefill(self, config, weights, ids, table):
        used = self.usage()

        def work():
            with torch.no_grad():
                torch_model.forward(used(weights), config, ids, table, last=True, each=self.each)

        return work

    def decode(self, config, weights, ids, table):
        """One token behind the others, again and again."""
        past = ids.shape[1] - 1
        cache = torch_model.empty_cache(config, len(ids), ids.shape[1], "cpu", self.type)
        line = tuple(part[-1:] for part in table)
        token = ids[:, -1:].contiguous()
        used = self.usage()

        def work():
            with torch.no_grad():
                torch_model.decode(used(weights), config, token, line, cache, past, each=self.each)

        return work

    def products(self, shapes):
        """Jobs "LIBRARY/NAME" of x [M, K] times w [N, K] transposed."""
        for name, (m, k, n) in shapes.items():
            x, w = torch.randn(m, k), torch.randn(n, k)
            self.jobs[f"PyTorch (MKL)/{name}"] = (
                lambda: None,
                lambda x=x, w=w: torch.nn.functional.linear(x, w),
            )
            packed = torch.ops.mkldnn._reorder_linear_weight(w, m)
            self.jobs[f"oneDNN/{name}"] = (
                lambda: None,
                lambda x=x, p=packed: torch.ops.mkldnn._linear_pointwise(
                    x, p, None, "none", [], ""
                ),
            )
            a, b = x.numpy(), np.ascontiguousarray(w.numpy())
            self.jobs[f"OpenBLAS (NumPy)/{name}"] = (lambda: None, lambda a=a, b=b: a @ b.T)


if __name__ == "__main__":
    worker.serve(Torch())
