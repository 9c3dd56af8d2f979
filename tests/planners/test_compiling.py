"""Machine code on disk is made ahead."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_warm_is_silent() -> None:
    command = [sys.executable, "-m", "planners", "warm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
