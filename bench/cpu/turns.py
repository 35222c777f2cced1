"""Processes that take turns, so that a busy moment of the machine meets all of them alike."""

import json
import select
import subprocess
from pathlib import Path

from cpu.common import BIN, python_with_numpy, run_json

# Seconds that a call may always take, also where time is over: a busy machine is slow.
PATIENCE = 120

HERE = Path(__file__).resolve().parent


class Worker:
    """A process of worker.serve()."""

    def __init__(self, interpreter, script, environment):
        self.process = subprocess.Popen(
            [str(interpreter), str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if environment.get("CPU_BENCH_QUIET") else None,
            env=environment,
            text=True,
        )

    def ask(self, do, patience=600, **request):
        """The answer; RuntimeError where there is none in time, or it says what failed."""
        answer = {"failed": f"{do}: the process has ended"}
        if self.process.poll() is None:
            print(json.dumps({"do": do} | request), file=self.process.stdin, flush=True)
            if not select.select([self.process.stdout], [], [], patience)[0]:
                self.end()
                raise RuntimeError(f"{do}: no answer after {patience:.0f} s")
            line = self.process.stdout.readline()
            answer = json.loads(line) if line else answer
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        return answer

    def calls(self, job, seconds, most, limit):
        """[[clock, processor] seconds] of some calls in a row."""
        # The process itself stops at the limit; what it cannot stop is waited for a little.
        request = {"job": job, "seconds": seconds, "most": most, "limit": limit}
        return self.ask("call", limit + 30, **request)["calls"]

    def end(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def ours(environment):
    return Worker(python_with_numpy(), "worker_ours.py", environment)


def ceilings(threads):
    return run_json(BIN / "transxssm-ceilings", threads)


class Figure:
    """Calls of one job: what they took, or why there are none."""

    def __init__(self, worker, job):
        self.worker, self.job = worker, job
        self.calls, self.failed, self.first = [], None, None

    def take_turn(self, seconds, most, limit):
        if self.failed:
            return
        try:
            self.calls += self.worker.calls(self.job, seconds, most, limit)
        except (OSError, RuntimeError, ValueError) as why:
            self.failed = None if self.calls else str(why)

    def warm(self, limit):
        """The first call, which also compiles, touches memory and fills caches."""
        try:
            self.first = self.worker.calls(self.job, 0, 1, limit)[0][0]
        except (OSError, RuntimeError, ValueError) as why:
            self.failed = str(why)

    def result(self):
        if not self.calls:
            return {"failed": self.failed or "no time was left"}
        clock, processor = zip(*self.calls, strict=True)
        return {"seconds": clock, "processor_seconds": processor, "first_call": self.first}


def rotate(figures, rounds, seconds, most, left):
    """Rounds of turns, forwards and backwards, while left() says there is time."""
    for number in range(rounds):
        if number and left() <= 0:
            return
        for figure in figures if number % 2 == 0 else figures[::-1]:
            if figure.calls and number and left() <= 0:
                continue
            figure.take_turn(seconds, most, max(left(), PATIENCE))
