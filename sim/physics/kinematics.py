"""Where a soft limb's tip is when it rests: servos given, flexible links in equilibrium.

The links that no servo drives directly bend until flexures, tendons and gravity balance; that
equilibrium is what a resting limb shows, so it is the kinematics by which a person steers the tip.
Friction, which leaves a resting link anywhere in a narrow band around it, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from hardware.description.limb import Limb, Material
from hardware.description.robot import RobotDescription
from sim.physics import rigid_body
from sim.physics.limb_body import servo_model, soft_model, tree_model
from sim.physics.model import LinkFrames
from sim.physics.rotations import rotation_from_rpy
from sim.physics.soft_parts import tendon_tension

# Newton's method on three or so angles; the elastic part of the stiffness is exact, gravity's is
# left out, so each round leaves a fifth of the error or less.
ROUNDS = 60
SETTLED_RAD = 1e-8
LARGEST_TURN_RAD = 0.3
DIFFERENCE_RAD = 1e-4


class SoftLimb:
    """Forward kinematics of a limb at rest.

    It is a :class:`hardware.teleop.inverse_kinematics.Kinematics`.

    Args:
        limb: the description.
        materials: materials by name.
        gravity_m_s2: downward acceleration in the world.
    """

    def __init__(
        self, limb: Limb, materials: Mapping[str, Material], gravity_m_s2: float = 9.81
    ) -> None:
        self.limb = limb
        self._tree = tree_model(limb, gravity_m_s2)
        self._soft = soft_model(limb, materials)
        self._driven = servo_model(limb).joint
        size, count = self._soft.armature.size, len(limb.body.hinges)
        self._free = np.setdiff1d(np.arange(size), self._driven)
        self._q = np.zeros(size)
        self._frames = LinkFrames(
            np.zeros((count, 3, 3)),
            np.zeros((count, 3)),
            np.zeros((count, 3)),
            np.zeros((count, 3)),
        )
        self._centers, self._gravity = np.zeros((count, 3)), np.zeros(size)
        last = {link.name: link for link in limb.body.links}[limb.body.hinges[-1].child]
        self.tip_point_m = np.array(last.center_m) + np.array([0.5 * last.size_m[0], 0.0, 0.0])
        self.base_rotation = rotation_from_rpy(limb.base.rpy)
        self.base_m = np.array(limb.base.xyz)

    @classmethod
    def of(cls, robot: RobotDescription, number: int) -> SoftLimb:
        """Return the kinematics of limb ``number`` of a robot, simulated or real."""
        gravity = robot.simulation.gravity_m_s2
        return cls(robot.limbs[number], robot.materials, gravity)

    # -- pose -----------------------------------------------------------------------------------

    def hinges(self, servo_rad: npt.ArrayLike, settled_rad: float = SETTLED_RAD) -> FloatArray:
        """Return ``(h,)`` hinge angles at rest for ``(n,)`` servo positions.

        ``settled_rad``: the last step of the search, about four times what is left of the error.
        """
        q, free = self._q, self._free
        q[self._driven] = np.asarray(servo_rad, dtype=np.float64)
        for _ in range(ROUNDS if free.size else 0):
            force, stiffness = self._balance()
            turn = np.linalg.solve(stiffness[np.ix_(free, free)], force[free])
            q[free] += np.clip(turn, -LARGEST_TURN_RAD, LARGEST_TURN_RAD)
            if np.abs(turn).max() < settled_rad:
                break
        angles: FloatArray = q[: len(self.limb.body.hinges)].copy()
        return angles

    def tip(self, servo_rad: npt.ArrayLike) -> FloatArray:
        """Return ``(3,)`` tip in m in the limb's common frame."""
        return self.tip_of_hinges(self.hinges(servo_rad))

    def tip_of_hinges(self, hinge_rad: npt.ArrayLike) -> FloatArray:
        """Return ``(3,)`` tip for ``(h,)`` hinge angles, measured ones for example."""
        rotations, shifts = self.link_poses(hinge_rad)
        tip: FloatArray = rotations[-1] @ self.tip_point_m + shifts[-1]
        return tip

    def in_world(self, point_m: npt.ArrayLike) -> FloatArray:
        """Return ``(3,)`` a point of the limb's common frame in the world."""
        moved: FloatArray = self.base_rotation @ np.asarray(point_m) + self.base_m
        return moved

    def link_poses(self, hinge_rad: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return rotations ``(h, 3, 3)`` and shifts ``(h, 3)`` of the hinges' child links."""
        angles = np.asarray(hinge_rad, dtype=np.float64)
        rigid_body.forward_kinematics(self._tree, angles, self._frames)
        return self._frames.rotation.copy(), self._frames.shift_m.copy()

    def jacobian(self, servo_rad: npt.ArrayLike) -> FloatArray:
        """Return ``(3, n)`` m/rad by differences, soft links included."""
        position = np.asarray(servo_rad, dtype=np.float64)
        here, columns = self.tip(position), []
        for shift in DIFFERENCE_RAD * np.eye(position.size):
            columns.append((self.tip(position + shift) - here) / DIFFERENCE_RAD)
        turned: FloatArray = np.stack(columns, axis=1)
        return turned

    # -- equilibrium ----------------------------------------------------------------------------

    def _balance(self) -> tuple[FloatArray, FloatArray]:
        """Return the residual force ``(n,)`` at the present angles and the stiffness ``(n, n)``."""
        q, soft = self._q, self._soft
        rigid_body.forward_kinematics(self._tree, q, self._frames)
        rigid_body.centers_of_mass(self._tree, self._frames, self._centers)
        rigid_body.gravity_forces(self._tree, self._frames, self._centers, self._gravity)
        beyond = q - np.clip(q, soft.lower, soft.upper)
        force = -self._gravity - soft.stiffness * (q - soft.rest) - soft.stop_stiffness * beyond
        stiffness = np.diag(soft.stiffness + soft.stop_stiffness * (beyond != 0.0))
        for arms, tendon in zip(soft.arms_m, soft.tendon, strict=True):
            for side in (1.0, -1.0):
                tension = tendon_tension(arms, tendon, side, q)
                force += side * tension * arms
                if tension > 0.0:
                    stiffness += tendon[0] * np.outer(arms, arms)
        # Hinges that nothing holds would make this singular; a little spring keeps Newton bounded.
        return force, stiffness + 1e-3 * np.eye(q.size)
