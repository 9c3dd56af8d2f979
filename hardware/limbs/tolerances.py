"""Whether joints are as near to where they should be as a goal asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray


@dataclass(frozen=True)
class JointTolerances:
    """How far joints may be off, infinite where that does not matter.

    Attributes:
        position_rad: ``(n,)``.
        velocity_rad_s: ``(n,)``.
    """

    position_rad: FloatArray
    velocity_rad_s: FloatArray

    @classmethod
    def everywhere(cls, count: int, position_rad: float) -> JointTolerances:
        """Return one tolerance of position for all joints, and none of velocity."""
        return cls(np.full(count, position_rad), np.full(count, np.inf))

    def violation(
        self, names: Sequence[str], position_off_rad: FloatArray, velocity_off_rad_s: FloatArray
    ) -> str:
        """Return which joint is too far off and by how much; empty when none is.

        Args:
            names: of the joints.
            position_off_rad: ``(n,)`` where they should be, less where they are.
            velocity_off_rad_s: the same of their speeds.
        """
        for off, allowed, unit in (
            (position_off_rad, self.position_rad, "rad"),
            (velocity_off_rad_s, self.velocity_rad_s, "rad/s"),
        ):
            beyond = np.abs(off) - allowed
            worst = int(np.argmax(beyond))
            if beyond[worst] > 0.0:
                return (
                    f"{names[worst]} is {abs(off[worst]):.3f} {unit} off; "
                    f"{allowed[worst]:g} {unit} are allowed"
                )
        return ""
