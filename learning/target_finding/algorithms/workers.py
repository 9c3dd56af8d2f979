"""Processes that simulate, and what is reported when one of them fails.

The environments of stable-baselines3 tell of a failed process only that the connection was reset.
Here each process leaves a sentence in a folder before it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import gymnasium

from asterias.errors import AsteriasError, UserError

AnyEnvironment = gymnasium.Env[Any, Any]


class WorkerError(AsteriasError):
    """A process that simulates has failed."""


class _Reporting(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Leaves a sentence on every error of an environment."""

    def __init__(self, environment: AnyEnvironment, folder: Path) -> None:
        super().__init__(environment)
        self._folder = folder

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset the environment.

        Returns:
            The first observation, and information on the episode.
        """
        with _reported(self._folder):
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Step the environment.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.
        """
        with _reported(self._folder):
            return self.env.step(action)


class WorkerReports:
    """Collects the sentences of failed processes.

    Attributes:
        folder: where they leave them.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="asterias-workers-"))

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise, instead of a broken connection, what a process has reported.

        What a person can cure is a ``UserError``.

        Raises:
            WorkerError: a process has failed or suddenly ended.
        """
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            for path in sorted(self.folder.glob("*.txt")):
                kind, _, text = path.read_text(encoding="utf-8").partition("\n")
                raise (UserError if kind == "user" else WorkerError)(text) from error
            raise WorkerError(
                "A process that simulates has ended without a message; was it killed, or is there "
                "too little memory? Go on with --resume."
            ) from error


def make_in_worker(make: Callable[[], AnyEnvironment], folder: Path) -> AnyEnvironment:
    """Return the environment of a process of its own, which reports its errors to ``folder``.

    Ctrl-C is for the learner, which then ends its processes; the cores are divided already.
    """
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    with _reported(folder):
        return _Reporting(make(), folder)


@contextmanager
def _reported(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        kind = "user" if isinstance(error, AsteriasError | ValueError) else "other"
        text = str(error) if kind == "user" else f"A process that simulates failed: {error!r}."
        handle, name = tempfile.mkstemp(dir=folder, suffix=".txt")
        os.close(handle)
        Path(name).write_text(f"{kind}\n{text}", encoding="utf-8")
        raise
