"""The command line of bench/accuracy."""

import argparse
import datetime
import sys
from pathlib import Path

from cpu import report
from cpu.common import machine
from cpu.main import add_outputs, positive

from quality.common import FOLDER, need_numpy, say

TEXT = """\
What hybrid, Transformer and state-space model of equal parameters learn from the same data.

  bench/accuracy                 both experiments, five seeds: about 25 minutes on one core
  bench/accuracy --only recall   associative recall: accuracy against key-value pairs
  bench/accuracy --only text     real text: bits per byte
  bench/accuracy --minutes 10    stops then; the same command goes on from there
  bench/accuracy --quick         does everything once with sizes of no meaning, in seconds, and
                                 writes nothing to the documents

Our own packages train, on the CPU; the text is that of ./dev demo (Debian's bible-kjv) or --data.
Learning rates are tried on the first seed of each family, and the best by validation serves the
others. Finished runs lie in build-bench/accuracy/runs.jsonl and are never repeated while their
settings are the same; Ctrl-C saves the run it meets. The table is by text or sequences that
neither training nor the choice of learning rates saw. Results do not depend on --threads.
"""


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="bench/accuracy",
        description=TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=("recall", "text"), help="one of the two [both]")
    parser.add_argument("--seeds", type=positive(int), help="runs of each family [5]")
    parser.add_argument("--minutes", type=positive(float), help="at most, about [no limit]")
    parser.add_argument("--quick", action="store_true", help="a self-test of seconds")
    parser.add_argument("--data", type=Path, help="text to train on [what ./dev demo uses]")
    parser.add_argument("--threads", type=positive(int), default=1, help="[1]")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="runs and packages [build-bench/accuracy]"
    )
    add_outputs(parser)
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or (2 if options.quick else 5)
    options.dry = options.dry or options.quick
    return options


def tasks(options):
    """(settings, learning rates, task) of what is asked for."""
    from quality import experiment, recall, text

    made = []
    if options.only != "text":
        settings = experiment.recall_settings(options.quick)
        made.append((settings, recall.Recall(settings)))
    if options.only != "recall":
        data = text.read(options.data)
        settings = experiment.text_settings(data, options.quick)
        made.append((settings, text.Text(settings, data)))
    rates = experiment.RATES
    return [(s, rates[s["task"]][: 1 if options.quick else None], task) for s, task in made]


def train(settings, rates, task, store, packages, options, stop):
    """Every run that is missing; raises training.Stopped where `stop` says so."""
    from quality import experiment, training

    whole = experiment.count(rates, options.seeds)
    while chosen := experiment.next_run(settings, rates, options.seeds, task, store):
        unfinished = options.folder / "unfinished"
        run = training.Run(chosen, task, unfinished, packages, options.threads)
        say(f"{run.name()}: begins at step {run.step}")
        record = run.finish(stop) | {"commit": machine()["commit"]}
        store.add(record)
        run.forget()
        say(f"{run.name()}: test {task.score(record['test']):.4f}, {record['seconds']:.0f} s")
    say(f"{settings['task']}: all {whole} runs are there")


def conclude(settings, rates, task, store, options):
    """Prints the section and, when every run is there, writes it."""
    from quality import experiment, summary

    found = experiment.finished(settings, rates, options.seeds, task, store)
    if not found:
        return
    missing = experiment.next_run(settings, rates, options.seeds, task, store)
    records = [record for family in found.values() for record in family]
    results = {"date": str(datetime.date.today()), "machine": machine(), "task": settings["task"]}
    results["seeds"] = options.seeds
    results["commits"] = sorted({str(record["commit"]) for record in records})
    body = summary.section(results, settings, rates, found, task, store)
    print(body)
    if missing:
        say("some runs are missing, so nothing is written; the same command goes on")
    elif not options.dry:
        results |= {"settings": settings, "rates": rates}
        results["families"] = {
            name: [{k: v for k, v in r.items() if k != "settings"} for r in family]
            for name, family in found.items()
        }
        drawn = summary.pictures(settings, found, task)
        kind, title = summary.KINDS[settings["task"]], summary.TITLES[settings["task"]]
        report.save(kind, results, title, body, drawn, options, "bench/accuracy")


def work(options):
    from quality import families, store, training

    packages = families.Packages(options.folder / "packages")
    runs, stop = store.Store(options.folder / "runs.jsonl"), training.Stopper(options.minutes)
    stop.listen()
    chosen = tasks(options)
    code = 0
    try:
        for settings, rates, task in chosen:
            train(settings, rates, task, runs, packages, options, stop)
    except training.Stopped as why:
        say(f"{why}; the same command goes on from there")
        code = 128 + stop.signalled if stop.signalled else 0
    for settings, rates, task in chosen:
        conclude(settings, rates, task, runs, options)
    return code


def main():
    options = parse()
    try:
        need_numpy()
        return work(options)
    except (OSError, RuntimeError, ValueError, ImportError) as why:
        print(f"accuracy: error: {why}", file=sys.stderr)
        return 1
