#!/usr/bin/env python3
"""Runs clang-tidy over the sources of some folders, but for those that it has passed already.

usage: tidy.py [--jobs N] BUILD FOLDER...

A source is passed again only when it, a header of the project that it includes, its compile
command, .clang-tidy or clang-tidy itself has changed: BUILD/tidy holds a hash of these for each
file that had no findings. BUILD must be built, with Ninja, which knows the headers.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-22"


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def object_of(command):
    words = command["command"].split()
    return words[words.index("-o") + 1]


def dependencies(build, objects):
    """The files of the project that each object, relative to the build folder, was made of."""
    made_of, current = {}, None
    for line in output("ninja", "-C", build, "-t", "deps", *objects).splitlines():
        if line.startswith("    ") and current is not None:
            path = os.path.normpath(os.path.join(build, line.strip()))
            if path.startswith(f"{ROOT}{os.sep}"):
                current.append(path)
        elif ": #deps" in line:
            current = made_of.setdefault(line.split(": #deps")[0], [])
    return made_of


class Checker:
    def __init__(self, build, commands):
        self.build = build
        self.stamps = build / "tidy"
        self.stamps.mkdir(exist_ok=True)
        self.made_of = dependencies(build, map(object_of, commands))
        self.contents = {}
        self.common = [(ROOT / ".clang-tidy").read_bytes(), output(TIDY, "--version").encode()]

    def content(self, path):
        if path not in self.contents:
            self.contents[path] = Path(path).read_bytes() if os.path.exists(path) else b""
        return self.contents[path]

    def key(self, command):
        """What the findings depend on; nothing where Ninja has not built the file."""
        inputs = self.made_of.get(object_of(command))
        if not inputs:
            return None
        digest = hashlib.sha256()
        for part in [*self.common, command["command"].encode(), *map(self.content, inputs)]:
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()

    def check(self, command):
        """The findings in one file; empty where there are none."""
        stamp = self.stamps / hashlib.sha256(command["file"].encode()).hexdigest()[:16]
        key = self.key(command)
        if key and stamp.exists() and stamp.read_text() == key:
            return ""
        done = subprocess.run(
            [TIDY, "-p", self.build, "--quiet", "--warnings-as-errors=*", command["file"]],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return done.stdout or done.stderr
        if key:
            stamp.write_text(key)
        return ""


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("build", type=Path)
    parser.add_argument("folders", nargs="+")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    folders = [ROOT / folder for folder in arguments.folders]
    for folder in folders:
        if not folder.exists():
            sys.exit(f"tidy: error: no folder '{folder.relative_to(ROOT)}'")
    commands = [
        command
        for command in json.loads((build / "compile_commands.json").read_text())
        if any(folder in Path(command["file"]).parents for folder in folders)
    ]
    if not commands:
        sys.exit(f"tidy: error: {build} compiles nothing of {', '.join(arguments.folders)}")
    checker = Checker(build, commands)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        findings = [text for text in pool.map(checker.check, commands) if text]
    print("\n".join(findings), end="")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
