"""A vocabulary of more than one slab that slabs do not divide, on the simulator of a GPU."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import transxssm

GOLDENS = Path(os.environ["TRANSXSSM_GOLDENS"])
VOCABULARY = 2100  # one slab of 2,048 and 52 entries more

pytestmark = pytest.mark.skipif(
    not os.environ.get("TRANSXSSM_COMPILE"), reason="this build has no compiler"
)


@pytest.fixture(scope="module")
def config():
    config = json.loads((GOLDENS / "ssm-tiny" / "config.json").read_text())
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    return config | sizes | {"vocab_size": VOCABULARY, "num_hidden_layers": 1}


@pytest.mark.parametrize(
    ("dtype", "bound", "architecture"),
    [("f32", 1e-5, "sm_80"), ("bf16", 0.02, "sm_80"), ("bf16", 0.02, "sm_90a")],
)
def test_gradients_are_those_of_a_processor(config, tmp_path, dtype, bound, architecture):
    ids = np.random.default_rng(5).integers(VOCABULARY - 200, VOCABULARY, (1, 20))
    made = []
    for device, options in (
        ("cpu", {}),
        ("sim", {"target": "sim", "gpu_arch": architecture}),
    ):
        package = transxssm.compile(
            config,
            tmp_path / f"{device}.txpkg",
            entries="train",
            dtype=dtype,
            max_batch=1,
            max_seq_len=32,
            **options,
        )
        model = transxssm.load(package, seed=7, device=device)
        made.append(model.gradients(ids, ids))
    (loss, gradients), (simulated_loss, simulated) = made
    assert simulated_loss == pytest.approx(loss, rel=1e-5)
    for name, expected in gradients.items():
        error = np.linalg.norm(simulated[name] - expected) / np.linalg.norm(expected)
        assert error <= bound, name
