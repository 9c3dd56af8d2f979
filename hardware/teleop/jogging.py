"""Jogging: from directions that a person gives to joint positions that a limb can follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from hardware.description.limb import Limb
from hardware.teleop.inverse_kinematics import Kinematics, damped_step

# After a pause, steering goes on from the last goal while the limb is this near to it: a servo that
# carries a load stands a little beside its goal, and would creep if each start began where it is.
SAME_PLACE_RAD = 0.12
# A tip that cannot follow (limits, out of reach) is not run away from.
LONGEST_LEAD_M = 0.004
LONGEST_STEP_S = 0.1


@dataclass(frozen=True)
class JogLimits:
    """Speed limits of jogging.

    Attributes:
        joint_speed: fraction of each joint's velocity limit at full deflection.
        tip_speed_m_s: speed of the tip at full deflection.
        lead_rad: largest distance of the goal ahead of the measured position; a joint that is
            blocked does not wind up.
    """

    joint_speed: float = 0.3
    tip_speed_m_s: float = 0.15
    lead_rad: float = 0.25


class Jogger:
    """Holds the goal that one person steers; not safe against calls from several threads at once.

    Every method takes the measured position ``(n,)`` in rad, and returns the goal ``(n,)`` to send
    now, inside the joints' limits.

    Args:
        limb: names, limits and speeds of the joints.
        kinematics: for steering the tip; None: joints only.
        limits: of the speed.
    """

    def __init__(
        self, limb: Limb, kinematics: Kinematics | None = None, limits: JogLimits | None = None
    ) -> None:
        self.limits = limits or JogLimits()
        self.kinematics = kinematics
        self.speed = 1.0
        self.lower_rad = np.array([joint.limits_rad[0] for joint in limb.joints])
        self.upper_rad = np.array([joint.limits_rad[1] for joint in limb.joints])
        self.home_rad = np.array([joint.home_rad for joint in limb.joints])
        self._speed_rad_s = np.array([joint.velocity_limit_rad_s for joint in limb.joints])
        self._goal: FloatArray | None = None
        self._tip: FloatArray | None = None

    @property
    def goal_rad(self) -> FloatArray | None:
        """Last goal ``(n,)`` in rad; None before the first step."""
        return None if self._goal is None else self._goal.copy()

    def start(self, measured: FloatArray) -> None:
        """Start from the last goal if the limb is still there, else from the measured position."""
        if self._goal is None or np.abs(self._goal - measured).max() > SAME_PLACE_RAD:
            self._goal = np.clip(measured, self.lower_rad, self.upper_rad)
        self._tip = None

    def jog_joints(self, share: npt.ArrayLike, measured: FloatArray, dt_s: float) -> FloatArray:
        """Turn joints for ``dt_s`` at ``(n,)`` fractions, -1 to 1, of the driving speed.

        Returns:
            The goal ``(n,)`` in rad.
        """
        goal = self._current_goal(measured)
        self._tip = None
        speed = self.speed * self.limits.joint_speed * self._speed_rad_s
        displacement = np.clip(np.asarray(share, dtype=np.float64), -1.0, 1.0) * speed
        return self._keep(goal + displacement * min(dt_s, LONGEST_STEP_S), measured)

    def jog_tip(self, share: npt.ArrayLike, measured: FloatArray, dt_s: float) -> FloatArray:
        """Move the tip at ``(3,)`` fractions, -1 to 1, of the driving speed along x, y and z.

        Axes are those of the limb's common frame: outwards, left, up.

        Returns:
            The goal ``(n,)`` in rad.

        Raises:
            ValueError: there are no kinematics.
        """
        if self.kinematics is None:
            raise ValueError("This limb's tip cannot be steered: it has no kinematics.")
        goal, dt_s = self._current_goal(measured), min(dt_s, LONGEST_STEP_S)
        here = self.kinematics.tip(goal)
        displacement = np.clip(np.asarray(share, dtype=np.float64), -1.0, 1.0)
        length = float(np.linalg.norm(displacement))
        displacement *= self.speed * self.limits.tip_speed_m_s * dt_s / max(length, 1.0)
        # What the last step could not do is asked for again, but never much of it: a straight limb
        # that is pulled outwards would turn whatever joint gains it a tenth of a millimetre.
        aim = (here if self._tip is None else self._tip) + displacement
        lead = aim - here
        aim = here + lead * min(1.0, LONGEST_LEAD_M / max(float(np.linalg.norm(lead)), 1e-12))
        self._tip = aim
        step = damped_step(
            self.kinematics.jacobian(goal),
            aim - here,
            goal,
            self.lower_rad,
            self.upper_rad,
            most_rad=self.speed * self.limits.joint_speed * self._speed_rad_s * dt_s,
        )
        return self._keep(goal + step, measured)

    def move_towards(
        self, target_rad: npt.ArrayLike, measured: FloatArray, dt_s: float
    ) -> FloatArray:
        """Move towards ``(n,)`` positions in rad, all joints arriving together.

        Returns:
            The goal ``(n,)`` in rad.
        """
        goal = self._current_goal(measured)
        self._tip = None
        displacement = np.clip(target_rad, self.lower_rad, self.upper_rad) - goal
        reach = self.speed * self.limits.joint_speed * self._speed_rad_s
        reach = reach * min(dt_s, LONGEST_STEP_S)
        slowest = float(np.max(np.abs(displacement) / reach))
        return self._keep(goal + displacement / max(slowest, 1.0), measured)

    def _current_goal(self, measured: FloatArray) -> FloatArray:
        if self._goal is None:
            self.start(measured)
        assert self._goal is not None
        return self._goal

    def _keep(self, goal: FloatArray, measured: FloatArray) -> FloatArray:
        lead = self.limits.lead_rad
        near = np.clip(goal, measured - lead, measured + lead)
        self._goal = np.clip(near, self.lower_rad, self.upper_rad)
        kept: FloatArray = self._goal.copy()
        return kept
