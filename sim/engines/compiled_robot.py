"""A robot that is held, moved by our own compiled loop: each limb by itself, touching nothing."""

from __future__ import annotations

from hardware.description.robot import RobotDescription
from sim.physics.limb_body import LimbBody


class CompiledRobot:
    """All limbs of a robot that is held.

    Args:
        about: the description.

    Attributes:
        bodies: its limbs.
    """

    def __init__(self, about: RobotDescription) -> None:
        backend = about.simulation
        self.bodies = [
            LimbBody(
                limb,
                about.materials,
                physics_hz=backend.physics_hz,
                gravity_m_s2=backend.gravity_m_s2,
            )
            for limb in about.limbs
        ]

    def advance(self, steps: int) -> None:
        """Integrate whole steps."""
        for body in self.bodies:
            body.advance(steps)

    def close(self) -> None:
        """Free what is held; there is nothing."""
