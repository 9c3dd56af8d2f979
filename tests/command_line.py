"""Commands of the rooms, run in the test's own process: no test waits for imports a second time."""

from __future__ import annotations

import contextlib
import importlib
import io
import subprocess
import sys
from unittest import mock


def run_here(room: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m ROOM ARGUMENTS`` in this process.

    Signals, exit codes of crashes and what libraries print need a process: see
    ``tests/asterias/test_cli.py``.

    Args:
        room: such as ``learning``.
        arguments: the command and its options.

    Returns:
        Exit code and what was printed.
    """
    module = importlib.import_module(f"{room}.__main__")
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", [str(module.__file__), *arguments]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            code = module.main(arguments)
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(
        [room, *arguments], int(code or 0), stdout.getvalue(), stderr.getvalue()
    )
