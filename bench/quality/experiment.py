"""What is trained: sizes of both tasks, and runs in their order."""

from quality.common import digest
from quality.families import FAMILIES

# Widths that a processor core trains in about a minute a run; the share of attention is that of
# the smallest hybrid with one attention layer at its end.
SIZES = {
    "recall": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 64,
        # A tied head begins with naming the token it has just read.
        "tie_word_embeddings": False,
        # Near 1 / sqrt(width): from 0.02 these narrow models hardly begin.
        "initializer_range": 0.1,
    },
    "text": {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "vocab_size": 256,
    },
}
# One size for both tasks, so that they share their packages.
QUICK = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 256,
}
RATES = {"recall": [2e-3, 5e-3], "text": [2e-3]}


def recall_settings(quick=False):
    made = {"task": "recall", "sizes": SIZES["recall"], "steps": 1000, "every": 50}
    made |= {"keys": 32, "values": 8, "pairs": [4, 8, 16, 32], "tokens": 1024}
    made |= {"parts": {"validation": 1, "test": 4}}
    if quick:
        made |= {"sizes": QUICK, "steps": 4, "every": 2, "pairs": [2, 4], "tokens": 64}
    return made


def text_settings(data, quick=False):
    made = {"task": "text", "sizes": SIZES["text"], "steps": 300, "every": 25}
    made |= {"data": digest(data), "batch": 4, "seq": 256}
    if quick:
        made |= {"sizes": QUICK, "steps": 4, "every": 2, "batch": 8, "seq": 16}
    return made


def one(settings, name, seed, rate):
    return settings | {"family": name, "seed": seed, "lr": rate}


def best_rate(settings, name, rates, task, store):
    """The rate of the best first seed by validation, or None while one of them is missing."""
    found = [store.find(one(settings, name, 0, rate)) for rate in rates]
    if None in found:
        return None
    scores = [task.score(record["validation"]) for record in found]
    best = max(scores) if task.higher_is_better else min(scores)
    return rates[scores.index(best)]


def next_run(settings, rates, seeds, task, store):
    """Settings of the first run that is not there yet: every rate with the first seed, then each
    family's best rate with the others, seed by seed. None when all are there."""
    for rate in rates:
        for name in FAMILIES:
            if not store.find(one(settings, name, 0, rate)):
                return one(settings, name, 0, rate)
    for seed in range(1, seeds):
        for name in FAMILIES:
            chosen = one(settings, name, seed, best_rate(settings, name, rates, task, store))
            if not store.find(chosen):
                return chosen
    return None


def finished(settings, rates, seeds, task, store):
    """{family: records of its seeds at its best rate}, as far as they are there."""
    made = {}
    for name in FAMILIES:
        rate = best_rate(settings, name, rates, task, store)
        found = [store.find(one(settings, name, s, rate)) for s in range(seeds) if rate]
        if any(found):
            made[name] = [record for record in found if record]
    return made


def count(rates, seeds):
    return len(FAMILIES) * (len(rates) + seeds - 1)
