"""``python -m learning train`` as a process: started, read from, asked to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

STOPPED = 130
BAD_OPTIONS = 2

OnProgressLine = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class TrainingEnd:
    """How a training ended.

    Attributes:
        status: exit code; negative for the signal that ended it.
        summary: what it reported at its end; empty when it has not come so far.
        error_text: what it reported of its failure, as one line.
    """

    status: int
    summary: Mapping[str, Any]
    error_text: str


class TrainingProcess:
    """A training in a process group of its own, whose output a thread of this process reads.

    When this process dies, the training ends with its next iteration, whose line nobody takes; its
    checkpoint is written before that.

    Args:
        options: of ``python -m learning train``, without ``--progress``.
        on_progress: gets ``steps``, ``total``, ``mean_return``, ``found``, ``steps_per_s`` and
            ``left_s`` after each iteration; called by the thread.
        on_end: called once by the thread, last of all.
    """

    def __init__(
        self,
        options: Sequence[str],
        on_progress: OnProgressLine,
        on_end: Callable[[TrainingEnd], None],
    ) -> None:
        command = [sys.executable, "-m", "learning", "train", *options, "--progress", "json"]
        # A file, as nobody reads a pipe while lines of progress are waited for.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by the thread
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal is for the server, not for it
            env={**os.environ, "COLUMNS": "500", "NO_COLOR": "1"},
        )
        self._thread = threading.Thread(
            target=self._listen, args=(on_progress, on_end), name="training", daemon=True
        )
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process, which is also its group's."""
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end after the iteration that runs; harmless when it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def close(self, timeout_s: float) -> None:
        """Stop it; after ``timeout_s`` kill it, which costs the iteration that runs."""
        self.stop()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._thread.join(timeout_s)

    def _listen(self, on_progress: OnProgressLine, on_end: Callable[[TrainingEnd], None]) -> None:
        summary: Mapping[str, Any] = {}
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    reported = json.loads(line)
                except ValueError:
                    continue  # a library's chatter
                if "summary" in reported:
                    summary = reported["summary"]
                else:
                    on_progress(reported)
        status = self._process.wait()
        self._errors.seek(0)
        text = error_text(self._errors.read())
        self._errors.close()
        on_end(TrainingEnd(status, summary, text))


def error_text(text: str) -> str:
    """Return what a failed command printed, as one line: of a traceback the error only."""
    lines = [re.sub("[╭╮╰╯│─]+", " ", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if any(line.startswith("Traceback") for line in lines):
        lines = lines[-1:]
    return " ".join(" ".join(lines[-12:]).split())[:500]
