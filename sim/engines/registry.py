"""The engines by the names that a description, a launch argument or an option gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from asterias.errors import UserError
from hardware.description.robot import RobotDescription
from sim.contact.body import ContactBody
from sim.engines.compiled_robot import CompiledRobot
from sim.physics.limb_body import LimbBody


class RobotBodies(Protocol):
    """The limbs of a robot, and what moves them."""

    @property
    def bodies(self) -> Sequence[LimbBody]:
        """Its limbs, in the description's order."""

    def advance(self, steps: int) -> None:
        """Integrate whole steps of all limbs."""

    def close(self) -> None:
        """Free what it holds; harmless when done before."""


@dataclass(frozen=True)
class Engine:
    """What moves bodies.

    Attributes:
        name: as descriptions and options have it.
        words: what it is.
        hold: makes a robot whose base is held.
        free_body: returns the class of robots that nothing holds.
        is_batched: whether many worlds can be moved in one loop (:mod:`sim.vectorised`).
    """

    name: str
    words: str
    hold: Callable[[RobotDescription], RobotBodies]
    free_body: Callable[[], type[ContactBody]]
    is_batched: bool


def _hold_by_bullet(robot: RobotDescription) -> RobotBodies:
    # Here, not above: our own loop works where PyBullet is not installed.
    from sim.engines.bullet_robots import BulletRobot

    return BulletRobot(robot)


def _free_by_bullet() -> type[ContactBody]:
    from sim.engines.bullet_robots import BulletContactBody

    return BulletContactBody


# A name of :data:`hardware.description.devices.EngineName` -> the engine.
ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("asterias", "our own compiled loop", CompiledRobot, lambda: ContactBody, True),
        Engine("pybullet", "PyBullet", _hold_by_bullet, _free_by_bullet, False),
    )
}


def find_engine(name: str) -> Engine:
    """Return the engine of a name.

    Raises:
        UserError: there is none.
    """
    if name not in ENGINES:
        raise UserError(f"There is no engine '{name}': choose one of {', '.join(ENGINES)}.")
    return ENGINES[name]
