"""Observation of a learned policy (arXiv 2404.08093, version 2): commands and camera flags.

Positions are in the authors' unit, in which a servo's range is -1 to 1, but for the inner
left/right servo (here ``wrist_roll``), which has three quarters of it. Pictures are not part of the
observation, only which cameras are alive.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError

Observation = npt.NDArray[np.float32]
# Grey pictures of all cameras, (c, H, W).
Tiles = npt.NDArray[np.uint8]

# Commands at the limits of the joints, order of limb_p1.
PAPER_COMMAND_RANGE = (1.0, 1.0, 0.75, 1.0)


@dataclass(frozen=True)
class CommandUnit:
    """Turns joint positions in rad into the authors' commands and back.

    Attributes:
        lower_rad, upper_rad: ``(n,)`` limits of the joints.
        reach: ``(n,)`` commands at the upper limits; minus that at the lower ones.
    """

    lower_rad: FloatArray
    upper_rad: FloatArray
    reach: FloatArray

    @classmethod
    def of(
        cls, lower_rad: FloatArray, upper_rad: FloatArray, command_range: Sequence[float]
    ) -> CommandUnit:
        """Return the unit of a limb, after a check that there is a command range for each joint.

        Raises:
            UserError: there is none.
        """
        reach = np.asarray(command_range, dtype=np.float64)
        if reach.shape != lower_rad.shape or not (reach > 0).all():
            raise UserError(
                f"command_range must hold a positive number for each of the limb's "
                f"{lower_rad.size} joints; it is {tuple(command_range)}."
            )
        return cls(lower_rad, upper_rad, reach)

    def command(self, position_rad: FloatArray) -> FloatArray:
        """Return the ``(n,)`` commands of positions, clipped to the limits."""
        middle, half = self._middle_and_half()
        scaled: FloatArray = np.clip((position_rad - middle) / half, -1.0, 1.0) * self.reach
        return scaled

    def position_rad(self, command: FloatArray) -> FloatArray:
        """Return the ``(n,)`` positions of commands, clipped to the limits."""
        middle, half = self._middle_and_half()
        moved: FloatArray = middle + np.clip(command / self.reach, -1.0, 1.0) * half
        return moved

    def _middle_and_half(self) -> tuple[FloatArray, FloatArray]:
        return 0.5 * (self.lower_rad + self.upper_rad), 0.5 * (self.upper_rad - self.lower_rad)


def observe(command: FloatArray, live: Collection[int], cameras: int) -> Observation:
    """Return the ``(n + cameras,)`` observation: commands, then a flag per camera.

    A dead camera's flag is 0; live ones divide 1 evenly, so flags sum to 1 while any is alive.
    """
    flags = np.zeros(cameras)
    flags[list(live)] = 1.0 / max(len(live), 1)
    return np.concatenate([command, flags]).astype(np.float32)
