#!/usr/bin/env python3
"""From a config.json to generated text: compile, train, plot, generate.

Compiles a small hybrid model for the CPU, trains it for some minutes on the King James Bible
(or on your text), draws the loss beside what counting letter pairs achieves, and lets it
continue a sentence. Only the compiler and transxssm-run are used, as anybody would.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def say(text):
    bold, plain = ("\033[1m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{bold}==> {text}{plain}", file=sys.stderr, flush=True)


def fail(message, code=1):
    print(f"demo: error: {message}", file=sys.stderr)
    sys.exit(code)


def find_program(name):
    found = shutil.which(name) or shutil.which(name, path=ROOT / "build" / "bin")
    if not found:
        fail(f"{name} not found; run ./dev build, or put it on PATH")
    return found


def show(command):
    words = [
        f"'{word}'" if re.search(r"\s", word) else os.path.basename(word) if i == 0 else word
        for i, word in enumerate(command)
    ]
    print("    " + " ".join(words), file=sys.stderr, flush=True)


def run(command, **options):
    """Runs a program that reports by itself; ends with its exit code when it fails."""
    command = [str(word) for word in command]
    show(command)
    with subprocess.Popen(command, **options) as process:
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:
            # The program got the same signal: it saves and says how to resume, which
            # subprocess.run would not wait for.
            process.wait()
            sys.exit(130)
    if process.returncode != 0:
        sys.exit(process.returncode if process.returncode > 0 else 1)
    return output


def king_james():
    """The text that Debian's package bible-kjv holds, one verse a line."""
    program = shutil.which("bible")
    if not program:
        fail("the program 'bible' is missing; apt-get install bible-kjv, or pass --data FILE")
    done = subprocess.run([program, "-f", "gen1:1-rev22:21"], capture_output=True, text=True)
    # "Ge1:1 In the beginning ..."
    verses = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    if done.returncode != 0 or len(verses) < 31000:
        fail(f"bible: expected 31102 verses, got {len(verses)}")
    return "\n".join(verses) + "\n"


def prepare_text(options):
    if options.data:
        if not options.data.is_file():
            fail(f"{options.data}: no such file")
        return options.data
    path = options.out / "kjv.txt"
    path.write_text(king_james())
    return path


def choose_steps(options, package, batch, seq_len):
    """As many as fit the minutes, from the speed of a few."""
    if options.steps:
        return options.steps
    output = run(
        [find_program("transxssm-run"), "bench", package, "--entry", "train", "--batch", batch,
         "--seq-len", seq_len, "--warmup", 1, "--iterations", 3, "--json", *threads(options)],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    rate = json.loads(output)["results"][0]["tokens_per_second"]
    steps = int(options.minutes * 60 * rate / (batch * seq_len))
    say(f"{rate:.0f} tokens/s: {max(steps, 20)} steps in about {options.minutes:g} minutes")
    return max(steps, 20)


def threads(options):
    return ["--threads", options.threads] if options.threads else []


def parse():
    parser = argparse.ArgumentParser(
        prog="./dev demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="train on this text file")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "tiny.json")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="[demo-out]")
    parser.add_argument("--minutes", type=float, default=3, help="how long to train [3]")
    parser.add_argument("--steps", type=int, default=0, help="steps instead of minutes")
    parser.add_argument("--batch", type=int, default=8, help="sequences a step [8]")
    parser.add_argument("--seq-len", type=int, default=128, help="tokens of each [128]")
    parser.add_argument("--lr", type=float, default=3e-3, help="peak learning rate [3e-3]")
    parser.add_argument("--threads", type=int, default=0, help="[all processors]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompt", default="And it came to pass, that ")
    options = parser.parse_args()
    if options.steps < 0 or options.minutes <= 0 or options.batch < 1 or options.seq_len < 2:
        parser.error("expected positive sizes")
    return options


def main():
    options = parse()
    runner = find_program("transxssm-run")
    compiler = os.environ.get("TRANSXSSM_COMPILE") or find_program("transxssm-compile")
    start = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    text = prepare_text(options)
    package, trained = options.out / "demo.txpkg", options.out / "run"
    if trained.exists():
        shutil.rmtree(trained)

    say(f"compiling {options.config}")
    run([compiler, options.config, "-o", package, "--entry=forward,decode,train",
         f"--max-batch={options.batch}", f"--max-seq-len={max(options.seq_len, 512)}"])  # fmt: skip

    say(f"training on {text}")
    steps = choose_steps(options, package, options.batch, options.seq_len)
    run([runner, "train", package, "--data", text, "--steps", steps, "--batch", options.batch,
         "--seq-len", options.seq_len, "--lr", options.lr, "--seed", options.seed,
         "--eval-tokens", 8192, "--eval-every", max(steps // 8, 1), "--out", trained,
         *threads(options)])  # fmt: skip

    say("continuing a sentence")
    # Tokens are bytes, so the prompt and what follows must fit 512 of them.
    prompt = options.prompt.encode()[:200].decode(errors="ignore")
    run([runner, "generate", package, "--weights", trained / "latest", "--prompt", prompt,
         "--echo", "-n", 300, "--temperature", 0.5, "--top-k", 40, "--seed", options.seed,
         *threads(options)])  # fmt: skip

    say(f"done in {time.monotonic() - start:.0f} s")
    for path, what in (
        (package, "the package: kernels, launch plans, limits"),
        (trained / "latest", "the weights and what resuming needs"),
        (trained / "loss.svg", "the picture of the loss"),
        (trained / "loss.jsonl", "the loss of every step"),
    ):
        print(f"    {str(path):<28} {what}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
