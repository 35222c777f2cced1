"""The goldens end to end: compiled and run through the Python module.

Numbers were computed in float64 by the authors' model code; see test/goldens/data/README.md.
"""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import transxssm

GOLDENS = Path(os.environ["TRANSXSSM_GOLDENS"])
CASES = sorted(path.parent.name for path in GOLDENS.glob("*/config.json"))
TYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32}

pytestmark = pytest.mark.skipif(
    not os.environ.get("TRANSXSSM_COMPILE"), reason="this build has no compiler"
)


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], TYPES[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
    }, metadata


def relative_error(got, expected):
    assert got.shape == expected.shape
    return np.linalg.norm(got.astype(np.float64) - expected) / np.linalg.norm(expected)


class Golden:
    def __init__(self, name, package):
        self.folder = GOLDENS / name
        self.package = package
        self.expected, self.metadata = read_safetensors(self.folder / "expected.safetensors")
        self.ids = self.expected["input_ids"]
        self.labels = self.expected["labels"]
        self.mask = self.expected.get("attention_mask", np.ones_like(self.ids))

    def needs(self, name):
        if name not in self.expected:
            pytest.skip(f"{self.folder.name} has no {name}")

    def load(self, **options):
        return transxssm.load(self.package, weights=self.folder, **options)


@pytest.fixture(scope="module", params=CASES)
def golden(request, tmp_path_factory):
    folder = GOLDENS / request.param
    path = tmp_path_factory.mktemp(request.param) / "m.txpkg"
    return Golden(request.param, transxssm.compile(folder, path, max_batch=4, max_seq_len=256))


def test_logits(golden):
    logits = golden.load().forward(golden.ids, attention_mask=golden.mask)
    seen = golden.mask.astype(bool)
    assert relative_error(logits[seen], golden.expected["logits"][seen]) <= 1e-5


def test_threads_give_the_same_bits(golden):
    one, two = (golden.load(threads=n).forward(golden.ids, golden.mask) for n in (1, 2))
    assert np.array_equal(one, two)


def test_gradients(golden):
    loss, gradients = golden.load().gradients(golden.ids, golden.labels, golden.mask)
    assert loss == pytest.approx(golden.expected["loss"].item(), rel=1e-5)
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
    assert norm == pytest.approx(golden.expected["grad_norm"].item(), rel=1e-4)
    errors = {
        name: relative_error(gradient, golden.expected[f"grad.{name}"])
        for name, gradient in gradients.items()
    }
    assert {name: error for name, error in errors.items() if error > 1e-4} == {}
    assert {f"grad.{name}" for name in gradients} == {
        name for name in golden.expected if name.startswith("grad.")
    }


def test_adamw_step(golden):
    golden.needs("adamw1.model.word_embed.weight")
    model = golden.load()
    result = transxssm.Trainer(model, lr=1e-3).step(golden.ids, golden.labels, golden.mask)
    assert result.loss == pytest.approx(golden.expected["loss"].item(), rel=1e-5)
    assert result.grad_norm == pytest.approx(golden.expected["grad_norm"].item(), rel=1e-4)
    # Adam divides by the gradient's size, so where a gradient is nearly zero its rounding
    # decides the sign: the step's error is relative to a gradient's, hence 1e-4.
    for name, value in model.state_dict().items():
        assert relative_error(value, golden.expected[f"adamw1.{name}"]) <= 1e-4, name


def test_decode(golden):
    golden.needs("decode_logits")
    expected = golden.expected["decode_logits"]
    prefill = int(golden.metadata["prefill"])
    model, batch = golden.load(), golden.ids.shape[0]
    cache = model.new_cache(batch)
    steps = [model.prefill(golden.ids[:, :prefill], cache, golden.mask[:, :prefill])[:, None]]
    for t in range(prefill, golden.ids.shape[1]):
        steps.append(model.decode(golden.ids[:, t : t + 1], cache))
    assert relative_error(np.concatenate(steps, axis=1), expected) <= 1e-5
    for name in golden.expected:
        if name.startswith("ssd_state."):
            state = cache.ssd_state(int(name.removeprefix("ssd_state.")))
            assert relative_error(state, golden.expected[name]) <= 1e-5, name


def test_greedy_tokens(golden):
    golden.needs("greedy_tokens")
    expected = golden.expected["greedy_tokens"]
    prefill = int(golden.metadata["prefill"])
    model = golden.load()
    # As the goldens were made: the calls matter under dynamic scaling.
    cache = model.new_cache(golden.ids.shape[0])
    logits = model.prefill(golden.ids[:, :prefill], cache)
    for t in range(prefill, golden.ids.shape[1]):
        logits = model.decode(golden.ids[:, t : t + 1], cache)[:, -1]
    for t in range(expected.shape[1]):
        tokens = logits.argmax(-1)
        assert np.array_equal(tokens, expected[:, t]), t
        logits = model.decode(tokens[:, None], cache)[:, -1]


