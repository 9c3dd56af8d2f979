"""A gait that goes where one wants: commands of all limbs, from the time and a bearing alone."""

from __future__ import annotations

import math

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.robot import RobotDescription
from learning.crawling.gaits import Gait, led_by
from learning.crawling.limb_modes import MODES, limb_towards, mode_commands
from learning.crawling.options import CrawlOptions


class GaitPilot:
    """Runs a gait that limb 0 leads; the limb that points to the bearing best leads in its place.

    Which one leads is chosen anew in each cycle of the gait.

    Args:
        robot: the description.
        gait: the gait.
        frequency_hz: of the gait's cycles; that of the training unless told.

    Attributes:
        leading_limb: the one that leads now; -1 before the first command.

    Raises:
        UserError: the gait does not fit the robot.
    """

    def __init__(
        self,
        robot: RobotDescription,
        gait: Gait,
        frequency_hz: float = CrawlOptions.frequency_hz,
    ) -> None:
        self.limbs = len(robot.limbs)
        if gait.theta.size != 3 * MODES * self.limbs:
            raise UserError(
                f"A gait of {gait.theta.size} numbers does not fit {robot.name}; its "
                f"{self.limbs} limbs take {3 * MODES * self.limbs}."
            )
        self.leading_limb = -1
        self._gait, self._frequency_hz = gait, frequency_hz
        self._press, self._sweep = mode_commands(robot)
        self._ends = np.cumsum([len(limb.joints) for limb in robot.limbs])[:-1]
        self._cycle, self._led = -1, gait

    def commands(self, time_s: float, bearing_rad: float) -> list[FloatArray]:
        """Return ``(n,)`` positions in rad for each limb, ``time_s`` after the start.

        Args:
            time_s: of the robot's clock, since the gait began.
            bearing_rad: of the target from x, in the robot's frame.
        """
        turns = self._frequency_hz * time_s
        if math.floor(turns) != self._cycle:
            self._cycle = math.floor(turns)
            self.leading_limb = limb_towards(bearing_rad, self.limbs)
            self._led = Gait(led_by(self._gait.theta, self.leading_limb), {})
        phase = 2.0 * math.pi * turns
        modes = self._led.act(np.array([math.sin(phase), math.cos(phase)])).reshape(-1, MODES)
        goal = modes[:, 0] @ self._press + modes[:, 1] @ self._sweep
        return np.split(goal, self._ends)
