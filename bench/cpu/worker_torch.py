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


class Torch(worker.Jobs):
    def verify(self):
        """How far the PyTorch model is from a golden."""
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        errors = peers.golden_errors(torch, torch_model, "cpu")
        return {"torch": torch.__version__, "errors": errors}

    def open(self, key, config, dtype, batch, seq, ways, entries):
        """Jobs "KEY/WAY/ENTRY"."""
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        config = json.loads(Path(config).read_text())
        weights = torch_model.random_weights(config, "cpu", TYPES[dtype])
        generator = torch.Generator().manual_seed(1)
        ids = torch.randint(0, config["vocab_size"], (batch, seq), generator=generator)
        table = torch_model.rope_table(config, seq, "cpu")
        for way in ways:
            make = torch.compile if way == "compile" else (lambda f: f)
            for entry in entries:
                job = getattr(self, entry)(make, config, weights, ids, table, TYPES[dtype])
                self.jobs[f"{key}/{way}/{entry}"] = ((lambda: None), job)

    def close(self):
        self.jobs = {}
        torch._dynamo.reset()

    def train(self, make, config, weights, ids, table, _):
        loss_of = make(torch_model.loss_of)
        optimizer = torch.optim.AdamW(weights.values(), lr=1e-4, fused=True)

        def work():
            optimizer.zero_grad()
            loss_of(weights, config, ids, table).backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimizer.step()

        return work

    def prefill(self, make, config, weights, ids, table, _):
        forward = make(torch_model.forward)

        def work():
            with torch.no_grad():
                forward(weights, config, ids, table, last=True)

        return work

    def decode(self, make, config, weights, ids, table, dtype):
        """One token behind the others, again and again."""
        step, past = make(torch_model.decode), ids.shape[1] - 1
        cache = torch_model.empty_cache(config, len(ids), ids.shape[1], "cpu", dtype)
        line = tuple(part[-1:] for part in table)

        def work():
            with torch.no_grad():
                step(weights, config, ids[:, -1:], line, cache, past)

        return work

    def products(self, shapes):
        """Jobs "LIBRARY/NAME" of x [M, K] times w [N, K] transposed."""
        for name, (m, k, n) in shapes.items():
            x, w = torch.randn(m, k), torch.randn(n, k)
            self.jobs[f"PyTorch (MKL)/{name}"] = (
                lambda: None,
                lambda x=x, w=w: torch.nn.functional.linear(x, w),
            )
            packed = torch.ops.mkldnn._reorder_linear_weight(w.to_mkldnn(), m)
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
