"""One model's training, with checkpoints, by the compiled package."""

import json
import math
import shutil
import signal
import sys
import time

from quality import families
from quality.common import BUILD, digest, say

sys.path.insert(0, str(BUILD / "python"))
import transxssm  # noqa: E402


class Stopped(Exception):
    """The run was left before its end; what it did is saved."""


class Stopper:
    """Says when to stop: after SIGINT or SIGTERM, or at the end of the time. A second signal
    ends the process at once."""

    def __init__(self, minutes=None):
        self.end = time.monotonic() + 60 * minutes if minutes else math.inf
        self.signalled = None

    def listen(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.notice)

    def notice(self, number, frame):
        self.signalled = number
        signal.signal(number, signal.SIG_DFL)

    def __call__(self):
        return self.signalled is not None or time.monotonic() > self.end


def learning_rate(peak, step, steps):
    """Linear warm-up, then half a cosine to a tenth, as transxssm-run train does it."""
    warmup = min(max(steps // 10, 1), 100)
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


class Run:
    """A model of a family, a seed and a learning rate on its way through a task."""

    def __init__(self, settings, task, folder, packages, threads=1):
        self.settings, self.task = settings, task
        self.folder = folder / digest(settings)
        config = families.family(settings["family"], settings["sizes"])
        package = packages.get(config, task.batch_limit, task.seq_limit)
        state = self.saved()
        weights = self.folder if state else None
        self.model = transxssm.load(
            package, weights=weights, seed=settings["seed"], threads=threads
        )
        # Decays below zero keep every state bounded, also far behind what was trained on.
        self.trainer = transxssm.Trainer(self.model, keep_decay_negative=True)
        self.step, self.curve, self.seconds = 0, [], 0.0
        if state:
            self.trainer.load(self.folder / "moments.safetensors")
            self.step, self.curve = state["step"], state["curve"]
            self.seconds = state["seconds"]

    def saved(self):
        """What save() wrote last, or None."""
        try:
            return json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            return None

    def save(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.model.save_pretrained(self.folder)
        self.trainer.save(self.folder / "moments.safetensors")
        state = {"step": self.step, "curve": self.curve, "seconds": self.seconds}
        # Comes last: where it is, the rest is whole.
        (self.folder / "state.json").write_text(json.dumps(state))

    def name(self):
        chosen = self.settings
        return f"{chosen['task']}, {chosen['family']}, seed {chosen['seed']}, lr {chosen['lr']:g}"

    def judge(self, loss, began, first):
        """Adds a point to the curve and says where the run is."""
        found = self.task.evaluate(self.model, "validation")
        self.curve.append([self.step, found])
        pace = (time.monotonic() - began) / (self.step - first)
        left = pace * (self.settings["steps"] - self.step)
        say(
            f"{self.name()}: step {self.step}/{self.settings['steps']}, loss {loss:.4f}, "
            f"{self.task.unit} {self.task.score(found):.4f}, {left:.0f} s to go"
        )

    def finish(self, stop):
        """Trains to the end and returns the record of it; raises Stopped where `stop` says so."""
        steps, began, first = self.settings["steps"], time.monotonic(), self.step
        before = self.seconds
        while self.step < steps:
            if stop():
                self.save()
                raise Stopped(f"{self.name()}: saved at step {self.step}")
            self.trainer.lr = learning_rate(self.settings["lr"], self.step, steps)
            ids, labels = self.task.batch(self.settings["seed"], self.step)
            loss = self.trainer.step(ids, labels).loss
            self.step += 1
            self.seconds = before + time.monotonic() - began
            if self.step % self.settings["every"] == 0 or self.step == steps:
                self.judge(loss, began, first)
        record = {"settings": self.settings, "parameters": families.parameters(self.model)}
        record["curve"], record["seconds"] = self.curve, round(self.seconds, 1)
        record["validation"] = self.curve[-1][1]
        record["test"] = self.task.evaluate(self.model, "test")
        return record

    def forget(self):
        """Removes the checkpoint of a run whose record is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
