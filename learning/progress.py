"""Progress of long work on a terminal."""

from __future__ import annotations

from collections.abc import Callable

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


class RateColumn(ProgressColumn):
    """How many ``unit`` are done per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """The rate of late, or of the whole when it is finished."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:.0f} {self._unit}/s" if rate else "")


def progress_bars(width: int = 12, unit: str = "") -> Progress:
    """Bars with counts, time passed and time left.

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
    """A bar per stage, made when the stage is first heard of."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Stage ``stage`` has done so much of ``total``."""
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._bars[stage], completed=done)
