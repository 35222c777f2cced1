"""The sample package through the Python module, and the same model in NumPy."""

import os
from pathlib import Path

import numpy as np
import pytest
import transxssm

SAMPLES = Path(os.environ["TRANSXSSM_SAMPLES"])


@pytest.fixture(scope="session")
def package():
    return transxssm.Package(str(SAMPLES / "sample.txpkg"))


@pytest.fixture
def model(package):
    """The sample model with weights large enough to matter."""
    model = transxssm.load(package, seed=3, threads=2)
    for name in model.parameter_names():
        model.parameter(name)[...] *= 50
    return model


@pytest.fixture
def ids():
    return np.random.default_rng(1).integers(0, 256, (3, 17))


def sample_logits(state, ids):
    """logits[t] = current[id[t]] + before[id[t - 1]], in float64."""
    logits = state["current.weight"].astype(np.float64)[ids]
    logits[:, 1:] += state["before.weight"][ids[:, :-1]]
    return logits


def sample_gradients(state, ids, labels):
    """Mean loss and gradients of the shifted cross entropy."""
    logits = sample_logits(state, ids)
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    gradients = {name: np.zeros((256, 256)) for name in state}
    targets = [
        (b, t) for b in range(len(ids)) for t in range(1, ids.shape[1]) if labels[b, t] != -100
    ]
    loss = 0.0
    for b, t in targets:
        row = probabilities[b, t - 1].copy()
        loss -= np.log(row[labels[b, t]]) / len(targets)
        row[labels[b, t]] -= 1
        gradients["current.weight"][ids[b, t - 1]] += row / len(targets)
        if t >= 2:
            gradients["before.weight"][ids[b, t - 2]] += row / len(targets)
    return loss, gradients
