"""Experiment trackers that follow a training: Weights & Biases, Trackio, and those of packages.

Each is an extra of this project. A tracker is a function that begins a run for a training's folder
and settings; an installed package adds its own by the entry point group ``asterias.trackers``.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from asterias.errors import UserError
from asterias.progress import TrainingProgress
from asterias.registry import Registry

PROJECT = "asterias"


class TrackerRun(Protocol):
    """A run of a tracker that has begun."""

    def log(self, metrics: dict[str, Any], step: int) -> None:
        """Add numbers at a step of the robot."""

    def finish(self) -> None:
        """End the run; all is written when this returns."""


@dataclass(frozen=True)
class Tracker:
    """One tracker.

    Attributes:
        summary: one line for people.
        begin: begins a run, from the training's folder and settings.
    """

    summary: str
    begin: Callable[[Path, Mapping[str, Any]], TrackerRun]


def _check(name: str, entry: object) -> None:
    """Refuse what is no tracker.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(entry, Tracker):
        raise TypeError(f"{name} is no Tracker")


TRACKERS: Registry[Tracker] = Registry("tracker", "asterias.trackers", _check)


def _begin(module: str, **more: Any) -> Callable[[Path, Mapping[str, Any]], TrackerRun]:
    """Return how a run begins in a package with the functions init, log and finish."""

    def begin(out: Path, settings: Mapping[str, Any]) -> TrackerRun:
        try:
            package: Any = importlib.import_module(module)
        except ImportError as error:
            raise UserError(
                f"--track {module} needs the package {module}: pip install 'asterias[{module}]'."
            ) from error
        places = {key: str(out) for key, value in more.items() if value is Path}
        package.init(project=PROJECT, name=out.name, config=dict(settings), **places)
        run: TrackerRun = package
        return run

    return begin


TRACKERS.register(
    "wandb",
    Tracker("Weights & Biases; WANDB_MODE=offline needs no account", _begin("wandb", dir=Path)),
)
TRACKERS.register("trackio", Tracker("Trackio, which stays on this machine", _begin("trackio")))


@contextmanager
def tracked(
    names: Sequence[str], out: Path, settings: Mapping[str, Any]
) -> Iterator[Callable[[TrainingProgress], None]]:
    """Follow a training with the trackers that are named.

    A UserError says so where one is unknown, or its package is not installed.

    Args:
        names: of trackers; none is none.
        out: folder of the training; its name is the run's.
        settings: of the training, plain values.

    Yields:
        A function to be told the training's progress.
    """
    with ExitStack() as stack:
        runs = []
        for name in names:
            run = TRACKERS.get(name).begin(out, settings)
            stack.callback(run.finish)
            runs.append(run)

        def tell(progress: TrainingProgress) -> None:
            numbers = {
                key: value
                for key, value in asdict(progress).items()
                if isinstance(value, int | float) and not math.isnan(value)
            }
            step = int(numbers.pop("done"))
            for run in runs:
                run.log({f"training/{key}": value for key, value in numbers.items()}, step=step)

        yield tell
