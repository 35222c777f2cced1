"""bench/cpu_bench: what it counts, prints and draws, and its options."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from cpu import (  # noqa: E402
    families,
    growth,
    headline,
    main,
    measure,
    picture,
    report,
    turns,
    work,
)

SVG = "{http://www.w3.org/2000/svg}"
CONFIG = {
    "vocab_size": 100,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "attn_layer_period": 3,
    "attn_layer_offset": 2,
}


def test_counts_weights_by_hand():
    # Two scans: c, b, x, out of 8 x 8, dt of 2 x 8; attention: q, o of 8 x 8, k, v of 4 x 8.
    scans, attention, feed_forward = 2 * (4 * 64 + 16), 2 * 64 + 2 * 32, 3 * 3 * 8 * 16
    assert work.body_weights(CONFIG) == scans + attention + feed_forward
    assert work.head_weights(CONFIG) == 800


def test_counts_operations_by_hand():
    weights = work.body_weights(CONFIG)
    mixing = 2 * 10**2 * 8 + 2 * 10 * 8 * (2 * 10 + 4 * 4)
    assert work.flops(CONFIG, "prefill", 2, 10) == 2 * (20 * weights + 2 * 800 + mixing)
    assert work.flops(CONFIG, "train", 2, 10) == 3 * 2 * (20 * (weights + 800) + mixing)


def test_counts_bytes_by_hand():
    cache = 2 * 10 * 4 * 2 + 2 * 2 * 4 * 4 * 4
    assert work.cache_bytes(CONFIG, 10, "bf16") == cache
    moved = 2 * (work.body_weights(CONFIG) + 800) + 3 * (cache + 2 * 2 * 4 * 4 * 4)
    assert work.decode_bytes(CONFIG, 3, 10, "bf16") == moved


def test_bound_of_decoding_is_memory_unless_the_cache_holds_it():
    ceilings = {"flops_per_second": 1e12, "bytes_read_per_second": 1e6}
    moved = work.decode_bytes(CONFIG, 1, 10, "f32")
    assert work.bound(CONFIG, "decode", 1, 10, "f32", ceilings) == pytest.approx(1e6 / moved)
    assert work.bound(CONFIG, "decode", 1, 10, "f32", ceilings, cache=moved) > 1e6


def test_bound_of_products_is_the_peak_of_their_type():
    ceilings = {"flops_per_second": 1e6, "bf16_flops_per_second": 2e6}
    single, half = (work.bound(CONFIG, "train", 1, 10, t, ceilings) for t in ("f32", "bf16"))
    assert half == pytest.approx(2 * single)


def test_counts_the_parameters_of_the_paper():
    config = json.loads((ROOT / "configs/320m.json").read_text())
    assert 3.4e8 < work.body_weights(config) + work.head_weights(config) < 3.8e8


def unit(**changes):
    made = {"model": "320m, 4 layers", "dtype": "f32", "threads": 1, "batch": 1, "seq": 10}
    made |= {"config": CONFIG, "clock": "clock"}
    made["ceilings"] = {"flops_per_second": 1e6, "bytes_read_per_second": 1e5}
    made["ceilings"]["bf16_flops_per_second"] = 2e6
    ours = {"seconds": [1.0, 2.0, 4.0], "processor_seconds": [0.5, 1.0, 2.0]}
    peer = {"seconds": [4.0], "processor_seconds": [4.0]}
    made["figures"] = {"train": {"ours": ours, "eager": peer, "compile": {"failed": "too late"}}}
    return made | changes


def results(*units):
    machine = {"cpu": "abacus", "isa": "beads", "processors": 2, "commit": "abc"}
    machine["last_level_cache_bytes"] = 0
    return {"date": "today", "machine": machine, "clock": "clock", "units": list(units)}


def test_table_has_medians_spread_and_reasons():
    (row,) = report.speed_rows(results(unit()))
    assert row[4] == "5 (2.78 .. 8.33)"
    assert row[6] == "too late"
    assert row[7] == "2.00"


def test_table_by_processor_time():
    (row,) = report.speed_rows(results(unit(clock="processor", threads=2)))
    assert row[4].startswith("20 ")


def test_goals_say_what_is_missed():
    made = results(unit())
    made["compile"] = {"tiny": {"seconds": 4.0}, "320m": {"seconds": 7.0}}
    verdicts = {what: met for what, _, _, met, _ in report.goals(made)}
    assert verdicts == {
        "320m, 4 layers, f32, 1 threads, train: times the better PyTorch": True,
        "compiling 320m, every entry: seconds": True,
        "compiling tiny, every entry: seconds": False,
    }
    assert "**missed**" in report.measured_section(made)


def test_gain_by_a_second_thread():
    fast = {"seconds": [1.25], "processor_seconds": [1.25]}
    two = unit(threads=2, figures={"train": {"ours": fast}})
    verdicts = {what: value for what, _, value, _, _ in report.goals(results(unit(), two))}
    assert verdicts["320m, 4 layers, f32, train: gain by a second thread"] == pytest.approx(1.6)


def test_sections_are_replaced_and_the_rest_stays():
    text = report.replace_section("# Title\n\nby hand\n", "a", "A", "one")
    text = report.replace_section(text, "b", "B", "two")
    text = report.replace_section(text + "\n## also by hand\n", "a", "A", "three")
    assert "one" not in text and text.index("three") < text.index("two")
    assert "by hand" in text and "## also by hand" in text
    assert text.count("<!-- a:") == 1


def test_saves_history_document_and_pictures(tmp_path):
    options = SimpleNamespace(history=tmp_path / "h.jsonl", document=tmp_path / "docs/b.md")
    options.document.parent.mkdir()
    for _ in range(2):
        report.save("speed", results(unit()), "Speed", "body", {"p.svg": "<svg/>"}, options)
    records = [json.loads(line) for line in options.history.read_text().splitlines()]
    assert [record["kind"] for record in records] == ["speed", "speed"]
    assert options.document.read_text().count("body") == 1
    assert (tmp_path / "docs/images/p.svg").read_text() == "<svg/>"


def test_bars_are_as_tall_as_their_values():
    drawn = ElementTree.fromstring(
        picture.bars("a < b", {"one": {"x": 2.0, "y": 1.0}, "two": {"y": 0.5}}, "times")
    )
    tall = [float(r.get("height")) for r in drawn.iter(SVG + "rect") if r.get("fill") != "white"][
        2:
    ]
    assert tall[0] == pytest.approx(2 * tall[1], rel=0.01)
    assert tall[1] == pytest.approx(2 * tall[2], rel=0.01)


def test_curves_are_straight_where_a_power_law_is():
    drawn = ElementTree.fromstring(
        picture.curves("t", {"square": [(n, n**2) for n in (1, 2, 4)]}, "x", "y")
    )
    (line,) = drawn.iter(SVG + "polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y0 > y1


def test_nothing_measured_draws_something():
    ElementTree.fromstring(picture.bars("none", {}, "times"))
    ElementTree.fromstring(picture.curves("none", {}, "x", "y"))


def test_finds_products_among_kernels():
    kernels = [
        {"name": "linear_k1024_n1024_residual", "launches": 2, "seconds": 1.0},
        {"name": "linear_k1024_n2048_n2048_silu_v0_mul", "launches": 1, "seconds": 2.0},
        {"name": "linear_grad_weight_o2048_i1024", "launches": 1, "seconds": 2.0},
    ]
    found = measure.kernel_products(kernels)
    assert found == {(1024, 1024): 2 * 2 * 1024**2, (1024, 4096): 1024 * 4096.0}


def test_time_is_divided_by_weight():
    budget = measure.Budget(1, [1, 2])
    budget.start_part()
    assert 19 < budget.left() <= 20
    budget.extend(30)
    assert 49 < budget.left() <= 50
    budget.start_part()
    assert 85 < budget.left() <= 90


def test_exponents_are_of_the_upper_half():
    points = [(512, 9.0), (1024, 9.0), (2048, 1.0), (4096, 4.0)]
    assert growth.exponent(points) == pytest.approx(2)
    assert growth.exponent(points[:1]) is None


def test_families_keep_the_proportions_of_the_whole_model():
    whole = json.loads((ROOT / "configs/320m.json").read_text())
    share = work.head_weights(whole) / work.body_weights(whole)
    for name, attends in (("hybrid", 1), ("Transformer", 8), ("SSM", 0)):
        made = families.family(name, 8)
        assert work.attention_layers(made) == attends
        assert work.head_weights(made) / work.body_weights(made) == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize("most, step", [(17.3, 5), (5, 1), (1.01, 0.5), (0.09, 0.02), (1e6, 2e5)])
def test_bars_have_round_ticks(most, step):
    assert picture.round_step(most) == pytest.approx(step)


def test_headline_beside_the_paper():
    made = results() | {"layers": 8, "seq": 4096, "dtype": "f32", "threads": 2}
    peaks = {"flops_per_second": 1e11, "bytes_read_per_second": 1e10}
    made["ceilings"] = dict.fromkeys(headline.PARTS, peaks)
    made["configs"] = {name: families.family(name, 8) for name in families.FAMILIES}
    seconds = {"hybrid": 1.0, "Transformer": 1.25, "SSM": 2.0}
    figures = {name: {"seconds": [value]} for name, value in seconds.items()}
    made["figures"] = dict.fromkeys(headline.PARTS, figures)
    made["figures"]["decode"] = figures | {"SSM": {"failed": "too late"}}
    text = headline.section(made)
    assert "+25.0 % | +42.3 % |" in text and "+25.0 % | +29.5 % |" in text
    # Attention of 7 more layers in 8: 2 T^2 D beside the layers' and the head's products.
    assert 1.2 < headline.bound_ratio(made, "train") < 1.35
    # Batch 1 reads weights above all, batch 8 the Transformer's keys and values.
    assert (
        headline.bound_ratio(made, "decode") < 2 < headline.bound_ratio(made, "decode, 8 sequences")
    )
    ElementTree.fromstring(headline.drawing(made))


def test_reads_the_compilers_memory():
    text = (
        "parameters      1.0 KiB           1024 bytes  256 in 3 tensors\n"
        "optimizer       2.0 KiB           2048 bytes  two moments of AdamW\n\n"
        "entry         batch     seq  temporaries          bytes     unshared   in and out\n"
        "train             1     512      4.0 KiB           4096      8.0 KiB      1.0 KiB\n"
    )
    assert growth.parse_memory(text, 512) == 1024 + 2048 + 4096
    with pytest.raises(RuntimeError, match="row of train for 1024"):
        growth.parse_memory(text, 1024)


class Answers:
    """Stands for a worker whose calls take as long as it is told."""

    def __init__(self, *seconds):
        self.seconds = list(seconds)

    def calls(self, job, seconds, most, limit):
        made = self.seconds.pop(0)
        if made > limit:
            raise RuntimeError(f"not done after {limit} s")
        return [[made, made]]


def test_a_figure_keeps_its_calls_or_its_reason():
    figure = turns.Figure(Answers(3, 2), "job")
    figure.warm(100)
    assert not figure.calls
    figure.take_turn(0, 1, 100)
    assert figure.result()["seconds"] == (2,) and figure.result()["first_call"] == 3
    late = turns.Figure(Answers(200), "job")
    late.warm(100)
    assert late.result() == {"failed": "not done after 100 s"}


def test_options_have_defaults_by_length():
    options = main.parse(["measure"])
    assert options.models == ["tiny", "320m, 4 layers", "320m"] and options.threads == [1, 2]
    options = main.parse(["measure", "--quick", "--models", "320m-4", "--without-torch"])
    assert options.models == ["320m, 4 layers"] and options.dtypes == ["f32"] and not options.ways


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("measure", "--models", "huge"), "expected some of tiny, 320m-4, 320m, got 'huge'"),
        (("measure", "--minutes", "0"), "expected a positive number, got '0'"),
        (("compare",), "packages"),
        ((), "command"),
    ],
)
def test_wrong_options_end_in_one_line(arguments, message):
    done = subprocess.run(
        [sys.executable, ROOT / "bench/cpu_bench", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2 and message in done.stderr.splitlines()[-1]
