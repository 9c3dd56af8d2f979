"""How an episode is put on a grid of times."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from asterias.errors import UserError

MOST_FPS = 1000


@dataclass(frozen=True)
class SamplingOptions:
    """How an episode is put on a grid.

    Attributes:
        fps: frames per second; 0 takes the rate of the slowest camera, or 10 without cameras.
        task: for recordings that state none.
        topics: patterns of the camera topics to take; empty takes all.
        without: patterns of topics to leave out: cameras, or joint states of limbs.
        max_age_s: greatest age of a picture or a state in a frame; 0 takes 2.5 periods of its
            topic, but at least a frame.
        depth: whether depth pictures can be taken.
    """

    fps: int = 0
    task: str = ""
    topics: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    max_age_s: float = 0.0
    depth: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.fps <= MOST_FPS:
            raise UserError(
                f"--fps must be from 1 to {MOST_FPS}, or 0 for the rate of the slowest camera; "
                f"{self.fps} cannot be used."
            )
        if not 0 <= self.max_age_s < np.inf:
            raise UserError("--max-age must be 0 or more seconds.")

    def wants(self, topic: str) -> bool:
        """Return whether a camera's topic is taken."""
        chosen = not self.topics or matches(topic, self.topics)
        return chosen and not matches(topic, self.without)


def matches(topic: str, patterns: Collection[str]) -> bool:
    """Return whether a topic fits one of some patterns."""
    return any(fnmatch.fnmatchcase(topic, pattern) for pattern in patterns)
