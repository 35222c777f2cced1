"""Finished runs as JSON lines, found again by their settings."""

import json
import os

from quality.common import digest, say


class Store:
    """Runs of a file; a new one is on the disk before add() returns."""

    def __init__(self, path):
        self.path, self.runs, self.cut = path, {}, False
        text = path.read_text() if path.exists() else ""
        # A line that somebody's power cut ended has no end.
        self.cut = bool(text) and not text.endswith("\n")
        for number, line in enumerate(text.splitlines(), 1):
            try:
                record = json.loads(line)
                self.runs[digest(record["settings"])] = record
            except (ValueError, KeyError, TypeError):
                say(f"{path}:{number}: not a finished run, left out")

    def find(self, settings):
        return self.runs.get(digest(settings))

    def add(self, record):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as file:
            file.write(("\n" if self.cut else "") + json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.cut = False
        self.runs[digest(record["settings"])] = record
