"""Model and Cache: results against NumPy, shapes and types, errors."""

import gc
import re
import subprocess
import threading

import numpy as np
import pytest
import transxssm
from conftest import SAMPLES, sample_gradients, sample_logits


def close(left, right, tolerance=1e-5):
    assert left.shape == right.shape
    assert np.linalg.norm(left - right) <= tolerance * np.linalg.norm(right)


def test_package(package):
    assert package.entries == ["forward", "prefill", "decode", "gradients", "train"]
    assert (package.max_batch, package.max_seq_len, package.vocab_size) == (8, 64, 256)
    assert package.targets == ["x86-64"] and package.producer == "make-sample-package"


def test_forward(model, ids):
    logits = model.forward(ids)
    assert logits.dtype == np.float32 and logits.shape == (3, 17, 256)
    close(logits, sample_logits(model.state_dict(), ids))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64])
def test_any_integer_type(model, dtype):
    ids = (np.arange(40).reshape(2, 20)).astype(dtype)
    assert np.array_equal(model.forward(ids), model.forward(ids.tolist()))


def test_strided_ids_and_masks(model, ids):
    wide = np.repeat(ids, 2, axis=1)
    mask = np.ones(ids.shape, bool)
    assert np.array_equal(model.forward(wide[:, ::2], attention_mask=mask), model.forward(ids))


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack(model, ids):
    assert np.array_equal(model.forward(OnlyDLPack(ids)), model.forward(ids))
    shared = np.from_dlpack(model.parameter("current.weight"))
    shared[5, 7] = 123.0
    assert model.state_dict()["current.weight"][5, 7] == 123.0


def test_prefill_and_decode(model, ids):
    full = model.forward(ids)
    cache = model.new_cache(3)
    assert (cache.batch, cache.length, cache.capacity) == (3, 0, 64)
    assert np.array_equal(model.prefill(ids[:, :4], cache), full[:, 3])
    assert np.array_equal(model.prefill(ids[:, 4:6], cache), full[:, 5])
    assert cache.length == 6
    assert np.array_equal(model.decode(ids[:, 6:10], cache), full[:, 6:10])
    for t in range(10, 17):
        assert np.array_equal(model.decode(ids[:, t : t + 1], cache), full[:, t : t + 1])
    state = cache.ssd_state(0)
    assert state.dtype == np.float32
    assert np.array_equal(state, ids[:, -1].reshape(3, 1, 1, 1) + 1)


def test_cache_clone_and_reset(model, ids):
    cache = model.new_cache(3, capacity=20)
    model.prefill(ids[:, :5], cache)
    copy = cache.clone()
    after = model.decode(ids[:, 5:7], cache)
    assert (cache.length, copy.length) == (7, 5)
    assert np.array_equal(model.decode(ids[:, 5:7], copy), after)
    cache.reset()
    assert cache.length == 0 and not cache.ssd_state(0).any()
    assert np.array_equal(model.prefill(ids[:, :5], cache), model.forward(ids[:, :5])[:, -1])


def test_prefill_without_its_entry(ids):
    # A package may leave prefill to decode; here neither is there.
    model = transxssm.load(SAMPLES / "sample-forward-only.txpkg")
    with pytest.raises(RuntimeError, match="has no entry 'decode'; it has: forward; compile with"):
        model.prefill(ids, None)
    with pytest.raises(RuntimeError, match="has no entry 'train'"):
        transxssm.Trainer(model)
    with pytest.raises(RuntimeError, match=r"no entry 'gradients'.*entries=\('train',\)"):
        model.gradients(ids, ids)


def test_generate(model, ids):
    tokens = model.generate(ids, max_new_tokens=9)
    assert tokens.dtype == np.int32 and tokens.shape == (3, 9)
    sequence = ids
    for t in range(9):
        best = model.forward(sequence)[:, -1].argmax(-1)
        assert np.array_equal(tokens[:, t], best)
        sequence = np.concatenate([sequence, best[:, None]], axis=1)


def test_sampling(model, ids):
    def sample(**options):
        return model.generate(ids, max_new_tokens=30, temperature=2.0, **options)

    assert np.array_equal(sample(seed=1), sample(seed=1))
    assert not np.array_equal(sample(seed=1), sample(seed=2))
    greedy = model.generate(ids, max_new_tokens=30)
    assert np.array_equal(sample(seed=1, top_k=1), greedy)
    assert np.array_equal(sample(seed=1, top_p=1e-6), greedy)
    # A row's tokens do not depend on its neighbours.
    alone = model.generate(ids[:1], max_new_tokens=30, temperature=2.0, seed=1)
    assert np.array_equal(alone[0], sample(seed=1)[0])


