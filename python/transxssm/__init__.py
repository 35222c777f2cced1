"""Compile, train and run hybrid state-space/attention language models.

    import transxssm

    pkg = transxssm.compile("config.json", "m.txpkg", entries=("forward", "decode", "train"))
    model = transxssm.load(pkg, weights="checkpoint/")
    logits = model.forward(ids)                       # [B, T] -> float32 [B, T, V]
    tokens = model.generate(ids, max_new_tokens=32)   # [B, 32]
    trainer = transxssm.Trainer(model, lr=1e-3)
    loss, grad_norm, step = trainer.step(ids, ids)

Wrong arguments raise ValueError, everything else that stands in the way
RuntimeError, each with one line that states expected and actual values.
"""

from ._runtime import Package
from .compiler import compile
from .model import Cache, Model, StepResult, Trainer, load
from .tokenizer import ByteTokenizer, load_tokenizer

__all__ = [
    "ByteTokenizer",
    "Cache",
    "Model",
    "Package",
    "StepResult",
    "Trainer",
    "compile",
    "load",
    "load_tokenizer",
]
