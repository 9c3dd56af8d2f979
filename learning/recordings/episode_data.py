"""Episodes of data sets in memory, in Gymnasium's manner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.errors import UserError
from learning.recordings.pictures import Pixels

Floats = npt.NDArray[np.float32]
# A picture by camera and frame.
PictureSource = Callable[[str, int], Pixels]
# How far each frame decided success or failure.
CriticalitySource = Callable[[], Floats]


def no_criticality() -> Floats:
    """Stand for the criticality of episodes that hold none.

    Raises:
        UserError: always.
    """
    raise UserError(
        "Nothing says which frames of these episodes decided; give the recordings, or a data set "
        "of LeRobot, on which `asterias learning recordings key-frames FOLDER` was run."
    )


@dataclass(frozen=True)
class EpisodeData:
    """One episode; step t leads from ``states[t]`` by ``actions[t]`` to ``states[t + 1]``.

    Attributes:
        task, success: as recorded; ``success`` is None where nobody marked it.
        fps: steps per second.
        states: ``(T + 1, n)`` measured joint positions, rad.
        actions: ``(T, n)`` commanded joint positions, rad.
        rewards: ``(T,)``: 1 at the end of a success, else 0.
        terminations, truncations: ``(T,)``; a success terminates, everything else is truncated.
        cameras: names of the cameras.
        picture: ``picture(camera, t)`` is ``(H, W, 3)`` RGB, or ``(H, W)`` uint16 depth in mm, as
            seen with ``states[t]``.
        criticality: ``criticality()`` is ``(T + 1,)``: how far each frame decided success or
            failure, from 0 to 1; a UserError where ``recordings key-frames`` was not run.
    """

    task: str
    success: bool | None
    fps: int
    states: Floats
    actions: Floats
    cameras: tuple[str, ...]
    picture: PictureSource
    criticality: CriticalitySource = no_criticality

    @property
    def rewards(self) -> Floats:
        """The rewards, see the class."""
        return self.terminations.astype(np.float32)

    @property
    def terminations(self) -> npt.NDArray[np.bool_]:
        """The terminations, see the class."""
        return self._at_the_end(bool(self.success))

    @property
    def truncations(self) -> npt.NDArray[np.bool_]:
        """The truncations, see the class."""
        return self._at_the_end(not self.success)

    def _at_the_end(self, value: bool) -> npt.NDArray[np.bool_]:
        flags = np.zeros(len(self.actions), dtype=np.bool_)
        flags[-1] = value
        return flags


def episode_data(*, states: Any, actions: Any, **about: Any) -> EpisodeData:
    """Return an episode; the last frame's action leads nowhere that was recorded."""
    return EpisodeData(
        states=np.array(states, np.float32), actions=np.array(actions, np.float32)[:-1], **about
    )
