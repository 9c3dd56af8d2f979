"""Progress of long work on a terminal, or as lines for the program that started it."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# Stage, done, total.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is, reported after each iteration or episode.

    Attributes:
        done, total: steps or episodes, as ``unit`` says.
        mean_steps, mean_return, found: of the last episodes: length, reward, share that found.
        steps_per_s: of the whole training so far, learning included.
        left_s: time left at this pace.
        ess: effective sample size, of the episodes last learned from those that count for the step
            that was made with them; NaN where the algorithm weighs no episodes.
        traffic_light: of the same: ``green``, ``amber`` or ``red: collect more``; empty likewise.
    """

    done: int
    total: int
    unit: str
    mean_steps: float
    mean_return: float
    found: float
    steps_per_s: float
    left_s: float
    ess: float = math.nan
    traffic_light: str = ""


class RateColumn(ProgressColumn):
    """Column with the number of ``unit`` per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return the present rate, or the mean rate of a finished task."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:.0f} {self._unit}/s" if rate else "")


def progress_bars(width: int = 12, unit: str = "") -> Progress:
    """Return bars with counts, elapsed time and remaining time.

    Descriptions get ``width`` characters; with a ``unit`` there is also a rate in it per second.
    """
    return Progress(
        TextColumn(f"{{task.description:{width}}}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([RateColumn(unit)] if unit else []),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


class Stages:
    """Shows a bar per stage, made when the stage reports for the first time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that stage ``stage`` has done ``done`` of ``total``."""
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._bars[stage], completed=done)


class JsonLines:
    """A training's progress on stdout, a line of JSON per iteration.

    Each is ``{"steps", "total", "mean_return", "found", "steps_per_s", "left_s"}``, steps being
    episodes where a training counts those; ``ess`` and ``traffic_light`` where the algorithm has
    them; the last line is ``{"summary": {...}}``, without the history, which stands in the
    training's folder.
    """

    @staticmethod
    def tell(progress: TrainingProgress) -> None:
        """Print one iteration."""
        line: dict[str, object] = {
            "steps": progress.done,
            "total": progress.total,
            "mean_return": round(progress.mean_return, 4),
            "found": round(progress.found, 4),
            "steps_per_s": round(progress.steps_per_s, 1),
            "left_s": round(progress.left_s, 1),
        }
        if progress.traffic_light:
            line |= {"ess": round(progress.ess, 1), "traffic_light": progress.traffic_light}
        print(json.dumps(line), flush=True)

    @staticmethod
    def end(summary: Mapping[str, Any]) -> None:
        """Print the summary of the training."""
        told = {key: value for key, value in summary.items() if key != "history"}
        print(json.dumps({"summary": told}), flush=True)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Take SIGINT and SIGTERM as requests to stop; the second one interrupts at once.

    Yields:
        A function that returns whether a stop was requested.
    """
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