def test_generate(golden):
    golden.needs("greedy_tokens")
    if golden.folder.name == "hybrid-dynamic-rope":
        pytest.skip("generate() prefills all tokens in one call, the golden does not")
    expected = golden.expected["greedy_tokens"]
    tokens = golden.load().generate(golden.ids, max_new_tokens=expected.shape[1])
    assert np.array_equal(tokens, expected)


def test_any_split_into_calls(golden):
    model = golden.load()
    whole = model.new_cache(golden.ids.shape[0])
    expected = model.prefill(golden.ids, whole, golden.mask)
    cut = model.new_cache(golden.ids.shape[0])
    for start in range(0, golden.ids.shape[1], 7):
        part = slice(start, start + 7)
        last = model.prefill(golden.ids[:, part], cut, golden.mask[:, part])
    if golden.folder.name != "hybrid-dynamic-rope":  # there each call has its own frequencies
        assert relative_error(last, expected) <= 1e-5
    assert cut.length == whole.length == golden.ids.shape[1]


def test_saved_weights_are_the_same(golden, tmp_path):
    model = golden.load()
    model.save_pretrained(tmp_path)
    again = transxssm.load(golden.package, weights=tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(
        (golden.folder / "config.json").read_text()
    )
    for name, value in model.state_dict().items():
        assert np.array_equal(again.parameter(name), value)


def test_rejects_bad_configurations(tmp_path):
    config = json.loads((GOLDENS / "hybrid-tiny" / "config.json").read_text())
    with pytest.raises(ValueError, match="key 'num_attention_heads'"):
        transxssm.compile({**config, "num_attention_heads": 7}, tmp_path / "m.txpkg")
    with pytest.raises(ValueError, match="key 'model_type'"):
        transxssm.compile({**config, "model_type": "llama"}, tmp_path / "m.txpkg")
    with pytest.raises(ValueError, match="--target"):
        transxssm.compile(config, tmp_path / "m.txpkg", target="abacus")
    with pytest.raises(ValueError, match="nothing"):
        transxssm.compile(tmp_path / "nothing", tmp_path / "m.txpkg")
    assert not (tmp_path / "m.txpkg").exists()


def test_sequence_classifier(tmp_path):
    config = json.loads((GOLDENS / "ssm-tiny" / "config.json").read_text())
    config.update(
        architectures=["TransXSSMForSequenceClassification"], num_labels=3, num_hidden_layers=1
    )
    package = transxssm.compile(
        config, tmp_path / "m.txpkg", entries=("forward", "train"), max_batch=4, max_seq_len=32
    )
    assert package.num_labels == 3
    model = transxssm.load(package, seed=1)
    ids = np.random.default_rng(0).integers(3, 97, (4, 20))
    labels = np.array([0, 1, 2, -100])
    logits = model.forward(ids).astype(np.float64)
    assert logits.shape == (4, 3)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    loss, gradients = model.gradients(ids, labels)
    assert loss == pytest.approx(-logp[range(3), labels[:3]].mean(), rel=1e-5)
    assert gradients["classifier.weight"].any()
    trainer = transxssm.Trainer(model, lr=3e-3)
    losses = [trainer.step(ids, labels).loss for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]
    with pytest.raises(ValueError, match=r"labels: expected integers of shape \[4\], got int64"):
        model.gradients(ids, ids)
    with pytest.raises(ValueError, match=r"labels\[2\]: expected -100 or a class in \[0, 3\)"):
        model.gradients(ids, [0, 1, 3, 0])


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_loss_over_chunks_of_rows(dtype, tmp_path):
    """Four sequences in one call are three chunks of the rows for the loss, one sequence is one."""
    config = json.loads((GOLDENS / "ssm-tiny" / "config.json").read_text())
    config.update(vocab_size=33000, num_hidden_layers=1, tie_word_embeddings=False)
    limits = {"max_batch": 4, "max_seq_len": 300, "dtype": dtype}
    package = transxssm.compile(config, tmp_path / "m.txpkg", entries=("train",), **limits)
    model = transxssm.load(package, seed=1)
    random = np.random.default_rng(0)
    ids = random.integers(0, 33000, (4, 300))
    # As many count in each, so that bf16 rounds the same numbers but for a factor of four.
    ignored = np.tile(np.arange(300) % 3 == 1, (4, 1))
    ignored[:, 1:] = random.permuted(ignored[:, 1:], axis=1)
    labels = np.where(ignored, -100, ids)
    loss, gradients = model.gradients(ids, labels)
    gradients = {name: gradient.copy() for name, gradient in gradients.items()}
    again, other = transxssm.load(package, seed=1, threads=1).gradients(ids, labels)
    assert again == loss
    assert all(np.array_equal(other[name], gradients[name]) for name in gradients)
    parts = []
    for row in range(4):
        one, of = model.gradients(ids[row : row + 1], labels[row : row + 1])
        parts.append((one, {name: part.copy() for name, part in of.items()}))
    assert loss == pytest.approx(np.mean([one for one, _ in parts]), rel=1e-6)
    for name, gradient in gradients.items():
        mean = np.mean([of[name].astype(np.float64) for _, of in parts], axis=0)
        assert relative_error(gradient, mean) < 1e-5, name
