"""A robot that stands free, commanded by two numbers a limb: how far it presses and sweeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.crawling.options import CrawlOptions
from sim.contact.body import ContactBody
from sim.contact.shapes import Ground, Surface
from sim.contact.standing_robot import standing_robot

CONTROL_HZ = 12.5
MODES = 2  # of a limb: press its end down, sweep it to the left


def mirroring(limbs: int) -> FloatArray:
    """Return ``(2 limbs, limbs)``: modes of all limbs from those of one side of the x axis.

    One side is press of limb 0, press and sweep of each limb to the left, press of the limb
    opposite limb 0.

    Raises:
        UserError: the number of limbs is odd.
    """
    if limbs % 2:
        raise UserError(f"mirrored needs an even number of limbs; this robot has {limbs}.")
    spread = np.zeros((MODES * limbs, limbs))
    spread[0, 0] = spread[MODES * (limbs // 2), limbs - 1] = 1.0
    for left in range(1, limbs // 2):
        right, column = limbs - left, 2 * left - 1
        spread[MODES * left, column] = spread[MODES * right, column] = 1.0
        spread[MODES * left + 1, column + 1] = 1.0
        spread[MODES * right + 1, column + 1] = -1.0
    return spread


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
        self.world: ContactBody = standing_robot(self.robot, ground=ground)
        gravity = self.world.tree.gravity_m_s2
        down = float(np.linalg.norm(gravity))
        gravity[:] = -down * np.array([np.sin(options.slope_rad), 0.0, np.cos(options.slope_rad)])
        self._steps = max(round(options.physics_hz / CONTROL_HZ), 1)
        self.length_m = self._tip_to_tip()
        self._press, self._sweep = self._mixing()
        self._shares = np.ones(self.world.servo.joint.size)

    def _tip_to_tip(self) -> float:
        """Return the largest extent of the straight robot along the ground."""
        centers, radii = self.world.sphere_centers_m()[:, :2], self.world.contact.radius_m
        reach = np.linalg.norm(centers - centers.mean(axis=0), axis=1) + radii
        return 2.0 * float(reach.max())

    def _mixing(self) -> tuple[FloatArray, FloatArray]:
        """Return ``(limbs, s)`` what pressing and sweeping a limb commands, rad."""
        limits = np.array([j.limits_rad[1] for limb in self.robot.limbs for j in limb.joints])
        press, sweep = (np.zeros((self.limbs, limits.size)) for _ in range(MODES))
        s = 0
        for number, limb in enumerate(self.robot.limbs):
            axes = {hinge.name: hinge.axis for hinge in limb.body.hinges}
            for joint in limb.joints:
                # About +y an end goes down, about +z to the left.
                _, y, z = axes.get(joint.hinge or "", (0.0, 0.0, 0.0))
                press[number, s], sweep[number, s] = y * limits[s], z * limits[s]
                s += 1
        return press, sweep

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
