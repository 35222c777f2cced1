"""A process that is asked, a JSON object a line, to do something and say how long it took."""

import contextlib
import json
import os
import signal
import sys
import time


@contextlib.contextmanager
def at_most(seconds):
    """torch.compile can take longer than everything else together."""

    def stop(*_):
        raise RuntimeError(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def timed(before, work):
    """Seconds on the clock and of all threads' processor time."""
    before()
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def turn(before, work, seconds, most):
    """Calls for about so long, at least one and at most so many."""
    made, end = [], time.perf_counter() + seconds
    while len(made) < most and (not made or time.perf_counter() < end):
        made.append(timed(before, work))
    return made


def peak_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


class Jobs:
    """Work by name; each is a pair: what comes before a call, and the call."""

    def __init__(self):
        self.jobs = {}

    def call(self, job, seconds=0.0, most=1, limit=600):
        with at_most(limit):
            return {"calls": turn(*self.jobs[job], seconds, most), "peak_bytes": peak_bytes()}


def serve(worker):
    """Answers until the input ends. What libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            made = getattr(worker, request.pop("do"))(**request) or {}
        except Exception as why:
            lines = str(why).strip().splitlines() or [""]
            made = {"failed": f"{type(why).__name__}: {lines[0]}"}
        print(json.dumps(made), file=answers, flush=True)
