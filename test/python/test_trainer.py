"""Trainer: AdamW against NumPy, learning, saving."""

import numpy as np
import pytest
import transxssm
from conftest import SAMPLES, sample_gradients


def adamw(state, moments, gradients, step, lr, decay, clip):
    """One decoupled AdamW step in float64; returns the norm before clipping."""
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    scale = min(1.0, clip / (norm + 1e-6))
    for name, gradient in gradients.items():
        g = gradient * scale
        m, v = moments.setdefault(name, [0.0, 0.0])
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
        moments[name] = [m, v]
        update = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.95**step)) + 1e-8)
        state[name] = state[name] - lr * (update + decay * state[name])
    return norm


def test_steps_match_numpy(model, ids):
    state = {name: value.astype(np.float64) for name, value in model.state_dict().items()}
    moments = {}
    trainer = transxssm.Trainer(model, lr=1e-3, weight_decay=0.1, max_grad_norm=0.1)
    for step in range(1, 4):
        loss, gradients = sample_gradients(state, ids, ids)
        norm = adamw(state, moments, gradients, step, 1e-3, 0.1, 0.1)
        result = trainer.step(ids, ids)
        assert isinstance(result, transxssm.StepResult) and result.step == step
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.grad_norm == pytest.approx(norm, rel=1e-4)
    for name, value in model.state_dict().items():
        error = np.linalg.norm(value - state[name]) / np.linalg.norm(state[name])
        assert error <= 1e-5, name


def test_learns(model, ids):
    trainer = transxssm.Trainer(model, lr=0.05, weight_decay=0.0)
    losses = [trainer.step(ids, ids).loss for _ in range(60)]
    assert losses[-1] < 0.1 * losses[0]


def test_ignored_labels_do_not_teach(model, ids):
    trainer = transxssm.Trainer(model, lr=0.1, weight_decay=0.0)
    before = model.state_dict()
    result = trainer.step(ids, np.full(ids.shape, -100))
    assert result.loss == 0 and result.grad_norm == 0
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


def test_learning_rate_may_change(model, ids):
    trainer = transxssm.Trainer(model, lr=0.0, weight_decay=0.0)
    before = model.state_dict()["current.weight"]
    trainer.step(ids, ids)
    assert np.array_equal(model.parameter("current.weight"), before)
    trainer.lr = 0.1
    trainer.step(ids, ids)
    assert not np.array_equal(model.parameter("current.weight"), before)


def test_resumes_bit_for_bit(package, model, ids, tmp_path):
    trainer = transxssm.Trainer(model)
    trainer.step(ids, ids)
    model.save_pretrained(tmp_path)
    trainer.save(tmp_path / "optimizer.safetensors")
    expected = [trainer.step(ids, ids) for _ in range(2)]

    again = transxssm.load(package, weights=tmp_path)
    resumed = transxssm.Trainer(again)
    resumed.load(tmp_path / "optimizer.safetensors")
    assert [resumed.step(ids, ids) for _ in range(2)] == expected
    for name, value in model.state_dict().items():
        assert np.array_equal(again.parameter(name), value)


@pytest.mark.parametrize("keep", [False, True])
def test_keeps_decay_negative(ids, keep):
    model = transxssm.load(SAMPLES / "sample-decay.txpkg", seed=3)
    decay, other = model.parameter("before.weight"), model.parameter("current.weight")
    assert decay.max() <= -1
    decay[:, ::2] = -1e-3
    trainer = transxssm.Trainer(model, lr=0.05, weight_decay=0.0, keep_decay_negative=keep)
    for _ in range(3):
        trainer.step(ids, ids)
    assert (decay.max() == np.float32(-1e-4)) == keep
    assert (decay.max() > 0.01) != keep
    assert other.max() > 0.01


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lr": -1}, "lr: expected at least 0, got -1"),
        ({"lr": float("nan")}, "lr: expected at least 0, got nan"),
        ({"betas": (1.0, 0.9)}, r"betas\[0\]: expected at least 0 and below 1, got 1.0"),
        ({"betas": (0.9, -0.1)}, r"betas\[1\]: expected at least 0 and below 1, got -0.1"),
        ({"eps": 0}, "eps: expected a positive number, got 0"),
        ({"max_grad_norm": 0}, "max_grad_norm: expected a positive number, got 0"),
        ({"weight_decay": -1}, "weight_decay: expected at least 0, got -1"),
    ],
)
def test_bad_settings(model, options, message):
    with pytest.raises(ValueError, match=message):
        transxssm.Trainer(model, **options)


def test_bad_optimizer_files(model, tmp_path):
    trainer = transxssm.Trainer(model)
    with pytest.raises(ValueError, match="cannot open"):
        trainer.load(tmp_path / "missing.safetensors")
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="model.safetensors"):
        trainer.load(tmp_path / "model.safetensors")
