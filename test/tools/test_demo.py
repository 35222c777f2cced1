"""What ./dev demo does when it is interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"

SAVES_FOR_A_SECOND = """
trap 'sleep 1; echo saved >saved; exit 130' INT
touch started
while :; do sleep 0.05; done
"""


def test_interrupt_waits_for_what_is_saved(tmp_path):
    """As Ctrl-C does it: every process of the terminal gets the signal."""
    script = f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import demo; demo.run(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "sh", "-c", SAVES_FOR_A_SECOND],
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    for _ in range(600):
        if (tmp_path / "started").exists():
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / "saved").read_text() == "saved\n"
