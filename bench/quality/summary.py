"""Tables and pictures of finished runs: sections of docs/benchmarks.md."""

from cpu import report

from quality import picture
from quality.common import deviation, mean
from quality.families import ALLOWED

TITLES = {"recall": "Recall beside a Transformer and an SSM", "text": "Bits per byte beside both"}
# Names of sections in docs/benchmarks.md and of records in bench/results.jsonl.
KINDS = {"recall": "recall", "text": "bits-per-byte"}


def spread(values, digits=3):
    """Mean and standard deviation."""
    off = deviation(values)
    return f"{mean(values):.{digits}f}" + ("" if off is None else f" ± {off:.{digits}f}")


def scores(records, task, split="test"):
    return [task.score(record[split]) for record in records]


def sizes_of(found):
    """Parameters by family; ValueError where they are too far apart to compare."""
    made = {name: records[0]["parameters"] for name, records in found.items()}
    if max(made.values()) > (1 + ALLOWED) * min(made.values()):
        raise ValueError(f"parameters: expected at most {ALLOWED:.0%} between them, got {made}")
    return made


def order(found, task):
    """Families from the best to the worst mean."""
    by_mean = {name: mean(scores(records, task)) for name, records in found.items()}
    return sorted(by_mean, key=by_mean.get, reverse=task.higher_is_better)


def verdict(found, task):
    """One sentence: who is best, and how far the others are by seeds that saw the same data."""
    best, *others = order(found, task)
    parts = []
    for name in others:
        pairs = zip(scores(found[name], task), scores(found[best], task), strict=False)
        gaps = [abs(a - b) if (b > a) == task.higher_is_better else -abs(a - b) for a, b in pairs]
        parts.append(f"{name} by {spread(gaps)} ({sum(gap > 0 for gap in gaps)} of {len(gaps)})")
    paper = "as in the paper" if best == "hybrid" else "where the paper finds the hybrid best"
    return (
        f"Best mean: {best}, {paper}; behind it, seed by seed on the same data (seeds in which it "
        f"is): {', '.join(parts) or 'nobody'}."
    )


def rates_sentence(settings, rates, found, task, store):
    """Which learning rates were tried and what the first seed made of them."""
    from quality.experiment import one

    parts = []
    for name in found:
        tried = [store.find(one(settings, name, 0, rate)) for rate in rates]
        words = [
            f"{rate:g}: {task.score(record['validation']):.3f}"
            for rate, record in zip(rates, tried, strict=True)
        ]
        parts.append(f"{name} {', '.join(words)}")
    return f"Learning rates tried on the first seed, by validation: {'; '.join(parts)}."


def models_sentence(settings, found):
    sizes, counts = settings["sizes"], sizes_of(found)
    layers = sizes["num_hidden_layers"]
    listed = ", ".join(f"{name} {number:,}" for name, number in counts.items())
    return (
        f"{layers} layers of width {sizes['hidden_size']}, {sizes['num_attention_heads']} heads, "
        f"inner width {sizes['intermediate_size']}; the hybrid's last layer is attention. "
        f"Parameters: {listed}."
    )


def seeds_of(found):
    """How many, in words."""
    most = max(len(records) for records in found.values())
    return "1 seed" if most == 1 else f"{most} seeds: mean ± standard deviation"


def recall_table(found, task):
    pairs = task.settings["pairs"]
    rows = []
    for name, records in found.items():
        cells = [spread([record["test"][str(count)] for record in records]) for count in pairs]
        rows.append([name, f"{records[0]['settings']['lr']:g}", *cells])
    return report.table(["model", "lr", *(f"{count} pairs" for count in pairs)], rows)


def text_table(found, task):
    rows = []
    for name, records in found.items():
        values = scores(records, task)
        cells = [spread(values, 4), f"{min(values):.4f} .. {max(values):.4f}"]
        rows.append([name, f"{records[0]['settings']['lr']:g}", *cells])
    return report.table(["model", "lr", "bits per byte", "least .. most"], rows)


def recall_text(settings, found):
    return (
        "Multi-query associative recall (Arora et al., 2023): so many pairs of key and value, then "
        "each key once more in another order; what counts is the share of values named right, "
        f"of {settings['values']} values ({1 / settings['values']:.3f} by chance). "
        f"{settings['steps']:,} steps of {settings['tokens']:,} tokens, numbers of pairs in turns, "
        f"{seeds_of(found)}. A model that has not learned it by "
        "then may with more steps: the curves say who was still on the way."
    )


def text_text(settings, found):
    tokens = settings["steps"] * settings["batch"] * settings["seq"]
    return (
        "What `./dev demo` trains on, byte by byte, or a file given; bits per byte on the end of "
        f"the text, which no model saw. {settings['steps']:,} steps of {settings['batch']} x "
        f"{settings['seq']} bytes ({tokens / 1e6:.2f} M), the same ones for each family, "
        f"{seeds_of(found)}."
    )


def head(results):
    machine = results["machine"]
    commits = ", ".join(results["commits"])
    return (
        f"{results['date']}, {machine['cpu']} ({machine['isa']}), trained by our packages in "
        f"float32 at commit {commits}. "
        f"`bench/accuracy --only {results['task']} --seeds {results['seeds']}`."
    )


PICTURES = {
    "recall": {"accuracy": "bench-recall.svg", "learning": "bench-recall-steps.svg"},
    "text": {"learning": "bench-bits-per-byte.svg"},
}


def section(results, settings, rates, found, task, store):
    kind = settings["task"]
    words = {"recall": recall_text, "text": text_text}[kind](settings, found)
    made = {"recall": recall_table, "text": text_table}[kind](found, task)
    parts = [head(results), f"{words} {models_sentence(settings, found)}", made]
    parts.append(f"{verdict(found, task)} {rates_sentence(settings, rates, found, task, store)}")
    parts += [f"![{what}](images/{name})" for what, name in PICTURES[kind].items()]
    return "\n\n".join(parts)


def learning(found, task):
    """{family: {step: one validation score a seed}}."""
    made = {}
    for name, records in found.items():
        made[name] = {}
        for record in records:
            for step, evaluation in record["curve"]:
                made[name].setdefault(step, []).append(task.score(evaluation))
    return made


def pictures(settings, found, task):
    if settings["task"] == "text":
        title = "Bits per byte of held-out text: mean and range over seeds"
        drawn = picture.bands(title, learning(found, task), "steps", "bits per byte")
        return {"bench-bits-per-byte.svg": drawn}
    title = "Share of values recalled: mean and range over seeds"
    by_pairs = {
        name: {count: [r["test"][str(count)] for r in records] for count in settings["pairs"]}
        for name, records in found.items()
    }
    accuracy = picture.bands(title, by_pairs, "pairs", "share", True, (0, 1))
    steps = picture.bands(title, learning(found, task), "steps", "share", False, (0, 1))
    return {"bench-recall.svg": accuracy, "bench-recall-steps.svg": steps}
