"""How far a training is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Said after each iteration (or episode).

    Attributes:
        done, total: steps or episodes, as ``unit`` says.
        mean_steps, mean_return, found: of the iteration's episodes: length, reward, share found.
        steps_per_s: of the whole training so far, learning included.
        left_s: time left at this pace.
    """

    done: int
    total: int
    unit: str
    mean_steps: float
    mean_return: float
    found: float
    steps_per_s: float
    left_s: float
