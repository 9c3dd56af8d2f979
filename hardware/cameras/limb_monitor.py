"""Which cameras of a limb can be relied on, by what is seen of their pictures and nothing else.

The paper's policies are told which cameras are dead. On a robot nobody knows; but a camera that is
silent, dark or noise shows it at once, and one that is frozen shows it when the limb has moved.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asterias.arrays import FloatArray
from hardware.cameras.health import (
    BLANK_CONTRAST,
    SILENT_PERIODS,
    CameraState,
    PictureSigns,
    picture_state,
)

SHORTEST_SILENCE_S = 0.5
REWOUND_S = 5.0  # stamps that jump back so far are those of a simulation that was started anew
MOVED_RAD = 0.1  # a joint's way after which every camera of its limb sees something else


class LimbCameraMonitor:
    """Judges the cameras of one limb.

    Args:
        rates_hz: nominal rate of each camera.
    """

    def __init__(self, rates_hz: Sequence[float]) -> None:
        silences = (max(SILENT_PERIODS / rate, SHORTEST_SILENCE_S) for rate in rates_hz)
        self.silence_s = tuple(silences)
        self._forget()

    def _forget(self) -> None:
        self._signs: list[PictureSigns | None] = [None] * len(self.silence_s)
        self._newest_s = self._move_s = -np.inf
        self._frozen: set[int] = set()

    def see(self, camera: int, signs: PictureSigns) -> None:
        """Take the signs of a new picture."""
        if signs.time_s < self._newest_s - REWOUND_S:
            self._forget()
        self._newest_s = max(self._newest_s, signs.time_s)
        self._signs[camera] = signs
        if signs.unchanged_s == 0.0:
            self._frozen.discard(camera)

    def moves(self, time_s: float) -> None:
        """Note that the limb begins to move."""
        self._move_s = time_s

    def moved(self, displacement_rad: FloatArray) -> None:
        """Note that the move is over, which has turned each joint by ``displacement_rad``.

        A picture that stayed the same meanwhile is frozen, if it shows anything at all and some
        other camera's has changed; otherwise it may be the limb that did not move.
        """
        if np.abs(displacement_rad).max(initial=0.0) < MOVED_RAD:
            return
        known = {j: signs for j, signs in enumerate(self._signs) if signs is not None}
        same = {j for j, signs in known.items() if signs.time_s - signs.unchanged_s <= self._move_s}
        if len(same) < len(known):
            self._frozen |= {j for j in same if known[j].contrast >= BLANK_CONTRAST}

    def problems(self) -> dict[int, str]:
        """Return the cameras that cannot be relied on: silent, dark, corrupt or frozen.

        Silent is who is behind the newest picture of all: pictures may all be late together, where
        simulated time runs fast.
        """
        found = ((j, self._problem(j)) for j in range(len(self._signs)))
        return {camera: problem for camera, problem in found if problem}

    def _problem(self, camera: int) -> str:
        signs = self._signs[camera]
        if signs is None or self._newest_s - signs.time_s > self.silence_s[camera]:
            return str(CameraState.SILENT.value)
        state = picture_state(signs)
        if state is not CameraState.OK:
            return str(state.value)
        return str(CameraState.FROZEN.value) if camera in self._frozen else ""
