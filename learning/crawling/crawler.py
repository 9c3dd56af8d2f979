"""A robot that stands free, commanded by two numbers a limb: how far it presses and sweeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.crawling.limb_modes import CONTROL_HZ, mode_commands
from learning.crawling.options import CrawlOptions
from sim.contact.body import ContactBody
from sim.contact.shapes import Ground, Surface
from sim.contact.standing_robot import standing_robot
from sim.engines.registry import find_engine


class Crawler:
    """The body of the task.

    Args:
        options: of the task.

    Attributes:
        length_m: of the body: from the end of one straight limb to that of the opposite one.
        limbs: how many there are.

    Raises:
        UserError: the options do not fit the robot.
    """

    def __init__(self, options: CrawlOptions) -> None:
        robot = load_robot(options.robot)
        settings = robot.simulation.model_copy(update={"physics_hz": options.physics_hz})
        self.robot = robot.model_copy(update={"backend": settings})
        self.limbs = len(robot.limbs)
        wrong = [limb for limb in options.broken if not 0 <= limb < self.limbs]
        if wrong:
            raise UserError(
                f"broken names limb {wrong[0]}; {robot.name} has 0 to {self.limbs - 1}."
            )
        if len(set(options.broken)) + options.draw_broken > self.limbs:
            raise UserError(f"{robot.name} has {self.limbs} limbs; fewer can break.")
        ground = Ground(surface=Surface(friction=options.friction))
        engine = find_engine(options.engine or settings.engine)
        self.world: ContactBody = standing_robot(self.robot, ground=ground, body=engine.free_body())
        gravity = self.world.tree.gravity_m_s2
        down = float(np.linalg.norm(gravity))
        gravity[:] = -down * np.array([np.sin(options.slope_rad), 0.0, np.cos(options.slope_rad)])
        self._steps = max(round(options.physics_hz / CONTROL_HZ), 1)
        self.length_m = self._tip_to_tip()
        self._press, self._sweep = mode_commands(self.robot)
        self._shares = np.ones(self.world.servo.joint.size)

    def _tip_to_tip(self) -> float:
        """Return the largest extent of the straight robot along the ground."""
        centers, radii = self.world.sphere_centers_m()[:, :2], self.world.contact.radius_m
        reach = np.linalg.norm(centers - centers.mean(axis=0), axis=1) + radii
        return 2.0 * float(reach.max())

    def reset(self, broken: Sequence[int] = ()) -> None:
        """Stand straight at the start, with these limbs limp."""
        self._shares[:] = 1.0
        for number in broken:
            self._shares[self.press_of(number) != 0.0] = 0.0
        self.world.weaken(self._shares)
        self.world.reset()

    def press_of(self, limb: int) -> FloatArray:
        """Return ``(s,)`` non-zero at the servos of a limb."""
        servos: FloatArray = np.abs(self._press[limb]) + np.abs(self._sweep[limb])
        return servos

    def command(self, modes: FloatArray) -> None:
        """Command ``(limbs, 2)`` shares from -1 to 1 of press and sweep, for one control step."""
        goal = modes[:, 0] @ self._press + modes[:, 1] @ self._sweep
        self.world.set_goal(goal)
        self.world.advance(self._steps)

    @property
    def position_m(self) -> FloatArray:
        """``(2,)`` where the body is on the ground."""
        place: FloatArray = self.world.position_m()[:2]
        return place
