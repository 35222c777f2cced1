"""bench/accuracy: its data, its order of runs, what it prints, and all of it in small."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from cpu import work  # noqa: E402
from quality import experiment, families, picture, recall, store, summary, text  # noqa: E402
from quality.common import BUILD, deviation, digest  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
needs_compiler = pytest.mark.skipif(
    not (BUILD / "bin/transxssm-compile").exists(), reason="the compiler is not built"
)


@pytest.mark.parametrize("pairs", [1, 4, 8])
def test_each_question_has_one_right_answer(pairs):
    ids, labels = recall.sequences(np.random.default_rng(0), 8, 5, pairs, 50)
    assert ids.shape == labels.shape == (50, 3 * pairs + 1)
    for row, targets in zip(ids, labels, strict=True):
        bound = dict(zip(row[0 : 2 * pairs : 2], row[1 : 2 * pairs : 2], strict=True))
        assert len(bound) == pairs and max(bound) < 8 <= min(bound.values())
        asked = np.flatnonzero(targets != -100)
        assert list(asked) == list(range(2 * pairs + 1, 3 * pairs + 1))
        # The target of position t - 1, a key that stands once before, with its value behind it.
        for t in asked:
            assert targets[t] == bound[row[t - 1]]
            assert list(row[: t - 1]).count(row[t - 1]) == 1
        assert sorted(row[t - 1] for t in asked) == sorted(bound)
        # No answer is shown after the questions began.
        assert max(row[2 * pairs :]) < 8


def test_more_pairs_than_keys_are_refused():
    with pytest.raises(ValueError, match="expected at most 8, the number of keys, got 9"):
        recall.sequences(np.random.default_rng(0), 8, 5, 9, 1)


def test_values_and_orders_vary():
    ids, _ = recall.sequences(np.random.default_rng(0), 8, 5, 4, 500)
    assert set(ids[:, 1]) == set(range(8, 13)) and set(ids[:, 0]) == set(range(8))
    assert 0.15 < (ids[:, 0] == ids[:, 8]).mean() < 0.35


def small_recall():
    settings = experiment.recall_settings(quick=True) | {"tokens": 512}
    return recall.Recall(settings | {"keys": 32, "values": 32, "pairs": [4, 8]})


def test_recall_is_judged_by_sequences_that_nobody_trained_on():
    task = small_recall()
    trained = {
        row.tobytes() for s in range(3) for step in range(40) for row in task.batch(s, step)[0]
    }
    judged = {
        split: {row.tobytes() for pairs in (4, 8) for row in task.draw(split, 0, 0, pairs, 32)[0]}
        for split in ("validation", "test")
    }
    assert len(trained) == 3 * 20 * (39 + 20) and len(judged["test"]) == 64
    assert not trained & (judged["test"] | judged["validation"])
    assert not judged["test"] & judged["validation"]


def test_batches_depend_on_seed_and_step_alone():
    first, again, other = (small_recall().batch(*place)[0] for place in ((1, 2), (1, 2), (2, 2)))
    assert (first == again).all() and (first != other).any()
    sizes = {small_recall().batch(0, step)[0].shape for step in range(4)}
    assert sizes == {(39, 13), (20, 25)}


class Oracle:
    """Looks where the token stood before and names what followed it there."""

    def __init__(self, task, honest=True):
        self.vocabulary = task.settings["keys"] + task.settings["values"]
        self.honest = honest

    def forward(self, ids):
        logits = np.zeros((*ids.shape, self.vocabulary), np.float32)
        for b, row in enumerate(ids):
            for t, token in enumerate(row):
                places = np.flatnonzero(row[:t] == token)
                named = row[places[0] + 1] if len(places) and self.honest else 0
                logits[b, t, named] = 1
        return logits


def test_recall_counts_right_answers():
    task = small_recall()
    assert task.evaluate(Oracle(task), "test") == {"4": 1.0, "8": 1.0}
    assert task.evaluate(Oracle(task, honest=False), "test") == {"4": 0.0, "8": 0.0}
    assert task.score({"4": 1.0, "8": 0.5}) == 0.75


def test_parts_of_a_text_are_apart_and_whole():
    data = bytes(range(256)) * 1000
    parts = text.split(data)
    assert parts["train"] + parts["validation"] + parts["test"] == data
    assert len(parts["test"]) == len(data) // 20
    assert len(parts["validation"]) == min(len(data) // 20, text.MOST["validation"])


def small_text(data):
    return text.Text(experiment.text_settings(data, quick=True), data)


def test_training_windows_end_before_what_is_held_out():
    # Each part has a letter of its own.
    parts = text.split(bytes(4000))
    data = b"".join(
        letter * len(part) for letter, part in zip((b"a", b"b", b"c"), parts.values(), strict=True)
    )
    task = small_text(data)
    drawn = np.concatenate([task.batch(0, step)[0] for step in range(200)])
    assert set(drawn.ravel()) == {ord("a")}
    assert set(task.take(task.parts["test"], [0, 100]).ravel()) == {ord("c")}


def test_windows_predict_each_byte_once():
    seq, seen = 16, []
    for start in text.windows(1000, seq):
        seen += range(start + 1, start + seq)
    assert seen == list(range(1, len(seen) + 1)) and 1000 - seq < len(seen) < 1000


class Fixed:
    """Answers with the same logits everywhere."""

    def __init__(self, logits):
        self.logits = np.asarray(logits, np.float32)

    def forward(self, ids):
        return np.broadcast_to(self.logits, (*ids.shape, len(self.logits)))


def test_bits_per_byte_of_what_is_known():
    task = small_text(b"ab" * 4000)
    assert task.evaluate(Fixed(np.zeros(256)), "test")["bits"] == pytest.approx(8)
    halves = np.full(256, -1e4)
    halves[[ord("a"), ord("b")]] = 50
    assert task.evaluate(Fixed(halves), "test")["bits"] == pytest.approx(1)
    assert task.evaluate(Fixed(np.full(256, np.nan)), "test")["bits"] == np.inf


def test_another_text_than_the_settings_name_is_refused():
    with pytest.raises(ValueError, match="expected digest"):
        text.Text(experiment.text_settings(b"one" * 999, quick=True), b"two" * 999)
    with pytest.raises(ValueError, match="expected at least 320 bytes, got 12"):
        small_text(b"short text, ")


@pytest.mark.parametrize("task", ["recall", "text"])
def test_families_have_equal_parameters(task):
    sizes = experiment.SIZES[task]
    configs = {name: families.family(name, sizes) for name in families.FAMILIES}
    layers = sizes["num_hidden_layers"]
    attends = {name: work.attention_layers(config) for name, config in configs.items()}
    assert attends == {"hybrid": 1, "Transformer": layers, "SSM": 0}
    counts = [work.body_weights(c) + work.head_weights(c) for c in configs.values()]
    assert max(counts) <= (1 + families.ALLOWED) * min(counts)


def test_runs_are_found_again_and_a_torn_line_is_left_out(tmp_path):
    path = tmp_path / "made/runs.jsonl"
    first, second, third = ({"settings": {"seed": seed}, "test": seed} for seed in range(3))
    kept = store.Store(path)
    kept.add(first)
    with open(path, "a") as file:
        file.write(json.dumps(second)[:-5])
    again = store.Store(path)
    assert again.find({"seed": 0}) == first and again.find({"seed": 1}) is None
    again.add(third)
    assert store.Store(path).find({"seed": 2}) == third


TASK = SimpleNamespace(
    higher_is_better=False, unit="bits", score=text.Text.score, settings={"pairs": []}
)
SETTINGS = {"task": "text", "sizes": experiment.QUICK, "steps": 4, "batch": 2, "seq": 8}


def fill(runs, rates, seeds, bits, settings=SETTINGS):
    """Answers every run with bits(settings); returns the settings in their order."""
    made = []
    while chosen := experiment.next_run(settings, rates, seeds, TASK, runs):
        value = {"bits": bits(chosen)}
        record = {"settings": chosen, "validation": value, "test": value, "parameters": 100}
        runs.add(record | {"curve": [[2, {"bits": 3.0}], [4, value]], "commit": "abc"})
        made.append(chosen)
    return made


def bits_of(chosen):
    base = {"hybrid": 2.0, "Transformer": 2.5, "SSM": 2.25}[chosen["family"]]
    wanted = 1e-2 if chosen["family"] == "SSM" else 1e-3
    return base + (chosen["lr"] != wanted) + chosen["seed"] / 8


def test_rates_are_tried_on_the_first_seed_and_the_best_serves_the_others(tmp_path):
    runs = store.Store(tmp_path / "runs.jsonl")
    made = fill(runs, [1e-3, 1e-2], 3, bits_of)
    assert len(made) == experiment.count([1e-3, 1e-2], 3) == 12
    later = {(run["family"], run["lr"]) for run in made if run["seed"]}
    assert later == {("hybrid", 1e-3), ("Transformer", 1e-3), ("SSM", 1e-2)}
    found = experiment.finished(SETTINGS, [1e-3, 1e-2], 3, TASK, runs)
    assert {name: len(records) for name, records in found.items()} == dict.fromkeys(found, 3)
    assert len(found) == 3
    words = summary.rates_sentence(SETTINGS, [1e-3, 1e-2], found, TASK, runs)
    assert "SSM 0.001: 3.250, 0.01: 2.250" in words


def test_verdict_names_the_best_and_the_paper(tmp_path):
    runs = store.Store(tmp_path / "runs.jsonl")
    fill(runs, [1e-3], 2, bits_of)
    found = experiment.finished(SETTINGS, [1e-3], 2, TASK, runs)
    words = summary.verdict(found, TASK)
    assert words.startswith("Best mean: hybrid, as in the paper;")
    assert "Transformer by 0.500 ± 0.000 (2 of 2)" in words
    assert "SSM by 1.250" in words and words.index("Transformer") < words.index("SSM")
    del found["hybrid"]
    assert "where the paper finds the hybrid best" in summary.verdict(found, TASK)


def test_unequal_sizes_are_not_compared():
    found = {name: [{"parameters": size}] for name, size in (("a", 100), ("b", 103))}
    with pytest.raises(ValueError, match="expected at most 2%"):
        summary.sizes_of(found)


def test_spread_is_that_of_a_sample():
    assert deviation([1.0, 3.0]) == pytest.approx(2**0.5)
    assert summary.spread([1.0, 3.0], 1) == "2.0 ± 1.4" and summary.spread([1.0], 1) == "1.0"


def test_bands_reach_from_least_to_most():
    series = {"one": {4: [0.0, 0.5], 8: [0.5, 1.0]}}
    drawn = ElementTree.fromstring(picture.bands("a < b", series, "x", "y", True, (0, 1)))
    (band,) = drawn.iter(SVG + "polygon")
    (line,) = drawn.iter(SVG + "polyline")
    heights = [float(point.split(",")[1]) for point in band.get("points").split()]
    means = [float(point.split(",")[1]) for point in line.get("points").split()]
    # Upper edge from left to right, lower edge back.
    assert heights[0] == heights[2] == pytest.approx(sum(means) / 2, abs=0.1)
    assert heights[1] < means[1] < means[0] < heights[3]
    ElementTree.fromstring(picture.bands("none", {}, "x", "y"))


def test_ticks_are_round():
    assert picture.ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert picture.ticks(100, 2000) == [500, 1000, 1500, 2000]


@needs_compiler
def test_a_stopped_run_ends_as_if_it_had_not_been(tmp_path):
    from quality import training

    data = (ROOT / "README.md").read_bytes()
    task = small_text(data)
    settings = experiment.one(task.settings, "hybrid", 1, 1e-2)
    packages = families.Packages(tmp_path / "packages")

    def run(name):
        return training.Run(settings, task, tmp_path / name, packages)

    whole = run("whole").finish(lambda: False)
    stopped = run("stopped")
    with pytest.raises(training.Stopped, match="saved at step 3"):
        stopped.finish(lambda: stopped.step == 3)
    resumed = run("stopped")
    assert resumed.step == 3
    record = resumed.finish(lambda: False)
    assert {**record, "seconds": 0} == {**whole, "seconds": 0}
    resumed.forget()
    assert not list((tmp_path / "stopped").iterdir())


@needs_compiler
def test_quick_does_everything_once(tmp_path):
    command = [sys.executable, ROOT / "bench/accuracy", "--quick", "--folder", tmp_path]
    command += ["--data", ROOT / "README.md", "--document", tmp_path / "none.md"]
    done = [
        subprocess.run(command, capture_output=True, text=True, env=os.environ) for _ in range(2)
    ]
    assert [each.returncode for each in done] == [0, 0], done[0].stderr
    records = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    # Two tasks of three families and two seeds; the second call finds them all.
    assert len({digest(record["settings"]) for record in records}) == len(records) == 12
    assert done[0].stdout == done[1].stdout and "begins at" not in done[1].stderr
    assert "| Transformer |" in done[0].stdout and "Best mean:" in done[0].stdout
    assert not (tmp_path / "none.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "both"), "'both'"),
        (("--seeds", "0"), "expected a positive number, got '0'"),
        (("--quick", "--only", "text", "--data", "/none"), "/none"),
    ],
)
def test_wrong_options_end_in_one_line(arguments, message):
    done = subprocess.run(
        [sys.executable, ROOT / "bench/accuracy", *arguments], capture_output=True, text=True
    )
    assert done.returncode in (1, 2) and message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
