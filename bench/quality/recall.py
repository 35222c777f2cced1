"""Multi-query associative recall (Arora et al., Zoology, 2023, arXiv 2312.04927).

A sequence binds each of `pairs` different keys to a value, k1 v1 k2 v2 ..., and then names the
same keys in another order. At each of these the model has to name the value, which is not shown:
where it was, the last answer would be what is left when the others are crossed out, and models
learn that before they learn to recall. Each key is asked for once, so the answer stands at one
place only. There is nothing between pairs and questions, so that no operation is spent on tokens
without a lesson. A last token that nobody asks about makes room for the last target: a sequence
has 3 * pairs + 1 tokens.
"""

import numpy as np

# Streams of random numbers: what is trained on and judged by is drawn apart.
STREAMS = {"train": 1, "validation": 2, "test": 3}


def length(pairs):
    return 3 * pairs + 1


def sequences(generator, keys, values, pairs, count):
    """ids and labels [count, 3 * pairs + 1]. Tokens below `keys` are keys, the others values."""
    if pairs > keys:
        raise ValueError(f"pairs: expected at most {keys}, the number of keys, got {pairs}")
    chosen = generator.permuted(np.tile(np.arange(keys), (count, 1)), axis=1)[:, :pairs]
    bound = keys + generator.integers(0, values, (count, pairs))
    order = generator.permuted(np.tile(np.arange(pairs), (count, 1)), axis=1)
    ids = np.empty((count, length(pairs)), np.int32)
    ids[:, 0 : 2 * pairs : 2], ids[:, 1 : 2 * pairs : 2] = chosen, bound
    ids[:, 2 * pairs : -1] = np.take_along_axis(chosen, order, 1)
    ids[:, -1] = chosen[:, 0]
    labels = np.full_like(ids, -100)
    # The target of position t has place t + 1.
    labels[:, 2 * pairs + 1 :] = np.take_along_axis(bound, order, 1)
    return ids, labels


class Recall:
    """Training batches of each number of pairs in turns, of equal tokens; shares of right
    answers, of all values that could be named."""

    higher_is_better = True
    unit = "accuracy"

    def __init__(self, settings):
        self.settings = settings
        self.batch_limit = self.count(min(settings["pairs"]))
        self.seq_limit = length(max(settings["pairs"]))

    def count(self, pairs):
        """Sequences of a batch."""
        return self.settings["tokens"] // length(pairs)

    def draw(self, stream, seed, step, pairs, count):
        generator = np.random.default_rng([STREAMS[stream], seed, step, pairs])
        return sequences(generator, self.settings["keys"], self.settings["values"], pairs, count)

    def batch(self, seed, step):
        pairs = self.settings["pairs"][step % len(self.settings["pairs"])]
        return self.draw("train", seed, step, pairs, self.count(pairs))

    def evaluate(self, model, split):
        """By number of pairs: the share of right answers, over the same sequences for all."""
        made = {}
        for pairs in self.settings["pairs"]:
            right = asked = 0
            for part in range(self.settings["parts"][split]):
                ids, labels = self.draw(split, 0, part, pairs, self.count(pairs))
                answers = model.forward(ids)[:, :-1].argmax(-1)
                wanted = labels[:, 1:]
                right += int(((answers == wanted) & (wanted >= 0)).sum())
                asked += int((wanted >= 0).sum())
            made[str(pairs)] = right / asked
        return made

    @staticmethod
    def score(evaluation):
        return sum(evaluation.values()) / len(evaluation)