def test_generate_streams(model, ids):
    seen = []
    tokens = model.generate(ids, 6, temperature=2.0, seed=3, on_tokens=seen.append)
    assert np.array_equal(np.array(seen).T, tokens)
    seen.clear()

    def stop_after_two(row):
        seen.append(row)
        return len(seen) < 2

    assert np.array_equal(
        model.generate(ids, 6, temperature=2.0, seed=3, on_tokens=stop_after_two), tokens[:, :2]
    )

    def fail(row):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        model.generate(ids, 6, on_tokens=fail)


def test_gradients(model, ids):
    labels = ids.copy()
    labels[0, 3:9] = -100
    loss, gradients = model.gradients(ids, labels)
    expected_loss, expected = sample_gradients(model.state_dict(), ids, labels)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert list(gradients) == model.parameter_names()
    for name, gradient in gradients.items():
        assert gradient.dtype == np.float32
        close(gradient, expected[name], 1e-4)
        assert np.array_equal(model.gradient(name), gradient)


def test_state_dict_round_trip(package, model, ids, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    for weights in (tmp_path / "saved", tmp_path / "saved" / "model.safetensors"):
        again = transxssm.load(package, weights=weights)
        assert np.array_equal(again.forward(ids), model.forward(ids))
    other = transxssm.load(package, seed=9)
    other.load_state_dict(model.state_dict())
    assert np.array_equal(other.forward(ids), model.forward(ids))
    copies = model.state_dict()
    copies["current.weight"][:] = 0
    assert model.parameter("current.weight").any()


def test_seed_decides_initial_weights(package):
    first, same, other = (
        transxssm.load(package, seed=seed).state_dict()["current.weight"] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    assert first.std() == pytest.approx(0.02, rel=0.02)


def test_views_outlive_the_model(package):
    model = transxssm.load(package, seed=1)
    expected = model.state_dict()["current.weight"]
    view = model.parameter("current.weight")
    del model
    gc.collect()
    assert np.array_equal(view, expected)


def test_threads_agree(package, ids):
    results = [
        transxssm.load(package, seed=1, threads=threads).forward(ids) for threads in (1, 2, 5)
    ]
    assert all(np.array_equal(results[0], result) for result in results)


def test_calls_from_many_threads(model, ids):
    expected = model.forward(ids)
    results = [None] * 8

    def work(index):
        results[index] = all(np.array_equal(model.forward(ids), expected) for _ in range(50))

    workers = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [True] * 8


def raises(message):
    return pytest.raises(ValueError, match=message)


def test_bad_ids(model):
    with raises(r"ids: expected integers, got float64"):
        model.forward(np.zeros((1, 2)))
    with raises(r"ids: expected shape \[batch, tokens\], got \[2\]"):
        model.forward([1, 2])
    with raises(r"ids: expected shape \[batch, tokens\], got \[0, 3\]"):
        model.forward(np.zeros((0, 3), int))
    with raises(r"ids\[1, 0\]: expected a token in \[0, 256\), got 256"):
        model.forward([[1, 2], [256, 3]])
    with raises(r"ids\[0, 1\]: expected a token in \[0, 256\), got -1"):
        model.forward([[1, -1]])
    with raises(r"ids\[0, 0\]: expected a token in \[0, 256\), got 4294967296"):
        model.forward(np.array([[2**32]]))
    with raises("ids: expected an array of integers"):
        model.forward([[1, 2], [3]])
    with raises("ids: batch 9 exceeds the package's maximum 8; compile with max_batch=9"):
        model.forward(np.zeros((9, 1), int))
    with raises("ids: 65 tokens exceed the package's maximum 64; compile with max_seq_len=65"):
        model.forward(np.zeros((1, 65), int))


def test_bad_labels_and_masks(model, ids):
    with raises(r"labels: expected shape \[3, 17\], got \[3, 16\]"):
        model.gradients(ids, ids[:, 1:])
    with raises(r"labels\[0, 0\]: expected -100 or a token in \[0, 256\), got -1"):
        model.gradients(ids, ids * 0 - 1)
    with raises(r"attention_mask: expected shape \[3, 17\], got \[17\]"):
        model.forward(ids, attention_mask=np.ones(17))
    with raises(r"attention_mask\[0, 0\]: expected 0 or 1, got 2"):
        model.forward(ids, attention_mask=ids * 0 + 2)


def test_bad_caches(model, ids):
    cache = model.new_cache(3, capacity=20)
    model.prefill(ids, cache)
    with raises("ids: 4 tokens after 17 exceed the cache's capacity 20"):
        model.decode(ids[:, :4], cache)
    with raises("ids: expected batch 3 as in the cache, got 2"):
        model.decode(ids[:2, :1], cache)
    with raises("layer 7 has no scan state, expected an SSD layer"):
        cache.ssd_state(7)
    with raises("no state 'nothing'"):
        cache.state("nothing")
    for bad in (lambda: model.new_cache(0), lambda: model.new_cache(1, capacity=0)):
        with raises("expected at least 1, got 0"):
            bad()
    with raises("cache: batch 9 exceeds"):
        model.new_cache(9)
    with raises("65 tokens exceed"):
        model.new_cache(1, capacity=65)


def test_cache_of_another_model(package, model, ids):
    other = transxssm.load(package)
    with pytest.raises(RuntimeError, match="the cache belongs to another model"):
        model.decode(ids, other.new_cache(3))


def test_bad_generate_arguments(model, ids):
    with raises("max_new_tokens: expected at least 1, got 0"):
        model.generate(ids, max_new_tokens=0)
    with raises("17 tokens and 49 new ones need a cache for 65, the package's maximum is 64"):
        model.generate(ids, max_new_tokens=49)
    for options in ({"temperature": -1.0}, {"top_p": 2.0}, {"top_k": -1}, {"seed": -1}):
        with pytest.raises(ValueError):
            model.generate(ids, max_new_tokens=1, **options)


def test_bad_parameters(model):
    with raises("no parameter 'nothing'"):
        model.parameter("nothing")
    with raises("no gradient of 'current.weight' yet"):
        model.gradient("current.weight")
    with raises(r"current.weight: expected shape \[256, 256\], got \[256\]"):
        model.load_state_dict({"current.weight": np.zeros(256)})


def test_bad_files(package, model, tmp_path):
    with raises("cannot open"):
        transxssm.load(tmp_path / "missing.txpkg")
    damaged = tmp_path / "damaged.txpkg"
    content = bytearray((SAMPLES / "sample.txpkg").read_bytes())
    content[1000] ^= 4
    damaged.write_bytes(content)
    with raises(str(damaged)):
        transxssm.load(damaged)
    with raises("none"):
        transxssm.load(package, weights=tmp_path / "none")
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with raises(str(path)):
        transxssm.load(package, weights=path)
    with pytest.raises(RuntimeError, match="expected a directory"):
        model.save_pretrained(path)
    with raises("abacus"):
        transxssm.load(package, device="abacus")


def test_matches_the_command_line(model, tmp_path):
    import os

    model.save_pretrained(tmp_path)
    done = subprocess.run(
        [os.environ["TRANSXSSM_RUN"], "generate", model.package.path, "--weights", tmp_path,
         "--ids", "5,6,7", "-n", "12", "--temperature", "1.3", "--top-k", "50", "--seed", "4"],
        capture_output=True,
        check=True,
    )  # fmt: skip
    tokens = model.generate([[5, 6, 7]], 12, temperature=1.3, top_k=50, seed=4)
    assert [int(word) for word in done.stdout.split()] == tokens[0].tolist()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"weights": ""}, "weights: expected a path, or None for random ones, got an empty path"),
        ({"seed": -1}, "seed: expected at least 0 and below 2**64, got -1"),
        ({"seed": 2**64}, "seed: expected at least 0 and below 2**64"),
        ({"threads": -1}, "threads: expected 0 to 4096, got -1"),
        ({"threads": 2**40}, "threads: expected 0 to 4096"),
    ],
)
def test_bad_arguments_of_load(package, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        transxssm.load(package, **arguments)


def test_caches_outlive_their_models(package, ids):
    """And a model that comes to lie at the same place does not take them."""
    caches = []
    for _ in range(10):
        model = transxssm.load(package, threads=1)
        for cache in caches:
            with pytest.raises(RuntimeError, match="the cache belongs to another model"):
                model.decode(ids[:1, :1], cache)
        cache = model.new_cache(1, 8)
        model.decode(ids[:1, :1], cache)
        caches += [cache, cache.clone()]
        del model, cache
    assert [cache.length for cache in caches] == [1] * 20
