"""Machine code on disk: made ahead, and gone when the sources change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from planners.operator.numba_options import forget_old_code


def test_code_of_other_sources_is_forgotten(tmp_path: Path) -> None:
    index = tmp_path / "loops.forward-1.py311.nbi"
    index.write_bytes(b"old")
    forget_old_code(tmp_path)
    assert not index.exists()
    index.write_bytes(b"of today")
    forget_old_code.cache_clear()  # as in another process
    forget_old_code(tmp_path)
    assert index.exists()


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    forget_old_code(tmp_path / "file")


def test_warm_is_silent() -> None:
    command = [sys.executable, "-m", "planners", "warm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
